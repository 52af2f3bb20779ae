//! What a session tells
//!
//! The functions that a program hands to `otc_session_new`. Any of them may be NULL, also all.
//!
//! Threads: they are called one after the other, on one thread of the library, never on a thread of the program and
//! never from inside a function that the program calls. Every function of the library may be called from them, the
//! deletion of their own session included. A slow callback delays all behind it, those of other sessions too.
//!
//! Order: an attempt to connect begins with `on_connected` or ends with `on_error`. After `on_connected` comes one
//! `on_connection_created` for each client that is there already, then one `on_stream_received` for each stream, and
//! later ones as they come. An end after `on_connected` is always told by `on_disconnected`, once and last.
//!
//! What is handed in (connections, streams, texts) is lent until the callback returns. Texts are never NULL.
//!
//! The order of the members is that of release 2.32. A program compiled with older headers sets the environment
//! variable `OTC_ABI` to `2.24` or `2.19`.

use std::ffi::{c_char, c_int, c_void};

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_on_mute_forced_info};
use super::connection::{CONNECTIONS, ConnectionObject, KeptConnection, otc_connection};
use super::error::{self, otc_session_error_code};
use super::layout::Layout;
use super::stream::{STREAMS, StreamObject, otc_stream, otc_stream_video_type, pixels};
use super::text;
use crate::api::session::{Notice, Observer};
use crate::session::{Stream, StreamChange};

/// A session. Opaque: a handle, never an address.
pub struct otc_session {
    _private: (),
}

/// The functions of a program for one session. Copied by `otc_session_new`, so it may lie on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_session_callbacks {
    /// The session is connected: its own connection and its capabilities are known. Once for each successful attempt.
    pub on_connected: Option<unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void)>,
    /// This client is no longer connected: it asked for it, the link was lost for good, the server ended the session,
    /// or a moderator removed it. Nothing follows until the next `otc_session_connect`.
    pub on_disconnected: Option<unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void)>,
    /// Another client is in the session. Not called when connection events are suppressed.
    pub on_connection_created: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            connection: *const otc_connection,
        ),
    >,
    /// Another client has left; its streams were dropped before. Not called when connection events are suppressed.
    pub on_connection_dropped: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            connection: *const otc_connection,
        ),
    >,
    /// Another client publishes a stream; it is complete.
    pub on_stream_received: Option<
        unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void, stream: *const otc_stream),
    >,
    /// Another client's stream has ended.
    pub on_stream_dropped: Option<
        unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void, stream: *const otc_stream),
    >,
    /// Audio of another client's stream was switched on or off.
    pub on_stream_has_audio_changed: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            stream: *const otc_stream,
            has_audio: otc_bool,
        ),
    >,
    /// Video of another client's stream was switched on or off.
    pub on_stream_has_video_changed: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            stream: *const otc_stream,
            has_video: otc_bool,
        ),
    >,
    /// The first caption of another client's stream has come, whoever subscribes to captions. `has_captions` is `OTC_TRUE`:
    /// those who transcribe do not say when they end, so a stream has captions until it is dropped.
    pub on_stream_has_captions_changed: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            stream: *const otc_stream,
            has_captions: otc_bool,
        ),
    >,
    /// The video of another client's stream has a new size, in pixels.
    pub on_stream_video_dimensions_changed: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            stream: *const otc_stream,
            width: c_int,
            height: c_int,
        ),
    >,
    /// The video of another client's stream comes from another kind of source.
    pub on_stream_video_type_changed: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            stream: *const otc_stream,
            r#type: otc_stream_video_type,
        ),
    >,
    /// A signal came. `type` and `signal` are empty strings when the sender left them out; `connection` is the sender,
    /// this client included, and NULL when a server sent it.
    pub on_signal_received: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            r#type: *const c_char,
            signal: *const c_char,
            connection: *const otc_connection,
        ),
    >,
    /// The link to the server is lost and is being restored. The program does nothing; what it sends meanwhile waits.
    pub on_reconnection_started:
        Option<unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void)>,
    /// The link is restored. What came and went meanwhile is told next.
    pub on_reconnected: Option<unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void)>,
    /// A recording began, or was running already when this client connected. The server does not say which: `archive_id` is
    /// the same for all recordings of a session, one after the other, and `name` is empty.
    pub on_archive_started: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            archive_id: *const c_char,
            name: *const c_char,
        ),
    >,
    /// The recording ended.
    pub on_archive_stopped: Option<
        unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void, archive_id: *const c_char),
    >,
    /// Something went wrong. Instead of `on_connected`: the attempt has failed and nothing follows. After it:
    /// `on_disconnected` follows when the session is lost; it does not for `OTC_SESSION_UNABLE_TO_SEND_SIGNAL` and
    /// `OTC_SESSION_ENCRYPTION_SECRET_MISSING`, which leave the session as it is. `error_string` is a sentence for a person.
    pub on_error: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            error_string: *const c_char,
            error: otc_session_error_code,
        ),
    >,
    /// A moderator has muted everybody, and streams that are published from now on start muted; or has ended that. Told to
    /// everybody, the moderator too, once for each change. Who connects while it is on is not told, but publishes muted.
    pub on_mute_forced: Option<
        unsafe extern "C" fn(
            session: *mut otc_session,
            user_data: *mut c_void,
            mute_info: *mut otc_on_mute_forced_info,
        ),
    >,
    /// Handed back unchanged. Never read; free it after `otc_session_delete` has returned.
    pub user_data: *mut c_void,
    /// NULL.
    pub reserved: *mut c_void,
}

