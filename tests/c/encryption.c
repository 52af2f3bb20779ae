/*
 * Streams that are encrypted from end to end, over the hub: the same secret, another one, none, and a change in mid-flow.
 */
#include "media.h"

static const char SECRET[] = "the secret of the tests", OTHER[] = "another secret";

static void set_secret(recorder *session, const char *secret) {
  CHECK_EQUAL(otc_session_set_encryption_secret(session->session, secret), OTC_SUCCESS);
}

/* Two sessions with their secrets, connected; NULL for none. */
static call call_with(const char *here, const char *there) {
  call self = {0};
  self.diary = diary_new();
  self.here = recorder_new(), self.there = recorder_new();
  if (here) set_secret(self.here, here);
  if (there) set_secret(self.there, there);
  CHECK_EQUAL(recorder_connect(self.here, given("TEST_TOKEN")), OTC_SUCCESS);
  CHECK_EQUAL(recorder_connect(self.there, given("TEST_OTHER_TOKEN")), OTC_SUCCESS);
  recorder_wait(self.here, "connected", 1);
  recorder_wait(self.there, "connected", 1);
  return self;
}

/* Published, and subscribed to; nothing may have come yet. */
static void begin(call *self) {
  self->source = source_new(self->diary, "film");
  CHECK_EQUAL(source_publish(self->source, self->here), OTC_SUCCESS);
  recorder_wait(self->there, "stream received film", 1);
  self->sink = sink_in(self->there, self->diary, "sink");
  diary_wait(self->diary, "sink connected", 1);
}

/* The picture that was painted, and the sound that was made. */
static void await_film(call *self) {
  AWAIT_MORE(self->sink->frames);
  AWAIT_MORE(self->sink->loud_sounds);
  CHECK(abs(self->sink->luma - LUMA) < 8);
  CHECK_EQUAL(self->sink->width, PICTURE_WIDTH);
}

static void with_the_same_secret_all_is_seen_and_heard(void) {
  device *device = device_use();
  call call = call_with(SECRET, SECRET);
  begin(&call);
  await_film(&call);
  CHECK_EQUAL(diary_count(call.diary, "sink error") + diary_count(call.diary, "publisher error"), 0);
  CHECK_EQUAL(recorder_count(call.here, "error") + recorder_count(call.there, "error"), 0);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void another_secret_is_told_once_and_nothing_is_shown(void) {
  device *device = device_use();
  call call = call_with(SECRET, OTHER);
  begin(&call);
  diary_wait(call.diary, "sink error 6003", 1);
  for (int i = 0; i < 20; i++) AWAIT_MORE(call.source->frames); /* the other kind has noticed it too by now */
  CHECK_EQUAL(diary_count(call.diary, "sink error"), 1);
  CHECK_EQUAL(count_of(&call.sink->frames) + count_of(&call.sink->loud_sounds), 0);
  CHECK_EQUAL(diary_count(call.diary, "sink video data received"), 0);
  /* The subscriber stays, and with the right secret it sees. */
  set_secret(call.there, SECRET);
  await_film(&call);
  CHECK_EQUAL(recorder_count(call.there, "error"), 0);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void a_missing_secret_is_told_once_and_nothing_is_shown(void) {
  device *device = device_use();
  call call = call_with(SECRET, NULL);
  begin(&call);
  recorder_wait(call.there, "error 6000", 1);
  sink *second = sink_in(call.there, call.diary, "second");
  diary_wait(call.diary, "second connected", 1);
  for (int i = 0; i < 5; i++) AWAIT_MORE(call.source->frames);
  CHECK_EQUAL(recorder_count(call.there, "error"), 1);
  CHECK_EQUAL(count_of(&call.sink->frames) + count_of(&call.sink->loud_sounds) + count_of(&second->frames), 0);
  /* It comes late, and not too late. */
  set_secret(call.there, SECRET);
  await_film(&call);
  AWAIT_MORE(second->frames);
  CHECK_EQUAL(diary_count(call.diary, "sink error") + diary_count(call.diary, "second error"), 0);
  sink_delete(second);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void a_change_in_mid_session_is_followed(void) {
  device *device = device_use();
  call call = call_with(SECRET, SECRET);
  begin(&call);
  await_film(&call);
  set_secret(call.here, OTHER);
  set_secret(call.there, OTHER);
  await_film(&call);
  /* Who does not follow is left behind. */
  set_secret(call.here, "a third secret");
  diary_wait(call.diary, "sink error 6003", 1);
  int frames = count_of(&call.sink->frames);
  for (int i = 0; i < 5; i++) AWAIT_MORE(call.source->frames);
  CHECK_EQUAL(count_of(&call.sink->frames), frames);
  set_secret(call.there, "a third secret");
  await_film(&call);
  CHECK_EQUAL(diary_count(call.diary, "sink error"), 1);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void a_stream_of_somebody_without_a_secret_is_shown_as_it_is(void) {
  device *device = device_use();
  call call = call_with(NULL, SECRET);
  begin(&call);
  await_film(&call);
  CHECK_EQUAL(diary_count(call.diary, "sink error"), 0);
  CHECK_EQUAL(recorder_count(call.here, "error") + recorder_count(call.there, "error"), 0);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void a_first_secret_in_mid_session_is_for_what_is_published_after_it(void) {
  device *device = device_use();
  call call = call_with(NULL, NULL);
  begin(&call);
  await_film(&call);
  set_secret(call.here, SECRET);
  await_film(&call); /* as it was announced */
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream dropped film", 1);
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 2);
  sink *second = sink_in(call.there, call.diary, "second");
  recorder_wait(call.there, "error 6000", 1);
  set_secret(call.there, SECRET);
  AWAIT_MORE(second->frames);
  sink_delete(second);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(with_the_same_secret_all_is_seen_and_heard),
      TEST(another_secret_is_told_once_and_nothing_is_shown),
      TEST(a_missing_secret_is_told_once_and_nothing_is_shown),
      TEST(a_change_in_mid_session_is_followed),
      TEST(a_stream_of_somebody_without_a_secret_is_shown_as_it_is),
      TEST(a_first_secret_in_mid_session_is_for_what_is_published_after_it),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
