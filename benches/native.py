#!/usr/bin/env python3
"""Hashing a tree and taking its store references out, beside what does it today, as ratios.

    scripts/test-env && cargo build --release && benches/native.py [TREE] [--runs N]

The tree is any folder; if none is named, the wheels for x86-64 that scripts/test-env unpacks. It is copied into a tmpfs
(/dev/shm), and references to a store path are planted in one of a hundred sources and objects. In turn (A B A B …):
`lockwright hash` and `nix hash path`; `lockwright refs strip` and, for today, grep with perl on what it finds, and sed
over every file, each with the references planted anew. Printed are medians and the median of the ratios, pair by pair:
below 1, lockwright is faster.
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
REFERENCE = b"/nix/store/0c0pl5jw7k3x2v1r9q8n6m4i3h2gfdba-python3-3.14.2/bin/python3\n"
STORE = "/nix/store/[0-9a-df-np-sv-z]{32}-"
BLANK = "/nix/store/" + "e" * 32 + "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", nargs="?", type=Path, default=ENV / "wheels/x86_64")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    work = Path("/dev/shm/lockwright-bench-native")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def bench(args, work):
    tree = work / "tree"
    lockwright = work / "lockwright"
    shutil.copy(args.lockwright, lockwright)
    shutil.copytree(args.tree, tree, symlinks=True)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    # Not in archives, whose checksums would no longer be right: those lockwright names and leaves.
    planted = [path for path in files if path.suffix in (".py", ".so", "")][::100]
    for path in planted:
        path.write_bytes(path.read_bytes() + REFERENCE)
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files, {size / 1e6:.0f} MB of {args.tree}, {args.runs} runs, {os.cpu_count()} cores")

    forky = [str(ENV / "bin/in-forky")]
    ours = [*forky, str(lockwright), "hash", str(tree)]
    theirs = [*forky, "nix", "--extra-experimental-features", "nix-command", "hash", "path", str(tree)]
    hashes = {subprocess.check_output(command, text=True).split()[0] for command in (ours, theirs)}
    assert len(hashes) == 1, hashes
    compare("hash, nix hash path", args.runs, ours, theirs, lambda: None)

    def fresh():
        for path in planted:
            data = path.read_bytes()
            path.write_bytes(data[: -len(REFERENCE)] + REFERENCE)

    strip = [str(lockwright), "refs", "strip", str(tree)]
    perl = f"grep -rlZ /nix/store/ '{tree}' | xargs -0 perl -pi -e 's#{STORE}#{BLANK}#g'"
    compare("refs strip, grep and perl", args.runs, strip, ["sh", "-c", perl], fresh)
    sed = ["find", str(tree), "-type", "f", "-exec", "sed", "-i", "-E", f"s#{STORE}#{BLANK}#g", "{}", "+"]
    compare("refs strip, sed", min(args.runs, 2), strip, sed, fresh)


def compare(name, runs, ours, theirs, fresh):
    pairs = []
    for _ in range(runs):
        pair = []
        for command in (ours, theirs):
            fresh()
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            pair.append(time.perf_counter() - begin)
        pairs.append(pair)
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:28} lockwright {ours:6.3f} s   the other {theirs:6.3f} s   ratio {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()
