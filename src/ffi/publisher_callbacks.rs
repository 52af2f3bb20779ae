//! What a publisher tells
//!
//! The functions that a program hands to `otc_publisher_new`. Any of them may be NULL, also all.
//!
//! Threads: events come on the library's callback thread, pictures on a thread of their own; never two callbacks of
//! publishers at once, whichever publishers they are of, and never from inside a function that the program calls. Every
//! function of the library may be called from them, the deletion of their own publisher included. A picture that finds
//! another callback running for longer than 10 ms is not shown; an event waits.
//!
//! Order: `on_stream_created` when others can see the stream, `on_stream_destroyed` when it has ended, whatever ended it;
//! not where the publisher or its session is deleted. When it is a disconnect, it comes before the session's
//! `on_disconnected`.
//!
//! The order of the members is that of release 2.32. A program compiled with older headers sets the environment
//! variable `OTC_ABI` to `2.24` or `2.19`.

use std::ffi::{c_char, c_void};

use super::base::otc_video_reason;
use super::error::{self, otc_publisher_error_code};
use super::layout::Layout;
use super::stream::{STREAMS, StreamObject, otc_stream};
use super::text;
use super::video_frame::{self, otc_video_frame};
use crate::api::frame::Picture;
use crate::api::publisher::{Notice, Observer, Statistics};

/// A publisher. Opaque: a handle, never an address.
pub struct otc_publisher {
    _private: (),
}

/// How the sound of a publisher has gone out so far.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct otc_publisher_audio_stats {
    /// The empty string: sound goes to the server once, whoever hears it.
    pub connection_id: *const c_char,
    /// The empty string, as above.
    pub subscriber_id: *const c_char,
    /// Packets that the server missed.
    pub packets_lost: i64,
    /// Packets sent.
    pub packets_sent: i64,
    /// Bytes of their contents.
    pub bytes_sent: i64,
    /// How loud it is, 0 to 1.
    pub audio_level: f32,
    /// When this was counted: milliseconds since 1970.
    pub timestamp: f64,
    /// When counting began: milliseconds since 1970.
    pub start_time: f64,
}

/// How the video of a publisher has gone out so far.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct otc_publisher_video_stats {
    /// The empty string: video goes to the server once, whoever sees it.
    pub connection_id: *const c_char,
    /// The empty string, as above.
    pub subscriber_id: *const c_char,
    /// Packets that the server missed.
    pub packets_lost: i64,
    /// Packets sent, of all layers.
    pub packets_sent: i64,
    /// Bytes of their contents.
    pub bytes_sent: i64,
    /// When this was counted: milliseconds since 1970.
    pub timestamp: f64,
    /// When counting began: milliseconds since 1970.
    pub start_time: f64,
}

/// A callback that says nothing but that it happened.
type Plain = Option<unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void)>;

/// The functions of a program for one publisher. Copied by `otc_publisher_new`, so it may lie on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_publisher_callbacks {
    /// The stream is in the session.
    pub on_stream_created: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            stream: *const otc_stream,
        ),
    >,
    /// The stream has ended.
    pub on_stream_destroyed: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            stream: *const otc_stream,
        ),
    >,
    /// A picture before it is encoded, always `OTC_VIDEO_FRAME_FORMAT_YUV420P`. Lent until the callback returns.
    pub on_render_frame: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            frame: *const otc_video_frame,
        ),
    >,
    /// How loud the microphone is, 0.0 to 1.0; about ten times a second. 0 while no sound is published.
    pub on_audio_level_updated:
        Option<unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void, audio_level: f32)>,
    /// A moderator has switched the sound off, or the stream was published while everybody is muted; then this follows
    /// `on_stream_created`. `otc_publisher_set_publish_audio` switches it on again.
    pub on_publisher_mute_forced:
        Option<unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void)>,
    /// About once a second.
    pub on_audio_stats: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            audio_stats: *mut otc_publisher_audio_stats,
            number_of_stats: usize,
        ),
    >,
    /// About once a second.
    pub on_video_stats: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            video_stats: *mut otc_publisher_video_stats,
            number_of_stats: usize,
        ),
    >,
    /// Something went wrong. The text is for a person and lent until the callback returns.
    pub on_error: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            error_string: *const c_char,
            error_code: otc_publisher_error_code,
        ),
    >,
    /// Video is not sent any more, and why.
    pub on_video_disabled: Option<
        unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void, reason: otc_video_reason),
    >,
    /// Video is sent again.
    pub on_video_enabled: Option<
        unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void, reason: otc_video_reason),
    >,
    /// The network is so poor that video may be stopped.
    pub on_video_disable_warning:
        Option<unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void)>,
    /// The network is good enough again.
    pub on_video_disable_warning_lifted:
        Option<unsafe extern "C" fn(publisher: *mut otc_publisher, user_data: *mut c_void)>,
    /// Handed back to every function, never read.
    pub user_data: *mut c_void,
    /// NULL. Not read.
    pub reserved: *mut c_void,
}

