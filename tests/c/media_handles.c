/* Wrong handles for publishers, subscribers, their settings and capturers: NULL, stale, of another kind, invented. */
#include "media.h"

typedef struct row {
  const char *call;
  long long answer, expected;
} row;

#define ROW(call, expected) {#call, (long long)(call), (long long)(expected)}
#define REFUSED(call) ROW(call, OTC_INVALID_PARAM)
#define NOTHING(call) {#call, (long long)(intptr_t)(call), 0}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof *rows)

static void check_rows(const row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i].answer == rows[i].expected) continue;
    fprintf(stderr, "%s is %lld, not %lld\n", rows[i].call, rows[i].answer, rows[i].expected);
    _exit(1);
  }
}

static const struct otc_publisher_callbacks NO_PUBLISHER_CALLBACKS;
static const struct otc_subscriber_callbacks NO_SUBSCRIBER_CALLBACKS;

static void refuse_as_publisher(otc_publisher *p) {
  struct otc_publisher_rtc_stats_report_cb report = {0};
  const row rows[] = {
      REFUSED(otc_publisher_delete(p)),
      NOTHING(otc_publisher_get_stream(p)),
      REFUSED(otc_publisher_set_publish_video(p, OTC_TRUE)),
      REFUSED(otc_publisher_set_publish_audio(p, OTC_TRUE)),
      ROW(otc_publisher_get_publish_video(p), OTC_FALSE),
      ROW(otc_publisher_get_publish_audio(p), OTC_FALSE),
      REFUSED(otc_publisher_set_publish_captions(p, OTC_TRUE)),
      NOTHING(otc_publisher_get_session(p)),
      REFUSED(otc_publisher_set_max_audio_bitrate(p, 32000)),
      REFUSED(otc_publisher_set_max_video_bitrate(p, 300000)),
      ROW(otc_publisher_get_max_video_bitrate(p), 0),
      REFUSED(otc_publisher_set_video_bitrate_preset(p, OTC_VIDEO_BITRATE_PRESET_BW_SAVER)),
      ROW(otc_publisher_get_video_bitrate_preset(p), OTC_VIDEO_BITRATE_PRESET_DEFAULT),
      REFUSED(otc_publisher_set_video_type(p, OTC_PUBLISHER_VIDEO_TYPE_SCREEN)),
      ROW(otc_publisher_get_video_type(p), OTC_PUBLISHER_VIDEO_TYPE_CAMERA),
      REFUSED(otc_publisher_set_audio_fallback_enabled(p, OTC_TRUE)),
      ROW(otc_publisher_get_audio_fallback_enabled(p), OTC_FALSE),
      NOTHING(otc_publisher_get_publisher_id(p)),
      NOTHING(otc_publisher_get_user_data(p)),
      NOTHING(otc_publisher_get_name(p)),
      REFUSED(otc_publisher_get_rtc_stats_report(p)),
      REFUSED(otc_publisher_set_rtc_stats_report_cb(p, report)),
  };
  CHECK_ROWS(rows);
}

static void refuse_as_subscriber(otc_subscriber *s) {
  struct otc_subscriber_rtc_stats_report_cb report = {0};
  uint32_t width = 7, height = 7;
  double volume = 7;
  float rate = 7;
  const row rows[] = {
      REFUSED(otc_subscriber_delete(s)),
      NOTHING(otc_subscriber_get_stream(s)),
      REFUSED(otc_subscriber_set_subscribe_to_video(s, OTC_TRUE)),
      REFUSED(otc_subscriber_set_subscribe_to_audio(s, OTC_TRUE)),
      REFUSED(otc_subscriber_set_subscribe_to_captions(s, OTC_TRUE)),
      ROW(otc_subscriber_get_subscribe_to_video(s), OTC_FALSE),
      ROW(otc_subscriber_get_subscribe_to_audio(s), OTC_FALSE),
      ROW(otc_subscriber_get_subscribe_to_captions(s), OTC_FALSE),
      NOTHING(otc_subscriber_get_session(s)),
      REFUSED(otc_subscriber_set_preferred_resolution(s, 320, 240)),
      REFUSED(otc_subscriber_get_preferred_resolution(s, &width, &height)),
      REFUSED(otc_subscriber_set_audio_volume(s, 50)),
      REFUSED(otc_subscriber_get_audio_volume(s, &volume)),
      REFUSED(otc_subscriber_set_preferred_framerate(s, 15)),
      REFUSED(otc_subscriber_get_preferred_framerate(s, &rate)),
      NOTHING(otc_subscriber_get_subscriber_id(s)),
      NOTHING(otc_subscriber_get_user_data(s)),
      REFUSED(otc_subscriber_get_rtc_stats_report(s)),
      REFUSED(otc_subscriber_set_rtc_stats_report_cb(s, report)),
      ROW(width + height, 14), /* written on success only */
      ROW(volume + rate, 14),
  };
  CHECK_ROWS(rows);
}

