/*
 * A chat over two terminals: a line typed here is a signal to everybody, and a signal is a line there.
 *
 *   cc signals.c $(pkg-config --cflags --libs libopentok) -o signals
 *   ./signals API_KEY SESSION TOKEN
 *
 * It leaves at the end of its input (Ctrl-D).
 */
#include <opentok.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum word { WORD_CONNECTED = 'c', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];     /* from the callbacks to main */
static int is_connected; /* known to the callbacks alone, which all run on one thread */

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("connected\n");
  say(WORD_CONNECTED);
  is_connected = 1;
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("disconnected\n");
  is_connected = 0;
  say(WORD_LEFT);
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

static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal,
                               const otc_connection *connection) {
  (void)session, (void)user_data;
  printf("signal: type=%s data=%s from=%s\n", type, signal,
         connection ? otc_connection_get_data(connection) : "(server)");
}

/* Sends a line. The library copies the text, so the buffer may be used again at once. */
static void send_line(otc_session *session, char *line) {
  line[strcspn(line, "\n")] = 0;
  otc_status status = otc_session_send_signal(session, "chat", line);
  if (status != OTC_SUCCESS) printf("not sent: %d\n", status);
}

/* Until the session ends or the input does. Returns how it ended. */
static char chat(otc_session *session) {
  /* The input is read only once there is somebody to send to. */
  struct pollfd sources[2] = {{.fd = words[0], .events = POLLIN}, {.fd = -1, .events = POLLIN}};
  char line[4096];
  for (;;) {
    if (poll(sources, 2, -1) < 0) continue;
    if (sources[0].revents) {
      char word = WORD_FAILED;
      if (read(words[0], &word, 1) == 1 && word != WORD_CONNECTED) return word;
      sources[1].fd = STDIN_FILENO;
    }
    if (sources[1].revents) {
      if (fgets(line, sizeof line, stdin)) {
        send_line(session, line);
      } else {
        sources[1].fd = -1;
        otc_session_disconnect(session); /* on_disconnected follows */
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s API_KEY SESSION TOKEN\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  setvbuf(stdin, NULL, _IONBF, 0); /* poll sees only what stdio has not read ahead */
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;

  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_connection_created = on_connection_created;
  callbacks.on_connection_dropped = on_connection_dropped;
  callbacks.on_signal_received = on_signal_received;
  callbacks.on_error = on_error;

  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  char end = WORD_FAILED;
  if (session && otc_session_connect(session, argv[3]) == OTC_SUCCESS) end = chat(session);
  otc_session_delete(session);
  otc_destroy();
  return end == WORD_LEFT ? 0 : 1;
}
