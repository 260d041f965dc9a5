"""What the benchmarks share: arguments, a scratch folder in memory, programs run in turn, tables of ratios.

Programs are run in turn (A B A B …), each case once more than asked for: the first turn warms up. Given are medians, and
the median of the ratios, turn by turn, of what passed on the clock and of what the processors did, which another
program's load changes less. Below 1, lockwright is faster.
"""

import argparse
import contextlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ENV = Path(os.environ.get("LOCKWRIGHT_TEST_ENV") or Path.home() / ".cache/lockwright-test")
FLAGSHIP = HERE.parent / "shared/fixtures/authentik/2026.2.0"
MEMORY = Path("/dev/shm")
INSIDE = [str(ENV / "bin/in-forky")]


def arguments(document, name=None, default=None, runs=7, more=lambda parser: None):
    """The arguments of a benchmark, of which NAME is a path."""
    parser = argparse.ArgumentParser(description=document.splitlines()[0])
    if name:
        parser.add_argument(name, nargs="?" if default else None, type=Path, default=default)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    parser.add_argument("--below", type=Path, default=MEMORY, help="where trees, stores and caches are written")
    more(parser)
    return parser.parse_args()


@contextlib.contextmanager
def scratch(lockwright, below=MEMORY):
    """A folder, in memory or elsewhere, with the program in it, removed afterwards."""
    work = below.resolve() / f"lockwright-bench-{os.getpid()}"
    work.mkdir()
    try:
        shutil.copy(lockwright, work / "lockwright")
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def peer(name):
    """A program that scripts/test-env has installed from a wheel: itself, not the script around it."""
    return next(ENV.glob(f"py/lib/*/site-packages/**/bin/{name}"), ENV / "py/bin" / name)


def run(command, **more):
    """Runs a command, and says how long it took and what the processors did, in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr.decode()}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Table:
    """The cases of a benchmark."""

    def __init__(self, title, runs):
        self.title, self.runs, self.rows = title, runs, []
        print(title, flush=True)

    def compare(self, case, sides, fresh=lambda name: None):
        """Runs the sides (a name, and a command or a function) in turn; the first is ours. FRESH is called before each."""
        turns = []
        for turn in range(self.runs + 1):
            taken = {}
            for name, side in sides.items():
                fresh(name)
                taken[name] = side() if callable(side) else run(side)
            if turn:
                turns.append(taken)
        ours = next(iter(sides))
        for name in sides:
            if name != ours:
                self.add(case, ours, name, turns)

    def add(self, case, ours, theirs, turns):
        row = {"case": case, "ours": ours, "peer": theirs}
        for which, kind in enumerate(("seconds", "processor")):
            row[f"{kind}, ours"] = statistics.median(turn[ours][which] for turn in turns)
            row[f"{kind}, peer"] = statistics.median(turn[theirs][which] for turn in turns)
            ratios = [turn[ours][which] / max(turn[theirs][which], 1e-6) for turn in turns]
            row[f"ratio of {kind}"] = statistics.median(ratios)
        self.rows.append(row)
        print("  " + line(row), flush=True)


def line(row):
    times = f"{row['seconds, ours']:7.3f} s  {row['peer']} {row['seconds, peer']:7.3f} s"
    ratios = f"ratio {row['ratio of seconds']:.3f}  (processors {row['ratio of processor']:.3f})"
    return f"{row['case']:44} {row['ours']} {times}  {ratios}"


def markdown(tables):
    """All cases as one table, with ratios alone: seconds are this machine's."""
    lines = ["| case | lockwright | beside | ratio of times | of processor time |", "| --- | --- | --- | --- | --- |"]
    for table in tables:
        lines.append(f"| **{table.title}** | | | | |")
        for row in table.rows:
            ratios = f"{row['ratio of seconds']:.2f} | {row['ratio of processor']:.2f}"
            lines.append(f"| {row['case']} | {row['ours']} | {row['peer']} | {ratios} |")
    return "\n".join(lines) + "\n"


def machine():
    """What the figures depend on."""
    cpu = [text.split(":", 1)[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in text]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cores": os.cpu_count(),
        "processor": cpu[0] if cpu else platform.machine(),
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
    }
