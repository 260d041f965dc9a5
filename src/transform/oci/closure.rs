//! Whether an image is whole: everything that its trees need at run time is in one of its layers.
//!
//! Looked at are the interpreters of ELF files and the libraries that these name (as ld.so looks for
//! them: RPATH or RUNPATH, `LD_LIBRARY_PATH`, `/etc/ld.so.conf`, its own folders), the first lines of
//! scripts that may be run, and links that lead out of their tree. What the base needs is its own
//! affair. A library that is there and is not where ld.so looks is no reason to refuse: who loads
//! the file may have loaded the library before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::missing::{Missing, What};
use super::place::Placed;
use super::root::{Bytes, Node, Root};
use crate::core::locks;
use crate::decide::target::Arch;
use crate::transform::elf::{self, ElfFacts, Files, Glob};

/// How much of a script's first line is read; Linux reads no more.
const LINE: usize = 256;

/// Where ld.so looks by itself: glibc's and musl's folders, and what distributions add.
const FOLDERS: [&str; 5] = ["lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib"];

/// What is looked at.
pub struct Closure<'a> {
    /// The file system.
    pub root: &'a Root,
    /// Its trees.
    pub trees: &'a [Placed],
    /// The machine.
    pub arch: Arch,
    /// The variables that it is started with.
    pub env: &'a BTreeMap<String, String>,
    /// What libraries define.
    pub versions: Versions,
}

