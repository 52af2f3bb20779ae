//! Sessions
//!
//! A session is where clients meet. A program makes an object for it, connects, is told by callbacks what happens,
//! disconnects and deletes the object. The same object may connect again after `on_disconnected`, or after an attempt
//! that failed.
//!
//! Whose it is: a session belongs to the program until `otc_session_delete`. What its getters return belongs to the
//! session. The pointer that callbacks receive is the one that `otc_session_new` returned.
//!
//! The functions may be called on any thread and from every callback. None waits for the network.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::connection::{CONNECTIONS, ConnectionObject, KeptConnection, otc_connection};
use super::handle::{Kind, Owner, Table};
use super::layout::Layout;
use super::refusal::Refusal;
use super::session_callbacks::{ProgramCallbacks, otc_session, otc_session_callbacks};
use super::session_settings::{SETTINGS, otc_session_settings};
use super::{guard, publisher, subscriber, text};
use crate::api::Error;
use crate::api::session::{Session, Settings};
use crate::session::{Capabilities, Connection};

/// What the role of the token allows this client. All `OTC_FALSE` before `on_connected`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct otc_session_capabilities {
    /// To publish streams.
    pub publish: otc_bool,
    /// To subscribe to streams.
    pub subscribe: otc_bool,
    /// To mute other clients' streams.
    pub force_mute: otc_bool,
    /// To disconnect other clients.
    pub force_disconnect: otc_bool,
}

impl From<Capabilities> for otc_session_capabilities {
    fn from(capabilities: Capabilities) -> Self {
        let truth = |allowed| if allowed { OTC_TRUE } else { OTC_FALSE };
        Self {
            publish: truth(capabilities.publish),
            subscribe: truth(capabilities.subscribe),
            force_mute: truth(capabilities.force_mute),
            force_disconnect: truth(capabilities.force_disconnect),
        }
    }
}

/// The struct comes by value, in registers, so a program with older headers reads its first members: in 2.24 the second one
/// was `force_mute`, in 2.19 there was one only.
fn laid_out(capabilities: otc_session_capabilities, layout: Layout) -> otc_session_capabilities {
    match layout {
        Layout::V2_32 | Layout::V2_19 => capabilities,
        Layout::V2_24 => otc_session_capabilities { subscribe: capabilities.force_mute, ..capabilities },
    }
}

pub(super) static SESSIONS: Table<otc_session, SessionObject> = Table::new(Kind::Session);

/// A session and what its getters have handed out.
pub(super) struct SessionObject {
    pub session: Arc<Session>,
    id: CString,
    user_data: UserData,
    // Every connection that `otc_session_get_connection` ever returned: programs keep the pointer over a reconnection.
    // One for each time the object connects, so it stays short.
    own_connections: Mutex<Vec<(Arc<Connection>, KeptConnection)>>,
    deletion_begun: AtomicBool,
}

/// The handle of a session, as its publishers and subscribers ask for it. NULL when it has ended.
pub(super) fn handle_of(session: &Arc<Session>) -> *mut otc_session {
    SESSIONS.find(|object| Arc::ptr_eq(&object.session, session))
}

/// The program's pointer, handed back and never followed.
struct UserData(*mut c_void);

// SAFETY: it is never followed here; the program asked to have it back on other threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl SessionObject {
    /// The handle of a connection of this session's own: the same one for the same connection.
    fn own_connection(&self, connection: Arc<Connection>) -> *mut otc_connection {
        let mut known = self.own_connections.lock();
        if let Some((_, kept)) = known.iter().find(|(earlier, _)| *earlier == connection) {
            return kept.handle();
        }
        let kept = CONNECTIONS.keep(ConnectionObject::new(&connection));
        let handle = kept.handle();
        known.push((connection, kept));
        handle
    }
}

/// Makes a session and does nothing else: no thread, no socket. Nothing is checked but that the texts are texts; what is
/// wrong with them `on_error` tells after `otc_session_connect`.
///
/// @param apikey      The API key of the project, or the id of the application; copied.
/// @param session_id  The id of the session; copied. On the hub of this machine any text of 1 to 255 characters names a
///                    session. A URL (`ws://`, `wss://`, `http://host/room`) says where to connect as well.
/// @param callbacks   The functions of the program; copied.
///
/// @return The session, to be ended with `otc_session_delete`. NULL when a pointer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_new(
    apikey: *const c_char,
    session_id: *const c_char,
    callbacks: *const otc_session_callbacks,
) -> *mut otc_session {
    guard::value("otc_session_new", std::ptr::null_mut(), || {
        // SAFETY: the caller's promise is ours.
        unsafe { make(apikey, session_id, callbacks, Settings::default()) }
    })
}

