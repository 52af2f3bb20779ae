//! A program's audio device, through the C functions, with streams that are made up: what programs do with it
//! (`otc_set_audio_device` and its two companions) and what they rely on.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentok::api::sound;
use opentok::driver::sound::{Capture, CaptureSettings, MIX_STEP, Playout, Sound};
use opentok::ffi::audio_device::*;
use parking_lot::{Mutex, MutexGuard};

/// Longer than anything lawful takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The sound of a library that runs, one test at a time: the device is the process's.
struct Running {
    sound: Sound,
    _alone: MutexGuard<'static, ()>,
}

impl Running {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock();
        Self { sound: sound::open(), _alone: alone }
    }

    /// After the end.
    fn again(&mut self) {
        self.sound = sound::open();
    }

    fn end(&self) {
        let begin = Instant::now();
        sound::close(&self.sound, begin + LIMIT);
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}

struct Steady(AtomicU32);

impl Playout for Steady {
    fn pull(&self, _: Instant, step: &mut [i16; MIX_STEP]) -> bool {
        step.fill(1234);
        self.0.fetch_add(1, Ordering::SeqCst);
        true
    }
}

fn steady() -> Arc<Steady> {
    Arc::new(Steady(AtomicU32::new(0)))
}

#[derive(Default)]
struct Loudest(AtomicU32);

impl Capture for Loudest {
    fn captured(&self, _: Instant, step: &[i16], _: u8) {
        let peak = step.iter().map(|sample| u32::from(sample.unsigned_abs())).max().unwrap_or(0);
        self.0.fetch_max(peak, Ordering::SeqCst);
    }
}

const PLAIN: CaptureSettings =
    CaptureSettings { echo_cancellation: false, noise_suppression: false, gain_control: false };

/// The program: what its functions heard, and the thread that they start and join.
#[derive(Default)]
struct Program {
    heard: Mutex<Vec<&'static str>>,
    is_running: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_over: Arc<AtomicBool>,
    loudest: Arc<AtomicU32>,
}

impl Program {
    fn has_heard(&self, what: &str) -> bool {
        self.heard.lock().contains(&what)
    }
}

/// # Safety
/// `user_data` is a program's.
unsafe fn hear(user_data: *mut c_void, what: &'static str) -> c_int {
    // SAFETY: the caller's promise.
    let program = unsafe { &*user_data.cast::<Program>() };
    assert!(!program.is_running.swap(true, Ordering::SeqCst), "two at once: {what}");
    program.heard.lock().push(what);
    if what.starts_with("start") {
        let (is_over, loudest) = (program.is_over.clone(), program.loudest.clone());
        is_over.store(false, Ordering::SeqCst);
        let mut thread = program.thread.lock();
        if thread.is_none() {
            *thread = Some(std::thread::spawn(move || device_thread(&is_over, &loudest)));
        }
    } else if what.starts_with("destroy_") {
        program.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = program.thread.lock().take() {
            thread.join().expect("it ends"); // it sits in one of the two functions below
        }
    }
    program.is_running.store(false, Ordering::SeqCst);
    1
}

/// Reads and writes without a pause, as the hastiest of programs does.
fn device_thread(is_over: &AtomicBool, loudest: &AtomicU32) {
    let mut buffer = [0i16; 480];
    while !is_over.load(Ordering::SeqCst) {
        // SAFETY: the buffer is as large as it says.
        let got = unsafe { otc_audio_device_read_render_data(buffer.as_mut_ptr(), 480) };
        assert_eq!(got, 480, "full whatever there is to hear");
        loudest.fetch_max(
            buffer.iter().map(|sample| u32::from(sample.unsigned_abs())).max().unwrap_or(0),
            Ordering::SeqCst,
        );
        // SAFETY: as above.
        unsafe { otc_audio_device_write_capture_data([4321i16; 480].as_ptr(), 480) };
    }
}

macro_rules! heard {
    ($($name:ident)*) => {
        $(unsafe extern "C" fn $name(device: *const otc_audio_device, user_data: *mut c_void) -> c_int {
            assert!(!device.is_null());
            // SAFETY: the test's own.
            unsafe { hear(user_data, stringify!($name)) }
        })*
    };
}

heard! {
    init destroy init_capturer destroy_capturer start_capturer stop_capturer
    init_renderer destroy_renderer start_renderer stop_renderer
}

const NONE: otc_audio_device_callbacks = otc_audio_device_callbacks {
    init: None,
    destroy: None,
    init_capturer: None,
    destroy_capturer: None,
    start_capturer: None,
    stop_capturer: None,
    is_capturer_initialized: None,
    is_capturer_started: None,
    get_estimated_capture_delay: None,
    get_capture_settings: None,
    init_renderer: None,
    destroy_renderer: None,
    start_renderer: None,
    stop_renderer: None,
    is_renderer_initialized: None,
    is_renderer_started: None,
    get_estimated_render_delay: None,
    get_render_settings: None,
    user_data: ptr::null_mut(),
    reserved: ptr::null_mut(),
};

