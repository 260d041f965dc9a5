#!/usr/bin/env python3
"""What changed between two locks, counted from their TOML or JSON alone.

    tests/oracle/lock_changes.py OLD NEW

Prints JSON: counts, and each change as `kind name old new`. Shares nothing with lockwright but the rule by which the
versions of one name are paired: equal ones; then those of one major version; then the rest; the highest first.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from packaging.version import InvalidVersion, Version

SEMVER = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$")


class Npm:
    """A semantic version, compared by semver.org's rules."""

    def __init__(self, text):
        self.text = text
        match = SEMVER.match(text)
        self.numbers = tuple(int(part) for part in match.groups()[:3])
        parts = (match.group(4) or "").split(".") if match.group(4) else []
        # A number is lower than a word, and a pre-release lower than none.
        self.label = (0, [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]) if parts else (1, [])
        self.key = (self.numbers, self.label)

    @property
    def release(self):
        return self.numbers

    epoch = 0


class Pep440(Version):
    @property
    def key(self):
        return self._key


def uv(path):
    packages = []
    for package in tomllib.loads(path.read_text())["package"]:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        packages.append(
            {
                "name": package["name"],
                "version": package.get("version"),
                "facts": (
                    json.dumps(package["source"], sort_keys=True),
                    tuple(sorted((f.get("url") or f.get("path") or "", f.get("hash", "")) for f in files)),
                ),
                "places": (),
            }
        )
    return packages, Pep440


def npm(path):
    merged = {}
    for place, entry in json.loads(path.read_text())["packages"].items():
        if not place or entry.get("link"):
            continue
        name = entry.get("name") or place.split("node_modules/")[-1]
        package = merged.setdefault(
            (name, entry.get("version")),
            {"name": name, "version": entry.get("version"), "files": set(), "script": False, "places": [], "first": entry},
        )
        package["files"].add((entry.get("resolved", ""), entry.get("integrity", "")))
        package["script"] |= entry.get("hasInstallScript", False)
        package["places"].append(place)
    packages = []
    for package in merged.values():
        first = package.pop("first")
        about = {key: first.get(key) for key in ("license", "deprecated", "os", "cpu")}
        node = first.get("engines", {})
        about["node"] = node.get("node") if isinstance(node, dict) else None
        package["facts"] = (
            tuple(sorted(package.pop("files"))),
            package.pop("script"),
            json.dumps(about, sort_keys=True),
        )
        package["places"] = tuple(sorted(package["places"]))
        packages.append(package)
    return packages, Npm


def parsed(kind, text):
    try:
        return kind(text) if text else None
    except (InvalidVersion, AttributeError):
        return None


def step(one, other):
    if one.epoch != other.epoch:
        return "major"
    longest = max(len(one.release), len(other.release))
    numbers = [v.release + (0,) * (longest - len(v.release)) for v in (one, other)]
    for at, (a, b) in enumerate(zip(*numbers)):
        if a != b:
            # Before 1.0 the first number that is not zero counts as the major one, as for npm's and Cargo's caret.
            return ("major", "minor", "patch")[min(at, 2) if any(numbers[0][:at]) else 0]
    return "label"


def key(package, kind):
    version = parsed(kind, package["version"])
    return version.key if version else package["version"]


def pairs(old, new, kind):
    old = sorted(old, key=lambda p: (parsed(kind, p["version"]) is None, key(p, kind) or ""), reverse=True)
    new = sorted(new, key=lambda p: (parsed(kind, p["version"]) is None, key(p, kind) or ""), reverse=True)

    def major(package):
        version = parsed(kind, package["version"])
        return (version.epoch, version.release[0]) if version else None

    rules = [
        lambda a, b: key(a, kind) == key(b, kind) and a["facts"][0] == b["facts"][0],
        lambda a, b: key(a, kind) == key(b, kind),
        lambda a, b: major(a) == major(b),
        lambda a, b: True,
    ]
    for rule in rules:
        left = []
        for one in old:
            other = next((b for b in new if rule(one, b)), None)
            if other is None:
                left.append(one)
            else:
                new.remove(other)
                yield one, other
        old = left
    yield from ((one, None) for one in old)
    yield from ((None, one) for one in new)


def change(one, other, kind):
    if one is None:
        return "added"
    if other is None:
        return "removed"
    a, b = parsed(kind, one["version"]), parsed(kind, other["version"])
    if one["version"] != other["version"] and not (a and b and a.key == b.key):
        if not (a and b):
            return "moved"
        return "down" if b.key < a.key else step(a, b)
    if one["facts"] != other["facts"]:
        return "altered"
    return "relocated" if one["places"] != other["places"] else "unchanged"


def main():
    old, new = (Path(arg) for arg in sys.argv[1:3])
    read = npm if old.read_text().lstrip().startswith("{") else uv
    (before, kind), (after, _) = read(old), read(new)
    counts, lines = {}, []
    for name in sorted({p["name"] for p in before + after}):
        of = lambda packages: [p for p in packages if p["name"] == name]
        for one, other in pairs(of(before), of(after), kind):
            what = change(one, other, kind)
            counts[what] = counts.get(what, 0) + 1
            if what != "unchanged":
                version = lambda p: (p or {}).get("version") or "-"
                lines.append(f"{what} {name} {version(one)} {version(other)}")
    print(json.dumps({"counts": counts, "changes": sorted(lines)}))


main()
