#![allow(clippy::unwrap_used)]

use super::*;

fn record(text: &str) -> Record {
    serde_json::from_str(text).unwrap()
}

fn ranged(ecosystem: &str, events: &str) -> Record {
    record(&format!(
        "{{\"id\": \"X-1\", \"affected\": [{{\"package\": {{\"ecosystem\": \"{ecosystem}\", \"name\": \
         \"Foo_Bar\"}}, \"ranges\": [{{\"type\": \"ECOSYSTEM\", \"events\": [{events}]}}]}}]}}"
    ))
}

#[test]
fn a_range_holds_from_what_introduced_it_to_what_fixed_it() {
    let fixed = ranged(
        "PyPI",
        r#"{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.0.3"}"#,
    );
    let affects = |record: &Record, version| record.affects(Ecosystem::Python, "foo-bar", version);
    for (version, is) in [
        ("0.1", true),
        ("1.1.9", true),
        ("1.2rc1", true),
        ("1.2", false),
        ("1.9", false),
        ("2.0", true),
        ("2.0.3", false),
        ("2.0.3.post1", false),
    ] {
        assert_eq!(affects(&fixed, version), is, "{version}");
    }
    assert_eq!(fixed.fixes(Ecosystem::Python, "foo-bar", "1.0"), ["1.2"]);
    assert_eq!(
        fixed.fixes(Ecosystem::Python, "foo-bar", "2.0.1"),
        ["2.0.3"]
    );
    let last = ranged("PyPI", r#"{"introduced": "1.0"}, {"last_affected": "1.5"}"#);
    for (version, is) in [("0.9", false), ("1.5", true), ("1.5.1", false)] {
        assert_eq!(affects(&last, version), is, "{version}");
    }
    assert!(!ranged("npm", r#"{"introduced": "0"}"#).affects(Ecosystem::Python, "foo-bar", "1"));
}

#[test]
fn one_that_two_databases_have_is_told_once() {
    let of = |id: &str, alias: &str| {
        record(&format!(
            "{{\"id\": \"{id}\", \"aliases\": [\"{alias}\"], \"summary\": \"s\", \"affected\": \
             [{{\"package\": {{\"ecosystem\": \"PyPI\", \"name\": \"a\"}}, \"versions\": [\"1.0\"]}}]}}"
        ))
    };
    let all = [
        of("GHSA-1", "CVE-1"),
        of("PYSEC-1", "CVE-1"),
        of("PYSEC-2", "CVE-2"),
    ];
    let all = Advisories::of(all, Ecosystem::Python);
    let about = all.about(Ecosystem::Python, "a", "1.0.0");
    let ids: Vec<&str> = about.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["GHSA-1", "PYSEC-2"]);
    assert_eq!(about[0].aliases, ["CVE-1", "PYSEC-1"]);
}
