/*
 * What the tests with media share: a camera, an audio device, a publisher and a subscriber that check the law of their
 * callbacks and write down what came.
 *
 * Each of the four may be freed when its deletion has returned, and is: a callback after that is a use after free, and says
 * so. Pictures are small, because many tests run at once.
 */
#ifndef OTC_MEDIA_H
#define OTC_MEDIA_H

#include <stdatomic.h>

#include "otc_test.h"

enum { PICTURE_WIDTH = 160, PICTURE_HEIGHT = 120, PICTURE_RATE = 25, LUMA = 180, SOUND_BLOCK = 480 };

/* ---- What came, in order; several objects may share a diary ---- */

typedef struct diary {
  flag changed; /* its lock guards everything here */
  int count;
  char entries[EVENTS_MAX][EVENT_SIZE];
} diary;

static diary *_Atomic newest_diary; /* for what a test says when it fails */

static inline diary *diary_new(void) {
  diary *self = (diary *)calloc(1, sizeof *self);
  flag_init(&self->changed);
  return newest_diary = self;
}

static inline void note(diary *self, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&self->changed.lock);
  CHECK(self->count < EVENTS_MAX);
  vsnprintf(self->entries[self->count++], EVENT_SIZE, format, arguments);
  pthread_cond_broadcast(&self->changed.changed);
  pthread_mutex_unlock(&self->changed.lock);
  va_end(arguments);
}

static inline int diary_count_locked(diary *self, const char *entry) {
  int count = 0;
  for (int i = 0; i < self->count; i++) count += begins(self->entries[i], entry);
  return count;
}

/* How many entries begin so. */
static inline int diary_count(diary *self, const char *entry) {
  pthread_mutex_lock(&self->changed.lock);
  int count = diary_count_locked(self, entry);
  pthread_mutex_unlock(&self->changed.lock);
  return count;
}

/* Waits until so many entries begin so; how long it took. */
static inline long long diary_wait(diary *self, const char *entry, int count) {
  long long start = now_ms();
  struct timespec deadline = in_ms(PATIENCE_MS);
  pthread_mutex_lock(&self->changed.lock);
  while (diary_count_locked(self, entry) < count) {
    if (pthread_cond_timedwait(&self->changed.changed, &self->changed.lock, &deadline) != 0) {
      fprintf(stderr, "waited in vain for %d of '%s'; came:\n", count, entry);
      for (int i = 0; i < self->count; i++) fprintf(stderr, "  %s\n", self->entries[i]);
      _exit(1);
    }
  }
  pthread_mutex_unlock(&self->changed.lock);
  return now_ms() - start;
}

/* Where the first entry that begins so stands; it is there. */
static inline int diary_place(diary *self, const char *entry) {
  pthread_mutex_lock(&self->changed.lock);
  int place = 0;
  while (place < self->count && !begins(self->entries[place], entry)) place++;
  CHECK(place < self->count);
  pthread_mutex_unlock(&self->changed.lock);
  return place;
}

/* ---- Counters that a test can wait for ---- */

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t counted_one = PTHREAD_COND_INITIALIZER;

static inline void count_one(int *counter) {
  pthread_mutex_lock(&counting);
  ++*counter;
  pthread_cond_broadcast(&counted_one);
  pthread_mutex_unlock(&counting);
}

static inline int count_of(int *counter) {
  pthread_mutex_lock(&counting);
  int count = *counter;
  pthread_mutex_unlock(&counting);
  return count;
}

static inline void wait_for_count(int *counter, int count, const char *what) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += PATIENCE_MS / 1000;
  pthread_mutex_lock(&counting);
  while (*counter < count) {
    if (pthread_cond_timedwait(&counted_one, &counting, &deadline) != 0) {
      fprintf(stderr, "waited in vain for %d of %s, had %d; came:\n", count, what, *counter);
      for (int i = 0; i < newest_diary->count; i++) fprintf(stderr, "  %s\n", newest_diary->entries[i]);
      _exit(1);
    }
  }
  pthread_mutex_unlock(&counting);
}

