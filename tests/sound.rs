//! The system's audio device against a real sound server: PulseAudio's daemon with null sinks, where it is installed.
//!
//! A null sink plays to nobody, and its monitor records what it plays, so what is played comes back.

mod common;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Workshop;
use opentok::driver::sound::system::SystemDevice;
use opentok::driver::sound::{
    Capture, CaptureGuard, CaptureSettings, Direction, MIX_STEP, Playout, PlayoutGuard, Registered, Sound,
};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Longer than anything lawful takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10)); // a look takes a process or a file
    }
}

/// Where this process looks for its sound server. One test at a time, because the environment is the process's.
struct Place {
    workshop: Workshop,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock();
        let workshop = Workshop::new("sound");
        // SAFETY: the tests of this file run one at a time, and no thread of the library outlives its test.
        unsafe {
            std::env::set_var("PULSE_SERVER", format!("unix:{}", workshop.path.join("native").display()));
            std::env::set_var("HOME", &workshop.path);
            std::env::set_var("XDG_RUNTIME_DIR", &workshop.path);
        }
        Self { workshop, _alone: alone }
    }

    fn socket(&self) -> PathBuf {
        self.workshop.path.join("native")
    }
}

/// The daemon; ends with this value.
struct Server(Child);

impl Server {
    /// `None` where it is not installed.
    fn start(place: &Place) -> Option<Self> {
        let socket = place.socket();
        let protocol = format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display());
        let child = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"])
            .args(["-L", "module-null-sink sink_name=one", "-L", "module-null-sink sink_name=two"])
            .args(["-L", &protocol])
            .env("PULSE_RUNTIME_PATH", &place.workshop.path)
            .env("PULSE_STATE_PATH", &place.workshop.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("left out: pulseaudio is not here");
            return None;
        };
        let server = Self(child);
        let device = SystemDevice::default();
        until("the sound server answers", || {
            device.list(Direction::Render).iter().any(|listed| listed.id == "two")
        });
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

/// Plays 440 Hz.
#[derive(Default)]
struct Tone(Mutex<f64>);

impl Playout for Tone {
    fn pull(&self, _: Instant, step: &mut [i16; MIX_STEP]) -> bool {
        let mut phase = self.0.lock();
        for frame in step.chunks_exact_mut(2) {
            frame.fill((phase.sin() * 10_000.0) as i16);
            *phase += std::f64::consts::TAU * 440.0 / 48_000.0;
        }
        true
    }
}

/// Keeps the last second.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<i16>>,
    changed: Condvar,
}

impl Ear {
    const SECOND: usize = 48_000;

    /// Waits for a second that is so.
    fn wait(&self, what: &str, is_so: impl Fn(&[i16]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut heard = self.heard.lock();
        while heard.len() < Self::SECOND || !is_so(&heard) {
            assert!(!self.changed.wait_until(&mut heard, deadline).timed_out(), "waited in vain: {what}");
            let surplus = heard.len().saturating_sub(Self::SECOND);
            heard.drain(..surplus);
        }
    }

    fn wait_for_the_tone(&self, what: &str) {
        self.wait(what, |heard| {
            let has_a_hole = heard.windows(30).any(|window| window.iter().all(|sample| *sample == 0));
            let crossings = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            !has_a_hole && (438..=442).contains(&crossings)
        });
    }

    fn wait_for_silence(&self, what: &str) {
        self.wait(what, |heard| heard.iter().all(|sample| *sample == 0));
    }
}

impl Capture for Ear {
    fn captured(&self, _: Instant, step: &[i16], channels: u8) {
        const LOOK_EVERY: usize = 4_800; // a tenth of a second: looking costs time that the sound needs
        assert_eq!(channels, 1);
        let mut heard = self.heard.lock();
        heard.extend(step);
        if heard.len() >= Self::SECOND + LOOK_EVERY {
            self.changed.notify_all();
        }
    }
}

/// A whole chain from a tone to an ear, through whatever the system has.
struct Chain {
    device: Arc<SystemDevice>,
    sound: Sound,
    ear: Arc<Ear>,
    guards: Option<(CaptureGuard, PlayoutGuard)>,
}

impl Chain {
    fn new() -> Self {
        let device = Arc::new(SystemDevice::default());
        let sound = Sound::new(Registered::new(device.clone()));
        let ear = Arc::new(Ear::default());
        // What comes back is an echo, which is what is wanted here.
        let settings =
            CaptureSettings { echo_cancellation: false, noise_suppression: false, gain_control: false };
        let guards =
            Some((sound.add_capture(ear.clone(), settings), sound.add_playout(Arc::new(Tone::default()))));
        Self { device, sound, ear, guards }
    }

