/*
 * One publisher for the whole life of the program: published in session after session, twice in a row on one session object,
 * again right after unpublish, and on a new session while the old one is deleted. Its `user_data` and pointer stay.
 *
 *   one_publisher API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static sem_t connected, disconnected, created, destroyed;
static otc_publisher *publisher;
static char seen[16][64];
static int seen_count;

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  printf("session: publish gives %d\n", otc_session_publish(session, publisher));
  sem_post(&connected);
}
static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  puts("session: disconnected");
  sem_post(&disconnected);
}
static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d %s\n", error, error_string);
}
static void on_stream_created(otc_publisher *self, void *user_data, const otc_stream *stream) {
  const char *id = otc_stream_get_id(stream);
  int is_new = 1;
  for (int i = 0; i < seen_count; i++) is_new = is_new && strcmp(seen[i], id) != 0;
  snprintf(seen[seen_count++], 64, "%s", id);
  printf("publisher: created, a new stream: %d, the same publisher: %d, user data: %s\n", is_new, self == publisher, (char *)user_data);
  sem_post(&created);
}
static void on_stream_destroyed(otc_publisher *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data;
  printf("publisher: destroyed, the newest stream: %d\n", strcmp(otc_stream_get_id(stream), seen[seen_count - 1]) == 0);
  sem_post(&destroyed);
}
static void on_publisher_error(otc_publisher *self, void *user_data, const char *error_string, enum otc_publisher_error_code error_code) {
  (void)self, (void)user_data;
  printf("publisher: error %d %s\n", error_code, error_string);
}

static otc_session *new_session(char **argv, const char *suffix) {
  (void)suffix;
  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected, .on_error = on_error};
  return otc_session_new(argv[1], argv[2], &callbacks);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&disconnected, 0, 0), sem_init(&created, 0, 0), sem_init(&destroyed, 0, 0);
  otc_init(NULL);
  struct otc_publisher_callbacks callbacks = {.on_stream_created = on_stream_created, .on_stream_destroyed = on_stream_destroyed,
      .on_error = on_publisher_error, .user_data = "kept"};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, "for life");
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  publisher = otc_publisher_new_with_settings(&callbacks, settings);
  otc_publisher_settings_delete(settings);

  puts("main: twice in a row on one session object");
  otc_session *session = new_session(argv, "a");
  for (int i = 0; i < 2; i++) {
    otc_session_connect(session, argv[3]);
    sem_wait(&created);
    printf("main: in this session: %d\n", otc_publisher_get_session(publisher) == session);
    otc_session_disconnect(session);
    sem_wait(&disconnected);
    printf("main: in no session: %d, no stream: %d\n", otc_publisher_get_session(publisher) == NULL,
           otc_publisher_get_stream(publisher) == NULL);
    sem_wait(&destroyed);
  }
  otc_session_delete(session);

  puts("main: in a session that is new each time");
  for (int i = 0; i < 2; i++) {
    session = new_session(argv, "b");
    otc_session_connect(session, argv[3]);
    sem_wait(&created);
    otc_session_delete(session);
  }

  puts("main: unpublished and published at once");
  session = new_session(argv, "c");
  otc_session_connect(session, argv[3]);
  sem_wait(&created);
  otc_session_unpublish(session, publisher);
  printf("main: publish gives %d\n", otc_session_publish(session, publisher));
  sem_wait(&created);

  puts("main: taken along to the next session");
  otc_session *next = new_session(argv, "d");
  otc_session_unpublish(session, publisher);
  otc_session_disconnect(session);
  sem_wait(&disconnected);
  otc_session_connect(next, argv[3]);
  otc_session_delete(session);
  sem_wait(&created);
  printf("main: in the next session: %d\n", otc_publisher_get_session(publisher) == next);
  otc_session_disconnect(next);
  sem_wait(&disconnected);
  otc_session_delete(next);
  printf("main: delete gives %d\n", otc_publisher_delete(publisher));
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
