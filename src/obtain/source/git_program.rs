//! The git program, called so that nothing but its arguments decides what it does.
//!
//! *Fetching* uses the user's own configuration: without their credentials, proxies and SSH keys no
//! private repository could be obtained, and whatever way the objects come, their names are their
//! hashes. *Checking out* uses none at all, so that the same commit is the same bytes for everybody.
//!
//! What is fetched is checked by git (`fsck`): a tree that has a name twice, or `..`, or `.git`, never
//! gets as far as a checkout.

use std::ffi::OsStr;
use std::io::Read as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;

use super::GitError;

/// Protocols that may be spoken: `ext::` and other helpers run commands that the URL names.
const PROTOCOLS: &str = "file:git:http:https:ssh";

/// How long the listing of a tree may be, in bytes.
const LISTING: u64 = 256 << 20;

/// Settings of a checkout that make its bytes those of the commit.
const CANONICAL: [&str; 8] = [
    "core.autocrlf=false",
    "core.eol=lf",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.attributesFile=/dev/null",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "advice.detachedHead=false",
];

/// What old tools wrote wrongly, and what harms nobody: the texts of commits and tags are not used, and
/// a mode is read as a number.
const HARMLESS: [&str; 15] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTagName",
    "badTimezone",
    "missingAuthor",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "nulInCommit",
    "zeroPaddedFilemode",
];

/// A bare repository of our own, with nothing of the user's templates in it.
pub(super) struct Repository<'a> {
    folder: &'a Utf8Path,
}

impl<'a> Repository<'a> {
    /// Makes it. `commit` decides about the kind of object names: SHA-256 where it is that long.
    pub(super) fn init(folder: &'a Utf8Path, commit: Option<&str>) -> Result<Self, GitError> {
        let format = match commit {
            Some(commit) if commit.len() == 64 => "--object-format=sha256",
            _ => "--object-format=sha1",
        };
        let mut git = program();
        git.args(["init", "--quiet", "--bare", "--template=", format, "--"])
            .arg(folder);
        hermetic(&mut git);
        run(git, "init")?;
        Ok(Self { folder })
    }

    /// Fetches from a repository or bundle; what was fetched last is `FETCH_HEAD`.
    pub(super) fn fetch(
        &self,
        from: &str,
        depth: Option<u32>,
        what: &[&str],
    ) -> Result<(), GitError> {
        let mut git = self.program();
        // Maintenance would go on in the background, in a folder that is about to be removed.
        git.args(["-c", "maintenance.auto=false", "-c", "gc.auto=0"]);
        git.args(["-c", "fetch.fsckObjects=true"]);
        for fault in HARMLESS {
            git.arg("-c").arg(format!("fetch.fsck.{fault}=ignore"));
        }
        git.args(["fetch", "--quiet", "--no-tags", "--force"]);
        git.arg("--no-recurse-submodules");
        if let Some(depth) = depth {
            git.arg(format!("--depth={depth}"));
        }
        git.arg("--").arg(from).args(what);
        run(git, "fetch").map(drop)
    }

    /// What a query answers, with the user's configuration left out.
    pub(super) fn ask<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        arguments: I,
    ) -> Result<Vec<u8>, GitError> {
        let mut git = self.program();
        git.args(arguments);
        hermetic(&mut git);
        run(git, "read")
    }

    /// All that is in a commit's tree, with lengths, or nothing where that is more than any tree has.
    pub(super) fn listing(&self, commit: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut git = self.program();
        git.args(["ls-tree", "-r", "-t", "-l", "-z", commit]);
        hermetic(&mut git);
        git.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut listing = Vec::new();
        let mut read = |mut git: Command| {
            let mut child = git.spawn()?;
            if let Some(stdout) = child.stdout.take() {
                stdout.take(LISTING).read_to_end(&mut listing)?;
            }
            child.wait()
        };
        let status = read(git).map_err(GitError::Program)?;
        match (listing.len() as u64 >= LISTING, status.success()) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(listing)),
            (false, false) => Err(GitError::Failed {
                doing: "read",
                said: format!("the tree of {commit} cannot be listed"),
            }),
        }
    }

    /// Writes a commit's files into an empty folder.
    pub(super) fn check_out(&self, commit: &str, into: &Utf8Path) -> Result<(), GitError> {
        let mut git = self.program();
        for setting in CANONICAL {
            git.args(["-c", setting]);
        }
        git.args(["-c", "core.bare=false"]);
        git.arg(format!("--work-tree={into}"));
        git.args(["checkout", "--quiet", "--force", "--detach", commit, "--"]);
        hermetic(&mut git);
        git.current_dir(into);
        run(git, "checkout").map(drop)
    }

    fn program(&self) -> Command {
        let mut git = program();
        git.arg(format!("--git-dir={}", self.folder));
        git
    }
}

pub(super) fn program() -> Command {
    let mut git = Command::new("git");
    // Variables that would lead it to another repository, another index, another everything.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let keep = matches!(
            &*name,
            "GIT_SSH" | "GIT_SSH_COMMAND" | "GIT_SSH_VARIANT" | "GIT_ASKPASS" | "GIT_EXEC_PATH"
        ) || name.starts_with("GIT_CONFIG_")
            || name.starts_with("GIT_SSL_")
            || name.starts_with("GIT_HTTP_")
            || name.starts_with("GIT_PROXY_");
        if name.starts_with("GIT_") && !keep {
            git.env_remove(&*name);
        }
    }
    git.env("LC_ALL", "C")
        .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        // A server that sends nothing for a minute is given up.
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1")
        .env("GIT_HTTP_LOW_SPEED_TIME", "60")
        .stdin(Stdio::null());
    if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
        git.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    }
    git
}

/// Leaves out all configuration but that of the command line.
fn hermetic(git: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_CONFIG_") {
            git.env_remove(name);
        }
    }
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_NO_LAZY_FETCH", "1");
}

pub(super) fn run(mut git: Command, doing: &'static str) -> Result<Vec<u8>, GitError> {
    let output = git.output().map_err(GitError::Program)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(GitError::Failed {
        doing,
        said: said.trim().to_owned(),
    })
}
