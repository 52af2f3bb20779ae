/*
 * Publishes in on_connected; as soon as on_stream_created has come, everything is torn down back to back, without waiting
 * for anything and in the orders that are found in programs. What the callbacks were given is freed right after.
 *
 *   publish_and_go API_KEY SESSION_ID TOKEN
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

enum order { UNPUBLISH_FIRST, PUBLISHER_FIRST, SESSION_FIRST, SESSION_ONLY, DESTROY_ONLY, BEFORE_THE_STREAM, ORDERS };
static const char *const NAMES[ORDERS] = {"unpublish, delete, disconnect, delete", "publisher deleted first",
                                          "session deleted first",               "publisher never deleted",
                                          "nothing deleted",                     "without waiting for the stream"};

typedef struct app {
  otc_session *session;
  otc_publisher *publisher;
  const otc_video_capturer *capturer;
  pthread_t thread;
  atomic_bool exits, is_on;
  sem_t connected, created;
} app;

static void on_connected(otc_session *session, void *user_data) {
  app *self = user_data;
  printf("session: publish gives %d\n", otc_session_publish(session, self->publisher));
  sem_post(&self->connected);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d %s\n", error, error_string);
}

static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)stream;
  sem_post(&((app *)user_data)->created);
}

static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *error_string,
                               enum otc_publisher_error_code error_code) {
  (void)publisher, (void)user_data;
  printf("publisher: error %d %s\n", error_code, error_string);
}

static otc_bool capturer_init(const otc_video_capturer *capturer, void *user_data) {
  ((app *)user_data)->capturer = capturer;
  return OTC_TRUE;
}

static void *capture(void *argument) {
  app *self = argument;
  static const uint8_t pixels[320 * 240 * 4];
  while (!self->exits) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_ARGB32, 320, 240, pixels);
    otc_video_capturer_provide_frame(self->capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(5000);
  }
  return NULL;
}

static otc_bool capturer_start(const otc_video_capturer *capturer, void *user_data) {
  app *self = user_data;
  (void)capturer;
  self->exits = false;
  self->is_on = true;
  return pthread_create(&self->thread, NULL, capture, self) == 0;
}

static otc_bool capturer_destroy(const otc_video_capturer *capturer, void *user_data) {
  app *self = user_data;
  (void)capturer;
  self->exits = true;
  self->is_on = false;
  return pthread_join(self->thread, NULL) == 0;
}

static void run(char **argv, enum order order) {
  printf("main: %s\n", NAMES[order]);
  app *self = calloc(1, sizeof *self);
  sem_init(&self->connected, 0, 0), sem_init(&self->created, 0, 0);
  otc_init(NULL);
  struct otc_session_callbacks session = {.on_connected = on_connected, .on_error = on_error, .user_data = self};
  struct otc_video_capturer_callbacks capturer = {
      .init = capturer_init, .start = capturer_start, .destroy = capturer_destroy, .user_data = self};
  struct otc_publisher_callbacks publisher = {
      .on_stream_created = on_stream_created, .on_error = on_publisher_error, .user_data = self};
  self->session = otc_session_new(argv[1], argv[2], &session);
  self->publisher = otc_publisher_new("go", &capturer, &publisher);
  otc_session_connect(self->session, argv[3]);
  sem_wait(order == BEFORE_THE_STREAM ? &self->connected : &self->created);

  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  switch (order) {
    case BEFORE_THE_STREAM:
    case UNPUBLISH_FIRST:
      otc_session_unpublish(self->session, self->publisher);
      otc_publisher_set_publish_video(self->publisher, OTC_FALSE); /* too late, and harmless */
      otc_publisher_delete(self->publisher);
      otc_session_disconnect(self->session);
      otc_session_delete(self->session);
      break;
    case PUBLISHER_FIRST:
      otc_publisher_delete(self->publisher);
      otc_session_disconnect(self->session);
      otc_session_delete(self->session);
      break;
    case SESSION_FIRST:
      otc_session_delete(self->session);
      otc_publisher_delete(self->publisher);
      break;
    case SESSION_ONLY:
      otc_session_disconnect(self->session);
      otc_session_delete(self->session);
      break;
    case DESTROY_ONLY:
    case ORDERS:
      break;
  }
  otc_status status = otc_destroy();
  clock_gettime(CLOCK_MONOTONIC, &after);
  int is_quick = after.tv_sec - before.tv_sec < 5;
  printf("main: destroy gives %d, in time: %d, camera off: %d\n", status, is_quick, !self->is_on);
  memset(self, 0xee, sizeof *self);
  free(self);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int order = 0; order < ORDERS; order++) run(argv, (enum order)order);
  return 0;
}
