//! A frame of a program's: any format, size, strides and bytes. It becomes a picture, which becomes everything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentok::media::pixels::{self, Plane, PlaneMut, View, decode_jpeg};
use opentok::media::{Frame, PixelFormat, Rotation};

const FORMATS: [PixelFormat; 12] = [
    PixelFormat::Yuv420p,
    PixelFormat::Nv12,
    PixelFormat::Nv21,
    PixelFormat::Yuy2,
    PixelFormat::Uyvy,
    PixelFormat::Argb32,
    PixelFormat::Bgra32,
    PixelFormat::Rgb24,
    PixelFormat::Abgr32,
    PixelFormat::Rgba32,
    PixelFormat::Mjpeg,
    PixelFormat::Compressed,
];

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_jpeg(bytes);
    let Some((head, bytes)) = bytes.split_first_chunk::<7>() else { return };
    let [format, width, height, first, second, third, share] = *head;
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let (width, height) = (u32::from(width), u32::from(height));
    // The bytes are shared out among the planes.
    let (luma, rest) = bytes.split_at(bytes.len() * usize::from(share) / 255);
    let (u, v) = rest.split_at(rest.len() / 2);
    let strides = [usize::from(first) * 4, usize::from(second), usize::from(third)];
    let planes: Vec<Plane<'_>> =
        [luma, u, v].into_iter().zip(strides).map(|(bytes, stride)| Plane { bytes, stride }).collect();
    let Ok(view) = View::new(format, width, height, &planes) else { return };
    let Ok(mut frame) = Frame::from_view(&view) else { return };
    for target in FORMATS {
        let _ = frame.convert(target);
    }
    let Ok(picture) = frame.to_picture() else { return };
    for target in [PixelFormat::Yuv420p, PixelFormat::Argb32, PixelFormat::Rgba32] {
        let mut out = [0, 1, 2].map(|plane| vec![0u8; target.plane_bytes(plane, width, height)]);
        let strides = [0, 1, 2].map(|plane| target.row_bytes(plane, width));
        let mut planes: Vec<PlaneMut<'_>> =
            out.iter_mut().zip(strides).map(|(bytes, stride)| PlaneMut { bytes, stride }).collect();
        pixels::write(&view, target, &mut planes).expect("what is a picture has every target");
    }
    for rotation in [Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters] {
        let _ = pixels::rotate(&picture, rotation);
    }
    for (width, height) in [(width / 2, height / 2), (width / 4, height / 4), (width + 3, 5), (3, height * 2)] {
        let _ = pixels::scale(&picture, width, height);
    }
    for target in FORMATS {
        let _ = frame.relabel(target);
        let _ = frame.to_picture();
    }
});
