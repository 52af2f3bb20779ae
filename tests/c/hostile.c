/*
 * A program that means no good: everything at once from many threads, everything from inside everything, locks held
 * around calls and taken in callbacks. Longer runs: TEST_ROUNDS; another course of the random ones: TEST_SEED.
 */
#include <stdatomic.h>

#include "otc_test.h"

static const char *TOKEN, *OTHER_TOKEN, *BAD_TOKEN;

#define DELETE_MAX_MS 2000
#define DESTROY_MAX_MS 5000
/* The machine that runs the tests may be busy with something else for a moment. */
#define BUSY_MS (900 * slowness())

static int rounds(int usual) {
  const char *wish = getenv("TEST_ROUNDS");
  return wish ? atoi(wish) : usual;
}

static unsigned seed(void) {
  const char *wish = getenv("TEST_SEED");
  unsigned seed = wish ? (unsigned)atoi(wish) : (unsigned)getpid();
  fprintf(stderr, "TEST_SEED=%u\n", seed); /* shown when the test fails */
  return seed;
}

static recorder *connected(const char *token) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  return self;
}

static void nothing_is_left(void) {
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  only_this_thread_is_left();
  CHECK_EQUAL(otc_ext_live_objects(), 0);
}

/* Of a recorder whose session has ended, one way or the other. */
static void recorder_free(recorder *self) {
  if (self->last_connection) otc_connection_delete(self->last_connection);
  free(self);
}

/* Of a recorder whose session somebody else ends at a moment of his own. */
static void recorder_expect_anything(recorder *self) {
  pthread_mutex_lock(&self->changed.lock);
  self->state = LAW_ANYTHING;
  pthread_mutex_unlock(&self->changed.lock);
}

/* ---- Many threads, the same sessions, at random ---- */

#define PLACES 4

typedef struct guest {
  otc_session *session;
  struct guest *next;
  _Atomic int is_gone; /* its deletion has returned, on another thread than the callback's */
  char canary[64];
} guest;

static _Atomic(guest *) places[PLACES];
static _Atomic(guest *) graveyard; /* freed at the end: another thread may be about to use the handle */
static _Atomic int must_stop;
static _Thread_local unsigned dice;
static _Thread_local int callback_depth;

static unsigned roll(unsigned sides) {
  dice = dice * 1664525u + 1013904223u;
  return (dice >> 8) % sides;
}

static void anything(guest *self);

static void guest_called(void *user_data) {
  guest *self = (guest *)user_data;
  CHECK(!self->is_gone);
  CHECK_EQUAL(self->canary[0], 'c');
  callback_depth++;
  if (callback_depth == 1 && roll(3) == 0) anything(self);
  callback_depth--;
  CHECK_EQUAL(self->canary[0], 'c');
}

static void guest_event(otc_session *s, void *u) { (void)s, guest_called(u); }
static void guest_connection(otc_session *s, void *u, const otc_connection *c) {
  (void)s;
  CHECK(*otc_connection_get_id(c));
  guest_called(u);
}
static void guest_signal(otc_session *s, void *u, const char *type, const char *data, const otc_connection *c) {
  (void)s, (void)c;
  CHECK(type && data);
  guest_called(u);
}
static void guest_error(otc_session *s, void *u, const char *text, enum otc_session_error_code code) {
  (void)s, (void)code;
  CHECK(text && *text);
  guest_called(u);
}

static guest *guest_new(void) {
  guest *self = (guest *)calloc(1, sizeof *self);
  memset(self->canary, 'c', sizeof self->canary);
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = callbacks.on_disconnected = guest_event;
  callbacks.on_connection_created = callbacks.on_connection_dropped = guest_connection;
  callbacks.on_signal_received = guest_signal;
  callbacks.on_error = guest_error;
  callbacks.user_data = self;
  self->session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
  CHECK(self->session);
  return self;
}

static void guest_delete(guest *self) {
  if (otc_session_delete(self->session) != OTC_SUCCESS) return; /* another thread does it */
  if (callback_depth == 0) self->is_gone = 1;
}

