//! Publishers
//!
//! A publisher sends one stream: sound of the audio device, pictures of a capturer. It is published with
//! `otc_session_publish`, may be unpublished and published again, in one session after another, each time as a new stream.
//!
//! The functions may be called on any thread and in every callback. What is set before the publishing takes effect with it.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::handle::{Kind, Owner, Table};
use super::layout::Layout;
use super::publisher_callbacks::{ProgramPublisher, otc_publisher, otc_publisher_callbacks};
use super::publisher_settings::{Held, PUBLISHER_SETTINGS, otc_publisher_settings};
use super::refusal::Refusal;
use super::session;
use super::session_callbacks::otc_session;
use super::stream::{KeptStream, otc_stream};
use super::subscriber::kept;
use super::video_capturer::{
    CAPTURERS, CapturerObject, KeptCapturer, ProgramCapturer, otc_video_capturer_callbacks,
};
use super::{guard, text};
use crate::api::Media;
use crate::api::capture::Capturer;
use crate::api::publisher::{BitratePreset, Publisher, Settings};
use crate::session::{Stream, VideoType};

/// Kinds of media.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_media_type {
    /// Pictures.
    OTC_MEDIA_TYPE_VIDEO = 0,
    /// Sound.
    OTC_MEDIA_TYPE_AUDIO = 1,
}

/// Where the pictures of a publisher come from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_publisher_video_type {
    /// A camera, or what is like one.
    OTC_PUBLISHER_VIDEO_TYPE_CAMERA = 1,
    /// A screen or a window: sharpness goes before smoothness, and there is one size unless more are asked for.
    OTC_PUBLISHER_VIDEO_TYPE_SCREEN = 2,
}

/// How much of the network a publisher's video takes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_video_bitrate_preset {
    /// As much as the size of the pictures is worth.
    OTC_VIDEO_BITRATE_PRESET_DEFAULT = 0,
    /// About half of it.
    OTC_VIDEO_BITRATE_PRESET_BW_SAVER = 1,
    /// About a quarter of it.
    OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER = 2,
    /// `otc_publisher_set_max_video_bitrate` rules. An answer only, never handed in.
    OTC_VIDEO_BITRATE_PRESET_CUSTOM = 3,
}

/// A video type as it comes in: a C program may pass a number that the enum does not have.
#[allow(non_camel_case_types)]
pub type publisher_video_type_number = c_int;

/// A preset as it comes in.
#[allow(non_camel_case_types)]
pub type bitrate_preset_number = c_int;

/// What Opus can be told, in bits per second.
const AUDIO_BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// What video may be limited to, in bits per second.
const VIDEO_BITRATES: std::ops::RangeInclusive<u32> = 5_000..=10_000_000;

pub(super) static PUBLISHERS: Table<otc_publisher, PublisherObject> = Table::new(Kind::Publisher);

/// A publisher and what C wants of it.
pub(super) struct PublisherObject {
    pub publisher: Arc<Publisher>,
    id: CString,
    name: CString,
    user_data: UserData,
    /// Its handle ends with the publisher's, or when it has been destroyed where that comes later.
    _capturer: Arc<KeptCapturer>,
    /// Every stream value that `otc_publisher_get_stream` ever returned: programs keep the pointer. One for each publishing
    /// and each change of it, so it stays short.
    streams: Mutex<Vec<(Arc<Stream>, KeptStream)>>,
    deletion_begun: AtomicBool,
}

/// The program's pointer, handed back and never followed.
struct UserData(*mut c_void);

