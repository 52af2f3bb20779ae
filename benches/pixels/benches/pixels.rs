//! Our conversions, halves and turns beside libyuv's, on the same 720p buffers.
//!
//! Ours are measured as the library calls them, with the memory for the result; libyuv writes into memory that is there.

use std::ffi::c_int;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{criterion_group, criterion_main};
use libloading::{Library, Symbol};
use openotc_pixels::media::pixels::{PixelFormat, halve};
use openotc_pixels::media::pixels::{Plane, PlaneMut, View, rotate, scale, to_picture, write_picture};
use openotc_pixels::media::{Picture, Rotation};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const W: c_int = WIDTH as c_int;
const H: c_int = HEIGHT as c_int;

type Source = *const u8;
type Target = *mut u8;
type FromPacked =
    unsafe extern "C" fn(Source, c_int, Target, c_int, Target, c_int, Target, c_int, c_int, c_int) -> c_int;
type ToPacked =
    unsafe extern "C" fn(Source, c_int, Source, c_int, Source, c_int, Target, c_int, c_int, c_int) -> c_int;
type FromBiplanar = unsafe extern "C" fn(
    Source,
    c_int,
    Source,
    c_int,
    Target,
    c_int,
    Target,
    c_int,
    Target,
    c_int,
    c_int,
    c_int,
) -> c_int;
type ScalePlane = unsafe extern "C" fn(Source, c_int, c_int, c_int, Target, c_int, c_int, c_int, c_int);
type Rotate = unsafe extern "C" fn(
    Source,
    c_int,
    Source,
    c_int,
    Source,
    c_int,
    Target,
    c_int,
    Target,
    c_int,
    Target,
    c_int,
    c_int,
    c_int,
    c_int,
) -> c_int;

type Criterion = criterion::Criterion<ThreadTime>;

/// The processor's time that this thread has used: other work on the machine counts less.
struct ThreadTime(WallTime);

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer; the clock exists on every Linux.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, time: &Duration) -> f64 {
        time.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

/// libyuv's `kFilterBox`.
const FILTER_BOX: c_int = 3;

/// Noise and edges: what a camera gives is neither plain nor random.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 29
    };
    (0..count).map(|index| ((index / 7 % 200) as u32 + next()) as u8).collect()
}

fn picture() -> Picture {
    let count = Picture::byte_count(WIDTH, HEIGHT).expect("a size");
    Picture::new(WIDTH, HEIGHT, bytes(count)).expect("as many")
}

/// Says once that there is nothing to compare with.
fn libyuv() -> Option<&'static Library> {
    // SAFETY: loading libyuv runs no code of its own.
    let library =
        ["libyuv.so.0", "libyuv.so"].into_iter().find_map(|name| unsafe { Library::new(name) }.ok());
    if library.is_none() {
        eprintln!("libyuv is not here, so ours stands alone; on Debian: apt-get install libyuv0");
    }
    library.map(|library| &*Box::leak(Box::new(library)))
}

