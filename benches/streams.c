/*
 * What is left after a program has published, was watched, and has left, again and again.
 *
 *   benches/run streams 2000      publisher and watcher in one process, each with a session of its own
 *
 * In a cycle one client connects and publishes picture and sound; the other subscribes, sees the first picture and hears the
 * stream drop. A second argument is a limit in bytes per cycle.
 */
#include "bench.h"
#include "../tests/c/film.h"

#define ROOM "streams"
#define WARM_UP 50

/* The watcher: what it has. */
typedef struct watcher {
  client client;
  otc_subscriber *subscriber; /* known to the callbacks of its session alone */
  flag seen, dropped;
} watcher;

static void on_render_frame(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)subscriber, (void)frame, flag_set(&((watcher *)user_data)->seen);
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  watcher *self = (watcher *)user_data; /* the client is its first member */
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_render_frame = on_render_frame;
  callbacks.user_data = self;
  self->subscriber = otc_subscriber_new(stream, &callbacks);
  CHECK(self->subscriber);
  CHECK_EQUAL(otc_session_subscribe(session, self->subscriber), OTC_SUCCESS);
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  watcher *self = (watcher *)user_data;
  (void)session, (void)stream;
  CHECK_EQUAL(otc_subscriber_delete(self->subscriber), OTC_SUCCESS);
  flag_set(&self->dropped);
}

static void clear(flag *flag) {
  pthread_mutex_lock(&flag->lock);
  flag->is_set = 0;
  pthread_mutex_unlock(&flag->lock);
}

static void cycle(watcher *watcher, const char *token) {
  static film_camera camera = {.width = 160, .height = 120, .fps = 30};
  struct otc_publisher_callbacks callbacks = {0};
  clear(&watcher->seen), clear(&watcher->dropped);
  otc_publisher *publisher = film_publisher("film", &camera, 1, &callbacks);
  CHECK(publisher);
  client client;
  client_init(&client, ROOM);
  client_connect(&client, token);
  CHECK_EQUAL(otc_session_publish(client.session, publisher), OTC_SUCCESS);
  CHECK(flag_wait(&watcher->seen, PATIENCE_MS));
  client_disconnect(&client);
  client_end(&client);
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  CHECK(flag_wait(&watcher->dropped, PATIENCE_MS));
}

int main(int argc, char **argv) {
  static film_microphone microphone;
  static watcher watcher;
  long count = argument(argc, argv, 1, 2000), limit = argument(argc, argv, 2, 0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  char *token = token_of(KEY, ROOM);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  CHECK_EQUAL(film_use_microphone(&microphone), OTC_SUCCESS);
  flag_init(&watcher.seen), flag_init(&watcher.dropped);
  client_init(&watcher.client, ROOM);
  CHECK_EQUAL(otc_session_delete(watcher.client.session), OTC_SUCCESS);
  struct otc_session_callbacks callbacks = client_callbacks(&watcher.client);
  callbacks.on_stream_received = on_stream_received;
  callbacks.on_stream_dropped = on_stream_dropped;
  watcher.client.session = otc_session_new(KEY, ROOM, &callbacks);
  client_connect(&watcher.client, token);

  for (long i = 0; i < WARM_UP; i++) cycle(&watcher, token);
  holding before = settled(otc_ext_live_objects);
  print_holding("before", &before);
  long long start = now_ns();
  for (long i = 0; i < count; i++) cycle(&watcher, token);
  double cycle_ms = (double)(now_ns() - start) / 1e6 / (double)count;
  check_back(&before, otc_ext_live_objects);
  holding after = settled(otc_ext_live_objects);
  print_holding("after", &after);
  double in_use = (double)(after.in_use - before.in_use) / (double)count;
  double resident = (double)(after.resident - before.resident) / (double)count;
  printf("%ld cycles of %.1f ms: growth per cycle %.1f bytes in use, %.1f bytes resident\n", count, cycle_ms, in_use, resident);
  check_growth(in_use, resident, limit);
  client_disconnect(&watcher.client);
  client_end(&watcher.client);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(token);
  return 0;
}
