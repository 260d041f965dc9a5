//! Git trees: the files of one commit, as a checkout without `.git` has them.
//!
//! The tree is fetched with the git program and kept in the store under its commit, which names
//! its contents. Its NAR hash is that of Nix's `fetchgit`: a plain checkout, to which the
//! repository's own attributes apply (`eol`, `ident`), and those of archives (`export-subst`,
//! `export-ignore`) do not. Files that are kept in Git LFS stay the pointers they are in the
//! commit.

use std::collections::HashSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::git_error::GitError;
use super::git_program::Repository;
use super::git_url::{
    absolute, apply, check_rev, check_url, full_commit, is_local, short, shown, stem,
};
use super::packed;
use super::submodules::{Modules, links};
use super::view::About;
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::scratch::Scratch;
use crate::core::tree_path::TreePath;
use crate::files::archive::Limits;
use crate::obtain::fetch::FetchOptions;
use crate::obtain::store::{Blob, Store};

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

/// Brings a commit's files into the store, if they are not there.
///
/// # Errors
/// When they cannot be obtained.
pub fn fetch(
    store: &Store,
    wanted: &Revision,
    options: &FetchOptions,
) -> Result<GitTree, GitError> {
    let commit = full_commit(&wanted.rev);
    if let Some(commit) = &commit
        && let Some((_, archive)) = options.built(store, &key(commit, wanted.submodules))
    {
        let commit = commit.clone();
        return Ok(GitTree { commit, archive });
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
    let (_, archive) = options.keep_built(store, &key, &file_name, &archive, &made_by)?;
    Ok(GitTree { commit, archive })
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
        // A tree may have others any number of times, and so more files than a disk holds.
        let listing = repository.listing(&commit)?.filter(|listing| {
            let (files, bytes) = amount(listing);
            let limits = Limits::default();
            files <= limits.members && bytes <= limits.total
        });
        let listing = listing.ok_or_else(|| GitError::Bomb {
            rev: rev.clone(),
            url: shown(url),
        })?;
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
                said: "it is not a commit there".into(),
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

/// How many files and folders a listing of a tree has, and how many bytes they all come to.
fn amount(listing: &[u8]) -> (usize, u64) {
    let lines = listing.split(|byte| *byte == 0);
    let lines = lines.filter(|line| !line.is_empty());
    lines.fold((0, 0), |(files, bytes), line| {
        let about = line.split(|byte| *byte == b'\t').next();
        let size = about.and_then(|about| about.rsplit(|byte| *byte == b' ').next());
        let size = size.and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
        (files + 1, bytes.saturating_add(size.unwrap_or(0)))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
    fn what_a_tree_comes_to_is_counted() {
        let listing = b"040000 tree 01       -\ta\x00100644 blob 02      12\ta/b c\x00100644 blob 02 99999999999999999999\td\0";
        assert_eq!(amount(listing), (3, 12));
        assert_eq!(amount(b""), (0, 0));
    }

    #[test]
    fn a_name_that_is_there_twice_is_found() {
        let twice = |listing: &str| twice(listing.replace(';', "\0").as_bytes());
        let once = "120000 blob 01\ta;040000 tree 02\tb;100644 blob 03\tb/a;";
        assert_eq!(twice(once), None);
        let both = "120000 blob 01\ta;160000 commit 02\ta;";
        assert_eq!(twice(both).as_deref(), Some("a"));
    }
}