impl Closure<'_> {
    /// What is missing, but for what is `allowed`: names or paths of what is missing, or of what needs
    /// it.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn missing(&self, allowed: &[Glob]) -> Result<Vec<Missing>, elf::ElfError> {
        let mut found: BTreeMap<What, BTreeSet<String>> = BTreeMap::new();
        let needs = [self.of_elf_files()?, self.of_scripts(), self.of_links()];
        for (by, what) in needs.concat() {
            let is_allowed = |glob: &Glob| {
                glob.matches(what.name()) || glob.matches(&by) || glob.matches(&format!("/{by}"))
            };
            if !allowed.iter().any(is_allowed) {
                found.entry(what).or_default().insert(by);
            }
        }
        Ok(found
            .into_iter()
            .map(|(what, by)| Missing { what, by })
            .collect())
    }

    fn of_elf_files(&self) -> Result<Vec<(String, What)>, elf::ElfError> {
        let folders = self.library_folders();
        let by_name = self.libraries();
        let mut missing = Vec::new();
        for tree in self.trees {
            let files = Files::open(std::slice::from_ref(&tree.from))?;
            let found = files.files.par_iter().flat_map_iter(|file| {
                let names = std::iter::once(&file.path).chain(&file.links);
                let name = names.into_iter().find_map(|path| tree.in_image(path));
                let needs = match (&name, &file.facts) {
                    (Some(name), Ok(facts)) if facts.kind.is_dynamic() => {
                        self.of_elf(name, facts, &folders, &by_name)
                    }
                    _ => Vec::new(),
                };
                let name = name.unwrap_or_default();
                needs.into_iter().map(move |what| (name.clone(), what))
            });
            missing.par_extend(found);
        }
        Ok(missing)
    }

    fn of_elf(
        &self,
        name: &str,
        facts: &ElfFacts,
        folders: &[Utf8PathBuf],
        by_name: &BTreeMap<&str, Vec<Ident>>,
    ) -> Vec<What> {
        let path = Utf8PathBuf::from(format!("/{name}"));
        let Some(ident) = self
            .root
            .file(&path)
            .and_then(|file| ident(&file.head(LINE)))
        else {
            return Vec::new();
        };
        // Packages bring files for machines that they do not run on.
        if ident != ident_of(self.arch) {
            return Vec::new();
        }
        let mut missing = Vec::new();
        let is_there = |path: &Utf8Path| {
            let file = self.root.file(path);
            file.is_some_and(|file| self::ident(&file.head(LINE)) == Some(ident))
        };
        if let Some(loader) = facts
            .interpreter
            .as_deref()
            .filter(|_| facts.kind == elf::Kind::Executable)
            && loader.starts_with('/')
            && !is_there(loader.into())
        {
            missing.push(What::Loader(loader.to_owned()));
        }
        let origin = path.parent().unwrap_or(&path);
        let own: Vec<Utf8PathBuf> = facts
            .search_path()
            .filter_map(|entry| elf::expand(entry, origin))
            .collect();
        for library in &facts.needed {
            let mut places = own.iter().chain(folders).map(|folder| folder.join(library));
            let place = match library.contains('/') {
                true => elf::expand(library, origin).filter(|path| is_there(path)),
                false => places.find(|path| is_there(path)),
            };
            let is_known = || {
                by_name
                    .get(&**library)
                    .is_some_and(|all| all.contains(&ident))
            };
            match place {
                Some(place) => missing.extend(self.older(facts, library, &place)),
                None if is_known() || library.starts_with('$') => {}
                None => missing.push(What::Library(library.clone())),
            }
        }
        missing
    }

    /// A version that a file needs of a library and that this does not have, being older. Of one that
    /// says nothing of versions nothing is known.
    fn older(&self, facts: &ElfFacts, library: &str, place: &Utf8Path) -> Option<What> {
        let mut needs = facts.version_needs.iter();
        let needs = needs.find(|need| need.library == library)?;
        let has = self.versions.of(self.root, place)?;
        let mut lacks = needs.versions.iter().filter(|need| !has.contains(need));
        let lack = lacks.next_back().filter(|_| !has.is_empty())?;
        Some(What::Version(format!("{lack} of {library}")))
    }

    /// Where ld.so looks, whatever a file says.
    fn library_folders(&self) -> Vec<Utf8PathBuf> {
        let mut folders: Vec<Utf8PathBuf> = Vec::new();
        let said = self.env.get("LD_LIBRARY_PATH").map_or("", String::as_str);
        folders.extend(said.split([':', ';']).map(Utf8PathBuf::from));
        let mut texts = vec!["etc/ld.so.conf".to_owned()];
        let more = self.root.names("etc/ld.so.conf.d");
        texts.extend(more.map(|name| format!("etc/ld.so.conf.d/{name}")));
        let musl = self
            .root
            .names("etc")
            .filter(|name| name.starts_with("ld-musl-"));
        texts.extend(musl.map(|name| format!("etc/{name}")));
        for text in texts {
            let text = self.root.text(&format!("/{text}")).unwrap_or_default();
            let lines = text.split(['\n', ':']).map(str::trim);
            folders.extend(
                lines
                    .filter(|line| line.starts_with('/'))
                    .map(Utf8PathBuf::from),
            );
        }
        folders.extend(FOLDERS.map(|folder| Utf8PathBuf::from(format!("/{folder}"))));
        // Debian's and Ubuntu's loader has them built in.
        let triple = match self.arch {
            Arch::X86 => "i386-linux-gnu".to_owned(),
            Arch::Armv7l | Arch::Armv6l => "arm-linux-gnueabihf".to_owned(),
            Arch::Ppc64le => "powerpc64le-linux-gnu".to_owned(),
            arch => format!("{}-linux-gnu", arch.name()),
        };
        folders.extend(["lib", "usr/lib"].map(|lib| Utf8PathBuf::from(format!("/{lib}/{triple}"))));
        folders.retain(|folder| folder.is_absolute());
        folders
    }

    /// The image's libraries by name, wherever they are.
    fn libraries(&self) -> BTreeMap<&str, Vec<Ident>> {
        let mut all: BTreeMap<&str, Vec<Ident>> = BTreeMap::new();
        for (path, node) in self.root.each() {
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            if !name.contains(".so") || matches!(node, Node::Folder | Node::Other) {
                continue;
            }
            let file = self.root.file(&Utf8PathBuf::from(format!("/{path}")));
            if let Some(ident) = file.and_then(|file| ident(&file.head(LINE))) {
                all.entry(name).or_default().push(ident);
            }
        }
        all
    }

    fn of_scripts(&self) -> Vec<(String, What)> {
        let mut scripts = Vec::new();
        for tree in self.trees {
            for path in &tree.programs {
                scripts.push(path);
            }
        }
        let needs = scripts.into_par_iter().filter_map(|path| {
            let file = self.root.file(&Utf8PathBuf::from(format!("/{path}")))?;
            if matches!(file.bytes, Bytes::Base(_)) {
                return None;
            }
            Some((path.clone(), self.of_script(&file.head(LINE))?))
        });
        needs.collect()
    }

    fn of_script(&self, head: &[u8]) -> Option<What> {
        let line = head.strip_prefix(b"#!")?;
        let line = line.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let interpreter = words.next()?;
        // A link that leads nowhere is missed by itself.
        let is_there = |path: &Utf8Path| {
            let at = path.as_str().trim_start_matches('/');
            self.root.file(path).is_some() || matches!(self.root.get(at), Some(Node::Link(_)))
        };
        if !interpreter.starts_with('/') {
            return None;
        }
        if !is_there(interpreter.into()) {
            return Some(What::Interpreter(interpreter.to_owned()));
        }
        if interpreter.rsplit('/').next() != Some("env") {
            return None;
        }
        let program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        match self.on_path(program) {
            Some(_) => None,
            None => Some(What::Program(program.to_owned())),
        }
    }

    /// Where a program is found as a shell finds it.
    pub fn on_path(&self, program: &str) -> Option<Utf8PathBuf> {
        if program.contains('/') {
            let path = Utf8PathBuf::from(program);
            return self.root.file(&path).map(|_| path);
        }
        let folders = self.env.get("PATH").map_or("", String::as_str).split(':');
        folders
            .map(|folder| Utf8Path::new(folder).join(program))
            .find(|path| {
                let file = self.root.file(path);
                file.is_some_and(|file| file.mode & 0o111 != 0)
            })
    }

    fn of_links(&self) -> Vec<(String, What)> {
        let mut missing = Vec::new();
        for tree in self.trees {
            for (path, target) in &tree.links {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let leads = Utf8PathBuf::from(format!("/{folder}")).join(target);
                let leads = crate::core::paths::normal(&leads);
                let is_own = !target.starts_with('/') && leads.starts_with(format!("/{}", tree.at));
                if !is_own
                    && self
                        .root
                        .follow(&Utf8PathBuf::from(format!("/{path}")))
                        .is_none()
                {
                    missing.push((path.clone(), What::Target(target.clone())));
                }
            }
        }
        missing
    }
}

