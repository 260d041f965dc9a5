//! `lockwright elf` on files that a linker made: they are loaded by the real ld.so, read by patchelf, readelf and
//! eu-elflint, and stripped. The museum of patchelf's corruptions, as far as it takes a linker or a process to show
//! it; the rest of it is beside the writer, in `src/transform/elf/write_tests.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Run as _, Temp, lockwright, patchelf};

const LIBRARY: &str = "#include <stdlib.h>\n\
    static int one(void) { return 1; }\n\
    static int two(void) { return 2; }\n\
    int (*table[])(void) = { one, two, one };\n\
    int zeros[5000];\n\
    int answer(void) { zeros[atoi(\"7\")] = 38; return table[0]() + table[1]() + table[2]() + zeros[7]; }\n";

const PROGRAM: &str = "#include <stdio.h>\n\
    int answer(void);\n\
    __thread int local = 5;\n\
    int main(void) { printf(\"%d %d\\n\", answer(), local); return 0; }\n";

/// A folder with `lib/libanswer.so.1` and `bin/ask`, which needs it and has no RUNPATH.
fn tree(temp: &Temp, flags: &[&str]) -> Utf8PathBuf {
    let tree = temp.join("tree");
    for folder in ["lib", "bin"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    let (library, program) = (
        temp.write("answer.c", LIBRARY),
        temp.write("ask.c", PROGRAM),
    );
    let made = tree.join("lib/libanswer.so.1");
    cc().args(["-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", "-o"])
        .args([&made, &library])
        .args(flags.iter().filter(|flag| **flag != "-no-pie"))
        .run()
        .ok();
    cc().arg("-o")
        .args([&tree.join("bin/ask"), &program, &made])
        .args(flags)
        .run()
        .ok();
    tree
}

fn cc() -> Command {
    Command::new(common::on_path("cc"))
}

fn patch(temp: &Temp, args: &[&str]) -> common::Ran {
    lockwright(temp).args(["elf", "patch"]).args(args).run()
}

fn asks(tree: &Utf8Path) {
    let ran = Command::new(tree.join("bin/ask"))
        .env("LD_BIND_NOW", "1")
        .run()
        .ok();
    assert_eq!(ran.stdout, "42 5\n");
}

/// What eu-elflint finds, without the numbers.
fn faults(path: &Utf8Path) -> Vec<String> {
    let ran = Command::new(common::on_path("eu-elflint"))
        .arg("--gnu-ld")
        .arg(path)
        .run();
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    lines
        .filter(|line| *line != "No errors")
        .map(str::to_owned)
        .collect()
}

fn rpath_by_patchelf(path: &Utf8Path) -> String {
    let ran = Command::new(patchelf())
        .args(["--print-rpath", path.as_str()])
        .run()
        .ok();
    ran.stdout.trim_end().to_owned()
}

fn long() -> String {
    format!("/opt/{}:$ORIGIN/../lib", "long/".repeat(60))
}

#[test]
fn a_tree_finds_its_own_libraries_wherever_it_is_moved() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    assert_ne!(Command::new(tree.join("bin/ask")).run().code, 0);
    let ran = patch(&temp, &[tree.as_str()]).ok();
    assert!(ran.stdout.contains("1 patched, 1 right already"), "{ran}");
    assert_eq!(rpath_by_patchelf(&tree.join("bin/ask")), "$ORIGIN/../lib");
    let moved = temp.join("moved");
    fs::rename(tree, &moved).unwrap();
    asks(&moved);
    let again = patch(&temp, &[moved.as_str()]).ok();
    assert!(
        again.stdout.contains("0 patched, 2 right already"),
        "{again}"
    );
}

#[test]
fn libraries_outside_the_tree_are_named_by_their_path() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let private = temp.join("private");
    fs::create_dir(&private).unwrap();
    fs::rename(
        tree.join("lib/libanswer.so.1"),
        private.join("libanswer.so.1"),
    )
    .unwrap();
    // A library of the same name for another machine is passed over, though it comes first.
    let foreign = temp.join("foreign");
    let mut other = fs::read(private.join("libanswer.so.1")).unwrap();
    other[18] = 0xb7;
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("libanswer.so.1"), other).unwrap();
    let search = ["--search", foreign.as_str(), "--search", private.as_str()];
    patch(&temp, &[&[tree.as_str()], &search[..]].concat()).ok();
    assert_eq!(rpath_by_patchelf(&tree.join("bin/ask")), private.as_str());
    asks(&tree);

    let refused = patch(&temp, &[tree.as_str(), "--search", foreign.as_str()]).exit(1);
    assert!(
        refused.stderr.contains("libanswer.so.1 is not for x86_64"),
        "{refused}"
    );
}

