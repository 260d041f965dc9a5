//! `lockwright image`: a container image of what a lock names, or of finished trees.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use std::process::ExitCode;

use super::build_lock::Lacking;
use super::image_args::{LockArgs, OciArgs, TreeArg};
use super::image_lock::{self, Base, FromLock};
use super::table::columns;
use super::{Failure, Global, Outcome, outputs, print};
use crate::core::digest::Digest;
use crate::core::foreign::shown;
use crate::core::progress::{bytes, count};
use crate::core::scratch::Beside;
use crate::decide::target::Arch;
use crate::files::tree::Precious;
use crate::transform::elf::Glob;
use crate::transform::oci::{self, Built, Image, Name, Output, Request, Root, Tree, is_image};

/// Make a container image from a lock, or from finished trees, without a daemon or a Dockerfile
///
/// A uv.lock becomes the environment /app/.venv, with its programs first on the PATH; a
/// package-lock.json becomes /app/node_modules. Layers change as little as possible from one lock
/// to the next, and the same input gives the same digest on every machine. An image that would lack
/// something at run time (an interpreter, a library) is refused, with what is missing.
///
/// The result is an OCI layout: one archive for `podman load`, `docker load` and `skopeo` if --out
/// ends in .tar, otherwise a folder. The image's digest goes to standard output.
///
///   lockwright image --no-dev --python-version 3.13 --base python.tar --out app.tar \
///     --cmd '["python", "-m", "app"]'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_link_with_quotes)] // it is a command of a shell's
pub struct ImageArgs {
    /// A project's folder, or its lock [default: the current folder, unless there is a --tree]
    path: Option<Utf8PathBuf>,
    /// Where the image goes: a file whose name ends in .tar, or a folder
    #[arg(long, short, value_name = "FILE.tar|DIR")]
    out: Utf8PathBuf,
    /// Print a JSON report instead of the digest
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    image: OciArgs,
    #[command(flatten)]
    pub(super) lock: LockArgs,
}

/// Runs the command.
pub fn run(args: &ImageArgs, global: &Global) -> Outcome {
    let path = match args.path.as_deref() {
        None if args.image.tree.is_empty() => Utf8Path::new("."),
        None => return make(args, None, global),
        Some(path) => path,
    };
    let lacking = Lacking {
        path,
        selection: &args.lock.selection,
        target: &args.lock.target,
        network: &args.lock.network,
        build: &args.lock.build,
    };
    lacking.made_on_demand(global, || make(args, Some(path), global))
}

/// Makes the image, of a lock where one is given.
fn make(args: &ImageArgs, path: Option<&Utf8Path>, global: &Global) -> Outcome {
    let out = super::absolute(&args.out)?;
    let image = &args.image;
    let mut precious = Precious::default();
    let mut made = match path {
        Some(path) => Some(image_lock::open(path, &args.lock)?),
        None => None,
    };
    let arch = match (&made, &image.arch) {
        (Some(_), Some(_)) => {
            return Err(
                "--arch is for images of trees alone: a lock's is said by --python-platform \
                        or --cpu"
                    .into(),
            );
        }
        (Some(made), None) => Some(made.arch()?),
        (None, Some(arch)) => Some(arch_of(arch)?),
        (None, None) => None,
    };
    let (base, arch) = open_base(image.base.as_deref(), arch)?;
    let mut settings = image.settings();
    let mut trees = Vec::new();
    let mut name = None;
    let mut sbom = None;
    // Gone with all that is in it when this ends.
    let scratch;
    if let Some(made) = &mut made {
        made.guard(&mut precious);
        outputs::of_store(
            &mut precious,
            &args.lock.network.store()?,
            &args.lock.network.options(&[]),
        );
        let parent = out.parent().unwrap_or(Utf8Path::new("/"));
        std::fs::create_dir_all(parent)
            .map_err(|error| format!("cannot make the folder {parent}: {error}"))?;
        scratch = Beside::new(parent, ".lockwright-image-")
            .map_err(|error| format!("cannot make a folder in {parent}: {error}"))?;
        let folder = scratch.path();
        let prefix = image.prefix.as_deref();
        let FromLock {
            tree,
            path,
            workdir,
        } = made.assemble(folder, prefix, &base, global)?;
        trees.push(tree);
        settings.path.extend(path);
        settings.workdir.get_or_insert(workdir);
        name = made.name();
        if !image.no_sbom {
            sbom = Some(made.sbom()?);
        }
    }
    for TreeArg { from, at } in &image.tree {
        precious.add("the tree", super::absolute(from)?);
        trees.push(Tree {
            from: super::absolute(from)?,
            at: at.clone(),
            changing: Vec::new(),
            is_new: false,
        });
    }
    if let Some(base) = &image.base {
        precious.add("the base", super::absolute(split_digest(base).0.into())?);
    }
    let name = match &image.name {
        Some(name) => name.parse()?,
        None => Name::of_project(name.as_deref().unwrap_or_default()),
    };
    let (base_image, base_tree, root) = match base {
        Base::Nothing => (None, None, Root::default()),
        Base::Image(image, root) => (Some(image), None, root),
        Base::Tree(tree) => (None, Some(tree), Root::default()),
    };
    let allow: Vec<Glob> = image
        .allow_missing
        .iter()
        .map(|one| Glob::new(one))
        .collect();
    // Of trees alone an image can be made without one.
    let store = args.lock.network.store().ok();
    let built = Request {
        base: base_image.as_deref(),
        root,
        base_tree: base_tree.as_deref(),
        trees: &trees,
        arch,
        name: &name,
        settings: &settings,
        compression: image.compression.into(),
        max_layers: image.max_layers.into(),
        allow_missing: &allow,
        sbom: sbom.as_deref(),
        store: store.as_ref(),
    }
    .build(Output::begin(&out, &precious)?)?;
    report(args, global, &built)
}

