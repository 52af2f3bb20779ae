/*
 * A program that is in a hurry to end: subscribers, publishers and sessions are never deleted, what was handed over as
 * `user_data` is freed while everything runs, the audio device's struct too, and otc_destroy is left to sort it out.
 *
 *   forgotten API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct device {
  pthread_t capture, render;
  atomic_bool exits;
};

static sem_t connected, created, rendered;
static atomic_bool camera_exits;
static const otc_video_capturer *_Atomic capturer;
static atomic_bool is_ending, is_over;

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}
static void on_anything_of_session(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  if (is_over) puts("session: called after the end");
}
static void on_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  sem_post(&created);
}
static void on_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  if (is_ending) puts("publisher: called with what was freed");
}
static void on_rendered(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)subscriber, (void)user_data, (void)frame;
  if (is_over) puts("subscriber: called after the end");
  sem_post(&rendered);
}

static otc_bool camera_init(const otc_video_capturer *self, void *user_data) {
  (void)user_data;
  capturer = self;
  return OTC_TRUE;
}
static void *film(void *argument) {
  static const uint8_t pixels[64 * 64 * 2];
  (void)argument;
  while (!camera_exits) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUY2, 64, 64, pixels);
    otc_video_capturer_provide_frame(capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(10000);
  }
  return NULL;
}

static void *capture(void *argument) {
  struct device *device = argument;
  int16_t samples[480] = {0};
  while (!device->exits) otc_audio_device_write_capture_data(samples, 480), usleep(10000);
  return NULL;
}
static void *render(void *argument) {
  struct device *device = argument;
  int16_t samples[480];
  while (!device->exits) otc_audio_device_read_render_data(samples, 480), usleep(10000);
  return NULL;
}
static otc_bool start_capturer(const otc_audio_device *self, void *user_data) {
  struct device *device = user_data;
  (void)self;
  return pthread_create(&device->capture, NULL, capture, device) == 0;
}
static otc_bool start_renderer(const otc_audio_device *self, void *user_data) {
  struct device *device = user_data;
  (void)self;
  return pthread_create(&device->render, NULL, render, device) == 0;
}
static otc_bool settings_of_48000(const otc_audio_device *self, void *user_data, struct otc_audio_device_settings *settings) {
  (void)self, (void)user_data;
  settings->sampling_rate = 48000, settings->number_of_channels = 1;
  return OTC_TRUE;
}

static void run(char **argv) {
  struct device *device = calloc(1, sizeof *device);
  char *publisher_data = strdup("publisher"), *session_data = strdup("session"), *subscriber_data = strdup("subscriber");
  pthread_t camera;
  is_ending = is_over = false;
  camera_exits = false;
  otc_init(NULL);
  struct otc_audio_device_callbacks audio = {.start_capturer = start_capturer, .get_capture_settings = settings_of_48000,
      .start_renderer = start_renderer, .get_render_settings = settings_of_48000, .user_data = device};
  otc_set_audio_device(&audio);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_anything_of_session, .user_data = session_data};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&connected);
  struct otc_video_capturer_callbacks capturing = {.init = camera_init, .user_data = publisher_data};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created, .on_stream_destroyed = on_destroyed, .user_data = publisher_data};
  otc_publisher *publisher = otc_publisher_new("forgotten", &capturing, &publishing);
  otc_session_publish(session, publisher);
  while (capturer == NULL) usleep(1000);
  pthread_create(&camera, NULL, film, NULL);
  sem_wait(&created);
  struct otc_subscriber_callbacks seeing = {.on_render_frame = on_rendered, .user_data = subscriber_data};
  for (int i = 0; i < 3; i++) otc_session_subscribe(session, otc_subscriber_new(otc_publisher_get_stream(publisher), &seeing));
  for (int i = 0; i < 9; i++) sem_wait(&rendered);

  free(publisher_data), free(session_data), free(subscriber_data);
  device->exits = true; /* its threads are just stopping, and may still call */
  pthread_join(device->capture, NULL), pthread_join(device->render, NULL);
  memset(device, 0xee, sizeof *device);
  free(device);
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  is_ending = true;
  otc_status status = otc_destroy();
  is_over = true;
  clock_gettime(CLOCK_MONOTONIC, &after);
  printf("main: destroy gives %d, in time: %d\n", status, after.tv_sec - before.tv_sec < 5);
  camera_exits = true; /* it has filmed into nothing meanwhile */
  pthread_join(camera, NULL);
  capturer = NULL;
  int16_t samples[480];
  printf("main: afterwards nothing is read: %d, and what is written is refused: %d\n", otc_audio_device_read_render_data(samples, 480) == 0,
         otc_audio_device_write_capture_data(samples, 480) != OTC_SUCCESS);
  while (sem_trywait(&rendered) == 0) continue;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&created, 0, 0), sem_init(&rendered, 0, 0);
  for (int round = 0; round < 3; round++) run(argv);
  return 0;
}
