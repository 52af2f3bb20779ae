//! Publishing and subscribing
//!
//! A session sends the streams of its publishers and receives those that its subscribers ask for. Publishers and
//! subscribers cannot be made yet, so every pointer is refused; the codes are those that programs will meet later.

use super::base::otc_status;
use super::guard;
use super::refusal::Refusal;
use super::session::{SESSIONS, SessionObject};
use super::session_callbacks::otc_session;
use crate::api::Error;

/// What sends a stream. Opaque: a handle, never an address.
pub struct otc_publisher {
    _private: (),
}

/// What receives a stream. Opaque: a handle, never an address.
pub struct otc_subscriber {
    _private: (),
}

/// Sends the stream of a publisher into the session.
///
/// @param session    A connected session.
/// @param publisher  A publisher that is in no session.
///
/// @return `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_publish(
    session: *mut otc_session,
    publisher: *mut otc_publisher,
) -> otc_status {
    guard::status("otc_session_publish", || begin(session, publisher, "publisher"))
}

/// Ends the stream of a publisher in the session. Harmless when it is not there.
///
/// @param session    A session.
/// @param publisher  A publisher.
///
/// @return `OTC_SESSION_PUBLISHER_NOT_FOUND`: the publisher is not in this session; nothing happens.
///         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_unpublish(
    session: *mut otc_session,
    publisher: *mut otc_publisher,
) -> otc_status {
    guard::status("otc_session_unpublish", || end(session, publisher, "publisher", Error::PublisherNotFound))
}

/// Receives a stream.
///
/// @param session     A connected session.
/// @param subscriber  A subscriber that is in no session.
///
/// @return `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_subscribe(
    session: *mut otc_session,
    subscriber: *mut otc_subscriber,
) -> otc_status {
    guard::status("otc_session_subscribe", || begin(session, subscriber, "subscriber"))
}

/// Stops to receive a stream. Harmless when the subscriber is not in the session.
///
/// @param session     A session.
/// @param subscriber  A subscriber.
///
/// @return `OTC_SESSION_SUBSCRIBER_NOT_FOUND`: the subscriber is not in this session; nothing happens.
///         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_unsubscribe(
    session: *mut otc_session,
    subscriber: *mut otc_subscriber,
) -> otc_status {
    guard::status("otc_session_unsubscribe", || {
        end(session, subscriber, "subscriber", Error::SubscriberNotFound)
    })
}

fn both<H>(
    session: *mut otc_session,
    handle: *mut H,
    parameter: &'static str,
) -> Result<std::sync::Arc<SessionObject>, Refusal> {
    let object = SESSIONS.get(session, "session")?;
    if handle.is_null() { Err(Refusal::null(parameter)) } else { Ok(object) }
}

fn begin<H>(session: *mut otc_session, handle: *mut H, parameter: &'static str) -> Result<(), Refusal> {
    both(session, handle, parameter)?.session.check_connected()?;
    Err(Refusal::handle(parameter, "is not a handle of this library"))
}

fn end<H>(
    session: *mut otc_session,
    handle: *mut H,
    parameter: &'static str,
    absent: Error,
) -> Result<(), Refusal> {
    both(session, handle, parameter)?;
    Err(absent.into())
}