static void anything(guest *self) {
  static const struct otc_signal_options again = {OTC_TRUE};
  otc_session *s = self->session;
  char *issue = NULL;
  otc_connection *copy;
  switch (roll(16)) {
    case 0: case 1: case 2: otc_session_connect(s, TOKEN); break;
    case 3: otc_session_connect(s, BAD_TOKEN); break;
    case 4: case 5: otc_session_disconnect(s); break;
    case 6: guest_delete(self); break;
    case 7: case 8: otc_session_send_signal(s, "type", "data"); break;
    case 9: otc_session_send_signal_with_options(s, "type", "data", again); break;
    case 10:
      copy = otc_connection_copy(otc_session_get_connection(s));
      otc_connection_get_data(copy);
      otc_session_send_signal_to_connection(s, "to", "data", copy);
      otc_connection_delete(copy);
      break;
    case 11: otc_session_get_capabilities(s), otc_session_get_user_data(s); break;
    case 12: otc_session_set_encryption_secret(s, "long enough"); break;
    case 13: if (otc_session_report_issue(s, "none", &issue) == OTC_SUCCESS) free(issue); break;
    case 14: otc_session_force_mute_all(s, NULL, 0), otc_session_disable_force_mute(s); break;
    case 15: otc_session_force_disconnect(s, otc_session_get_connection(s)); break;
  }
}

static void bury(guest *self) {
  self->next = graveyard;
  while (!atomic_compare_exchange_weak(&graveyard, &self->next, self)) continue;
}

static void *random_thread(void *start) {
  dice = (unsigned)(uintptr_t)start;
  while (!must_stop) {
    unsigned place = roll(PLACES);
    guest *self = places[place];
    if (roll(50) == 0) {
      guest *fresh = guest_new(), *old = self;
      if (atomic_compare_exchange_strong(&places[place], &old, fresh)) {
        guest_delete(self), bury(self);
      } else {
        guest_delete(fresh), bury(fresh);
      }
    } else {
      anything(self);
    }
  }
  return NULL;
}

/* As long as the callbacks are quick nothing here has a reason to wait. */
static void random_threads(int number, int ms, void *(*other)(void *)) {
  pthread_t workers[16], stranger;
  unsigned start = seed();
  for (int i = 0; i < PLACES; i++) places[i] = guest_new();
  for (int i = 0; i < number; i++) {
    CHECK_EQUAL(pthread_create(&workers[i], NULL, random_thread, (void *)(uintptr_t)(start + i)), 0);
  }
  if (other) CHECK_EQUAL(pthread_create(&stranger, NULL, other, NULL), 0);
  struct timespec a_while = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&a_while, NULL); /* the length of the test, not a wait for something */
  must_stop = 1;
  for (int i = 0; i < number; i++) pthread_join(workers[i], NULL);
  if (other) pthread_join(stranger, NULL);
  for (int i = 0; i < PLACES; i++) guest_delete(places[i]), bury(places[i]);
  nothing_is_left();
  for (guest *self = graveyard, *next; self; self = next) next = self->next, free(self);
}

static void threads_that_call_anything_harm_nobody(void) { random_threads(6, 1500 * rounds(1), NULL); }

static void *comes_and_goes(void *ignored) {
  while (!must_stop) {
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    struct timespec a_while = {0, 20 * 1000000};
    nanosleep(&a_while, NULL); /* so that something lives when the end comes */
  }
  return ignored;
}

static void threads_that_call_anything_while_the_library_comes_and_goes(void) {
  random_threads(4, 2000 * rounds(1), comes_and_goes);
}

/* ---- Everything from inside everything ---- */

static flag done;
static const char *wanted;

/* Lets two sessions hear every kind of event that needs no broken server, with a hook in the first one. */
static void hear(const char *event, void (*hook)(recorder *, const char *)) {
  done.is_set = 0;
  wanted = event;
  recorder *self = recorder_new(), *other = recorder_new();
  self->hook = hook;
  CHECK_EQUAL(recorder_connect(self, begins(event, "error") ? BAD_TOKEN : TOKEN), OTC_SUCCESS);
  if (!begins(event, "error") && strcmp(event, "connected")) {
    recorder_wait(self, "connected", 1);
    CHECK_EQUAL(recorder_connect(other, OTHER_TOKEN), OTC_SUCCESS);
    if (begins(event, "connection dropped")) {
      recorder_wait(other, "connected", 1);
      CHECK_EQUAL(recorder_disconnect(other), OTC_SUCCESS);
    }
    if (begins(event, "signal")) otc_session_send_signal(self->session, "type", "data");
    if (begins(event, "disconnected")) CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
  }
  CHECK(flag_wait(&done, PATIENCE_MS));
  recorder_expect_anything(other);
  otc_session_delete(self->session), otc_session_delete(other->session);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* the callback has returned after this */
  recorder_free(self), recorder_free(other);
  nothing_is_left();
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
}

static const char *const ALL_EVENTS[] = {"connected",          "disconnected", "connection created two",
                                         "connection dropped", "signal",       "error"};
#define EVENTS (sizeof ALL_EVENTS / sizeof *ALL_EVENTS)

