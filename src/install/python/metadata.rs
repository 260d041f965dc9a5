//! The small texts of a `.dist-info` folder: METADATA, WHEEL, entry_points.txt.

/// The value of a header field, as in an e-mail: METADATA
/// (<https://packaging.python.org/en/latest/specifications/core-metadata/>) and WHEEL. Fields end
/// at the first empty line.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .take_while(|line| !line.trim().is_empty())
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
}

/// A script that a package asks for: `name = module:function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryPoint {
    /// What the script is called.
    pub(super) name: String,
    /// The module.
    pub(super) module: String,
    /// What is called in it, with dots.
    pub(super) function: String,
    /// Whether it opens windows of its own, for which Windows has another Python.
    pub(super) is_gui: bool,
}

/// The scripts of entry_points.txt, console ones first, in the file's order
/// (<https://packaging.python.org/en/latest/specifications/entry-points/>). Extras after the
/// function are dropped: the script is written all the same.
///
/// # Errors
/// With the line, when a script's name could be a path, or what it calls is no name.
pub(crate) fn scripts(text: &str) -> Result<Vec<EntryPoint>, String> {
    let (mut console, mut gui) = (Vec::new(), Vec::new());
    let mut section = "";
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim();
            continue;
        }
        let found = match section {
            "console_scripts" => &mut console,
            "gui_scripts" => &mut gui,
            _ => continue,
        };
        let entry = entry_point(line, section == "gui_scripts");
        found.push(entry.ok_or_else(|| line.to_owned())?);
    }
    console.append(&mut gui);
    Ok(console)
}

fn entry_point(line: &str, is_gui: bool) -> Option<EntryPoint> {
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.split('[').next()?.trim());
    let (module, function) = value.split_once(':')?;
    let (module, function) = (module.trim(), function.trim());
    let dotted = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && !KEYWORDS.contains(&part)
                && part
                    .chars()
                    .all(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
        })
    };
    let is_name = crate::decide::lock::is_file_name(name)
        // Nor are they hidden, or taken for an option by whoever runs `bin/*`.
        && !name.starts_with(['.', '-'])
        // Scripts of these names would replace the environment's own.
        && !is_reserved(name);
    (is_name && dotted(module) && dotted(function)).then(|| EntryPoint {
        name: name.to_owned(),
        module: module.to_owned(),
        function: function.to_owned(),
        is_gui,
    })
}

/// Words that are no names in Python (its `keyword.kwlist`).
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Names in `bin` that belong to the environment itself, also where case does not count.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = &*name.to_ascii_lowercase();
    let version = name
        .strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|rest| {
        rest.chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == 't')
    }) || name == "activate"
        || name.starts_with("activate.")
        || name == "activate_this.py"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_before_the_body_alone() {
        let text = "Metadata-Version: 2.1\nname:  Foo \n\nVersion: in the body\n";
        assert_eq!(field(text, "Name"), Some("Foo"));
        assert_eq!(field(text, "Version"), None);
    }

    #[test]
    fn scripts_are_read_with_and_without_extras() {
        let text = "# c\n[console_scripts]\nwatchmedo = watchdog.watchmedo:main [watchmedo]\nb=m:C.run\n\n[other]\nx = ../y\n[gui_scripts]\ng = m:f\n";
        let names: Vec<_> = scripts(text)
            .unwrap()
            .into_iter()
            .map(|s| (s.name, s.function))
            .collect();
        assert_eq!(
            names,
            [("watchmedo", "main"), ("b", "C.run"), ("g", "f")].map(|(a, b)| (a.into(), b.into()))
        );
    }

    #[test]
    fn a_script_cannot_be_a_path_nor_the_interpreter() {
        for line in [
            "../x = m:f",
            "a/b = m:f",
            "python = m:f",
            "python3.14 = m:f",
            "activate = m:f",
            ". = m:f",
            "x = m",
            "x = m:f();import os",
            "x = m;os:f",
            ".x = m:f",
            "-rf = m:f",
            "a\\b = m:f",
            "a\u{1b}[2Jb = m:f",
            "Python3 = m:f",
            "ACTIVATE.fish = m:f",
        ] {
            assert!(
                scripts(&format!("[console_scripts]\n{line}\n")).is_err(),
                "{line}"
            );
        }
        assert!(scripts("[console_scripts]\npython-dateutil = m:f\npythonw-x = m:f").is_ok());
    }
}
