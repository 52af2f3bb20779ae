//! Additions of this library
//!
//! Not in the original. A program that uses them runs with this library only.

use super::audio_module_input_device::INPUTS;
use super::audio_module_output_device::OUTPUTS;
use super::connection::CONNECTIONS;
use super::guard;
use super::media_utils;
use super::publisher::PUBLISHERS;
use super::publisher_settings::PUBLISHER_SETTINGS;
use super::session::SESSIONS;
use super::session_settings::SETTINGS;
use super::stream::STREAMS;
use super::subscriber::SUBSCRIBERS;
use super::video_capturer::CAPTURERS;
use super::video_frame::FRAMES;

/// How many handles are live: sessions, publishers, subscribers, settings, connections, streams, frames, lists of devices and lists of codecs,
/// those that the library keeps for itself
/// included. For checks that a program deletes what it makes; 0 when nothing is left. May be called on any thread.
///
/// @return The number.
#[unsafe(no_mangle)]
pub extern "C" fn otc_ext_live_objects() -> usize {
    guard::value("otc_ext_live_objects", 0, || {
        let media =
            PUBLISHERS.len() + CAPTURERS.len() + PUBLISHER_SETTINGS.len() + SUBSCRIBERS.len() + FRAMES.len();
        let sound = INPUTS.len() + OUTPUTS.len() + media_utils::live();
        Ok(SESSIONS.len() + SETTINGS.len() + CONNECTIONS.len() + STREAMS.len() + media + sound)
    })
}