/// All functions, for a program that outlives the process: its memory is never a question here.
fn whole(program: &'static Program) -> otc_audio_device_callbacks {
    otc_audio_device_callbacks {
        init: Some(init),
        destroy: Some(destroy),
        init_capturer: Some(init_capturer),
        destroy_capturer: Some(destroy_capturer),
        start_capturer: Some(start_capturer),
        stop_capturer: Some(stop_capturer),
        init_renderer: Some(init_renderer),
        destroy_renderer: Some(destroy_renderer),
        start_renderer: Some(start_renderer),
        stop_renderer: Some(stop_renderer),
        user_data: ptr::from_ref(program).cast_mut().cast(),
        ..NONE
    }
}

fn program() -> &'static Program {
    Box::leak(Box::default())
}

fn set(callbacks: otc_audio_device_callbacks) {
    // SAFETY: a struct on the stack, as programs have it; it is copied.
    assert_eq!(unsafe { otc_set_audio_device(&callbacks) }, 0);
}

#[test]
fn a_thread_that_reads_and_writes_without_a_pause_is_joined_in_destroy() {
    let running = Running::new();
    let program = program();
    set(whole(program));
    let (heard, player) = (Arc::new(Loudest::default()), steady());
    let capture = running.sound.add_capture(heard.clone(), PLAIN);
    let playout = running.sound.add_playout(player);
    until("both directions", || program.has_heard("start_capturer") && program.has_heard("start_renderer"));
    until("what is played", || program.loudest.load(Ordering::SeqCst) == 1234);
    until("what is recorded", || heard.0.load(Ordering::SeqCst) == 4321);
    drop((capture, playout));
    running.sound.release_and_wait(Instant::now() + LIMIT);
    assert!(program.thread.lock().is_none(), "joined before the last deletion has returned");
    assert_eq!(program.heard.lock().last(), Some(&"destroy"));
    running.end();
}

#[test]
fn a_program_that_has_only_some_functions_is_served() {
    let running = Running::new();
    let program = program();
    let full = whole(program);
    let capture_only = otc_audio_device_callbacks {
        start_capturer: full.start_capturer,
        destroy_capturer: full.destroy_capturer,
        user_data: full.user_data,
        ..NONE
    };
    set(capture_only);
    let heard = Arc::new(Loudest::default());
    let capture = running.sound.add_capture(heard.clone(), PLAIN);
    let _playout = running.sound.add_playout(steady());
    until("what is recorded", || heard.0.load(Ordering::SeqCst) == 4321);
    drop(capture);
    running.end();
    assert_eq!(*program.heard.lock(), ["start_capturer", "destroy_capturer"]);
}

#[test]
fn a_device_stays_set_when_the_library_ends_and_begins_anew() {
    let (mut running, program) = (Running::new(), program());
    set(whole(program));
    for round in 1..=3 {
        let _playout = running.sound.add_playout(steady());
        let starts = || program.heard.lock().iter().filter(|what| **what == "start_renderer").count();
        until("the renderer", || starts() == round);
        running.end();
        let ends = program.heard.lock().iter().filter(|what| **what == "destroy_renderer").count();
        assert_eq!(ends, round);
        running.again();
    }
    running.end();
}

#[test]
fn devices_set_by_many_threads_while_they_run_end_one_after_the_other() {
    let running = Running::new();
    let _playout = running.sound.add_playout(steady());
    let programs: Vec<&'static Program> = (0..30).map(|_| program()).collect();
    std::thread::scope(|scope| {
        for some in programs.chunks(10) {
            scope.spawn(move || some.iter().for_each(|program| set(whole(program))));
        }
    });
    until("the last one runs", || {
        programs.iter().any(|program| program.heard.lock().last() == Some(&"start_renderer"))
    });
    // SAFETY: NULL is the system's device.
    assert_eq!(unsafe { otc_set_audio_device(ptr::null()) }, 0);
    until("all have ended", || {
        programs.iter().all(|program| program.heard.lock().last().is_none_or(|last| *last == "destroy"))
    });
    running.end();
    for program in programs {
        let heard = program.heard.lock();
        let count = |what: &str| heard.iter().filter(|heard| **heard == what).count();
        assert_eq!(count("start_renderer"), count("destroy_renderer"), "{heard:?}");
        assert!(program.thread.lock().is_none());
    }
}

#[test]
fn a_library_that_does_not_run_gives_nothing_and_takes_nothing() {
    let running = Running::new();
    running.end();
    let mut buffer = [7i16; 480];
    // SAFETY: the buffer is as large as it says.
    unsafe {
        assert_eq!(otc_audio_device_read_render_data(buffer.as_mut_ptr(), 480), 0);
        assert_ne!(otc_audio_device_write_capture_data(buffer.as_ptr(), 480), 0);
    }
    assert_eq!(buffer, [7; 480], "and the buffer stays as it was");
}
