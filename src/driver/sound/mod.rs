//! Everything between an audio device and the streams.
//!
//! One device for the whole process: the program's, else the system's, else none, which is silence and nothing worse.
//! Two threads, there only while somebody has something to play or wants what is recorded: the engine's makes a step of
//! 10 ms at a time ([`engine`]), the keeper's starts and stops the device ([`keeper`]), because a device may take its
//! time. The device has threads of its own and meets the engine in the [`port`]s.
//!
//! Read `device.rs`, then `engine.rs`, then `keeper.rs`.

mod convert;
pub mod device;
mod edges;
mod engine;
mod keeper;
mod pace;
mod port;
mod ring;
#[cfg(test)]
mod ring_tests;
pub mod system;
mod tempo;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tone;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

pub use device::{Device, Direction, Format, Settings};
pub use keeper::Registered;
pub use port::Ports;

use super::callbacks::{self, DELETE_TIMEOUT, Gate};
use super::signals_sys;
use super::threads_sys::{Joinable, join_all};
use crate::media::audio::STEREO_STEP;

/// A step of the mix: 10 ms in stereo.
pub const MIX_STEP: usize = STEREO_STEP;

/// Somebody who wants what is recorded. Called on the engine's thread, in step with the clock: exactly one step every
/// 10 ms, silence where the device brings nothing.
pub trait Capture: Send + Sync {
    /// `step`: 480 samples for each channel, interleaved, at 48 kHz. `now` is the moment of the step, evenly spaced.
    fn captured(&self, now: Instant, step: &[i16], channels: u8);
}

/// Somebody who has something to play. Called on the engine's thread, once every 10 ms.
pub trait Playout: Send + Sync {
    /// Fills the step, stereo at 48 kHz, unless there is nothing to be heard.
    fn pull(&self, now: Instant, step: &mut [i16; MIX_STEP]) -> bool;
}

/// What is done to recorded sound.
///
/// There is one microphone and one chain of processing for all who record. What one of them has switched off is off for
/// all: the switches are on unless a program has a reason (music, a measurement), and what is removed from the sound
/// cannot be put back, while what is left in can be lived with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureSettings {
    pub echo_cancellation: bool,
    pub noise_suppression: bool,
    pub gain_control: bool,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self { echo_cancellation: true, noise_suppression: true, gain_control: true }
    }
}

impl CaptureSettings {
    fn and(self, other: Self) -> Self {
        Self {
            echo_cancellation: self.echo_cancellation && other.echo_cancellation,
            noise_suppression: self.noise_suppression && other.noise_suppression,
            gain_control: self.gain_control && other.gain_control,
        }
    }
}

/// The engine, its keeper, and who uses them. Any number of clones.
#[derive(Clone)]
pub struct Sound(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something in the state is different.
    changed: Condvar,
    ports: Arc<Ports>,
    /// What the calls of the device go through.
    gate: Gate,
}

struct State {
    roster: Arc<Roster>,
    device: Arc<Registered>,
    is_closed: bool,
    engine: Worker,
    keeper: Worker,
    /// Threads that ran before these and may still be ending.
    ended: Vec<Joinable>,
    /// The directions in which a device has been started and not yet been destroyed.
    in_use: [bool; 2],
    /// Whether the device that the keeper has in its hands, which is the one before `device` for a while, is the library's
    /// own.
    has_ours: Option<bool>,
    /// The library has ended inside a callback: a program's device hears no more of it.
    spares_the_program: bool,
}

/// A thread that ends by itself when there is nothing left to do.
#[derive(Default)]
struct Worker {
    /// Until its last look at the state.
    is_running: bool,
    thread: Option<Joinable>,
}

impl Worker {
    /// Unless it runs. Returns the thread that ran before. Work that panics has not said that it ends: `ended` does then.
    fn start(
        &mut self,
        name: &str,
        shared: &Arc<Shared>,
        work: fn(&Shared),
        ended: fn(&mut State),
    ) -> io::Result<Option<Joinable>> {
        if self.is_running {
            return Ok(None);
        }
        let shared = shared.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            signals_sys::as_the_program(); // the program may have a device of its own
            if catch_unwind(AssertUnwindSafe(|| work(&shared))).is_err() {
                ended(&mut shared.state.lock());
                shared.changed.notify_all();
                log::error!("a defect in this library ended the sound; it begins anew with the next stream");
            }
        })?;
        self.is_running = true;
        Ok(self.thread.replace(thread.into()))
    }
}

