//! What is mounted, as the kernel tells it in `/proc/self/mountinfo` (proc(5)).

use std::fs;
use std::io;

/// Something that is mounted.
pub(super) struct Mounted {
    /// Where.
    pub(super) point: String,
    /// The kind of file system: `cgroup2`.
    pub(super) kind: String,
}

/// All that is mounted.
pub(super) fn mounts() -> io::Result<Vec<Mounted>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let mount = |line: &str| {
        let (about, behind) = line.split_once(" - ")?;
        Some(Mounted {
            point: unescaped(about.split(' ').nth(4)?),
            kind: behind.split(' ').next()?.to_owned(),
        })
    };
    Ok(text.lines().filter_map(mount).collect())
}

/// A path, in which spaces and the like are written as `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}
