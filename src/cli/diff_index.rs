//! `lockwright diff --index`: what the indexes say of what a bump brings.

use super::Failure;
use crate::core::progress::Progress;
use crate::inspect::audit::{Ask, Bump, audit};
use crate::inspect::diff::facts::{LockFacts, Package};
use crate::inspect::diff::found::label;
use crate::inspect::diff::model::{ChangeKind, LockDiff, Locked};
use crate::obtain::fetch::document::Library;

/// Holds what changed against its indexes, and notes who published it and when.
///
/// # Errors
/// When no connection can be made at all. What single indexes do not answer is a finding.
pub fn add(
    diff: &mut LockDiff,
    old: &LockFacts,
    new: &mut LockFacts,
    library: &Library<'_>,
) -> Result<(), Failure> {
    let of = |facts: &LockFacts, name: &str, locked: &Locked| -> Option<Package> {
        let mut all = facts.packages.get(name)?.iter();
        all.rfind(|one| one.version == locked.version).cloned()
    };
    let changed = diff.changes.iter().filter_map(|change| {
        let locked = change.new.as_ref()?;
        let version = locked.version.clone().unwrap_or_default();
        let before = change
            .old
            .as_ref()
            .and_then(|locked| of(old, &change.name, locked));
        (change.kind != ChangeKind::Relocated).then(|| ((change.name.clone(), version), before))
    });
    let bump: Bump = changed.collect();
    let ask = Ask {
        times: true,
        bump: Some(&bump),
    };
    let progress = Progress::items("Asking", 0);
    let (found, _, identities) = audit(new, library, ask, &progress)?;
    progress.done();
    for change in &mut diff.changes {
        let label = label(&change.name, change.versions().1);
        let Some(locked) = &mut change.new else {
            continue;
        };
        if let Some(package) = of(new, &change.name, locked) {
            let times = package.files.into_iter().filter_map(|file| file.uploaded);
            locked.published = locked.published.take().or(times.max());
        }
        if let Some(identity) = identities.iter().find(|one| one.package == label) {
            locked.publisher.clone_from(&identity.by);
            if let Some(old) = &mut change.old {
                old.publisher.clone_from(&identity.before);
            }
        }
    }
    diff.add(found);
    Ok(())
}
