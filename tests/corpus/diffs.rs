//! Patches, as they come with packages.

use lockwright::transform::patch::unified::{apply, parse};

use super::Row;

const FILE: &str = "one\ntwo\nthree\n";

fn judged(patch: &str) -> Result<String, String> {
    let patches = parse(patch.as_bytes(), 1).map_err(|error| error.to_string())?;
    let changes = apply(&patches, 0, |path| {
        Ok((path.as_str() == "file").then(|| FILE.as_bytes().to_vec()))
    });
    let changes = changes.map_err(|error| error.to_string())?;
    Ok(format!("nothing but {} file as it was", changes.len()))
}

pub fn rows() -> Vec<Row> {
    let hunk = "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
    let named = |old: &str, new: &str| format!("--- {old}\n+++ {new}\n{hunk}");
    [
        ("a name that leads up", "CVE-2010-4651, CVE-2026-50015", named("a/../../planted", "b/../../planted")),
        ("an absolute name", "CVE-2010-4651", named("/etc/passwd", "/etc/passwd")),
        ("no name that is left", "", named("file", "file")),
        ("a rename that leads up", "CVE-2015-1395", "diff --git a/file b/../../planted\nsimilarity index 100%\nrename from file\nrename to ../../planted\n".into()),
        ("a link that is made", "CVE-2015-1196", "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n".into()),
        ("a binary patch", "", "diff --git a/file b/file\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZ\n\n".into()),
        ("a script for ed", "CVE-2018-20969, CVE-2019-13638", "--- a/file\n+++ b/file\n1d\n!touch planted\nw\nq\n".into()),
        ("fewer lines than it says", "", format!("--- a/file\n+++ b/file\n{}", hunk.replace("-1,3", "-1,9"))),
        ("a line number that is none", "", "--- a/file\n+++ b/file\n@@ -99999999999999999999,1 +1 @@\n-a\n+b\n".into()),
        ("a line that is of no kind", "", "--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n one\n?two\n three\n".into()),
        ("hunks that overlap", "", format!("--- a/file\n+++ b/file\n{hunk}{hunk}")),
        ("another text than the file's", "", format!("--- a/file\n+++ b/file\n{}", hunk.replace("two", "six"))),
        ("a file that is not there", "", named("a/absent", "b/absent")),
        ("a new file that is there", "", "--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+x\n".into()),
        ("nothing to do", "", "just words\n".into()),
        ("a name with a NUL", "", "--- a/fi\0le\n+++ b/fi\0le\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n".into()),
        ("a mode that is none", "", "diff --git a/file b/file\nold mode 100644\nnew mode 104755\n".into()),
    ]
    .map(|(case, known, patch)| Row {
        format: "patch",
        case: case.to_owned(),
        known,
        said: judged(&patch),
        files: vec![
            ("file".to_owned(), FILE.into()),
            ("a.patch".to_owned(), patch.into()),
        ],
    })
    .into()
}
