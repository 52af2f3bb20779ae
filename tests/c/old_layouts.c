/*
 * Programs compiled with old headers: their structs are shorter and in another order, and OTC_ABI says so.
 *
 * Everything that the other tests share is used as it is. What it hands to the library goes through functions that lay it out
 * as the compiler would with the headers of that release, so every callback that comes has come through its old place. Places
 * that nothing should reach hold a function that must not be called.
 */
#include <opentok.h>

typedef enum release { V2_19, V2_24, V2_32 } release;
static release release_of_the_program;

static otc_session *session_new(const char *key, const char *id, const struct otc_session_callbacks *callbacks);
static otc_publisher *publisher_new(const struct otc_publisher_callbacks *callbacks, otc_publisher_settings *settings);
static otc_subscriber *subscriber_new(const otc_stream *stream, const struct otc_subscriber_callbacks *callbacks);

/* From here on media.h makes its objects with those. */
#define otc_session_new session_new
#define otc_publisher_new_with_settings publisher_new
#define otc_subscriber_new subscriber_new
#include "media.h"
#undef otc_session_new
#undef otc_publisher_new_with_settings
#undef otc_subscriber_new

/* ---- The structs as they were ---- */

#define MEMBER(kind, name) __typeof__(((struct otc_##kind##_callbacks *)0)->name) name;

#define SESSION(M) \
  M(session, on_connected) M(session, on_disconnected) M(session, on_connection_created) \
  M(session, on_connection_dropped) M(session, on_stream_received) M(session, on_stream_dropped) \
  M(session, on_stream_has_audio_changed) M(session, on_stream_has_video_changed) \
  M(session, on_stream_video_dimensions_changed) M(session, on_stream_video_type_changed) M(session, on_signal_received) \
  M(session, on_reconnection_started) M(session, on_reconnected) M(session, on_archive_started) \
  M(session, on_archive_stopped) M(session, on_error)
#define SESSION_2_24(M) SESSION(M) M(session, on_mute_forced)

#define PUBLISHER_BEGIN(M) \
  M(publisher, on_stream_created) M(publisher, on_stream_destroyed) M(publisher, on_render_frame) \
  M(publisher, on_audio_level_updated)
#define PUBLISHER_END(M) M(publisher, on_audio_stats) M(publisher, on_video_stats) M(publisher, on_error)

/* The statistics by value were shorter too. */
struct old_audio_stats { uint64_t packets_lost, packets_received, bytes_received; float audio_level; double timestamp; };
struct old_video_stats { uint64_t packets_lost, packets_received, bytes_received; double timestamp; };
#define OLD_STATS \
  void (*on_audio_stats)(otc_subscriber *, void *, struct old_audio_stats); \
  void (*on_video_stats)(otc_subscriber *, void *, struct old_video_stats);
#define SUBSCRIBER_BEGIN(M) \
  M(subscriber, on_connected) M(subscriber, on_disconnected) M(subscriber, on_reconnected) M(subscriber, on_render_frame) \
  M(subscriber, on_video_disabled) M(subscriber, on_video_enabled) M(subscriber, on_audio_disabled) \
  M(subscriber, on_audio_enabled) M(subscriber, on_video_data_received) M(subscriber, on_video_disable_warning) \
  M(subscriber, on_video_disable_warning_lifted)
#define SUBSCRIBER_END(M) M(subscriber, on_audio_level_updated) M(subscriber, on_error)

#define END void *user_data, *reserved;
struct session_2_19 { SESSION(MEMBER) END };
struct session_2_24 { SESSION_2_24(MEMBER) END };
struct publisher_2_19 { PUBLISHER_BEGIN(MEMBER) PUBLISHER_END(MEMBER) END };
struct publisher_2_24 { PUBLISHER_BEGIN(MEMBER) MEMBER(publisher, on_publisher_mute_forced) PUBLISHER_END(MEMBER) END };
struct subscriber_2_19 { SUBSCRIBER_BEGIN(MEMBER) OLD_STATS SUBSCRIBER_END(MEMBER) END };
struct subscriber_2_24 { SUBSCRIBER_BEGIN(MEMBER) OLD_STATS SUBSCRIBER_END(MEMBER) MEMBER(subscriber, on_audio_data) END };
struct capabilities_2_19 { otc_bool publish; };
struct capabilities_2_24 { otc_bool publish, force_mute; };
struct ice_config_2_24 {
  int num_ice_servers;
  char **ice_url, **ice_user, **ice_credential;
  otc_bool force_turn, use_custom_turn_only;
};

