/*
 * What the C tests share: checks, a recorder of callbacks that a test can wait for, and the law of their order.
 *
 * A test is a function. `main` runs the one that argv[1] names; what it needs comes in the environment (tests/c_api.rs).
 */
#ifndef OTC_TEST_H
#define OTC_TEST_H

#include <dirent.h>
#include <opentok.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);               \
      _exit(1);                                                                             \
    }                                                                                       \
  } while (0)

#define CHECK_EQUAL(actual, expected)                                                       \
  do {                                                                                      \
    long long actual_ = (long long)(actual), expected_ = (long long)(expected);             \
    if (actual_ != expected_) {                                                             \
      fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_, expected_); \
      _exit(1);                                                                             \
    }                                                                                       \
  } while (0)

/* A tool under which everything takes so many times longer says so. Time limits of the contract stay what they are; only
 * the allowance for a busy machine grows. */
static inline int slowness(void) {
  const char *times = getenv("TEST_SLOWNESS");
  return times ? atoi(times) : 1;
}

/* Longer than anything lawful takes on a busy machine; a test that waits so long has failed. */
#define PATIENCE_MS (20000 * slowness())

static inline long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline struct timespec in_ms(long long ms) {
  struct timespec then;
  clock_gettime(CLOCK_MONOTONIC, &then);
  then.tv_sec += ms / 1000;
  then.tv_nsec += (ms % 1000) * 1000000;
  if (then.tv_nsec >= 1000000000) then.tv_sec++, then.tv_nsec -= 1000000000;
  return then;
}

static inline const char *given(const char *name) {
  const char *value = getenv(name);
  if (!value) fprintf(stderr, "%s has to be set, see tests/c_api.rs\n", name), _exit(2);
  return value;
}

/* ---- Flags that one thread sets and another waits for ---- */

typedef struct flag {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  atomic_int is_set; /* may be looked at without the lock */
} flag;

static inline void flag_init(flag *flag) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&flag->lock, NULL);
  pthread_cond_init(&flag->changed, &monotonic);
  flag->is_set = 0;
}

static inline void flag_set(flag *flag) {
  pthread_mutex_lock(&flag->lock);
  flag->is_set = 1;
  pthread_cond_broadcast(&flag->changed);
  pthread_mutex_unlock(&flag->lock);
}

/* Whether it was set in time. */
static inline int flag_wait(flag *flag, long long ms) {
  struct timespec deadline = in_ms(ms);
  pthread_mutex_lock(&flag->lock);
  while (!flag->is_set && pthread_cond_timedwait(&flag->changed, &flag->lock, &deadline) == 0) continue;
  int is_set = flag->is_set;
  pthread_mutex_unlock(&flag->lock);
  return is_set;
}

/* ---- The law: which callback may follow which ---- */

typedef enum law {
  LAW_IDLE,          /* nothing may come */
  LAW_CONNECTING,    /* connected or error */
  LAW_CONNECTED,     /* anything but connected and reconnected */
  LAW_RECONNECTING,  /* reconnected or error */
  LAW_LOST,          /* disconnected */
  LAW_LEAVING,       /* disconnected; one callback may have been on its way when the program left */
  LAW_DELETED,       /* nothing may come */
  LAW_ANYTHING       /* somebody else ends the session at a moment of his own */
} law;

static inline int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* What follows a callback; -1 when it is against the law. */
static inline int law_after(law state, const char *event) {
  int is_error = begins(event, "error"), is_connected = !strcmp(event, "connected"),
      is_disconnected = !strcmp(event, "disconnected"), is_start = !strcmp(event, "reconnection started"),
      is_reconnected = !strcmp(event, "reconnected"),
      /* What was not sent, and what cannot be read: the session goes on. */
      is_warning = !strcmp(event, "error 1550") || !strcmp(event, "error 6000");
  switch (state) {
    case LAW_IDLE:
    case LAW_DELETED:
      return -1;
    case LAW_ANYTHING:
      return LAW_ANYTHING;
    case LAW_CONNECTING:
      return is_connected ? LAW_CONNECTED : is_error ? LAW_IDLE : -1;
    case LAW_CONNECTED:
      if (is_warning) return LAW_CONNECTED;
      if (is_error) return LAW_LOST;
      return is_disconnected ? LAW_IDLE : is_start ? LAW_RECONNECTING : is_connected || is_reconnected ? -1 : LAW_CONNECTED;
    case LAW_RECONNECTING:
      if (is_warning) return LAW_RECONNECTING;
      return is_reconnected ? LAW_CONNECTED : is_error ? LAW_LOST : is_disconnected ? LAW_IDLE : -1;
    case LAW_LOST:
      return is_disconnected ? LAW_IDLE : -1;
    case LAW_LEAVING:
      return is_disconnected ? LAW_IDLE : is_error ? -1 : LAW_LEAVING;
  }
  return -1;
}

