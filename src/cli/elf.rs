//! `lockwright elf`: look at the ELF files of a tree, or patch them all at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Failure, Outcome, print, table};
use crate::core::progress::count;
use crate::transform::elf::{
    Action, AddRpath, AutopatchOptions, ByHand, Endian, Glob, How, Lookup, PathEdit, Report, Shown,
    What, autopatch, edit, show,
};
use crate::transform::records::{Amended, amend};

/// Show ELF files, or set their RUNPATHs so that they find their libraries
#[derive(Debug, Args)]
pub struct ElfArgs {
    #[command(subcommand)]
    command: ElfCommand,
}

#[derive(Debug, Subcommand)]
enum ElfCommand {
    Show(ShowArgs),
    Patch(PatchArgs),
}

/// Show what each ELF file is, what it needs, where that is found, and the glibc that all of them
/// need
#[derive(Debug, Args)]
struct ShowArgs {
    /// Files, or folders to search (without files named as text, bytecode, pictures or compressed
    /// data: .py, .mo, .gz, …)
    #[arg(required = true)]
    paths: Vec<Utf8PathBuf>,
    /// A folder with libraries that no RUNPATH leads to (repeatable)
    #[arg(long, value_name = "DIR")]
    search: Vec<Utf8PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Patch every ELF file of a tree so that it finds what it needs
///
/// Each file gets the RUNPATH that its NEEDED entries require: folders of the tree by $ORIGIN, so
/// that the tree can be moved, folders of --search by their path. Programs get the interpreter
/// found there. If a library is found nowhere, nothing is patched.
///
/// With --set-rpath, --remove-rpath or --shrink-rpath, or with another edit and no --search, files
/// are only edited, and no library is looked up.
///
/// RECORDs and provenance records that list patched files are updated.
#[derive(Debug, Args)]
struct PatchArgs {
    /// Files, or folders to search (without files named as text, bytecode, pictures or compressed
    /// data: .py, .mo, .gz, …)
    #[arg(required = true)]
    paths: Vec<Utf8PathBuf>,
    /// A folder with libraries that the tree does not have (repeatable; the first that has a
    /// library wins)
    #[arg(long, value_name = "DIR")]
    search: Vec<Utf8PathBuf>,
    /// Libraries that may be missing (repeatable)
    #[arg(long, value_name = "GLOB")]
    ignore_missing: Vec<String>,
    /// Set RUNPATH to these folders, separated by colons
    #[arg(long, value_name = "DIRS", group = "path", conflicts_with = "search")]
    set_rpath: Option<String>,
    /// Remove RPATH and RUNPATH
    #[arg(long, group = "path", conflicts_with = "search")]
    remove_rpath: bool,
    /// Remove folders without a needed library from RUNPATH
    #[arg(long, group = "path", conflicts_with = "search")]
    shrink_rpath: bool,
    /// Add a folder to the RUNPATH of all files, or of those that match GLOB: for libraries that
    /// are opened by name, without a NEEDED entry (repeatable)
    #[arg(long, value_name = "[GLOB=]DIR")]
    add_rpath: Vec<String>,
    /// Give programs this interpreter
    #[arg(long, value_name = "FILE")]
    set_interpreter: Option<String>,
    /// Rename a library in NEEDED (repeatable)
    #[arg(long, value_name = "A=B", value_parser = rename)]
    replace_needed: Vec<(String, String)>,
    /// Say what would be done, without doing it
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &ElfArgs) -> Outcome {
    match &args.command {
        ElfCommand::Show(args) => run_show(args),
        ElfCommand::Patch(args) => run_patch(args),
    }
}

fn run_show(args: &ShowArgs) -> Outcome {
    let shown = show(&args.paths, &args.search)?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&shown)?)
    } else {
        let here = current_folder()?;
        let tree = match &args.paths[..] {
            [one] if one.is_dir() => super::absolute(one)?,
            _ => here.clone(),
        };
        shown_text(
            &shown,
            if tree.starts_with(&here) {
                &here
            } else {
                &tree
            },
        )
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn run_patch(args: &PatchArgs) -> Outcome {
    let report = match by_hand(args) {
        Some(by_hand) => edit(&args.paths, &by_hand)?,
        None => autopatch(&args.paths, &options(args))?,
    };
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    for missing in &report.missing {
        eprintln!("note: missing, as allowed: {missing}");
    }
    let changed = if args.dry_run {
        Vec::new()
    } else {
        report
            .changed()
            .map(|path| path.as_std_path().to_owned())
            .collect()
    };
    let amended = amend(changed)?;
    let text = if args.json {
        let done = Done { report, amended };
        format!("{}\n", serde_json::to_string_pretty(&done)?)
    } else {
        let mut text = report_text(&report, &current_folder()?, args.dry_run);
        if !amended.is_empty() {
            let _ = writeln!(text, "{amended}");
        }
        text
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What `--json` tells.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    report: Report,
    /// The records that say what a tree holds, and were brought up to date.
    amended: Amended,
}

/// The edits by hand, if that is what was asked for.
fn by_hand(args: &PatchArgs) -> Option<ByHand> {
    let path = match &args.set_rpath {
        Some(path) => PathEdit::Set(path.clone()),
        None if args.remove_rpath => PathEdit::Remove,
        None if args.shrink_rpath => PathEdit::Shrink,
        None => PathEdit::Keep,
    };
    let other = !args.add_rpath.is_empty()
        || args.set_interpreter.is_some()
        || !args.replace_needed.is_empty();
    let wanted = path != PathEdit::Keep || (args.search.is_empty() && other);
    wanted.then(|| ByHand {
        path,
        add_rpath: additions(args),
        interpreter: args.set_interpreter.clone(),
        replace_needed: args.replace_needed.clone(),
        dry_run: args.dry_run,
    })
}

fn options(args: &PatchArgs) -> AutopatchOptions {
    AutopatchOptions {
        search: args.search.clone(),
        ignore_missing: args
            .ignore_missing
            .iter()
            .map(|glob| Glob::new(glob))
            .collect(),
        interpreter: args.set_interpreter.clone(),
        add_rpath: additions(args),
        replace_needed: args.replace_needed.clone(),
        dry_run: args.dry_run,
    }
}

fn additions(args: &PatchArgs) -> Vec<AddRpath> {
    let addition = |text: &String| match text.split_once('=') {
        Some((files, entry)) => AddRpath {
            files: Some(Glob::new(files)),
            entry: entry.to_owned(),
        },
        None => AddRpath {
            files: None,
            entry: text.clone(),
        },
    };
    args.add_rpath.iter().map(addition).collect()
}

fn rename(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => {
            Ok((from.to_owned(), to.to_owned()))
        }
        _ => Err("say it as OLD=NEW, for instance libfoo.so.1=libfoo.so.2".to_owned()),
    }
}

fn current_folder() -> Result<Utf8PathBuf, Failure> {
    Ok(camino::absolute_utf8(".")?)
}

/// A path as it is shorter to read.
fn short<'p>(path: &'p Utf8Path, here: &Utf8Path) -> &'p Utf8Path {
    path.strip_prefix(here).unwrap_or(path)
}

