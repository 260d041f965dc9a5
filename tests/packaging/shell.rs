//! What a shell and a screen show: completions, manual pages, help, colours.

use std::fs;
use std::process::Command;

use super::common::{self, Run as _, Temp};

#[test]
fn bash_completes_commands_options_and_names() {
    let temp = Temp::new();
    let script = common::lockwright(&temp)
        .args(["completions", "bash"])
        .run()
        .ok()
        .stdout;
    temp.write("script", script);
    // The name in the script is found on the PATH.
    fs::create_dir(temp.join("bin")).unwrap();
    let link = temp.join("bin/lockwright");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lockwright"), link).unwrap();
    let complete = |folder: &str, words: &[&str]| {
        let ask = "source \"$0\"; COMP_WORDS=(lockwright \"$@\"); COMP_CWORD=$#; COMP_TYPE=9\n\
            _clap_complete_lockwright lockwright \"${COMP_WORDS[-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let ran = Command::new("bash")
            .args(["-c", ask, temp.join("script").as_str()])
            .args(words)
            .env("PATH", format!("{}:/usr/bin:/bin", temp.join("bin")))
            .current_dir(common::fixture(folder))
            .run()
            .ok();
        let lines = ran.stdout.lines().map(|line| line.trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert!(complete("default", &["sy"]).contains(&"sync".to_owned()));
    assert!(complete("default", &["sync", "--no-d"]).contains(&"--no-dev".to_owned()));
    assert_eq!(complete("default", &["sync", "--extra", ""]), ["loud"]);
    assert!(complete("default", &["sync", "--group", ""]).contains(&"dev".to_owned()));
    assert_eq!(complete("standin", &["build", "de"]), ["deps"]);
    // A folder without a lock has no names, and that is no error.
    assert_eq!(complete("standin/assets", &["sync", "--extra", ""]), [""]);
}

#[test]
fn every_command_has_a_manual_page() {
    let temp = Temp::new();
    common::lockwright(&temp)
        .args(["man", "--out", "man"])
        .run()
        .ok();
    let help = common::lockwright(&temp).arg("--help").run().ok().stdout;
    let listed = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        names.contains(&"sync") && !names.contains(&"__sandbox"),
        "{names:?}"
    );
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = fs::read_to_string(temp.join(format!("man/lockwright-{name}.1"))).unwrap();
        assert!(
            page.contains(".TH") && page.contains(".SH OPTIONS"),
            "{name}"
        );
        assert!(!page.contains(temp.path().as_str()), "{name}");
    }
    assert!(!temp.join("man/lockwright-__sandbox.1").exists());
    // groff has nothing to say against one.
    let page = temp.join("man/lockwright-sync.1");
    let ran = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z", page.as_str()])
        .run()
        .ok();
    assert_eq!(ran.stderr, "");
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_all() {
    let temp = Temp::new();
    let help = |flag: &str| {
        common::lockwright(&temp)
            .args(["sync", flag])
            .run()
            .ok()
            .stdout
    };
    let (short, long) = (help("-h"), help("--help"));
    let options = |text: &str| {
        text.lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .count()
    };
    assert!((15..=26).contains(&options(&short)), "{short}");
    assert!(
        short.lines().count() <= 70,
        "{} lines:\n{short}",
        short.lines().count()
    );
    assert!(short.contains("see more with '--help'"), "{short}");
    assert!(
        options(&long) > 60 && long.contains("--no-install-package"),
        "{long}"
    );
}

#[test]
fn a_log_has_no_colours_but_on_a_screen_or_by_force() {
    let temp = Temp::new();
    let said = |force: bool| {
        let mut fetch = common::lockwright(&temp);
        fetch
            .args(["fetch", "-vv", "--retries", "0"])
            .args([
                "--mirror",
                "https://files.pypi.example/=http://127.0.0.1:1/",
            ])
            .arg(common::fixture("bump").join("new"))
            .env("CURL_CA_BUNDLE", "/nowhere")
            .env_remove("NO_COLOR");
        if force {
            fetch.env("CLICOLOR_FORCE", "1");
        }
        let said = fetch.run().exit(1).stderr;
        let log = said
            .lines()
            .find(|line| line.contains("certificate authorities:"));
        let error = said.lines().find(|line| line.contains("error:"));
        [log.unwrap().to_owned(), error.unwrap().to_owned()]
    };
    assert!(
        said(false).iter().all(|line| !line.contains('\u{1b}')),
        "{:?}",
        said(false)
    );
    assert!(
        said(true).iter().all(|line| line.contains("\u{1b}[")),
        "{:?}",
        said(true)
    );
}
