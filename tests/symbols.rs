//! The shared library exports what the header declares and nothing else, and needs nothing unusual.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{declared_functions, libraries};

/// The functions of the interface up to sessions, and video frames, written down a second time: neither a function that is lost nor one
/// that creeps in goes unseen.
const FUNCTIONS: &[&str] = &[
    "otc_audio_device_read_render_data",
    "otc_audio_device_write_capture_data",
    "otc_audio_module_input_device_enumerator_delete",
    "otc_audio_module_input_device_enumerator_get_device_id",
    "otc_audio_module_input_device_enumerator_get_device_name",
    "otc_audio_module_input_device_enumerator_new",
    "otc_audio_module_input_device_enumerator_size",
    "otc_audio_module_input_device_select",
    "otc_audio_module_output_device_enumerator_delete",
    "otc_audio_module_output_device_enumerator_get_device_id",
    "otc_audio_module_output_device_enumerator_get_device_name",
    "otc_audio_module_output_device_enumerator_new",
    "otc_audio_module_output_device_enumerator_size",
    "otc_audio_module_output_device_select",
    "otc_connection_copy",
    "otc_connection_delete",
    "otc_connection_get_creation_time",
    "otc_connection_get_data",
    "otc_connection_get_id",
    "otc_connection_get_session_id",
    "otc_destroy",
    "otc_ext_live_objects",
    "otc_ext_publisher_settings_set_preferred_video_codecs",
    "otc_get_log_level",
    "otc_init",
    "otc_log_enable",
    "otc_log_set_logger_callback",
    "otc_publisher_delete",
    "otc_publisher_get_audio_fallback_enabled",
    "otc_publisher_get_max_video_bitrate",
    "otc_publisher_get_name",
    "otc_publisher_get_publish_audio",
    "otc_publisher_get_publish_video",
    "otc_publisher_get_publisher_id",
    "otc_publisher_get_rtc_stats_report",
    "otc_publisher_get_session",
    "otc_publisher_get_stream",
    "otc_publisher_get_user_data",
    "otc_publisher_get_video_bitrate_preset",
    "otc_publisher_get_video_type",
    "otc_publisher_new",
    "otc_publisher_new_with_settings",
    "otc_publisher_set_audio_fallback_enabled",
    "otc_publisher_set_max_audio_bitrate",
    "otc_publisher_set_max_video_bitrate",
    "otc_publisher_set_publish_audio",
    "otc_publisher_set_publish_captions",
    "otc_publisher_set_publish_video",
    "otc_publisher_set_rtc_stats_report_cb",
    "otc_publisher_set_video_bitrate_preset",
    "otc_publisher_set_video_type",
    "otc_publisher_settings_delete",
    "otc_publisher_settings_new",
    "otc_publisher_settings_set_audio_track",
    "otc_publisher_settings_set_auto_gain_control",
    "otc_publisher_settings_set_default_camera_capture_resolution",
    "otc_publisher_settings_set_disable_audio_processing",
    "otc_publisher_settings_set_echo_cancellation",
    "otc_publisher_settings_set_name",
    "otc_publisher_settings_set_noise_suppression",
    "otc_publisher_settings_set_opus_dtx",
    "otc_publisher_settings_set_publisher_audio_fallback_enabled",
    "otc_publisher_settings_set_scalable_screenshare",
    "otc_publisher_settings_set_sender_stats_track",
    "otc_publisher_settings_set_stereo",
    "otc_publisher_settings_set_subscriber_audio_fallback_enabled",
    "otc_publisher_settings_set_video_capturer",
    "otc_publisher_settings_set_video_track",
    "otc_subscriber_delete",
    "otc_subscriber_get_audio_volume",
    "otc_subscriber_get_preferred_framerate",
    "otc_subscriber_get_preferred_resolution",
    "otc_subscriber_get_rtc_stats_report",
    "otc_subscriber_get_session",
    "otc_subscriber_get_stream",
    "otc_subscriber_get_subscribe_to_audio",
    "otc_subscriber_get_subscribe_to_captions",
    "otc_subscriber_get_subscribe_to_video",
    "otc_subscriber_get_subscriber_id",
    "otc_subscriber_get_user_data",
    "otc_subscriber_new",
    "otc_subscriber_set_audio_volume",
    "otc_subscriber_set_preferred_framerate",
    "otc_subscriber_set_preferred_resolution",
    "otc_subscriber_set_rtc_stats_report_cb",
    "otc_subscriber_set_subscribe_to_audio",
    "otc_subscriber_set_subscribe_to_captions",
    "otc_subscriber_set_subscribe_to_video",
    "otc_video_capturer_get_content_hint",
    "otc_video_capturer_provide_frame",
    "otc_video_capturer_set_content_hint",
    "otc_video_transformer_delete",
    "otc_video_transformer_create",
    "otc_publisher_set_video_transformers",
    "otc_publisher_set_audio_transformers",
    "otc_audio_transformer_delete",
    "otc_audio_transformer_create",
    "otc_media_utils_codecs_delete",
    "otc_media_utils_get_supported_codecs",
    "otc_session_connect",
    "otc_session_connect_to_host",
    "otc_session_delete",
    "otc_session_disable_force_mute",
    "otc_session_disconnect",
    "otc_session_force_disconnect",
    "otc_session_force_mute_all",
    "otc_session_force_mute_stream",
    "otc_session_get_capabilities",
    "otc_session_get_connection",
    "otc_session_get_id",
    "otc_session_get_user_data",
    "otc_session_new",
    "otc_session_new_with_settings",
    "otc_session_publish",
    "otc_session_report_issue",
    "otc_session_send_signal",
    "otc_session_send_signal_to_connection",
    "otc_session_send_signal_to_connection_with_options",
    "otc_session_send_signal_with_options",
    "otc_session_set_encryption_secret",
    "otc_session_settings_delete",
    "otc_session_settings_new",
    "otc_session_settings_set_connection_events_suppressed",
    "otc_session_settings_set_custom_ice_config",
    "otc_session_settings_set_ip_whitelist",
    "otc_session_settings_set_proxy_url",
    "otc_session_settings_set_session_migration",
    "otc_session_subscribe",
    "otc_session_unpublish",
    "otc_session_unsubscribe",
    "otc_set_audio_device",
    "otc_stream_copy",
    "otc_stream_delete",
    "otc_stream_get_connection",
    "otc_stream_get_creation_time",
    "otc_stream_get_id",
    "otc_stream_get_name",
    "otc_stream_get_video_height",
    "otc_stream_get_video_type",
    "otc_stream_get_video_width",
    "otc_stream_has_audio",
    "otc_stream_has_audio_track",
    "otc_stream_has_captions",
    "otc_stream_has_video",
    "otc_stream_has_video_track",
    "otc_video_frame_convert",
    "otc_video_frame_convert_inplace",
    "otc_video_frame_copy",
    "otc_video_frame_delete",
    "otc_video_frame_get_buffer",
    "otc_video_frame_get_buffer_size",
    "otc_video_frame_get_format",
    "otc_video_frame_get_height",
    "otc_video_frame_get_metadata",
    "otc_video_frame_get_native_handle",
    "otc_video_frame_get_number_of_planes",
    "otc_video_frame_get_plane_binary_data",
    "otc_video_frame_get_plane_height",
    "otc_video_frame_get_plane_size",
    "otc_video_frame_get_plane_stride",
    "otc_video_frame_get_plane_width",
    "otc_video_frame_get_timestamp",
    "otc_video_frame_get_width",
    "otc_video_frame_is_contiguous",
    "otc_video_frame_is_packed",
    "otc_video_frame_mutable_copy",
    "otc_video_frame_new",
    "otc_video_frame_new_I420",
    "otc_video_frame_new_I420_from_planes_with_format",
    "otc_video_frame_new_I420_wrapper",
    "otc_video_frame_new_MJPEG",
    "otc_video_frame_new_NV12_wrapper",
    "otc_video_frame_new_NV21_wrapper",
    "otc_video_frame_new_compressed",
    "otc_video_frame_new_contiguous_memory_wrapper",
    "otc_video_frame_new_from_planes",
    "otc_video_frame_new_planar_memory_wrapper",
    "otc_video_frame_set_format",
    "otc_video_frame_set_metadata",
    "otc_video_frame_set_timestamp",
];

