//! Whatever the bytes: reading and patching end in a result, never in a panic, and what was patched can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockwright::elf::{Edit, Facts, Rpath, patch};

fuzz_target!(|bytes: &[u8]| {
    let _ = Facts::read(bytes);
    let edit = Edit {
        rpath: Rpath::Set("$ORIGIN/../a/path/that/will/hardly/be/there".to_owned()),
        ..Edit::default()
    };
    if let Ok(patched) = patch(bytes, &edit)
        && patched.len < 1 << 24
    {
        Facts::read(&patched.apply(bytes)).expect("what was patched can be read");
    }
});