// SAFETY: it is never followed here; the program asked to have it back on other threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// Makes a publisher and does nothing else: the capturer is not called before the publishing.
///
/// @param name       The name that others see of the stream; copied. NULL is the empty string. What is not UTF-8 in it becomes
///                   U+FFFD.
/// @param capturer   The functions of the program's capturer; copied. NULL is the camera of the machine: without one the
///                   publisher says so by `on_error` when it is published, and goes on without video.
/// @param callbacks  The functions of the program; copied.
///
/// @return The publisher, to be ended with `otc_publisher_delete`. NULL when `callbacks` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_new(
    name: *const c_char,
    capturer: *const otc_video_capturer_callbacks,
    callbacks: *const otc_publisher_callbacks,
) -> *mut otc_publisher {
    guard::value("otc_publisher_new", std::ptr::null_mut(), || {
        // SAFETY: the caller passes NULL or a C string, and NULL or a struct.
        let (name, capturer) = unsafe { (text::shown(name, "name"), capturer.as_ref().copied()) };
        let settings = Settings { name: name.into_owned(), ..Settings::default() };
        // SAFETY: the caller's promise is ours.
        unsafe { make(settings, capturer, callbacks) }
    })
}

/// As `otc_publisher_new`, with settings.
///
/// @param callbacks  The functions of the program; copied.
/// @param settings   Settings; copied, so they may be deleted at once. NULL for the defaults.
///
/// @return The publisher, to be ended with `otc_publisher_delete`. NULL when `callbacks` is NULL or `settings` is no live
///         settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_new_with_settings(
    callbacks: *const otc_publisher_callbacks,
    settings: *mut otc_publisher_settings,
) -> *mut otc_publisher {
    guard::value("otc_publisher_new_with_settings", std::ptr::null_mut(), || {
        let held = match settings.is_null() {
            true => Held::default(),
            false => PUBLISHER_SETTINGS.get(settings, "settings")?.lock().clone(),
        };
        // SAFETY: the caller's promise is ours.
        unsafe { make(held.effective(), held.capturer, callbacks) }
    })
}

/// # Safety
/// As for `otc_publisher_new`.
unsafe fn make(
    settings: Settings,
    capturer: Option<otc_video_capturer_callbacks>,
    callbacks: *const otc_publisher_callbacks,
) -> Result<*mut otc_publisher, Refusal> {
    if callbacks.is_null() {
        return Err(Refusal::null("callbacks"));
    }
    // SAFETY: not NULL, so the struct as the program's headers lay it out.
    let callbacks = unsafe { otc_publisher_callbacks::read(callbacks, Layout::of_the_program()) };
    let (handle, capturer_handle) = (PUBLISHERS.reserve(), CAPTURERS.reserve());
    let kept_capturer = Arc::new(CAPTURERS.end_on_drop(capturer_handle));
    let own = |callbacks| Arc::new(ProgramCapturer::new(&kept_capturer, callbacks)) as Arc<dyn Capturer>;
    let settings = Settings { capturer: capturer.map(own), ..settings };
    let observer = Arc::new(ProgramPublisher::new(handle, callbacks));
    let publisher = Publisher::new(settings, observer);
    let object = PublisherObject {
        id: text::outgoing(publisher.id()),
        name: text::outgoing(publisher.name()),
        user_data: UserData(callbacks.user_data),
        _capturer: kept_capturer,
        streams: Mutex::default(),
        deletion_begun: AtomicBool::new(false),
        publisher: publisher.clone(),
    };
    let capturer_object = CapturerObject(Arc::downgrade(&publisher));
    CAPTURERS.fill(capturer_handle, Arc::new(capturer_object), Owner::Library);
    PUBLISHERS.fill(handle, Arc::new(object), Owner::Program);
    Ok(handle)
}

/// Ends a publisher. One that is published leaves its session first; others see the stream drop, this program is not told.
///
/// After this function has returned no callback of the publisher starts and the capturer's `destroy` has returned, so
/// the program may free what belongs to them. When a callback is running on another thread, the function waits for it,
/// at most two seconds; inside a callback it does not wait. The handle ends with it, and with it what
/// `otc_publisher_get_stream` returned; copies do not.
///
/// Inside a callback, while a function of the capturer runs: that may be this one, else it is waited for, 50 ms at most.
/// After `init` and `get_capture_settings` none of its functions is called any more; a `start` that succeeds is followed by
/// `stop` and `destroy`, and `stop` by `destroy`, so what belongs to the capturer has to live until then.
///
/// @param publisher  A publisher.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL, or no live publisher (for example deleted
///         already, or being deleted by another thread): nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_delete(publisher: *mut otc_publisher) -> otc_status {
    guard::status("otc_publisher_delete", || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        if object.deletion_begun.swap(true, Ordering::AcqRel) {
            return Err(Refusal::handle("publisher", "is being deleted already"));
        }
        // Only when the wait is over: a callback that still runs may ask for the user data.
        let _ends_the_handle = PUBLISHERS.end_on_drop(publisher);
        object.publisher.delete(); // no lock is held: it runs the program's code, and may wait for it
        Ok(())
    })
}

