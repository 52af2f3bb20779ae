//! Moderation
//!
//! What a client may do to others, when the role of its token allows it: see `otc_session_get_capabilities`. The functions
//! ask the server and return at once. When the server then refuses or cannot be reached, the log says so and no callback
//! comes. While the session is reconnecting everything waits for the end of that.
//!
//! Only sound is muted, and a publisher whose sound is muted may switch it on again at any time with
//! `otc_publisher_set_publish_audio`.

use std::ffi::{c_char, c_int};

use super::base::otc_status;
use super::connection::{CONNECTIONS, otc_connection};
use super::refusal::Refusal;
use super::session::SESSIONS;
use super::session_callbacks::otc_session;
use super::{guard, text};

/// Mutes every stream, this client's own too, and those that are published later, until `otc_session_disable_force_mute`.
/// Every client is told by `on_mute_forced`, every publisher that was muted by `on_publisher_mute_forced`. Streams that are
/// muted already, or have no sound, stay as they are.
///
/// On a LiveKit server the mode is a member of the room's metadata, `otc.force_mute`; what others keep there stays. Clients
/// that are not of this library are muted now, and know nothing of the mode.
///
/// @param session               A connected session.
/// @param excluded_streams_ids  Ids of streams that are left alone now; copied. Ids that nobody has are passed over. NULL for
///                              none.
/// @param excluded_streams_len  How many; 0 for none.
///
/// @return `OTC_SUCCESS`: the request is on its way.
///         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: `session` is NULL or no live session, the number is negative, an id is NULL or not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_force_mute_all(
    session: *mut otc_session,
    excluded_streams_ids: *mut *const c_char,
    excluded_streams_len: c_int,
) -> otc_status {
    guard::status("otc_session_force_mute_all", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller's promise is ours.
        let excluded = unsafe { stream_ids(excluded_streams_ids, excluded_streams_len) }?;
        Ok(object.session.force_mute_all(excluded)?)
    })
}

/// Ends what `otc_session_force_mute_all` began: streams published from now on start as they like. Nobody is unmuted.
/// Every client is told by `on_mute_forced`.
///
/// @param session  A connected session.
///
/// @return `OTC_SUCCESS`: the request is on its way.
///         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_disable_force_mute(session: *mut otc_session) -> otc_status {
    guard::status("otc_session_disable_force_mute", || {
        Ok(SESSIONS.get(session, "session")?.session.disable_force_mute()?)
    })
}

/// Mutes one stream, another client's or one of this client's own. Its publisher is told by `on_publisher_mute_forced`. A
/// stream without sound stays as it is.
///
/// @param session            A connected session.
/// @param stream_id_to_mute  The id of the stream; copied.
///
/// @return `OTC_SUCCESS`: the request is on its way.
///         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it, or there is no such stream in the session.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: a pointer is NULL, `session` is no live session, or the id is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_force_mute_stream(
    session: *const otc_session,
    stream_id_to_mute: *const c_char,
) -> otc_status {
    guard::status("otc_session_force_mute_stream", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller passes NULL or a C string.
        let id = unsafe { text::required(stream_id_to_mute, "stream_id_to_mute") }?;
        Ok(object.session.force_mute_stream(id)?)
    })
}

/// Removes a client from the session. It is told by `on_disconnected` alone; the others see its streams and connection
/// drop. It may connect again. While the session is reconnecting the removal waits for the end of that.
///
/// @param session     A connected session.
/// @param connection  The client: a connection of this session, lent or copied. It may be this client's own.
///
/// @return `OTC_SUCCESS`: the request is on its way.
///         `OTC_UNABLE_TO_FORCE_DISCONNECT`: the token does not allow it, the connection is of another session, or its client
///         has left; where connection events are suppressed the last of these is not noticed.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle of its kind.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_force_disconnect(
    session: *mut otc_session,
    connection: *mut otc_connection,
) -> otc_status {
    guard::status("otc_session_force_disconnect", || {
        let object = SESSIONS.get(session, "session")?;
        let connection = CONNECTIONS.get(connection, "connection")?;
        Ok(object.session.force_disconnect(&connection.value)?)
    })
}

/// # Safety
/// `array` is NULL or has `number` elements, each NULL or a C string.
unsafe fn stream_ids(array: *mut *const c_char, number: c_int) -> Result<Vec<String>, Refusal> {
    let number =
        usize::try_from(number).map_err(|_| Refusal::parameter("excluded_streams_len", "is negative"))?;
    if number > 0 && array.is_null() {
        return Err(Refusal::null("excluded_streams_ids"));
    }
    let mut ids = Vec::new();
    for index in 0..number {
        // SAFETY: the caller's promise.
        let id = unsafe { text::required(array.add(index).read(), "excluded_streams_ids") }?;
        ids.push(id.to_owned());
    }
    Ok(ids)
}
