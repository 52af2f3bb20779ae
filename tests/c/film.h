/*
 * A publisher that shows the mark (examples-c/mark.h) and a subscriber that reads it, for tests and measurements.
 *
 * Pictures and sound have one clock, the machine's monotonic one, so flash and beep belong together also when publisher
 * and subscriber are two processes.
 */
#ifndef OTC_FILM_H
#define OTC_FILM_H

#include <opentok.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../examples-c/mark.h"

enum { FILM_RATE = 48000, FILM_BLOCK = FILM_RATE / 100, FILM_STEP = FILM_RATE / 200, FILM_TIMES_MAX = 1 << 18 };

static inline int64_t film_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static inline void film_sleep_until_us(int64_t then) {
  struct timespec time = {then / 1000000, then % 1000000 * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) continue;
}

/* ---- The camera ---- */

typedef struct film_camera {
  int width, height, fps;
  atomic_int rotation; /* may change while it films */
  int is_clock; /* the marks are times in tenths of milliseconds, else they count */
  int is_blind; /* has no get_capture_settings: its size is that of its pictures */
  enum otc_video_codec_type codec; /* that its publisher prefers; 0: none */
  const otc_video_capturer *capturer;
  pthread_t thread;
  atomic_int is_on;
  atomic_uint count;        /* pictures handed in */
  atomic_llong drawing_ns;  /* processor time of drawing them, which is not the library's */
} film_camera;

static inline long long film_thread_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * 1000000000LL + used.tv_nsec;
}

static inline void *film_show(void *argument) {
  film_camera *self = (film_camera *)argument;
  int width = self->width, height = self->height, chroma = (width + 1) / 2 * ((height + 1) / 2);
  uint8_t *pixels = (uint8_t *)malloc((size_t)(width * height + 2 * chroma));
  mark_picture picture = {{pixels, pixels + width * height, pixels + width * height + chroma},
                          {width, (width + 1) / 2, (width + 1) / 2}, width, height};
  int64_t start = film_now_us();
  for (unsigned count = 0; self->is_on; count++) {
    film_sleep_until_us(start + count * 1000000LL / self->fps);
    long long drawing = film_thread_ns();
    int64_t now = film_now_us();
    mark_draw(&picture, count, self->is_clock ? (unsigned)(now / 100) : count, mark_is_flash(now));
    self->drawing_ns += film_thread_ns() - drawing;
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, width, height, pixels);
    otc_video_capturer_provide_frame(self->capturer, self->rotation, frame);
    otc_video_frame_delete(frame);
    self->count = count + 1;
  }
  free(pixels);
  return NULL;
}

static inline otc_bool film_camera_init(const otc_video_capturer *capturer, void *user_data) {
  ((film_camera *)user_data)->capturer = capturer;
  return OTC_TRUE;
}
static inline otc_bool film_camera_start(const otc_video_capturer *capturer, void *user_data) {
  film_camera *self = (film_camera *)user_data;
  (void)capturer, self->is_on = 1;
  return pthread_create(&self->thread, NULL, film_show, self) == 0;
}
static inline otc_bool film_camera_destroy(const otc_video_capturer *capturer, void *user_data) {
  film_camera *self = (film_camera *)user_data;
  (void)capturer, self->is_on = 0;
  return pthread_join(self->thread, NULL) == 0;
}

static inline otc_bool film_camera_settings(const otc_video_capturer *capturer, void *user_data,
                                            struct otc_video_capturer_settings *settings) {
  film_camera *self = (film_camera *)user_data;
  (void)capturer;
  settings->format = OTC_VIDEO_FRAME_FORMAT_YUV420P;
  settings->width = self->width, settings->height = self->height, settings->fps = self->fps;
  settings->expected_delay = 0, settings->mirror_on_local_render = OTC_FALSE;
  return OTC_TRUE;
}

static inline struct otc_video_capturer_callbacks film_capturer(film_camera *self) {
  struct otc_video_capturer_callbacks callbacks = {0};
  callbacks.init = film_camera_init;
  callbacks.start = film_camera_start;
  callbacks.destroy = film_camera_destroy;
  if (!self->is_blind) callbacks.get_capture_settings = film_camera_settings;
  callbacks.user_data = self;
  return callbacks;
}

/* ---- The microphone ---- */

typedef struct film_microphone {
  pthread_t thread;
  atomic_int is_on;
} film_microphone;

static inline void *film_sing(void *argument) {
  film_microphone *self = (film_microphone *)argument;
  int16_t samples[FILM_BLOCK];
  for (int64_t block = film_now_us() / 10000; self->is_on; block++) {
    film_sleep_until_us((block + 1) * 10000); /* a block is complete when its time is over */
    mark_sound(samples, block * FILM_BLOCK, FILM_BLOCK, FILM_RATE, 1);
    otc_audio_device_write_capture_data(samples, FILM_BLOCK);
  }
  return NULL;
}

