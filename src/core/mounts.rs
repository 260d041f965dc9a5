//! What is mounted, as the kernel tells it in `/proc/self/mountinfo` (proc(5)).

use std::fs;
use std::io;

/// Something that is mounted.
#[derive(Debug)]
pub struct Mounted {
    /// Where.
    pub point: String,
    /// The kind of file system: `cgroup2`.
    pub kind: String,
}

/// All that is mounted. A name that is not UTF-8 hides no other mount: it is read as well as it can be.
///
/// # Errors
/// When the kernel does not tell, where /proc is not mounted say.
pub fn mounts() -> io::Result<Vec<Mounted>> {
    let text = fs::read("/proc/self/mountinfo")?;
    let text = String::from_utf8_lossy(&text);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped("/mnt/a\\040b\\134c"), "/mnt/a b\\c");
        assert_eq!(unescaped("/plain"), "/plain");
    }
}
