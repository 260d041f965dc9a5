//! Sources: trees that are built or copied from, as git, an archive or a folder of this machine
//! has them.
//!
//! A source is identified before it is looked at: a git tree by its commit, an archive by its
//! digest. What comes over the network is kept in the store as an archive, so that a second run
//! needs neither the network nor the git program.

pub mod archive;
pub mod checkout;
pub mod git;
mod git_error;
mod git_program;
mod git_url;
mod packed;
pub mod show;
mod submodules;
pub mod view;

pub use archive::{ArchiveError, Shape, Unpacked, unpack, unpack_into};
pub use git::{GitTree, Revision};
pub use git_error::GitError;
pub use packed::{PackError, pack};
