/*
 * Devices of which only a part is there: every subset of a capturer's functions, and the audio devices that programs have:
 * one that only records, one that only plays, one that never destroys, one with nothing at all. Threads are begun in
 * `start` and joined in `destroy`, so neither may come without the other, or twice.
 *
 *   sparse_devices API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { INIT = 1, START = 2, STOP = 4, DESTROY = 8, SETTINGS = 16, SUBSETS = 32 };

static sem_t connected, created, destroyed;
static const otc_video_capturer *capturer;
static pthread_t camera_thread, capture_thread, render_thread;
static atomic_bool camera_runs, capture_runs, render_runs;
static atomic_int camera_starts, camera_ends, faults;

static void fault(const char *what) {
  faults++;
  printf("camera: %s\n", what);
}

static void *film(void *argument) {
  static const uint8_t pixels[160 * 120 * 3 / 2];
  (void)argument;
  while (camera_runs) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_NV12, 160, 120, pixels);
    if (otc_video_capturer_provide_frame(capturer, 90, frame) != OTC_SUCCESS && camera_runs) fault("refused");
    otc_video_frame_delete(frame);
    usleep(10000);
  }
  return NULL;
}

static otc_bool camera_init(const otc_video_capturer *self, void *user_data) {
  (void)user_data;
  capturer = self;
  return OTC_TRUE;
}
static otc_bool camera_start(const otc_video_capturer *self, void *user_data) {
  (void)user_data;
  capturer = self; /* there may have been no init */
  camera_starts++;
  if (atomic_exchange(&camera_runs, true)) fault("started twice");
  return pthread_create(&camera_thread, NULL, film, NULL) == 0;
}
static otc_bool camera_stop(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  return OTC_TRUE; /* delivers until destroy */
}
static otc_bool camera_destroy(const otc_video_capturer *self, void *user_data) {
  int has = *(int *)user_data;
  (void)self;
  camera_ends++;
  if (!(has & START)) return OTC_TRUE;
  if (!atomic_exchange(&camera_runs, false)) return fault("destroyed without a start"), OTC_FALSE;
  return pthread_join(camera_thread, NULL) == 0;
}
static otc_bool camera_settings(const otc_video_capturer *self, void *user_data, struct otc_video_capturer_settings *settings) {
  (void)self, (void)user_data;
  settings->format = OTC_VIDEO_FRAME_FORMAT_NV12, settings->width = 160, settings->height = 120, settings->fps = 15;
  settings->expected_delay = 0, settings->mirror_on_local_render = OTC_TRUE;
  return OTC_TRUE;
}

static void *capture(void *argument) {
  static const int16_t silence[441];
  (void)argument;
  while (capture_runs) otc_audio_device_write_capture_data(silence, 441), usleep(10000);
  return NULL;
}
static void *render(void *argument) {
  int16_t samples[441];
  (void)argument;
  while (render_runs) otc_audio_device_read_render_data(samples, 441), usleep(10000);
  return NULL;
}
static otc_bool settings_of_44100(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = 44100, settings->number_of_channels = 1;
  return OTC_TRUE;
}
static otc_bool start_capture(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (atomic_exchange(&capture_runs, true)) puts("sound: capturer started twice");
  return pthread_create(&capture_thread, NULL, capture, NULL) == 0;
}
static otc_bool end_capture(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (!atomic_exchange(&capture_runs, false)) puts("sound: capturer ended without a start");
  return pthread_join(capture_thread, NULL) == 0;
}
static otc_bool start_render(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (atomic_exchange(&render_runs, true)) puts("sound: renderer started twice");
  return pthread_create(&render_thread, NULL, render, NULL) == 0;
}
static otc_bool end_render(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (!atomic_exchange(&render_runs, false)) puts("sound: renderer ended without a start");
  return pthread_join(render_thread, NULL) == 0;
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}
static void on_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  sem_post(&created);
}
static void on_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  sem_post(&destroyed);
}
static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *text, enum otc_publisher_error_code code) {
  (void)publisher;
  printf("publisher: error %d with subset %d: %s\n", code, *(int *)user_data, text);
}

static void try_subset(otc_session *session, int subset) {
  struct otc_video_capturer_callbacks camera = {0};
  struct otc_publisher_callbacks callbacks = {0};
  if (subset & INIT) camera.init = camera_init;
  if (subset & START) camera.start = camera_start;
  if (subset & STOP) camera.stop = camera_stop;
  if (subset & DESTROY) camera.destroy = camera_destroy;
  if (subset & SETTINGS) camera.get_capture_settings = camera_settings;
  camera.user_data = callbacks.user_data = &subset;
  callbacks.on_stream_created = on_created, callbacks.on_stream_destroyed = on_destroyed, callbacks.on_error = on_publisher_error;
  camera_starts = camera_ends = 0;
  otc_publisher *publisher = otc_publisher_new("sparse", &camera, &callbacks);
  for (int round = 0; round < 2; round++) {
    otc_session_publish(session, publisher);
    sem_wait(&created);
    otc_session_unpublish(session, publisher);
    sem_wait(&destroyed);
    if (subset & START && !(subset & DESTROY)) { /* such a program has to end its thread itself */
      if (atomic_exchange(&camera_runs, false)) pthread_join(camera_thread, NULL);
    }
  }
  otc_publisher_delete(publisher);
  if (subset & START && subset & DESTROY && camera_starts != camera_ends) fault("not ended as often as started");
  if (camera_runs) fault("still runs");
}

static void try_audio(char **argv, const char *name, const struct otc_audio_device_callbacks *device) {
  otc_init(NULL);
  otc_set_audio_device(device);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&connected);
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created, .on_stream_destroyed = on_destroyed};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  otc_publisher *publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  otc_session_publish(session, publisher);
  sem_wait(&created);
  struct otc_subscriber_callbacks hearing = {0};
  otc_subscriber *subscriber = otc_subscriber_new(otc_publisher_get_stream(publisher), &hearing);
  otc_session_subscribe(session, subscriber);
  otc_session_unpublish(session, publisher);
  sem_wait(&destroyed);
  otc_subscriber_delete(subscriber), otc_publisher_delete(publisher), otc_session_delete(session);
  int ended = (device->destroy_capturer == NULL || !capture_runs) && (device->destroy_renderer == NULL || !render_runs);
  printf("main: audio device that %s: ended with the last session: %d, destroy gives %d\n", name, ended, otc_destroy());
  if (atomic_exchange(&capture_runs, false)) pthread_join(capture_thread, NULL);
  if (atomic_exchange(&render_runs, false)) pthread_join(render_thread, NULL);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&created, 0, 0), sem_init(&destroyed, 0, 0);
  struct otc_audio_device_callbacks device = {0};
  try_audio(argv, "has nothing", &device);
  device.start_capturer = start_capture, device.destroy_capturer = end_capture, device.get_capture_settings = settings_of_44100;
  try_audio(argv, "only records", &device);
  memset(&device, 0, sizeof device);
  device.start_renderer = start_render, device.destroy_renderer = end_render, device.get_render_settings = settings_of_44100;
  try_audio(argv, "only plays", &device);
  device.start_capturer = start_capture, device.stop_capturer = end_capture, device.get_capture_settings = settings_of_44100;
  device.destroy_renderer = NULL, device.stop_renderer = end_render;
  try_audio(argv, "never destroys", &device);

  otc_init(NULL);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&connected);
  for (int subset = 0; subset < SUBSETS; subset++) try_subset(session, subset);
  printf("main: %d subsets of a capturer, faults: %d\n", SUBSETS, faults);
  otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
