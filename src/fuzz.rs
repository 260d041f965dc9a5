//! Every parser of bytes that come from others, by name, with what has to hold whatever the bytes are: it ends in a
//! result, and what it wrote it reads back.
//!
//! `fuzz/` feeds them for as long as one likes (`scripts/fuzz`); the test below feeds them seeds that were changed here
//! and there, in every run of the tests.

// What does not hold is told by a panic: that is what a fuzzer looks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

mod properties;
mod seeds;

use properties::{
    elf, entry_points, glob, go_sum, index, lockwright_toml, marker, migration, netrc, npm_lock,
    npm_package, npmrc, other_locks, package_json, provenance, pyc, pyproject, tarred, unified,
    uv_lock, wheel_metadata, wheel_name, wheel_record, zipped,
};
use seeds::{PYC, elf_seeds, fixtures, tar_sums, tarball, texts, zip_files, zip_sums};

/// A parser's name, what feeds it, and bytes that it takes.
pub struct Parser {
    pub name: &'static str,
    pub feed: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes sums right again in bytes that were changed, which would be refused for those alone.
    pub mend: fn(&mut [u8]),
}

impl Parser {
    /// What a fuzzer found interesting, kept in `fuzz/corpus`.
    ///
    /// # Panics
    /// When a file of it cannot be read.
    pub fn kept(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let files = fs::read_dir(folder.join(self.name)).into_iter().flatten();
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        let read = |file| fs::read(file).expect("it can be read");
        files.iter().map(read).collect()
    }
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    parser("elf", elf, elf_seeds),
    parser("entry-points", entry_points, || {
        texts(&["[console_scripts]\nx = a.b:c.d [e]\n[gui_scripts]\ny=z:w\n"])
    }),
    parser("glob", glob, || {
        texts(&[
            "**/{a,b}*.[!c-e]?\0a/b/cd.fxy",
            "/lib/*\0lib/index.js",
            "!!{a,{b,c}}/**\0c/d",
        ])
    }),
    parser("go-sum", go_sum, || {
        texts(&[
            "a.example/B v1.2.3 h1:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n\
             a.example/B v1.2.3/go.mod h1:AAAWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n\0module m\n\
             require a.example/B v1.2.3 // c\nreplace (\n\tx.example/y v1.0.0 => ../y\n)\n",
        ])
    }),
    parser("index", index, || {
        texts(&[
            "{\"meta\": {\"api-version\": \"1.1\"}, \"name\": \"a\", \"files\": [{\"filename\": \"a-1.whl\", \"url\": \"../a-1.whl\", \
             \"hashes\": {\"sha256\": \"00\"}, \"size\": 1, \"yanked\": \"why\", \"upload-time\": \"2026-01-01T00:00:00Z\"}]}",
            "<!DOCTYPE html><base href='/f/'><a href='a-1.whl#sha256=00' data-yanked='&lt;'>a-1.whl</a>",
            "{\"name\": \"a\", \"time\": {\"1.0.0\": \"2026\"}, \"versions\": {\"1.0.0\": {\"dist\": {\"tarball\": \"https://r.example/a.tgz\", \
             \"signatures\": [{\"keyid\": \"k\", \"sig\": \"cw==\"}]}, \"deprecated\": true}}}",
        ])
    }),
    parser("lockwright-toml", lockwright_toml, || {
        fixtures(&["standin/lockwright.toml"])
    }),
    parser("marker", marker, || {
        texts(&[
            "(sys_platform == 'linux' and extra != \"x\") or python_version not in '3.8, 3.9'",
            "a[b]>=1; extra == 'x'",
            "a @ https://h.example/a;b ; os_name == 'nt'",
        ])
    }),
    parser("marshal", pyc, || vec![PYC.to_vec()]),
    parser("metadata", wheel_metadata, || {
        texts(&[
            "Metadata-Version: 2.4\nName: x\nVersion: 1\nLicense-Expression: MIT\nClassifier: License :: OSI\n\nText\n",
        ])
    }),
    parser("migration", migration, || {
        texts(&[
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = [\n        ('a', '0001'),  # x\n    ]\n",
        ])
    }),
    parser("netrc", netrc, || {
        texts(&["machine h login u password \"p\\\"q\"\nmacdef x\na\n\ndefault login v # c\n"])
    }),
    parser("npm-lock", npm_lock, || {
        fixtures(&[
            "npm-v2/package-lock.json",
            "npm-workspaces/package-lock.json",
            "standin/web/package-lock.json",
        ])
    }),
    mended("npm-package", npm_package, || vec![tarball()], tar_sums),
    parser("npmrc", npmrc, || {
        texts(&["registry=https://r.example/${X}\n//r.example/:_authToken=\"t\" ; c\nomit[]=dev\n"])
    }),
    parser("other-locks", other_locks, || {
        texts(&[
            "--index-url https://p.example/simple\na[x]==1.0 ; python_version > \"3\" \\\n  --hash=sha256:00\n-e .\n",
            "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {specifier: ^1, version: 1.0.0}\n\
             packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AA==}\nsnapshots:\n  a@1.0.0: {}\n",
            "# yarn lockfile v1\n\n\"@s/a@^1\", b@1:\n  version \"1.0.0\"\n  resolved \"https://r.example/a.tgz#00\"\n",
            "__metadata:\n  version: 8\n\n\"a@npm:^1\":\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n",
            "{\"lockfileVersion\": 1, \"workspaces\": {\"\": {\"name\": \"x\"}}, // c\n\"packages\": {\"a\": [\"a@1.0.0\", \"\", {}, \"sha512-AA==\"],}}",
        ])
    }),
    parser("package-json", package_json, || {
        fixtures(&["npm-workspaces/package.json", "bump-npm/new/package.json"])
    }),
    parser("provenance", provenance, || {
        texts(&[
            "{\n\"version\": 1,\n\"owners\": [\"a 1\"],\n\"entries\": [\n[\"b\", 0, \"link\", \"c\"],\n[\"d\", 0, \"644\", 1, \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]\n]}\n",
        ])
    }),
    parser("pyproject", pyproject, || {
        fixtures(&[
            "sources/pyproject.toml",
            "conflicts/pyproject.toml",
            "forks/pyproject.toml",
        ])
    }),
    parser("record", wheel_record, || {
        texts(&["a/b.py,sha256=AAAA,12\n\"c,\"\"d\"\"\",,\nx.dist-info/RECORD,,\n"])
    }),
    mended("tar", tarred, || vec![tarball()], tar_sums),
    parser("unified", unified, || {
        texts(&[
            "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n\0a\nb",
            "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n\0a\n",
        ])
    }),
    parser("uv-lock", uv_lock, || {
        fixtures(&[
            "default/uv.lock",
            "sources/uv.lock",
            "standin/uv.lock",
            "pylock/pylock.toml",
        ])
    }),
    parser("wheel-name", wheel_name, || {
        texts(&["a_b-1.0.post1-2x-cp39.cp310-abi3-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl"])
    }),
    mended("zip", zipped, zip_files, zip_sums),
];

const fn parser(name: &'static str, feed: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Parser {
    mended(name, feed, seeds, |_| {})
}

const fn mended(
    name: &'static str,
    feed: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    mend: fn(&mut [u8]),
) -> Parser {
    Parser {
        name,
        feed,
        seeds,
        mend,
    }
}

/// The parser of a name.
///
/// # Panics
/// When there is none; it names those there are.
pub fn named(name: &str) -> &'static Parser {
    let found = PARSERS.iter().find(|parser| parser.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = PARSERS.iter().map(|parser| parser.name).collect();
        panic!(
            "there is no parser {name:?}; there are {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use proptest::prelude::Rng as _;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::properties::limits;
    use super::*;
    use crate::decide::lock::npm::NpmLock;
    use crate::decide::lock::pyproject::Pyproject;
    use crate::decide::lock::uv::UvLock;
    use crate::decide::lock::wheel_name::WheelName;
    use crate::decide::manifest::Manifest;
    use crate::files::archive::tar::Tar;
    use crate::files::archive::zip::Zip;
    use crate::files::tree::Provenance;
    use crate::install::python::{marshal, metadata, record};
    use crate::transform::elf::ElfFacts;

    /// As a fuzzer changes a seed, without knowing what that reaches.
    fn changed(seed: &[u8], rng: &mut TestRng) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=rng.next_u32() % 4 {
            let length = bytes.len().max(1);
            let mut at = || rng.next_u64() as usize % length;
            let (one, other) = (at(), at());
            let (from, to) = (one.min(other), one.max(other).min(bytes.len()));
            match rng.next_u32() % 7 {
                0 => bytes.truncate(from),
                1 => drop(bytes.drain(from..to.min(from + 40))),
                2 => {
                    let part = bytes
                        .get(from..to.min(from + 40))
                        .unwrap_or_default()
                        .to_vec();
                    let at = rng.next_u64() as usize % length.min(bytes.len() + 1);
                    drop(bytes.splice(at..at, part));
                }
                3 => {
                    let part = *b"\"[{('\\\n\0[[[[[[[[";
                    drop(bytes.splice(from..from.min(bytes.len()), part));
                }
                4 => {
                    let number = [0, 1, u64::MAX, 1 << 31, 1 << 63, 0x7fff][one % 6].to_le_bytes();
                    let end = bytes.len().min(from + [1, 2, 4, 8][other % 4]);
                    for (byte, new) in bytes.iter_mut().take(end).skip(from).zip(number) {
                        *byte = new;
                    }
                }
                5 => {
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte = rng.next_u32() as u8;
                    }
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte ^= 1 << (rng.next_u32() % 8);
                    }
                }
            }
        }
        bytes
    }

    #[test]
    fn no_bytes_make_a_parser_stumble() {
        for parser in PARSERS {
            let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            let seeds = (parser.seeds)().into_iter().map(|seed| (seed, 500));
            let kept = parser.kept().into_iter().map(|kept| (kept, 20));
            for (seed, times) in seeds.chain(kept) {
                (parser.feed)(&seed);
                for time in 0..times {
                    let mut bytes = changed(&seed, &mut rng);
                    if time % 2 == 0 {
                        (parser.mend)(&mut bytes);
                    }
                    if std::panic::catch_unwind(|| (parser.feed)(&bytes)).is_err() {
                        let find = std::env::temp_dir().join(format!("find-{}", parser.name));
                        fs::write(&find, &bytes).unwrap();
                        panic!(
                            "the parser of {} stumbles over {}",
                            parser.name,
                            find.display()
                        );
                    }
                }
            }
        }
    }

    /// A seed that is refused leads nowhere.
    #[test]
    fn every_seed_is_taken() {
        let all = |name| (named(name).seeds)().into_iter();
        let as_text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        for bytes in all("zip") {
            assert_eq!(Zip::new(&bytes, "x", &limits()).unwrap().members().len(), 2);
        }
        for bytes in all("tar") {
            assert!(Tar::new(&bytes, "x", &limits()).all(|member| member.is_ok()));
        }
        for text in all("uv-lock").map(as_text) {
            UvLock::parse(&text, Utf8Path::new("uv.lock")).unwrap();
        }
        for text in all("npm-lock").map(as_text) {
            NpmLock::parse(Utf8Path::new("package-lock.json"), &text).unwrap();
        }
        for text in all("lockwright-toml").map(as_text) {
            Manifest::parse(&text, Utf8Path::new("lockwright.toml")).unwrap();
        }
        for text in all("pyproject").map(as_text) {
            Pyproject::parse(&text, Utf8Path::new("pyproject.toml")).unwrap();
        }
        for bytes in all("elf") {
            ElfFacts::read(&bytes).unwrap();
        }
        for bytes in all("marshal") {
            assert!(marshal::canonical(&bytes, (3, 14)).is_some());
        }
        for bytes in all("provenance") {
            Provenance::parse(Utf8Path::new("p"), &bytes).unwrap();
        }
        for text in all("wheel-name").map(as_text) {
            text.parse::<WheelName>().unwrap();
        }
        for text in all("entry-points").map(as_text) {
            assert_eq!(metadata::scripts(&text).unwrap().len(), 2);
        }
        for text in all("record").map(as_text) {
            assert_eq!(record::parse(&text).unwrap().len(), 3);
        }
    }
}
