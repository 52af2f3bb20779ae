//! The keeper's thread: it starts and stops the device, in the order in which that has to be.
//!
//! For the device as a whole `init` … `destroy`; within it for each direction settings, `init`, `start` … `stop`, `destroy`.
//! A direction that was never started is never destroyed, and none is started twice without being destroyed between. All of
//! the program's functions run here, one at a time, with no lock held but the one that says whose turn it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::device::{Device, Direction, Format, Settings};
use super::{Shared, State};
use crate::driver::callbacks;

/// A device that says no is asked again: its own lock may have been busy.
const ATTEMPTS: usize = 5;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(50);

/// How often a device that runs is asked for its delay.
const DELAY_INTERVAL: Duration = Duration::from_secs(1);

/// Never two functions of devices at once in one process, not even when the keeper of a library that has ended is still
/// in one. Whoever waits here holds no other lock.
static TURN: Mutex<()> = Mutex::new(());

const DIRECTIONS: [Direction; 2] = [Direction::Capture, Direction::Render];

/// A device and how far it has come, which outlives the library.
pub struct Registered {
    device: Arc<dyn Device>,
    stage: Mutex<Stage>,
}

impl Registered {
    pub fn new(device: Arc<dyn Device>) -> Arc<Self> {
        Arc::new(Self { device, stage: Mutex::default() })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.device.is_ours()
    }
}

/// How far a device has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stage {
    whole: Whole,
    directions: [Phase; 2],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Whole {
    #[default]
    Down,
    Up,
    Failed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Down,
    Running,
    /// It could not be started; it is silent until somebody wants it anew.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Init,
    Begin(Direction),
    End(Direction),
    Destroy,
}

impl Stage {
    /// What is to be done next, when these directions are wanted.
    fn next(&self, wanted: [bool; 2]) -> Option<Action> {
        let phases = || DIRECTIONS.into_iter().zip(self.directions).zip(wanted);
        let ending = phases().find(|((_, phase), is_wanted)| *phase != Phase::Down && !is_wanted);
        if let Some(((direction, _), _)) = ending {
            return Some(Action::End(direction));
        }
        if wanted == [false; 2] {
            return (self.whole != Whole::Down).then_some(Action::Destroy);
        }
        match self.whole {
            Whole::Down => Some(Action::Init),
            Whole::Failed => None,
            Whole::Up => phases()
                .find(|((_, phase), is_wanted)| *phase == Phase::Down && *is_wanted)
                .map(|((direction, _), _)| Action::Begin(direction)),
        }
    }

    fn in_use(&self) -> [bool; 2] {
        self.directions.map(|phase| phase == Phase::Running)
    }
}

pub(super) fn run(shared: &Shared) {
    let mut keeper: Option<Keeper> = None;
    loop {
        let mut state = shared.state.lock();
        let present = keeper.get_or_insert_with(|| Keeper::new(shared, &state));
        let wanted = present.wanted(&state);
        let is_ours = present.registered.is_ours();
        state.in_use = present.stage.in_use();
        state.has_ours = Some(is_ours);
        shared.changed.notify_all();
        let is_over = shared.gate.is_shut() || state.spares_the_program && !is_ours;
        let action = present.stage.next(wanted).filter(|_| !is_over);
        if let Some(action) = action {
            drop(state);
            present.act(action);
        } else if present.is_left_over && !is_over {
            present.is_left_over = false;
        } else if !present.is_current(&state) && !is_over {
            keeper = None;
        } else if state.roster.is_empty() || is_over {
            state.keeper_ended();
            shared.changed.notify_all();
            return;
        } else if Instant::now() < present.next_delay {
            shared.changed.wait_until(&mut state, present.next_delay);
        } else {
            drop(state);
            present.ask_for_delays();
        }
    }
}

/// The keeper with one device in its hands.
struct Keeper<'a> {
    shared: &'a Shared,
    registered: Arc<Registered>,
    stage: Stage,
    /// A library that has ended left the device running; it is stopped before it is used.
    is_left_over: bool,
    next_delay: Instant,
}

impl<'a> Keeper<'a> {
    fn new(shared: &'a Shared, state: &State) -> Self {
        let registered = state.device.clone();
        let stage = *registered.stage.lock();
        let is_left_over = stage != Stage::default();
        Self { shared, registered, stage, is_left_over, next_delay: Instant::now() + DELAY_INTERVAL }
    }

    fn is_current(&self, state: &State) -> bool {
        Arc::ptr_eq(&self.registered, &state.device)
    }

