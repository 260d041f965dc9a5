#!/usr/bin/env python3
"""`lockwright build` and today's shell pipeline side by side: a Python application packaged anew, offline, as ratios.

    scripts/test-env && cargo build --release && benches/build.py PROJECT [--runs N]

PROJECT is a checkout with a uv.lock; by default authentik's folders are copied and patched, if it has them. Both work in
a tmpfs (/dev/shm), in turn (A B A B …), inside the Debian root with CPython 3.14 that scripts/test-env makes, from a full
store or cache. Packages that would have to be built are left out on both sides.

The pipeline is what Nix packages of such applications do: `uv sync` into a tree; bin/ and bytecode removed, a placeholder
for the interpreter, every file looked through for store references (grep), the tree hashed (nix-hash); copied, its
entry points made anew, sources copied in, edits with sed, an RPATH for each ELF file (patchelf), hashed again. It is
spared what lockwright does besides: RECORDs kept true, NEEDED entries checked, collisions told, canonical metadata.
"""

import json
import os
import shutil
import subprocess

from common import INSIDE, Table, arguments, peer, run, scratch

COPIES = ["authentik", "lifecycle", "blueprints"]
EDITS = [
    ("authentik/root/settings.py", "BASE_DIR = Path(__file__).absolute().parent.parent.parent", 'BASE_DIR = Path("{prefix}")'),
    ("authentik/lib/default.yml", "blueprints_dir: /blueprints", "blueprints_dir: {prefix}/blueprints"),
    ("lifecycle/ak", "#!/usr/bin/env -S bash", "#!/bin/bash"),
]
SEARCH = "/usr/lib/x86_64-linux-gnu"
PYTHON = "/usr/bin/python3.14"

PIPELINE = """
set -eu
site=lib/python3.14/site-packages
UV_PROJECT_ENVIRONMENT="$W/deps" UV_CACHE_DIR="$W/cache" UV_LINK_MODE=copy UV_PYTHON={python} \\
  "$W/uv" sync -q --offline --frozen --project {project} {selection}
sed -i 's|{bin}|@python@/bin|' "$W/deps/pyvenv.cfg"
rm -rf "$W/deps/bin"
find "$W/deps" -name '*.pyc' -delete
find "$W/deps" -type f -print0 | xargs -0 grep -lFa /nix/store/ >"$W/refs" || true
nix-hash --type sha256 "$W/deps" >"$W/deps.hash"

cp -r "$W/deps" "$W/theirs"
sed -i 's|@python@/bin|{bin}|' "$W/theirs/pyvenv.cfg"
mkdir "$W/theirs/bin"
ln -s {python} "$W/theirs/bin/python"
"$W/theirs/bin/python" -B - "$W/theirs" <<'PY'
import importlib.metadata, os, sys
for entry in importlib.metadata.entry_points(group="console_scripts"):
    path = os.path.join(sys.argv[1], "bin", entry.name)
    with open(path, "w") as file:
        module, _, function = entry.value.split(" ")[0].partition(":")
        file.write("#!%s/bin/python\\nimport sys\\nfrom %s import %s\\nsys.exit(%s())\\n" % (
            sys.argv[1], module, function.split(".")[0], function))
    os.chmod(path, 0o755)
PY
{copies}
{edits}
find "$W/theirs" -type f \\( -name '*.so' -o -name '*.so.*' \\) | while read -r file; do
  "$W/patchelf" --set-rpath {search} "$file"
done
nix-hash --type sha256 "$W/theirs" >"$W/theirs.hash"
"""


def bench(project, work, runs):
    project, program, inside = project.resolve(), work / "lockwright", INSIDE
    for name in ("uv", "patchelf"):
        shutil.copy(peer(name), work / name)
    selection = ["--no-default-groups", "--no-install-project", "--no-install-workspace"]
    plan = subprocess.check_output([*inside, program, "plan", project, "--json", "--python", PYTHON, *selection])
    built = [p["name"] for p in json.loads(plan)["packages"] if p["install"]["kind"] != "wheel"]
    copies = [name for name in COPIES if (project / name).is_dir()]
    edits = [edit for edit in EDITS if (project / edit[0]).is_file()]

    place = {name: "blueprints" if name == "blueprints" else "{site}/" + name for name in copies}
    manifest = [
        '[target]\npython = "3.14"\n[sources.app]\npath = ' + json.dumps(str(project)),
        "[component.deps]\npython = { lock = \"{source:app}/uv.lock\", groups = [], install = \"dependencies\", "
        f"exclude = {json.dumps(built)} }}\nseal = \"fixed-output\"",
        '[component.app]\nbase = "{component:deps}"',
        "copy = [" + ", ".join(f'{{ from = "{{source:app}}/{n}", to = "{p}" }}' for n, p in place.items()) + "]",
        f'elf = {{ search = ["{SEARCH}"], ignore-missing = ["*"] }}',
    ]
    for file, old, new in edits:
        manifest.append(
            f'[[component.app.patch]]\nfile = "{{site}}/{file}"\nreplace = {json.dumps(old)}\nwith = {json.dumps(new)}'
        )
    (work / "lockwright.toml").write_text("\n".join(manifest) + "\n")
    ours = [*inside, program, "build", "app", "-q", "--file", work / "lockwright.toml", "--store", work / "store",
            "--python", PYTHON, "--out", work / "ours"]

    quoted = lambda text: "'" + text.replace("'", "'\\''") + "'"
    script = PIPELINE.format(
        python=PYTHON, bin=os.path.dirname(PYTHON), project=project, search=SEARCH,
        selection=" ".join([*selection, *(f"--no-install-package {name}" for name in built)]),
        copies="\n".join(
            f'cp -r {project}/{n} "$W/theirs/' + p.replace("{site}", "$site") + '"' for n, p in place.items()
        ),
        edits="\n".join(
            f'grep -qF {quoted(old)} "$W/theirs/$site/{file}"\n'
            f'sed -i {quoted("s|" + escaped(old) + "|" + new.replace("{prefix}", str(work / "theirs")) + "|")} '
            f'"$W/theirs/$site/{file}"'
            for file, old, new in edits
        ),
    )
    (work / "pipeline.sh").write_text(script)
    theirs = [*inside, "env", f"W={work}", "sh", work / "pipeline.sh"]

    # Once with the network, to fill store and cache.
    run(ours)
    run([*inside, "env", f"UV_PROJECT_ENVIRONMENT={work}/warm", f"UV_CACHE_DIR={work}/cache", "UV_LINK_MODE=copy",
         f"UV_PYTHON={PYTHON}", work / "uv", "sync", "-q", "--frozen", "--project", project, *selection,
         *(word for name in built for word in ("--no-install-package", name))])
    packages = len(json.loads(plan)["packages"]) - len(built)
    table = Table(f"{packages} packages of {project.name}; copied: {', '.join(copies)}", runs)

    def fresh(_):
        for left in ("ours", "store/components", "deps", "theirs", "warm"):
            shutil.rmtree(work / left, ignore_errors=True)

    table.compare("a package", {"lockwright build": [*ours, "--offline"], "shell pipeline": theirs}, fresh)
    return table


def escaped(text):
    return "".join("\\" + c if c in "\\.*[]^$|" else c for c in text)


if __name__ == "__main__":
    args = arguments(__doc__, "project", runs=5)
    with scratch(args.lockwright, args.below) as work:
        bench(args.project, work, args.runs)
