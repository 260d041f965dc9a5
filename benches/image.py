#!/usr/bin/env python3
"""`lockwright image` beside `buildah`'s COPY of the same tree: from nothing, and after one package's bump, as ratios.

    scripts/test-env && apt-get install buildah && cargo build --release && benches/image.py TREE [--runs N]

TREE is a finished tree, an environment that `lockwright sync --out TREE` made say; it is copied, since a file of it is
changed for the bump. Both write one archive of gzip layers (buildah: `from scratch`, `copy`, `commit` to oci-archive), in
turn (A B A B …), in a tmpfs (/dev/shm). buildah works on plain folders (vfs), as in most builds that run in a container.
It is spared what lockwright does besides: looking whether anything is missing, a layer for each large package.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
WORK = Path("/dev/shm/lockwright-bench-image")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    tree = WORK / "tree"
    shutil.copytree(args.tree, tree, symlinks=True)
    bumped = smallest_record(tree)
    program = first_program(tree)
    works = [("lockwright", lambda: lockwright(args, tree, program)), ("buildah", lambda: buildah(tree))]
    times = {}
    for number in range(args.runs):
        for name, work in works:
            (WORK / f"{name}.tar").unlink(missing_ok=True)
            measure(times, name, "from nothing", work)
        with bumped.open("a") as file:
            file.write(f"# {number}\n")
        for name, work in works:
            measure(times, name, "after a bump", work)
    for what in ["from nothing", "after a bump"]:
        for number, kind in enumerate(["time", "CPU time"]):
            ours, theirs = ([pair[number] for pair in times[name, what]] for name, _ in works)
            ratio = statistics.median(one / other for one, other in zip(ours, theirs))
            ours, theirs = statistics.median(ours), statistics.median(theirs)
            print(f"{what}, {kind}: lockwright {ours:.2f} s, buildah {theirs:.2f} s, ratio {ratio:.3f}")
    for name in ["lockwright", "buildah"]:
        print(f"{name}: {(WORK / f'{name}.tar').stat().st_size >> 20} MiB")
    shutil.rmtree(WORK)


def smallest_record(tree):
    """A file of a small package, to be changed."""
    found = sorted(tree.rglob("*.dist-info/METADATA"), key=lambda path: path.stat().st_size)
    found = found or sorted(tree.rglob("package.json"), key=lambda path: path.stat().st_size)
    return found[0]


def measure(times, name, what, work):
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times.setdefault((name, what), []).append((time.monotonic() - start, cpu))


def lockwright(args, tree, program):
    run(args.lockwright, "image", "--tree", f"{tree}=/app", "--cmd", program, "--allow-missing", "*", "--quiet",
        "--out", WORK / "lockwright.tar")


def first_program(tree):
    """Something in it that may be run: an image has to start something."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK):
            return f"/app/{path.relative_to(tree)}"
    raise SystemExit(f"nothing in {tree} may be run")


def buildah(tree):
    command = ["buildah", "--root", WORK / "storage", "--runroot", WORK / "run", "--storage-driver", "vfs"]
    container = run(*command, "from", "scratch").strip()
    run(*command, "copy", "--quiet", container, tree, "/app")
    out = WORK / "buildah.tar"
    out.unlink(missing_ok=True)
    run(*command, "commit", "--quiet", "--disable-compression=false", "--rm", container, f"oci-archive:{out}:app")


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
