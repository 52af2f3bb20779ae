/*
 * Ends its threads by pthread_cancel, as programs do that know no better; the thread may be inside any function of the
 * library at that moment. It comes out of it and ends at its next own point of cancellation, and the library is as good
 * as before.
 *
 *   cancelled API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static sem_t connected, heard, begun;
static otc_session *session;
static otc_publisher *publisher;
static const otc_video_capturer *capturer;
static pthread_t camera;

static void on_connected(otc_session *self, void *user_data) {
  (void)user_data;
  otc_session_publish(self, publisher);
  sem_post(&connected);
}
static void on_signal_received(otc_session *self, void *user_data, const char *type, const char *signal, const otc_connection *connection) {
  (void)self, (void)user_data, (void)connection;
  printf("session: signal '%s', '%s'\n", type, signal);
  sem_post(&heard);
}

static void *film(void *argument) {
  static const uint8_t pixels[320 * 240 * 3 / 2];
  (void)argument;
  for (;;) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 320, 240, pixels);
    otc_video_capturer_provide_frame(capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(1000);
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
  return pthread_create(&camera, NULL, film, NULL) == 0;
}
static otc_bool camera_destroy(const otc_video_capturer *self, void *user_data) {
  void *result = NULL;
  (void)self, (void)user_data;
  pthread_cancel(camera);
  pthread_join(camera, &result);
  printf("camera: cancelled: %d\n", result == PTHREAD_CANCELED);
  return OTC_TRUE;
}

/* Cancelled before it calls, so that whatever can be cancelled in the call is. */
static void *call(void *argument) {
  const char *what = argument;
  pthread_cancel(pthread_self());
  if (strcmp(what, "signal") == 0) otc_session_send_signal(session, "from", "a cancelled thread");
  if (strcmp(what, "sound") == 0) {
    int16_t samples[480] = {0};
    otc_audio_device_write_capture_data(samples, 480);
    otc_audio_device_read_render_data(samples, 480);
  }
  if (strcmp(what, "unpublish") == 0) otc_session_unpublish(session, publisher);
  if (strcmp(what, "publish") == 0) otc_session_publish(session, publisher);
  if (strcmp(what, "log") == 0) otc_session_delete(NULL);
  if (strcmp(what, "delete") == 0) otc_publisher_delete(publisher), otc_session_disconnect(session), otc_session_delete(session);
  if (strcmp(what, "destroy") == 0) otc_destroy();
  sem_post(&begun);
  pthread_testcancel();
  puts("main: was not cancelled");
  return NULL;
}

static void on_a_cancelled_thread(char *what) {
  pthread_t thread;
  void *result = NULL;
  pthread_create(&thread, NULL, call, what);
  pthread_join(thread, &result);
  printf("main: %s: returned: %d, cancelled: %d\n", what, sem_trywait(&begun) == 0, result == PTHREAD_CANCELED);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&heard, 0, 0), sem_init(&begun, 0, 0);
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_signal_received = on_signal_received};
  struct otc_video_capturer_callbacks capturing = {.init = camera_init, .start = camera_start, .destroy = camera_destroy};
  struct otc_publisher_callbacks publishing = {0};
  session = otc_session_new(argv[1], argv[2], &callbacks);
  publisher = otc_publisher_new("cancelled", &capturing, &publishing);
  otc_session_connect(session, argv[3]);
  sem_wait(&connected);
  on_a_cancelled_thread("signal");
  sem_wait(&heard);
  on_a_cancelled_thread("sound");
  on_a_cancelled_thread("unpublish");
  on_a_cancelled_thread("publish");
  on_a_cancelled_thread("log");
  otc_session_send_signal(session, "from", "the main thread");
  sem_wait(&heard);
  on_a_cancelled_thread("delete");
  on_a_cancelled_thread("destroy");
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
