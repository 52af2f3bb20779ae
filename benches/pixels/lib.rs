//! The part of the library that is measured.

pub mod media;
