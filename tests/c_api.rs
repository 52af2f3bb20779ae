//! C programs against the shared library: the contract as its users see it.
//!
//! Each file of `tests/c` is one program with many tests; the list below names them all, so each is a test of its own
//! here. A test runs in a process of its own with a hub of its own, and has a limit. `tests/c/programs` has programs as
//! people write them.
//!
//! What is not tested here: other machines' servers and what happens when they fall over (`tests/peers`).

mod common;
#[path = "c/programs/mod.rs"]
mod programs;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Workshop, compile, libraries, project, read};
use opentok::signal::token::{Order, Role, classic};

/// Longer than the patience of a C test, so that its own words come first. `C_TEST_LIMIT_S` is for slow tools.
const LIMIT_S: &str = "120";

const KEY: &str = "100042";
const SESSION: &str = "1_meeting";

fn token(data: &str, key: &str, role: Role) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let order = Order {
        api_key: key,
        secret: "the tests' secret",
        session_id: SESSION,
        role,
        connection_data: data,
        created_s: now_s,
        expires_s: now_s + 3600,
        nonce: 7,
    };
    classic(&order).expect("a token")
}

/// The program of a file in `tests/c`, compiled by whoever needs it first, into cargo's own folder.
fn program(file: &str) -> PathBuf {
    type Programs = HashMap<String, Arc<OnceLock<PathBuf>>>;
    static PROGRAMS: Mutex<Option<Programs>> = Mutex::new(None);
    let cell = {
        let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get_or_insert_default().entry(file.to_owned()).or_default().clone()
    };
    let source = project().join("tests/c").join(file);
    let program = compiled().join(format!("c-{}", source.file_stem().expect("a name").display()));
    cell.get_or_init(|| compile(&source, program)).clone()
}

/// What the tests of `dlopen` open.
fn library() -> PathBuf {
    let usual = || libraries().join("libopentok.so");
    std::env::var_os("C_TEST_LIBRARY").map_or_else(usual, PathBuf::from)
}

/// Where compiled C programs go. `tests/sanitizers/run.sh` has a place for each of its tools.
fn compiled() -> PathBuf {
    let usual = || PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::env::var_os("C_TEST_PROGRAMS").map_or_else(usual, PathBuf::from)
}

/// A runtime folder, and so a hub, of its own.
fn runtime() -> Workshop {
    let runtime = Workshop::new("run");
    std::fs::set_permissions(&runtime.path, std::fs::Permissions::from_mode(0o700)).expect("its own folder");
    runtime
}

/// Runs one test of a file.
fn run(file: &str, test: &str) {
    let runtime = runtime();
    let mut command = command(&program(&format!("{file}.c")), &runtime);
    if let Some(release) = test.strip_prefix("layout_") {
        let [major, minor] = [0, 1].map(|part| release.split('_').nth(part).expect("layout_2_19_…"));
        command.env("OTC_ABI", format!("{major}.{minor}"));
    }
    let output = command.arg(test).stdin(Stdio::null()).output().expect("timeout belongs to coreutils");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} {test}: {}\n{told}", output.status);
}

/// The program with a limit, and with what the tests find in the environment. The words of `C_TEST_RUNNER` stand before
/// it: valgrind and its options.
fn command(program: &Path, runtime: &Workshop) -> Command {
    let limit_s = std::env::var("C_TEST_LIMIT_S").unwrap_or_else(|_| LIMIT_S.into());
    let runner = std::env::var("C_TEST_RUNNER").unwrap_or_default();
    let mut command = Command::new("timeout");
    command
        .args(["-s", "ABRT", &limit_s])
        .args(runner.split_whitespace())
        .arg(program)
        // Cargo's own path leads to target/debug first, where the library of some earlier `cargo build` may lie.
        .env("LD_LIBRARY_PATH", libraries())
        .env_remove("OTC_URL")
        .env_remove("OTC_ABI")
        .env_remove("OTC_LOG")
        .env_remove("OTC_API_SECRET")
        .env_remove("LIVEKIT_URL")
        .env_remove("PULSE_SERVER")
        .env_remove("PULSE_RUNTIME_PATH")
        .env("XDG_RUNTIME_DIR", &runtime.path)
        .env("XDG_CONFIG_HOME", &runtime.path)
        .env("TEST_LIBRARY", library())
        .env("TEST_KEY", KEY)
        .env("TEST_SESSION", SESSION)
        .env("TEST_TOKEN", token("one", KEY, Role::Moderator))
        .env("TEST_OTHER_TOKEN", token("two", KEY, Role::Moderator))
        .env("TEST_SUBSCRIBER_TOKEN", token("one", KEY, Role::Subscriber))
        .env("TEST_PLAIN_TOKEN", token("plain", KEY, Role::Publisher))
        .env("TEST_BAD_TOKEN", token("bad", "another key", Role::Moderator));
    command
}

