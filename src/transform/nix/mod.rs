//! What Nix wants of a tree, without asking Nix.
//!
//! - [`nar`]: the Nix archive of a tree and its hash, which is what `outputHash` names;
//! - [`refs`]: which files refer to the store, and [`strip`]: making them forget it;
//! - [`seal`]: canonical metadata and the fixed-output form, and [`restore`], which undoes it;
//! - [`reference`](mod@reference), [`base32`]: what a reference is, and Nix's own base-32.

pub mod base32;
mod hit;
pub mod nar;
pub mod reference;
pub mod refs;
pub mod restore;
mod scan;
pub mod seal;
pub mod strip;
