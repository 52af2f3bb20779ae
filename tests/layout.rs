//! Sizes, offsets and numbers of the interface, from the C side and from the Rust side.
//!
//! A program compiled against the original's headers has them burnt in.

mod common;

use std::mem::{offset_of, size_of};
use std::process::Command;

use common::Workshop;
use opentok::ffi::audio_data::otc_audio_data;
use opentok::ffi::audio_device::{otc_audio_device_callbacks, otc_audio_device_settings};
use opentok::ffi::base::otc_on_mute_forced_info;
use opentok::ffi::media_utils::otc_media_utils_codecs;
use opentok::ffi::publisher_callbacks::{
    otc_publisher_audio_stats, otc_publisher_callbacks, otc_publisher_video_stats,
};
use opentok::ffi::publisher_stats::{otc_publisher_rtc_stats, otc_publisher_rtc_stats_report_cb};
use opentok::ffi::session::otc_session_capabilities;
use opentok::ffi::session_callbacks::otc_session_callbacks;
use opentok::ffi::session_settings::otc_custom_ice_config;
use opentok::ffi::session_signal::otc_signal_options;
use opentok::ffi::subscriber::otc_subscriber_rtc_stats_report_cb;
use opentok::ffi::subscriber_callbacks::{
    otc_subscriber_audio_stats, otc_subscriber_callbacks, otc_subscriber_video_stats,
};
use opentok::ffi::video_capturer::{otc_video_capturer_callbacks, otc_video_capturer_settings};
use opentok::ffi::video_frame_make::otc_video_frame_planar_memory_callbacks;

/// One struct: its size, and its members with their offsets. On both sides.
macro_rules! layouts {
    ($($name:ident: $size:literal { $($member:ident: $offset:literal),* $(,)? })*) => {
        /// The same facts as C assertions.
        const ASSERTIONS: &str = concat!($(
            "_Static_assert(sizeof(struct ", stringify!($name), ") == ", $size, ", \"", stringify!($name), "\");\n",
            $(
                "_Static_assert(offsetof(struct ", stringify!($name), ", ", stringify!($member), ") == ", $offset,
                ", \"", stringify!($name), ".", stringify!($member), "\");\n",
            )*
        )*);

        #[cfg(target_pointer_width = "64")]
        #[test]
        fn rust_lays_structs_out_as_the_contract_says() {
            $(
                assert_eq!(size_of::<$name>(), $size, stringify!($name));
                $( assert_eq!(offset_of!($name, $member), $offset, stringify!($member)); )*
            )*
        }
    };
}

