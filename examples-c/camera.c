/*
 * Publishes the first camera and the default microphone of this machine.
 *
 *   cc camera.c $(pkg-config --cflags --libs libopentok) -o camera
 *   ./camera API_KEY SESSION TOKEN      until Ctrl-C
 *
 * A machine without a camera is no reason to end: the publisher says so by on_error, and the session goes on.
 */
#include <opentok.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum word { WORD_LEAVE = 'l', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];
static int is_connected; /* known to the callbacks of the session alone, which all run on one thread */
static otc_publisher *publisher;

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

/* ---- The publisher ---- */

static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data;
  printf("publishing: %s\n", otc_stream_get_name(stream));
}

static void on_stream_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data;
  printf("no longer publishing: %s\n", otc_stream_get_name(stream));
}

/* What the camera sees, before it is encoded. */
static void on_render_frame(otc_publisher *publisher, void *user_data, const otc_video_frame *frame) {
  int *count = user_data;
  (void)publisher;
  if ((*count)++ % 30 == 0)
    printf("picture %d: %dx%d\n", *count, otc_video_frame_get_width(frame), otc_video_frame_get_height(frame));
}

static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *text,
                               enum otc_publisher_error_code error) {
  (void)publisher, (void)user_data;
  printf("publisher error %d: %s\n", (int)error, text);
}

/* ---- The session ---- */

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  printf("connected\n");
  is_connected = 1;
  otc_session_publish(session, publisher);
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("disconnected\n");
  is_connected = 0;
  say(WORD_LEFT);
}

static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("error %d: %s\n", (int)error, text);
  if (!is_connected) say(WORD_FAILED);
}

static void leave(int number) {
  (void)number;
  say(WORD_LEAVE);
}

int main(int argc, char **argv) {
  int pictures = 0;
  if (argc != 4) return fprintf(stderr, "usage: %s API_KEY SESSION TOKEN\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave);

  struct otc_publisher_callbacks publishing = {0};
  publishing.on_stream_created = on_stream_created;
  publishing.on_stream_destroyed = on_stream_destroyed;
  publishing.on_render_frame = on_render_frame;
  publishing.on_error = on_publisher_error;
  publishing.user_data = &pictures;
  publisher = otc_publisher_new("camera", NULL, &publishing); /* no capturer of our own: the camera */

  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_error = on_error;
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  char word = WORD_FAILED;
  if (publisher && session && otc_session_connect(session, argv[3]) == OTC_SUCCESS) {
    do {
      while (read(words[0], &word, 1) != 1) continue;          /* a signal interrupts it */
      if (word == WORD_LEAVE) otc_session_disconnect(session); /* on_disconnected follows */
    } while (word == WORD_LEAVE);
  }
  otc_publisher_delete(publisher);
  otc_session_delete(session);
  otc_destroy();
  return word == WORD_LEFT ? 0 : 1;
}
