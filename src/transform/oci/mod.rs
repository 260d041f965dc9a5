//! Container images (OCI image specification 1.1) straight from trees.
//!
//! [`Request::build`] puts trees on a base, checks that nothing is missing ([`closure`]), divides them
//! into layers ([`layers`]) and writes these as they are read, on all cores: a tree is not copied. A layer
//! that was made before is taken from the store ([`known`]). What comes out is a layout (`image-layout.md`), as a folder or as one
//! archive that Docker's own tools take too, and it depends on the trees and the request alone.

mod base;
mod closure;
mod compress;
mod earlier;
mod error;
mod hashing;
mod image;
mod known;
mod layers;
mod missing;
mod output;
mod place;
mod root;
mod settings;
mod spec;
mod tar;
mod write;

pub use base::{Image, is_image};
pub use compress::Compression;
pub use error::OciError;
pub use image::{Built, BuiltLayer, Request};
pub use missing::Missing;
pub use output::{Output, is_archive};
pub use place::Tree;
pub use root::Root;
pub use settings::{Name, Settings, arch_of, machine};
