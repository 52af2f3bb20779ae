/*
 * What deletions and ends promise of time, where functions of the program take long: a capturer, an audio device, a picture.
 * And what they promise of silence, when they come in the middle of something.
 */
#include <netdb.h>

#include "media.h"

#define CALL_MAX_MS 100
#define DELETE_MAX_MS 2000
#define DESTROY_MAX_MS 5000
/* The machine that runs the tests may be busy with something else for a moment. */
#define BUSY_MS (900 * slowness())

static flag may_return, has_entered_it;

static void nap(long ms) {
  struct timespec a_moment = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&a_moment, NULL);
}

static void stay(void) {
  if (has_entered_it.is_set) return;
  flag_set(&has_entered_it);
  flag_wait(&may_return, PATIENCE_MS);
}

static void flags_init(void) { flag_init(&may_return), flag_init(&has_entered_it); }

static void recorder_free(recorder *self) {
  if (self->last_connection) otc_connection_delete(self->last_connection);
  if (self->last_stream) otc_stream_delete(self->last_stream);
  free(self);
}

/* ---- A capturer without a thread, one of whose functions takes as long as the test likes ---- */

enum { INIT, SETTINGS, START, STOP, DESTROY, FUNCTIONS };

typedef struct slow_camera {
  int slow; /* this function; FUNCTIONS: none */
  atomic_int is_freed;
  int calls[FUNCTIONS]; /* counters */
} slow_camera;

