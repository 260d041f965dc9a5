//! Whatever the patch and the file: parsing and applying end in a result, never in a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockwright::patch::unified::{apply, parse};

fuzz_target!(|input: (&[u8], &[u8], u8)| {
    let (patch, file, fuzz) = input;
    if let Ok(patches) = parse(patch, usize::from(fuzz % 3)) {
        let _ = apply(&patches, usize::from(fuzz), |_| Ok(Some(file.to_vec())));
        let _ = apply(&patches, 0, |_| Ok(None));
    }
});
