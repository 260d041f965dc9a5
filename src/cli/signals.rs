//! What ends a run from outside: Ctrl-C, a request to end, a terminal that goes away; a disk that fails.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
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
    heed_failing_disks();
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            scratch::end(signal);
        }
    });
}

/// What is said where a file that lies in memory cannot be read: of that the system sends a signal, and no error.
const UNREADABLE: &[u8] = b"error: a file could not be read any further: its disk fails or is full, or somebody cut it off \
meanwhile\nhint: the same command takes away what this run began; `lockwright store verify` looks for damage in the store\n";

/// Archives are read as they lie in memory: a disk that fails then ends the run by a signal. It gets its sentence, and
/// the exit code of every other failure; what the run had is swept by the next one.
fn heed_failing_disks() {
    static SAID: AtomicBool = AtomicBool::new(false);
    extern "C" fn end(_: libc::c_int) {
        let is_said = SAID.swap(true, Ordering::SeqCst);
        // Sound: calls that a signal's handler may make (signal-safety(7)), of bytes that stay.
        #[allow(unsafe_code)]
        unsafe {
            // Another thread came to the same, and is about to end all of them.
            if is_said {
                loop {
                    libc::pause();
                }
            }
            libc::write(
                libc::STDERR_FILENO,
                UNREADABLE.as_ptr().cast(),
                UNREADABLE.len(),
            );
            libc::_exit(1)
        }
    }
    let handler: extern "C" fn(libc::c_int) = end;
    // Sound: the handler is a function that lives as long as the program.
    #[allow(unsafe_code)]
    unsafe {
        libc::signal(libc::SIGBUS, handler as libc::sighandler_t);
    }
}

/// Signals that are ignored, as bits (proc(5), SigIgn).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
