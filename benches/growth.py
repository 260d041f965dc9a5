#!/usr/bin/env python3
"""How time and memory grow with the lock: the flagship's wheels, a quarter of them, and several times over.

    scripts/test-env && cargo build --release && benches/growth.py [LOCK] [--runs N] [--most 16] [--svg FILE]

Each wheel is served under other names as often as is needed: its packages lie in a folder of the clone's own, its
metadata, RECORD and file name say the new name; nothing is compressed anew. At each size, by medians: `sync` with nothing
in the store, from a full store with copies and with hard links, and with nothing to do; the peak of memory is the
process's own (ru_maxrss). Below each mode stands the slope of its time between the first size and the last: 1 is linear.
"""

import base64
import hashlib
import math
import os
import shutil
import statistics
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import uv
from common import INSIDE, arguments, scratch

SIZES = [0.25, 1, 4, 16]
MODES = {"cold": ("copy", ["store", "ours"]), "copies": ("copy", ["ours"]), "hard links": ("hardlink", ["ours"]),
         "nothing to do": ("hardlink", [])}


def bench(lock, work, runs, most, svg):
    vendor = uv.Sides(lock, work).vendor
    served = work / "served"
    served.mkdir()
    wheels = [path for path in sorted(vendor.rglob("*.whl")) if not any(".data/" in n for n in zipfile.ZipFile(path).namelist())]
    results = {mode: [] for mode in MODES}
    with uv.serve(served, work) as server:
        for size in (size for size in SIZES if size <= most):
            chosen = wheels[::4] if size < 1 else wheels
            entries = [clone(path, number, served) for number in range(max(1, int(size))) for path in chosen]
            project = work / "project"
            project.mkdir(exist_ok=True)
            (project / "uv.lock").write_text(lock_of(entries, server))
            for mode, (link_mode, removed) in MODES.items():
                taken = []
                for turn in range(runs + 1):
                    for name in removed:
                        shutil.rmtree(work / name, ignore_errors=True)
                    offline = [] if "store" in removed else ["--offline"]
                    taken.append(measured([*INSIDE, work / "lockwright", "sync", "-q", project, *offline, "--link-mode",
                                           link_mode, "--store", work / "store", "--out", work / "ours"]))
                seconds, memory = (statistics.median(values) for values in zip(*taken[1:]))
                results[mode].append((size, seconds, memory))
                print(f"{size:5}x  {len(entries):5} wheels  {mode:14} {seconds:7.3f} s  {memory / 2**10:6.0f} MiB", flush=True)
            for name in ("store", "ours"):
                shutil.rmtree(work / name, ignore_errors=True)
    for mode, rows in results.items():
        (first, before, _), (last, after, _) = rows[0], rows[-1]
        slope = math.log(after / before) / math.log(last / first)
        print(f"{mode:14} slope {slope:.2f}, peak {max(row[2] for row in rows) / 2**10:.0f} MiB")
    if svg:
        svg.write_text(plot(results))


