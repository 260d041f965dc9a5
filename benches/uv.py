#!/usr/bin/env python3
"""lockwright and uv side by side on one lock, as ratios.

    scripts/test-env && cargo build --release && benches/uv.py [LOCK] [--runs N]

Both install the same wheels into a tmpfs (/dev/shm), in turn (A B A B …), inside the Debian root with CPython 3.14 that
scripts/test-env makes. The artifacts come from an nginx on the loopback interface, filled beforehand by `lockwright fetch
--vendor`. Printed are medians and the median of the ratios, pair by pair: below 1, lockwright is faster.

The cases: cold (nothing in store or cache) with copies and, for uv, with hard links; offline from a full store or cache,
likewise; and a second sync with nothing to do.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ENV = Path(os.environ.get("LOCKWRIGHT_TEST_ENV") or Path.home() / ".cache/lockwright-test")
FLAGSHIP = HERE.parent / "shared/fixtures/authentik/2026.2.0/uv.lock"
SELECTION = ["--no-dev", "--no-install-project", "--no-install-workspace"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock", nargs="?", type=Path, default=FLAGSHIP)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    work = Path("/dev/shm/lockwright-bench")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def bench(args, work):
    program = work / "lockwright"
    shutil.copy(args.lockwright, program)
    uv = work / "uv"
    shutil.copy(next(ENV.glob("py/lib/*/site-packages/bin/uv"), ENV / "py/bin/uv"), uv)
    inside = [str(ENV / "bin/in-forky")]
    lock = args.lock.resolve()
    mirrors = [word for line in (ENV / "mirrors").read_text().split() for word in ("--mirror", line)]

    plan = json.loads(
        subprocess.check_output(inside + [str(program), "plan", str(lock), "--json", *SELECTION])
    )
    built = [p["name"] for p in plan["packages"] if p["install"]["kind"] != "wheel"]
    selection = SELECTION + [w for name in built for w in ("--no-install-package", name)]
    print(f"{len(plan['packages']) - len(built)} wheels of {lock}; left out: {', '.join(built) or 'none'}")
    vendor = work / "vendor"
    subprocess.run(
        inside + [str(program), "fetch", str(lock), *selection, *mirrors, "--vendor", str(vendor),
                  "--store", str(work / "filling")],
        check=True, stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(work / "filling", ignore_errors=True)

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

        def ours(out, store, *more):
            mirrored = [word for host in hosts for word in ("--mirror", f"{host}={base}")]
            return inside + [str(program), "sync", "-q", str(lock), *selection, *mirrored,
                             "--store", str(work / store), "--out", str(work / out), *more]

        def theirs(out, cache, mode, *more):
            variables = [f"UV_PROJECT_ENVIRONMENT={work / out}", f"UV_CACHE_DIR={work / cache}",
                         f"UV_LINK_MODE={mode}", "UV_PYTHON=/usr/bin/python3.14"]
            return inside + ["env", *variables, str(uv), "sync", "-q", "--frozen", "--project",
                             str(project), *selection, *more]

        a, b = ("a", "store"), ("b", "cache")
        compare("cold, uv with copies", args.runs, work, ours(*a), theirs(*b, "copy"), [*a, *b])
        compare("cold, uv with hard links", args.runs, work, ours(*a), theirs(*b, "hardlink"), [*a, *b])
        compare("offline, uv with copies", args.runs, work, ours(*a, "--offline"),
                theirs(*b, "copy", "--offline"), ["a", "b"])
        compare("offline, uv with hard links", args.runs, work, ours(*a, "--offline"),
                theirs(*b, "hardlink", "--offline"), ["a", "b"])
        compare("nothing to do", args.runs, work, ours(*a, "--offline"),
                theirs(*b, "hardlink", "--offline"), [])


def compare(name, runs, work, ours, theirs, fresh):
    pairs = []
    for turn in range(runs + 1):
        pair = []
        for command in (ours, theirs):
            for folder in fresh:
                # Each removes its own alone; the other's is not in its way.
                if (folder in ("a", "store")) == (command is ours):
                    shutil.rmtree(work / folder, ignore_errors=True)
            start = time.perf_counter()
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            pair.append(time.perf_counter() - start)
            if done.returncode:
                sys.exit(f"{' '.join(command)}\n{done.stderr.decode()}")
        if turn:  # the first warms up
            pairs.append(pair)
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:28} lockwright {ours:6.3f} s   uv {theirs:6.3f} s   ratio {ratio:.2f}", flush=True)


class serve:
    """An nginx on the loopback interface that serves a flat folder under any path."""

    def __init__(self, folder, work):
        self.folder, self.work = folder, work

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = self.work / "nginx.conf"
        config.write_text(
            f"daemon off; user root; pid {self.work}/nginx.pid; error_log {self.work}/nginx.log;\n"
            f"events {{}}\nhttp {{ access_log off; sendfile on; client_body_temp_path {self.work}/tmp;\n"
            f"server {{ listen 127.0.0.1:{port}; root {self.folder};\n"
            "rewrite ^.*/([^/]+)$ /$1 break; } }\n"
        )
        self.server = subprocess.Popen(["nginx", "-c", str(config)])
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}/"
            time.sleep(0.05)
        sys.exit("nginx did not start")

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()


if __name__ == "__main__":
    main()