fn symbol<T>(library: &'static Library, name: &str) -> Symbol<'static, T> {
    // SAFETY: the types above are those of libyuv's headers.
    unsafe { library.get(name.as_bytes()) }.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn to_i420(criterion: &mut Criterion) {
    let libyuv = libyuv();
    let mut out = picture();
    for (format, name) in [
        (PixelFormat::Argb32, "ARGBToI420"),
        (PixelFormat::Bgra32, "BGRAToI420"),
        (PixelFormat::Rgb24, "RAWToI420"),
        (PixelFormat::Yuy2, "YUY2ToI420"),
        (PixelFormat::Uyvy, "UYVYToI420"),
    ] {
        let stride = format.row_bytes(0, WIDTH);
        let source = bytes(stride * HEIGHT as usize);
        let view = View::new(format, WIDTH, HEIGHT, &[Plane { bytes: &source, stride }]).expect("enough");
        let mut group = criterion.benchmark_group(format!("{format:?} to YUV420P"));
        group.bench_function("ours", |bencher| bencher.iter(|| to_picture(black_box(&view))));
        if let Some(function) = libyuv.map(|library| symbol::<FromPacked>(library, name)) {
            let [y, u, v] = out.planes_mut().map(<[u8]>::as_mut_ptr);
            group.bench_function("libyuv", |bencher| {
                // SAFETY: buffers of this size.
                bencher.iter(|| unsafe {
                    function(source.as_ptr(), stride as c_int, y, W, u, W / 2, v, W / 2, W, H)
                })
            });
        }
    }
    let (luma, chroma) = (bytes((WIDTH * HEIGHT) as usize), bytes((WIDTH * HEIGHT / 2) as usize));
    let planes =
        [Plane { bytes: &luma, stride: WIDTH as usize }, Plane { bytes: &chroma, stride: WIDTH as usize }];
    let view = View::new(PixelFormat::Nv12, WIDTH, HEIGHT, &planes).expect("enough");
    let mut group = criterion.benchmark_group("Nv12 to YUV420P");
    group.bench_function("ours", |bencher| bencher.iter(|| to_picture(black_box(&view))));
    if let Some(function) = libyuv.map(|library| symbol::<FromBiplanar>(library, "NV12ToI420")) {
        let [y, u, v] = out.planes_mut().map(<[u8]>::as_mut_ptr);
        group.bench_function("libyuv", |bencher| {
            // SAFETY: buffers of this size.
            bencher.iter(|| unsafe {
                function(luma.as_ptr(), W, chroma.as_ptr(), W, y, W, u, W / 2, v, W / 2, W, H)
            })
        });
    }
}

fn from_i420(criterion: &mut Criterion) {
    let libyuv = libyuv();
    let picture = picture();
    let stride = WIDTH as usize * 4;
    let mut out = vec![0; stride * HEIGHT as usize];
    for (format, name) in [(PixelFormat::Argb32, "I420ToARGB"), (PixelFormat::Bgra32, "I420ToBGRA")] {
        let mut group = criterion.benchmark_group(format!("YUV420P to {format:?}"));
        group.bench_function("ours", |bencher| {
            bencher.iter(|| {
                write_picture(black_box(&picture), format, &mut [PlaneMut { bytes: &mut out, stride }])
            })
        });
        if let Some(function) = libyuv.map(|library| symbol::<ToPacked>(library, name)) {
            let [y, u, v] = picture.planes().map(<[u8]>::as_ptr);
            group.bench_function("libyuv", |bencher| {
                // SAFETY: buffers of this size.
                bencher.iter(|| unsafe {
                    function(y, W, u, W / 2, v, W / 2, out.as_mut_ptr(), stride as c_int, W, H)
                })
            });
        }
    }
}

fn sizes(criterion: &mut Criterion) {
    let libyuv = libyuv();
    let picture = picture();
    let scale_plane = libyuv.map(|library| symbol::<ScalePlane>(library, "ScalePlane"));
    let luma = picture.planes()[0];
    let mut group = criterion.benchmark_group("half of the luma");
    let mut half = vec![0; luma.len() / 4];
    group.bench_function("ours", |bencher| {
        bencher.iter(|| halve(black_box(luma), WIDTH as usize, HEIGHT as usize, &mut half))
    });
    if let Some(function) = &scale_plane {
        group.bench_function("libyuv", |bencher| {
            // SAFETY: buffers of this size.
            bencher.iter(|| unsafe {
                function(luma.as_ptr(), W, W, H, half.as_mut_ptr(), W / 2, W / 2, H / 2, FILTER_BOX)
            })
        });
    }
    drop(group);
    for (name, width, height) in [("half", 640, 360), ("quarter", 320, 180), ("3/8", 480, 270)] {
        let mut group = criterion.benchmark_group(format!("picture to {name}"));
        group.bench_function("ours", |bencher| bencher.iter(|| scale(black_box(&picture), width, height)));
        if let Some(function) = &scale_plane {
            let mut out = Picture::black(width, height).expect("a size");
            let sources = picture.planes().map(<[u8]>::as_ptr);
            let targets = out.planes_mut().map(<[u8]>::as_mut_ptr);
            let (width, height) = (width as c_int, height as c_int);
            group.bench_function("libyuv", |bencher| {
                bencher.iter(|| {
                    for plane in 0..3 {
                        let by = if plane == 0 { 1 } else { 2 };
                        let (source, target) = (sources[plane], targets[plane]);
                        let (w, h, width, height) = (W / by, H / by, width / by, height / by);
                        // SAFETY: buffers of this size.
                        unsafe { function(source, w, w, h, target, width, width, height, FILTER_BOX) };
                    }
                })
            });
        }
    }
}

fn turns(criterion: &mut Criterion) {
    let picture = picture();
    let mut group = criterion.benchmark_group("quarter turn");
    group.bench_function("ours", |bencher| bencher.iter(|| rotate(black_box(&picture), Rotation::Quarter)));
    if let Some(function) = libyuv().map(|library| symbol::<Rotate>(library, "I420Rotate")) {
        let mut out = Picture::black(HEIGHT, WIDTH).expect("a size");
        let [y, u, v] = picture.planes().map(<[u8]>::as_ptr);
        let [to_y, to_u, to_v] = out.planes_mut().map(<[u8]>::as_mut_ptr);
        group.bench_function("libyuv", |bencher| {
            // SAFETY: buffers of this size.
            bencher.iter(|| unsafe {
                function(y, W, u, W / 2, v, W / 2, to_y, H, to_u, H / 2, to_v, H / 2, W, H, 90)
            })
        });
    }
}

criterion_group! {
    name = benches;
    config = criterion::Criterion::default().with_measurement(ThreadTime(WallTime));
    targets = to_i420, from_i420, sizes, turns
}
criterion_main!(benches);
