//! scripts/release: what it makes, the same bytes each time, and what judges of each kind say of it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::common::{self, Run as _, Temp};
use super::{
    VERSION, file, other_machine, release, release_of, released, said_version, stand_in, wheel,
};

#[test]
fn it_makes_everything_and_the_same_bytes_each_time() {
    let temp = Temp::new();
    let again = temp.join("again");
    release(&temp, &again);
    let sums = |out: &camino::Utf8Path| fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(released()), sums(&again));
    Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&again)
        .run()
        .ok();
    // Of each machine an archive, a wheel, an image and a package for npm, and the package that chooses.
    assert_eq!(sums(&again).lines().count(), 2 * 4 + 1);

    let refused = |args: &[&str]| {
        let mut release = Command::new(common::project().join("scripts/release"));
        release.args(args).run().stderr
    };
    let said = refused(&["--out", again.as_str()]);
    assert!(
        said.contains("is there already: give a new folder"),
        "{said}"
    );
    let new = temp.join("new");
    let said = refused(&["--out", new.as_str(), "--program", "x=/bin/true"]);
    assert!(
        said.contains("is not TRIPLE=FILE") && !new.exists(),
        "{said}"
    );
}

#[test]
fn the_archive_has_what_a_packager_looks_for() {
    let temp = Temp::new();
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let folder = format!("lockwright-{VERSION}-{triple}");
    let archive = file(&folder, ".tar.gz");
    let to = ["-C", temp.path().as_str()];
    common::run("tar", ["-xzf", archive.as_str()].into_iter().chain(to));
    let unpacked = temp.join(&folder);
    let program = unpacked.join("lockwright");
    assert_eq!(common::run(&program, ["--version"]), said_version());
    for file in [
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "README.md",
        "CHANGELOG.md",
        "man/man1/lockwright.1",
        "completions/lockwright.bash",
        "completions/_lockwright",
        "completions/lockwright.fish",
    ] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    // The licences of what is compiled in are there in full.
    let others = fs::read_to_string(unpacked.join("THIRD-PARTY-LICENSES")).unwrap();
    assert!(others.contains("\nrustls ") && others.contains("Copyright"));
    assert!(!others.contains("\nproptest "));
    // CycloneDX's own validator, and what it cannot know: what is in Cargo.lock, and nothing that only tests need.
    let bill = unpacked.join("sbom.cdx.json");
    let validate = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()) or '') or None)";
    common::run(common::validators(), ["-c", validate, bill.as_str()]);
    let bill = fs::read_to_string(bill).unwrap();
    assert!(bill.contains("\"pkg:cargo/rustls@"));
    assert!(!bill.contains("\"pkg:cargo/proptest@") && !bill.contains(common::project().as_str()));
}

#[test]
fn cargo_binstall_is_told_the_names_that_archives_have() {
    let cargo = fs::read_to_string(common::project().join("Cargo.toml")).unwrap();
    let cargo: toml::Table = cargo.parse().unwrap();
    let told = &cargo["package"]["metadata"]["binstall"];
    let mut seen = 0;
    for machine in [std::env::consts::ARCH, other_machine().0] {
        let triple = format!("{machine}-unknown-linux-musl");
        let filled = |name: &str| {
            let text = told[name].as_str().unwrap();
            let values = [
                ("{ version }", VERSION),
                ("{ target }", &triple),
                ("{ bin }", "lockwright"),
                ("{ binary-ext }", ""),
            ];
            let fill = |text: String, (name, value): (&str, &str)| text.replace(name, value);
            values.into_iter().fold(text.to_owned(), fill)
        };
        let url = filled("pkg-url");
        let archive = released().join(url.rsplit('/').next().unwrap());
        let members = common::run("tar", ["-tzf", archive.as_str()]);
        let program = filled("bin-dir");
        assert!(
            members.lines().any(|member| member == program),
            "{program} in {members}"
        );
        seen += 1;
    }
    assert_eq!((told["pkg-fmt"].as_str(), seen), (Some("tgz"), 2));
}

