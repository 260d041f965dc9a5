//! Git trees: the files of one commit, as a checkout without `.git` has them.
//!
//! The tree is fetched with the git program and kept in the store under its commit, which names
//! its contents. Its NAR hash is that of Nix's `fetchgit`: a plain checkout, to which the
//! repository's own attributes apply (`eol`, `ident`), and those of archives (`export-subst`,
//! `export-ignore`) do not. Files that are kept in Git LFS stay the pointers they are in the
//! commit.

use std::collections::HashSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::git_program::Repository;
use super::packed::{self, PackError};
use super::view::About;
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::scratch::Scratch;
use crate::core::tree_path::TreePath;
use crate::obtain::fetch::FetchOptions;
use crate::obtain::fetch::mirrors::Mirrors;
use crate::obtain::store::{Blob, Store, StoreError};

/// How deep submodules may hold submodules.
const DEEPEST: usize = 8;

/// What is wanted of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The repository: a URL, or `user@host:path`.
    pub url: String,
    /// A full commit, or the name of a tag or branch.
    pub rev: String,
    /// Whether submodules are wanted, and theirs.
    pub submodules: bool,
}

/// The files of a commit, in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitTree {
    /// The full commit.
    pub commit: String,
    /// An archive of them, as a `.tar.gz`.
    pub archive: Blob,
}

