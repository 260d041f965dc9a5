//! Commands that can be ended from outside.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Has commands that are started from now on heed signals, whatever this process was told to ignore (a shell has what
/// runs in its background ignore Ctrl-C): what a process handles is back to its default in whatever it starts.
pub fn be_heeded() {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always)
            .expect("a signal can be handled");
    }
}