layouts! {
    otc_session_callbacks: 160 {
        on_connected: 0,
        on_disconnected: 8,
        on_connection_created: 16,
        on_connection_dropped: 24,
        on_stream_received: 32,
        on_stream_dropped: 40,
        on_stream_has_audio_changed: 48,
        on_stream_has_video_changed: 56,
        on_stream_has_captions_changed: 64,
        on_stream_video_dimensions_changed: 72,
        on_stream_video_type_changed: 80,
        on_signal_received: 88,
        on_reconnection_started: 96,
        on_reconnected: 104,
        on_archive_started: 112,
        on_archive_stopped: 120,
        on_error: 128,
        on_mute_forced: 136,
        user_data: 144,
        reserved: 152,
    }
    otc_video_capturer_settings: 24 {
        format: 0,
        width: 4,
        height: 8,
        fps: 12,
        expected_delay: 16,
        mirror_on_local_render: 20,
    }
    otc_video_capturer_callbacks: 56 {
        init: 0,
        destroy: 8,
        start: 16,
        stop: 24,
        get_capture_settings: 32,
        user_data: 40,
        reserved: 48,
    }
    otc_publisher_audio_stats: 64 {
        connection_id: 0,
        subscriber_id: 8,
        packets_lost: 16,
        packets_sent: 24,
        bytes_sent: 32,
        audio_level: 40,
        timestamp: 48,
        start_time: 56,
    }
    otc_publisher_video_stats: 56 {
        connection_id: 0,
        subscriber_id: 8,
        packets_lost: 16,
        packets_sent: 24,
        bytes_sent: 32,
        timestamp: 40,
        start_time: 48,
    }
    otc_publisher_rtc_stats: 16 {
        connection_id: 0,
        json_array_of_reports: 8,
    }
    otc_publisher_rtc_stats_report_cb: 24 {
        user_data: 0,
        on_rtc_stats_report: 8,
        reserved: 16,
    }
    otc_publisher_callbacks: 112 {
        on_stream_created: 0,
        on_stream_destroyed: 8,
        on_render_frame: 16,
        on_audio_level_updated: 24,
        on_publisher_mute_forced: 32,
        on_audio_stats: 40,
        on_video_stats: 48,
        on_error: 56,
        on_video_disabled: 64,
        on_video_enabled: 72,
        on_video_disable_warning: 80,
        on_video_disable_warning_lifted: 88,
        user_data: 96,
        reserved: 104,
    }
    otc_subscriber_audio_stats: 56 {
        packets_lost: 0,
        packets_received: 8,
        bytes_received: 16,
        audio_level: 24,
        timestamp: 32,
        sender_connection_max_allocated_bitrate: 40,
        sender_connection_estimated_bandwidth: 48,
    }
    otc_subscriber_video_stats: 48 {
        packets_lost: 0,
        packets_received: 8,
        bytes_received: 16,
        timestamp: 24,
        sender_connection_max_allocated_bitrate: 32,
        sender_connection_estimated_bandwidth: 40,
    }
    otc_subscriber_rtc_stats_report_cb: 24 {
        user_data: 0,
        on_rtc_stats_report: 8,
        reserved: 16,
    }
    otc_subscriber_callbacks: 152 {
        on_connected: 0,
        on_disconnected: 8,
        on_reconnected: 16,
        on_render_frame: 24,
        on_video_disabled: 32,
        on_video_enabled: 40,
        on_audio_disabled: 48,
        on_audio_enabled: 56,
        on_video_data_received: 64,
        on_video_disable_warning: 72,
        on_caption_text: 80,
        on_video_disable_warning_lifted: 88,
        on_audio_stats: 96,
        on_video_stats: 104,
        on_audio_level_updated: 112,
        on_error: 120,
        on_audio_data: 128,
        user_data: 136,
        reserved: 144,
    }
    otc_audio_data: 32 {
        sample_buffer: 0,
        bits_per_sample: 8,
        sample_rate: 12,
        number_of_channels: 16,
        number_of_samples: 24,
    }
    otc_custom_ice_config: 48 {
        num_ice_servers: 0,
        ice_url: 8,
        ice_user: 16,
        ice_credential: 24,
        force_turn: 32,
        use_custom_turn_only: 36,
        filter_out_lan_candidates: 40,
    }
    otc_session_capabilities: 16 { publish: 0, subscribe: 4, force_mute: 8, force_disconnect: 12 }
    otc_signal_options: 4 { retry_after_reconnect: 0 }
    otc_on_mute_forced_info: 4 { active: 0 }
    otc_media_utils_codecs: 32 {
        number_encoder_video_codecs: 0,
        encoder_video_codecs: 8,
        number_decoder_video_codecs: 16,
        decoder_video_codecs: 24,
    }
    otc_video_frame_planar_memory_callbacks: 40 {
        get_plane: 0,
        get_plane_stride: 8,
        release: 16,
        user_data: 24,
        reserved: 32,
    }
    otc_audio_device_callbacks: 160 {
        init: 0,
        destroy: 8,
        init_capturer: 16,
        destroy_capturer: 24,
        start_capturer: 32,
        stop_capturer: 40,
        is_capturer_initialized: 48,
        is_capturer_started: 56,
        get_estimated_capture_delay: 64,
        get_capture_settings: 72,
        init_renderer: 80,
        destroy_renderer: 88,
        start_renderer: 96,
        stop_renderer: 104,
        is_renderer_initialized: 112,
        is_renderer_started: 120,
        get_estimated_render_delay: 128,
        get_render_settings: 136,
        user_data: 144,
        reserved: 152,
    }
    otc_audio_device_settings: 8 { sampling_rate: 0, number_of_channels: 4 }
}