#define AWAIT_COUNT(counter, count) wait_for_count(&(counter), count, #counter)
#define AWAIT_MORE(counter) wait_for_count(&(counter), count_of(&(counter)) + 3, #counter)

/* ---- One callback at a time of each kind of object, in the whole process ---- */

typedef struct kind {
  atomic_int inside;
  atomic_uintptr_t thread; /* which one is inside: it may end another object of the kind there */
} kind;

static kind OF_PUBLISHERS, OF_SUBSCRIBERS, OF_CAPTURERS, OF_DEVICES;

/* The program stays in a callback for so long that something which cannot wait comes beside it. */
static atomic_int one_may_come_beside;

static inline int enter_kind(kind *self) {
  uintptr_t me = (uintptr_t)pthread_self();
  if (atomic_load(&self->thread) == me) return 0;
  if (atomic_load(&one_may_come_beside) && atomic_load(&self->inside)) return 0;
  CHECK_EQUAL(atomic_fetch_add(&self->inside, 1), 0);
  atomic_store(&self->thread, me);
  return 1;
}

static inline void leave_kind(kind *self, int has_entered) {
  if (!has_entered) return;
  atomic_store(&self->thread, 0);
  CHECK_EQUAL(atomic_fetch_sub(&self->inside, 1), 1);
}

/* ---- The camera: it starts a thread and joins it in `destroy`, as programs do ---- */

/* Which functions a capturer has. */
enum { HAS_INIT = 1, HAS_SETTINGS = 2, HAS_START = 4, HAS_STOP = 8, HAS_DESTROY = 16, HAS_ALL = 31 };

typedef enum stage { UNUSED, INITIALISED, STARTED, STOPPED } stage;

typedef struct camera camera;
struct camera {
  int has;
  atomic_int is_eager; /* never pauses, with large pictures: it is inside provide_frame nearly all the time */
  int refusals;   /* of `start` */
  const otc_video_capturer *_Atomic capturer;
  pthread_t thread;
  atomic_int is_on, is_inside_provide, is_freed;
  atomic_int lines, degrees; /* so many lines of each picture, 0: all; and how it is to be turned */
  atomic_int is_last_picture; /* for a hook that acts once */
  atomic_int is_orphan; /* its publisher is deleted before it was stopped */
  stage stage;
  int starts, ends, pictures; /* counters */
  const char *_Atomic last; /* the function that was called last */
  /* Called at the end of each function, with its name, and on the camera's own thread after each picture. */
  void (*_Atomic hook)(camera *self, const char *function);
};

static inline void *camera_show(void *argument) {
  camera *self = (camera *)argument;
  int width = self->is_eager ? 1280 : PICTURE_WIDTH, height = self->is_eager ? 720 : PICTURE_HEIGHT;
  size_t size = (size_t)width * (size_t)height;
  uint8_t *pixels = (uint8_t *)malloc(size * 4);
  memset(pixels, LUMA, size), memset(pixels + size, 128, size * 3);
  otc_video_frame_format format = self->is_eager ? OTC_VIDEO_FRAME_FORMAT_ARGB32 : OTC_VIDEO_FRAME_FORMAT_YUV420P;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (atomic_load(&self->is_on)) {
    int lines = atomic_load(&self->lines);
    otc_video_frame *frame = otc_video_frame_new(format, width, lines ? lines : height, pixels);
    atomic_store(&self->is_inside_provide, 1);
    otc_status status = otc_video_capturer_provide_frame(self->capturer, atomic_load(&self->degrees), frame);
    atomic_store(&self->is_inside_provide, 0);
    CHECK(status == OTC_SUCCESS || status == OTC_INVALID_PARAM);
    CHECK(status == OTC_SUCCESS || !atomic_load(&self->is_on) || atomic_load(&self->is_freed) || atomic_load(&self->is_orphan));
    CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
    count_one(&self->pictures);
    if (self->hook) self->hook(self, "picture");
    if (self->is_eager) continue;
    next.tv_nsec += 1000000000 / PICTURE_RATE;
    if (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, next.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL); /* a camera's pace, not a wait for something */
  }
  free(pixels);
  return NULL;
}

