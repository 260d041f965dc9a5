//! Settings that stand in files: a user's own, and a project's. An argument counts before a variable,
//! that before the project's file, and that before the user's.
//!
//! A setting is an argument's name. What a file says becomes the argument's default, so there is one
//! way in which settings are read, whatever they come from.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{ArgAction, Args, Command};
use serde_json::json;
use toml::{Table, Value};

use super::{Failure, Outcome, help, print, table};
use crate::core::foreign;

/// What may be set, and whether a project may set it. A project is a stranger's: where things are
/// kept, and whether there is a network, is for the user to say.
const SETTINGS: [(&str, bool); 15] = [
    ("concurrency", false),
    ("find-links", true),
    ("link-mode", true),
    ("mirror", true),
    ("offline", false),
    ("remote", false),
    ("remote-key", false),
    ("remote-push", false),
    ("remote-trust", false),
    ("retries", false),
    ("speed-limit", false),
    ("store", false),
    ("store-packed", false),
    ("timeout", false),
    ("verify-store", false),
];

/// A setting's values, and the file that they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    values: Vec<String>,
    from: Utf8PathBuf,
}

/// The settings of files, by name.
pub(super) type Settings = BTreeMap<&'static str, Setting>;

/// What the user's file and the project's say.
///
/// # Errors
/// When one cannot be read, or says what nobody understands.
pub(super) fn read() -> Result<Settings, Failure> {
    let mut settings = Settings::new();
    if let Some(file) = users_file()
        && let Some(text) = text_of(&file)?
    {
        let said: Table =
            toml::from_str(&text).map_err(|error| wrong(&file, &error.to_string()))?;
        take(&mut settings, &said, &file, true)?;
    }
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| Utf8PathBuf::try_from(here).ok());
    for folder in here.iter().flat_map(|here| here.ancestors()) {
        let file = folder.join("pyproject.toml");
        // Whatever else it is, it sets nothing: a command that needs no project must not fail for it.
        let Some(text) = text_of(&file).ok().flatten() else {
            continue;
        };
        if text.contains("tool.lockwright") && is_ours(&file, here.as_deref()) {
            let said: Table =
                toml::from_str(&text).map_err(|error| wrong(&file, &error.to_string()))?;
            let own = said.get("tool").and_then(|tool| tool.get("lockwright"));
            if let Some(own) = own.and_then(Value::as_table) {
                take(&mut settings, own, &file, false)?;
            }
        }
        break;
    }
    Ok(settings)
}

/// The command line with what files say as its defaults.
pub(super) fn apply(command: Command, settings: &Settings) -> Command {
    if settings.is_empty() {
        return command;
    }
    let command = command.mut_args(|arg| {
        let name = match arg.get_id().as_str() {
            // The project's lockwright.toml comes between the variable and the user's file.
            "remote" => return arg,
            "users_remote" => "remote".to_owned(),
            id => id.replace('_', "-"),
        };
        match settings.get(name.as_str()) {
            Some(setting) => arg
                .default_values(setting.values.iter().cloned())
                .hide_default_value(true),
            None => arg,
        }
    });
    command.mut_subcommands(|inner| apply(inner, settings))
}

/// `$LOCKWRIGHT_CONFIG`, or `lockwright/config.toml` where XDG has settings.
fn users_file() -> Option<Utf8PathBuf> {
    let set = |name: &str| {
        let value = std::env::var(name).ok()?;
        (!value.is_empty()).then(|| Utf8PathBuf::from(value))
    };
    set("LOCKWRIGHT_CONFIG").or_else(|| {
        let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        Some(folder?.join("lockwright/config.toml"))
    })
}

/// Whether a project's file is the user's, the system's, or of whoever has the folder that we were started
/// in: one that somebody left above it, in `/tmp` say, is nobody's project.
fn is_ours(file: &Utf8Path, here: Option<&Utf8Path>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let owner = |path: &Utf8Path| std::fs::symlink_metadata(path).ok().map(|meta| meta.uid());
    let user = rustix::process::geteuid().as_raw();
    let owners = [Some(user), Some(0), here.and_then(owner)];
    owner(file).is_some() && owners.contains(&owner(file))
}

fn text_of(file: &Utf8Path) -> Result<Option<String>, Failure> {
    let bytes = match foreign::read(file, foreign::TEXT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A home that is another's, as HOME may name one in a container.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(format!("cannot read {file}: {error}").into()),
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(wrong(file, "it is not UTF-8")),
    }
}

fn take(
    settings: &mut Settings,
    said: &Table,
    file: &Utf8Path,
    is_users: bool,
) -> Result<(), Failure> {
    for (name, value) in said {
        let known = SETTINGS.iter().find(|(known, _)| known == name);
        let Some(&(name, is_projects)) = known else {
            let names = SETTINGS
                .iter()
                .filter(|(_, is_projects)| is_users || *is_projects);
            let names: Vec<&str> = names.map(|(name, _)| *name).collect();
            let why = format!(
                "there is no setting `{name}`; there are {}",
                names.join(", ")
            );
            return Err(wrong(file, &why));
        };
        if !is_users && !is_projects {
            let why = format!(
                "`{name}` is the user's to set: in ~/.config/lockwright/config.toml, as a variable, or as \
                 --{name}"
            );
            return Err(wrong(file, &why));
        }
        let values = values(name, value, file.parent().unwrap_or(file));
        let values = values.map_err(|why| wrong(file, &format!("`{name}` {why}")))?;
        let from = file.to_owned();
        match values.is_empty() {
            true => settings.remove(name),
            false => settings.insert(name, Setting { values, from }),
        };
    }
    Ok(())
}

