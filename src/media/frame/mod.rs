//! A frame: what a program hands in or gets, in any format, in memory of ours or of its own.
//!
//! A frame is a value: a clone shares the pixels. Whether a copy may is the memory's matter, see `memory.rs`.

mod memory;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use memory::Foreign;
use memory::Memory;

use super::pixels::{self, FrameError, PixelFormat, Plane, PlaneMut, View};
use super::{Metadata, Picture};

/// Where a plane lies in the memory of its frame.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    block: usize,
    start: usize,
    stride: usize,
}

#[derive(Clone)]
pub struct Frame {
    format: PixelFormat,
    width: u32,
    height: u32,
    memory: Memory,
    places: [Place; 3],
    /// Milliseconds since 1970; 0 when nobody said.
    pub timestamp_ms: i64,
    pub metadata: Metadata,
}

impl Frame {
    /// A black one, opaque where the format knows alpha. Its memory may be written to from outside.
    pub fn blank(format: PixelFormat, width: u32, height: u32) -> Result<Self, FrameError> {
        let count = Self::count(format, width, height)?;
        let mut pixels = pixels::allocate(count)?;
        match format {
            PixelFormat::Yuv420p | PixelFormat::Nv12 | PixelFormat::Nv21 => {
                let (luma, chroma) = pixels.split_at_mut(format.plane_bytes(0, width, height));
                luma.fill(16);
                chroma.fill(128);
            }
            PixelFormat::Yuy2 => pixels.chunks_exact_mut(2).for_each(|two| two.copy_from_slice(&[16, 128])),
            PixelFormat::Uyvy => pixels.chunks_exact_mut(2).for_each(|two| two.copy_from_slice(&[128, 16])),
            _ => {
                if let Some([.., alpha]) = format.channels() {
                    pixels.chunks_exact_mut(4).for_each(|pixel| pixel[alpha] = 255);
                }
            }
        }
        Self::own(format, width, height, pixels)
    }

    /// With a copy of pixels that lie without padding, plane after plane.
    pub fn copied(format: PixelFormat, width: u32, height: u32, bytes: &[u8]) -> Result<Self, FrameError> {
        let count = Self::count(format, width, height)?;
        let bytes = bytes.get(..count).ok_or(FrameError::Short)?;
        Self::own(format, width, height, bytes.to_vec())
    }

    /// With a copy of the planes, without their padding.
    pub fn from_view(view: &View<'_>) -> Result<Self, FrameError> {
        let pixels = pixels::tight_copy(view)?;
        Self::own(view.format(), view.width(), view.height(), pixels)
    }

    /// A JPEG, or what another codec made; the bytes are not looked at.
    pub fn coded(format: PixelFormat, width: u32, height: u32, bytes: &[u8]) -> Result<Self, FrameError> {
        if !format.is_coded() {
            return Err(FrameError::Format);
        }
        let plane = Plane { bytes, stride: 0 };
        Self::from_view(&View::new(format, width, height, &[plane])?)
    }

    /// On memory of somebody else's, which is given back when the last frame on it goes. One block for each plane, or
    /// one for all of them; `strides` are those of the planes.
    pub fn on(
        memory: Arc<dyn Foreign>,
        format: PixelFormat,
        width: u32,
        height: u32,
        strides: &[usize],
    ) -> Result<Self, FrameError> {
        let mut places = [Place::default(); 3];
        let mut start = 0;
        for (index, place) in places.iter_mut().enumerate().take(format.plane_count()) {
            let stride = *strides.get(index).ok_or(FrameError::Stride)?;
            let is_in_one = memory.block_count() == 1;
            *place = Place { block: if is_in_one { 0 } else { index }, start, stride };
            if is_in_one && !format.is_coded() {
                let rows = format.plane_height(index, height) as usize;
                start += stride.checked_mul(rows).ok_or(FrameError::Stride)?;
            }
        }
        let memory = Memory::Foreign(memory);
        let frame =
            Self { format, width, height, memory, places, timestamp_ms: 0, metadata: Metadata::default() };
        frame.view()?;
        Ok(frame)
    }

    /// A picture that may be drawn into from outside before it goes on; see [`Frame::into_picture`].
    pub fn writable(mut picture: Picture) -> Self {
        picture.pixels_mut(); // its own from here on
        let mut frame = Self::from(picture);
        if let Memory::Shared(pixels) = frame.memory {
            frame.memory = Memory::Own(pixels);
        }
        frame
    }

    fn own(format: PixelFormat, width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, FrameError> {
        let mut frame = Self {
            format,
            width,
            height,
            memory: Memory::Own(Arc::new(pixels)),
            places: Self::tight_places(format, width, height),
            timestamp_ms: 0,
            metadata: Metadata::default(),
        };
        if format.is_coded() {
            frame.places = [Place::default(); 3];
        }
        frame.view()?;
        Ok(frame)
    }

    fn tight_places(format: PixelFormat, width: u32, height: u32) -> [Place; 3] {
        let mut places = [Place::default(); 3];
        let mut start = 0;
        for (index, place) in places.iter_mut().enumerate().take(format.plane_count()) {
            *place = Place { block: 0, start, stride: format.row_bytes(index, width) };
            start += format.plane_bytes(index, width, height);
        }
        places
    }

    fn count(format: PixelFormat, width: u32, height: u32) -> Result<usize, FrameError> {
        if format.is_coded() {
            return Err(FrameError::Format);
        }
        format.byte_count(width, height).ok_or(FrameError::Size)
    }

    pub fn format(&self) -> PixelFormat {
        self.format
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// The plane with its padding, as far as its memory goes. `None` when the format has no such plane.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        if index >= self.format.plane_count() {
            return None;
        }
        let place = self.places[index];
        let bytes = self.memory.block(place.block).get(place.start..)?;
        let whole = match self.format.is_coded() {
            true => bytes.len(),
            false => place.stride.saturating_mul(self.format.plane_height(index, self.height) as usize),
        };
        Some(Plane { bytes: &bytes[..whole.min(bytes.len())], stride: place.stride })
    }

