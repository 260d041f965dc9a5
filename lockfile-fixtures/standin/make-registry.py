"""Makes `registry/`, the one tarball of web/package-lock.json, and that lock, the same to the byte each time.

    python3 make-registry.py
"""

import base64
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

HERE = pathlib.Path(__file__).parent
URL = "https://registry.npm.example/left/-/left-1.0.0.tgz"

files = {
    "package/package.json": json.dumps({"name": "left", "version": "1.0.0", "bin": {"left": "cli.js"}}) + "\n",
    "package/index.js": "module.exports = (text) => text.trimStart();\n",
    "package/cli.js": "#!/usr/bin/env node\nconsole.log(require('./index')('  left'));\n",
}
plain = io.BytesIO()
with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
    for path, body in files.items():
        member = tarfile.TarInfo(path)
        member.mode, member.size = 0o644, len(body.encode())
        archive.addfile(member, io.BytesIO(body.encode()))
packed = io.BytesIO()
with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=0, mtime=0) as out:
    out.write(plain.getvalue())
tarball = packed.getvalue()
place = HERE / "registry/left/-/left-1.0.0.tgz"
place.parent.mkdir(parents=True, exist_ok=True)
place.write_bytes(tarball)

project = {"name": "standin-web", "version": "1.0.0", "dependencies": {"left": "1.0.0"}}
left = {
    "version": "1.0.0",
    "resolved": URL,
    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
    "bin": {"left": "cli.js"},
}
lock = {
    "name": "standin-web",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {"": project, "node_modules/left": left},
}
(HERE / "web/package.json").write_text(json.dumps(project, indent=2) + "\n")
(HERE / "web/package-lock.json").write_text(json.dumps(lock, indent=2) + "\n")