/// Members of the struct by release: a pointer each.
const SLOTS_2_19: usize = 9;
const SLOTS_2_24: usize = 10;
const SLOTS: usize = 14;

impl otc_publisher_callbacks {
    /// # Safety
    /// `callbacks` points to the struct as the headers of `layout` have it.
    pub(super) unsafe fn read(callbacks: *const Self, layout: Layout) -> Self {
        // 2.24 brought `on_publisher_mute_forced`, 2.32 the four about video, before `user_data`.
        const MUTE_FORCED: usize = 4;
        const EVENTS_2_24: usize = SLOTS_2_24 - 2;
        let mut slots = [std::ptr::null_mut::<c_void>(); SLOTS];
        match layout {
            // SAFETY: the caller's promise.
            Layout::V2_32 => return unsafe { callbacks.read() },
            Layout::V2_24 => {
                // SAFETY: the caller's promise; an old struct is so many pointers.
                let old = unsafe { callbacks.cast::<[*mut c_void; SLOTS_2_24]>().read() };
                slots[..EVENTS_2_24].copy_from_slice(&old[..EVENTS_2_24]);
                slots[SLOTS - 2..].copy_from_slice(&old[EVENTS_2_24..]);
            }
            Layout::V2_19 => {
                // SAFETY: as above.
                let old = unsafe { callbacks.cast::<[*mut c_void; SLOTS_2_19]>().read() };
                slots[..MUTE_FORCED].copy_from_slice(&old[..MUTE_FORCED]);
                slots[MUTE_FORCED + 1..EVENTS_2_24].copy_from_slice(&old[MUTE_FORCED..SLOTS_2_19 - 2]);
                slots[SLOTS - 2..].copy_from_slice(&old[SLOTS_2_19 - 2..]);
            }
        }
        // SAFETY: the struct is 14 pointers (`tests/layout.rs`), and an absent function is a null pointer.
        unsafe { std::mem::transmute::<[*mut c_void; SLOTS], Self>(slots) }
    }
}

/// The program's side of a publisher.
pub(super) struct ProgramPublisher {
    publisher: *mut otc_publisher,
    callbacks: otc_publisher_callbacks,
}

// SAFETY: the handle is a number. `user_data` is never followed here, and handing it to callbacks on other threads is what
// the program asked for by making a publisher.
unsafe impl Send for ProgramPublisher {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramPublisher {}

impl ProgramPublisher {
    pub fn new(publisher: *mut otc_publisher, callbacks: otc_publisher_callbacks) -> Self {
        Self { publisher, callbacks }
    }

