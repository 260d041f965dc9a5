//! What a file runs on: class, byte order, machine and ABI, and whether a library of one kind may
//! be loaded into a process of another.

use std::fmt;

use goblin::elf::header;
use serde::Serialize;

use super::codec::{Class, Endian};

/// The `e_machine` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Machine(pub u16);

const LOONGARCH: u16 = 258;

impl Machine {
    /// The name Python's platform tags and `uname -m` give it, as far as the machine alone tells.
    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            header::EM_386 => "i686",
            header::EM_X86_64 => "x86_64",
            header::EM_ARM => "arm",
            header::EM_AARCH64 => "aarch64",
            header::EM_PPC => "ppc",
            header::EM_PPC64 => "ppc64",
            header::EM_S390 => "s390x",
            header::EM_RISCV => "riscv64",
            header::EM_MIPS => "mips",
            header::EM_SPARCV9 => "sparc64",
            header::EM_IA_64 => "ia64",
            LOONGARCH => "loongarch64",
            _ => return None,
        })
    }

    /// The largest page a kernel of this machine may use, in bytes: what segments must be congruent
    /// to, as GNU ld's `MAXPAGESIZE` has it. `None` for machines this room does not lay out anew.
    pub(super) fn max_page(self) -> Option<u64> {
        Some(match self.0 {
            header::EM_386 | header::EM_X86_64 | header::EM_S390 | header::EM_RISCV => 0x1000,
            header::EM_ARM | header::EM_AARCH64 | header::EM_PPC | header::EM_PPC64 | LOONGARCH => {
                0x1_0000
            }
            _ => return None,
        })
    }

    /// Whether the words of DT_HASH have eight bytes, against the gABI.
    pub(super) fn has_wide_hash(self) -> bool {
        self.0 == header::EM_S390
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "machine {}", self.0),
        }
    }
}

/// A C library for Linux. A process has one, and a library that was linked with the other cannot be
/// loaded into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Libc {
    /// GNU's.
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// Whose library or interpreter has this name. glibc's `libc.so` is a text that linkers read, so
    /// whatever needs one of that name was linked with musl.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "libc.so.6" | "ld64.so.1" | "ld64.so.2" => Some(Self::Glibc),
            name if name.starts_with("ld-linux") => Some(Self::Glibc),
            "libc.so" => Some(Self::Musl),
            name if name.starts_with("libc.musl-") || name.starts_with("ld-musl-") => {
                Some(Self::Musl)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        })
    }
}

/// Everything that decides whether two files can share a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Abi {
    /// 32 or 64 bits.
    pub class: Class,
    /// Byte order.
    pub endian: Endian,
    /// `e_machine`.
    pub machine: Machine,
    /// `EI_OSABI`: 0 is System V, 3 is GNU/Linux.
    pub os: u8,
    /// Those bits of `e_flags` that name a calling convention.
    pub(super) convention: u32,
}

const SYSTEM_V: u8 = 0;
const GNU: u8 = 3;

impl Abi {
    pub(super) fn new(class: Class, endian: Endian, machine: Machine, os: u8, flags: u32) -> Self {
        // Bits of e_flags that ld.so compares as well: ARM's soft and hard float, ppc64's ELFv1 and
        // v2, RISC-V's float ABI and RVE.
        let mask = match machine.0 {
            header::EM_ARM => 0x600,
            header::EM_PPC64 => 0x3,
            header::EM_RISCV => 0xe,
            _ => 0,
        };
        Self {
            class,
            endian,
            machine,
            os,
            convention: flags & mask,
        }
    }

    /// Whether a file of this ABI can use `library`: same class, byte order, machine and calling
    /// convention, and OS ABIs that go together. System V goes with every other, as auto-patchelf
    /// and linkers have it, and files made before the field was used are System V.
    pub fn takes(&self, library: &Self) -> bool {
        let same = (self.class, self.endian, self.machine)
            == (library.class, library.endian, library.machine);
        // RISC-V has no "unspecified" float ABI; the others leave the bits unset when it is.
        let unspecified =
            self.machine.0 != header::EM_RISCV && (self.convention == 0 || library.convention == 0);
        let base = |os| os == SYSTEM_V || os == GNU;
        same && (unspecified || self.convention == library.convention)
            && (self.os == library.os || base(self.os) || base(library.os))
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let little = self.endian == Endian::Little;
        match (self.machine.0, self.class) {
            (header::EM_PPC64, _) if little => f.write_str("ppc64le"),
            (header::EM_X86_64, Class::Bits32) => f.write_str("x32"),
            (header::EM_S390, Class::Bits32) => f.write_str("s390"),
            (header::EM_RISCV, Class::Bits32) => f.write_str("riscv32"),
            (header::EM_ARM, _) if little && self.convention == 0x400 => f.write_str("armv7l"),
            (header::EM_ARM, _) if !little => f.write_str("armeb"),
            (header::EM_AARCH64, _) if !little => f.write_str("aarch64_be"),
            _ => self.machine.fmt(f),
        }
    }
}

impl Serialize for Abi {
    /// The name alone; class and byte order are fields of their own in reports.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abi(class: Class, machine: u16, os: u8, flags: u32) -> Abi {
        Abi::new(class, Endian::Little, Machine(machine), os, flags)
    }

    #[test]
    fn libraries_of_another_kind_are_never_taken() {
        let x86_64 = abi(Class::Bits64, header::EM_X86_64, SYSTEM_V, 0);
        let x32 = abi(Class::Bits32, header::EM_X86_64, SYSTEM_V, 0);
        let i686 = abi(Class::Bits32, header::EM_386, SYSTEM_V, 0);
        let arm = abi(Class::Bits64, header::EM_AARCH64, SYSTEM_V, 0);
        assert!(x86_64.takes(&x86_64));
        assert!(!x86_64.takes(&x32) && !x32.takes(&i686) && !x86_64.takes(&arm));
    }

    #[test]
    fn system_v_goes_with_every_os_abi() {
        let [sysv, gnu, freebsd, openbsd] =
            [0, 3, 9, 12].map(|os| abi(Class::Bits64, header::EM_X86_64, os, 0));
        assert!(sysv.takes(&gnu) && gnu.takes(&sysv) && sysv.takes(&freebsd));
        assert!(!freebsd.takes(&openbsd));
    }

    #[test]
    fn calling_conventions_are_kept_apart() {
        let [unset, hard, soft] =
            [0, 0x400, 0x200].map(|flags| abi(Class::Bits32, header::EM_ARM, 0, flags));
        assert!(unset.takes(&hard) && hard.takes(&hard) && !hard.takes(&soft));
        let [soft, double] = [0, 4].map(|flags| abi(Class::Bits64, header::EM_RISCV, 0, flags));
        assert!(!soft.takes(&double));
    }

    #[test]
    fn names_are_those_of_platform_tags() {
        let name = |class, endian, machine, flags| {
            Abi::new(class, endian, Machine(machine), 0, flags).to_string()
        };
        assert_eq!(
            name(Class::Bits64, Endian::Little, header::EM_PPC64, 2),
            "ppc64le"
        );
        assert_eq!(
            name(Class::Bits64, Endian::Big, header::EM_PPC64, 1),
            "ppc64"
        );
        assert_eq!(
            name(Class::Bits32, Endian::Little, header::EM_ARM, 0x500_0400),
            "armv7l"
        );
        assert_eq!(
            name(Class::Bits64, Endian::Big, header::EM_S390, 0),
            "s390x"
        );
        assert_eq!(name(Class::Bits64, Endian::Little, 4711, 0), "machine 4711");
    }
}
