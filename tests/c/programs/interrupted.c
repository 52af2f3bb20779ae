/*
 * Ends on Ctrl-C as small programs do: the handler of SIGINT tears everything down and leaves by exit(), or it wakes up
 * main, which sleeps. Where the signal finds a thread of the library's, the handler passes it on.
 *
 *   interrupted API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static otc_session *session;
static otc_publisher *publisher;
static sem_t created;
static pthread_t main_thread;
static volatile sig_atomic_t quits;
static int leaves_in_handler;

static void handler(int number) {
  if (!pthread_equal(pthread_self(), main_thread)) { /* a signal to the process may find any thread of it */
    pthread_kill(main_thread, number);
    return;
  }
  quits = 1;
  if (!leaves_in_handler) return;
  otc_session_unpublish(session, publisher);
  otc_publisher_delete(publisher);
  otc_session_disconnect(session);
  otc_session_delete(session);
  otc_destroy();
  exit(0);
}

static void on_connected(otc_session *self, void *user_data) {
  (void)user_data;
  otc_session_publish(self, publisher);
}
static void on_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data, (void)stream;
  sem_post(&created);
}

static void child(char **argv, int write_end) {
  alarm(60);
  main_thread = pthread_self();
  signal(SIGINT, handler), signal(SIGTERM, handler);
  otc_init(NULL);
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&created);
  if (write(write_end, "r", 1) != 1) _exit(4);
  while (!quits) usleep(10000);
  otc_session_disconnect(session);
  otc_publisher_delete(publisher);
  otc_session_delete(session);
  exit(otc_destroy());
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < 6; i++) {
    int ready[2], status = 0, number = i % 2 ? SIGTERM : SIGINT;
    char byte;
    if (pipe(ready) != 0) return 1;
    sem_init(&created, 0, 0);
    leaves_in_handler = i % 3 == 0;
    pid_t pid = fork();
    if (pid == 0) child(argv, ready[1]);
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) puts("main: it ended too soon");
    close(ready[0]);
    kill(pid, number);
    waitpid(pid, &status, 0);
    printf("main: %s, %s: %s %d\n", number == SIGINT ? "SIGINT" : "SIGTERM", leaves_in_handler ? "left in the handler" : "main woken up",
           WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  }
  return 0;
}
