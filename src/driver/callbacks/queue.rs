//! What the callback thread does, and in which order.
//!
//! Jobs come as they were put. An event that has to wait for its turn keeps that order for a second; then it stands aside for
//! what is behind it, and later events of its kind behind it.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::{Gate, LOOK_INTERVAL, PRESSING_TIMEOUT, Turn, enter};

/// What the callback thread does.
struct Job {
    run: Box<dyn FnOnce() + Send>,
    posted: Instant,
    /// `None`: it waits for nothing.
    claim: Option<Claim>,
}

/// What an event needs before it comes.
pub struct Claim {
    pub turn: &'static Turn,
    /// False: it comes no more.
    pub is_wanted: Box<dyn Fn() -> bool + Send>,
    /// Since when the end of a session waits for it. After [`PRESSING_TIMEOUT`] it comes beside the callback that runs.
    pub pressing_since: Box<dyn Fn() -> Option<Instant> + Send>,
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// What callbacks of all objects go through, on whichever thread they come.
    pub gate: Gate,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
    is_finished: bool,
}

impl Queue {
    /// Never waits. Dropped after the end.
    pub fn put(&self, claim: Option<Claim>, run: Box<dyn FnOnce() + Send>) {
        let mut state = self.state.lock();
        if !state.is_closed {
            state.jobs.push_back(Job { run, posted: Instant::now(), claim });
            self.changed.notify_one();
        }
    }

    /// The thread ends when it has done what is in it.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether it has, at the latest by then.
    pub fn is_finished_by(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.is_finished && !self.changed.wait_until(&mut state, deadline).timed_out() {}
        state.is_finished
    }

    /// The thread.
    pub fn run(&self) {
        // Events that have given way, in their order.
        let mut aside = VecDeque::new();
        while let Some(job) = self.next(!aside.is_empty()) {
            if let Some(job) = job {
                self.begin(job, &mut aside);
            }
            look_after(&mut aside);
        }
        self.state.lock().is_finished = true;
        self.changed.notify_all();
    }

    /// `None` at the end. When it is time to look after those that stand aside there may be nothing else to do.
    fn next(&self, some_are_aside: bool) -> Option<Option<Job>> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(Some(job));
            }
            if some_are_aside {
                self.changed.wait_for(&mut state, LOOK_INTERVAL);
                return Some(state.jobs.pop_front());
            }
            if state.is_closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn begin(&self, job: Job, aside: &mut VecDeque<Job>) {
        let Some(claim) = &job.claim else {
            // Before a session says that it has ended its publishers do.
            while let Some(turn) = aside.iter().find_map(Job::pressing) {
                drop(turn.0.try_lock_for(LOOK_INTERVAL));
                look_after(aside);
            }
            return enter(job.run);
        };
        let turn = claim.turn;
        if aside.iter().any(|other| other.needs(turn)) {
            return aside.push_back(job);
        }
        while (claim.is_wanted)() {
            let granted = turn.0.try_lock_for(LOOK_INTERVAL);
            if granted.is_some() || job.presses_too_long() {
                if (claim.is_wanted)() {
                    enter(job.run);
                }
                return;
            }
            if self.is_held_up(turn) {
                return aside.push_back(job);
            }
        }
    }

    /// Whether something else has waited long enough.
    fn is_held_up(&self, turn: &Turn) -> bool {
        let state = self.state.lock();
        let other = state.jobs.iter().find(|job| !job.needs(turn));
        other.is_some_and(|job| job.posted.elapsed() >= PRESSING_TIMEOUT)
    }
}

/// Those whose turn it is come now, in their order.
fn look_after(aside: &mut VecDeque<Job>) {
    let mut taken: Vec<&'static Turn> = Vec::new();
    let mut index = 0;
    while let Some(Claim { turn, is_wanted, .. }) = aside.get(index).and_then(|job| job.claim.as_ref()) {
        let turn = *turn;
        if !is_wanted() {
            aside.remove(index);
            continue;
        }
        let is_behind = taken.iter().any(|other| std::ptr::eq(*other, turn));
        let granted = if is_behind { None } else { turn.0.try_lock() };
        if granted.is_none() && !aside[index].presses_too_long() {
            taken.push(turn);
            index += 1;
            continue;
        }
        if let Some(job) = aside.remove(index) {
            enter(job.run);
        }
        // Meanwhile anything may have changed.
        taken.clear();
        index = 0;
    }
}