/// How many pointers the struct had in the releases that `OTC_ABI` names.
const SLOTS_2_19: usize = 18;
const SLOTS_2_24: usize = 19;

impl otc_session_callbacks {
    /// Copies the program's struct as its headers lay it out.
    ///
    /// # Safety
    /// `callbacks` points to a struct of that layout.
    pub(super) unsafe fn read(callbacks: *const Self, layout: Layout) -> Self {
        match layout {
            // SAFETY: the caller's promise.
            Layout::V2_32 => unsafe { callbacks.read() },
            // SAFETY: the caller's promise; an old struct is so many pointers.
            Layout::V2_24 => unsafe { Self::from_2_24(callbacks.cast::<[*mut c_void; SLOTS_2_24]>().read()) },
            // SAFETY: as above.
            Layout::V2_19 => unsafe { Self::from_2_19(callbacks.cast::<[*mut c_void; SLOTS_2_19]>().read()) },
        }
    }

    /// # Safety
    /// The slots hold what the headers of 2.19 put there.
    unsafe fn from_2_19(slots: [*mut c_void; SLOTS_2_19]) -> Self {
        let [events @ .., user_data, reserved] = slots;
        let mut with_mute = [std::ptr::null_mut(); SLOTS_2_24];
        // 2.24 inserted `on_mute_forced` between the events and `user_data`.
        with_mute[..events.len()].copy_from_slice(&events);
        with_mute[SLOTS_2_24 - 2] = user_data;
        with_mute[SLOTS_2_24 - 1] = reserved;
        // SAFETY: the slots now hold what the headers of 2.24 put there.
        unsafe { Self::from_2_24(with_mute) }
    }

    /// # Safety
    /// The slots hold what the headers of 2.24 put there.
    unsafe fn from_2_24(slots: [*mut c_void; SLOTS_2_24]) -> Self {
        // 2.32 inserted `on_stream_has_captions_changed` behind the eighth member.
        const BEFORE: usize = 8;
        let mut present = [std::ptr::null_mut(); SLOTS_2_24 + 1];
        present[..BEFORE].copy_from_slice(&slots[..BEFORE]);
        present[BEFORE + 1..].copy_from_slice(&slots[BEFORE..]);
        // SAFETY: the struct is 20 pointers (`tests/layout.rs`), and an absent function is a null pointer.
        unsafe { std::mem::transmute::<[*mut c_void; SLOTS_2_24 + 1], Self>(present) }
    }
}

