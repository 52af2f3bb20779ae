//! The default camera with a kernel in between that is made up: `tests/camera/kernel.c`. Each test runs in a process of
//! its own, where that stands before the C library.
//!
//! What is not tested here: a real driver, and what is above the kernel (the module's own tests have cameras that fail in
//! every way).

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use common::{Workshop, project};
use opentok::driver::camera::{self, CameraError, Layout, Machine, Opened, Sink, Wanted};
use opentok::driver::workers::Workers;
use opentok::media::{Picture, PixelFormat};

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does the work in a process whose kernel has such a camera.
fn with(kind: &str, test: &str, work: fn()) {
    if std::env::var_os("KERNEL_CAMERA").is_some() {
        return work();
    }
    let folder = Workshop::new("devices");
    folder.write("video0", "");
    folder.write("video-not-a-number", "");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test])
        .env("KERNEL_CAMERA", kind)
        .env("KERNEL_FOLDER", &folder.path)
        .env("LD_PRELOAD", kernel())
        .output()
        .expect("this program again");
    let told = String::from_utf8_lossy(&output.stdout);
    let is_done = output.status.success() && told.contains("1 passed");
    assert!(is_done, "{}\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
}

fn kernel() -> &'static PathBuf {
    static KERNEL: OnceLock<PathBuf> = OnceLock::new();
    KERNEL.get_or_init(|| {
        let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kernel-camera.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&library, &project().join("tests/camera/kernel.c")])
            .arg("-ldl")
            .output()
            .expect("a C compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        library
    })
}

fn open(width: u32, height: u32) -> Result<Opened, CameraError> {
    camera::open(&Machine, &Wanted { width, height, frames_per_second: 30 })
}

fn opened(width: u32, height: u32) -> Opened {
    open(width, height).map_err(|error| error.to_string()).expect("a camera")
}

enum Told {
    Picture(Picture),
    Failed(CameraError),
}

struct Ear(Sender<Told>);

impl Sink for Ear {
    fn picture(&self, picture: Picture) -> bool {
        self.0.send(Told::Picture(picture)).is_ok()
    }

    fn failed(&self, error: CameraError) {
        let _ = self.0.send(Told::Failed(error)); // nobody may listen any more
    }
}

fn picture(told: &Receiver<Told>) -> Picture {
    match told.recv_timeout(PATIENCE).expect("something") {
        Told::Picture(picture) => picture,
        Told::Failed(error) => panic!("{error}"),
    }
}

#[test]
fn pictures_come_until_it_is_stopped_and_the_next_one_can_have_it() {
    with("shy", "pictures_come_until_it_is_stopped_and_the_next_one_can_have_it", || {
        for _ in 0..2 {
            let opened = opened(640, 480);
            let layout = Layout {
                format: PixelFormat::Yuy2,
                width: 640,
                height: 480,
                stride: 2 * 640 + 32,
                frames_per_second: 30,
            };
            assert_eq!(*opened.layout(), layout);
            let (sender, told) = mpsc::channel();
            let running = opened.run(&Workers::default(), Ear(sender)).expect("a thread");
            for luma in [20, 30, 40] {
                let picture = picture(&told);
                assert_eq!((picture.width(), picture.height()), (640, 480));
                let [y, u, v] = picture.planes();
                assert!(y.iter().all(|pixel| *pixel == luma), "of {luma}");
                assert!(u.iter().chain(v).all(|pixel| *pixel == 128), "without a colour");
            }
            let before = Instant::now();
            running.stop(Instant::now() + PATIENCE);
            assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
            assert!(
                matches!(told.try_recv(), Err(TryRecvError::Disconnected)),
                "being stopped is no failure"
            );
        }
    });
}

#[test]
fn where_raw_is_too_slow_jpegs_come() {
    with("webcam", "where_raw_is_too_slow_jpegs_come", || {
        let opened = opened(1280, 720);
        assert_eq!(opened.layout().format, PixelFormat::Mjpeg);
        let (sender, told) = mpsc::channel();
        let running = opened.run(&Workers::default(), Ear(sender)).expect("a thread");
        for _ in 0..5 {
            assert_eq!(picture(&told).width(), 8, "as large as the JPEG says itself");
        }
        running.stop(Instant::now() + PATIENCE);
    });
}

#[test]
fn one_that_is_unplugged_says_so() {
    with("unplugged", "one_that_is_unplugged_says_so", || {
        let (workers, (sender, told)) = (Workers::default(), mpsc::channel());
        let running = opened(640, 480).run(&workers, Ear(sender)).expect("a thread");
        assert!(workers.join(Instant::now() + PATIENCE), "it ends by itself");
        drop(running);
        let told: Vec<Told> = told.iter().collect();
        assert_eq!(told.len(), 4);
        assert!(matches!(told[3], Told::Failed(CameraError::Unplugged)));
    });
}

#[test]
fn one_that_cannot_be_had_says_why() {
    with("busy", "one_that_cannot_be_had_says_why", || {
        assert_eq!(open(640, 480).err(), Some(CameraError::Busy));
    });
}

#[test]
fn one_that_may_not_be_opened_says_so() {
    with("denied", "one_that_may_not_be_opened_says_so", || {
        assert_eq!(open(640, 480).err(), Some(CameraError::Denied));
    });
}
