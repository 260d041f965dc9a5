use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn run(patch: &str, files: &[(&str, &str)], fuzz: usize) -> Result<Vec<Change>, UnifiedError> {
    let files: HashMap<&str, &str> = files.iter().copied().collect();
    apply(&parse(patch.as_bytes(), 1)?, fuzz, |path| {
        Ok(files
            .get(path.as_str())
            .map(|text| text.as_bytes().to_vec()))
    })
}

fn text(change: &Change) -> &str {
    std::str::from_utf8(change.bytes.as_deref().unwrap()).unwrap()
}

const PATCH: &str = "\
talk
diff --git a/f b/f
index 1..2 100644
--- a/f
+++ b/f
@@ -1,3 +1,3 @@ def
 a
-b
+B
 c
";

#[test]
fn lines_match_to_the_byte_and_a_moved_place_is_told() {
    let done = run(PATCH, &[("f", "a\nb\nc\n")], 0).unwrap();
    assert_eq!(text(&done[0]), "a\nB\nc\n");
    assert_eq!(done[0].notes, []);
    let done = run(PATCH, &[("f", "x\ny\na\nb\nc\n")], 0).unwrap();
    assert_eq!(text(&done[0]), "x\ny\na\nB\nc\n");
    assert_eq!(
        done[0].notes[0].to_string(),
        "hunk 1 applied 2 lines further down"
    );
}

#[test]
fn context_may_differ_only_with_fuzz_and_that_is_told() {
    let files = [("f", "A\nb\nc\n")];
    assert!(run(PATCH, &files, 0).is_err());
    let done = run(PATCH, &files, 1).unwrap();
    assert_eq!(text(&done[0]), "A\nB\nc\n");
    assert_eq!(
        done[0].notes[0].to_string(),
        "hunk 1 applied in its place, with fuzz 1"
    );
}

