//! What the codecs cost alone: the figure that publishing and subscribing are held against.
//!
//!     cargo bench --bench codecs -- [CODEC] [SECONDS] [KBIT/S] [THREADS]     vp8 20 1500 1
//!     cargo bench --bench codecs -- layers [SECONDS]                         VP8 as a camera is published, each layer alone
//!     cargo bench --bench codecs -- pictures COUNT FILE                      the same pictures for other programs
//!
//! Encodes so many seconds of the moving picture of `picture.rs` at 1280x720 and 30 frames per second, then decodes what
//! came of it. Making the pictures is not counted. CPU time is that of all threads.

use std::io::Write as _;
use std::time::{Duration, Instant};

use opentok::media::codec::{self, EncodedFrame, VideoSettings};
use opentok::media::video::plan_layers;
use opentok::media::{Picture, VideoCodec, pixels};

mod picture;
use picture::MovingPicture;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FRAMES_PER_SECOND: u32 = 30;

fn main() {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |index: usize, otherwise: u32| {
        words.get(index).map_or(otherwise, |word| word.parse().expect("a number"))
    };
    let codec = match words.first().map(String::as_str) {
        None | Some("vp8") => VideoCodec::Vp8,
        Some("vp9") => VideoCodec::Vp9,
        Some("h264") => VideoCodec::H264,
        Some("layers") => return measure_layers(number(1, 20)),
        Some("pictures") => return write_pictures(number(1, 300), &words[2]),
        Some(word) => panic!("{word} is none of vp8, vp9, h264, layers, pictures"),
    };
    measure(codec, number(1, 20), number(2, 1500), number(3, 1));
}

fn write_pictures(count: u32, path: &str) {
    let moving = MovingPicture::new(WIDTH, HEIGHT);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("the file can be made"));
    for frame in 0..count {
        file.write_all(&moving.frame(frame)).expect("the file can be written");
    }
    println!("{count} pictures of {WIDTH}x{HEIGHT} in YUV420P, one after the other: {path}");
}

fn measure(codec: VideoCodec, seconds: u32, kbps: u32, threads: u32) {
    let settings = VideoSettings {
        width: WIDTH,
        height: HEIGHT,
        bitrate_bps: kbps * 1000,
        frames_per_second: FRAMES_PER_SECOND as f32,
        is_screen: false,
        threads,
        temporal_layers: 1,
    };
    let count = seconds * FRAMES_PER_SECOND;
    let moving = MovingPicture::new(WIDTH, HEIGHT);
    let original = |number| Picture::new(WIDTH, HEIGHT, moving.frame(number)).expect("a picture");

    let mut encoder = codec::video_encoder(codec, &settings).expect("an encoder");
    let mut cost = Cost::default();
    let mut frames: Vec<(u32, EncodedFrame)> = Vec::new();
    for number in 0..count {
        let picture = original(number);
        let at = Duration::from_secs(1) * number / FRAMES_PER_SECOND;
        let frame = cost.of(|| encoder.encode(&picture, at, false)).expect("encoded");
        frames.extend(frame.map(|frame| (number, frame)));
    }
    let bytes: usize = frames.iter().map(|(_, frame)| frame.bytes.len()).sum();
    let actual_kbps = bytes as f64 * 8.0 / 1000.0 / f64::from(seconds);
    println!(
        "{codec:?} {WIDTH}x{HEIGHT} at {FRAMES_PER_SECOND}, {kbps} kbit/s, threads: {threads}, {seconds} s"
    );
    println!("encode  {}  {} of {count} frames, {actual_kbps:.0} kbit/s", cost.per(count), frames.len());

    let mut decoder = codec::video_decoder(codec).expect("a decoder");
    let mut cost = Cost::default();
    let mut decibels = 0.0;
    for (number, frame) in &frames {
        let decoded = cost.of(|| decoder.decode(&frame.bytes)).expect("decoded").expect("a picture");
        decibels += psnr(&decoded, &original(*number));
    }
    println!("decode  {}  {:.1} dB", cost.per(frames.len() as u32), decibels / frames.len() as f64);
}

/// The encoders of a publisher without the publisher: the pictures have their sizes already.
fn measure_layers(seconds: u32) {
    let count = seconds * FRAMES_PER_SECOND;
    let moving = MovingPicture::new(WIDTH, HEIGHT);
    for plan in plan_layers(WIDTH, HEIGHT, false, true, None) {
        let settings = VideoSettings {
            width: plan.width,
            height: plan.height,
            bitrate_bps: plan.bitrate_bps,
            frames_per_second: plan.frames_per_second,
            is_screen: false,
            threads: 1,
            temporal_layers: 3,
        };
        let mut encoder = codec::video_encoder(VideoCodec::Vp8, &settings).expect("an encoder");
        let mut cost = Cost::default();
        // A lower layer may be slower than the film.
        let step = (FRAMES_PER_SECOND as f32 / plan.frames_per_second).round().max(1.0) as u32;
        for number in (0..count).step_by(step as usize) {
            let original = Picture::new(WIDTH, HEIGHT, moving.frame(number)).expect("a picture");
            let picture = pixels::scale(&original, plan.width, plan.height);
            let at = Duration::from_secs(1) * number / FRAMES_PER_SECOND;
            cost.of(|| encoder.encode(&picture, at, false)).expect("encoded");
        }
        let (width, height, frames) = (plan.width, plan.height, plan.frames_per_second);
        println!("{width}x{height} at {frames}, {} bit/s: {}", plan.bitrate_bps, cost.per(count));
    }
}

/// Of luma.
fn psnr(one: &Picture, other: &Picture) -> f64 {
    let (one, other) = (one.planes()[0], other.planes()[0]);
    let squares: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * one.len() as f64 / squares.max(1) as f64).log10()
}

/// What calls cost together.
#[derive(Default)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

impl Cost {
    fn of<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let (cpu, wall) = (cpu_time(), Instant::now());
        let outcome = call();
        self.cpu += cpu_time() - cpu;
        self.wall += wall.elapsed();
        outcome
    }

    fn per(&self, frames: u32) -> String {
        let minutes = f64::from(frames) / f64::from(FRAMES_PER_SECOND) / 60.0;
        let per_second = f64::from(frames) / self.wall.as_secs_f64();
        format!(
            "{:6.2} CPU s per minute of video, {per_second:4.0} frames/s",
            self.cpu.as_secs_f64() / minutes
        )
    }
}

/// Of all threads of this process, in user and kernel.
fn cpu_time() -> Duration {
    // SAFETY: plain numbers, for which zero is a value; the call writes them.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}
