//! An image made: trees on a base, checked, divided into layers, written.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::OciError;
use super::base::Image;
use super::closure::{Closure, Versions, ident, ident_of};
use super::compress::Compression;
use super::layers::{Unit, group};
use super::output::Output;
use super::place::{Placed, Placing, Tree};
use super::root::{Node, Root};
use super::settings::{Name, Settings, history, machine, variables};
use super::spec::Config;
use super::tar::{Item, Items};
use crate::core::digest::Digest;
use crate::core::progress::Progress;
use crate::decide::target::Arch;
use crate::obtain::store::Store;
use crate::transform::elf::Glob;

/// What is wanted.
#[derive(Debug)]
pub struct Request<'a> {
    /// An image that it stands on.
    pub base: Option<&'a Image>,
    /// That image's file system ([`Image::unfold`]); else an empty one.
    pub root: Root,
    /// A tree that it stands on, taken as it is: all of it is one layer.
    pub base_tree: Option<&'a Utf8Path>,
    /// What it is made of.
    pub trees: &'a [Tree],
    /// The machine that it is for.
    pub arch: Arch,
    /// What it is called.
    pub name: &'a Name,
    /// What is said of it.
    pub settings: &'a Settings,
    /// How its layers are compressed.
    pub compression: Compression,
    /// How many layers there are at most, beside the base's.
    pub max_layers: usize,
    /// What may be missing.
    pub allow_missing: &'a [Glob],
    /// A bill of materials, to be attached.
    pub sbom: Option<&'a [u8]>,
    /// Where layers are kept that were made before.
    pub store: Option<&'a Store>,
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// What it is called.
    pub name: String,
    /// The digest of its manifest: what it is known by.
    pub digest: Digest,
    /// The machine it is for.
    pub architecture: &'static str,
    /// The digest of the base's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// How many layers are the base's.
    pub base_layers: usize,
    /// Its own layers, from the lowest.
    pub layers: Vec<BuiltLayer>,
    /// The digest of the manifest of its bill of materials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sbom: Option<Digest>,
    /// Whether there was an image in its place.
    pub replaced: bool,
}

/// A layer that was made.
#[derive(Debug, Clone, Serialize)]
pub struct BuiltLayer {
    /// What is in it.
    pub contents: String,
    /// The digest of its blob.
    pub digest: Digest,
    /// How long that is, in bytes.
    pub size: u64,
    /// How many files and links are in it.
    pub files: usize,
    /// Whether the image that was in its place had it, too.
    pub kept: bool,
    /// Whether it was in the store, so that nothing of it was compressed again.
    pub stored: bool,
}

/// What goes into a layer.
pub(super) struct Planned {
    pub(super) contents: String,
    pub(super) items: Items,
}