/// Why a git tree cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git program.
    #[error(
        "the git program cannot be run ({0}): install git, or bring the tree into the store on a machine that has it"
    )]
    Program(std::io::Error),
    /// It failed.
    #[error("git {doing} failed: {said}")]
    Failed {
        /// Which command.
        doing: &'static str,
        /// What it said.
        said: String,
    },
    /// The commit cannot be had from there.
    #[error("{rev} of {url} cannot be fetched{via}: {said}")]
    Fetch {
        /// What.
        rev: String,
        /// From which repository, as the lock names it.
        url: String,
        /// Which mirror was asked, if one was.
        via: String,
        /// What git said.
        said: String,
    },
    /// It is not here, and no socket may be opened.
    #[error(
        "{rev} of {url} is not in the store, and this run is offline: run once with the network, \
         or name a clone or bundle of it on this machine, as in --mirror {url}=/path/to/clone"
    )]
    Offline {
        /// What.
        rev: String,
        /// Of which repository.
        url: String,
    },
    /// The URL or revision could make git do something else.
    #[error("{what} `{text}` is refused: {why}")]
    Refused {
        /// `the repository` or `the revision`.
        what: &'static str,
        /// It.
        text: String,
        /// Why.
        why: &'static str,
    },
    /// One name stands for two things: no checkout could have both.
    #[error(
        "{rev} of {url} is refused: its tree has {path} twice, which git would never have made"
    )]
    Twice {
        /// What.
        rev: String,
        /// Of which repository.
        url: String,
        /// The name.
        path: String,
    },
    /// A submodule cannot be had.
    #[error("submodule {path} of {url}: {why}")]
    Submodule {
        /// Where it belongs.
        path: String,
        /// Whose.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The tree cannot be kept.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk does not take it.
    #[error("cannot make a folder to check {url} out in: {source}")]
    Disk {
        /// What was wanted.
        url: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Brings a commit's files into the store, if they are not there.
///
/// # Errors
/// When they cannot be had.
pub fn fetch(
    store: &Store,
    wanted: &Revision,
    options: &FetchOptions,
) -> Result<GitTree, GitError> {
    let commit = full_commit(&wanted.rev);
    if let Some(commit) = &commit
        && let Some(tree) = stored(store, commit, wanted.submodules)
    {
        return Ok(tree);
    }
    if let Some(commit) = &commit
        && let Some(tree) = vendored(store, commit, wanted.submodules, options)?
    {
        return Ok(tree);
    }
    let disk = |source| GitError::Disk {
        url: shown(&wanted.url),
        source,
    };
    let temporary = Scratch::new("git").map_err(disk)?;
    let folder = temporary.path();
    let checkout = Checkout { options, folder };
    let (commit, about, tree) = checkout.fetch(wanted, 0)?;
    let file_name = format!("{}-{}.tar.gz", stem(&wanted.url), short(&commit));
    let archive = folder.join(&file_name);
    let about = about.and_then(|about| serde_json::to_string(&about).ok());
    packed::pack(&tree, &archive, about.as_deref())?;
    let made_by = format!("git {} {commit}", shown(&wanted.url));
    let key = key(&commit, wanted.submodules);
    let (_, archive) = store.insert_built(&key, &file_name, &archive, &made_by)?;
    Ok(GitTree { commit, archive })
}

/// The tree of a commit, if it is in the store.
pub fn stored(store: &Store, commit: &str, submodules: bool) -> Option<GitTree> {
    let (_, archive) = store.built(&key(commit, submodules))?;
    Some(GitTree {
        commit: commit.to_owned(),
        archive,
    })
}

/// What a tree is called in a vendored folder.
pub fn vendored_name(commit: &str, submodules: bool) -> String {
    let suffix = if submodules { "-submodules" } else { "" };
    format!("git-{commit}{suffix}.tar.gz")
}

/// The tree of a commit in a folder of `--find-links`, where `fetch --vendor` has put it. It is
/// believed: the folder is the user's, and its hash is what it is held to.
fn vendored(
    store: &Store,
    commit: &str,
    submodules: bool,
    options: &FetchOptions,
) -> Result<Option<GitTree>, GitError> {
    let name = vendored_name(commit, submodules);
    let places = options.find_links.iter().map(|folder| folder.join(&name));
    let Some(place) = places.into_iter().find(|place| place.is_file()) else {
        return Ok(None);
    };
    let made_by = format!("vendored {commit}");
    let (_, archive) = store.insert_built(&key(commit, submodules), &name, &place, &made_by)?;
    Ok(Some(GitTree {
        commit: commit.to_owned(),
        archive,
    }))
}

/// What a tree is found by in the store. Where it came from is no part of it: a commit is the same
/// everywhere.
fn key(commit: &str, submodules: bool) -> Digest {
    let text = format!("git tree, form 2\n{commit}\nsubmodules: {submodules}\n");
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

/// A revision that is a whole object name.
fn full_commit(rev: &str) -> Option<String> {
    let is_full = matches!(rev.len(), 40 | 64) && rev.bytes().all(|b| b.is_ascii_hexdigit());
    is_full.then(|| rev.to_ascii_lowercase())
}

struct Checkout<'a> {
    options: &'a FetchOptions,
    folder: &'a Utf8Path,
}

impl Checkout<'_> {
    /// Fetches a repository and writes its files, its submodules' too, into a new folder. Returns
    /// the commit, what is kept of it besides, and that folder.
    fn fetch(
        &self,
        wanted: &Revision,
        depth: usize,
    ) -> Result<(String, Option<About>, Utf8PathBuf), GitError> {
        let Revision { url, rev, .. } = wanted;
        check_rev(rev)?;
        let asked = self.location(url)?;
        if self.options.offline && !is_local(&asked) {
            return Err(GitError::Offline {
                rev: rev.clone(),
                url: shown(url),
            });
        }
        let bare = self.folder("repository-", url)?;
        let tree = self.folder("tree-", url)?;
        let repository = Repository::init(&bare, full_commit(rev).as_deref())?;
        let commit = bring(&repository, &asked, rev).map_err(|error| match error {
            GitError::Failed { said, .. } => GitError::Fetch {
                rev: rev.clone(),
                url: shown(url),
                via: if asked == *url {
                    String::new()
                } else {
                    format!(" from {}", shown(&asked))
                },
                said: said.replace(&asked, &shown(&asked)),
            },
            other => other,
        })?;
        let listing = repository.ask(["ls-tree", "-r", "-t", "-z", &commit])?;
        if let Some(path) = twice(&listing) {
            return Err(GitError::Twice {
                rev: rev.clone(),
                url: shown(url),
                path,
            });
        }
        let text = repository.ask(["cat-file", "commit", &commit])?;
        let about = About::new(&commit, &text, &links(&listing));
        repository.check_out(&commit, &tree)?;
        if wanted.submodules {
            self.submodules(&repository, wanted, &commit, &links(&listing), &tree, depth)?;
        }
        // Of many submodules, one repository is there at a time.
        let _ = std::fs::remove_dir_all(&bare);
        Ok((commit, about, tree))
    }

    /// A new folder, which goes with the one that all are in.
    fn folder(&self, prefix: &str, url: &str) -> Result<Utf8PathBuf, GitError> {
        let made = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(self.folder);
        let made = made.and_then(|made| {
            let path = Utf8PathBuf::try_from(made.keep());
            path.map_err(camino::FromPathBufError::into_io_error)
        });
        made.map_err(|source| GitError::Disk {
            url: shown(url),
            source,
        })
    }

    /// Where a repository is looked for, mirrors applied. A folder may also lack its `.git`, or be
    /// a bundle.
    fn location(&self, url: &str) -> Result<String, GitError> {
        let asked = apply(&self.options.mirrors, url);
        let Some(path) = asked.strip_prefix("file://") else {
            check_url(&asked)?;
            return Ok(asked);
        };
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let path = decoded.trim_end_matches('/');
        let candidates = [String::new(), ".git".into(), ".bundle".into()];
        let found = candidates
            .iter()
            .map(|suffix| format!("{path}{suffix}"))
            .chain(path.strip_suffix(".git").map(str::to_owned))
            .find(|path| Utf8Path::new(path).exists());
        Ok(found.unwrap_or_else(|| path.to_owned()))
    }

    fn submodules(
        &self,
        repository: &Repository<'_>,
        wanted: &Revision,
        commit: &str,
        links: &[(String, String)],
        into: &Utf8Path,
        depth: usize,
    ) -> Result<(), GitError> {
        if links.is_empty() {
            return Ok(());
        }
        let modules = Modules::read(repository, commit)?;
        for (path, commit) in links {
            let refuse = |why: String| GitError::Submodule {
                path: foreign::shown(path),
                url: shown(&wanted.url),
                why,
            };
            if depth >= DEEPEST {
                return Err(refuse(format!("submodules are {DEEPEST} deep already")));
            }
            let Some(url) = modules.url(path) else {
                return Err(refuse("its .gitmodules does not say where it is".into()));
            };
            if modules.is_left_out(path) {
                continue;
            }
            let url = absolute(&wanted.url, url);
            // A local path in a stranger's .gitmodules would read this machine's repositories.
            if is_local(&url) && !is_local(&wanted.url) {
                return Err(refuse(format!("it is the path {url}, of a machine")));
            }
            let module = Revision {
                url,
                rev: commit.clone(),
                submodules: true,
            };
            let (_, _, tree) = self.fetch(&module, depth + 1)?;
            put(&tree, into, path).map_err(refuse)?;
        }
        Ok(())
    }
}

/// Puts a submodule's files in the place that a checkout has for them: an empty folder.
fn put(tree: &Utf8Path, into: &Utf8Path, path: &str) -> Result<(), String> {
    let path = TreePath::new(path).map_err(|error| error.to_string())?;
    let put = || -> std::io::Result<()> {
        let folder = foreign::Folder::open(into)?.folder(path.folder())?;
        // To be renamed to, a folder must be one, and empty: a link to one is not.
        let (here, name) = (rustix::fs::CWD, path.file_name());
        Ok(rustix::fs::renameat(here, tree.as_str(), &folder, name)?)
    };
    put().map_err(|error| format!("its place is not an empty folder of the checkout ({error})"))
}

/// Fetches what is asked for alone, where the server lets us, or else everything.
fn bring(repository: &Repository<'_>, from: &str, rev: &str) -> Result<String, GitError> {
    let resolve = |name: &str| -> Result<String, GitError> {
        let commit = format!("{name}^{{commit}}");
        let answer = repository.ask(["rev-parse", "--verify", "--quiet", &commit])?;
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    };
    let wanted = full_commit(rev);
    let first = match repository.fetch(from, Some(1), &[rev]) {
        Ok(()) => match (resolve("FETCH_HEAD"), &wanted) {
            (Ok(commit), Some(wanted)) if commit == *wanted => return Ok(commit),
            (Ok(commit), None) => return Ok(commit),
            (Ok(_), Some(_)) => GitError::Failed {
                doing: "fetch",
                said: "it is no commit there".into(),
            },
            (Err(error), _) => error,
        },
        Err(error @ GitError::Failed { .. }) => error,
        Err(error) => return Err(error),
    };
    // Bundles, dumb servers, and servers that give out no commit by its name.
    let all = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    if repository.fetch(from, None, &all).is_err() {
        return Err(first);
    }
    let found = match &wanted {
        Some(commit) => resolve(commit),
        None => {
            resolve(&format!("refs/tags/{rev}")).or_else(|_| resolve(&format!("refs/heads/{rev}")))
        }
    };
    found.map_err(|_| GitError::Failed {
        doing: "fetch",
        said: "none of its branches and tags leads to it".into(),
    })
}

/// A path that a listing of a tree has twice.
fn twice(listing: &[u8]) -> Option<String> {
    let paths = listing.split(|byte| *byte == 0).filter_map(|line| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        line.get(tab + 1..)
    });
    let mut seen = HashSet::new();
    let mut paths = paths.filter(|path| !seen.insert(*path));
    let path = String::from_utf8_lossy(paths.next()?);
    Some(foreign::shown(&path))
}

