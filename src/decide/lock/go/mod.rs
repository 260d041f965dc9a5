//! `go.sum` and the `go.mod` beside it (<https://go.dev/ref/mod#go-sum-files>).
//!
//! A go.sum names the modules of a program: a line for the files of each version that is built, and one for
//! the go.mod of each that was looked at on the way. It is no list of what a program needs, but whatever it
//! needs has a line in it: so all of it is obtained, and the go command chooses, without a network. A go.work
//! stands for the modules that it uses, each with a go.sum of its own ([`work`]).

mod directives;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use directives::{Directive, directives, replaced};

use super::LockError;
use crate::core::files_digest::FilesDigest;
use crate::core::foreign;
use crate::core::place::Place;

/// The file beside a go.sum that says what it is the lock of.
pub const GO_MOD: &str = "go.mod";

/// The modules of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoLock {
    /// The go.sum, or the go.work.
    pub file: Utf8PathBuf,
    /// All files that it was read from, that one first.
    pub files: Vec<Utf8PathBuf>,
    /// The path of the module that it is the lock of.
    pub name: String,
    /// What it names, by path and version.
    pub modules: BTreeMap<GoModule, GoHashes>,
}

/// A version of a module. Path and version are checked: escaped, they are parts of paths and of URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoModule {
    /// Its path, as programs import it.
    pub path: String,
    /// Its version, with the `v`.
    pub version: String,
}

/// What a module must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoHashes {
    /// Of its files; none where nothing of them is built.
    pub files: Option<FilesDigest>,
    /// Of its go.mod.
    pub go_mod: Option<FilesDigest>,
}

impl GoModule {
    fn new(path: &str, version: &str) -> Result<Self, String> {
        if let Some(why) = flaw(path, |part| {
            part.starts_with('.') || part.ends_with('.') || part.is_empty()
        }) {
            return Err(format!("`{}` is not a module path: {why}", shown(path)));
        }
        let is_version = version
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if !is_version || flaw(version, str::is_empty).is_some() || version.contains('/') {
            let version = shown(version);
            return Err(format!(
                "`{version}` is not a module version: one has the form v1.2.3"
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            version: version.to_owned(),
        })
    }

    /// Its path as proxies and module caches have it: each upper-case letter is `!` and the lower-case one
    /// (golang.org/x/mod/module, `EscapePath`).
    pub fn escaped_path(&self) -> String {
        escaped(&self.path)
    }

    /// Its version, likewise.
    pub fn escaped_version(&self) -> String {
        escaped(&self.version)
    }
}

/// As the go command writes it.
impl fmt::Display for GoModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What keeps a text from being a part of a path and of a URL.
fn flaw(text: &str, is_odd: impl Fn(&str) -> bool) -> Option<&'static str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    if !text.chars().all(is_fit) {
        return Some("it has other characters than letters, digits and - . _ ~");
    }
    if text
        .split('/')
        .any(|part| is_odd(part) || matches!(part, "." | ".."))
    {
        return Some("it has a part that is empty, or begins or ends with a dot");
    }
    None
}

fn shown(text: &str) -> String {
    foreign::brief(text).escape_debug().to_string()
}

type Modules = BTreeMap<GoModule, GoHashes>;

/// A go.mod or a go.work.
struct Text<'t> {
    file: &'t Utf8Path,
    text: &'t str,
    directives: Vec<Directive<'t>>,
}

impl<'t> Text<'t> {
    fn new(file: &'t Utf8Path, text: &'t str) -> Self {
        let directives = directives(text);
        Self {
            file,
            text,
            directives,
        }
    }

    /// The path of the module that a go.mod is of.
    fn name(&self) -> Option<&'t str> {
        let mut all = self.directives.iter();
        let own = all.find(|one| one.verb == "module")?;
        own.words.first().copied()
    }

    fn refuse(&self, at: &Directive<'_>, message: String) -> LockError {
        LockError::Reference {
            place: Place::at(self.file, self.text, at.offset),
            message,
        }
    }
}

