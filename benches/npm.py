#!/usr/bin/env python3
"""lockwright, npm and bun side by side on one package-lock.json, as ratios.

    scripts/test-env && cargo build --release && benches/npm.py [PROJECT] [--runs N]

All three make the same project's node_modules on a tmpfs (/dev/shm), in turn (A B C A B C …), offline, from a full store
or cache, scripts off, with Node 24 and the npm of scripts/test-env. Printed are medians and the medians of the ratios,
turn by turn: below 1, lockwright is faster. Beside the time that passes stands what the processors did, which another
program's load changes less. bun's tree is another one (it has its own idea of what goes where): it is
there for its speed. PROJECT has a package.json, a package-lock.json and its workspaces' package.json files.

The cases: with copies, beside npm and `bun install --backend=copyfile`; with hard links, beside `--backend=hardlink`;
and a second run with nothing to do. The project's own node_modules is removed before each run but those of the last case.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ENV = Path(os.environ.get("LOCKWRIGHT_TEST_ENV") or Path.home() / ".cache/lockwright-test")
FLAGSHIP = HERE.parent / "shared/fixtures/authentik/2026.2.0"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", nargs="?", type=Path, default=FLAGSHIP)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    work = Path("/dev/shm/lockwright-bench-npm")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def registry():
    for line in (ENV / "mirrors").read_text().splitlines():
        if line.startswith("https://registry.npm.example/="):
            return line.split("=", 1)[1]
    sys.exit("scripts/test-env has written no npm registry into `mirrors`")


def bench(args, work):
    program = work / "lockwright"
    shutil.copy(args.lockwright, program)
    env = {k: v for k, v in os.environ.items() if not k.lower().startswith("npm_config_")}
    env |= {
        "PATH": f"{ENV / 'node/bin'}:{os.environ['PATH']}",
        "HOME": str(work / "home"),
        "LOCKWRIGHT_STORE": str(work / "store"),
        "BUN_INSTALL_CACHE_DIR": str(work / "bun-cache"),
        "npm_config_cache": str(work / "npm-cache"),
    }
    (work / "home").mkdir()
    here = {}
    for name in ("lockwright", "npm", "bun"):
        here[name] = work / name.replace("lockwright", "ours")
        ignore = shutil.ignore_patterns("node_modules", "dist", ".git")
        shutil.copytree(args.project, here[name], ignore=ignore, symlinks=True)
        lock = here[name] / "package-lock.json"
        lock.write_text(lock.read_text().replace("https://registry.npm.example/", registry()))
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    bun = [str(ENV / "npm/node_modules/.bin/bun"), "install", "--ignore-scripts", "--silent", "--linker=hoisted"]
    ours = [str(program), "sync", "-q"]

    def run(name, command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(command, cwd=here[name], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{name}: {' '.join(command)}\n{done.stderr.decode()}")
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Fill the caches, and let bun make a lock of its own out of npm's.
    run("lockwright", ours)
    run("npm", npm)
    run("bun", bun)
    files = sum(len(files) for _, _, files in os.walk(here["lockwright"] / "node_modules"))
    print(f"{args.project}: {files} files in node_modules, {args.runs} turns", flush=True)

    def compare(title, commands, fresh=True):
        turns = []
        for turn in range(args.runs + 1):
            seconds = {}
            for name, command in commands.items():
                if fresh:
                    for modules in sorted(here[name].rglob("node_modules")):
                        shutil.rmtree(modules, ignore_errors=True)
                seconds[name] = run(name, command)
            if turn:  # the first warms up
                turns.append(seconds)
        for which, kind in enumerate(("time", "processors")):
            line = f"{title:20} {kind:10}"
            for name in commands:
                median = statistics.median(turn[name][which] for turn in turns)
                line += f" {name} {median:7.3f} s"
                if name != "lockwright":
                    ratios = (turn["lockwright"][which] / turn[name][which] for turn in turns)
                    line += f" (ratio {statistics.median(ratios):.3f})"
            print(line, flush=True)

    offline = [*ours, "--offline"]
    compare("offline, copies", {
        "lockwright": [*offline, "--link-mode", "copy"],
        "npm": [*npm, "--offline"],
        "bun": [*bun, "--backend=copyfile"],
    })
    compare("offline, hard links", {
        "lockwright": [*offline, "--link-mode", "hardlink"],
        "bun": [*bun, "--backend=hardlink"],
    })
    compare("nothing to do", {"lockwright": offline, "bun": bun}, fresh=False)


if __name__ == "__main__":
    main()
