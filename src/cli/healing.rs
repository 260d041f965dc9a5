//! A command fails, and artifacts that it took turn out to be damaged in the store: it is
//! run again without them.

use super::{Failure, Outcome};
use crate::core::progress::{few, warn};
use crate::obtain::store::{Rotten, Store};

/// What an artifact that cannot be obtained again leaves behind.
#[derive(Debug, thiserror::Error)]
#[error(
    "damaged in the store, put aside, and could not be obtained again: {}; have it fetched with the network; \
     `lockwright store verify --remove` finds and removes all that is damaged",
    few(names)
)]
struct Lost {
    names: Vec<String>,
    source: Failure,
}

/// Runs a command. When it fails, and what it took from its store is no longer what it was, that is
/// told and put aside, and the command is run again; it may then take what it did not need before.
pub(super) fn healing(run: impl Fn() -> Outcome, store: impl Fn() -> Option<Store>) -> Outcome {
    let mut names: Vec<String> = Vec::new();
    loop {
        let failure = match run() {
            Err(failure) => failure,
            done => return done,
        };
        let rotten = store().map_or_else(|| Ok(Vec::new()), |store| put_aside(&store))?;
        if rotten.is_empty() {
            return Err(match names.is_empty() {
                true => failure,
                false => Lost {
                    names,
                    source: failure,
                }
                .into(),
            });
        }
        names.extend(rotten.into_iter().map(|one| one.file_name));
    }
}

/// Puts aside, and tells of, whatever of the store was taken and is rotten.
pub(super) fn put_aside(store: &Store) -> Result<Vec<Rotten>, Failure> {
    let rotten = store.put_rotten_aside()?;
    for one in &rotten {
        warn(&one.to_string());
    }
    Ok(rotten)
}
