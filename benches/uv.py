#!/usr/bin/env python3
"""lockwright and uv side by side on one uv.lock.

    scripts/test-env && cargo build --release && benches/uv.py [LOCK] [--runs N]

Both install the same wheels into memory, inside the Debian root with CPython 3.14 that scripts/test-env makes. The
artifacts come from an nginx on the loopback interface, filled beforehand by `lockwright fetch --vendor`.

The cases: cold (nothing in store or cache), and offline from a full store or cache, each with copies and with hard links;
a second sync with nothing to do; bytecode, the first time and again.
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

DEFAULT = FLAGSHIP / "uv.lock"
SELECTION = ["--no-dev", "--no-install-project", "--no-install-workspace"]


def bench(lock, work, runs):
    lock, program, uv = lock.resolve(), work / "lockwright", work / "uv"
    shutil.copy(peer("uv"), uv)
    mirrors = [word for text in (ENV / "mirrors").read_text().split() for word in ("--mirror", text)]
    plan = [*INSIDE, program, "plan", lock, "--json", *SELECTION]
    plan = json.loads(subprocess.check_output([str(word) for word in plan]))
    built = [p["name"] for p in plan["packages"] if p["install"]["kind"] != "wheel"]
    selection = SELECTION + [word for name in built for word in ("--no-install-package", name)]
    vendor = work / "vendor"
    filling = work / "filling"
    run([*INSIDE, program, "fetch", lock, *selection, *mirrors, "--vendor", vendor, "--store", filling])
    shutil.rmtree(filling)
    left_out = f", without {', '.join(built)}" if built else ""
    table = Table(f"{len(plan['packages']) - len(built)} wheels of a uv.lock{left_out}", runs)

    with serve(vendor, work) as base:
        # uv takes the URLs of the lock alone, so it gets a copy that names the server.
        project = work / "project"
        project.mkdir()
        text = lock.read_text()
        hosts = sorted(set(re.findall(r'url = "(https?://[^/"]+/)', text)))
        for host in hosts:
            text = text.replace(f'url = "{host}', f'url = "{base}')
        (project / "uv.lock").write_text(text)
        shutil.copy(lock.with_name("pyproject.toml"), project)

        def ours(mode, *more):
            mirrored = [word for host in hosts for word in ("--mirror", f"{host}={base}")]
            return [*INSIDE, program, "sync", "-q", lock, *selection, *mirrored, "--link-mode", mode,
                    "--store", work / "store", "--out", work / "ours", *more]

        def theirs(mode, *more):
            variables = [f"UV_PROJECT_ENVIRONMENT={work / 'theirs'}", f"UV_CACHE_DIR={work / 'cache'}",
                         f"UV_LINK_MODE={mode}", "UV_PYTHON=/usr/bin/python3.14"]
            return [*INSIDE, "env", *variables, uv, "sync", "-q", "--frozen", "--project", project, *selection, *more]

        def remove(*folders):
            for folder in folders:
                shutil.rmtree(work / folder, ignore_errors=True)

        own = {"lockwright": ("ours", "store"), "uv": ("theirs", "cache")}
        for mode in ("copy", "hardlink"):
            def cold(name):
                remove(*own[name])

            def offline(name):
                remove(own[name][0])

            words = {"copy": "copies", "hardlink": "hard links"}[mode]
            table.compare(f"cold, {words}", {"lockwright": ours(mode), "uv": theirs(mode)}, cold)
            # What is placed the second time is kept ready for the third: that is done here.
            remove("ours")
            run(ours(mode, "--offline"))
            sides = {"lockwright": ours(mode, "--offline"), "uv": theirs(mode, "--offline")}
            table.compare(f"offline, {words}", sides, offline)
        table.compare("nothing to do", {"lockwright": ours("copy", "--offline"), "uv": theirs("copy", "--offline")})
        sides = {"lockwright": ours("copy", "--offline", "--compile-bytecode"),
                 "uv": theirs("copy", "--offline", "--compile-bytecode")}
        again = Table.compare
        few = Table(table.title, 2)
        # `--reinstall` of ours compiles again what the store has; a fresh environment does not.
        first = {"lockwright": [*sides["lockwright"], "--reinstall"], "uv": sides["uv"]}
        again(few, "bytecode, the first time", first, offline)
        again(few, "bytecode, again", sides, offline)
        table.rows.extend(few.rows)
    return table


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
    with scratch(args.lockwright) as work:
        bench(args.lock, work, args.runs)