    pub fn view(&self) -> Result<View<'_>, FrameError> {
        let planes = [0, 1, 2].map(|index| self.plane(index).unwrap_or(Plane { bytes: &[], stride: 0 }));
        View::new(self.format, self.width, self.height, &planes)
    }

    /// Whether all planes lie one after the other without padding.
    pub fn is_contiguous(&self) -> bool {
        let tight = Self::tight_places(self.format, self.width, self.height);
        let is_tight = |(place, tight): (&Place, Place)| {
            (place.block, place.start, place.stride) == (tight.block, tight.start, tight.stride)
        };
        self.format.is_coded() || self.places.iter().zip(tight).all(is_tight)
    }

    /// The whole picture, when it is in one piece.
    pub fn buffer(&self) -> Option<&[u8]> {
        let bytes = self.memory.block(0);
        match self.format.byte_count(self.width, self.height) {
            _ if !self.is_contiguous() => None,
            Some(count) => bytes.get(..count),
            None => Some(bytes),
        }
    }

    /// A copy that shares the memory where that is allowed.
    pub fn copy(&self) -> Result<Self, FrameError> {
        if self.memory.may_be_shared() { Ok(self.clone()) } else { self.deep_copy() }
    }

    /// A copy with memory of its own, which may be written to from outside.
    pub fn deep_copy(&self) -> Result<Self, FrameError> {
        Ok(self.with_times_of(Self::from_view(&self.view()?)?))
    }

    /// The frame as a picture. Shares the pixels where nobody outside can write to them; else copies or converts.
    pub fn to_picture(&self) -> Result<Picture, FrameError> {
        let mut picture = match &self.memory {
            Memory::Shared(pixels) if self.format == PixelFormat::Yuv420p => {
                Picture::from_shared(self.width, self.height, pixels.clone()).ok_or(FrameError::Size)?
            }
            _ => pixels::to_picture(&self.view()?)?,
        };
        picture.timestamp_ms = self.timestamp_ms;
        picture.metadata = self.metadata;
        Ok(picture)
    }

    /// As [`Frame::to_picture`], for a frame that nobody outside has any more: its own memory is not copied.
    pub fn into_picture(mut self) -> Result<Picture, FrameError> {
        if let Memory::Own(pixels) = &self.memory
            && Arc::strong_count(pixels) == 1
        {
            self.memory = Memory::Shared(pixels.clone());
        }
        self.to_picture()
    }

    /// The frame in another format; in its own it is a copy.
    pub fn convert(&self, format: PixelFormat) -> Result<Self, FrameError> {
        if format == self.format {
            return self.copy();
        }
        if !pixels::is_target(format) {
            return Err(FrameError::Format);
        }
        if format == PixelFormat::Yuv420p {
            return Ok(Self::writable(self.to_picture()?));
        }
        let view = self.view()?;
        let stride = format.row_bytes(0, self.width);
        let mut bytes = pixels::allocate(Self::count(format, self.width, self.height)?)?;
        pixels::write(&view, format, &mut [PlaneMut { bytes: &mut bytes, stride }])?;
        Ok(self.with_times_of(Self::own(format, self.width, self.height, bytes)?))
    }

    /// Converts into memory of somebody else's.
    pub fn convert_into(&self, format: PixelFormat, planes: &mut [PlaneMut<'_>]) -> Result<(), FrameError> {
        pixels::write(&self.view()?, format, planes)
    }

    /// Takes the bytes as they are for another format's, where there are enough of them.
    pub fn relabel(&mut self, format: PixelFormat) -> Result<(), FrameError> {
        let rows = |format: PixelFormat| [0, 1, 2].map(|plane| format.row_bytes(plane, 16));
        let is_alike = format.plane_count() == self.format.plane_count() && rows(format) == rows(self.format);
        let before = (self.format, self.places);
        if !is_alike {
            if !self.is_contiguous() || self.format.is_coded() || format.is_coded() {
                return Err(FrameError::Format);
            }
            self.places = Self::tight_places(format, self.width, self.height);
        }
        self.format = format;
        let is_enough = self.view().map(drop);
        if is_enough.is_err() {
            (self.format, self.places) = before;
        }
        is_enough
    }

    fn with_times_of(&self, mut other: Self) -> Self {
        other.timestamp_ms = self.timestamp_ms;
        other.metadata = self.metadata;
        other
    }
}

impl From<Picture> for Frame {
    /// Shares the pixels.
    fn from(picture: Picture) -> Self {
        let format = PixelFormat::Yuv420p;
        Self {
            format,
            width: picture.width(),
            height: picture.height(),
            places: Self::tight_places(format, picture.width(), picture.height()),
            memory: Memory::Shared(picture.shared_pixels()),
            timestamp_ms: picture.timestamp_ms,
            metadata: picture.metadata,
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Frame({:?} {}x{})", self.format, self.width, self.height)
    }
}
