/*
 * A film of 720p30 and eight who watch it in one process: does memory stay, do picture and sound stay together?
 *
 *   benches/run audience 10       minutes; the publisher is another process
 *
 * Every minute: what the process holds, and how much later flashes came than their beeps.
 */
#include <sys/wait.h>

#include "bench.h"
#include "../tests/c/film.h"

enum { AUDIENCE = 8 };

#define ROOM "audience"

typedef struct viewer {
  client client;
  otc_subscriber *subscriber;
  film_watch watch;
  double first_ms, last_ms; /* of the flash after its beep */
  int has_first;
} viewer;

static viewer viewers[AUDIENCE];

static pid_t publish_elsewhere(const char *token, int end[2]) {
  CHECK(pipe(end) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) {
    close(end[0]);
    return child;
  }
  close(end[1]);
  static film_camera camera = {.width = 1280, .height = 720, .fps = 30};
  static film_microphone microphone;
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  CHECK_EQUAL(film_use_microphone(&microphone), OTC_SUCCESS);
  struct otc_publisher_callbacks callbacks = {0};
  otc_publisher *publisher = film_publisher("film", &camera, 1, &callbacks);
  client client;
  client_init(&client, ROOM);
  client_connect(&client, token);
  CHECK_EQUAL(otc_session_publish(client.session, publisher), OTC_SUCCESS);
  char byte;
  CHECK(read(end[0], &byte, 1) == 0);
  CHECK_EQUAL(otc_session_unpublish(client.session, publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
  client_end(&client);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  _exit(0);
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  viewer *self = (viewer *)user_data; /* the client is its first member */
  struct otc_subscriber_callbacks callbacks = film_subscriber_callbacks(&self->watch);
  if (self->subscriber) return;
  self->subscriber = otc_subscriber_new(stream, &callbacks);
  CHECK(self->subscriber);
  CHECK_EQUAL(otc_session_subscribe(session, self->subscriber), OTC_SUCCESS);
}

static void join(viewer *self, const char *token) {
  film_watch_init(&self->watch, 0);
  client_init(&self->client, ROOM);
  CHECK_EQUAL(otc_session_delete(self->client.session), OTC_SUCCESS);
  struct otc_session_callbacks callbacks = client_callbacks(&self->client);
  callbacks.on_stream_received = on_stream_received;
  self->client.session = otc_session_new(KEY, ROOM, &callbacks);
  client_connect(&self->client, token);
}

/* Prints the minute, and checks that everybody saw most of it. */
static void tell(long minute) {
  unsigned fewest = 0xffffffff, marks = 0;
  double lowest_ms = 1e9, highest_ms = -1e9;
  for (int i = 0; i < AUDIENCE; i++) {
    viewer *self = &viewers[i];
    pthread_mutex_lock(&self->watch.lock);
    if (self->watch.pictures < fewest) fewest = self->watch.pictures;
    marks += self->watch.marks;
    if (self->watch.has_offset) {
      self->last_ms = self->watch.offset_ms;
      if (!self->has_first) self->first_ms = self->last_ms, self->has_first = 1;
      if (self->last_ms < lowest_ms) lowest_ms = self->last_ms;
      if (self->last_ms > highest_ms) highest_ms = self->last_ms;
    }
    self->watch.pictures = self->watch.marks = 0;
    pthread_mutex_unlock(&self->watch.lock);
  }
  holding now = held(0);
  char when[32];
  snprintf(when, sizeof when, "min %ld", minute);
  print_holding(when, &now);
  printf("         %u pictures at least for each, %u marks in all, flash after beep %.1f to %.1f ms\n", fewest, marks,
         lowest_ms, highest_ms);
}

int main(int argc, char **argv) {
  long minutes = argument(argc, argv, 1, 10);
  int end[2], status = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  char *token = token_of(KEY, ROOM);
  pid_t publisher = publish_elsewhere(token, end);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (int i = 0; i < AUDIENCE; i++) join(&viewers[i], token);
  usleep(10000000); /* codecs and buffers find their sizes */
  tell(0);
  holding before = held(0);
  struct rusage used;
  for (long minute = 1; minute <= minutes; minute++) {
    usleep(60000000);
    tell(minute);
  }
  holding after = held(0);
  CHECK(getrusage(RUSAGE_SELF, &used) == 0);
  double drift_ms = 0;
  for (int i = 0; i < AUDIENCE; i++) {
    double moved_ms = viewers[i].last_ms - viewers[i].first_ms;
    if (moved_ms < 0) moved_ms = -moved_ms;
    if (moved_ms > drift_ms) drift_ms = moved_ms;
  }
  printf("growth %.1f kB in use, %.1f kB resident; picture and sound moved apart by %.1f ms at most; %ld CPU seconds\n",
         (double)(after.in_use - before.in_use) / 1e3, (double)(after.resident - before.resident) / 1e3, drift_ms,
         (long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec));
  for (int i = 0; i < AUDIENCE; i++) {
    client_disconnect(&viewers[i].client);
    client_end(&viewers[i].client);
    CHECK_EQUAL(otc_subscriber_delete(viewers[i].subscriber), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  close(end[1]);
  CHECK(waitpid(publisher, &status, 0) == publisher && status == 0);
  free(token);
  return 0;
}
