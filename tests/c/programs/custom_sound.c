/*
 * An audio device with every function there is, in stereo, with a thread for each direction that is begun in `start` and
 * joined in `destroy`. What is recorded is a tone on the left and another on the right; what is played is listened to.
 * The device checks the order in which it is called.
 *
 *   custom_sound API_KEY SESSION_ID TOKEN
 */
#include <math.h>
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RATE 44100
#define CHANNELS 2
#define BLOCK (RATE / 100)
#define LEFT_HZ 441.0
#define RIGHT_HZ 882.0
#define PI 3.14159265358979

enum stage { CLOSED, INITIALISED, STARTED, STOPPED };

struct direction {
  const char *name;
  enum stage stage;
  pthread_t thread;
  atomic_bool exits;
};

static struct direction capturer = {.name = "capturer"}, renderer = {.name = "renderer"};
static bool is_open;
static sem_t heard, created;
static otc_publisher *publisher;

static otc_bool step(struct direction *direction, enum stage from, enum stage to, const char *what) {
  printf("%s: %s%s\n", direction->name, what, direction->stage != from || !is_open ? ", out of order" : "");
  direction->stage = to;
  return OTC_TRUE;
}

static double strength(const int16_t *samples, int count, int channel, double hz) {
  double real = 0, imaginary = 0;
  for (int i = 0; i < count; i++) {
    real += samples[i * CHANNELS + channel] * cos(2 * PI * hz * i / RATE);
    imaginary += samples[i * CHANNELS + channel] * sin(2 * PI * hz * i / RATE);
  }
  return sqrt(real * real + imaginary * imaginary) / count;
}

static void *capture(void *argument) {
  int16_t samples[BLOCK * CHANNELS];
  (void)argument;
  for (long at = 0; !capturer.exits; at += BLOCK) {
    for (int i = 0; i < BLOCK; i++) {
      samples[i * CHANNELS] = (int16_t)(8000 * sin(2 * PI * LEFT_HZ * (double)(at + i) / RATE));
      samples[i * CHANNELS + 1] = (int16_t)(8000 * sin(2 * PI * RIGHT_HZ * (double)(at + i) / RATE));
    }
    otc_audio_device_write_capture_data(samples, BLOCK);
    usleep(10000);
  }
  return NULL;
}

static void *render(void *argument) {
  int16_t *samples = malloc(BLOCK * CHANNELS * sizeof *samples); /* exactly as large as needed */
  int well = 0;
  (void)argument;
  while (!renderer.exits) {
    size_t count = otc_audio_device_read_render_data(samples, BLOCK);
    if (count != BLOCK) printf("renderer: %d samples\n", (int)count);
    double left = strength(samples, BLOCK, 0, LEFT_HZ), right = strength(samples, BLOCK, 1, RIGHT_HZ);
    double wrong_left = strength(samples, BLOCK, 0, RIGHT_HZ), wrong_right = strength(samples, BLOCK, 1, LEFT_HZ);
    well = left > 2000 && right > 2000 && wrong_left < 500 && wrong_right < 500 ? well + 1 : 0;
    if (well == 20) sem_post(&heard);
    usleep(10000);
  }
  free(samples);
  return NULL;
}

static otc_bool device_init(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  printf("device: init%s\n", is_open ? ", twice" : "");
  is_open = true;
  return OTC_TRUE;
}
static otc_bool device_destroy(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  printf("device: destroy%s\n", capturer.stage != CLOSED || renderer.stage != CLOSED ? ", while a direction is open" : "");
  is_open = false;
  return OTC_TRUE;
}
static otc_bool get_settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = RATE;
  settings->number_of_channels = CHANNELS;
  return OTC_TRUE;
}
static int get_delay(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  return 20;
}

#define DIRECTION(direction, run)                                                                     \
  static otc_bool init_##direction(const otc_audio_device *device, void *user_data) {                 \
    (void)device, (void)user_data;                                                                    \
    return step(&direction, CLOSED, INITIALISED, "init");                                             \
  }                                                                                                   \
  static otc_bool start_##direction(const otc_audio_device *device, void *user_data) {                \
    (void)device, (void)user_data;                                                                    \
    direction.exits = false;                                                                          \
    pthread_create(&direction.thread, NULL, run, NULL);                                               \
    return step(&direction, INITIALISED, STARTED, "start");                                           \
  }                                                                                                   \
  static otc_bool stop_##direction(const otc_audio_device *device, void *user_data) {                 \
    (void)device, (void)user_data;                                                                    \
    return step(&direction, STARTED, STOPPED, "stop");                                                \
  }                                                                                                   \
  static otc_bool destroy_##direction(const otc_audio_device *device, void *user_data) {              \
    (void)device, (void)user_data;                                                                    \
    direction.exits = true;                                                                           \
    pthread_join(direction.thread, NULL);                                                             \
    return step(&direction, STOPPED, CLOSED, "destroy");                                              \
  }                                                                                                   \
  static otc_bool is_##direction##_initialized(const otc_audio_device *device, void *user_data) {     \
    (void)device, (void)user_data;                                                                    \
    return direction.stage != CLOSED;                                                                 \
  }                                                                                                   \
  static otc_bool is_##direction##_started(const otc_audio_device *device, void *user_data) {         \
    (void)device, (void)user_data;                                                                    \
    return direction.stage == STARTED;                                                                \
  }
DIRECTION(capturer, capture)
DIRECTION(renderer, render)

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  otc_session_publish(session, publisher);
}
static void on_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data;
  printf("publisher: created, audio: %d, video: %d\n", otc_stream_has_audio(stream), otc_stream_has_video_track(stream));
  sem_post(&created);
}
static void on_subscriber_error(otc_subscriber *self, void *user_data, const char *text, enum otc_subscriber_error_code code) {
  (void)self, (void)user_data;
  printf("subscriber: error %d %s\n", code, text);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&heard, 0, 0), sem_init(&created, 0, 0);
  otc_init(NULL);
  struct otc_audio_device_callbacks device = {
      .init = device_init,
      .destroy = device_destroy,
      .init_capturer = init_capturer,
      .destroy_capturer = destroy_capturer,
      .start_capturer = start_capturer,
      .stop_capturer = stop_capturer,
      .is_capturer_initialized = is_capturer_initialized,
      .is_capturer_started = is_capturer_started,
      .get_estimated_capture_delay = get_delay,
      .get_capture_settings = get_settings,
      .init_renderer = init_renderer,
      .destroy_renderer = destroy_renderer,
      .start_renderer = start_renderer,
      .stop_renderer = stop_renderer,
      .is_renderer_initialized = is_renderer_initialized,
      .is_renderer_started = is_renderer_started,
      .get_estimated_render_delay = get_delay,
      .get_render_settings = get_settings,
  };
  otc_set_audio_device(&device);

  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, "tones");
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  otc_publisher_settings_set_stereo(settings, OTC_TRUE);
  otc_publisher_settings_set_disable_audio_processing(settings, OTC_TRUE); /* two tones are noise to it */
  publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&created);
  struct otc_subscriber_callbacks hearing = {.on_error = on_subscriber_error};
  otc_subscriber *subscriber = otc_subscriber_new(otc_publisher_get_stream(publisher), &hearing);
  otc_session_subscribe(session, subscriber);
  sem_wait(&heard);
  puts("main: left and right are heard");

  otc_session_unsubscribe(session, subscriber);
  otc_subscriber_delete(subscriber);
  otc_session_unpublish(session, publisher);
  otc_publisher_delete(publisher);
  otc_session_disconnect(session);
  otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
