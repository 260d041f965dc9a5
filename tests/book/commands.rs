//! A page for each command, made from what `--help` says.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::common;
use crate::pages;

const FOLDER: &str = "docs/commands";

/// The command line, with everything that clap completes when it parses.
fn built() -> Command {
    let mut all = lockwright::cli::command();
    all.build();
    all
}

/// Those of a command's commands that people are told of.
pub fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

#[test]
fn each_command_has_a_page() {
    let all = built();
    let mut index = String::from(
        "# Commands\n\nEach page has what `lockwright COMMAND --help` says; a test writes them.\n\n| command | |\n| --- | --- |\n",
    );
    let mut names = vec!["index.md".to_owned()];
    // In the order of `--help`.
    let help = all.clone().render_help().to_string();
    let mut commands: Vec<&Command> = shown(&all).collect();
    commands.sort_by_key(|command| help.find(&format!("\n  {} ", command.get_name())));
    for command in commands {
        let name = command.get_name();
        let about = text(&command.get_about().unwrap().to_string());
        writeln!(
            index,
            "| [`{name}`]({name}.md) | {} |",
            about.replace('|', "\\|")
        )
        .unwrap();
        let mut page = String::new();
        write_command(&mut page, command, &format!("lockwright {name}"), 1);
        pages::is_written(&format!("{FOLDER}/{name}.md"), &page);
        names.push(format!("{name}.md"));
    }
    index.push_str("\n## Options of every command\n\n");
    for arg in visible(&all).filter(|arg| arg.is_global_set()) {
        write_arg(&mut index, arg);
    }
    index.push_str(
        "\nExit codes: 0 done; 1 failed, or found what it was asked to look for; 2 a mistake in the command line.\n",
    );
    pages::is_written(&format!("{FOLDER}/index.md"), &index);
    for page in pages::below(&common::project().join(FOLDER)) {
        let name = page.file_name().unwrap();
        assert!(
            names.iter().any(|known| known == name),
            "{page} is no command's page: remove it"
        );
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let id = arg.get_id().as_str();
        !arg.is_hide_set() && id != "help" && id != "version"
    })
}

fn write_command(page: &mut String, command: &Command, name: &str, level: usize) {
    let hashes = "#".repeat(level);
    writeln!(page, "{hashes} {name}\n").unwrap();
    let about = command.get_long_about().or_else(|| command.get_about());
    write_paragraphs(page, &about.unwrap().to_string(), "");
    let usage = command.clone().render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("\n       ", "\n");
    writeln!(page, "```text\n{}\n```\n", usage.trim_end()).unwrap();

    let mut headings: Vec<&str> = Vec::new();
    let own = || visible(command).filter(|arg| !arg.is_global_set());
    for arg in own() {
        let heading = heading(arg);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings.sort_by_key(|heading| *heading != "Arguments");
    for heading in headings {
        writeln!(page, "{hashes}# {heading}\n").unwrap();
        for arg in own().filter(|arg| self::heading(arg) == heading) {
            write_arg(page, arg);
        }
        page.push('\n');
    }
    for sub in shown(command) {
        write_command(page, sub, &format!("{name} {}", sub.get_name()), level + 1);
    }
    if level == 1 {
        let end = page.trim_end().len();
        page.truncate(end);
        page.push('\n');
    }
}

fn heading(arg: &Arg) -> &str {
    match arg.get_help_heading() {
        Some(heading) => heading,
        None if arg.is_positional() => "Arguments",
        None => "Options",
    }
}

fn write_arg(page: &mut String, arg: &Arg) {
    // `--name <VALUE>`, as clap itself shows it.
    let mut shown = arg.to_string();
    if let Some(short) = arg.get_short().filter(|_| arg.get_long().is_some()) {
        shown = format!("-{short}, {shown}");
    }
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = help.unwrap().to_string();
    let (first, rest) = help.split_once("\n\n").unwrap_or((&help, ""));
    let first = text(&first.lines().collect::<Vec<_>>().join(" "));
    let stop = match first.ends_with(['.', '?', ']', ')']) {
        true => "",
        false => ".",
    };
    write!(page, "- `{shown}`: {first}{stop}").unwrap();

    let is_value = arg.get_action().takes_values();
    let values = arg.get_possible_values().into_iter();
    let values: Vec<_> = values
        .filter(|value| is_value && !value.is_hide_set())
        .collect();
    let has_help = values.iter().any(|value| value.get_help().is_some());
    if !values.is_empty() && !has_help {
        let names = values.iter().map(|value| format!("`{}`", value.get_name()));
        let names = names.collect::<Vec<_>>().join(", ");
        write!(page, " One of {names}.").unwrap();
    }
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<String> = defaults
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if is_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        write!(page, " Default: {}.", defaults.join(", ")).unwrap();
    }
    if let Some(variable) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
        write!(page, " Variable: `{}`.", variable.to_string_lossy()).unwrap();
    }
    page.push('\n');
    for value in values.iter().filter(|_| has_help) {
        let help = value.get_help().map(ToString::to_string);
        let help = help.map_or_else(String::new, |help| format!(": {}", text(&help)));
        writeln!(page, "  - `{}`{help}", value.get_name()).unwrap();
    }
    if !rest.is_empty() {
        page.push('\n');
        write_paragraphs(page, rest, "  ");
    }
}

/// Paragraphs as they are, but for those whose lines are laid out by hand.
fn write_paragraphs(page: &mut String, said: &str, indent: &str) {
    for paragraph in said.split("\n\n") {
        let lines: Vec<&str> = paragraph.lines().collect();
        let is_laid_out = lines.len() > 1 && lines.iter().any(|line| line.trim().contains("  "));
        if is_laid_out {
            writeln!(page, "{indent}```text").unwrap();
            for line in lines {
                writeln!(page, "{}", format!("{indent}{line}").trim_end()).unwrap();
            }
            writeln!(page, "{indent}```\n").unwrap();
        } else {
            writeln!(page, "{indent}{}\n", text(&lines.join(" "))).unwrap();
        }
    }
}

/// Plain text in Markdown: what would mean something there is escaped, but in code spans.
pub fn text(said: &str) -> String {
    let parts = said.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.replace('<', "\\<").replace('*', "\\*"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}
