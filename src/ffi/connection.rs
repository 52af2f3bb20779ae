//! Connections
//!
//! A connection is one client in one session, another one or this one. It does not change.
//!
//! Whose it is: the connection that a callback receives is lent until the callback returns; `otc_connection_copy` makes
//! one to keep. A connection that a getter returns (`otc_session_get_connection`, `otc_stream_get_connection`) belongs
//! to the session or stream and lives as long as that. Copies belong to the program, which ends them with
//! `otc_connection_delete`; they stay valid after the session, and even after `otc_destroy`.
//!
//! The functions may be called on any thread.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use super::base::otc_status;
use super::handle::{Kept, Kind, Table};
use super::{guard, text};
use crate::session::Connection;

/// A client in a session. Opaque: a handle, never an address.
pub struct otc_connection {
    _private: (),
}

pub(super) static CONNECTIONS: Table<otc_connection, ConnectionObject> = Table::new(Kind::Connection);

/// A connection and its texts as C wants them.
pub(super) struct ConnectionObject {
    pub value: Arc<Connection>,
    id: CString,
    data: CString,
    session_id: CString,
}

impl ConnectionObject {
    pub fn new(value: &Arc<Connection>) -> Arc<Self> {
        Arc::new(Self {
            id: text::outgoing(&value.id),
            data: text::outgoing(&value.data),
            session_id: text::outgoing(&value.session_id),
            value: value.clone(),
        })
    }
}

/// A connection handle of the library's.
pub(super) type KeptConnection = Kept<otc_connection, ConnectionObject>;

/// The id of the connection, unique in its session and different for each time a client connects.
///
/// @param connection  A connection.
///
/// @return The id. Lives as long as the connection. NULL when `connection` is NULL or no live connection.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_get_id(connection: *const otc_connection) -> *const c_char {
    guard::value("otc_connection_get_id", std::ptr::null(), || {
        Ok(CONNECTIONS.get(connection, "connection")?.id.as_ptr())
    })
}

/// When the client connected.
///
/// @param connection  A connection.
///
/// @return Milliseconds since 1970, by the clock of the server. 0 when `connection` is NULL or no live connection.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_get_creation_time(connection: *const otc_connection) -> i64 {
    guard::value("otc_connection_get_creation_time", 0, || {
        Ok(CONNECTIONS.get(connection, "connection")?.value.created_ms)
    })
}

/// The connection data that the client's token carries. The server has checked the token, so it can be trusted.
///
/// @param connection  A connection.
///
/// @return The data, the empty string when there is none. Lives as long as the connection. NULL when `connection` is
///         NULL or no live connection.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_get_data(connection: *const otc_connection) -> *const c_char {
    guard::value("otc_connection_get_data", std::ptr::null(), || {
        Ok(CONNECTIONS.get(connection, "connection")?.data.as_ptr())
    })
}

/// The id of the session in which the connection is or was.
///
/// @param connection  A connection.
///
/// @return The id. Lives as long as the connection. NULL when `connection` is NULL or no live connection.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_get_session_id(connection: *const otc_connection) -> *const c_char {
    guard::value("otc_connection_get_session_id", std::ptr::null(), || {
        Ok(CONNECTIONS.get(connection, "connection")?.session_id.as_ptr())
    })
}

/// Makes a connection to keep out of one that is lent.
///
/// @param connection  A connection; unchanged.
///
/// @return The copy. It belongs to the program, to be ended with `otc_connection_delete`. NULL when `connection` is NULL
///         or no live connection.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_copy(connection: *const otc_connection) -> *mut otc_connection {
    guard::value("otc_connection_copy", std::ptr::null_mut(), || {
        Ok(CONNECTIONS.give(CONNECTIONS.get(connection, "connection")?))
    })
}

/// Ends a copy. Its texts end with it.
///
/// @param connection  A copy made by `otc_connection_copy`. A connection that is lent, or that belongs to a session or
///                    stream, stays as it is: the call is harmless then.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `connection` is NULL, or no live connection (for example ended
///         already): nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_connection_delete(connection: *mut otc_connection) -> otc_status {
    guard::status("otc_connection_delete", || CONNECTIONS.delete(connection, "connection"))
}