static inline camera *camera_enter(const otc_video_capturer *capturer, void *user_data, int *has_entered) {
  camera *self = (camera *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  CHECK(capturer && (!self->capturer || self->capturer == capturer)); /* one pointer for life */
  self->capturer = capturer;
  *has_entered = enter_kind(&OF_CAPTURERS);
  return self;
}

static inline void camera_leave(camera *self, int has_entered, const char *function) {
  self->last = function;
  if (self->hook) self->hook(self, function);
  leave_kind(&OF_CAPTURERS, has_entered);
}

static inline otc_bool camera_init(const otc_video_capturer *capturer, void *user_data) {
  int has_entered;
  camera *self = camera_enter(capturer, user_data, &has_entered);
  CHECK_EQUAL(self->stage, UNUSED);
  self->stage = INITIALISED;
  camera_leave(self, has_entered, "init");
  return OTC_TRUE;
}

static inline otc_bool camera_settings(const otc_video_capturer *capturer, void *user_data,
                                       struct otc_video_capturer_settings *settings) {
  int has_entered;
  camera *self = camera_enter(capturer, user_data, &has_entered);
  CHECK(self->stage != STARTED);
  settings->format = OTC_VIDEO_FRAME_FORMAT_YUV420P;
  settings->width = PICTURE_WIDTH, settings->height = PICTURE_HEIGHT, settings->fps = PICTURE_RATE;
  camera_leave(self, has_entered, "settings");
  return OTC_TRUE;
}

static inline otc_bool camera_start(const otc_video_capturer *capturer, void *user_data) {
  int has_entered;
  camera *self = camera_enter(capturer, user_data, &has_entered);
  otc_bool is_refused = self->refusals > 0;
  CHECK_EQUAL(self->stage, self->has & HAS_INIT ? INITIALISED : UNUSED); /* never twice without `destroy` between */
  if (is_refused) {
    self->refusals--;
  } else {
    self->stage = STARTED;
    atomic_store(&self->is_on, 1);
    CHECK_EQUAL(pthread_create(&self->thread, NULL, camera_show, self), 0);
    count_one(&self->starts);
  }
  camera_leave(self, has_entered, "start");
  return !is_refused;
}

static inline otc_bool camera_stop(const otc_video_capturer *capturer, void *user_data) {
  int has_entered;
  camera *self = camera_enter(capturer, user_data, &has_entered);
  if (self->has & HAS_START) CHECK_EQUAL(self->stage, STARTED);
  self->stage = STOPPED;
  camera_leave(self, has_entered, "stop");
  return OTC_TRUE;
}

static inline otc_bool camera_destroy(const otc_video_capturer *capturer, void *user_data) {
  int has_entered;
  camera *self = camera_enter(capturer, user_data, &has_entered);
  if (self->has & HAS_STOP) CHECK_EQUAL(self->stage, STOPPED);
  else if (self->has & HAS_START) CHECK_EQUAL(self->stage, STARTED); /* never without a start */
  if (self->has & HAS_START) {
    atomic_store(&self->is_on, 0);
    CHECK_EQUAL(pthread_join(self->thread, NULL), 0);
  }
  self->stage = UNUSED;
  count_one(&self->ends);
  camera_leave(self, has_entered, "destroy");
  return OTC_TRUE;
}

static inline struct otc_video_capturer_callbacks camera_callbacks(camera *self) {
  struct otc_video_capturer_callbacks callbacks = {0};
  if (self->has & HAS_INIT) callbacks.init = camera_init;
  if (self->has & HAS_SETTINGS) callbacks.get_capture_settings = camera_settings;
  if (self->has & HAS_START) callbacks.start = camera_start;
  if (self->has & HAS_STOP) callbacks.stop = camera_stop;
  if (self->has & HAS_DESTROY) callbacks.destroy = camera_destroy;
  callbacks.user_data = self;
  return callbacks;
}

/* ---- The audio device: a square wave goes in, what comes out is thrown away; threads joined in destroy_* ---- */

typedef struct device {
  pthread_t threads[2];
  atomic_int is_on[2];
  stage stages[2];
  int starts[2], ends[2]; /* counters: of recording, of playing */
  atomic_int is_freed;
} device;

static inline void *device_run(device *self, int plays) {
  int16_t samples[SOUND_BLOCK];
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (atomic_load(&self->is_on[plays])) {
    for (int i = 0; i < SOUND_BLOCK; i++) samples[i] = i / 48 % 2 ? 8000 : -8000;
    if (plays) otc_audio_device_read_render_data(samples, SOUND_BLOCK);
    else otc_audio_device_write_capture_data(samples, SOUND_BLOCK);
    next.tv_nsec += 10000000;
    if (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, next.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL); /* a device's pace */
  }
  return NULL;
}
static inline void *device_records(void *self) { return device_run((device *)self, 0); }
static inline void *device_plays(void *self) { return device_run((device *)self, 1); }

static inline otc_bool device_start(void *user_data, int plays) {
  device *self = (device *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  int has_entered = enter_kind(&OF_DEVICES);
  CHECK_EQUAL(self->stages[plays], UNUSED);
  self->stages[plays] = STARTED;
  atomic_store(&self->is_on[plays], 1);
  CHECK_EQUAL(pthread_create(&self->threads[plays], NULL, plays ? device_plays : device_records, self), 0);
  count_one(&self->starts[plays]);
  leave_kind(&OF_DEVICES, has_entered);
  return OTC_TRUE;
}

static inline otc_bool device_stop(void *user_data, int plays) {
  device *self = (device *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  int has_entered = enter_kind(&OF_DEVICES);
  CHECK_EQUAL(self->stages[plays], STARTED);
  self->stages[plays] = STOPPED;
  leave_kind(&OF_DEVICES, has_entered);
  return OTC_TRUE;
}

static inline otc_bool device_end(void *user_data, int plays) {
  device *self = (device *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  int has_entered = enter_kind(&OF_DEVICES);
  CHECK_EQUAL(self->stages[plays], STOPPED);
  atomic_store(&self->is_on[plays], 0);
  CHECK_EQUAL(pthread_join(self->threads[plays], NULL), 0);
  self->stages[plays] = UNUSED;
  count_one(&self->ends[plays]);
  leave_kind(&OF_DEVICES, has_entered);
  return OTC_TRUE;
}

static inline otc_bool device_start_capturer(const otc_audio_device *d, void *u) { return (void)d, device_start(u, 0); }
static inline otc_bool device_stop_capturer(const otc_audio_device *d, void *u) { return (void)d, device_stop(u, 0); }
static inline otc_bool device_stop_renderer(const otc_audio_device *d, void *u) { return (void)d, device_stop(u, 1); }
static inline otc_bool device_destroy_capturer(const otc_audio_device *d, void *u) { return (void)d, device_end(u, 0); }
static inline otc_bool device_start_renderer(const otc_audio_device *d, void *u) { return (void)d, device_start(u, 1); }
static inline otc_bool device_destroy_renderer(const otc_audio_device *d, void *u) { return (void)d, device_end(u, 1); }
static inline otc_bool device_settings(const otc_audio_device *d, void *u, struct otc_audio_device_settings *settings) {
  (void)d, (void)u;
  settings->sampling_rate = 48000, settings->number_of_channels = 1;
  return OTC_TRUE;
}

/* The device of the process from now on. */
static inline device *device_use(void) {
  device *self = (device *)calloc(1, sizeof *self);
  struct otc_audio_device_callbacks callbacks = {0};
  callbacks.start_capturer = device_start_capturer, callbacks.destroy_capturer = device_destroy_capturer;
  callbacks.start_renderer = device_start_renderer, callbacks.destroy_renderer = device_destroy_renderer;
  callbacks.stop_capturer = device_stop_capturer, callbacks.stop_renderer = device_stop_renderer;
  callbacks.get_capture_settings = callbacks.get_render_settings = device_settings;
  callbacks.user_data = self;
  CHECK_EQUAL(otc_set_audio_device(&callbacks), OTC_SUCCESS);
  return self;
}

/* ---- The publisher ---- */

typedef struct source source;
struct source {
  otc_publisher *publisher;
  camera camera;
  diary *diary;
  atomic_int is_published, is_freed;
  atomic_int is_loud;              /* as the statistics say */
  int frames, levels, loud, stats; /* counters */
  /* Called in each callback, with its name. */
  void (*_Atomic hook)(source *self, const char *event);
};

static inline int source_enter(source *self, otc_publisher *publisher) {
  CHECK(!is_inside_call);
  CHECK(!atomic_load(&self->is_freed));
  if (self->publisher) CHECK(publisher == self->publisher);
  return enter_kind(&OF_PUBLISHERS);
}

static inline void source_leave(source *self, int has_entered, const char *event) {
  if (self->hook) self->hook(self, event);
  leave_kind(&OF_PUBLISHERS, has_entered);
}

static inline void source_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  CHECK_EQUAL(atomic_exchange(&self->is_published, 1), 0);
  CHECK(*otc_stream_get_id(stream) && otc_stream_get_connection(stream));
  note(self->diary, "created %s", otc_stream_get_name(stream));
  source_leave(self, has_entered, "created");
}
static inline void source_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  CHECK_EQUAL(atomic_exchange(&self->is_published, 0), 1); /* only what was created */
  CHECK(*otc_stream_get_id(stream));
  note(self->diary, "destroyed %s", otc_stream_get_name(stream));
  source_leave(self, has_entered, "destroyed");
}
static inline void check_picture(const otc_video_frame *frame) {
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  CHECK_EQUAL(otc_video_frame_get_format(frame), OTC_VIDEO_FRAME_FORMAT_YUV420P);
  CHECK(otc_video_frame_is_contiguous(frame));
  CHECK_EQUAL(otc_video_frame_get_buffer_size(frame), width * height * 3 / 2);
  CHECK_EQUAL(otc_video_frame_get_plane_stride(frame, OTC_VIDEO_FRAME_PLANE_Y), width);
  CHECK(otc_video_frame_get_buffer(frame) == otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_Y));
}
static inline void source_frame(otc_publisher *publisher, void *user_data, const otc_video_frame *frame) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  check_picture(frame);
  if (!self->camera.is_eager) CHECK_EQUAL(otc_video_frame_get_buffer(frame)[0], LUMA);
  CHECK(otc_video_frame_get_timestamp(frame) > 1500000000000LL); /* the capturer says none */
  count_one(&self->frames);
  source_leave(self, has_entered, "frame");
}
static inline void source_level(otc_publisher *publisher, void *user_data, float level) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  CHECK(level >= 0 && level <= 1);
  if (level > 0) count_one(&self->loud);
  count_one(&self->levels);
  source_leave(self, has_entered, "level");
}
static inline void source_error(otc_publisher *publisher, void *user_data, const char *text, otc_publisher_error_code code) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  CHECK(text && *text);
  note(self->diary, "publisher error %d: %.60s", (int)code, text);
  source_leave(self, has_entered, "error");
}
static inline void source_audio_stats(otc_publisher *publisher, void *user_data, struct otc_publisher_audio_stats *stats,
                                      size_t count) {
  source *self = (source *)user_data;
  int has_entered = source_enter(self, publisher);
  CHECK(count >= 1 && stats->packets_sent >= 0 && stats->timestamp > 1.5e12 && stats->start_time <= stats->timestamp);
  atomic_store(&self->is_loud, stats->audio_level > 0);
  if (stats->packets_sent > 0 && stats->bytes_sent > 0) count_one(&self->stats);
  source_leave(self, has_entered, "audio stats");
}

