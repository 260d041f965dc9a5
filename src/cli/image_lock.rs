//! The tree that goes into an image for a lock: assembled beside the image as `sync` does it, for the
//! place that it will have there.

use camino::{Utf8Path, Utf8PathBuf};

use super::image_args::LockArgs;
use super::node_args::NodeProject;
use super::python_args::{Chosen, Project};
use super::{Failure, Global, export, outputs, sync_place};
use crate::core::progress::warn;
use crate::decide::plan::PythonPlan;
use crate::decide::target::{Arch, Os, Platform};
use crate::files::tree::{Precious, Tree, TreeOptions};
use crate::inspect::diff::{npm, python};
use crate::inspect::sbom::Graph;
use crate::install::assemble::npm::{self as assemble_npm, Destination, NpmAssembleError};
use crate::install::assemble::python::{Request, assemble};
use crate::install::build::{self, Anew, Builder};
use crate::install::python::Layout;
use crate::install::python::venv::{self, Venv};
use crate::transform::oci::{self, Image, Root};

/// A lock that an image is made of.
pub struct Lock<'a> {
    args: &'a LockArgs,
    what: What,
}

enum What {
    Python(Box<Python>),
    Node(Box<NodeProject>),
}

struct Python {
    project: Project,
    chosen: Chosen,
    plan: PythonPlan,
}

/// What came of it.
pub struct FromLock {
    /// The tree, and where it goes.
    pub tree: oci::Tree,
    /// Folders of programs.
    pub path: Vec<String>,
    /// Where it is started.
    pub workdir: String,
}

/// Opens and plans a lock.
///
/// # Errors
/// When it cannot be read or planned.
pub fn open<'a>(path: &Utf8Path, args: &'a LockArgs) -> Result<Lock<'a>, Failure> {
    if let Some(lock) = super::find_npm_lock(path)? {
        let what = What::Node(Box::new(args.node.open(&lock)?));
        return Ok(Lock { args, what });
    }
    args.node.refuse(path)?;
    let store = args.network.store()?;
    let mut project = args.selection.open(path)?;
    // A path to this machine would lead nowhere there.
    project.selection.no_editable = true;
    let cache = store.root().join("interpreters");
    let chosen = args.target.choose(&project.lock, Some(&cache))?;
    let (selection, settings) = (&project.selection, &project.settings);
    let plan = PythonPlan::new(&project.lock, &chosen.target, selection, settings)?;
    let what = What::Python(Box::new(Python {
        project,
        chosen,
        plan,
    }));
    Ok(Lock { args, what })
}

impl Lock<'_> {
    /// The machine that it is planned for.
    ///
    /// # Errors
    /// When that is no Linux.
    pub fn arch(&self) -> Result<Arch, Failure> {
        let (os, arch) = match &self.what {
            What::Python(python) => {
                let Platform { os, arch } = python.chosen.target.platform;
                let name = python.chosen.target.platform.sys_platform();
                let is_linux = matches!(os, Os::Manylinux(..) | Os::Musllinux(..));
                (is_linux.then_some(()).ok_or(name), Some(arch))
            }
            What::Node(project) => {
                let target = project.target();
                let is_linux = (target.os == "linux").then_some(());
                (is_linux.ok_or(&*target.os), arch_of_node(&target.cpu))
            }
        };
        if let Err(os) = os {
            return Err(format!("images run on Linux, and the target is {os}").into());
        }
        arch.ok_or_else(|| "images cannot be made for the target's processor".into())
    }

    /// Adds what the image must not replace.
    pub fn guard(&self, precious: &mut Precious) {
        match &self.what {
            What::Python(python) => outputs::of_uv(precious, &python.project.lock),
            What::Node(project) => outputs::of_npm(precious, &project.lock),
        }
    }

    /// What the project is called.
    pub fn name(&self) -> Option<String> {
        match &self.what {
            What::Python(python) => {
                let lock = &python.project.lock;
                let root = lock.root().and_then(|at| lock.packages.get(at))?;
                Some(root.name.to_string())
            }
            What::Node(project) => project.lock.root.name.clone(),
        }
    }

    /// The bill of materials of what is assembled.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sbom(&self) -> Result<Vec<u8>, Failure> {
        let (facts, graph) = match &self.what {
            What::Python(python) => {
                let lock = &python.project.lock;
                let markers = &python.chosen.target.markers;
                (
                    python::of_plan(lock, &python.plan, ""),
                    Graph::python(lock, Some(markers)),
                )
            }
            What::Node(project) => {
                let (target, omit) = (project.target(), project.omit());
                (
                    npm::of_target(&project.lock, target, omit, "")?,
                    Graph::npm(&project.lock),
                )
            }
        };
        let store = self.args.network.store()?;
        Ok(export::bill(&facts, &graph, Some(&store))?.into_bytes())
    }

    /// Assembles it in a folder that is for nothing else.
    ///
    /// # Errors
    /// When it cannot be assembled.
    pub fn assemble(
        &mut self,
        folder: &Utf8Path,
        prefix: Option<&Utf8Path>,
        base: &Base,
        global: &Global,
    ) -> Result<FromLock, Failure> {
        let args = self.args;
        match &mut self.what {
            What::Python(python) => {
                let prefix = prefix.unwrap_or(Utf8Path::new("/app/.venv"));
                python.assemble(args, folder, prefix, base, global)
            }
            What::Node(project) => {
                let prefix = prefix.unwrap_or(Utf8Path::new("/app"));
                node(project, args, folder, prefix)
            }
        }
    }
}

