//! The vocabulary that all floors share: digests, artifacts, paths, progress, and a tree read into
//! memory once.

pub mod artifact;
pub mod digest;
pub mod files_digest;
pub mod foreign;
pub mod io_error;
pub mod locks;
pub mod mounts;
pub mod nearest;
pub mod paths;
pub mod pieces;
pub mod place;
pub mod progress;
pub mod scratch;
pub mod temp_file;
pub mod tree_path;
pub mod walk;
