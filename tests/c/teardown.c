/* The teardown contract, point by point; the numbers are those of README and ARCHITECTURE. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "otc_test.h"

static const char *TOKEN, *OTHER_TOKEN, *BAD_TOKEN;

/* No call but those that are said to wait takes longer. */
#define CALL_MAX_MS 100
#define DISCONNECTED_MAX_MS 2000
#define DELETE_MAX_MS 2000
#define DESTROY_MAX_MS 5000
/* The machine that runs the tests may be busy with something else for a moment. */
#define BUSY_MS (400 * slowness())

static recorder *connected(const char *token) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  return self;
}

/* A server that takes connections and never answers. */
static char dead_server[64];
static int listener;

static void start_dead_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 64) == 0);
  CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&address, &size), 0);
  snprintf(dead_server, sizeof dead_server, "ws://127.0.0.1:%d/%s", ntohs(address.sin_port), given("TEST_SESSION"));
}

static void dead_server_is_met(void) {
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  CHECK_EQUAL(poll(&waiting, 1, PATIENCE_MS), 1);
  CHECK(accept(listener, NULL, NULL) >= 0);
}

static recorder *joining(void) {
  recorder *self = recorder_for(dead_server);
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  return self;
}

/* 1 ---- what is said, and what is not */

static void teardown_01_a_failed_attempt_says_on_error_once_and_nothing_more(void) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, BAD_TOKEN), OTC_SUCCESS);
  recorder_wait(self, "error 1004", 1);
  CHECK_EQUAL(recorder_disconnect(self), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS); /* the object is as good as new */
  recorder_wait(self, "connected", 1);
  CHECK_EQUAL(recorder_count(self, "error"), 1);
  CHECK_EQUAL(recorder_count(self, "disconnected"), 0);
  recorder_delete(self);
}

static void teardown_01_an_own_disconnect_says_on_disconnected_alone(void) {
  recorder *self = connected(TOKEN);
  CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
  recorder_wait(self, "disconnected", 1);
  CHECK_EQUAL(self->count, 2);
  recorder_delete(self);
}

static void teardown_01_a_removal_by_a_moderator_says_on_disconnected_alone(void) {
  recorder *moderator = connected(TOKEN), *removed = connected(OTHER_TOKEN);
  recorder_wait(moderator, "connection created two", 1);
  otc_status status = otc_session_force_disconnect(moderator->session, moderator->last_connection);
  CHECK_EQUAL(status, OTC_SUCCESS);
  recorder_wait(removed, "disconnected", 1);
  CHECK_EQUAL(recorder_count(removed, "error"), 0);
  recorder_wait(moderator, "connection dropped two", 1);
  recorder_delete(moderator), recorder_delete(removed);
}

/* 2 ---- exactly one on_disconnected, in time, never from inside the call (the recorder watches that) */

static void teardown_02_disconnect_is_told_in_time_when_connected(void) {
  recorder *self = connected(TOKEN);
  CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
  CHECK(recorder_wait(self, "disconnected", 1) <= DISCONNECTED_MAX_MS + BUSY_MS);
  CHECK_EQUAL(recorder_disconnect(self), OTC_SESSION_NOT_CONNECTED);
  recorder_delete(self);
}

static void teardown_02_disconnect_is_told_in_time_while_a_dead_server_is_joined(void) {
  recorder *self = joining();
  dead_server_is_met();
  CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
  CHECK(recorder_wait(self, "disconnected", 1) <= DISCONNECTED_MAX_MS + BUSY_MS);
  CHECK_EQUAL(self->count, 1);
  recorder_delete(self);
}

static void teardown_02_disconnect_at_any_moment_of_a_join_is_told_once(void) {
  for (int i = 0; i < 100; i++) {
    recorder *self = recorder_new();
    CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
    struct timespec moment = {0, i * 100000}; /* spread over the join, not a wait for it */
    nanosleep(&moment, NULL);
    CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
    recorder_wait(self, "disconnected", 1);
    recorder_delete(self);
  }
}

/* 3 ---- every function from every callback */

