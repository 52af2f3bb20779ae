/*
 * A capturer's `destroy` that joins its thread, while that thread spends all its time inside provide_frame with large
 * pictures, and `destroy` is wanted by each of the ways in which a stream ends.
 *
 *   join_in_destroy API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WIDTH 1920
#define HEIGHT 1080

static sem_t connected, enough, gone;
static const otc_video_capturer *capturer;
static pthread_t thread;
static atomic_bool runs;
static atomic_int pictures;
static uint8_t *pixels;

static void *film(void *argument) {
  (void)argument;
  while (runs) {
    otc_video_frame *frame = otc_video_frame_new_contiguous_memory_wrapper(
        OTC_VIDEO_FRAME_FORMAT_RGB24, WIDTH, HEIGHT, OTC_FALSE, pixels, WIDTH * HEIGHT * 3, NULL, NULL);
    otc_video_capturer_provide_frame(capturer, 0, frame);
    otc_video_frame_delete(frame);
    if (++pictures == 5) sem_post(&enough);
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
  runs = true;
  pictures = 0;
  return pthread_create(&thread, NULL, film, NULL) == 0;
}
static otc_bool camera_destroy(const otc_video_capturer *self, void *user_data) {
  (void)self, (void)user_data;
  runs = false;
  return pthread_join(thread, NULL) == 0;
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}
static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&gone);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  static const char *const WAYS[] = {"unpublish", "delete of the publisher", "disconnect", "delete of the session", "destroy"};
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&enough, 0, 0), sem_init(&gone, 0, 0);
  pixels = calloc(WIDTH * HEIGHT, 3);
  for (int way = 0; way < 5; way++) {
    otc_init(NULL);
    struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected};
    struct otc_video_capturer_callbacks camera = {.init = camera_init, .start = camera_start, .destroy = camera_destroy};
    struct otc_publisher_callbacks nothing = {0};
    otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
    otc_publisher *publisher = otc_publisher_new("large", &camera, &nothing);
    otc_session_connect(session, argv[3]);
    sem_wait(&connected);
    otc_session_publish(session, publisher);
    sem_wait(&enough);
    double begin = seconds();
    if (way == 0) otc_session_unpublish(session, publisher);
    if (way <= 1) otc_publisher_delete(publisher);
    if (way == 2) otc_session_disconnect(session), sem_wait(&gone);
    if (way <= 3) otc_session_delete(session);
    if (way == 2 || way == 3) otc_publisher_delete(publisher);
    otc_status status = otc_destroy();
    printf("main: %s first: destroy gives %d, thread joined: %d, in time: %d\n", WAYS[way], status, !runs, seconds() - begin < 5);
  }
  free(pixels);
  return 0;
}
