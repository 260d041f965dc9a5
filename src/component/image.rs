//! A component that is a container image of others: the layout, or its archive, is the tree.

use camino::Utf8Path;

use super::bill;
use super::context::Context;
use super::error::ComponentError;
use super::ingredients::Ingredients;
use super::inputs::with_digests;
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::{bytes, count};
use crate::decide::manifest::{Image, Parsed, PathTemplate, Placeholder};
use crate::decide::target::{Arch, Platform};
use crate::files::tree::Precious;
use crate::transform::elf::Glob;
use crate::transform::oci::{
    self, Built, Name, Output, Request, Root, Settings, Tree, arch_of, is_archive, is_image,
};

const PHASE: &str = "image";

/// As `lockwright image` has it.
const MAX_LAYERS: u16 = 32;

/// An image that can be made.
pub struct PreparedImage {
    name: Name,
    bill: Option<Vec<u8>>,
}

/// Writes down what shapes the image. The components in it count by their own hashes, and what they are made of
/// as its bill of materials has it.
///
/// # Errors
/// When the component is something else besides, or a source cannot be obtained.
pub fn prepare(
    context: &Context<'_>,
    all: &mut Ingredients,
) -> Result<Option<PreparedImage>, ComponentError> {
    let Some(image) = &context.component.image else {
        return Ok(None);
    };
    if let Some(other) = context.component.beside_image() {
        let what = format!(
            "`{other}` makes a tree, and `image` an image: make the tree in a component of its own, \
             and put that into the image"
        );
        return Err(context.refuse(other, what));
    }
    let read = image.base.iter().chain(image.tree.values());
    let read: Vec<&Parsed> = read.map(|template| &**template).collect();
    all.add("image", with_digests(context, image, &read)?);
    all.add("machine", oci::machine(machine(context)?).0);
    let name = name(context, image)?;
    let bill = match image.has_bill() {
        true => bill::of_image(context, image, &name)?,
        false => None,
    };
    if let Some(bill) = &bill {
        let digest = Digest::of(Algorithm::Sha256, bill);
        all.add("bill of materials", digest.to_string());
    }
    Ok(Some(PreparedImage { name, bill }))
}

/// Makes the image in a staged tree, which has nothing in it.
///
/// # Errors
/// When a tree lacks what it needs, or the base is not what it should be.
pub fn make(
    context: &Context<'_>,
    prepared: Option<&PreparedImage>,
    root: &Utf8Path,
    destination: &Utf8Path,
) -> Result<(), ComponentError> {
    let (Some(image), Some(prepared)) = (&context.component.image, prepared) else {
        return Ok(());
    };
    let arch = machine(context)?;
    let said = image
        .base
        .as_ref()
        .map_or("image", |base| base.as_written());
    let (mut base, mut base_tree, mut file_system) = (None, None, Root::default());
    if let Some(template) = &image.base {
        let path = context.reading(template, None)?;
        if !path.exists() {
            return Err(context.refuse(said, format!("there is no {path} to stand on")));
        }
        if is_image(&path) {
            let machine = oci::machine(arch).0;
            let opened = oci::Image::open(&path, Some(machine), image.base_digest.as_ref())
                .map_err(context.failed(said, PHASE))?;
            file_system = opened.unfold().map_err(context.failed(said, PHASE))?;
            base = Some(opened);
        } else {
            base_tree = Some(path);
        }
    }
    let mut trees = Vec::new();
    for (at, from) in &image.tree {
        trees.push(Tree {
            from: context.reading(from, None)?,
            at: at.into(),
            changing: Vec::new(),
            is_new: false,
        });
    }
    let settings = settings(context, image)?;
    let allow: Vec<Glob> = image
        .allow_missing
        .iter()
        .map(|one| Glob::new(one))
        .collect();
    let output = match &image.archive {
        None => Output::inside(root, destination),
        Some(archive) if is_archive(Utf8Path::new(archive)) && !archive.contains('/') => {
            Output::begin(&root.join(archive), &Precious::default())
                .map(|output| output.after(&destination.join(archive)))
        }
        Some(archive) => {
            return Err(context.refuse(archive, "`archive` is a file name that ends in .tar"));
        }
    };
    let request = Request {
        base: base.as_ref(),
        root: file_system,
        base_tree: base_tree.as_deref(),
        trees: &trees,
        arch,
        name: &prepared.name,
        settings: &settings,
        compression: image.compression,
        max_layers: image.max_layers.unwrap_or(MAX_LAYERS).into(),
        allow_missing: &allow,
        sbom: prepared.bill.as_deref(),
        store: Some(context.settings.store),
    };
    let built = output.and_then(|output| request.build(output));
    let built = built.map_err(context.failed(PHASE, PHASE))?;
    say(context, &built);
    Ok(())
}

