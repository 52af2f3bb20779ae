/*
 * A publisher without a screen, such as runs on a device in the field: a custom capturer with a thread, a tone in place of
 * a microphone, and orders by signal: "leave" ends it, anything else of type "ask" is answered to the one who asked.
 *
 *   headless_publisher API_KEY SESSION_ID TOKEN
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

#define WIDTH 320
#define HEIGHT 240
#define RATE 48000

static sem_t leave;
static otc_publisher *publisher = NULL;

struct video_source {
  const otc_video_capturer *capturer;
  pthread_t thread;
  atomic_bool exit_thread;
};

static void *video_thread(void *argument) {
  struct video_source *source = argument;
  uint8_t *buffer = malloc(WIDTH * HEIGHT * 4);
  for (int count = 0; !source->exit_thread; count++) {
    memset(buffer, count & 0xff, WIDTH * HEIGHT * 4);
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_ARGB32, WIDTH, HEIGHT, buffer);
    otc_video_capturer_provide_frame(source->capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(1000 * 1000 / 30);
  }
  free(buffer);
  return NULL;
}

static otc_bool video_init(const otc_video_capturer *capturer, void *user_data) {
  struct video_source *source = user_data;
  source->capturer = capturer;
  return OTC_TRUE;
}

static otc_bool video_start(const otc_video_capturer *capturer, void *user_data) {
  struct video_source *source = user_data;
  (void)capturer;
  source->exit_thread = false;
  return pthread_create(&source->thread, NULL, video_thread, source) == 0 ? OTC_TRUE : OTC_FALSE;
}

static otc_bool video_destroy(const otc_video_capturer *capturer, void *user_data) {
  struct video_source *source = user_data;
  (void)capturer;
  source->exit_thread = true;
  pthread_join(source->thread, NULL);
  puts("camera: thread joined");
  return OTC_TRUE;
}

static otc_bool video_settings(const otc_video_capturer *capturer, void *user_data, struct otc_video_capturer_settings *settings) {
  (void)capturer, (void)user_data;
  settings->format = OTC_VIDEO_FRAME_FORMAT_ARGB32;
  settings->width = WIDTH;
  settings->height = HEIGHT;
  settings->fps = 30;
  settings->mirror_on_local_render = OTC_FALSE;
  settings->expected_delay = 0;
  return OTC_TRUE;
}

struct tone {
  pthread_t thread;
  atomic_bool exit_thread;
};

static void *tone_thread(void *argument) {
  struct tone *tone = argument;
  int16_t samples[RATE / 100];
  double time = 0;
  while (!tone->exit_thread) {
    for (int i = 0; i < RATE / 100; i++, time += 1.0 / RATE) samples[i] = (int16_t)(sin(2 * 3.14159265 * 440 * time) * 8000);
    otc_audio_device_write_capture_data(samples, RATE / 100);
    usleep(10 * 1000);
  }
  return NULL;
}

static otc_bool tone_start(const otc_audio_device *device, void *user_data) {
  struct tone *tone = user_data;
  (void)device;
  tone->exit_thread = false;
  return pthread_create(&tone->thread, NULL, tone_thread, tone) == 0 ? OTC_TRUE : OTC_FALSE;
}

static otc_bool tone_destroy(const otc_audio_device *device, void *user_data) {
  struct tone *tone = user_data;
  (void)device;
  tone->exit_thread = true;
  pthread_join(tone->thread, NULL);
  puts("sound: thread joined");
  return OTC_TRUE;
}

static otc_bool tone_settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->number_of_channels = 1;
  settings->sampling_rate = RATE;
  return OTC_TRUE;
}

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  puts("session: connected");
  if (otc_session_publish(session, publisher) != OTC_SUCCESS) puts("session: could not publish");
}

static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal,
                               const otc_connection *connection) {
  (void)user_data;
  if (strcmp(type, "ask") != 0) return;
  printf("session: asked to '%s'\n", signal);
  if (strcmp(signal, "leave") == 0)
    sem_post(&leave);
  else
    otc_session_send_signal_to_connection(session, type, signal, connection);
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d\n", error);
  fprintf(stderr, "%s\n", error_string);
  sem_post(&leave);
}

static void on_stream_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data;
  printf("publisher: stream '%s' created\n", otc_stream_get_name(stream));
}

static void on_publisher_error(otc_publisher *self, void *user_data, const char *error_string,
                               enum otc_publisher_error_code error_code) {
  (void)self, (void)user_data;
  printf("publisher: error %d\n", error_code);
  fprintf(stderr, "%s\n", error_string);
}

int main(int argc, char **argv) {
  struct video_source source = {0};
  struct tone tone = {0};
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&leave, 0, 0);

  if (otc_init(NULL) != OTC_SUCCESS) return 1;
  otc_log_enable(OTC_LOG_LEVEL_ERROR);

  struct otc_audio_device_callbacks audio_device_callbacks = {0};
  audio_device_callbacks.user_data = &tone;
  audio_device_callbacks.start_capturer = tone_start;
  audio_device_callbacks.destroy_capturer = tone_destroy;
  audio_device_callbacks.get_capture_settings = tone_settings;
  otc_set_audio_device(&audio_device_callbacks);

  struct otc_session_callbacks session_callbacks = {0};
  session_callbacks.on_connected = on_connected;
  session_callbacks.on_signal_received = on_signal_received;
  session_callbacks.on_disconnected = on_disconnected;
  session_callbacks.on_error = on_error;
  otc_session *session = otc_session_new(argv[1], argv[2], &session_callbacks);

  struct otc_video_capturer_callbacks capturer_callbacks = {0};
  capturer_callbacks.user_data = &source;
  capturer_callbacks.init = video_init;
  capturer_callbacks.start = video_start;
  capturer_callbacks.destroy = video_destroy;
  capturer_callbacks.get_capture_settings = video_settings;
  struct otc_publisher_callbacks publisher_callbacks = {0};
  publisher_callbacks.on_stream_created = on_stream_created;
  publisher_callbacks.on_error = on_publisher_error;
  publisher = otc_publisher_new("headless", &capturer_callbacks, &publisher_callbacks);
  if (session == NULL || publisher == NULL) return 1;

  otc_session_connect(session, argv[3]);
  sem_wait(&leave);

  otc_session_unpublish(session, publisher);
  otc_publisher_delete(publisher);
  otc_session_disconnect(session);
  otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
