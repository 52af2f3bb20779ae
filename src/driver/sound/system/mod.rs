//! The system's audio device: the sound server's (PulseAudio, or PipeWire, which speaks its protocol), else ALSA's.
//!
//! Each direction has a thread of its own while it runs. It finds what there is, serves it, and looks again a little
//! later when it is gone: until then there is silence, and one line in the log. A machine without any sound is an
//! ordinary machine.

mod alsa;
mod alsa_sys;
mod pulse;

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use self::pulse::{Places, PulseDevice};
use super::device::{Device, Direction, Settings};
use super::port::Ports;
use crate::driver::signals_sys;

/// Before it is looked again for a sound server that was not there, or has gone.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How long the end of a thread is waited for. Nothing in it waits longer for anything but ALSA's plug-ins.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// An entry in the list of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the system knows it by.
    pub id: String,
    /// What people know it by.
    pub name: String,
}

/// See the module's text.
#[derive(Default)]
pub struct SystemDevice {
    sides: [Mutex<Side>; 2],
    places: Mutex<Arc<Places>>,
}

#[derive(Default)]
struct Side {
    /// Absent: the system's own choice.
    chosen: Option<String>,
    worker: Option<Worker>,
}

struct Worker {
    order: Arc<Order>,
    thread: JoinHandle<()>,
}

/// What a direction's thread is to do, as long as it is not over.
struct Order {
    direction: Direction,
    places: Arc<Places>,
    ports: Arc<Ports>,
    state: Mutex<OrderState>,
    changed: Condvar,
}

#[derive(Default)]
struct OrderState {
    is_over: bool,
    is_finished: bool,
    chosen: Option<String>,
    /// Counts the choices.
    choice: u32,
    /// The connection that is read from, to be cut when that has to end.
    connection: Option<UnixStream>,
}

/// Why a direction is not served any more.
enum Ended {
    /// It is over, or another device was chosen.
    Told,
    /// Nothing of this kind is here.
    Absent,
    /// It was here, and it broke.
    Broken(String),
}

impl SystemDevice {
    /// Reads from the environment where a sound server may be. For a thread of the program.
    pub fn look_around(&self) {
        let places = Arc::default();
        *self.places.lock() = places;
    }

    fn devices(&self, direction: Direction) -> Option<Vec<PulseDevice>> {
        self.look_around();
        let places = self.places.lock().clone();
        pulse::list(direction, &places)
    }

    /// What the system has for this direction. Takes less than a tenth of a second.
    pub fn list(&self, direction: Direction) -> Vec<Listed> {
        match self.devices(direction) {
            Some(devices) => {
                devices.into_iter().filter(|device| !device.is_monitor).map(|device| device.listed).collect()
            }
            None => alsa::list(direction),
        }
    }

    /// Whether there is a device of that name: it is used from now on.
    pub fn select(&self, direction: Direction, id: &str) -> bool {
        let is_there = match self.devices(direction) {
            Some(devices) => devices.iter().any(|device| device.listed.id == id),
            None => alsa::list(direction).iter().any(|listed| listed.id == id),
        };
        if is_there {
            let mut side = self.sides[direction as usize].lock();
            side.chosen = Some(id.to_owned());
            if let Some(worker) = &side.worker {
                worker.order.choose(id);
            }
        }
        is_there
    }
}

impl Device for SystemDevice {
    fn is_ours(&self) -> bool {
        true
    }

    fn init(&self) -> bool {
        true
    }

    fn destroy(&self) -> bool {
        true
    }

    fn settings(&self, direction: Direction) -> Option<Settings> {
        let channels = channels(direction) as i32;
        Some(Settings { channels, ..Settings::default() })
    }

    fn init_direction(&self, _: Direction) -> bool {
        true
    }

    fn start(&self, direction: Direction, ports: &Arc<Ports>) -> bool {
        let mut side = self.sides[direction as usize].lock();
        let order = Arc::new(Order {
            direction,
            places: self.places.lock().clone(),
            ports: ports.clone(),
            state: Mutex::new(OrderState { chosen: side.chosen.clone(), ..OrderState::default() }),
            changed: Condvar::new(),
        });
        let name = format!("otc-{direction}");
        let spawn = || {
            let order = order.clone();
            thread::Builder::new().name(name).spawn(move || order.run())
        };
        let thread = signals_sys::held(spawn);
        match thread {
            Ok(thread) => {
                side.worker = Some(Worker { order, thread });
                true
            }
            Err(error) => {
                drop(side); // the program's logger runs without a lock of ours
                log::warn!("no thread for the audio device: {error}");
                false
            }
        }
    }

