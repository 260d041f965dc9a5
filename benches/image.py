#!/usr/bin/env python3
"""`lockwright image` beside `buildah`'s COPY of the same tree: from nothing, and after one package was bumped.

    scripts/test-env && apt-get install buildah && cargo build --release && benches/image.py PROJECT [--runs N]

PROJECT has a uv.lock; its tree is a component of what the lock names (but for what would have to be built) and of one
small package more, which is another in each turn: the tree is made anew before the clocks start, as after a bump. Both
write one archive, uncompressed or of gzip layers (buildah: `from scratch`, `copy`, `commit` to oci-archive); buildah works
on plain folders (vfs), as in most builds that run in a container. It is spared what lockwright does besides: looking
whether anything is missing, and a layer for each large package. From nothing, lockwright has no layer in its store.
"""

import json
import os
import shutil
import subprocess

from common import Table, arguments, run, scratch

MANIFEST = """
[target]
python = "3.14"
platform = "x86_64-linux-gnu"
[sources.app]
path = {project}
[component.deps]
python = {{ lock = "{{source:app}}/uv.lock", groups = [], install = "dependencies", exclude = {built} }}
[component.tree]
base = "{{component:deps}}"
copy = [{{ from = "own", to = "{{site}}" }}]
"""


def bench(project, work, runs):
    program, tree = work / "lockwright", work / "tree"
    os.environ["LOCKWRIGHT_STORE"] = str(work / "store")
    selection = ["--no-default-groups", "--no-install-project", "--no-install-workspace"]
    target = ["--python-version", "3.14", "--python-platform", "x86_64-unknown-linux-gnu"]
    plan = json.loads(subprocess.check_output([program, "plan", project, "--json", *target, *selection]))
    built = [p["name"] for p in plan["packages"] if p["install"]["kind"] != "wheel"]
    manifest = work / "lockwright.toml"
    manifest.write_text(MANIFEST.format(project=json.dumps(str(project.resolve())), built=json.dumps(built)))
    turn = 0

    def bump(name):
        nonlocal turn
        if name == "lockwright":
            turn += 1
            own(work / "own", turn)
            run([program, "build", "tree", "-q", "--file", manifest, "--out", tree])

    def from_nothing(name):
        bump(name)
        shutil.rmtree(work / "store/v1/layers", ignore_errors=True)
        ours.unlink(missing_ok=True)

    table = Table(f"an image of {len(plan['packages']) - len(built)} packages", runs)
    for compression in ("none", "gzip"):
        ours = work / f"lockwright-{compression}.tar"
        image = [program, "image", "--tree", f"{tree}=/app", "--cmd", "/app/bin/python", "--quiet"]
        image += ["--allow-missing", "*", "--compression", compression, "--out", ours]
        image += ["--base", work / "base"]
        sides = {"lockwright": image, "buildah": lambda: buildah(work, tree, compression)}
        base(work / "base")
        table.compare(f"{compression}, from nothing", sides, from_nothing)
        table.compare(f"{compression}, one package bumped", sides, bump)
    return table


def own(folder, version):
    """A package of one module."""
    shutil.rmtree(folder, ignore_errors=True)
    info = folder / f"own-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / "own.py").write_text(f"VERSION = {version}\n" * 1000)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: own\nVersion: {version}\n")
    (info / "RECORD").write_text(f"own.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")


def base(folder):
    """What the environment's interpreter leads to."""
    python = folder / "usr/bin/python3.14"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)


def buildah(work, tree, compression):
    command = ["buildah", "--root", work / "storage", "--runroot", work / "run", "--storage-driver", "vfs"]
    command = [str(word) for word in command]
    out = work / "buildah.tar"
    out.unlink(missing_ok=True)
    container = subprocess.check_output([*command, "from", "scratch"], text=True).strip()
    flag = f"--disable-compression={'true' if compression == 'none' else 'false'}"
    steps = [["copy", "--quiet", container, tree, "/app"], ["commit", "--quiet", flag, "--rm", container, f"oci-archive:{out}:app"]]
    taken = [run([*command, *step]) for step in steps]
    subprocess.run([*command, "rmi", "--all", "--force"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tuple(map(sum, zip(*taken)))


if __name__ == "__main__":
    args = arguments(__doc__, "project", runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.project, work, args.runs)
