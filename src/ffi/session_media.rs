//! Publishing and subscribing
//!
//! A session sends the streams of its publishers and receives those that its subscribers ask for. Success means that it
//! has begun; what becomes of it the publisher's and the subscriber's own callbacks tell.
//!
//! A publisher or subscriber is in one session at a time, and in it once. It leaves it by the functions here, by its own
//! deletion, and with the end of the session; while the session reconnects it stays.

use super::base::otc_status;
use super::guard;
use super::publisher::PUBLISHERS;
use super::publisher_callbacks::otc_publisher;
use super::refusal::Refusal;
use super::session::SESSIONS;
use super::session_callbacks::otc_session;
use super::subscriber::SUBSCRIBERS;
use super::subscriber_callbacks::otc_subscriber;
use crate::api::Error;

/// Sends the stream of a publisher into the session. Its capturer starts; `on_stream_created` or `on_error` of the
/// publisher follows.
///
/// @param session    A connected session.
/// @param publisher  A publisher that is in no session.
///
/// @return `OTC_SUCCESS`: it has begun.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_SESSION_ILLEGAL_STATE`: the publisher is in a session already, this one or another.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_publish(
    session: *mut otc_session,
    publisher: *mut otc_publisher,
) -> otc_status {
    guard::status("otc_session_publish", || {
        let object = SESSIONS.get(session, "session")?;
        if publisher.is_null() {
            return Err(Refusal::null("publisher"));
        }
        object.session.check_connected()?;
        let publisher = PUBLISHERS.get(publisher, "publisher")?;
        Ok(object.session.publish(&publisher.publisher)?)
    })
}

/// Ends the stream of a publisher in the session, also before it was there. Its capturer is stopped and destroyed soon
/// after; `on_stream_destroyed` follows where there was `on_stream_created`. The publisher may be published again at once.
///
/// @param session    A session.
/// @param publisher  A publisher.
///
/// @return `OTC_SUCCESS`: the publisher is in no session.
///         `OTC_SESSION_PUBLISHER_NOT_FOUND`: the publisher is not in this session; nothing happens.
///         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_unpublish(
    session: *mut otc_session,
    publisher: *mut otc_publisher,
) -> otc_status {
    guard::status("otc_session_unpublish", || {
        let object = SESSIONS.get(session, "session")?;
        if publisher.is_null() {
            return Err(Refusal::null("publisher"));
        }
        let publisher = PUBLISHERS.get(publisher, "publisher").map_err(|_| Error::PublisherNotFound)?;
        Ok(object.session.unpublish(&publisher.publisher)?)
    })
}

/// Receives a stream. `on_connected` or `on_error` of the subscriber follows.
///
/// @param session     A connected session, the one that the subscriber's stream is in.
/// @param subscriber  A subscriber that is in no session.
///
/// @return `OTC_SUCCESS`: it has begun.
///         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
///         `OTC_SESSION_ILLEGAL_STATE`: the subscriber is in a session already, this one or another.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_subscribe(
    session: *mut otc_session,
    subscriber: *mut otc_subscriber,
) -> otc_status {
    guard::status("otc_session_subscribe", || {
        let object = SESSIONS.get(session, "session")?;
        if subscriber.is_null() {
            return Err(Refusal::null("subscriber"));
        }
        object.session.check_connected()?;
        let subscriber = SUBSCRIBERS.get(subscriber, "subscriber")?;
        Ok(object.session.subscribe(&subscriber.subscriber)?)
    })
}

/// Stops to receive a stream. No callback of the subscriber starts any more; it may be subscribed again at once. One that
/// has begun on another thread is waited for, at most 50 ms, and inside a callback not at all.
///
/// @param session     A session.
/// @param subscriber  A subscriber.
///
/// @return `OTC_SUCCESS`: the subscriber is in no session.
///         `OTC_SESSION_SUBSCRIBER_NOT_FOUND`: the subscriber is not in this session; nothing happens.
///         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_unsubscribe(
    session: *mut otc_session,
    subscriber: *mut otc_subscriber,
) -> otc_status {
    guard::status("otc_session_unsubscribe", || {
        let object = SESSIONS.get(session, "session")?;
        if subscriber.is_null() {
            return Err(Refusal::null("subscriber"));
        }
        let subscriber = SUBSCRIBERS.get(subscriber, "subscriber").map_err(|_| Error::SubscriberNotFound)?;
        Ok(object.session.unsubscribe(&subscriber.subscriber)?)
    })
}