static void call_everything(recorder *self) {
  struct otc_session_callbacks callbacks = {0};
  struct otc_signal_options options = {OTC_TRUE};
  char *id = NULL;
  otc_session *s = self->session;
  otc_connection *copy = otc_connection_copy(otc_session_get_connection(s));
  otc_connection_get_id(copy), otc_connection_get_data(copy), otc_connection_get_session_id(copy);
  otc_session_send_signal(s, "t", "d");
  otc_session_send_signal_with_options(s, "t", "d", options);
  otc_session_send_signal_to_connection(s, "t", "d", copy);
  otc_session_send_signal_to_connection_with_options(s, "t", "d", copy, options);
  otc_connection_delete(copy);
  otc_session_get_capabilities(s), otc_session_get_user_data(s), otc_session_get_id(s);
  otc_session_publish(s, NULL), otc_session_unpublish(s, NULL);
  otc_session_subscribe(s, NULL), otc_session_unsubscribe(s, NULL);
  otc_session_force_mute_all(s, NULL, 0), otc_session_disable_force_mute(s);
  otc_session_force_mute_stream(s, "none"), otc_session_force_disconnect(s, NULL);
  otc_session_set_encryption_secret(s, "long enough");
  if (otc_session_report_issue(s, "none", &id) == OTC_SUCCESS) free(id);
  otc_session_settings *settings = otc_session_settings_new();
  otc_session *other = otc_session_new_with_settings("key", "session", &callbacks, settings);
  otc_session_settings_delete(settings);
  otc_session_connect(other, "bad"), otc_session_disconnect(other), otc_session_delete(other);
  otc_init(NULL), otc_get_log_level();
}

static flag hook_done;

static void hook_everything(recorder *self, const char *event) {
  if (begins(event, "signal t")) return; /* its own signals, for ever */
  call_everything(self);
  if (!strcmp(event, "connection created two")) recorder_disconnect(self);
  if (!strcmp(event, "disconnected") || begins(event, "error")) flag_set(&hook_done);
}

static void teardown_03_every_function_may_be_called_from_every_callback(void) {
  recorder *self = recorder_new();
  self->hook = hook_everything;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  recorder *two = connected(OTHER_TOKEN);
  recorder_wait(self, "disconnected", 1);
  CHECK(flag_wait(&hook_done, PATIENCE_MS));
  recorder_delete(self);

  hook_done.is_set = 0;
  self = recorder_new();
  self->hook = hook_everything;
  CHECK_EQUAL(recorder_connect(self, BAD_TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&hook_done, PATIENCE_MS));
  recorder_delete(self), recorder_delete(two);
}

static void hook_delete(recorder *self, const char *event) {
  if (strcmp(event, (const char *)self->hook_data)) return;
  long long start = now_ms();
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  CHECK(now_ms() - start <= CALL_MAX_MS + BUSY_MS); /* inside a callback it does not wait */
  CHECK_EQUAL(otc_session_delete(self->session), OTC_INVALID_PARAM);
  flag_set(&hook_done);
}

static void delete_inside(const char *event, const char *token) {
  hook_done.is_set = 0;
  recorder *self = recorder_new();
  self->hook = hook_delete;
  self->hook_data = (void *)event;
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  if (!strcmp(event, "disconnected")) recorder_wait(self, "connected", 1), recorder_disconnect(self);
  CHECK(flag_wait(&hook_done, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* the callback has returned after this */
  free(self);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
}

static void teardown_03_a_session_may_be_deleted_in_its_own_callback(void) {
  delete_inside("connected", TOKEN);
  delete_inside("disconnected", TOKEN);
  delete_inside("error 1004", BAD_TOKEN);
}

/* 4 ---- after delete no callback starts; it waits for one that runs */

static void teardown_04_no_callback_starts_after_delete(void) {
  for (int i = 0; i < 200; i++) {
    recorder *self = recorder_new();
    CHECK_EQUAL(recorder_connect(self, i % 3 ? TOKEN : BAD_TOKEN), OTC_SUCCESS);
    struct timespec moment = {0, i * 50000}; /* spread over the attempt, not a wait for it */
    nanosleep(&moment, NULL);
    if (i % 2) recorder_disconnect(self);
    recorder_delete(self); /* frees what a late callback would use */
  }
}

static flag entered, release, left;

static void hook_hold(recorder *self, const char *event) {
  if (strcmp(event, "connected")) return;
  flag_set(&entered);
  flag_wait(&release, (long long)(intptr_t)self->hook_data);
  CHECK(otc_session_get_user_data(self->session) == self); /* still its session: the deletion waits */
  flag_set(&left);
}

static void *let_go(void *ignored) {
  struct timespec a_while = {0, 200 * 1000000};
  nanosleep(&a_while, NULL); /* so that the deletion has something to wait for */
  flag_set(&release);
  return ignored;
}

static void teardown_04_delete_waits_for_a_callback_that_runs(void) {
  recorder *self = recorder_new();
  self->hook = hook_hold;
  self->hook_data = (void *)(intptr_t)PATIENCE_MS;
  pthread_t other;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&entered, PATIENCE_MS));
  CHECK_EQUAL(pthread_create(&other, NULL, let_go, NULL), 0);
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  CHECK(left.is_set);
  pthread_join(other, NULL);
  if (self->last_connection) otc_connection_delete(self->last_connection);
  free(self);
}

