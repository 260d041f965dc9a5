//! What a Python environment is made of: wheels in site-packages, scripts in `bin`, and the files
//! around them that make it a virtual environment. Everything is written through [`crate::files::tree`].

pub mod about;
pub mod bytecode;
pub mod installed;
pub(crate) mod installer;
pub mod layout;
pub(crate) mod marshal;
pub(crate) mod metadata;
pub(crate) mod record;
pub mod scripts;
pub mod venv;
pub mod wheel;
pub mod windows;

pub use about::wheel_license;
pub use layout::{Layout, is_run_at_start};
pub use wheel::{FORM, WheelError, WheelSource, place_wheel};