#define SIZE(type, pointers) _Static_assert(sizeof(struct type) == (pointers) * sizeof(void *), #type)
SIZE(session_2_19, 18);
SIZE(session_2_24, 19);
SIZE(publisher_2_19, 9);
SIZE(publisher_2_24, 10);
SIZE(subscriber_2_19, 17);
SIZE(subscriber_2_24, 18);

/* ---- What is heard besides ---- */

static void never(void) { CHECK(!"a callback at the wrong place was called"); }

#define TO(member) *(void (**)(void))(void *)&(member)

static int sent_stats, muted;
static int received_audio_stats, received_video_stats;

static void on_mute_forced(otc_session *session, void *user_data, otc_on_mute_forced_info *info) {
  record((recorder *)user_data, session, "mute forced %d", (int)info->active);
}
static void on_publisher_mute_forced(otc_publisher *publisher, void *user_data) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  count_one(&muted);
  source_leave(self, has_entered, "mute forced");
}
static void on_sent_video(otc_publisher *publisher, void *user_data, struct otc_publisher_video_stats *stats, size_t count) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  if (count == 1 && stats->packets_sent > 0 && stats->bytes_sent > 0 && stats->timestamp > 1.5e12) count_one(&sent_stats);
  source_leave(self, has_entered, "video stats");
}
static void on_old_audio_stats(otc_subscriber *subscriber, void *user_data, struct old_audio_stats stats) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  if (stats.packets_received > 0 && stats.bytes_received > 0 && stats.timestamp > 1.5e12) count_one(&received_audio_stats);
  sink_leave(self, has_entered, "audio stats");
}
static void on_old_video_stats(otc_subscriber *subscriber, void *user_data, struct old_video_stats stats) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  if (stats.packets_received > 0 && stats.bytes_received > 0 && stats.timestamp > 1.5e12) count_one(&received_video_stats);
  sink_leave(self, has_entered, "video stats");
}

/* ---- Laid out as it was, on exactly as many bytes: a tool that guards memory sees a read beyond ---- */

#define FILL(kind, name) old->name = now.name;
#define AS(type) struct type *old = (struct type *)calloc(1, sizeof *old); old->user_data = now.user_data

static otc_session *session_new(const char *key, const char *id, const struct otc_session_callbacks *callbacks) {
  struct otc_session_callbacks now = *callbacks;
  otc_session *session = NULL;
  now.on_mute_forced = on_mute_forced;
  TO(now.on_archive_started) = never, TO(now.on_archive_stopped) = never, TO(now.on_stream_video_type_changed) = never;
  if (release_of_the_program == V2_19) {
    AS(session_2_19);
    SESSION(FILL)
    session = otc_session_new(key, id, (const struct otc_session_callbacks *)(void *)old);
    free(old);
  } else if (release_of_the_program == V2_24) {
    AS(session_2_24);
    SESSION_2_24(FILL)
    session = otc_session_new(key, id, (const struct otc_session_callbacks *)(void *)old);
    free(old);
  } else {
    session = otc_session_new(key, id, &now);
  }
  CHECK(otc_session_get_user_data(session) == now.user_data);
  return session;
}

static otc_publisher *publisher_new(const struct otc_publisher_callbacks *callbacks, otc_publisher_settings *settings) {
  struct otc_publisher_callbacks now = *callbacks;
  otc_publisher *publisher = NULL;
  now.on_video_stats = on_sent_video, now.on_publisher_mute_forced = on_publisher_mute_forced;
  TO(now.on_video_disabled) = never, TO(now.on_video_enabled) = never;
  TO(now.on_video_disable_warning) = never, TO(now.on_video_disable_warning_lifted) = never;
  if (release_of_the_program == V2_19) {
    AS(publisher_2_19);
    PUBLISHER_BEGIN(FILL) PUBLISHER_END(FILL)
    publisher = otc_publisher_new_with_settings((const struct otc_publisher_callbacks *)(void *)old, settings);
    free(old);
  } else if (release_of_the_program == V2_24) {
    AS(publisher_2_24);
    PUBLISHER_BEGIN(FILL) FILL(publisher, on_publisher_mute_forced) PUBLISHER_END(FILL)
    publisher = otc_publisher_new_with_settings((const struct otc_publisher_callbacks *)(void *)old, settings);
    free(old);
  } else {
    publisher = otc_publisher_new_with_settings(&now, settings);
  }
  CHECK(otc_publisher_get_user_data(publisher) == now.user_data);
  return publisher;
}