#[test]
fn auditwheel_agrees_with_the_wheels_name() {
    let judged = |wheel: &camino::Utf8Path| {
        let auditwheel = ["-m", "auditwheel", "show", wheel.as_str()];
        common::run(common::packagers(), auditwheel)
    };
    // Static, it runs even where the oldest of them does.
    let said = judged(&wheel());
    assert!(
        said.contains("requires no external shared libraries"),
        "{said}"
    );
    assert!(said.contains("manylinux_2_5_"), "{said}");
    let name = wheel().file_name().unwrap().to_owned();
    assert!(
        name.contains("manylinux_2_17") && name.contains("musllinux_1_1"),
        "{name}"
    );

    // Of a program that needs glibc the names say which, as auditwheel finds it; and it fills no image.
    let temp = Temp::new();
    let machine = std::env::consts::ARCH;
    let target = format!("{machine}-unknown-linux-gnu");
    let out = temp.join("out");
    let ran = release_of(&out, &[(target, stand_in(&temp, "needs", &[]))]);
    assert!(
        ran.stderr.contains("needs glibc: there is no image of it"),
        "{ran}"
    );
    let names = out.read_dir_utf8().unwrap();
    let mut names = names.map(|entry| entry.unwrap().into_path());
    let wheel = names.find(|path| path.extension() == Some("whl")).unwrap();
    let said = judged(&wheel);
    let tag = said.split("platform tag:").nth(1).unwrap();
    let tag = tag.split('"').nth(1).unwrap();
    let name = wheel.file_name().unwrap();
    assert!(
        name.contains(tag) && !name.contains("musllinux"),
        "{tag} in {name}"
    );
    let npm = out.read_dir_utf8().unwrap();
    assert!(
        npm.flatten()
            .all(|entry| !entry.file_name().contains(".oci."))
    );
}

#[test]
fn the_image_holds_the_program_and_starts_it() {
    let temp = Temp::new();
    let arch = |machine| match machine {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let of = |machine| file("lockwright-", &format!("linux-{}.oci.tar", arch(machine)));
    for machine in [std::env::consts::ARCH, other_machine().0] {
        let image = format!("oci-archive:{}", of(machine));
        let said = common::run(common::on_path("skopeo"), ["inspect", "--config", &image]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["architecture"], arch(machine));
        assert_eq!(
            said["config"]["Entrypoint"],
            serde_json::json!(["/lockwright"])
        );
        let labels = &said["config"]["Labels"];
        assert_eq!(labels["org.opencontainers.image.version"], VERSION);
    }
    let layout = temp.join("layout");
    let from = format!("oci-archive:{}", of(std::env::consts::ARCH));
    let to = format!("oci:{layout}:it");
    common::run(common::on_path("skopeo"), ["copy", "--quiet", &from, &to]);
    let bundle = temp.join("bundle");
    let unpack = [
        "unpack",
        "--image",
        &format!("{layout}:it"),
        bundle.as_str(),
    ];
    common::run(common::on_path("umoci"), unpack);
    let root = bundle.join("rootfs");
    let names: Vec<_> = root.read_dir_utf8().unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        root.join("usr/share/licenses/lockwright/LICENSE-MIT")
            .is_file()
    );
    assert!(
        root.join("usr/share/licenses/lockwright/sbom.cdx.json")
            .is_file()
    );
    // The stand-in starts what was just built, which has to be found there with its libraries.
    let built = env!("CARGO_BIN_EXE_lockwright");
    let mut start = Command::new(common::on_path("bwrap"));
    start.args(["--unshare-all", "--bind", root.as_str(), "/"]);
    for path in [built, "/lib", "/lib64", "/usr/lib"] {
        start.args(["--ro-bind-try", path, path]);
    }
    let ran = start.args(["/lockwright", "--version"]).run().ok();
    assert_eq!(ran.stdout, said_version());
}
