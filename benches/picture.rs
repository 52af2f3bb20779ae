//! A moving picture that can be made again: every program of the measurements and the tests sees the same pixels.
//!
//! A textured background that slides, and a box that bounces over it; both follow from the number of the frame alone.
//! `picture.h` is the same in C. Cheap: three table lookups per row, one addition per pixel.

/// Side of the texture, a power of two.
const TILE: usize = 256;

/// Luma of the background: waves of two lengths and a little grain, so that neither a blur nor a still picture will do.
fn texture(x: usize, y: usize) -> u8 {
    let wave = |t: usize, period: usize| {
        let t = t % period * 4;
        if t < 2 * period { t * 64 / period } else { (4 * period - t) * 64 / period }
    };
    let grain = (x.wrapping_mul(0x9e37).wrapping_add(y.wrapping_mul(0x79b9)).wrapping_mul(0x2545)) >> 9 & 15;
    (40 + wave(x + y / 2, 64) / 2 + wave(y + x / 4, 128) / 2 + grain) as u8
}

/// One that slides over the texture.
pub struct MovingPicture {
    width: usize,
    height: usize,
    texture: Vec<u8>,
}

impl MovingPicture {
    pub fn new(width: u32, height: u32) -> Self {
        // Every row twice, so that a row can begin anywhere in its first half.
        let texture = (0..TILE).flat_map(|y| (0..2 * TILE).map(move |x| texture(x % TILE, y))).collect();
        Self { width: width as usize, height: height as usize, texture }
    }

    /// The planes of a frame, one after the other without padding: Y, U, V in 4:2:0.
    pub fn frame(&self, number: u32) -> Vec<u8> {
        let (width, height) = (self.width, self.height);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut pixels = Vec::with_capacity(width * height + 2 * chroma_width * chroma_height);
        let number = number as usize;
        let (dx, dy) = (2 * number, number);
        for y in 0..height {
            let row = &self.texture[(y + dy) % TILE * 2 * TILE..][..2 * TILE];
            let mut x = 0;
            while x < width {
                let start = (x + dx) % TILE;
                let count = (2 * TILE - start).min(width - x);
                pixels.extend_from_slice(&row[start..start + count]);
                x += count;
            }
        }
        for y in 0..chroma_height {
            let value = (96 + (y + dy / 2) % 64) as u8;
            pixels.resize(pixels.len() + chroma_width, value);
        }
        for y in 0..chroma_height {
            let value = (160 - (y + dy / 2) % 64) as u8;
            pixels.resize(pixels.len() + chroma_width, value);
        }
        self.draw_box(&mut pixels, number);
        pixels
    }

    /// A quarter of the picture's sides, striped, moving 4 pixels across and 2 down with each frame.
    fn draw_box(&self, pixels: &mut [u8], number: usize) {
        let (width, height) = (self.width, self.height);
        let (box_width, box_height) = (width / 4, height / 4);
        let bounce = |distance: usize, room: usize| {
            let at = if room == 0 { 0 } else { distance % (2 * room) };
            if at > room { 2 * room - at } else { at }
        };
        let (left, top) = (bounce(4 * number, width - box_width), bounce(2 * number, height - box_height));
        for y in 0..box_height {
            let value = if y / 8 % 2 == 0 { 220 } else { 60 };
            pixels[(top + y) * width + left..][..box_width].fill(value);
        }
    }
}
