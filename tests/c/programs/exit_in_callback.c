/*
 * Ends the process by exit() in a callback, as programs do that have seen what they wanted to see; with handlers of atexit
 * that clean up. Each place has a process of its own, so that the next one can be tried.
 *
 *   exit_in_callback API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *place;
static otc_session *session, *other;
static otc_publisher *publisher;
static otc_subscriber *subscriber;

static void reached(const char *here) {
  if (strcmp(place, here) == 0) exit(42);
}

static void clean_up(void) {
  otc_session_disconnect(session);
  otc_session_delete(session);
  otc_destroy();
}

static void logger(const char *message) {
  (void)message;
  reached("logger");
}
static void on_connected(otc_session *self, void *user_data) {
  reached("on_connected");
  if (user_data == &publisher) otc_session_publish(self, publisher);
}
static void on_disconnected(otc_session *self, void *user_data) {
  (void)self, (void)user_data;
  reached("on_disconnected");
}
static void on_error(otc_session *self, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)self, (void)user_data, (void)error_string, (void)error;
  reached("on_error");
}
static void on_rendered(otc_subscriber *self, void *user_data, const otc_video_frame *frame) {
  (void)self, (void)user_data, (void)frame;
  reached("on_render_frame");
  if (strcmp(place, "on_stream_dropped") == 0) otc_publisher_set_publish_video(publisher, OTC_FALSE), otc_session_unpublish(session, publisher);
  if (strcmp(place, "on_disconnected") == 0) otc_session_disconnect(session);
}
static void on_audio_data(otc_subscriber *self, void *user_data, const struct otc_audio_data *data) {
  (void)self, (void)user_data, (void)data;
  reached("on_audio_data");
}
static void on_stream_received(otc_session *self, void *user_data, const otc_stream *stream) {
  (void)user_data;
  reached("on_stream_received");
  struct otc_subscriber_callbacks callbacks = {.on_render_frame = on_rendered, .on_audio_data = on_audio_data};
  subscriber = otc_subscriber_new(stream, &callbacks);
  otc_session_subscribe(self, subscriber);
}
static void on_stream_dropped(otc_session *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data, (void)stream;
  reached("on_stream_dropped");
}
static void on_stream_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data, (void)stream;
  reached("on_stream_created");
}

static void provide(const otc_video_capturer *capturer) {
  static const uint8_t pixels[160 * 120 * 3 / 2];
  for (;;) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 160, 120, pixels);
    otc_video_capturer_provide_frame(capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(20000);
  }
}

static void *camera_thread(void *capturer) {
  provide(capturer);
  return NULL;
}

static otc_bool camera_start(const otc_video_capturer *capturer, void *user_data) {
  pthread_t thread;
  (void)user_data;
  reached("start");
  return pthread_create(&thread, NULL, camera_thread, (void *)capturer) == 0 && pthread_detach(thread) == 0;
}

static void child(char **argv, int cleans) {
  alarm(120); /* a process that does not end fails */
  if (cleans) atexit(clean_up);
  otc_log_set_logger_callback(logger);
  otc_log_enable(OTC_LOG_LEVEL_INFO);
  otc_init(NULL);
  struct otc_audio_device_callbacks no_device = {0};
  otc_set_audio_device(&no_device);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected, .on_error = on_error,
      .on_stream_received = on_stream_received, .on_stream_dropped = on_stream_dropped};
  other = otc_session_new(argv[1], argv[2], &callbacks);
  callbacks.user_data = &publisher;
  session = otc_session_new(argv[1], argv[2], &callbacks);
  struct otc_video_capturer_callbacks camera = {.start = camera_start};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_stream_created};
  publisher = otc_publisher_new("exit", &camera, &publishing);
  otc_session_connect(other, argv[3]);
  otc_session_connect(session, strcmp(place, "on_error") == 0 ? "nonsense" : argv[3]);
  for (;;) pause();
}

int main(int argc, char **argv) {
  static const char *const PLACES[] = {"logger", "on_connected", "on_error", "on_stream_created", "on_stream_received", "start",
                                       "on_render_frame", "on_audio_data", "on_stream_dropped", "on_disconnected"};
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
    for (int cleans = 0; cleans < 2; cleans++) {
      place = PLACES[i];
      pid_t pid = fork();
      if (pid == 0) child(argv, cleans);
      int status = 0;
      waitpid(pid, &status, 0);
      if (WIFEXITED(status))
        printf("main: exit in %s%s ends the process with %d\n", place, cleans ? ", with cleaning up," : "", WEXITSTATUS(status));
      else
        printf("main: exit in %s%s: killed by signal %d\n", place, cleans ? ", with cleaning up," : "", WTERMSIG(status));
    }
  }
  return 0;
}