static inline otc_bool film_microphone_start(const otc_audio_device *device, void *user_data) {
  film_microphone *self = (film_microphone *)user_data;
  (void)device, self->is_on = 1;
  return pthread_create(&self->thread, NULL, film_sing, self) == 0;
}
static inline otc_bool film_microphone_destroy(const otc_audio_device *device, void *user_data) {
  film_microphone *self = (film_microphone *)user_data;
  (void)device, self->is_on = 0;
  return pthread_join(self->thread, NULL) == 0;
}
static inline otc_bool film_microphone_settings(const otc_audio_device *device, void *user_data,
                                                struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = FILM_RATE, settings->number_of_channels = 1;
  return OTC_TRUE;
}

/* Makes it the audio device of the process, which then has no loudspeaker. */
static inline otc_status film_use_microphone(film_microphone *self) {
  struct otc_audio_device_callbacks callbacks = {0};
  callbacks.start_capturer = film_microphone_start;
  callbacks.destroy_capturer = film_microphone_destroy;
  callbacks.get_capture_settings = film_microphone_settings;
  callbacks.user_data = self;
  return otc_set_audio_device(&callbacks);
}

/* A publisher of the film. A steady tone is noise to filters that are made for voices, so they are off. */
static inline otc_publisher *film_publisher(const char *name, film_camera *camera, int has_audio,
                                            const struct otc_publisher_callbacks *callbacks) {
  struct otc_video_capturer_callbacks capturer = film_capturer(camera);
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, name);
  otc_publisher_settings_set_video_capturer(settings, &capturer);
  otc_publisher_settings_set_audio_track(settings, has_audio);
  otc_publisher_settings_set_disable_audio_processing(settings, OTC_TRUE);
  if (camera->codec) otc_ext_publisher_settings_set_preferred_video_codecs(settings, &camera->codec, 1);
  otc_publisher *publisher = otc_publisher_new_with_settings(callbacks, settings);
  otc_publisher_settings_delete(settings);
  return publisher;
}

/* ---- The watcher: the user_data of a subscriber ---- */

typedef struct film_watch {
  pthread_mutex_t lock; /* guards everything here */
  int is_clock;
  int64_t first_us;                /* when the first picture came */
  unsigned seen, pictures, marks;  /* pictures in all, and pictures and readable marks since it was told */
  long number;                     /* of the newest picture; -1 before */
  int width, height, was_flash;
  char corners[5];
  int64_t flash_us, beep_us; /* that have no partner yet; 0: none */
  int has_offset;
  double offset_ms;   /* how much later the flash came than its beep */
  long *latencies;    /* of marks that are times, in tenths of milliseconds; NULL when nobody asked */
  long latency_count;
  float second[FILM_RATE]; /* the last second of sound, a ring */
  long samples;
  float step[FILM_STEP];
  int was_beep;
} film_watch;

static inline void film_watch_init(film_watch *self, int is_clock) {
  memset(self, 0, sizeof *self);
  pthread_mutex_init(&self->lock, NULL);
  self->is_clock = is_clock;
  self->number = -1;
  self->was_flash = self->was_beep = 1; /* what has begun before we look has no beginning */
  if (is_clock) self->latencies = (long *)malloc(FILM_TIMES_MAX * sizeof *self->latencies);
}

static inline void film_watch_pair(film_watch *self) {
  int64_t apart_us = self->flash_us - self->beep_us;
  if (!self->flash_us || !self->beep_us || apart_us > 500000 || apart_us < -500000) return;
  self->has_offset = 1;
  self->offset_ms = (double)apart_us / 1000;
  self->flash_us = self->beep_us = 0;
}

static inline void film_watch_picture(film_watch *self, const otc_video_frame *frame) {
  mark_picture picture = {.width = otc_video_frame_get_width(frame), .height = otc_video_frame_get_height(frame)};
  if (picture.width < 2 * MARK_COLUMNS) return; /* a LiveKit server ends a track with a few tiny blank pictures */
  for (int plane = 0; plane < 3; plane++) {
    picture.plane[plane] = (uint8_t *)otc_video_frame_get_plane_binary_data(frame, (enum otc_video_frame_plane)plane);
    picture.stride[plane] = otc_video_frame_get_plane_stride(frame, (enum otc_video_frame_plane)plane);
  }
  mark mark;
  int64_t now = film_now_us();
  int is_marked = mark_read(&picture, &mark);
  pthread_mutex_lock(&self->lock);
  if (!self->first_us) self->first_us = now;
  self->seen++, self->pictures++;
  self->width = picture.width, self->height = picture.height;
  strcpy(self->corners, mark.corners);
  if (is_marked) {
    self->marks++;
    self->number = mark.number;
    if (self->latencies && self->latency_count < FILM_TIMES_MAX)
      self->latencies[self->latency_count++] = (long)(((unsigned)(now / 100) - mark.number) & 0xffffff);
    if (mark.is_flash && !self->was_flash) self->flash_us = now, film_watch_pair(self);
    self->was_flash = mark.is_flash;
  }
  pthread_mutex_unlock(&self->lock);
}

