/*
 * Stays in a session and shows what a lost link looks like: on_reconnection_started, then on_reconnected, or on_error
 * and on_disconnected when it cannot be restored. The program does nothing for it.
 *
 *   cc reconnect.c $(pkg-config --cflags --libs libopentok) -o reconnect
 *   ./reconnect API_KEY SESSION TOKEN      and then stop the server, or kill the process that hosts the hub
 *
 * What is sent meanwhile waits for the link and is sent then: a signal in on_reconnection_started comes back after
 * on_reconnected. Ctrl-C leaves.
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
  (void)session, (void)user_data;
  printf("connected\n");
  is_connected = 1;
}

static void on_reconnection_started(otc_session *session, void *user_data) {
  (void)user_data;
  printf("reconnection started\n");
  otc_session_send_signal(session, "waited", "sent while the link was lost");
}

static void on_reconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("reconnected\n");
}

static void on_connection_created(otc_session *session, void *user_data, const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("connection created: data=%s\n", otc_connection_get_data(connection));
}

static void on_connection_dropped(otc_session *session, void *user_data, const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("connection dropped: data=%s\n", otc_connection_get_data(connection));
}

static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal,
                               const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("signal: type=%s data=%s from=%s\n", type, signal,
         connection ? otc_connection_get_data(connection) : "(server)");
}

static void on_error(otc_session *session, void *user_data, const char *error_string,
                     enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("error %d: %s\n", (int)error, error_string);
  if (!is_connected) say(WORD_FAILED); /* else on_disconnected says the end, if it is one */
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("disconnected\n");
  is_connected = 0;
  say(WORD_LEFT);
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
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave);

  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_reconnection_started = on_reconnection_started;
  callbacks.on_reconnected = on_reconnected;
  callbacks.on_connection_created = on_connection_created;
  callbacks.on_connection_dropped = on_connection_dropped;
  callbacks.on_signal_received = on_signal_received;
  callbacks.on_error = on_error;
  callbacks.on_disconnected = on_disconnected;

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
