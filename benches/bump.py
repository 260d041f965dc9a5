#!/usr/bin/env python3
"""What a second machine needs after a bump of one package: bytes and seconds.

    scripts/test-env && cargo build --release && benches/bump.py [LOCK] [--newer LOCK] [--package NAME …]

The machine has the environment of LOCK; then one package is what a newer lock has. It gets the new environment

    lock    from one fixed output of all artifacts, as `lockwright export nix --granularity lock` has it
    nix     from a derivation for each artifact, and a binary cache that has the artifacts
    whole   the same, and the cache has the environment as well; nothing is made here
    shared  by `lockwright sync --remote`, of a store that the first machine has given to

A server on the loopback has everything, and counts what it sends: times have no network in them.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import ENV, FLAGSHIP, INSIDE, arguments, scratch

PYTHON = "/usr/bin/python3.14"
SELECTION = ["--no-dev", "--no-install-project", "--no-install-workspace", "--python", PYTHON]


class Server(ThreadingHTTPServer):
    """Artifacts by their file names, and a folder that takes PUT."""

    def __init__(self, artifacts, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.artifacts, self.folder, self.sent = artifacts, folder, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def place(self):
        path = Path(self.path.split("?")[0].lstrip("/"))
        if path.parts[:1] == ("folder",):
            return self.server.folder.joinpath(*path.parts[1:])
        return self.server.artifacts / path.name

    def do_GET(self):
        place = self.place()
        body = place.read_bytes() if place.is_file() else b""
        self.send_response(200 if place.is_file() else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            self.server.sent += len(body)

    do_HEAD = do_GET

    def do_PUT(self):
        place = self.place()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode:
        raise SystemExit(f"{words}\n{done.stderr.decode()}")
    return done.stdout.decode().strip()


def package(text, name):
    """A package's entry in a lock."""
    entries = re.split(r"(?m)^(?=\[\[package\]\]$)", text)
    return next(entry for entry in entries if f'\nname = "{name}"\n' in entry)


