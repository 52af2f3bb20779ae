//! From any format to a [`Picture`], and from there, or from another order of red, green and blue, to what a renderer
//! wants.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
};

use super::vector_sys::vectorised;
use super::{FrameError, PixelFormat, PlaneMut, View, allocate, mjpeg};
use crate::media::Picture;

/// WebRTC's colours, and what its renderers expect.
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;
const RANGE: YuvRange = YuvRange::Limited;

/// Rows that are brought into another order at a time on the way to a conversion: even, and few enough for the cache.
const BAND_ROWS: usize = 16;

/// Makes a picture, with pixels of its own.
pub fn to_picture(view: &View<'_>) -> Result<Picture, FrameError> {
    let (width, height) = (view.width(), view.height());
    match view.format() {
        PixelFormat::Yuv420p => Picture::new(width, height, planar_copy(view)?).ok_or(FrameError::Size),
        PixelFormat::Mjpeg => {
            let picture = mjpeg::decode(view.plane(0).bytes)?;
            let is_as_said = (picture.width(), picture.height()) == (width, height);
            if is_as_said { Ok(picture) } else { Err(FrameError::Malformed) }
        }
        PixelFormat::Compressed => Err(FrameError::Format),
        _ => {
            let count = Picture::byte_count(width, height).ok_or(FrameError::Size)?;
            let mut picture = Picture::new(width, height, allocate(count)?).ok_or(FrameError::Size)?;
            match view.format() {
                PixelFormat::Nv12 => from_biplanar(view, &mut picture, false),
                PixelFormat::Nv21 => from_biplanar(view, &mut picture, true),
                PixelFormat::Yuy2 => from_packed_yuv::<0>(view, &mut picture),
                PixelFormat::Uyvy => from_packed_yuv::<1>(view, &mut picture),
                _ => from_rgb(view, &mut picture)?,
            }
            Ok(picture)
        }
    }
}

/// All rows without their padding.
fn planar_copy(view: &View<'_>) -> Result<Vec<u8>, FrameError> {
    let count = view.format().byte_count(view.width(), view.height()).ok_or(FrameError::Size)?;
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(count).map_err(|_| FrameError::Memory)?;
    for plane in 0..view.format().plane_count() {
        let row_bytes = view.format().row_bytes(plane, view.width());
        if view.plane(plane).stride == row_bytes {
            let bytes = view.format().plane_bytes(plane, view.width(), view.height());
            pixels.extend_from_slice(&view.plane(plane).bytes[..bytes]);
        } else {
            view.rows(plane).for_each(|row| pixels.extend_from_slice(row));
        }
    }
    Ok(pixels)
}

/// The same pixels in the same format, without padding.
pub fn tight_copy(view: &View<'_>) -> Result<Vec<u8>, FrameError> {
    if view.format().is_coded() { Ok(view.plane(0).bytes.to_vec()) } else { planar_copy(view) }
}

fn from_biplanar(view: &View<'_>, picture: &mut Picture, is_v_first: bool) {
    let (width, chroma_width) = (picture.width() as usize, picture.chroma_width() as usize);
    let [y, u, v] = picture.planes_mut();
    for (row, out) in view.rows(0).zip(y.chunks_exact_mut(width)) {
        out.copy_from_slice(row);
    }
    let (first, second) = if is_v_first { (v, u) } else { (u, v) };
    let rows = first.chunks_exact_mut(chroma_width).zip(second.chunks_exact_mut(chroma_width));
    vectorised(
        #[inline(always)]
        || {
            for (row, (first, second)) in view.rows(1).zip(rows) {
                for (pair, (first, second)) in row.chunks_exact(2).zip(first.iter_mut().zip(second)) {
                    let word = u16::from_le_bytes([pair[0], pair[1]]);
                    (*first, *second) = (word as u8, (word >> 8) as u8);
                }
            }
        },
    );
}

/// `LUMA` is where in a pair of bytes the luma stands. Chroma of two rows becomes that of one, their mean. Bytes are
/// taken out of whole words: the compiler makes vectors of that, and not of single bytes.
fn from_packed_yuv<const LUMA: u32>(view: &View<'_>, picture: &mut Picture) {
    let (width, chroma_width) = (picture.width() as usize, picture.chroma_width() as usize);
    let [y, u, v] = picture.planes_mut();
    vectorised(
        #[inline(always)]
        || {
            for (row, out) in view.rows(0).zip(y.chunks_exact_mut(width)) {
                for (pair, out) in row.chunks_exact(2).zip(out) {
                    *out = (u16::from_le_bytes([pair[0], pair[1]]) >> (8 * LUMA)) as u8;
                }
            }
            let chroma =
                |row: &[u8]| u32::from_le_bytes([row[0], row[1], row[2], row[3]]) >> (8 * (1 - LUMA));
            let uppers = view.rows(0).step_by(2);
            // The last row of an odd height has no partner but itself.
            let lowers = view.rows(0).skip(1).step_by(2).chain(view.rows(0).last());
            let outs = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
            for ((upper, lower), (u, v)) in uppers.zip(lowers).zip(outs) {
                let fours = upper.chunks_exact(4).zip(lower.chunks_exact(4));
                for ((upper, lower), (u, v)) in fours.zip(u.iter_mut().zip(v)) {
                    let (upper, lower) = (chroma(upper), chroma(lower));
                    *u = (((upper & 0xff) + (lower & 0xff) + 1) >> 1) as u8;
                    *v = (((upper >> 16 & 0xff) + (lower >> 16 & 0xff) + 1) >> 1) as u8;
                }
            }
        },
    );
}

