//! Cameras as the kernel has them (Video4Linux, version 2), with buffers that it shares with us.
//!
//! One buffer for all planes: cameras on USB and the loopback device are like that. The pipelines of phones and single
//! boards, with a buffer for each plane, have to be set up by a program of their own and are no default camera.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linuxvideo::format::{FrameIntervals, FrameSizes, PixFormat, PixelFormat as FourCc};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Device as Node, Fract, VideoCaptureDevice};

use super::buffers_sys;
use super::choice::{frames_per_second, nearest, pixel_format};
use super::device::{Cameras, Device, Mode, Waited, Wanted};
use super::layout::Layout;
use super::poll_sys;

/// Where nodes of devices are, and how those of video begin.
const FOLDER: &str = "/dev";
const PREFIX: &str = "video";

/// The cameras of this machine.
pub struct Machine;

impl Cameras for Machine {
    fn nodes(&self) -> io::Result<Vec<PathBuf>> {
        let mut numbers: Vec<u32> = fs::read_dir(FOLDER)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| Path::new(FOLDER).join(format!("{PREFIX}{number}"))).collect())
    }

    fn open(&self, node: &Path) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(Camera(Stage::Open(Node::open(node)?))))
    }
}

struct Camera(Stage);

enum Stage {
    Open(Node),
    Set(VideoCaptureDevice),
    Running(ReadStream),
    /// A step failed; the device is closed.
    Lost,
}

impl Camera {
    fn take(&mut self) -> Stage {
        std::mem::replace(&mut self.0, Stage::Lost)
    }
}

/// Closing is not enough: a child that the program forked has the descriptor too, and would keep the camera for as long as it
/// lives.
impl Drop for Camera {
    fn drop(&mut self) {
        let Stage::Running(stream) = self.take() else { return };
        let copy = stream.as_fd().try_clone_to_owned();
        drop(stream); // it has to stand still first
        if let Ok(copy) = copy {
            buffers_sys::free(copy.as_fd());
        }
    }
}

fn out_of_turn() -> io::Error {
    io::Error::other("a step was left out")
}

impl Device for Camera {
    fn modes(&self, wanted: &Wanted) -> io::Result<Vec<Mode>> {
        let Stage::Open(node) = &self.0 else { return Err(out_of_turn()) };
        let can = node.capabilities()?.device_capabilities();
        let converts = can.intersects(CapabilityFlags::VIDEO_M2M | CapabilityFlags::VIDEO_M2M_MPLANE);
        if converts || !can.contains(CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::STREAMING) {
            return Ok(Vec::new());
        }
        let mut modes = Vec::new();
        for format in node.formats(BufType::VIDEO_CAPTURE) {
            let code = format?.pixel_format();
            for (width, height) in sizes(node, code, wanted) {
                for frames_per_second in rates(node, code, (width, height), wanted) {
                    modes.push(Mode { code: code.as_fourcc(), width, height, frames_per_second });
                }
            }
        }
        Ok(modes)
    }

    fn set(&mut self, mode: &Mode) -> io::Result<Layout> {
        let Stage::Open(node) = self.take() else { return Err(out_of_turn()) };
        let camera =
            node.video_capture(PixFormat::new(mode.width, mode.height, FourCc::from_fourcc(mode.code)))?;
        let set = camera.format();
        let format = pixel_format(set.pixel_format().as_fourcc())
            .ok_or_else(|| io::Error::other("it cannot be set to a format of its own list"))?;
        // Not every driver has a rate to set: those go at their own.
        let rate = mode.frames_per_second.filter(|rate| *rate > 0);
        let told = rate.and_then(|rate| camera.set_frame_interval(Fract::new(1, rate)).ok());
        let told = told.and_then(|told| frames_per_second(told.numerator(), told.denominator()));
        let layout = Layout {
            format,
            width: set.width(),
            height: set.height(),
            stride: set.bytes_per_line() as usize,
            frames_per_second: told.or(rate).unwrap_or(USUAL_RATE),
        };
        self.0 = Stage::Set(camera);
        Ok(layout)
    }

    fn start(&mut self) -> io::Result<()> {
        let Stage::Set(camera) = self.take() else { return Err(out_of_turn()) };
        let stream = camera.into_stream()?;
        poll_sys::set_nonblocking(stream.as_fd())?;
        self.0 = Stage::Running(stream);
        Ok(())
    }

    fn next(
        &mut self,
        woken: BorrowedFd<'_>,
        limit: Duration,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Waited> {
        let Stage::Running(stream) = &mut self.0 else { return Err(out_of_turn()) };
        let happened = poll_sys::wait(stream.as_fd(), woken, limit)?;
        if happened.is_woken {
            return Ok(Waited::Woken);
        }
        if !happened.is_ready {
            return Ok(Waited::Nothing);
        }
        let taken = stream.dequeue(|buffer| {
            if !buffer.is_error() {
                take(&buffer);
            }
            Ok(())
        });
        match taken {
            Ok(()) => Ok(Waited::Picture),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && happened.is_broken => {
                Err(io::Error::from_raw_os_error(libc::ENODEV))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Waited::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// Where nobody says anything: what nearly every camera does.
const USUAL_RATE: u32 = 30;

/// Drivers that list none take the wanted one, or what they make of it.
fn sizes(node: &Node, code: FourCc, wanted: &Wanted) -> Vec<(u32, u32)> {
    match node.frame_sizes(code) {
        Ok(FrameSizes::Discrete(sizes)) => sizes.iter().map(|size| (size.width(), size.height())).collect(),
        Ok(FrameSizes::Stepwise(range) | FrameSizes::Continuous(range)) => vec![(
            nearest(range.min_width(), range.max_width(), range.step_width(), wanted.width),
            nearest(range.min_height(), range.max_height(), range.step_height(), wanted.height),
        )],
        Err(_) => vec![(wanted.width, wanted.height)],
    }
}

/// Of a range, the rate in it that is closest to the wanted one.
fn rates(node: &Node, code: FourCc, (width, height): (u32, u32), wanted: &Wanted) -> Vec<Option<u32>> {
    let rate = |interval: &Fract| frames_per_second(interval.numerator(), interval.denominator());
    match node.frame_intervals(code, width, height) {
        Ok(FrameIntervals::Discrete(all)) => all.iter().map(|interval| rate(interval.fract())).collect(),
        Ok(FrameIntervals::Stepwise(range) | FrameIntervals::Continuous(range)) => {
            let (slowest, fastest) = (rate(range.max()), rate(range.min()));
            let least = slowest.unwrap_or(1);
            let most = fastest.unwrap_or(wanted.frames_per_second).max(least);
            vec![Some(wanted.frames_per_second.clamp(least, most))]
        }
        Err(_) => vec![None],
    }
}