/// What is said where there is nothing to say anything of.
const NONE: &str = "no ELF file found\n";
/// Columns get no wider than that; a longer path moves its own row alone.
const WIDEST: usize = 60;

/// One row a file, below it where its needs lead, and at the end what holds for all; paths are those below `here`.
fn shown_text(shown: &[Shown], here: &Utf8Path) -> String {
    if shown.is_empty() {
        return NONE.to_owned();
    }
    let header = ["FILE", "TYPE", "MACHINE", "GLIBC", "SEARCH PATH"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(header)
        .chain(shown.iter().map(|file| row(file, here)))
        .collect();
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(WIDEST);
        }
    }
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths.iter().chain([&0])) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
        if let Some(file) = index.checked_sub(1).and_then(|index| shown.get(index)) {
            details(&mut text, file, here);
        }
    }
    let mut text = table::shown(text);
    text.push_str(&whole(shown, here));
    text
}

/// What holds for the whole tree: how new a glibc must be for all of it, and why.
fn whole(shown: &[Shown], here: &Utf8Path) -> String {
    let mut text = count(shown.len(), "file");
    let floors = shown.iter().filter_map(|file| match &file.what {
        What::File { glibc_floor, .. } => Some((glibc_floor.as_deref()?, &file.path)),
        What::Refused { .. } => None,
    });
    let numbers = |floor: &str| {
        floor
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect::<Vec<u32>>()
    };
    if let Some((floor, path)) = floors.max_by_key(|(floor, _)| numbers(floor)) {
        let _ = write!(
            text,
            "; together they need glibc {floor} or later, by {}",
            short(path, here)
        );
    }
    text.push('\n');
    text
}

