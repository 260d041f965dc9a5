//! What version control knows of a folder of this machine: its commit, and the tags that lead to it.
//!
//! A build is shown a repository that is written here: `HEAD` at the commit, those tags, and the
//! commit's files as unchanged, whatever lies in the folder by now. Neither branches nor settings nor
//! what somebody is just about to commit can be asked for, so what a back end learns follows from the
//! commit and its tags. The objects stay where they are.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::git_program;
use super::view::{self, Id};
use crate::core::foreign;

/// A folder's commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The top of its working tree.
    top: Utf8PathBuf,
    commit: String,
    /// Tags of the commit and of those before it: the object, and the commit where that is another.
    tags: BTreeMap<String, (String, Option<String>)>,
    /// The repository's objects, and those that it borrows.
    objects: Vec<Utf8PathBuf>,
    /// Where history ends, in a clone that has not got all of it.
    shallow: String,
}

impl Checkout {
    /// The commit that a folder is of; `None` where it is of none, there is no git to ask, or objects
    /// are named by SHA-256.
    pub fn of(folder: &Utf8Path) -> Option<Self> {
        let ask = |arguments: &[&str]| {
            let mut git = git_program::program();
            git.args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .arg("-C")
            .arg(folder)
            .args(arguments);
            let said = git_program::run(git, "read").ok()?;
            String::from_utf8(said).ok()
        };
        let about = ask(&[
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-common-dir",
            "--verify",
            "HEAD^{commit}",
        ])?;
        let [top, common, commit] = about.lines().collect::<Vec<_>>()[..] else {
            return None;
        };
        if commit.len() != 40 {
            return None;
        }
        let listed = ask(&[
            "for-each-ref",
            "--merged=HEAD",
            "--format=%(refname) %(objectname) %(*objectname)",
            "refs/tags",
        ])?;
        let tags = listed.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?.to_owned();
            let object = words.next()?.to_owned();
            let peeled = words.next().filter(|commit| !commit.is_empty());
            Some((name, (object, peeled.map(str::to_owned))))
        });
        let own = Utf8Path::new(common).join("objects");
        let borrowed = read(&own.join("info/alternates"));
        let borrowed = borrowed.lines().map(|line| own.join(line));
        Some(Self {
            top: top.into(),
            commit: commit.to_owned(),
            tags: tags.collect(),
            shallow: read(&Utf8Path::new(common).join("shallow")),
            objects: [own.clone()].into_iter().chain(borrowed).collect(),
        })
    }

    /// The top of its working tree.
    pub fn top(&self) -> &Utf8Path {
        &self.top
    }

    /// Folders of objects, which the repository that is written refers to.
    pub fn objects(&self) -> &[Utf8PathBuf] {
        &self.objects
    }

    /// What names all that a build can learn of it.
    pub fn id(&self) -> Value {
        json!([self.commit, self.tags, self.shallow])
    }

    /// Its commit alone.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Writes the repository into a folder that is not there yet. `objects` is where each folder of
    /// objects will be found.
    ///
    /// # Errors
    /// When the commit's files cannot be listed, or nothing be written.
    pub fn write(&self, git: &Utf8Path, objects: &[Utf8PathBuf]) -> io::Result<()> {
        for name in ["objects/info", "objects/pack", "refs", "info"] {
            fs::create_dir_all(git.join(name))?;
        }
        let mut list = git_program::program();
        list.arg("-C")
            .arg(&self.top)
            .args(["ls-tree", "-r", "-z", "--full-tree", &self.commit]);
        let listed = git_program::run(list, "read").map_err(io::Error::other)?;
        let files = listed.split(|byte| *byte == 0).filter_map(entry).collect();
        fs::write(git.join("index"), view::index(&files, true))?;
        let mut references = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for (name, (object, peeled)) in &self.tags {
            references.push_str(&format!("{object} {name}\n"));
            if let Some(peeled) = peeled {
                references.push_str(&format!("^{peeled}\n"));
            }
        }
        let found: String = objects.iter().map(|path| format!("{path}\n")).collect();
        let settings = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\t\
                        autocrlf = false\n[status]\n\tshowUntrackedFiles = no\n";
        for (name, text) in [
            ("HEAD", format!("{}\n", self.commit)),
            ("packed-refs", references),
            ("objects/info/alternates", found),
            ("config", settings.into()),
        ] {
            fs::write(git.join(name), text)?;
        }
        if !self.shallow.is_empty() {
            fs::write(git.join("shallow"), &self.shallow)?;
        }
        Ok(())
    }
}

/// A small file's text; nothing where it is not there.
fn read(file: &Utf8Path) -> String {
    let bytes = foreign::read(file, foreign::TEXT).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// A line of `git ls-tree`: `<mode> <type> <object>\t<path>`.
fn entry(line: &[u8]) -> Option<(Vec<u8>, (u32, Id))> {
    let at = line.iter().position(|byte| *byte == b'\t')?;
    let about = std::str::from_utf8(line.get(..at)?).ok()?;
    let mut words = about.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let object = data_encoding::HEXLOWER.decode(words.nth(1)?.as_bytes());
    let object = Id::try_from(object.ok()?).ok()?;
    Some((line.get(at + 1..)?.to_vec(), (mode, object)))
}
