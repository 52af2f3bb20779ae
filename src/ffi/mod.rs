//! The C interface: pointers to values and back.
//!
//! Each exported function is a few lines of translation: check, look up, one call into [`crate::api`], a code.
//! Nothing is decided here, no lock is held while the program's code runs, and no pointer of the program is kept
//! except `user_data` and its functions. This is the one floor with `unsafe`.
//!
//! The header is generated from these files, in the order of [`SECTIONS`]: the first lines of each (`//!`) are the
//! introduction of its section, so they speak to the C programmer; what only concerns us stands in `//` comments.
//! Read `guard.rs` and `handle.rs` first, then `connection.rs` as the smallest whole example.

// The C names are the contract.
#![allow(non_camel_case_types)]
// The header says of every parameter what it has to be, and its readers do not look for a paragraph called Safety.
#![allow(clippy::missing_safety_doc)]

mod guard;
mod handle;
mod layout;
mod refusal;
mod text;
mod video_frame_memory;

pub mod audio_data;
pub mod audio_device;
pub mod audio_module_input_device;
pub mod audio_module_output_device;
pub mod base;
mod cancellation;
pub mod connection;
pub mod error;
pub mod extension;
pub mod log;
pub mod media_transformer;
pub mod media_utils;
pub mod publisher;
pub mod publisher_callbacks;
pub mod publisher_settings;
pub mod publisher_stats;
pub mod session;
pub mod session_callbacks;
pub mod session_media;
pub mod session_moderation;
pub mod session_settings;
pub mod session_signal;
pub mod stream;
pub mod subscriber;
pub mod subscriber_callbacks;
pub mod video_capturer;
pub mod video_frame;
pub mod video_frame_make;

/// The files whose exported items make the header, in the header's order. `tests/header.rs` reads this list.
pub const SECTIONS: [&str; 27] = [
    "error",
    "base",
    "log",
    "connection",
    "stream",
    "video_frame",
    "video_frame_make",
    "session_callbacks",
    "session_settings",
    "session",
    "session_signal",
    "video_capturer",
    "publisher_callbacks",
    "publisher_settings",
    "publisher",
    "publisher_stats",
    "audio_data",
    "subscriber_callbacks",
    "subscriber",
    "session_media",
    "session_moderation",
    "audio_device",
    "audio_module_input_device",
    "audio_module_output_device",
    "media_utils",
    "media_transformer",
    "extension",
];
