//! The engine and its keeper with made-up devices, streams and programs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Weak, mpsc};
use std::time::Duration;

use super::tone::{Tone, frequency_hz};
use super::*;
use crate::media::STEP_SAMPLES;

/// What is played comes back here on purpose.
const PLAIN: CaptureSettings =
    CaptureSettings { echo_cancellation: false, noise_suppression: false, gain_control: false };

/// Longer than anything lawful takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::yield_now();
    }
}

/// Only one of these tests at a time: the turn of devices is the whole process's, and a device here may hold it long.
fn alone() -> parking_lot::MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

static RUNNING: AtomicBool = AtomicBool::new(false);

type Hook = Box<dyn Fn(&str) + Send>;

/// A device that writes down what it hears, and looks that it is never two things at once.
#[derive(Default)]
struct Recorder {
    heard: Mutex<Vec<String>>,
    settings: Settings,
    /// So many answers to each are false first.
    refusals: Mutex<Vec<(&'static str, u32)>>,
    /// Called in each function, with its name.
    hook: Mutex<Option<Hook>>,
    ports: Mutex<Weak<Ports>>,
    /// It stands for the system's.
    is_ours: bool,
}

impl Recorder {
    fn new(rate_hz: i32, channels: i32) -> Arc<Self> {
        Arc::new(Self { settings: Settings { rate_hz, channels }, ..Self::default() })
    }

    fn ours() -> Arc<Self> {
        Arc::new(Self { is_ours: true, ..Self::default() })
    }

    /// From now on this function of it does not return while the sender lives.
    fn hold(&self, function: &'static str) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        *self.hook.lock() = Some(Box::new(move |what| {
            if what == function {
                let _ = released.lock().recv_timeout(LIMIT); // nothing is ever sent
            }
        }));
        release
    }

    fn refusing(what: &'static str, times: u32) -> Arc<Self> {
        Arc::new(Self { refusals: Mutex::new(vec![(what, times)]), ..Self::default() })
    }

    fn hear(&self, what: &str) -> bool {
        assert!(!RUNNING.swap(true, Ordering::SeqCst), "two at once");
        assert!(callbacks::is_inside_callback());
        self.heard.lock().push(what.to_owned());
        if let Some(hook) = &*self.hook.lock() {
            hook(what);
        }
        let mut refusals = self.refusals.lock();
        let refusal = refusals.iter_mut().find(|(name, times)| *name == what && *times > 0);
        let is_refused = refusal.map(|(_, times)| *times -= 1).is_some();
        assert!(RUNNING.swap(false, Ordering::SeqCst));
        !is_refused
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().iter().filter(|what| !what.contains("delay")).cloned().collect()
    }

    fn has_heard(&self, what: &str) -> bool {
        self.heard.lock().iter().any(|heard| heard == what)
    }
}

impl Device for Recorder {
    fn init(&self) -> bool {
        self.hear("init")
    }

    fn destroy(&self) -> bool {
        self.hear("destroy")
    }

    fn settings(&self, direction: Direction) -> Option<Settings> {
        self.hear(&format!("{direction} settings")).then_some(self.settings)
    }

    fn init_direction(&self, direction: Direction) -> bool {
        self.hear(&format!("{direction} init"))
    }

    fn start(&self, direction: Direction, ports: &Arc<Ports>) -> bool {
        *self.ports.lock() = Arc::downgrade(ports);
        self.hear(&format!("{direction} start"))
    }

    fn is_started(&self, _: Direction) -> Option<bool> {
        None
    }

    fn stop(&self, direction: Direction) -> bool {
        self.hear(&format!("{direction} stop"))
    }

    fn destroy_direction(&self, direction: Direction) -> bool {
        self.hear(&format!("{direction} destroy"))
    }

    fn delay(&self, direction: Direction) -> Duration {
        self.hear(&format!("{direction} delay"));
        Duration::ZERO
    }

    fn is_ours(&self) -> bool {
        self.is_ours
    }
}

/// A stream that plays a tone.
struct Player(Mutex<Tone>, AtomicU32);

impl Player {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Tone::new(440.0, 48_000)), AtomicU32::new(0)))
    }
}

impl Playout for Player {
    fn pull(&self, _: Instant, step: &mut [i16; MIX_STEP]) -> bool {
        self.0.lock().fill(step, 2);
        self.1.fetch_add(1, Ordering::SeqCst);
        true
    }
}

