//! The root that a contained command sees, and what it lets go of before it runs.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::{DumpableBehavior, WaitOptions, chroot, pivot_root, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

use super::lines::{Line, report};
use super::namespaces::{itself, map, said, unshare};
use super::run::code;
use super::{INSIDE, Job, Order, rules};
use crate::core::mounts::mounts;

/// The user and group that a contained command is, to itself.
const USER: u32 = 1000;

/// System folders that are shown, where they are there.
pub(super) const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/openssl.cnf",
];

/// How `/proc` is mounted.
const KERNEL: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// How much of the machine's memory what is shared in `/dev/shm` may take.
const SHARED: &CStr = c"mode=1777,size=10%,nr_inodes=100000";

/// Devices that programs take for granted.
pub(super) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Puts together the root, lets go of all rights, and runs the job.
pub(super) fn inner(order: &Order) -> io::Result<u8> {
    let job = &order.job;
    let given = "users, mounts, processes, network, IPC, host name";
    let mut lines = vec![Line::new("namespaces", Ok(given.into()))];
    // A /proc that is not our own will be read-only.
    let itself = itself()?;
    let is_own = enter(order, &mut lines)?;
    job.take_cores()?;
    rename_user(&itself)?;
    drop_capabilities()?;
    let (readable, writable) = reach(job, is_own)?;
    lines.extend(rules::give_up(&readable, &writable, false));
    // Nobody looks into process 1: into its memory, its variables, the files that it has open.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    match order.report {
        true => report(&lines),
        false => attend_all(&mut job.program()),
    }
}

/// Runs a command as process 1: what its processes leave becomes ours, and is waited for, or their numbers run out.
fn attend_all(command: &mut Command) -> io::Result<u8> {
    let child = command.spawn()?;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((one, status))) if one.as_raw_pid().unsigned_abs() == child.id() => {
                return Ok(code(ExitStatus::from_raw(status.as_raw())));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What of its root a command may read, and what it may write to. Mounts say so already; this says
/// it again, by Landlock. In a `/proc` that is not its own, processes are nobody's business.
fn reach(job: &Job, is_own: bool) -> io::Result<(Vec<String>, Vec<String>)> {
    let mut readable = vec!["/".to_owned()];
    if !is_own {
        readable = rules::ABOUT_MACHINE.map(str::to_owned).to_vec();
        for entry in Utf8Path::new("/").read_dir_utf8()? {
            let path = entry?.into_path();
            readable.extend((path != "/proc").then(|| path.into_string()));
        }
    }
    let mut writable: Vec<String> = [INSIDE, "/tmp", "/dev"].map(str::to_owned).to_vec();
    writable.extend(is_own.then(|| "/proc".to_owned()));
    writable.extend(job.writable.iter().map(ToString::to_string));
    let shown = job.shown.iter().filter(|shown| shown.writable);
    writable.extend(shown.map(|shown| shown.to.to_string()));
    Ok((readable, writable))
}

/// Puts together the root of the job's file system, and makes it this process's; whether it has a `/proc` of
/// its own.
fn enter(order: &Order, lines: &mut Vec<Line>) -> io::Result<bool> {
    let job = &order.job;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(said("make mounts private"))?;
    // As mountinfo will have it.
    let root = job.folder.join("root").canonicalize_utf8()?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", root.as_str(), "tmpfs", plain, c"mode=0755").map_err(said("mount a root"))?;
    let inside = |path: &str| Utf8PathBuf::from(format!("{root}{path}"));
    for folder in ["/proc", "/dev", "/dev/shm", "/tmp", "/etc", INSIDE] {
        fs::create_dir_all(inside(folder))?;
    }
    for (from, to) in [
        (job.folder.join("tmp"), "/tmp"),
        (job.folder.clone(), INSIDE),
    ] {
        mount_bind(from.as_str(), inside(to).as_str()).map_err(said("bind the build's folder"))?;
        restrict(&inside(to), plain)?;
    }
    devices(&inside("/dev"))?;
    let system = SYSTEM.iter().map(Utf8Path::new);
    let readable = system.chain(job.readable.iter().map(AsRef::as_ref));
    let writable = job.writable.iter().map(|path| (path.as_path(), false));
    let mut shown: Vec<(&Utf8Path, bool)> = readable.map(|path| (path, true)).collect();
    shown.extend(writable);
    // Folders before what is in them, which may be writable in one that is not.
    shown.sort();
    for (path, is_read_only) in shown {
        show(&root, path, is_read_only)?;
    }
    for shown in &job.shown {
        show_at(&shown.from, &inside(shown.to.as_str()), !shown.writable)?;
    }
    let user = format!("build:x:{USER}:{USER}:build:/build/home:/bin/sh\n");
    fs::write(
        inside("/etc/passwd"),
        format!("root:x:0:0:root:/:/bin/sh\n{user}"),
    )?;
    fs::write(
        inside("/etc/group"),
        format!("root:x:0:\nbuild:x:{USER}:\n"),
    )?;
    fs::write(inside("/etc/hosts"), "127.0.0.1 localhost\n")?;
    rustix::system::sethostname(b"localhost")?;
    let folder = inside("/proc");
    let own = mount("proc", folder.as_str(), "proc", KERNEL, None);
    let is_own = own.is_ok();
    let seen = match is_own {
        true => &folder,
        false => Utf8Path::new("/proc"),
    };
    lines.extend(order.limits.hold(Some(seen.as_std_path())));
    lines.push(Line::new("/proc", match own {
        Ok(()) => kernel_files(&folder).map(|()| "its own".into()).map_err(|error| error.to_string()),
        // A container that covers parts of its own has no other be mounted.
        Err(error) => Err(match show_at(Utf8Path::new("/proc"), &folder, true) {
            Ok(()) => format!("that of this machine, which can only be read, since its own cannot be mounted ({error})"),
            Err(_) => format!("none, since its own cannot be mounted ({error})"),
        }),
    }));
    restrict(&root, MountFlags::RDONLY | plain)?;

    std::env::set_current_dir(&root)?;
    match pivot_root(".", ".") {
        Ok(()) => unmount(".", UnmountFlags::DETACH).map_err(said("leave the old root"))?,
        // In a chroot that is no mount point. Without capabilities there is no way back either.
        Err(_) => chroot(".").map_err(said("chroot"))?,
    }
    Ok(is_own)
}

/// The devices that programs take for granted. They are the machine's own, and so not to be changed.
fn devices(folder: &Utf8Path) -> io::Result<()> {
    for device in DEVICES {
        // A machine that has not all of them has the rest, and all else holds.
        if !Utf8Path::new("/dev").join(device).exists() {
            continue;
        }
        let place = folder.join(device);
        fs::write(&place, "")?;
        mount_bind(format!("/dev/{device}"), place.as_str()).map_err(said("bind a device"))?;
        restrict(
            &place,
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC,
        )?;
    }
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        std::os::unix::fs::symlink(target, folder.join(link))?;
    }
    let memory = folder.join("shm");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", memory.as_str(), "tmpfs", flags, SHARED).map_err(said("mount /dev/shm"))
}

