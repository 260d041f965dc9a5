//! What Nix wants of a tree, without asking Nix.
//!
//! - [`nar`]: the Nix archive of a tree and its hash, which is what `outputHash` names;
//! - [`base32`]: Nix's own base-32, in which store paths and older hashes are written.

pub mod base32;
pub mod nar;
