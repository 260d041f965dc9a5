#!/usr/bin/env python3
"""Hashing a tree and taking its store references out, beside what does it today.

    scripts/test-env && cargo build --release && benches/native.py [TREE] [--runs N]

The tree is any folder; if none is named, the wheels for x86-64 that scripts/test-env unpacks. It is copied into memory,
and references to a store path are planted in one of a hundred sources and objects. In turn: `lockwright hash` and `nix
hash path`; `lockwright refs strip` and, for today, grep with perl on what it finds, each with the references planted anew.
"""

import shutil
import subprocess

from common import ENV, INSIDE, Table, arguments, scratch

DEFAULT = ENV / "wheels/x86_64"
REFERENCE = b"/nix/store/0c0pl5jw7k3x2v1r9q8n6m4i3h2gfdba-python3-3.14.2/bin/python3\n"
STORE = "/nix/store/[0-9a-df-np-sv-z]{32}-"
BLANK = "/nix/store/" + "e" * 32 + "-"


def bench(from_tree, work, runs):
    tree, lockwright = work / "tree", str(work / "lockwright")
    shutil.copytree(from_tree, tree, symlinks=True)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    # Not in archives, whose checksums would no longer be right: those lockwright names and leaves.
    planted = [path for path in files if path.suffix in (".py", ".so", "")][::100]
    for path in planted:
        path.write_bytes(path.read_bytes() + REFERENCE)
    size = sum(path.stat().st_size for path in files)
    table = Table(f"{len(files)} files, {size / 1e6:.0f} MB", runs)

    ours = [*INSIDE, lockwright, "hash", str(tree)]
    theirs = [*INSIDE, "nix", "--extra-experimental-features", "nix-command", "hash", "path", str(tree)]
    hashes = {subprocess.check_output(command, text=True).split()[0] for command in (ours, theirs)}
    assert len(hashes) == 1, hashes
    # A NAR hash is one SHA-256 from end to end: no second core helps, and this is its floor.
    archive = work / "tree.nar"
    with archive.open("wb") as file:
        subprocess.run([*INSIDE, "nix-store", "--dump", str(tree)], check=True, stdout=file)
    digest = ["openssl", "dgst", "-sha256", archive]
    table.compare("hash", {"lockwright": ours, "nix hash path": theirs, "openssl, of the archive": digest})
    archive.unlink()

    def plant(_):
        for path in planted:
            data = path.read_bytes()
            path.write_bytes(data[: -len(REFERENCE)] + REFERENCE)

    perl = f"grep -rlZ /nix/store/ '{tree}' | xargs -0 perl -pi -e 's#{STORE}#{BLANK}#g'"
    sides = {"lockwright": [lockwright, "refs", "strip", tree], "grep and perl": ["sh", "-c", perl]}
    table.compare("refs strip", sides, plant)
    return table


if __name__ == "__main__":
    args = arguments(__doc__, "tree", DEFAULT)
    with scratch(args.lockwright, args.below) as work:
        bench(args.tree, work, args.runs)
