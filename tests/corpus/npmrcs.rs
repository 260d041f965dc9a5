//! `.npmrc` files of projects: what a checkout may say to whoever installs from it.

use super::Row;
use super::common::{Run as _, Temp, lockwright};

const LOCK: &str = r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {
"": {"name": "app", "version": "1.0.0", "dependencies": {"x": "1.0.0"}},
"node_modules/x": {"version": "1.0.0", "integrity": "sha512-HASH=="}}}"#;

fn judged(npmrc: &[u8]) -> Result<String, String> {
    let temp = Temp::new();
    temp.write("package.json", super::texts::ABOUT);
    temp.write("package-lock.json", LOCK.replace("HASH", &"A".repeat(86)));
    temp.write(".npmrc", npmrc);
    // Nothing answers at that port.
    let ran = lockwright(&temp)
        .args(["fetch", "package-lock.json", "--retries=0", "--timeout=2"])
        .env("SECRET", "hunter2")
        .run();
    assert!(!temp.join("planted").exists());
    let said = ran.stderr.replace(temp.path().as_str(), "");
    let said = said.replace("hunter2", "[SECRET]");
    match ran.code {
        0 => Ok(ran.stdout),
        _ => {
            let line = said.lines().find_map(|line| line.strip_prefix("error: "));
            let line = line.unwrap_or(&said);
            // What a machine without that name says differs between machines.
            let line = line
                .split(": client error (Connect): dns error")
                .next()
                .unwrap_or(line);
            match line.split_once(": client error (Connect): tcp connect error") {
                Some((asked, _)) => {
                    Ok(asked.replace("x could not be fetched from", "x is asked for at"))
                }
                None => Err(line.to_owned()),
            }
        }
    }
}

pub fn rows() -> Vec<Row> {
    let own = "registry=http://127.0.0.1:9/\n";
    let also = |line: &str| format!("{own}{line}\n").into_bytes();
    let many: String = (0..100_000).map(|n| format!("key{n}=value\n")).collect();
    [
        (
            "a registry that is a file",
            "",
            b"registry=file:///etc/\n".to_vec(),
        ),
        (
            "a registry that is a command",
            "",
            b"registry=ext::sh -c touch% planted\n".to_vec(),
        ),
        (
            "a registry of a protocol that nobody knows",
            "",
            b"registry=gopher://registry.example/\n".to_vec(),
        ),
        (
            "a registry that is none",
            "",
            b"registry=https://[/\n".to_vec(),
        ),
        (
            "an escape sequence in a registry",
            "",
            b"registry=http://127.0.0.1:9/\x1b[2J/\n".to_vec(),
        ),
        (
            "a variable that is not there",
            "",
            b"registry=http://127.0.0.1:9/${NOT_THERE}/\n".to_vec(),
        ),
        (
            "a variable of yours in the registry",
            "CVE-2026-55180",
            b"registry=http://127.0.0.1:9/${SECRET}/\n".to_vec(),
        ),
        (
            "a program that tells a token",
            "CVE-2025-69262",
            also("//127.0.0.1:9/:tokenHelper=/c/plant"),
        ),
        ("a program in the place of git", "", also("git=/c/plant")),
        ("a shell for scripts", "", also("script-shell=/c/plant")),
        (
            "a module that is loaded before",
            "",
            also("node-options=--require /c/plant.js"),
        ),
        ("authorities that are none", "", also("ca=planted")),
        (
            "authorities in a file that has none",
            "",
            also("cafile=/etc/passwd"),
        ),
        ("a proxy that is none", "", also("https-proxy=http://[")),
        (
            "a proxy that is a file",
            "",
            also("https-proxy=file:///etc/passwd"),
        ),
        ("an address that is none", "", also("local-address=planted")),
        (
            "a word that a guard does not know",
            "",
            also("allow-git=perhaps"),
        ),
        ("another tree", "", also("install-strategy=linked")),
        ("another place", "", also("prefix=/c/planted\nglobal=true")),
        (
            "other settings elsewhere",
            "",
            also("userconfig=/c/planted\nglobalconfig=/c/planted"),
        ),
        (
            "a setting that is no text",
            "",
            [own.as_bytes(), b"omit=\xff\n"].concat(),
        ),
        ("a hundred thousand settings", "", also(&many)),
    ]
    .map(|(case, known, npmrc)| Row {
        format: ".npmrc",
        case: case.to_owned(),
        known,
        said: judged(&npmrc),
        files: vec![
            (".npmrc".to_owned(), npmrc),
            (
                "package-lock.json".to_owned(),
                LOCK.replace("HASH", &"A".repeat(86)).into(),
            ),
            ("package.json".to_owned(), super::texts::ABOUT.into()),
        ],
    })
    .into()
}
