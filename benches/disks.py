#!/usr/bin/env python3
"""The link modes on real file systems: ext4, XFS and Btrfs, each on a loop device of its own, whose file is in memory.

    scripts/test-env && apt-get install xfsprogs btrfs-progs && cargo build --release && benches/disks.py [LOCK] [--runs N]

As root. On each: the wheels of a uv.lock from a full store or cache, by copies, hard links, and clones where there are any
(`--link-mode reflink`, uv's `clone`); what is written reaches the device when the kernel thinks fit, as at a user's.
"""

import contextlib
import shutil
import subprocess

import uv
from common import Table, arguments, run, scratch

DISKS = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
MODES = {"copies": ("copy", "copy"), "hard links": ("hardlink", "hardlink"), "clones": ("reflink", "clone")}
DEFAULT = uv.DEFAULT


def bench(lock, work, runs):
    table = Table("link modes by file system, offline", runs)
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(work / "lockwright", elsewhere)
    vendor = uv.Sides(lock, elsewhere).vendor
    for name, make in DISKS.items():
        with disk(work, make) as mounted:
            shutil.copy(work / "lockwright", mounted)
            sides = uv.Sides(lock, mounted, vendor)
            with uv.serve(vendor, work) as base:
                sides.serve_from(base)
                for words, (ours, theirs) in MODES.items():
                    if words == "clones" and name == "ext4":
                        continue
                    both = {"lockwright": sides.ours(ours), "uv": sides.theirs(theirs)}
                    for command in (*both.values(), *both.values()):
                        # What is placed the second time is kept ready for the third.
                        sides.remove("ours", "theirs")
                        run(command)
                    table.compare(f"{name}, {words}", both, sides.offline)
    return table


@contextlib.contextmanager
def disk(work, make):
    """A file system on a loop device."""
    image, at = work / "disk.img", work / "disk"
    with image.open("wb") as file:
        file.truncate(4 << 30)
    at.mkdir()
    subprocess.run([*make, image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)
        at.rmdir()
        image.unlink()


if __name__ == "__main__":
    args = arguments(__doc__, "lock", DEFAULT, runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.lock, work, args.runs)