/// As `otc_session_new`, with settings.
///
/// @param apikey      As for `otc_session_new`.
/// @param session_id  As for `otc_session_new`.
/// @param callbacks   As for `otc_session_new`.
/// @param settings    Settings; copied, so they may be deleted at once. NULL for the defaults.
///
/// @return The session, to be ended with `otc_session_delete`. NULL when a pointer other than `settings` is NULL, a text
///         is not UTF-8, or `settings` is no live settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_new_with_settings(
    apikey: *const c_char,
    session_id: *const c_char,
    callbacks: *const otc_session_callbacks,
    settings: *mut otc_session_settings,
) -> *mut otc_session {
    guard::value("otc_session_new_with_settings", std::ptr::null_mut(), || {
        let settings = match settings.is_null() {
            true => Settings::default(),
            false => SETTINGS.get(settings, "settings")?.lock().clone(),
        };
        // SAFETY: the caller's promise is ours.
        unsafe { make(apikey, session_id, callbacks, settings) }
    })
}

/// # Safety
/// As for `otc_session_new`.
unsafe fn make(
    apikey: *const c_char,
    session_id: *const c_char,
    callbacks: *const otc_session_callbacks,
    settings: Settings,
) -> Result<*mut otc_session, Refusal> {
    // SAFETY: the caller passes NULL or C strings.
    let (api_key, session_id) =
        unsafe { (text::given(apikey, "apikey")?, text::given(session_id, "session_id")?) };
    if callbacks.is_null() {
        return Err(Refusal::null("callbacks"));
    }
    // SAFETY: not NULL, so the struct as the program's headers lay it out.
    let callbacks = unsafe { otc_session_callbacks::read(callbacks, Layout::of_the_program()) };
    let handle = SESSIONS.reserve();
    let observer = Arc::new(ProgramCallbacks::new(handle, callbacks));
    let object = SessionObject {
        session: Session::new(api_key.into_owned(), session_id.clone().into_owned(), settings, observer),
        id: text::outgoing(&session_id),
        user_data: UserData(callbacks.user_data),
        own_connections: Mutex::default(),
        deletion_begun: AtomicBool::new(false),
    };
    SESSIONS.fill(handle, Arc::new(object), Owner::Program);
    Ok(handle)
}

/// Ends a session object.
///
/// A connected session is left first: the server hears of it, the program does not. After this function has returned no
/// callback of the session starts, so the program may free its `user_data`. When a callback of the session is running on
/// another thread, the function waits for it, at most two seconds; inside a callback it does not wait. The handle,
/// the session's id and what `otc_session_get_connection` returned end with it; copies do not.
///
/// Publishers and subscribers of the session stay and are then in no session. No callback of theirs starts either, not even
/// `on_stream_destroyed`, before they are in another one, and the publishers' capturers have been stopped and destroyed: it
/// waits for that too, as above, and on a thread that brings pictures for 50 ms, since a capturer may be joining it.
///
/// @param session  A session.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `session` is NULL, or no live session (for example deleted already, or
///         being deleted by another thread): nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_delete(session: *mut otc_session) -> otc_status {
    guard::status("otc_session_delete", || {
        let object = SESSIONS.get(session, "session")?;
        if object.deletion_begun.swap(true, Ordering::AcqRel) {
            return Err(Refusal::handle("session", "is being deleted already"));
        }
        // Only when the wait is over: a callback that still runs may ask the session for its user data.
        let _ends_the_handle = SESSIONS.end_on_drop(session);
        object.session.delete(); // no lock is held: it may wait for the program's code
        Ok(())
    })
}

/// Starts to connect and returns at once. `on_connected` or `on_error` tells what became of it, within some ten seconds.
///
/// @param session  A session.
/// @param token    A token for this session; copied. What is wrong with it `on_error` tells, with
///                 `OTC_SESSION_AUTHORIZATION_FAILURE`; so it is with the empty string.
///
/// @return `OTC_SUCCESS`: the attempt has begun.
///         `OTC_SESSION_ILLEGAL_STATE`: the session is connecting, connected, reconnecting or disconnecting, and goes on with it.
///         `OTC_INVALID_PARAM`: a pointer is NULL or `session` is no live session; nothing happens.
///         `OTC_FATAL`: the system refuses a thread or a descriptor, or `otc_destroy` was called and `otc_init` not since;
///         nothing happens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_connect(session: *mut otc_session, token: *const c_char) -> otc_status {
    guard::status("otc_session_connect", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller passes NULL or a C string.
        let token = unsafe { text::given(token, "token") }?;
        Ok(object.session.connect(token.into_owned())?)
    })
}

