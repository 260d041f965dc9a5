#!/usr/bin/env python3
"""How long `lockwright diff` takes for a pair of uv.locks and one of package-lock.jsons, in milliseconds.

    cargo build --release && benches/diff.py [--runs N] [--format FORMAT]

The whole process is timed, from its start to its end, with the files in the page cache. Taken are the flagship's locks
(../shared) where they are at hand, ours otherwise. Printed are the lowest, the median and the highest of the runs, and the
sum of the medians.
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FLAGSHIP = HERE.parent / "shared/fixtures/authentik"
FIXTURES = HERE / "lockfile-fixtures"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--format", default="json")
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    if FLAGSHIP.is_dir():
        old, new = FLAGSHIP / "2025.12.4", FLAGSHIP / "2026.2.0"
        pairs = [(old / lock, new / lock) for lock in ("uv.lock", "web/package-lock.json")]
    else:
        pairs = [
            (FIXTURES / "bump/old/uv.lock", FIXTURES / "bump/new/uv.lock"),
            (FIXTURES / "bump-npm/old/package-lock.json", FIXTURES / "bump-npm/new/package-lock.json"),
        ]
    total = 0.0
    for old, new in pairs:
        command = [str(args.lockwright), "diff", str(old), str(new), "--format", args.format]
        times = []
        for _ in range(args.runs):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append((time.perf_counter() - start) * 1000)
        middle = statistics.median(times)
        total += middle
        print(f"{new.name:20} {min(times):6.1f} {middle:6.1f} {max(times):6.1f} ms")
    print(f"{'both':20} {total:13.1f} ms")


main()