impl Request<'_> {
    /// Makes it.
    ///
    /// # Errors
    /// When something is missing or not what it should be; nothing is at the destination then but what
    /// was there.
    pub fn build(mut self, mut output: Output) -> Result<Built, OciError> {
        let mut root = std::mem::take(&mut self.root);
        let mut placing = Placing::on(&mut root, self.store);
        let base_tree = self.base_tree.map(|tree| placing.place(&on_root(tree)));
        let mut base_tree = base_tree.transpose()?;
        placing.forget();
        let placed = self.trees.iter().map(|tree| placing.place(tree));
        let mut placed: Vec<Placed> = placed.collect::<Result<_, _>>()?;
        let known = base_tree.iter_mut().chain(&mut placed);
        let known = known.map(|tree| (tree.from.clone(), std::mem::take(&mut tree.known)));
        let known: Vec<_> = known.collect();
        let planned = self.plan(&placing, base_tree, &mut placed);

        let mut config =
            (self.settings).configuration(self.base.map(|base| &base.config), self.arch)?;
        Settings::check_user(&config, &root)?;
        let env = variables(&config);
        let closure = Closure {
            root: &root,
            trees: &placed,
            arch: self.arch,
            env: &env,
            versions: Versions::default(),
        };
        self.check_entry(&config, &closure)?;
        let missing = closure.missing(self.allow_missing)?;
        if !missing.is_empty() {
            return Err(OciError::Missing(missing));
        }

        let mut layers = Vec::new();
        let base_layers = self.copy_base(&mut output, &mut layers)?;
        let (mut built, mut kept) = (Vec::new(), Vec::new());
        let total = planned
            .iter()
            .flat_map(|layer| layer.items.values())
            .map(Item::size)
            .sum();
        let progress = Progress::bytes("Packing", total);
        for layer in planned {
            progress.working_on(layer.contents.clone());
            let written = self.write_layer(&mut output, &layer, &progress)?;
            let (descriptor, diff_id) = (written.descriptor, written.diff_id);
            let stored = written.is_stored;
            kept.extend(written.kept.map(|kept| (kept, diff_id.clone())));
            config.rootfs.diff_ids.push(diff_id);
            config.history.push(history(&layer.contents));
            built.push(BuiltLayer {
                kept: output
                    .earlier()
                    .is_some_and(|known| known.has(&descriptor.digest)),
                digest: descriptor.digest.clone(),
                size: descriptor.size,
                files: layer
                    .items
                    .values()
                    .filter(|item| !item.is_folder())
                    .count(),
                contents: layer.contents,
                stored,
            });
            layers.push(descriptor);
        }
        progress.done();
        self.note(&kept, &known);
        let manifest = self.write_manifest(&mut output, &config, layers)?;
        let sbom = self.write_sbom(&mut output, &manifest)?;
        let digest = manifest.digest.clone();
        self.write_index(&mut output, manifest, sbom.clone())?;
        let (path, replaced) = (output.path().to_owned(), output.earlier().is_some());
        output.commit()?;
        Ok(Built {
            path,
            name: self.name.full(),
            digest,
            architecture: machine(self.arch).0,
            base: self.base.map(|base| base.digest.clone()),
            base_layers,
            layers: built,
            sbom: sbom.map(|sbom| sbom.digest),
            replaced,
        })
    }

    fn plan(
        &self,
        placing: &Placing<'_>,
        base_tree: Option<Placed>,
        placed: &mut [Placed],
    ) -> Vec<Planned> {
        let mut planned = Vec::new();
        if let Some(base) = base_tree {
            let items = base.units.into_iter().flat_map(|(_, items)| items);
            planned.push(Planned {
                contents: "the base".to_owned(),
                items: placing.with_folders(items.collect()),
            });
        }
        let (mut units, mut contents) = (Vec::new(), Vec::new());
        for tree in placed.iter_mut() {
            for (unit, items) in std::mem::take(&mut tree.units) {
                units.push(unit);
                contents.push(items);
            }
        }
        for layer in group(&units, self.max_layers.max(1)) {
            let mut items = Items::new();
            for number in &layer {
                if let Some(unit) = contents.get_mut(*number) {
                    items.append(unit);
                }
            }
            planned.push(Planned {
                contents: title(&layer, &units, placed),
                items: placing.with_folders(items),
            });
        }
        planned
    }

    /// There is something to start, and it is there, for this machine.
    fn check_entry(&self, config: &Config, closure: &Closure<'_>) -> Result<(), OciError> {
        let process = &config.config;
        let programs = || {
            let mut names = Vec::new();
            for tree in closure.trees {
                let bin = tree.programs.iter().filter(|path| {
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    folder.ends_with("bin") || folder == tree.at
                });
                names.extend(bin.map(|path| format!("/{path}")));
            }
            names
        };
        let first =
            |words: &Option<Vec<String>>| words.as_ref().and_then(|words| words.first().cloned());
        let Some(program) = first(&process.entrypoint).or_else(|| first(&process.cmd)) else {
            return Err(OciError::NoEntry(programs()));
        };
        let refuse = |why: &str| OciError::Entry {
            program: crate::core::foreign::shown(&program),
            why: why.to_owned(),
            programs: programs(),
        };
        let path = match program.contains('/') && !program.starts_with('/') {
            true => Some(Utf8Path::new("/").join(&process.working_dir).join(&program)),
            false => closure.on_path(&program),
        };
        let Some(Node::File(file)) = path
            .and_then(|path| closure.root.follow(&path))
            .map(|(_, node)| node)
        else {
            return Err(refuse(match program.contains('/') {
                true => "which is not in it",
                false => "which is not on its PATH",
            }));
        };
        if file.mode & 0o111 == 0 {
            return Err(refuse("which may not be run"));
        }
        let machine = ident(&file.head(64));
        if machine.is_some_and(|machine| machine != ident_of(self.arch)) {
            let why = format!("which is not for {}", self::machine(self.arch).0);
            return Err(refuse(&why));
        }
        Ok(())
    }
}

/// A base that is a tree.
fn on_root(tree: &Utf8Path) -> Tree {
    Tree {
        from: tree.to_owned(),
        at: "/".into(),
        changing: Vec::new(),
        is_new: false,
    }
}

/// What is in a layer, in words.
fn title(layer: &[usize], units: &[Unit], placed: &[Placed]) -> String {
    /// As many as a line holds.
    const SHOWN: usize = 4;
    let units = layer.iter().filter_map(|number| units.get(*number));
    let mut names: Vec<&str> = units
        .clone()
        .filter_map(|unit| unit.package.as_deref())
        .collect();
    names.sort_unstable();
    names.dedup();
    let rests = units.filter(|unit| unit.package.is_none());
    let rests: Vec<String> = rests
        .filter_map(|unit| placed.get(unit.tree))
        .map(|tree| match names.is_empty() {
            true => format!("/{}", tree.at),
            false => format!("the rest of /{}", tree.at),
        })
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    let mut parts: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| (*name).to_owned())
        .collect();
    parts.extend(rests);
    let mut text = parts.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
