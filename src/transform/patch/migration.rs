//! A Django migration's dependencies, read and added to by understanding the Python file
//! (<https://docs.djangoproject.com/en/stable/topics/migrations/#migration-files>).
//!
//! `dependencies` may be a list or a tuple, on one line or many, with or without a last comma, with
//! comments, in either quotes, summed of several lists, or missing. Only what must be is written;
//! every other byte stays.

use std::fmt;
use std::path::PathBuf;

use tree_sitter::Node;

use super::python_source::{Class, PythonSource, Use, children, elements, unwrapped};

/// The class that all migrations inherit from, by its names.
const DJANGO_S_OWN: [&str; 2] = [
    "django.db.migrations.Migration",
    "django.db.migrations.migration.Migration",
];

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
        "line {line}: `dependencies` is written as `{text}`, to which nothing can be added; use a substitution or a unified diff"
    )]
    Form {
        /// From 1.
        line: usize,
        /// What it is.
        text: String,
    },
    /// Its class may inherit dependencies, which one of its own would hide.
    #[error(
        "line {line}: the migration inherits from `{base}`, whose dependencies would be lost; write `dependencies = {base}.dependencies + []` there first, by a substitution or a unified diff"
    )]
    Inherits {
        /// From 1.
        line: usize,
        /// From what.
        base: String,
    },
    /// A name that can be no app label or migration.
    #[error("`{0}` cannot be the name of an app or a migration")]
    Name(String),
    /// The migration itself is not there.
    #[error("there is no migration {}", .0.display())]
    NoFile(PathBuf),
    /// Django would not load it.
    #[error(
        "Django loads no such migration of the apps in {0}: it takes the files of a package called `migrations` (a folder with an `__init__.py`) whose names begin with neither `_` nor `~` and hold no dot"
    )]
    NotLoaded(String),
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
    let source = PythonSource::parse(text).map_err(|line| MigrationError::Syntax { line })?;
    let class = migration_class(&source).ok_or(MigrationError::NoClass)?;
    let known = pairs(&source, &class, "dependencies");
    if let Some((line, _)) = known.into_iter().find(|(_, known)| known == on) {
        return Ok(Added::There(line));
    }
    let form = |node: Node<'_>| MigrationError::Form {
        line: node.start_position().row + 1,
        text: source
            .of(node)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let mut value = None;
    for one in source.uses(class.body, "dependencies") {
        match one {
            Use::Is(is) => value = Some(is),
            Use::Other(node) => return Err(form(node)),
            // Without a value before, they add to some other `dependencies`.
            Use::Plus(node) | Use::Item(node) if value.is_none() => return Err(form(node)),
            Use::Plus(_) | Use::Item(_) => {}
        }
    }
    let Some(value) = value else {
        return without_any(&source, &class, on);
    };
    let lists = lists(value);
    // `(("app", "name"))` lacks a comma: it is not a tuple of dependencies.
    let is_string = |element: &Node<'_>| source.string(*element).is_some();
    match lists.first() {
        Some(list)
            if !lists
                .iter()
                .flat_map(|list| elements(*list))
                .any(|one| is_string(&one)) =>
        {
            Ok(Added::Text(extended(&source, *list, on)))
        }
        _ => Err(form(value)),
    }
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
    let source = PythonSource::parse(text).map_err(|line| MigrationError::Syntax { line })?;
    let class = migration_class(&source).ok_or(MigrationError::NoClass)?;
    let read = |name| {
        let pairs = pairs(&source, &class, name).into_iter();
        pairs.map(|(_, migration)| migration).collect()
    };
    Ok(Relations {
        dependencies: read("dependencies"),
        run_before: read("run_before"),
        replaces: read("replaces"),
    })
}

fn migration_class<'a, 't>(source: &'t PythonSource<'a>) -> Option<Class<'a, 't>> {
    let classes = source.classes().into_iter().rev();
    let mut found = classes.filter(|class| class.name == "Migration");
    found.next()
}

/// The migrations that an attribute is sure to name, each with its line.
fn pairs(source: &PythonSource<'_>, class: &Class<'_, '_>, name: &str) -> Vec<(usize, Migration)> {
    let mut found = Vec::new();
    for one in source.uses(class.body, name) {
        match one {
            Use::Is(value) => {
                if !source.mentions(value, name) {
                    found.clear();
                }
                each_pair(source, value, &mut found);
            }
            Use::Plus(more) => each_pair(source, more, &mut found),
            Use::Item(item) => found.extend(pair(source, item)),
            Use::Other(_) => {}
        }
    }
    found
}

fn each_pair(source: &PythonSource<'_>, value: Node<'_>, found: &mut Vec<(usize, Migration)>) {
    let mut values = vec![value];
    while let Some(value) = values.pop() {
        for element in lists(value).into_iter().flat_map(elements) {
            match element.named_child(0) {
                Some(inner) if element.kind() == "list_splat" => values.push(inner),
                _ => found.extend(pair(source, element)),
            }
        }
    }
}

fn pair(source: &PythonSource<'_>, element: Node<'_>) -> Option<(usize, Migration)> {
    let (app, name) = source.pair(element)?;
    Some((element.start_position().row + 1, Migration { app, name }))
}

/// The lists and tuples that a value is, or is the sum of.
fn lists(value: Node<'_>) -> Vec<Node<'_>> {
    let mut lists = Vec::new();
    let mut values = vec![value];
    while let Some(value) = values.pop().map(unwrapped) {
        let side = |name| value.child_by_field_name(name);
        match value.kind() {
            "list" | "tuple" | "expression_list" => lists.push(value),
            "binary_operator" if side("operator").is_some_and(|sign| sign.kind() == "+") => {
                values.extend(side("right"));
                values.extend(side("left"));
            }
            _ => {}
        }
    }
    lists
}

fn extended(source: &PythonSource<'_>, list: Node<'_>, on: &Migration) -> String {
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
    // What stands in no brackets has to stay on its line.
    let is_long = list.kind() != "expression_list"
        && last.start_position().row > open
        && begins_line(text, last.start_byte());
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

/// Adds the attribute itself, which has to hide none that is inherited.
fn without_any(
    source: &PythonSource<'_>,
    class: &Class<'_, '_>,
    on: &Migration,
) -> Result<Added, MigrationError> {
    for base in &class.bases {
        let name = source.full_name(*base);
        if !DJANGO_S_OWN.contains(&name.as_str()) {
            return Err(MigrationError::Inherits {
                line: base.start_position().row + 1,
                base: source.of(*base).to_owned(),
            });
        }
    }
    let text = source.text;
    let statements = elements(class.body);
    let is_docstring = |node: &Node<'_>| {
        let inner = node.named_child(0);
        node.kind() == "expression_statement" && inner.is_some_and(|inner| inner.kind() == "string")
    };
    let first = statements
        .iter()
        .find(|node| !is_docstring(node))
        .or(statements.last())
        .ok_or(MigrationError::NoClass)?;
    let line = format!("dependencies = [{}]", spelled(on, '"'));
    let (start, end) = (first.start_byte(), first.end_byte());
    let (indent, newline) = (indent_at(text, start), newline(text));
    let added = match (is_docstring(first), begins_line(text, start)) {
        (true, true) => (end, format!("{newline}{newline}{indent}{line}")),
        (true, false) => (end, format!("; {line}")),
        (false, true) => (start, format!("{line}{newline}{newline}{indent}")),
        (false, false) => (start, format!("{line}; ")),
    };
    Ok(Added::Text(insert(text, &[added])))
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
