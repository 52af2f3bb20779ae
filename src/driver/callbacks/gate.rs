//! The gate that an object's callbacks go through.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::is_inside_callback;

/// What an object's callbacks go through. Once closed, none starts.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    left: Condvar,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    inside: u32,
}

impl Gate {
    /// Runs the callback unless the gate is closed.
    pub fn pass(&self, callback: impl FnOnce()) {
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return;
            }
            state.inside += 1;
        }
        let _leave = Leave(self);
        callback();
    }

    pub fn is_shut(&self) -> bool {
        self.state.lock().is_closed
    }

    /// From now on no callback starts. Waits for nothing.
    pub fn shut(&self) {
        self.state.lock().is_closed = true;
    }

    /// From now on no callback starts. Waits for one that runs, at most until `deadline`, and not at all where the
    /// caller is inside a callback itself.
    pub fn close(&self, deadline: Instant) {
        self.shut();
        if !self.wait(deadline) {
            log::warn!("a callback still runs after its object was deleted");
        }
    }

    /// Waits until no callback runs, as [`Self::close`] does. False: one still did at the deadline.
    pub fn wait(&self, deadline: Instant) -> bool {
        is_inside_callback() || self.wait_for_others(deadline)
    }

    /// The same where the caller is inside a callback, but in none that went through this gate.
    pub fn wait_for_others(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.inside > 0 && !self.left.wait_until(&mut state, deadline).timed_out() {}
        state.inside == 0
    }
}

/// Leaves the gate, also when the callback panics.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::super::Callbacks;
    use super::super::tests::{Dice, LIMIT};
    use super::*;

    #[test]
    fn a_closed_gate_lets_nobody_in_and_closing_waits_for_who_is_inside() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let gate = Arc::new(Gate::default());
        let (entered, enters) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (left, leaves) = mpsc::channel();
        let inside = gate.clone();
        callbacks.poster().post(move || {
            inside.pass(|| {
                entered.send(()).expect("the test listens");
                released.recv_timeout(LIMIT).expect("the test releases");
                left.send(()).expect("the test listens");
            })
        });
        enters.recv_timeout(LIMIT).expect("the callback runs");
        let closer = thread::spawn({
            let gate = gate.clone();
            move || {
                gate.close(Instant::now() + LIMIT);
                leaves.try_recv().expect("the callback has returned before the gate has closed");
            }
        });
        release.send(()).expect("the callback listens");
        closer.join().expect("the gate closes");
        gate.pass(|| panic!("nobody gets in"));
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn closing_inside_a_callback_does_not_wait() {
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let gate = Arc::new(Gate::default());
        let (heard, hears) = mpsc::channel();
        callbacks.poster().post(move || {
            gate.pass(|| gate.close(Instant::now() + Duration::from_secs(3600)));
            heard.send(()).expect("the test listens");
        });
        hears.recv_timeout(LIMIT).expect("no deadlock");
        assert!(callbacks.stop(LIMIT).is_none());
    }

    /// Threads that pass, and one that closes at some moment: with its return the object may be freed, so whoever is
    /// found inside after that, or enters later, would use freed memory.
    #[test]
    fn after_close_nobody_is_inside_and_nobody_comes() {
        const PASSERS: u64 = 4;
        for seed in 0..40 {
            let gate = Gate::default();
            let inside = AtomicU32::new(0);
            let is_freed = AtomicBool::new(false);
            let passed = AtomicU32::new(0);
            thread::scope(|scope| {
                for passer in 0..PASSERS {
                    let (gate, inside, is_freed, passed) = (&gate, &inside, &is_freed, &passed);
                    scope.spawn(move || {
                        let mut dice = Dice(seed * PASSERS + passer);
                        for _ in 0..50 {
                            gate.pass(|| {
                                inside.fetch_add(1, Ordering::SeqCst);
                                assert!(
                                    !is_freed.load(Ordering::SeqCst),
                                    "seed {seed}: a callback after close"
                                );
                                for _ in 0..dice.roll(20) {
                                    thread::yield_now();
                                }
                                assert!(
                                    !is_freed.load(Ordering::SeqCst),
                                    "seed {seed}: a callback through close"
                                );
                                inside.fetch_sub(1, Ordering::SeqCst);
                                passed.fetch_add(1, Ordering::SeqCst);
                            });
                        }
                    });
                }
                let mut dice = Dice(!seed);
                let at_least = dice.roll(100) as u32;
                while passed.load(Ordering::SeqCst) < at_least {
                    thread::yield_now();
                }
                gate.close(Instant::now() + LIMIT);
                is_freed.store(true, Ordering::SeqCst);
                assert_eq!(inside.load(Ordering::SeqCst), 0, "seed {seed}");
            });
        }
    }
}
