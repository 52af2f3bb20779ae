/*
 * Shares a window that is resized again and again, handed in in another format each time, with odd sizes too, and turned by
 * 90 degrees at last. The own stream is watched; each picture is taken as raw video, without a look at strides.
 *
 *   sizes API_KEY SESSION_ID TOKEN
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

struct shape {
  int width, height, format, rotation;
};

static const struct shape SHAPES[] = {
    {640, 480, OTC_VIDEO_FRAME_FORMAT_YUV420P, 0}, {320, 240, OTC_VIDEO_FRAME_FORMAT_ARGB32, 0},
    {101, 77, OTC_VIDEO_FRAME_FORMAT_RGB24, 0},    {1280, 720, OTC_VIDEO_FRAME_FORMAT_NV12, 0},
    {64, 300, OTC_VIDEO_FRAME_FORMAT_UYVY, 0},     {400, 200, OTC_VIDEO_FRAME_FORMAT_ABGR32, 90},
};
enum { COUNT = sizeof SHAPES / sizeof *SHAPES };

static sem_t created, seen;
static atomic_int current;
static atomic_bool exits;
static const otc_video_capturer *capturer;
static pthread_t thread;
static otc_publisher *publisher;

static void *grab(void *argument) {
  uint8_t *pixels = calloc(1280 * 720, 4);
  (void)argument;
  while (!exits) {
    struct shape shape = SHAPES[atomic_load(&current)];
    otc_video_frame *frame = otc_video_frame_new((enum otc_video_frame_format)shape.format, shape.width, shape.height, pixels);
    if (otc_video_capturer_provide_frame(capturer, shape.rotation, frame) != OTC_SUCCESS) puts("camera: refused");
    otc_video_frame_delete(frame);
    usleep(30000);
  }
  free(pixels);
  return NULL;
}
static otc_bool camera_init(const otc_video_capturer *self, void *user_data) {
  (void)user_data;
  capturer = self;
  otc_video_capturer_set_content_hint(self, OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT);
  return OTC_TRUE;
}
static otc_bool camera_start(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  return pthread_create(&thread, NULL, grab, NULL) == 0;
}
static otc_bool camera_destroy(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  exits = true;
  return pthread_join(thread, NULL) == 0;
}

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  otc_session_publish(session, publisher);
}
static void on_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data;
  printf("publisher: created, a screen: %d\n", otc_stream_get_video_type(stream) == OTC_STREAM_VIDEO_TYPE_SCREEN);
  sem_post(&created);
}
static void on_render_frame(otc_subscriber *self, void *user_data, const otc_video_frame *frame) {
  static int last = -1;
  (void)self, (void)user_data;
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  struct shape shape = SHAPES[atomic_load(&current)];
  bool is_turned = shape.rotation % 180 != 0;
  if (width != (is_turned ? shape.height : shape.width) || height != (is_turned ? shape.width : shape.height) || last == current) return;
  last = current;
  size_t half = (size_t)((width + 1) / 2) * (size_t)((height + 1) / 2);
  uint8_t *raw = malloc((size_t)width * height + 2 * half);
  int is_whole = otc_video_frame_get_buffer_size(frame) == (size_t)width * height + 2 * half;
  if (is_whole) memcpy(raw, otc_video_frame_get_buffer(frame), (size_t)width * height + 2 * half);
  printf("subscriber: %d x %d, planes: %d, whole: %d\n", width, height, (int)otc_video_frame_get_number_of_planes(frame), is_whole);
  free(raw);
  sem_post(&seen);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&created, 0, 0), sem_init(&seen, 0, 0);
  otc_init(NULL);
  struct otc_video_capturer_callbacks camera = {.init = camera_init, .start = camera_start, .destroy = camera_destroy};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created};
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, "window");
  otc_publisher_settings_set_video_capturer(settings, &camera);
  otc_publisher_settings_set_audio_track(settings, OTC_FALSE);
  publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  otc_publisher_set_video_type(publisher, OTC_PUBLISHER_VIDEO_TYPE_SCREEN);
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&created);
  struct otc_subscriber_callbacks seeing = {.on_render_frame = on_render_frame};
  otc_subscriber *subscriber = otc_subscriber_new(otc_publisher_get_stream(publisher), &seeing);
  otc_session_subscribe(session, subscriber);
  for (int i = 0; i < COUNT; i++) {
    current = i;
    sem_wait(&seen);
  }
  otc_subscriber_delete(subscriber);
  otc_session_unpublish(session, publisher);
  otc_publisher_delete(publisher);
  otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
