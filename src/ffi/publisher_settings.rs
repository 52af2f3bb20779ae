//! Settings of a publisher
//!
//! What has to be known before a publisher is made. Settings belong to the program, which ends them with
//! `otc_publisher_settings_delete`, right after `otc_publisher_new_with_settings` if it likes: they are copied there. They
//! may be used for any number of publishers. The functions may be called on any thread.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use parking_lot::Mutex;

use super::base::{OTC_FALSE, otc_bool, otc_status};
use super::handle::{Kind, Table};
use super::refusal::Refusal;
use super::video_capturer::otc_video_capturer_callbacks;
use super::{guard, text};
use crate::api::publisher::{Processing, Settings};

/// Settings of a publisher. Opaque: a handle, never an address.
pub struct otc_publisher_settings {
    _private: (),
}

/// How large the pictures of the default camera are.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_camera_capture_resolution {
    /// 320 × 240.
    OTC_CAMERA_CAPTURE_RESOLUTION_LOW = 0,
    /// 640 × 480, the default.
    OTC_CAMERA_CAPTURE_RESOLUTION_MEDIUM = 1,
    /// 1280 × 720.
    OTC_CAMERA_CAPTURE_RESOLUTION_HIGH = 2,
    /// 1920 × 1080.
    OTC_CAMERA_CAPTURE_RESOLUTION_1080P = 3,
}

/// A resolution as it comes in: a C program may pass a number that the enum does not have.
#[allow(non_camel_case_types)]
pub type camera_resolution_number = c_int;

/// What settings hold: the values, and the program's capturer as it was handed in.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub settings: Settings,
    pub capturer: Option<otc_video_capturer_callbacks>,
    /// Whatever `settings` say of each kind of processing, which they keep.
    has_no_processing: bool,
}

impl Held {
    /// What a publisher is made with.
    pub fn effective(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.has_no_processing {
            settings.processing =
                Processing { echo_cancellation: false, noise_suppression: false, gain_control: false };
        }
        settings
    }
}

// SAFETY: the pointers in the capturer's struct are never followed here; they are handed back to the program.
unsafe impl Send for Held {}

pub(super) static PUBLISHER_SETTINGS: Table<otc_publisher_settings, Mutex<Held>> =
    Table::new(Kind::PublisherSettings);

fn change(
    function: &'static str,
    settings: *mut otc_publisher_settings,
    change: impl FnOnce(&mut Held) -> Result<(), Refusal>,
) -> otc_status {
    guard::status(function, || change(&mut PUBLISHER_SETTINGS.get(settings, "settings")?.lock()))
}

/// Makes settings with the defaults, which stand at each function.
///
/// @return The settings, to be ended with `otc_publisher_settings_delete`.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_new() -> *mut otc_publisher_settings {
    guard::value("otc_publisher_settings_new", std::ptr::null_mut(), || {
        Ok(PUBLISHER_SETTINGS.give(Arc::new(Mutex::new(Held::default()))))
    })
}

/// Ends settings. Publishers made with them keep theirs.
///
/// @param settings  Settings.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_delete(settings: *mut otc_publisher_settings) -> otc_status {
    guard::status("otc_publisher_settings_delete", || PUBLISHER_SETTINGS.delete(settings, "settings"))
}

/// Sets the name that others see of the stream.
///
/// @param settings  Settings.
/// @param name      The name; copied. NULL is the empty string, the default. What is not UTF-8 in it becomes U+FFFD.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_settings_set_name(
    settings: *mut otc_publisher_settings,
    name: *const c_char,
) -> otc_status {
    guard::status("otc_publisher_settings_set_name", || {
        let held = PUBLISHER_SETTINGS.get(settings, "settings")?;
        // SAFETY: the caller passes NULL or a C string.
        let name = unsafe { text::shown(name, "name") };
        held.lock().settings.name = name.into_owned();
        Ok(())
    })
}

/// Sets the source of pictures.
///
/// @param settings  Settings.
/// @param capturer  The functions of the capturer; copied. NULL, the default, is the camera of the machine.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_settings_set_video_capturer(
    settings: *mut otc_publisher_settings,
    capturer: *const otc_video_capturer_callbacks,
) -> otc_status {
    change("otc_publisher_settings_set_video_capturer", settings, |held| {
        // SAFETY: the caller passes NULL or a struct.
        held.capturer = unsafe { capturer.as_ref() }.copied();
        Ok(())
    })
}