/// The program's side of a session.
pub(super) struct ProgramCallbacks {
    session: *mut otc_session,
    callbacks: otc_session_callbacks,
}

// SAFETY: the handle is a number. `user_data` is never followed here, and handing it to callbacks on another thread is
// what the program asked for by making a session.
unsafe impl Send for ProgramCallbacks {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramCallbacks {}

impl ProgramCallbacks {
    pub fn new(session: *mut otc_session, callbacks: otc_session_callbacks) -> Self {
        Self { session, callbacks }
    }

    fn changed(&self, stream: *const otc_stream, change: StreamChange) {
        let Self { session, callbacks } = self;
        let user_data = callbacks.user_data;
        // SAFETY (all): the program promises callable functions; what is lent lives through the call.
        match change {
            StreamChange::Audio(has) => {
                if let Some(call) = callbacks.on_stream_has_audio_changed {
                    // SAFETY: see above.
                    unsafe { call(*session, user_data, stream, truth(has)) }
                }
            }
            StreamChange::Video(has) => {
                if let Some(call) = callbacks.on_stream_has_video_changed {
                    // SAFETY: see above.
                    unsafe { call(*session, user_data, stream, truth(has)) }
                }
            }
            StreamChange::Captions(has) => {
                if let Some(call) = callbacks.on_stream_has_captions_changed {
                    // SAFETY: see above.
                    unsafe { call(*session, user_data, stream, truth(has)) }
                }
            }
            StreamChange::Dimensions { width, height } => {
                if let Some(call) = callbacks.on_stream_video_dimensions_changed {
                    // SAFETY: see above.
                    unsafe { call(*session, user_data, stream, pixels(width), pixels(height)) }
                }
            }
            StreamChange::VideoType(video_type) => {
                if let Some(call) = callbacks.on_stream_video_type_changed {
                    // SAFETY: see above.
                    unsafe { call(*session, user_data, stream, video_type.into()) }
                }
            }
        }
    }
}

impl Observer for ProgramCallbacks {
    fn notify(&self, notice: Notice) {
        let Self { session, callbacks } = self;
        let (session, user_data) = (*session, callbacks.user_data);
        match notice {
            Notice::Connected => self.plain(callbacks.on_connected),
            Notice::Disconnected => self.plain(callbacks.on_disconnected),
            Notice::ReconnectionStarted => self.plain(callbacks.on_reconnection_started),
            Notice::Reconnected => self.plain(callbacks.on_reconnected),
            Notice::ConnectionCreated(connection) => {
                if let Some(call) = callbacks.on_connection_created {
                    let lent = CONNECTIONS.keep(ConnectionObject::new(&connection));
                    // SAFETY: the program promises a callable function; what is lent lives through the call.
                    unsafe { call(session, user_data, lent.handle()) }
                }
            }
            Notice::ConnectionDropped(connection) => {
                if let Some(call) = callbacks.on_connection_dropped {
                    let lent = CONNECTIONS.keep(ConnectionObject::new(&connection));
                    // SAFETY: as above.
                    unsafe { call(session, user_data, lent.handle()) }
                }
            }
            Notice::StreamReceived(stream) => {
                if let Some(call) = callbacks.on_stream_received {
                    let lent = lend(&stream);
                    // SAFETY: as above.
                    unsafe { call(session, user_data, lent.handle()) }
                }
            }
            Notice::StreamDropped(stream) => {
                if let Some(call) = callbacks.on_stream_dropped {
                    let lent = lend(&stream);
                    // SAFETY: as above.
                    unsafe { call(session, user_data, lent.handle()) }
                }
            }
            Notice::StreamChanged { stream, change } => self.changed(lend(&stream).handle(), change),
            Notice::SignalReceived { kind, data, from } => {
                if let Some(call) = callbacks.on_signal_received {
                    let (kind, data) = (text::outgoing(&kind), text::outgoing(&data));
                    let from = from.map(|from| CONNECTIONS.keep(ConnectionObject::new(&from)));
                    let connection = from.as_ref().map_or(std::ptr::null_mut(), KeptConnection::handle);
                    // SAFETY: as above.
                    unsafe { call(session, user_data, kind.as_ptr(), data.as_ptr(), connection) }
                }
            }
            Notice::ArchiveStarted { id, name } => {
                if let Some(call) = callbacks.on_archive_started {
                    let (id, name) = (text::outgoing(&id), text::outgoing(&name));
                    // SAFETY: as above.
                    unsafe { call(session, user_data, id.as_ptr(), name.as_ptr()) }
                }
            }
            Notice::ArchiveStopped { id } => {
                if let Some(call) = callbacks.on_archive_stopped {
                    let id = text::outgoing(&id);
                    // SAFETY: as above.
                    unsafe { call(session, user_data, id.as_ptr()) }
                }
            }
            Notice::MuteForced { active } => {
                if let Some(call) = callbacks.on_mute_forced {
                    let mut info = otc_on_mute_forced_info { active: truth(active) };
                    // SAFETY: as above.
                    unsafe { call(session, user_data, &mut info) }
                }
            }
            Notice::Error { reason, text: sentence } => {
                if let Some(call) = callbacks.on_error {
                    let sentence = text::outgoing(&sentence);
                    // SAFETY: as above.
                    unsafe { call(session, user_data, sentence.as_ptr(), error::session_code(reason)) }
                }
            }
        }
    }