static inline struct otc_publisher_callbacks source_callbacks(source *self) {
  struct otc_publisher_callbacks callbacks = {0};
  callbacks.on_stream_created = source_created, callbacks.on_stream_destroyed = source_destroyed;
  callbacks.on_render_frame = source_frame, callbacks.on_audio_level_updated = source_level;
  callbacks.on_audio_stats = source_audio_stats;
  callbacks.on_error = source_error;
  callbacks.user_data = self;
  return callbacks;
}

/* With what it has: sound, pictures, and these functions of a capturer. */
static inline source *source_with(diary *diary, const char *name, int has_audio, int has_video, int capturer_has) {
  source *self = (source *)calloc(1, sizeof *self);
  self->diary = diary;
  self->camera.has = capturer_has;
  struct otc_publisher_callbacks callbacks = source_callbacks(self);
  struct otc_video_capturer_callbacks capturer = camera_callbacks(&self->camera);
  otc_publisher_settings *settings = otc_publisher_settings_new();
  CHECK_EQUAL(otc_publisher_settings_set_name(settings, name), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_video_capturer(settings, &capturer), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_audio_track(settings, has_audio), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_video_track(settings, has_video), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_disable_audio_processing(settings, OTC_TRUE), OTC_SUCCESS);
  self->publisher = otc_publisher_new_with_settings(&callbacks, settings);
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
  memset(&capturer, 0xee, sizeof capturer), memset(&callbacks, 0xee, sizeof callbacks);
  CHECK(self->publisher);
  return self;
}
static inline source *source_new(diary *diary, const char *name) { return source_with(diary, name, 1, 1, HAS_ALL); }

