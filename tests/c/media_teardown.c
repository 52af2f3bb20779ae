/*
 * The teardown contract for publishers and subscribers: points 3 to 8 of it, in mid-flow.
 *
 * That capturers are started and destroyed in turn, that no callback comes after a deletion, and that there are never two
 * at once, is checked in media.h.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <sched.h>

#include "media.h"

static const char *TOKEN, *OTHER_TOKEN;

#define CALL_MAX_MS 100
#define DELETE_MAX_MS 2000
#define DESTROY_MAX_MS 5000
/* The machine that runs the tests may be busy with something else for a moment. */
#define BUSY_MS (900 * slowness())

/* ---- Deletion inside each callback ---- */

static const char *deadly;      /* the callback in which it happens */
static flag is_deleted;

static void delete_source_inside(source *self, const char *event) {
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  CHECK_EQUAL(otc_publisher_delete(self->publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(self->publisher), OTC_INVALID_PARAM);
  CHECK(!otc_publisher_get_session(self->publisher));
  source_gone(self);
  flag_set(&is_deleted);
}

static void delete_sink_inside(sink *self, const char *event) {
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  CHECK_EQUAL(otc_subscriber_delete(self->subscriber), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_delete(self->subscriber), OTC_INVALID_PARAM);
  CHECK(!otc_subscriber_get_session(self->subscriber));
  atomic_store(&self->is_freed, 1);
  flag_set(&is_deleted);
}

/* A publisher that ends inside the callback, whatever brings that about. */
static void source_dies_in(const char *event, void (*bring_about)(call *)) {
  call call = call_new();
  source *source = source_new(call.diary, "film");
  deadly = event, flag_init(&is_deleted);
  source->hook = delete_source_inside;
  call.source = source;
  CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
  if (bring_about) bring_about(&call);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  AWAIT_COUNT(source->camera.ends, 1);
  CHECK_EQUAL(source->camera.starts, 1);
  /* The session goes on, and nobody sees the stream any more. */
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "after", ""), OTC_SUCCESS);
  recorder_wait(call.there, "signal after", 1);
  recorder_wait(call.there, "stream dropped", recorder_count(call.there, "stream received"));
  call.source = NULL;
  call_end(call);
  free(source);
}

static void unpublish_it(call *call) {
  diary_wait(call->diary, "created", 1);
  CHECK_EQUAL(source_unpublish(call->source, call->here), OTC_SUCCESS);
}

static void publisher_deleted_in_on_stream_created(void) { source_dies_in("created", NULL); }
static void publisher_deleted_in_on_stream_destroyed(void) { source_dies_in("destroyed", unpublish_it); }
static void publisher_deleted_in_on_render_frame(void) { source_dies_in("frame", NULL); }
static void publisher_deleted_in_on_audio_level_updated(void) { source_dies_in("level", NULL); }
static void publisher_deleted_in_on_audio_stats(void) { source_dies_in("audio stats", NULL); }

static void publisher_deleted_in_on_error(void) {
  call call = call_new();
  source *source = source_new(call.diary, "film");
  deadly = "error", flag_init(&is_deleted);
  source->hook = delete_source_inside;
  source->camera.refusals = 1000;
  CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  call_end(call);
  free(source);
}

static otc_publisher *of_the_camera;

static void delete_inside_the_capturer(camera *self, const char *function) {
  if (strcmp(function, deadly) || is_deleted.is_set) return;
  flag_set(&is_deleted);
  atomic_store(&self->is_orphan, 1);
  CHECK_EQUAL(otc_publisher_delete(of_the_camera), OTC_SUCCESS);
}

/* The capturer is still stopped and destroyed, where it was started; where it was not, that was its last function. */
static void publisher_dies_in_its_capturers(const char *function) {
  int starts = strcmp(function, "init") && strcmp(function, "settings");
  call call = call_new();
  source *source = source_new(call.diary, "film");
  deadly = function, flag_init(&is_deleted);
  of_the_camera = source->publisher;
  source->camera.hook = delete_inside_the_capturer;
  CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
  if (!strcmp(function, "stop") || !strcmp(function, "destroy")) {
    AWAIT_COUNT(source->frames, 1);
    CHECK_EQUAL(source_unpublish(source, call.here), OTC_SUCCESS);
  }
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  AWAIT_COUNT(source->camera.ends, starts);
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "after", ""), OTC_SUCCESS);
  recorder_wait(call.here, "signal after", 1);
  CHECK_EQUAL(source->camera.starts, starts);
  CHECK(starts || !strcmp(source->camera.last, function));
  CHECK_EQUAL(otc_publisher_delete(source->publisher), OTC_INVALID_PARAM);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(source->camera.ends, starts);
  free(source);
}

static void publisher_deleted_in_its_capturers_init(void) { publisher_dies_in_its_capturers("init"); }
static void publisher_deleted_in_its_capturers_settings(void) { publisher_dies_in_its_capturers("settings"); }
static void publisher_deleted_in_its_capturers_start(void) { publisher_dies_in_its_capturers("start"); }
static void publisher_deleted_in_its_capturers_stop(void) { publisher_dies_in_its_capturers("stop"); }
static void publisher_deleted_in_its_capturers_destroy(void) { publisher_dies_in_its_capturers("destroy"); }

static void sink_dies_in(const char *event, void (*bring_about)(call *)) {
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 1);
  deadly = event, flag_init(&is_deleted);
  sink *sink = sink_of(call.diary, "sink", call.there->last_stream);
  sink->hook = delete_sink_inside;
  CHECK_EQUAL(sink_subscribe(sink, call.there), OTC_SUCCESS);
  if (bring_about) bring_about(&call);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  struct sink *next = sink_in(call.there, call.diary, "next"); /* the stream is as good as before */
  AWAIT_COUNT(next->frames, 2);
  sink_delete(next);
  call_end(call);
  free(sink);
}

static void switch_video_off_and_on(call *call) {
  diary_wait(call->diary, "sink video data received", 1);
  CHECK_EQUAL(otc_publisher_set_publish_video(call->source->publisher, OTC_FALSE), OTC_SUCCESS);
  diary_wait(call->diary, "sink video disabled", 1);
  CHECK_EQUAL(otc_publisher_set_publish_video(call->source->publisher, OTC_TRUE), OTC_SUCCESS);
}