/// Sets how large the pictures of the default camera are. A camera that cannot do that gives what comes closest.
///
/// @param settings                   Settings.
/// @param camera_capture_resolution  The size.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings, or there is no such size.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_default_camera_capture_resolution(
    settings: *mut otc_publisher_settings,
    camera_capture_resolution: camera_resolution_number,
) -> otc_status {
    change("otc_publisher_settings_set_default_camera_capture_resolution", settings, |held| {
        held.settings.camera_resolution = match camera_capture_resolution {
            0 => (320, 240),
            1 => (640, 480),
            2 => (1280, 720),
            3 => (1920, 1080),
            _ => return Err(Refusal::parameter("camera_capture_resolution", "is no resolution")),
        };
        Ok(())
    })
}

/// Says whether sound is left as the microphone brings it: no echo cancellation, noise suppression or gain control, whatever
/// is said of them, before or after.
///
/// @param settings  Settings.
/// @param disabled  `OTC_TRUE` leaves it. With `OTC_FALSE`, the default, each of the three is as its own function says.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_disable_audio_processing(
    settings: *mut otc_publisher_settings,
    disabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_disable_audio_processing", settings, |held| {
        held.has_no_processing = disabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether the stream has sound at all.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`: the stream has no audio track.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_audio_track(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_audio_track", settings, |held| {
        held.settings.has_audio = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether the stream has video at all.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`: the stream has no video track, and no capturer is
///                  used.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_video_track(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_video_track", settings, |held| {
        held.settings.has_video = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether sound is sent in two channels. An audio device of the program's brings two where it says so; the system's is
/// recorded in one, which is on both sides then.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default: one channel.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_stereo(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_stereo", settings, |held| {
        held.settings.is_stereo = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether next to nothing is sent while nothing is to be heard.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_opus_dtx(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_opus_dtx", settings, |held| {
        held.settings.uses_dtx = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether the microphone is kept at an even loudness. There is one microphone for all publishers: what one of
/// them switches off is off for all.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_auto_gain_control(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_auto_gain_control", settings, |held| {
        held.settings.processing.gain_control = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether steady noise is taken out of the microphone's sound. One microphone for all publishers, as above.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_noise_suppression(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_noise_suppression", settings, |held| {
        held.settings.processing.noise_suppression = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether what the loudspeaker plays is taken out of the microphone's sound. One microphone for all
/// publishers, as above.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_echo_cancellation(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_echo_cancellation", settings, |held| {
        held.settings.processing.echo_cancellation = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether a screen is sent in several sizes, from which each receiver gets what suits it. Cameras always are.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_scalable_screenshare(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_scalable_screenshare", settings, |held| {
        held.settings.is_screen_scalable = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether this publisher stops its video when its network is too poor for it, so that the sound goes on.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_publisher_audio_fallback_enabled(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_publisher_audio_fallback_enabled", settings, |held| {
        held.settings.audio_fallback = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether the server may stop this publisher's video for a receiver whose network is too poor for it.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`. The servers that this library knows decide for
///                  themselves; the wish is kept.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_subscriber_audio_fallback_enabled(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_subscriber_audio_fallback_enabled", settings, |held| {
        held.settings.subscriber_fallback = enabled != OTC_FALSE;
        Ok(())
    })
}

/// Says whether receivers are told what this publisher's network carries: in the `sender_connection_` members of their
/// statistics, in sessions of more than two.
///
/// @param settings  Settings.
/// @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
#[unsafe(no_mangle)]
pub extern "C" fn otc_publisher_settings_set_sender_stats_track(
    settings: *mut otc_publisher_settings,
    enabled: otc_bool,
) -> otc_status {
    change("otc_publisher_settings_set_sender_stats_track", settings, |held| {
        held.settings.sends_statistics = enabled != OTC_FALSE;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::base::OTC_TRUE;
    use super::*;

    #[test]
    fn processing_that_is_disabled_as_a_whole_comes_back_as_it_was() {
        let settings = otc_publisher_settings_new();
        let processing = || {
            let held = PUBLISHER_SETTINGS.get(settings, "settings").expect("they live");
            let Processing { echo_cancellation, noise_suppression, gain_control } =
                held.lock().effective().processing;
            [echo_cancellation, noise_suppression, gain_control]
        };
        assert_eq!(processing(), [true; 3]);
        otc_publisher_settings_set_echo_cancellation(settings, OTC_FALSE);
        otc_publisher_settings_set_disable_audio_processing(settings, OTC_FALSE);
        assert_eq!(processing(), [false, true, true], "a default that is written out changes nothing");
        otc_publisher_settings_set_disable_audio_processing(settings, OTC_TRUE);
        otc_publisher_settings_set_noise_suppression(settings, OTC_TRUE);
        assert_eq!(processing(), [false; 3]);
        otc_publisher_settings_set_disable_audio_processing(settings, OTC_FALSE);
        assert_eq!(processing(), [false, true, true]);
        otc_publisher_settings_delete(settings);
    }
}
