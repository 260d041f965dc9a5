#![allow(clippy::unwrap_used, clippy::panic)]

use camino::Utf8Path;

use super::compare::compare;
use super::model::{ChangeKind, FindingKind, LockDiff, Severity};
use super::report::{html, json, markdown, text};
use super::{npm, python, targets};
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::uv::UvLock;

fn of_uv(old: &str, new: &str) -> LockDiff {
    let facts = |text: &str, label| {
        python::of_lock(
            &UvLock::parse(text, Utf8Path::new("uv.lock")).unwrap(),
            label,
        )
    };
    compare(&facts(old, "old"), &facts(new, "new"))
}

fn of_npm(old: &str, new: &str) -> LockDiff {
    let facts = |packages: &str, label| {
        let text = format!("{{\"lockfileVersion\": 3, \"packages\": {{{packages}}}}}");
        npm::of_lock(
            &NpmLock::parse(Utf8Path::new("package-lock.json"), &text).unwrap(),
            label,
        )
    };
    compare(&facts(old, "old"), &facts(new, "new"))
}

/// What was found, as far as it is more than a note.
fn loud(diff: &LockDiff) -> Vec<(Severity, FindingKind, String)> {
    (diff.findings.iter())
        .filter(|finding| finding.severity != Severity::Note)
        .map(|finding| (finding.severity, finding.kind, finding.packages.join(", ")))
        .collect()
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A lock of the packages `name version`, each with a wheel for any platform and an sdist.
fn uv(packages: &[(&str, &str)]) -> String {
    let mut text = String::from("version = 1\nrevision = 3\nrequires-python = \">=3.12\"\n");
    for (name, version) in packages {
        let stem = name.replace('-', "_");
        let file = format!("https://files.pypi.example/{stem}-{version}");
        text.push_str(&format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
             source = {{ registry = \"https://pypi.example/simple\" }}\n\
             sdist = {{ url = \"{file}.tar.gz\", hash = \"sha256:{A}\", size = 9 }}\n\
             wheels = [{{ url = \"{file}-py3-none-any.whl\", hash = \"sha256:{A}\", size = 7 }}]\n"
        ));
    }
    text
}

#[test]
fn what_no_honest_bump_does_is_an_alarm() {
    use FindingKind::*;
    let old = uv(&[("a", "1.0"), ("b", "1.0")]);
    let sdist = format!(
        "sdist = {{ url = \"https://files.pypi.example/b-1.0.tar.gz\", hash = \"sha256:{A}\", size = 9 }}\n"
    );
    let wheel = old.lines().last().unwrap();
    for (from, to, kind) in [
        (
            format!("b-1.0-py3-none-any.whl\", hash = \"sha256:{A}"),
            format!("b-1.0-py3-none-any.whl\", hash = \"sha256:{B}"),
            DigestChanged,
        ),
        (
            format!(".whl\", hash = \"sha256:{A}\", size = 7 }}]\n$"),
            ".whl\", size = 7 }]\n".into(),
            DigestRemoved,
        ),
        (
            "files.pypi.example/b".into(),
            "files.pypl.example/b".into(),
            HostChanged,
        ),
        (
            "https://files.pypi.example/b-1.0-".into(),
            "http://files.pypi.example/b-1.0-".into(),
            Unencrypted,
        ),
        (wheel.into(), String::new(), WheelToSdist),
        (
            "b-1.0-py3-none-any".into(),
            "b-1.0-1-py3-none-any".into(),
            FilesReplaced,
        ),
    ] {
        // The pattern's end may be marked as the lock's.
        let (old, from) = match from.strip_suffix("\n$") {
            Some(from) => (old.clone(), from.to_owned()),
            None => (old.clone(), from),
        };
        let at = old
            .rfind(&from)
            .unwrap_or_else(|| panic!("{from} is not there"));
        let mut new = old.clone();
        new.replace_range(at..at + from.len(), &to);
        let (old, new) = match kind {
            // Only then is nothing left of what was there.
            FilesReplaced => (old.replace(&sdist, ""), new.replace(&sdist, "")),
            _ => (old, new),
        };
        let diff = of_uv(&old, &new);
        let first = diff
            .findings
            .first()
            .unwrap_or_else(|| panic!("nothing found: {kind:?}"));
        assert!(
            diff.findings.iter().any(|finding| finding.kind == kind
                && finding.severity == Severity::Alarm
                && finding.packages == ["b 1.0"]),
            "{kind:?}: {:?}",
            diff.findings
        );
        assert_eq!(first.severity, Severity::Alarm, "{kind:?}");
        assert_eq!(diff.changes[0].worst, Some(Severity::Alarm));
        // Whatever the format, it comes before anything else that was found.
        let says = &first.says;
        let text = text::render(&diff, false);
        assert!(
            text.starts_with("ALARM   b 1.0: ") && text.contains(says),
            "{text}"
        );
        let page = html::render(&diff);
        let (alarm, table) = (
            page.find("<li class=\"alarm\">").unwrap(),
            page.find("<table>").unwrap(),
        );
        assert!(alarm < table);
        let comment = markdown::render(&diff);
        assert!(
            comment
                .lines()
                .nth(2)
                .unwrap()
                .starts_with("- 🚨 **ALARM** `b 1.0`: "),
            "{comment}"
        );
        let value: serde_json::Value = serde_json::from_str(&json::render(&diff).unwrap()).unwrap();
        assert_eq!(value["findings"][0]["severity"], "alarm");
    }
}

#[test]
fn a_source_of_another_kind_is_an_alarm_and_another_index_a_warning() {
    let old = uv(&[("a", "1.0")]);
    let registry = "source = { registry = \"https://pypi.example/simple\" }";
    let git = "source = { git = \"https://forge.example/a?tag=v1#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }";
    let of_git = |text: &str| -> String {
        let text = text.replace(registry, git);
        let kept = |line: &&str| !line.starts_with("sdist") && !line.starts_with("wheels");
        text.lines()
            .filter(kept)
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let at_git = of_git(&old);
    let found = loud(&of_uv(&old, &at_git));
    assert_eq!(
        found,
        [(
            Severity::Alarm,
            FindingKind::SourceChanged,
            "a 1.0".to_owned()
        )]
    );
    let index = old.replace("pypi.example/simple", "pypi.example/other");
    let found = loud(&of_uv(&old, &index));
    assert_eq!(
        found,
        [(
            Severity::Warning,
            FindingKind::SourceChanged,
            "a 1.0".to_owned()
        )]
    );
    let moved = at_git.replace("#aaaa", "#bbbb");
    let found = loud(&of_uv(&at_git, &moved));
    assert_eq!(
        found,
        [(
            Severity::Alarm,
            FindingKind::CommitMoved,
            "a 1.0".to_owned()
        )]
    );
}

#[test]
fn findings_of_the_same_words_are_told_once() {
    let names = ["a", "b", "c", "d", "e"].map(|name| (name, "1.0"));
    let old = uv(&names);
    let diff = of_uv(&old, &old.replace("files.pypi.example", "mirror.example"));
    assert_eq!(diff.findings.len(), 1);
    assert_eq!(diff.findings[0].packages.len(), 5);
    assert_eq!(diff.summary.altered, 5);
}

#[test]
fn new_packages_are_looked_at_twice() {
    let old = uv(&[("requests", "1.0")]);
    let found = loud(&of_uv(
        &old,
        &uv(&[("requests", "1.0"), ("requets", "1.0")]),
    ));
    assert_eq!(
        found,
        [(
            Severity::Warning,
            FindingKind::Lookalike,
            "requets 1.0".to_owned()
        )]
    );
    let other = uv(&[("x", "1.0")]).replace("files.pypi.example", "files.example");
    let other = format!("{old}{}", other.split_once("\n\n").unwrap().1);
    let found = loud(&of_uv(&old, &other));
    assert_eq!(
        found,
        [(Severity::Warning, FindingKind::HostNew, "x 1.0".to_owned())]
    );
}

#[test]
fn versions_of_one_name_are_paired_by_their_majors() {
    let place = |at: &str, version: &str| {
        format!(
            "\"{at}\": {{\"version\": \"{version}\", \
             \"resolved\": \"https://registry.npm.example/a/-/a-{version}.tgz\"}}"
        )
    };
    let old = [
        place("node_modules/a", "1.0.0"),
        place("node_modules/b/node_modules/a", "3.0.0"),
    ];
    let new = [
        place("node_modules/a", "1.1.0"),
        place("node_modules/b/node_modules/a", "4.0.0"),
        place("node_modules/c/node_modules/a", "2.0.0"),
    ];
    let diff = of_npm(&old.join(","), &new.join(","));
    let seen: Vec<_> = diff
        .changes
        .iter()
        .map(|change| (change.kind, change.versions()))
        .collect();
    assert_eq!(
        seen,
        [
            (ChangeKind::Up, (Some("1.0.0"), Some("1.1.0"))),
            (ChangeKind::Up, (Some("3.0.0"), Some("4.0.0"))),
            (ChangeKind::Added, (None, Some("2.0.0"))),
        ]
    );
}

#[test]
fn an_npm_lock_is_looked_through() {
    use FindingKind::*;
    let entry = |more: &str| {
        format!(
            "\"node_modules/a\": {{\"version\": \"1.0.0\", \"license\": \"MIT\", \
             \"resolved\": \"https://registry.npm.example/a/-/a-1.0.0.tgz\"{more}}}"
        )
    };
    let sha1 = ", \"integrity\": \"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=\"";
    let sha256 = ", \"integrity\": \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"";
    let old = entry(sha256);
    for (new, severity, kind) in [
        (entry(sha1), Severity::Alarm, DigestWeaker),
        (entry(""), Severity::Alarm, DigestRemoved),
        (
            entry(&format!("{sha256}, \"hasInstallScript\": true")),
            Severity::Alarm,
            InstallScript,
        ),
        (
            old.replace("MIT", "Proprietary"),
            Severity::Warning,
            LicenseChanged,
        ),
        (
            old.replace("example/a/-/", "example/evil/-/"),
            Severity::Alarm,
            UrlMismatch,
        ),
        (
            format!(
                "{old}, {}",
                entry(", \"integrity\": \"sha256-AAAAQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"")
                    .replace("node_modules/a", "node_modules/b/node_modules/a")
            ),
            Severity::Alarm,
            DigestTwofold,
        ),
    ] {
        let diff = of_npm(&old, &new);
        let loud = loud(&diff);
        assert!(
            loud.contains(&(severity, kind, "a 1.0.0".to_owned())),
            "{new}: {loud:?}"
        );
        assert_eq!(diff.summary.altered, 1);
    }
}

#[test]
fn what_is_so_on_one_target_alone_says_so() {
    let old = uv(&[("a", "1.0"), ("b", "1.0")]);
    let arm = of_uv(&old, &uv(&[("a", "1.1"), ("b", "1.1")]));
    let intel = of_uv(&old, &uv(&[("a", "1.1"), ("b", "1.0")]));
    let both = targets::merge(vec![("intel".into(), intel), ("arm".into(), arm)]).unwrap();
    let seen: Vec<_> = both
        .changes
        .iter()
        .map(|change| (&*change.name, &change.targets[..]))
        .collect();
    assert_eq!(seen, [("a", &[][..]), ("b", &["arm".to_owned()][..])]);
    assert_eq!(both.summary.minor, 2);
    let text = text::render(&both, false);
    assert!(text.contains("only on arm"), "{text}");
}

#[test]
fn a_strangers_words_stay_words_in_every_report() {
    let entry = |license: &str| {
        format!(
            "\"node_modules/a\": {{\"version\": \"1.0.0\", \"license\": \"{license}\", \
             \"deprecated\": \"</script><script>alert(1)</script> @everyone \\u001b[2J\"}}"
        )
    };
    let diff = of_npm("", &entry("<b>"));
    let page = html::render(&diff);
    assert!(
        !page.contains("<script>alert") && page.contains("&lt;script&gt;alert"),
        "{page}"
    );
    let comment = markdown::render(&diff);
    assert!(
        !comment.contains("@everyone") && !comment.contains("<script"),
        "{comment}"
    );
    for report in [text::render(&diff, true), comment, page] {
        assert!(!report.contains('\u{1b}'));
    }
}

#[test]
fn two_thousand_changes_fit_into_a_comment_with_their_alarms() {
    let names: Vec<String> = (0..2000)
        .map(|number| format!("package-{number:04}"))
        .collect();
    let all =
        |version| -> Vec<(&str, &str)> { names.iter().map(|name| (&**name, version)).collect() };
    let old = uv(&all("1.0"));
    let new = uv(&all("1.1")).replace(
        "files.pypi.example/package_0007",
        "files.evil.example/package_0007",
    );
    let diff = of_uv(&old, &new);
    assert_eq!(diff.summary.minor, 2000);
    let comment = markdown::render(&diff);
    assert!(comment.chars().count() < 65_536, "{}", comment.len());
    assert!(comment.contains("files.evil.example") && comment.contains("more |"));
    assert!(text::render(&diff, false).lines().count() < 200);
    assert!(html::render(&diff).len() < 4_000_000);
}

#[test]
fn other_words_for_a_licence_are_no_finding() {
    let entry = |license: &str| {
        format!(
            "\"node_modules/a\": {{\"version\": \"1.0.0\", \"license\": \"{license}\", \
             \"resolved\": \"https://registry.npm.example/a/-/a-1.0.0.tgz\"}}"
        )
    };
    let found = |old, new| loud(&of_npm(&entry(old), &entry(new)));
    assert_eq!(found("MIT License", "MIT"), []);
    assert_eq!(found("BSD", "BSD-3-Clause"), []);
    assert_eq!(found("(MIT OR Apache-2.0)", "Apache-2.0 OR MIT"), []);
    assert_eq!(found("MIT", "BUSL-1.1").len(), 1);
    let gone = entry("MIT").replace("\"license\": \"MIT\", ", "");
    let diff = of_npm(&entry("MIT"), &gone);
    assert_eq!(diff.findings[0].says, "states no licence any more");
}

/// An entry of a lock of npm's, at a place of the tree.
fn place(at: &str, version: &str, more: &str) -> String {
    let name = at.rsplit("node_modules/").next().unwrap();
    let last = name.rsplit('/').next().unwrap();
    format!(
        "\"{at}\": {{\"version\": \"{version}\"{more}, \
         \"resolved\": \"https://registry.npm.example/{name}/-/{last}-{version}.tgz\"}}"
    )
}

#[test]
fn another_version_of_what_is_there_is_not_new() {
    let native = ", \"hasInstallScript\": true, \"os\": [\"linux\"]";
    let old = place("node_modules/a", "1.0.0", native);
    let beside = place("node_modules/b/node_modules/a", "2.0.0", native);
    let diff = of_npm(&old, &format!("{old}, {beside}"));
    assert_eq!(diff.summary.added, 1);
    assert_eq!(diff.findings, []);
    // What it brings that was not there is told all the same.
    let plain = place("node_modules/a", "1.0.0", "");
    let diff = of_npm(&plain, &format!("{plain}, {beside}"));
    let said: Vec<&str> = diff.findings.iter().map(|one| one.says.as_str()).collect();
    assert_eq!(
        said,
        [
            "newly has a script that runs when it is installed",
            "newly brings compiled code"
        ]
    );
    // And a lower one beside it is no step down.
    let lower = place("node_modules/b/node_modules/a", "0.9.0", native);
    assert_eq!(of_npm(&old, &format!("{old}, {lower}")).findings, []);
}

#[test]
fn packages_that_differ_in_the_platform_alone_are_one_line() {
    let all = |version: &str| {
        let platforms = ["aix-ppc64", "darwin-arm64", "linux-arm64", "linux-x64"];
        let mut entries: Vec<String> = platforms
            .iter()
            .map(|platform| {
                let os = format!(", \"os\": [\"{}\"]", platform.split('-').next().unwrap());
                place(&format!("node_modules/@esbuild/{platform}"), version, &os)
            })
            .collect();
        let needs = platforms.map(|platform| format!("\"@esbuild/{platform}\": \"{version}\""));
        let needs = format!(", \"optionalDependencies\": {{{}}}", needs.join(", "));
        entries.push(place("node_modules/esbuild", version, &needs));
        entries.push("\"\": {\"dependencies\": {\"esbuild\": \"*\"}}".to_owned());
        entries.join(", ")
    };
    let diff = of_npm(&all("0.25.0"), &all("0.28.0"));
    assert_eq!(diff.changes.len(), 5);
    let text = text::render(&diff, false);
    assert_eq!(text.matches("@esbuild/").count(), 1, "{text}");
    assert!(text.contains("Up, major (5)"), "{text}");
    assert!(
        text.contains("@esbuild/* (4 packages)") && text.contains("0.25.0 → 0.28.0 (0.x)"),
        "{text}"
    );
    let detail = text::render(&diff, true);
    assert!(detail.contains("@esbuild/linux-x64"), "{detail}");
    assert!(markdown::render(&diff).contains("`@esbuild/* (4 packages)`"));
    assert!(html::render(&diff).contains("data-name=\"@esbuild/* (4 packages)\""));
    // One that was tampered with stands alone.
    let forged = all("0.28.0").replace("example/@esbuild/linux-x64/-/", "example/evil/-/");
    let text = text::render(&of_npm(&all("0.25.0"), &forged), false);
    assert!(
        text.contains("!! @esbuild/linux-x64") && text.contains("@esbuild/* (3 packages)"),
        "{text}"
    );
}

#[test]
fn what_was_found_comes_first_and_then_what_changed_most() {
    let sized = |packages: &[(&str, &str, u32)]| {
        let plain: Vec<(&str, &str)> = packages.iter().map(|(name, v, _)| (*name, *v)).collect();
        let mut text = uv(&plain);
        for (name, version, size) in packages {
            let file =
                format!("{name}-{version}-py3-none-any.whl\", hash = \"sha256:{A}\", size = ");
            text = text.replace(&format!("{file}7"), &format!("{file}{size}"));
        }
        text
    };
    let old = sized(&[("a", "1.0", 10), ("b", "1.0", 10), ("c", "1.0", 10)]);
    let new = sized(&[("a", "2.0", 11), ("b", "2.0", 999), ("c", "2.0", 10)]);
    let new = new.replace("files.pypi.example/c", "files.evil.example/c");
    let text = text::render(&of_uv(&old, &new), false);
    let at = |name: &str| {
        text.find(&format!(" {name}  "))
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!(at("c") < at("b") && at("b") < at("a"), "{text}");
    assert!(!text.contains("0 notes"), "{text}");
}