static inline otc_status source_publish(source *self, recorder *session) {
  is_inside_call++;
  otc_status status = otc_session_publish(session->session, self->publisher);
  is_inside_call--;
  return status;
}
static inline otc_status source_unpublish(source *self, recorder *session) {
  is_inside_call++;
  otc_status status = otc_session_unpublish(session->session, self->publisher);
  is_inside_call--;
  return status;
}

/* What programs do after a deletion: the capturer's memory goes. On a thread of the program `destroy` has been called. */
static inline void source_gone(source *self) {
  atomic_store(&self->is_freed, 1);
  atomic_store(&self->camera.is_freed, 1);
}
static inline void source_end(source *self) {
  is_inside_call++;
  CHECK_EQUAL(otc_publisher_delete(self->publisher), OTC_SUCCESS);
  is_inside_call--;
  if (!(~self->camera.has & (HAS_START | HAS_DESTROY))) CHECK_EQUAL(self->camera.starts, self->camera.ends);
  source_gone(self);
}
static inline void source_delete(source *self) {
  source_end(self);
  memset(self, 0xee, sizeof *self);
  free(self);
}

/* ---- The subscriber ---- */

typedef struct sink sink;
struct sink {
  otc_subscriber *subscriber;
  diary *diary;
  const char *name;
  atomic_int is_connected, has_video, is_freed;
  int frames, sounds, levels, loud, loud_sounds, audio_stats, loud_stats, video_stats; /* counters */
  atomic_int width, height, luma;                /* of the newest picture */
  void (*_Atomic hook)(sink *self, const char *event);
};

