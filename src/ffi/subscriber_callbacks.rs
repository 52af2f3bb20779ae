//! What a subscriber tells
//!
//! The functions that a program hands to `otc_subscriber_new`. Any of them may be NULL, also all.
//!
//! Threads: events come on the library's callback thread, pictures and sound on threads of their own; never two callbacks
//! of subscribers at once, whichever subscribers they are of, and never from inside a function that the program calls.
//! Every function of the library may be called from them, the deletion of their own subscriber included. A picture that
//! finds another callback running for longer than 10 ms is left out; an event waits, and so does sound, up to a second of it.
//!
//! Order: `on_connected`, then `on_video_data_received`, then `on_render_frame`. An end of the stream is the session's to
//! tell (`on_stream_dropped`); nothing of the subscriber follows.
//!
//! The order of the members is that of release 2.32. A program compiled with older headers sets the environment
//! variable `OTC_ABI` to `2.24` or `2.19`.

use std::ffi::{c_char, c_int, c_void};

use super::audio_data::otc_audio_data;
use super::base::{OTC_TRUE, otc_bool, otc_video_reason};
use super::error::{self, otc_subscriber_error_code};
use super::layout::Layout;
use super::stream::{STREAMS, StreamObject, otc_stream};
use super::text;
use super::video_frame::{self, otc_video_frame};
use crate::api::frame::Picture;
use crate::api::subscriber::{Notice, Observer, Statistics};

/// A subscriber. Opaque: a handle, never an address.
pub struct otc_subscriber {
    _private: (),
}

/// How the sound of a subscriber has come so far.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct otc_subscriber_audio_stats {
    /// Packets that did not come.
    pub packets_lost: u64,
    /// Packets that came.
    pub packets_received: u64,
    /// Bytes of their contents.
    pub bytes_received: u64,
    /// How loud it is, 0 to 1.
    pub audio_level: f32,
    /// When this was counted: milliseconds since 1970.
    pub timestamp: f64,
    /// What the sender may use, in bit/s; −1 when it is not known.
    pub sender_connection_max_allocated_bitrate: i64,
    /// What the sender's network carries, in bit/s; −1 when it is not known.
    pub sender_connection_estimated_bandwidth: i64,
}

/// How the video of a subscriber has come so far.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct otc_subscriber_video_stats {
    /// Packets that did not come.
    pub packets_lost: u64,
    /// Packets that came.
    pub packets_received: u64,
    /// Bytes of their contents.
    pub bytes_received: u64,
    /// When this was counted: milliseconds since 1970.
    pub timestamp: f64,
    /// What the sender may use, in bit/s; −1 when it is not known.
    pub sender_connection_max_allocated_bitrate: i64,
    /// What the sender's network carries, in bit/s; −1 when it is not known.
    pub sender_connection_estimated_bandwidth: i64,
}

/// The functions of a program for one subscriber. Copied by `otc_subscriber_new`, so it may lie on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_subscriber_callbacks {
    /// The way of the stream's media is open. Once for each subscribing.
    pub on_connected: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            stream: *const otc_stream,
        ),
    >,
    /// The media is interrupted, because a network failed here or at the publisher. It may come back.
    pub on_disconnected:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// The media is back.
    pub on_reconnected: Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// A picture, always `OTC_VIDEO_FRAME_FORMAT_YUV420P`, its planes one after the other without padding. Lent until the
    /// callback returns.
    pub on_render_frame: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            frame: *const otc_video_frame,
        ),
    >,
    /// Video has gone, and why.
    pub on_video_disabled: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            reason: otc_video_reason,
        ),
    >,
    /// Video is back: what it had gone for is over.
    pub on_video_enabled: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            reason: otc_video_reason,
        ),
    >,
    /// The publisher's sound, or this subscriber's share in it, was switched off.
    pub on_audio_disabled:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// It was switched on again.
    pub on_audio_enabled:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// The first picture is there; `on_render_frame` follows. Once for each subscribing.
    pub on_video_data_received:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// The network is so poor that video may be stopped.
    pub on_video_disable_warning:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// What was said by a publisher, as text. A later text replaces an earlier one until `is_final` is `OTC_TRUE`. One that
    /// is replaced before the callback thread comes to it is left out; final ones never are.
    pub on_caption_text: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            text: *const c_char,
            is_final: otc_bool,
        ),
    >,
    /// The network is good enough again.
    pub on_video_disable_warning_lifted:
        Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>,
    /// About once a second.
    pub on_audio_stats: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            audio_stats: otc_subscriber_audio_stats,
        ),
    >,
    /// About once a second.
    pub on_video_stats: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            video_stats: otc_subscriber_video_stats,
        ),
    >,
    /// How loud the stream is, 0.0 to 1.0; about ten times a second.
    pub on_audio_level_updated: Option<
        unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void, audio_level: f32),
    >,
    /// Nothing came of the subscribing, or nothing more will come. The subscriber is in no session then; except for
    /// `OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH`, which leaves it where it is: with the right secret the picture comes. The
    /// text is for a person and lent until the callback returns.
    pub on_error: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            error_string: *const c_char,
            error: otc_subscriber_error_code,
        ),
    >,
    /// 10 ms of this stream's sound, before it is mixed with others, at full volume, whether or not there is an audio device.
    pub on_audio_data: Option<
        unsafe extern "C" fn(
            subscriber: *mut otc_subscriber,
            user_data: *mut c_void,
            audio_data: *const otc_audio_data,
        ),
    >,
    /// Handed back to every function, never read.
    pub user_data: *mut c_void,
    /// NULL. Not read.
    pub reserved: *mut c_void,
}

