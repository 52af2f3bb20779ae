//! Signals
//!
//! Short texts from client to client. A signal has a type and data, both optional. The type is at most 128 bytes of
//! `A-Z a-z 0-9 - _ ~`, the data at most 8192 bytes of UTF-8. Between two clients the order is kept. A signal to all
//! comes back to its sender too.
//!
//! While the session is reconnecting, signals wait and are sent after `on_reconnected`; at most 1000 do. There is no
//! report of delivery.

use std::ffi::c_char;

use super::base::{OTC_FALSE, otc_bool, otc_status};
use super::connection::{CONNECTIONS, otc_connection};
use super::refusal::Refusal;
use super::session::SESSIONS;
use super::session_callbacks::otc_session;
use super::{guard, text};
use crate::api::session::Target;

/// How a signal is sent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_signal_options {
    /// `OTC_FALSE`: a signal is dropped, not kept, while the session is reconnecting. Otherwise it waits, as it does
    /// without options.
    pub retry_after_reconnect: otc_bool,
}

/// Without options a signal waits for the end of a reconnection.
const RETRY: otc_signal_options = otc_signal_options { retry_after_reconnect: super::base::OTC_TRUE };

/// Sends a signal to every client in the session, this one included.
///
/// @param session  A session.
/// @param type     The type; copied. NULL or empty for none.
/// @param signal   The data; copied. NULL or empty for none. What is not UTF-8 in it becomes U+FFFD.
///
/// @return `OTC_SUCCESS`: it is on its way, or waits for the end of a reconnection.
///         `OTC_SESSION_SIGNAL_TYPE_TOO_LONG`, `OTC_SESSION_INVALID_SIGNAL_TYPE`, `OTC_SESSION_SIGNAL_DATA_TOO_LONG`: not sent.
///         `OTC_SESSION_NOT_CONNECTED`: the session is neither connected nor reconnecting; not sent.
///         `OTC_SESSION_UNABLE_TO_SEND_SIGNAL`: the token does not allow it, or too many wait; not sent.
///         `OTC_INVALID_PARAM`: `session` is NULL or no live session; not sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_send_signal(
    session: *mut otc_session,
    r#type: *const c_char,
    signal: *const c_char,
) -> otc_status {
    // SAFETY: the caller's promise is ours.
    guard::status("otc_session_send_signal", || unsafe { send(session, r#type, signal, to_everyone, RETRY) })
}

/// Sends a signal to one client.
///
/// @param session     A session.
/// @param type        As for `otc_session_send_signal`.
/// @param signal      As for `otc_session_send_signal`.
/// @param connection  The client: a connection of this session, lent or copied.
///
/// @return As for `otc_session_send_signal`; `OTC_INVALID_PARAM` also when `connection` is NULL, no live connection, or one of
///         another session: it is then sent to nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_send_signal_to_connection(
    session: *mut otc_session,
    r#type: *const c_char,
    signal: *const c_char,
    connection: *const otc_connection,
) -> otc_status {
    let to = || to_connection(connection);
    // SAFETY: the caller's promise is ours.
    guard::status("otc_session_send_signal_to_connection", || unsafe {
        send(session, r#type, signal, to, RETRY)
    })
}

/// As `otc_session_send_signal`, and says what to do while the session is reconnecting.
///
/// @param session         As for `otc_session_send_signal`.
/// @param type            As for `otc_session_send_signal`.
/// @param signal          As for `otc_session_send_signal`.
/// @param signal_options  What to do while reconnecting.
///
/// @return As for `otc_session_send_signal`. A signal that is dropped because of the options is a success.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_send_signal_with_options(
    session: *mut otc_session,
    r#type: *const c_char,
    signal: *const c_char,
    signal_options: otc_signal_options,
) -> otc_status {
    // SAFETY: the caller's promise is ours.
    guard::status("otc_session_send_signal_with_options", || unsafe {
        send(session, r#type, signal, to_everyone, signal_options)
    })
}

/// As `otc_session_send_signal_to_connection`, and says what to do while the session is reconnecting.
///
/// @param session         As for `otc_session_send_signal`.
/// @param type            As for `otc_session_send_signal`.
/// @param signal          As for `otc_session_send_signal`.
/// @param connection      As for `otc_session_send_signal_to_connection`.
/// @param signal_options  What to do while reconnecting.
///
/// @return As for `otc_session_send_signal_to_connection`. A signal that is dropped because of the options is a success.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_send_signal_to_connection_with_options(
    session: *mut otc_session,
    r#type: *const c_char,
    signal: *const c_char,
    connection: *const otc_connection,
    signal_options: otc_signal_options,
) -> otc_status {
    let to = || to_connection(connection);
    // SAFETY: the caller's promise is ours.
    guard::status("otc_session_send_signal_to_connection_with_options", || unsafe {
        send(session, r#type, signal, to, signal_options)
    })
}

/// # Safety
/// The texts are NULL or C strings.
unsafe fn send(
    session: *mut otc_session,
    kind: *const c_char,
    data: *const c_char,
    target: impl FnOnce() -> Result<Target, Refusal>,
    options: otc_signal_options,
) -> Result<(), Refusal> {
    let object = SESSIONS.get(session, "session")?;
    // SAFETY: the caller's promise.
    let (kind, data) = unsafe { (text::shown(kind, "type"), text::shown(data, "signal")) };
    let retry = options.retry_after_reconnect != OTC_FALSE;
    Ok(object.session.send_signal(kind.into_owned(), data.into_owned(), target()?, retry)?)
}

fn to_everyone() -> Result<Target, Refusal> {
    Ok(Target::Everyone)
}

fn to_connection(connection: *const otc_connection) -> Result<Target, Refusal> {
    Ok(Target::Connection(CONNECTIONS.get(connection, "connection")?.value.clone()))
}