static inline int sink_enter(sink *self, otc_subscriber *subscriber) {
  CHECK(!is_inside_call);
  CHECK(!atomic_load(&self->is_freed));
  if (self->subscriber) CHECK(subscriber == self->subscriber);
  return enter_kind(&OF_SUBSCRIBERS);
}
static inline void sink_leave(sink *self, int has_entered, const char *event) {
  if (self->hook) self->hook(self, event);
  leave_kind(&OF_SUBSCRIBERS, has_entered);
}
static inline void sink_event(otc_subscriber *subscriber, void *user_data, const char *event) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  CHECK(self->is_connected || begins(event, "error")); /* on_connected comes first */
  note(self->diary, "%s %s", self->name, event);
  sink_leave(self, has_entered, event);
}
static inline void sink_connected(otc_subscriber *subscriber, void *user_data, const otc_stream *stream) {
  sink *self = (sink *)user_data;
  CHECK_EQUAL(atomic_exchange(&self->is_connected, 1), 0); /* once */
  CHECK(*otc_stream_get_id(stream));
  sink_event(subscriber, user_data, "connected");
}
static inline void sink_video_data(otc_subscriber *subscriber, void *user_data) {
  CHECK_EQUAL(atomic_exchange(&((sink *)user_data)->has_video, 1), 0); /* once */
  sink_event(subscriber, user_data, "video data received");
}
static inline void sink_disconnected(otc_subscriber *s, void *u) { sink_event(s, u, "disconnected"); }
static inline void sink_reconnected(otc_subscriber *s, void *u) { sink_event(s, u, "reconnected"); }
static inline void sink_audio_disabled(otc_subscriber *s, void *u) { sink_event(s, u, "audio disabled"); }
static inline void sink_audio_enabled(otc_subscriber *s, void *u) { sink_event(s, u, "audio enabled"); }
static inline void sink_video_disabled(otc_subscriber *s, void *u, otc_video_reason reason) {
  char event[32];
  snprintf(event, sizeof event, "video disabled %d", (int)reason);
  sink_event(s, u, event);
}
static inline void sink_video_enabled(otc_subscriber *s, void *u, otc_video_reason reason) {
  char event[32];
  snprintf(event, sizeof event, "video enabled %d", (int)reason);
  sink_event(s, u, event);
}
static inline void sink_error(otc_subscriber *s, void *u, const char *text, otc_subscriber_error_code code) {
  char event[32];
  CHECK(text && *text);
  snprintf(event, sizeof event, "error %d", (int)code);
  sink_event(s, u, event);
}
static inline void sink_frame(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  CHECK(self->is_connected && self->has_video); /* in this order */
  check_picture(frame);
  self->width = otc_video_frame_get_width(frame);
  self->height = otc_video_frame_get_height(frame);
  self->luma = otc_video_frame_get_buffer(frame)[0];
  count_one(&self->frames);
  sink_leave(self, has_entered, "frame");
}
static inline void sink_sound(otc_subscriber *subscriber, void *user_data, const struct otc_audio_data *data) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  const int16_t *samples = (const int16_t *)data->sample_buffer;
  CHECK_EQUAL(data->bits_per_sample, 16);
  CHECK_EQUAL(data->sample_rate, 48000);
  CHECK_EQUAL(data->number_of_channels, 2);
  CHECK_EQUAL(data->number_of_samples, 480);
  int is_loud = 0;
  for (int i = 0; i < 960; i++) is_loud |= samples[i] > 1000;
  if (is_loud) count_one(&self->loud_sounds);
  count_one(&self->sounds);
  sink_leave(self, has_entered, "sound");
}
static inline void sink_level(otc_subscriber *subscriber, void *user_data, float level) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  CHECK(level >= 0 && level <= 1);
  if (level > 0) count_one(&self->loud);
  count_one(&self->levels);
  sink_leave(self, has_entered, "level");
}