    fn wanted(&self, state: &State) -> [bool; 2] {
        let is_used = self.is_current(state) && !self.is_left_over;
        DIRECTIONS.map(|direction| is_used && state.roster.wants(direction))
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Init => match self.insist("be initialised", true, |device| device.init()) {
                Some(true) => self.set(|stage| stage.whole = Whole::Up),
                Some(false) => self.set(|stage| stage.whole = Whole::Failed),
                None => {}
            },
            Action::Begin(direction) => {
                let phase = if self.begin(direction) { Phase::Running } else { Phase::Failed };
                self.set(|stage| stage.directions[direction as usize] = phase);
            }
            Action::End(direction) => {
                if self.stage.directions[direction as usize] == Phase::Failed || self.end(direction) {
                    self.set(|stage| stage.directions[direction as usize] = Phase::Down);
                }
            }
            Action::Destroy => {
                let is_up = self.stage.whole == Whole::Up;
                if !is_up || self.insist("be destroyed", false, |device| device.destroy()).is_some() {
                    self.set(|stage| stage.whole = Whole::Down);
                }
            }
        }
    }

    fn begin(&self, direction: Direction) -> bool {
        let Some(format) = self.format(direction) else { return false };
        if self.insist("initialise a direction", true, |device| device.init_direction(direction))
            != Some(true)
        {
            return false;
        }
        let ports = &self.shared.ports;
        ports.open(direction, format); // the device's thread may be there before `start` has returned
        let is_started = self.insist("start", true, |device| {
            device.start(direction, ports) || device.is_started(direction) == Some(true)
        });
        if is_started != Some(true) {
            ports.close(direction);
        }
        is_started == Some(true)
    }

    /// Whether it was told, in whatever way it answered.
    fn end(&self, direction: Direction) -> bool {
        self.shared.ports.close(direction);
        self.insist("stop", false, |device| device.stop(direction)).is_some()
            && self
                .insist("destroy a direction", false, |device| device.destroy_direction(direction))
                .is_some()
    }

    /// `None` when the device cannot be served.
    fn format(&self, direction: Direction) -> Option<Format> {
        let mut told = None;
        self.attempt(true, |device| {
            told = device.settings(direction);
            told.is_some()
        });
        if told.is_none() {
            log::info!("the audio device does not say its {direction} settings; the usual ones are used");
        }
        let settings = told.unwrap_or_default();
        let format = Format::told(settings.rate_hz, settings.channels);
        if format.is_none() {
            let Settings { rate_hz, channels } = settings;
            log::error!("{channels} channels of {rate_hz} Hz to {direction} are not supported");
        }
        format
    }

    /// Asks a few times until it is done. `while_wanted`: and as long as somebody wants it. `None` when it was not asked.
    fn attempt(&self, while_wanted: bool, mut ask: impl FnMut(&dyn Device) -> bool) -> Option<bool> {
        let mut answer = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 && !self.pause(while_wanted) {
                break;
            }
            answer = self.call(&mut ask).or(answer);
            if answer == Some(true) {
                break;
            }
        }
        answer
    }

    fn insist(&self, what: &str, while_wanted: bool, ask: impl FnMut(&dyn Device) -> bool) -> Option<bool> {
        let answer = self.attempt(while_wanted, ask);
        if answer == Some(false) {
            log::error!("the audio device refused to {what}");
        }
        answer
    }

    /// Between two attempts. Whether another one makes sense.
    fn pause(&self, while_wanted: bool) -> bool {
        let end = Instant::now() + ATTEMPT_INTERVAL;
        let mut state = self.shared.state.lock();
        loop {
            let is_given_up = while_wanted && (state.roster.is_empty() || !self.is_current(&state));
            if is_given_up || self.shared.gate.is_shut() {
                return false;
            }
            if self.shared.changed.wait_until(&mut state, end).timed_out() {
                return true;
            }
        }
    }

    /// Runs a function of the device: its turn, with no lock of ours held besides. `None` when the library has ended.
    fn call<T>(&self, ask: impl FnOnce(&dyn Device) -> T) -> Option<T> {
        let _turn = TURN.lock();
        let mut answer = None;
        self.shared.gate.pass(|| callbacks::enter(|| answer = Some(ask(&*self.registered.device))));
        answer
    }

    fn set(&mut self, change: impl FnOnce(&mut Stage)) {
        change(&mut self.stage);
        *self.registered.stage.lock() = self.stage;
    }

    fn ask_for_delays(&mut self) {
        self.next_delay = Instant::now() + DELAY_INTERVAL;
        let delay: Duration = DIRECTIONS
            .into_iter()
            .zip(self.stage.in_use())
            .filter(|(_, is_used)| *is_used)
            .filter_map(|(direction, _)| self.call(|device| device.delay(direction)))
            .sum();
        self.shared.ports.set_delay(delay);
    }
}
