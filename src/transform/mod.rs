//! Changes to finished trees: text patches, ELF files, store references and seals, with the trees'
//! own records kept true.

pub mod elf;
pub mod nix;
pub mod patch;
pub mod records;