/// One `#[test]` for each test of a C file.
macro_rules! c_tests {
    ($($file:ident { $($test:ident)* })*) => {
        $(mod $file {
            $(#[test]
            fn $test() {
                super::run(stringify!($file), stringify!($test));
            })*
        })*

        const LISTED: &[(&str, &[&str])] = &[$((stringify!($file), &[$(stringify!($test)),*])),*];
    };
}

c_tests! {
    handles {
        null_is_refused_by_every_function
        invented_handles_are_refused_by_every_function
        a_deleted_handle_is_refused_by_every_function
        a_handle_of_another_kind_is_refused_and_stays
        a_new_handle_is_never_an_old_one
        of_two_threads_that_delete_one_succeeds
        mandatory_arguments_are_refused_when_null
        publishers_and_subscribers_that_do_not_exist_have_their_codes
    }
    texts {
        a_session_has_the_id_it_was_made_with
        nonsense_is_no_reason_to_make_no_session
        text_that_is_not_utf8_is_refused_where_it_means_something
        settings_end_before_their_session_and_serve_several
        absurd_ice_configurations_are_refused
        secrets_are_8_to_256_long
        the_length_of_a_secret_is_that_of_its_characters
        an_issue_has_an_id_that_free_takes
        user_data_comes_back_unchanged
        signals_are_checked_before_they_are_sent
        what_needs_a_connected_session_says_so
    }
    video_frame {
        a_new_frame_has_a_copy_of_the_buffer
        without_a_buffer_a_new_frame_is_black
        planes_have_their_numbers_and_the_old_ones
        strides_are_taken_and_left_out_of_the_copy
        a_wrapper_lies_on_the_memory_and_gives_it_back_once
        copies_share_a_wrappers_memory_only_where_that_is_allowed
        wrappers_without_a_release_function_are_copied_deeply
        a_wrapper_that_is_refused_gives_nothing_back
        a_release_function_may_be_left_out
        a_copy_has_all_that_its_original_had
        a_mutable_copy_may_be_drawn_into
        an_orange_is_the_same_in_every_format
        other_targets_are_refused
        conversion_into_the_programs_memory_respects_its_strides
        a_frame_may_be_converted_onto_itself
        a_label_that_does_not_fit_is_not_stuck_on
        metadata_is_at_most_32_bytes
        coded_frames_carry_their_bytes
        sizes_that_no_picture_has_are_refused
        missing_planes_and_wrong_strides_are_refused
        formats_without_pixels_are_refused_where_pixels_are_needed
        wrong_handles_are_refused_by_every_function
        threads_may_copy_and_convert_one_frame
        a_release_function_may_call_the_library
    }
    codecs {
        what_is_supported_is_listed_once
        without_libraries_vp8_can_be_received_and_nothing_sent
        wrong_pointers_are_refused
        preferences_are_codecs
    }
    log {
        nothing_is_logged_before_it_is_enabled
        a_line_comes_without_a_further_call_when_the_logger_is_set_last
        a_line_comes_without_a_further_call_when_the_level_is_set_last
        the_logger_may_be_set_before_the_library_starts
        the_first_line_comes_at_every_level
        a_mistake_is_told_with_function_and_parameter
        a_mistake_with_every_picture_is_told_once_for_each_handle
        the_logger_may_call_the_library
        the_logger_may_call_the_library_when_that_is_not_running
        the_logger_may_ask_for_the_codecs_while_they_are_looked_for
        destroy_does_not_wait_for_a_logger_that_waits_for_who_destroys
        a_console_that_nobody_reads_ends_no_program
        the_logger_may_ask_a_publisher_that_is_being_published
        levels_of_old_headers_are_understood
    }
    audio_device {
        a_device_may_be_set_at_any_time
        a_buffer_is_always_filled_while_the_library_runs
        what_is_captured_is_taken_while_the_library_runs
        null_and_absurd_numbers_are_refused_and_told_once
        threads_of_the_program_may_be_in_it_while_the_library_comes_and_goes
        lists_of_devices_are_whole_or_empty_and_end
        a_device_that_is_not_there_cannot_be_selected
    }
    session {
        connected_sessions_know_themselves
        the_own_connection_is_one_handle_that_the_session_owns
        what_is_lent_ends_with_the_callback
        a_signal_to_all_comes_to_its_sender_too
        a_signal_to_one_comes_to_that_one_only
        signals_keep_their_order
        signals_may_be_answered_inside_the_callback
        suppressed_connection_events_do_not_come
        one_object_connects_again_and_again
        a_session_id_that_is_too_long_is_told_by_on_error
        a_host_where_nothing_listens_is_told_by_on_error
        tokens_that_are_wrong_are_told_by_on_error
    }
    moderation {
        one_stream_is_muted_and_its_publisher_may_speak_again
        all_are_muted_but_some_and_who_comes_later_starts_muted
        who_may_not_mute_is_told_so
        a_stream_without_sound_stays_as_it_is
    }
    teardown {
        teardown_01_a_failed_attempt_says_on_error_once_and_nothing_more
        teardown_01_an_own_disconnect_says_on_disconnected_alone
        teardown_01_a_removal_by_a_moderator_says_on_disconnected_alone
        teardown_02_disconnect_is_told_in_time_when_connected
        teardown_02_disconnect_is_told_in_time_while_a_dead_server_is_joined
        teardown_02_disconnect_at_any_moment_of_a_join_is_told_once
        teardown_03_every_function_may_be_called_from_every_callback
        teardown_03_a_session_may_be_deleted_in_its_own_callback
        teardown_04_no_callback_starts_after_delete
        teardown_04_delete_waits_for_a_callback_that_runs
        teardown_04_delete_waits_two_seconds_at_most
        teardown_06_destroy_leaves_nothing_and_init_works_again
        teardown_06_destroy_ends_what_lives_in_time_and_says_nothing
        teardown_06_destroy_waits_five_seconds_at_most_for_a_callback
        teardown_06_destroy_waits_five_seconds_at_most_for_what_a_thread_of_callbacks_ends
        teardown_06_destroy_inside_a_callback_returns
        teardown_06_exit_inside_a_callback_terminates
        teardown_08_who_leaves_hears_nothing_of_the_others_and_they_hear_it
        teardown_08_the_others_hear_it_when_delete_follows_at_once
        teardown_10_no_call_waits_for_a_dead_server
    }
    reports {
        each_id_that_a_report_names_is_in_it
        what_is_counted_in_a_report_grows
        what_a_report_says_is_so
        statistics_know_how_loud_it_is
        reports_that_are_asked_for_together_come_each
    }
    streams {
        a_stream_published_and_subscribed_to_in_callbacks_flows
        the_own_stream_ends_before_on_disconnected
        after_the_deletion_of_a_publisher_its_stream_ends_for_others_only
        of_a_stream_that_has_dropped_nothing_comes_any_more
        without_an_encoder_video_ends_and_sound_goes_on
        after_a_disconnect_subscribers_hear_nothing
        what_was_unpublished_is_published_again_at_once_as_another_stream
        a_stream_may_be_published_again_inside_on_stream_destroyed
        what_is_unpublished_at_once_leaves_nothing
        a_publisher_goes_from_session_to_session
        two_subscribers_of_one_stream_both_get_it
        sound_is_whole_beside_pictures_that_take_long
        the_own_stream_can_be_subscribed_to
        a_stream_that_has_dropped_is_told_by_on_error
        who_is_in_no_connected_session_is_refused
        what_the_publisher_switches_off_and_on_is_told
        what_the_subscriber_does_not_want_does_not_come
        what_is_set_before_takes_effect_with_the_publishing_and_subscribing
        pictures_of_another_size_are_told_and_those_of_the_same_are_not
        statistics_come_every_second_and_reports_when_asked_for
        without_a_picture_there_is_sound
        without_sound_there_is_a_picture
        with_neither_there_is_an_error
        a_camera_that_does_not_start_is_told_and_sound_goes_on
        who_may_only_subscribe_is_told_so
        who_is_refused_publishes_in_another_session_at_once
    }
    facts {
        a_publisher_says_what_it_was_told
        a_subscriber_says_what_it_was_told
        a_stream_and_its_connection_say_what_they_are
        a_capturer_has_a_content_hint
        a_capturer_takes_no_coded_pictures
        stereo_keeps_the_sides_and_mono_mixes_them
        silence_costs_next_to_nothing_with_dtx
        a_limit_on_sound_holds
    }
    encryption {
        with_the_same_secret_all_is_seen_and_heard
        another_secret_is_told_once_and_nothing_is_shown
        a_missing_secret_is_told_once_and_nothing_is_shown
        a_change_in_mid_session_is_followed
        a_stream_of_somebody_without_a_secret_is_shown_as_it_is
        a_first_secret_in_mid_session_is_for_what_is_published_after_it
    }
    transformers {
        what_is_painted_is_what_others_see
        what_is_silenced_is_not_heard
        a_transformer_ends_with_its_publisher
        what_cannot_be_made_or_put_to_work_is_refused
    }
    media_handles {
        null_is_refused
        invented_handles_are_refused
        stale_handles_are_refused
        handles_of_another_kind_are_refused_and_stay
        lent_and_owned_streams_survive_a_deletion_by_the_program
        arguments_out_of_range_are_refused
        a_name_that_is_not_utf8_is_mended
        without_any_callback_everything_goes_on
        of_two_threads_that_delete_a_publisher_one_succeeds
    }
    deadlines {
        destroy_takes_no_longer_for_many_capturers
        a_deletion_of_a_publisher_takes_two_seconds_at_most
        a_deletion_inside_a_callback_does_not_wait_for_a_slow_capturer
        a_capturer_in_its_init_hears_nothing_after_the_deletion
        a_capturer_that_is_asked_hears_nothing_after_the_deletion
        a_capturer_in_its_start_is_still_stopped_and_destroyed
        destroy_inside_a_callback_ends_capturers_that_are_not_published_any_more
        disconnected_is_told_beside_a_picture_that_waits
        disconnected_is_told_beside_sound_that_waits
        disconnected_is_told_beside_a_preview_that_waits
        another_session_ends_beside_a_preview_that_waits
        another_session_ends_beside_a_picture_that_waits
        the_ends_of_many_publishers_wait_for_a_preview_together
        after_on_disconnected_no_transformer_and_no_preview_begins
        a_deletion_of_a_session_takes_two_seconds_at_most
        a_name_that_is_not_answered_holds_up_nothing
        a_function_for_reports_that_was_taken_back_is_not_called
        a_function_for_reports_that_runs_is_waited_for
    }
    media_teardown {
        publisher_deleted_in_on_stream_created
        publisher_deleted_in_on_stream_destroyed
        publisher_deleted_in_on_render_frame
        publisher_deleted_in_on_audio_level_updated
        publisher_deleted_in_on_audio_stats
        publisher_deleted_in_on_error
        publisher_deleted_in_its_capturers_init
        publisher_deleted_in_its_capturers_settings
        publisher_deleted_in_its_capturers_start
        publisher_deleted_in_its_capturers_stop
        publisher_deleted_in_its_capturers_destroy
        subscriber_deleted_in_on_connected
        subscriber_deleted_in_on_video_data_received
        subscriber_deleted_in_on_render_frame
        subscriber_deleted_in_on_audio_data
        subscriber_deleted_in_on_audio_level_updated
        subscriber_deleted_in_on_video_disabled
        subscriber_deleted_in_on_video_enabled
        subscriber_deleted_in_on_audio_disabled
        subscriber_deleted_in_on_error
        subscriber_deleted_in_on_stream_dropped
        publisher_deleted_in_on_disconnected
        exit_inside_a_callback_of_a_publisher_terminates
        exit_inside_a_callback_of_a_subscriber_terminates
        a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_session
        a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_subscriber
        deletions_in_mid_flow_wait_for_nothing_long
        a_capturer_thread_inside_provide_frame_is_joined_in_destroy
        deletions_of_all_at_once_on_threads_of_their_own
        a_deletion_waits_for_a_frame_callback_that_runs
        deletion_gives_up_on_on_render_frame
        deletion_gives_up_on_on_audio_data
        every_function_may_be_called_from_every_callback
        no_call_but_deletions_waits_for_a_callback
        threads_that_publish_and_subscribe_at_random_harm_nobody
        capturers_without_some_functions_come_and_go
        capturers_without_a_thread_come_and_go
        a_start_that_is_refused_may_be_temporary
        the_end_of_a_session_destroys_capturers
        publishers_and_subscribers_may_outlive_their_sessions_for_ever
        the_audio_device_is_destroyed_when_the_last_session_is_deleted
        nothing_is_heard_of_a_session_that_was_deleted
        a_publisher_whose_session_was_deleted_is_published_in_another
        a_session_is_deleted_on_a_capturers_own_thread
        a_session_is_deleted_inside_its_publishers_callbacks
        no_callback_starts_after_an_unsubscribing
        an_unsubscribing_inside_its_own_callback_waits_for_nothing
        a_failure_is_not_told_after_the_session_was_left
        a_failure_is_not_told_of_a_subscription_that_was_replaced
        destroy_ends_media_in_time_and_leaves_nothing_seven_times
        destroy_tells_no_publisher_of_the_end_of_its_stream
        destroy_inside_a_publishers_on_render_frame
        destroy_inside_a_publishers_on_audio_level_updated
        destroy_inside_a_subscribers_on_render_frame
        destroy_inside_a_subscribers_on_audio_data
        destroy_while_others_delete
        a_hub_that_is_killed_interrupts_and_no_more
        deletions_while_a_hub_is_dead_succeed_at_once
    }
    hostile {
        threads_that_call_anything_harm_nobody
        threads_that_call_anything_while_the_library_comes_and_goes
        a_session_may_be_deleted_inside_each_of_its_callbacks
        the_library_may_be_destroyed_inside_each_callback
        the_library_may_be_started_anew_inside_each_callback
        a_logger_may_destroy_the_library
        a_logger_may_call_everything_after_the_end_too
        a_logger_may_call_everything_while_a_deletion_gives_up
        of_threads_that_destroy_at_once_each_finds_nothing_left
        a_callback_that_does_not_end_delays_delete_two_seconds_and_destroy_five
        a_program_may_hold_its_lock_around_every_call
    }
    exits {
        exit_at_bad_moments_terminates
        handlers_of_atexit_may_delete_and_destroy
        so_they_may_when_exit_was_called_inside_a_callback
        a_forked_child_ends_and_its_parent_goes_on
        clients_of_a_host_that_is_killed_do_not_take_its_child_for_it
        a_fork_at_any_moment_does_not_hang_the_child
    }
    scarce {
        every_number_of_descriptors_left_is_lived_with
        a_host_without_descriptors_goes_on_when_there_are_some
        every_number_of_threads_left_is_lived_with
        a_storm_of_signals_disturbs_nothing
    }
    signals {
        threads_that_never_run_the_programs_code_hold_signals_back_and_the_others_do_not
        a_signal_that_the_programs_threads_hold_back_is_not_handled_behind_their_back
    }
    takeover {
        hosts_that_are_killed_are_followed_by_others
        a_host_that_is_frozen_for_a_moment_loses_nobody
        who_comes_while_the_host_ends_or_is_killed_comes_in_all_the_same
    }
    dlopen {
        rounds_of_dlopen_and_dlclose_leave_nothing
        a_thread_of_the_program_may_end_after_dlclose
    }
    old_layouts {
        layout_2_19_failing
        layout_2_24_failing
        layout_2_32_failing
        layout_2_19_in_a_call
        layout_2_24_in_a_call
        layout_2_32_in_a_call
        layout_2_19_and_the_log
        layout_2_24_and_the_log
        layout_2_32_and_the_log
    }
}

#[test]
fn every_test_of_a_c_file_is_listed() {
    for (file, listed) in LISTED {
        let text = read(&format!("tests/c/{file}.c"));
        let written: Vec<&str> =
            text.split("TEST(").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert_eq!(&written, listed, "tests/c/{file}.c and the list in tests/c_api.rs");
    }
}

/// The examples are programs that people copy: short, without a warning, and they do what they say.
#[test]
fn the_demo_shows_what_it_promises() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-c");
    std::fs::create_dir_all(&folder).expect("cargo's own folder");
    for entry in std::fs::read_dir(project().join("examples-c")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "c") {
            let lines = std::fs::read_to_string(&path).expect("text").lines().count();
            assert!(lines < 200, "{}: one idea fits in less than 200 lines", path.display());
            compile(&path, folder.join(path.file_stem().expect("a name")));
        }
    }
    std::fs::copy(env!("CARGO_BIN_EXE_otc"), folder.join("otc")).expect("the tool");
    let output = Command::new("timeout")
        .args(["-s", "TERM", LIMIT_S, "sh"])
        .arg(project().join("examples-c/demo.sh"))
        .env("BIN", &folder)
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}