    fn plain(&self, call: Plain) {
        if let Some(call) = call {
            // SAFETY: the program promises a callable function.
            unsafe { call(self.publisher, self.callbacks.user_data) }
        }
    }
}

impl Observer for ProgramPublisher {
    fn notify(&self, notice: Notice) {
        let Self { publisher, callbacks } = self;
        let (publisher, user_data) = (*publisher, callbacks.user_data);
        match notice {
            Notice::StreamCreated(stream) => {
                if let Some(call) = callbacks.on_stream_created {
                    let lent = STREAMS.keep(StreamObject::new(&stream));
                    // SAFETY: the program promises a callable function; what is lent lives through the call.
                    unsafe { call(publisher, user_data, lent.handle()) }
                }
            }
            Notice::StreamDestroyed(stream) => {
                if let Some(call) = callbacks.on_stream_destroyed {
                    let lent = STREAMS.keep(StreamObject::new(&stream));
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, lent.handle()) }
                }
            }
            Notice::AudioLevel(level) => {
                if let Some(call) = callbacks.on_audio_level_updated {
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, level) }
                }
            }
            Notice::MuteForced => self.plain(callbacks.on_publisher_mute_forced),
            Notice::VideoDisabled(reason) => {
                if let Some(call) = callbacks.on_video_disabled {
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, reason.into()) }
                }
            }
            Notice::VideoEnabled(reason) => {
                if let Some(call) = callbacks.on_video_enabled {
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, reason.into()) }
                }
            }
            Notice::VideoDisableWarning => self.plain(callbacks.on_video_disable_warning),
            Notice::VideoDisableWarningLifted => self.plain(callbacks.on_video_disable_warning_lifted),
            Notice::AudioStatistics { statistics, level } => {
                if let Some(call) = callbacks.on_audio_stats {
                    let mut stats = audio_stats(&statistics, level);
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, &mut stats, 1) }
                }
            }
            Notice::VideoStatistics(statistics) => {
                if let Some(call) = callbacks.on_video_stats {
                    let mut stats = video_stats(&statistics);
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, &mut stats, 1) }
                }
            }
            Notice::Error(fault) => {
                if let Some(call) = callbacks.on_error {
                    let sentence = text::outgoing(&fault.text);
                    let code = error::publisher_code(fault.reason);
                    // SAFETY: as above.
                    unsafe { call(publisher, user_data, sentence.as_ptr(), code) }
                }
            }
        }
    }

    fn render(&self, picture: Picture) {
        if let Some(call) = self.callbacks.on_render_frame {
            let lent = video_frame::lend(picture);
            // SAFETY: the program promises a callable function; what is lent lives through the call.
            unsafe { call(self.publisher, self.callbacks.user_data, lent.handle()) }
        }
    }

    fn renders(&self) -> bool {
        self.callbacks.on_render_frame.is_some()
    }

    fn hears(&self, notice: &Notice) -> bool {
        let callbacks = &self.callbacks;
        match notice {
            Notice::StreamCreated(_) => callbacks.on_stream_created.is_some(),
            Notice::StreamDestroyed(_) => callbacks.on_stream_destroyed.is_some(),
            Notice::AudioLevel(_) => callbacks.on_audio_level_updated.is_some(),
            Notice::MuteForced => callbacks.on_publisher_mute_forced.is_some(),
            Notice::VideoDisabled(_) => callbacks.on_video_disabled.is_some(),
            Notice::VideoEnabled(_) => callbacks.on_video_enabled.is_some(),
            Notice::VideoDisableWarning => callbacks.on_video_disable_warning.is_some(),
            Notice::VideoDisableWarningLifted => callbacks.on_video_disable_warning_lifted.is_some(),
            Notice::AudioStatistics { .. } => callbacks.on_audio_stats.is_some(),
            Notice::VideoStatistics(_) => callbacks.on_video_stats.is_some(),
            Notice::Error(_) => callbacks.on_error.is_some(),
        }
    }
}

/// A counter as the interface has it.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn audio_stats(statistics: &Statistics, level: f32) -> otc_publisher_audio_stats {
    otc_publisher_audio_stats {
        connection_id: text::EMPTY.as_ptr(),
        subscriber_id: text::EMPTY.as_ptr(),
        packets_lost: count(statistics.packets_lost),
        packets_sent: count(statistics.packets_sent),
        bytes_sent: count(statistics.bytes_sent),
        audio_level: level,
        timestamp: statistics.at_ms,
        start_time: statistics.since_ms,
    }
}

fn video_stats(statistics: &Statistics) -> otc_publisher_video_stats {
    otc_publisher_video_stats {
        connection_id: text::EMPTY.as_ptr(),
        subscriber_id: text::EMPTY.as_ptr(),
        packets_lost: count(statistics.packets_lost),
        packets_sent: count(statistics.packets_sent),
        bytes_sent: count(statistics.bytes_sent),
        timestamp: statistics.at_ms,
        start_time: statistics.since_ms,
    }
}
