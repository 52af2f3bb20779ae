/* Muting others on the hub: three clients, each with a voice. */
#include "film.h"
#include "otc_test.h"

enum { ID_MAX_BYTES = 128 };

static film_microphone microphone;

/* A session and a publisher. What the publisher hears is recorded among what its session hears. */
typedef struct client {
  recorder *recorder;
  otc_publisher *publisher;
  char stream[ID_MAX_BYTES]; /* written by the callback that records "created" */
} client;

static void on_mute_forced(otc_session *session, void *user_data, struct otc_on_mute_forced_info *info) {
  record((recorder *)user_data, session, "mute forced %d", (int)info->active);
}

static void on_has_audio_changed(otc_session *session, void *user_data, const otc_stream *stream, otc_bool has_audio) {
  record((recorder *)user_data, session, "audio of %s %d", otc_stream_get_name(stream), (int)has_audio);
}

static void on_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  client *self = (client *)user_data;
  CHECK(publisher == self->publisher);
  snprintf(self->stream, sizeof self->stream, "%s", otc_stream_get_id(stream));
  record(self->recorder, self->recorder->session, "created, audio %d", (int)otc_stream_has_audio(stream));
}

static void on_publisher_mute_forced(otc_publisher *publisher, void *user_data) {
  client *self = (client *)user_data;
  CHECK(!otc_publisher_get_publish_audio(publisher));
  record(self->recorder, self->recorder->session, "publisher mute forced");
}

static client *enter(const char *token, const char *name) {
  client *self = calloc(1, sizeof *self);
  self->recorder = calloc(1, sizeof *self->recorder);
  flag_init(&self->recorder->changed);
  struct otc_session_callbacks callbacks = recorded_callbacks(self->recorder);
  callbacks.on_mute_forced = on_mute_forced;
  callbacks.on_stream_has_audio_changed = on_has_audio_changed;
  self->recorder->session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
  struct otc_publisher_callbacks publishing = {0};
  publishing.on_stream_created = on_created;
  publishing.on_publisher_mute_forced = on_publisher_mute_forced;
  publishing.user_data = self;
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, name);
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  self->publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  CHECK(self->recorder->session && self->publisher);
  CHECK_EQUAL(recorder_connect(self->recorder, token), OTC_SUCCESS);
  recorder_wait(self->recorder, "connected", 1);
  return self;
}

static void publish(client *self, int times) {
  CHECK_EQUAL(otc_session_publish(self->recorder->session, self->publisher), OTC_SUCCESS);
  recorder_wait(self->recorder, "created", times);
}

static void leave(client *self) {
  CHECK_EQUAL(otc_publisher_delete(self->publisher), OTC_SUCCESS);
  recorder_delete(self->recorder);
  free(self);
}

/* A moderator, another one, and a client that is none: all publish, and the first sees the others' streams. */
static void meet(client *all[3]) {
  CHECK_EQUAL(film_use_microphone(&microphone), OTC_SUCCESS);
  all[0] = enter(given("TEST_TOKEN"), "alice");
  all[1] = enter(given("TEST_OTHER_TOKEN"), "bob");
  all[2] = enter(given("TEST_PLAIN_TOKEN"), "carol");
  for (int i = 0; i < 3; i++) publish(all[i], 1);
  for (int i = 0; i < 3; i++) recorder_wait(all[i]->recorder, "stream received", 2);
}

static void part(client *all[3]) {
  for (int i = 0; i < 3; i++) leave(all[i]);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
}

static int count(client *self, const char *event) { return recorder_count(self->recorder, event); }

static void one_stream_is_muted_and_its_publisher_may_speak_again(void) {
  client *all[3];
  meet(all);
  client *alice = all[0], *bob = all[1], *carol = all[2];
  CHECK_EQUAL(otc_session_force_mute_stream(alice->recorder->session, bob->stream), OTC_SUCCESS);
  recorder_wait(bob->recorder, "publisher mute forced", 1);
  recorder_wait(alice->recorder, "audio of bob 0", 1);
  recorder_wait(carol->recorder, "audio of bob 0", 1);
  CHECK_EQUAL(otc_publisher_set_publish_audio(bob->publisher, OTC_TRUE), OTC_SUCCESS);
  recorder_wait(alice->recorder, "audio of bob 1", 1);
  CHECK(otc_publisher_get_publish_audio(bob->publisher));
  /* One's own stream. */
  CHECK_EQUAL(otc_session_force_mute_stream(alice->recorder->session, alice->stream), OTC_SUCCESS);
  recorder_wait(alice->recorder, "publisher mute forced", 1);
  recorder_wait(carol->recorder, "audio of alice 0", 1);
  CHECK_EQUAL(count(bob, "publisher mute forced"), 1);
  CHECK_EQUAL(count(carol, "publisher mute forced"), 0);
  for (int i = 0; i < 3; i++) CHECK_EQUAL(count(all[i], "mute forced"), 0);
  part(all);
}