static void hook_delete(recorder *self, const char *event) {
  if (!begins(event, wanted)) return;
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  flag_set(&done);
}

static void a_session_may_be_deleted_inside_each_of_its_callbacks(void) {
  for (size_t i = 0; i < EVENTS; i++) hear(ALL_EVENTS[i], hook_delete);
}

static void hook_destroy(recorder *self, const char *event) {
  if (!begins(event, wanted)) return;
  self->state = LAW_DELETED;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  flag_set(&done);
}

static void the_library_may_be_destroyed_inside_each_callback(void) {
  for (size_t i = 0; i < EVENTS; i++) hear(ALL_EVENTS[i], hook_destroy);
}

static void hook_destroy_and_start(recorder *self, const char *event) {
  if (!begins(event, wanted)) return;
  self->state = LAW_DELETED;
  for (int i = 0; i < 3; i++) {
    recorder *next = recorder_new();
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    CHECK_EQUAL(otc_session_delete(next->session), OTC_INVALID_PARAM);
    free(next);
    next = recorder_new();
    CHECK_EQUAL(recorder_connect(next, TOKEN), OTC_SUCCESS);
    recorder_delete(next);
  }
  flag_set(&done);
}

static void the_library_may_be_started_anew_inside_each_callback(void) {
  for (size_t i = 0; i < EVENTS; i++) hear(ALL_EVENTS[i], hook_destroy_and_start);
}

/* ---- The logger ---- */

static _Atomic int lines;

static void logger_that_destroys(const char *line) {
  (void)line;
  if (otc_destroy() == OTC_SUCCESS) lines++;
}

static void a_logger_may_destroy_the_library(void) {
  for (int level = OTC_LOG_LEVEL_ERROR; level <= OTC_LOG_LEVEL_DEBUG; level++) {
    recorder *self = recorder_new();
    otc_log_enable((otc_log_level)level);
    otc_log_set_logger_callback(logger_that_destroys);
    recorder_expect_anything(self); /* what comes depends on when the lines come */
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    otc_session_connect(self->session, BAD_TOKEN);
    otc_session_disconnect(NULL);
    otc_session_delete(self->session);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    otc_log_enable(OTC_LOG_LEVEL_DISABLED);
    nothing_is_left();
    recorder_free(self);
  }
}

static otc_session *logged_about;

static void logger_that_calls_everything(const char *line) {
  char *issue = NULL;
  lines++;
  (void)line;
  otc_init(NULL);
  otc_session_connect(logged_about, BAD_TOKEN), otc_session_disconnect(logged_about);
  otc_session_get_connection(logged_about), otc_session_get_capabilities(logged_about);
  otc_session_send_signal(logged_about, "type", "data");
  if (otc_session_report_issue(logged_about, "none", &issue) == OTC_SUCCESS) free(issue);
  otc_log_set_logger_callback(logger_that_calls_everything);
}

static void a_logger_may_call_everything_after_the_end_too(void) {
  recorder *self = recorder_new();
  recorder_expect_anything(self);
  logged_about = self->session;
  otc_log_enable(OTC_LOG_LEVEL_DEBUG);
  otc_log_set_logger_callback(logger_that_calls_everything);
  for (int i = 0; i < 5; i++) {
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    otc_session *other = otc_session_new("key", "session", &(struct otc_session_callbacks){0});
    otc_session_connect(other, TOKEN); /* refused, and told in the log */
    otc_session_delete(other);
  }
  CHECK(lines > 0);
  otc_log_enable(OTC_LOG_LEVEL_DISABLED);
  nothing_is_left();
  free(self);
}

static flag entered, release, left;

static void hook_hold(recorder *self, const char *event) {
  (void)self;
  if (strcmp(event, "connected")) return;
  flag_set(&entered);
  flag_wait(&release, PATIENCE_MS);
  flag_set(&left);
}

/* The line comes when a deletion or the end gives up on a callback. */
static void a_logger_may_call_everything_while_a_deletion_gives_up(void) {
  recorder *self = recorder_new();
  self->hook = hook_hold;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&entered, PATIENCE_MS));
  logged_about = self->session;
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  otc_log_set_logger_callback(logger_that_destroys);
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  CHECK(lines > 0);
  flag_set(&release);
  CHECK(flag_wait(&left, PATIENCE_MS));
  otc_log_enable(OTC_LOG_LEVEL_DISABLED);
  nothing_is_left();
  free(self);
}

/* ---- Two ends at once ---- */

static pthread_barrier_t barrier;

static void *destroys(void *ignored) {
  pthread_barrier_wait(&barrier);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  /* Whoever called it, nothing of the library's lives when it has returned. */
  CHECK_EQUAL(threads_named("otc-", 1), 0);
  return ignored;
}