/// The stream of a publisher while it is published.
///
/// @param publisher  A publisher.
///
/// @return The stream. It belongs to the publisher and lives as long; `otc_stream_copy` makes one to keep. NULL before
///         `on_stream_created` and after the end, or when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_stream(publisher: *mut otc_publisher) -> *mut otc_stream {
    guard::value("otc_publisher_get_stream", std::ptr::null_mut(), || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        let stream = object.publisher.stream();
        Ok(stream.map_or(std::ptr::null_mut(), |stream| kept(&object.streams, stream)))
    })
}

/// Switches video on or off. Others see it by `on_stream_has_video_changed` and `on_video_disabled`. The capturer goes on.
///
/// @param publisher      A publisher, published or not.
/// @param publish_video  `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_publish_video(
    publisher: *mut otc_publisher,
    publish_video: otc_bool,
) -> otc_status {
    change("otc_publisher_set_publish_video", publisher, |publisher| {
        publisher.set_publishes(Media::Video, publish_video != OTC_FALSE);
        Ok(())
    })
}

/// Switches sound on or off. Others see it by `on_stream_has_audio_changed` and `on_audio_disabled`.
///
/// @param publisher      A publisher, published or not.
/// @param publish_audio  `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_publish_audio(
    publisher: *mut otc_publisher,
    publish_audio: otc_bool,
) -> otc_status {
    change("otc_publisher_set_publish_audio", publisher, |publisher| {
        publisher.set_publishes(Media::Audio, publish_audio != OTC_FALSE);
        Ok(())
    })
}

/// Whether video is switched on. It is not after a moderator has switched it off by the server's own interface; no callback
/// tells of that, and `otc_publisher_set_publish_video` switches it on again.
///
/// @param publisher  A publisher.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_publish_video(publisher: *const otc_publisher) -> otc_bool {
    fact("otc_publisher_get_publish_video", publisher, |publisher| publisher.publishes(Media::Video))
}

/// Whether sound is switched on.
///
/// @param publisher  A publisher.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_publish_audio(publisher: *const otc_publisher) -> otc_bool {
    fact("otc_publisher_get_publish_audio", publisher, |publisher| publisher.publishes(Media::Audio))
}

/// Says whether what is said is sent as text too. The servers that this library knows make no captions of their own; a
/// LiveKit agent that transcribes does, whatever is said here.
///
/// @param publisher         A publisher.
/// @param publish_captions  `OTC_TRUE` or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`.
///         `OTC_PUBLISHER_MISSING_AUDIO_TRACK`: the publisher has no sound; nothing changes.
///         `OTC_INVALID_PARAM`: `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_publish_captions(
    publisher: *mut otc_publisher,
    publish_captions: otc_bool,
) -> otc_status {
    change("otc_publisher_set_publish_captions", publisher, |publisher| {
        Ok(publisher.set_publishes_captions(publish_captions != OTC_FALSE)?)
    })
}

/// The session that a publisher is in.
///
/// @param publisher  A publisher.
///
/// @return The session's own handle. NULL when the publisher is in none: before the publishing, after its end, after the
///         session was left or deleted; also when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_session(publisher: *const otc_publisher) -> *mut otc_session {
    guard::value("otc_publisher_get_session", std::ptr::null_mut(), || {
        let session = PUBLISHERS.get(publisher, "publisher")?.publisher.session();
        Ok(session.map_or(std::ptr::null_mut(), |found| session::handle_of(&found)))
    })
}