impl GoLock {
    /// Reads a go.sum and the go.mod beside it, or a go.work and what it uses.
    ///
    /// # Errors
    /// When one cannot be read, and as [`Self::parse`].
    pub fn load(file: &Utf8Path) -> Result<Self, LockError> {
        if file.file_name() == Some(work::NAME) {
            return work::load(file);
        }
        let read = |file: &Utf8Path| {
            foreign::text(file).map_err(|source| LockError::Read {
                file: file.to_owned(),
                source,
            })
        };
        let beside = file.with_file_name(GO_MOD);
        Self::parse(file, &read(file)?, &beside, &read(&beside)?)
    }

    /// Reads the text of a go.sum, and holds that of a go.mod against it.
    ///
    /// # Errors
    /// With the place, when a line is no line of a go.sum, or the go.mod requires what it does not name.
    pub fn parse(
        file: &Utf8Path,
        text: &str,
        mod_file: &Utf8Path,
        mod_text: &str,
    ) -> Result<Self, LockError> {
        let mut modules = Modules::new();
        read_sum(file, text, &mut modules)?;
        let go_mod = Text::new(mod_file, mod_text);
        let lock = Self {
            file: file.to_owned(),
            files: vec![file.to_owned(), mod_file.to_owned()],
            name: go_mod.name().unwrap_or("main").to_owned(),
            modules,
        };
        lock.check(&go_mod, &[], &BTreeSet::new())?;
        Ok(lock)
    }