#[test]
fn what_is_missing_is_named_with_its_package_and_nothing_is_written() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    fs::remove_file(tree.join("lib/libanswer.so.1")).unwrap();
    let info = tree.join("lib/python3.14/site-packages/asker-1.2.dist-info");
    fs::create_dir_all(&info).unwrap();
    fs::write(
        info.join("METADATA"),
        "Metadata-Version: 2.1\nName: asker\nVersion: 1.2\n",
    )
    .unwrap();
    fs::write(info.join("RECORD"), "../../../bin/ask,,\n").unwrap();
    let before = fs::metadata(tree.join("bin/ask")).unwrap();
    let ran = patch(&temp, &[tree.as_str()]).exit(1);
    for part in [
        "libanswer.so.1: no folder has it",
        "/tree/bin/ask (asker 1.2)",
        "--search",
    ] {
        assert!(ran.stderr.contains(part), "{part} in {ran}");
    }
    assert_eq!(
        fs::metadata(tree.join("bin/ask")).unwrap().ino(),
        before.ino()
    );
    let allowed = patch(&temp, &[tree.as_str(), "--ignore-missing", "libans*"]).ok();
    assert!(
        allowed
            .stderr
            .contains("missing, as allowed: libanswer.so.1"),
        "{allowed}"
    );
}

#[test]
fn a_library_without_the_needed_version_does_not_do() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let (old, new) = (temp.join("old"), temp.join("new"));
    let source = temp.join("answer.c");
    for (folder, versions) in [
        (&old, "V1 { global: other; };"),
        (&new, "V1 { global: answer; };"),
    ] {
        fs::create_dir(folder).unwrap();
        let script = temp.write(
            "versions",
            versions.replace("V1", if folder == &new { "V2" } else { "V1" }),
        );
        cc().args(["-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", "-o"])
            .args([&folder.join("libanswer.so.1"), &source])
            .arg(format!("-Wl,--version-script={script}"))
            .run()
            .ok();
    }
    fs::remove_file(tree.join("lib/libanswer.so.1")).unwrap();
    let program = tree.join("bin/ask");
    let made = [&program, &temp.join("ask.c"), &new.join("libanswer.so.1")];
    cc().arg("-o").args(made).run().ok();
    let ran = patch(&temp, &[tree.as_str(), "--search", old.as_str()]).exit(1);
    assert!(ran.stderr.contains("/old/libanswer.so.1 lacks V2"), "{ran}");
    patch(&temp, &[tree.as_str(), "--search", new.as_str()]).ok();
    asks(&tree);
}

