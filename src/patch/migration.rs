//! A Django migration's dependencies, read and added to by understanding the Python file
//! (<https://docs.djangoproject.com/en/stable/topics/migrations/#migration-files>).
//!
//! `dependencies` may be a list or a tuple, on one line or many, with or without a last comma, with
//! comments, in either quotes, summed of several lists, or missing. Only what must be is written;
//! every other byte stays.

use std::fmt;
use std::path::PathBuf;

use tree_sitter::Node;

use super::python_source::{Source, children, elements, unwrapped};

/// A migration, as another one depends on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Migration {
    /// The label of its app: `authentik_core`.
    pub app: String,
    /// Its file's name without `.py`: `0056_user_roles`.
    pub name: String,
}

/// `app.name`.
impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.app, self.name)
    }
}

/// What came of adding a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The new text.
    Text(String),
    /// It was there already, at this line.
    There(usize),
}

/// Why a dependency could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    /// The file is no Python.
    #[error("line {line} is not Python that can be understood")]
    Syntax {
        /// From 1.
        line: usize,
    },
    /// There is no class `Migration` in it.
    #[error("there is no class `Migration`: this is not a Django migration")]
    NoClass,
    /// `dependencies` is not written as a list or tuple of dependencies.
    #[error(
        "line {line}: `dependencies` is `{text}`, to which nothing can be added; use a substitution or a unified diff"
    )]
    Form {
        /// From 1.
        line: usize,
        /// What it is.
        text: String,
    },
    /// A name that can be no app label or migration.
    #[error("`{0}` cannot be the name of an app or a migration")]
    Name(String),
    /// The migration itself is not there.
    #[error("there is no migration {}", .0.display())]
    NoFile(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No app of that label.
    #[error("there is no Django app `{app}` with migrations in {}{}", .roots, meant(.near.as_ref()))]
    NoApp {
        /// Its label.
        app: String,
        /// Where it was looked for.
        roots: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// The app has no such migration.
    #[error("the app `{}` has no migration `{}`{}", .target.app, .target.name, meant(.near.as_ref()))]
    NoTarget {
        /// What was asked for.
        target: Migration,
        /// What may have been meant.
        near: Option<String>,
    },
    /// The dependency would close a circle.
    #[error("the dependency would close a circle: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" needs "))]
    Circle(Vec<Migration>),
}

fn meant(near: Option<&String>) -> String {
    near.map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

/// Adds a dependency to a migration's text.
///
/// # Errors
/// When it is no migration, or its dependencies are written as something that cannot be added to.
pub fn add_dependency(text: &str, on: &Migration) -> Result<Added, MigrationError> {
    for name in [&on.app, &on.name] {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(MigrationError::Name(name.clone()));
        }
    }
    let source = Source::parse(text).map_err(|line| MigrationError::Syntax { line })?;
    let body = migration_class(&source).ok_or(MigrationError::NoClass)?;
    let Some(&value) = source.attribute(body, "dependencies").first() else {
        return without_any(&source, body, on);
    };
    let form = || MigrationError::Form {
        line: value.start_position().row + 1,
        text: source
            .of(value)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let lists = lists(value);
    for list in &lists {
        for element in elements(*list) {
            match source.pair(element) {
                Some(pair) if pair == (&on.app, &on.name) => {
                    return Ok(Added::There(element.start_position().row + 1));
                }
                // `(("app", "name"))` lacks a comma: it is not a tuple of dependencies.
                None if source.string(element).is_some() => return Err(form()),
                _ => {}
            }
        }
    }
    let list = *lists.first().ok_or_else(form)?;
    Ok(Added::Text(extended(&source, list, on)))
}

/// The dependencies and other relations of a migration, as far as they are written out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// What it needs before it.
    pub dependencies: Vec<Migration>,
    /// What it must come before.
    pub run_before: Vec<Migration>,
    /// What it stands for, squashed.
    pub replaces: Vec<Migration>,
}

/// Reads a migration's relations. What is computed (`swappable_dependency`) is not among them.
///
/// # Errors
/// When it is no migration.
pub fn relations(text: &str) -> Result<Relations, MigrationError> {
    let source = Source::parse(text).map_err(|line| MigrationError::Syntax { line })?;
    let body = migration_class(&source).ok_or(MigrationError::NoClass)?;
    let read = |name| {
        let value = source.attribute(body, name).into_iter().next();
        let lists = value.map(lists).unwrap_or_default().into_iter();
        lists
            .flat_map(elements)
            .filter_map(|element| source.pair(element))
            .map(|(app, name)| Migration {
                app: app.to_owned(),
                name: name.to_owned(),
            })
            .collect()
    };
    Ok(Relations {
        dependencies: read("dependencies"),
        run_before: read("run_before"),
        replaces: read("replaces"),
    })
}

fn migration_class<'t>(source: &'t Source<'_>) -> Option<Node<'t>> {
    let classes = source.classes().into_iter().rev();
    let mut found = classes.filter(|(name, _)| *name == "Migration");
    found.next().map(|(_, body)| body)
}

/// The lists and tuples that a value is, or is the sum of.
fn lists(value: Node<'_>) -> Vec<Node<'_>> {
    let value = unwrapped(value);
    match value.kind() {
        "list" | "tuple" => vec![value],
        "binary_operator" => ["left", "right"]
            .into_iter()
            .filter_map(|side| value.child_by_field_name(side))
            .flat_map(lists)
            .collect(),
        _ => Vec::new(),
    }
}

fn extended(source: &Source<'_>, list: Node<'_>, on: &Migration) -> String {
    let text = source.text;
    let all = elements(list);
    let quote = all.last().map_or('"', |last| quote_of(source.of(*last)));
    let dependency = spelled(on, quote);
    let is_tuple = list.kind() == "tuple";
    let newline = newline(text);
    let (open, close) = (list.start_position().row, list.end_position().row);
    let Some(last) = all.last() else {
        let at = list.start_byte() + 1;
        if open == close {
            let comma = if is_tuple { "," } else { "" };
            return insert(text, &[(at, format!("{dependency}{comma}"))]);
        }
        let indent = indent_at(text, list.start_byte());
        return insert(text, &[(at, format!("{newline}{indent}    {dependency},"))]);
    };
    let comma = comma_after(*last);
    let end = comma.map_or(last.end_byte(), |comma| comma.end_byte());
    let is_long = last.start_position().row > open && begins_line(text, last.start_byte());
    if !is_long {
        return insert(
            text,
            &[match comma {
                Some(_) => (end, format!(" {dependency},")),
                None => (end, format!(", {dependency}")),
            }],
        );
    }
    let indent = indent_at(text, last.start_byte());
    // A remark on the last line belongs to what stands there.
    let row = comma.map_or(last.end_position().row, |comma| comma.end_position().row);
    let after = children(list)
        .into_iter()
        .filter(|node| node.kind() == "comment" && node.start_position().row == row)
        .map(|comment| comment.end_byte())
        .max()
        .map_or(end, |remark| remark.max(end));
    let (close, comma_now) = match comma {
        Some(_) => (",", None),
        None => ("", Some((last.end_byte(), String::from(",")))),
    };
    let line = (after, format!("{newline}{indent}{dependency}{close}"));
    let edits: Vec<_> = comma_now.into_iter().chain([line]).collect();
    insert(text, &edits)
}

fn without_any(
    source: &Source<'_>,
    body: Node<'_>,
    on: &Migration,
) -> Result<Added, MigrationError> {
    let text = source.text;
    let statements = elements(body);
    let is_docstring = |node: &Node<'_>| {
        let inner = node.named_child(0);
        node.kind() == "expression_statement" && inner.is_some_and(|inner| inner.kind() == "string")
    };
    let first = statements
        .iter()
        .find(|node| !is_docstring(node))
        .or(statements.last());
    let Some(first) = first.filter(|first| begins_line(text, first.start_byte())) else {
        return Err(MigrationError::Form {
            line: body.start_position().row + 1,
            text: "missing".into(),
        });
    };
    let (indent, newline) = (indent_at(text, first.start_byte()), newline(text));
    let line = format!("dependencies = [{}]", spelled(on, '"'));
    Ok(Added::Text(if is_docstring(first) {
        insert(
            text,
            &[(
                first.end_byte(),
                format!("{newline}{newline}{indent}{line}"),
            )],
        )
    } else {
        let line = format!("{line}{newline}{newline}{indent}");
        insert(text, &[(first.start_byte(), line)])
    }))
}

fn spelled(on: &Migration, quote: char) -> String {
    format!("({quote}{}{quote}, {quote}{}{quote})", on.app, on.name)
}

fn quote_of(element: &str) -> char {
    element
        .chars()
        .find(|c| matches!(c, '"' | '\''))
        .unwrap_or('"')
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn comma_after(node: Node<'_>) -> Option<Node<'_>> {
    let mut next = node.next_sibling();
    while let Some(node) = next {
        match node.kind() {
            "," => return Some(node),
            "comment" => next = node.next_sibling(),
            _ => return None,
        }
    }
    None
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before
        .rfind('\n')
        .and_then(|newline| before.get(newline + 1..))
        .unwrap_or(before)
}

fn begins_line(text: &str, at: usize) -> bool {
    line_before(text, at).trim().is_empty()
}

fn indent_at(text: &str, at: usize) -> &str {
    let line = line_before(text, at);
    let length = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..length).unwrap_or_default()
}

/// Inserts texts at ascending offsets.
fn insert(text: &str, edits: &[(usize, String)]) -> String {
    let mut new = String::with_capacity(text.len() + 80);
    let mut from = 0;
    for (at, inserted) in edits {
        new.push_str(text.get(from..*at).unwrap_or_default());
        new.push_str(inserted);
        from = *at;
    }
    new.push_str(text.get(from..).unwrap_or_default());
    new
}

#[cfg(test)]
#[path = "migration_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