    /// Whatever a go.mod requires must be named: the go command would look for it on the network. `over` are
    /// the directives of the go.work, `own` the modules that it uses.
    fn check(
        &self,
        go_mod: &Text<'_>,
        over: &[Directive<'_>],
        own: &BTreeSet<&str>,
    ) -> Result<(), LockError> {
        let requirements = go_mod.directives.iter();
        for one in requirements.filter(|one| one.verb == "require") {
            let [path, version] = one.words.as_slice() else {
                let message = "a requirement is a module and its version".to_owned();
                return Err(go_mod.refuse(one, message));
            };
            if own.contains(path) {
                continue;
            }
            let found = replaced(over, path, version);
            let found = found.or_else(|| replaced(&go_mod.directives, path, version));
            let (path, version) = match found {
                // A folder of the program's own.
                Some([_]) => continue,
                Some([path, version]) => (*path, *version),
                _ => (*path, *version),
            };
            let refuse = |message| go_mod.refuse(one, message);
            let module = GoModule::new(path, version).map_err(refuse)?;
            let known = self.modules.get(&module);
            if known.is_none_or(|hashes| hashes.go_mod.is_none()) {
                let what = match own.is_empty() {
                    true => format!(
                        "{} does not name its go.mod: let `go mod tidy` write it",
                        self.file
                    ),
                    false => {
                        "no go.sum of the workspace names its go.mod: let `go mod tidy` in each \
                              module and `go work sync` write it"
                            .to_owned()
                    }
                };
                return Err(refuse(format!("{module} is required here, and {what}")));
            }
        }
        Ok(())
    }
}

/// Reads the text of a go.sum.
fn read_sum(file: &Utf8Path, text: &str, modules: &mut Modules) -> Result<(), LockError> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let refuse = |message: String| LockError::Syntax {
            place: Place::at(file, text, offset),
            message,
        };
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(path), Some(version), Some(hash), None) => {
                let (version, is_mod) = match version.strip_suffix("/go.mod") {
                    Some(version) => (version, true),
                    None => (version, false),
                };
                let module = GoModule::new(path, version).map_err(refuse)?;
                let hash: FilesDigest = hash.parse().map_err(|error| refuse(format!("{error}")))?;
                let known = modules.entry(module).or_default();
                let known = match is_mod {
                    true => &mut known.go_mod,
                    false => &mut known.files,
                };
                if known.as_ref().is_some_and(|known| *known != hash) {
                    return Err(refuse(format!(
                        "{path} {version} has two hashes: see which is true, and who changed it"
                    )));
                }
                *known = Some(hash);
            }
            _ => {
                return Err(refuse(
                    "a line of a go.sum has a module, its version and a hash: let `go mod tidy` \
                     write it"
                        .into(),
                ));
            }
        }
        offset += line.len();
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HASH: &str = "h1:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    const OTHER: &str = "h1:AAAWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    fn parse(sum: &str, go_mod: &str) -> Result<GoLock, LockError> {
        let sum = sum.replace("HASH", HASH).replace("OTHER", OTHER);
        GoLock::parse("go.sum".into(), &sum, "go.mod".into(), go_mod)
    }

    #[test]
    fn modules_and_their_hashes_are_read() {
        let sum = "example.com/A/b v1.2.3 HASH\nexample.com/A/b v1.2.3/go.mod OTHER\n\n\
                   c.example/d v0.0.0-20200101000000-abcdef012345/go.mod HASH\n\
                   d.example/e/v2 v2.0.0+incompatible/go.mod HASH\n";
        let go_mod = "module m\n\ngo 1.24\n\nrequire example.com/A/b v1.2.3 // indirect\nrequire (\n\
                      \t\"c.example/d\" v0.0.0-20200101000000-abcdef012345\n\tx.example/y v1.0.0\n\
                      \tz.example/z v1.0.0\n)\n\
                      replace x.example/y => ../y\nreplace (\n\
                      \tz.example/z v1.0.0 => d.example/e/v2 v2.0.0+incompatible\n)\n";
        let lock = parse(sum, go_mod).unwrap();
        let (module, hashes) = lock.modules.iter().nth(1).unwrap();
        assert_eq!(module.to_string(), "d.example/e/v2@v2.0.0+incompatible");
        assert_eq!(hashes.files, None);
        let module = lock.modules.keys().last().unwrap();
        assert_eq!(module.escaped_path(), "example.com/!a/b");
        let hashes = &lock.modules[module];
        assert_eq!(hashes.files.as_ref().unwrap().to_string(), HASH);
        assert_eq!(hashes.go_mod.as_ref().unwrap().to_string(), OTHER);
    }

    #[test]
    fn what_cannot_be_is_refused_at_its_place() {
        for (sum, go_mod, part) in [
            ("a.b/c v1.0.0\n", "", "go.sum:1:1: a line of a go.sum has"),
            (
                "\na.b/c v1.0.0 h1:xx\n",
                "",
                "go.sum:2:1: `h1:xx` is not a hash",
            ),
            ("../c v1.0.0 HASH\n", "", "`../c` is not a module path"),
            ("a.b//c v1.0.0 HASH\n", "", "is not a module path"),
            ("a.b/!c v1.0.0 HASH\n", "", "other characters"),
            ("a.b/c ../1 HASH\n", "", "`../1` is not a module version"),
            ("a.b/c v1/../../x HASH\n", "", "is not a module version"),
            ("a.b/c v1.0.0 HASH\na.b/c v1.0.0 OTHER\n", "", "two hashes"),
            (
                "",
                "module m\nrequire a.b/c v1.0.0\n",
                "go.mod:2:1: a.b/c@v1.0.0 is required",
            ),
            (
                "a.b/c v1.0.0 HASH\n",
                "require (\n\ta.b/c v1.0.0\n)",
                "go.mod:2:1",
            ),
            (
                "",
                "require a.b/c\n",
                "a requirement is a module and its version",
            ),
        ] {
            let message = parse(sum, go_mod).unwrap_err().to_string();
            assert!(message.contains(part), "{sum:?}: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(sum in "(?s).*", go_mod in "(?s).*") {
            let _ = parse(&sum, &go_mod);
        }
    }
}
