/*
 * A viewer: subscribes in on_stream_received, plays through an audio device of its own that only renders, saves what it
 * sees as raw video, and deletes the subscriber in on_stream_dropped, without unsubscribing.
 *
 * When it has seen and heard enough it asks the publisher to leave.
 *
 *   watch API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static otc_session *g_session = NULL;
static otc_subscriber *g_subscriber = NULL;
static sem_t g_over;
static FILE *g_raw_video = NULL;

static pthread_t g_render_thread;
static atomic_bool g_render_exit;
static atomic_bool g_is_heard, g_is_seen, g_is_decoded, g_has_asked;

/* Both threads come here. */
static void ask_to_leave_when_done(void) {
  if (!g_is_heard || !g_is_seen || !g_is_decoded || atomic_exchange(&g_has_asked, true)) return;
  puts("main: seen and heard");
  otc_session_send_signal(g_session, "ask", "leave");
}

static void *render_thread_function(void *argument) {
  int16_t samples[480 * 2];
  (void)argument;
  while (!g_render_exit) {
    size_t count = otc_audio_device_read_render_data(samples, 480);
    if (count > 480) puts("sound: more than was asked for");
    for (size_t i = 0; i < count; i++) {
      if (abs(samples[i]) > 1000) g_is_heard = true;
    }
    ask_to_leave_when_done();
    usleep(10 * 1000);
  }
  return NULL;
}

static otc_bool renderer_start(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  puts("sound: renderer started");
  g_render_exit = false;
  return pthread_create(&g_render_thread, NULL, render_thread_function, NULL) == 0;
}

static otc_bool renderer_destroy(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  g_render_exit = true;
  pthread_join(g_render_thread, NULL);
  puts("sound: renderer destroyed");
  return OTC_TRUE;
}

static otc_bool renderer_settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->number_of_channels = 1;
  settings->sampling_rate = 48000;
  return OTC_TRUE;
}

static void on_subscriber_connected(otc_subscriber *subscriber, void *user_data, const otc_stream *stream) {
  (void)user_data;
  printf("subscriber: connected to '%s'\n", otc_stream_get_name(stream));
  otc_subscriber_set_subscribe_to_video(subscriber, OTC_TRUE);
}

static void on_render_frame(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)user_data;
  const otc_stream *stream = otc_subscriber_get_stream(subscriber); /* for every frame, and never deleted */
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  otc_video_frame *copy = otc_video_frame_copy(frame);
  size_t size = otc_video_frame_get_buffer_size(copy);
  if (size != (size_t)width * height * 3 / 2) puts("subscriber: not a plain picture");
  if (fwrite(otc_video_frame_get_buffer(copy), 1, size, g_raw_video) != size) puts("subscriber: cannot write");
  otc_video_frame_delete(copy);
  if (!g_is_seen) printf("subscriber: first picture of '%s', format %d\n", otc_stream_get_name(stream), otc_video_frame_get_format(frame));
  g_is_seen = true;
  ask_to_leave_when_done();
}

static void on_audio_data(otc_subscriber *subscriber, void *user_data, const struct otc_audio_data *data) {
  (void)subscriber, (void)user_data;
  if (!g_is_decoded)
    printf("audio: %d bits, %d Hz, %d channels, %d samples\n", data->bits_per_sample, data->sample_rate,
           (int)data->number_of_channels, (int)data->number_of_samples);
  g_is_decoded = true;
  ask_to_leave_when_done();
}

static void on_subscriber_error(otc_subscriber *subscriber, void *user_data, const char *error_string,
                                enum otc_subscriber_error_code error) {
  (void)subscriber, (void)user_data;
  printf("subscriber: error %d %s\n", error, error_string);
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: connected");
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  printf("session: stream '%s' received\n", otc_stream_get_name(stream));
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_connected = on_subscriber_connected;
  callbacks.on_render_frame = on_render_frame;
  callbacks.on_audio_data = on_audio_data;
  callbacks.on_error = on_subscriber_error;
  g_subscriber = otc_subscriber_new(stream, &callbacks);
  if (otc_session_subscribe(session, g_subscriber) != OTC_SUCCESS) puts("session: could not subscribe");
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  printf("session: stream '%s' dropped\n", otc_stream_get_name(stream));
  printf("session: subscriber deleted: %d\n", otc_subscriber_delete(g_subscriber));
  g_subscriber = NULL;
  sem_post(&g_over);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d %s\n", error, error_string);
  sem_post(&g_over);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&g_over, 0, 0);
  g_raw_video = tmpfile();

  otc_init(NULL);
  struct otc_audio_device_callbacks device = {0};
  device.start_renderer = renderer_start;
  device.destroy_renderer = renderer_destroy;
  device.get_render_settings = renderer_settings;
  otc_set_audio_device(&device);

  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_stream_received = on_stream_received;
  callbacks.on_stream_dropped = on_stream_dropped;
  callbacks.on_error = on_error;
  g_session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(g_session, argv[3]);
  sem_wait(&g_over);

  otc_session_disconnect(g_session);
  otc_session_delete(g_session);
  printf("main: destroy gives %d\n", otc_destroy());
  fclose(g_raw_video);
  return 0;
}
