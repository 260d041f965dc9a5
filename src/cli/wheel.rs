//! `lockwright wheel`: one wheel that an exported graph orders.

use std::process::ExitCode;
use std::sync::Mutex;

use camino::Utf8PathBuf;
use clap::Args;

use super::build::{Named, folders};
use super::build_args::BuildArgs;
use super::built_wheel::{BESIDE, BuiltWheel};
use super::network_args::NetworkArgs;
use super::python_args::TargetArgs;
use super::{Failure, Global, Outcome, outputs, print};
use crate::core::foreign;
use crate::core::locks;
use crate::core::progress::Progress;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::plan::PythonPlan;
use crate::files::tree::{Precious, Replace, Tree, TreeOptions, TreePath};
use crate::install::build::order::Order;
use crate::install::build::{self, Builder};
use crate::obtain::fetch::fetch;

/// Build one wheel from an order of `export nix`, for the derivation of that wheel
///
/// The folder gets the wheel and a file that says what it was made of. Commands that need the wheel
/// take the folder with --built.
#[derive(Debug, Args)]
pub struct WheelArgs {
    /// What to build, and with what: a file that `export nix` has written
    #[arg(value_name = "ORDER")]
    order: Utf8PathBuf,
    /// The folder for the wheel
    #[arg(long, short, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Use this folder instead of one that the order names (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    source: Vec<Named>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    build: BuildArgs,
}

/// Runs the command.
pub fn run(args: &WheelArgs, global: &Global) -> Outcome {
    let store = args.network.store()?;
    let out = super::absolute(&args.out)?;
    let text = foreign::read(&args.order, foreign::TEXT)
        .map_err(|error| format!("cannot read {}: {error}", args.order))?;
    let mut order =
        Order::read(&text).map_err(|why| format!("{} is not a build order: {why}", args.order))?;
    let folders = folders(&args.source)?;
    let order_file = &args.order;
    order.folders(|named| {
        let other = folders.get(named.as_str());
        let other = other.cloned().ok_or_else(|| {
            format!("{order_file} has a package in the folder {named}: say where that is, with --source {named}=PATH")
        });
        other.map_err(Failure::from)
    })?;
    let mut options = args.build.own()?;
    options.quiet = global.quiet;
    options.answers = Some(order.answers.clone());
    if let Some(hook) = order
        .hook
        .as_ref()
        .filter(|hook| options.hook.as_ref() != Some(hook))
    {
        return Err(format!(
            "{order_file} is built by a command of its own, outside the sandbox: if it may run, give --build-hook with \
             the same words: {hook}"
        )
        .into());
    }
    options.environment.clone_from(&order.environment);
    args.build.take(&store)?;
    let interpreter = args.target.interpreter(&store)?;
    let settings = ProjectSettings {
        build: order.settings.clone(),
        ..ProjectSettings::default()
    };
    let plan = PythonPlan {
        target: interpreter.target.to_string(),
        site_packages: interpreter.target.site_packages(),
        packages: vec![order.package.clone()],
    };
    let network = args.network.options(&[]);
    let builder = Builder::new(build::Request {
        plan: &plan,
        settings: &settings,
        no_binary: &[],
        interpreter: Some(&interpreter),
        store: &store,
        fetch: &network,
        options: &options,
    })?;
    let wants = builder.downloads();
    let progress = Progress::bytes("Fetching", 0);
    let fetched = fetch(&store, &wants, &network, &progress, &|index, blob| {
        if let Some(want) = wants.get(index) {
            builder.arrived(want.artifact, blob);
        }
    });
    builder.all_arrived(fetched.is_ok());
    progress.done();
    fetched?;
    let built = Mutex::new(None);
    let progress = Progress::items("Building", 1);
    let done = builder.run(&progress, &|_, wheel| {
        *locks::held(&built) = Some(wheel);
    });
    progress.done();
    done?;
    let built = locks::unlocked(built);
    let package = order.package.label();
    let key = builder.keys().remove(&package).flatten();
    let (Some(wheel), Some(key)) = (built, key) else {
        return Err(format!("{package} was not built: something of it has no digest").into());
    };
    let given = BuiltWheel {
        package,
        key: key.parse()?,
        file_name: wheel.file_name.clone(),
        digest: wheel.blob.digest.clone(),
        folder: out.clone(),
    };
    let mut precious = Precious::default();
    precious.add("the order", &args.order);
    outputs::of_store(&mut precious, &store, &network);
    let tree = Tree::stage(
        &out,
        TreeOptions {
            replace: Replace::cleared(false),
            record: outputs::record_beside(&out),
            precious,
        },
    )?;
    let owner = tree.owner(&given.package, 0);
    let bytes = wheel.blob.verified()?;
    tree.file(owner, &TreePath::new(&given.file_name)?, 0o644, &bytes)?;
    let text = format!("{}\n", serde_json::to_string_pretty(&given)?);
    tree.file(owner, &TreePath::new(BESIDE)?, 0o644, text.as_bytes())?;
    tree.finish().commit()?;
    print(&format!("{}\n", given.path()))?;
    Ok(ExitCode::SUCCESS)
}
