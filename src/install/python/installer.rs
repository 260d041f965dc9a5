//! What an installer says of itself in a package's `.dist-info`: who it was, what was asked for, and
//! what lies where (PEP 376, PEP 610, and the recording of installed packages).

use std::borrow::Cow;

use super::record::{self, Entry};

/// Its files there. A wheel that brings one of them is not heard.
pub(super) const OWN: [&str; 6] = [
    "RECORD",
    "RECORD.jws",
    "RECORD.p7s",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
];

/// Its files but RECORD, with their bytes. `direct_url` is of a package that is from no index.
pub(crate) fn files(direct_url: Option<&str>) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![
        ("INSTALLER", b"lockwright".to_vec()),
        // Whatever a lock names is asked for, so all of it is marked so, as uv sync does.
        ("REQUESTED", Vec::new()),
    ];
    files.extend(direct_url.map(|json| ("direct_url.json", json.into())));
    files
}

/// RECORD: a line for each of the package's files, and one for itself.
pub(crate) fn record(dist_info: &str, mut entries: Vec<Entry<'_>>) -> String {
    entries.push(Entry {
        path: format!("{dist_info}/RECORD").into(),
        hash: Cow::default(),
        size: Cow::default(),
    });
    record::write(entries)
}
