//! Bytes in and out: checked members of archives, and the one writer of output trees.

pub mod archive;
pub mod tree;
