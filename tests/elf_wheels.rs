//! `lockwright elf patch` on real wheels: those for x86-64 are imported by CPython 3.14 afterwards, with the system's
//! libraries taken away; those for every other machine are checked against readelf and eu-elflint.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use common::elf::{SYSTEM, elf_files, faults};
use common::{
    Ran, Run as _, Temp, copy_tree, fixture, forky_root, lockwright, lockwright_in_forky, mirrors,
    patchelf, shared_store, wheels,
};

/// Imports every extension module below a folder; prints those that fail (one needs tkinter, one cannot be imported
/// first), and from where libstdc++ came.
const IMPORT: &str = r#"
import importlib, pathlib, re, sys
site = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(site))
count = 0
for path in sorted(site.rglob("*.so")):
    name = re.fullmatch(r"(\w+)(\.cpython-314-\S+|\.abi3)?\.so", path.name)
    parts = path.parent.relative_to(site).parts
    if not name or any("." in part for part in parts):
        continue
    try:
        importlib.import_module(".".join(parts + (name[1],)))
        count += 1
    except Exception as error:
        print("FAILED", path.relative_to(site), type(error).__name__, error)
maps = {line.split()[-1] for line in open("/proc/self/maps") if "libstdc++" in line}
print("MAPS", *sorted(maps))
print("COUNT", count)
"#;

#[test]
fn wheels_of_every_machine_get_no_new_fault() {
    for machine in [
        "x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64",
    ] {
        let temp = Temp::new();
        let (from, to) = (wheels(machine), temp.join("site"));
        copy_tree(&from, &to);
        let path = format!("$ORIGIN/../{}", "a-path-that-does-not-fit/".repeat(9));
        let patch = |path: &str| {
            let args = ["elf", "patch", to.as_str(), "--set-rpath", path];
            lockwright(&temp).args(args).run().ok()
        };
        patch(&path);
        let sizes: Vec<u64> = elf_files(&to)
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .collect();
        let files = elf_files(&from);
        assert!(!files.is_empty(), "{machine} has no ELF file");
        // Every file of the small sets; of the large ones enough to have each linker's.
        for original in files.iter().step_by(files.len().div_ceil(25)) {
            let file = to.join(original.strip_prefix(&from).unwrap());
            let new: Vec<String> = faults(&file)
                .difference(&faults(original))
                .cloned()
                .collect();
            assert!(new.is_empty(), "{machine} {file}: {new:?}");
        }
        assert!(patch(&path).stdout.starts_with("0 patched"), "{machine}");
        patch(&format!("{path}:/longer/by/some"));
        patch(&path);
        let after: Vec<u64> = elf_files(&to)
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .collect();
        for ((before, after), file) in sizes.iter().zip(after).zip(elf_files(&to)) {
            assert!(after <= before + 64, "{file} grew from {before} to {after}");
        }
    }
}

