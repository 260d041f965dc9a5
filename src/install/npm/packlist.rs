//! Which files of a folder `npm pack` would put into a tarball: what of a git dependency is placed.
//!
//! The rules of npm-packlist 10 on ignore-walk 8, over a tree that is in memory. Each folder has
//! rules of its own: npm's defaults, `files` of the package.json (at the top, and then no ignore file
//! there counts), `.npmignore` or else `.gitignore`, and last what is always in or out. A folder's
//! rules are asked after those of the folders above it, and what these leave out stays out, unless
//! the folder was meant by its exact name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::glob::Pattern;
use crate::decide::lock::npm_order::compare;

const DEFAULTS: [&str; 22] = [
    ".npmignore",
    ".gitignore",
    "**/.git",
    "**/.svn",
    "**/.hg",
    "**/CVS",
    "**/.git/**",
    "**/.svn/**",
    "**/.hg/**",
    "**/CVS/**",
    "/.lock-wscript",
    "/.wafpickle-*",
    "/build/config.gypi",
    "npm-debug.log",
    "**/.npmrc",
    ".*.swp",
    ".DS_Store",
    "**/.DS_Store/**",
    "._*",
    "**/._*/**",
    "*.orig",
    "/archived-packages/**",
];

const STRICT: [&str; 12] = [
    "!/package.json",
    "!/readme{,.*[^~$]}",
    "!/copying{,.*[^~$]}",
    "!/license{,.*[^~$]}",
    "!/licence{,.*[^~$]}",
    "/.git",
    "/node_modules",
    ".npmrc",
    "/package-lock.json",
    "/yarn.lock",
    "/pnpm-lock.yaml",
    "/bun.lockb",
];

/// What is at a path of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, or what else is never packed.
    Other,
}

/// A tree to be packed.
pub struct PackSource<'a> {
    /// Everything in it, by its path; folders need not be told.
    pub entries: BTreeMap<String, Kind>,
    /// A file's bytes.
    pub read: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    /// The package.json at its top.
    pub about: &'a Value,
    /// Its programs' files.
    pub programs: Vec<String>,
}

/// A rule that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("the pattern `{pattern}` of {file} is not understood: {why}")]
pub struct PackError {
    file: String,
    pattern: String,
    why: &'static str,
}

/// Groups of rules, in the order in which they are asked.
#[derive(Default)]
struct Rules {
    defaults: Vec<Pattern>,
    files: Option<Vec<Pattern>>,
    npmignore: Option<Vec<Pattern>>,
    gitignore: Option<Vec<Pattern>>,
    strict: Vec<Pattern>,
}

struct Walker<'a> {
    parent: Option<&'a Walker<'a>>,
    name: String,
    rules: Rules,
    /// Whether the folder was meant by its exact name.
    is_exact: bool,
}

/// The paths of the files that are packed, in npm's order.
///
/// # Errors
/// When a pattern is not understood.
pub fn select(source: &PackSource<'_>) -> Result<Vec<String>, PackError> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in source.entries.keys() {
        let mut path = path.as_str();
        loop {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            if !folders.entry(folder).or_default().insert(name) || folder.is_empty() {
                break;
            }
            path = folder;
        }
    }
    let mut found = Vec::new();
    let (rules, required) = top(source, &folders)?;
    let walker = Walker {
        parent: None,
        name: String::new(),
        rules,
        is_exact: false,
    };
    walk(source, &folders, "", &walker, &required, &mut found)?;
    let extension = |path: &str| {
        let base = path.rsplit('/').next().unwrap_or(path);
        match base.rfind('.') {
            Some(at) if at > 0 => base.get(at..).unwrap_or_default().to_lowercase(),
            _ => String::new(),
        }
    };
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    found.sort_by(|one, other| {
        compare(&extension(one), &extension(other))
            .then_with(|| compare(&base(one), &base(other)))
            .then_with(|| compare(one, other))
    });
    Ok(found)
}

/// Whether a packed file is made executable for being a program, as npm asks: by its path without the
/// first folder, if there is one.
pub fn is_program(programs: &[String], path: &str) -> bool {
    let path = path.split_once('/').map_or(path, |(_, rest)| rest);
    programs.iter().any(|program| program == path)
}

/// The rules of the top folder, and the files that `files` names one by one.
fn top(
    source: &PackSource<'_>,
    folders: &BTreeMap<&str, BTreeSet<&str>>,
) -> Result<(Rules, Vec<String>), PackError> {
    let about = source.about;
    let mut first = Vec::new();
    let mut required = Vec::new();
    let mut own = None;
    if let Some(files) = about.get("files").and_then(Value::as_array) {
        let mut included = vec!["*".to_owned()];
        for file in files.iter().filter_map(Value::as_str) {
            let mut file = file
                .strip_prefix('.')
                .filter(|rest| rest.starts_with('/'))
                .unwrap_or(file)
                .to_owned();
            if file.ends_with("/*") {
                file.push('*');
            }
            let inverse = format!("!{file}");
            let mut plain: Vec<&str> = Vec::new();
            for part in file.trim_start_matches('!').split('/') {
                match part {
                    "" | "." => {}
                    ".." => {
                        plain.pop();
                    }
                    part => plain.push(part),
                }
            }
            let plain = plain.join("/");
            let kind = match folders.contains_key(plain.as_str()) {
                true => Some(Kind::Folder),
                false => source.entries.get(&plain).copied(),
            };
            match kind {
                Some(Kind::File) => {
                    first.insert(0, inverse);
                    required.push(file.strip_prefix('/').unwrap_or(&file).to_owned());
                }
                Some(Kind::Folder) => {
                    included.push(inverse.clone());
                    included.push(format!("{inverse}/**"));
                }
                Some(Kind::Other) => {}
                None => included.push(inverse),
            }
        }
        own = Some(included);
    }
    let mut strict = first;
    strict.push("/.git".to_owned());
    strict.extend(STRICT.map(str::to_owned));
    for key in ["browser", "main"] {
        if let Some(file) = about.get(key).and_then(Value::as_str)
            && !file.is_empty()
        {
            strict.push(format!("!/{file}"));
        }
    }
    strict.extend(source.programs.iter().map(|file| format!("!/{file}")));
    let mut rules = Rules {
        defaults: patterns("npm's defaults", &DEFAULTS)?,
        files: own.map(|own| patterns("package.json", &own)).transpose()?,
        strict: patterns("package.json", &strict)?,
        ..Rules::default()
    };
    if rules.files.is_none() {
        rules.ignore_files(source, "")?;
    }
    Ok((rules, required))
}

