/*
 * What a thousand sessions in one process cost, and how fast they end.
 *
 *   benches/run sessions 1000 100            1,000 sessions in 100 rooms, the hub in this process
 *   benches/run sessions 1000 100 elsewhere  the hub in another process
 *   benches/run sessions 1000 1              all in one room, connection events suppressed
 *
 * It is done twice: first all disconnect and are deleted, then otc_destroy comes while all are connected. Each
 * session takes a descriptor, and one more where its hub is. A fourth argument is a limit in bytes per session; then
 * every number has to be right.
 */
#include <sys/wait.h>

#include "bench.h"

#define DESTROY_MAX_MS 5000

static long session_count, room_count;
static client *clients;

static void room_name(char *name, long room) { sprintf(name, "room-%ld", room); }

/* ---- The hub in another process ---- */

static pid_t host_elsewhere(int end[2]) {
  int ready[2];
  char byte = 0;
  CHECK(pipe(end) == 0 && pipe(ready) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) {
    close(end[0]), close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return child;
  }
  close(end[1]), close(ready[0]);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  client host;
  char *token = token_of(KEY, "host");
  client_init(&host, "host");
  client_connect(&host, token);
  CHECK(write(ready[1], &byte, 1) == 1);
  CHECK(read(end[0], &byte, 1) == 0);
  client_end(&host);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  _exit(0);
}

/* ---- The sessions ---- */

static void make_sessions(void) {
  otc_session_settings *settings = otc_session_settings_new();
  /* All in one room would tell each of all: the events are a million, and not what is measured here. */
  otc_session_settings_set_connection_events_suppressed(settings, room_count == 1);
  for (long i = 0; i < session_count; i++) {
    char name[32];
    room_name(name, i % room_count);
    client *client = &clients[i];
    struct otc_session_callbacks callbacks = client_callbacks(client);
    client->session = otc_session_new_with_settings(KEY, name, &callbacks, settings);
    CHECK(client->session);
    client->connected = client->disconnected = client->errors = 0;
  }
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
}

static double connect_all(void) {
  char **tokens = calloc((size_t)room_count, sizeof *tokens);
  for (long room = 0; room < room_count; room++) {
    char name[32];
    room_name(name, room);
    tokens[room] = token_of(KEY, name);
  }
  long long start = now_ns();
  for (long i = 0; i < session_count; i++)
    CHECK_EQUAL(otc_session_connect(clients[i].session, tokens[i % room_count]), OTC_SUCCESS);
  for (long i = 0; i < session_count; i++) {
    client_wait(&clients[i], &clients[i].connected, 1);
    CHECK_EQUAL(clients[i].errors, 0);
  }
  double took_ms = (double)(now_ns() - start) / 1e6;
  for (long room = 0; room < room_count; room++) free(tokens[room]);
  free(tokens);
  return took_ms;
}

static double disconnect_all(void) {
  long long start = now_ns();
  for (long i = 0; i < session_count; i++) CHECK_EQUAL(otc_session_disconnect(clients[i].session), OTC_SUCCESS);
  for (long i = 0; i < session_count; i++) client_wait(&clients[i], &clients[i].disconnected, 1);
  return (double)(now_ns() - start) / 1e6;
}

static double delete_all(void) {
  long long start = now_ns();
  for (long i = 0; i < session_count; i++) CHECK_EQUAL(otc_session_delete(clients[i].session), OTC_SUCCESS);
  return (double)(now_ns() - start) / 1e6;
}

static void raise_descriptor_limit(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

int main(int argc, char **argv) {
  session_count = argument(argc, argv, 1, 1000), room_count = argument(argc, argv, 2, 100);
  int is_elsewhere = argc > 3 && !strcmp(argv[3], "elsewhere"), end[2];
  long limit = argument(argc, argv, 4, 0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  raise_descriptor_limit();
  clients = calloc((size_t)session_count, sizeof *clients);
  for (long i = 0; i < session_count; i++) flag_init(&clients[i].changed);
  pid_t host = is_elsewhere ? host_elsewhere(end) : 0;

  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  client first;
  char *token = token_of(KEY, "first");
  client_init(&first, "first");
  client_connect(&first, token);
  holding before = settled(otc_ext_live_objects);
  print_holding("one", &before);

  make_sessions();
  double connect_ms = connect_all();
  holding connected = held(otc_ext_live_objects());
  print_holding("all", &connected);
  double in_use = (double)(connected.in_use - before.in_use) / (double)session_count,
         resident = (double)(connected.resident - before.resident) / (double)session_count;
  printf("%ld sessions in %ld rooms, the hub in %s process: %.1f kB in use and %.1f kB resident per session\n",
         session_count, room_count, is_elsewhere ? "another" : "this", in_use / 1e3, resident / 1e3);
  double disconnect_ms = disconnect_all(), delete_ms = delete_all();
  check_back(&before, otc_ext_live_objects);
  holding after = held(otc_ext_live_objects());
  print_holding("none", &after);
  malloc_trim(0); /* what the allocator kept for later */
  after = held(otc_ext_live_objects());
  print_holding("trimmed", &after);
  printf("all connected after %.0f ms, all disconnected after %.0f ms, deleted after %.0f ms more\n", connect_ms,
         disconnect_ms, delete_ms);

  make_sessions();
  connect_all();
  long long start = now_ns();
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  double destroy_ms = (double)(now_ns() - start) / 1e6;
  printf("otc_destroy with all of them connected: %.0f ms\n", destroy_ms);
  only_this_thread_is_left();
  CHECK_EQUAL(otc_ext_live_objects(), 0); /* it has deleted them */
  if (host) {
    int status = 0;
    close(end[1]);
    CHECK(waitpid(host, &status, 0) == host && status == 0);
  }
  free(token), free(clients);
  CHECK_EQUAL(connected.threads, before.threads); /* they depend on cores */
  CHECK(destroy_ms < DESTROY_MAX_MS);
  check_growth(in_use, resident, limit);
  return 0;
}
