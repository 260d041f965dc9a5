//! Package names on the command line that no package of the lock has. They are no error, since one
//! line may serve several projects; but a misspelt one does nothing, which nobody would see.

use pep508_rs::PackageName;

use crate::core::nearest::instead;
use crate::core::progress::warn;
use crate::decide::lock::uv::UvLock;

/// Warns of those that `flag` names in vain.
pub fn warn_of(flag: &str, named: &[PackageName], lock: &UvLock) {
    let mut known: Vec<&PackageName> = lock.packages.iter().map(|package| &package.name).collect();
    known.dedup();
    for name in named.iter().filter(|name| !known.contains(name)) {
        let hint = instead(name, known.iter().copied());
        // A list of all that a lock has helps nobody.
        let hint = match hint.contains("did you mean") {
            true => hint.as_str(),
            false => "",
        };
        warn(&format!(
            "{flag} {name}: {} has no such package{hint}",
            lock.file
        ));
    }
}