    fn end(&mut self) {
        self.guards = None;
        let begin = Instant::now();
        self.sound.stop(begin + LIMIT);
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.sound.stop(Instant::now() + LIMIT);
    }
}

#[test]
fn what_is_played_comes_back() {
    let place = Place::new();
    let Some(_server) = Server::start(&place) else { return };
    let chain = Chain::new();
    chain.ear.wait_for_the_tone("the tone");
}

#[test]
fn another_output_and_another_input_are_chosen_while_they_are_in_use() {
    let place = Place::new();
    let Some(_server) = Server::start(&place) else { return };
    let chain = Chain::new();
    assert!(chain.device.select(Direction::Capture, "one.monitor"));
    assert!(chain.device.select(Direction::Render, "one"));
    chain.ear.wait_for_the_tone("the tone on the first");
    assert!(chain.device.select(Direction::Render, "two"));
    chain.ear.wait_for_silence("silence on the first");
    assert!(chain.device.select(Direction::Capture, "two.monitor"));
    chain.ear.wait_for_the_tone("the tone on the second");
    assert!(!chain.device.select(Direction::Capture, "three"));
}

#[test]
fn monitors_are_not_listed_as_microphones() {
    let place = Place::new();
    let Some(_server) = Server::start(&place) else { return };
    let device = SystemDevice::default();
    assert_eq!(device.list(Direction::Capture), []);
    let outputs: Vec<String> = device.list(Direction::Render).into_iter().map(|listed| listed.id).collect();
    assert_eq!(outputs, ["one", "two"]);
}

#[test]
fn a_server_that_goes_away_is_found_again_when_it_is_back() {
    let place = Place::new();
    let Some(server) = Server::start(&place) else { return };
    let chain = Chain::new();
    chain.ear.wait_for_the_tone("the tone");
    drop(server);
    chain.ear.wait_for_silence("silence");
    let _ = std::fs::remove_file(place.socket()); // the daemon may have cleaned up
    let Some(_server) = Server::start(&place) else { return };
    chain.ear.wait_for_the_tone("the tone again");
}

/// A server that is stopped in the middle answers nothing and closes nothing.
#[test]
fn a_server_that_hangs_holds_nobody_up() {
    let place = Place::new();
    let Some(server) = Server::start(&place) else { return };
    let mut chain = Chain::new();
    chain.ear.wait_for_the_tone("the tone");
    let signal = |name: &str| {
        let status =
            Command::new("kill").args([name, &server.0.id().to_string()]).status().expect("a shell's kill");
        assert!(status.success());
    };
    signal("-STOP");
    chain.ear.wait_for_silence("silence");
    chain.end();
    let begin = Instant::now();
    let device = SystemDevice::default();
    device.list(Direction::Render);
    assert!(begin.elapsed() < Duration::from_millis(500), "a list took {:?}", begin.elapsed());
    signal("-CONT");
}

/// One that accepts and never says a word.
#[test]
fn a_server_that_never_answers_is_let_go_at_once() {
    let place = Place::new();
    let server = UnixListener::bind(place.socket()).expect("a socket of its own");
    let mut chain = Chain::new();
    let _unanswered: Vec<_> = (0..2).map(|_| server.accept().expect("both directions")).collect();
    chain.end();
    assert_eq!(threads_of_ours(), Vec::<String>::new());
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).expect("Linux").count()
}

fn threads_of_ours() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let name = |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
    tasks.flatten().map(|task| name(&task.path())).filter(|name| name.starts_with("otc-")).collect()
}

#[test]
fn nothing_is_left_of_it() {
    let place = Place::new();
    let server = Server::start(&place);
    Chain::new().end(); // ALSA, once loaded, stays loaded
    let descriptors = entries("/proc/self/fd");
    for _ in 0..5 {
        let mut chain = Chain::new();
        if server.is_some() {
            chain.ear.wait_for_the_tone("the tone");
        }
        chain.end();
        assert_eq!(threads_of_ours(), Vec::<String>::new());
        drop(chain);
    }
    assert_eq!(entries("/proc/self/fd"), descriptors);
}

/// Whether this is a process for that test alone; if not, it is run in one. ALSA reads its configuration once.
fn is_process_of(test: &str) -> bool {
    const VARIABLE: &str = "TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("a test has a path");
    let output =
        Command::new(program).args(["--exact", test]).env(VARIABLE, "1").output().expect("it runs again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    false
}

/// ALSA's configuration can make a device of two files, so what is played and recorded can be looked at.
#[test]
fn without_a_sound_server_alsa_plays_and_records() {
    if !is_process_of("without_a_sound_server_alsa_plays_and_records") {
        return;
    }
    let place = Place::new();
    // SAFETY: the library is known by name, and loading it does nothing.
    if unsafe { libloading::Library::new("libasound.so.2") }.is_err() {
        return eprintln!("left out: ALSA is not here");
    }
    let folder = &place.workshop.path;
    let mut recording = Vec::new();
    for index in 0..60 * 48_000 {
        let phase = std::f64::consts::TAU * 440.0 * f64::from(index) / 48_000.0;
        recording.extend(((phase.sin() * 10_000.0) as i16).to_le_bytes());
    }
    std::fs::write(folder.join("in.raw"), recording).expect("the workshop can be written");
    let device = |file: &str| format!("type file\nslave.pcm null\nformat raw\nfile {file}\n");
    let text = format!(
        "pcm.!default {{\ntype asym\nplayback.pcm played\ncapture.pcm recorded\n}}\n\
         pcm.played {{\n{}}}\npcm.recorded {{\n{}infile {}\n}}\n",
        device(&folder.join("out.raw").display().to_string()),
        device("/dev/null"),
        folder.join("in.raw").display(),
    );
    std::fs::write(folder.join(".asoundrc"), text).expect("the workshop can be written");
    let mut chain = Chain::new();
    chain.ear.wait_for_the_tone("what ALSA records");
    until("what ALSA plays", || {
        let played = std::fs::read(folder.join("out.raw")).unwrap_or_default();
        let left: Vec<i16> =
            played.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect();
        let crossings = left.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        crossings > 440
    });
    chain.end();
    assert_eq!(threads_of_ours(), Vec::<String>::new());
}

#[test]
fn a_machine_without_sound_is_silent_and_otherwise_as_any() {
    let _place = Place::new();
    let mut chain = Chain::new();
    chain.ear.wait_for_silence("silence");
    chain.end();
    assert_eq!(threads_of_ours(), Vec::<String>::new());
}