#[test]
fn needs_of_libraries_outside_the_tree_are_not_forgotten() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let (near, far) = (temp.join("near"), temp.join("far"));
    for folder in [&near, &far] {
        fs::create_dir(folder).unwrap();
    }
    fs::rename(tree.join("lib/libanswer.so.1"), far.join("libanswer.so.1")).unwrap();
    // A library in a folder to search that needs one which lies elsewhere.
    let between = near.join("libbetween.so.1");
    let source = temp.write(
        "between.c",
        "int answer(void);\nint between(void) { return answer(); }\n",
    );
    let made = [&between, &source, &far.join("libanswer.so.1")];
    cc().args(["-shared", "-fPIC", "-Wl,-soname,libbetween.so.1", "-o"])
        .args(made)
        .run()
        .ok();
    let program = temp.write(
        "uses.c",
        "int between(void);\nint main(void) { return between() != 42; }\n",
    );
    let bin = tree.join("bin/uses");
    cc().args(["-o", bin.as_str(), program.as_str(), between.as_str()])
        .arg(format!("-Wl,-rpath-link,{far}"))
        .run()
        .ok();
    fs::remove_file(tree.join("bin/ask")).unwrap();
    let search = ["--search", near.as_str()];
    let ran = patch(&temp, &[&[tree.as_str()], &search[..]].concat()).ok();
    assert!(
        ran.stderr.contains("libbetween.so.1 needs libanswer.so.1"),
        "{ran}"
    );
    assert!(
        ran.stderr.contains(&format!("patch {near} as well")),
        "{ran}"
    );
    // Once it says where that is, nothing is left to say, and the program runs.
    patch(&temp, &[between.as_str(), "--set-rpath", far.as_str()]).ok();
    let ran = patch(&temp, &[&[tree.as_str()], &search[..]].concat()).ok();
    assert_eq!(ran.stderr, "");
    Command::new(&bin).run().ok();
    // What such a library is told to look in is searched as well, as auto-patchelf does.
    let asker = tree.join("bin/ask");
    let made = [&asker, &temp.join("ask.c"), &far.join("libanswer.so.1")];
    cc().arg("-o").args(made).run().ok();
    patch(&temp, &[&[tree.as_str()], &search[..]].concat()).ok();
    assert_eq!(rpath_by_patchelf(&asker), far.as_str());
}

#[test]
fn hard_links_are_patched_once_and_those_outside_are_left_alone() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let program = tree.join("bin/ask");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o751)).unwrap();
    let (inside, outside) = (tree.join("bin/ask-too"), temp.join("cached"));
    fs::hard_link(&program, &inside).unwrap();
    fs::hard_link(&program, &outside).unwrap();
    std::os::unix::fs::symlink("ask", tree.join("bin/link")).unwrap();
    let original = fs::read(&outside).unwrap();
    let report = patch(&temp, &[tree.as_str(), "--json"]).ok().json();
    let patched = report["files"].as_array().unwrap().iter();
    assert_eq!(
        patched.filter(|file| file["action"] == "patched").count(),
        1
    );
    let (one, two) = (
        fs::metadata(&program).unwrap(),
        fs::metadata(&inside).unwrap(),
    );
    assert_eq!((one.ino(), one.mode() & 0o7777), (two.ino(), 0o751));
    assert_eq!(fs::read(&outside).unwrap(), original);
    assert_eq!(
        fs::read_link(tree.join("bin/link")).unwrap().to_str(),
        Some("ask")
    );
    assert_eq!(
        fs::read_dir(tree.join("bin")).unwrap().count(),
        3,
        "nothing is left over"
    );
}

#[test]
fn what_is_not_to_be_patched_is_left_alone_and_said_to_be() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let plain = temp.write("plain.c", "int main(void) { return 0; }\n");
    cc().args(["-static", "-o"])
        .args([&tree.join("bin/static"), &plain])
        .run()
        .ok();
    cc().args(["-c", "-o"])
        .args([&tree.join("object.o"), &plain])
        .run()
        .ok();
    Command::new(common::on_path("objcopy"))
        .arg("--only-keep-debug")
        .args([tree.join("bin/ask"), tree.join("ask.debug")])
        .run()
        .ok();
    let mut foreign = fs::read(tree.join("lib/libanswer.so.1")).unwrap();
    foreign[18] = 0xb7;
    fs::write(tree.join("foreign.so"), &foreign).unwrap();
    fs::write(tree.join("cut.so"), &foreign[..100]).unwrap();
    let ran = patch(&temp, &[tree.as_str()]).ok();
    for part in [
        "1 left alone (statically linked)",
        "1 left alone (separate debug file)",
        "1 left alone (object file, nothing loads it)",
        "1 left alone (for aarch64, not x86_64)",
        "1 refused",
        "cut.so",
    ] {
        assert!(ran.stdout.contains(part), "{part} in {ran}");
    }
    let named = patch(&temp, &[tree.join("cut.so").as_str()]).exit(1);
    assert!(named.stderr.contains("at offset 0x"), "{named}");
    assert_eq!(fs::read(tree.join("cut.so")).unwrap().len(), 100);
}

