//! Streams
//!
//! A stream is the audio and video that one publisher sends. A stream value does not change: it says how the stream was
//! when the callback was made, and a callback about a change brings the new one.
//!
//! Whose it is: the stream that a callback receives is lent until the callback returns; `otc_stream_copy` makes one to
//! keep. Copies belong to the program, which ends them with `otc_stream_delete`; they stay valid after the session, and
//! even after `otc_destroy`.
//!
//! The functions may be called on any thread.

use std::ffi::{CString, c_char, c_int};
use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::connection::{CONNECTIONS, ConnectionObject, KeptConnection, otc_connection};
use super::handle::{Kept, Kind, Table};
use super::refusal::Refusal;
use super::{guard, text};
use crate::session::{Stream, VideoType};

/// The audio and video of one publisher. Opaque: a handle, never an address.
pub struct otc_stream {
    _private: (),
}

/// Where the video of a stream comes from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_stream_video_type {
    /// A camera. Also the answer for a stream without video.
    OTC_STREAM_VIDEO_TYPE_CAMERA = 1,
    /// A screen or a window.
    OTC_STREAM_VIDEO_TYPE_SCREEN = 2,
    /// Something else: a file, a drawing.
    OTC_STREAM_VIDEO_TYPE_CUSTOM = 3,
}

impl From<VideoType> for otc_stream_video_type {
    fn from(video_type: VideoType) -> Self {
        match video_type {
            VideoType::Camera => Self::OTC_STREAM_VIDEO_TYPE_CAMERA,
            VideoType::Screen => Self::OTC_STREAM_VIDEO_TYPE_SCREEN,
            VideoType::Custom => Self::OTC_STREAM_VIDEO_TYPE_CUSTOM,
        }
    }
}

pub(super) static STREAMS: Table<otc_stream, StreamObject> = Table::new(Kind::Stream);

/// A stream, its texts as C wants them, and the connection that belongs to it.
pub(super) struct StreamObject {
    pub value: Arc<Stream>,
    id: CString,
    name: CString,
    // Made when first asked for: most programs never do.
    connection: OnceCell<KeptConnection>,
}

impl StreamObject {
    pub fn new(value: &Arc<Stream>) -> Arc<Self> {
        Arc::new(Self {
            id: text::outgoing(&value.id),
            name: text::outgoing(&value.name),
            connection: OnceCell::new(),
            value: value.clone(),
        })
    }

    fn connection(&self) -> *const otc_connection {
        let keep = || CONNECTIONS.keep(ConnectionObject::new(&self.value.connection));
        self.connection.get_or_init(keep).handle()
    }
}

/// A stream handle of the library's.
pub(super) type KeptStream = Kept<otc_stream, StreamObject>;

/// One yes-or-no fact of a stream.
fn fact(function: &'static str, stream: *const otc_stream, of: impl FnOnce(&Stream) -> bool) -> otc_bool {
    guard::value(function, OTC_FALSE, || {
        Ok(if of(&STREAMS.get(stream, "stream")?.value) { OTC_TRUE } else { OTC_FALSE })
    })
}

/// A length in pixels as the interface has it.
pub(super) fn pixels(length: u32) -> c_int {
    c_int::try_from(length).unwrap_or(c_int::MAX)
}

/// The id of the stream, unique in its session.
///
/// @param stream  A stream.
///
/// @return The id. Lives as long as the stream. NULL when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_id(stream: *const otc_stream) -> *const c_char {
    guard::value("otc_stream_get_id", std::ptr::null(), || Ok(STREAMS.get(stream, "stream")?.id.as_ptr()))
}

/// The name that the publisher gave the stream.
///
/// @param stream  A stream.
///
/// @return The name, the empty string when there is none. Lives as long as the stream. NULL when `stream` is NULL or no
///         live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_name(stream: *const otc_stream) -> *const c_char {
    guard::value("otc_stream_get_name", std::ptr::null(), || Ok(STREAMS.get(stream, "stream")?.name.as_ptr()))
}

