/*
 * Disconnects in on_connected. on_disconnected comes, not from inside that call, not on the main thread, and no error.
 *
 *   leave_at_once API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t over;
static pthread_t main_thread;
static int is_inside_disconnect;

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  printf("session: connected, on the main thread: %d\n", pthread_equal(pthread_self(), main_thread) != 0);
  is_inside_disconnect = 1;
  printf("session: disconnect gives %d\n", otc_session_disconnect(session));
  is_inside_disconnect = 0;
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("session: disconnected, on the main thread: %d, inside the call: %d\n",
         pthread_equal(pthread_self(), main_thread) != 0, is_inside_disconnect);
  sem_post(&over);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d %s\n", error, error_string);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&over, 0, 0);
  main_thread = pthread_self();
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_error = on_error;
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  printf("main: connect gives %d\n", otc_session_connect(session, argv[3]));
  sem_wait(&over);
  printf("main: delete gives %d\n", otc_session_delete(session));
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
