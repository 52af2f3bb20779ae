//! Frames, as the interface hands them in and out. Values of [`crate::media`]; a handle needs no more of an object.

pub use crate::media::frame::Foreign;
pub use crate::media::pixels::rotate;
pub use crate::media::pixels::{Plane, PlaneMut, View, extent, is_target};
pub use crate::media::{Frame, FrameError, Metadata, Picture, PixelFormat, Rotation};

use super::Error;

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Size | FrameError::Stride | FrameError::Short => Self::InvalidParameter,
            FrameError::Format | FrameError::Malformed => Self::InvalidVideoFormat,
            FrameError::Memory => Self::Fatal,
        }
    }
}