def measured(command):
    """Seconds, and KiB of memory at its peak."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command}: ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss


def clone(path, number, to):
    """The same wheel under another name, its compressed bytes as they were, and what a lock says of it."""
    name, version = path.name.split("-")[:2]
    new = f"{name}_{number}"
    old_info, info = f"{name}-{version}.dist-info", f"{new}-{version}.dist-info"
    out, central, changed = to / path.name.replace(name, new, 1), [], {}
    with zipfile.ZipFile(path) as wheel, out.open("wb") as file:
        members = wheel.infolist()
        old_info = next(m.filename.split("/")[0] for m in members if m.filename.endswith(".dist-info/WHEEL"))

        # Scripts of the clones would have one name.
        dropped = [f"{old_info}/{name}" for name in ("entry_points.txt", "RECORD.jws")]

        def place(member):
            within = member.startswith(old_info + "/")
            return info + member[len(old_info):] if within else f"clone_{new}/{member}"

        metadata = wheel.read(f"{old_info}/METADATA").decode()
        lines = metadata.split("\n")
        first = next(i for i, text in enumerate(lines) if text.startswith("Name:"))
        lines[first] = f"Name: {new}"
        keep = [text for text in lines[: lines.index("") if "" in lines else None] if not text.startswith("Requires-Dist")]
        changed[f"{old_info}/METADATA"] = ("\n".join(keep) + "\n").encode()
        record = []
        for member in members:
            if member.is_dir() or member.filename in (*dropped, f"{old_info}/RECORD"):
                continue
            data = changed.get(member.filename)
            data = wheel.read(member) if data is None else data
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            quoted = place(member.filename)
            quoted = f'"{quoted}"' if "," in quoted else quoted
            record.append(f"{quoted},sha256={digest},{len(data)}\n")
        changed[f"{old_info}/RECORD"] = ("".join(record) + f"{info}/RECORD,,\n").encode()
        with path.open("rb") as raw:
            for member in members:
                if member.is_dir() or member.filename in dropped:
                    continue
                data = changed.get(member.filename)
                if data is None:
                    raw.seek(member.header_offset + 26)
                    raw.seek(sum(struct.unpack("<HH", raw.read(4))), 1)
                    body, method, crc, length = raw.read(member.compress_size), member.compress_type, member.CRC, member.file_size
                else:
                    body, method, crc, length = data, 0, zlib.crc32(data), len(data)
                title = place(member.filename).encode()
                common = struct.pack("<HHHHHIIIHH", 20, 0x800, method, 0, 33, crc, len(body), length, len(title), 0)
                mode = member.external_attr or 0o100644 << 16
                central.append((struct.pack("<IH", 0x02014B50, 0x314) + common
                                + struct.pack("<HHHII", 0, 0, 0, mode, file.tell()) + title))
                file.write(struct.pack("<I", 0x04034B50) + common + title + body)
        at = file.tell()
        file.write(b"".join(central))
        size = file.tell() - at
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(central), len(central), size, at, 0))
    data = out.read_bytes()
    return new.replace("_", "-").replace(".", "-").lower(), version, out.name, hashlib.sha256(data).hexdigest(), len(data)


def lock_of(entries, server):
    text = 'version = 1\nrevision = 3\nrequires-python = ">=3.14"\n\n'
    for name, version, file, digest, size in sorted(entries):
        text += (f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://pypi.example/simple" }}\n'
                 f'wheels = [{{ url = "{server}{file}", hash = "sha256:{digest}", size = {size} }}]\n\n')
    needs = ", ".join(f'{{ name = "{name}" }}' for name, *_ in sorted(entries))
    return text + f'[[package]]\nname = "zz-project"\nversion = "0"\nsource = {{ virtual = "." }}\ndependencies = [{needs}]\n'


def plot(results):
    """Time against size, both as powers of two."""
    every = [row for rows in results.values() for row in rows]
    left, right = (math.log2(f(row[0] for row in every)) for f in (min, max))
    low, high = math.floor(math.log2(min(row[1] for row in every))), math.ceil(math.log2(max(row[1] for row in every)))
    x = lambda size: 70 + (math.log2(size) - left) / (right - left) * 420
    y = lambda seconds: 320 - (math.log2(seconds) - low) / (high - low) * 280
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 370" font-family="sans-serif" font-size="12">',
             "<title>Time of lockwright sync by the size of the lock</title>",
             '<rect width="640" height="370" fill="white"/>']
    for size in sorted({row[0] for row in every}):
        parts.append(f'<path d="M{x(size):.0f} 40V320" stroke="#ddd"/><text x="{x(size):.0f}" y="338" text-anchor="middle">{size}×</text>')
    for power in range(low, high + 1):
        at = y(2.0**power)
        parts.append(f'<path d="M70 {at:.0f}H490" stroke="#ddd"/><text x="62" y="{at + 4:.0f}" text-anchor="end">{2.0**power:g} s</text>')
    for (mode, rows), colour in zip(results.items(), ("#a33", "#36a", "#283", "#777")):
        line = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds, _ in rows)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="498" y="{y(rows[-1][1]) + 4:.0f}" fill="{colour}">{mode}</text>')
    parts.append('<text x="280" y="360" text-anchor="middle">times the flagship’s wheels</text></svg>')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    def more(parser):
        parser.add_argument("--most", type=float, default=16)
        parser.add_argument("--svg", type=Path)

    args = arguments(__doc__, "lock", uv.DEFAULT, runs=3, more=more)
    with scratch(args.lockwright, args.below) as work:
        bench(args.lock, work, args.runs, args.most, args.svg)
