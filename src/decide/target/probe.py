# Says what an interpreter is, as JSON. Run isolated (-I -S), so no site-packages takes part.
import json, os, platform, struct, sys, sysconfig


def libc():
    try:
        name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
        if name == "glibc":
            return "glibc", version
    except (AttributeError, OSError, ValueError):
        pass
    # Only musl's loader says which musl it is, on standard error, when run without arguments.
    import glob, re, subprocess

    for loader in sorted(glob.glob("/lib/ld-musl-*.so.1")):
        said = subprocess.run([loader], stderr=subprocess.PIPE, check=False).stderr.decode()
        found = re.search(r"Version (\d+\.\d+)", said)
        if found:
            return "musl", found.group(1)
    return "", ""


def machine():
    name = platform.machine()
    if struct.calcsize("P") == 4:  # a 32-bit Python on a 64-bit kernel
        name = {"x86_64": "i686", "aarch64": "armv7l"}.get(name, name)
    return name


def implementation_version():
    # As PEP 508 writes it: 3.15.0rc1.
    info = sys.implementation.version
    version = "{}.{}.{}".format(info.major, info.minor, info.micro)
    if info.releaselevel != "final":
        version += info.releaselevel[0] + str(info.serial)
    return version


info = {
    "executable": sys.executable,
    "base_executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "prefix": sys.prefix,
    "base_prefix": sys.base_prefix,
    "stdlib": sysconfig.get_path("stdlib"),
    "implementation": sys.implementation.name,
    "implementation_version": implementation_version(),
    # Python built from a checkout says 3.15.0a1+, which is not a version.
    "version": platform.python_version().rstrip("+"),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "sys_platform": sys.platform,
    "machine": machine(),
    "release": platform.release(),
    "platform_version": platform.version(),
    "libc": libc() if sys.platform == "linux" else ("", ""),
    "mac_ver": platform.mac_ver()[0],
    "cache_tag": sys.implementation.cache_tag,
}
print(json.dumps(info))