static void of_threads_that_destroy_at_once_each_finds_nothing_left(void) {
  enum { NUMBER = 3 };
  pthread_t all[NUMBER];
  pthread_barrier_init(&barrier, NULL, NUMBER);
  for (int round = 0; round < rounds(10); round++) {
    recorder *one = connected(TOKEN), *two = recorder_new();
    CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
    recorder_expect_anything(one), recorder_expect_anything(two);
    for (int i = 0; i < NUMBER; i++) CHECK_EQUAL(pthread_create(&all[i], NULL, destroys, NULL), 0);
    for (int i = 0; i < NUMBER; i++) pthread_join(all[i], NULL);
    recorder_free(one), recorder_free(two);
    only_this_thread_is_left();
    CHECK_EQUAL(otc_ext_live_objects(), 0);
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  }
}

/* ---- Callbacks that do not end, and locks ---- */

static void a_callback_that_does_not_end_delays_delete_two_seconds_and_destroy_five(void) {
  recorder *self = recorder_new();
  self->hook = hook_hold;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&entered, PATIENCE_MS));
  recorder *other = recorder_new(); /* whose callbacks wait behind that one */
  CHECK_EQUAL(recorder_connect(other, OTHER_TOKEN), OTC_SUCCESS);
  long long start = now_ms();
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  CHECK(now_ms() - start <= DELETE_MAX_MS + BUSY_MS);
  start = now_ms();
  other->state = LAW_DELETED;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS);
  CHECK(!left.is_set);
  /* A new life of the library begins behind the old callback. */
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *next = recorder_new();
  CHECK_EQUAL(recorder_connect(next, TOKEN), OTC_SUCCESS);
  flag_set(&release);
  recorder_wait(next, "connected", 1);
  CHECK(left.is_set); /* never two callbacks at once */
  recorder_delete(next);
  free(other), free(self);
  nothing_is_left();
}

static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

static void hook_own_lock(recorder *self, const char *event) {
  (void)self, (void)event;
  pthread_mutex_lock(&own_lock);
  pthread_mutex_unlock(&own_lock);
}

static void a_program_may_hold_its_lock_around_every_call(void) {
  for (int round = 0; round < rounds(4); round++) {
    recorder *one = recorder_new(), *two = recorder_new();
    one->hook = two->hook = hook_own_lock;
    pthread_mutex_lock(&own_lock);
    CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SUCCESS);
    CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
    pthread_mutex_unlock(&own_lock);
    recorder_wait(one, "connected", 1);
    pthread_mutex_lock(&own_lock);
    otc_session_send_signal(one->session, "type", "data");
    otc_session_get_connection(one->session), otc_session_get_capabilities(one->session);
    if (round % 2) CHECK_EQUAL(recorder_disconnect(one), OTC_SUCCESS);
    pthread_mutex_unlock(&own_lock);
    long long start = now_ms();
    pthread_mutex_lock(&own_lock);
    if (round == 0) {
      recorder_expect_anything(one), recorder_expect_anything(two);
      CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
      CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS);
      CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    } else {
      CHECK_EQUAL(recorder_delete_session(one), OTC_SUCCESS);
      CHECK(now_ms() - start <= DELETE_MAX_MS + BUSY_MS);
      start = now_ms();
      CHECK_EQUAL(recorder_delete_session(two), OTC_SUCCESS);
      CHECK(now_ms() - start <= DELETE_MAX_MS + BUSY_MS);
    }
    pthread_mutex_unlock(&own_lock);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* a callback that was waited for in vain has come to its end */
    recorder_free(one), recorder_free(two);
    nothing_is_left();
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  }
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(threads_that_call_anything_harm_nobody),
      TEST(threads_that_call_anything_while_the_library_comes_and_goes),
      TEST(a_session_may_be_deleted_inside_each_of_its_callbacks),
      TEST(the_library_may_be_destroyed_inside_each_callback),
      TEST(the_library_may_be_started_anew_inside_each_callback),
      TEST(a_logger_may_destroy_the_library),
      TEST(a_logger_may_call_everything_after_the_end_too),
      TEST(a_logger_may_call_everything_while_a_deletion_gives_up),
      TEST(of_threads_that_destroy_at_once_each_finds_nothing_left),
      TEST(a_callback_that_does_not_end_delays_delete_two_seconds_and_destroy_five),
      TEST(a_program_may_hold_its_lock_around_every_call),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN"), BAD_TOKEN = given("TEST_BAD_TOKEN");
  flag_init(&done), flag_init(&entered), flag_init(&release), flag_init(&left);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
