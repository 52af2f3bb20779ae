//! `include/opentok.h` is what the doc comments of `src/ffi` say, and every compiler takes it.
//!
//! `UPDATE=1 cargo test --test header` rewrites it.

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::{Workshop, project, read};

/// The header: the hand-written top, then one section for each file of `SECTIONS`. A section is the file's first lines
/// (`//!`) and what cbindgen makes of its exported items.
fn generated() -> String {
    let config = cbindgen::Config::from_file(project().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut header = read("src/ffi/header_top.h");
    for section in opentok::ffi::SECTIONS {
        let path = format!("src/ffi/{section}.rs");
        let mut items = Vec::new();
        cbindgen::Builder::new()
            .with_config(config.clone())
            .with_src(project().join(&path))
            .generate()
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .write(&mut items);
        let items = String::from_utf8(items).expect("cbindgen writes UTF-8");
        write!(header, "\n{}\n{}\n", introduction(&path), items.trim()).expect("a String takes everything");
    }
    header.push_str("\nOTC_END_DECL\n\n#endif /* OPENTOK_H */\n");
    header
}

/// The first comment of a file as a C comment; its first line is the section's title.
fn introduction(path: &str) -> String {
    let text = read(path);
    let mut lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let title = lines.next().expect("every section has a title");
    let prose: String = lines.map(|line| format!(" * {line}").trim_end().to_owned() + "\n").collect();
    format!("/* ==== {title} ====\n{prose} */\n")
}

/// The header in the checkout, after `UPDATE=1` has rewritten it.
fn checked_in() -> &'static str {
    static HEADER: OnceLock<String> = OnceLock::new();
    HEADER.get_or_init(|| {
        if std::env::var_os("UPDATE").is_some() {
            let path = project().join("include/opentok.h");
            std::fs::write(path, generated()).expect("include/ can be written");
        }
        read("include/opentok.h")
    })
}

#[test]
fn the_header_is_what_the_sources_say() {
    let generated = generated();
    let present = checked_in();
    let first = generated.lines().zip(present.lines()).position(|(new, old)| new != old);
    assert!(
        generated == present,
        "include/opentok.h differs from the sources (first at line {}); run: UPDATE=1 cargo test --test header",
        first.map_or("the end".to_owned(), |line| (line + 1).to_string())
    );
}

#[test]
fn every_header_of_the_original_has_its_forwarder() {
    for name in FORWARDERS {
        let path = format!("include/opentok/{name}.h");
        let expected = "#include \"../opentok.h\"\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(project().join("include/opentok")).expect("include/ can be written");
            std::fs::write(project().join(&path), expected).expect("include/ can be written");
        }
        assert_eq!(read(&path), expected, "{path}: programs include the original's headers one by one");
    }
}

/// The headers of the original, which programs include one by one.
const FORWARDERS: [&str; 18] = [
    "audio_data",
    "audio_device",
    "audio_module_input_device",
    "audio_module_output_device",
    "base",
    "camera_capture_resolution",
    "capabilities",
    "config",
    "connection",
    "error",
    "media_transformer",
    "media_utils",
    "publisher",
    "session",
    "stream",
    "subscriber",
    "video_capturer",
    "video_frame",
];

#[test]
fn the_header_has_at_least_as_much_prose_as_code() {
    let header = checked_in();
    let (mut prose, mut code, mut in_comment) = (0, 0, false);
    for line in header.lines().map(str::trim).filter(|line| !line.is_empty()) {
        in_comment |= line.starts_with("/*");
        if in_comment {
            prose += 1
        } else {
            code += 1
        }
        in_comment &= !line.ends_with("*/");
    }
    assert!(prose >= code, "{prose} lines of prose, {code} of code: the header is the manual");
}

/// What programs write with the header. One text for C and C++.
const USES: &str = r#"
#include <opentok.h>
#include <opentok.h>
#include <opentok/base.h>
#include <opentok/session.h>
#include <opentok/video_frame.h>

static void on_connected(otc_session* session, void* user_data) { (void)session; (void)user_data; }
static void on_signal_received(otc_session* session, void* user_data, const char* type, const char* signal,
                               const otc_connection* connection) {
  (void)user_data;
  otc_session_send_signal_to_connection(session, type, signal, connection);
}
static void on_error(otc_session* session, void* user_data, const char* error_string,
                     enum otc_session_error_code error) {
  (void)session; (void)user_data; (void)error_string;
  if (error == OTC_SESSION_AUTHORIZATION_FAILURE) { return; }
}
static void on_mute_forced(otc_session* session, void* user_data, otc_on_mute_forced_info* mute_info) {
  (void)session; (void)user_data; (void)mute_info->active;
}
static void on_log(const char* message) { (void)message; }
static const uint8_t* get_plane(void* user_data, enum otc_video_frame_plane plane) {
  return plane == OTC_VIDEO_FRAME_PLANE_Y ? (const uint8_t*)user_data : (const uint8_t*)0;
}
static int get_plane_stride(void* user_data, enum otc_video_frame_plane plane) { (void)user_data; return (int)plane; }
static void release(const uint8_t* buffer, void* arg) { (void)buffer; (void)arg; }
static void transform(void* user_data, struct otc_video_frame* frame) {
  const uint8_t* planes[3];
  uint8_t* targets[1];
  int strides[3];
  const int target_strides[] = {64};
  size_t size;
  struct otc_video_frame_planar_memory_callbacks callbacks;
  otc_video_frame_memory_release_callback given = release;
  otc_video_frame* copy = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, frame);
  callbacks.get_plane = get_plane;
  callbacks.get_plane_stride = get_plane_stride;
  callbacks.release = NULL;
  callbacks.user_data = user_data;
  planes[0] = otc_video_frame_get_plane_binary_data(copy, OTC_VIDEO_FRAME_PLANE_PACKED);
  targets[0] = (uint8_t*)user_data;
  strides[0] = otc_video_frame_get_plane_stride(copy, OTC_VIDEO_FRAME_PLANE_PACKED);
  otc_video_frame_delete(otc_video_frame_new_from_planes(OTC_VIDEO_FRAME_FORMAT_ARGB32, 4, 4, planes, strides));
  otc_video_frame_delete(otc_video_frame_new_planar_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_YUV420P, 4, 4, OTC_TRUE,
                                                                   &callbacks));
  otc_video_frame_delete(otc_video_frame_new_contiguous_memory_wrapper(
      OTC_VIDEO_FRAME_FORMAT_RGB24, 4, 4, OTC_FALSE, planes[0], 48, given, user_data));
  otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ABGR32, targets, target_strides, copy);
  otc_video_frame_get_metadata(copy, &size);
  otc_video_frame_delete(copy);
}