static otc_subscriber *subscriber_new(const otc_stream *stream, const struct otc_subscriber_callbacks *callbacks) {
  struct otc_subscriber_callbacks now = *callbacks;
  otc_subscriber *subscriber = NULL;
  if (release_of_the_program == V2_19) {
    AS(subscriber_2_19);
    SUBSCRIBER_BEGIN(FILL) SUBSCRIBER_END(FILL)
    old->on_audio_stats = on_old_audio_stats, old->on_video_stats = on_old_video_stats;
    subscriber = otc_subscriber_new(stream, (const struct otc_subscriber_callbacks *)(void *)old);
    free(old);
  } else if (release_of_the_program == V2_24) {
    AS(subscriber_2_24);
    SUBSCRIBER_BEGIN(FILL) SUBSCRIBER_END(FILL) FILL(subscriber, on_audio_data)
    old->on_audio_stats = on_old_audio_stats, old->on_video_stats = on_old_video_stats;
    subscriber = otc_subscriber_new(stream, (const struct otc_subscriber_callbacks *)(void *)old);
    free(old);
  } else {
    subscriber = otc_subscriber_new(stream, &now);
  }
  CHECK(otc_subscriber_get_user_data(subscriber) == now.user_data);
  return subscriber;
}

/* ---- The situations ---- */

static void a_failed_attempt(release release) {
  release_of_the_program = release;
  recorder *alone = recorder_new();
  CHECK_EQUAL(recorder_connect(alone, ""), OTC_SUCCESS); /* no token at all: fails without a server */
  recorder_wait(alone, "error 1004", 1);
  recorder_delete(alone);
}

static void check_capabilities(otc_session *session, int may_mute) {
  if (release_of_the_program == V2_19) {
    struct capabilities_2_19 (*get)(const otc_session *);
    TO(get) = (void (*)(void))otc_session_get_capabilities;
    CHECK(get(session).publish);
  } else if (release_of_the_program == V2_24) {
    struct capabilities_2_24 (*get)(const otc_session *);
    TO(get) = (void (*)(void))otc_session_get_capabilities;
    CHECK(get(session).publish);
    CHECK_EQUAL(get(session).force_mute, may_mute);
  } else {
    CHECK(otc_session_get_capabilities(session).subscribe);
    CHECK_EQUAL(otc_session_get_capabilities(session).force_mute, may_mute);
  }
}

