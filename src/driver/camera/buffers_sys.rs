//! Giving back the buffers that a camera's driver shares with us.

use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct v4l2_requestbuffers` of the kernel.
#[repr(C)]
#[derive(Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

const VIDEO_CAPTURE: u32 = 1;
const MMAP: u32 = 1;

/// `_IOWR('V', 8, struct v4l2_requestbuffers)`, on every architecture with the usual numbers.
const VIDIOC_REQBUFS: u32 = 0xC000_5608 | (size_of::<RequestBuffers>() as u32) << 16;

/// From now on others may have the camera. A driver that refuses gives it up when it is closed.
pub fn free(camera: BorrowedFd<'_>) {
    let mut none = RequestBuffers { kind: VIDEO_CAPTURE, memory: MMAP, ..RequestBuffers::default() };
    // SAFETY: the descriptor is borrowed and the structure lives until the call returns; the kernel writes no more than it.
    let outcome = unsafe { libc::ioctl(camera.as_raw_fd(), VIDIOC_REQBUFS as _, &mut none) };
    if outcome < 0 {
        log::debug!("the camera keeps its buffers until it is closed: {}", std::io::Error::last_os_error());
    }
}
