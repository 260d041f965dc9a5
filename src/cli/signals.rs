//! What ends a run from outside: Ctrl-C, a request to end, a terminal that goes away.

use std::fs;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::core::scratch;

/// Has this run end at once by any of these, with the exit code that a shell gives to that, and leave nothing
/// behind. What is ignored by whoever started it, as `nohup` does, stays ignored.
pub fn heed() {
    let ignored = ignored();
    let heeded = [SIGHUP, SIGINT, SIGTERM];
    let heeded = heeded
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let Ok(mut signals) = Signals::new(heeded) else {
        return;
    };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            scratch::end(signal);
        }
    });
}

/// Signals that are ignored, as bits (proc(5), SigIgn).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
