//! The folders that a project's `workspaces` mean, found as npm finds them (`@npmcli/map-workspaces`): folders with a
//! package.json that match a pattern, none of which is hidden or in a `node_modules`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use fast_glob::glob_match;

use super::manifest::Manifest;
use crate::decide::lock::LockError;

/// The workspaces of the project in a folder: their names, and their folders from there.
///
/// # Errors
/// When a folder or package.json cannot be read, or two workspaces have one name.
pub fn find(
    project: &Utf8Path,
    patterns: &[String],
) -> Result<BTreeMap<String, String>, LockError> {
    let globs = Globs::new(patterns);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let at = project.join(&folder);
        if globs.mean(&folder)
            && let Some((about, _)) = Manifest::beside(&at)?
        {
            let name = about.name.or_else(|| at.file_name().map(str::to_owned));
            let name = name.unwrap_or_default();
            if let Some(other) = found.insert(name.clone(), folder.clone()) {
                return Err(LockError::Workspaces {
                    name,
                    one: other,
                    other: folder,
                });
            }
        }
        let failed = |source| LockError::Read {
            file: at.clone(),
            source,
        };
        for entry in at.read_dir_utf8().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let inside = match folder.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            if name == "node_modules" || !globs.may_lead_to(&inside) {
                continue;
            }
            // A link is followed where patterns say how deep: it may lead up again.
            let kind = entry.file_type().map_err(failed)?;
            let is_folder = match kind.is_symlink() {
                true => !globs.are_deep && entry.path().is_dir(),
                false => kind.is_dir(),
            };
            if is_folder {
                folders.push(inside);
            }
        }
    }
    Ok(found)
}

/// What `workspaces` takes, and what it takes back.
struct Globs {
    taken: Vec<String>,
    left: Vec<String>,
    are_deep: bool,
}

impl Globs {
    fn new(patterns: &[String]) -> Self {
        let (mut taken, mut left): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let body = pattern.trim_start_matches('!');
            let marks = pattern.len() - body.len();
            let plain = body.strip_prefix('.').filter(|rest| rest.starts_with('/'));
            let plain = plain
                .unwrap_or(body)
                .trim_start_matches('/')
                .replace('\\', "/");
            let plain = plain.trim_end_matches('/').to_owned();
            if marks % 2 == 1 {
                left.push(plain);
            } else {
                // What is said later holds.
                left.retain(|left| !glob_match(left, &plain));
                taken.push(plain);
            }
        }
        let are_deep = taken.iter().any(|pattern| pattern.contains("**"));
        Self {
            taken,
            left,
            are_deep,
        }
    }

    fn mean(&self, folder: &str) -> bool {
        // `packages/**` means packages itself, too.
        let closed = format!("{folder}/");
        let fits = |pattern: &String| glob_match(format!("{pattern}/"), &closed);
        let is_left = |pattern: &String| glob_match(pattern, folder) || fits(pattern);
        self.taken.iter().any(fits) && !self.left.iter().any(is_left)
    }

    /// Whether a folder may be one, or have one in it.
    fn may_lead_to(&self, folder: &str) -> bool {
        self.taken.iter().any(|pattern| {
            let may_be_hidden = pattern.starts_with('.') || pattern.contains("/.");
            let is_shown = |name: &str| !name.starts_with('.') || may_be_hidden;
            let mut parts = pattern.split('/');
            // Behind these it is not known which part means what.
            let mut is_open = false;
            folder.split('/').all(|name| {
                let part = if is_open { None } else { parts.next() };
                is_open |= part.is_some_and(|part| part.contains("**") || part.contains('{'));
                match part {
                    _ if is_open => is_shown(name),
                    Some(part) => {
                        glob_match(part, name) && (!name.starts_with('.') || part.starts_with('.'))
                    }
                    None => false,
                }
            })
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decide::lock::npm::manifest::patterns;

    #[test]
    fn patterns_are_read_as_npm_reads_them() {
        let held = tempfile::tempdir().unwrap();
        let project = Utf8Path::from_path(held.path()).unwrap();
        for folder in [
            "a",
            "p/a",
            "p/b",
            "p/b/c",
            "p/.hidden",
            "p/node_modules/x",
            "q/x/y",
            "other/deep/er",
        ] {
            std::fs::create_dir_all(project.join(folder)).unwrap();
            let name = folder.replace('/', "-");
            let text = format!("{{ \"name\": \"{name}\" }}");
            std::fs::write(project.join(folder).join("package.json"), text).unwrap();
        }
        std::fs::create_dir_all(project.join("p/empty")).unwrap();
        let found = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let found = find(project, &patterns).unwrap().into_values();
            found.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&["./a", "/p/*/"]), "a p/a p/b");
        assert_eq!(found(&["p/**"]), "p/a p/b p/b/c");
        assert_eq!(found(&["p/**", "!p/b/**"]), "p/a");
        assert_eq!(found(&["p/**", "!p/b", "p/b"]), "p/a p/b p/b/c");
        assert_eq!(found(&["{a,q/x}/*", "{a,p/b}"]), "a p/b q/x/y");
        assert_eq!(found(&["p/.*", "other/d*/e?"]), "other/deep/er p/.hidden");
        assert_eq!(found(&["none/*"]), "");
        let refused = |said: &str| patterns(Some(&serde_json::from_str(said).unwrap())).is_err();
        assert!(refused("\"a\"") && refused("[\"a/{b\"]") && refused("[\"x/!(a)\"]"));
        assert!(!refused("{ \"packages\": [\"a/*\"] }"));
    }
}
