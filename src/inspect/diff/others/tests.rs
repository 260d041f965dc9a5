#![allow(clippy::unwrap_used)]

use super::*;
use crate::inspect::diff::compare::compare;
use crate::inspect::diff::model::FindingKind;

const SHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn of(name: &str, text: &str) -> LockFacts {
    read(text, Utf8Path::new(name)).unwrap().unwrap()
}

/// Each package as `name version kind place files`.
fn seen(facts: &LockFacts) -> Vec<String> {
    let line = |(name, one): (&str, &Package)| {
        let version = one.version.as_deref().unwrap_or("-");
        let files: Vec<String> = (one.files.iter())
            .map(|file| {
                let digest = file
                    .digest
                    .as_ref()
                    .map(|digest| digest.algorithm().to_string());
                format!("{} {}", file.name, digest.unwrap_or_default())
            })
            .collect();
        let kind = format!("{:?}", one.origin.kind).to_lowercase();
        let line = format!(
            "{name} {version} {kind} {} {}",
            one.origin.place,
            files.join(", ")
        );
        line.trim_end().to_owned()
    };
    facts.each().map(line).collect()
}

#[test]
fn requirements_txt() {
    let text = format!(
        "--index-url https://pypi.example/simple\n# made by a tool\nFoo_Bar[extra]==1.0 ; python_version > \"3\" \\\n    \
         --hash=sha256:{SHA} \\\n    --hash=sha256:{}\n    # via x\nb @ https://f.example/b.whl\n-e .\n",
        SHA.replace('a', "b")
    );
    let facts = of("requirements-dev.txt", &text);
    let names: Vec<String> = facts.each().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["b", "foo-bar"]);
    let package = &facts.packages["foo-bar"][0];
    assert_eq!(package.files.len(), 2);
    assert_eq!(package.origin.place, "https://pypi.example/simple");
    let said = read("a==1\nb>=2\n", Utf8Path::new("requirements.txt"))
        .unwrap()
        .unwrap_err();
    assert!(
        said.to_string().contains("line 2: `b>=2` is not pinned"),
        "{said}"
    );
}

#[test]
fn pnpm_lock_yaml() {
    let text = format!(
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1.0.0\n        \
         version: 1.0.0\npackages:\n  a@1.0.0:\n    resolution: {{integrity: {SRI}}}\n    engines: {{node: '>=18'}}\n  \
         '@s/b@2.0.0':\n    resolution: {{integrity: {SRI}}}\n    os: [linux]\n  \
         c@https://codeload.example/c/tar.gz/x:\n    resolution: {{tarball: https://codeload.example/c/tar.gz/x}}\n    \
         version: 3.0.0\nsnapshots:\n  a@1.0.0: {{}}\n"
    );
    let facts = of("pnpm-lock.yaml", &text);
    assert_eq!(
        seen(&facts),
        [
            "@s/b 2.0.0 registry  b-2.0.0.tgz sha256",
            "a 1.0.0 registry  a-1.0.0.tgz sha256",
            "c 3.0.0 url https://codeload.example/c/tar.gz/x c-3.0.0.tgz"
        ]
    );
    assert!(facts.packages["@s/b"][0].native);
    assert_eq!(
        facts.requirements[&(".".to_owned(), "a".to_owned())],
        "^1.0.0"
    );
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert!(
        read(bomb, Utf8Path::new("pnpm-lock.yaml"))
            .unwrap()
            .is_err()
    );
}

#[test]
fn yarn_lock_of_both_kinds() {
    let one = format!(
        "# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1\":\n  version \"1.1.0\"\n  resolved \
         \"https://registry.npm.example/@s/a/-/a-1.1.0.tgz#0000000000000000000000000000000000000000\"\n  integrity {SRI}\n  \
         dependencies:\n    version \"^9\"\n\nb@1:\n  version \"1.0.0\"\n  resolved \
         \"https://registry.npm.example/b/-/b-1.0.0.tgz#0000000000000000000000000000000000000000\"\n\n\"mine@npm:c@^2\":\n  \
         version \"2.0.0\"\n  resolved \"https://registry.npm.example/c/-/c-2.0.0.tgz\"\n  integrity {SRI}\n"
    );
    assert_eq!(
        seen(&of("yarn.lock", &one)),
        [
            "@s/a 1.1.0 registry https://registry.npm.example a-1.1.0.tgz sha256",
            "b 1.0.0 registry https://registry.npm.example b-1.0.0.tgz sha1",
            "c 2.0.0 registry https://registry.npm.example c-2.0.0.tgz sha256"
        ]
    );
    let later = "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0, a@npm:^1.2\":\n  version: 1.2.0\n  resolution: \"a@npm:1.2.0\"\n  \
                 checksum: 10c0/abc\n  languageName: node\n\n\"p@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \
                 \"p@workspace:.\"\n";
    let facts = of("yarn.lock", later);
    assert_eq!(
        seen(&facts),
        ["a 1.2.0 registry  a-1.2.0.tgz", "p 0.0.0-use.local local ."]
    );
    assert_eq!(facts.settings["lockfileVersion"], "8");
    // Yarn's checksums are of archives of its own, and say as well that other bytes came.
    let kinds = |text: &str| -> Vec<FindingKind> {
        let diff = compare(&facts, &of("yarn.lock", text));
        diff.findings.iter().map(|one| one.kind).collect()
    };
    let swapped = later.replace("10c0/abc", "10c0/def");
    assert_eq!(kinds(&swapped), [FindingKind::DigestChanged]);
    assert_eq!(kinds(&later.replace("10c0/abc", "11/def")), []);
    let without = later.replace("  checksum: 10c0/abc\n", "");
    assert_eq!(kinds(&without), [FindingKind::DigestRemoved]);
}

#[test]
fn bun_lock() {
    let text = format!(
        "{{\n  \"lockfileVersion\": 1,\n  \"workspaces\": {{ \"\": {{ \"name\": \"p\", \"dependencies\": {{ \"a\": \"^1\", }}, }}, }},\n  \
         \"packages\": {{\n    \"a\": [\"a@1.0.0\", \"\", {{ \"os\": \"linux\", }}, \"{SRI}\"],\n    \
         \"b/a\": [\"a@2.0.0\", \"https://registry.npm.example/\", {{}}, \"{SRI}\"],\n    \
         \"w\": [\"w@workspace:packages/w\"],\n  }}\n}}\n"
    );
    let facts = of("bun.lock", &text);
    assert_eq!(
        seen(&facts),
        [
            "a 1.0.0 registry  a-1.0.0.tgz sha256",
            "a 2.0.0 registry https://registry.npm.example a-2.0.0.tgz sha256",
            "w - local packages/w"
        ]
    );
    assert!(facts.packages["a"][0].native);
    assert_eq!(facts.requirements[&("p".to_owned(), "a".to_owned())], "^1");
}
