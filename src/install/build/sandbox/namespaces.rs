//! Namespaces, and who this process is in them.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::thread::UnshareFlags;

/// Takes as many namespaces as a root of one's own wants.
pub(super) fn leave() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    match unshare(namespaces | UnshareFlags::NEWUSER) {
        Ok(()) => map(&itself()?, (0, user.as_raw()), (0, group.as_raw())),
        // In a chroot, say: whoever is root needs no user namespace.
        Err(_) if user.is_root() => unshare(namespaces).map_err(said("unshare")),
        Err(error) => {
            let hint = match error {
                rustix::io::Errno::NOSPC => " (sysctl user.max_user_namespaces)",
                rustix::io::Errno::PERM => {
                    " (sysctl kernel.unprivileged_userns_clone, or AppArmor or a container forbids it)"
                }
                _ => "",
            };
            Err(io::Error::other(format!(
                "the kernel gives out no namespaces{hint}: {}",
                io::Error::from(error)
            )))
        }
    }
}

pub(super) fn unshare(namespaces: UnshareFlags) -> rustix::io::Result<()> {
    // Sound: no file descriptors are unshared, and no other thread runs.
    #[allow(unsafe_code)]
    unsafe {
        rustix::thread::unshare_unsafe(namespaces)
    }
}

/// What the kernel tells, and is told, of this process.
pub(super) fn itself() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open("/proc/self", flags, Mode::empty());
    open.map_err(said("look at /proc/self"))
}

/// Says who the one user and the one group of a new user namespace are outside of it.
pub(super) fn map(
    itself: &OwnedFd,
    (user, outer_user): (u32, u32),
    (group, outer_group): (u32, u32),
) -> io::Result<()> {
    for (name, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {outer_user} 1")),
        ("gid_map", format!("{group} {outer_group} 1")),
    ] {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(itself, name, flags, Mode::empty());
        let mut file = File::from(file.map_err(said("say who the user is"))?);
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// An error of the kernel's, with what it kept us from doing.
pub(super) fn said(doing: &'static str) -> impl Fn(rustix::io::Errno) -> io::Error {
    move |errno| io::Error::other(format!("cannot {doing}: {}", io::Error::from(errno)))
}