/// Names and numbers that programs have burnt in.
const NUMBERS: &[(&str, i32)] = &[
    ("OTC_SUCCESS", 0),
    ("OTC_FALSE", 0),
    ("OTC_TRUE", 1),
    ("OTC_INVALID_PARAM", 1),
    ("OTC_FATAL", 2),
    ("OTC_INVALID_VIDEO_FORMAT", 3),
    ("OTC_CONNECTION_DROPPED", 1022),
    ("OTC_UNABLE_TO_FORCE_DISCONNECT", 1520),
    ("OTC_UNABLE_TO_FORCE_MUTE", 1540),
    ("OTC_CONNECTION_TIMED_OUT", 1542),
    ("OTC_UNKNOWN_PUBLISHER_INSTANCE", 2003),
    ("OTC_UNKNOWN_SUBSCRIBER_INSTANCE", 2004),
    ("OTC_VIDEO_CAPTURE_FAILED", 3000),
    ("OTC_CAMERA_FAILED", 3010),
    ("OTC_VIDEO_RENDER_FAILED", 4000),
    ("OT_UNABLE_TO_ACCESS_MEDIA_ENGINE", 5000),
    ("OTC_GENERIC_ERROR", 0),
    ("OTC_LOG_LEVEL_DISABLED", 0),
    ("OTC_LOG_LEVEL_ERROR", 1),
    ("OTC_LOG_LEVEL_WARN", 2),
    ("OTC_LOG_LEVEL_INFO", 3),
    ("OTC_LOG_LEVEL_DEBUG", 4),
    ("OTC_LOG_LEVEL_FATAL", 1),
    ("OTC_LOG_LEVEL_MSG", 4),
    ("OTC_LOG_LEVEL_TRACE", 4),
    ("OTC_LOG_LEVEL_ALL", 4),
    ("OTC_VIDEO_REASON_PUBLISH_VIDEO", 1),
    ("OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO", 2),
    ("OTC_VIDEO_REASON_QUALITY", 3),
    ("OTC_VIDEO_REASON_CODEC_NOT_SUPPORTED", 4),
    ("OTC_VIDEO_CODEC_VP8", 1),
    ("OTC_VIDEO_CODEC_H264", 2),
    ("OTC_VIDEO_CODEC_VP9", 3),
    ("OTC_STREAM_VIDEO_TYPE_CAMERA", 1),
    ("OTC_STREAM_VIDEO_TYPE_SCREEN", 2),
    ("OTC_STREAM_VIDEO_TYPE_CUSTOM", 3),
    ("OTC_PUBLISHER_INTERNAL_ERROR", 2000),
    ("OTC_PUBLISHER_SESSION_DISCONNECTED", 1010),
    ("OTC_PUBLISHER_TIMED_OUT", 1541),
    ("OTC_PUBLISHER_UNABLE_TO_PUBLISH", 1500),
    ("OTC_PUBLISHER_WEBRTC_ERROR", 1610),
    ("OTC_PUBLISHER_ENCRYPTION_INTERNAL_ERROR", 6001),
    ("OTC_PUBLISHER_ENCRYPTION_UNSUPPORTED_CODEC", 6005),
    ("OTC_PUBLISHER_MISSING_AUDIO_TRACK", 6100),
    ("OTC_SUBSCRIBER_DECRYPTION_INTERNAL_ERROR", 6002),
    ("OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH", 6003),
    ("OTC_SUBSCRIBER_DECRYPTION_UNSUPPORTED_CODEC", 6006),
    ("OTC_SUBSCRIBER_INTERNAL_ERROR", 2000),
    ("OTC_SUBSCRIBER_SESSION_DISCONNECTED", 1010),
    ("OTC_SUBSCRIBER_SERVER_CANNOT_FIND_STREAM", 1604),
    ("OTC_SUBSCRIBER_STREAM_LIMIT_EXCEEDED", 1605),
    ("OTC_SUBSCRIBER_TIMED_OUT", 1542),
    ("OTC_SUBSCRIBER_WEBRTC_ERROR", 1600),
    ("OTC_PUBLISHER_VIDEO_TYPE_CAMERA", 1),
    ("OTC_PUBLISHER_VIDEO_TYPE_SCREEN", 2),
    ("OTC_MEDIA_TYPE_VIDEO", 0),
    ("OTC_MEDIA_TYPE_AUDIO", 1),
    ("OTC_VIDEO_BITRATE_PRESET_DEFAULT", 0),
    ("OTC_VIDEO_BITRATE_PRESET_BW_SAVER", 1),
    ("OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER", 2),
    ("OTC_VIDEO_BITRATE_PRESET_CUSTOM", 3),
    ("OTC_CAMERA_CAPTURE_RESOLUTION_LOW", 0),
    ("OTC_CAMERA_CAPTURE_RESOLUTION_MEDIUM", 1),
    ("OTC_CAMERA_CAPTURE_RESOLUTION_HIGH", 2),
    ("OTC_CAMERA_CAPTURE_RESOLUTION_1080P", 3),
    ("OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE", 0),
    ("OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_MOTION", 1),
    ("OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_DETAIL", 2),
    ("OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT", 3),
    ("OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM", 0),
    ("OTC_MEDIA_TRANSFORMER_TYPE_VONAGE", 1),
    ("OTC_MEDIA_TRANSFORMER_ERROR_SPACE", 167772160),
    ("OTC_MEDIA_TRANSFORMER_INTERNAL_ERROR", 167772160),
    ("OTC_MEDIA_TRANSFORMER_INVALID_TYPE", 167772161),
    ("OTC_MEDIA_TRANSFORMER_NAME_NOT_PROVIDED", 167772162),
    ("OTC_MEDIA_TRANSFORMER_CUSTOM_CALLBACK_NOT_PROVIDED", 167772163),
    ("OTC_MEDIA_TRANSFORMER_PROPERTIES_NOT_PROVIDED", 167772164),
    ("OTC_MEDIA_TRANSFORMER_MODEL_NOT_FOUND", 167772165),
    ("OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED", 167772166),
    ("OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_SYMBOL_NOT_FOUND", 167772167),
    ("OTC_SESSION_AUTHORIZATION_FAILURE", 1004),
    ("OTC_SESSION_INVALID_SESSION", 1005),
    ("OTC_SESSION_CONNECTION_FAILED", 1006),
    ("OTC_SESSION_NOT_CONNECTED", 1010),
    ("OTC_SESSION_NULL_OR_INVALID_PARAMETER", 1011),
    ("OTC_SESSION_ILLEGAL_STATE", 1015),
    ("OTC_SESSION_STATE_FAILED", 1020),
    ("OTC_SESSION_CONNECTION_TIMED_OUT", 1021),
    ("OTC_SESSION_CONNECTION_DROPPED", 1022),
    ("OTC_SESSION_CONNECTION_REFUSED", 1023),
    ("OTC_SESSION_BLOCKED_COUNTRY", 1026),
    ("OTC_SESSION_CONNECTION_LIMIT_EXCEEDED", 1027),
    ("OTC_SESSION_SUBSCRIBER_NOT_FOUND", 1112),
    ("OTC_SESSION_PUBLISHER_NOT_FOUND", 1113),
    ("OTC_SESSION_SIGNAL_DATA_TOO_LONG", 1413),
    ("OTC_SESSION_SIGNAL_TYPE_TOO_LONG", 1414),
    ("OTC_SESSION_INVALID_SIGNAL_TYPE", 1461),
    ("OTC_SESSION_NO_MESSAGING_SERVER", 1503),
    ("OTC_SESSION_FORCE_UNPUBLISH_OR_INVALID_STREAM", 1535),
    ("OTC_SESSION_UNABLE_TO_SEND_SIGNAL", 1550),
    ("OTC_SESSION_INTERNAL_ERROR", 2000),
    ("OTC_SESSION_UNEXPECTED_GET_SESSION_INFO_REPONSE", 2001),
    ("OTC_SESSION_ENCRYPTION_SECRET_MISSING", 6000),
    ("OTC_SESSION_INVALID_ENCRYPTION_SECRET", 6004),
    ("OTC_VIDEO_FRAME_FORMAT_UNKNOWN", 0),
    ("OTC_VIDEO_FRAME_FORMAT_YUV420P", 1),
    ("OTC_VIDEO_FRAME_FORMAT_NV12", 2),
    ("OTC_VIDEO_FRAME_FORMAT_NV21", 3),
    ("OTC_VIDEO_FRAME_FORMAT_YUY2", 4),
    ("OTC_VIDEO_FRAME_FORMAT_UYVY", 5),
    ("OTC_VIDEO_FRAME_FORMAT_ARGB32", 6),
    ("OTC_VIDEO_FRAME_FORMAT_BGRA32", 7),
    ("OTC_VIDEO_FRAME_FORMAT_RGB24", 8),
    ("OTC_VIDEO_FRAME_FORMAT_ABGR32", 9),
    ("OTC_VIDEO_FRAME_FORMAT_MJPEG", 10),
    ("OTC_VIDEO_FRAME_FORMAT_RGBA32", 11),
    ("OTC_VIDEO_FRAME_FORMAT_COMPRESSED", 255),
    ("OTC_VIDEO_FRAME_FORMAT_MAX", 12),
    ("OTC_VIDEO_FRAME_PLANE_Y", 0),
    ("OTC_VIDEO_FRAME_PLANE_U", 1),
    ("OTC_VIDEO_FRAME_PLANE_V", 2),
    ("OTC_VIDEO_FRAME_PLANE_PACKED", 0),
    ("OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED", 1),
    ("OTC_VIDEO_FRAME_PLANE_VU_INTERLEAVED", 1),
    ("OTC_VIDEO_FRAME_METADATA_MAX_SIZE", 32),
    ("ENCRYPTION_SECRET_MINIMUM_LENGTH", 8),
    ("ENCRYPTION_SECRET_MAXIMUM_LENGTH", 256),
];