OTC_BEGIN_DECL
OTC_DECL(int) a_function_of_the_program(void);
OTC_END_DECL
OTC_DEF(int) a_function_of_the_program(void) {
#ifdef __cplusplus
  struct otc_session_callbacks callbacks = {};
#else
  struct otc_session_callbacks callbacks = {0};
#endif
  otc_session_callbacks plain = callbacks;
  void (*enable)(enum otc_log_level) = otc_log_enable;
  enum otc_log_level (*level)(void) = otc_get_log_level;
  otc_logger_callback logger = on_log;
  video_transform_callback transformer = transform;
  struct otc_signal_options options = {OTC_FALSE};
  struct otc_session_capabilities capabilities;
  const char* excluded[] = {"one", "two"};
  otc_session* session;
  otc_stream* copy;

  callbacks.on_connected = on_connected;
  callbacks.on_signal_received = on_signal_received;
  callbacks.on_error = on_error;
  callbacks.on_mute_forced = on_mute_forced;
  callbacks.user_data = (void*)&plain;
  transformer(NULL, NULL);
  enable(OTC_LOG_LEVEL_ALL);
  otc_log_set_logger_callback(logger);
  otc_init(NULL);
  session = otc_session_new("key", "session", &callbacks);
  capabilities = otc_session_get_capabilities(session);
  otc_session_send_signal_with_options(session, "type", NULL, options);
  otc_session_force_mute_all(session, excluded, 2);
  copy = otc_stream_copy((const otc_stream*)0);
  otc_stream_delete(copy);
  otc_connection_delete((otc_connection*)otc_session_get_connection(session));
  return capabilities.publish == OTC_TRUE && level() == OTC_LOG_LEVEL_DEBUG && otc_destroy() == OTC_SUCCESS;
}
"#;

/// Only C and C++20 have designated initialisers.
const DESIGNATED: &str = r#"
struct otc_session_callbacks designated(void* user_data);
struct otc_session_callbacks designated(void* user_data) {
  struct otc_session_callbacks callbacks = {
    .on_connected = on_connected, .on_disconnected = on_connected, .on_connection_created = NULL,
    .on_connection_dropped = NULL, .on_stream_received = NULL, .on_stream_dropped = NULL,
    .on_stream_has_audio_changed = NULL, .on_stream_has_video_changed = NULL,
    .on_stream_has_captions_changed = NULL, .on_stream_video_dimensions_changed = NULL,
    .on_stream_video_type_changed = NULL, .on_signal_received = on_signal_received,
    .on_reconnection_started = NULL, .on_reconnected = NULL, .on_archive_started = NULL,
    .on_archive_stopped = NULL, .on_error = on_error, .on_mute_forced = on_mute_forced,
    .user_data = user_data, .reserved = NULL,
  };
  return callbacks;
}
"#;

#[test]
fn every_compiler_takes_the_header() {
    checked_in();
    let workshop = Workshop::new("header");
    let alone = workshop.write("alone.c", "#include <opentok.h>\nint main(void) { return 0; }\n");
    for (compiler, language, standards) in [
        ("gcc", "c", ["c99", "c11", "c17", "c2x"]),
        ("g++", "c++", ["c++11", "c++14", "c++17", "c++20"]),
        ("clang", "c", ["c99", "c11", "c17", "c2x"]),
        ("clang++", "c++", ["c++11", "c++14", "c++17", "c++20"]),
    ] {
        if Command::new(compiler).arg("--version").output().is_err() {
            assert_ne!(compiler, "gcc", "a C compiler is needed");
            eprintln!("left out: {compiler} is not here");
            continue;
        }
        for standard in standards {
            let has_designated = language == "c" || standard == "c++20";
            let designated = if has_designated { DESIGNATED } else { "" };
            let uses = workshop.write("uses.c", &format!("{USES}{designated}"));
            for source in [&alone, &uses] {
                takes(compiler, language, standard, source);
            }
        }
    }
}

fn takes(compiler: &str, language: &str, standard: &str, source: &Path) {
    let output = Command::new(compiler)
        .args(["-x", language, &format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg("-fsyntax-only")
        .arg("-I")
        .arg(project().join("include"))
        .arg(source)
        .output()
        .expect("the compiler runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} -std={standard} {}:\n{told}", source.display());
}

#[test]
fn the_program_at_the_top_of_the_header_compiles() {
    let header = checked_in();
    let example: String = header
        .lines()
        .skip_while(|line| !line.contains("example: begin"))
        .skip(1)
        .take_while(|line| !line.contains("example: end"))
        .map(|line| line.trim_start_matches(" *").to_owned() + "\n")
        .collect();
    assert!(example.contains("int main"), "the example has to be found");
    let workshop = Workshop::new("example");
    takes("gcc", "c", "c11", &workshop.write("example.c", &example));
}
