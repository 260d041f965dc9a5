//! What builds wait for: their inputs, and a free core.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};

use crate::core::artifact::Artifact;
use crate::core::locks;
use crate::obtain::store::Blob;

/// What has arrived so far, for builds that wait for it.
#[derive(Default)]
pub(super) struct Inputs {
    state: Mutex<Arrivals>,
    changed: Condvar,
}

#[derive(Default)]
struct Arrivals {
    blobs: HashMap<String, Blob>,
    is_over: bool,
}

impl Inputs {
    /// What tells an artifact from others.
    fn id(artifact: &Artifact) -> String {
        format!("{:?}", (&artifact.location, &artifact.digest))
    }

    pub(super) fn arrived(&self, artifact: &Artifact, blob: Blob) {
        locks::held(&self.state)
            .blobs
            .insert(Self::id(artifact), blob);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        locks::held(&self.state).is_over = true;
        self.changed.notify_all();
    }

    /// Waits for an artifact; `None` when it will not come.
    pub(super) fn wait(&self, artifact: &Artifact) -> Option<Blob> {
        let id = Self::id(artifact);
        let mut state = locks::held(&self.state);
        loop {
            if let Some(blob) = state.blobs.get(&id) {
                return Some(blob.clone());
            }
            if state.is_over {
                return None;
            }
            state = locks::wait(&self.changed, state);
        }
    }
}

/// As many builds at once as there are cores.
pub(super) struct Cores {
    free: Mutex<usize>,
    changed: Condvar,
}

/// One of them, until it is dropped.
pub(super) struct Core<'a>(&'a Cores);

impl Cores {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            changed: Condvar::new(),
        }
    }

    pub(super) fn take(&self) -> Core<'_> {
        let mut free = locks::held(&self.free);
        while *free == 0 {
            free = locks::wait(&self.changed, free);
        }
        *free -= 1;
        Core(self)
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        *locks::held(&self.0.free) += 1;
        self.0.changed.notify_one();
    }
}
