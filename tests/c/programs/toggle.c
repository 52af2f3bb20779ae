/*
 * A button that connects and disconnects one session object, pressed again and again: by a patient user, by a program that
 * connects again in on_disconnected, and by an impatient user who waits for nothing. Then it still works.
 *
 *   toggle API_KEY SESSION_ID TOKEN [TIMES]
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum mode { PATIENT, IN_CALLBACKS, IMPATIENT };

static sem_t connected, disconnected;
static atomic_int mode, connects, disconnects, errors, left;
static const char *token;

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  connects++;
  if (mode == IN_CALLBACKS) otc_session_disconnect(session);
  if (mode == PATIENT) sem_post(&connected);
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)user_data;
  disconnects++;
  if (mode == IN_CALLBACKS && --left > 0 && otc_session_connect(session, token) == OTC_SUCCESS) return;
  if (mode != IMPATIENT) sem_post(&disconnected);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  errors++;
  printf("session: error %d %s\n", error, error_string);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int times = argc > 4 ? atoi(argv[4]) : 1000;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&disconnected, 0, 0);
  token = argv[3];
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected, .on_error = on_error};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);

  for (int i = 0; i < times; i++) {
    otc_session_connect(session, token);
    sem_wait(&connected);
    otc_session_disconnect(session);
    sem_wait(&disconnected);
  }
  printf("main: patient: all connects told: %d, all disconnects: %d\n", connects == times, disconnects == times);

  mode = IN_CALLBACKS;
  connects = disconnects = 0;
  left = times;
  otc_session_connect(session, token);
  sem_wait(&disconnected);
  printf("main: in callbacks: all connects told: %d, all disconnects: %d\n", connects == times, disconnects == times);

  mode = IMPATIENT;
  connects = disconnects = 0;
  int accepted = 0, ended = 0;
  for (int i = 0; i < times; i++) {
    accepted += otc_session_connect(session, token) == OTC_SUCCESS;
    ended += otc_session_disconnect(session) == OTC_SUCCESS;
  }
  printf("main: impatient: each that was accepted was ended: %d\n", accepted == ended);

  /* Whatever is still on its way: it comes to an end, and the button works. */
  mode = PATIENT;
  while (otc_session_connect(session, token) != OTC_SUCCESS) continue;
  sem_wait(&connected);
  printf("main: impatient: one disconnect for each: %d\n", disconnects == ended);
  otc_session_disconnect(session);
  sem_wait(&disconnected);
  printf("main: errors: %d, delete gives %d\n", errors, otc_session_delete(session));
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