/// Who uses the engine. Replaced as a whole, so that the engine looks at it without a lock.
#[derive(Clone, Default)]
struct Roster {
    captures: Vec<Arc<Member<dyn Capture>>>,
    playouts: Vec<Arc<Member<dyn Playout>>>,
}

struct Member<T: ?Sized> {
    gate: Gate,
    settings: CaptureSettings,
    object: Arc<T>,
}

impl<T: ?Sized> Member<T> {
    fn new(object: Arc<T>, settings: CaptureSettings) -> Arc<Self> {
        Arc::new(Self { gate: Gate::default(), settings, object })
    }
}

impl Roster {
    fn is_empty(&self) -> bool {
        self.captures.is_empty() && self.playouts.is_empty()
    }

    fn wants(&self, direction: Direction) -> bool {
        match direction {
            Direction::Capture => !self.captures.is_empty(),
            Direction::Render => !self.playouts.is_empty(),
        }
    }
}

impl Sound {
    /// Starts nothing before somebody uses it.
    pub fn new(device: Arc<Registered>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                roster: Arc::default(),
                device,
                is_closed: false,
                engine: Worker::default(),
                keeper: Worker::default(),
                ended: Vec::new(),
                in_use: [false; 2],
                has_ours: None,
                spares_the_program: false,
            }),
            changed: Condvar::new(),
            ports: Arc::default(),
            gate: Gate::default(),
        }))
    }

    pub fn ports(&self) -> &Arc<Ports> {
        &self.0.ports
    }

    /// The device from now on. The one before is stopped and destroyed by and by; this does not wait for it.
    pub fn set_device(&self, device: Arc<Registered>) {
        let before = std::mem::replace(&mut self.0.state.lock().device, device);
        self.0.changed.notify_all();
        drop(before);
    }

    /// Until the guard is dropped. The guard must not belong to `capture` itself, which would keep both for ever.
    pub fn add_capture(&self, capture: Arc<dyn Capture>, settings: CaptureSettings) -> CaptureGuard {
        let member = Member::new(capture, settings);
        self.0.change(|roster| roster.captures.push(member.clone()));
        CaptureGuard { sound: self.clone(), member, waits: true }
    }

    /// As [`Self::add_capture`].
    pub fn add_playout(&self, playout: Arc<dyn Playout>) -> PlayoutGuard {
        let member = Member::new(playout, CaptureSettings::default());
        self.0.change(|roster| roster.playouts.push(member.clone()));
        PlayoutGuard { sound: self.clone(), member, waits: true }
    }

    /// Waits until the device is stopped and destroyed in each direction that nobody uses any more, and until the
    /// threads have ended where nobody uses anything; at most until `deadline`, and not at all inside a callback. Whether
    /// it is so.
    pub fn release_and_wait(&self, deadline: Instant) -> bool {
        if callbacks::is_inside_callback() {
            return self.0.state.lock().is_released();
        }
        let mut state = self.0.state.lock();
        let is_late = loop {
            if state.is_released() {
                break false;
            }
            if self.0.changed.wait_until(&mut state, deadline).timed_out() {
                break !state.is_released();
            }
        };
        let mut threads = state.ended_threads();
        drop(state);
        join_all(&mut threads, deadline); // they have looked at the state for the last time
        let are_gone = threads.is_empty();
        self.0.state.lock().ended.extend(threads);
        if is_late {
            log::warn!("the audio device is not stopped yet: a function of it takes long");
        }
        !is_late && are_gone
    }

    /// The end: nobody is called any more, the device is destroyed, the threads end. Waits at most until `deadline`.
    /// Inside a callback it waits for nothing and a program's device hears no more of it: what it still needs to hear is
    /// told when it is used the next time.
    pub fn stop(&self, deadline: Instant) {
        let is_inside = callbacks::is_inside_callback();
        let (roster, is_ours) = {
            let mut state = self.0.state.lock();
            state.is_closed = true;
            state.spares_the_program = is_inside;
            let is_ours = state.has_ours == Some(true);
            if is_inside && !is_ours {
                self.0.gate.shut();
            }
            (std::mem::take(&mut state.roster), is_ours)
        };
        self.0.changed.notify_all();
        roster.captures.iter().for_each(|member| member.gate.shut());
        roster.playouts.iter().for_each(|member| member.gate.shut());
        drop(roster);
        self.release_and_wait(deadline);
        // A device of the library's own is still ended, by and by: its threads must not stay.
        if !is_inside || !is_ours {
            self.0.gate.shut();
        }
        self.0.changed.notify_all();
    }
}