static void switch_audio_off(call *call) {
  diary_wait(call->diary, "sink connected", 1);
  CHECK_EQUAL(otc_publisher_set_publish_audio(call->source->publisher, OTC_FALSE), OTC_SUCCESS);
}

static void subscriber_deleted_in_on_connected(void) { sink_dies_in("connected", NULL); }
static void subscriber_deleted_in_on_video_data_received(void) { sink_dies_in("video data received", NULL); }
static void subscriber_deleted_in_on_render_frame(void) { sink_dies_in("frame", NULL); }
static void subscriber_deleted_in_on_audio_data(void) { sink_dies_in("sound", NULL); }
static void subscriber_deleted_in_on_audio_level_updated(void) { sink_dies_in("level", NULL); }
static void subscriber_deleted_in_on_video_disabled(void) { sink_dies_in("video disabled 1", switch_video_off_and_on); }
static void subscriber_deleted_in_on_video_enabled(void) { sink_dies_in("video enabled 1", switch_video_off_and_on); }
static void subscriber_deleted_in_on_audio_disabled(void) { sink_dies_in("audio disabled", switch_audio_off); }

static void subscriber_deleted_in_on_error(void) {
  call call = call_begun();
  otc_stream *stream = otc_stream_copy(call.there->last_stream);
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream dropped", 1);
  deadly = "error 1604", flag_init(&is_deleted);
  sink *late = sink_of(call.diary, "late", stream);
  late->hook = delete_sink_inside;
  CHECK_EQUAL(sink_subscribe(late, call.there), OTC_SUCCESS);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  CHECK_EQUAL(otc_stream_delete(stream), OTC_SUCCESS);
  call_end(call);
  free(late);
}

static sink *of_the_dropped;

static void delete_when_dropped(recorder *self, const char *event) {
  (void)self;
  if (!begins(event, "stream dropped")) return;
  CHECK_EQUAL(otc_subscriber_delete(of_the_dropped->subscriber), OTC_SUCCESS);
  atomic_store(&of_the_dropped->is_freed, 1);
  flag_set(&is_deleted);
}

static void subscriber_deleted_in_on_stream_dropped(void) {
  call call = call_begun();
  flag_init(&is_deleted);
  of_the_dropped = call.sink, call.sink = NULL;
  call.there->hook = delete_when_dropped;
  source_delete(call.source), call.source = NULL;
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  call_end(call);
  free(of_the_dropped);
}

static source *of_the_disconnected;

static void delete_when_disconnected(recorder *self, const char *event) {
  if (strcmp(event, "disconnected")) return;
  CHECK_EQUAL(otc_session_unpublish(self->session, of_the_disconnected->publisher), OTC_SESSION_PUBLISHER_NOT_FOUND);
  CHECK_EQUAL(otc_publisher_delete(of_the_disconnected->publisher), OTC_SUCCESS);
  source_gone(of_the_disconnected);
  flag_set(&is_deleted);
}

static void publisher_deleted_in_on_disconnected(void) {
  call call = call_begun();
  source *source = of_the_disconnected = call.source;
  call.source = NULL;
  flag_init(&is_deleted);
  call.here->hook = delete_when_disconnected;
  CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  CHECK_EQUAL(diary_count(call.diary, "destroyed"), 1);
  recorder_wait(call.there, "stream dropped film", 1);
  CHECK_EQUAL(source->camera.ends, 1);
  call_end(call);
  free(source);
}

/* ---- exit() ---- */

static void exit_in_source(source *self, const char *event) {
  (void)self;
  if (!strcmp(event, "frame")) exit(0);
}
static void exit_in_sink(sink *self, const char *event) {
  (void)self;
  if (!strcmp(event, "sound")) exit(0);
}

static void exit_inside_a_callback_of_a_publisher_terminates(void) {
  call call = call_begun();
  call.source->hook = exit_in_source;
  for (;;) pause();
}
static void exit_inside_a_callback_of_a_subscriber_terminates(void) {
  call call = call_begun();
  call.sink->hook = exit_in_sink;
  for (;;) pause();
}

/* The callback does not return before the handlers have run, so nothing that waits for it is waited for. */
static void destroy_at_exit(void) {
  long long begin = now_ms();
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(now_ms() - begin < DESTROY_MAX_MS / 2 + BUSY_MS);
}
static void exit_in_session(recorder *self, const char *event) {
  (void)self;
  if (begins(event, "signal")) exit(0);
}

static void a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_session(void) {
  call call = call_begun();
  CHECK_EQUAL(atexit(destroy_at_exit), 0);
  call.here->hook = exit_in_session;
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "type", "exit"), OTC_SUCCESS);
  for (;;) pause();
}
static void a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_subscriber(void) {
  call call = call_begun();
  CHECK_EQUAL(atexit(destroy_at_exit), 0);
  call.sink->hook = exit_in_sink;
  for (;;) pause();
}

/* ---- Deletion while everything arrives ---- */

static void deletions_in_mid_flow_wait_for_nothing_long(void) {
  call call = call_begun();
  for (int round = 0; round < 4; round++) {
    sink *sink = sink_in(call.there, call.diary, "sink");
    AWAIT_COUNT(sink->frames, 1);
    long long begin = now_ms();
    sink_delete(sink);
    CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  }
  long long begin = now_ms();
  source_delete(call.source), call.source = NULL;
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  call_end(call);
}

static void a_capturer_thread_inside_provide_frame_is_joined_in_destroy(void) {
  recorder *here = connected_with(TOKEN);
  diary *diary = diary_new();
  int inside = 0;
  for (int round = 0; round < 12; round++) {
    source *source = source_new(diary, "film");
    source->camera.is_eager = 1;
    CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
    AWAIT_COUNT(source->camera.pictures, 1 + round);
    if (round % 2) AWAIT_COUNT(source->frames, 1);
    /* The deletion begins while the thread is inside, as far as a test can see to that. */
    long long until = now_ms() + PATIENCE_MS;
    while (!atomic_load(&source->camera.is_inside_provide) && now_ms() < until) sched_yield();
    inside += atomic_load(&source->camera.is_inside_provide);
    if (round % 3 == 0) CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
    long long begin = now_ms();
    source_delete(source); /* it checks that `destroy` has returned */
    CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  }
  CHECK(inside > 0); /* otherwise this has tested nothing */
  recorder_delete(here);
  free(diary);
}