static inline void sink_audio_stats(otc_subscriber *subscriber, void *user_data, struct otc_subscriber_audio_stats stats) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  if (stats.audio_level > 0) count_one(&self->loud_stats);
  if (stats.packets_received > 0 && stats.bytes_received > 0 && stats.timestamp > 1.5e12) count_one(&self->audio_stats);
  sink_leave(self, has_entered, "audio stats");
}
static inline void sink_video_stats(otc_subscriber *subscriber, void *user_data, struct otc_subscriber_video_stats stats) {
  sink *self = (sink *)user_data;
  int has_entered = sink_enter(self, subscriber);
  if (stats.packets_received > 0 && stats.bytes_received > 0 && stats.timestamp > 1.5e12) count_one(&self->video_stats);
  sink_leave(self, has_entered, "video stats");
}

static inline struct otc_subscriber_callbacks sink_callbacks(sink *self) {
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_connected = sink_connected;
  callbacks.on_disconnected = sink_disconnected, callbacks.on_reconnected = sink_reconnected;
  callbacks.on_video_data_received = sink_video_data;
  callbacks.on_video_disabled = sink_video_disabled, callbacks.on_video_enabled = sink_video_enabled;
  callbacks.on_audio_disabled = sink_audio_disabled, callbacks.on_audio_enabled = sink_audio_enabled;
  callbacks.on_render_frame = sink_frame, callbacks.on_audio_data = sink_sound;
  callbacks.on_audio_level_updated = sink_level;
  callbacks.on_audio_stats = sink_audio_stats, callbacks.on_video_stats = sink_video_stats;
  callbacks.on_error = sink_error;
  callbacks.user_data = self;
  return callbacks;
}