/// Every enum is as wide as an `int`.
const ENUMS: &[&str] = &[
    "otc_constant",
    "otc_error_code",
    "otc_error",
    "otc_log_level",
    "otc_video_reason",
    "otc_stream_video_type",
    "otc_video_codec_type",
    "otc_session_error_code",
    "otc_publisher_error_code",
    "otc_subscriber_error_code",
    "otc_publisher_video_type",
    "otc_media_type",
    "otc_video_bitrate_preset",
    "otc_camera_capture_resolution",
    "otc_video_capturer_content_hint_type",
    "otc_media_transformer_type",
    "otc_media_transformer_error_code",
    "otc_video_frame_format",
    "otc_video_frame_plane",
];

#[cfg(target_pointer_width = "64")]
#[test]
fn c_sees_structs_and_numbers_as_the_contract_says() {
    let mut source = format!("#include <opentok.h>\n#include <stddef.h>\n{ASSERTIONS}");
    for (name, number) in NUMBERS {
        source += &format!("_Static_assert((int){name} == {number}, \"{name}\");\n");
    }
    for name in ENUMS {
        source += &format!("_Static_assert(sizeof(enum {name}) == sizeof(int), \"{name}\");\n");
    }
    let workshop = Workshop::new("layout");
    let source = workshop.write("layout.c", &source);
    let output = Command::new("cc")
        .args(["-std=c11", "-fsyntax-only", "-I"])
        .arg(common::project().join("include"))
        .arg(source)
        .output()
        .expect("a C compiler is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
