use super::*;

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
