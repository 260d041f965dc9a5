//! `lockwright sync --plan`: an environment from a plan that was made before, without a lock.

use std::collections::BTreeMap;
use std::time::Instant;

use camino::Utf8Path;

use super::python_args::Chosen;
use super::sync_args::SyncArgs;
use super::sync_place::{Work, place, venv_of};
use super::{Failure, Global, Outcome, outputs};
use crate::core::artifact::{Artifact, Location};
use crate::core::foreign;
use crate::decide::plan::{Install, PythonPlan};
use crate::files::tree::Precious;
use crate::install::build::Anew;
use crate::install::build::order::is_built;
use crate::install::python::Layout;

/// Runs the command.
pub fn run(args: &SyncArgs, file: &Utf8Path, global: &Global) -> Outcome {
    let start = Instant::now();
    args.node.refuse(file)?;
    let store = args.network.store()?;
    // clap has seen that it is there.
    let dest = super::absolute(args.out.as_deref().unwrap_or(Utf8Path::new(".venv")))?;
    let looked = store.look(&dest);
    let text = foreign::read(file, foreign::TEXT)
        .map_err(|error| format!("cannot read the plan {file}: {error}"))?;
    let plan = PythonPlan::read(&text).map_err(|why| format!("{file} is not a plan: {why}"))?;
    let interpreter = args.target.interpreter(&store)?;
    let chosen = Chosen {
        target: interpreter.target.clone(),
        interpreter: Some(interpreter),
    };
    if chosen.target.site_packages() != plan.site_packages {
        return Err(format!(
            "{file} is a plan for {}, and the interpreter is {}: give another with --python",
            plan.target, chosen.target
        )
        .into());
    }
    let layout = Layout::new(&chosen.target, &dest, args.relocatable);
    let venv = venv_of(args, &chosen)?;
    let mut placed = plan.clone();
    let keys = stand_in(args, &mut placed)?;
    let network = args.network.options(&[]);
    let mut precious = Precious::default();
    precious.add("the plan", file);
    outputs::of_store(&mut precious, &store, &network);
    place(Work {
        args,
        global,
        start,
        store: &store,
        looked,
        may_be_current: true,
        anew: &Anew::Nothing,
        dest: &dest,
        plan: &plan,
        placed: &placed,
        planned: start.elapsed(),
        layout: &layout,
        chosen: &chosen,
        venv: &venv,
        builder: None,
        keys,
        network: &network,
        precious,
    })
}

/// Puts wheels that were built before in the place of what is to be built, and returns what they were
/// made of.
fn stand_in(
    args: &SyncArgs,
    plan: &mut PythonPlan,
) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let built = args.build.built()?;
    let mut keys = BTreeMap::new();
    for package in plan.packages.iter_mut().filter(|package| is_built(package)) {
        let label = package.label();
        let Some(wheel) = built.iter().find(|wheel| wheel.package == label) else {
            return Err(format!(
                "{label} must be built, for which a plan does not say enough: build it \
                 with `lockwright wheel`, and name its folder with --built"
            )
            .into());
        };
        keys.insert(label, Some(wheel.key.to_string()));
        package.install = Install::Wheel {
            artifact: Artifact {
                file_name: wheel.file_name.clone(),
                location: Location::Path(wheel.path()),
                digest: Some(wheel.digest.clone()),
                size: None,
            },
        };
    }
    Ok(keys)
}
