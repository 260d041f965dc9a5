//! Bytes in and out: checked members of archives, the one writer of output trees, and how an
//! artifact's files get from the one to the other.

pub mod archive;
pub mod contents;
pub mod tree;
