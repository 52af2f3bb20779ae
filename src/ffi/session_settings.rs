//! Settings of a session
//!
//! What has to be known before a session is made. Settings belong to the program, which ends them with
//! `otc_session_settings_delete`, right after `otc_session_new_with_settings` if it likes: they are copied there. They
//! may be used for any number of sessions. The functions may be called on any thread.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use parking_lot::Mutex;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::handle::{Kind, Table};
use super::layout::Layout;
use super::refusal::Refusal;
use super::{guard, text};
use crate::api::session::Settings;
use crate::session::ice::{IceConfig, IceServer};

/// Settings of a session. Opaque: a handle, never an address.
pub struct otc_session_settings {
    _private: (),
}

/// STUN and TURN servers of the program's own.
///
/// The three arrays have `num_ice_servers` elements each and are copied with all their texts. An element of `ice_url`
/// that is NULL is passed over; users and credentials may be NULL, the arrays too. Set every member: the struct has no
/// default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_custom_ice_config {
    /// Number of servers, 0 to 64.
    pub num_ice_servers: c_int,
    /// Addresses: `turn:host:port?transport=udp`, also with `tcp`, and `turns:host:port` for TLS; port and transport may be
    /// left out. One that is none of these is left out with a line in the log. STUN servers are of no use here: the
    /// session's server finds out the public address by itself.
    pub ice_url: *mut *mut c_char,
    /// User names for the servers.
    pub ice_user: *mut *mut c_char,
    /// Passwords for the servers.
    pub ice_credential: *mut *mut c_char,
    /// `OTC_TRUE`: media goes through a TURN server and no other way.
    pub force_turn: otc_bool,
    /// `OTC_TRUE`: these servers only. `OTC_FALSE`: these and those that the session's server names.
    pub use_custom_turn_only: otc_bool,
    /// Exactly `OTC_TRUE`: addresses of the local network are not offered to the other side. Any other number means no,
    /// and `force_turn` makes it pointless, because programs older than this member leave garbage in it.
    pub filter_out_lan_candidates: otc_bool,
}

/// More servers than this is a mistake: each one costs a request for each of the machine's addresses.
const ICE_SERVERS_MAX: c_int = 64;

pub(super) static SETTINGS: Table<otc_session_settings, Mutex<Settings>> = Table::new(Kind::Settings);

/// Looks the settings up and changes them.
fn change(
    function: &'static str,
    settings: *mut otc_session_settings,
    change: impl FnOnce(&mut Settings) -> Result<(), Refusal>,
) -> otc_status {
    guard::status(function, || change(&mut SETTINGS.get(settings, "settings")?.lock()))
}

/// Makes settings with the defaults: no connection events suppressed, no servers of one's own, no proxy, no address
/// list, no migration.
///
/// @return The settings, to be ended with `otc_session_settings_delete`.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_settings_new() -> *mut otc_session_settings {
    guard::value("otc_session_settings_new", std::ptr::null_mut(), || {
        Ok(SETTINGS.give(Arc::new(Mutex::new(Settings::default()))))
    })
}

/// Says whether `on_connection_created` and `on_connection_dropped` are left out. Large sessions want that. Stream
/// events still come, and streams still have a connection.
///
/// @param settings  Settings.
/// @param suppress  `OTC_TRUE` to leave them out.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_settings_set_connection_events_suppressed(
    settings: *mut otc_session_settings,
    suppress: otc_bool,
) -> otc_status {
    change("otc_session_settings_set_connection_events_suppressed", settings, |settings| {
        settings.connection_events_suppressed = suppress != OTC_FALSE;
        Ok(())
    })
}

/// Sets STUN and TURN servers.
///
/// Peer connections are offered relays on at most four TURN servers: these, then those that the session's server names,
/// unless `use_custom_turn_only` is set. On the hub, which is on this machine, the servers are not used.
///
/// With `force_turn` media, and signals on a LiveKit server, go through a TURN server and no other way. Where none gives a
/// relay a connect ends with `OTC_SESSION_CONNECTION_FAILED`, at once when it refuses, after 8 seconds when it does not
/// answer.
///
/// @param settings           Settings.
/// @param custom_ice_config  The servers; copied with all texts, so it may be freed at once.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL, the number of servers is negative or above 64,
///         there are servers but no `ice_url`, or a text is not UTF-8: the settings are as before then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_settings_set_custom_ice_config(
    settings: *mut otc_session_settings,
    custom_ice_config: *const otc_custom_ice_config,
) -> otc_status {
    change("otc_session_settings_set_custom_ice_config", settings, |settings| {
        // SAFETY: the caller passes NULL or a struct as its headers lay it out.
        settings.ice = Some(unsafe { read_ice_config(custom_ice_config, Layout::of_the_program()) }?);
        Ok(())
    })
}

