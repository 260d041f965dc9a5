//! Sources to build: sdists packed here, locks that name them, and locks of build requirements.

use std::fs;
use std::io::Write;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::{Run, Temp, backends, uv};
use lockwright::core::digest::{Algorithm, Digest};

/// Packs an sdist: `(path below its top folder, contents)`.
pub fn sdist(temp: &Temp, name: &str, version: &str, files: &[(&str, &str)]) -> Utf8PathBuf {
    let top = format!("{name}-{version}");
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |path: &str, text: &str| {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("{top}/{path}"), text.as_bytes())
            .expect("a member can be written");
    };
    add(
        "PKG-INFO",
        &format!("Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"),
    );
    for (path, text) in files {
        add(path, text);
    }
    let gzip = tar.into_inner().expect("an archive can be ended");
    temp.write(
        &format!("dist/{top}.tar.gz"),
        gzip.finish().expect("it can be packed"),
    )
}

/// A `uv.lock` in `project`, for a project that depends on these sdists of `dist/`.
pub fn lock_of_sdists(temp: &Temp, project: &str, sdists: &[(&str, &str)]) {
    let needs: String = sdists
        .iter()
        .map(|(name, _)| format!("    {{ name = \"{name}\" }},\n"))
        .collect();
    let mut lock = format!(
        "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\n\
         version = \"0\"\nsource = {{ virtual = \".\" }}\ndependencies = [\n{needs}]\n"
    );
    for (name, version) in sdists {
        let file = format!("{name}-{version}.tar.gz");
        let bytes = fs::read(temp.join("dist").join(&file)).expect("the sdist is there");
        let digest = Digest::of(Algorithm::Sha256, &bytes).hex();
        lock.push_str(&format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \
             \"../dist\" }}\nsdist = {{ path = \"{file}\", hash = \"sha256:{digest}\" }}\n"
        ));
    }
    temp.write(&format!("{project}/uv.lock"), lock);
    temp.write(
        &format!("{project}/pyproject.toml"),
        "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\n",
    );
}

/// A lock of build requirements, made by uv without the network: `[dependency-groups]`' lines, and
/// the groups that conflict.
pub fn build_lock(temp: &Temp, groups: &str, conflicts: &str) -> Utf8PathBuf {
    let text = format!(
        "[project]\nname = \"builds\"\nversion = \"0\"\nrequires-python = \">=3.11\"\n\n\
         [dependency-groups]\n{groups}\n\n[tool.uv]\npackage = false\nconflicts = [{conflicts}]\n"
    );
    let project = temp.write("builds/pyproject.toml", text);
    let folder = project.parent().expect("it is in a folder");
    uv_lock(temp, folder);
    folder.join("uv.lock")
}

/// Locks a project with uv, from the folder of back ends alone.
pub fn uv_lock(temp: &Temp, folder: &Utf8Path) {
    Command::new(uv())
        .args(["lock", "--offline", "--quiet", "--default-index"])
        .arg(backends().join("simple"))
        .arg("--cache-dir")
        .arg(temp.join("uv-cache"))
        .current_dir(folder)
        .run()
        .ok();
}

/// Whether a folder is there and empty.
pub fn is_empty(folder: &Utf8Path) -> bool {
    folder
        .read_dir_utf8()
        .is_ok_and(|mut entries| entries.next().is_none())
}

/// A gzip of these bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory takes it");
    out.finish().expect("memory takes it")
}
