#!/usr/bin/env python3
"""`lockwright diff` of a pair of uv.locks and one of package-lock.jsons, beside git's own diff of them.

    cargo build --release && benches/diff.py [--runs N]

The whole process is timed, from its start to its end, with the files in the page cache. Taken are the flagship's locks
(../shared) where they are at hand, ours otherwise.
"""

from common import FLAGSHIP, HERE, Table, arguments, scratch

DEFAULT = None


def bench(_, work, runs):
    if FLAGSHIP.is_dir():
        old, new = FLAGSHIP.with_name("2025.12.4"), FLAGSHIP
        pairs = [(old / lock, new / lock) for lock in ("uv.lock", "web/package-lock.json")]
    else:
        folder = HERE / "lockfile-fixtures"
        pairs = [
            (folder / "bump/old/uv.lock", folder / "bump/new/uv.lock"),
            (folder / "bump-npm/old/package-lock.json", folder / "bump-npm/new/package-lock.json"),
        ]
    table = Table("a bump reviewed", runs)
    for old, new in pairs:
        theirs = ["sh", "-c", f"git diff --no-index '{old}' '{new}' || true"]
        sides = {"lockwright diff": [work / "lockwright", "diff", old, new, "--format", "json"], "git diff": theirs}
        table.compare(new.name, sides)
    return table


if __name__ == "__main__":
    args = arguments(__doc__, runs=20)
    with scratch(args.lockwright, args.below) as work:
        bench(DEFAULT, work, args.runs)
