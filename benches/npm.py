#!/usr/bin/env python3
"""lockwright, npm and bun side by side on one package-lock.json.

    scripts/test-env && cargo build --release && benches/npm.py [PROJECT] [--runs N]

All three make the same project's node_modules in memory, offline, from a full store or cache, scripts off, with Node 24
and the npm of scripts/test-env. bun's tree is another one (it has its own idea of what goes where): it is there for its
speed. PROJECT has a package.json, a package-lock.json and its workspaces' package.json files.

What the registry at hand does not have is taken out of the lock, for all three alike.

The cases: with copies, beside npm and `bun install --backend=copyfile`; with hard links, beside `--backend=hardlink`;
and a second run with nothing to do. The project's node_modules are removed before each run but those of the last case.
"""

import json
import os
import re
import shutil
import subprocess
import sys

from common import ENV, FLAGSHIP, Table, arguments, run, scratch
from floor import floor

DEFAULT = FLAGSHIP / "web"


def registry():
    for line in (ENV / "mirrors").read_text().splitlines():
        if line.startswith("https://registry.npm.example/="):
            return line.split("=", 1)[1]
    sys.exit("scripts/test-env has written no npm registry into `mirrors`")


def not_there(fetch, project, env):
    """The packages that the registry says it does not have."""
    done = subprocess.run([str(word) for word in fetch], cwd=project, env=env, capture_output=True, text=True)
    return set(re.findall(r"^  (\S+) from .* 404 ", done.stderr, re.MULTILINE))


def take_out(names, project):
    """Takes packages out of a lock and of each package.json."""
    path = project / "package-lock.json"
    lock = json.loads(path.read_text())
    ends = tuple(f"node_modules/{name}" for name in names)
    inside = tuple(f"{end}/" for end in ends)
    lock["packages"] = {
        place: entry for place, entry in lock["packages"].items()
        if not (place.endswith(ends) or any(part in place for part in inside))
    }
    files = {path: lock} | {each: json.loads(each.read_text()) for each in project.rglob("package.json")}
    needs = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    for entry in [*lock["packages"].values(), *(value for each, value in files.items() if each != path)]:
        for kind in needs:
            entry[kind] = {name: range for name, range in entry.get(kind, {}).items() if name not in names}
    for each, value in files.items():
        each.write_text(json.dumps(value, indent=2))


def bench(project, work, runs):
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
        here[name] = work / f"project-{name}"
        ignore = shutil.ignore_patterns("node_modules", "dist", ".git")
        shutil.copytree(project, here[name], ignore=ignore, symlinks=True)
        lock = here[name] / "package-lock.json"
        lock.write_text(lock.read_text().replace("https://registry.npm.example/", registry()))
    absent = not_there([work / "lockwright", "fetch", "-q"], here["lockwright"], env)
    for project in here.values():
        take_out(absent, project)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    bun = [ENV / "npm/node_modules/.bin/bun", "install", "--ignore-scripts", "--silent", "--linker=hoisted"]
    ours = [work / "lockwright", "sync", "-q"]

    def side(name, command):
        return lambda: run(command, cwd=here[name], env=env)

    def fresh(name):
        for modules in sorted(here[name].rglob("node_modules")):
            shutil.rmtree(modules, ignore_errors=True)

    # Fill the caches, and let bun make a lock of its own out of npm's.
    for name, command in (("lockwright", ours), ("npm", npm), ("bun", bun)):
        run(command, cwd=here[name], env=env)
    files = sum(len(files) for _, _, files in os.walk(here["lockwright"] / "node_modules"))
    table = Table(f"the {files} files of a package-lock.json", runs)
    offline = [*ours, "--offline"]
    table.compare("offline, copies", {
        "lockwright": side("lockwright", [*offline, "--link-mode", "copy"]),
        "npm": side("npm", [*npm, "--offline"]),
        "bun": side("bun", [*bun, "--backend=copyfile"]),
    }, fresh)
    table.compare("offline, hard links", {
        "lockwright": side("lockwright", [*offline, "--link-mode", "hardlink"]),
        "bun": side("bun", [*bun, "--backend=hardlink"]),
    }, fresh)
    bare, modules = floor(work), here["lockwright"] / "node_modules"
    for mode, words in (("copy", "copies"), ("hardlink", "hard links")):
        run([*offline, "--link-mode", mode], cwd=here["lockwright"], env=env)
        pattern = work / "pattern"
        shutil.copytree(modules, pattern, symlinks=True)
        table.compare(f"offline, {words}, its node_modules alone", {
            "lockwright": side("lockwright", [*offline, "--link-mode", mode]),
            "floor, 2 threads": bare(pattern, mode),
            "floor, 1 thread": bare(pattern, mode, 1),
        }, lambda name: name == "lockwright" and fresh(name))
        shutil.rmtree(pattern)
        shutil.rmtree(work / "floor", ignore_errors=True)
    run(offline, cwd=here["lockwright"], env=env)
    table.compare("nothing to do", {"lockwright": side("lockwright", offline), "bun": side("bun", bun),
                                    "floor, 2 threads": bare(modules, "look")})
    return table


if __name__ == "__main__":
    args = arguments(__doc__, "project", DEFAULT, runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.project, work, args.runs)
