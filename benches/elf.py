#!/usr/bin/env python3
"""lockwright and patchelf side by side on one tree.

    scripts/test-env && cargo build --release && benches/elf.py [TREE] [--runs N]

Both give every dynamic ELF file of a tree in memory the same RUNPATH, each on a fresh copy. The tree is, if none is
named, the wheels for x86-64 that scripts/test-env unpacks. patchelf is started once a file, on a list of files that was
made beforehand; lockwright walks the tree and finds them by itself. It also brings hashes in RECORDs and the provenance
record up to date, which patchelf leaves wrong: measured with them, and on a tree that has none. Beside both, cp of the same
files: lockwright writes each anew, whole, so that a run that is cut off leaves no half of one.
"""

import shutil
import subprocess

from common import ENV, Table, arguments, peer, run, scratch

DEFAULT = ENV / "wheels/x86_64"
RUNPATH = "$ORIGIN/../../lib:/opt/example/lib/of/some/length"


def bench(from_tree, work, runs):
    patchelf, tree = peer("patchelf"), work / "tree"
    files = [file.relative_to(from_tree) for file in dynamic_files(from_tree)]
    table = Table(f"{len(files)} ELF files", runs)
    ours = [work / "lockwright", "elf", "patch", tree, "--set-rpath", RUNPATH]

    def theirs():
        taken = [run([patchelf, "--set-rpath", RUNPATH, tree / file]) for file in files]
        return tuple(map(sum, zip(*taken)))

    def copied():
        return run(["cp", "--parents", "--target-directory", work / "copies", *files], cwd=from_tree)

    for case, ignore in (("records kept true", None), ("no records", shutil.ignore_patterns("RECORD", ".lockwright"))):
        def fresh(_):
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(from_tree, tree, symlinks=True, ignore=ignore)
            shutil.rmtree(work / "copies", ignore_errors=True)
            (work / "copies").mkdir()

        table.compare(f"elf patch, {case}", {"lockwright": ours, "patchelf": theirs, "cp of the files": copied}, fresh)
    return table


def dynamic_files(tree):
    found = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                is_elf = file.read(4) == b"\x7fELF"
            # What lockwright leaves alone, patchelf could not patch.
            if is_elf and b"dynamic" in subprocess.check_output(["readelf", "-lW", path]).lower():
                found.append(path)
    return found


if __name__ == "__main__":
    args = arguments(__doc__, "tree", DEFAULT)
    with scratch(args.lockwright, args.below) as work:
        bench(args.tree, work, args.runs)
