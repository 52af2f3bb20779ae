//! Subscribers
//!
//! A subscriber receives one stream. It is made of a stream that `on_stream_received` brought (or that
//! `otc_publisher_get_stream` gave, to look at one's own), begins with `otc_session_subscribe`, and may be made and begun
//! later, on any thread, with a copy of the stream.
//!
//! The functions may be called on any thread and in every callback. What is set before the subscribing takes effect with it.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::handle::{Kind, Owner, Table};
use super::layout::Layout;
use super::refusal::Refusal;
use super::session;
use super::session_callbacks::otc_session;
use super::stream::{KeptStream, STREAMS, StreamObject, otc_stream};
use super::subscriber_callbacks::{ProgramSubscriber, otc_subscriber, otc_subscriber_callbacks};
use super::{guard, text};
use crate::api::Media;
use crate::api::reporter::Reporter;
use crate::api::subscriber::Subscriber;
use crate::session::Stream;

pub(super) static SUBSCRIBERS: Table<otc_subscriber, SubscriberObject> = Table::new(Kind::Subscriber);

/// A subscriber and what C wants of it.
pub(super) struct SubscriberObject {
    pub subscriber: Arc<Subscriber>,
    id: CString,
    user_data: UserData,
    /// Every stream value that `otc_subscriber_get_stream` ever returned: programs keep the pointer. One for each change of
    /// the stream, so it stays short.
    streams: Mutex<Vec<(Arc<Stream>, KeptStream)>>,
    deletion_begun: AtomicBool,
}

/// The program's pointer, handed back and never followed.
struct UserData(*mut c_void);

// SAFETY: it is never followed here; the program asked to have it back on other threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// How a report of statistics is asked for. Passed by value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_subscriber_rtc_stats_report_cb {
    /// Handed back to the function, never read.
    pub user_data: *mut c_void,
    /// Gets the report: a JSON array of objects; `otc_subscriber_get_rtc_stats_report` says of which types. Lent until it
    /// returns.
    pub on_rtc_stats_report: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            json_array_of_reports: *const c_char,
        ),
    >,
    /// NULL. Not read.
    pub reserved: *mut c_void,
}

/// Makes a subscriber and does nothing else.
///
/// @param stream     The stream; copied, so it may be a lent one.
/// @param callbacks  The functions of the program; copied.
///
/// @return The subscriber, to be ended with `otc_subscriber_delete`. NULL when a pointer is NULL or `stream` is no live
///         stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_subscriber_new(
    stream: *const otc_stream,
    callbacks: *const otc_subscriber_callbacks,
) -> *mut otc_subscriber {
    guard::value("otc_subscriber_new", std::ptr::null_mut(), || {
        let stream = STREAMS.get(stream, "stream")?.value.clone();
        if callbacks.is_null() {
            return Err(Refusal::null("callbacks"));
        }
        // SAFETY: not NULL, so the struct as the program's headers lay it out.
        let callbacks = unsafe { otc_subscriber_callbacks::read(callbacks, Layout::of_the_program()) };
        let handle = SUBSCRIBERS.reserve();
        let observer = Arc::new(ProgramSubscriber::new(handle, callbacks));
        let subscriber = Subscriber::new(stream, observer);
        let object = SubscriberObject {
            id: text::outgoing(subscriber.id()),
            subscriber,
            user_data: UserData(callbacks.user_data),
            streams: Mutex::default(),
            deletion_begun: AtomicBool::new(false),
        };
        SUBSCRIBERS.fill(handle, Arc::new(object), Owner::Program);
        Ok(handle)
    })
}

/// Ends a subscriber. One that is in a session leaves it first.
///
/// After this function has returned no callback of the subscriber starts, so the program may free its `user_data`. When
/// one is running on another thread, the function waits for it, at most two seconds; inside a callback it does not wait.
/// The handle ends with it, and with it what `otc_subscriber_get_stream` returned; copies do not.
///
/// @param subscriber  A subscriber.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL, or no live subscriber (for example deleted
///         already, or being deleted by another thread): nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_delete(subscriber: *mut otc_subscriber) -> otc_status {
    guard::status("otc_subscriber_delete", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if object.deletion_begun.swap(true, Ordering::AcqRel) {
            return Err(Refusal::handle("subscriber", "is being deleted already"));
        }
        // Only when the wait is over: a callback that still runs may ask for the user data.
        let _ends_the_handle = SUBSCRIBERS.end_on_drop(subscriber);
        object.subscriber.delete(); // no lock is held: it may wait for the program's code
        Ok(())
    })
}