static void *delete_the_source(void *source) {
  source_end((struct source *)source);
  return NULL;
}
static void *delete_the_sink(void *sink) {
  sink_end((struct sink *)sink);
  return NULL;
}
static void *delete_the_session(void *session) {
  CHECK_EQUAL(recorder_delete_session((recorder *)session), OTC_SUCCESS);
  return NULL;
}
static void *destroy_it(void *unused) {
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return unused;
}

static void recorder_free(recorder *self) {
  if (self->last_connection) otc_connection_delete(self->last_connection);
  if (self->last_stream) otc_stream_delete(self->last_stream);
  free(self);
}

static void deletions_of_all_at_once_on_threads_of_their_own(void) {
  for (int round = 0; round < 4; round++) {
    call call = call_begun();
    pthread_t program[4];
    CHECK_EQUAL(pthread_create(&program[0], NULL, delete_the_session, call.here), 0);
    CHECK_EQUAL(pthread_create(&program[1], NULL, delete_the_source, call.source), 0);
    CHECK_EQUAL(pthread_create(&program[2], NULL, delete_the_sink, call.sink), 0);
    CHECK_EQUAL(pthread_create(&program[3], NULL, delete_the_session, call.there), 0);
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_join(program[i], NULL), 0);
    CHECK_EQUAL(call.source->camera.starts, call.source->camera.ends);
    recorder_free(call.here), recorder_free(call.there);
    free(call.source), free(call.sink), free(call.diary);
  }
}

static flag may_return, has_entered_it;

static void stay_inside(source *self, const char *event) {
  (void)self;
  if (strcmp(event, "frame") || has_entered_it.is_set) return;
  flag_set(&has_entered_it);
  flag_wait(&may_return, PATIENCE_MS);
}
static void stay_inside_sound(sink *self, const char *event) {
  (void)self;
  if (strcmp(event, deadly) || has_entered_it.is_set) return;
  flag_set(&has_entered_it);
  flag_wait(&may_return, PATIENCE_MS);
}

static void *let_it_return(void *unused) {
  struct timespec a_moment = {0, 200000000}; /* a callback that takes so long */
  nanosleep(&a_moment, NULL);
  flag_set(&may_return);
  return unused;
}

static void a_deletion_waits_for_a_frame_callback_that_runs(void) {
  call call = call_begun();
  flag_init(&may_return), flag_init(&has_entered_it);
  call.source->hook = stay_inside;
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  pthread_t releaser;
  CHECK_EQUAL(pthread_create(&releaser, NULL, let_it_return, NULL), 0);
  source_end(call.source);
  CHECK(may_return.is_set);
  pthread_join(releaser, NULL);
  free(call.source), call.source = NULL;
  call_end(call);
}

/* A callback that does not end costs a deletion two seconds and not more. */
static void deletion_gives_up_on(const char *event) {
  call call = call_begun();
  flag_init(&may_return), flag_init(&has_entered_it);
  deadly = event;
  call.sink->hook = stay_inside_sound;
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  long long begin = now_ms();
  is_inside_call++;
  CHECK_EQUAL(otc_subscriber_delete(call.sink->subscriber), OTC_SUCCESS);
  is_inside_call--;
  long long took = now_ms() - begin;
  CHECK(took >= DELETE_MAX_MS - 100 && took <= DELETE_MAX_MS + BUSY_MS);
  flag_set(&may_return);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* now it has returned */
  recorder_free(call.here), recorder_free(call.there);
  free(call.source), free(call.sink), free(call.diary);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}
static void deletion_gives_up_on_on_render_frame(void) { deletion_gives_up_on("frame"); }
static void deletion_gives_up_on_on_audio_data(void) { deletion_gives_up_on("sound"); }

/* ---- Every function from every callback, and with the program's lock held ---- */

static otc_session *known_sessions[2];
static otc_publisher *known_publisher;
static otc_subscriber *known_subscriber;

static void call_everything(void) {
  otc_publisher *p = known_publisher;
  otc_subscriber *s = known_subscriber;
  uint32_t width, height;
  double volume;
  float rate;
  otc_publisher_set_publish_video(p, OTC_TRUE), otc_publisher_set_publish_audio(p, OTC_TRUE);
  otc_publisher_get_publish_video(p), otc_publisher_get_publish_audio(p), otc_publisher_set_publish_captions(p, OTC_TRUE);
  otc_publisher_get_session(p), otc_publisher_get_stream(p), otc_publisher_get_name(p), otc_publisher_get_publisher_id(p);
  otc_publisher_get_user_data(p), otc_publisher_set_max_audio_bitrate(p, 32000);
  otc_publisher_set_max_video_bitrate(p, 300000), otc_publisher_get_max_video_bitrate(p);
  otc_publisher_set_video_bitrate_preset(p, OTC_VIDEO_BITRATE_PRESET_DEFAULT), otc_publisher_get_video_bitrate_preset(p);
  otc_publisher_set_video_type(p, OTC_PUBLISHER_VIDEO_TYPE_CAMERA), otc_publisher_get_video_type(p);
  otc_publisher_set_audio_fallback_enabled(p, OTC_TRUE), otc_publisher_get_audio_fallback_enabled(p);
  otc_publisher_get_rtc_stats_report(p);
  otc_subscriber_set_subscribe_to_video(s, OTC_TRUE), otc_subscriber_set_subscribe_to_audio(s, OTC_TRUE);
  otc_subscriber_get_subscribe_to_video(s), otc_subscriber_get_subscribe_to_audio(s);
  otc_subscriber_get_session(s), otc_subscriber_get_stream(s), otc_subscriber_get_subscriber_id(s);
  otc_subscriber_set_preferred_resolution(s, 0, 0), otc_subscriber_get_preferred_resolution(s, &width, &height);
  otc_subscriber_set_audio_volume(s, 90), otc_subscriber_get_audio_volume(s, &volume);
  otc_subscriber_set_preferred_framerate(s, 0), otc_subscriber_get_preferred_framerate(s, &rate);
  otc_subscriber_get_rtc_stats_report(s);
  /* Each is where it is already, or nowhere. */
  for (int i = 0; i < 2; i++) {
    otc_session_get_capabilities(known_sessions[i]), otc_session_get_connection(known_sessions[i]);
    otc_session_publish(known_sessions[i], p), otc_session_subscribe(known_sessions[i], s);
    otc_session_send_signal(known_sessions[i], "t", "d");
  }
  otc_session_unpublish(known_sessions[1], p), otc_session_unsubscribe(known_sessions[0], s);
  otc_publisher *other = otc_publisher_new("other", NULL, &(struct otc_publisher_callbacks){0});
  otc_subscriber *further = otc_subscriber_new(otc_subscriber_get_stream(s), &(struct otc_subscriber_callbacks){0});
  otc_session_subscribe(known_sessions[1], further);
  otc_publisher_delete(other), otc_subscriber_delete(further);
  otc_init(NULL);
}

