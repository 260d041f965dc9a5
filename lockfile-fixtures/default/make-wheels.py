"""Makes `wheels/`, the same to the byte each time: the wheels, an sdist, and over them an index by PEP 503, whose links
carry the digests that uv writes into the lock. Only the standard library is needed.

    python3 make-wheels.py && uv lock

Members are stored, not deflated: what a zlib makes of a text differs between its versions.
"""

import base64
import gzip
import hashlib
import io
import pathlib
import shutil
import tarfile
import textwrap
import zipfile

WHEELS = pathlib.Path(__file__).parent / "wheels"

# One file that two packages bring, with the same bytes: no collision.
NOTICE = "These packages are examples. Do with them what you like.\n"

CLI = '''
    """`greet`: says hello from the environment it runs in."""

    import importlib.util
    import pathlib
    import sys


    def main():
        words = pathlib.Path(sys.prefix, "share", "greeting", "words.txt").read_text(encoding="utf-8").split()
        text = f"hello from {sys.prefix}, in {len(words)} languages: {', '.join(words)}"
        if importlib.util.find_spec("greeting_shout"):
            import greeting_shout

            text = greeting_shout.shout(text)
        print(text)
        return 0
'''

SHOUT = '''
    """Makes a greeting loud."""

    BUILT_FOR = "{platform}"


    def shout(text):
        return text.upper() + "!"
'''

CHECK = '''
    """Checks that a greeting greets."""


    def is_greeting(text):
        return text.lower().startswith("hello")
'''

SAY = """
    #!/bin/sh
    echo hello
"""

WORDS_SCRIPT = """
    #!python
    import greeting_words

    print(greeting_words.COUNT)
"""


def text(source):
    return textwrap.dedent(source).lstrip("\n")


def metadata(name, version, summary, requires=(), extras=()):
    lines = ["Metadata-Version: 2.3", f"Name: {name}", f"Version: {version}", f"Summary: {summary}"]
    lines += ["License-Expression: MIT OR Apache-2.0", "Requires-Python: >=3.9"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    lines += [f"Provides-Extra: {each}" for each in extras]
    return "\n".join(lines) + "\n"


def wheel(name, version, members, about, tag="py3-none-any", entry_points=None, executable=()):
    """Writes one wheel. `members` maps a path to its text; those in `executable` get the exec bits."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members = {path.format(data=f"{stem}.data"): text(source) for path, source in members.items()}
    members[f"{info}/METADATA"] = about
    purelib = "true" if tag.endswith("-any") else "false"
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: make-wheels.py\nRoot-Is-Purelib: {purelib}\nTag: {tag}\n"
    if entry_points:
        members[f"{info}/entry_points.txt"] = text(entry_points)
    record = []
    for path, body in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(body.encode()).digest()).decode().rstrip("=")
        record.append(f"{path},sha256={digest},{len(body.encode())}\n")
    members[f"{info}/RECORD"] = "".join(record) + f"{info}/RECORD,,\n"

    with zipfile.ZipFile(WHEELS / f"{stem}-{tag}.whl", "w") as archive:
        for path, body in members.items():
            member = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = (0o100755 if path.split("/")[-1] in executable else 0o100644) << 16
            archive.writestr(member, body)


def sdist(name, version, members, about):
    """Writes one sdist with a back end of its own in its tree, so that building it needs nothing."""
    stem = f"{name.replace('-', '_')}-{version}"
    members = {path: text(source) for path, source in members.items()} | {"PKG-INFO": about}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(members):
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.mode = 0o644
            member.size = len(members[path].encode())
            archive.addfile(member, io.BytesIO(members[path].encode()))
    with open(WHEELS / f"{stem}.tar.gz", "wb") as out:
        # Level 0 stores, as above.
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=0, mtime=0) as packed:
            packed.write(plain.getvalue())


def index():
    """Writes `<name>/index.html` for each package, linking the files with their digests."""
    pages = {}
    for each in sorted(path for path in WHEELS.iterdir() if path.is_file()):
        name = each.name.split("-")[0].replace("_", "-")
        digest = hashlib.sha256(each.read_bytes()).hexdigest()
        pages.setdefault(name, []).append(f'<a href="../{each.name}#sha256={digest}">{each.name}</a><br>\n')
    for name, links in pages.items():
        (WHEELS / name).mkdir()
        (WHEELS / name / "index.html").write_text("<!DOCTYPE html>\n" + "".join(links), encoding="utf-8")


def main():
    WHEELS.mkdir(exist_ok=True)
    for old in WHEELS.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()

    wheel(
        "greeting",
        "1.2.0",
        {"greeting/__init__.py": '"""Says hello."""\n', "greeting/cli.py": CLI},
        metadata(
            "greeting", "1.2.0", "Says hello", ["greeting-words>=2", 'greeting-shout; extra == "loud"'], ["loud"]
        ),
        entry_points="""
            [console_scripts]
            greet = greeting.cli:main
        """,
    )

    wheel(
        "greeting-words",
        "2.0.1",
        {
            "greeting_words/__init__.py": '"""The words of a greeting."""\n\nCOUNT = 4\n',
            "greeting_words/say.sh": SAY,
            "greeting_notice/NOTICE": NOTICE,
            "{data}/data/share/greeting/words.txt": "hello\nbonjour\nczołem\nсәлем\n",
            "{data}/headers/words.h": "#define GREETING_WORDS 4\n",
            "{data}/scripts/greeting-words": WORDS_SCRIPT,
        },
        metadata("greeting-words", "2.0.1", "The words of a greeting"),
        executable=("say.sh", "greeting-words"),
    )

    for tag in (
        "py3-none-any",
        "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "py3-none-manylinux_2_28_aarch64",
        "py3-none-musllinux_1_2_x86_64",
        "py3-none-macosx_11_0_arm64",
        "py3-none-win_amd64",
    ):
        wheel(
            "greeting-shout",
            "0.3.0",
            {
                "greeting_shout/__init__.py": SHOUT.format(platform=tag.split("-")[-1]),
                "greeting_notice/NOTICE": NOTICE,
            },
            metadata("greeting-shout", "0.3.0", "Makes a greeting loud"),
            tag=tag,
        )

    about = metadata("greeting-check", "1.0.0", "Checks that a greeting greets", ["greeting"])
    wheel("greeting-check", "1.0.0", {"greeting_check.py": CHECK}, about)
    sdist(
        "greeting-check",
        "1.0.0",
        {
            "greeting_check.py": CHECK,
            "back_end.py": BACK_END,
            "pyproject.toml": """
                [build-system]
                requires = []
                build-backend = "back_end"
                backend-path = ["."]
            """,
        },
        about,
    )
    index()


BACK_END = '''
    """A PEP 517 back end of thirty lines: one module, no dependencies."""

    import pathlib
    import zipfile

    STEM = "greeting_check-1.0.0"


    def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
        members = {
            "greeting_check.py": pathlib.Path("greeting_check.py").read_text(encoding="utf-8"),
            f"{STEM}.dist-info/METADATA": pathlib.Path("PKG-INFO").read_text(encoding="utf-8"),
            f"{STEM}.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: back_end\\nRoot-Is-Purelib: true\\n"
            "Tag: py3-none-any\\n",
        }
        members[f"{STEM}.dist-info/RECORD"] = "".join(
            f"{path},,\\n" for path in [*members, f"{STEM}.dist-info/RECORD"]
        )
        name = f"{STEM}-py3-none-any.whl"
        with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as archive:
            for path, body in members.items():
                archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), body)
        return name
'''

if __name__ == "__main__":
    main()
