//! What there is to know of a change besides its row: the same for a terminal and for a browser.

use super::date;
use crate::core::progress::bytes;
use crate::inspect::diff::model::{Change, FileFacts, Locked};

/// A fact of a package, before and after.
pub(super) struct Fact {
    pub name: &'static str,
    pub old: String,
    pub new: String,
}

impl Fact {
    /// In one line: both, or what there is; nothing where neither side says it.
    pub fn text(&self) -> Option<String> {
        match (self.old.as_str(), self.new.as_str()) {
            ("", "") => None,
            (old, new) if old == new => Some(new.to_owned()),
            (old, "") => Some(format!("{old} → (not said)")),
            ("", new) => Some(new.to_owned()),
            (old, new) => Some(format!("{old} → {new}")),
        }
    }
}

/// What is told of a side.
type Tell<'t> = &'t dyn Fn(&Locked) -> String;

/// What the locks, and whoever else was asked, say of both versions.
pub(super) fn facts(change: &Change) -> Vec<Fact> {
    let source = |one: &Locked| match &one.source.commit {
        Some(commit) => format!("{}#{commit}", one.source.place),
        None => one.source.place.clone(),
    };
    let publisher = |one: &Locked| {
        let publisher = one.publisher.as_ref();
        publisher.map(ToString::to_string).unwrap_or_default()
    };
    let of: [(&'static str, Tell<'_>); 7] = [
        ("source", &source),
        ("size", &|one| one.size.map(bytes).unwrap_or_default()),
        ("published", &|one| date(one.published.as_deref())),
        ("published by", &publisher),
        ("licence", &|one| one.license.clone().unwrap_or_default()),
        ("files", &files),
        ("places", &|one| one.places.join(", ")),
    ];
    let side = |side: &Option<Locked>, of: &dyn Fn(&Locked) -> String| match side {
        Some(locked) => of(locked),
        None => String::new(),
    };
    let fact = |(name, of): (&'static str, &dyn Fn(&Locked) -> String)| {
        let (old, new) = (side(&change.old, of), side(&change.new, of));
        match change.new.is_some() {
            true => Fact { name, old, new },
            // What is gone has one side.
            false => Fact {
                name,
                old: String::new(),
                new: old,
            },
        }
    };
    of.into_iter().map(fact).collect()
}

/// What a Python package can be installed from.
fn files(one: &Locked) -> String {
    match (one.wheels, one.sdist) {
        (0, false) => String::new(),
        (0, true) => String::from("an sdist"),
        (1, false) => String::from("1 wheel"),
        (1, true) => String::from("1 wheel and an sdist"),
        (wheels, false) => format!("{wheels} wheels"),
        (wheels, true) => format!("{wheels} wheels and an sdist"),
    }
}

/// Lists of what is new or gone: tags of wheels, and files.
pub(super) fn lists(change: &Change) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for (name, tags) in [
        ("tags gone", &change.tags_gone),
        ("tags new", &change.tags_new),
    ] {
        if !tags.is_empty() {
            all.push((name, tags.join(", ")));
        }
    }
    let line = |file: &FileFacts| {
        let digest = file.digest.as_deref().unwrap_or("no digest");
        let size = file.size.map(bytes).unwrap_or_default();
        let parts = [file.name.as_str(), &size, digest, &file.location];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    };
    for file in &change.files {
        all.extend(file.old.iter().map(|file| ("−", line(file))));
        all.extend(file.new.iter().map(|file| ("+", line(file))));
    }
    all
}