fn symbols(which: &str) -> BTreeSet<String> {
    let library = libraries().join("libopentok.so");
    let output = Command::new("nm").args(["-D", which]).arg(&library).output().expect("nm belongs to gcc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("nm writes UTF-8");
    text.lines().filter_map(|line| line.split_whitespace().next_back()).map(str::to_owned).collect()
}

fn expected() -> BTreeSet<String> {
    FUNCTIONS.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_library_exports_the_interface_and_nothing_else() {
    assert_eq!(symbols("--defined-only"), expected());
}

#[test]
fn the_header_declares_the_interface_and_nothing_else() {
    let declared: BTreeSet<String> = declared_functions().into_iter().collect();
    assert_eq!(declared, expected());
}

#[test]
fn the_library_needs_no_cpp_runtime() {
    let foreign: Vec<String> =
        symbols("--undefined-only").into_iter().filter(|name| name.starts_with("_Z")).collect();
    assert!(foreign.is_empty(), "a C++ runtime is needed for {foreign:?}");
}

#[test]
fn the_library_has_its_name_stays_mapped_and_needs_glibc_alone() {
    let library = libraries().join("libopentok.so");
    let output = Command::new("readelf").arg("-d").arg(library).output().expect("readelf belongs to gcc");
    let text = String::from_utf8(output.stdout).expect("readelf writes UTF-8");
    assert!(text.contains("soname: [libopentok.so]"), "programs are linked against this name:\n{text}");
    assert!(text.contains("NODELETE"), "a thread of the host may end after dlclose:\n{text}");
    for line in text.lines().filter(|line| line.contains("(NEEDED)")) {
        let is_known = ["[libc.so", "[libgcc_s.so", "[ld-linux", "[libm.so", "[libpthread.so", "[libdl.so"]
            .iter()
            .any(|known| line.contains(known));
        assert!(is_known, "a library that a fresh system may lack: {line}");
    }
}
