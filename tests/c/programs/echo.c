/*
 * Answers every signal inside the callback, with the callback's own pointers, as the sample for signals does; and asks one
 * round of questions itself: with a type and without, empty, long, in other scripts.
 *
 *   echo API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sem_t connected, heard;

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session;
  printf("%s: error %d %s\n", (char *)user_data, error, error_string);
}

/* The sample answers everybody, itself included; one who is asked by an echo does not echo. */
static void on_signal_echo(otc_session *session, void *user_data, const char *type, const char *signal, const otc_connection *connection) {
  (void)user_data;
  const char *mine = otc_connection_get_id(otc_session_get_connection(session));
  if (strcmp(otc_connection_get_id(connection), mine) == 0) return;
  otc_session_send_signal_to_connection(session, type, signal, connection);
}

static void on_signal_asker(otc_session *session, void *user_data, const char *type, const char *signal, const otc_connection *connection) {
  (void)user_data;
  const char *mine = otc_connection_get_id(otc_session_get_connection(session));
  int is_own = strcmp(otc_connection_get_id(connection), mine) == 0;
  printf("%s: '%s' of %d bytes, beginning '%.9s'\n", is_own ? "asker" : "echoed", type, (int)strlen(signal), signal);
  sem_post(&heard);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&heard, 0, 0);
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_error = on_error};
  callbacks.on_signal_received = on_signal_echo, callbacks.user_data = "echo";
  otc_session *echo = otc_session_new(argv[1], argv[2], &callbacks);
  callbacks.on_signal_received = on_signal_asker, callbacks.user_data = "asker";
  otc_session *asker = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(echo, argv[3]), otc_session_connect(asker, argv[3]);
  sem_wait(&connected), sem_wait(&connected);

  char *large = malloc(8193);
  memset(large, 'x', 8192), large[8192] = 0;
  char type[16];
  int sent = 0;
  sent += otc_session_send_signal(asker, "chat", "hello") == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, "", "no type") == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, NULL, "none at all") == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, "empty", "") == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, "nothing", NULL) == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, "large", large) == OTC_SUCCESS;
  sent += otc_session_send_signal(asker, "script", "Grüße, привет, 你好") == OTC_SUCCESS;
  for (int i = 0; i < 20; i++) {
    snprintf(type, sizeof type, "count-%d", i);
    sent += otc_session_send_signal_with_options(asker, type, "data", (struct otc_signal_options){OTC_TRUE}) == OTC_SUCCESS;
    memset(type, '?', sizeof type - 1);
  }
  printf("main: sent %d\n", sent);
  for (int i = 0; i < 2 * sent; i++) sem_wait(&heard);
  free(large);
  printf("main: to nobody: refused: %d, bad type: %d, long type: %d\n",
         otc_session_send_signal_to_connection(asker, "chat", "hello", NULL) != OTC_SUCCESS,
         otc_session_send_signal(asker, "two words", "hello") == OTC_SESSION_INVALID_SIGNAL_TYPE,
         otc_session_send_signal(asker, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
                                        "45678901234567890123456789012345678901234567890", "") == OTC_SESSION_SIGNAL_TYPE_TOO_LONG);
  otc_session_disconnect(echo), otc_session_disconnect(asker);
  otc_session_delete(echo), otc_session_delete(asker);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