/* The level of a frequency in `count` samples of a ring. Two oscillators a quarter of a turn apart, squared. */
static inline double film_level_squared(const float *samples, long count, int frequency) {
  double in_phase = 0, across = 0;
  for (long i = 0; i < count; i++) {
    double turns = (double)(i * frequency % FILM_RATE) / FILM_RATE;
    in_phase += samples[i] * mark_sine(turns);
    across += samples[i] * mark_sine(turns < 0.75 ? turns + 0.25 : turns - 0.75);
  }
  return 4 * (in_phase * in_phase + across * across) / ((double)count * (double)count);
}

static inline void film_watch_sound(film_watch *self, const struct otc_audio_data *data) {
  const int16_t *samples = (const int16_t *)data->sample_buffer;
  int64_t now = film_now_us();
  pthread_mutex_lock(&self->lock);
  for (size_t i = 0; i < data->number_of_samples; i++) {
    float sample = (float)samples[i * data->number_of_channels] / 32768;
    self->second[self->samples % FILM_RATE] = self->step[self->samples % FILM_STEP] = sample;
    if (++self->samples % FILM_STEP) continue;
    int is_beep = film_level_squared(self->step, FILM_STEP, MARK_BEEP_HZ) > 0.1 * 0.1;
    if (is_beep && !self->was_beep) {
      self->beep_us = now - (int64_t)(data->number_of_samples - i - 1 + FILM_STEP) * 1000000 / FILM_RATE;
      film_watch_pair(self);
    }
    self->was_beep = is_beep;
  }
  pthread_mutex_unlock(&self->lock);
}

/* The strongest frequency around the tone in the last second; its level, squared, goes to `level`. */
static inline int film_watch_tone(const film_watch *self, double *level) {
  int best = 0;
  *level = 0;
  for (int frequency = MARK_TONE_HZ - 20; self->samples >= FILM_RATE && frequency <= MARK_TONE_HZ + 20; frequency++) {
    double squared = film_level_squared(self->second, FILM_RATE, frequency);
    if (squared > *level) *level = squared, best = frequency;
  }
  return best;
}

/* A square root of what lies between 0 and 1, to print a level without libm. */
static inline double film_root(double value) {
  double root = 1;
  for (int i = 0; i < 30; i++) root = (root + value / root) / 2;
  return value > 1e-12 ? root : 0;
}

/* One line of JSON, in the form of tests/peers/media/subscribe.py; counts begin anew. */
static inline void film_watch_tell(film_watch *self, const char *from) {
  double squared;
  pthread_mutex_lock(&self->lock);
  int tone_hz = film_watch_tone(self, &squared);
  char number[24] = "null", offset[24] = "null";
  if (self->number >= 0) snprintf(number, sizeof number, "%ld", self->number);
  if (self->has_offset) snprintf(offset, sizeof offset, "%.1f", self->offset_ms);
  printf("{\"from\": \"%s\", \"codec\": \"\", \"frame\": %s, \"width\": %d, \"height\": %d, \"corners\": \"%s\", \"pictures\": %u, "
         "\"marks\": %u, \"tone_hz\": %d, \"level\": %.3f, \"flash_after_beep_ms\": %s}\n",
         from, number, self->width, self->height, self->corners, self->pictures, self->marks, tone_hz,
         film_root(squared), offset);
  self->pictures = self->marks = 0;
  self->has_offset = 0;
  pthread_mutex_unlock(&self->lock);
}

static inline void film_watched_frame(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)subscriber, film_watch_picture((film_watch *)user_data, frame);
}
static inline void film_watched_sound(otc_subscriber *subscriber, void *user_data, const struct otc_audio_data *data) {
  (void)subscriber, film_watch_sound((film_watch *)user_data, data);
}

static inline struct otc_subscriber_callbacks film_subscriber_callbacks(film_watch *self) {
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_render_frame = film_watched_frame;
  callbacks.on_audio_data = film_watched_sound;
  callbacks.user_data = self;
  return callbacks;
}

#endif
