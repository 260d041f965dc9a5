//! Bytecode depends on its source and the interpreter alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::core::progress::Progress;
use lockwright::install::python::bytecode::Compiler;

/// Compiles sources of these names and texts; the pycs' bytes, by name.
fn compile(sources: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let site = Utf8Path::from_path(folder.path()).unwrap();
    for (name, text) in sources {
        std::fs::write(site.join(name), text).unwrap();
    }
    let python = python();
    let about = std::process::Command::new(&python)
        .args(["-c", "import sys; print(sys.version_info[1])"])
        .output()
        .unwrap();
    let minor = String::from_utf8(about.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let compiler = Compiler {
        python: &python,
        version: (3, minor),
        site,
        known_as: Utf8Path::new("/final"),
    };
    let valid = sources
        .iter()
        .filter(|(_, text)| !text.contains("{{"))
        .count();
    assert_eq!(compiler.compile(&Progress::hidden()).unwrap(), valid);
    let cache = site.join("__pycache__");
    let mut made: Vec<_> = cache
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().to_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    made.sort();
    // They work: imported from there, without being written again.
    let run = std::process::Command::new(&python)
        .args(["-B", "-c", "import a; print(a.f(2))"])
        .current_dir(site)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(run.stdout).unwrap(),
        "[2, 'shared text', (1, 2, 3)]\n"
    );
    made
}

fn python() -> Utf8PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| Utf8PathBuf::try_from(folder.join("python3")).unwrap())
        .find(|path| path.exists())
        .expect("these tests need a python3 on the PATH")
}

const A: &str = "def f(x):\n    return [x, 'shared text', (1, 2, 3)]\n\nclass C:\n    name = 'shared text'\n    def g(self): return self.name[1:2]\n";

#[test]
fn what_else_is_compiled_does_not_show() {
    let alone = compile(&[("a.py", A)]);
    let others: Vec<(String, String)> = (0..40)
        .map(|n| {
            (
                format!("b{n}.py"),
                format!("{A}\nname = 'name'\nx = {{'self': f, 'g': C.g, 'b{n}': 'shared text'}}\n"),
            )
        })
        .collect();
    let mut sources: Vec<(&str, &str)> = others
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    sources.extend([("a.py", A), ("template.py", "{{ name }} = 1\n")]);
    let among = compile(&sources);
    let found = among.iter().find(|(name, _)| *name == alone[0].0).unwrap();
    assert!(found.1 == alone[0].1, "a.py's bytecode differs");
}
