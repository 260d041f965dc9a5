//! Feeds one of lockwright's parsers, `$LOCKWRIGHT_FUZZ`, and gives the fuzzer what it takes to begin with in
//! `$LOCKWRIGHT_FUZZ_SEEDS`. See `scripts/fuzz`.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use lockwright::fuzz::{Parser, named};

static PARSER: LazyLock<&Parser> = LazyLock::new(|| {
    let name = std::env::var("LOCKWRIGHT_FUZZ").expect("LOCKWRIGHT_FUZZ names a parser");
    named(&name)
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("LOCKWRIGHT_FUZZ_SEEDS") {
            for (n, seed) in (PARSER.seeds)().iter().enumerate() {
                std::fs::write(Path::new(&folder).join(format!("seed-{n}")), seed).expect("a seed can be written");
            }
        }
    },
    |bytes: &[u8]| (PARSER.feed)(bytes)
);

fuzz_mutator!(|bytes: &mut [u8], size: usize, room: usize, _seed: u32| {
    let size = fuzzer_mutate(bytes, size, room);
    (PARSER.mend)(bytes.get_mut(..size).unwrap_or_default());
    size
});