static int everything_called;

static void source_calls_everything(source *self, const char *event) {
  (void)self, (void)event;
  call_everything();
  count_one(&everything_called);
}
static void sink_calls_everything(sink *self, const char *event) {
  (void)self, (void)event;
  call_everything();
  count_one(&everything_called);
}
static void camera_calls_everything(camera *self, const char *function) {
  (void)self;
  if (strcmp(function, "picture")) call_everything();
}

static void every_function_may_be_called_from_every_callback(void) {
  call call = call_begun();
  known_sessions[0] = call.here->session, known_sessions[1] = call.there->session;
  known_publisher = call.source->publisher, known_subscriber = call.sink->subscriber;
  call.source->camera.hook = camera_calls_everything;
  call.source->hook = source_calls_everything;
  call.sink->hook = sink_calls_everything;
  AWAIT_COUNT(everything_called, 20);
  CHECK_EQUAL(otc_publisher_set_publish_video(known_publisher, OTC_FALSE), OTC_SUCCESS);
  AWAIT_COUNT(everything_called, 40);
  AWAIT_MORE(call.sink->frames); /* it was switched on again */
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "destroyed", 1);
  call_end(call);
}

static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;

static void take_the_lock(void) {
  pthread_mutex_lock(&of_the_program);
  pthread_mutex_unlock(&of_the_program);
}
static void source_takes_the_lock(source *self, const char *event) { (void)self, (void)event, take_the_lock(); }
static void sink_takes_the_lock(sink *self, const char *event) { (void)self, (void)event, take_the_lock(); }
static void session_takes_the_lock(recorder *self, const char *event) { (void)self, (void)event, take_the_lock(); }

static void no_call_but_deletions_waits_for_a_callback(void) {
  call call = call_begun();
  known_sessions[0] = call.here->session, known_sessions[1] = call.there->session;
  known_publisher = call.source->publisher, known_subscriber = call.sink->subscriber;
  call.here->hook = call.there->hook = session_takes_the_lock;
  call.source->hook = source_takes_the_lock;
  call.sink->hook = sink_takes_the_lock;
  for (int round = 0; round < 10; round++) {
    AWAIT_MORE(call.source->frames);
    pthread_mutex_lock(&of_the_program);
    struct timespec a_moment = {0, round * 5000000}; /* time for callbacks to come and wait for the lock */
    nanosleep(&a_moment, NULL);
    long long begin = now_ms();
    call_everything();
    if (round % 2) CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
    if (round % 2) CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
    CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
    pthread_mutex_unlock(&of_the_program);
  }
  call_end(call);
}

/* ---- Threads that publish and subscribe at random ---- */

static atomic_int is_over;
static call busy;

static unsigned dice(unsigned *state, unsigned sides) {
  *state = *state * 1103515245u + 12345u;
  return (*state >> 16) % sides;
}

static void dawdle(unsigned *state) {
  struct timespec a_moment = {0, dice(state, 30) * 1000000}; /* any moment will do */
  nanosleep(&a_moment, NULL);
}

static void *publishes_at_random(void *number) {
  unsigned state = (unsigned)(uintptr_t)number * 7919 + 1;
  while (!is_over) {
    diary *diary = diary_new();
    source *source = source_new(diary, "random");
    for (unsigned steps = dice(&state, 4); steps-- > 0;) {
      recorder *session = dice(&state, 2) ? busy.here : busy.there;
      otc_session_publish(session->session, source->publisher);
      dawdle(&state);
      if (dice(&state, 2)) otc_publisher_set_publish_video(source->publisher, (int)dice(&state, 2));
      if (dice(&state, 2)) otc_session_unpublish(session->session, source->publisher);
    }
    source_delete(source); /* checks that the capturer was destroyed */
    free(diary);
  }
  return NULL;
}

static void *subscribes_at_random(void *number) {
  unsigned state = (unsigned)(uintptr_t)number * 104729 + 1;
  while (!is_over) {
    recorder *session = dice(&state, 2) ? busy.here : busy.there;
    pthread_mutex_lock(&session->changed.lock);
    otc_stream *stream = session->last_stream ? otc_stream_copy(session->last_stream) : NULL;
    pthread_mutex_unlock(&session->changed.lock);
    if (!stream) continue;
    diary *diary = diary_new();
    sink *sink = sink_of(diary, "sink", stream);
    otc_session_subscribe(session->session, sink->subscriber);
    dawdle(&state);
    if (dice(&state, 2)) otc_subscriber_set_subscribe_to_video(sink->subscriber, (int)dice(&state, 2));
    if (dice(&state, 2)) otc_session_unsubscribe(session->session, sink->subscriber);
    if (dice(&state, 2)) dawdle(&state);
    sink_delete(sink);
    CHECK_EQUAL(otc_stream_delete(stream), OTC_SUCCESS);
    free(diary);
  }
  return NULL;
}

static void *end_it_after_a_while(void *unused) {
  struct timespec a_while = {1, 0}; /* the length of the test */
  nanosleep(&a_while, NULL);
  is_over = 1;
  return unused;
}

static void threads_that_publish_and_subscribe_at_random_harm_nobody(void) {
  busy = call_new();
  pthread_t program[5];
  for (uintptr_t i = 0; i < 4; i++) {
    CHECK_EQUAL(pthread_create(&program[i], NULL, i < 2 ? publishes_at_random : subscribes_at_random, (void *)(i + 1)), 0);
  }
  CHECK_EQUAL(pthread_create(&program[4], NULL, end_it_after_a_while, NULL), 0);
  for (int i = 0; i < 5; i++) CHECK_EQUAL(pthread_join(program[i], NULL), 0);
  /* The sessions are as good as before, and nothing of it is left in them. */
  source *source = busy.source = source_new(busy.diary, "last");
  CHECK_EQUAL(source_publish(source, busy.here), OTC_SUCCESS);
  recorder_wait(busy.there, "stream received last", 1);
  recorder_wait(busy.there, "stream dropped random", recorder_count(busy.there, "stream received random"));
  recorder_wait(busy.here, "stream dropped random", recorder_count(busy.here, "stream received random"));
  busy.sink = sink_in(busy.there, busy.diary, "sink");
  AWAIT_COUNT(busy.sink->frames, 1);
  call_end(busy);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}