/// Whether the stream has a video track, sent or not.
///
/// @param stream  A stream.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_has_video_track(stream: *const otc_stream) -> otc_bool {
    fact("otc_stream_has_video_track", stream, |stream| stream.has_video_track)
}

/// Whether video is being sent: there is a track, and the publisher has not switched it off.
///
/// @param stream  A stream.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_has_video(stream: *const otc_stream) -> otc_bool {
    fact("otc_stream_has_video", stream, |stream| stream.has_video)
}

/// Whether the stream has an audio track, sent or not.
///
/// @param stream  A stream.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_has_audio_track(stream: *const otc_stream) -> otc_bool {
    fact("otc_stream_has_audio_track", stream, |stream| stream.has_audio_track)
}

/// Whether audio is being sent: there is a track, and the publisher has not switched it off.
///
/// @param stream  A stream.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_has_audio(stream: *const otc_stream) -> otc_bool {
    fact("otc_stream_has_audio", stream, |stream| stream.has_audio)
}

/// Whether a caption of the stream has come by now.
///
/// @param stream  A stream.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_has_captions(stream: *const otc_stream) -> otc_bool {
    fact("otc_stream_has_captions", stream, |stream| stream.has_captions)
}

/// Makes a stream to keep out of one that is lent.
///
/// @param stream  A stream; unchanged.
///
/// @return The copy. It belongs to the program, to be ended with `otc_stream_delete`. NULL when `stream` is NULL or no
///         live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_copy(stream: *const otc_stream) -> *mut otc_stream {
    guard::value("otc_stream_copy", std::ptr::null_mut(), || Ok(STREAMS.give(STREAMS.get(stream, "stream")?)))
}

/// Ends a copy. Its texts and its connection end with it.
///
/// @param stream  A copy made by `otc_stream_copy`. A stream that is lent stays as it is: the call is harmless then.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `stream` is NULL, or no live stream (for example ended already):
///         nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_delete(stream: *mut otc_stream) -> otc_status {
    guard::status("otc_stream_delete", || STREAMS.delete(stream, "stream"))
}

/// The width of the video.
///
/// @param stream  A stream.
///
/// @return Pixels; 0 when it is not known, there is no video, or `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_video_width(stream: *const otc_stream) -> c_int {
    guard::value("otc_stream_get_video_width", 0, || {
        Ok(pixels(STREAMS.get(stream, "stream")?.value.video_width))
    })
}

/// The height of the video.
///
/// @param stream  A stream.
///
/// @return Pixels; 0 when it is not known, there is no video, or `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_video_height(stream: *const otc_stream) -> c_int {
    guard::value("otc_stream_get_video_height", 0, || {
        Ok(pixels(STREAMS.get(stream, "stream")?.value.video_height))
    })
}

/// When the stream was published.
///
/// @param stream  A stream.
///
/// @return Milliseconds since 1970. 0 when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_creation_time(stream: *const otc_stream) -> i64 {
    guard::value("otc_stream_get_creation_time", 0, || Ok(STREAMS.get(stream, "stream")?.value.created_ms))
}

/// Where the video comes from.
///
/// @param stream  A stream.
///
/// @return The type; `OTC_STREAM_VIDEO_TYPE_CAMERA` when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_video_type(stream: *const otc_stream) -> otc_stream_video_type {
    let otherwise = otc_stream_video_type::OTC_STREAM_VIDEO_TYPE_CAMERA;
    guard::value("otc_stream_get_video_type", otherwise, || {
        Ok(STREAMS.get(stream, "stream")?.value.video_type.into())
    })
}

/// The connection of the client that publishes the stream. There also when connection events are suppressed.
///
/// @param stream  A stream.
///
/// @return The connection, always the same one for a stream. It belongs to the stream and ends with it;
///         `otc_connection_copy` makes one to keep. NULL when `stream` is NULL or no live stream.
#[unsafe(no_mangle)]
pub extern "C" fn otc_stream_get_connection(stream: *const otc_stream) -> *const otc_connection {
    guard::value("otc_stream_get_connection", std::ptr::null(), || -> Result<_, Refusal> {
        Ok(STREAMS.get(stream, "stream")?.connection())
    })
}
