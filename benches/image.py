#!/usr/bin/env python3
"""`lockwright image` beside `buildah`'s COPY of the same tree: from nothing, and after a file of one package changed.

    scripts/test-env && apt-get install buildah && cargo build --release && benches/image.py TREE [--runs N]

TREE is a finished tree: an environment that `lockwright sync --out TREE` made, say. Both write one archive, uncompressed or
of gzip layers (buildah: `from scratch`, `copy`, `commit` to oci-archive); buildah works on plain folders (vfs), as in most
builds that run in a container. It is spared what lockwright does besides: looking whether anything is missing, and a layer
for each large package.
"""

import os
import shutil
import subprocess

from common import Table, arguments, run, scratch


def bench(from_tree, work, runs):
    tree = work / "tree"
    shutil.copytree(from_tree, tree, symlinks=True)
    table = Table("an image of a tree", runs)
    changed = smallest(tree)
    for compression in ("none", "gzip"):
        ours = work / f"lockwright-{compression}.tar"
        image = [work / "lockwright", "image", "--tree", f"{tree}=/app", "--cmd", first_program(tree), "--quiet"]
        image += ["--allow-missing", "*", "--compression", compression, "--out", ours]
        sides = {"lockwright": image, "buildah": lambda: buildah(work, tree, compression)}
        table.compare(f"{compression}, from nothing", sides, lambda _: ours.unlink(missing_ok=True))

        def change(name):
            if name == "lockwright":
                with changed.open("a") as file:
                    file.write("\n")

        table.compare(f"{compression}, one package changed", sides, change)
    return table


def smallest(tree):
    """A file of a small package, to be changed."""
    for pattern in ("*.dist-info/METADATA", "package.json"):
        found = sorted(tree.rglob(pattern), key=lambda path: path.stat().st_size)
        if found:
            return found[0]
    raise SystemExit(f"{tree} has no package")


def first_program(tree):
    """Something in it that may be run: an image has to start something."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK):
            return f"/app/{path.relative_to(tree)}"
    raise SystemExit(f"nothing in {tree} may be run")


def buildah(work, tree, compression):
    command = ["buildah", "--root", work / "storage", "--runroot", work / "run", "--storage-driver", "vfs"]
    command = [str(word) for word in command]
    out = work / "buildah.tar"
    out.unlink(missing_ok=True)
    container = subprocess.check_output([*command, "from", "scratch"], text=True).strip()
    flag = f"--disable-compression={'true' if compression == 'none' else 'false'}"
    steps = [["copy", "--quiet", container, tree, "/app"], ["commit", "--quiet", flag, "--rm", container, f"oci-archive:{out}:app"]]
    taken = [run([*command, *step]) for step in steps]
    subprocess.run([*command, "rmi", "--all", "--force"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tuple(map(sum, zip(*taken)))


if __name__ == "__main__":
    args = arguments(__doc__, "tree", runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.tree, work, args.runs)