/* ---- Capturers with any functions ---- */

static void capturers_come_and_go(const int *sets, int count, int rounds) {
  recorder *here = connected_with(TOKEN), *there = connected_with(OTHER_TOKEN);
  diary *diary = diary_new();
  int streams = 0;
  for (int i = 0; i < count; i++) {
    source *source = source_with(diary, "film", 1, 1, sets[i]);
    for (int round = 1; round <= rounds; round++) {
      CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
      recorder_wait(there, "stream received film", ++streams);
      if (sets[i] & HAS_START) AWAIT_COUNT(source->frames, round);
      CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
      recorder_wait(there, "stream dropped film", streams);
      if (sets[i] & HAS_DESTROY) AWAIT_COUNT(source->camera.ends, round);
      if (!(sets[i] & HAS_DESTROY)) source->camera.stage = UNUSED; /* nobody told it */
    }
    source_delete(source);
  }
  recorder_delete(here), recorder_delete(there);
  free(diary);
}

static void capturers_without_some_functions_come_and_go(void) {
  const int sets[] = {HAS_ALL, HAS_START | HAS_DESTROY, HAS_INIT | HAS_START | HAS_DESTROY};
  capturers_come_and_go(sets, 3, 3);
}

static void capturers_without_a_thread_come_and_go(void) {
  const int sets[] = {0, HAS_STOP, HAS_SETTINGS, HAS_DESTROY};
  capturers_come_and_go(sets, 4, 1);
}

static void a_start_that_is_refused_may_be_temporary(void) {
  call call = call_new();
  call.source = source_new(call.diary, "film");
  call.source->camera.refusals = 3;
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  AWAIT_COUNT(call.source->frames, 1);
  CHECK_EQUAL(diary_count(call.diary, "publisher error"), 0);
  call_end(call);
}

/* ---- What the end of a session does to who is in it ---- */

static void the_end_of_a_session_destroys_capturers(void) {
  for (int way = 0; way < 3; way++) {
    call call = call_begun();
    source *source = call.source;
    if (way == 0) CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
    if (way == 1) CHECK_EQUAL(recorder_delete_session(call.here), OTC_SUCCESS);
    if (way == 2) CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    AWAIT_COUNT(source->camera.ends, 1);
    CHECK_EQUAL(source->camera.starts, 1);
    CHECK(!otc_publisher_get_session(source->publisher));
    if (way == 2) {
      CHECK_EQUAL(otc_publisher_delete(source->publisher), OTC_INVALID_PARAM);
      CHECK_EQUAL(otc_subscriber_delete(call.sink->subscriber), OTC_INVALID_PARAM);
      recorder_free(call.here), recorder_free(call.there);
      free(source), free(call.sink), free(call.diary);
      return;
    }
    source_delete(source); /* it lives: its deletion succeeds */
    sink_delete(call.sink);
    if (way == 0) recorder_delete(call.here);
    if (way == 1) recorder_free(call.here);
    recorder_delete(call.there);
    free(call.diary);
  }
}

