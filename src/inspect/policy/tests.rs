use super::*;

fn policy(text: &str) -> Policy {
    Policy::new(
        toml::from_str(text).unwrap(),
        "2026-11-30T12:00:00Z".parse().unwrap(),
    )
    .unwrap()
}

#[test]
fn what_is_borne_is_borne_until_its_day_is_over() {
    let policy = policy(
        "[[ignore]]\nid = \"CVE-1\"\nreason = \"not reached\"\nuntil = \"2026-11-30\"\n\
         [[ignore]]\nid = \"CVE-2\"\npackage = \"a\"\nreason = \"r\"\nuntil = \"2026-11-29\"\n",
    );
    let mut found = Found::default();
    let mut ignores = |package: &str, ids: &'static [&'static str]| {
        policy.ignores(package, ids.iter().copied(), &mut found)
    };
    assert_eq!(
        ignores("b", &["GHSA-1", "CVE-1"]).as_deref(),
        Some("not reached")
    );
    assert_eq!(ignores("b", &["CVE-2"]), None);
    assert_eq!(ignores("a", &["CVE-2"]), None);
    let found = found.into_findings();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, FindingKind::IgnoreOver);
}

#[test]
fn only_licences_that_spdx_has_may_be_named() {
    let review: Review = toml::from_str("[licenses]\nallow = [\"MIT License\"]\n").unwrap();
    let said = Policy::new(review, Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(
        said.contains("`MIT License`") && said.contains("write MIT"),
        "{said}"
    );
}
