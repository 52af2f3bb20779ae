/*
 * Publishes a moving test picture with a clock, and a tone: a camera and a microphone of the program's own.
 *
 *   cc publish.c $(pkg-config --cflags --libs libopentok) -pthread -o publish
 *   ./publish API_KEY SESSION TOKEN [SECONDS]      without a number until Ctrl-C
 *
 * The picture has a mark (mark.h) by which a receiver knows it again, and once per second it flashes while the sound
 * beeps. Both begin in `start`, each on a thread that the program ends and joins in `destroy`.
 */
#include <opentok.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mark.h"

enum { WIDTH = 640, HEIGHT = 360, FPS = 30, RATE = 48000, BLOCK = RATE / 100 };
enum word { WORD_LEAVE = 'l', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];
static int is_connected; /* known to the callbacks of the session alone, which all run on one thread */
static otc_publisher *publisher;

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

/* Microseconds of the clock that picture and sound share. */
static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void sleep_until_us(int64_t then) {
  for (int64_t now = now_us(); now < then; now = now_us()) usleep((useconds_t)(then - now));
}

/* ---- The picture ---- */

typedef struct camera {
  const otc_video_capturer *capturer;
  pthread_t thread;
  atomic_int is_on;
} camera;

static void *film(void *argument) {
  static uint8_t pixels[WIDTH * HEIGHT * 3 / 2];
  camera *self = argument;
  mark_picture picture = {{pixels, pixels + WIDTH * HEIGHT, pixels + WIDTH * HEIGHT * 5 / 4},
                          {WIDTH, WIDTH / 2, WIDTH / 2}, WIDTH, HEIGHT};
  int64_t start = now_us();
  for (unsigned count = 0; self->is_on; count++) {
    sleep_until_us(start + count * 1000000LL / FPS);
    int64_t now = now_us();
    mark_draw(&picture, count, count, mark_is_flash(now));
    clock_draw(pixels, WIDTH, WIDTH, HEIGHT, now - start);
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, pixels);
    otc_video_capturer_provide_frame(self->capturer, 0, frame); /* never waits */
    otc_video_frame_delete(frame);
  }
  return NULL;
}

static otc_bool camera_init(const otc_video_capturer *capturer, void *user_data) {
  ((camera *)user_data)->capturer = capturer;
  return OTC_TRUE;
}

static otc_bool camera_start(const otc_video_capturer *capturer, void *user_data) {
  camera *self = user_data;
  (void)capturer, self->is_on = 1;
  return pthread_create(&self->thread, NULL, film, self) == 0;
}

static otc_bool camera_destroy(const otc_video_capturer *capturer, void *user_data) {
  camera *self = user_data;
  (void)capturer, self->is_on = 0;
  return pthread_join(self->thread, NULL) == 0;
}

/* ---- The sound: an audio device that only records ---- */

typedef struct microphone {
  pthread_t thread;
  atomic_int is_on;
} microphone;

static void *record(void *argument) {
  microphone *self = argument;
  int16_t samples[BLOCK];
  for (int64_t block = now_us() / 10000; self->is_on; block++) {
    sleep_until_us((block + 1) * 10000); /* a block is complete when its ten milliseconds are over */
    mark_sound(samples, block * BLOCK, BLOCK, RATE, 1);
    otc_audio_device_write_capture_data(samples, BLOCK);
  }
  return NULL;
}

static otc_bool microphone_start(const otc_audio_device *device, void *user_data) {
  microphone *self = user_data;
  (void)device, self->is_on = 1;
  return pthread_create(&self->thread, NULL, record, self) == 0;
}

static otc_bool microphone_destroy(const otc_audio_device *device, void *user_data) {
  microphone *self = user_data;
  (void)device, self->is_on = 0;
  return pthread_join(self->thread, NULL) == 0;
}

static otc_bool microphone_settings(const otc_audio_device *device, void *user_data,
                                    struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = RATE, settings->number_of_channels = 1;
  return OTC_TRUE;
}

/* ---- The session ---- */

static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data;
  printf("publishing: %s\n", otc_stream_get_name(stream));
}

static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *text,
                               enum otc_publisher_error_code error) {
  (void)publisher, (void)user_data;
  printf("publisher error %d: %s\n", (int)error, text);
}

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  is_connected = 1;
  otc_session_publish(session, publisher);
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  is_connected = 0;
  say(WORD_LEFT);
}

static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("error %d: %s\n", (int)error, text);
  if (!is_connected) say(WORD_FAILED);
}

static void leave(int number) {
  (void)number;
  say(WORD_LEAVE);
}

int main(int argc, char **argv) {
  camera camera = {0};
  microphone microphone = {0};
  if (argc < 4) return fprintf(stderr, "usage: %s API_KEY SESSION TOKEN [SECONDS]\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave), signal(SIGALRM, leave);

  /* Before the first session; what stays NULL is left to the library. */
  struct otc_audio_device_callbacks device = {.start_capturer = microphone_start, .destroy_capturer = microphone_destroy,
                                              .get_capture_settings = microphone_settings, .user_data = &microphone};
  otc_set_audio_device(&device);
  struct otc_video_capturer_callbacks capturer = {
      .init = camera_init, .destroy = camera_destroy, .start = camera_start, .user_data = &camera};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_stream_created, .on_error = on_publisher_error};
  struct otc_session_callbacks callbacks = {
      .on_connected = on_connected, .on_disconnected = on_disconnected, .on_error = on_error};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, "test picture");
  otc_publisher_settings_set_video_capturer(settings, &capturer);
  /* A steady tone is noise to a filter that is made for voices. */
  otc_publisher_settings_set_disable_audio_processing(settings, OTC_TRUE);
  publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);

  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  char word = WORD_FAILED;
  if (publisher && session && otc_session_connect(session, argv[3]) == OTC_SUCCESS) {
    if (argc > 4) alarm((unsigned)atoi(argv[4]));
    do {
      while (read(words[0], &word, 1) != 1) continue;          /* a signal interrupts it */
      if (word == WORD_LEAVE) otc_session_disconnect(session); /* on_disconnected follows */
    } while (word == WORD_LEAVE);
  }
  otc_publisher_delete(publisher); /* when it returns, camera_destroy has run */
  otc_session_delete(session);     /* it was the last one: microphone_destroy has run */
  otc_destroy();
  return word == WORD_LEFT ? 0 : 1;
}