static void publishers_and_subscribers_may_outlive_their_sessions_for_ever(void) {
  call call = call_begun();
  recorder_delete(call.here), recorder_delete(call.there);
  CHECK(!otc_publisher_get_session(call.source->publisher) && !otc_subscriber_get_session(call.sink->subscriber));
  CHECK(otc_subscriber_get_stream(call.sink->subscriber));
  CHECK_EQUAL(otc_publisher_set_publish_video(call.source->publisher, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_video(call.sink->subscriber, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(call.source->camera.starts, call.source->camera.ends);
  free(call.source), free(call.sink), free(call.diary);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}

static void the_audio_device_is_destroyed_when_the_last_session_is_deleted(void) {
  device *device = device_use();
  for (int way = 0; way < 3; way++) {
    call call = call_begun();
    AWAIT_COUNT(device->starts[0], way + 1);
    AWAIT_COUNT(device->starts[1], way + 1);
    if (way == 1) {
      CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
      CHECK_EQUAL(recorder_disconnect(call.there), OTC_SUCCESS);
    }
    if (way == 2) {
      sink_end(call.sink);
      CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
    }
    CHECK_EQUAL(recorder_delete_session(call.there), OTC_SUCCESS);
    CHECK_EQUAL(recorder_delete_session(call.here), OTC_SUCCESS);
    for (int plays = 0; plays < 2; plays++) {
      CHECK_EQUAL(device->ends[plays], way + 1);
      CHECK_EQUAL(device->starts[plays], way + 1);
    }
    if (way != 2) sink_end(call.sink);
    source_end(call.source);
    recorder_free(call.here), recorder_free(call.there);
    free(call.sink), free(call.source), free(call.diary);
  }
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  atomic_store(&device->is_freed, 1);
  memset(device->stages, 0xee, sizeof device->stages);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

/* Programs free everything right there, although the publisher was neither unpublished nor deleted. */
static void nothing_is_heard_of_a_session_that_was_deleted(void) {
  for (int round = 0; round < 6; round++) {
    call call = call_begun();
    if (round % 3 == 1) CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
    if (round % 3 == 2) CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
    CHECK_EQUAL(recorder_delete_session(call.here), OTC_SUCCESS);
    CHECK_EQUAL(call.source->camera.ends, 1);
    CHECK_EQUAL(call.source->camera.starts, 1);
    source_gone(call.source);
    CHECK_EQUAL(recorder_delete_session(call.there), OTC_SUCCESS);
    atomic_store(&call.sink->is_freed, 1);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    CHECK_EQUAL(call.source->camera.starts, 1);
    recorder_free(call.here), recorder_free(call.there);
    free(call.source), free(call.sink), free(call.diary);
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  }
}

static void a_publisher_whose_session_was_deleted_is_published_in_another(void) {
  call call = call_begun();
  CHECK_EQUAL(recorder_delete_session(call.here), OTC_SUCCESS);
  recorder_free(call.here);
  call.source->is_published = 0; /* it was not told */
  call.here = connected_with(TOKEN);
  int seen = call.source->frames;
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "created", 2);
  AWAIT_COUNT(call.source->frames, seen + 2);
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "destroyed", 1);
  call_end(call);
}

static recorder *of_the_picture;

static void delete_session_with_the_picture(camera *self, const char *function) {
  (void)self;
  if (strcmp(function, "picture") || !atomic_exchange(&self->is_last_picture, 0)) return;
  long long begin = now_ms();
  CHECK_EQUAL(recorder_delete_session(of_the_picture), OTC_SUCCESS);
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  flag_set(&is_deleted);
}

/* `destroy` waits for the very thread that deletes. */
static void a_session_is_deleted_on_a_capturers_own_thread(void) {
  call call = call_begun();
  flag_init(&is_deleted);
  of_the_picture = call.here;
  call.source->camera.hook = delete_session_with_the_picture;
  atomic_store(&call.source->camera.is_last_picture, 1);
  CHECK(flag_wait(&is_deleted, PATIENCE_MS));
  AWAIT_COUNT(call.source->camera.ends, 1);
  recorder_free(call.here);
  source_delete(call.source), sink_delete(call.sink);
  recorder_delete(call.there);
  free(call.diary);
}

static void delete_session_in_source(source *self, const char *event) {
  (void)self;
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  long long begin = now_ms();
  CHECK_EQUAL(recorder_delete_session(of_the_picture), OTC_SUCCESS);
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  flag_set(&is_deleted);
}

static void a_session_is_deleted_inside_its_publishers_callbacks(void) {
  const char *const events[] = {"frame", "level", "audio stats"};
  for (int i = 0; i < 3; i++) {
    call call = call_begun();
    flag_init(&is_deleted);
    of_the_picture = call.here, deadly = events[i];
    call.source->hook = delete_session_in_source;
    CHECK(flag_wait(&is_deleted, PATIENCE_MS));
    AWAIT_COUNT(call.source->camera.ends, 1);
    recorder_free(call.here);
    source_delete(call.source), sink_delete(call.sink);
    recorder_delete(call.there);
    free(call.diary);
  }
}

/* ---- Unsubscribing ---- */

#define UNSUBSCRIBE_MS 50

static atomic_int is_unsubscribed;

static void sink_is_subscribed(sink *self, const char *event) {
  (void)self, (void)event;
  CHECK(!atomic_load(&is_unsubscribed));
}

static void no_callback_starts_after_an_unsubscribing(void) {
  call call = call_begun();
  for (int round = 0; round < 40; round++) {
    sink *sink = sink_in(call.there, call.diary, "sink");
    AWAIT_COUNT(sink->sounds, 1 + round % 7);
    sink->hook = sink_is_subscribed;
    long long begin = now_ms();
    CHECK_EQUAL(otc_session_unsubscribe(call.there->session, sink->subscriber), OTC_SUCCESS);
    /* For longer it does not wait for one that had begun before: on a busy machine that may be still on its way. */
    atomic_store(&is_unsubscribed, now_ms() - begin < UNSUBSCRIBE_MS);
    AWAIT_MORE(call.sink->sounds);
    AWAIT_MORE(call.sink->frames);
    atomic_store(&is_unsubscribed, 0);
    sink_delete(sink);
  }
  call_end(call);
}

static void unsubscribe_in_sink(sink *self, const char *event) {
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  long long begin = now_ms();
  CHECK_EQUAL(otc_session_unsubscribe(of_the_picture->session, self->subscriber), OTC_SUCCESS);
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  flag_set(&is_deleted);
}

static void an_unsubscribing_inside_its_own_callback_waits_for_nothing(void) {
  const char *const events[] = {"frame", "sound", "level"};
  call call = call_begun();
  for (int i = 0; i < 3; i++) {
    sink *sink = sink_in(call.there, call.diary, "sink");
    flag_init(&is_deleted);
    of_the_picture = call.there, deadly = events[i];
    sink->hook = unsubscribe_in_sink;
    CHECK(flag_wait(&is_deleted, PATIENCE_MS));
    sink_delete(sink);
  }
  call_end(call);
}

static void stay_inside_a_signal(recorder *self, const char *event) {
  (void)self;
  if (!begins(event, "signal stay")) return;
  flag_set(&has_entered_it);
  flag_wait(&may_return, PATIENCE_MS);
}

/* A subscriber that has failed, while the callback that says so waits behind another one. */
static sink *fail_behind_a_callback(call *call, otc_stream **stream) {
  *stream = otc_stream_copy(call->there->last_stream);
  CHECK_EQUAL(source_unpublish(call->source, call->here), OTC_SUCCESS);
  recorder_wait(call->there, "stream dropped", 1);
  flag_init(&may_return), flag_init(&has_entered_it);
  call->there->hook = stay_inside_a_signal;
  CHECK_EQUAL(otc_session_send_signal(call->there->session, "stay", ""), OTC_SUCCESS);
  CHECK(flag_wait(&has_entered_it, PATIENCE_MS));
  sink *late = sink_of(call->diary, "late", *stream);
  CHECK_EQUAL(sink_subscribe(late, call->there), OTC_SUCCESS);
  long long until = now_ms() + PATIENCE_MS;
  while (otc_subscriber_get_session(late->subscriber) && now_ms() < until) sched_yield();
  CHECK(!otc_subscriber_get_session(late->subscriber));
  return late;
}

static void a_failure_is_not_told_after_the_session_was_left(void) {
  call call = call_begun();
  otc_stream *stream;
  sink *late = fail_behind_a_callback(&call, &stream);
  CHECK_EQUAL(recorder_disconnect(call.there), OTC_SUCCESS);
  flag_set(&may_return);
  recorder_wait(call.there, "disconnected", 1);
  CHECK_EQUAL(diary_count(call.diary, "late error"), 0);
  sink_delete(late), otc_stream_delete(stream);
  call_end(call);
}

static void a_failure_is_not_told_of_a_subscription_that_was_replaced(void) {
  call call = call_begun();
  otc_stream *stream;
  sink *late = fail_behind_a_callback(&call, &stream);
  CHECK_EQUAL(sink_subscribe(late, call.there), OTC_SUCCESS);
  flag_set(&may_return);
  diary_wait(call.diary, "late error 1604", 1);
  CHECK_EQUAL(otc_session_send_signal(call.there->session, "after", ""), OTC_SUCCESS);
  recorder_wait(call.there, "signal after", 1);
  CHECK_EQUAL(diary_count(call.diary, "late error"), 1);
  sink_delete(late), otc_stream_delete(stream);
  call_end(call);
}

/* ---- otc_destroy with everything live ---- */

static void destroy_ends_media_in_time_and_leaves_nothing_seven_times(void) {
  int descriptors_before = 0;
  for (int round = 0; round < 7; round++) {
    device *device = device_use();
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    call call = call_begun();
    long long begin = now_ms();
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    CHECK(now_ms() - begin < DESTROY_MAX_MS);
    source_gone(call.source), atomic_store(&call.sink->is_freed, 1);
    CHECK_EQUAL(call.source->camera.starts, call.source->camera.ends);
    for (int plays = 0; plays < 2; plays++) CHECK_EQUAL(device->starts[plays], device->ends[plays]);
    CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
    recorder_free(call.here), recorder_free(call.there);
    CHECK_EQUAL(otc_ext_live_objects(), 0);
    only_this_thread_is_left();
    if (round == 0) descriptors_before = descriptors();
    CHECK_EQUAL(descriptors(), descriptors_before);
    free(call.source), free(call.sink), free(call.diary), free(device);
  }
}

static atomic_int is_ending;

static void source_is_silent_at_the_end(source *self, const char *event) {
  (void)self;
  CHECK(strcmp(event, "destroyed") || !atomic_load(&is_ending));
}

/* What was handed over as user_data may be gone. */
static void destroy_tells_no_publisher_of_the_end_of_its_stream(void) {
  enum { SESSIONS = 12 };
  for (int round = 0; round < 3; round++) {
    recorder *sessions[SESSIONS];
    source *sources[SESSIONS];
    diary *diary = diary_new();
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    for (int i = 0; i < SESSIONS; i++) {
      sessions[i] = connected_with(TOKEN);
      sources[i] = source_with(diary, "film", 1, 0, 0);
      sources[i]->hook = source_is_silent_at_the_end;
      CHECK_EQUAL(source_publish(sources[i], sessions[i]), OTC_SUCCESS);
    }
    diary_wait(diary, "created", SESSIONS);
    is_ending = 1;
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    is_ending = 0;
    for (int i = 0; i < SESSIONS; i++) recorder_free(sessions[i]), free(sources[i]);
    free(diary);
  }
}

/* Everything ends by somebody else's doing: the recorders have nothing to check any more. */
static void expect_anything(call *call) {
  recorder *both[] = {call->here, call->there};
  for (int i = 0; i < 2; i++) {
    pthread_mutex_lock(&both[i]->changed.lock);
    both[i]->state = LAW_ANYTHING;
    pthread_mutex_unlock(&both[i]->changed.lock);
  }
}

static void destroy_in_source(source *self, const char *event) {
  (void)self;
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  flag_set(&is_deleted);
}
static void destroy_in_sink(sink *self, const char *event) {
  (void)self;
  if (strcmp(event, deadly) || is_deleted.is_set) return;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  flag_set(&is_deleted);
}

static void destroyed_inside(int is_source, const char *event) {
  for (int round = 0; round < 2; round++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    call call = call_begun();
    expect_anything(&call);
    deadly = event, flag_init(&is_deleted);
    if (is_source) call.source->hook = destroy_in_source;
    else call.sink->hook = destroy_in_sink;
    CHECK(flag_wait(&is_deleted, PATIENCE_MS));
    AWAIT_COUNT(call.source->camera.ends, 1);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* waits for what the first one could not wait for */
    recorder_free(call.here), recorder_free(call.there);
    CHECK_EQUAL(otc_ext_live_objects(), 0);
    only_this_thread_is_left();
    free(call.source), free(call.sink), free(call.diary);
  }
}
static void destroy_inside_a_publishers_on_render_frame(void) { destroyed_inside(1, "frame"); }
static void destroy_inside_a_publishers_on_audio_level_updated(void) { destroyed_inside(1, "level"); }
static void destroy_inside_a_subscribers_on_render_frame(void) { destroyed_inside(0, "frame"); }
static void destroy_inside_a_subscribers_on_audio_data(void) { destroyed_inside(0, "sound"); }

static void destroy_while_others_delete(void) {
  for (int round = 0; round < 3; round++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    call call = call_begun();
    expect_anything(&call);
    pthread_t destroyer;
    CHECK_EQUAL(pthread_create(&destroyer, NULL, destroy_it, NULL), 0);
    otc_status first = otc_publisher_delete(call.source->publisher), second = otc_subscriber_delete(call.sink->subscriber);
    CHECK(first == OTC_SUCCESS || first == OTC_INVALID_PARAM);
    CHECK(second == OTC_SUCCESS || second == OTC_INVALID_PARAM);
    CHECK_EQUAL(pthread_join(destroyer, NULL), 0);
    CHECK_EQUAL(call.source->camera.starts, call.source->camera.ends);
    recorder_free(call.here), recorder_free(call.there);
    CHECK_EQUAL(otc_ext_live_objects(), 0);
    only_this_thread_is_left();
    free(call.source), free(call.sink), free(call.diary);
  }
}

/* ---- The hub's process is killed ---- */

/* Where it says that it hosts. */
#define HOST_READY 3

static void on_host_connected(otc_session *session, void *unused) {
  (void)session, (void)unused;
  CHECK_EQUAL(write(HOST_READY, "+", 1), 1);
}

static int host(void) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_host_connected;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive the test */
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_session *session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
  CHECK_EQUAL(otc_session_connect(session, given("TEST_TOKEN")), OTC_SUCCESS);
  for (;;) pause();
}

static pid_t start_host(void) {
  int events[2];
  char sign;
  CHECK_EQUAL(pipe2(events, O_CLOEXEC), 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(events[1], HOST_READY);
    execl("/proc/self/exe", "media_teardown", "host", (char *)NULL);
    _exit(127);
  }
  close(events[1]);
  struct pollfd ready = {events[0], POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, PATIENCE_MS), 1);
  CHECK_EQUAL(read(events[0], &sign, 1), 1);
  close(events[0]);
  return child;
}