/// The submodules of a commit: where, and at which commit.
fn links(listing: &[u8]) -> Vec<(String, String)> {
    listing
        .split(|byte| *byte == 0)
        .filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            let (about, path) = line.split_once('\t')?;
            let mut words = about.split(' ');
            let is_link = words.next() == Some("160000");
            let commit = words.nth(1)?;
            is_link.then(|| (path.to_owned(), commit.to_owned()))
        })
        .collect()
}

/// `.gitmodules`.
struct Modules(Vec<(String, String, String)>);

impl Modules {
    fn read(repository: &Repository<'_>, commit: &str) -> Result<Self, GitError> {
        let blob = format!("--blob={commit}:.gitmodules");
        let list = ["config", &blob, "--null", "--list"];
        let listing = match repository.ask(list) {
            Ok(listing) => listing,
            // There is none.
            Err(GitError::Failed { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let entries = listing.split(|byte| *byte == 0).filter_map(|entry| {
            let (key, value) = std::str::from_utf8(entry).ok()?.split_once('\n')?;
            let (name, setting) = key.strip_prefix("submodule.")?.rsplit_once('.')?;
            Some((name.to_owned(), setting.to_owned(), value.to_owned()))
        });
        Ok(Self(entries.collect()))
    }

    fn setting(&self, path: &str, wanted: &str) -> Option<&str> {
        let (name, ..) = self
            .0
            .iter()
            .find(|(_, setting, value)| setting == "path" && value == path)?;
        self.0
            .iter()
            .rev()
            .find(|(other, setting, _)| other == name && setting == wanted)
            .map(|(_, _, value)| value.as_str())
    }

    fn url(&self, path: &str) -> Option<&str> {
        self.setting(path, "url")
    }

    /// `update = none`, as `git submodule update` takes it.
    fn is_left_out(&self, path: &str) -> bool {
        self.setting(path, "update") == Some("none")
    }
}

/// A submodule's URL; one that begins with `./` or `../` is relative to its superproject's.
fn absolute(parent: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = parent.trim_end_matches('/');
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            base = match (base.rfind('/'), base.rfind(':')) {
                (Some(slash), _) => base.get(..slash).unwrap_or_default(),
                (None, Some(colon)) => base.get(..colon).unwrap_or_default(),
                (None, None) => base,
            };
        } else {
            return format!("{base}/{rest}");
        }
    }
}

/// Mirrors apply to URLs with and without their `.git`.
fn apply(mirrors: &Mirrors, url: &str) -> String {
    match url::Url::parse(url) {
        // A login is for the server that the URL names.
        Ok(parsed) => mirrors.apply(&parsed).map_or_else(
            |_| url.to_owned(),
            |asked| {
                if asked == parsed {
                    url.to_owned()
                } else {
                    asked.to_string()
                }
            },
        ),
        Err(_) => mirrors.apply_text(url),
    }
}

/// Whether git would open a file rather than a connection.
fn is_local(url: &str) -> bool {
    url.starts_with("file:") || url.starts_with('/') || url.starts_with('.')
}

fn check_url(url: &str) -> Result<(), GitError> {
    let refuse = |why| {
        Err(GitError::Refused {
            what: "the repository",
            text: shown(url),
            why,
        })
    };
    if url.starts_with('-') {
        return refuse("git would take it for an option");
    }
    if url.chars().any(char::is_control) {
        return refuse("it has a control character");
    }
    match url.split_once("://") {
        Some(("http" | "https" | "ssh" | "git" | "file", _)) => Ok(()),
        Some(_) => refuse("git is let speak https, http, ssh, git and file alone"),
        None if url.starts_with('/') => Ok(()),
        // `user@host:path`; two colons call a program.
        None if url.contains(':') && !url.contains("::") => Ok(()),
        None => refuse("it is no URL"),
    }
}

fn check_rev(rev: &str) -> Result<(), GitError> {
    let odd = |c: char| c.is_control() || " :^~?*[\\+".contains(c);
    if rev.is_empty() || rev.starts_with('-') || rev.contains(odd) || rev.contains("..") {
        return Err(GitError::Refused {
            what: "the revision",
            text: rev.to_owned(),
            why: "give a full commit, or the name of a tag or branch",
        });
    }
    Ok(())
}

/// A URL as it may be shown: without its password.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((login, _)) if login.contains(':') => {
            let user = login.split(':').next().unwrap_or_default();
            let after = rest.get(login.len()..).unwrap_or_default();
            format!("{scheme}://{user}:****{after}")
        }
        _ => url.to_owned(),
    }
}

