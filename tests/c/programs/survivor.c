/*
 * Somebody else's program serves the session, publishes in it, and is killed. This one says what it is told, does nothing
 * about it, and is connected again; then it goes on where it was.
 *
 *   survivor API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static sem_t seen, dropped, reconnected, heard;
static otc_subscriber *subscriber;
static atomic_bool is_seen;

static void on_render_frame(otc_subscriber *self, void *user_data, const otc_video_frame *frame) {
  (void)self, (void)user_data, (void)frame;
  if (!atomic_exchange(&is_seen, true)) sem_post(&seen);
}
static void on_subscriber_disconnected(otc_subscriber *self, void *user_data) {
  (void)self, (void)user_data;
  puts("subscriber: disconnected");
}
static void on_subscriber_error(otc_subscriber *self, void *user_data, const char *error_string, enum otc_subscriber_error_code error) {
  (void)self, (void)user_data;
  printf("subscriber: error %d %s\n", error, error_string);
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: connected");
}
static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  printf("session: stream '%s' received\n", otc_stream_get_name(stream));
  struct otc_subscriber_callbacks callbacks = {
      .on_render_frame = on_render_frame, .on_disconnected = on_subscriber_disconnected, .on_error = on_subscriber_error};
  subscriber = otc_subscriber_new(stream, &callbacks);
  otc_session_subscribe(session, subscriber);
}
static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  printf("session: stream '%s' dropped\n", otc_stream_get_name(stream));
  otc_subscriber_delete(subscriber);
  subscriber = NULL;
  sem_post(&dropped);
}
static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal, const otc_connection *connection) {
  (void)session, (void)user_data, (void)connection;
  printf("session: signal '%s', '%s'\n", type, signal);
  sem_post(&heard);
}
static void on_reconnection_started(otc_session *session, void *user_data) {
  (void)user_data;
  puts("session: reconnection started");
  otc_session_send_signal(session, "during", "the gap");
}
static void on_reconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: reconnected");
  sem_post(&reconnected);
}
static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: disconnected");
}
static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d %s\n", error, error_string);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&seen, 0, 0), sem_init(&dropped, 0, 0), sem_init(&reconnected, 0, 0), sem_init(&heard, 0, 0);
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_stream_received = on_stream_received;
  callbacks.on_stream_dropped = on_stream_dropped;
  callbacks.on_signal_received = on_signal_received;
  callbacks.on_reconnection_started = on_reconnection_started;
  callbacks.on_reconnected = on_reconnected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_error = on_error;
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&seen);
  char id[128];
  snprintf(id, sizeof id, "%s", otc_connection_get_id(otc_session_get_connection(session)));
  puts("main: the film runs"); /* whoever wants to kill it does it now */
  sem_wait(&reconnected);
  sem_wait(&heard);
  sem_wait(&dropped);
  printf("main: the same connection id: %d\n", strcmp(id, otc_connection_get_id(otc_session_get_connection(session))) == 0);
  otc_session_send_signal(session, "after", "the gap");
  sem_wait(&heard);
  otc_session_delete(session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