fn row(file: &Shown, here: &Utf8Path) -> [String; 5] {
    let path = short(&file.path, here).to_string();
    match &file.what {
        What::Refused { refused } => {
            let none = String::new;
            [path, "refused".to_owned(), none(), none(), refused.clone()]
        }
        What::File {
            facts, glibc_floor, ..
        } => {
            let path_entries = match (&facts.runpath, &facts.rpath) {
                (Some(path), _) => path.clone(),
                (None, Some(path)) => format!("{path} (RPATH)"),
                (None, None) => String::new(),
            };
            let order = match facts.abi.endian {
                Endian::Little => "LE",
                Endian::Big => "BE",
            };
            [
                path,
                facts.kind.to_string(),
                format!("{} {} {order}", facts.abi, facts.abi.class.bits()),
                glibc_floor.clone().unwrap_or_default(),
                path_entries,
            ]
        }
    }
}

/// What has no column.
fn details(text: &mut String, file: &Shown, here: &Utf8Path) {
    for link in &file.links {
        let _ = writeln!(text, "    also {}", short(link, here));
    }
    let What::File { facts, lookups, .. } = &file.what else {
        return;
    };
    for (name, value) in [
        ("interpreter", &facts.interpreter),
        ("SONAME", &facts.soname),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "    {name} {value}");
        }
    }
    for need in lookups {
        let library = &need.library;
        let _ = match &need.lookup {
            Lookup::Libc => writeln!(text, "    {library} (libc)"),
            Lookup::Here { path } => writeln!(text, "    {library} → {}", short(path, here)),
            Lookup::Unreached { path } => writeln!(
                text,
                "    {library} → not reached: no RUNPATH leads to {}",
                short(path, here)
            ),
            Lookup::Nowhere => writeln!(text, "    {library} → not here"),
        };
    }
}

fn report_text(report: &Report, here: &Utf8Path, dry_run: bool) -> String {
    if report.files.is_empty() {
        return NONE.to_owned();
    }
    let mut text = String::new();
    let mut left_alone: BTreeMap<&str, usize> = BTreeMap::new();
    let width = report
        .files
        .iter()
        .map(|file| short(&file.path, here).as_str().chars().count());
    let width = width.max().unwrap_or_default().min(WIDEST);
    for file in &report.files {
        let path = short(&file.path, here).as_str();
        match &file.action {
            Action::Patched { how } => {
                let runpath = file.path_after.as_deref().unwrap_or("(no RUNPATH)");
                let how = match how {
                    How::Moved => "  (appended)",
                    How::InPlace | How::Unchanged => "",
                };
                let _ = writeln!(text, "{path:<width$}  {runpath}{how}");
                if let Some(interpreter) = &file.interpreter {
                    let _ = writeln!(text, "{:<width$}  interpreter {interpreter}", "");
                }
            }
            Action::LeftAlone { reason } => *left_alone.entry(reason).or_default() += 1,
            Action::Refused { reason } => {
                let _ = writeln!(text, "{path:<width$}  refused: {reason}");
            }
            Action::Unchanged => {}
        }
    }
    let patched = report.patched();
    let unchanged = report.count(|action| *action == Action::Unchanged);
    let refused = report.count(|action| matches!(action, Action::Refused { .. }));
    let verb = if dry_run { "to patch" } else { "patched" };
    let _ = write!(text, "{patched} {verb}, {unchanged} right already");
    for (reason, count) in left_alone {
        let _ = write!(text, ", {count} left alone ({reason})");
    }
    if refused > 0 {
        let _ = write!(text, ", {refused} refused");
    }
    text.push('\n');
    text
}
