//! Pictures and pixels, from the library's own files.

#[path = "../../src/media/picture.rs"]
mod picture;
#[path = "../../src/media/pixels/mod.rs"]
pub mod pixels;

pub use picture::{Metadata, Picture, Rotation};