/// A stream that keeps what was recorded.
#[derive(Default)]
struct Taker {
    moments: Mutex<Vec<Instant>>,
    samples: Mutex<Vec<i16>>,
}

impl Capture for Taker {
    fn captured(&self, now: Instant, step: &[i16], channels: u8) {
        assert_eq!(step.len(), STEP_SAMPLES * usize::from(channels));
        self.moments.lock().push(now);
        self.samples.lock().extend(step.iter().step_by(channels.into()));
    }
}

fn sound(device: &Arc<Recorder>) -> Sound {
    Sound::new(Registered::new(device.clone()))
}

fn end(sound: &Sound) {
    sound.stop(Instant::now() + LIMIT);
}

const CAPTURE: [&str; 3] = ["capture settings", "capture init", "capture start"];
const RENDER: [&str; 3] = ["render settings", "render init", "render start"];

#[test]
fn a_device_hears_everything_in_order_and_only_of_what_is_used() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    let sound = sound(&device);
    assert!(device.heard().is_empty());
    let playout = sound.add_playout(Player::new());
    until("the renderer", || device.has_heard("render start"));
    let capture = sound.add_capture(Arc::new(Taker::default()), CaptureSettings::default());
    until("the capturer", || device.has_heard("capture start"));
    drop(playout);
    sound.release_and_wait(Instant::now() + LIMIT);
    assert!(device.has_heard("render destroy"));
    drop(capture);
    sound.release_and_wait(Instant::now() + LIMIT);
    let expected: Vec<&str> = [&["init"][..], &RENDER, &CAPTURE]
        .concat()
        .into_iter()
        .chain(["render stop", "render destroy", "capture stop", "capture destroy", "destroy"])
        .collect();
    assert_eq!(device.heard(), expected);
    end(&sound);
    assert_eq!(device.heard(), expected, "nothing more at the end");
}

#[test]
fn threads_that_panic_do_not_count_as_running() {
    let sound = sound(&Recorder::new(48_000, 1));
    let mut state = sound.0.state.lock();
    state.in_use = [true; 2];
    let State { engine, keeper, .. } = &mut *state;
    engine.start("otc-test", &sound.0, |_| panic!("on purpose"), State::engine_ended).expect("a thread");
    keeper.start("otc-test", &sound.0, |_| panic!("on purpose"), State::keeper_ended).expect("a thread");
    drop(state);
    assert!(sound.release_and_wait(Instant::now() + LIMIT));
    assert_eq!(sound.0.state.lock().in_use, [false; 2]);
}

#[test]
fn a_refusal_that_passes_is_overcome() {
    let _alone = alone();
    for what in ["init", "render settings", "render init", "render start", "render stop", "render destroy"] {
        let device = Recorder::refusing(what, 3);
        let sound = sound(&device);
        let playout = sound.add_playout(Player::new());
        until("the renderer runs", || sound.0.state.lock().in_use[1]);
        drop(playout);
        end(&sound);
        let times = device.heard().iter().filter(|heard| *heard == what).count();
        assert_eq!(times, 4, "{what}: {:?}", device.heard());
        assert_eq!(device.heard().last().map(String::as_str), Some("destroy"));
    }
}

#[test]
fn what_was_never_started_is_never_destroyed() {
    let _alone = alone();
    for what in ["init", "render init", "render start"] {
        let device = Recorder::refusing(what, 1000);
        let sound = sound(&device);
        let player = Player::new();
        let playout = sound.add_playout(player.clone());
        until("it gives up", || device.heard().iter().filter(|heard| *heard == what).count() == 5);
        let before = player.1.load(Ordering::SeqCst);
        until("the stream is asked all the same", || player.1.load(Ordering::SeqCst) > before + 5);
        drop(playout);
        end(&sound);
        let heard = device.heard();
        assert!(!heard.iter().any(|what| what == "render stop" || what == "render destroy"), "{heard:?}");
        assert_eq!(heard.iter().any(|heard| heard == "destroy"), what != "init");
    }
}

#[test]
fn a_device_that_cannot_be_served_is_silent() {
    let _alone = alone();
    let device = Recorder::new(48_000, 6);
    let sound = sound(&device);
    let _playout = sound.add_playout(Player::new());
    until("it was asked", || device.has_heard("render settings"));
    end(&sound);
    assert!(!device.has_heard("render init"));
}

