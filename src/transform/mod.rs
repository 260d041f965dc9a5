//! Changes to finished trees: text patches, ELF files, store references and seals, with the trees'
//! own records kept true; and images of them.

pub mod elf;
pub mod nix;
pub mod oci;
pub mod patch;
pub mod records;