/// As `otc_session_connect`, to a server named here. Some programs use it; it is in no published header of the original.
/// New programs set `OTC_URL` or use a URL as session id.
///
/// @param session      A session; its id is the room on that server.
/// @param host         Name or address of the server, an IPv6 one with or without brackets; copied.
/// @param server_path  Path on the server, NULL or empty for none; copied.
/// @param port         1 to 65535.
/// @param secure       `OTC_TRUE` for TLS.
/// @param token        As for `otc_session_connect`.
///
/// @return As for `otc_session_connect`; `OTC_INVALID_PARAM` also for a host or a path that cannot be one, and for a port out
///         of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_connect_to_host(
    session: *mut otc_session,
    host: *const c_char,
    server_path: *const c_char,
    port: c_int,
    secure: otc_bool,
    token: *const c_char,
) -> otc_status {
    guard::status("otc_session_connect_to_host", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller passes NULL or C strings.
        let (host, path, token) = unsafe {
            (
                text::required(host, "host")?,
                text::optional(server_path, "server_path")?,
                text::required(token, "token")?,
            )
        };
        let url = server_url(host, path, port, secure != OTC_FALSE)?;
        Ok(object.session.connect_to(&url, token.to_owned())?)
    })
}

fn server_url(host: &str, path: &str, port: c_int, secure: bool) -> Result<String, Refusal> {
    if host.is_empty() {
        return Err(Refusal::parameter("host", "is empty"));
    }
    // What ends the host in a URL, and what would begin a user before it. The rest is read by whoever reads URLs.
    if host.contains(['/', '\\', '?', '#', '@', '%']) {
        return Err(Refusal::parameter("host", "is no name and no address"));
    }
    if !(1..=c_int::from(u16::MAX)).contains(&port) {
        return Err(Refusal::parameter("port", "is outside 1 to 65535"));
    }
    let scheme = if secure { "wss" } else { "ws" };
    // The colons of an IPv6 address would run into that of the port (RFC 3986, 3.2.2).
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    Ok(format!("{scheme}://{host}:{port}/{}", path.trim_start_matches('/')))
}

/// Leaves the session and returns at once. `on_disconnected` follows within two seconds, exactly once and last, also when
/// the network is dead, and also when the session was still connecting; no `on_error` comes any more.
///
/// @param session  A session.
///
/// @return `OTC_SUCCESS`: `on_disconnected` will follow.
///         `OTC_SESSION_NOT_CONNECTED`: there is nothing to leave (never connected, attempt failed, already left or leaving);
///         nothing happens and no callback follows.
///         `OTC_INVALID_PARAM`: `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_disconnect(session: *mut otc_session) -> otc_status {
    guard::status("otc_session_disconnect", || Ok(SESSIONS.get(session, "session")?.session.disconnect()?))
}

/// Sets the secret with which pictures and sound are encrypted from end to end, so that no server can look into them. To be
/// called before `otc_session_connect`; a later call changes it for everything that is published and subscribed to, and all
/// clients have to do the same. Clients of LiveKit with the same shared key understand each other with this library.
///
/// What is published after the first call is encrypted: pictures in VP8, VP9 and H.264, what is attached to them, and sound.
/// Signals, names and sizes are not. A stream that somebody publishes without a secret is received as it is.
///
/// A subscriber of a publisher with another secret hears `OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH` by its `on_error` after
/// two seconds without anything that it could decrypt: once for each secret that was set. Where no secret was set the
/// session says `OTC_SESSION_ENCRYPTION_SECRET_MISSING` by its `on_error`, once for each connecting, when a stream that is
/// encrypted is subscribed to. Neither ends anything: with the right secret the picture comes.
///
/// @param session  A session.
/// @param secret   8 to 256 characters in UTF-8; copied.
///
/// @return `OTC_SUCCESS`.
///         `OTC_SESSION_INVALID_ENCRYPTION_SECRET`: too short or too long; the earlier one stays.
///         `OTC_INVALID_PARAM`: a pointer is NULL, `session` is no live session, or the secret is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_set_encryption_secret(
    session: *mut otc_session,
    secret: *const c_char,
) -> otc_status {
    guard::status("otc_session_set_encryption_secret", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller passes NULL or a C string.
        let secret = unsafe { text::required(secret, "secret") }?;
        Ok(object.session.set_encryption_secret(secret)?)
    })
}

