//! The library as a whole
//!
//! `otc_init` comes first, `otc_destroy` last; only the log functions may be called before. Both may be repeated any
//! number of times in one process. Everything here may be called on any thread.
//!
//! A child made by `fork` between the two has none of the library's threads: there every function answers as if it had
//! failed (`OTC_FATAL`, NULL), and `otc_destroy` does nothing, successfully. The parent notices nothing, and `exec` and
//! exits are as usual. Fork before `otc_init` or after `otc_destroy` to use the library in both.
//!
//! Signals: threads of the library that never call a function of the program hold them back, but for those that a thread
//! causes itself (`SIGSEGV` and the like) and `SIGPROF`. Those that call the program's functions have the mask of the thread
//! that called `otc_init`: block a signal there, and no thread of the library ever handles it.

use std::ffi::{c_int, c_void};

use super::{guard, session};
use crate::api::library;
use crate::session::media::VideoReason;

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
    /// The publisher started or stopped to publish video, or to let this client have it.
    OTC_VIDEO_REASON_PUBLISH_VIDEO = 1,
    /// The subscriber started or stopped to subscribe to video.
    OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO = 2,
    /// The quality of the link changed.
    OTC_VIDEO_REASON_QUALITY = 3,
    /// The codec of the stream cannot be used here.
    OTC_VIDEO_REASON_CODEC_NOT_SUPPORTED = 4,
}

impl From<VideoReason> for otc_video_reason {
    fn from(reason: VideoReason) -> Self {
        match reason {
            VideoReason::PublishVideo => Self::OTC_VIDEO_REASON_PUBLISH_VIDEO,
            VideoReason::SubscribeToVideo => Self::OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO,
            VideoReason::Quality => Self::OTC_VIDEO_REASON_QUALITY,
            VideoReason::CodecNotSupported => Self::OTC_VIDEO_REASON_CODEC_NOT_SUPPORTED,
        }
    }
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
/// A second call without `otc_destroy` between is harmless. It starts the library's threads, one for each processor but
/// at most four, and one for callbacks; more sessions do not make more of them. No socket is opened before a session
/// needs one.
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
/// Live sessions are left and deleted, and so are publishers and subscribers; their handles give codes from then on. No
/// callback starts after this function has returned. Because of it none is made but those that end what the program
/// provides: `stop` and `destroy` of its capturers, and those of its audio device, which stays set for the next `otc_init`.
///
/// Afterwards no thread, socket or timer of the library exists, `dlclose` is safe (the library stays mapped, so a thread of
/// the program that once called it may end later), and `otc_init` begins anew. Copies of connections and streams, and
/// settings, stay valid and are still deleted by the program. The logger and its level stay in force.
///
/// Name servers that do not answer are not waited for, because the system's resolver cannot be interrupted: a thread that is
/// in it (`getaddrinfo`, with its socket) may outlive the library for as long as that takes. Such threads are few, hold
/// nothing else and call nobody, and the next library goes on with them.
///
/// Inside a callback it does everything but wait for that callback, and an audio device that runs hears nothing of it: it
/// is stopped and destroyed before it is used the next time.
///
/// @return `OTC_SUCCESS`, also when there was nothing to end.
///         `OTC_FATAL`: it was called by a handler of `atexit` or by the logger on a thread of the library, which needs
///         another thread for it, and the system refuses that. All is left and deleted, but the library's threads live
///         on; the next `otc_destroy` ends them.
#[unsafe(no_mangle)]
pub extern "C" fn otc_destroy() -> otc_status {
    if library::is_lost() {
        return OTC_SUCCESS; // what lives is the parent's
    }
    guard::status("otc_destroy", || Ok(library::destroy(session::forget_all)?))
}