impl State {
    fn is_released(&self) -> bool {
        let is_idle = |worker: &Worker| !worker.is_running;
        if self.roster.is_empty() {
            return is_idle(&self.engine) && is_idle(&self.keeper);
        }
        let [capture, render] = self.in_use;
        (self.roster.wants(Direction::Capture) || !capture)
            && (self.roster.wants(Direction::Render) || !render)
    }

    fn engine_ended(&mut self) {
        self.engine.is_running = false;
    }

    /// What it has not ended is left over for the next one.
    fn keeper_ended(&mut self) {
        self.in_use = [false; 2];
        self.has_ours = None;
        self.keeper.is_running = false;
    }

    fn ended_threads(&mut self) -> Vec<Joinable> {
        let workers = [&mut self.engine, &mut self.keeper].into_iter();
        let latest = workers.filter(|worker| !worker.is_running).filter_map(|worker| worker.thread.take());
        std::mem::take(&mut self.ended).into_iter().chain(latest).collect()
    }
}

impl Shared {
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Roster)) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        let mut roster = (*state.roster).clone();
        change(&mut roster);
        let before = std::mem::replace(&mut state.roster, Arc::new(roster));
        let started = if state.roster.is_empty() { Ok(()) } else { self.start(&mut state) };
        join_all(&mut state.ended, Instant::now()); // those that are gone
        drop(state);
        self.changed.notify_all();
        drop(before); // what was in it may end here, and that may come back to this function
        if let Err(error) = started {
            log::error!("sound needs a thread and got none: {error}");
        }
    }

    /// Starts the threads that do not run.
    fn start(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let State { engine, keeper, ended, .. } = state;
        ended.extend(engine.start("otc-sound", self, engine::run, State::engine_ended)?);
        ended.extend(keeper.start("otc-device", self, keeper::run, State::keeper_ended)?);
        Ok(())
    }

    /// Puts one of the members out of the roster: no call of it begins any more.
    fn part(self: &Arc<Self>, gate: &Gate, waits: bool, change: impl FnOnce(&mut Roster)) {
        gate.shut();
        self.change(change);
        if waits {
            gate.close(Instant::now() + DELETE_TIMEOUT);
        }
    }
}

/// Ends what [`Sound::add_capture`] began. When its drop has returned no call comes and none runs, except where it was
/// dropped inside a callback, and where a call took longer than two seconds.
pub struct CaptureGuard {
    sound: Sound,
    member: Arc<Member<dyn Capture>>,
    waits: bool,
}

impl CaptureGuard {
    /// As dropping it, but it does not wait for a call that runs.
    pub fn let_go(mut self) {
        self.waits = false;
    }
}

impl Drop for CaptureGuard {
    fn drop(&mut self) {
        let leaving = &self.member;
        self.sound.0.part(&leaving.gate, self.waits, |roster| {
            roster.captures.retain(|member| !Arc::ptr_eq(member, leaving));
        });
    }
}

/// Ends what [`Sound::add_playout`] began; see [`CaptureGuard`].
pub struct PlayoutGuard {
    sound: Sound,
    member: Arc<Member<dyn Playout>>,
    waits: bool,
}

impl PlayoutGuard {
    /// See [`CaptureGuard::let_go`].
    pub fn let_go(mut self) {
        self.waits = false;
    }
}

impl Drop for PlayoutGuard {
    fn drop(&mut self) {
        let leaving = &self.member;
        self.sound.0.part(&leaving.gate, self.waits, |roster| {
            roster.playouts.retain(|member| !Arc::ptr_eq(member, leaving));
        });
    }
}
