//! Additions of this library
//!
//! Not in the original. A program that uses them runs with this library only.

use super::connection::CONNECTIONS;
use super::guard;
use super::session::SESSIONS;
use super::session_settings::SETTINGS;
use super::stream::STREAMS;
use super::video_frame::FRAMES;

/// How many handles are live: sessions, settings, connections, streams and frames, those that the library keeps for itself
/// included. For checks that a program deletes what it makes; 0 when nothing is left. May be called on any thread.
///
/// @return The number.
#[unsafe(no_mangle)]
pub extern "C" fn otc_ext_live_objects() -> usize {
    guard::value("otc_ext_live_objects", 0, || {
        Ok(SESSIONS.len() + SETTINGS.len() + CONNECTIONS.len() + STREAMS.len() + FRAMES.len())
    })
}
