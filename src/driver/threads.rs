//! Whether the system has threads to give.

use std::io;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

use super::signals_sys;

/// Starts so many threads at once and ends them again. An error where one of them is refused.
///
/// The runtime does not live through a refusal: it panics, and the panic waits for ever for the threads that it got. So
/// it is asked before, which costs less than a millisecond. What a program takes in that moment is not seen.
pub fn can_be_had(number: usize) -> io::Result<()> {
    signals_sys::held(|| probe(number))
}

fn probe(number: usize) -> io::Result<()> {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let mut probes = Vec::new();
    let mut refusal = Ok(());
    for _ in 0..number {
        let shared = gate.clone();
        let probe = thread::Builder::new().name("otc-probe".into()).spawn(move || {
            let (is_open, opened) = &*shared;
            let mut is_open = is_open.lock();
            while !*is_open {
                opened.wait(&mut is_open);
            }
        });
        match probe {
            Ok(probe) => probes.push(probe),
            Err(error) => {
                refusal = Err(error);
                break;
            }
        }
    }
    *gate.0.lock() = true;
    gate.1.notify_all();
    for probe in probes {
        let _ = probe.join(); // it cannot panic
    }
    refusal
}
