//! Components: made by one machine, taken by another that trusts its key.

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::common::{self, Ran, Run as _, Temp};
use crate::{files, key, machine};

/// A project whose commands fail when they are run a second time.
struct Case {
    temp: Temp,
    secret: Utf8PathBuf,
    public: String,
}

impl Case {
    fn new() -> Self {
        let temp = Temp::new();
        let (secret, public) = key(&temp, "ci-1");
        temp.copy_of_fixture("default");
        temp.write("project/data/text", "text");
        temp.write("project/data/deep/er", "deeper");
        let ran = temp.join("ran");
        let manifest = format!(
            "[sources.data]\npath = 'data'\n[sources.project]\npath = '../default'\n\
             [component.made]\ncopy = [{{ from = '{{source:data}}', to = 'lib' }}]\n\
             run = [{{ command = ['sh', '-c', 'mkdir {ran} && mkdir -p bin empty && cp lib/text bin/run && \
             chmod 755 bin/run && ln -s ../lib/deep bin/link && ln -s /nowhere/at/all out'] }}]\n\
             [component.env]\npython = {{ lock = '{{source:project}}/uv.lock', groups = [], \
             install = 'dependencies', no-binary = ['greeting-check'] }}\nseal = 'fixed-output'\n\
             [component.top]\nbase = '{{component:made}}'\n\
             copy = [{{ from = '{{component:env}}', to = 'env' }}]\nseal = 'read-only'\n"
        );
        temp.write("project/lockwright.toml", manifest);
        Self {
            temp,
            secret,
            public,
        }
    }

    fn build(&self, name: &str, args: &[&str]) -> Command {
        let mut command = machine(&self.temp, name);
        command
            .args(["build", "--file"])
            .arg(self.temp.join("project/lockwright.toml"))
            .args(["--python", common::python().as_str(), "--sandbox", "off"])
            .args(["--out", self.out(name).as_str()])
            .args(["--remote", self.temp.join("shared").as_str()])
            .args(args);
        command
    }

    fn first(&self) -> Ran {
        let args = ["--remote-push", "--remote-key", self.secret.as_str()];
        self.build("a", &args).run().ok()
    }

    fn out(&self, name: &str) -> Utf8PathBuf {
        self.temp.join(name).join("out")
    }

    /// Modes, times, lengths, links and digests of everything in a machine's trees, and of what is noted of them.
    fn facts(&self, name: &str) -> String {
        let script = "find . -printf '%p %M %T@ %s %l\\n' | grep -v '^. \\|[.]json ' | sort; \
                      find . -type f -exec sha256sum {} + | sort";
        let mut command = Command::new("sh");
        let ran = command.args(["-c", script]).current_dir(self.out(name));
        ran.run().ok().stdout
    }

    fn forget_that_it_ran(&self) {
        fs::remove_dir(self.temp.join("ran")).unwrap();
    }
}

#[test]
fn a_second_machine_builds_nothing() {
    let case = Case::new();
    case.first();
    let trust = ["--remote-trust", case.public.as_str()];
    let second = case.build("b", &trust).arg("--json").run().ok();
    for outcome in second.json().as_array().unwrap() {
        assert_eq!(outcome["verdict"], "shared", "{second}");
    }
    let taken = "taken from the shared store, as it was made elsewhere";
    assert_eq!(second.stderr.matches(taken).count(), 3, "{second}");
    assert!(!second.stderr.contains("Building"), "{second}");
    assert_eq!(case.facts("a"), case.facts("b"));
    for name in ["made", "env", "top"] {
        for noted in ["provenance", "component"] {
            let file = |machine: &str| case.out(machine).join(format!("{name}.{noted}.json"));
            assert_eq!(
                fs::read(file("a")).unwrap(),
                fs::read(file("b")).unwrap(),
                "{name}"
            );
        }
    }
    // Then they are there.
    let again = case.build("b", &trust).run().ok();
    assert_eq!(again.stderr.matches("unchanged").count(), 3, "{again}");
}

#[test]
fn nobody_is_believed_who_is_not_trusted() {
    let case = Case::new();
    case.first();
    // Its command would fail.
    let ran = case.build("nobody", &[]).run().exit(1);
    assert!(ran.stderr.contains("mkdir"), "{ran}");
    let (_, other) = key(&case.temp, "ci-2");
    let trust = ["--remote-trust", other.as_str()];
    let ran = case.build("another", &trust).run().exit(1);
    assert!(ran.stderr.contains("without a trusted signature"), "{ran}");

    case.forget_that_it_ran();
    let ran = case.build("another", &trust).run().ok();
    assert!(ran.stderr.contains("made: made in"), "{ran}");
    assert_eq!(case.facts("a"), case.facts("another"));
}

#[test]
fn what_was_changed_on_the_way_is_made_here() {
    let case = Case::new();
    case.first();
    let shared = case.temp.join("shared/v1");
    // Another component's archive in the place of each, and half of each archive.
    let swap = |folder: &Utf8Path| {
        let all = files(folder);
        let first = fs::read(all.last().unwrap()).unwrap();
        for file in &all {
            fs::write(file, &first).unwrap();
        }
    };
    let halve = |folder: &Utf8Path| {
        for file in files(folder) {
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        }
    };
    let whole = case.temp.join("whole");
    common::copy_tree(&shared, &whole);
    let trust = ["--remote-trust", case.public.as_str()];
    let cases: [(&str, &dyn Fn(), &str); 3] = [
        (
            "swapped",
            &|| swap(&shared.join("built")),
            "without a trusted signature",
        ),
        (
            "halved",
            &|| halve(&shared.join("files")),
            "something else in place of",
        ),
        (
            "torn",
            &|| halve(&shared.join("built")),
            "says nothing of what was built",
        ),
    ];
    for (name, change, why) in cases {
        change();
        case.forget_that_it_ran();
        let ran = case.build(name, &trust).run().ok();
        assert!(ran.stderr.contains(why), "{name}: {ran}");
        assert!(ran.stderr.contains("made: made in"), "{name}: {ran}");
        assert_eq!(case.facts("a"), case.facts(name), "{name}");
        fs::remove_dir_all(&shared).unwrap();
        common::copy_tree(&whole, &shared);
    }
}
