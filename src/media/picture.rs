//! A picture as everything inside works on it.

use std::sync::Arc;

/// What a program attached to a frame; at most [`Metadata::SIZE_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    bytes: [u8; Metadata::SIZE_MAX],
    size: u8,
}

impl Metadata {
    pub const SIZE_MAX: usize = 32;

    /// `None` when it is too long.
    pub fn new(data: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::SIZE_MAX];
        bytes.get_mut(..data.len())?.copy_from_slice(data);
        Some(Self { bytes, size: data.len() as u8 })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

/// By how much a picture has to be turned clockwise to be upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rotation {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

/// A picture in YUV420P: the three planes one after the other, without padding. Colours are BT.601 in the limited
/// range, as WebRTC's are. Cloning shares the pixels.
#[derive(Clone)]
pub struct Picture {
    width: u32,
    height: u32,
    /// Y, then U, then V.
    pixels: Arc<Vec<u8>>,
    /// Milliseconds since 1970; 0 when nobody said.
    pub timestamp_ms: i64,
    pub metadata: Metadata,
}

impl Picture {
    /// The largest picture in either direction: what VP8 can carry (RFC 6386 section 9.1).
    pub const SIZE_MAX: u32 = 16_383;

    /// Bytes of a picture: `w * h`, and twice the halves, rounded up. `None` for sizes that no picture has.
    pub fn byte_count(width: u32, height: u32) -> Option<usize> {
        let is_size = |size| (1..=Self::SIZE_MAX).contains(&size);
        if !is_size(width) || !is_size(height) {
            return None;
        }
        let chroma = (width.div_ceil(2) as usize) * (height.div_ceil(2) as usize);
        Some(width as usize * height as usize + 2 * chroma)
    }

    /// Takes the pixels as they are. `None` when they are not as many as the size says.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        Self::from_shared(width, height, Arc::new(pixels))
    }

    /// As [`Picture::new`], with pixels that others may have too.
    pub fn from_shared(width: u32, height: u32, pixels: Arc<Vec<u8>>) -> Option<Self> {
        let is_right = Self::byte_count(width, height)? == pixels.len();
        let metadata = Metadata::default();
        is_right.then_some(Self { width, height, pixels, timestamp_ms: 0, metadata })
    }

    /// A black one.
    pub fn black(width: u32, height: u32) -> Option<Self> {
        let count = Self::byte_count(width, height)?;
        let luma = width as usize * height as usize;
        let mut pixels = vec![128; count];
        pixels[..luma].fill(16);
        Self::new(width, height, pixels)
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// Of U and V.
    pub fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    pub fn chroma_height(&self) -> u32 {
        self.height.div_ceil(2)
    }

    /// All three planes.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// For changes in place; copies the pixels first where they are shared.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        let pixels: &mut Vec<u8> = Arc::make_mut(&mut self.pixels);
        pixels
    }

    /// Y, U and V. Their strides are the width and the chroma width.
    pub fn planes(&self) -> [&[u8]; 3] {
        let luma = self.width as usize * self.height as usize;
        let chroma = self.chroma_width() as usize * self.chroma_height() as usize;
        let (y, rest) = self.pixels.split_at(luma);
        let (u, v) = rest.split_at(chroma);
        [y, u, v]
    }

    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let luma = self.width as usize * self.height as usize;
        let chroma = self.chroma_width() as usize * self.chroma_height() as usize;
        let (y, rest) = self.pixels_mut().split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        [y, u, v]
    }

    /// The pixels, shared.
    pub fn shared_pixels(&self) -> Arc<Vec<u8>> {
        self.pixels.clone()
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Picture({}x{})", self.width, self.height)
    }
}
