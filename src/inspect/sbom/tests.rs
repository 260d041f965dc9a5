#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn only_what_has_the_form_of_an_expression_is_one() {
    for (text, is) in [
        ("MIT", true),
        ("Apache-2.0 OR MIT", true),
        (
            "(MIT AND CC-BY-3.0) OR GPL-2.0-only WITH Classpath-exception-2.0",
            true,
        ),
        ("BSD 3-Clause", false),
        ("MIT OR", false),
        ("(MIT", false),
        ("MIT) OR (ISC", false),
        ("SEE LICENSE IN LICENSE.md", false),
        ("", false),
    ] {
        assert_eq!(is_expression(text), is, "{text}");
    }
}

#[test]
fn package_urls_are_encoded() {
    assert_eq!(
        purl(Ecosystem::Npm, "@a/b", "1.0.0"),
        "pkg:npm/%40a/b@1.0.0"
    );
    assert_eq!(
        purl(Ecosystem::Python, "a-b", "1.0+x"),
        "pkg:pypi/a-b@1.0%2Bx"
    );
    assert_eq!(purl(Ecosystem::Python, "a", ""), "pkg:pypi/a");
}