/// A callback that says nothing but that it happened.
type Plain = Option<unsafe extern "C" fn(subscriber: *mut otc_subscriber, user_data: *mut c_void)>;

/// Members of the struct by release: a pointer each.
const SLOTS_2_19: usize = 17;
const SLOTS_2_24: usize = 18;
const SLOTS: usize = 19;

impl otc_subscriber_callbacks {
    /// # Safety
    /// `callbacks` points to the struct as the headers of `layout` have it.
    pub(super) unsafe fn read(callbacks: *const Self, layout: Layout) -> Self {
        // Before 2.32 there was no `on_caption_text`, before 2.24 no `on_audio_data`.
        const CAPTIONS: usize = 10;
        const AUDIO_DATA_2_24: usize = 15;
        let mut slots = [std::ptr::null_mut::<c_void>(); SLOTS];
        match layout {
            // SAFETY: the caller's promise.
            Layout::V2_32 => return unsafe { callbacks.read() },
            Layout::V2_24 => {
                // SAFETY: the caller's promise; an old struct is so many pointers.
                let old = unsafe { callbacks.cast::<[*mut c_void; SLOTS_2_24]>().read() };
                slots[..CAPTIONS].copy_from_slice(&old[..CAPTIONS]);
                slots[CAPTIONS + 1..].copy_from_slice(&old[CAPTIONS..]);
            }
            Layout::V2_19 => {
                // SAFETY: as above.
                let old = unsafe { callbacks.cast::<[*mut c_void; SLOTS_2_19]>().read() };
                slots[..CAPTIONS].copy_from_slice(&old[..CAPTIONS]);
                slots[CAPTIONS + 1..=AUDIO_DATA_2_24].copy_from_slice(&old[CAPTIONS..AUDIO_DATA_2_24]);
                slots[AUDIO_DATA_2_24 + 2..].copy_from_slice(&old[AUDIO_DATA_2_24..]);
            }
        }
        // SAFETY: the struct is 19 pointers (`tests/layout.rs`), and an absent function is a null pointer.
        unsafe { std::mem::transmute::<[*mut c_void; SLOTS], Self>(slots) }
    }
}

/// The program's side of a subscriber.
pub(super) struct ProgramSubscriber {
    subscriber: *mut otc_subscriber,
    callbacks: otc_subscriber_callbacks,
}

// SAFETY: the handle is a number. `user_data` is never followed here, and handing it to callbacks on other threads is what
// the program asked for by making a subscriber.
unsafe impl Send for ProgramSubscriber {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramSubscriber {}

impl ProgramSubscriber {
    pub fn new(subscriber: *mut otc_subscriber, callbacks: otc_subscriber_callbacks) -> Self {
        Self { subscriber, callbacks }
    }