/* ---- The recorder: the user_data of a session ---- */

#define EVENTS_MAX 4096
#define EVENT_SIZE 96

typedef struct recorder recorder;
struct recorder {
  flag changed; /* its lock guards everything here */
  otc_session *session;
  law state;
  int strays; /* callbacks that were on their way when the program left */
  int is_running;
  int count;
  char events[EVENTS_MAX][EVENT_SIZE];
  /* Called in the callback, with no lock held. */
  void (*_Atomic hook)(recorder *self, const char *event);
  void *hook_data;
  otc_connection *last_connection; /* a copy */
  otc_stream *last_stream;         /* a copy of the one received last */
};

/* Set while a function of the library runs on this thread: no callback may come then on the same one. */
static _Thread_local int is_inside_call;

static inline void record(recorder *self, otc_session *session, const char *format, ...) {
  char event[EVENT_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(event, sizeof event, format, arguments);
  va_end(arguments);
  CHECK(!is_inside_call);
  pthread_mutex_lock(&self->changed.lock);
  if (self->session && session != self->session) fprintf(stderr, "%s: another session's pointer\n", event), _exit(1);
  int next = law_after(self->state, event);
  if (self->state == LAW_LEAVING && strcmp(event, "disconnected") && ++self->strays > 1) next = -1;
  if (next < 0) {
    fprintf(stderr, "against the law: '%s' in state %d, after:\n", event, (int)self->state);
    for (int i = 0; i < self->count; i++) fprintf(stderr, "  %s\n", self->events[i]);
    _exit(1);
  }
  CHECK(!self->is_running); /* never two callbacks of one object at once */
  self->is_running = 1;
  self->state = (law)next;
  CHECK(self->count < EVENTS_MAX);
  strcpy(self->events[self->count++], event);
  pthread_cond_broadcast(&self->changed.changed);
  void (*hook)(recorder *, const char *) = self->hook;
  pthread_mutex_unlock(&self->changed.lock);
  if (hook) hook(self, event);
  pthread_mutex_lock(&self->changed.lock);
  self->is_running = 0;
  pthread_mutex_unlock(&self->changed.lock);
}

static inline void recorded_connected(otc_session *s, void *u) { record((recorder *)u, s, "connected"); }
static inline void recorded_disconnected(otc_session *s, void *u) { record((recorder *)u, s, "disconnected"); }
static inline void recorded_connection_created(otc_session *s, void *u, const otc_connection *c) {
  recorder *self = (recorder *)u;
  pthread_mutex_lock(&self->changed.lock);
  otc_connection *copy = otc_connection_copy(c), *old = self->last_connection;
  self->last_connection = copy;
  pthread_mutex_unlock(&self->changed.lock);
  if (old) otc_connection_delete(old);
  record(self, s, "connection created %s", otc_connection_get_data(c));
}
static inline void recorded_connection_dropped(otc_session *s, void *u, const otc_connection *c) {
  record((recorder *)u, s, "connection dropped %s", otc_connection_get_data(c));
}
static inline void recorded_stream_received(otc_session *s, void *u, const otc_stream *stream) {
  recorder *self = (recorder *)u;
  pthread_mutex_lock(&self->changed.lock);
  otc_stream *copy = otc_stream_copy(stream), *old = self->last_stream;
  self->last_stream = copy;
  pthread_mutex_unlock(&self->changed.lock);
  if (old) otc_stream_delete(old);
  record((recorder *)u, s, "stream received %s", otc_stream_get_name(stream));
}
static inline void recorded_stream_dropped(otc_session *s, void *u, const otc_stream *stream) {
  record((recorder *)u, s, "stream dropped %s", otc_stream_get_name(stream));
}
static inline void recorded_has_video(otc_session *s, void *u, const otc_stream *stream, otc_bool has_video) {
  CHECK_EQUAL(otc_stream_has_video(stream), has_video);
  record((recorder *)u, s, "stream %s: video %d", otc_stream_get_name(stream), has_video);
}
static inline void recorded_has_audio(otc_session *s, void *u, const otc_stream *stream, otc_bool has_audio) {
  CHECK_EQUAL(otc_stream_has_audio(stream), has_audio);
  record((recorder *)u, s, "stream %s: audio %d", otc_stream_get_name(stream), has_audio);
}
static inline void recorded_size(otc_session *s, void *u, const otc_stream *stream, int width, int height) {
  CHECK_EQUAL(otc_stream_get_video_width(stream), width);
  CHECK_EQUAL(otc_stream_get_video_height(stream), height);
  record((recorder *)u, s, "stream %s: %d x %d", otc_stream_get_name(stream), width, height);
}
static inline void recorded_video_type(otc_session *s, void *u, const otc_stream *stream, otc_stream_video_type type) {
  CHECK_EQUAL(otc_stream_get_video_type(stream), type);
  record((recorder *)u, s, "stream %s: type %d", otc_stream_get_name(stream), (int)type);
}
static inline void recorded_signal(otc_session *s, void *u, const char *type, const char *signal, const otc_connection *c) {
  CHECK(type && signal);
  record((recorder *)u, s, "signal %s: %.40s from %s", type, signal, c ? otc_connection_get_data(c) : "a server");
}
static inline void recorded_reconnection_started(otc_session *s, void *u) { record((recorder *)u, s, "reconnection started"); }
static inline void recorded_reconnected(otc_session *s, void *u) { record((recorder *)u, s, "reconnected"); }
static inline void recorded_error(otc_session *s, void *u, const char *text, enum otc_session_error_code error) {
  CHECK(text && *text);
  record((recorder *)u, s, "error %d", (int)error);
}

static inline struct otc_session_callbacks recorded_callbacks(recorder *self) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = recorded_connected;
  callbacks.on_disconnected = recorded_disconnected;
  callbacks.on_connection_created = recorded_connection_created;
  callbacks.on_connection_dropped = recorded_connection_dropped;
  callbacks.on_stream_received = recorded_stream_received;
  callbacks.on_stream_dropped = recorded_stream_dropped;
  callbacks.on_stream_has_video_changed = recorded_has_video;
  callbacks.on_stream_has_audio_changed = recorded_has_audio;
  callbacks.on_stream_video_type_changed = recorded_video_type;
  callbacks.on_stream_video_dimensions_changed = recorded_size;
  callbacks.on_signal_received = recorded_signal;
  callbacks.on_reconnection_started = recorded_reconnection_started;
  callbacks.on_reconnected = recorded_reconnected;
  callbacks.on_error = recorded_error;
  callbacks.user_data = self;
  return callbacks;
}

