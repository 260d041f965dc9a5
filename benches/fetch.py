#!/usr/bin/env python3
"""Fetching: a whole uv.lock from a server 50 ms away, beside uv; and one large file, beside curl.

    scripts/test-env && cargo build --release && benches/fetch.py [LOCK] [--runs N]

The server is uv.py's nginx on the loopback interface. A proxy in front of it holds every byte back for 25 ms in each
direction, and a new connection for 50 ms; it slows nothing otherwise but by what it takes of the processors, on both
sides. The large file is a wheel of 200 MB that cannot be compressed, fetched without any delay.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import threading
import zipfile

import uv
from common import INSIDE, Table, arguments, scratch

DELAY = 0.025
MEGABYTES = 200
DEFAULT = uv.DEFAULT


def bench(lock, work, runs):
    table = Table("fetching", runs)
    large(work, table)
    uv.latency(lock, work, table, delayed)
    return table


def large(work, table):
    """A wheel of random bytes, whose lock names an nginx."""
    served, project = work / "served", work / "large"
    served.mkdir()
    project.mkdir()
    path = served / "large-1.0-py3-none-any.whl"
    info = {"METADATA": "Metadata-Version: 2.1\nName: large\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "RECORD": ""}
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("large/data", os.urandom(MEGABYTES << 20))
        for name, text in info.items():
            wheel.writestr(f"large-1.0.dist-info/{name}", text)
    digest, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
    with uv.serve(served, work) as base:
        (project / "uv.lock").write_text(
            'version = 1\nrevision = 3\nrequires-python = ">=3.12"\n\n'
            '[[package]]\nname = "large"\nversion = "1.0"\nsource = { registry = "https://pypi.example/simple" }\n'
            f'wheels = [{{ url = "{base}{path.name}", hash = "sha256:{digest}", size = {size} }}]\n\n'
            '[[package]]\nname = "project"\nversion = "0"\nsource = { virtual = "." }\ndependencies = [{ name = "large" }]\n'
        )
        ours = [*INSIDE, work / "lockwright", "fetch", "-q", project, "--store", work / "one"]
        theirs = ["curl", "-sSf", "-o", work / "large.whl", base + path.name]

        def fresh(_):
            shutil.rmtree(work / "one", ignore_errors=True)
            (work / "large.whl").unlink(missing_ok=True)

        verified = ["sh", "-c", f"curl -sSf -o {work}/large.whl {base}{path.name} && openssl dgst -sha256 {work}/large.whl"]
        sides = {"lockwright fetch": ours, "curl": theirs, "curl, then openssl": verified}
        table.compare(f"a wheel of {MEGABYTES} MB", sides, fresh)
        fresh(None)
        path.unlink()


@contextlib.contextmanager
def delayed(port):
    """A proxy in front of a port, and its own port."""
    loop, ready, own = asyncio.new_event_loop(), threading.Event(), []

    async def pump(reader, writer):
        """Hands on what comes, each piece DELAY after it came."""
        pieces = asyncio.Queue()

        async def hand_on():
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(max(0, due - loop.time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            writer.close()

        task = loop.create_task(hand_on())
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                pieces.put_nowait((loop.time() + DELAY, data))
        pieces.put_nowait((loop.time() + DELAY, b""))
        with contextlib.suppress(OSError):
            await task

    async def handle(reader, writer):
        await asyncio.sleep(2 * DELAY)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        own.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True).start()
    ready.wait()
    yield own[0]


if __name__ == "__main__":
    args = arguments(__doc__, "lock", DEFAULT, runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.lock, work, args.runs)