class Bench:
    def __init__(self, args, work):
        self.work, self.program = work, work / "lockwright"
        self.locks = {"old": args.lock.resolve()}
        old, newer = args.lock.read_text(), args.newer.read_text()
        for name in args.package:
            folder = work / name
            folder.mkdir()
            shutil.copy(args.lock.with_name("pyproject.toml"), folder)
            (folder / "uv.lock").write_text(old.replace(package(old, name), package(newer, name)))
            self.locks[name] = folder / "uv.lock"
        mirrors = [word for text in (ENV / "mirrors").read_text().split() for word in ("--mirror", text)]
        self.vendor, self.folder, selection = work / "vendor", work / "folder", self.wheels()
        for lock in self.locks.values():
            self.lockwright("fetch", lock, *selection, *mirrors, "--vendor", work / "brought", "--store", args.store)
            shutil.copytree(work / "brought", self.vendor, dirs_exist_ok=True)
            shutil.rmtree(work / "brought")
        self.server = Server(self.vendor, self.folder)
        hosts = set(re.findall(r'url = "(https?://[^/"]+/)', old + newer))
        self.mirrors = {host: self.server.url for host in hosts}
        self.flags = [word for host in hosts for word in ("--mirror", f"{host}={self.server.url}")]
        for name, lock in self.locks.items():
            for how in ("artifact", "lock"):
                self.lockwright("export", "nix", lock, *selection, *self.flags, "--granularity", how,
                                "--out", work / f"{name}-{how}", "--store", args.store)

    def lockwright(self, *words):
        return run(*INSIDE, self.program, *words)

    def wheels(self):
        """What there are wheels of: builds would take minutes, and are the same everywhere."""
        self.selection = SELECTION
        plan = json.loads(self.lockwright("plan", self.locks["old"], "--json", *SELECTION))
        built = [one["name"] for one in plan["packages"] if one["install"]["kind"] != "wheel"]
        self.selection = SELECTION + [word for name in built for word in ("--no-install-package", name)]
        return self.selection

    def nix(self, name, how, wanted="all.environment", settings=""):
        """Builds something of what was exported, in the machine's Nix store."""
        mirrors = " ".join(f'"{host}" = "{self.server.url}";' for host in self.mirrors)
        given = f'lockwright = {self.work}/package; python = "{PYTHON}"; mirrors = {{ {mirrors} }};'
        body = f"let all = import {self.work}/{name}-{how} {{ {given} }}; in {wanted}"
        return run(*INSIDE, "nix-build", "--no-out-link", "-E", body, env=self.environment(settings)).split()

    def environment(self, settings=""):
        places = {name: self.work / "nix" / part for name, part in
                  {"NIX_STORE_DIR": "store", "NIX_STATE_DIR": "var", "NIX_LOG_DIR": "log", "HOME": "home"}.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NIX_")}
        config = f"sandbox = false\nbuild-users-group =\nexperimental-features = nix-command flakes\n{settings}"
        return {**kept, **{name: str(place) for name, place in places.items()}, "NIX_CONFIG": config}

    def empty(self, *names):
        for name in names:
            subprocess.run(["chmod", "-R", "u+w", self.work / name], check=False, stderr=subprocess.DEVNULL)
            shutil.rmtree(self.work / name, ignore_errors=True)

    def measured(self, step):
        self.server.sent, start = 0, time.perf_counter()
        step()
        return self.server.sent, time.perf_counter() - start

    def by_lock(self, name):
        self.empty("nix")
        none = "substitute = false"
        self.nix("old", "lock", settings=none)
        return self.measured(lambda: self.nix(name, "lock", settings=none))

    def by_artifact(self, name, whole=False):
        """The first machine's cache is filled; then the second has the old environment, and gets the new one."""
        self.empty("nix", "folder")
        for export in ("old", name):
            made = self.nix(export, "artifact", "builtins.attrValues all.parts.artifacts", "substitute = false")
            made += self.nix(export, "artifact", settings="substitute = false") if whole else []
            run(*INSIDE, "nix", "copy", "--to", f"file://{self.folder}?compression=zstd", *made, env=self.environment())
        self.empty("nix")
        settings = f"substituters = {self.server.url}folder\nrequire-sigs = false\n" + ("max-jobs = 0" if whole else "")
        self.nix("old", "artifact", settings=settings)
        return self.measured(lambda: self.nix(name, "artifact", settings=settings))

    def by_shared(self, name):
        self.empty("folder", "one", "two")
        (self.work / "folder").mkdir()

        def sync(machine, lock, *more):
            self.lockwright("sync", self.locks[lock], *self.selection, *self.flags, "--out", self.work / machine / "venv",
                            "--store", self.work / machine / "store", "--remote", f"{self.server.url}folder", *more)

        for lock in ("old", name):
            sync("one", lock, "--remote-push")
        sync("two", "old")
        return self.measured(lambda: sync("two", name))


def main():
    def more(parser):
        parser.add_argument("--newer", type=Path, default=FLAGSHIP.with_name("2026.2.2") / "uv.lock")
        parser.add_argument("--package", action="append", help="[pyasn1, django]")
        parser.add_argument("--store", type=Path, default=ENV / "store", help="where artifacts may be already")

    args = arguments(__doc__, "lock", FLAGSHIP / "uv.lock", runs=3, more=more)
    args.package = args.package or ["pyasn1", "django"]
    with scratch(args.lockwright, args.below) as work:
        (work / "package/bin").mkdir(parents=True)
        shutil.copy(args.lockwright, work / "package/bin/lockwright")
        bench = Bench(args, work)
        ways = {
            "lock": bench.by_lock,
            "nix": bench.by_artifact,
            "whole": lambda name: bench.by_artifact(name, whole=True),
            "shared": bench.by_shared,
        }
        print("| bump of | way | bytes | seconds | times fewer bytes | times faster |\n| --- | --- | --- | --- | --- | --- |")
        for name in args.package:
            first = None
            for way, measure in ways.items():
                turns = sorted(measure(name) for _ in range(args.runs))
                size, seconds = turns[len(turns) // 2]
                first = first or (size, seconds)
                ratios = f"{first[0] / max(size, 1):.1f} | {first[1] / seconds:.1f}"
                print(f"| {name} | {way} | {size} | {seconds:.2f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