static void a_hub_that_is_killed_interrupts_and_no_more(void) {
  pid_t hub = start_host();
  call call = call_begun();
  recorder_wait(call.there, "stream received film", 1);
  kill(hub, SIGKILL);
  CHECK_EQUAL(waitpid(hub, NULL, 0), hub);
  recorder_wait(call.here, "reconnection started", 1);
  recorder_wait(call.there, "reconnected", 1);
  recorder_wait(call.here, "reconnected", 1);
  /* The stream comes back as it was, or is dropped and received anew; the publisher does nothing for it. */
  struct timespec deadline = in_ms(PATIENCE_MS);
  pthread_mutex_lock(&call.diary->changed.lock);
  int is_back = 0;
  while (!is_back && !(is_back = diary_count_locked(call.diary, "sink reconnected")) && !recorder_count(call.there, "stream dropped")) {
    struct timespec soon = in_ms(50);
    if (now_ms() > deadline.tv_sec * 1000LL + deadline.tv_nsec / 1000000) break;
    pthread_cond_timedwait(&call.diary->changed.changed, &call.diary->changed.lock, &soon);
  }
  pthread_mutex_unlock(&call.diary->changed.lock);
  diary_wait(call.diary, "sink disconnected", 1);
  if (!is_back) {
    recorder_wait(call.there, "stream received film", 2);
    sink_delete(call.sink);
    call.sink = sink_in(call.there, call.diary, "again");
  }
  AWAIT_MORE(call.sink->frames);
  AWAIT_MORE(call.sink->sounds);
  CHECK_EQUAL(diary_count(call.diary, "created"), 1);
  CHECK_EQUAL(diary_count(call.diary, "destroyed") + diary_count(call.diary, "publisher error"), 0);
  CHECK_EQUAL(call.source->camera.starts, 1);
  CHECK(otc_publisher_get_session(call.source->publisher) == call.here->session);
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "destroyed", 1);
  recorder_wait(call.there, "stream dropped film", 1);
  call_end(call);
}

