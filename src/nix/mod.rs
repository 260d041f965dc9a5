//! What Nix wants of a tree, without asking Nix.
//!
//! - [`nar`]: the Nix archive of a tree and its hash, which is what `outputHash` names;
//! - [`base32`]: Nix's own base-32, in which store paths and older hashes are written;
//! - [`walk`]: a tree read once into memory, which all of them start from.

pub mod base32;
pub mod nar;
pub mod walk;
