//! Archives from strangers: members are checked before any of them is looked into.

mod inflate;
pub mod tar;
pub mod tarball;
pub mod zip;
mod zip_records;
pub mod zip_write;

/// Limits on archives; beyond it, it is taken for a bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all members together, unpacked.
    pub total: u64,
    /// Bytes of all archives of a run together, unpacked.
    pub run: u64,
    /// Bytes of one member, unpacked.
    pub member: u64,
    /// Unpacked bytes for each packed one, of a member and of the whole, above [`Self::ratio_from`].
    pub ratio: u64,
    /// What is below this size may be packed as tightly as it likes, in bytes.
    pub ratio_from: u64,
    /// How many members.
    pub members: usize,
}

impl Limits {
    /// Whether so many unpacked bytes are more than these limits allow of so many packed ones.
    pub fn is_bomb(&self, unpacked: u64, packed: u64) -> bool {
        unpacked > self.total
            || (unpacked > self.ratio_from && unpacked / packed.max(1) > self.ratio)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 16 << 30,
            run: 64 << 30,
            member: 8 << 30,
            ratio: 200,
            ratio_from: 64 << 20,
            members: 1_000_000,
        }
    }
}
