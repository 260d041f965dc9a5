//! Source archives from strangers. Each is refused by name, and leaves nothing.

use std::io::Write;

use super::*;
use lockwright::core::digest::{Algorithm, Digest};
use tar::{Builder, EntryType, Header};

/// An archive of these members: path, kind, target or contents.
fn tar_of(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(0);
        // As a hostile tool writes it: nothing is checked.
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_gnu_mut().unwrap().linkname[..text.len()].copy_from_slice(text.as_bytes());
        } else {
            header.set_size(text.len() as u64);
        }
        header.set_cksum();
        tar.append(&header, if is_link { &b""[..] } else { text.as_bytes() })
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// What is said of a project whose sdist has these bytes.
fn refused(file: &str, bytes: &[u8]) -> String {
    let temp = Temp::new();
    temp.write(&format!("dist/{file}"), bytes);
    let digest = Digest::of(Algorithm::Sha256, bytes).hex();
    temp.write(
        "app/uv.lock",
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"pure\" }}]\n\n[[package]]\nname = \"pure\"\n\
             version = \"1.0\"\nsource = {{ registry = \"../dist\" }}\nsdist = {{ path = \"{file}\", hash = \"sha256:{digest}\" }}\n"
        ),
    );
    let ran = sync(&temp, &[]).exit(1);
    assert!(is_empty(&temp.join("tmp")), "something was left");
    assert!(!temp.join("app/.venv").exists());
    assert!(!temp.join("planted").exists() && !Utf8Path::new("/tmp/planted").exists());
    let said = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("Building"));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_leads_outside_is_refused_by_name() {
    let file = EntryType::Regular;
    let mut all = String::new();
    for (what, members) in [
        (
            "above",
            vec![("pure-1.0/../../../../tmp/planted", file, "x")],
        ),
        ("absolute", vec![("/tmp/planted", file, "x")]),
        (
            "link out",
            vec![
                ("pure-1.0/out", EntryType::Symlink, "../../../../tmp"),
                ("pure-1.0/out/planted", file, "x"),
            ],
        ),
        (
            "absolute link",
            vec![("pure-1.0/out", EntryType::Symlink, "/tmp")],
        ),
        (
            "through a link",
            vec![
                ("pure-1.0/in", EntryType::Symlink, "."),
                ("pure-1.0/in/planted", file, "x"),
            ],
        ),
        (
            "hard link out",
            vec![("pure-1.0/passwd", EntryType::Link, "/etc/passwd")],
        ),
        ("device", vec![("pure-1.0/null", EntryType::Char, "")]),
        ("pipe", vec![("pure-1.0/pipe", EntryType::Fifo, "")]),
        (
            "two tops",
            vec![
                ("pure-1.0/setup.py", file, "x"),
                ("other/setup.py", file, "x"),
            ],
        ),
        ("no top", vec![("setup.py", file, "x")]),
        (
            "twice",
            vec![
                ("pure-1.0/setup.py", file, "x"),
                ("pure-1.0/setup.py", file, "y"),
            ],
        ),
        ("nothing", vec![]),
    ] {
        let bytes = common::sources::gzip(&tar_of(&members));
        all.push_str(&format!("{what}: {}\n", refused("pure-1.0.tar.gz", &bytes)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn absurd_sizes_and_unknown_kinds_are_refused() {
    let mut all = String::new();
    // 256 MiB of nothing in 256 KiB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = Header::new_gnu();
    header.set_path("pure-1.0/zeros").unwrap();
    header.set_size(256 << 20);
    header.set_mode(0o644);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    for _ in 0..256 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let said = refused("pure-1.0.tar.gz", &bomb).replace(&bomb.len().to_string(), "[PACKED]");
    all.push_str(&format!("bomb: {said}\n"));
    let plain = tar_of(&[("pure-1.0/setup.py", EntryType::Regular, "x")]);
    for (what, file, bytes) in [
        (
            "damaged",
            "pure-1.0.tar.gz",
            common::sources::gzip(&plain)[..60].to_vec(),
        ),
        ("text", "pure-1.0.tar.gz", b"not an archive".to_vec()),
        ("empty", "pure-1.0.zip", Vec::new()),
        ("compress", "pure-1.0.tar.gz", vec![0x1f, 0x9d, 0x90, 0]),
    ] {
        all.push_str(&format!("{what}: {}\n", refused(file, &bytes)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_a_build_leaves_is_not_followed() {
    let temp = Temp::new();
    temp.write("secret", "SECRET OF THE MACHINE");
    let secret = temp.join("secret");
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    for (what, leave) in [
        (
            "log",
            format!(
                "os.symlink('{secret}', '/build/log'); os.symlink('{secret}', '/build/job.json'); sys.exit('failed')"
            ),
        ),
        (
            "answer",
            "sys.stdout.flush(); os.mkfifo('/build/answer.json'); os._exit(0)".to_owned(),
        ),
        (
            "endless answer",
            "os.symlink('/dev/zero', '/build/answer.json'); os._exit(0)".to_owned(),
        ),
        (
            "out",
            format!(
                "os.rmdir('/build/out'); os.symlink('{}', '/build/out'); open('/build/answer.json', 'w').write('{{\"requires\": [], \"wheel\": \"secret\"}}'); os._exit(0)",
                temp.path()
            ),
        ),
    ] {
        pure_sdist(&temp, &format!("import os, sys\n{leave}"));
        let ran = sync(&temp, &["--build-lock", lock.as_str(), "--sandbox=require"]).exit(1);
        assert!(!ran.stderr.contains("SECRET"), "{what}: {ran}");
        assert!(is_empty(&temp.join("tmp")), "{what}");
    }
}

#[test]
fn endless_words_of_a_build_are_bounded_and_harmless() {
    let temp = Temp::new();
    let said = "import sys\nfor _ in range(3000): sys.stdout.write('x' * 100000 + '\\n')\nsys.exit('\\033]0;title\\007\\033[31mred' + 'y' * 5000)";
    pure_sdist(&temp, said);
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    assert!(
        ran.stderr.len() < 20_000 && !ran.stderr.contains('\u{1b}'),
        "{}",
        ran.stderr.len()
    );
    assert!(ran.stderr.contains("red"), "{}", ran.stderr.len());
    let kept = temp.join("store/logs/pure-1.0.log");
    let kept = std::fs::read(kept).unwrap();
    let text = String::from_utf8_lossy(&kept);
    assert!(
        kept.len() < 8 << 20 && text.contains("bytes are left out here"),
        "{}",
        kept.len()
    );
}