/// Limits the sound.
///
/// @param publisher  A publisher.
/// @param bitrate    6000 to 510000 bit/s. The default is 48000, and 96000 for stereo.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or the rate is out of range.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_max_audio_bitrate(
    publisher: *mut otc_publisher,
    bitrate: u32,
) -> otc_status {
    change("otc_publisher_set_max_audio_bitrate", publisher, |publisher| {
        if !AUDIO_BITRATES.contains(&bitrate) {
            return Err(Refusal::parameter("bitrate", "is not within 6000 to 510000"));
        }
        publisher.set_audio_limit(bitrate);
        Ok(())
    })
}

/// Limits the video, all its layers together. A preset that was set is given up.
///
/// @param publisher  A publisher.
/// @param bitrate    5000 to 10000000 bit/s.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or the rate is out of range.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_max_video_bitrate(
    publisher: *mut otc_publisher,
    bitrate: u32,
) -> otc_status {
    change("otc_publisher_set_max_video_bitrate", publisher, |publisher| {
        if !VIDEO_BITRATES.contains(&bitrate) {
            return Err(Refusal::parameter("bitrate", "is not within 5000 to 10000000"));
        }
        publisher.set_video_limit(bitrate);
        Ok(())
    })
}

/// The limit of the video.
///
/// @param publisher  A publisher.
///
/// @return Bits per second. 0 when none is set, or `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_max_video_bitrate(publisher: *mut otc_publisher) -> u32 {
    guard::value("otc_publisher_get_max_video_bitrate", 0, || {
        Ok(PUBLISHERS.get(publisher, "publisher")?.publisher.video_limit().unwrap_or(0))
    })
}

/// Sets how much of the network the video takes. A limit that was set is given up.
///
/// @param publisher  A publisher.
/// @param preset     The preset, not `OTC_VIDEO_BITRATE_PRESET_CUSTOM`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or there is no such preset.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_video_bitrate_preset(
    publisher: *mut otc_publisher,
    preset: bitrate_preset_number,
) -> otc_status {
    change("otc_publisher_set_video_bitrate_preset", publisher, |publisher| {
        publisher.set_preset(match preset {
            0 => BitratePreset::Default,
            1 => BitratePreset::Saver,
            2 => BitratePreset::ExtraSaver,
            _ => return Err(Refusal::parameter("preset", "is no preset that can be set")),
        });
        Ok(())
    })
}

/// How much of the network the video takes.
///
/// @param publisher  A publisher.
///
/// @return The preset; `OTC_VIDEO_BITRATE_PRESET_CUSTOM` when a limit was set, `OTC_VIDEO_BITRATE_PRESET_DEFAULT` when nothing
///         was, or `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_video_bitrate_preset(
    publisher: *mut otc_publisher,
) -> otc_video_bitrate_preset {
    use otc_video_bitrate_preset::*;
    guard::value("otc_publisher_get_video_bitrate_preset", OTC_VIDEO_BITRATE_PRESET_DEFAULT, || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        Ok(match (object.publisher.video_limit(), object.publisher.preset()) {
            (Some(_), _) => OTC_VIDEO_BITRATE_PRESET_CUSTOM,
            (None, BitratePreset::Default) => OTC_VIDEO_BITRATE_PRESET_DEFAULT,
            (None, BitratePreset::Saver) => OTC_VIDEO_BITRATE_PRESET_BW_SAVER,
            (None, BitratePreset::ExtraSaver) => OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER,
        })
    })
}

/// Says where the pictures come from. What is published already keeps its place in the session; its encoder goes by the
/// new type, and the others hear of it by `on_stream_video_type_changed`, except on a LiveKit server, whose protocol has
/// no word for it.
///
/// @param publisher   A publisher.
/// @param video_type  The type; `OTC_PUBLISHER_VIDEO_TYPE_CAMERA` is the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or there is no such type.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_video_type(
    publisher: *mut otc_publisher,
    video_type: publisher_video_type_number,
) -> otc_status {
    change("otc_publisher_set_video_type", publisher, |publisher| {
        publisher.set_video_type(match video_type {
            1 => VideoType::Camera,
            2 => VideoType::Screen,
            _ => return Err(Refusal::parameter("video_type", "is no video type")),
        });
        Ok(())
    })
}

