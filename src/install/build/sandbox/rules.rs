//! What a process and all that it starts may not do any more, whatever namespaces it is in: files by
//! Landlock (<https://docs.kernel.org/userspace-api/landlock.html>), system calls by seccomp.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::lines::Line;

/// The newest version whose words are used; an older kernel is asked for what it knows of them.
const VERSION: ABI = ABI::V10;

/// The same number on every architecture; newer than libc's list.
const OPEN_TREE_ATTR: i64 = 467;

/// Calls that no build needs, and through which kernels have been entered or other processes been
/// looked into: tracing, mounts, keys, BPF, performance events, io_uring, modules, another kernel.
const DENIED: [i64; 41] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
];

/// Where the kernel gives what it knows of the machine, and nothing of its processes.
pub(super) const ABOUT_MACHINE: [&str; 8] = [
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys",
    "/proc/uptime",
    "/proc/version",
];

/// Lets files be read below `readable` alone, and written to and made below `writable` alone; no TCP,
/// no abstract UNIX socket and no signal to anybody outside. What the kernel knows of it, in words.
fn files<'a>(
    readable: impl IntoIterator<Item = &'a str>,
    writable: impl IntoIterator<Item = &'a str>,
) -> Result<String, String> {
    let restrict = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .add_rules(path_beneath_rules(readable, AccessFs::from_read(VERSION)))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(VERSION)))?
            .restrict_self()
    };
    let status = restrict().map_err(|error: landlock::RulesetError| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("the kernel has it, but it is not enabled".into())
        }
        (RulesetStatus::NotEnforced, _) => Err("this kernel does not have it".into()),
        (_, LandlockStatus::Available { effective_abi, .. }) => {
            let mut what = vec!["files"];
            what.extend((effective_abi < ABI::V3).then_some("though not their truncation"));
            what.extend((effective_abi >= ABI::V4).then_some("TCP"));
            what.extend((effective_abi >= ABI::V6).then_some("abstract sockets, signals"));
            let version = effective_abi as i32;
            Ok(format!("{}; version {version}", what.join(", ")))
        }
        _ => Err("the kernel does not say what it holds to".into()),
    }
}

/// Forbids the calls above, and sockets that are neither UNIX's nor ask the kernel about network interfaces, of which
/// a network namespace has one, the loopback; with `no_sockets` none can be made but in pairs, so that there is no way to
/// what listens on this machine.
fn calls(no_sockets: bool) -> Result<String, String> {
    let said = |error: seccompiler::BackendError| error.to_string();
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(said)?;
    let argument = |number, how, value: i32| {
        let value = value.unsigned_abs().into();
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, how, value).map_err(said)
    };
    let is = |number, value| argument(number, SeccompCmpOp::Eq, value);
    let is_not = |number, value| argument(number, SeccompCmpOp::Ne, value);
    let rule = |conditions| SeccompRule::new(conditions).map_err(said);
    let not_unix = rule(vec![is_not(0, libc::AF_UNIX)?])?;
    // `os.networkInterfaces()` and getifaddrs(3) ask by netlink; to change anything takes a capability.
    let neither = rule(vec![
        is_not(0, libc::AF_UNIX)?,
        is_not(0, libc::AF_NETLINK)?,
    ])?;
    let not_route = rule(vec![
        is(0, libc::AF_NETLINK)?,
        is_not(2, libc::NETLINK_ROUTE)?,
    ])?;
    // The type's lowest bits; the others are flags. One of a pair for single messages may send them to any name.
    let sends_to = |kind: i32| {
        let is_of = SeccompCmpOp::MaskedEq(0xf);
        rule(vec![argument(1, is_of, kind)?])
    };
    let (any, pairs) = match no_sockets {
        true => {
            let messages = [sends_to(libc::SOCK_DGRAM)?, sends_to(libc::SOCK_RAW)?];
            (Vec::new(), [vec![not_unix], messages.to_vec()].concat())
        }
        false => (vec![neither, not_route], vec![not_unix]),
    };
    let calls: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let sockets = BTreeMap::from([(libc::SYS_socket, any), (libc::SYS_socketpair, pairs)]);
    for (rules, error) in [(calls, libc::EPERM), (sockets, libc::EAFNOSUPPORT)] {
        let denied = SeccompAction::Errno(error.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, machine);
        let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(said)?;
        let program = [other_numbers(), program].concat();
        seccompiler::apply_filter(&program).map_err(|error| match error {
            seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => {
                error.to_string()
            }
            other => other.to_string(),
        })?;
    }
    let sockets = match no_sockets {
        true => "no sockets but in pairs",
        false => "no sockets but UNIX's, and netlink's for routes",
    };
    Ok(format!(
        "{sockets}; no tracing, mounts, keys, BPF, io_uring, modules"
    ))
}

/// The beginning of a filter, by which calls under the numbers of x32 do not exist: they have a bit
/// more than those that the filter knows (`__X32_SYSCALL_BIT` of asm/unistd.h).
fn other_numbers() -> BpfProgram {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let step = |code: u32, jf, k| sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    vec![
        // The number is the first word of what a filter is shown.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 0x4000_0000),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
    ]
}

/// No new privileges, and all of these rules.
pub(super) fn give_up(readable: &[String], writable: &[String], no_sockets: bool) -> Vec<Line> {
    let privileges = rustix::thread::set_no_new_privs(true);
    let privileges = privileges.map_err(|error| io::Error::from(error).to_string());
    vec![
        Line::new(
            "no new rights",
            privileges.map(|()| "programs with set-user-ID are like any other".into()),
        ),
        Line::new(
            "Landlock",
            files(
                readable.iter().map(String::as_str),
                writable.iter().map(String::as_str),
            ),
        ),
        Line::new("seccomp", calls(no_sockets)),
    ]
}