/* Custom servers: the struct of old headers ends where a present one has a member more. */
static void check_ice_config(void) {
  char url[] = "stun:127.0.0.1:3478", *urls[] = {url};
  struct ice_config_2_24 *old = (struct ice_config_2_24 *)calloc(1, sizeof *old);
  old->num_ice_servers = 1, old->ice_url = urls;
  otc_session_settings *settings = otc_session_settings_new();
  if (release_of_the_program != V2_32) {
    const struct otc_custom_ice_config *given = (const struct otc_custom_ice_config *)(void *)old;
    CHECK_EQUAL(otc_session_settings_set_custom_ice_config(settings, given), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
  free(old);
}

static void a_call(release release) {
  release_of_the_program = release;
  device *device = device_use();
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 1);
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->frames, 2);
  if (release != V2_19) AWAIT_COUNT(call.sink->loud_sounds, 2); /* on_audio_data came later */
  check_ice_config();
  check_capabilities(call.here->session, OTC_TRUE);
  recorder *plain = connected_with(given("TEST_PLAIN_TOKEN"));
  check_capabilities(plain->session, OTC_FALSE);
  recorder_wait(call.here, "connection created", 2);
  recorder_delete(plain);
  recorder_wait(call.here, "connection dropped plain", 1);
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "type", "data"), OTC_SUCCESS);
  recorder_wait(call.there, "signal type: data from one", 1);

  AWAIT_COUNT(call.source->frames, 3);
  AWAIT_COUNT(call.source->loud, 1);
  AWAIT_COUNT(call.source->stats, 1);
  AWAIT_COUNT(sent_stats, 1);
  AWAIT_COUNT(call.sink->loud, 1);
  AWAIT_COUNT(*(release == V2_32 ? &call.sink->audio_stats : &received_audio_stats), 1);
  AWAIT_COUNT(*(release == V2_32 ? &call.sink->video_stats : &received_video_stats), 1);

  CHECK_EQUAL(otc_publisher_set_publish_video(call.source->publisher, OTC_FALSE), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: video 0", 1);
  diary_wait(call.diary, "sink video disabled 1", 1);
  CHECK_EQUAL(otc_publisher_set_publish_video(call.source->publisher, OTC_TRUE), OTC_SUCCESS);
  diary_wait(call.diary, "sink video enabled 1", 1);

  CHECK_EQUAL(otc_session_force_mute_all(call.there->session, NULL, 0), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: audio 0", 1);
  diary_wait(call.diary, "sink audio disabled", 1);
  if (release != V2_19) {
    recorder_wait(call.here, "mute forced 1", 1);
    AWAIT_COUNT(muted, 1);
  }
  CHECK_EQUAL(otc_publisher_set_publish_audio(call.source->publisher, OTC_TRUE), OTC_SUCCESS);
  diary_wait(call.diary, "sink audio enabled", 1);

  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "destroyed film", 1);
  recorder_wait(call.there, "stream dropped film", 1);
  sink *late = sink_in(call.there, call.diary, "late");
  diary_wait(call.diary, "late error 1604", 1);
  sink_delete(late);
  source *empty = source_with(call.diary, "nothing", 0, 0, HAS_ALL);
  CHECK_EQUAL(source_publish(empty, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "publisher error 2000", 1);
  source_delete(empty);
  CHECK_EQUAL(recorder_disconnect(call.there), OTC_SUCCESS);
  recorder_wait(call.there, "disconnected", 1);
  call_end(call);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

/* The numbers of the levels changed too. */
enum { OLD_FATAL = 2, OLD_ERROR = 3, OLD_WARN = 4, OLD_INFO = 5, OLD_DEBUG = 6, OLD_MSG = 7, OLD_TRACE = 8, OLD_ALL = 100 };

static int errors, issues;

static void on_line(const char *line) {
  if (strstr(line, "otc_session_connect")) count_one(&errors);
  if (strstr(line, "a slip of the tongue")) count_one(&issues);
}

/* One line that tells of a mistake and one that informs, in this order; how many of the second kind came. */
static int informs(otc_session *session, int level) {
  char *id = NULL;
  int before = count_of(&issues);
  otc_log_enable((enum otc_log_level)level);
  CHECK_EQUAL(otc_get_log_level(), level);
  CHECK_EQUAL(otc_session_report_issue(session, "a slip of the tongue", &id), OTC_SUCCESS);
  free(id);
  otc_session_connect(NULL, NULL);
  AWAIT_COUNT(errors, 1);
  errors = 0;
  return count_of(&issues) - before;
}

static void the_log(release release) {
  release_of_the_program = release;
  newest_diary = diary_new();
  recorder *alone = recorder_new();
  otc_log_set_logger_callback(on_line);
  if (release == V2_32) {
    CHECK_EQUAL(informs(alone->session, OTC_LOG_LEVEL_WARN), 0);
    CHECK_EQUAL(informs(alone->session, OTC_LOG_LEVEL_INFO), 1);
    CHECK_EQUAL(informs(alone->session, OTC_LOG_LEVEL_DEBUG), 1);
  } else {
    for (int level = OLD_WARN; level <= OLD_TRACE; level++) CHECK_EQUAL(informs(alone->session, level), level >= OLD_INFO);
    CHECK_EQUAL(informs(alone->session, OLD_ALL), 1);
    otc_log_enable((enum otc_log_level)OLD_ERROR);
    CHECK_EQUAL(otc_get_log_level(), OLD_ERROR);
    otc_log_enable((enum otc_log_level)OLD_FATAL);
    CHECK_EQUAL(otc_get_log_level(), OLD_FATAL);
  }
  otc_log_enable(OTC_LOG_LEVEL_DISABLED);
  CHECK_EQUAL(otc_get_log_level(), OTC_LOG_LEVEL_DISABLED);
  otc_log_set_logger_callback(NULL);
  recorder_delete(alone);
  free(newest_diary);
}

/* The name says which release the environment names. */
static void layout_2_19_failing(void) { a_failed_attempt(V2_19); }
static void layout_2_24_failing(void) { a_failed_attempt(V2_24); }
static void layout_2_32_failing(void) { a_failed_attempt(V2_32); }
static void layout_2_19_in_a_call(void) { a_call(V2_19); }
static void layout_2_24_in_a_call(void) { a_call(V2_24); }
static void layout_2_32_in_a_call(void) { a_call(V2_32); }
static void layout_2_19_and_the_log(void) { the_log(V2_19); }
static void layout_2_24_and_the_log(void) { the_log(V2_24); }
static void layout_2_32_and_the_log(void) { the_log(V2_32); }

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(layout_2_19_failing),
      TEST(layout_2_24_failing),
      TEST(layout_2_32_failing),
      TEST(layout_2_19_in_a_call),
      TEST(layout_2_24_in_a_call),
      TEST(layout_2_32_in_a_call),
      TEST(layout_2_19_and_the_log),
      TEST(layout_2_24_and_the_log),
      TEST(layout_2_32_and_the_log),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