fn report(args: &ImageArgs, global: &Global, built: &Built) -> Outcome {
    if !global.quiet && !args.json {
        eprint!("{}", said(built, args.image.no_sbom));
    }
    match args.json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(built)?))?,
        false => print(&format!("{}\n", built.digest))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What was made, in words.
fn said(built: &Built, no_sbom: bool) -> String {
    let mut rows = Vec::new();
    if let Some(base) = &built.base {
        let layers = count(built.base_layers, "layer");
        rows.push(["base".to_owned(), String::new(), layers, short(base)]);
    }
    for layer in &built.layers {
        let state = match (built.replaced, layer.kept) {
            (false, _) => "",
            (true, true) => "kept",
            (true, false) => "new",
        };
        rows.push([
            state.to_owned(),
            bytes(layer.size),
            shown(&layer.contents),
            short(&layer.digest),
        ]);
    }
    let mut text = columns(&rows, Some(1));
    let all: u64 = built.layers.iter().map(|layer| layer.size).sum();
    let new = built.layers.iter().filter(|layer| !layer.kept);
    let size: u64 = new.clone().map(|layer| layer.size).sum();
    let layers = count(built.layers.len(), "layer");
    let kept = match built.replaced {
        true => format!(", {} of them new: {}", new.count(), bytes(size)),
        false => String::new(),
    };
    let sbom = match (&built.sbom, no_sbom) {
        (Some(_), _) => "with its bill of materials",
        (None, true) => "without a bill of materials, as --no-sbom says",
        (None, false) => "without a bill of materials: there is no lock to make it from",
    };
    text.push_str(&format!(
        "{} for linux/{} in {}, {sbom}\n{layers} of {}{kept}\n",
        built.name,
        built.architecture,
        built.path,
        bytes(all),
    ));
    text
}

/// As much of a digest as tells it from others.
fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(19).collect()
}

/// A base's path, and the digest that is demanded of it.
fn split_digest(base: &str) -> (&str, Option<Digest>) {
    let parts = base.rsplit_once('@');
    match parts.and_then(|(path, digest)| Some((path, digest.parse().ok()?))) {
        Some((path, digest)) => (path, Some(digest)),
        None => (base, None),
    }
}

/// Opens what the image stands on, and tells which machine it is for.
fn open_base(base: Option<&str>, arch: Option<Arch>) -> Result<(Base, Arch), Failure> {
    let host = || arch_of(std::env::consts::ARCH);
    let Some(base) = base else {
        return Ok((Base::Nothing, arch.map_or_else(host, Ok)?));
    };
    let (path, digest) = split_digest(base);
    let path = super::absolute(Utf8Path::new(path))?;
    if !path.exists() {
        return Err(format!("there is no {path}, which --base names").into());
    }
    if !is_image(&path) {
        if digest.is_some() {
            let why = format!("--base names a digest, and {path} is a folder, not an image");
            return Err(why.into());
        }
        return Ok((Base::Tree(path), arch.map_or_else(host, Ok)?));
    }
    let machine = arch.map(|arch| oci::machine(arch).0);
    let image = Image::open(&path, machine, digest.as_ref())?;
    let arch = match arch {
        Some(arch) => arch,
        None => arch_of(&image.config.architecture)?,
    };
    let root = image.unfold()?;
    Ok((Base::Image(Box::new(image), root), arch))
}

fn arch_of(name: &str) -> Result<Arch, Failure> {
    oci::arch_of(name).ok_or_else(|| {
        let name = shown(name);
        let known = "amd64, arm64, 386, arm, ppc64le, s390x, riscv64, loong64";
        format!("`{name}` is not a known processor: use one of {known}").into()
    })
}
