//! Go's modules: what a go.sum names, from a proxy that is a folder, checked against the go command.

use std::fs;
use std::io::{Cursor, Write as _};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::core::files_digest::FilesDigest;
use sha2::{Digest as _, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::common::{self, Fault, Ran, Run as _, Server, Temp, lockwright, run};

const MANIFEST: &str = "
[sources.app]
path = 'app'

[sources.kit]
path = 'KIT'

[tools.go]
path = '{source:kit}/bin'
version = '1'
ask = ['version']

[component.modules]
go = { lock = '{source:app}/go.sum', proxy = ['https://goproxy.example/go'] }

[component.mine]
copy = [{ from = 'mine', to = '.' }]

[component.app]
go = { lock = '{source:app}/go.sum', to = 'mod', proxy = ['https://goproxy.example/go'] }
tools = ['go']
copy = [{ from = '{source:app}', to = 'src' }]
run = [{ command = ['go', 'build', '-trimpath', '-o', '../bin/app', '.'], cwd = 'src', cache = { GOCACHE = 'go' } }]
keep = ['bin']
";

/// The files of a module: `package words`, which says a word.
const WORDS: &[(&str, &str)] = &[
    (
        "go.mod",
        "module example.com/Acme/words\n\ngo 1.21\n\nrequire example.com/deep/v2 v2.0.1\n",
    ),
    (
        "words.go",
        "package words\n\nimport \"example.com/deep/v2/inner\"\n\nfunc Say() string { return \"a \" + inner.Word }\n",
    ),
    ("words_test.go", "package words\n"),
    ("LICENSE", "free\n"),
    ("testdata/Größe.txt", "x\n"),
];

struct Program {
    temp: Temp,
}

impl Program {
    /// A program, and the proxy that has its modules; its go.sum is written by the go command.
    fn new() -> Self {
        let it = Self { temp: Temp::new() };
        it.module("example.com/Acme/words", "v1.2.0", WORDS);
        it.module(
            "example.com/deep/v2",
            "v2.0.1",
            &[
                (
                    "go.mod",
                    "module example.com/deep/v2\n\nrequire example.com/unused v0.1.0\n",
                ),
                ("inner/inner.go", "package inner\n\nconst Word = \"deep\"\n"),
            ],
        );
        it.module(
            "example.com/unused",
            "v0.1.0",
            &[
                ("go.mod", "module example.com/unused\n"),
                ("a.go", "package unused\n"),
            ],
        );
        it.module(
            "example.com/legacy",
            "v3.0.0+incompatible",
            &[("old.go", "package legacy\n\nconst Year = \"1999\"\n")],
        );
        let app = "module example.com/app\n\ngo 1.21\n\nrequire (\n\texample.com/Acme/words v1.2.0\n\
                   \texample.com/legacy v3.0.0+incompatible\n)\n";
        it.temp.write("app/go.mod", app);
        it.temp.write(
            "app/main.go",
            "package main\n\nimport (\n\t\"example.com/Acme/words\"\n\t\"example.com/legacy\"\n)\n\n\
             func main() { print(words.Say(), \" \", legacy.Year) }\n",
        );
        it.temp.write(
            "mine/words.go",
            "package words\n\nfunc Say() string { return \"my own\" }\n",
        );
        it.write_manifest();
        it.go("own", &["mod", "tidy"]).ok();
        it
    }

    fn write_manifest(&self) {
        let kit = common::go().parent().unwrap().parent().unwrap().to_owned();
        let text = MANIFEST.replace("KIT", kit.as_str());
        self.temp.write("lockwright.toml", text);
    }

    /// Puts a module on the proxy.
    fn module(&self, path: &str, version: &str, files: &[(&str, &str)]) {
        let archive = archive(&format!("{path}@{version}/"), files);
        let go_mod = files.iter().find(|(name, _)| *name == "go.mod");
        let go_mod = go_mod.map_or_else(|| format!("module {path}\n"), |(_, text)| (*text).into());
        self.put(path, version, "zip", archive);
        self.put(path, version, "mod", go_mod);
        self.put(
            path,
            version,
            "info",
            format!("{{\"Version\":\"{version}\"}}"),
        );
    }

    fn put(&self, path: &str, version: &str, end: &str, bytes: impl AsRef<[u8]>) {
        let path = path.replace("Acme", "!acme");
        self.temp
            .write(&format!("proxy/{path}/@v/{version}.{end}"), bytes);
    }

    /// The go command in the program's folder, with this folder as its module cache; it builds with the cache that the
    /// component's commands have, so that Go's own library is compiled once.
    fn go(&self, cache: &str, args: &[&str]) -> Ran {
        let proxy = match cache {
            "own" => format!("file://{}", self.temp.join("proxy")),
            _ => "off".into(),
        };
        let flags = if args[0] == "mod" {
            "-mod=mod"
        } else {
            "-mod=readonly"
        };
        Command::new(common::go())
            .args(args)
            .current_dir(self.temp.join("app"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.temp.join("home"))
            .env("GOMODCACHE", self.temp.join(cache))
            .env("GOCACHE", self.temp.join("store/caches/go"))
            .env("GOPROXY", proxy)
            .env("GOFLAGS", format!("{flags} -modcacherw"))
            .env("GOSUMDB", "off")
            .env("GOTOOLCHAIN", "local")
            .run()
    }

    fn build(&self, args: &[&str]) -> Command {
        let mut command = lockwright(&self.temp);
        command.args(["build", "--retries", "0"]).args(args);
        command
    }

    fn mirrored(&self, args: &[&str]) -> Command {
        let mut command = self.build(args);
        let proxy = self.temp.join("proxy");
        command
            .arg("--mirror")
            .arg(format!("https://goproxy.example/go={proxy}"));
        command
    }
}

fn archive(top: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(format!("{top}{name}"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn files(top: &Utf8Path) -> Vec<Utf8PathBuf> {
    let found = run("find", [top.as_str(), "-type", "f"]);
    let found = found
        .lines()
        .map(|path| Utf8Path::new(path).strip_prefix(top).unwrap());
    found.map(ToOwned::to_owned).collect()
}

#[test]
fn modules_are_laid_out_as_go_has_them_and_programs_built_from_them() {
    let it = Program::new();
    let first = it.mirrored(&["modules", "app"]).run().ok();

    // Go's own cache has the same files, and what builds do not read besides.
    let (ours, theirs) = (it.temp.join("out/modules"), it.temp.join("own"));
    let all = files(&ours);
    for path in &all {
        let theirs = fs::read(theirs.join(path));
        let theirs = theirs.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(fs::read(ours.join(path)).unwrap(), theirs, "{path}");
    }
    assert!(
        all.iter()
            .any(|path| path == "cache/download/example.com/unused/@v/v0.1.0.mod")
    );
    assert!(
        all.iter()
            .any(|path| path == "example.com/!acme/words@v1.2.0/testdata/Größe.txt")
    );

    // The go command takes it, asking nobody.
    let verified = it.go("out/modules", &["mod", "verify"]).ok();
    assert_eq!(verified.stdout, "all modules verified\n", "{verified}");
    for (cache, to) in [("own", "theirs"), ("out/modules", "ours")] {
        let to = it.temp.join(to);
        it.go(cache, &["mod", "vendor", "-o", to.as_str()]).ok();
    }
    let [a, b] = ["theirs", "ours"].map(|name| it.temp.join(name));
    run("diff", ["-r", a.as_str(), b.as_str()]);
    assert!(b.join("modules.txt").is_file());

    // A contained build has the same bytes as one by hand.
    let by_hand = it.temp.join("by-hand");
    it.go(
        "own",
        &[
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-o",
            by_hand.as_str(),
            ".",
        ],
    )
    .ok();
    let program = it.temp.join("out/app/bin/app");
    let said = Command::new(&program).run().ok();
    assert_eq!(said.stderr, "a deep 1999");
    assert_eq!(fs::read(&program).unwrap(), fs::read(&by_hand).unwrap());
    assert!(!it.temp.join("out/app/mod").exists());

    // Where from, and in which packing, does not count.
    let again = it.build(&["modules", "app", "--offline"]).run().ok();
    assert!(again.stderr.contains("modules: unchanged"), "{again}");
    assert!(again.stderr.contains("app: unchanged"), "{again}");

    // Carried to where there is no network.
    let vendored = lockwright(&it.temp)
        .args([
            "fetch",
            "lockwright.toml",
            "--vendor",
            "vendored",
            "--mirror",
        ])
        .arg(format!(
            "https://goproxy.example/go={}",
            it.temp.join("proxy")
        ))
        .run()
        .ok();
    assert!(
        vendored
            .stderr
            .contains("Fetched 7 artifacts: 7 from the store"),
        "{vendored}"
    );
    assert!(
        it.temp
            .join("vendored/example.com+!acme+words@v1.2.0.zip")
            .is_file()
    );
    let elsewhere = it
        .build(&[
            "modules",
            "--offline",
            "--find-links",
            "vendored",
            "--out",
            "elsewhere",
        ])
        .env("LOCKWRIGHT_STORE", it.temp.join("another"))
        .run()
        .ok();
    assert_eq!(
        elsewhere.stdout.split(' ').nth(1),
        first.stdout.split(' ').nth(1)
    );

    // Drafted for such a program, and told to Nix.
    let mut init = lockwright(&it.temp);
    let drafted = init.args(["init", "app", "--print"]).run().ok();
    let expected = "[component.go-modules]\ngo = { lock = \"{source:app}/go.sum\" }\n";
    assert!(drafted.stdout.contains(expected), "{drafted}");
    lockwright(&it.temp)
        .args(["export", "nix", "lockwright.toml", "--out", "nix"])
        .run()
        .ok();
    let graph = fs::read_to_string(it.temp.join("nix/graph.json")).unwrap();
    for name in [
        "example.com+!acme+words@v1.2.0.zip",
        "go.sum",
        "https://goproxy.example/go/example.com/legacy/@v/v3.0.0+incompatible.mod",
    ] {
        assert!(graph.contains(name), "{name}: {graph}");
    }

    // What is in a module's place is built, and the module is verified all the same.
    let manifest = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    let manifest = manifest.replace(
        "to = 'mod', proxy",
        "to = 'mod', replace = { 'example.com/Acme/words' = '{component:mine}' }, proxy",
    );
    it.temp.write("lockwright.toml", manifest);
    let replaced = it.build(&["app", "--offline"]).run().ok();
    let why = "in the place of example.com/Acme/words";
    assert!(replaced.stderr.contains(why), "{replaced}");
    assert_eq!(Command::new(&program).run().ok().stderr, "my own 1999");

    // A vendored tree whose own hash holds, in which one module is replaced then.
    let vendored = "
[component.vendored]
go = { lock = '{source:app}/go.sum', to = 'mod', proxy = ['https://goproxy.example/go'] }
tools = ['go']
copy = [{ from = '{source:app}', to = 'src' }]
run = [{ command = ['go', 'mod', 'vendor'], cwd = 'src' }]
keep = [{ from = 'src/vendor', to = '.' }]
";
    let server = "
[sources.vendored]
path = 'out/vendored'
hash = 'HASH'

[component.server]
tools = ['go']
copy = [
  { from = '{source:app}', to = 'src' },
  { from = '{source:vendored}', to = 'src/vendor' },
  { from = '{component:mine}', to = 'src/vendor/example.com/Acme/words', replace = true },
]
run = [{ command = ['go', 'build', '-mod=vendor', '-trimpath', '-o', '../bin/app', '.'], cwd = 'src', cache = { GOCACHE = 'go' } }]
keep = ['bin']
";
    let manifest = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    let write = |more: &str| {
        it.temp
            .write("lockwright.toml", format!("{manifest}{more}"))
    };
    write(vendored);
    let made = it.build(&["vendored", "--offline"]).run().ok();
    let hash = made.stdout.split(' ').nth(1).unwrap();
    let made = it.temp.join("out/vendored");
    run("diff", ["-r", made.as_str(), b.as_str()]);
    write(&server.replace("HASH", hash));
    it.build(&["server", "--offline"]).run().ok();
    let said = Command::new(it.temp.join("out/server/bin/app")).run().ok();
    assert_eq!(said.stderr, "my own 1999");
    let module = made.join("example.com/deep/v2/inner/inner.go");
    fs::write(module, "package inner\n\nconst Word = \"evil\"\n").unwrap();
    let failed = it.build(&["server", "--offline"]).run().exit(1);
    let expected = format!("expected {hash}");
    assert!(failed.stderr.contains(&expected), "{failed}");
    it.temp.write("lockwright.toml", &manifest);

    // The bill of an image has the modules as go.sum has them.
    let manifest = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    let image = "[component.image.image]\ntree = { '/app' = '{component:app}' }\n\
                 entrypoint = ['/app/bin/app']\n";
    it.temp
        .write("lockwright.toml", format!("{manifest}\n{image}"));
    it.build(&["image", "--offline"]).run().ok();
    let blobs = run(
        "grep",
        ["-rl", "CycloneDX", it.temp.join("out/image/blobs").as_str()],
    );
    let bills = blobs.lines().map(|path| fs::read_to_string(path).unwrap());
    let bill = bills.max_by_key(String::len).unwrap();
    let sum = fs::read_to_string(it.temp.join("app/go.sum")).unwrap();
    let line = sum
        .lines()
        .find(|line| line.starts_with("example.com/deep/v2 v2.0.1 "));
    for said in [
        line.unwrap().split(' ').nth(2).unwrap(),
        "pkg:golang/example.com/deep/v2@v2.0.1",
    ] {
        assert!(bill.contains(said), "{said}: {bill}");
    }
}

#[test]
fn the_next_proxy_is_asked_for_what_one_does_not_have() {
    let it = Program::new();
    let server = Server::of_dir(&it.temp.join("proxy"));
    let has_not = Server::new();
    let build = |first: &str, second: &str| {
        let text = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
        let one = "'https://goproxy.example/go'";
        it.temp.write(
            "lockwright.toml",
            text.replace(one, &format!("'{first}', '{second}'")),
        );
        let ran = it.build(&["modules"]).run();
        it.write_manifest();
        ran
    };
    build(&has_not.url("/none"), &server.url("/")).ok();
    assert!(
        !server
            .requests_of("/example.com/!acme/words/@v/v1.2.0.zip")
            .is_empty()
    );
    assert!(
        !has_not
            .requests_of("/none/example.com/legacy/@v/v3.0.0+incompatible.mod")
            .is_empty()
    );

    // As the go command has it: a proxy that fails has not said that it does not have it.
    let refuse = || {
        for path in ["zip", "mod"] {
            let path = format!("/none/example.com/unused/@v/v0.1.0.{path}");
            has_not.fault(&path, Fault::Status(403, Vec::new()));
        }
    };
    refuse();
    fs::remove_dir_all(it.temp.join("store/v1/modules")).unwrap();
    fs::remove_dir_all(it.temp.join("out")).unwrap();
    let failed = build(&has_not.url("/none"), &server.url("/")).exit(1);
    assert!(failed.stderr.contains("403"), "{failed}");

    // GOPROXY says what no manifest says.
    let text = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    it.temp.write(
        "lockwright.toml",
        text.replace(", proxy = ['https://goproxy.example/go']", ""),
    );
    let said = format!("file://{},direct", it.temp.join("proxy"));
    let with = |proxy: &str| {
        let _ = fs::remove_dir_all(it.temp.join("store/v1/modules"));
        let _ = fs::remove_dir_all(it.temp.join("out"));
        refuse();
        it.build(&["modules"]).env("GOPROXY", proxy).run()
    };
    with(&said).ok();
    // After a bar the next is asked whatever is wrong.
    let failing = has_not.url("/none");
    with(&format!("{failing},{said}")).exit(1);
    with(&format!("{failing}|{said}")).ok();
    // What would come after the proxies is said to be left.
    fs::remove_dir_all(it.temp.join("proxy/example.com/legacy")).unwrap();
    let failed = with(&said).exit(1);
    let hint = "hint: behind the proxies comes `direct`, version control of each module";
    assert!(failed.stderr.contains(hint), "{failed}");
    let failed = with("off").exit(1);
    let nobody = "is not in the store, and no proxy is asked for it: the proxies end with `off`";
    assert!(failed.stderr.contains(nobody), "{failed}");
    let failed = with("nonsense").exit(1);
    assert!(
        failed.stderr.contains("`nonsense` in GOPROXY is not a URL"),
        "{failed}"
    );
    // In a manifest it is a list, with the same words.
    it.write_manifest();
    let folder = format!("file://{}", it.temp.join("proxy"));
    let failed = build(&folder, "direct").exit(1);
    assert!(failed.stderr.contains(hint), "{failed}");
    let failed = build(&folder, "off").exit(1);
    assert!(
        failed
            .stderr
            .contains("hint: the proxies end with `off`, so that nothing else is asked"),
        "{failed}"
    );
    let failed = build(&folder, "proxy.example").exit(1);
    assert!(
        failed
            .stderr
            .contains("`proxy.example` is not the URL of a proxy"),
        "{failed}"
    );
}

#[test]
fn a_workspace_has_the_modules_of_all_that_it_uses() {
    let it = Program::new();
    it.temp.write(
        "ws/go.work",
        "go 1.21\n\nuse (\n\t./app\n\t./tool // ours\n)\n",
    );
    common::copy_tree(&it.temp.join("app"), &it.temp.join("ws/app"));
    let main = fs::read_to_string(it.temp.join("ws/app/main.go")).unwrap();
    let main = main.replace("import (", "import (\n\t\"example.com/tool\"");
    let main = main.replace("print(words", "print(tool.Name, \" \", words");
    it.temp.write("ws/app/main.go", main);
    let go_mod = "module example.com/tool\n\ngo 1.21\n\nrequire example.com/unused v0.1.0\n";
    it.temp.write("ws/tool/go.mod", go_mod);
    it.temp.write(
        "ws/tool/tool.go",
        "package tool\n\nimport _ \"example.com/unused\"\n\nconst Name = \"the tool\"\n",
    );
    let mut tidy = Command::new(common::go());
    tidy.args(["mod", "tidy"])
        .current_dir(it.temp.join("ws/tool"))
        .env_clear()
        .env("HOME", it.temp.join("home"))
        .env("GOMODCACHE", it.temp.join("own"))
        .env("GOPROXY", format!("file://{}", it.temp.join("proxy")))
        .env("GOFLAGS", "-modcacherw")
        .env("GOWORK", "off")
        .env("GOSUMDB", "off")
        .env("GOTOOLCHAIN", "local")
        .run()
        .ok();
    let manifest = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    let manifest = manifest
        .replace("path = 'app'", "path = 'ws'")
        .replace("{source:app}/go.sum", "{source:app}/go.work")
        .replace("'../bin/app', '.'", "'../bin/app', './app'");
    it.temp.write("lockwright.toml", manifest);
    it.mirrored(&["app"]).run().ok();
    let said = Command::new(it.temp.join("out/app/bin/app")).run().ok();
    assert_eq!(said.stderr, "the tool a deep 1999");

    // What the go command would have to look for is told, and what lies elsewhere is not read.
    let sum = fs::read_to_string(it.temp.join("ws/tool/go.sum")).unwrap();
    fs::remove_file(it.temp.join("ws/tool/go.sum")).unwrap();
    let app = fs::read_to_string(it.temp.join("ws/app/go.sum")).unwrap();
    let without: Vec<&str> = app
        .lines()
        .filter(|line| !line.contains("unused"))
        .collect();
    it.temp.write("ws/app/go.sum", without.join("\n"));
    let failed = it.mirrored(&["app"]).run().exit(1);
    let told = "example.com/unused@v0.1.0 is required here, and no go.sum of the workspace names its go.mod";
    assert!(failed.stderr.contains(told), "{failed}");
    it.temp.write("ws/go.work.sum", sum);
    it.mirrored(&["app"]).run().ok();
    it.temp.write("ws/go.work", "use ../app\n");
    let failed = it.mirrored(&["app"]).run().exit(1);
    assert!(failed.stderr.contains("ws/go.work:1:1"), "{failed}");
    assert!(
        failed
            .stderr
            .contains("../app is not in the folder of the go.work"),
        "{failed}"
    );
}

#[test]
fn what_is_not_the_locked_module_is_a_sentence() {
    let it = Program::new();
    let sum = fs::read_to_string(it.temp.join("app/go.sum")).unwrap();
    let words = "example.com/Acme/words";
    let zip = |bytes: &[u8]| it.put(words, "v1.2.0", "zip", bytes);
    let told = |mut build: Command| {
        let _ = fs::remove_dir_all(it.temp.join("store/v1/modules"));
        let failed = build.args(["--quiet"]).run().exit(1);
        assert!(!it.temp.join("out/modules").exists(), "{failed}");
        let said = failed.redacted(&it.temp);
        // What a system says of names and connections is its own.
        let lines = said
            .lines()
            .map(|line| line.split(": client error").next().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    };
    let modules = || it.mirrored(&["modules"]);
    let mut all = Vec::new();

    zip(&archive(
        &format!("{words}@v1.2.0/"),
        &[("go.mod", "module other\n")],
    ));
    all.push(told(modules()));
    zip(b"no archive");
    all.push(told(modules()));
    let outside = [
        ("example.com/Acme/words@v1.2.0/go.mod", "module x\n"),
        ("evil.go", "package evil\n"),
    ];
    zip(&archive("", &outside));
    let hash =
        FilesDigest::of(outside.map(|(name, text)| (name.to_owned(), Sha256::digest(text).into())));
    let locked = sum
        .lines()
        .find(|line| line.starts_with(&format!("{words} v1.2.0 ")))
        .unwrap();
    it.temp.write(
        "app/go.sum",
        sum.replace(locked, &format!("{words} v1.2.0 {hash}")),
    );
    all.push(told(modules()));
    it.temp.write("app/go.sum", &sum);
    it.module(words, "v1.2.0", WORDS);
    it.put(words, "v1.2.0", "mod", "module other\n");
    all.push(told(modules()));
    it.module(words, "v1.2.0", WORDS);

    // A folder that was not written for a proxy.
    let proxy = it.temp.join("proxy/example.com");
    fs::rename(proxy.join("!acme"), proxy.join("Acme")).unwrap();
    all.push(told(modules()));
    fs::rename(proxy.join("Acme"), proxy.join("!acme")).unwrap();

    // A proxy that is down, that nobody has named, that may not be asked.
    let mut down = it.build(&["modules"]);
    down.args(["--mirror", "https://goproxy.example/go=http://127.0.0.1:9/"]);
    all.push(told(down));
    all.push(told(it.build(&["modules"])));
    all.push(told(it.build(&["modules", "--offline"])));

    let without: Vec<&str> = sum
        .lines()
        .filter(|line| !line.contains("legacy"))
        .collect();
    it.temp.write("app/go.sum", without.join("\n"));
    all.push(told(modules()));
    it.temp
        .write("app/go.sum", format!("{sum}example.com/x v1.0.0\n"));
    all.push(told(modules()));
    it.temp.write("app/go.sum", &sum);
    let text = fs::read_to_string(it.temp.join("lockwright.toml")).unwrap();
    let replace = |name: &str| {
        let with = format!("go = {{ replace = {{ '{name}' = '{{component:mine}}' }}, lock");
        it.temp
            .write("lockwright.toml", text.replace("go = { lock", &with));
        it.mirrored(&["modules"])
    };
    all.push(told(replace("example.com/acme/words")));
    fs::remove_file(it.temp.join("app/go.mod")).unwrap();
    all.push(told(modules()));
    insta::assert_snapshot!("modules_refused", all.join("\n\n"));
}