#[test]
fn files_are_made_removed_renamed_and_patched_twice() {
    let patch = "\
diff --git a/new b/new
new file mode 100755
index 0000000..2
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+x
\\ No newline at end of file
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-y
diff --git a/from b/to
similarity index 100%
rename from from
rename to to
diff --git a/mode b/mode
old mode 100644
new mode 100755
diff --git a/empty b/empty
new file mode 100644
index 0000000..e69de29
diff --git a/to b/to
--- a/to
+++ b/to
@@ -1 +1 @@
-z
+Z
";
    let done = run(patch, &[("gone", "y\n"), ("from", "z\n"), ("mode", "m")], 0).unwrap();
    let told: Vec<String> = done
        .iter()
        .map(|change| {
            let bytes = change
                .bytes
                .as_ref()
                .map(|bytes| String::from_utf8_lossy(bytes));
            format!(
                "{} {bytes:?} {:?} {:?}",
                change.path, change.executable, change.from
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    empty Some("") Some(false) None
    from None None Some("from")
    gone None None None
    mode Some("m") Some(true) None
    new Some("x") Some(true) None
    to Some("Z\n") None Some("from")
    "#);
}

#[test]
fn what_does_not_apply_is_said_with_its_place() {
    let one = |path: &str| {
        PATCH
            .replace("a/f", &format!("a/{path}"))
            .replace("b/f", &format!("b/{path}"))
    };
    let errors: Vec<String> = [
        run("talk\n", &[], 0),
        run(PATCH, &[], 0),
        run(PATCH, &[("f", "a\nB\nc\n")], 0),
        run(PATCH, &[("f", "a\r\nb\r\nc\r\n")], 0),
        run(PATCH, &[("f", "a\nx\nc\n")], 0),
        run(PATCH, &[("f", "")], 0),
        run(&one("../../etc/passwd"), &[], 0),
        run(
            "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
            &[("f", "x\n")],
            0,
        ),
        run(
            "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
            &[("f", "x\ny\n")],
            0,
        ),
        run(
            "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-x\n",
            &[("f", "x\n")],
            0,
        ),
        run("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n?\n", &[("f", "x\n")], 0),
        run("diff --git a/l b/l\nnew file mode 120000\n", &[], 0),
        run("diff --git a/l b/l\nGIT binary patch\n", &[], 0),
    ]
    .into_iter()
    .map(|result| result.unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn names_with_odd_characters_are_read_as_git_writes_them() {
    let patch = "--- \"a/caf\\303\\251 \\\"x\\\"\"\n+++ \"b/caf\\303\\251 \\\"x\\\"\"\n@@ -1 +1 @@\n-x\n+y\n";
    assert_eq!(
        text(&run(patch, &[("café \"x\"", "x\n")], 0).unwrap()[0]),
        "y\n"
    );
    let patch = "--- f.orig\t2026-01-01\n+++ f\t2026-01-01\n@@ -1 +1 @@\n-x\n+y\n";
    let files = parse(patch.as_bytes(), 0).unwrap();
    let read = |path: &TreePath| Ok((path.as_str() == "f").then(|| b"x\n".to_vec()));
    assert_eq!(apply(&files, 0, read).unwrap()[0].path.as_str(), "f");
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![Just("a"), Just("b"), Just("c"), Just(""), Just("d\r")];
    (proptest::collection::vec(line, 0..25), any::<bool>()).prop_map(|(lines, ends)| {
        let mut text = lines.join("\n");
        if ends && !text.is_empty() {
            text.push('\n');
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What `diff -u` says of two texts makes the one the other.
    #[test]
    fn as_diff_has_it(old in lines(), new in lines(), context in 0usize..4) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("old", &old), ("new", &new)] {
            std::fs::File::create(dir.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let diff = Command::new("diff")
            .args(["--label", "a/f", "--label", "b/f", &format!("-U{context}"), "old", "new"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        if old != new {
            let patch = String::from_utf8(diff.stdout).unwrap();
            let done = run(&patch, &[("f", &old)], 0).unwrap();
            prop_assert_eq!(text(&done[0]), new);
            prop_assert_eq!(&done[0].notes, &[]);
        }
    }

    #[test]
    fn no_patch_makes_it_stumble(patch in "(--- a/f\n|\\+\\+\\+ b/f\n|@@ -[0-9],[0-9] \\+1 @@\n|[-+ \\\\]x?\n|diff --git a/f b/f\n|\"){0,12}", old in "[x\n]{0,6}") {
        let _ = run(&patch, &[("f", &old)], 2);
    }
}

/// Every line is like every other, so that each place looks right to the last line of the hunk.
#[test]
fn a_long_hunk_is_not_held_against_every_place() {
    let file = "a\n".repeat(300_000);
    let text = format!(
        "--- a/f\n+++ b/f\n@@ -1,100001 +1,100002 @@\n{}+c\n b\n",
        " a\n".repeat(100_000)
    );
    let patches = parse(text.as_bytes(), 1).unwrap();
    let read = |_: &TreePath| Ok(Some(file.clone().into_bytes()));
    let error = apply(&patches, 0, read).unwrap_err().to_string();
    assert!(error.contains("there should be `b`"), "{error}");
}

proptest::proptest! {
    /// The nearest place, the later of two as near: as each place tried from there outwards.
    #[test]
    fn lines_are_found_where_each_place_tried_finds_them(
        lines in "[ab]{0,12}", old in "[ab]{0,4}", wanted in 0_usize..14, from in 0_usize..13,
    ) {
        let split = |text: &'static str| text.as_bytes().chunks(1).collect::<Vec<_>>();
        let (lines, old) = (split(lines.leak()), split(old.leak()));
        let wanted = wanted.max(from);
        let is_at = |at: &usize| *at >= from && lines.get(*at..*at + old.len()) == Some(&*old);
        let tried = (0..=lines.len() + wanted).find_map(|distance| {
            let up = || wanted.checked_sub(distance).filter(is_at);
            Some(wanted + distance).filter(is_at).or_else(up)
        });
        let tried = tried.filter(|at| !old.is_empty() || *at == wanted);
        proptest::prop_assert_eq!(place(&lines, &old, wanted, from, &mut { EFFORT }), tried);
    }
}