impl Rules {
    /// A folder's `.npmignore`, or else its `.gitignore`.
    fn ignore_files(&mut self, source: &PackSource<'_>, folder: &str) -> Result<(), PackError> {
        let read = |name: &str| {
            let path = below(folder, name);
            if source.entries.get(&path) != Some(&Kind::File) {
                return Ok(None);
            }
            let text = String::from_utf8_lossy((source.read)(&path).unwrap_or_default());
            let lines: Vec<&str> = text.lines().collect();
            patterns(&path, &lines).map(Some)
        };
        self.npmignore = read(".npmignore")?;
        if self.npmignore.is_none() {
            self.gitignore = read(".gitignore")?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Pattern> {
        self.defaults
            .iter()
            .chain(self.files.iter().flatten())
            .chain(self.npmignore.iter().flatten())
            .chain(self.gitignore.iter().flatten())
            .chain(&self.strict)
    }
}

fn patterns<T: AsRef<str>>(file: &str, lines: &[T]) -> Result<Vec<Pattern>, PackError> {
    lines
        .iter()
        .map(|line| line.as_ref().trim())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            Pattern::new(line).map_err(|why| PackError {
                file: file.to_owned(),
                pattern: line.to_owned(),
                why,
            })
        })
        .collect()
}

fn walk(
    source: &PackSource<'_>,
    folders: &BTreeMap<&str, BTreeSet<&str>>,
    folder: &str,
    walker: &Walker<'_>,
    required: &[String],
    found: &mut Vec<String>,
) -> Result<(), PackError> {
    for name in folders.get(folder).into_iter().flatten() {
        let as_file = walker.includes(name, false, None);
        let as_folder = walker.includes(name, true, None);
        // What Windows cannot have, nobody gets.
        if !as_file && !as_folder || name.contains('*') {
            continue;
        }
        let path = below(folder, name);
        if !folders.contains_key(path.as_str()) {
            match source.entries.get(&path) {
                Some(Kind::File) if as_file => found.push(path),
                _ => {}
            }
            continue;
        }
        if !as_folder {
            continue;
        }
        let required: Vec<String> = required
            .iter()
            .filter_map(|file| file.strip_prefix(name)?.strip_prefix('/'))
            .filter(|rest| !rest.contains('/'))
            .map(str::to_owned)
            .collect();
        let mut strict = vec!["/.git".to_owned()];
        strict.extend(required.iter().map(|file| format!("!{file}")));
        let mut rules = Rules {
            defaults: patterns("npm's defaults", &DEFAULTS)?,
            strict: patterns("package.json", &strict)?,
            ..Rules::default()
        };
        // In a project with workspaces, a package.json is enough for ignore files not to count.
        let has_own = source.about.get("workspaces").is_some()
            && source.entries.contains_key(&below(&path, "package.json"));
        if !has_own {
            rules.ignore_files(source, &path)?;
        }
        let walker = Walker {
            parent: Some(walker),
            name: (*name).to_owned(),
            rules,
            is_exact: as_file || walker.includes(&format!("{name}/"), false, None),
        };
        walk(source, folders, &path, &walker, &required, found)?;
    }
    Ok(())
}

impl Walker<'_> {
    /// `filterEntry`: whether what is called so in this folder is in. `partial`: it is a folder, and
    /// what is in it may be.
    fn includes(&self, entry: &str, partial: bool, last: Option<&str>) -> bool {
        let mut included = true;
        if let Some(parent) = self.parent {
            let above = format!("{}/{entry}", self.name);
            included = parent.includes(&above, partial, Some(last.unwrap_or(entry)));
            if !included && !self.is_exact {
                return false;
            }
        }
        for rule in self.rules.all() {
            if rule.negated == included {
                continue;
            }
            let hits = |path: &str| {
                let (rooted, folder) = (format!("/{path}"), format!("{path}/"));
                (
                    rule.matches(&rooted, false) || rule.matches(path, false),
                    rule.matches(&format!("{rooted}/"), false)
                        || rule.matches(&folder, false)
                        || rule.negated
                            && (rule.matches(&rooted, true) || rule.matches(path, true)),
                )
            };
            let (whole, part) = hits(entry);
            let by_last = || rule.is_one_name && last.is_some_and(|last| hits(last).1);
            if whole || partial && (part || by_last()) {
                included = rule.negated;
            }
        }
        included
    }
}

fn below(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}