    fn hears(&self, notice: &Notice) -> bool {
        let callbacks = &self.callbacks;
        match notice {
            Notice::Connected => callbacks.on_connected.is_some(),
            Notice::Disconnected => callbacks.on_disconnected.is_some(),
            Notice::ReconnectionStarted => callbacks.on_reconnection_started.is_some(),
            Notice::Reconnected => callbacks.on_reconnected.is_some(),
            Notice::ConnectionCreated(_) => callbacks.on_connection_created.is_some(),
            Notice::ConnectionDropped(_) => callbacks.on_connection_dropped.is_some(),
            Notice::StreamReceived(_) => callbacks.on_stream_received.is_some(),
            Notice::StreamDropped(_) => callbacks.on_stream_dropped.is_some(),
            Notice::StreamChanged { change, .. } => match change {
                StreamChange::Audio(_) => callbacks.on_stream_has_audio_changed.is_some(),
                StreamChange::Video(_) => callbacks.on_stream_has_video_changed.is_some(),
                StreamChange::Captions(_) => callbacks.on_stream_has_captions_changed.is_some(),
                StreamChange::Dimensions { .. } => callbacks.on_stream_video_dimensions_changed.is_some(),
                StreamChange::VideoType(_) => callbacks.on_stream_video_type_changed.is_some(),
            },
            Notice::SignalReceived { .. } => callbacks.on_signal_received.is_some(),
            Notice::ArchiveStarted { .. } => callbacks.on_archive_started.is_some(),
            Notice::ArchiveStopped { .. } => callbacks.on_archive_stopped.is_some(),
            Notice::MuteForced { .. } => callbacks.on_mute_forced.is_some(),
            Notice::Error { .. } => callbacks.on_error.is_some(),
        }
    }
}

type Plain = Option<unsafe extern "C" fn(session: *mut otc_session, user_data: *mut c_void)>;

impl ProgramCallbacks {
    /// A callback that says nothing but that it happened.
    fn plain(&self, call: Plain) {
        if let Some(call) = call {
            // SAFETY: the program promises a callable function.
            unsafe { call(self.session, self.callbacks.user_data) }
        }
    }
}

fn lend(stream: &std::sync::Arc<Stream>) -> super::stream::KeptStream {
    STREAMS.keep(StreamObject::new(stream))
}

fn truth(value: bool) -> otc_bool {
    if value { OTC_TRUE } else { OTC_FALSE }
}
