//! Smaller and turned pictures, the plain way.

use crate::media::{Picture, Rotation};

/// Each pixel is the mean of those it covers.
pub(super) fn scale(picture: &Picture, width: u32, height: u32) -> Picture {
    if (width, height) == (picture.width(), picture.height()) {
        return picture.clone();
    }
    let Some(mut scaled) = Picture::black(width, height) else { return picture.clone() };
    let from = [picture.width(), picture.chroma_width(), picture.chroma_width()];
    let from_rows = [picture.height(), picture.chroma_height(), picture.chroma_height()];
    let to = [width, scaled.chroma_width(), scaled.chroma_width()];
    for (index, (plane, out)) in picture.planes().into_iter().zip(scaled.planes_mut()).enumerate() {
        let (columns, rows) = (from[index] as usize, from_rows[index] as usize);
        let out_columns = to[index] as usize;
        let out_rows = out.len() / out_columns;
        for (row, line) in out.chunks_mut(out_columns).enumerate() {
            let range = covered(row, out_rows, rows);
            for (column, pixel) in line.iter_mut().enumerate() {
                let across = covered(column, out_columns, columns);
                let lines = range.clone().map(|row| &plane[row * columns..][across.clone()]);
                let sum: usize = lines.flatten().map(|value| usize::from(*value)).sum();
                *pixel = (sum / (range.len() * across.len())) as u8;
            }
        }
    }
    scaled.timestamp_ms = picture.timestamp_ms;
    scaled.metadata = picture.metadata;
    scaled
}

fn covered(index: usize, count: usize, of: usize) -> std::ops::Range<usize> {
    let begin = (index * of / count).min(of - 1);
    begin..((index + 1) * of / count).clamp(begin + 1, of)
}

/// Clockwise.
pub(super) fn rotate(picture: &Picture, rotation: Rotation) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let (to_width, to_height) = match rotation {
        Rotation::None => return picture.clone(),
        Rotation::Half => (width, height),
        Rotation::Quarter | Rotation::ThreeQuarters => (height, width),
    };
    let Some(mut turned) = Picture::black(to_width, to_height) else { return picture.clone() };
    let columns = [width, picture.chroma_width(), picture.chroma_width()];
    let out_columns = [to_width, turned.chroma_width(), turned.chroma_width()];
    for (index, (plane, out)) in picture.planes().into_iter().zip(turned.planes_mut()).enumerate() {
        let columns = columns[index] as usize;
        let rows = plane.len() / columns;
        for (y, line) in out.chunks_mut(out_columns[index] as usize).enumerate() {
            for (x, pixel) in line.iter_mut().enumerate() {
                let (column, row) = match rotation {
                    Rotation::None => (x, y),
                    Rotation::Quarter => (y, rows - 1 - x),
                    Rotation::Half => (columns - 1 - x, rows - 1 - y),
                    Rotation::ThreeQuarters => (columns - 1 - y, x),
                };
                *pixel = plane[row * columns + column];
            }
        }
    }
    turned.timestamp_ms = picture.timestamp_ms;
    turned.metadata = picture.metadata;
    turned
}
