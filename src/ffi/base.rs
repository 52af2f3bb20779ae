//! The library as a whole
//!
//! `otc_init` comes first, `otc_destroy` last; only the log functions may be called before. Both may be repeated any
//! number of times in one process. Everything here may be called on any thread.

use std::ffi::{c_int, c_void};

use super::{guard, session};
use crate::api::library;

/// Truth on its way in and out: `OTC_FALSE` (0) or `OTC_TRUE` (1). Coming in, any number but 0 is true.
pub type otc_bool = c_int;

/// What a call answers: `OTC_SUCCESS` (0) or a code.
pub type otc_status = c_int;

// These three stand in the header as `enum otc_constant`, whose equal values Rust cannot write.
pub(super) const OTC_SUCCESS: otc_status = 0;
pub(super) const OTC_FALSE: otc_bool = 0;
pub(super) const OTC_TRUE: otc_bool = 1;

/// Why video of a publisher or subscriber came or went.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_video_reason {
    /// The publisher started or stopped to publish video.
    OTC_VIDEO_REASON_PUBLISH_VIDEO = 1,
    /// The subscriber started or stopped to subscribe to video.
    OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO = 2,
    /// The quality of the link changed.
    OTC_VIDEO_REASON_QUALITY = 3,
    /// The codec of the stream cannot be used here.
    OTC_VIDEO_REASON_CODEC_NOT_SUPPORTED = 4,
}

/// What `on_mute_forced` tells. Lent to the callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_on_mute_forced_info {
    /// Whether streams that are published from now on start muted. False when a moderator has ended that.
    pub active: otc_bool,
}

/// Starts the library. To be called before anything but the log functions.
///
/// A second call without `otc_destroy` between is harmless. The library's threads start here; no socket is opened
/// before a session needs one.
///
/// @param reserved  NULL. Not read.
///
/// @return `OTC_SUCCESS`, or `OTC_FATAL` when the system refuses a thread or a descriptor: nothing is started then and
///         the call may be repeated.
#[unsafe(no_mangle)]
pub extern "C" fn otc_init(reserved: *mut c_void) -> otc_status {
    guard::status("otc_init", || {
        let _ = reserved;
        Ok(library::init()?)
    })
}

/// Ends everything that lives and waits for it, at most five seconds, however many sessions there are.
///
/// Live sessions are left and deleted; their handles give codes from then on. No callback starts after this function
/// has returned, and none is made because of it. Afterwards no thread, socket or timer of the library exists, `dlclose`
/// is safe (the library stays mapped, so a thread of the program that once called it may end later), and `otc_init`
/// begins anew. Copies of connections and streams, and settings, stay valid and are still deleted by the program. The
/// logger and its level stay in force.
///
/// Inside a callback it does everything but wait for that callback.
///
/// @return `OTC_SUCCESS`, also when there was nothing to end.
#[unsafe(no_mangle)]
pub extern "C" fn otc_destroy() -> otc_status {
    guard::status("otc_destroy", || {
        library::destroy()?;
        session::forget_all();
        Ok(())
    })
}
