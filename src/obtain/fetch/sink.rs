//! From the network to the disk: hashing and writing on a thread of their own.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::obtain::store::{StoreError, Writer};

/// How many chunks may wait. Little, since there are many downloads and a chunk may be large.
const WAITING: usize = 2;

/// A writer at work on another thread.
pub(super) struct Sink {
    sender: mpsc::Sender<Bytes>,
    task: JoinHandle<(Writer, Result<(), StoreError>)>,
    size: u64,
}

impl Sink {
    /// Puts a writer to work.
    pub(super) fn open(mut writer: Writer) -> Self {
        let size = writer.size();
        let (sender, mut chunks) = mpsc::channel::<Bytes>(WAITING);
        let task = spawn_blocking(move || {
            while let Some(chunk) = chunks.blocking_recv() {
                if let Err(error) = writer.write(&chunk) {
                    return (writer, Err(error));
                }
            }
            (writer, Ok(()))
        });
        Self { sender, task, size }
    }

    /// How many bytes it was given, with those that the writer held before.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes, waiting while the disk is slower than the network. `false`: writing failed, and
    /// [`Self::close`] says why.
    pub(super) async fn push(&mut self, chunk: Bytes) -> bool {
        self.size += chunk.len() as u64;
        self.sender.send(chunk).await.is_ok()
    }

    /// Waits for the last byte and gives the writer back.
    pub(super) async fn close(self) -> (Writer, Result<(), StoreError>) {
        drop(self.sender);
        join(self.task.await)
    }
}

/// The result of a task that is never cancelled; a panic in it goes on here.
pub(super) fn join<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