/// The stream of a subscriber, as it is now or was last.
///
/// @param subscriber  A subscriber.
///
/// @return The stream. It belongs to the subscriber and lives as long; `otc_stream_copy` makes one to keep. The same pointer
///         while the stream does not change. NULL when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_stream(subscriber: *const otc_subscriber) -> *mut otc_stream {
    guard::value("otc_subscriber_get_stream", std::ptr::null_mut(), || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        Ok(kept(&object.streams, object.subscriber.stream()))
    })
}

/// The handle of a stream value that its owner keeps: the same one for the same value.
pub(super) fn kept(known: &Mutex<Vec<(Arc<Stream>, KeptStream)>>, stream: Arc<Stream>) -> *mut otc_stream {
    let mut known = known.lock();
    if let Some((_, kept)) = known.iter().find(|(earlier, _)| *earlier == stream) {
        return kept.handle();
    }
    let kept = STREAMS.keep(StreamObject::new(&stream));
    let handle = kept.handle();
    known.push((stream, kept));
    handle
}

/// Says whether video is wanted. Without it none is sent to this client, and `on_video_disabled` says so with the reason
/// `OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO`.
///
/// @param subscriber          A subscriber.
/// @param subscribe_to_video  `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_subscribe_to_video(
    subscriber: *mut otc_subscriber,
    subscribe_to_video: otc_bool,
) -> otc_status {
    change("otc_subscriber_set_subscribe_to_video", subscriber, |subscriber| {
        subscriber.set_wanted(Media::Video, subscribe_to_video != OTC_FALSE)
    })
}

/// Says whether sound is wanted. Without it none is sent to this client, and `on_audio_disabled` says so.
///
/// @param subscriber          A subscriber.
/// @param subscribe_to_audio  `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_subscribe_to_audio(
    subscriber: *mut otc_subscriber,
    subscribe_to_audio: otc_bool,
) -> otc_status {
    change("otc_subscriber_set_subscribe_to_audio", subscriber, |subscriber| {
        subscriber.set_wanted(Media::Audio, subscribe_to_audio != OTC_FALSE)
    })
}

/// Says whether captions are wanted: `on_caption_text` brings them. They are LiveKit's transcriptions, in packets or in text
/// streams, of the stream's tracks or, where no track is named, of its publisher.
///
/// @param subscriber             A subscriber.
/// @param subscribe_to_captions  `OTC_TRUE` or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_subscribe_to_captions(
    subscriber: *mut otc_subscriber,
    subscribe_to_captions: otc_bool,
) -> otc_status {
    change("otc_subscriber_set_subscribe_to_captions", subscriber, |subscriber| {
        subscriber.set_wants_captions(subscribe_to_captions != OTC_FALSE)
    })
}

/// Whether video is wanted.
///
/// @param subscriber  A subscriber.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_subscribe_to_video(subscriber: *const otc_subscriber) -> otc_bool {
    fact("otc_subscriber_get_subscribe_to_video", subscriber, |subscriber| subscriber.wants().video)
}

/// Whether sound is wanted.
///
/// @param subscriber  A subscriber.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_subscribe_to_audio(subscriber: *const otc_subscriber) -> otc_bool {
    fact("otc_subscriber_get_subscribe_to_audio", subscriber, |subscriber| subscriber.wants().audio)
}

/// Whether captions are wanted.
///
/// @param subscriber  A subscriber.
///
/// @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_subscribe_to_captions(subscriber: *const otc_subscriber) -> otc_bool {
    fact("otc_subscriber_get_subscribe_to_captions", subscriber, Subscriber::wants_captions)
}

/// The session that a subscriber is in.
///
/// @param subscriber  A subscriber.
///
/// @return The session's own handle. NULL when the subscriber is in none: before the subscribing, after its end, after the
///         session was left or deleted; also when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_session(subscriber: *const otc_subscriber) -> *mut otc_session {
    guard::value("otc_subscriber_get_session", std::ptr::null_mut(), || {
        let session = SUBSCRIBERS.get(subscriber, "subscriber")?.subscriber.session();
        Ok(session.map_or(std::ptr::null_mut(), |found| session::handle_of(&found)))
    })
}