impl Python {
    fn assemble(
        &self,
        args: &LockArgs,
        folder: &Utf8Path,
        prefix: &Utf8Path,
        base: &Base,
        global: &Global,
    ) -> Result<FromLock, Failure> {
        let Self {
            project,
            chosen,
            plan,
        } = self;
        let store = args.network.store()?;
        let target = &chosen.target;
        let layout = Layout::new(target, prefix, false);
        let interpreter = match &args.interpreter {
            Some(interpreter) => interpreter.clone(),
            None => base.interpreter(target.version),
        };
        let venv = Venv {
            interpreter,
            version: target.markers.python_full_version().to_string(),
            prompt: None,
            system_site_packages: false,
        };
        let mut building = args.build.options(&project.lock.file)?;
        building.quiet = global.quiet;
        args.network.beside(&project.lock.file)?;
        let network = args.network.options(&project.settings.indexes);
        let here = chosen.interpreter.as_ref();
        let builder = Builder::new(build::Request {
            plan,
            settings: &project.settings,
            no_binary: &project.selection.no_binary_packages,
            interpreter: here.filter(|found| found.target.platform == target.platform),
            store: &store,
            fetch: &network,
            options: &building,
        })?;
        let tree = Tree::stage(&folder.join("environment"), TreeOptions::default())?;
        let own = tree.owner("the environment", u64::MAX);
        venv::write(&tree, own, &layout, target, &venv)?;
        let done = assemble(
            &tree,
            &Request {
                plan,
                layout: &layout,
                store: &store,
                fetch: &network,
                limits: args.limits.limits(),
                link: args.node.link(&store, folder),
                strict: false,
                builder: Some(&builder),
            },
        )?;
        for collision in &done.collisions {
            warn(&collision.to_string());
        }
        if args.compile_bytecode {
            sync_place::compile(
                chosen,
                &tree,
                &layout,
                (&store, &building.anew),
                args.node.link(&store, folder),
            )?;
        }
        let locals = project.lock.packages.iter();
        let locals = locals.filter(|package| package.source.is_local());
        Ok(FromLock {
            tree: oci::Tree {
                from: tree.finish().commit()?,
                at: prefix.to_owned(),
                changing: locals.map(|package| package.name.to_string()).collect(),
                is_new: true,
            },
            path: vec![prefix.join("bin").into_string()],
            workdir: prefix.parent().unwrap_or(prefix).to_string(),
        })
    }
}

fn node(
    project: &mut NodeProject,
    args: &LockArgs,
    folder: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<FromLock, Failure> {
    let store = args.network.store()?;
    args.network.beside(&project.lock.file)?;
    let options = project.options(args.network.options(&[]))?;
    let out = folder.join("environment");
    std::fs::create_dir(&out).map_err(|error| format!("cannot make {out}: {error}"))?;
    loop {
        let done = assemble_npm::assemble(&assemble_npm::Request {
            plan: &project.plan,
            lock: &project.lock,
            store: &store,
            fetch: &options,
            limits: args.limits.limits(),
            to: Destination::Folder(&out),
            clear: false,
            precious: &Precious::default(),
            hidden_lockfile: !args.node.no_hidden_lockfile,
            anew: &Anew::Nothing,
            link: args.node.link(&store, folder),
            scripts: &args.node.allow_scripts,
            node: None,
            npmrc: &project.npmrc,
        });
        let failed = match done {
            // Optional packages may fail, and are left out then, each with its whole set.
            Err(NpmAssembleError::Optional(failed)) => failed,
            done => {
                done?;
                break;
            }
        };
        for left in &failed {
            warn(&format!(
                "{} is optional and is left out: {}",
                left.location, left.why
            ));
        }
        project.leave_out(failed.into_iter().map(|left| left.location))?;
    }
    Ok(FromLock {
        tree: oci::Tree {
            from: out,
            at: prefix.to_owned(),
            changing: Vec::new(),
            is_new: true,
        },
        path: vec![prefix.join("node_modules/.bin").into_string()],
        workdir: prefix.to_string(),
    })
}

/// What an image stands on.
#[derive(Debug)]
pub(super) enum Base {
    Nothing,
    Image(Box<Image>, Root),
    Tree(Utf8PathBuf),
}

impl Base {
    /// Where it has an interpreter of a version; where most systems have one if it has none.
    fn interpreter(&self, (major, minor): (u8, u8)) -> Utf8PathBuf {
        let name = format!("python{major}.{minor}");
        let usual = Utf8PathBuf::from(format!("/usr/bin/{name}"));
        let folders = ["/usr/local/bin", "/usr/bin", "/bin"];
        let mut places = folders
            .iter()
            .map(|folder| Utf8Path::new(folder).join(&name));
        let found = match self {
            Self::Nothing => None,
            Self::Image(image, root) => {
                let own = image.search_path();
                let own = own.iter().map(|folder| Utf8Path::new(folder).join(&name));
                own.chain(places).find(|path| root.file(path).is_some())
            }
            Self::Tree(tree) => places.find(|path| {
                let inside = path.strip_prefix("/").unwrap_or(path);
                tree.join(inside).symlink_metadata().is_ok()
            }),
        };
        found.unwrap_or(usual)
    }
}

/// npm's names of processors.
fn arch_of_node(cpu: &str) -> Option<Arch> {
    Some(match cpu {
        "x64" => Arch::X86_64,
        "arm64" => Arch::Aarch64,
        "ia32" => Arch::X86,
        "arm" => Arch::Armv7l,
        "ppc64" => Arch::Ppc64le,
        "s390x" => Arch::S390x,
        "riscv64" => Arch::Riscv64,
        "loong64" => Arch::Loongarch64,
        _ => return None,
    })
}
