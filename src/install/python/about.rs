//! What a wheel says of itself, read without placing it: for reports alone.

use super::metadata;
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;

/// The licence that a wheel states: `License-Expression` (PEP 639), or else a short `License`, or
/// else the last part of its licence classifier. `None` where it states none, or is no wheel.
pub fn wheel_license(file_name: &str, bytes: &[u8]) -> Option<String> {
    let metadata = wheel_text(file_name, bytes, "METADATA")?;
    license(&metadata)
}

/// A text of a wheel's `.dist-info` folder.
pub fn wheel_text(file_name: &str, bytes: &[u8], name: &str) -> Option<String> {
    let zip = Zip::new(bytes, file_name, &Limits::default()).ok()?;
    let member = zip.members().iter().find(|member| {
        let folder = member.path.parent().unwrap_or_default();
        folder.ends_with(".dist-info") && !folder.contains('/') && member.path.file_name() == name
    })?;
    String::from_utf8(zip.read(member).ok()?).ok()
}

/// The licence that METADATA states.
pub fn license(metadata: &str) -> Option<String> {
    let stated = |name| metadata::field(metadata, name).filter(|value| !value.is_empty());
    let classifier = || {
        metadata
            .lines()
            .take_while(|line| !line.trim().is_empty())
            .find_map(|line| {
                let license = line.strip_prefix("Classifier: License :: ")?;
                license.rsplit(" :: ").next().map(str::trim)
            })
    };
    stated("License-Expression")
        // Some put the whole text there.
        .or_else(|| stated("License").filter(|text| text.len() < 80 && *text != "UNKNOWN"))
        .or_else(classifier)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_taken_from_the_best_place() {
        for (text, expected) in [
            ("License-Expression: MIT\nLicense: x\n", Some("MIT")),
            (
                "License: BSD\nClassifier: License :: OSI Approved :: MIT License\n",
                Some("BSD"),
            ),
            (
                "Classifier: License :: OSI Approved :: MIT License\n",
                Some("MIT License"),
            ),
            ("License: UNKNOWN\n\nLicense: in the body\n", None),
        ] {
            assert_eq!(license(text).as_deref(), expected);
        }
    }
}