#[test]
fn another_device_takes_over_when_the_first_one_has_ended() {
    let _alone = alone();
    let (first, second) = (Recorder::new(48_000, 1), Recorder::new(44_100, 2));
    let order = Arc::new(Mutex::new(Vec::new()));
    for (device, name) in [(&first, "first"), (&second, "second")] {
        let order = order.clone();
        *device.hook.lock() = Some(Box::new(move |what| order.lock().push(format!("{name} {what}"))));
    }
    let sound = sound(&first);
    let _playout = sound.add_playout(Player::new());
    until("the first runs", || first.has_heard("render start"));
    sound.set_device(Registered::new(second.clone()));
    until("the second runs", || second.has_heard("render start"));
    assert_eq!(sound.ports().format(Direction::Render).map(|format| format.rate_hz), Some(44_100));
    let order: Vec<String> = order.lock().iter().filter(|what| !what.contains("delay")).cloned().collect();
    let expected = [
        "first init",
        "first render settings",
        "first render init",
        "first render start",
        "first render stop",
        "first render destroy",
        "first destroy",
        "second init",
        "second render settings",
        "second render init",
        "second render start",
    ];
    assert_eq!(order, expected);
    end(&sound);
    assert!(second.has_heard("destroy"));
}

#[test]
fn devices_set_again_and_again_from_many_threads_all_end() {
    let _alone = alone();
    let first = Recorder::new(48_000, 1);
    let sound = sound(&first);
    let _playout = sound.add_playout(Player::new());
    let _capture = sound.add_capture(Arc::new(Taker::default()), CaptureSettings::default());
    let devices = Mutex::new(vec![first]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let device = Recorder::new(16_000, 1);
                    devices.lock().push(device.clone());
                    sound.set_device(Registered::new(device));
                }
            });
        }
    });
    until("the last one runs", || sound.0.state.lock().in_use == [true; 2]);
    end(&sound);
    for device in devices.lock().iter() {
        for direction in ["capture", "render"] {
            let count = |what: &str| {
                device.heard().iter().filter(|heard| **heard == format!("{direction} {what}")).count()
            };
            assert_eq!(count("start"), count("destroy"), "{:?}", device.heard());
        }
        let heard = device.heard();
        assert!(heard.is_empty() || heard.last().is_some_and(|last| last == "destroy"), "{heard:?}");
    }
}

/// The program's thread sits in the ports while the program waits for it in a control function.
#[test]
fn a_thread_in_the_ports_may_be_joined_in_every_control_function() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    type Program = (Arc<AtomicBool>, thread::JoinHandle<()>);
    let worker: Mutex<Option<Program>> = Mutex::default();
    let sound = sound(&device);
    let ports = sound.ports().clone();
    *device.hook.lock() = Some(Box::new(move |what| {
        if what.ends_with("start") {
            let is_over = Arc::new(AtomicBool::new(false));
            let (ports, flag) = (ports.clone(), is_over.clone());
            let thread = thread::spawn(move || {
                let mut buffer = [0; 480];
                while !flag.load(Ordering::SeqCst) {
                    ports.take(|_| &mut buffer);
                    ports.bring(|_| &[5; 480]);
                }
            });
            let before = worker.lock().replace((is_over, thread));
            assert!(before.is_none(), "started twice");
        } else if what.ends_with("destroy")
            && let Some((is_over, thread)) = worker.lock().take()
        {
            is_over.store(true, Ordering::SeqCst);
            thread.join().expect("it ends");
        }
    }));
    for _ in 0..20 {
        let playout = sound.add_playout(Player::new());
        until("it runs", || sound.0.state.lock().in_use[1]);
        drop(playout);
        let begin = Instant::now();
        sound.release_and_wait(begin + LIMIT);
        assert!(begin.elapsed() < Duration::from_secs(2), "no deadlock");
    }
    end(&sound);
}

#[test]
fn captured_steps_are_evenly_spaced_and_silent_where_nothing_is_brought() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    let sound = sound(&device);
    let taker = Arc::new(Taker::default());
    let _capture = sound.add_capture(taker.clone(), PLAIN);
    until("some steps", || taker.moments.lock().len() > 30);
    end(&sound);
    let moments = taker.moments.lock();
    let uneven = moments.windows(2).filter(|pair| pair[1] - pair[0] != pace::STEP).count();
    assert!(uneven <= 1, "a machine that slept for 200 ms is rare");
    assert!(taker.samples.lock().iter().all(|sample| *sample == 0));
}