/// The versions that libraries define, by the libraries' paths: each is read once.
#[derive(Debug, Default)]
pub struct Versions(Mutex<HashMap<Utf8PathBuf, Option<Arc<Vec<String>>>>>);

impl Versions {
    fn of(&self, root: &Root, place: &Utf8Path) -> Option<Arc<Vec<String>>> {
        let mut known = locks::held(&self.0);
        let read = || {
            let facts = ElfFacts::read(&root.file(place)?.library()?).ok()?;
            Some(Arc::new(facts.version_definitions))
        };
        let known = known.entry(place.to_owned()).or_insert_with(read);
        known.clone()
    }
}

/// What tells an ELF file's machine: class, byte order and `e_machine`, as they stand there.
type Ident = [u8; 4];

/// Of a file that begins so.
pub fn ident(head: &[u8]) -> Option<Ident> {
    match head {
        [
            0x7f,
            b'E',
            b'L',
            b'F',
            class,
            data,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            low,
            high,
            ..,
        ] => Some([*class, *data, *low, *high]),
        _ => None,
    }
}

/// Of all files of a machine.
pub fn ident_of(arch: Arch) -> Ident {
    let (class, data, machine): (u8, u8, u16) = match arch {
        Arch::X86_64 => (2, 1, 62),
        Arch::Aarch64 => (2, 1, 183),
        Arch::X86 => (1, 1, 3),
        Arch::Armv7l | Arch::Armv6l => (1, 1, 40),
        Arch::Ppc64 => (2, 2, 21),
        Arch::Ppc64le => (2, 1, 21),
        Arch::S390x => (2, 2, 22),
        Arch::Riscv64 => (2, 1, 243),
        Arch::Loongarch64 => (2, 1, 258),
    };
    let [low, high] = match data {
        1 => machine.to_le_bytes(),
        _ => machine.to_be_bytes(),
    };
    [class, data, low, high]
}