/// A setting's values as an argument has them; paths from the folder of the file that says them.
fn values(name: &str, value: &Value, folder: &Utf8Path) -> Result<Vec<String>, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| match value {
        Value::Array(all) => all.iter().map(text).collect(),
        value => text(value).map(|value| vec![value]),
    };
    let path = |value: String| match value.strip_prefix("~/") {
        Some(rest) => match std::env::var("HOME") {
            Ok(home) => Utf8Path::new(&home).join(rest).into_string(),
            Err(_) => value,
        },
        None => folder.join(value).into_string(),
    };
    match name {
        "mirror" => {
            let all: Vec<String> = list(value).ok_or("is a list of FROM=TO")?;
            match all.iter().find(|one| !one.contains('=')) {
                Some(one) => Err(format!(
                    "is a list of FROM=TO, and {} is not such a pair",
                    foreign::shown(one)
                )),
                None => Ok(all),
            }
        }
        "find-links" => Ok(list(value)
            .ok_or("is a list of folders")?
            .into_iter()
            .map(path)
            .collect()),
        "store" => Ok(vec![path(text(value).ok_or("is a folder")?)]),
        "link-mode" => match value.as_str() {
            Some(mode @ ("auto" | "copy" | "hardlink" | "reflink")) => Ok(vec![mode.to_owned()]),
            _ => Err("is \"auto\", \"copy\", \"hardlink\" or \"reflink\"".into()),
        },
        "remote" => {
            let place = text(value).ok_or("is a URL or a folder")?;
            Ok(vec![match place.contains("://") {
                true => place,
                false => path(place),
            }])
        }
        "remote-key" => Ok(vec![path(text(value).ok_or("is a file")?)]),
        "remote-trust" => Ok(list(value).ok_or("is a list of public keys")?),
        "offline" | "remote-push" | "store-packed" | "verify-store" => match value.as_bool() {
            Some(true) => Ok(vec!["true".into()]),
            Some(false) => Ok(Vec::new()),
            None => Err("is true or false".into()),
        },
        _ => match value.as_integer() {
            Some(number) if (0..=i64::from(u32::MAX)).contains(&number) => {
                Ok(vec![number.to_string()])
            }
            _ => Err("is a number".into()),
        },
    }
}

fn wrong(file: &Utf8Path, why: &str) -> Failure {
    format!("{file}: {}", foreign::shown(why.trim_end())).into()
}

/// Show the settings in force, and where each comes from
///
/// Settings come from ~/.config/lockwright/config.toml (LOCKWRIGHT_CONFIG names another file) and,
/// except for those that only a user can set, from [tool.lockwright] in the project's
/// pyproject.toml. A variable overrides both, an argument everything.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &ConfigArgs) -> Outcome {
    let settings = read()?;
    // `fetch` has all of them but for how files are placed.
    let command = help::command();
    let find = |name: &str| {
        let id = name.replace('-', "_");
        let mut commands = ["fetch", "sync"]
            .iter()
            .filter_map(|name| command.find_subcommand(name));
        commands.find_map(|command| {
            command
                .get_arguments()
                .find(|arg| arg.get_id() == id.as_str())
                .cloned()
        })
    };
    let mut rows = Vec::new();
    let mut all = serde_json::Map::new();
    for (name, _) in SETTINGS {
        let Some(arg) = find(name) else { continue };
        let variable = arg.get_env().and_then(|name| name.to_str());
        let set = variable.and_then(|name| {
            Some((
                name,
                std::env::var(name).ok().filter(|value| !value.is_empty())?,
            ))
        });
        let built_in: Vec<String> = match arg.get_action() {
            ArgAction::SetTrue => vec!["false".into()],
            _ => arg
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy().into_owned())
                .collect(),
        };
        let (values, from) = match (set, settings.get(name)) {
            (Some((variable, value)), _) => (vec![value], variable.to_owned()),
            (None, Some(setting)) => (setting.values.clone(), setting.from.to_string()),
            (None, None) => (built_in, "default".to_owned()),
        };
        let values = match (name, values.is_empty()) {
            ("store", true) => vec![crate::obtain::store::Store::default_root()?.into_string()],
            ("link-mode", true) => vec!["auto".to_owned()],
            _ => values,
        };
        all.insert(name.into(), json!({ "values": values, "from": from }));
        rows.push([
            name.to_owned(),
            foreign::shown(&values.join(" ")),
            foreign::shown(&from),
        ]);
    }
    print(&match args.json {
        true => format!("{:#}\n", serde_json::Value::Object(all)),
        false => table::columns(&rows, None),
    })?;
    Ok(std::process::ExitCode::SUCCESS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn taken(text: &str, is_users: bool) -> Result<Settings, String> {
        let mut settings = Settings::new();
        let said = toml::from_str(text).unwrap();
        let file = Utf8Path::new("/a/config.toml");
        take(&mut settings, &said, file, is_users).map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn paths_are_from_the_file_and_a_project_may_not_move_the_store() {
        let settings = taken(
            "store = 'kept'\nfind-links = ['../w']\noffline = true",
            true,
        )
        .unwrap();
        assert_eq!(settings["store"].values, ["/a/kept"]);
        assert_eq!(settings["find-links"].values, ["/a/../w"]);
        assert_eq!(settings["offline"].values, ["true"]);
        assert_eq!(
            taken("store = 'kept'", false).unwrap_err(),
            "/a/config.toml: `store` is the user's to set: in ~/.config/lockwright/config.toml, as a \
             variable, or as --store"
        );
        for wrong in [
            "mirror = 'x'",
            "link-mode = 'symlink'",
            "timeout = 'x'",
            "nope = 1",
            "offline = 1",
        ] {
            assert!(taken(wrong, true).is_err(), "{wrong}");
        }
    }
}