static inline sink *sink_of(diary *diary, const char *name, const otc_stream *stream) {
  sink *self = (sink *)calloc(1, sizeof *self);
  self->diary = diary, self->name = name;
  struct otc_subscriber_callbacks callbacks = sink_callbacks(self);
  self->subscriber = otc_subscriber_new(stream, &callbacks);
  memset(&callbacks, 0xee, sizeof callbacks);
  CHECK(self->subscriber);
  return self;
}

static inline otc_status sink_subscribe(sink *self, recorder *session) {
  is_inside_call++;
  otc_status status = otc_session_subscribe(session->session, self->subscriber);
  is_inside_call--;
  return status;
}

static inline void sink_end(sink *self) {
  is_inside_call++;
  CHECK_EQUAL(otc_subscriber_delete(self->subscriber), OTC_SUCCESS);
  is_inside_call--;
  atomic_store(&self->is_freed, 1);
}
static inline void sink_delete(sink *self) {
  sink_end(self);
  memset(self, 0xee, sizeof *self);
  free(self);
}

/* A subscriber of the stream that a session received last. */
static inline sink *sink_in(recorder *session, diary *diary, const char *name) {
  pthread_mutex_lock(&session->changed.lock);
  otc_stream *copy = otc_stream_copy(session->last_stream);
  pthread_mutex_unlock(&session->changed.lock);
  sink *self = sink_of(diary, name, copy);
  CHECK_EQUAL(otc_stream_delete(copy), OTC_SUCCESS);
  CHECK_EQUAL(sink_subscribe(self, session), OTC_SUCCESS);
  return self;
}

/* ---- A call: one publishes, the other one subscribes, pictures and sound flow ---- */

static inline recorder *connected_with(const char *token) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  return self;
}

typedef struct call {
  recorder *here, *there;
  diary *diary;
  source *source;
  sink *sink;
} call;

/* Connected, and nothing else yet. */
static inline call call_new(void) {
  call self = {0};
  self.diary = diary_new();
  self.here = connected_with(given("TEST_TOKEN")), self.there = connected_with(given("TEST_OTHER_TOKEN"));
  return self;
}

/* In mid-flow. */
static inline call call_begun(void) {
  call self = call_new();
  self.source = source_new(self.diary, "film");
  CHECK_EQUAL(source_publish(self.source, self.here), OTC_SUCCESS);
  recorder_wait(self.there, "stream received film", 1);
  self.sink = sink_in(self.there, self.diary, "sink");
  AWAIT_COUNT(self.sink->frames, 2);
  AWAIT_COUNT(self.sink->sounds, 2);
  return self;
}

/* In the order of the samples: subscriber, publisher, sessions. */
static inline void call_end(call self) {
  if (self.sink) sink_delete(self.sink);
  if (self.source) source_delete(self.source);
  recorder_delete(self.here), recorder_delete(self.there);
  free(self.diary);
}

#endif