/// What became of the layers, on standard error.
fn say(context: &Context<'_>, built: &Built) {
    if context.settings.build.quiet {
        return;
    }
    let new = built.layers.iter().filter(|layer| !layer.kept);
    let size = new.clone().map(|layer| layer.size).sum();
    let kept = match built.replaced {
        true => format!(", {} of them new: {}", new.count(), bytes(size)),
        false => String::new(),
    };
    let bill = match built.sbom {
        Some(_) => "with its bill of materials",
        None => "without a bill of materials",
    };
    eprintln!(
        "{}: {} {} for linux/{}, {bill}; {}{kept}",
        context.name,
        built.name,
        built.digest,
        built.architecture,
        count(built.layers.len(), "layer"),
    );
}

/// The machine that the image is for: the manifest's, or this one.
fn machine(context: &Context<'_>) -> Result<Arch, ComponentError> {
    let target = &context.settings.document.manifest.target;
    if let Some(platform) = &target.platform {
        let platform: Result<Platform, _> = platform.parse();
        let platform = platform.map_err(|error| context.refuse("platform", error.to_string()))?;
        return Ok(platform.arch);
    }
    let host = std::env::consts::ARCH;
    arch_of(host).ok_or_else(|| context.refuse("image", format!("no image is for {host}")))
}

fn settings(context: &Context<'_>, image: &Image) -> Result<Settings, ComponentError> {
    let words = |all: &[PathTemplate]| {
        let words = all.iter().map(|word| runtime_path(context, image, word));
        words.collect::<Result<Vec<String>, ComponentError>>()
    };
    let mut env = Vec::new();
    for (name, value) in &image.env {
        env.push((name.clone(), runtime_path(context, image, value)?));
    }
    let workdir = image.workdir.as_ref();
    Ok(Settings {
        entrypoint: image.entrypoint.as_deref().map(words).transpose()?,
        cmd: image.cmd.as_deref().map(words).transpose()?,
        env,
        path: words(&image.path)?,
        user: image.user.clone(),
        expose: image.expose.clone(),
        workdir: workdir
            .map(|path| runtime_path(context, image, path))
            .transpose()?,
        labels: image.labels.clone(),
        annotations: image.annotations.clone(),
    })
}

/// A text as it is true in the image, where components may be at other places than where they live.
fn runtime_path(
    context: &Context<'_>,
    image: &Image,
    template: &Parsed,
) -> Result<String, ComponentError> {
    let said = template.as_written();
    let nowhere = |hole: &Placeholder| {
        context.refuse(
            said,
            format!("{hole} has no place in an image: name a path in it"),
        )
    };
    template.fill(|hole| match hole {
        Placeholder::Component(name) => match image.place_of(name) {
            Some(place) => Ok(place.to_owned()),
            None => Err(nowhere(hole)),
        },
        Placeholder::Python => Ok(context.python()?.path().into_string()),
        _ => Err(nowhere(hole)),
    })
}

fn name(context: &Context<'_>, image: &Image) -> Result<Name, ComponentError> {
    let manifest = &context.settings.document.manifest;
    if let Some(name) = &image.name {
        return name
            .parse()
            .map_err(|error: oci::OciError| context.refuse(name, error.to_string()));
    }
    let project = manifest.name.as_deref().unwrap_or(context.name);
    let mut name = Name::of_project(project);
    if let Some(version) = &manifest.version
        && let Ok(with_tag) = format!("{}:{version}", name.repository()).parse()
    {
        name = with_tag;
    }
    Ok(name)
}