static void hook_hold_for_long(recorder *self, const char *event) {
  (void)self;
  if (strcmp(event, "connected")) return;
  flag_set(&entered);
  flag_wait(&release, PATIENCE_MS);
  flag_set(&left);
}

static void teardown_04_delete_waits_two_seconds_at_most(void) {
  recorder *self = recorder_new();
  self->hook = hook_hold_for_long;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&entered, PATIENCE_MS));
  long long start = now_ms();
  CHECK_EQUAL(recorder_delete_session(self), OTC_SUCCESS);
  long long took = now_ms() - start;
  CHECK(took >= DELETE_MAX_MS / 2 && took <= DELETE_MAX_MS + BUSY_MS);
  CHECK(!left.is_set);
  flag_set(&release);
  CHECK(flag_wait(&left, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* the callback has returned after this */
  free(self);
}

/* 6 ---- otc_destroy */

static void teardown_06_destroy_leaves_nothing_and_init_works_again(void) {
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  int descriptors_before = descriptors();
  for (int round = 0; round < 7; round++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    recorder *one = connected(TOKEN), *two = connected(OTHER_TOKEN);
    recorder_delete(one), recorder_delete(two);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    only_this_thread_is_left();
    CHECK_EQUAL(descriptors(), descriptors_before);
    CHECK_EQUAL(otc_ext_live_objects(), 0);
  }
}

static void teardown_06_destroy_ends_what_lives_in_time_and_says_nothing(void) {
  enum { NUMBER = 50 };
  recorder *all[NUMBER];
  int threads_at_least = 1;
  for (int i = 0; i < NUMBER; i++) all[i] = i % 2 ? joining() : connected(TOKEN);
  CHECK(threads() > threads_at_least);
  long long start = now_ms();
  is_inside_call++;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  is_inside_call--;
  CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS);
  only_this_thread_is_left();
  for (int i = 0; i < NUMBER; i++) {
    all[i]->state = LAW_DELETED;
    CHECK_EQUAL(otc_session_delete(all[i]->session), OTC_INVALID_PARAM);
    CHECK_EQUAL(otc_session_connect(all[i]->session, TOKEN), OTC_INVALID_PARAM);
    CHECK_EQUAL(recorder_count(all[i], "disconnected"), 0);
    if (all[i]->last_connection) otc_connection_delete(all[i]->last_connection);
    free(all[i]);
  }
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* again, with nothing to end */
}

static void teardown_06_destroy_waits_five_seconds_at_most_for_a_callback(void) {
  recorder *self = recorder_new();
  self->hook = hook_hold_for_long;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&entered, PATIENCE_MS));
  long long start = now_ms();
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS);
  self->state = LAW_DELETED;
  flag_set(&release);
  CHECK(flag_wait(&left, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* waits for the thread that it could not wait for before */
  only_this_thread_is_left();
  free(self);
}

static pthread_key_t of_the_thread;
static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;

static void wait_for_the_lock(void *ignored) {
  (void)ignored;
  pthread_mutex_lock(&of_the_program), pthread_mutex_unlock(&of_the_program);
  flag_set(&left);
}

static void hook_keep(recorder *self, const char *event) {
  (void)event;
  CHECK_EQUAL(pthread_setspecific(of_the_thread, self), 0);
}

static void teardown_06_destroy_waits_five_seconds_at_most_for_what_a_thread_of_callbacks_ends(void) {
  recorder *self = recorder_new();
  self->hook = hook_keep;
  CHECK_EQUAL(pthread_key_create(&of_the_thread, wait_for_the_lock), 0);
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  self->state = LAW_LEAVING;
  pthread_mutex_lock(&of_the_program);
  long long start = now_ms();
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS);
  pthread_mutex_unlock(&of_the_program);
  CHECK(flag_wait(&left, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  only_this_thread_is_left();
  free(self);
}

static void hook_destroy(recorder *self, const char *event) {
  (void)self;
  if (strcmp(event, "connected")) return;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  flag_set(&hook_done);
}

static void teardown_06_destroy_inside_a_callback_returns(void) {
  recorder *self = recorder_new();
  self->hook = hook_destroy;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&hook_done, PATIENCE_MS));
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *again = connected(TOKEN); /* the first callback has returned: there are never two */
  recorder_delete(again), free(self);
}

