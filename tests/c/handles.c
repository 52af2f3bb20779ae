/* Wrong handles: NULL, another kind, stale, doubled, invented. Every function answers with a code and does no harm. */
#include "otc_test.h"

/* Nothing may be called through these: no session of this file connects. */
static const struct otc_session_callbacks NO_CALLBACKS;

static struct otc_signal_options options = {OTC_TRUE};

static void refuse_as_session(otc_session *s) {
  otc_connection *c = NULL;
  char *id = (char *)"untouched";
  CHECK_EQUAL(otc_session_delete(s), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_connect(s, "token"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_connect_to_host(s, "127.0.0.1", "", 80, OTC_FALSE, "token"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_disconnect(s), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_publish(s, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_unpublish(s, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_subscribe(s, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_unsubscribe(s, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal(s, "type", "data"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal_with_options(s, "type", "data", options), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal_to_connection(s, "type", "data", c), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal_to_connection_with_options(s, "type", "data", c, options), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_all(s, NULL, 0), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_disable_force_mute(s), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_stream(s, "stream"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_disconnect(s, c), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_set_encryption_secret(s, "long enough"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_report_issue(s, "description", &id), OTC_INVALID_PARAM);
  CHECK(!strcmp(id, "untouched"));
  CHECK(!strcmp(otc_session_get_id(s), ""));
  CHECK(!otc_session_get_connection(s));
  CHECK(!otc_session_get_user_data(s));
  struct otc_session_capabilities capabilities = otc_session_get_capabilities(s);
  CHECK(!capabilities.publish && !capabilities.subscribe);
  CHECK(!capabilities.force_mute && !capabilities.force_disconnect);
}

static void refuse_as_settings(otc_session_settings *s) {
  struct otc_custom_ice_config ice = {0};
  CHECK_EQUAL(otc_session_settings_set_connection_events_suppressed(s, OTC_TRUE), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_custom_ice_config(s, &ice), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_proxy_url(s, "http://127.0.0.1:3128"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_ip_whitelist(s, OTC_TRUE), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_session_migration(s, OTC_TRUE), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_delete(s), OTC_INVALID_PARAM);
  if (s) CHECK(!otc_session_new_with_settings("key", "session", &NO_CALLBACKS, s));
}

static void refuse_as_connection(otc_connection *c) {
  CHECK(!otc_connection_get_id(c));
  CHECK(!otc_connection_get_data(c));
  CHECK(!otc_connection_get_session_id(c));
  CHECK_EQUAL(otc_connection_get_creation_time(c), 0);
  CHECK(!otc_connection_copy(c));
  CHECK_EQUAL(otc_connection_delete(c), OTC_INVALID_PARAM);
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_send_signal_to_connection(session, "", "", c), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_disconnect(session, c), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

static void refuse_as_stream(otc_stream *s) {
  CHECK(!otc_stream_get_id(s));
  CHECK(!otc_stream_get_name(s));
  CHECK(!otc_stream_get_connection(s));
  CHECK(!otc_stream_copy(s));
  CHECK(!otc_stream_has_video_track(s) && !otc_stream_has_video(s));
  CHECK(!otc_stream_has_audio_track(s) && !otc_stream_has_audio(s) && !otc_stream_has_captions(s));
  CHECK_EQUAL(otc_stream_get_video_width(s), 0);
  CHECK_EQUAL(otc_stream_get_video_height(s), 0);
  CHECK_EQUAL(otc_stream_get_creation_time(s), 0);
  CHECK_EQUAL(otc_stream_get_video_type(s), OTC_STREAM_VIDEO_TYPE_CAMERA);
  CHECK_EQUAL(otc_stream_delete(s), OTC_INVALID_PARAM);
}

static void refuse_as_anything(void *handle) {
  refuse_as_session((otc_session *)handle);
  refuse_as_settings((otc_session_settings *)handle);
  refuse_as_connection((otc_connection *)handle);
  refuse_as_stream((otc_stream *)handle);
}

static void null_is_refused_by_every_function(void) { refuse_as_anything(NULL); }

static void invented_handles_are_refused_by_every_function(void) {
  int on_the_stack[64] = {0};
  void *on_the_heap = calloc(1, 64);
  uintptr_t invented[] = {1, 8, 4096, 0xdeadbeef, UINTPTR_MAX, UINTPTR_MAX / 2, (uintptr_t)on_the_stack,
                          (uintptr_t)on_the_heap, (uintptr_t)otc_init};
  for (size_t i = 0; i < sizeof invented / sizeof *invented; i++) refuse_as_anything((void *)invented[i]);
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  for (uintptr_t distance = 1; distance < 64; distance++) {
    refuse_as_session((otc_session *)((uintptr_t)session + (1000 * distance)));
    refuse_as_session((otc_session *)((uintptr_t)session ^ ((uintptr_t)1 << (distance > 20 ? distance : 21))));
  }
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  free(on_the_heap);
}

static void a_deleted_handle_is_refused_by_every_function(void) {
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  refuse_as_anything(session);
  otc_session_settings *settings = otc_session_settings_new();
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
  refuse_as_anything(settings);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
}

static void a_handle_of_another_kind_is_refused_and_stays(void) {
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  otc_session_settings *settings = otc_session_settings_new();
  refuse_as_settings((otc_session_settings *)session);
  refuse_as_connection((otc_connection *)session);
  refuse_as_stream((otc_stream *)session);
  refuse_as_session((otc_session *)settings);
  refuse_as_connection((otc_connection *)settings);
  refuse_as_stream((otc_stream *)settings);
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

static void a_new_handle_is_never_an_old_one(void) {
  otc_session *old = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_delete(old), OTC_SUCCESS);
  for (int i = 0; i < 1000; i++) {
    otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
    CHECK(session != old);
    CHECK_EQUAL(otc_session_delete(old), OTC_INVALID_PARAM);
    CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  }
}

static void *delete_it(void *session) {
  otc_status status = otc_session_delete((otc_session *)session);
  return (void *)(intptr_t)status;
}

static void of_two_threads_that_delete_one_succeeds(void) {
  for (int i = 0; i < 200; i++) {
    otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
    pthread_t other;
    void *theirs;
    CHECK_EQUAL(pthread_create(&other, NULL, delete_it, session), 0);
    intptr_t ours = (intptr_t)delete_it(session);
    pthread_join(other, &theirs);
    CHECK_EQUAL(ours + (intptr_t)theirs, OTC_SUCCESS + OTC_INVALID_PARAM);
  }
}

static void mandatory_arguments_are_refused_when_null(void) {
  char *id = NULL;
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  otc_session_settings *settings = otc_session_settings_new();
  CHECK(!otc_session_new(NULL, "session", &NO_CALLBACKS));
  CHECK(!otc_session_new("key", NULL, &NO_CALLBACKS));
  CHECK(!otc_session_new("key", "session", NULL));
  CHECK_EQUAL(otc_session_connect(session, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_connect_to_host(session, NULL, NULL, 80, OTC_FALSE, "token"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_connect_to_host(session, "127.0.0.1", NULL, 0, OTC_FALSE, "token"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_publish(session, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_subscribe(session, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_stream(session, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_all(session, NULL, 1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_all(session, NULL, -1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_set_encryption_secret(session, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_report_issue(session, NULL, &id), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_report_issue(session, "description", NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_custom_ice_config(settings, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_settings_set_proxy_url(settings, NULL), OTC_INVALID_PARAM);
  otc_session_settings_delete(settings);
  otc_session_delete(session);
}

static void publishers_and_subscribers_that_do_not_exist_have_their_codes(void) {
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_publish(session, (otc_publisher *)session), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_subscribe(session, (otc_subscriber *)session), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_unpublish(session, (otc_publisher *)session), OTC_SESSION_PUBLISHER_NOT_FOUND);
  CHECK_EQUAL(otc_session_unsubscribe(session, (otc_subscriber *)session), OTC_SESSION_SUBSCRIBER_NOT_FOUND);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(null_is_refused_by_every_function),
      TEST(invented_handles_are_refused_by_every_function),
      TEST(a_deleted_handle_is_refused_by_every_function),
      TEST(a_handle_of_another_kind_is_refused_and_stays),
      TEST(a_new_handle_is_never_an_old_one),
      TEST(of_two_threads_that_delete_one_succeeds),
      TEST(mandatory_arguments_are_refused_when_null),
      TEST(publishers_and_subscribers_that_do_not_exist_have_their_codes),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