/// A device with its own idea of a step plays and records what it plays.
/// Step by step on made-up time, each step followed by a device that hears what it plays.
#[test]
fn a_tone_keeps_its_pitch_through_devices_of_all_kinds() {
    for (rate_hz, channels) in [(44_100, 1), (16_000, 1), (48_000, 2), (44_100, 2)] {
        let ports = Ports::default();
        ports.open(Direction::Render, Format { rate_hz, channels });
        ports.open(Direction::Capture, Format { rate_hz, channels });
        let taker = Arc::new(Taker::default());
        let roster = Roster {
            playouts: vec![Member::new(Player::new(), PLAIN)],
            captures: vec![Member::new(taker.clone(), PLAIN)],
        };
        let (mut engine, begin) = (engine::Engine::default(), Instant::now());
        let mut played = Vec::new();
        let mut buffer = vec![0; rate_hz as usize / 100 * channels as usize];
        for step in 0..300 {
            let now = begin + pace::STEP * step;
            engine.step(now, now, &roster, &ports);
            buffer.fill(i16::MAX);
            ports.take_at(now, |told| {
                assert_eq!(told, channels as usize);
                &mut buffer
            });
            assert!(buffer.iter().all(|sample| *sample != i16::MAX), "all of it is filled");
            ports.bring_at(now, |_| &buffer);
            played.extend(buffer.iter().step_by(channels as usize));
        }
        for (samples, rate_hz) in [(&played, rate_hz), (&*taker.samples.lock(), 48_000)] {
            let pitch_hz = frequency_hz(&samples[samples.len() / 10..], rate_hz);
            assert!((pitch_hz - 440.0).abs() < 1.0, "{rate_hz} Hz, {channels} channels: {pitch_hz} Hz");
        }
    }
}

#[test]
fn after_a_guard_has_been_dropped_nobody_is_called() {
    let _alone = alone();
    let sound = sound(&Recorder::new(48_000, 1));
    let _other = sound.add_playout(Player::new());
    for _ in 0..20 {
        let player = Player::new();
        let guard = sound.add_playout(player.clone());
        until("it is asked", || player.1.load(Ordering::SeqCst) > 0);
        drop(guard);
        let after = player.1.load(Ordering::SeqCst);
        let steps = Player::new();
        let more = sound.add_playout(steps.clone());
        until("some more steps", || steps.1.load(Ordering::SeqCst) > 2);
        drop(more);
        assert_eq!(player.1.load(Ordering::SeqCst), after);
    }
    end(&sound);
}

#[test]
fn a_guard_may_be_dropped_inside_its_own_call() {
    struct Leaver(Mutex<Option<PlayoutGuard>>, Mutex<mpsc::Sender<()>>);
    impl Playout for Leaver {
        fn pull(&self, _: Instant, _: &mut [i16; MIX_STEP]) -> bool {
            callbacks::enter(|| {
                if self.0.lock().take().is_some() {
                    let _ = self.1.lock().send(()); // the test may have given up
                }
            });
            false
        }
    }
    let _alone = alone();
    let sound = sound(&Recorder::new(48_000, 1));
    let (told, tells) = mpsc::channel();
    let leaver = Arc::new(Leaver(Mutex::default(), Mutex::new(told)));
    let guard = sound.add_playout(leaver.clone());
    *leaver.0.lock() = Some(guard);
    tells.recv_timeout(Duration::from_secs(1)).expect("no waiting for itself");
    end(&sound);
}

#[test]
fn a_stream_that_panics_leaves_the_others_alone() {
    struct Broken;
    impl Playout for Broken {
        fn pull(&self, _: Instant, _: &mut [i16; MIX_STEP]) -> bool {
            panic!("on purpose")
        }
    }
    let _alone = alone();
    let sound = sound(&Recorder::new(48_000, 1));
    let (player, broken) = (Player::new(), sound.add_playout(Arc::new(Broken)));
    let _playout = sound.add_playout(player.clone());
    until("the other one plays on", || player.1.load(Ordering::SeqCst) > 10);
    drop(broken);
    end(&sound);
}

#[test]
fn who_comes_while_each_step_takes_too_long_is_heard_too() {
    struct Slow(AtomicU32);
    impl Playout for Slow {
        fn pull(&self, _: Instant, _: &mut [i16; MIX_STEP]) -> bool {
            thread::sleep(2 * pace::STEP); // its work
            self.0.fetch_add(1, Ordering::SeqCst);
            false
        }
    }
    let _alone = alone();
    let sound = sound(&Recorder::new(48_000, 1));
    let (slow, player) = (Arc::new(Slow(AtomicU32::new(0))), Player::new());
    let _slow = sound.add_playout(slow.clone());
    until("it is late", || slow.0.load(Ordering::SeqCst) > 1);
    let _playout = sound.add_playout(player.clone());
    until("the other one is asked", || player.1.load(Ordering::SeqCst) > 0);
    end(&sound);
}