static void deletions_while_a_hub_is_dead_succeed_at_once(void) {
  pid_t hub = start_host();
  call call = call_begun();
  kill(hub, SIGKILL);
  CHECK_EQUAL(waitpid(hub, NULL, 0), hub);
  long long begin = now_ms();
  source_delete(call.source), call.source = NULL;
  sink_delete(call.sink), call.sink = NULL;
  CHECK(now_ms() - begin < CALL_MAX_MS + BUSY_MS);
  call_end(call);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(publisher_deleted_in_on_stream_created),
      TEST(publisher_deleted_in_on_stream_destroyed),
      TEST(publisher_deleted_in_on_render_frame),
      TEST(publisher_deleted_in_on_audio_level_updated),
      TEST(publisher_deleted_in_on_audio_stats),
      TEST(publisher_deleted_in_on_error),
      TEST(publisher_deleted_in_its_capturers_init),
      TEST(publisher_deleted_in_its_capturers_settings),
      TEST(publisher_deleted_in_its_capturers_start),
      TEST(publisher_deleted_in_its_capturers_stop),
      TEST(publisher_deleted_in_its_capturers_destroy),
      TEST(subscriber_deleted_in_on_connected),
      TEST(subscriber_deleted_in_on_video_data_received),
      TEST(subscriber_deleted_in_on_render_frame),
      TEST(subscriber_deleted_in_on_audio_data),
      TEST(subscriber_deleted_in_on_audio_level_updated),
      TEST(subscriber_deleted_in_on_video_disabled),
      TEST(subscriber_deleted_in_on_video_enabled),
      TEST(subscriber_deleted_in_on_audio_disabled),
      TEST(subscriber_deleted_in_on_error),
      TEST(subscriber_deleted_in_on_stream_dropped),
      TEST(publisher_deleted_in_on_disconnected),
      TEST(exit_inside_a_callback_of_a_publisher_terminates),
      TEST(exit_inside_a_callback_of_a_subscriber_terminates),
      TEST(a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_session),
      TEST(a_handler_of_atexit_destroys_after_exit_inside_a_callback_of_a_subscriber),
      TEST(deletions_in_mid_flow_wait_for_nothing_long),
      TEST(a_capturer_thread_inside_provide_frame_is_joined_in_destroy),
      TEST(deletions_of_all_at_once_on_threads_of_their_own),
      TEST(a_deletion_waits_for_a_frame_callback_that_runs),
      TEST(deletion_gives_up_on_on_render_frame),
      TEST(deletion_gives_up_on_on_audio_data),
      TEST(every_function_may_be_called_from_every_callback),
      TEST(no_call_but_deletions_waits_for_a_callback),
      TEST(threads_that_publish_and_subscribe_at_random_harm_nobody),
      TEST(capturers_without_some_functions_come_and_go),
      TEST(capturers_without_a_thread_come_and_go),
      TEST(a_start_that_is_refused_may_be_temporary),
      TEST(the_end_of_a_session_destroys_capturers),
      TEST(publishers_and_subscribers_may_outlive_their_sessions_for_ever),
      TEST(the_audio_device_is_destroyed_when_the_last_session_is_deleted),
      TEST(nothing_is_heard_of_a_session_that_was_deleted),
      TEST(a_publisher_whose_session_was_deleted_is_published_in_another),
      TEST(a_session_is_deleted_on_a_capturers_own_thread),
      TEST(a_session_is_deleted_inside_its_publishers_callbacks),
      TEST(no_callback_starts_after_an_unsubscribing),
      TEST(an_unsubscribing_inside_its_own_callback_waits_for_nothing),
      TEST(a_failure_is_not_told_after_the_session_was_left),
      TEST(a_failure_is_not_told_of_a_subscription_that_was_replaced),
      TEST(destroy_ends_media_in_time_and_leaves_nothing_seven_times),
      TEST(destroy_tells_no_publisher_of_the_end_of_its_stream),
      TEST(destroy_inside_a_publishers_on_render_frame),
      TEST(destroy_inside_a_publishers_on_audio_level_updated),
      TEST(destroy_inside_a_subscribers_on_render_frame),
      TEST(destroy_inside_a_subscribers_on_audio_data),
      TEST(destroy_while_others_delete),
      TEST(a_hub_that_is_killed_interrupts_and_no_more),
      TEST(deletions_while_a_hub_is_dead_succeed_at_once),
      {0},
  };
  if (argc == 2 && !strcmp(argv[1], "host")) return host();
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN");
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