/// Asks for pictures of about this size: the server sends the layer of the publisher's video that fits it best. Where the
/// publisher sends one layer only it has no effect.
///
/// @param subscriber        A subscriber.
/// @param preferred_width   In pixels; 0 with a height of 0 asks for the largest.
/// @param preferred_height  In pixels.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or one of the two is 0 and
///         the other is not.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_preferred_resolution(
    subscriber: *mut otc_subscriber,
    preferred_width: u32,
    preferred_height: u32,
) -> otc_status {
    guard::status("otc_subscriber_set_preferred_resolution", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        let resolution = match (preferred_width, preferred_height) {
            (0, 0) => None,
            (0, _) | (_, 0) => return Err(Refusal::parameter("preferred_width or preferred_height", "is 0")),
            both => Some(both),
        };
        object.subscriber.set_resolution(resolution);
        Ok(())
    })
}

/// What `otc_subscriber_set_preferred_resolution` was given last.
///
/// @param subscriber        A subscriber.
/// @param preferred_width   Gets the width, 0 when nothing was asked for. Written on success only.
/// @param preferred_height  Gets the height, 0 when nothing was asked for. Written on success only.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_subscriber_get_preferred_resolution(
    subscriber: *const otc_subscriber,
    preferred_width: *mut u32,
    preferred_height: *mut u32,
) -> otc_status {
    guard::status("otc_subscriber_get_preferred_resolution", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if preferred_width.is_null() || preferred_height.is_null() {
            return Err(Refusal::null("preferred_width or preferred_height"));
        }
        let (width, height) = object.subscriber.wants().resolution.unwrap_or_default();
        // SAFETY: not NULL, so places for two numbers by the caller's promise.
        unsafe {
            preferred_width.write(width);
            preferred_height.write(height);
        }
        Ok(())
    })
}

/// Sets how loud the stream is in what the audio device plays. `on_audio_data` is not changed by it.
///
/// @param subscriber  A subscriber.
/// @param volume      0 (silent) to 100 (as it was sent, the default); what is beyond is brought back into that.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or `volume` is no number.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_audio_volume(
    subscriber: *mut otc_subscriber,
    volume: f64,
) -> otc_status {
    guard::status("otc_subscriber_set_audio_volume", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if volume.is_nan() {
            return Err(Refusal::parameter("volume", "is no number"));
        }
        object.subscriber.set_volume(volume.clamp(0.0, 100.0));
        Ok(())
    })
}

/// How loud the stream is in what the audio device plays.
///
/// @param subscriber  A subscriber.
/// @param volume      Gets the volume, 0 to 100. Written on success only.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_subscriber_get_audio_volume(
    subscriber: *const otc_subscriber,
    volume: *mut f64,
) -> otc_status {
    guard::status("otc_subscriber_get_audio_volume", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if volume.is_null() {
            return Err(Refusal::null("volume"));
        }
        // SAFETY: not NULL, so a place for a number by the caller's promise.
        unsafe { volume.write(object.subscriber.volume()) };
        Ok(())
    })
}

/// Asks for about so many pictures in a second; the server leaves out some. Where the publisher's video has no layers in time
/// it has no effect.
///
/// @param subscriber           A subscriber.
/// @param preferred_framerate  Pictures in a second; 0 asks for all.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or the rate is negative or no
///         number.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_preferred_framerate(
    subscriber: *mut otc_subscriber,
    preferred_framerate: f32,
) -> otc_status {
    guard::status("otc_subscriber_set_preferred_framerate", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if !preferred_framerate.is_finite() || preferred_framerate < 0.0 {
            return Err(Refusal::parameter("preferred_framerate", "is negative or no number"));
        }
        object.subscriber.set_frame_rate((preferred_framerate > 0.0).then_some(preferred_framerate));
        Ok(())
    })
}

/// What `otc_subscriber_set_preferred_framerate` was given last.
///
/// @param subscriber           A subscriber.
/// @param preferred_framerate  Gets the rate, 0 when nothing was asked for. Written on success only.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_subscriber_get_preferred_framerate(
    subscriber: *const otc_subscriber,
    preferred_framerate: *mut f32,
) -> otc_status {
    guard::status("otc_subscriber_get_preferred_framerate", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        if preferred_framerate.is_null() {
            return Err(Refusal::null("preferred_framerate"));
        }
        let rate = object.subscriber.wants().frames_per_second.unwrap_or_default();
        // SAFETY: not NULL, so a place for a number by the caller's promise.
        unsafe { preferred_framerate.write(rate) };
        Ok(())
    })
}