fn from_rgb(view: &View<'_>, picture: &mut Picture) -> Result<(), FrameError> {
    let format = view.format();
    if matches!(format, PixelFormat::Bgra32 | PixelFormat::Rgba32) {
        return from_alpha_first(view, picture);
    }
    let plane = view.plane(0);
    let height = view.height() as usize;
    // The library reads pairs of rows with their padding. What lacks it at the end goes through a copy.
    let is_padded = plane.bytes.len() >= plane.stride * height;
    let direct = if is_padded { height } else { (height - 1) & !1 };
    if direct > 0 {
        encode(format, &plane.bytes[..plane.stride * direct], plane.stride, Rows::of(picture, 0, direct))?;
    }
    if direct < height {
        let rest: Vec<u8> = view.rows(0).skip(direct).flatten().copied().collect();
        let stride = format.row_bytes(0, view.width());
        encode(format, &rest, stride, Rows::of(picture, direct, height))?;
    }
    Ok(())
}

/// For the library, which does not know alpha in front: in bands through another order.
fn from_alpha_first(view: &View<'_>, picture: &mut Picture) -> Result<(), FrameError> {
    let row_bytes = view.format().row_bytes(0, view.width());
    let height = view.height() as usize;
    let order = order(view.format(), PixelFormat::Argb32).ok_or(FrameError::Format)?;
    let mut band = allocate(row_bytes * BAND_ROWS)?;
    let mut rows = view.rows(0);
    for first in (0..height).step_by(BAND_ROWS) {
        let end = (first + BAND_ROWS).min(height);
        for (out, row) in band.chunks_exact_mut(row_bytes).take(end - first).zip(&mut rows) {
            reorder(row, out, order);
        }
        let band = &band[..row_bytes * (end - first)];
        encode(PixelFormat::Argb32, band, row_bytes, Rows::of(picture, first, end))?;
    }
    Ok(())
}

/// Some rows of a picture to be written to.
struct Rows<'a> {
    planes: [&'a mut [u8]; 3],
    width: u32,
    chroma_width: u32,
    height: u32,
}

impl<'a> Rows<'a> {
    /// `first` is even, because two rows have their chroma in common.
    fn of(picture: &'a mut Picture, first: usize, end: usize) -> Self {
        let (width, chroma_width) = (picture.width(), picture.chroma_width());
        let [y, u, v] = picture.planes_mut();
        let luma = first * width as usize..end * width as usize;
        let chroma = first / 2 * chroma_width as usize..end.div_ceil(2) * chroma_width as usize;
        let planes = [&mut y[luma], &mut u[chroma.clone()], &mut v[chroma]];
        Self { planes, width, chroma_width, height: (end - first) as u32 }
    }
}

/// `bytes` are the rows with all of their padding, and nothing more: the library counts backwards from their end.
fn encode(format: PixelFormat, bytes: &[u8], stride: usize, rows: Rows<'_>) -> Result<(), FrameError> {
    let stride = u32::try_from(stride).map_err(|_| FrameError::Stride)?;
    let [y, u, v] = rows.planes;
    let mut planar = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: rows.width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: rows.chroma_width,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: rows.chroma_width,
        width: rows.width,
        height: rows.height,
    };
    let mode = YuvConversionMode::Balanced;
    let encoded = match format {
        PixelFormat::Argb32 => yuv::bgra_to_yuv420(&mut planar, bytes, stride, RANGE, MATRIX, mode),
        PixelFormat::Abgr32 => yuv::rgba_to_yuv420(&mut planar, bytes, stride, RANGE, MATRIX, mode),
        PixelFormat::Rgb24 => yuv::rgb_to_yuv420(&mut planar, bytes, stride, RANGE, MATRIX, mode),
        _ => return Err(FrameError::Format),
    };
    encoded.map_err(|_| FrameError::Short)
}

/// A picture out of red, green and blue without padding.
pub(super) fn from_tight_rgb(rgb: &[u8], width: u32, height: u32) -> Result<Picture, FrameError> {
    let mut picture = Picture::black(width, height).ok_or(FrameError::Size)?;
    encode(PixelFormat::Rgb24, rgb, width as usize * 3, Rows::of(&mut picture, 0, height as usize))?;
    Ok(picture)
}

