"""What scripts/release makes of a program: an archive, a wheel, npm packages, an image; the same bytes each time."""

import base64
import functools
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
import time as clock
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Rust's name for a machine; npm's, and that of images.
MACHINES = {"x86_64": ("x64", "amd64"), "aarch64": ("arm64", "arm64")}
# The oldest glibc that Rust's standard library runs with, which is manylinux2014's.
GLIBC = (2, 17)
LICENSES = ["LICENSE-APACHE", "LICENSE-MIT"]
COMPLETIONS = {"bash": "lockwright.bash", "zsh": "_lockwright", "fish": "lockwright.fish", "elvish": "lockwright.elv"}
# Where each shell looks below a prefix.
VENDOR = {
    "bash": "bash-completion/completions/lockwright",
    "zsh": "zsh/site-functions/_lockwright",
    "fish": "fish/vendor_completions.d/lockwright.fish",
}
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
PYTHON = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = CARGO["version"]


def output(*command, cwd=ROOT):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd).stdout.strip()


def packed(files, prefix, time):
    """A .tar.gz of {path: (bytes, mode)}: sorted, owned by root, of one time."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, (data, mode) in sorted(files.items()):
            member = tarfile.TarInfo(f"{prefix}/{path}")
            member.size, member.mode, member.mtime = len(data), mode, time
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), compresslevel=9, mtime=0)


def zipped(files, time):
    """A .zip of {path: (bytes, mode)}, of one time, in that order."""
    date = clock.gmtime(max(time, 315532800))[:6]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, (data, mode) in files.items():
            member = zipfile.ZipInfo(path, date)
            member.create_system, member.external_attr = 3, (0o100000 | mode) << 16
            archive.writestr(member, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def manuals(program, folder):
    """The manual pages, {name: bytes}."""
    subprocess.run([program, "man", "--out", folder], check=True)
    return {page.name: page.read_bytes() for page in sorted(folder.iterdir())}


@functools.cache
def crates(target):
    """What cargo compiles into the program for a machine: {id: package}, {id: ids that it needs}, the program's id."""
    meta = json.loads(output("cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target))
    packages = {one["id"]: one for one in meta["packages"]}
    needs = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        for node in meta["resolve"]["nodes"]
    }
    root = meta["resolve"]["root"]
    reached, todo = {}, [root]
    while todo:
        one = todo.pop()
        if one not in reached:
            reached[one] = packages[one]
            todo += needs[one]
    return reached, needs, root


@functools.cache
def notices(target):
    """The licences of the crates, as their authors wrote them, each text once."""
    packages, _, root = crates(target)
    named = {f"{one['name']} {one['version']} ({one['license']})": one for id, one in packages.items() if id != root}
    texts = {}
    for name, package in sorted(named.items()):
        for path in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if re.match("licen[cs]e|copying|notice|copyright|unlicense", path.name, re.I) and path.is_file():
                text = path.read_text(errors="replace").replace("\r\n", "\n").strip()
                texts.setdefault(text, {})[name] = None
    parts = ["\n".join(names) + f"\n\n{text}\n" for text, names in texts.items()]
    return ("lockwright has in it, each under the licence that follows:\n\n" + f"\n{'-' * 80}\n\n".join(parts)).encode()


@functools.cache
def bill(target):
    """A CycloneDX bill of materials of the program."""
    packages, needs, root = crates(target)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}

    def purl(one):
        return f"pkg:cargo/{packages[one]['name']}@{packages[one]['version']}"

    def component(one):
        package = packages[one]
        kind = "application" if one == root else "library"
        said = {"type": kind, "bom-ref": purl(one), "name": package["name"], "version": package["version"]}
        checksum = sums[package["name"], package["version"]]
        if checksum:
            said["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["license"]:
            # `MIT/Apache-2.0` is how it was written before SPDX expressions.
            said["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        return said | {"purl": purl(one)}

    reached = sorted(packages, key=purl)
    text = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root)},
        "components": [component(one) for one in reached if one != root],
        "dependencies": [{"ref": purl(one), "dependsOn": sorted(map(purl, needs[one]))} for one in reached],
    }
    return json.dumps(text, indent=2).encode() + b"\n"