/* A recorder and its session, with the session id of the test or another one. */
static inline recorder *recorder_for(const char *session_id) {
  recorder *self = (recorder *)calloc(1, sizeof *self);
  flag_init(&self->changed);
  struct otc_session_callbacks callbacks = recorded_callbacks(self);
  self->session = otc_session_new(given("TEST_KEY"), session_id, &callbacks);
  CHECK(self->session);
  return self;
}

static inline recorder *recorder_new(void) { return recorder_for(given("TEST_SESSION")); }

/* For the program's own calls: each tells the law what may follow. */
static inline otc_status recorder_connect(recorder *self, const char *token) {
  pthread_mutex_lock(&self->changed.lock);
  law before = self->state;
  if (before == LAW_IDLE) self->state = LAW_CONNECTING;
  pthread_mutex_unlock(&self->changed.lock);
  is_inside_call++;
  otc_status status = otc_session_connect(self->session, token);
  is_inside_call--;
  if (status != OTC_SUCCESS && before == LAW_IDLE) self->state = LAW_IDLE;
  return status;
}

static inline otc_status recorder_disconnect(recorder *self) {
  is_inside_call++;
  otc_status status = otc_session_disconnect(self->session);
  is_inside_call--;
  pthread_mutex_lock(&self->changed.lock);
  /* It may have been told already, on the other thread. */
  if (status == OTC_SUCCESS && self->state != LAW_IDLE) self->state = LAW_LEAVING, self->strays = 0;
  pthread_mutex_unlock(&self->changed.lock);
  return status;
}