/// Reaches the server through a proxy, by CONNECT: the session's link, the calls of moderators, and media by TCP or TLS, be it
/// to a TURN server, whose name the proxy resolves, or to a server that takes it; on a LiveKit server signals are among it.
/// UDP, which no HTTP proxy passes on, is tried first and goes past it. The hub needs no proxy.
///
/// A proxy that cannot be reached, refuses, or does not accept the password makes the connect end with one `on_error`, whose
/// text names it; one that is lost later is a lost link. Where it leads to the server but not to a place for media, that way
/// is left out, and the log says so. Settings in the environment (`http_proxy`) are not read.
///
/// @param settings   Settings.
/// @param proxy_url  Its address, `http://host:port`, `http://user:password@host:port`, or `https` for TLS to the proxy
///                   itself; copied. The empty string takes the proxy away.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or the text is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_session_settings_set_proxy_url(
    settings: *mut otc_session_settings,
    proxy_url: *const c_char,
) -> otc_status {
    change("otc_session_settings_set_proxy_url", settings, |settings| {
        // SAFETY: the caller passes NULL or a C string.
        let url = unsafe { text::required(proxy_url, "proxy_url") }?;
        settings.proxy_url = (!url.is_empty()).then(|| url.to_owned());
        Ok(())
    })
}

/// Says whether the session keeps to the server that it was pointed to. There is no published list of a service's addresses
/// here, as there is for the one that this setting was made for: a server is where its operator says. With it the session
/// does not go to other servers that its own one names, see `otc_session_settings_set_session_migration`. Media goes between
/// this machine and the addresses that the server offers, with it and without.
///
/// @param settings      Settings.
/// @param ip_whitelist  `OTC_TRUE` to keep to it.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_settings_set_ip_whitelist(
    settings: *mut otc_session_settings,
    ip_whitelist: otc_bool,
) -> otc_status {
    change("otc_session_settings_set_ip_whitelist", settings, |settings| {
        settings.ip_whitelist = ip_whitelist != OTC_FALSE;
        Ok(())
    })
}

/// Says whether the session goes on when its server is taken out of service. Off to begin with.
///
/// With it a server that says that it shuts down is no end of the session: there are `on_reconnection_started` and
/// `on_reconnected`, as soon as a server is there again. Where the server has named others (LiveKit's regions) those are tried
/// first, and never without TLS where the session began with it; the token is sent there. Without it such a server is the end,
/// with `OTC_SESSION_CONNECTION_DROPPED`, unless it asks its clients to connect anew, which they do at its own address.
///
/// A server that puts this client into another room needs no setting. The session goes on there under its id: the streams
/// and connections of before are dropped, and those of the other room received and created.
///
/// @param settings           Settings.
/// @param session_migration  `OTC_TRUE` to go on.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_settings_set_session_migration(
    settings: *mut otc_session_settings,
    session_migration: otc_bool,
) -> otc_status {
    change("otc_session_settings_set_session_migration", settings, |settings| {
        settings.session_migration = session_migration != OTC_FALSE;
        Ok(())
    })
}

/// Ends settings. Sessions that were made with them are not touched.
///
/// @param settings  Settings.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_session_settings_delete(settings: *mut otc_session_settings) -> otc_status {
    guard::status("otc_session_settings_delete", || SETTINGS.delete(settings, "settings"))
}

