"""The floor: the same tree made by a C program that does nothing else (floor.c)."""

import resource
import shutil
import subprocess

from common import HERE


def floor(work):
    """Compiles it, and gives what makes FROM anew at WORK/floor: a side for `Table.compare`."""
    program = work / "floor-program"
    subprocess.run(["cc", "-O2", "-pthread", "-o", program, HERE / "benches/floor.c"], check=True)

    def side(tree, mode, threads=2):
        def made():
            shutil.rmtree(work / "floor", ignore_errors=True)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [program, tree, work / "floor", mode, str(threads)]
            seconds = float(subprocess.check_output(command))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        return made

    return side
