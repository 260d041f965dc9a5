//! First lines that say which program runs a file (execve(2), "Interpreter scripts"), made to name
//! another. Nix's patchShebangs is the model. `env` goes, but for `env -S` with several arguments, which
//! the kernel would hand over as one.

/// How long such a line may be, without the line's end: Linux reads no more (`BINPRM_BUF_SIZE`).
const LONGEST: usize = 255;

/// What is to become of an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is right as it is.
    Keep,
    /// This one has its place.
    Use(String),
    /// There is none.
    Nowhere,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// Nothing: there is no such line, or it is right.
    Not,
    /// Its new bytes.
    To(Vec<u8>),
    /// The interpreter that it wants is nowhere.
    Nowhere(String),
    /// Its line is one that cannot be changed, because of this.
    Odd(&'static str),
}

/// Rewrites a file's first line. `decide` is asked for an interpreter by its path, or by its name where
/// `env` was to find it.
pub fn rewrite(bytes: &[u8], decide: &dyn Fn(&str) -> Decision) -> Rewritten {
    let Some(rest) = bytes.strip_prefix(b"#!") else {
        return Rewritten::Not;
    };
    let end = rest.iter().position(|&byte| byte == b'\n');
    let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
    let Ok(line) = std::str::from_utf8(line) else {
        return Rewritten::Odd("its first line is not UTF-8");
    };
    let (interpreter, argument) = split(line);
    if interpreter.is_empty() {
        return Rewritten::Not;
    }
    if line.ends_with('\r') {
        return Rewritten::Odd("its first line ends in CR LF");
    }
    let line = match (interpreter.rsplit('/').next(), argument.strip_prefix("-S")) {
        (Some("env"), Some(rest)) if rest.starts_with([' ', '\t']) || rest.is_empty() => {
            of_env(interpreter, rest.trim(), true, decide)
        }
        (Some("env"), _) => of_env(interpreter, argument, false, decide),
        _ => match decide(interpreter) {
            Decision::Keep => return Rewritten::Not,
            Decision::Use(path) => Ok(joined(&path, argument)),
            Decision::Nowhere => Err(Rewritten::Nowhere(interpreter.to_owned())),
        },
    };
    match line {
        Err(why) => why,
        Ok(line) if line.len() + 2 > LONGEST => {
            Rewritten::Odd("its first line would be longer than Linux reads, 255 bytes")
        }
        Ok(line) => Rewritten::To([b"#!", line.as_bytes(), after].concat()),
    }
}

/// The line, without `#!`, for what `env` was to find.
fn of_env(
    env: &str,
    words: &str,
    splits: bool,
    decide: &dyn Fn(&str) -> Decision,
) -> Result<String, Rewritten> {
    let (program, rest) = split(words);
    if program.is_empty() || program.starts_with('-') || program.contains('=') {
        return Err(Rewritten::Odd(
            "its first line sets options or variables by `env`",
        ));
    }
    let path = match decide(program) {
        Decision::Keep => program.to_owned(),
        Decision::Use(path) => path,
        Decision::Nowhere => return Err(Rewritten::Nowhere(program.to_owned())),
    };
    let is_one = !rest.contains([' ', '\t', '\\', '"', '\'', '$']);
    if !splits || is_one {
        return Ok(joined(&path, rest));
    }
    let env = match decide(env) {
        Decision::Keep => env.to_owned(),
        Decision::Use(env) => env,
        Decision::Nowhere => return Err(Rewritten::Nowhere(env.to_owned())),
    };
    Ok(format!("{env} -S {path} {rest}"))
}

/// The first word, and what is behind it.
fn split(line: &str) -> (&str, &str) {
    let line = line.trim_matches([' ', '\t']);
    let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    (first, rest.trim_matches([' ', '\t']))
}

fn joined(path: &str, argument: &str) -> String {
    match argument {
        "" => path.to_owned(),
        argument => format!("{path} {argument}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(program: &str) -> Decision {
        match program {
            "/bin/sh" | "/usr/bin/env" => Decision::Keep,
            "bash" | "/usr/local/bin/bash" => Decision::Use("/t/bin/bash".into()),
            "long" => Decision::Use("/".repeat(300)),
            _ => Decision::Nowhere,
        }
    }

    #[test]
    fn each_kind_of_line_is_rewritten_or_told() {
        let to = |text: &str| match rewrite(text.as_bytes(), &decide) {
            Rewritten::To(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => format!("{other:?}"),
        };
        for (before, after) in [
            ("#!/bin/sh -e\nx\n", "Not"),
            ("#!/usr/bin/env bash\nx\n", "#!/t/bin/bash\nx\n"),
            ("#! /usr/bin/env bash", "#!/t/bin/bash"),
            ("#!/usr/bin/env bash -e\n", "#!/t/bin/bash -e\n"),
            ("#!/usr/bin/env -S bash\n", "#!/t/bin/bash\n"),
            ("#!/usr/bin/env -S bash -e\n", "#!/t/bin/bash -e\n"),
            (
                "#!/usr/bin/env -S bash -e -u\n",
                "#!/usr/bin/env -S /t/bin/bash -e -u\n",
            ),
            ("#!/usr/local/bin/bash  -e\n", "#!/t/bin/bash -e\n"),
            ("#!/opt/x\n", "Nowhere(\"/opt/x\")"),
            ("#!/usr/bin/env node\n", "Nowhere(\"node\")"),
            (
                "#!/usr/bin/env -i bash\n",
                "Odd(\"its first line sets options or variables by `env`\")",
            ),
            (
                "#!/usr/bin/env A=1 bash\n",
                "Odd(\"its first line sets options or variables by `env`\")",
            ),
            (
                "#!/usr/bin/env bash\r\n",
                "Odd(\"its first line ends in CR LF\")",
            ),
            (
                "#!/usr/bin/env long\n",
                "Odd(\"its first line would be longer than Linux reads, 255 bytes\")",
            ),
            ("#!\n", "Not"),
            ("text", "Not"),
            ("", "Not"),
        ] {
            assert_eq!(to(before), after, "{before:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_follows_the_first_line_is_never_touched(line in "[^\n]*", rest in "[^#](?s:.*)") {
            let text = format!("#!{line}\n{rest}");
            if let Rewritten::To(bytes) = rewrite(text.as_bytes(), &decide) {
                let tail = format!("\n{rest}");
                proptest::prop_assert!(bytes.ends_with(tail.as_bytes()) && bytes.starts_with(b"#!"));
            }
        }
    }
}
