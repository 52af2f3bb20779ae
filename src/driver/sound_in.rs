//! The thread that a subscriber's sound comes to the program through.
//!
//! The engine makes a step for all every 10 ms and waits for nobody, so what a program wants to have of one stream waits
//! here for it: in order and without a gap, as long as the program is not a whole second behind.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::workers::Workers;
use crate::media::audio::StereoStep;

/// A second. Nothing that is later than that is worth the memory, or the wait for it.
const STEPS_WAITING_MAX: usize = 100;

/// Who hands the steps to the program. Called on a thread of its own.
pub trait Ear: Send + Sync + 'static {
    /// Hands over what `next` gives. False: nothing is to be heard any more.
    fn hear(&self, next: &mut dyn FnMut() -> Option<StereoStep>) -> bool;
}

/// The owner's end of it. The thread ends when this is dropped.
pub struct SoundIn(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    steps: VecDeque<StereoStep>,
    has_dropped: bool,
    is_closed: bool,
}

impl SoundIn {
    pub fn start(workers: &Workers, ear: impl Ear) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker(shared.clone());
        workers.spawn("otc-audio-data", move || worker.run(&ear))?;
        Ok(Self(shared))
    }

    /// Never waits.
    pub fn put(&self, step: &StereoStep) {
        let mut state = self.0.state.lock();
        if state.is_closed {
            return; // the thread has ended before its owner
        }
        let is_full = state.steps.len() >= STEPS_WAITING_MAX;
        if is_full {
            state.steps.pop_front();
        }
        let is_news = is_full && !std::mem::replace(&mut state.has_dropped, true);
        state.steps.push_back(*step);
        drop(state);
        self.0.changed.notify_one();
        if is_news {
            log::debug!("the program takes a stream's sound too slowly: what is a second old is left out");
        }
    }
}

impl Drop for SoundIn {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.steps.clear();
        drop(state);
        self.changed.notify_one();
    }

    /// Until there is a step. False: the owner is gone.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.steps.is_empty() && !state.is_closed {
            self.changed.wait(&mut state);
        }
        !state.is_closed
    }
}

struct Worker(Arc<Shared>);

impl Worker {
    fn run(&self, ear: &impl Ear) {
        let mut next = || self.0.state.lock().steps.pop_front();
        while self.0.wait() && ear.hear(&mut next) {}
    }
}

impl Drop for Worker {
    /// However it ends, nothing is kept for it.
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::media::audio::STEREO_STEP;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Hears nothing before it may, and then everything.
    struct Slow {
        may_hear: Mutex<mpsc::Receiver<()>>,
        heard: mpsc::Sender<i16>,
    }

    impl Ear for Slow {
        fn hear(&self, next: &mut dyn FnMut() -> Option<StereoStep>) -> bool {
            let may_hear = self.may_hear.lock().recv_timeout(LIMIT).is_ok();
            while let Some(step) = next() {
                self.heard.send(step[0]).expect("the test listens");
            }
            may_hear
        }
    }

    fn slow(workers: &Workers) -> (SoundIn, mpsc::Sender<()>, mpsc::Receiver<i16>) {
        let ((release, may_hear), (heard, hears)) = (mpsc::channel(), mpsc::channel());
        let ear = Slow { may_hear: Mutex::new(may_hear), heard };
        (SoundIn::start(workers, ear).expect("a thread"), release, hears)
    }

    #[test]
    fn a_program_that_is_busy_gets_every_step_in_order() {
        let workers = Workers::default();
        let (sound, release, hears) = slow(&workers);
        (0..90).for_each(|number| sound.put(&[number; STEREO_STEP]));
        release.send(()).expect("it waits");
        for number in 0..90 {
            assert_eq!(hears.recv_timeout(LIMIT), Ok(number));
        }
        drop((sound, release));
        assert!(workers.join(Instant::now() + LIMIT));
    }

    #[test]
    fn a_program_that_is_more_than_a_second_behind_loses_the_oldest() {
        let workers = Workers::default();
        let (sound, release, hears) = slow(&workers);
        (0..250).for_each(|number| sound.put(&[number; STEREO_STEP]));
        release.send(()).expect("it waits");
        let heard: Vec<i16> = (0..100).map(|_| hears.recv_timeout(LIMIT).expect("a step")).collect();
        assert_eq!(heard, (150..250).collect::<Vec<i16>>());
        drop((sound, release));
        assert!(workers.join(Instant::now() + LIMIT));
    }

    #[test]
    fn when_nobody_hears_any_more_the_thread_ends_and_nothing_is_kept() {
        let workers = Workers::default();
        let (sound, release, _hears) = slow(&workers);
        drop(release);
        sound.put(&[1; STEREO_STEP]);
        assert!(workers.join(Instant::now() + LIMIT));
        sound.put(&[2; STEREO_STEP]);
        assert!(sound.0.state.lock().steps.is_empty());
    }
}
