//! Sources that are downloaded: archives and single files, held by their digests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::Standin;
use super::common::{Run as _, Temp, lockwright, run};
use lockwright::core::digest::{Algorithm, Digest};

/// A folder in the place of `https://files.example/`, with an archive, one without a top folder, and a
/// script; and a manifest that has them as sources.
fn served(standin: &Standin) -> String {
    let temp = &standin.temp;
    temp.write("files/tool-1/bin/tool", "#!/bin/sh\necho tool\n");
    temp.write("files/greet.sh", "#!/bin/sh\necho greeted\n");
    let files = temp.join("files");
    let pack = |archive: &str, folder: &str, what: &str| {
        run(
            "tar",
            [
                "-czf",
                files.join(archive).as_str(),
                "-C",
                files.join(folder).as_str(),
                what,
            ],
        );
    };
    pack("tool-1.tar.gz", ".", "tool-1");
    pack("flat.tar.gz", "tool-1", "bin");
    let digest = |name: &str| Digest::of(Algorithm::Sha256, &fs::read(files.join(name)).unwrap());
    format!(
        "[mirrors]\n'https://files.example/' = 'file://{files}/'\n\
         [sources.tool]\nurl = 'https://files.example/tool-1.tar.gz'\ndigest = '{}'\n\
         [sources.flat]\nurl = 'https://files.example/flat.tar.gz'\ndigest = '{}'\nstrip = 0\n\
         [sources.'greet.sh']\nurl = 'https://files.example/greet.sh'\ndigest = '{}'\nunpack = false\nexecutable = true\n\
         [sources.local]\npath = 'uv.lock'\n\
         [component.x]\n\
         copy = [{{ from = '{{source:tool}}', to = 'tool' }}, {{ from = '{{source:flat}}', to = 'flat' }},\n\
         {{ from = '{{source:greet.sh}}', to = 'greet' }}, {{ from = '{{source:local}}', to = 'lock' }}]\n\
         run = [{{ command = ['sh', '-c', '{{source:greet.sh}} >said'] }}]\n",
        digest("tool-1.tar.gz").sri(),
        digest("flat.tar.gz"),
        digest("greet.sh"),
    )
}

#[test]
fn an_archive_and_a_file_are_held_by_their_digests() {
    let standin = Standin::new();
    let manifest = served(&standin);
    standin.temp.write("standin/m.toml", &manifest);
    let first = standin.build(&["--file", "m.toml"]).run().ok();
    assert!(!first.stderr.contains("note:"), "{first}");
    for path in ["tool/bin/tool", "flat/bin/tool", "lock", "greet"] {
        assert!(standin.app().join("out/x").join(path).is_file(), "{path}");
    }
    assert_eq!(standin.read("out/x/said"), "greeted\n");
    let mode = fs::metadata(standin.app().join("out/x/greet")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o755);

    // All of it in one folder, and from there without a network in another store.
    let vendor = standin.temp.join("vendor");
    let fetch = |more: &[&str]| {
        let mut fetch = lockwright(&standin.temp);
        fetch.current_dir(standin.app()).args(["fetch", "m.toml"]);
        fetch
            .args(["--python", super::common::python().as_str()])
            .args(more);
        fetch.run().ok()
    };
    fetch(&["--vendor", vendor.as_str()]);
    let names: Vec<String> = vendor
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    fs::remove_dir_all(standin.temp.join("files")).unwrap();
    let offline = [
        "--offline",
        "--find-links",
        vendor.as_str(),
        "--store",
        "other",
    ];
    let args = [
        &["--file", "m.toml", "--out", "again", "--prefix", "/srv"][..],
        &offline,
    ]
    .concat();
    let again = standin.build(&args).run().ok();
    assert_eq!(Standin::hash(&first, "x"), Standin::hash(&again, "x"));
}

