//! Whatever the text: adding a dependency ends in a result, and what was added is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockwright::patch::migration::{Added, Migration, add_dependency, relations};

fuzz_target!(|text: &str| {
    let on = Migration {
        app: "core".into(),
        name: "0001_initial".into(),
    };
    if let Ok(Added::Text(new)) = add_dependency(text, &on) {
        let found = relations(&new).expect("what was written is a migration");
        assert!(found.dependencies.contains(&on));
    }
});
