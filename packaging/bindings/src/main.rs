//! Joins a session, greets everybody in it (itself included), and leaves when it hears a greeting.

mod opentok {
    #![allow(dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals, unsafe_op_in_unsafe_fn)]
    include!(concat!(env!("OUT_DIR"), "/opentok.rs"));
}

use std::env;
use std::ffi::{CStr, CString, c_char, c_void};
use std::process::ExitCode;
use std::ptr;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use opentok::*;

/// The session talks to a hub inside this program.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the callbacks tell `main`.
enum News {
    Connected,
    Greeted(String),
    Disconnected,
    Failed(String),
}

unsafe fn tell(user_data: *mut c_void, news: News) {
    // SAFETY: `main` keeps the sender until the session is deleted.
    let sender = unsafe { &*user_data.cast::<Sender<News>>() };
    let _ = sender.send(news); // `main` has given up
}

unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: the library lends a C string.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn on_connected(session: *mut otc_session, user_data: *mut c_void) {
    unsafe {
        tell(user_data, News::Connected);
        otc_session_send_signal(session, c"greeting".as_ptr(), c"hello".as_ptr());
    }
}

unsafe extern "C" fn on_signal(
    session: *mut otc_session,
    user_data: *mut c_void,
    kind: *const c_char,
    signal: *const c_char,
    from: *const otc_connection,
) {
    unsafe {
        let from = text(otc_connection_get_data(from));
        tell(user_data, News::Greeted(format!("{}: {}, from {from}", text(kind), text(signal))));
        otc_session_disconnect(session);
    }
}

unsafe extern "C" fn on_disconnected(_: *mut otc_session, user_data: *mut c_void) {
    unsafe { tell(user_data, News::Disconnected) }
}

unsafe extern "C" fn on_error(
    _: *mut otc_session,
    user_data: *mut c_void,
    sentence: *const c_char,
    error: otc_session_error_code,
) {
    unsafe { tell(user_data, News::Failed(format!("error {}: {}", error.0, text(sentence)))) }
}

fn main() -> ExitCode {
    let arguments: Vec<CString> =
        env::args().skip(1).map(|one| CString::new(one).expect("no zero")).collect();
    let [key, id, token] = arguments.as_slice() else {
        eprintln!("usage: openotc-bindings API_KEY SESSION_ID TOKEN");
        return ExitCode::from(2);
    };
    let (sender, news) = channel::<News>();
    let callbacks = otc_session_callbacks {
        on_connected: Some(on_connected),
        on_signal_received: Some(on_signal),
        on_disconnected: Some(on_disconnected),
        on_error: Some(on_error),
        user_data: (&raw const sender).cast_mut().cast(),
        ..Default::default()
    };
    let success = otc_constant::OTC_SUCCESS.0 as otc_status;
    // SAFETY: the strings live through the calls, and `sender` until the session is deleted.
    unsafe {
        assert_eq!(otc_init(ptr::null_mut()), success);
        let session = otc_session_new(key.as_ptr(), id.as_ptr(), &callbacks);
        assert_eq!(otc_session_connect(session, token.as_ptr()), success);
        let is_well = loop {
            match news.recv_timeout(PATIENCE) {
                Ok(News::Connected) => println!("connected"),
                Ok(News::Greeted(greeting)) => println!("{greeting}"),
                Ok(News::Disconnected) => {
                    println!("disconnected");
                    break true;
                }
                Ok(News::Failed(why)) => {
                    eprintln!("{why}");
                    break false;
                }
                Err(_) => {
                    eprintln!("nothing came");
                    break false;
                }
            }
        };
        assert_eq!(otc_session_delete(session), success);
        assert_eq!(otc_destroy(), success);
        if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
