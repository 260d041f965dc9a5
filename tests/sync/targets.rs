//! Environments for machines that are not at hand.

use std::path::Path;
use std::process::Command;

use super::{FOREIGN, Scratch, text};

#[test]
fn a_target_without_an_interpreter_gets_its_own_wheels() {
    let scratch = Scratch::new();
    let (out, _) = scratch.ok(&[&["plan", "--json", "--extra", "loud"], &FOREIGN[..]].concat());
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    let files: Vec<&str> = plan["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package["install"]["artifact"]["file_name"].as_str())
        .collect();
    assert!(
        files.contains(&"greeting_shout-0.3.0-py3-none-manylinux_2_28_aarch64.whl"),
        "{files:?}"
    );
    let (_, said) = scratch.ok(&[&["sync", "--offline", "--extra", "loud"], &FOREIGN[..]].concat());
    assert!(said.contains("Placed 4 packages"), "{said}");
    let link = std::fs::read_link(scratch.venv().join("bin/python")).unwrap();
    assert_eq!(link, Path::new("/usr/bin/python3.14"));
}

/// On Windows each script is a program, which Python on Linux runs as well: what is behind it is a zip archive.
#[test]
fn an_environment_for_windows_has_a_program_for_each_script() {
    let scratch = Scratch::new();
    let target = ["--python-version", "3.14.2", "--python-platform", "windows"];
    let sync = [&["sync", "--offline", "--extra", "loud"], &target[..]].concat();
    assert!(scratch.fails(&sync).contains("--interpreter 'C:"));
    let there = ["--interpreter", r"C:\Python 314\python.exe"];
    let sync = [&sync[..], &there].concat();
    scratch.ok(&sync);
    let (venv, scripts) = (scratch.venv(), scratch.venv().join("Scripts"));
    let mut names: Vec<String> = std::fs::read_dir(&scripts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let own = [
        "activate",
        "activate.bat",
        "activate.ps1",
        "activate_this.py",
        "deactivate.bat",
    ];
    let programs = [
        "greet.exe",
        "greeting-words.exe",
        "python.exe",
        "pythonw.exe",
    ];
    assert_eq!(names, [&own[..], &programs].concat());
    let config = std::fs::read_to_string(venv.join("pyvenv.cfg")).unwrap();
    assert!(config.contains("home = C:\\Python 314\n"), "{config}");
    let launcher = std::fs::read(scripts.join("python.exe")).unwrap();
    let greet = std::fs::read(scripts.join("greet.exe")).unwrap();
    assert!(launcher.starts_with(b"MZ") && greet.starts_with(&launcher));
    let run = |script: &str| {
        let mut command = Command::new(crate::common::python());
        let code = "import runpy, sys; sys.prefix = sys.argv.pop(1); runpy.run_path(sys.argv[1], run_name='__main__')";
        command
            .args(["-c", code])
            .arg(&venv)
            .arg(scripts.join(script));
        command.env("PYTHONPATH", venv.join("Lib/site-packages"));
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stdout)
    };
    let said = run("greet.exe");
    run("greeting-words.exe");
    scratch.ok(&[
        &["verify", ".venv", "--lock", ".", "--extra", "loud"],
        &target[..],
    ]
    .concat());
    let (_, again) = scratch.ok(&sync);
    assert!(again.contains("is up to date"), "{again}");
    let here = ["sync", "--offline", "--extra", "loud", "--clear"];
    scratch.ok(&here);
    let greet = Command::new(scratch.venv().join("bin/greet")).output();
    assert_eq!(text(&greet.unwrap().stdout), said);
}