static void hook_exit(recorder *self, const char *event) {
  (void)self;
  if (!strcmp(event, "connected")) exit(0);
}

static void teardown_06_exit_inside_a_callback_terminates(void) {
  recorder *self = recorder_new();
  self->hook = hook_exit;
  CHECK_EQUAL(recorder_connect(self, TOKEN), OTC_SUCCESS);
  flag_wait(&hook_done, PATIENCE_MS);
  CHECK(!"the process lives");
}

/* 7 ---- handles: see handles.c */

/* 8 ---- the others */

static void teardown_08_who_leaves_hears_nothing_of_the_others_and_they_hear_it(void) {
  recorder *stays = connected(TOKEN), *leaves = connected(OTHER_TOKEN);
  recorder_wait(leaves, "connection created one", 1);
  recorder_wait(stays, "connection created two", 1);
  CHECK_EQUAL(recorder_disconnect(leaves), OTC_SUCCESS);
  recorder_wait(leaves, "disconnected", 1);
  recorder_wait(stays, "connection dropped two", 1);
  CHECK_EQUAL(recorder_count(leaves, "connection dropped"), 0);
  recorder_delete(leaves), recorder_delete(stays);
}

static void teardown_08_the_others_hear_it_when_delete_follows_at_once(void) {
  recorder *stays = connected(TOKEN);
  for (int i = 1; i <= 20; i++) {
    recorder *leaves = connected(OTHER_TOKEN);
    recorder_wait(stays, "connection created two", i);
    if (i % 2) recorder_disconnect(leaves);
    recorder_delete(leaves);
    recorder_wait(stays, "connection dropped two", i);
  }
  recorder_delete(stays);
}

/* 9 ---- a panic becomes a code: see the guard's own tests */

/* 10 ---- no call takes long */

static void at_once(long long start, const char *call) {
  long long took = now_ms() - start;
  if (took > CALL_MAX_MS * slowness()) fprintf(stderr, "%s took %lld ms\n", call, took), _exit(1);
}

#define AT_ONCE(call)             \
  do {                            \
    long long start_ = now_ms();  \
    (void)(call);                 \
    at_once(start_, #call);       \
  } while (0)

static void teardown_10_no_call_waits_for_a_dead_server(void) {
  recorder *self = recorder_for(dead_server);
  AT_ONCE(recorder_connect(self, TOKEN));
  dead_server_is_met();
  AT_ONCE(otc_session_send_signal(self->session, "type", "data"));
  AT_ONCE(otc_session_get_connection(self->session));
  AT_ONCE(recorder_disconnect(self));
  recorder_wait(self, "disconnected", 1);
  AT_ONCE(recorder_connect(self, TOKEN));
  dead_server_is_met();
  AT_ONCE(recorder_delete_session(self));
  free(self);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(teardown_01_a_failed_attempt_says_on_error_once_and_nothing_more),
      TEST(teardown_01_an_own_disconnect_says_on_disconnected_alone),
      TEST(teardown_01_a_removal_by_a_moderator_says_on_disconnected_alone),
      TEST(teardown_02_disconnect_is_told_in_time_when_connected),
      TEST(teardown_02_disconnect_is_told_in_time_while_a_dead_server_is_joined),
      TEST(teardown_02_disconnect_at_any_moment_of_a_join_is_told_once),
      TEST(teardown_03_every_function_may_be_called_from_every_callback),
      TEST(teardown_03_a_session_may_be_deleted_in_its_own_callback),
      TEST(teardown_04_no_callback_starts_after_delete),
      TEST(teardown_04_delete_waits_for_a_callback_that_runs),
      TEST(teardown_04_delete_waits_two_seconds_at_most),
      TEST(teardown_06_destroy_leaves_nothing_and_init_works_again),
      TEST(teardown_06_destroy_ends_what_lives_in_time_and_says_nothing),
      TEST(teardown_06_destroy_waits_five_seconds_at_most_for_a_callback),
      TEST(teardown_06_destroy_waits_five_seconds_at_most_for_what_a_thread_of_callbacks_ends),
      TEST(teardown_06_destroy_inside_a_callback_returns),
      TEST(teardown_06_exit_inside_a_callback_terminates),
      TEST(teardown_08_who_leaves_hears_nothing_of_the_others_and_they_hear_it),
      TEST(teardown_08_the_others_hear_it_when_delete_follows_at_once),
      TEST(teardown_10_no_call_waits_for_a_dead_server),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN"), BAD_TOKEN = given("TEST_BAD_TOKEN");
  flag_init(&hook_done), flag_init(&entered), flag_init(&release), flag_init(&left);
  start_dead_server();
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