impl Job {
    fn needs(&self, turn: &Turn) -> bool {
        self.claim.as_ref().is_some_and(|claim| std::ptr::eq(claim.turn, turn))
    }

    /// What it waits for, where the end of a session waits for it.
    fn pressing(&self) -> Option<&'static Turn> {
        let claim = self.claim.as_ref().filter(|claim| (claim.is_wanted)())?;
        (claim.pressing_since)().map(|_| claim.turn)
    }

    fn presses_too_long(&self) -> bool {
        let since = self.claim.as_ref().and_then(|claim| (claim.pressing_since)());
        since.is_some_and(|since| since.elapsed() >= PRESSING_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use parking_lot::ReentrantMutex;

    use super::super::Callbacks;
    use super::super::tests::LIMIT;
    use super::*;

    /// Who holds a turn until it is told to go on.
    fn stuck(turn: &'static Turn) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
        let (held, holds) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            turn.take_while(
                || true,
                || {
                    held.send(()).expect("the test listens");
                    released.recv_timeout(LIMIT).expect("the test releases");
                },
            );
        });
        holds.recv_timeout(LIMIT).expect("the turn is taken");
        (release, holder)
    }

    fn claim(turn: &'static Turn, pressing_since: Option<Instant>, is_wanted: &Arc<AtomicBool>) -> Claim {
        let is_wanted = is_wanted.clone();
        Claim {
            turn,
            is_wanted: Box::new(move || is_wanted.load(Ordering::SeqCst)),
            pressing_since: Box::new(move || pressing_since),
        }
    }

    #[test]
    fn events_of_a_kind_that_is_stuck_stand_aside_and_come_in_their_order() {
        static TURN: Turn = Turn(ReentrantMutex::new(()));
        let (release, holder) = stuck(&TURN);
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        let (wanted, unwanted) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let event = |number: u32, is_wanted| {
            let heard = heard.clone();
            let tell = move || heard.send(number).expect("the test listens");
            callbacks.poster().post_event(claim(&TURN, None, is_wanted), tell);
        };
        let plain = |number: u32| {
            let heard = heard.clone();
            callbacks.poster().post(move || heard.send(number).expect("the test listens"));
        };
        let begin = Instant::now();
        event(1, &wanted);
        event(2, &unwanted);
        plain(10);
        event(3, &wanted);
        plain(11);
        assert_eq!((hears.recv_timeout(LIMIT), hears.recv_timeout(LIMIT)), (Ok(10), Ok(11)));
        assert!(begin.elapsed() >= PRESSING_TIMEOUT, "for as long they keep the order");
        event(4, &wanted);
        unwanted.store(false, Ordering::SeqCst);
        release.send(()).expect("it waits");
        holder.join().expect("it ends");
        let rest: Vec<u32> = (0..3).map(|_| hears.recv_timeout(LIMIT).expect("an event")).collect();
        assert_eq!(rest, [1, 3, 4]);
        assert!(callbacks.stop(LIMIT).is_none());
    }

    #[test]
    fn events_that_press_come_beside_all_at_one_time_and_before_the_end_that_waits_for_them() {
        static TURN: Turn = Turn(ReentrantMutex::new(()));
        let (release, holder) = stuck(&TURN);
        let callbacks = Callbacks::start(&mut None).expect("a thread");
        let (heard, hears) = mpsc::channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let begin = Instant::now();
        for number in 0..5 {
            let heard = heard.clone();
            let tell = move || heard.send(number).expect("the test listens");
            callbacks.poster().post_event(claim(&TURN, Some(begin), &wanted), tell);
        }
        let end = heard.clone();
        callbacks.poster().post(move || end.send(5).expect("the test listens"));
        let all: Vec<u32> = (0..6).map(|_| hears.recv_timeout(LIMIT).expect("an event")).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
        assert!(begin.elapsed() < 2 * PRESSING_TIMEOUT, "{:?}", begin.elapsed());
        release.send(()).expect("it waits");
        holder.join().expect("it ends");
        assert!(callbacks.stop(LIMIT).is_none());
    }
}