static otc_bool slow_call(void *user_data, int function) {
  slow_camera *self = (slow_camera *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  count_one(&self->calls[function]);
  if (function == self->slow) stay();
  return OTC_TRUE;
}
static otc_bool slow_init(const otc_video_capturer *c, void *u) { return (void)c, slow_call(u, INIT); }
static otc_bool slow_start(const otc_video_capturer *c, void *u) { return (void)c, slow_call(u, START); }
static otc_bool slow_stop(const otc_video_capturer *c, void *u) { return (void)c, slow_call(u, STOP); }
static otc_bool slow_destroy(const otc_video_capturer *c, void *u) { return (void)c, slow_call(u, DESTROY); }
static otc_bool slow_settings(const otc_video_capturer *c, void *u, struct otc_video_capturer_settings *settings) {
  (void)c, settings->width = PICTURE_WIDTH, settings->height = PICTURE_HEIGHT, settings->fps = PICTURE_RATE;
  return slow_call(u, SETTINGS);
}

static otc_publisher *slow_publisher(slow_camera *camera, int slow) {
  *camera = (slow_camera){.slow = slow};
  struct otc_video_capturer_callbacks capturer = {0};
  capturer.init = slow_init, capturer.get_capture_settings = slow_settings, capturer.start = slow_start;
  capturer.stop = slow_stop, capturer.destroy = slow_destroy, capturer.user_data = camera;
  otc_publisher *publisher = otc_publisher_new("slow", &capturer, &(struct otc_publisher_callbacks){0});
  CHECK(publisher);
  return publisher;
}

/* ---- The time that deletions take ---- */

enum { OTHERS = 4 };

/* One capturer is in its `start`, on the callback thread; others run. */
static void begin_beside_a_slow_start(recorder *here, slow_camera *slow, otc_publisher **of_slow, slow_camera *others,
                                      otc_publisher **of_others) {
  flags_init();
  for (int i = 0; i < OTHERS; i++) {
    of_others[i] = slow_publisher(&others[i], FUNCTIONS);
    CHECK_EQUAL(otc_session_publish(here->session, of_others[i]), OTC_SUCCESS);
  }
  for (int i = 0; i < OTHERS; i++) AWAIT_COUNT(others[i].calls[START], 1);
  *of_slow = slow_publisher(slow, START);
  CHECK_EQUAL(otc_session_publish(here->session, *of_slow), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
}

static void destroy_takes_no_longer_for_many_capturers(void) {
  slow_camera slow, others[OTHERS];
  otc_publisher *of_slow, *of_others[OTHERS];
  newest_diary = diary_new();
  recorder *here = connected_with(given("TEST_TOKEN"));
  begin_beside_a_slow_start(here, &slow, &of_slow, others, of_others);
  long long begin = now_ms();
  is_inside_call++;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  is_inside_call--;
  CHECK(now_ms() - begin < DESTROY_MAX_MS + BUSY_MS);
  for (int i = 0; i < OTHERS; i++) CHECK_EQUAL(others[i].calls[DESTROY], 1);
  flag_set(&may_return);
  AWAIT_COUNT(slow.calls[DESTROY], 1);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* now its function has returned */
  recorder_free(here), free(newest_diary);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}

static void a_deletion_of_a_publisher_takes_two_seconds_at_most(void) {
  slow_camera slow, others[OTHERS];
  otc_publisher *of_slow, *of_others[OTHERS];
  newest_diary = diary_new();
  recorder *here = connected_with(given("TEST_TOKEN"));
  begin_beside_a_slow_start(here, &slow, &of_slow, others, of_others);
  long long begin = now_ms();
  CHECK_EQUAL(otc_publisher_delete(of_others[0]), OTC_SUCCESS);
  CHECK(now_ms() - begin < DELETE_MAX_MS + BUSY_MS);
  CHECK_EQUAL(others[0].calls[DESTROY], 1);
  flag_set(&may_return);
  for (int i = 1; i < OTHERS; i++) CHECK_EQUAL(otc_publisher_delete(of_others[i]), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(of_slow), OTC_SUCCESS);
  CHECK_EQUAL(slow.calls[START], slow.calls[DESTROY]);
  recorder_delete(here), free(newest_diary);
}

/* What a callback of another kind deletes, on a thread of its own. */
static otc_publisher *to_be_deleted;
static flag is_deleted;

static void delete_in_source(source *self, const char *event) {
  (void)self;
  otc_publisher *publisher = to_be_deleted;
  if (strcmp(event, "frame") || !publisher) return;
  to_be_deleted = NULL;
  long long begin = now_ms();
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  flag_set(&is_deleted);
}

static void a_deletion_inside_a_callback_does_not_wait_for_a_slow_capturer(void) {
  slow_camera slow, others[OTHERS];
  otc_publisher *of_slow, *of_others[OTHERS];
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  AWAIT_COUNT(call.source->frames, 1);
  begin_beside_a_slow_start(call.here, &slow, &of_slow, others, of_others);
  flag_init(&is_deleted), to_be_deleted = of_others[0];
  call.source->hook = delete_in_source;
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  CHECK_EQUAL(others[0].calls[DESTROY], 1);
  flag_set(&may_return);
  for (int i = 1; i < OTHERS; i++) CHECK_EQUAL(otc_publisher_delete(of_others[i]), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(of_slow), OTC_SUCCESS);
  call_end(call);
}

/* ---- The silence of capturers ---- */

/* What is queued for the callback thread of a session comes before this. */
static void round_trip(recorder *session) {
  int before = recorder_count(session, "signal after");
  CHECK_EQUAL(otc_session_send_signal(session->session, "after", ""), OTC_SUCCESS);
  recorder_wait(session, "signal after", before + 1);
}

/* A publisher that is deleted inside a callback while its capturer is in one of its functions on another thread. */
static void deleted_while_its_capturer_is_in(int function) {
  slow_camera slow;
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  AWAIT_COUNT(call.source->frames, 1);
  flags_init(), flag_init(&is_deleted);
  otc_publisher *publisher = slow_publisher(&slow, function);
  CHECK_EQUAL(otc_session_publish(call.here->session, publisher), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  to_be_deleted = publisher;
  call.source->hook = delete_in_source;
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  atomic_store(&slow.is_freed, 1);
  flag_set(&may_return);
  round_trip(call.here);
  for (int later = function + 1; later < FUNCTIONS; later++) CHECK_EQUAL(slow.calls[later], 0);
  call_end(call);
}
static void a_capturer_in_its_init_hears_nothing_after_the_deletion(void) { deleted_while_its_capturer_is_in(INIT); }
static void a_capturer_that_is_asked_hears_nothing_after_the_deletion(void) { deleted_while_its_capturer_is_in(SETTINGS); }

/* What has been started is stopped, whenever its `start` returns. */
static void a_capturer_in_its_start_is_still_stopped_and_destroyed(void) {
  slow_camera slow;
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  AWAIT_COUNT(call.source->frames, 1);
  flags_init(), flag_init(&is_deleted);
  to_be_deleted = slow_publisher(&slow, START);
  CHECK_EQUAL(otc_session_publish(call.here->session, to_be_deleted), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  call.source->hook = delete_in_source;
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  flag_set(&may_return);
  AWAIT_COUNT(slow.calls[DESTROY], 1);
  CHECK_EQUAL(slow.calls[STOP], 1);
  call_end(call);
}

static call of_the_end;

static void unpublish_and_destroy(recorder *self, const char *event) {
  if (!begins(event, "signal end")) return;
  source *source = of_the_end.source;
  self->state = of_the_end.there->state = LAW_ANYTHING;
  CHECK_EQUAL(otc_session_unpublish(self->session, source->publisher), OTC_SUCCESS);
  nap(300); /* the session hears that it has ended; that the program is told waits for this callback */
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(source->camera.ends, 1);
  source_gone(source);
  flag_set(&is_deleted);
}

static void destroy_inside_a_callback_ends_capturers_that_are_not_published_any_more(void) {
  of_the_end = call_begun();
  flag_init(&is_deleted);
  atomic_store(&of_the_end.source->camera.is_orphan, 1);
  of_the_end.here->hook = unpublish_and_destroy;
  CHECK_EQUAL(otc_session_send_signal(of_the_end.here->session, "end", ""), OTC_SUCCESS);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  recorder_free(of_the_end.here), recorder_free(of_the_end.there);
  free(of_the_end.source), free(of_the_end.sink), free(of_the_end.diary);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}

/* ---- The end of a session beside callbacks that wait ---- */

static const char *slow_event;

static void sink_stays(sink *self, const char *event) {
  (void)self;
  if (!strcmp(event, slow_event)) stay();
}
static void source_stays(source *self, const char *event) {
  (void)self;
  if (!strcmp(event, slow_event)) stay();
}

/* As where the callback wants a lock that who disconnects holds until it is told. */
static void disconnected_is_told_beside(int is_source, const char *event) {
  call call = call_begun();
  flags_init(), slow_event = event;
  if (is_source) call.source->hook = source_stays;
  else call.sink->hook = sink_stays;
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  nap(1200); /* there are ten levels and two statistics a second, each of which wants a turn */
  recorder *session = is_source ? call.here : call.there;
  atomic_store(&one_may_come_beside, is_source);
  long long begin = now_ms();
  CHECK_EQUAL(recorder_disconnect(session), OTC_SUCCESS);
  recorder_wait(session, "disconnected", 1);
  CHECK(now_ms() - begin < DELETE_MAX_MS + BUSY_MS);
  CHECK(!may_return.is_set);
  if (is_source) CHECK(!atomic_load(&call.source->is_published)); /* it has been told of its end */
  flag_set(&may_return);
  call_end(call);
  atomic_store(&one_may_come_beside, 0);
}
static void disconnected_is_told_beside_a_picture_that_waits(void) { disconnected_is_told_beside(0, "frame"); }
static void disconnected_is_told_beside_sound_that_waits(void) { disconnected_is_told_beside(0, "sound"); }
static void disconnected_is_told_beside_a_preview_that_waits(void) { disconnected_is_told_beside(1, "frame"); }

/* A program of two sessions, one of which is stuck. */
static void another_session_ends_beside(int is_source, const char *event) {
  call call = call_begun();
  recorder *other = connected_with(given("TEST_TOKEN"));
  flags_init(), slow_event = event;
  if (is_source) call.source->hook = source_stays;
  else call.sink->hook = sink_stays;
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  nap(1200); /* levels and statistics of the stuck one want their turn */
  long long begin = now_ms();
  CHECK_EQUAL(recorder_disconnect(other), OTC_SUCCESS);
  recorder_wait(other, "disconnected", 1);
  CHECK(now_ms() - begin < DELETE_MAX_MS + BUSY_MS);
  CHECK(!may_return.is_set);
  flag_set(&may_return);
  int *levels = is_source ? &call.source->levels : &call.sink->levels;
  wait_for_count(levels, count_of(levels) + 3, "levels, when it goes on");
  recorder_delete(other);
  call_end(call);
}
static void another_session_ends_beside_a_preview_that_waits(void) { another_session_ends_beside(1, "frame"); }
static void another_session_ends_beside_a_picture_that_waits(void) { another_session_ends_beside(0, "frame"); }

static void the_ends_of_many_publishers_wait_for_a_preview_together(void) {
  enum { OTHERS = 4 };
  call call = call_begun();
  source *others[OTHERS];
  for (int i = 0; i < OTHERS; i++) {
    others[i] = source_with(call.diary, "voice", 1, 0, HAS_ALL);
    CHECK_EQUAL(source_publish(others[i], call.here), OTC_SUCCESS);
  }
  diary_wait(call.diary, "created voice", OTHERS);
  flags_init(), slow_event = "frame";
  call.source->hook = source_stays;
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  atomic_store(&one_may_come_beside, 1);
  long long begin = now_ms();
  CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
  recorder_wait(call.here, "disconnected", 1);
  CHECK(now_ms() - begin < DELETE_MAX_MS + BUSY_MS);
  CHECK(!may_return.is_set);
  for (int i = 0; i < OTHERS; i++) CHECK(!atomic_load(&others[i]->is_published));
  flag_set(&may_return);
  for (int i = 0; i < OTHERS; i++) source_delete(others[i]);
  call_end(call);
  atomic_store(&one_may_come_beside, 0);
}

static int transformed; /* a counter */

static void transform_slowly(void *user_data, otc_video_frame *frame) {
  (void)user_data, (void)frame, count_one(&transformed);
  nap(90); /* longer than the capturer takes to end */
}
static void transform_sound_slowly(void *user_data, struct otc_audio_data *data) {
  (void)user_data, (void)data, count_one(&transformed);
  nap(4);
}

/* Programs free there what their transformers and previews use. */
static void after_on_disconnected_no_transformer_and_no_preview_begins(void) {
  for (int round = 0; round < 6; round++) {
    call call = call_begun();
    otc_video_transformer *video = otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, "", "", transform_slowly, NULL);
    otc_audio_transformer *audio = otc_audio_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, "", "", transform_sound_slowly, NULL);
    otc_audio_transformer *twice[] = {audio, audio};
    CHECK_EQUAL(otc_publisher_set_video_transformers(call.source->publisher, &video, 1), OTC_SUCCESS);
    CHECK_EQUAL(otc_publisher_set_audio_transformers(call.source->publisher, twice, 2), OTC_SUCCESS);
    AWAIT_MORE(call.source->frames);
    nap(round * 9);
    CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
    recorder_wait(call.here, "disconnected", 1);
    int calls = count_of(&transformed), frames = count_of(&call.source->frames);
    nap(200);
    CHECK_EQUAL(count_of(&transformed), calls);
    CHECK_EQUAL(count_of(&call.source->frames), frames);
    CHECK_EQUAL(otc_video_transformer_delete(video), OTC_SUCCESS);
    CHECK_EQUAL(otc_audio_transformer_delete(audio), OTC_SUCCESS);
    call_end(call);
  }
}

/* ---- A session's deletion ---- */

static otc_bool device_is_slow(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  flag_wait(&may_return, PATIENCE_MS);
  return OTC_TRUE;
}
static otc_bool device_says_yes(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  return OTC_TRUE;
}

/* Neither its capturer nor its audio device come to an end. */
static void a_deletion_of_a_session_takes_two_seconds_at_most(void) {
  struct otc_audio_device_callbacks device = {0};
  slow_camera slow;
  flags_init();
  newest_diary = diary_new();
  device.start_capturer = device.start_renderer = device_says_yes;
  device.stop_capturer = device.stop_renderer = device_is_slow;
  device.get_capture_settings = device.get_render_settings = device_settings;
  CHECK_EQUAL(otc_set_audio_device(&device), OTC_SUCCESS);
  recorder *here = connected_with(given("TEST_TOKEN")), *there = connected_with(given("TEST_OTHER_TOKEN"));
  otc_publisher *publisher = slow_publisher(&slow, STOP);
  CHECK_EQUAL(otc_session_publish(here->session, publisher), OTC_SUCCESS);
  recorder_wait(there, "stream received slow", 1);
  nap(300); /* the sound of what is published is asked for */
  long long begin = now_ms();
  CHECK_EQUAL(recorder_delete_session(here), OTC_SUCCESS);
  long long took = now_ms() - begin;
  CHECK(took >= DELETE_MAX_MS - 100 && took < DELETE_MAX_MS + BUSY_MS);
  flag_set(&may_return);
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  CHECK_EQUAL(slow.calls[DESTROY], 1);
  recorder_free(here), recorder_delete(there), free(newest_diary);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

/* ---- Names that no server answers ---- */

static int lookups; /* counter */

/* Stands before the system's, and answers when the test lets it. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  (void)service, (void)hints, (void)found;
  if (!name || strcmp(name, "silent.example")) return EAI_NONAME;
  count_one(&lookups);
  stay();
  flag_wait(&may_return, PATIENCE_MS);
  return EAI_AGAIN;
}

/* Its lookup outlives the library, alone and known to the next one. */
static void a_name_that_is_not_answered_holds_up_nothing(void) {
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  int before = descriptors();
  char address[200];
  snprintf(address, sizeof address, "ws://silent.example:1/%s", given("TEST_SESSION"));
  flags_init();
  for (int library = 0; library < 2; library++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    for (int round = 0; round < 5; round++) {
      recorder *session = recorder_for(address);
      CHECK_EQUAL(recorder_connect(session, given("TEST_TOKEN")), OTC_SUCCESS);
      CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
      CHECK_EQUAL(recorder_disconnect(session), OTC_SUCCESS);
      recorder_wait(session, "disconnected", 1);
      recorder_delete(session);
    }
    long long begin = now_ms();
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    CHECK(now_ms() - begin < DELETE_MAX_MS + BUSY_MS);
    CHECK_EQUAL(threads(), 2); /* this one and the one that is in the resolver */
    CHECK_EQUAL(descriptors(), before);
  }
  CHECK_EQUAL(lookups, 1);
  flag_set(&may_return);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  only_this_thread_is_left();
}

/* ---- Functions that get reports ---- */

static int reports; /* counter */
static atomic_int is_taken_back;

static void got_a_report(void) {
  CHECK(!atomic_load(&is_taken_back));
  count_one(&reports);
}
static void of_publisher(otc_publisher *p, void *u, const struct otc_publisher_rtc_stats *stats, size_t count) {
  (void)p, (void)u, (void)stats, (void)count;
  got_a_report();
}
static void of_subscriber(otc_subscriber *s, void *u, const char *json) {
  (void)s, (void)u, (void)json;
  got_a_report();
}
static void of_subscriber_that_stays(otc_subscriber *s, void *u, const char *json) {
  (void)s, (void)u, (void)json;
  stay();
  CHECK(!atomic_load(&is_taken_back));
}

static void session_stays(recorder *self, const char *event) {
  (void)self;
  if (begins(event, "signal stay")) stay();
}

static void register_reports(call *call, int are_wanted) {
  struct otc_publisher_rtc_stats_report_cb publisher = {0};
  struct otc_subscriber_rtc_stats_report_cb subscriber = {0};
  if (are_wanted) publisher.on_rtc_stats_report = of_publisher, subscriber.on_rtc_stats_report = of_subscriber;
  CHECK_EQUAL(otc_publisher_set_rtc_stats_report_cb(call->source->publisher, publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_rtc_stats_report_cb(call->sink->subscriber, subscriber), OTC_SUCCESS);
}

static void a_function_for_reports_that_was_taken_back_is_not_called(void) {
  call call = call_begun();
  register_reports(&call, 1);
  flags_init();
  call.here->hook = session_stays;
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "stay", ""), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  CHECK_EQUAL(otc_publisher_get_rtc_stats_report(call.source->publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_rtc_stats_report(call.sink->subscriber), OTC_SUCCESS);
  nap(300); /* they are made; to be told they wait for the callback */
  register_reports(&call, 0);
  atomic_store(&is_taken_back, 1);
  flag_set(&may_return);
  round_trip(call.here);
  /* Others are called as before. */
  atomic_store(&is_taken_back, 0);
  register_reports(&call, 1);
  CHECK_EQUAL(otc_publisher_get_rtc_stats_report(call.source->publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_rtc_stats_report(call.sink->subscriber), OTC_SUCCESS);
  AWAIT_COUNT(reports, 2);
  call_end(call);
}

static void *let_it_return(void *unused) {
  nap(200); /* a callback that takes so long */
  flag_set(&may_return);
  return unused;
}

static void a_function_for_reports_that_runs_is_waited_for(void) {
  call call = call_begun();
  flags_init();
  struct otc_subscriber_rtc_stats_report_cb stays = {.on_rtc_stats_report = of_subscriber_that_stays};
  CHECK_EQUAL(otc_subscriber_set_rtc_stats_report_cb(call.sink->subscriber, stays), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_rtc_stats_report(call.sink->subscriber), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  pthread_t releaser;
  CHECK_EQUAL(pthread_create(&releaser, NULL, let_it_return, NULL), 0);
  CHECK_EQUAL(otc_subscriber_set_rtc_stats_report_cb(call.sink->subscriber, (struct otc_subscriber_rtc_stats_report_cb){0}),
              OTC_SUCCESS);
  atomic_store(&is_taken_back, 1);
  CHECK(may_return.is_set);
  pthread_join(releaser, NULL);
  call_end(call);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(destroy_takes_no_longer_for_many_capturers),
      TEST(a_deletion_of_a_publisher_takes_two_seconds_at_most),
      TEST(a_deletion_inside_a_callback_does_not_wait_for_a_slow_capturer),
      TEST(a_capturer_in_its_init_hears_nothing_after_the_deletion),
      TEST(a_capturer_that_is_asked_hears_nothing_after_the_deletion),
      TEST(a_capturer_in_its_start_is_still_stopped_and_destroyed),
      TEST(destroy_inside_a_callback_ends_capturers_that_are_not_published_any_more),
      TEST(disconnected_is_told_beside_a_picture_that_waits),
      TEST(disconnected_is_told_beside_sound_that_waits),
      TEST(disconnected_is_told_beside_a_preview_that_waits),
      TEST(another_session_ends_beside_a_preview_that_waits),
      TEST(another_session_ends_beside_a_picture_that_waits),
      TEST(the_ends_of_many_publishers_wait_for_a_preview_together),
      TEST(after_on_disconnected_no_transformer_and_no_preview_begins),
      TEST(a_deletion_of_a_session_takes_two_seconds_at_most),
      TEST(a_name_that_is_not_answered_holds_up_nothing),
      TEST(a_function_for_reports_that_was_taken_back_is_not_called),
      TEST(a_function_for_reports_that_runs_is_waited_for),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
