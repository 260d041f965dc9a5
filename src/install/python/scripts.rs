//! Scripts: the launchers of entry points, and the first lines of scripts that wheels bring.

use std::io;

use super::layout::Layout;
use super::metadata::EntryPoint;

/// The longest first line that Linux kernels of all ages take, `#!` and the newline included.
const LONGEST: usize = 127;

/// The first line (or lines) of a script that the environment's interpreter runs.
///
/// A path that is too long or has blanks cannot stand after `#!`: `/bin/sh` is run instead and
/// hands over at once, by lines that are a string for Python, as pip and uv do. A relocatable
/// environment finds the interpreter beside the script in the same way.
pub fn shebang(layout: &Layout) -> String {
    first_line(layout, "")
}

/// The same with options for the interpreter, which begin with a blank where there are any.
fn first_line(layout: &Layout, options: &str) -> String {
    if layout.windows.is_some() {
        return format!("#!python{options}");
    }
    if layout.relocatable {
        return format!(
            "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python'{options} \"$0\" \"$@\"\n' '''",
        );
    }
    let python = layout.python();
    let plain = format!("#!{python}{options}");
    if plain.len() < LONGEST && !python.as_str().contains([' ', '\t']) {
        return plain;
    }
    let quoted = python.as_str().replace('\'', "'\"'\"'");
    format!("#!/bin/sh\n'''exec' '{quoted}'{options} \"$0\" \"$@\"\n' '''")
}

/// A script that starts an entry point, by its path in the environment.
///
/// # Errors
/// Never, in fact: a program for Windows is put together in memory.
pub(super) fn script(layout: &Layout, entry: &EntryPoint) -> io::Result<(String, Vec<u8>)> {
    let place = format!("{}/{}", layout.scripts, entry.name);
    let text = launcher(layout, entry).into_bytes();
    match &layout.windows {
        Some(launchers) => Ok((place + ".exe", launchers.program(&text, entry.is_gui)?)),
        None => Ok((place, text)),
    }
}

/// The launcher of an entry point; the text is uv's, so that RECORDs agree.
pub(super) fn launcher(layout: &Layout, entry: &EntryPoint) -> String {
    let EntryPoint {
        module, function, ..
    } = entry;
    let import = function.split('.').next().unwrap_or(function);
    format!(
        "{}\n# -*- coding: utf-8 -*-\nimport sys\nfrom {module} import {import}\n\
         if __name__ == \"__main__\":\n\
         \x20   if sys.argv[0].endswith(\"-script.pyw\"):\n\
         \x20       sys.argv[0] = sys.argv[0][:-11]\n\
         \x20   elif sys.argv[0].endswith(\".exe\"):\n\
         \x20       sys.argv[0] = sys.argv[0][:-4]\n\
         \x20   sys.exit({function}())\n",
        shebang(layout)
    )
}

/// A wheel's script with `#!python` or `#!pythonw` as its first line, for this environment, and where it
/// goes; `None` where it begins otherwise and stays as it is
/// (<https://packaging.python.org/en/latest/specifications/binary-distribution-format/#recommended-installer-features>).
pub(super) fn rewritten(layout: &Layout, place: &str, script: &[u8]) -> Option<(String, Vec<u8>)> {
    // One interpreter serves consoles and windows alike outside Windows.
    let rest = script
        .strip_prefix(b"#!pythonw")
        .or_else(|| script.strip_prefix(b"#!python"))?;
    if let Some(launchers) = &layout.windows {
        let bare = [".py", ".pyw"]
            .iter()
            .find_map(|end| place.strip_suffix(end));
        let program = launchers.program(script, script.starts_with(b"#!pythonw"));
        return Some((format!("{}.exe", bare.unwrap_or(place)), program.ok()?));
    }
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let (options, rest) = rest.split_at(end);
    let options = str::from_utf8(options).ok()?.trim_end();
    let text = [first_line(layout, options).as_bytes(), rest].concat();
    Some((place.to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(prefix: &str, relocatable: bool) -> Layout {
        Layout {
            prefix: prefix.into(),
            site: "lib/python3.14/site-packages".into(),
            scripts: "bin".into(),
            headers: "include".into(),
            relocatable,
            windows: None,
        }
    }

    #[test]
    fn a_path_that_cannot_stand_in_the_first_line_is_handed_over_to() {
        assert_eq!(shebang(&layout("/v", false)), "#!/v/bin/python");
        let spaces = shebang(&layout("/a b'c", false));
        assert_eq!(
            spaces,
            "#!/bin/sh\n'''exec' '/a b'\"'\"'c/bin/python' \"$0\" \"$@\"\n' '''"
        );
        let long = format!("/{}", "x".repeat(120));
        assert!(shebang(&layout(&long, false)).starts_with("#!/bin/sh\n'''exec' '/xxx"));
        assert!(shebang(&layout("/v", true)).contains("realpath"));
    }

    #[test]
    fn only_python_s_own_placeholder_is_rewritten() {
        let layout = layout("/v", false);
        let rewritten = |layout: &Layout, script: &[u8]| {
            let (place, text) = super::rewritten(layout, "bin/x", script)?;
            assert_eq!(place, "bin/x");
            Some(text)
        };
        assert_eq!(
            rewritten(&layout, b"#!python\nx\n").as_deref(),
            Some(&b"#!/v/bin/python\nx\n"[..])
        );
        assert_eq!(
            rewritten(&layout, b"#!pythonw -u\n").as_deref(),
            Some(&b"#!/v/bin/python -u\n"[..])
        );
        assert_eq!(rewritten(&layout, b"#!/usr/bin/python\n"), None);
        let blank = Layout {
            prefix: "/a b".into(),
            ..layout.clone()
        };
        assert_eq!(
            rewritten(&blank, b"#!python -I\nx\n").as_deref(),
            Some(&b"#!/bin/sh\n'''exec' '/a b/bin/python' -I \"$0\" \"$@\"\n' '''\nx\n"[..])
        );
        assert_eq!(rewritten(&layout, b"\x7fELF"), None);
    }
}