/// Writes a picture into memory of any stride: as it is, or in one of the 32-bit formats. Padding stays as it was.
pub fn write_picture(
    picture: &Picture,
    format: PixelFormat,
    planes: &mut [PlaneMut<'_>],
) -> Result<(), FrameError> {
    check_target(format, picture.width(), picture.height(), planes)?;
    if format == PixelFormat::Yuv420p {
        let strides = [picture.width(), picture.chroma_width(), picture.chroma_width()];
        for ((plane, stride), out) in picture.planes().into_iter().zip(strides).zip(planes) {
            let row_bytes = stride as usize;
            for (row, out) in plane.chunks_exact(row_bytes).zip(out.bytes.chunks_mut(out.stride)) {
                out[..row_bytes].copy_from_slice(row);
            }
        }
        return Ok(());
    }
    let [y, u, v] = picture.planes();
    let planar = YuvPlanarImage {
        y_plane: y,
        y_stride: picture.width(),
        u_plane: u,
        u_stride: picture.chroma_width(),
        v_plane: v,
        v_stride: picture.chroma_width(),
        width: picture.width(),
        height: picture.height(),
    };
    let out = planes.first_mut().ok_or(FrameError::Short)?;
    let stride = u32::try_from(out.stride).map_err(|_| FrameError::Stride)?;
    let converted = match format {
        PixelFormat::Argb32 | PixelFormat::Bgra32 => {
            yuv::yuv420_to_bgra(&planar, out.bytes, stride, RANGE, MATRIX)
        }
        PixelFormat::Abgr32 | PixelFormat::Rgba32 => {
            yuv::yuv420_to_rgba(&planar, out.bytes, stride, RANGE, MATRIX)
        }
        _ => return Err(FrameError::Format),
    };
    converted.map_err(|_| FrameError::Short)?;
    if matches!(format, PixelFormat::Bgra32 | PixelFormat::Rgba32) {
        let row_bytes = format.row_bytes(0, picture.width());
        vectorised(
            #[inline(always)]
            || {
                for row in out.bytes.chunks_mut(out.stride).take(picture.height() as usize) {
                    for pixel in row[..row_bytes].chunks_exact_mut(4) {
                        pixel.reverse();
                    }
                }
            },
        );
    }
    Ok(())
}

/// Converts without a detour over luma and chroma where both sides are red, green and blue, so no colour is lost.
pub fn write(view: &View<'_>, format: PixelFormat, planes: &mut [PlaneMut<'_>]) -> Result<(), FrameError> {
    if !is_target(format) {
        return Err(FrameError::Format);
    }
    check_target(format, view.width(), view.height(), planes)?;
    let Some(out) = planes.first_mut() else { return Err(FrameError::Short) };
    let outs = out.bytes.chunks_mut(out.stride);
    if let Some(order) = order(view.format(), format) {
        let row_bytes = format.row_bytes(0, view.width());
        view.rows(0).zip(outs).for_each(|(row, out)| reorder(row, &mut out[..row_bytes], order));
    } else if let (PixelFormat::Rgb24, Some(channels)) = (view.format(), format.channels()) {
        view.rows(0).zip(outs).for_each(|(row, out)| widen(row, out, channels));
    } else {
        write_picture(&to_picture(view)?, format, planes)?;
    }
    Ok(())
}

/// What everything can be converted to.
pub fn is_target(format: PixelFormat) -> bool {
    format == PixelFormat::Yuv420p || format.channels().is_some()
}

fn check_target(
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: &[PlaneMut<'_>],
) -> Result<(), FrameError> {
    for index in 0..format.plane_count() {
        let plane = planes.get(index).ok_or(FrameError::Short)?;
        super::view::check(format, index, width, height, plane.stride, plane.bytes.len())?;
    }
    Ok(())
}

/// By how far each byte of a 32-bit pixel has to be shifted down to become the first, second, third and fourth of
/// another. `None` unless both formats have 32 bits.
fn order(from: PixelFormat, to: PixelFormat) -> Option<[u32; 4]> {
    let (from, to) = (from.channels()?, to.channels()?);
    let mut shifts = [0; 4];
    for (from, to) in from.into_iter().zip(to) {
        shifts[to] = 8 * from as u32;
    }
    Some(shifts)
}

fn reorder(row: &[u8], out: &mut [u8], [first, second, third, fourth]: [u32; 4]) {
    vectorised(
        #[inline(always)]
        || {
            for (pixel, out) in row.chunks_exact(4).zip(out.chunks_exact_mut(4)) {
                let word = u32::from_le_bytes([pixel[0], pixel[1], pixel[2], pixel[3]]);
                let byte = |shift: u32| (word >> shift) & 0xff;
                let word = byte(first) | byte(second) << 8 | byte(third) << 16 | byte(fourth) << 24;
                out.copy_from_slice(&word.to_le_bytes());
            }
        },
    );
}

/// Three bytes to four; the fourth is opaque.
fn widen(row: &[u8], out: &mut [u8], [red, green, blue, alpha]: [usize; 4]) {
    for (pixel, out) in row.chunks_exact(3).zip(out.chunks_exact_mut(4)) {
        let mut four = [0; 4];
        (four[red], four[green], four[blue], four[alpha]) = (pixel[0], pixel[1], pixel[2], 255);
        out.copy_from_slice(&four);
    }
}