class Release:
    """What every form of the program is made from. `runs` is a program that this machine can run."""

    def __init__(self, runs, time, temporary):
        self.runs, self.time, self.temporary = runs, time, temporary
        self.pages = manuals(runs, temporary / "man")
        self.completions = {shell: subprocess.check_output([runs, "completions", shell]) for shell in COMPLETIONS}
        self.licenses = {name: ((ROOT / name).read_bytes(), 0o644) for name in LICENSES}

    def described(self, target):
        """The licences and the bill of materials of a machine's program."""
        made = {"THIRD-PARTY-LICENSES": notices(target), "sbom.cdx.json": bill(target)}
        return self.licenses | {name: (data, 0o644) for name, data in made.items()}

    def archive(self, target, program):
        """The plain archive: its name, and its bytes."""
        files = {"lockwright": (program.read_bytes(), 0o755)} | self.described(target)
        files |= {name: ((ROOT / name).read_bytes(), 0o644) for name in ["README.md", "CHANGELOG.md"]}
        files |= {f"man/man1/{name}": (page, 0o644) for name, page in self.pages.items()}
        files |= {f"completions/{COMPLETIONS[shell]}": (text, 0o644) for shell, text in self.completions.items()}
        name = f"lockwright-{VERSION}-{target}"
        return f"{name}.tar.gz", packed(files, name, self.time)

    def wheel(self, target, program):
        """The wheel (the binary distribution format of PyPA): its name, and its bytes."""
        tags = [f"py3-none-{platform}_{target.split('-')[0]}" for platform in self.platforms(program)]
        data, info = f"lockwright-{VERSION}.data", f"lockwright-{VERSION}.dist-info"
        files = {f"{data}/scripts/lockwright": (program.read_bytes(), 0o755)}
        files |= {f"{data}/data/share/man/man1/{name}": (page, 0o644) for name, page in self.pages.items()}
        files |= {f"{data}/data/share/{path}": (self.completions[shell], 0o644) for shell, path in VENDOR.items()}
        described = self.described(target)
        files[f"{info}/sboms/lockwright.cdx.json"] = described.pop("sbom.cdx.json")
        files |= {f"{info}/licenses/{name}": file for name, file in described.items()}
        files[f"{info}/METADATA"] = (metadata(sorted(described)), 0o644)
        wheel = ["Wheel-Version: 1.0", "Generator: lockwright", "Root-Is-Purelib: false"]
        wheel += [f"Tag: {tag}" for tag in tags]
        files[f"{info}/WHEEL"] = ("\n".join([*wheel, ""]).encode(), 0o644)
        record = [f"{path},sha256={urlsafe(data)},{len(data)}\n" for path, (data, _) in files.items()]
        files[f"{info}/RECORD"] = ("".join([*record, f"{info}/RECORD,,\n"]).encode(), 0o644)
        platforms = ".".join(tag.removeprefix("py3-none-") for tag in tags)
        return f"lockwright-{VERSION}-py3-none-{platforms}.whl", zipped(files, self.time)

    def glibc(self, program):
        """The least glibc that a program runs with, as lockwright reads it there; None where it is static."""
        elf = json.loads(output(self.runs, "elf", "show", "--json", program))[0]
        if elf["interpreter"] is None:
            return None
        needs = [re.match(r"GLIBC_(\d+)\.(\d+)", name) for need in elf["version_needs"] for name in need["versions"]]
        return max([GLIBC, *((int(one[1]), int(one[2])) for one in needs if one)])

    def platforms(self, program):
        """Where a program runs, in the words of wheels (PEP 600, PEP 656), the machine left out."""
        glibc = self.glibc(program)
        major, minor = glibc or GLIBC
        old = ["manylinux2014"] if (major, minor) == (2, 17) else []
        return [f"manylinux_{major}_{minor}", *old, *([] if glibc else ["musllinux_1_1"])]

    def npm_package(self, target, program):
        """The npm package of one machine: its name, and its bytes."""
        cpu = MACHINES[target.split("-")[0]][0]
        name = f"@lockwright/linux-{cpu}"
        libc = {"libc": ["glibc"]} if self.glibc(program) else {}
        files = {
            "package.json": (filled("platform", name=name, os=["linux"], cpu=[cpu], **libc), 0o644),
            "bin/lockwright": (program.read_bytes(), 0o755),
        }
        files |= {f"man/{page}": (text, 0o644) for page, text in self.pages.items()}
        return name, packed(files | self.described(target), "package", self.time)

    def npm_chooser(self, names):
        """The npm package that people ask for: it needs that of their machine."""
        template = ROOT / "packaging/npm/lockwright"
        needs = {name: VERSION for name in sorted(names)}
        files = {
            "package.json": (filled("lockwright", optionalDependencies=needs), 0o644),
            "bin/lockwright.js": ((template / "bin/lockwright.js").read_bytes(), 0o755),
            "README.md": ((ROOT / "README.md").read_bytes(), 0o644),
        }
        return packed(files | self.licenses, "package", self.time)

    def image(self, target, program, folder):
        """An image of the program, which lockwright makes, in a folder."""
        arch = MACHINES[target.split("-")[0]][1]
        tree = self.temporary / arch
        files = {f"usr/share/licenses/lockwright/{name}": file for name, file in self.described(target).items()}
        files["lockwright"] = (program.read_bytes(), 0o755)
        for path, (data, mode) in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
            (tree / path).chmod(mode)
        said = {"title": "lockwright", "version": VERSION, "licenses": CARGO["license"]}
        labels = [f"--label=org.opencontainers.image.{name}={value}" for name, value in said.items()]
        image = ["image", "--quiet", "--tree", f"{tree}=/", "--arch", arch, "--entrypoint", "/lockwright", *labels]
        out = folder / f"lockwright-{VERSION}-linux-{arch}.oci.tar"
        output(self.runs, *image, "--name", f"lockwright:{VERSION}", "--out", out, cwd=self.temporary)


def urlsafe(data):
    """A digest as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def metadata(licenses):
    """The wheel's METADATA, from pyproject.toml."""
    lines = ["Metadata-Version: 2.4", f"Name: {PYTHON['name']}", f"Version: {VERSION}"]
    lines += [f"Summary: {PYTHON['description']}", f"Keywords: {','.join(PYTHON['keywords'])}"]
    lines += [f"License-Expression: {PYTHON['license']}"]
    lines += [f"License-File: {name}" for name in licenses]
    lines += [f"Classifier: {classifier}" for classifier in PYTHON["classifiers"]]
    lines += [f"Requires-Python: {PYTHON['requires-python']}", "Description-Content-Type: text/markdown"]
    return ("\n".join(lines) + "\n\n" + (ROOT / PYTHON["readme"]).read_text()).encode()


def filled(template, **values):
    """A package.json from its template, with what Cargo.toml says."""
    package = json.loads((ROOT / "packaging/npm" / template / "package.json").read_text())
    common = {"version": VERSION, "description": CARGO["description"], "license": f"({CARGO['license']})"}
    return (json.dumps(package | common | values, indent=2) + "\n").encode()
