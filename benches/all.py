#!/usr/bin/env python3
"""All benchmarks, into one table.

    scripts/test-env && cargo build --release && benches/all.py [--runs N] [--out FOLDER]

Writes FOLDER/benchmarks.md (ratios alone) and FOLDER/benchmarks.json (every median, and what machine it was); FOLDER is
target/ unless it is named. Run it while nothing else is at work: the load that there was is in the JSON.
"""

import argparse
import json
from pathlib import Path

import diff
import disks
import elf
import fetch
import native
import npm
import uv
from common import HERE, Table, machine, markdown, scratch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    parser.add_argument("--out", type=Path, default=HERE / "target")
    args = parser.parse_args()
    about, tables = machine(), []
    for module in (uv, npm, native, elf, diff, fetch, disks):
        with scratch(args.lockwright) as work:
            tables.append(module.bench(module.DEFAULT, work, args.runs))
        # After each: what was measured stays, if the next one fails.
        (args.out / "benchmarks.md").write_text(markdown(tables))
        cases = {table.title: table.rows for table in tables}
        (args.out / "benchmarks.json").write_text(json.dumps({"machine": about, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
