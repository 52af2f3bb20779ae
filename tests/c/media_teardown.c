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

#include "media.h"

static const char *TOKEN, *OTHER_TOKEN;

#define CALL_MAX_MS 100
#define DELETE_MAX_MS 2000
#define DESTROY_MAX_MS 5000
/* The machine that runs the tests may be busy with something else for a moment. */
#define BUSY_MS (900 * slowness())

/* Says which threads there still are. */
static void only_this_thread_is_left(void) {
  if (threads() == 1) return;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; (task = readdir(tasks));) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!file) continue;
    if (fgets(name, sizeof name, file)) fprintf(stderr, "left: %s", name);
    fclose(file);
  }
  _exit(1);
}

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

/* ---- Deletion while everything arrives ---- */

static void deletions_in_mid_flow_wait_for_nothing_long(void) {
  call call = call_begun();
  for (int round = 0; round < 10; round++) {
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
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  only_this_thread_is_left();
}
static void deletion_gives_up_on_on_render_frame(void) { deletion_gives_up_on("frame"); }
static void deletion_gives_up_on_on_audio_data(void) { deletion_gives_up_on("sound"); }

/* ---- Capturers with any functions ---- */

static void capturers_with_any_functions_come_and_go(void) {
  recorder *here = connected_with(TOKEN), *there = connected_with(OTHER_TOKEN);
  diary *diary = diary_new();
  int sets[] = {HAS_ALL, 0, HAS_INIT, HAS_START | HAS_DESTROY, HAS_INIT | HAS_START | HAS_DESTROY, HAS_STOP, HAS_SETTINGS, HAS_DESTROY};
  for (int i = 0; i < 8; i++) {
    source *source = source_with(diary, "film", 1, 1, sets[i]);
    for (int round = 1; round <= 2; round++) {
      CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
      recorder_wait(there, "stream received film", 2 * i + round);
      if (sets[i] & HAS_START) AWAIT_COUNT(source->frames, round);
      CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
      recorder_wait(there, "stream dropped film", 2 * i + round);
      if (sets[i] & HAS_DESTROY) AWAIT_COUNT(source->camera.ends, round);
      if (!(sets[i] & HAS_DESTROY)) source->camera.stage = UNUSED; /* nobody told it */
    }
    source_delete(source);
  }
  recorder_delete(here), recorder_delete(there);
  free(diary);
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

/* Everything ends by somebody else's doing: the recorders have nothing to check any more. */
static void expect_anything(call *call) {
  recorder *both[] = {call->here, call->there};
  for (int i = 0; i < 2; i++) {
    pthread_mutex_lock(&both[i]->changed.lock);
    both[i]->state = LAW_LEAVING, both[i]->strays = -EVENTS_MAX;
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
      TEST(deletions_in_mid_flow_wait_for_nothing_long),
      TEST(a_capturer_thread_inside_provide_frame_is_joined_in_destroy),
      TEST(deletions_of_all_at_once_on_threads_of_their_own),
      TEST(a_deletion_waits_for_a_frame_callback_that_runs),
      TEST(deletion_gives_up_on_on_render_frame),
      TEST(deletion_gives_up_on_on_audio_data),
      TEST(capturers_with_any_functions_come_and_go),
      TEST(a_start_that_is_refused_may_be_temporary),
      TEST(the_end_of_a_session_destroys_capturers),
      TEST(publishers_and_subscribers_may_outlive_their_sessions_for_ever),
      TEST(the_audio_device_is_destroyed_when_the_last_session_is_deleted),
      TEST(destroy_ends_media_in_time_and_leaves_nothing_seven_times),
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
  return run_test(argc, argv, tests);
}