static void all_are_muted_but_some_and_who_comes_later_starts_muted(void) {
  client *all[3];
  meet(all);
  client *alice = all[0], *bob = all[1], *carol = all[2];
  const char *excluded[] = {"nobody", carol->stream};
  CHECK_EQUAL(otc_session_force_mute_all(alice->recorder->session, (char const **)excluded, 2), OTC_SUCCESS);
  for (int i = 0; i < 3; i++) recorder_wait(all[i]->recorder, "mute forced 1", 1);
  recorder_wait(alice->recorder, "publisher mute forced", 1);
  recorder_wait(bob->recorder, "publisher mute forced", 1);
  recorder_wait(carol->recorder, "audio of bob 0", 1);
  CHECK_EQUAL(count(carol, "publisher mute forced"), 0);

  /* A new stream of hers is no longer left alone. She may speak all the same. */
  CHECK_EQUAL(otc_session_unpublish(carol->recorder->session, carol->publisher), OTC_SUCCESS);
  recorder_wait(bob->recorder, "stream dropped carol", 1);
  publish(carol, 2);
  recorder_wait(carol->recorder, "created, audio 0", 1);
  recorder_wait(carol->recorder, "publisher mute forced", 1);
  CHECK_EQUAL(otc_publisher_set_publish_audio(carol->publisher, OTC_TRUE), OTC_SUCCESS);
  recorder_wait(bob->recorder, "audio of carol 1", 1);

  client *dave = enter(given("TEST_PLAIN_TOKEN"), "dave");
  publish(dave, 1);
  recorder_wait(dave->recorder, "publisher mute forced", 1);
  CHECK_EQUAL(count(dave, "mute forced"), 0);
  leave(dave);

  /* Who mutes all again is heard again. */
  excluded[0] = carol->stream;
  CHECK_EQUAL(otc_session_force_mute_all(bob->recorder->session, (char const **)excluded, 1), OTC_SUCCESS);
  for (int i = 0; i < 3; i++) recorder_wait(all[i]->recorder, "mute forced 1", 2);

  CHECK_EQUAL(otc_session_disable_force_mute(bob->recorder->session), OTC_SUCCESS);
  for (int i = 0; i < 3; i++) recorder_wait(all[i]->recorder, "mute forced 0", 1);
  for (int i = 0; i < 2; i++) CHECK(!otc_publisher_get_publish_audio(all[i]->publisher)); /* nobody is unmuted */
  CHECK_EQUAL(otc_session_unpublish(carol->recorder->session, carol->publisher), OTC_SUCCESS);
  publish(carol, 3);
  CHECK_EQUAL(count(carol, "created, audio 1"), 2);
  CHECK_EQUAL(count(carol, "publisher mute forced"), 1);
  for (int i = 0; i < 3; i++) CHECK_EQUAL(count(all[i], "mute forced"), 3);

  /* The calls come in the order in which they were made. */
  for (int round = 0; round < 10; round++) {
    CHECK_EQUAL(otc_session_force_mute_all(alice->recorder->session, NULL, 0), OTC_SUCCESS);
    CHECK_EQUAL(otc_session_disable_force_mute(alice->recorder->session), OTC_SUCCESS);
  }
  for (int i = 0; i < 3; i++) recorder_wait(all[i]->recorder, "mute forced 0", 11);
  part(all);
}

static void who_may_not_mute_is_told_so(void) {
  client *all[3];
  meet(all);
  client *alice = all[0], *bob = all[1], *carol = all[2];
  otc_session *hers = carol->recorder->session, *theirs = alice->recorder->session;
  CHECK_EQUAL(otc_session_force_mute_stream(hers, bob->stream), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(otc_session_force_mute_stream(hers, carol->stream), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(otc_session_force_mute_all(hers, NULL, 0), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(otc_session_disable_force_mute(hers), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(otc_session_force_mute_stream(theirs, "nobody's"), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(otc_session_unpublish(bob->recorder->session, bob->publisher), OTC_SUCCESS);
  recorder_wait(alice->recorder, "stream dropped bob", 1);
  CHECK_EQUAL(otc_session_force_mute_stream(theirs, bob->stream), OTC_UNABLE_TO_FORCE_MUTE);
  CHECK_EQUAL(recorder_disconnect(alice->recorder), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_force_mute_stream(theirs, carol->stream), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_force_mute_all(theirs, NULL, 0), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_disable_force_mute(theirs), OTC_SESSION_NOT_CONNECTED);
  recorder_wait(alice->recorder, "disconnected", 1);
  for (int i = 0; i < 3; i++) CHECK_EQUAL(count(all[i], "publisher mute forced"), 0);
  part(all);
}

static void a_stream_without_sound_stays_as_it_is(void) {
  static film_camera camera = {.fps = 15, .width = 320, .height = 240};
  client *alice = enter(given("TEST_TOKEN"), "alice");
  client bob = {.recorder = alice->recorder};
  struct otc_publisher_callbacks publishing = {0};
  publishing.on_stream_created = on_created;
  publishing.on_publisher_mute_forced = on_publisher_mute_forced;
  publishing.user_data = &bob;
  bob.publisher = film_publisher("film", &camera, 0, &publishing);
  publish(&bob, 1);
  CHECK_EQUAL(otc_session_force_mute_stream(alice->recorder->session, bob.stream), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_force_mute_all(alice->recorder->session, NULL, 0), OTC_SUCCESS);
  recorder_wait(alice->recorder, "mute forced 1", 1);
  CHECK_EQUAL(count(alice, "publisher mute forced"), 0);
  CHECK_EQUAL(otc_publisher_delete(bob.publisher), OTC_SUCCESS);
  leave(alice);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(one_stream_is_muted_and_its_publisher_may_speak_again),
      TEST(all_are_muted_but_some_and_who_comes_later_starts_muted),
      TEST(who_may_not_mute_is_told_so),
      TEST(a_stream_without_sound_stays_as_it_is),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