#[test]
fn no_thread_is_left_when_nobody_uses_it() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    let sound = sound(&device);
    let threads = |sound: &Sound| {
        let state = sound.0.state.lock();
        usize::from(state.engine.thread.is_some()) + usize::from(state.keeper.thread.is_some())
    };
    for _ in 0..10 {
        let playout = sound.add_playout(Player::new());
        assert_eq!(threads(&sound), 2);
        drop(playout);
        sound.release_and_wait(Instant::now() + LIMIT);
        assert_eq!(threads(&sound), 0);
    }
    end(&sound);
    let _late = sound.add_playout(Player::new());
    assert_eq!(threads(&sound), 0, "nothing begins after the end");
}

#[test]
fn a_device_that_an_ended_library_left_running_is_stopped_before_it_is_used() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    let registered = Registered::new(device.clone());
    let first = Sound::new(registered.clone());
    let playout = first.add_playout(Player::new());
    until("it runs", || first.0.state.lock().in_use[1]);
    callbacks::enter(|| first.stop(Instant::now() + LIMIT));
    drop(playout);
    first.release_and_wait(Instant::now() + LIMIT);
    assert!(!device.has_heard("render stop"), "nothing is told after the end");
    let second = Sound::new(registered);
    let _playout = second.add_playout(Player::new());
    let starts = || device.heard().iter().filter(|heard| *heard == "render start").count();
    until("it runs again", || starts() == 2);
    end(&second);
    let once = [&["init"][..], &RENDER, &["render stop", "render destroy", "destroy"]].concat();
    assert_eq!(device.heard(), [once.clone(), once].concat());
}

/// The end inside a callback, while the keeper still ends the first device and the second one is set already.
fn ended_between(first: &Arc<Recorder>, second: &Arc<Registered>) {
    let release = first.hold("render stop");
    let sound = sound(first);
    let _playout = sound.add_playout(Player::new());
    until("the first runs", || sound.0.state.lock().in_use[1]);
    sound.set_device(second.clone());
    until("the first ends", || first.has_heard("render stop"));
    callbacks::enter(|| end(&sound));
    drop(release);
    until("the keeper ends", || !sound.0.state.lock().keeper.is_running);
}

#[test]
fn after_an_end_inside_a_callback_a_device_that_was_taken_out_before_hears_nothing() {
    let _alone = alone();
    let (program, system) = (Recorder::new(48_000, 1), Recorder::ours());
    ended_between(&program, &Registered::new(system.clone()));
    assert!(!program.has_heard("render destroy"));
    assert_eq!(system.heard(), [""; 0]);
}

#[test]
fn after_an_end_inside_a_callback_the_systems_device_ends_and_the_one_that_was_set_hears_nothing() {
    let _alone = alone();
    // A library before this one has left the program's device running.
    let (program, system) = (Recorder::new(48_000, 1), Recorder::ours());
    let registered = Registered::new(program.clone());
    let before = Sound::new(registered.clone());
    let playout = before.add_playout(Player::new());
    until("it runs", || before.0.state.lock().in_use[1]);
    callbacks::enter(|| end(&before));
    drop(playout);
    assert!(before.release_and_wait(Instant::now() + LIMIT));
    let heard = program.heard();
    ended_between(&system, &registered);
    assert!(system.has_heard("destroy"), "its threads would stay");
    assert_eq!(program.heard(), heard);
}

#[test]
fn a_control_function_that_does_not_return_delays_the_end_by_its_limit_only() {
    let _alone = alone();
    let device = Recorder::new(48_000, 1);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    *device.hook.lock() = Some(Box::new(move |what| {
        if what == "render start" {
            let _ = released.lock().recv_timeout(LIMIT); // the test may have given up
        }
    }));
    let sound = sound(&device);
    let _playout = sound.add_playout(Player::new());
    until("it starts", || device.has_heard("render start"));
    let begin = Instant::now();
    sound.stop(begin + Duration::from_millis(200));
    assert!(begin.elapsed() < Duration::from_secs(2));
    release.send(()).expect("it waits");
    until("the keeper ends", || !sound.0.state.lock().keeper.is_running);
    assert!(!device.has_heard("render stop"), "nothing is told after the end");
}