/// # Safety
/// `config` is NULL or points to a struct of that layout whose arrays are as long as it says.
unsafe fn read_ice_config(
    config: *const otc_custom_ice_config,
    layout: Layout,
) -> Result<IceConfig, Refusal> {
    if config.is_null() {
        return Err(Refusal::null("custom_ice_config"));
    }
    // Member by member: in older releases the struct ends before the last one.
    // SAFETY: the caller passes the struct; each member read exists in its layout.
    let (number, urls, users, credentials, force_turn, use_custom_turn_only) = unsafe {
        (
            (&raw const (*config).num_ice_servers).read(),
            (&raw const (*config).ice_url).read(),
            (&raw const (*config).ice_user).read(),
            (&raw const (*config).ice_credential).read(),
            (&raw const (*config).force_turn).read() != OTC_FALSE,
            (&raw const (*config).use_custom_turn_only).read() != OTC_FALSE,
        )
    };
    let filter_out_lan_candidates = match layout {
        // SAFETY: the member exists in this layout.
        Layout::V2_32 => unsafe { (&raw const (*config).filter_out_lan_candidates).read() == OTC_TRUE },
        Layout::V2_24 | Layout::V2_19 => false,
    };
    if !(0..=ICE_SERVERS_MAX).contains(&number) {
        return Err(Refusal::parameter("custom_ice_config", "has a number of servers outside 0 to 64"));
    }
    if number > 0 && urls.is_null() {
        return Err(Refusal::parameter("custom_ice_config", "has servers but no ice_url"));
    }
    let mut servers = Vec::new();
    for index in 0..number as usize {
        // SAFETY: the arrays have `number` elements by the caller's promise, or are NULL.
        let (url, user, credential) = unsafe {
            (
                element(urls, index, "ice_url")?,
                element(users, index, "ice_user")?,
                element(credentials, index, "ice_credential")?,
            )
        };
        if let Some(url) = url {
            servers.push(IceServer {
                url,
                user: user.unwrap_or_default(),
                credential: credential.unwrap_or_default(),
            });
        }
    }
    Ok(IceConfig {
        servers,
        force_turn,
        use_custom_turn_only,
        filter_out_lan_candidates: filter_out_lan_candidates && !force_turn,
    })
}

/// One text of an array; `None` when the array or the text is NULL.
///
/// # Safety
/// `array` is NULL or has more than `index` elements, each NULL or a C string.
unsafe fn element(
    array: *mut *mut c_char,
    index: usize,
    parameter: &'static str,
) -> Result<Option<String>, Refusal> {
    if array.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let pointer = unsafe { array.add(index).read() };
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so a C string by the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|_| Refusal::parameter(parameter, "has a text that is not UTF-8"))?;
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(number: c_int, urls: &mut [*mut c_char]) -> otc_custom_ice_config {
        otc_custom_ice_config {
            num_ice_servers: number,
            ice_url: if urls.is_empty() { std::ptr::null_mut() } else { urls.as_mut_ptr() },
            ice_user: std::ptr::null_mut(),
            ice_credential: std::ptr::null_mut(),
            force_turn: OTC_FALSE,
            use_custom_turn_only: OTC_FALSE,
            filter_out_lan_candidates: 0x5eed,
        }
    }

    fn read(config: &otc_custom_ice_config, layout: Layout) -> Result<IceConfig, Refusal> {
        // SAFETY: the tests keep their arrays as long as they say.
        unsafe { read_ice_config(config, layout) }
    }

    fn good(config: &otc_custom_ice_config, layout: Layout) -> IceConfig {
        read(config, layout).expect("a good configuration")
    }

    #[test]
    fn garbage_in_the_last_member_is_not_true() {
        let config = config(0, &mut []);
        assert!(read(&config, Layout::V2_32).is_ok_and(|ice| ice == IceConfig::default()));
    }

    #[test]
    fn the_last_member_acts_when_exactly_true_and_without_forced_turn() {
        let mut config = config(0, &mut []);
        config.filter_out_lan_candidates = OTC_TRUE;
        assert!(good(&config, Layout::V2_32).filter_out_lan_candidates);
        assert!(!good(&config, Layout::V2_24).filter_out_lan_candidates);
        config.force_turn = OTC_TRUE;
        assert!(!good(&config, Layout::V2_32).filter_out_lan_candidates);
    }

    #[test]
    fn a_server_without_an_address_is_passed_over() {
        let mut urls = [std::ptr::null_mut(), c"turn:127.0.0.1".as_ptr().cast_mut()];
        let servers = good(&config(2, &mut urls), Layout::V2_32).servers;
        assert_eq!(servers.len(), 1);
        assert_eq!(servers[0].url, "turn:127.0.0.1");
        assert_eq!(servers[0].user, "");
    }

    #[test]
    fn absurd_numbers_of_servers_are_refused() {
        for number in [-1, 65, c_int::MAX, c_int::MIN] {
            let mut urls = [std::ptr::null_mut()];
            assert!(read(&config(number, &mut urls), Layout::V2_32).is_err(), "{number}");
        }
        assert!(read(&config(1, &mut []), Layout::V2_32).is_err());
    }
}
