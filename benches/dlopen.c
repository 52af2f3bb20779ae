/*
 * What is left of a library that was loaded, used, destroyed and closed.
 *
 *   benches/run dlopen 1000
 *
 * A round: dlopen, otc_init, connect, a signal to oneself, disconnect, delete, otc_destroy, dlclose. In every tenth
 * round a thread of the program has called the library too and ends only after dlclose. A second argument is a limit
 * in bytes per round.
 */
#include <dlfcn.h>

#include "bench.h"

#define SESSION "dlopen"

static struct api {
  otc_status (*init)(void *);
  otc_status (*destroy)(void);
  otc_session *(*session_new)(const char *, const char *, const struct otc_session_callbacks *);
  otc_status (*session_connect)(otc_session *, const char *);
  otc_status (*session_send_signal)(otc_session *, const char *, const char *);
  otc_status (*session_disconnect)(otc_session *);
  otc_status (*session_delete)(otc_session *);
  size_t (*live_objects)(void);
} api;

static void find(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  CHECK(found);
  memcpy(function, &found, sizeof found);
}

static void *load(void) {
  void *library = dlopen(given("TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror()), _exit(1);
  find(library, "otc_init", &api.init);
  find(library, "otc_destroy", &api.destroy);
  find(library, "otc_session_new", &api.session_new);
  find(library, "otc_session_connect", &api.session_connect);
  find(library, "otc_session_send_signal", &api.session_send_signal);
  find(library, "otc_session_disconnect", &api.session_disconnect);
  find(library, "otc_session_delete", &api.session_delete);
  find(library, "otc_ext_live_objects", &api.live_objects);
  return library;
}

static flag called, closed;

static void *host_thread(void *unused) {
  (void)unused;
  CHECK_EQUAL(api.session_disconnect(NULL), OTC_INVALID_PARAM);
  struct otc_session_callbacks callbacks = {0};
  otc_session *session = api.session_new(KEY, SESSION, &callbacks);
  CHECK(session);
  CHECK_EQUAL(api.session_connect(session, "no token"), OTC_SUCCESS);
  CHECK_EQUAL(api.session_delete(session), OTC_SUCCESS);
  flag_set(&called);
  CHECK(flag_wait(&closed, PATIENCE_MS));
  return NULL;
}

static void one_round(const char *token, int has_host_thread) {
  void *library = load();
  CHECK_EQUAL(api.init(NULL), OTC_SUCCESS);
  pthread_t thread;
  if (has_host_thread) {
    called.is_set = closed.is_set = 0;
    CHECK_EQUAL(pthread_create(&thread, NULL, host_thread, NULL), 0);
    CHECK(flag_wait(&called, PATIENCE_MS));
  }
  client client = {0};
  flag_init(&client.changed);
  struct otc_session_callbacks callbacks = client_callbacks(&client);
  client.session = api.session_new(KEY, SESSION, &callbacks);
  CHECK_EQUAL(api.session_connect(client.session, token), OTC_SUCCESS);
  client_wait(&client, &client.connected, 1);
  CHECK_EQUAL(api.session_send_signal(client.session, "type", "data"), OTC_SUCCESS);
  client_wait(&client, &client.signals, 1);
  CHECK_EQUAL(api.session_disconnect(client.session), OTC_SUCCESS);
  client_wait(&client, &client.disconnected, 1);
  CHECK_EQUAL(api.session_delete(client.session), OTC_SUCCESS);
  CHECK_EQUAL(api.live_objects(), 0);
  CHECK_EQUAL(api.destroy(), OTC_SUCCESS);
  CHECK_EQUAL(dlclose(library), 0);
  if (has_host_thread) {
    flag_set(&closed);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
  }
}

static void rounds(const char *token, long count, int descriptors_before) {
  for (long i = 0; i < count; i++) {
    one_round(token, i % 10 == 9);
    only_this_thread_is_left();
    CHECK_EQUAL(descriptors(), descriptors_before);
  }
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  long count = argument(argc, argv, 1, 1000), limit = argument(argc, argv, 2, 0);
  char *token = token_of(KEY, SESSION);
  flag_init(&called), flag_init(&closed);
  /* A program that is linked against the library as well would only count its users. */
  CHECK(!dlopen(given("TEST_LIBRARY"), RTLD_NOW | RTLD_NOLOAD));
  int descriptors_before = descriptors();
  rounds(token, count / 10, descriptors_before);
  holding before = held(0);
  print_holding("before", &before);
  long long start = now_ns();
  rounds(token, count, descriptors_before);
  double took_ms = (double)(now_ns() - start) / 1e6;
  holding after = held(0);
  print_holding("after", &after);
  double in_use = (double)(after.in_use - before.in_use) / (double)count,
         resident = (double)(after.resident - before.resident) / (double)count;
  printf("%ld rounds of %.2f ms: growth per round %.1f bytes in use, %.1f bytes resident\n", count,
         took_ms / (double)count, in_use, resident);
  free(token);
  check_growth(in_use, resident, limit);
  return 0;
}