/// The last part of a URL, for the archive's name.
fn stem(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next();
    let last = last.unwrap_or_default().trim_end_matches(".git");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match last.chars().filter(|c| plain(*c)).collect::<String>() {
        name if name.is_empty() => "source".into(),
        name => name,
    }
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn relative_submodules_are_beside_their_superproject() {
        for (parent, url, expected) in [
            ("https://h.example/o/r", "../s", "https://h.example/o/s"),
            ("https://h.example/o/r/", "./s", "https://h.example/o/r/s"),
            (
                "https://h.example/o/r",
                "../../p/s",
                "https://h.example/p/s",
            ),
            ("git@h.example:o/r", "../s", "git@h.example:o/s"),
            (
                "https://h.example/o/r",
                "https://x.example/s",
                "https://x.example/s",
            ),
        ] {
            assert_eq!(absolute(parent, url), expected);
        }
    }

    #[test]
    fn a_submodule_goes_into_an_empty_folder_that_is_really_there_and_nowhere_else() {
        let held = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(held.path()).unwrap();
        let (into, outside) = (top.join("into"), top.join("outside"));
        let made = |path: &Utf8Path| std::fs::create_dir_all(path).unwrap();
        for folder in ["empty", "full/file"] {
            made(&into.join(folder));
            made(&outside.join(folder));
        }
        std::os::unix::fs::symlink(&outside, into.join("link")).unwrap();
        std::fs::write(into.join("file"), "").unwrap();
        for path in [
            "link",
            "link/empty",
            "full",
            "file",
            "absent/folder",
            "../outside/empty",
            "/outside",
            "",
        ] {
            made(&top.join("tree"));
            assert!(put(&top.join("tree"), &into, path).is_err(), "{path}");
        }
        put(&top.join("tree"), &into, "empty").unwrap();
        assert!(!top.join("tree").exists());
    }

    #[test]
    fn a_name_that_is_there_twice_is_found() {
        let twice = |listing: &str| twice(listing.replace(';', "\0").as_bytes());
        let once = "120000 blob 01\ta;040000 tree 02\tb;100644 blob 03\tb/a;";
        assert_eq!(twice(once), None);
        let both = "120000 blob 01\ta;160000 commit 02\ta;";
        assert_eq!(twice(both).as_deref(), Some("a"));
    }

    #[test]
    fn what_git_would_run_is_refused() {
        for url in [
            "ext::sh -c id",
            "--upload-pack=id",
            "ftp://h.example/r",
            "relative/path",
            "https://h.example/\nr",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
        for url in [
            "https://h.example/r",
            "ssh://git@h.example/r",
            "git@h.example:o/r",
            "/srv/r",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for rev in ["", "-x", "a b", "a:b", "+a", "a^", "a..b", "*"] {
            assert!(check_rev(rev).is_err(), "{rev}");
        }
        for rev in ["version/2026.2.0", "v3.2026.2.0", "refs/pull/1/head"] {
            assert!(check_rev(rev).is_ok(), "{rev}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            shown("https://me:secret@h.example/r"),
            "https://me:****@h.example/r"
        );
        assert_eq!(shown("ssh://git@h.example/r"), "ssh://git@h.example/r");
        assert_eq!(shown("git@h.example:o/r"), "git@h.example:o/r");
    }

    #[test]
    fn names_of_archives_are_plain() {
        assert_eq!(stem("https://h.example/o/oci-python.git"), "oci-python");
        assert_eq!(stem("git@h.example:r"), "r");
        assert_eq!(stem("https://h.example/%20/"), "20");
        assert_eq!(stem("///"), "source");
    }
}