/// `/proc`, in which all that is not about processes is only to be looked at: it is the kernel's, whose
/// files root may write to without any capability.
fn kernel_files(folder: &Utf8Path) -> io::Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let is_process = entry.file_name().bytes().all(|byte| byte.is_ascii_digit());
        if is_process || entry.file_type()?.is_symlink() {
            continue;
        }
        mount_bind(entry.path().as_str(), entry.path().as_str()).map_err(said("bind /proc"))?;
        restrict(entry.path(), KERNEL | MountFlags::RDONLY)?;
    }
    Ok(())
}

/// Is somebody else than root from now on, in a user namespace inside of the one that owns the mounts:
/// what could be done to them, cannot be from here. Where no second one is to be obtained, as in a chroot,
/// all else has to do.
fn rename_user(itself: &OwnedFd) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    match unshare(UnshareFlags::NEWUSER) {
        Ok(()) => map(itself, (USER, user.as_raw()), (USER, group.as_raw())),
        Err(_) => Ok(()),
    }
}

pub(super) fn drop_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        // Kernels differ in how many there are.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    for number in 0..64 {
        let _ = rustix::thread::remove_capability_from_bounding_set(
            CapabilitySet::from_bits_retain(1 << number),
        );
    }
    let nothing = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, nothing).map_err(said("drop capabilities"))
}

/// Shows a path of this machine in the new root, at its own place; links are shown as links.
fn show(root: &Utf8Path, path: &Utf8Path, is_read_only: bool) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let place = Utf8PathBuf::from(format!("{root}{path}"));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    if meta.is_symlink() {
        return match place.symlink_metadata() {
            Ok(_) => Ok(()),
            Err(_) => std::os::unix::fs::symlink(fs::read_link(path)?, &place),
        };
    }
    show_at(path, &place, is_read_only)
}

/// Shows something at a place of the new root, whose path is `place` for now.
fn show_at(from: &Utf8Path, place: &Utf8Path, is_read_only: bool) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(place)?;
    } else if place.symlink_metadata().is_err() {
        fs::create_dir_all(place.parent().unwrap_or(place))?;
        fs::write(place, "")?;
    }
    mount_bind_recursive(from.as_str(), place.as_str()).map_err(said("bind"))?;
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    if is_read_only {
        flags |= MountFlags::RDONLY;
    }
    // What is mounted below it as well: a mount of its own keeps its own flags.
    restrict(place, flags)?;
    let below = format!("{place}/");
    for mount in mounts()? {
        if mount.point.starts_with(&below) {
            restrict(Utf8Path::new(&mount.point), flags)?;
        }
    }
    Ok(())
}

/// Has a mount forbid more than it does already.
fn restrict(path: &Utf8Path, more: MountFlags) -> io::Result<()> {
    // What the mount forbids already must stay forbidden, or the kernel refuses.
    let now = rustix::fs::statvfs(path.as_str())?.f_flag;
    let mut flags = MountFlags::BIND | more;
    for (have, keep) in [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if now.contains(have) {
            flags |= keep;
        }
    }
    mount_remount(path.as_str(), flags, "").map_err(said("restrict a mount"))
}
