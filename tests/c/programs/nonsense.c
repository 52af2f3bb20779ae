/*
 * The values of a template that nobody has filled in, and every wrong mixture with the right ones. connect takes them,
 * on_error comes, on_connected does not. All is torn down while on_error is still running.
 *
 *   nonsense API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t failed;

struct attempt {
  const char *key, *id, *token;
  char *words; /* freed as soon as the session is deleted */
};

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: connected, with nonsense");
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: disconnected, without having been connected");
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  struct attempt *attempt = user_data;
  printf("session: error %d, in words: %d\n", error, error_string != NULL && *error_string != 0);
  sem_post(&failed);
  for (int i = 0; i < 30; i++) { /* still busy while everything ends */
    usleep(1000);
    if (strcmp(attempt->words, "all well") != 0 || strlen(otc_session_get_id(session)) == 0)
      puts("session: somebody freed what is in use");
  }
}

static void run(struct attempt attempt) {
  printf("main: attempt with a key %s, a session %s, a token %s\n", attempt.key[0] == 'Y' ? "of nonsense" : "that fits",
         attempt.id[0] == 'Y' ? "of nonsense" : "that fits",
         attempt.token[0] == 'Y' ? "of nonsense" : attempt.token[0] ? "that fits" : "that is empty");
  attempt.words = strdup("all well");
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {0};
  callbacks.user_data = &attempt;
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_error = on_error;
  otc_session *session = otc_session_new(attempt.key, attempt.id, &callbacks);
  printf("main: session: %d, connect gives %d\n", session != NULL, otc_session_connect(session, attempt.token));
  sem_wait(&failed);
  otc_session_disconnect(session);
  otc_session_delete(session);
  free(attempt.words);
  attempt.words = "freed!";
  printf("main: destroy gives %d\n", otc_destroy());
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&failed, 0, 0);
  const char *key = argv[1], *id = argv[2], *token = argv[3];
  run((struct attempt){"YOUR_API_KEY", "YOUR_SESSION_ID", "YOUR_TOKEN", NULL});
  run((struct attempt){key, id, "YOUR_TOKEN", NULL});
  run((struct attempt){key, "YOUR_SESSION_ID", token, NULL});
  run((struct attempt){"YOUR_API_KEY", id, token, NULL});
  run((struct attempt){key, id, "", NULL});
  return 0;
}