static void refuse_as_publisher_settings(otc_publisher_settings *s) {
  struct otc_video_capturer_callbacks capturer = {0};
  const row rows[] = {
      REFUSED(otc_publisher_settings_set_name(s, "name")),
      REFUSED(otc_publisher_settings_set_video_capturer(s, &capturer)),
      REFUSED(otc_publisher_settings_set_default_camera_capture_resolution(s, OTC_CAMERA_CAPTURE_RESOLUTION_LOW)),
      REFUSED(otc_publisher_settings_set_disable_audio_processing(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_audio_track(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_video_track(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_stereo(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_opus_dtx(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_auto_gain_control(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_noise_suppression(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_echo_cancellation(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_scalable_screenshare(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_publisher_audio_fallback_enabled(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_subscriber_audio_fallback_enabled(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_set_sender_stats_track(s, OTC_TRUE)),
      REFUSED(otc_publisher_settings_delete(s)),
  };
  CHECK_ROWS(rows);
  if (s) CHECK(!otc_publisher_new_with_settings(&NO_PUBLISHER_CALLBACKS, s));
}

static void refuse_as_capturer(otc_video_capturer *c) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 16, 16, NULL);
  const row rows[] = {
      REFUSED(otc_video_capturer_provide_frame(c, 0, frame)),
      REFUSED(otc_video_capturer_provide_frame(c, 0, NULL)),
      REFUSED(otc_video_capturer_set_content_hint(c, OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT)),
      ROW(otc_video_capturer_get_content_hint(c), OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE),
  };
  CHECK_ROWS(rows);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
}

static void refuse_as_session(otc_session *s, otc_publisher *publisher, otc_subscriber *subscriber) {
  const row rows[] = {
      REFUSED(otc_session_publish(s, publisher)),
      REFUSED(otc_session_unpublish(s, publisher)),
      REFUSED(otc_session_subscribe(s, subscriber)),
      REFUSED(otc_session_unsubscribe(s, subscriber)),
  };
  CHECK_ROWS(rows);
}

static void refuse_as_anything(void *handle) {
  refuse_as_publisher((otc_publisher *)handle);
  refuse_as_subscriber((otc_subscriber *)handle);
  refuse_as_publisher_settings((otc_publisher_settings *)handle);
  refuse_as_capturer((otc_video_capturer *)handle);
  refuse_as_session((otc_session *)handle, (otc_publisher *)handle, (otc_subscriber *)handle);
  CHECK(!otc_subscriber_new((otc_stream *)handle, &NO_SUBSCRIBER_CALLBACKS));
}

static void null_is_refused(void) { refuse_as_anything(NULL); }

static void invented_handles_are_refused(void) {
  int on_the_stack[64] = {0};
  void *on_the_heap = calloc(1, 64);
  uintptr_t invented[] = {1, 8, 4096, 0xdeadbeef, UINTPTR_MAX, UINTPTR_MAX / 2, (uintptr_t)on_the_stack,
                          (uintptr_t)on_the_heap, (uintptr_t)otc_init};
  for (size_t i = 0; i < sizeof invented / sizeof *invented; i++) refuse_as_anything((void *)invented[i]);
  free(on_the_heap);
}

static void stale_handles_are_refused(void) {
  call call = call_begun();
  void *stale[] = {call.source->publisher, call.sink->subscriber, (void *)(uintptr_t)call.source->camera.capturer,
                   call.here->session, otc_publisher_get_stream(call.source->publisher),
                   otc_subscriber_get_stream(call.sink->subscriber)};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
  call_end(call);
  for (size_t i = 0; i < sizeof stale / sizeof *stale; i++) refuse_as_anything(stale[i]);
  refuse_as_anything(settings);
}

static void handles_of_another_kind_are_refused_and_stay(void) {
  call call = call_begun();
  otc_publisher *publisher = call.source->publisher;
  otc_subscriber *subscriber = call.sink->subscriber;
  void *capturer = (void *)(uintptr_t)call.source->camera.capturer;
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_session *session = call.here->session;
  void *all[] = {publisher, subscriber, capturer, settings, session};
  for (int i = 0; i < 5; i++) {
    if (i != 0) refuse_as_publisher((otc_publisher *)all[i]);
    if (i != 1) refuse_as_subscriber((otc_subscriber *)all[i]);
    if (i != 2) refuse_as_capturer((otc_video_capturer *)all[i]);
    if (i != 3) refuse_as_publisher_settings((otc_publisher_settings *)all[i]);
    if (i != 4) refuse_as_session((otc_session *)all[i], publisher, subscriber);
    CHECK(!otc_subscriber_new((otc_stream *)all[i], &NO_SUBSCRIBER_CALLBACKS));
  }
  const row swapped[] = {
      REFUSED(otc_session_publish(session, (otc_publisher *)subscriber)),
      REFUSED(otc_session_subscribe(session, (otc_subscriber *)publisher)),
      ROW(otc_session_unpublish(session, (otc_publisher *)subscriber), OTC_SESSION_PUBLISHER_NOT_FOUND),
      ROW(otc_session_unsubscribe(session, (otc_subscriber *)publisher), OTC_SESSION_SUBSCRIBER_NOT_FOUND),
  };
  CHECK_ROWS(swapped);
  AWAIT_MORE(call.sink->frames); /* nothing has happened to it */
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
  call_end(call);
}

static void lent_and_owned_streams_survive_a_deletion_by_the_program(void) {
  call call = call_begun();
  otc_stream *own = otc_publisher_get_stream(call.source->publisher), *theirs = otc_subscriber_get_stream(call.sink->subscriber);
  size_t objects = otc_ext_live_objects();
  for (int i = 0; i < 1000; i++) {
    CHECK(otc_publisher_get_stream(call.source->publisher) == own); /* the same for the same */
    CHECK(otc_subscriber_get_stream(call.sink->subscriber) == theirs);
  }
  CHECK(otc_ext_live_objects() <= objects + 4); /* those that are lent to callbacks at the moment */
  CHECK_EQUAL(otc_stream_delete(own), OTC_SUCCESS); /* harmless */
  CHECK_EQUAL(otc_stream_delete(theirs), OTC_SUCCESS);
  CHECK(*otc_stream_get_id(own) && !strcmp(otc_stream_get_id(own), otc_stream_get_id(theirs)));
  call_end(call);
}

static void arguments_out_of_range_are_refused(void) {
  call call = call_begun();
  otc_publisher *p = call.source->publisher;
  otc_subscriber *s = call.sink->subscriber;
  const otc_video_capturer *c = call.source->camera.capturer;
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 16, 16, NULL);
  uint32_t size;
  const row rows[] = {
      REFUSED(otc_publisher_set_max_audio_bitrate(p, 5999)),
      REFUSED(otc_publisher_set_max_audio_bitrate(p, 510001)),
      REFUSED(otc_publisher_set_max_video_bitrate(p, 4999)),
      REFUSED(otc_publisher_set_max_video_bitrate(p, 10000001)),
      ROW(otc_publisher_get_max_video_bitrate(p), 0),
      REFUSED(otc_publisher_set_video_bitrate_preset(p, OTC_VIDEO_BITRATE_PRESET_CUSTOM)),
      REFUSED(otc_publisher_set_video_bitrate_preset(p, (enum otc_video_bitrate_preset)99)),
      REFUSED(otc_publisher_set_video_type(p, (enum otc_publisher_video_type)0)),
      REFUSED(otc_publisher_get_rtc_stats_report(p)), /* nothing is registered */
      REFUSED(otc_subscriber_get_rtc_stats_report(s)),
      REFUSED(otc_subscriber_set_preferred_resolution(s, 0, 240)),
      REFUSED(otc_subscriber_set_preferred_resolution(s, 320, 0)),
      REFUSED(otc_subscriber_get_preferred_resolution(s, &size, NULL)),
      REFUSED(otc_subscriber_set_preferred_framerate(s, -1)),
      REFUSED(otc_subscriber_get_preferred_framerate(s, NULL)),
      REFUSED(otc_subscriber_get_audio_volume(s, NULL)),
      REFUSED(otc_video_capturer_provide_frame(c, 45, frame)),
      REFUSED(otc_video_capturer_set_content_hint(c, (enum otc_video_capturer_content_hint_type)4)),
      NOTHING(otc_publisher_new("name", NULL, NULL)),
      NOTHING(otc_publisher_new_with_settings(NULL, NULL)),
      NOTHING(otc_subscriber_new(otc_publisher_get_stream(p), NULL)),
  };
  CHECK_ROWS(rows);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  call_end(call);
}

static void a_name_that_is_not_utf8_is_mended(void) {
  const char *name = "caf\xe9", *mended = "caf\xef\xbf\xbd";
  otc_publisher *publisher = otc_publisher_new(name, NULL, &NO_PUBLISHER_CALLBACKS);
  CHECK(!strcmp(otc_publisher_get_name(publisher), mended));
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  otc_publisher_settings *settings = otc_publisher_settings_new();
  CHECK_EQUAL(otc_publisher_settings_set_name(settings, name), OTC_SUCCESS);
  publisher = otc_publisher_new_with_settings(&NO_PUBLISHER_CALLBACKS, settings);
  CHECK(!strcmp(otc_publisher_get_name(publisher), mended));
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
}

static void without_any_callback_everything_goes_on(void) {
  call call = call_new();
  otc_publisher_settings *settings = otc_publisher_settings_new();
  struct otc_video_capturer_callbacks capturer = {0};
  CHECK_EQUAL(otc_publisher_settings_set_video_capturer(settings, &capturer), OTC_SUCCESS);
  otc_publisher *publisher = otc_publisher_new_with_settings(&NO_PUBLISHER_CALLBACKS, settings);
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
  CHECK(!strcmp(otc_publisher_get_name(publisher), ""));
  CHECK_EQUAL(otc_session_publish(call.here->session, publisher), OTC_SUCCESS);
  recorder_wait(call.there, "stream received", 1);
  otc_subscriber *subscriber = otc_subscriber_new(call.there->last_stream, &NO_SUBSCRIBER_CALLBACKS);
  CHECK(!otc_subscriber_get_user_data(subscriber) && !otc_publisher_get_user_data(publisher));
  CHECK_EQUAL(otc_session_subscribe(call.there->session, subscriber), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_unpublish(call.here->session, publisher), OTC_SUCCESS);
  recorder_wait(call.there, "stream dropped", 1);
  CHECK_EQUAL(otc_subscriber_delete(subscriber), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  call_end(call);
}

static void *delete_publisher(void *publisher) { return (void *)(intptr_t)otc_publisher_delete((otc_publisher *)publisher); }

static void of_two_threads_that_delete_a_publisher_one_succeeds(void) {
  for (int i = 0; i < 200; i++) {
    otc_publisher *publisher = otc_publisher_new("name", NULL, &NO_PUBLISHER_CALLBACKS);
    pthread_t other;
    void *theirs;
    CHECK_EQUAL(pthread_create(&other, NULL, delete_publisher, publisher), 0);
    intptr_t ours = (intptr_t)delete_publisher(publisher);
    pthread_join(other, &theirs);
    CHECK_EQUAL(ours + (intptr_t)theirs, OTC_SUCCESS + OTC_INVALID_PARAM);
  }
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(null_is_refused),
      TEST(invented_handles_are_refused),
      TEST(stale_handles_are_refused),
      TEST(handles_of_another_kind_are_refused_and_stay),
      TEST(lent_and_owned_streams_survive_a_deletion_by_the_program),
      TEST(arguments_out_of_range_are_refused),
      TEST(a_name_that_is_not_utf8_is_mended),
      TEST(without_any_callback_everything_goes_on),
      TEST(of_two_threads_that_delete_a_publisher_one_succeeds),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