    fn plain(&self, call: Plain) {
        if let Some(call) = call {
            // SAFETY: the program promises a callable function.
            unsafe { call(self.subscriber, self.callbacks.user_data) }
        }
    }
}

impl Observer for ProgramSubscriber {
    fn notify(&self, notice: Notice) {
        let Self { subscriber, callbacks } = self;
        let (subscriber, user_data) = (*subscriber, callbacks.user_data);
        match notice {
            Notice::Connected(stream) => {
                if let Some(call) = callbacks.on_connected {
                    let lent = STREAMS.keep(StreamObject::new(&stream));
                    // SAFETY: the program promises a callable function; what is lent lives through the call.
                    unsafe { call(subscriber, user_data, lent.handle()) }
                }
            }
            Notice::Disconnected => self.plain(callbacks.on_disconnected),
            Notice::Reconnected => self.plain(callbacks.on_reconnected),
            Notice::VideoDataReceived => self.plain(callbacks.on_video_data_received),
            Notice::VideoDisableWarning => self.plain(callbacks.on_video_disable_warning),
            Notice::VideoDisableWarningLifted => self.plain(callbacks.on_video_disable_warning_lifted),
            Notice::AudioDisabled => self.plain(callbacks.on_audio_disabled),
            Notice::AudioEnabled => self.plain(callbacks.on_audio_enabled),
            Notice::VideoDisabled(reason) => {
                if let Some(call) = callbacks.on_video_disabled {
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, reason.into()) }
                }
            }
            Notice::VideoEnabled(reason) => {
                if let Some(call) = callbacks.on_video_enabled {
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, reason.into()) }
                }
            }
            Notice::AudioLevel(level) => {
                if let Some(call) = callbacks.on_audio_level_updated {
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, level) }
                }
            }
            Notice::Caption { text: caption, is_final } => {
                if let Some(call) = callbacks.on_caption_text {
                    let caption = text::outgoing(&caption);
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, caption.as_ptr(), is_final as otc_bool * OTC_TRUE) }
                }
            }
            Notice::AudioStatistics { statistics, level } => {
                if let Some(call) = callbacks.on_audio_stats {
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, audio_stats(&statistics, level)) }
                }
            }
            Notice::VideoStatistics(statistics) => {
                if let Some(call) = callbacks.on_video_stats {
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, video_stats(&statistics)) }
                }
            }
            Notice::Error(fault) => {
                if let Some(call) = callbacks.on_error {
                    let sentence = text::outgoing(&fault.text);
                    let code = error::subscriber_code(fault.reason);
                    // SAFETY: as above.
                    unsafe { call(subscriber, user_data, sentence.as_ptr(), code) }
                }
            }
        }
    }

    fn render(&self, picture: Picture) {
        if let Some(call) = self.callbacks.on_render_frame {
            let lent = video_frame::lend(picture);
            // SAFETY: the program promises a callable function; what is lent lives through the call.
            unsafe { call(self.subscriber, self.callbacks.user_data, lent.handle()) }
        }
    }

    fn sound(&self, step: &[i16]) {
        if let Some(call) = self.callbacks.on_audio_data {
            let data = otc_audio_data {
                sample_buffer: step.as_ptr().cast(),
                bits_per_sample: 16,
                sample_rate: 48_000 as c_int,
                number_of_channels: 2,
                number_of_samples: step.len() / 2,
            };
            // SAFETY: as above.
            unsafe { call(self.subscriber, self.callbacks.user_data, &data) }
        }
    }

    fn hears(&self, notice: &Notice) -> bool {
        let callbacks = &self.callbacks;
        match notice {
            Notice::Connected(_) => callbacks.on_connected.is_some(),
            Notice::Disconnected => callbacks.on_disconnected.is_some(),
            Notice::Reconnected => callbacks.on_reconnected.is_some(),
            Notice::VideoDataReceived => callbacks.on_video_data_received.is_some(),
            Notice::VideoDisabled(_) => callbacks.on_video_disabled.is_some(),
            Notice::VideoEnabled(_) => callbacks.on_video_enabled.is_some(),
            Notice::VideoDisableWarning => callbacks.on_video_disable_warning.is_some(),
            Notice::VideoDisableWarningLifted => callbacks.on_video_disable_warning_lifted.is_some(),
            Notice::AudioDisabled => callbacks.on_audio_disabled.is_some(),
            Notice::AudioEnabled => callbacks.on_audio_enabled.is_some(),
            Notice::AudioLevel(_) => callbacks.on_audio_level_updated.is_some(),
            Notice::Caption { .. } => callbacks.on_caption_text.is_some(),
            Notice::AudioStatistics { .. } => callbacks.on_audio_stats.is_some(),
            Notice::VideoStatistics(_) => callbacks.on_video_stats.is_some(),
            Notice::Error(_) => callbacks.on_error.is_some(),
        }
    }

    fn hears_sound(&self) -> bool {
        self.callbacks.on_audio_data.is_some()
    }
}

/// −1 where it is not.
fn known(rate: Option<u64>) -> i64 {
    rate.map_or(-1, |rate| i64::try_from(rate).unwrap_or(i64::MAX))
}

fn audio_stats(statistics: &Statistics, level: f32) -> otc_subscriber_audio_stats {
    otc_subscriber_audio_stats {
        packets_lost: statistics.packets_lost,
        packets_received: statistics.packets_received,
        bytes_received: statistics.bytes_received,
        audio_level: level,
        timestamp: statistics.at_ms,
        sender_connection_max_allocated_bitrate: known(statistics.sender.max_allocated_bps),
        sender_connection_estimated_bandwidth: known(statistics.sender.estimated_bps),
    }
}

fn video_stats(statistics: &Statistics) -> otc_subscriber_video_stats {
    otc_subscriber_video_stats {
        packets_lost: statistics.packets_lost,
        packets_received: statistics.packets_received,
        bytes_received: statistics.bytes_received,
        timestamp: statistics.at_ms,
        sender_connection_max_allocated_bitrate: known(statistics.sender.max_allocated_bps),
        sender_connection_estimated_bandwidth: known(statistics.sender.estimated_bps),
    }
}