/// Writes a description of a problem into the log and gives it an id to be quoted.
///
/// @param session            A session.
/// @param issue_description  What happened, in the words of the user; not kept.
/// @param issue_id           Where the id is written, on success only. The program ends it with `free`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL, `session` is no live session, or the text is not
///         UTF-8; or `OTC_FATAL` when there is no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_report_issue(
    session: *mut otc_session,
    issue_description: *const c_char,
    issue_id: *mut *mut c_char,
) -> otc_status {
    guard::status("otc_session_report_issue", || {
        let object = SESSIONS.get(session, "session")?;
        // SAFETY: the caller passes NULL or a C string.
        let description = unsafe { text::required(issue_description, "issue_description") }?;
        if issue_id.is_null() {
            return Err(Refusal::null("issue_id"));
        }
        let id = text::outgoing(&object.session.report_issue(description)?);
        // SAFETY: a C string. The copy is malloc's, so that the program's `free` fits.
        let copy = unsafe { libc::strdup(id.as_ptr()) };
        if copy.is_null() {
            return Err(Error::Fatal.into());
        }
        // SAFETY: not NULL, so writable by the caller's promise.
        unsafe { issue_id.write(copy) };
        Ok(())
    })
}

/// The id that the session was made with.
///
/// @param session  A session.
///
/// @return The id. Belongs to the session and ends with it; not to be changed or freed. The empty string, never NULL, when
///         `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_get_id(session: *const otc_session) -> *mut c_char {
    guard::value("otc_session_get_id", text::EMPTY.as_ptr().cast_mut(), || {
        Ok(SESSIONS.get(session, "session")?.id.as_ptr().cast_mut())
    })
}

/// This client's own connection.
///
/// @param session  A session.
///
/// @return The connection, the same pointer as long as the client stays connected. It belongs to the session and lives
///         until `otc_session_delete`, also when the session has been left meanwhile; deleting it is harmless. NULL
///         while the session is not connected, and when `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_get_connection(session: *const otc_session) -> *mut otc_connection {
    guard::value("otc_session_get_connection", std::ptr::null_mut(), || {
        let object = SESSIONS.get(session, "session")?;
        let connection = object.session.connection();
        Ok(connection.map_or(std::ptr::null_mut(), |connection| object.own_connection(connection)))
    })
}

/// What the role of the token allows. Known from `on_connected` on.
///
/// @param session  A session.
///
/// @return The capabilities; all `OTC_FALSE` before, and when `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_get_capabilities(session: *const otc_session) -> otc_session_capabilities {
    guard::value("otc_session_get_capabilities", otc_session_capabilities::default(), || {
        let capabilities = SESSIONS.get(session, "session")?.session.capabilities().into();
        Ok(laid_out(capabilities, Layout::of_the_program()))
    })
}

/// The `user_data` of the session's callbacks.
///
/// @param session  A session.
///
/// @return The pointer, unchanged. NULL when `session` is NULL or no live session.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_get_user_data(session: *const otc_session) -> *mut c_void {
    guard::value("otc_session_get_user_data", std::ptr::null_mut(), || {
        Ok(SESSIONS.get(session, "session")?.user_data.0)
    })
}

/// The end of the library, which has ended the sessions: the handles of those that the program did not delete end too.
pub(super) fn forget_all(deadline: Instant) {
    publisher::forget_all(deadline);
    subscriber::forget_all();
    for object in SESSIONS.drain() {
        object.session.end(); // ended already; a session made in the meantime is ended here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_becomes_a_url() {
        assert_eq!(server_url("media.test", "/room", 8080, false), Ok("ws://media.test:8080/room".into()));
        assert_eq!(server_url("::1", "", 443, true), Ok("wss://[::1]:443/".into()));
    }

    #[test]
    fn ports_that_cannot_be_are_refused() {
        for port in [0, -1, 65536] {
            assert!(server_url("media.test", "", port, true).is_err(), "{port}");
        }
    }
}
