/*
 * Transformers in the way of the sample: put to work by an array on the stack, deleted first and cleared from the running
 * publisher afterwards. The video transformer draws into the Y plane and takes its stride to be its width.
 *
 *   transformed API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 320
#define HEIGHT 180

static sem_t created, seen_black, seen_grey, silenced;
static otc_publisher *publisher;
static const otc_video_capturer *capturer;
static pthread_t thread;
static atomic_bool exits;
static atomic_bool audio_told;

static void *film(void *argument) {
  static uint8_t pixels[WIDTH * HEIGHT * 3 / 2];
  (void)argument;
  memset(pixels, 128, sizeof pixels);
  while (!exits) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, pixels);
    otc_video_capturer_provide_frame(capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(20000);
  }
  return NULL;
}
static otc_bool camera_init(const otc_video_capturer *self, void *user_data) {
  (void)user_data;
  capturer = self;
  return OTC_TRUE;
}
static otc_bool camera_start(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  return pthread_create(&thread, NULL, film, NULL) == 0;
}
static otc_bool camera_destroy(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  exits = true;
  return pthread_join(thread, NULL) == 0;
}

static void blacken(void *user_data, struct otc_video_frame *frame) {
  uint8_t *plane = (uint8_t *)otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_Y);
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  if (strcmp(user_data, "video") != 0) puts("transformer: not its user data");
  for (int y = 0; y < height; y++) memset(plane + y * width, 16, (size_t)width);
}
static void silence(void *user_data, struct otc_audio_data *data) {
  if (!atomic_exchange(&audio_told, true))
    printf("transformer: of %s, %d bits\n", (char *)user_data, data->bits_per_sample);
  memset((void *)data->sample_buffer, 0, data->number_of_samples * data->number_of_channels * 2);
  sem_post(&silenced);
}

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  otc_session_publish(session, publisher);
}
static void on_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data, (void)stream;
  sem_post(&created);
}
static void on_preview(otc_publisher *self, void *user_data, const otc_video_frame *frame) {
  (void)self, (void)user_data;
  const uint8_t *plane = otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_Y);
  sem_post(plane[WIDTH * HEIGHT / 2] < 32 ? &seen_black : &seen_grey);
}

static void wait_for_new(sem_t *semaphore) {
  while (sem_trywait(semaphore) == 0) continue;
  for (int i = 0; i < 3; i++) sem_wait(semaphore);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&created, 0, 0), sem_init(&seen_black, 0, 0), sem_init(&seen_grey, 0, 0), sem_init(&silenced, 0, 0);
  otc_init(NULL);
  struct otc_audio_device_callbacks no_device = {0};
  otc_set_audio_device(&no_device);
  struct otc_video_capturer_callbacks camera = {.init = camera_init, .start = camera_start, .destroy = camera_destroy};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created, .on_render_frame = on_preview};
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  publisher = otc_publisher_new("transformed", &camera, &publishing);
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&created);
  wait_for_new(&seen_grey);
  puts("main: grey at first");

  struct otc_video_transformer *video = otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, "blacken", NULL, blacken, "video");
  struct otc_audio_transformer *audio = otc_audio_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, "silence", NULL, silence, "audio");
  {
    struct otc_video_transformer *array[] = {video};
    struct otc_audio_transformer *sound[] = {audio};
    printf("main: set, gives %d and %d\n", otc_publisher_set_video_transformers(publisher, array, 1),
           otc_publisher_set_audio_transformers(publisher, sound, 1));
    memset(array, 0xee, sizeof array), memset(sound, 0xee, sizeof sound);
  }
  wait_for_new(&seen_black);
  puts("main: black when transformed");
  int16_t samples[480] = {0};
  for (int i = 0; i < 20; i++) otc_audio_device_write_capture_data(samples, 480), usleep(10000);
  sem_wait(&silenced);

  printf("main: deleted, gives %d and %d\n", otc_video_transformer_delete(video), otc_audio_transformer_delete(audio));
  usleep(50000);
  printf("main: cleared, gives %d and %d\n", otc_publisher_set_video_transformers(publisher, NULL, 0),
         otc_publisher_set_audio_transformers(publisher, NULL, 0));
  wait_for_new(&seen_grey);
  puts("main: grey again");
  otc_session_unpublish(session, publisher);
  otc_publisher_delete(publisher);
  otc_session_disconnect(session), otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
