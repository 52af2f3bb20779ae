//! Additions of this library
//!
//! Not in the original. A program that uses them runs with this library only.

use super::audio_module_input_device::INPUTS;
use super::audio_module_output_device::OUTPUTS;
use super::base::otc_status;
use super::connection::CONNECTIONS;
use super::guard;
use super::media_transformer::{AUDIO_TRANSFORMERS, VIDEO_TRANSFORMERS};
use super::media_utils::{self, video_codec_number};
use super::publisher::PUBLISHERS;
use super::publisher_settings::{PUBLISHER_SETTINGS, otc_publisher_settings};
use super::refusal::Refusal;
use super::session::SESSIONS;
use super::session_settings::SETTINGS;
use super::stream::STREAMS;
use super::subscriber::SUBSCRIBERS;
use super::video_capturer::CAPTURERS;
use super::video_frame::FRAMES;

/// How long a list of preferences may be: a larger number is a mistake.
const PREFERENCES_MAX: usize = 16;

/// How many handles are live: sessions, publishers, subscribers, settings, connections, streams, frames, lists of devices, lists of codecs and transformers,
/// those that the library keeps for itself
/// included. For checks that a program deletes what it makes; 0 when nothing is left. May be called on any thread.
///
/// @return The number.
#[unsafe(no_mangle)]
pub extern "C" fn otc_ext_live_objects() -> usize {
    guard::value("otc_ext_live_objects", 0, || {
        let media =
            PUBLISHERS.len() + CAPTURERS.len() + PUBLISHER_SETTINGS.len() + SUBSCRIBERS.len() + FRAMES.len();
        let sound = INPUTS.len()
            + OUTPUTS.len()
            + media_utils::live()
            + VIDEO_TRANSFORMERS.len()
            + AUDIO_TRANSFORMERS.len();
        Ok(SESSIONS.len() + SETTINGS.len() + CONNECTIONS.len() + STREAMS.len() + media + sound)
    })
}

/// Sets the order in which a publisher prefers video codecs. The first one is used that this machine can encode and the
/// server takes; VP8 follows whatever is not among them, since it goes everywhere. What the machine can encode is told by
/// `otc_media_utils_get_supported_codecs`; what it cannot is passed over. A LiveKit server gives every subscriber the codec
/// that is sent. VP9 is sent in one size, whoever wants a smaller one.
///
/// @param settings  Settings; publishers that were made with them before keep what they have.
/// @param codecs    The codecs, the best first; copied. NULL for none.
/// @param count     How many; 0 for none: VP8, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings, `codecs` is NULL and `count` is
///         not 0, there are more than 16, or one of them is no codec. Nothing changes then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_ext_publisher_settings_set_preferred_video_codecs(
    settings: *mut otc_publisher_settings,
    codecs: *const video_codec_number,
    count: usize,
) -> otc_status {
    guard::status("otc_ext_publisher_settings_set_preferred_video_codecs", || {
        let held = PUBLISHER_SETTINGS.get(settings, "settings")?;
        if codecs.is_null() && count > 0 {
            return Err(Refusal::null("codecs"));
        }
        if count > PREFERENCES_MAX {
            return Err(Refusal::parameter("count", "is larger than there are codecs"));
        }
        let mut preferred = Vec::new();
        for index in 0..count {
            // SAFETY: not NULL, and the caller promises so many of them.
            let number = unsafe { codecs.add(index).read() };
            preferred
                .push(media_utils::codec(number).ok_or(Refusal::parameter("codecs", "has no such codec"))?);
        }
        held.lock().settings.preferred_codecs = preferred;
        Ok(())
    })
}
