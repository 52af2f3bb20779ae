/*
 * Connects to a session, prints every callback, and leaves on Ctrl-C.
 *
 *   cc session.c $(pkg-config --cflags --libs libopentok) -o session
 *   ./session API_KEY SESSION TOKEN
 *
 * The callbacks run on a thread of the library. They print, and tell `main` through a pipe when it is over: a pipe can
 * be written to in a callback and in a signal handler alike.
 */
#include <opentok.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum word { WORD_LEAVE = 'l', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];
static int is_connected; /* known to the callbacks alone, which all run on one thread */

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

static void on_connected(otc_session *session, void *user_data) {
  struct otc_session_capabilities can = otc_session_get_capabilities(session);
  (void)user_data;
  printf("connected: data=%s publish=%d subscribe=%d force_mute=%d force_disconnect=%d\n",
         otc_connection_get_data(otc_session_get_connection(session)), can.publish, can.subscribe, can.force_mute,
         can.force_disconnect);
  is_connected = 1;
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("disconnected\n");
  is_connected = 0;
  say(WORD_LEFT); /* always the last callback of a session that was connected */
}

static void on_error(otc_session *session, void *user_data, const char *error_string,
                     enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("error %d: %s\n", (int)error, error_string);
  if (!is_connected) say(WORD_FAILED); /* else on_disconnected says the end, if it is one */
}

static void on_connection_created(otc_session *session, void *user_data, const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("connection created: data=%s\n", otc_connection_get_data(connection));
}

static void on_connection_dropped(otc_session *session, void *user_data, const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("connection dropped: data=%s\n", otc_connection_get_data(connection));
}

static void print_stream(const char *what, const otc_stream *stream) {
  printf("%s: name=%s data=%s audio=%d video=%d captions=%d size=%dx%d type=%d\n", what, otc_stream_get_name(stream),
         otc_connection_get_data(otc_stream_get_connection(stream)), otc_stream_has_audio(stream),
         otc_stream_has_video(stream), otc_stream_has_captions(stream), otc_stream_get_video_width(stream),
         otc_stream_get_video_height(stream), (int)otc_stream_get_video_type(stream));
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  print_stream("stream received", stream);
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  print_stream("stream dropped", stream);
}

static void on_stream_changed(otc_session *session, void *user_data, const otc_stream *stream, otc_bool has) {
  (void)session, (void)user_data, (void)has;
  print_stream("stream changed", stream);
}

static void on_stream_resized(otc_session *session, void *user_data, const otc_stream *stream, int width, int height) {
  (void)session, (void)user_data, (void)width, (void)height;
  print_stream("stream changed", stream);
}

static void on_stream_retyped(otc_session *session, void *user_data, const otc_stream *stream,
                              enum otc_stream_video_type type) {
  (void)session, (void)user_data, (void)type;
  print_stream("stream changed", stream);
}

static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal,
                               const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("signal: type=%s data=%s from=%s\n", type, signal,
         connection ? otc_connection_get_data(connection) : "(server)");
}

static void on_reconnection_started(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("reconnection started\n");
}

static void on_reconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("reconnected\n");
}

static void on_archive_started(otc_session *session, void *user_data, const char *archive_id, const char *name) {
  (void)session, (void)user_data;
  printf("archive started: id=%s name=%s\n", archive_id, name);
}

static void on_archive_stopped(otc_session *session, void *user_data, const char *archive_id) {
  (void)session, (void)user_data;
  printf("archive stopped: id=%s\n", archive_id);
}

static void on_mute_forced(otc_session *session, void *user_data, otc_on_mute_forced_info *mute_info) {
  (void)session, (void)user_data;
  printf("mute forced: active=%d\n", mute_info->active);
}

static void leave(int number) {
  (void)number;
  say(WORD_LEAVE);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s API_KEY SESSION TOKEN\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* a line can be read as soon as it is printed */
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave);

  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_connection_created = on_connection_created;
  callbacks.on_connection_dropped = on_connection_dropped;
  callbacks.on_stream_received = on_stream_received;
  callbacks.on_stream_dropped = on_stream_dropped;
  callbacks.on_stream_has_audio_changed = on_stream_changed;
  callbacks.on_stream_has_video_changed = on_stream_changed;
  callbacks.on_stream_has_captions_changed = on_stream_changed;
  callbacks.on_stream_video_dimensions_changed = on_stream_resized;
  callbacks.on_stream_video_type_changed = on_stream_retyped;
  callbacks.on_signal_received = on_signal_received;
  callbacks.on_reconnection_started = on_reconnection_started;
  callbacks.on_reconnected = on_reconnected;
  callbacks.on_archive_started = on_archive_started;
  callbacks.on_archive_stopped = on_archive_stopped;
  callbacks.on_error = on_error;
  callbacks.on_mute_forced = on_mute_forced;

  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  char word = WORD_FAILED;
  if (session && otc_session_connect(session, argv[3]) == OTC_SUCCESS) {
    do {
      while (read(words[0], &word, 1) != 1) continue; /* a signal interrupts it */
      if (word == WORD_LEAVE) otc_session_disconnect(session); /* on_disconnected follows */
    } while (word == WORD_LEAVE);
  }
  otc_session_delete(session);
  otc_destroy();
  return word == WORD_LEFT ? 0 : 1;
}
