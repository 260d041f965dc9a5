#!/usr/bin/env python3
"""lockwright and uv side by side on one uv.lock.

    scripts/test-env && cargo build --release && benches/uv.py [LOCK] [--runs N]

Both install the same wheels into memory, inside the Debian root with CPython 3.14 that scripts/test-env makes. The
artifacts come from an nginx on the loopback interface, filled beforehand by `lockwright fetch --vendor`.

The cases: cold (nothing in store or cache), and offline from a full store or cache, each with copies and with hard links,
the latter also beside the floor (floor.c); a second sync with nothing to do; `verify` beside `hash`; bytecode, the first
time and again.
"""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time

from common import ENV, FLAGSHIP, INSIDE, Table, arguments, peer, run, scratch
from floor import floor

DEFAULT = FLAGSHIP / "uv.lock"
SELECTION = ["--no-dev", "--no-install-project", "--no-install-workspace"]
OWN = {"lockwright": ("ours", "store"), "uv": ("theirs", "cache")}


class Sides:
    """Both programs, the same wheels of a lock, and what each is called with."""

    def __init__(self, lock, work, vendor=None):
        self.lock, self.work, self.program, self.uv = lock.resolve(), work, work / "lockwright", work / "uv"
        shutil.copy(peer("uv"), self.uv)
        mirrors = [word for text in (ENV / "mirrors").read_text().split() for word in ("--mirror", text)]
        plan = [*INSIDE, self.program, "plan", self.lock, "--json", *SELECTION]
        plan = json.loads(subprocess.check_output([str(word) for word in plan]))
        self.built = [p["name"] for p in plan["packages"] if p["install"]["kind"] != "wheel"]
        self.wheels = len(plan["packages"]) - len(self.built)
        self.selection = SELECTION + [word for name in self.built for word in ("--no-install-package", name)]
        self.vendor, filling = vendor or work / "vendor", work / "filling"
        if vendor:
            return
        run([*INSIDE, self.program, "fetch", self.lock, *self.selection, *mirrors, "--vendor", self.vendor,
             "--store", filling])
        shutil.rmtree(filling)

    def serve_from(self, base):
        """Has both take the wheels from here: uv takes the URLs of the lock alone, so it gets a copy that names it."""
        project = self.work / "project"
        shutil.rmtree(project, ignore_errors=True)
        project.mkdir()
        text = self.lock.read_text()
        hosts = sorted(set(re.findall(r'url = "(https?://[^/"]+/)', text)))
        for host in hosts:
            text = text.replace(f'url = "{host}', f'url = "{base}')
        (project / "uv.lock").write_text(text)
        shutil.copy(self.lock.with_name("pyproject.toml"), project)
        self.mirrored = [word for host in hosts for word in ("--mirror", f"{host}={base}")]

    def ours(self, mode, *more):
        return [*INSIDE, self.program, "sync", "-q", self.lock, *self.selection, *self.mirrored, "--link-mode", mode,
                "--store", self.work / "store", "--out", self.work / "ours", *more]

    def theirs(self, mode, *more):
        variables = [f"UV_PROJECT_ENVIRONMENT={self.work / 'theirs'}", f"UV_CACHE_DIR={self.work / 'cache'}",
                     f"UV_LINK_MODE={mode}", "UV_PYTHON=/usr/bin/python3.14"]
        return [*INSIDE, "env", *variables, self.uv, "sync", "-q", "--frozen", "--project", self.work / "project",
                *self.selection, *more]

    def both(self, mode, *more):
        return {"lockwright": self.ours(mode, *more), "uv": self.theirs(mode, *more)}

    def remove(self, *folders):
        for folder in folders:
            shutil.rmtree(self.work / folder, ignore_errors=True)

    def cold(self, name):
        self.remove(*OWN[name])

    def offline(self, name):
        self.remove(OWN[name][0])


def bench(lock, work, runs):
    sides = Sides(lock, work)
    left_out = f", without {', '.join(sides.built)}" if sides.built else ""
    table = Table(f"{sides.wheels} wheels of a uv.lock{left_out}", runs)
    with serve(sides.vendor, work) as base:
        sides.serve_from(base)
        for mode, words in (("copy", "copies"), ("hardlink", "hard links")):
            table.compare(f"cold, {words}", sides.both(mode), sides.cold)
            # What is placed the second time is kept ready for the third: that is done here.
            sides.remove("ours")
            run(sides.ours(mode, "--offline"))
            table.compare(f"offline, {words}", sides.both(mode, "--offline"), sides.offline)
            beside_the_floor(f"offline, {words}", mode, sides, table)
        run(sides.ours("copy", "--offline"))
        looked = {"floor, 2 threads": floor(sides.work)(sides.work / "ours", "look")}
        table.compare("nothing to do", sides.both("copy", "--offline") | looked)
        verify, hashed = ([*INSIDE, sides.program, word, work / "ours"] for word in ("verify", "hash"))
        table.compare("verify", {"lockwright": verify, "lockwright hash": hashed})
        few = Table(table.title, 2)
        # `--reinstall` of ours compiles again what the store has; a fresh environment does not.
        compiled = sides.both("copy", "--offline", "--compile-bytecode")
        first = {"lockwright": [*compiled["lockwright"], "--reinstall"], "uv": compiled["uv"]}
        few.compare("bytecode, the first time", first, sides.offline)
        few.compare("bytecode, again", compiled, sides.offline)
        table.rows.extend(few.rows)
    return table


def beside_the_floor(case, mode, sides, table):
    """The same tree made by a C program that does nothing else."""
    bare, pattern = floor(sides.work), sides.work / "pattern"
    shutil.copytree(sides.work / "ours", pattern, symlinks=True)
    made = {"lockwright": sides.ours(mode, "--offline")}
    made |= {f"floor, {count} thread(s)": bare(pattern, mode, count) for count in (2, 1)}
    table.compare(case, made, lambda _: sides.remove("ours"))
    sides.remove("floor", "pattern")


def latency(lock, work, table, delayed):
    """Cold from a server that answers late."""
    sides = Sides(lock, work)
    with serve(sides.vendor, work) as base, delayed(int(base.split(":")[2].strip("/"))) as port:
        sides.serve_from(f"http://127.0.0.1:{port}/")
        table.compare(f"{sides.wheels} wheels from 50 ms away, copies", sides.both("copy"), sides.cold)


@contextlib.contextmanager
def serve(folder, work):
    """An nginx on the loopback interface that serves a flat folder under any path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = work / "nginx.conf"
    config.write_text(
        f"daemon off; user root; pid {work}/nginx.pid; error_log {work}/nginx.log;\n"
        f"events {{}}\nhttp {{ access_log off; sendfile on; client_body_temp_path {work}/tmp;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder};\n"
        "rewrite ^.*/([^/]+)$ /$1 break; } }\n"
    )
    server = subprocess.Popen(["nginx", "-c", str(config)])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            sys.exit("nginx did not start")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    args = arguments(__doc__, "lock", DEFAULT)
    with scratch(args.lockwright, args.below) as work:
        bench(args.lock, work, args.runs)