#[test]
fn what_is_not_as_its_digest_says_is_refused() {
    let standin = Standin::new();
    let manifest = served(&standin);
    standin
        .temp
        .write("files/greet.sh", "#!/bin/sh\necho other\n");
    let said = super::refusal(&standin, &manifest, &[]);
    assert!(
        said.contains("source `greet.sh` cannot be obtained"),
        "{said}"
    );
    assert!(said.contains("got sha256:"), "{said}");
    for (wrong, why) in [
        (
            "path = '.'\ndigest = 'sha256-pVQ34cZYX3hlk6hF1aZ/n32xMqTF4Jmp0G0VGDU7iXc='",
            "are only for a `url`",
        ),
        (
            "url = 'https://x.example/a'\nexecutable = true",
            "for a single file",
        ),
        ("url = 'https://x.example/a'\nstrip = 2", "is 0 or 1"),
        (
            "url = 'https://x.example/a'\nunpack = false\nstrip = 1",
            "for an archive",
        ),
    ] {
        let said = super::refusal(&standin, &format!("[sources.s]\n{wrong}\n"), &[]);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_file_without_a_digest_is_said_so() {
    let standin = Standin::new();
    let manifest = served(&standin);
    let lines = manifest.lines().filter(|line| !line.starts_with("digest"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    standin.temp.write("standin/m.toml", text);
    let said = standin.build(&["--file", "m.toml"]).run().ok();
    let notes = said
        .stderr
        .matches("has no digest in the manifest; digest = \"sha256-")
        .count();
    assert_eq!(notes, 3, "{said}");
    assert!(
        Command::new(standin.app().join("out/x/greet"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_manifest_has_what_the_manifests_that_it_includes_have() {
    let temp = Temp::new();
    temp.write("back/files/greeting", "good day\n");
    temp.write(
        "back/to.diff",
        "--- a/greeting\n+++ b/greeting\n@@ -1 +1 @@\n-good day\n+hello\n",
    );
    temp.write(
        "back/shared/lockwright.toml",
        "[sources.words]\npath = \"words\"\n",
    );
    temp.write("back/shared/words/word", "word\n");
    let back = "include = [\"shared\"]\n[sources.files]\npath = \"files\"\n[component.back]\n\
                copy = [{ from = \"files\", to = \".\" }, { from = \"{source:words}\", to = \".\" }]\n\
                patch = [{ diff = \"to.diff\" }]\n";
    temp.write("back/lockwright.toml", back);
    let front = "include = [\"../back\", \"../back/shared/lockwright.toml\"]\n[component.front]\n\
                 copy = [{ from = \"{component:back}/greeting\", to = \"said\" }, \
                 { from = \"{source:files}\", to = \"files\" }]\n";
    temp.write("front/lockwright.toml", front);
    let build = |folder: &str| {
        let mut command = lockwright(&temp);
        command
            .args(["build", "--file"])
            .arg(temp.join(folder).join("lockwright.toml"));
        command.run()
    };
    let alone = build("back").ok();
    let both = build("front").ok();
    // Without a name, a manifest's own are made and those that it includes; each as by itself.
    assert_eq!(Standin::hash(&both, "back"), Standin::hash(&alone, "back"));
    let read = |path: &str| fs::read_to_string(temp.join(path)).unwrap();
    assert_eq!(read("front/out/front/said"), "hello\n");
    assert_eq!(read("front/out/front/files/greeting"), "good day\n");
    assert!(build("front").ok().stderr.contains("front: unchanged"));

    // What is wrong is shown where it stands.
    let refused = |said: &str| {
        let ran = build("front").exit(1);
        assert!(ran.stderr.contains(said), "wanted {said}\n{ran}");
    };
    temp.write("back/to.diff", "nothing\n");
    refused("back/lockwright.toml:6:20");
    temp.write(
        "back/lockwright.toml",
        back.replace("{source:words}", "{source:wods}"),
    );
    refused("back/lockwright.toml:5:49: component `back` refers to {source:wods}");
    temp.write("back/lockwright.toml", format!("{back}[component.front]\n"));
    refused("front/lockwright.toml:1:13: ");
    refused("has a component `front`, and so does a manifest before it");
    temp.write(
        "front/lockwright.toml",
        front.replace("../back\"", "../bak\""),
    );
    refused("bak/lockwright.toml cannot be included: No such file or directory");
    // One that includes what includes it is included once.
    temp.write("front/lockwright.toml", front);
    temp.write(
        "back/lockwright.toml",
        back.replace("[\"shared\"]", "[\"shared\", \"../front\"]"),
    );
    refused("back/lockwright.toml:6:20");
}