/// A name for this subscriber, unique in the world.
///
/// @param subscriber  A subscriber.
///
/// @return The name. Lives as long as the subscriber. NULL when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_subscriber_id(subscriber: *const otc_subscriber) -> *const c_char {
    guard::value("otc_subscriber_get_subscriber_id", std::ptr::null(), || {
        Ok(SUBSCRIBERS.get(subscriber, "subscriber")?.id.as_ptr())
    })
}

/// What the program gave as `user_data`.
///
/// @param subscriber  A subscriber.
///
/// @return The pointer, unchanged. NULL when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_user_data(subscriber: *const otc_subscriber) -> *mut c_void {
    guard::value("otc_subscriber_get_user_data", std::ptr::null_mut(), || {
        Ok(SUBSCRIBERS.get(subscriber, "subscriber")?.user_data.0)
    })
}

/// Asks for a report of statistics. The function registered with `otc_subscriber_set_rtc_stats_report_cb` gets it, on the
/// callback thread.
///
/// Types, members and units are those of the W3C's "Identifiers for WebRTC's Statistics API", except that `timestamp` is in
/// microseconds. There is an `inbound-rtp` and a `codec` for each of sound and picture that has come, a `remote-outbound-rtp`
/// for each of which the server has told what it sent, the `transport`, and the `candidate-pair` in use with its
/// `local-candidate` and `remote-candidate`. What is not known is left out, and so is everything of which nothing has come.
///
/// @param subscriber  A subscriber.
///
/// @return `OTC_SUCCESS`: the report will come.
///         `OTC_SUBSCRIBER_SESSION_DISCONNECTED`: the subscriber is in no session; no report comes.
///         `OTC_INVALID_PARAM`: `subscriber` is NULL or no live subscriber, or no function was registered.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_get_rtc_stats_report(subscriber: *const otc_subscriber) -> otc_status {
    guard::status("otc_subscriber_get_rtc_stats_report", || {
        Ok(SUBSCRIBERS.get(subscriber, "subscriber")?.subscriber.report()?)
    })
}

/// Registers the function that gets reports of statistics, in place of the one before.
///
/// After this function has returned the one before is not called any more, also not with reports that were asked for
/// already, so its `user_data` may be freed. When it is running on another thread, this function waits for it, at most two
/// seconds; inside a callback it does not wait.
///
/// @param subscriber  A subscriber.
/// @param cb          The function and its `user_data`; copied. A NULL function takes the registration back.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
#[unsafe(no_mangle)]
pub extern "C" fn otc_subscriber_set_rtc_stats_report_cb(
    subscriber: *mut otc_subscriber,
    cb: otc_subscriber_rtc_stats_report_cb,
) -> otc_status {
    guard::status("otc_subscriber_set_rtc_stats_report_cb", || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        let (handle, user_data) = (subscriber as usize, cb.user_data as usize);
        object.subscriber.set_reporter(cb.on_rtc_stats_report.map(|call| {
            let report = move |json: &str| {
                let json = text::outgoing(json);
                // SAFETY: the program promises a callable function; what is lent lives through the call.
                unsafe { call(handle as *mut otc_subscriber, user_data as *mut c_void, json.as_ptr()) }
            };
            Box::new(report) as Reporter
        }));
        Ok(())
    })
}

fn change(
    function: &'static str,
    subscriber: *mut otc_subscriber,
    change: impl FnOnce(&Arc<Subscriber>),
) -> otc_status {
    guard::status(function, || {
        change(&SUBSCRIBERS.get(subscriber, "subscriber")?.subscriber);
        Ok(())
    })
}

fn fact(
    function: &'static str,
    subscriber: *const otc_subscriber,
    of: impl FnOnce(&Subscriber) -> bool,
) -> otc_bool {
    guard::value(function, OTC_FALSE, || {
        let object = SUBSCRIBERS.get(subscriber, "subscriber")?;
        Ok(if of(&object.subscriber) { OTC_TRUE } else { OTC_FALSE })
    })
}

/// The library ends: every handle of a subscriber does.
pub(super) fn forget_all() {
    for object in SUBSCRIBERS.drain() {
        object.subscriber.end();
    }
}