#[test]
fn edits_by_hand_are_what_patchelf_reads() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let program = tree.join("bin/ask");
    let file = program.as_str();
    patch(&temp, &[file, "--set-rpath", "/nowhere:$ORIGIN/../lib"]).ok();
    assert_eq!(rpath_by_patchelf(&program), "/nowhere:$ORIGIN/../lib");
    patch(
        &temp,
        &[
            file,
            "--add-rpath",
            "bin/*=/not/this",
            "--add-rpath",
            "as*=/opt/plugins",
        ],
    )
    .ok();
    assert_eq!(
        rpath_by_patchelf(&program),
        "/nowhere:$ORIGIN/../lib:/opt/plugins"
    );
    patch(&temp, &[file, "--shrink-rpath"]).ok();
    assert_eq!(rpath_by_patchelf(&program), "$ORIGIN/../lib");
    asks(&tree);
    let renamed = [
        "--replace-needed",
        "libanswer.so.1=libanswer-0123456789.so.1",
    ];
    patch(&temp, &[&[file], &renamed[..]].concat()).ok();
    let needed = Command::new(patchelf())
        .args(["--print-needed", file])
        .run()
        .ok();
    assert!(
        needed.stdout.contains("libanswer-0123456789.so.1"),
        "{needed}"
    );
    fs::rename(
        tree.join("lib/libanswer.so.1"),
        tree.join("lib/libanswer-0123456789.so.1"),
    )
    .unwrap();
    asks(&tree);
    let interpreter = temp.join("a/very/long/way/to/the/loader/of/programs/ld.so");
    fs::create_dir_all(interpreter.parent().unwrap()).unwrap();
    let print = Command::new(patchelf())
        .args(["--print-interpreter", file])
        .run()
        .ok();
    std::os::unix::fs::symlink(print.stdout.trim_end(), &interpreter).unwrap();
    patch(&temp, &[file, "--set-interpreter", interpreter.as_str()]).ok();
    asks(&tree);
    patch(&temp, &[file, "--remove-rpath"]).ok();
    assert_eq!(rpath_by_patchelf(&program), "");
}

#[test]
fn a_folder_without_elf_files_is_said_to_have_none() {
    let temp = Temp::new();
    temp.write("empty/text.py", "x = 1\n");
    for command in ["show", "patch"] {
        let args = ["elf", command, temp.join("empty").as_str()].map(str::to_owned);
        let ran = lockwright(&temp).args(args).run().ok();
        assert_eq!(ran.stdout, "no ELF file found\n");
    }
}

#[test]
fn show_says_where_needs_lead() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let show = |args: &[&str]| {
        let ran = lockwright(&temp)
            .args(["elf", "show"])
            .args(args)
            .current_dir(&tree)
            .run();
        ran.ok().stdout
    };
    assert!(
        show(&["."])
            .contains("libanswer.so.1 → not reached: no RUNPATH leads to lib/libanswer.so.1")
    );
    patch(&temp, &[tree.as_str()]).ok();
    let text = show(&["."]);
    assert!(
        text.contains("libanswer.so.1 → lib/libanswer.so.1"),
        "{text}"
    );
    assert!(
        text.contains("SONAME libanswer.so.1") && text.contains("$ORIGIN/../lib"),
        "{text}"
    );
    assert!(
        text.lines()
            .last()
            .is_some_and(|line| line.contains("together they need glibc 2.")),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&show(&["bin", "--json"])).unwrap();
    assert_eq!(json[0]["class"], 64);
    assert_eq!(json[0]["kind"], "executable");
    assert_eq!(json[0]["lookups"][0]["found"], "here");
}

#[test]
fn issue_239_what_is_relocated_stays_where_it_was() {
    for flags in [
        &["-Wl,-z,now"][..],
        &["-Wl,-z,pack-relative-relocs"],
        &["-Wl,-z,norelro"],
    ] {
        let temp = Temp::new();
        let tree = tree(&temp, flags);
        patch(&temp, &[tree.as_str(), "--set-rpath", &long()]).ok();
        asks(&tree);
    }
}