/// Where the pictures come from.
///
/// @param publisher  A publisher.
///
/// @return The type; `OTC_PUBLISHER_VIDEO_TYPE_CAMERA` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_video_type(publisher: *const otc_publisher) -> otc_publisher_video_type {
    use otc_publisher_video_type::*;
    guard::value("otc_publisher_get_video_type", OTC_PUBLISHER_VIDEO_TYPE_CAMERA, || {
        Ok(match PUBLISHERS.get(publisher, "publisher")?.publisher.video_type() {
            VideoType::Screen => OTC_PUBLISHER_VIDEO_TYPE_SCREEN,
            VideoType::Camera | VideoType::Custom => OTC_PUBLISHER_VIDEO_TYPE_CAMERA,
        })
    })
}

/// The old name of `otc_publisher_settings_set_subscriber_audio_fallback_enabled`. To be set before the publishing.
///
/// @param publisher  A publisher.
/// @param enabled    `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_audio_fallback_enabled(
    publisher: *mut otc_publisher,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_set_audio_fallback_enabled", publisher, |publisher| {
        publisher.set_subscriber_fallback(enabled != OTC_FALSE);
        Ok(())
    })
}

/// What `otc_publisher_set_audio_fallback_enabled` was given last.
///
/// @param publisher  A publisher.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_audio_fallback_enabled(publisher: *const otc_publisher) -> otc_bool {
    fact("otc_publisher_get_audio_fallback_enabled", publisher, Publisher::subscriber_fallback)
}

/// A name for this publisher, unique in the world.
///
/// @param publisher  A publisher.
///
/// @return The name. Lives as long as the publisher. NULL when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_publisher_id(publisher: *const otc_publisher) -> *const c_char {
    guard::value("otc_publisher_get_publisher_id", std::ptr::null(), || {
        Ok(PUBLISHERS.get(publisher, "publisher")?.id.as_ptr())
    })
}

/// What the program gave as `user_data`.
///
/// @param publisher  A publisher.
///
/// @return The pointer, unchanged. NULL when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_user_data(publisher: *const otc_publisher) -> *mut c_void {
    guard::value("otc_publisher_get_user_data", std::ptr::null_mut(), || {
        Ok(PUBLISHERS.get(publisher, "publisher")?.user_data.0)
    })
}

/// The name that others see of the stream.
///
/// @param publisher  A publisher.
///
/// @return The name, the empty string when there is none. Lives as long as the publisher. NULL when `publisher` is NULL or no
///         live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_name(publisher: *const otc_publisher) -> *const c_char {
    guard::value("otc_publisher_get_name", std::ptr::null(), || {
        Ok(PUBLISHERS.get(publisher, "publisher")?.name.as_ptr())
    })
}

pub(super) fn change(
    function: &'static str,
    publisher: *mut otc_publisher,
    change: impl FnOnce(&Arc<Publisher>) -> Result<(), Refusal>,
) -> otc_status {
    guard::status(function, || change(&PUBLISHERS.get(publisher, "publisher")?.publisher))
}

fn fact(
    function: &'static str,
    publisher: *const otc_publisher,
    of: impl FnOnce(&Publisher) -> bool,
) -> otc_bool {
    guard::value(function, OTC_FALSE, || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        Ok(if of(&object.publisher) { OTC_TRUE } else { OTC_FALSE })
    })
}

/// The library ends: every handle of a publisher does, and its capturer's with it, also of those that have left their
/// session and whose capturers the callback thread was to stop.
pub(super) fn forget_all(deadline: Instant) {
    let objects = PUBLISHERS.drain();
    objects.iter().for_each(|object| object.publisher.end());
    objects.iter().for_each(|object| object.publisher.close(deadline));
}
