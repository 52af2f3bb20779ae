//! Reports of statistics of a publisher
//!
//! Beside `on_audio_stats` and `on_video_stats` a program may ask for a report as JSON, in the shape and with the names of
//! the W3C's `RTCStatsReport`. The functions may be called on any thread and in every callback.

use std::ffi::{c_char, c_void};

use super::base::otc_status;
use super::publisher::{PUBLISHERS, change};
use super::publisher_callbacks::otc_publisher;
use super::{guard, text};
use crate::api::reporter::Reporter;

/// A report of statistics for one receiver, or for the server.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_publisher_rtc_stats {
    /// The empty string: media goes to the server once, whoever receives it.
    pub connection_id: *const c_char,
    /// A JSON array of objects; `otc_publisher_get_rtc_stats_report` says of which types.
    pub json_array_of_reports: *const c_char,
}

/// How a report of statistics is asked for. Passed by value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_publisher_rtc_stats_report_cb {
    /// Handed back to the function, never read.
    pub user_data: *mut c_void,
    /// Gets the reports: `entries` of them, one with a server. Lent until it returns.
    pub on_rtc_stats_report: Option<
        unsafe extern "C" fn(
            publisher: *mut otc_publisher,
            user_data: *mut c_void,
            stats: *const otc_publisher_rtc_stats,
            entries: usize,
        ),
    >,
    /// NULL. Not read.
    pub reserved: *mut c_void,
}

/// Asks for a report of statistics. The function registered with `otc_publisher_set_rtc_stats_report_cb` gets it, on the
/// callback thread.
///
/// Types, members and units are those of the W3C's "Identifiers for WebRTC's Statistics API", except that `timestamp` is in
/// microseconds. There is an `outbound-rtp` for sound and for each layer of the picture (those of several have a `rid`), a
/// `remote-inbound-rtp` for each that the server has reported on, a `codec`, a `media-source` of sound and of the picture, the
/// `transport`, and the `candidate-pair` in use with its `local-candidate` and `remote-candidate`. What is not known is left
/// out, and before there is a way for the media that is everything: the array is empty.
///
/// @param publisher  A publisher.
///
/// @return `OTC_SUCCESS`: the report will come.
///         `OTC_PUBLISHER_SESSION_DISCONNECTED`: the publisher is in no session; no report comes.
///         `OTC_INVALID_PARAM`: `publisher` is NULL or no live publisher, or no function was registered.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_get_rtc_stats_report(publisher: *const otc_publisher) -> otc_status {
    guard::status("otc_publisher_get_rtc_stats_report", || {
        Ok(PUBLISHERS.get(publisher, "publisher")?.publisher.report()?)
    })
}

/// Registers the function that gets reports of statistics, in place of the one before.
///
/// After this function has returned the one before is not called any more, also not with reports that were asked for
/// already, so its `user_data` may be freed. When it is running on another thread, this function waits for it, at most two
/// seconds; inside a callback it does not wait.
///
/// @param publisher  A publisher.
/// @param cb         The function and its `user_data`; copied. A NULL function takes the registration back.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_set_rtc_stats_report_cb(
    publisher: *mut otc_publisher,
    cb: otc_publisher_rtc_stats_report_cb,
) -> otc_status {
    let (handle, user_data) = (publisher as usize, cb.user_data as usize);
    change("otc_publisher_set_rtc_stats_report_cb", publisher, |publisher| {
        publisher.set_reporter(cb.on_rtc_stats_report.map(|call| {
            let report = move |json: &str| {
                let json = text::outgoing(json);
                let stats = otc_publisher_rtc_stats {
                    connection_id: text::EMPTY.as_ptr(),
                    json_array_of_reports: json.as_ptr(),
                };
                // SAFETY: the program promises a callable function; what is lent lives through the call.
                unsafe { call(handle as *mut otc_publisher, user_data as *mut c_void, &stats, 1) }
            };
            Box::new(report) as Reporter
        }));
        Ok(())
    })
}