#[test]
fn native_wheels_import_with_the_systems_libraries_taken_away() {
    let temp = Temp::new();
    let (site, private) = (temp.join("site"), temp.join("private"));
    copy_tree(&wheels("x86_64"), &site);
    fs::create_dir(&private).unwrap();
    let libraries = ["libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"];
    let root = forky_root();
    let system = root.join(SYSTEM.trim_start_matches('/'));
    for name in libraries {
        fs::copy(system.join(name), private.join(name)).unwrap();
    }
    let script = temp.write("imports.py", IMPORT);
    let import = |hidden: &[&str]| {
        let mut bwrap = Command::new(common::on_path("bwrap"));
        bwrap.args(["--die-with-parent", "--dev-bind", "/", "/", "--ro-bind"]);
        bwrap.args([
            root.join("usr").as_str(),
            "/usr",
            "--ro-bind",
            root.join("etc").as_str(),
            "/etc",
        ]);
        for name in hidden {
            bwrap.args(["--ro-bind", "/dev/null", &format!("{SYSTEM}/{name}")]);
        }
        bwrap.args(["--", "/usr/bin/python3.14", script.as_str(), site.as_str()]);
        bwrap.env("PYTHONDONTWRITEBYTECODE", "1").run()
    };
    let failed = |ran: &Ran| {
        let lines = ran.stdout.lines().filter(|line| line.starts_with("FAILED"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    // libz is needed by CPython itself, so it cannot be hidden from the process.
    let hidden = ["libstdc++.so.6", "libgcc_s.so.1"];
    let before = import(&[]).ok();
    assert!(
        !failed(&import(&hidden)).is_empty(),
        "the libraries were not taken away"
    );

    let args = [
        "elf",
        "patch",
        site.as_str(),
        private.as_str(),
        "--json",
        "--search",
        private.as_str(),
    ];
    let report = lockwright(&temp).args(args).run().ok().json();
    let after = import(&hidden).ok();
    assert_eq!(failed(&after), failed(&before));
    assert!(
        after
            .stdout
            .contains(private.join("libstdc++.so.6").as_str()),
        "{after}"
    );
    let count = |ran: &Ran| {
        let line = ran
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("COUNT "));
        line.unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(count(&after), count(&before));
    assert!(count(&after) >= 140, "{after}");

    for file in report["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        if file["action"] == "patched" {
            let read = Command::new(patchelf())
                .args(["--print-rpath", path])
                .run()
                .ok();
            assert_eq!(
                read.stdout.trim_end(),
                file["path_after"].as_str().unwrap_or_default(),
                "{path}"
            );
        }
        for needed in file["needed"].as_array().into_iter().flatten() {
            let name = needed["library"].as_str().unwrap();
            let expected = if libraries.contains(&name) && !path.contains("/private/") {
                &["search", "tree"][..]
            } else {
                &["libc", "tree"]
            };
            assert!(
                expected.contains(&needed["from"].as_str().unwrap()),
                "{path} {needed}"
            );
        }
    }
}

/// Case by case: what auto-patchelf would leave, or better.
#[test]
fn runpaths_are_the_ones_that_are_needed() {
    let temp = Temp::new();
    let (site, private) = (temp.join("site"), temp.join("private"));
    copy_tree(&wheels("x86_64"), &site);
    fs::create_dir(&private).unwrap();
    for name in ["libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"] {
        fs::copy(
            forky_root().join(&SYSTEM[1..]).join(name),
            private.join(name),
        )
        .unwrap();
    }
    let args = [
        "elf",
        "patch",
        site.as_str(),
        "--json",
        "--search",
        private.as_str(),
    ];
    let report = lockwright(&temp).args(args).run().ok().json();
    let files = report["files"].as_array().unwrap();
    let path_of = |part: &str| {
        let file = files
            .iter()
            .find(|file| file["path"].as_str().unwrap().contains(part));
        let file = file.unwrap_or_else(|| panic!("no {part}"));
        let path = file["path_after"].as_str().unwrap_or_default();
        path.replace(private.as_str(), "PRIVATE")
    };
    // Rust: libgcc_s alone.
    assert_eq!(path_of("cryptography/hazmat/bindings/_rust"), "PRIVATE");
    // Bundled libraries stay where auditwheel pointed to, before what is searched besides.
    assert_eq!(
        path_of("numpy/_core/_multiarray_umath"),
        "$ORIGIN/../../numpy.libs:PRIVATE"
    );
    // Nothing but libc and what is bundled: left as auditwheel made it.
    assert_eq!(path_of("PIL/_imagingcms"), "$ORIGIN/../pillow.libs");
    // libc alone: no path at all.
    assert_eq!(path_of("PIL/_imagingmath"), "");
    // Bundled libraries find each other by themselves, not through who loads them.
    assert_eq!(path_of("pillow.libs/libwebpmux"), "$ORIGIN");
    for file in files {
        let path = file["path_after"].as_str().unwrap_or_default();
        for entry in path.split(':').filter(|entry| !entry.is_empty()) {
            assert!(
                entry.starts_with("$ORIGIN") || entry == private.as_str(),
                "{file}"
            );
        }
    }
}

/// An environment that lockwright made says of itself what is true, also after it was patched.
#[test]
fn a_patched_environment_is_as_it_says() {
    let temp = Temp::new();
    let (venv, private) = (temp.join("venv"), temp.join("private"));
    fs::create_dir(&private).unwrap();
    let system = forky_root().join(&SYSTEM[1..]);
    for name in ["libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"] {
        fs::copy(system.join(name), private.join(name)).unwrap();
    }
    lockwright_in_forky(&temp)
        .args(["sync", fixture("heavy").as_str(), "--out", venv.as_str()])
        .args(["--python", "/usr/bin/python3.14"])
        .args(["--store", shared_store().as_str()])
        .args(mirrors())
        .run()
        .ok();
    let verify = |of: &Utf8Path| lockwright(&temp).args(["verify", of.as_str()]).run();
    verify(&venv).ok();
    // A part of it, one file, and then the whole: what speaks of them is found from each.
    let site = venv.join("lib/python3.14/site-packages");
    let files = elf_files(&site.join("pydantic_core"));
    for part in [site.join("numpy"), files[0].clone(), venv.clone()] {
        let patch = |json: &[&str]| {
            let args = ["elf", "patch", part.as_str(), "--search", private.as_str()];
            lockwright(&temp).args(args).args(json).run().ok()
        };
        let report = patch(&["--json"]).json();
        let records = report["amended"]["records"].as_array().unwrap();
        assert_eq!(records.len() > 1, part == venv, "{part} {report}");
        assert!(!records.is_empty(), "{part} {report}");
        let provenance = &report["amended"]["provenance"];
        assert_eq!(
            provenance,
            &serde_json::json!([venv.join(".lockwright/provenance.json")])
        );
        verify(&venv).ok();
        let again = patch(&[]).stdout;
        assert!(
            again.starts_with("0 patched") && !again.contains("hashes"),
            "{again}"
        );
    }
}

/// Loads each library that is named; prints those that cannot be.
const LOAD: &str = r#"
import ctypes, sys
for path in sys.argv[1:]:
    try:
        ctypes.CDLL(path)
    except OSError as error:
        print(path.rsplit("/", 1)[1], error)
"#;

/// Of the segments that are loaded, those that ld.so refuses: not as far into their page in memory as in the file.
fn misplaced(file: &Utf8Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let loads = elf.program_headers.iter();
    let loads = loads.filter(|load| load.p_type == goblin::elf::program_header::PT_LOAD);
    loads
        .filter(|load| load.p_vaddr.abs_diff(load.p_offset) % load.p_align != 0)
        .map(|load| format!("{load:?}"))
        .collect()
}

/// What auditwheel has repaired once can be patched, and stripped after that. patchelf leaves a segment without any
/// section behind, of which GNU strip makes one that ld.so refuses.
#[test]
fn what_can_be_stripped_before_can_be_stripped_after() {
    let temp = Temp::new();
    let (site, plain) = (temp.join("site"), temp.join("plain"));
    copy_tree(&wheels("x86_64"), &site);
    copy_tree(&wheels("x86_64"), &plain);
    let path = format!(
        "$ORIGIN:$ORIGIN/../{}",
        "a-path-that-does-not-fit/".repeat(9)
    );
    let patch = |path: &str| {
        let args = ["elf", "patch", site.as_str(), "--set-rpath", path];
        lockwright(&temp).args(args).run().ok()
    };
    patch(&path);
    let (mut seen, mut bundled) = (0, Vec::new());
    for file in elf_files(&site) {
        let original = plain.join(file.strip_prefix(&site).unwrap());
        for file in [&original, &file] {
            Command::new(common::on_path("strip")).arg(file).run().ok();
        }
        if !misplaced(&original).is_empty() {
            continue;
        }
        seen += 1;
        assert_eq!(misplaced(&file), [""; 0], "{file}");
        // Such as strip finds in what patchelf wrote.
        let new: Vec<_> = faults(&file)
            .difference(&faults(&original))
            .cloned()
            .collect();
        assert!(new.is_empty(), "{file}: {new:?}");
        if file.as_str().contains(".libs/") {
            bundled.push(file);
        }
    }
    assert!(seen > 100 && bundled.len() > 20, "{seen} {}", bundled.len());
    let ran = Command::new(common::python())
        .args(["-c", LOAD])
        .args(&bundled)
        .run()
        .ok();
    assert_eq!(ran.stdout, "");
    // Patched again they are as whole, and no longer.
    patch(&format!("{path}:/longer/by/some"));
    let again = Command::new(common::python())
        .args(["-c", LOAD])
        .args(&bundled)
        .run()
        .ok();
    assert_eq!(again.stdout, "");
}
