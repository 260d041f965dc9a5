#!/usr/bin/env python3
"""authentik's web UI: `lockwright build webui` beside `npm ci && npm run build && npm run build:sfe` by hand, and a
build with nothing to do.

    scripts/test-env && cargo build --release && benches/webui.py CHECKOUT [--runs N] [--links DIR]

CHECKOUT is a checkout of authentik 2026.2.0 (with a web/package-lock.json whose tarballs are to be had; --links is a folder
of some that no registry has). Both have all tarballs at hand (a store, npm's cache), the same Node, no network, and
begin without `node_modules`. Ours is contained, hashed and sealed besides; neither the generated client nor the edit
of the example is in it, so that both build the same.
"""

import json
import os
import shutil

from common import ENV, Table, arguments, run, scratch

MANIFEST = """
[sources.authentik]
path = {checkout}
[tools.node]
found = {node}
inputs = [{kit}]
[tools.npm]
exec = ["node", {npm}]
[component.webui-deps]
node = {{ lock = "{{source:authentik}}/web/package-lock.json", collect = "web" }}
[component.webui]
tools = ["node", "npm"]
base = "{{component:webui-deps}}"
copy = [
  {{ from = "{{source:authentik}}/web", to = "web" }},
  {{ from = "{{source:authentik}}/website/docs", to = "website/docs" }},
  {{ from = "{{source:authentik}}/package.json", to = "package.json" }},
]
run = [
  {{ command = ["npm", "run", "build"], cwd = "web", env = {{ NODE_ENV = "production" }} }},
  {{ command = ["npm", "run", "build:sfe"], cwd = "web", env = {{ NODE_ENV = "production" }} }},
]
keep = [{{ from = "web/dist", to = "dist" }}, {{ from = "web/authentik", to = "authentik" }}]
"""

BY_HAND = """
set -eu
cd "$W/theirs/web"
npm ci --ignore-scripts --offline --no-audit --no-fund
NODE_ENV=production npm run build
NODE_ENV=production npm run build:sfe
"""


def bench(checkout, work, runs, links):
    program, checkout = work / "lockwright", checkout.resolve()
    os.environ["LOCKWRIGHT_STORE"] = str(work / "store")
    os.environ["npm_config_cache"] = str(work / "cache")
    os.environ["PATH"] = f"{ENV}/node/bin:{os.environ['PATH']}"
    node = (ENV / "node/bin/node").resolve()
    kit = node.parent.parent
    npm = kit / "lib/node_modules/npm/bin/npm-cli.js"
    words = {"checkout": checkout, "node": node, "kit": kit, "npm": npm}
    manifest = work / "lockwright.toml"
    manifest.write_text(MANIFEST.format(**{name: json.dumps(str(word)) for name, word in words.items()}))
    ours = [program, "build", "webui", "-q", "--file", manifest, "--out", work / "ours"]
    if links:
        ours += ["--find-links", links.resolve()]
    by_hand = ["env", f"W={work}", "sh", "-c", BY_HAND]

    def copy():
        shutil.rmtree(work / "theirs", ignore_errors=True)
        for part in ("web", "website/docs", "package.json"):
            here, there = checkout / part, work / "theirs" / part
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.is_dir():
                shutil.copytree(here, there, symlinks=True)
            else:
                shutil.copy2(here, there)

    def fresh(name):
        copy()
        for left in ("ours", "store/components"):
            shutil.rmtree(work / left, ignore_errors=True)

    # Once with the network, to fill store and cache.
    run(ours)
    copy()
    for tarball in sorted(links.glob("**/*.tgz")) if links else []:
        run(["npm", "cache", "add", tarball])
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=work / "theirs/web")
    table = Table("authentik's web UI", runs)
    table.compare("build", {"lockwright build": [*ours, "--offline"], "npm by hand": by_hand}, fresh)
    run([*ours, "--offline"])
    table.compare("nothing to do", {"lockwright build": [*ours, "--offline"], "true": ["true"]})
    return table


if __name__ == "__main__":
    more = lambda parser: parser.add_argument("--links", type=__import__("pathlib").Path)
    args = arguments(__doc__, "checkout", runs=3, more=more)
    with scratch(args.lockwright, args.below) as work:
        bench(args.checkout, work, args.runs, args.links)
