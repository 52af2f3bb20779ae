//! Made-up cameras: what they offer, what they bring, and how they fail.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, TryRecvError};

use super::device::Code;
use super::*;
use crate::media::pixels::PixelFormat;

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const WANTED: Wanted = Wanted { width: 4, height: 2, frames_per_second: 30 };

/// 8 x 8 in the middle grey, without Huffman's tables, as cameras leave them out: the end of a block is all there is.
fn jpeg() -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
    jpeg.extend([1; 64]);
    jpeg.extend([0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    jpeg.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    jpeg.extend([0b0010_1011, 0xff, 0xd9]);
    jpeg
}

/// A picture of 4 x 2 in YUYV, grey, as bright as that.
fn raw(luma: u8) -> Step {
    Step::Bytes([luma, 128].repeat(8))
}

enum Step {
    Bytes(Vec<u8>),
    /// It says itself that this one is damaged.
    Damaged,
    Error(i32),
}

/// Does the steps, and then brings nothing more.
#[derive(Default)]
struct MadeUp {
    modes: Vec<Mode>,
    /// Setting it fails.
    refusal: Option<i32>,
    /// Starting it fails.
    start: Option<i32>,
    steps: VecDeque<Step>,
    panics: bool,
    closing: Closing,
}

impl MadeUp {
    fn new(code: &Code, steps: impl IntoIterator<Item = Step>) -> Self {
        let mode = Mode { code: *code, width: 4, height: 2, frames_per_second: Some(30) };
        Self { modes: vec![mode], steps: steps.into_iter().collect(), ..Self::default() }
    }
}

/// True once its camera has been dropped, which takes as long as the sender lives, if there is one.
#[derive(Default)]
struct Closing(Arc<AtomicBool>, Option<Receiver<Infallible>>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(held) = &self.1 {
            let _ = held.recv_timeout(PATIENCE); // nothing is ever sent
        }
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Device for MadeUp {
    fn modes(&self, _wanted: &Wanted) -> io::Result<Vec<Mode>> {
        assert!(!self.panics, "an answer that makes no sense");
        Ok(self.modes.clone())
    }

    fn set(&mut self, mode: &Mode) -> io::Result<Layout> {
        if let Some(error) = self.refusal {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(Layout {
            format: choice::pixel_format(mode.code).expect("a format that was chosen"),
            width: mode.width,
            height: mode.height,
            stride: 0,
            frames_per_second: 30,
        })
    }

    fn start(&mut self) -> io::Result<()> {
        self.start.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn next(
        &mut self,
        woken: BorrowedFd<'_>,
        limit: Duration,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Waited> {
        match self.steps.pop_front() {
            Some(Step::Bytes(bytes)) => take(&bytes),
            Some(Step::Damaged) => {}
            Some(Step::Error(error)) => return Err(io::Error::from_raw_os_error(error)),
            None => {
                let is_woken = poll_sys::wait(woken, woken, limit)?.is_woken;
                return Ok(if is_woken { Waited::Woken } else { Waited::Nothing });
            }
        }
        Ok(Waited::Picture)
    }
}

/// A machine with these, in order: each can be opened once, or says why not.
struct Machine(parking_lot::Mutex<Vec<Option<Result<MadeUp, i32>>>>);

impl Machine {
    fn new(cameras: impl IntoIterator<Item = Result<MadeUp, i32>>) -> Self {
        Self(parking_lot::Mutex::new(cameras.into_iter().map(Some).collect()))
    }
}

impl Cameras for Machine {
    fn nodes(&self) -> io::Result<Vec<PathBuf>> {
        Ok((0..self.0.lock().len()).map(|number| number.to_string().into()).collect())
    }

    fn open(&self, node: &Path) -> io::Result<Box<dyn Device>> {
        let number: usize = node.to_str().expect("a number").parse().expect("a number");
        let camera = self.0.lock()[number].take().expect("opened once");
        camera.map(|camera| Box::new(camera) as _).map_err(io::Error::from_raw_os_error)
    }
}

#[derive(Debug, PartialEq)]
enum Told {
    /// The brightness of its first pixel.
    Picture(u8),
    Failed(CameraError),
}

struct Ear(Sender<Told>);

impl Sink for Ear {
    fn picture(&self, picture: Picture) -> bool {
        self.0.send(Told::Picture(picture.planes()[0][0])).is_ok()
    }

    fn failed(&self, error: CameraError) {
        let _ = self.0.send(Told::Failed(error)); // nobody may listen any more
    }
}

struct Taking {
    workers: Workers,
    running: Running,
    told: Receiver<Told>,
}

fn take(camera: MadeUp, silence_max: Duration) -> Taking {
    let opened = open(&Machine::new([Ok(camera)]), &WANTED).map_err(|error| error.to_string());
    let (workers, (sender, told)) = (Workers::default(), mpsc::channel());
    let running = opened.expect("a camera").run_with(&workers, Ear(sender), silence_max);
    Taking { running: running.expect("a thread"), workers, told }
}

impl Taking {
    /// What was told until the thread ended by itself.
    fn all(self) -> Vec<Told> {
        assert!(self.workers.join(Instant::now() + PATIENCE), "it ends by itself");
        self.told.iter().collect()
    }
}

fn refusal(machine: &Machine) -> CameraError {
    open(machine, &WANTED).err().expect("no camera")
}

#[test]
fn a_machine_without_one_says_so() {
    assert_eq!(refusal(&Machine::new([])), CameraError::NoCamera);
    let infrared = MadeUp::new(b"GREY", []);
    let no_camera = MadeUp::default();
    let nodes = [Ok(infrared), Ok(no_camera), Err(libc::ENXIO), Err(libc::ENOTTY)];
    assert_eq!(refusal(&Machine::new(nodes)), CameraError::NoCamera);
}

#[test]
fn the_first_reason_that_is_one_is_told() {
    assert_eq!(refusal(&Machine::new([Err(libc::ENODEV), Err(libc::EACCES)])), CameraError::Denied);
    let busy = MadeUp { refusal: Some(libc::EBUSY), ..MadeUp::new(b"YUYV", []) };
    assert_eq!(refusal(&Machine::new([Ok(busy), Err(libc::EACCES)])), CameraError::Busy);
    let sentences: Vec<String> = [
        CameraError::NoCamera,
        CameraError::Denied,
        CameraError::Busy,
        CameraError::Unplugged,
        CameraError::Silent,
        CameraError::Failed(String::new()),
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert!(sentences.iter().all(|one| sentences.iter().filter(|other| one == *other).count() == 1));
}

#[test]
fn the_first_one_that_can_be_had_is_taken_and_the_others_are_closed() {
    let busy = MadeUp { refusal: Some(libc::EBUSY), ..MadeUp::new(b"YUYV", []) };
    let mad = MadeUp { panics: true, ..MadeUp::new(b"YUYV", []) };
    let (good, unneeded) = (MadeUp::new(b"NV12", []), MadeUp::new(b"YUYV", []));
    let closed: Vec<_> = [&busy, &mad, &good].map(|camera| camera.closing.0.clone()).into();
    let machine = Machine::new([Err(libc::EACCES), Ok(busy), Ok(mad), Ok(good), Ok(unneeded)]);
    let opened = open(&machine, &WANTED).map_err(|error| error.to_string()).expect("a camera");
    assert_eq!(opened.layout().format, PixelFormat::Nv12);
    assert!(machine.0.lock()[4].is_some(), "it was not even looked at");
    let is_closed: Vec<bool> = closed.iter().map(|flag| flag.load(Ordering::SeqCst)).collect();
    assert_eq!(is_closed, [true, true, false]);
}

#[test]
fn pictures_come_in_order_and_without_the_broken_ones() {
    let steps = [raw(20), Step::Bytes(vec![50; 15]), Step::Damaged, Step::Bytes(vec![]), raw(30)];
    let taking = take(MadeUp::new(b"YUYV", steps), PATIENCE);
    for luma in [20, 30] {
        assert_eq!(taking.told.recv_timeout(PATIENCE), Ok(Told::Picture(luma)));
    }
    taking.running.stop(Instant::now() + PATIENCE);
    assert_eq!(taking.told.try_recv(), Err(TryRecvError::Disconnected), "being stopped is no failure");

    let cut = jpeg()[..90].to_vec();
    let jpegs = [vec![0xff; 9], jpeg(), cut].map(Step::Bytes).into_iter();
    let told = take(MadeUp::new(b"MJPG", jpegs.chain([Step::Error(libc::ENODEV)])), PATIENCE).all();
    assert_eq!(told, [Told::Picture(126), Told::Failed(CameraError::Unplugged)]);
}

#[test]
fn one_that_is_unplugged_is_told_once_and_closed() {
    let camera = MadeUp::new(b"YUYV", [raw(20), Step::Error(libc::ENODEV), raw(30)]);
    let is_closed = camera.closing.0.clone();
    let told = take(camera, PATIENCE).all();
    assert_eq!(told, [Told::Picture(20), Told::Failed(CameraError::Unplugged)]);
    assert!(is_closed.load(Ordering::SeqCst));
}

#[test]
fn one_that_does_not_start_is_told() {
    let camera = MadeUp { start: Some(libc::EBUSY), ..MadeUp::new(b"YUYV", [raw(20)]) };
    assert_eq!(take(camera, PATIENCE).all(), [Told::Failed(CameraError::Busy)]);
}

#[test]
fn a_few_errors_pass_and_many_do_not() {
    let errors = |count: u32| (0..count).map(|_| Step::Error(libc::EIO));
    let gone = || [Step::Error(libc::ENODEV)];
    let few = errors(ERRORS_MAX).chain([raw(20)]).chain(errors(ERRORS_MAX)).chain([raw(30)]).chain(gone());
    let told = take(MadeUp::new(b"YUYV", few), PATIENCE).all();
    assert_eq!(told, [Told::Picture(20), Told::Picture(30), Told::Failed(CameraError::Unplugged)]);
    let many = errors(ERRORS_MAX + 1).chain([raw(20)]);
    let told = take(MadeUp::new(b"YUYV", many), PATIENCE).all();
    assert!(matches!(told[..], [Told::Failed(CameraError::Failed(_))]), "{told:?}");
}

#[test]
fn silence_ends_it() {
    let silence_max = Duration::from_millis(50);
    let told = take(MadeUp::new(b"YUYV", [raw(20)]), silence_max).all();
    assert_eq!(told, [Told::Picture(20), Told::Failed(CameraError::Silent)]);
}

#[test]
fn one_that_waits_for_a_picture_is_stopped_at_once_and_closed_then() {
    let camera = MadeUp::new(b"YUYV", [raw(20)]);
    let is_closed = camera.closing.0.clone();
    let taking = take(camera, PATIENCE * 2);
    assert_eq!(taking.told.recv_timeout(PATIENCE), Ok(Told::Picture(20)));
    let before = Instant::now();
    taking.running.stop(Instant::now() + PATIENCE);
    assert!(before.elapsed() < PATIENCE, "it was not woken");
    assert!(is_closed.load(Ordering::SeqCst), "the next one could not have it");
    assert!(taking.workers.join(Instant::now() + PATIENCE));
}

#[test]
fn one_that_takes_long_to_close_is_waited_for_no_longer_than_one_may() {
    let (release, held) = mpsc::channel();
    let camera = MadeUp { closing: Closing(Arc::default(), Some(held)), ..MadeUp::new(b"YUYV", []) };
    let is_closed = camera.closing.0.clone();
    let taking = take(camera, PATIENCE * 2);
    let before = Instant::now();
    taking.running.stop(before + Duration::from_millis(20));
    assert!(before.elapsed() < Duration::from_secs(1), "it was waited for");
    assert!(!is_closed.load(Ordering::SeqCst));
    drop(release);
    assert!(taking.workers.join(Instant::now() + PATIENCE), "its thread is known as long as it lives");
    assert!(is_closed.load(Ordering::SeqCst));
}

#[test]
fn one_that_is_dropped_ends_too() {
    let Taking { workers, running, told } = take(MadeUp::new(b"YUYV", []), PATIENCE * 2);
    drop(running);
    assert!(workers.join(Instant::now() + PATIENCE));
    assert_eq!(told.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn one_whose_pictures_nobody_wants_ends_too() {
    let camera = MadeUp::new(b"YUYV", [raw(20)]);
    let is_closed = camera.closing.0.clone();
    let (sender, told) = mpsc::channel();
    drop(told);
    let opened = open(&Machine::new([Ok(camera)]), &WANTED).map_err(|error| error.to_string());
    let workers = Workers::default();
    let running = opened.expect("a camera").run(&workers, Ear(sender)).expect("a thread");
    assert!(workers.join(Instant::now() + PATIENCE), "and not because of the silence");
    assert!(is_closed.load(Ordering::SeqCst));
    drop(running);
}