static inline otc_status recorder_delete_session(recorder *self) {
  is_inside_call++;
  otc_status status = otc_session_delete(self->session);
  is_inside_call--;
  pthread_mutex_lock(&self->changed.lock);
  self->state = LAW_DELETED;
  pthread_mutex_unlock(&self->changed.lock);
  return status;
}

/* Deletes the session and frees the recorder, as programs do: a callback after this is a use after free. */
static inline void recorder_delete(recorder *self) {
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  if (self->last_connection) otc_connection_delete(self->last_connection);
  if (self->last_stream) otc_stream_delete(self->last_stream);
  memset(self, 0xee, sizeof *self);
  free(self);
}

static inline int recorder_count_locked(recorder *self, const char *event) {
  int count = 0;
  for (int i = 0; i < self->count; i++) count += begins(self->events[i], event);
  return count;
}

static inline int recorder_count(recorder *self, const char *event) {
  pthread_mutex_lock(&self->changed.lock);
  int count = recorder_count_locked(self, event);
  pthread_mutex_unlock(&self->changed.lock);
  return count;
}

/* Waits until so many events that begin like this have been recorded; how long it took. */
static inline long long recorder_wait(recorder *self, const char *event, int count) {
  long long start = now_ms();
  struct timespec deadline = in_ms(PATIENCE_MS);
  pthread_mutex_lock(&self->changed.lock);
  while (recorder_count_locked(self, event) < count) {
    if (pthread_cond_timedwait(&self->changed.changed, &self->changed.lock, &deadline) != 0) {
      fprintf(stderr, "waited in vain for %d of '%s'; came:\n", count, event);
      for (int i = 0; i < self->count; i++) fprintf(stderr, "  %s\n", self->events[i]);
      _exit(1);
    }
  }
  pthread_mutex_unlock(&self->changed.lock);
  return now_ms() - start;
}

/* ---- What is left over ---- */

static inline int entries(const char *path) {
  int count = 0;
  DIR *directory = opendir(path);
  CHECK(directory);
  for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

/* How many threads have a name that begins so; where `tells`, they are named too. One that has been joined may still be
 * listed, since who joins is woken before it has been cleared away: it says itself that it exits (field 9 of its `stat`). */
static inline int threads_named(const char *beginning, int tells) {
  enum { PF_EXITING = 4 };
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks);
  for (struct dirent *task; (task = readdir(tasks));) {
    char path[300], line[512] = "", name[32] = "";
    unsigned flags = PF_EXITING;
    snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!file) continue;
    const char *rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (!rest || sscanf(line, "%*d (%31[^)]", name) != 1) continue;
    sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags);
    if ((flags & PF_EXITING) || !begins(name, beginning)) continue;
    if (tells) fprintf(stderr, "left: %s\n", name);
    count++;
  }
  closedir(tasks);
  return count;
}

/* Without those that a tool has for itself. */
static inline int threads(void) {
  const char *of_the_tool = getenv("TEST_TOOL_THREADS");
  return threads_named("", 0) - (of_the_tool ? atoi(of_the_tool) : 0);
}
static inline int descriptors(void) { return entries("/proc/self/fd") - 1; /* opendir's own */ }

static inline void only_this_thread_is_left(void) {
  if (threads() != 1) threads_named("", 1), _exit(1);
}

/* ---- The tests of a file ---- */

typedef struct test {
  const char *name;
  void (*run)(void);
} test;

#define TEST(name) {#name, name}

static inline int run_test(int argc, char **argv, const test *tests) {
  for (const test *test = tests; argc == 2 && test->name; test++) {
    if (!strcmp(test->name, argv[1])) return test->run(), 0;
  }
  fprintf(stderr, "which test?\n");
  for (const test *test = tests; test->name; test++) fprintf(stderr, "  %s\n", test->name);
  return 2;
}

#endif
