//! Known vulnerabilities, as OSV tells them.

use super::*;

/// An advisory in the OSV format.
fn advisory(id: &str, ecosystem: &str, name: &str, fixed: &str) -> String {
    json!({
        "id": id, "summary": format!("{name} does what it should not"), "aliases": [format!("CVE-{id}")],
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0.5"}, {"fixed": fixed}]}]}],
        "database_specific": {"severity": "HIGH"}, "modified": "2026-01-01T00:00:00Z",
    })
    .to_string()
}

#[test]
fn known_vulnerabilities_come_from_a_folder_an_archive_or_a_server() {
    let temp = Temp::new();
    let server = Server::new();
    for name in ["a", "b"] {
        page(&server, name, &[wheel(name)], &[]);
    }
    let new = format!("{HEAD}{}{}", entry("a", ""), entry("b", ""));
    let old = new
        .replace("version = \"1.0\"", "version = \"0.4\"")
        .replace("-1.0-", "-0.4-");
    let (old, new) = (
        temp.write("old/uv.lock", old),
        temp.write("new/uv.lock", new),
    );
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (id, name, fixed) in [
        ("GHSA-1", "A", "1.1"),
        ("MAL-2", "b", "2.0"),
        ("GHSA-3", "c", "9"),
    ] {
        let text = advisory(id, "PyPI", name, fixed);
        temp.write(&format!("osv/PyPI/{id}.json"), &text);
        zip.start_file(
            format!("{id}.json"),
            zip::write::SimpleFileOptions::default(),
        )
        .unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
        server.put(
            &format!("/osv/v1/vulns/{}", id.replace('-', "%2D")),
            text.clone(),
        );
        server.put(&format!("/osv/v1/vulns/{id}"), text);
    }
    temp.write("osv/npm/GHSA-4.json", advisory("GHSA-4", "npm", "a", "9"));
    let archive = temp.write("all.zip", zip.finish().unwrap().into_inner());
    let batch = {
        let one = |id: &str| json!({"vulns": [{"id": id, "modified": "2026-01-01T00:00:00Z"}]});
        json!({"results": [one("GHSA-1"), one("MAL-2")]})
    };
    server.put("/osv/v1/querybatch", batch.to_string());
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let (folder, api) = (temp.join("osv"), server.url("/osv"));
    // uv says the same of the same answers.
    let project = "[project]\nname = \"p\"\nversion = \"0\"\nrequires-python = \">=3.12\"\ndependencies = [\"a\", \"b\"]\n";
    temp.write("uv/pyproject.toml", project);
    let own = "\n[[package]]\nname = \"p\"\nversion = \"0\"\nsource = { virtual = \".\" }\n\
               dependencies = [{ name = \"a\" }, { name = \"b\" }]\n[package.metadata]\n\
               requires-dist = [{ name = \"a\" }, { name = \"b\" }]\n";
    temp.write("uv/uv.lock", std::fs::read_to_string(&new).unwrap() + own);
    let theirs = std::process::Command::new(common::uv())
        .args(["audit", "--frozen", "--output-format", "json"])
        .args(["--service-url", &format!("{api}/"), "--no-cache"])
        .current_dir(temp.join("uv"))
        .run()
        .json();
    let theirs: Vec<(&str, &str, &Value)> = (theirs["vulnerabilities"].as_array().unwrap().iter())
        .map(|one| {
            let name = one["dependency"]["name"].as_str().unwrap();
            (name, one["id"].as_str().unwrap(), &one["fix_versions"])
        })
        .collect();
    let fixed = [json!(["1.1"]), json!(["2.0"])];
    assert_eq!(
        theirs,
        [("a", "GHSA-1", &fixed[0]), ("b", "MAL-2", &fixed[1])]
    );
    for place in [folder.as_str(), archive.as_str(), &api] {
        let ran = audit(
            &temp,
            &new,
            &["--json", "--mirror", &mirror, "--osv", place],
        )
        .exit(1);
        assert_eq!(
            found(&ran),
            ["alarm vulnerable b 1.0", "warning vulnerable a 1.0"],
            "{ran}"
        );
        assert_eq!(
            ran.json()["advisories"][0]["fixed-in"],
            json!(["1.1"]),
            "{ran}"
        );
    }
    let diff = |old: &Utf8PathBuf, new: &Utf8PathBuf| {
        common::lockwright(&temp)
            .args([
                "diff",
                old.as_str(),
                new.as_str(),
                "--json",
                "--osv",
                folder.as_str(),
                "--as-of",
                DAY,
            ])
            .run()
            .ok()
    };
    let of_osv = |ran: &Ran| -> Vec<String> {
        let is = |line: &String| line.contains("introduces") || line.contains("fixes");
        found(ran).into_iter().filter(is).collect()
    };
    let bump = diff(&old, &new);
    assert_eq!(
        of_osv(&bump),
        ["alarm introduces b 1.0", "warning introduces a 1.0"],
        "{bump}"
    );
    let back = diff(&new, &old);
    assert_eq!(
        of_osv(&back),
        ["note fixes a 0.4", "note fixes b 0.4"],
        "{back}"
    );
    // What the project bears is listed, and no finding, until its day.
    let ignore = |until: &str| {
        temp.write(
            "new/lockwright.toml",
            format!("[[review.ignore]]\nid = \"CVE-GHSA-1\"\nreason = \"not reached\"\nuntil = \"{until}\"\n"),
        );
        audit(
            &temp,
            &new,
            &["--json", "--mirror", &mirror, "--osv", folder.as_str()],
        )
        .exit(1)
    };
    let borne = ignore("2026-12-31");
    assert_eq!(found(&borne), ["alarm vulnerable b 1.0"], "{borne}");
    assert_eq!(borne.json()["advisories"][0]["ignored"], "not reached");
    let over = ignore("2026-01-31");
    assert!(
        found(&over).contains(&"warning ignore-over a".to_owned()),
        "{over}"
    );
}