    fn is_started(&self, _: Direction) -> Option<bool> {
        None
    }

    fn stop(&self, direction: Direction) -> bool {
        let worker = self.sides[direction as usize].lock().worker.take();
        if let Some(Worker { order, thread }) = worker {
            if order.end(Instant::now() + STOP_TIMEOUT) {
                let _ = thread.join(); // a panic was told where it happened
            } else {
                log::warn!("the system's audio device does not let go; it is left alone");
            }
        }
        true
    }

    fn destroy_direction(&self, _: Direction) -> bool {
        true
    }

    /// The sound server is asked for so little that the echo canceller finds the rest.
    fn delay(&self, direction: Direction) -> Duration {
        match direction {
            Direction::Capture => FRAGMENT,
            Direction::Render => PLAYBACK_BUFFER,
        }
    }
}

/// What is recorded and what is asked for at a time.
const FRAGMENT: Duration = Duration::from_millis(10);

/// What lies ready at the sound server. Two portions: with less it plays holes when the machine is busy.
const PLAYBACK_BUFFER: Duration = Duration::from_millis(30);

/// One ear is enough for speech and half the work for the echo canceller.
fn channels(direction: Direction) -> u8 {
    match direction {
        Direction::Capture => 1,
        Direction::Render => 2,
    }
}

fn samples(direction: Direction, length: Duration) -> usize {
    let frames = length.as_millis() as usize * crate::media::SAMPLE_RATE as usize / 1000;
    frames * usize::from(channels(direction))
}

impl Order {
    fn run(&self) {
        let mut told = String::new();
        while let Some(chosen) = self.next_choice() {
            let ended = match pulse::serve(self, chosen.as_deref()) {
                Ended::Absent => alsa::serve(self, chosen.as_deref()),
                other => other,
            };
            match ended {
                Ended::Told => continue,
                Ended::Absent => tell_silence(),
                Ended::Broken(why) if why == told => {} // as before, again and again
                Ended::Broken(why) => {
                    log::info!("the system's audio device does not {}: {why}", self.direction);
                    told = why;
                }
            }
            self.pause_until(Instant::now() + RETRY_INTERVAL);
        }
        self.state.lock().is_finished = true;
        self.changed.notify_all();
    }

    /// What to serve. `None` when it is over.
    fn next_choice(&self) -> Option<Option<String>> {
        let state = self.state.lock();
        (!state.is_over).then(|| state.chosen.clone())
    }

    /// Until `deadline`, unless something else is to be done.
    fn pause_until(&self, deadline: Instant) {
        let mut state = self.state.lock();
        let choice = state.choice;
        while !state.is_over && state.choice == choice {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    fn choose(&self, id: &str) {
        let mut state = self.state.lock();
        state.chosen = Some(id.to_owned());
        state.choice += 1;
        state.cut();
        self.changed.notify_all();
    }

    /// Whether the thread has nothing left to do.
    fn end(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        state.is_over = true;
        state.cut();
        self.changed.notify_all();
        while !state.is_finished && !self.changed.wait_until(&mut state, deadline).timed_out() {}
        state.is_finished
    }

    /// The choice that is being served; when another number is here later, it is another one, or it is over.
    fn choice(&self) -> Option<u32> {
        let state = self.state.lock();
        (!state.is_over).then_some(state.choice)
    }

    /// What is read from here on is cut when it has to end. Whether it has not.
    fn attach(&self, connection: &UnixStream, choice: u32) -> bool {
        let mut state = self.state.lock();
        state.connection = connection.try_clone().ok();
        state.connection.is_some() && !state.is_over && state.choice == choice
    }

    fn detach(&self) {
        self.state.lock().connection = None;
    }
}

impl OrderState {
    fn cut(&self) {
        if let Some(connection) = &self.connection {
            let _ = connection.shutdown(Shutdown::Both); // it may have ended by itself
        }
    }
}

/// Once in the life of the process: nothing is wrong, and it stays so on most servers.
fn tell_silence() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        log::info!("no sound server and no ALSA device: nothing is heard and nothing is recorded");
    }
}