#[test]
fn issue_244_patching_stripping_and_patching_again_keeps_a_program_whole() {
    for flags in [
        &[][..],
        &["-no-pie"],
        &["-Wl,--spare-dynamic-tags=1"],
        &["-Wl,-z,noseparate-code,-z,max-page-size=0x200000"],
        &["-Wl,--hash-style=sysv,--build-id=none"],
    ] {
        let temp = Temp::new();
        let tree = tree(&temp, flags);
        let files = [tree.join("bin/ask"), tree.join("lib/libanswer.so.1")];
        let found_before: Vec<_> = files.iter().map(|file| faults(file)).collect();
        for (round, strip) in ["strip", "eu-strip", "strip"].iter().enumerate() {
            let path = format!("{}:/{}", long(), "x".repeat(100 * round));
            patch(&temp, &[tree.as_str(), "--set-rpath", &path]).ok();
            asks(&tree);
            for file in &files {
                Command::new(common::on_path(strip)).arg(file).run().ok();
                let ran = Command::new(common::on_path("readelf"))
                    .args(["-aW", file.as_str()])
                    .run();
                assert_eq!(ran.ok().stderr, "", "{flags:?} {strip} {file}");
            }
            asks(&tree);
            let found: Vec<_> = files.iter().map(|file| faults(file)).collect();
            assert_eq!(found, found_before, "{flags:?} {strip}");
        }
    }
}

#[test]
fn issue_568_a_program_runs_after_its_runpath_is_set() {
    let temp = Temp::new();
    let source = temp.write(
        "hello.c",
        "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n",
    );
    for flags in [&[][..], &["-no-pie"]] {
        let program = temp.join("hello");
        cc().arg("-o")
            .args([&program, &source])
            .args(flags)
            .run()
            .ok();
        patch(&temp, &[program.as_str(), "--set-rpath", "/usr/lib"]).ok();
        assert_eq!(Command::new(&program).run().ok().stdout, "hello\n");
        // A newer glibc than the one it was linked for.
        let newer = Command::new(common::in_forky()).arg(&program).run().ok();
        assert_eq!(newer.stdout, "hello\n");
    }
}

/// npm packages and wheels bring builds for both C libraries; nothing of musl's belongs in glibc's folders.
#[test]
fn a_file_of_another_c_library_is_told_apart_and_left_alone() {
    let temp = Temp::new();
    let tree = tree(&temp, &[]);
    let empty = temp.write("empty.c", "int nothing(void) { return 0; }\n");
    let machine = std::env::consts::ARCH;
    for (name, libc) in [
        ("of-alpine.so", format!("libc.musl-{machine}.so.1")),
        ("of-musl-gcc.so", "libc.so".to_owned()),
    ] {
        let stub = temp.join(&libc);
        let soname = format!("-Wl,-soname,{libc}");
        let library = ["-shared", "-fPIC", "-nostdlib"];
        cc().args(library)
            .args([&soname, "-o", stub.as_str(), empty.as_str()])
            .run()
            .ok();
        let made = tree.join("lib").join(name);
        // Like libstdc++, found in the folder that is searched, for glibc.
        cc().args(library)
            .args([
                "-Wl,--no-as-needed",
                "-o",
                made.as_str(),
                empty.as_str(),
                stub.as_str(),
            ])
            .arg(tree.join("lib/libanswer.so.1"))
            .run()
            .ok();
    }
    let private = temp.join("private");
    fs::create_dir(&private).unwrap();
    let name = "libanswer.so.1";
    fs::rename(tree.join("lib").join(name), private.join(name)).unwrap();
    // Most of the tree is glibc's.
    for copy in ["two", "three"] {
        fs::copy(tree.join("bin/ask"), tree.join("bin").join(copy)).unwrap();
    }
    let files = ["of-alpine.so", "of-musl-gcc.so"].map(|name| tree.join("lib").join(name));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    let args = [tree.as_str(), "--search", private.as_str()];
    for search in [&[][..], &["--search", common::elf::SYSTEM]] {
        let ran = patch(&temp, &[&args, search].concat()).ok();
        assert!(ran.stdout.contains("for musl, not glibc"), "{ran}");
        asks(&tree);
        assert_eq!(files.clone().map(|file| fs::read(file).unwrap()), before);
    }
    // By itself such a file is worked on, and found to lack what it needs or not.
    patch(&temp, &[files[0].as_str(), "--search", private.as_str()]).ok();
    assert_eq!(rpath_by_patchelf(&files[0]), private.as_str());
}
