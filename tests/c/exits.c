/* How processes end and divide with the library in them: exit at bad moments, handlers of atexit, fork and exec. */
#include <signal.h>
#include <sys/wait.h>

#include "otc_test.h"

static const char *TOKEN, *OTHER_TOKEN;

/* A child that is not done by then hangs. Longer than the five seconds of otc_destroy. */
#define CHILD_MAX_MS (15000 * slowness())

static recorder *connected(const char *token) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  return self;
}

static void ends_with(pid_t child, int code) {
  long long deadline = now_ms() + CHILD_MAX_MS;
  int status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    struct timespec a_moment = {0, 2000000};
    if (now_ms() > deadline) {
      fprintf(stderr, "the child hangs\n");
      kill(child, SIGABRT), waitpid(child, &status, 0), _exit(1);
    }
    nanosleep(&a_moment, NULL);
  }
  if (!WIFEXITED(status)) fprintf(stderr, "the child was ended by signal %d\n", WTERMSIG(status)), _exit(1);
  CHECK_EQUAL(WEXITSTATUS(status), code);
}

/* Runs the scene in a process of its own, forked before the library has begun; it has to end by itself with code 7. */
static void in_a_process(void (*scene)(void)) {
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    scene();
    _exit(1); /* it should not come to this */
  }
  ends_with(child, 7);
}

static flag never, begun;
static recorder *at_exit_session;

static void wait_for_the_end(void) {
  flag_wait(&never, CHILD_MAX_MS + PATIENCE_MS);
  _exit(1);
}

/* ---- exit ---- */

static void hook_exit(recorder *self, const char *event) {
  (void)self;
  if (!strcmp(event, "connected")) exit(7);
}

static void exit_in_callback(void) {
  recorder *self = recorder_new(), *other = recorder_new();
  self->hook = hook_exit;
  recorder_connect(other, OTHER_TOKEN), recorder_connect(self, TOKEN);
  wait_for_the_end();
}

static void exit_in_callback_while_main_destroys(void) {
  recorder *self = recorder_new(), *other = recorder_new();
  self->hook = hook_exit;
  self->state = other->state = LAW_LEAVING;
  otc_session_connect(self->session, TOKEN), otc_session_connect(other->session, OTHER_TOKEN);
  otc_destroy(); /* at some moment of all that */
  _exit(7);      /* two threads in exit at once are no lawful program */
}

static void hook_signals(recorder *self, const char *event) {
  (void)event;
  flag_set(&begun);
  otc_session_send_signal(self->session, "again", "and again"); /* there is always a callback on its way */
}

static void *exits(void *ignored) {
  flag_wait(&begun, PATIENCE_MS);
  exit(7);
  return ignored;
}

static void exit_on_a_second_thread(void) {
  pthread_t thread;
  recorder *self = recorder_new();
  self->hook = hook_signals;
  recorder_connect(self, TOKEN);
  pthread_create(&thread, NULL, exits, NULL);
  wait_for_the_end();
}

static void returning_from_main_is_no_exit_at_a_bad_moment(void) {
  recorder *self = connected(TOKEN);
  self->state = LAW_LEAVING, self->strays = -EVENTS_MAX;
  otc_session_send_signal(self->session, "type", "data");
  exit(7);
}

static void exit_at_bad_moments_terminates(void) {
  in_a_process(exit_in_callback);
  in_a_process(exit_in_callback_while_main_destroys);
  in_a_process(exit_on_a_second_thread);
  in_a_process(returning_from_main_is_no_exit_at_a_bad_moment);
}

/* ---- atexit ---- */

static void at_exit_delete(void) {
  at_exit_session->state = LAW_LEAVING, at_exit_session->strays = -EVENTS_MAX;
  CHECK_EQUAL(otc_session_delete(at_exit_session->session), OTC_SUCCESS);
}
static void at_exit_destroy(void) {
  at_exit_session->state = LAW_LEAVING, at_exit_session->strays = -EVENTS_MAX;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}
static void at_exit(recorder *self, void (*first)(void), void (*second)(void)) {
  at_exit_session = self;
  if (second) atexit(second); /* they run in reverse */
  atexit(first);
}

static void atexit_delete(void) { at_exit(connected(TOKEN), at_exit_delete, NULL), exit(7); }
static void atexit_destroy(void) { at_exit(connected(TOKEN), at_exit_destroy, NULL), exit(7); }
static void atexit_delete_and_destroy(void) { at_exit(connected(TOKEN), at_exit_delete, at_exit_destroy), exit(7); }

static void exit_in_callback_with(void (*first)(void), void (*second)(void)) {
  recorder *self = recorder_new();
  self->hook = hook_exit;
  at_exit(self, first, second);
  recorder_connect(self, TOKEN);
  wait_for_the_end();
}
static void callback_atexit_delete(void) { exit_in_callback_with(at_exit_delete, NULL); }
static void callback_atexit_destroy(void) { exit_in_callback_with(at_exit_destroy, NULL); }
static void callback_atexit_both(void) { exit_in_callback_with(at_exit_delete, at_exit_destroy); }

static void on_line_that_exits(const char *message) {
  if (strstr(message, "this process serves")) exit(7);
}
static void logger_atexit_destroy(void) {
  otc_log_set_logger_callback(on_line_that_exits);
  otc_log_enable(OTC_LOG_LEVEL_INFO);
  at_exit(recorder_new(), at_exit_destroy, NULL);
  recorder_connect(at_exit_session, TOKEN);
  wait_for_the_end();
}

static void handlers_of_atexit_may_delete_and_destroy(void) {
  in_a_process(atexit_delete);
  in_a_process(atexit_destroy);
  in_a_process(atexit_delete_and_destroy);
}

static void so_they_may_when_exit_was_called_inside_a_callback(void) {
  in_a_process(callback_atexit_delete);
  in_a_process(callback_atexit_destroy);
  in_a_process(callback_atexit_both);
  in_a_process(logger_atexit_destroy);
}

/* ---- fork ---- */

static recorder *parents, *parents_other;

static void child_leaves(void) {}
static void child_execs(void) { execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL); }
static void child_exits(void) { exit(7); }
static void child_destroys(void) { CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); }
static void child_deletes(void) { otc_session_delete(parents->session); }
static void child_calls_everything(void) {
  char *issue = NULL;
  otc_session *s = parents->session;
  CHECK_EQUAL(otc_session_send_signal(s, "type", "from the child"), OTC_FATAL);
  CHECK(!otc_session_get_connection(s) && !otc_session_get_capabilities(s).publish);
  CHECK(otc_session_get_id(s) && !otc_session_get_user_data(s));
  CHECK_EQUAL(otc_session_disconnect(s), OTC_FATAL);
  CHECK_EQUAL(otc_session_connect(s, TOKEN), OTC_FATAL);
  CHECK_EQUAL(otc_session_delete(s), OTC_FATAL);
  CHECK_EQUAL(otc_session_report_issue(s, "none", &issue), OTC_FATAL);
  CHECK(!otc_session_new("key", given("TEST_SESSION"), &(struct otc_session_callbacks){0}));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_init(NULL), OTC_FATAL);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}
static void forked(void (*scene)(void)) {
  static int signals;
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) scene(), _exit(7);
  ends_with(child, 7);
  /* What the child did is not the parent's: its sessions go on. */
  CHECK_EQUAL(otc_session_send_signal(parents->session, "still", "here"), OTC_SUCCESS);
  recorder_wait(parents_other, "signal still", ++signals);
}

static void a_forked_child_ends_and_its_parent_goes_on(void) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  parents = connected(TOKEN), parents_other = connected(OTHER_TOKEN);
  recorder_wait(parents, "connection created two", 1);
  forked(child_leaves), forked(child_execs), forked(child_exits);
  forked(child_destroys), forked(child_deletes), forked(child_calls_everything);
  CHECK_EQUAL(recorder_count(parents, "connection dropped"), 0);
  CHECK_EQUAL(recorder_count(parents, "reconnection"), 0);
  recorder_delete(parents), recorder_delete(parents_other);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

/* A host that is killed while a child of it lives on: the child has copies of its ends of all links. */

static char word_from(int pipe) {
  char word = 0;
  CHECK_EQUAL(read(pipe, &word, 1), 1);
  return word;
}

static void hosts_and_forks(int commands, int answers) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  connected(TOKEN);
  CHECK_EQUAL(write(answers, "h", 1), 1);
  CHECK_EQUAL(word_from(commands), 'f');
  pid_t child = fork();
  CHECK(child >= 0);
  char word;
  if (child == 0) while (read(commands, &word, 1) > 0) continue; /* until the test closes its end */
  if (child == 0) _exit(7);
  CHECK_EQUAL(write(answers, "f", 1), 1);
  wait_for_the_end();
}

static void clients_of_a_host_that_is_killed_do_not_take_its_child_for_it(void) {
  enum { SOON_MS = 5000 }; /* a host that says nothing is given up later */
  int commands[2], answers[2];
  CHECK_EQUAL(pipe(commands) | pipe(answers), 0);
  pid_t host = fork();
  CHECK(host >= 0);
  if (host == 0) close(commands[1]), hosts_and_forks(commands[0], answers[1]);
  CHECK_EQUAL(word_from(answers[0]), 'h');
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *client = connected(OTHER_TOKEN);
  CHECK_EQUAL(write(commands[1], "f", 1), 1);
  CHECK_EQUAL(word_from(answers[0]), 'f');
  kill(host, SIGKILL), waitpid(host, NULL, 0);
  CHECK(recorder_wait(client, "reconnected", 1) <= SOON_MS * slowness());
  recorder_delete(client);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  close(commands[1]);
}

/* A fork at any moment: locks that another thread holds just then stay locked in the child for ever. */

static int must_stop;

static void *is_busy(void *ignored) {
  while (!__atomic_load_n(&must_stop, __ATOMIC_RELAXED)) {
    otc_session *session = otc_session_new("key", given("TEST_SESSION"), &(struct otc_session_callbacks){0});
    otc_session_connect(session, TOKEN), otc_session_get_connection(session), otc_session_delete(session);
  }
  return ignored;
}

static void a_fork_at_any_moment_does_not_hang_the_child(void) {
  pthread_t busy[3];
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  parents = connected(TOKEN), parents_other = connected(OTHER_TOKEN);
  for (int i = 0; i < 3; i++) CHECK_EQUAL(pthread_create(&busy[i], NULL, is_busy, NULL), 0);
  for (int round = 0; round < 100; round++) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) otc_session_send_signal(parents->session, "type", "data"), otc_destroy(), _exit(7);
    ends_with(child, 7);
  }
  __atomic_store_n(&must_stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 3; i++) pthread_join(busy[i], NULL);
  parents->state = parents_other->state = LAW_LEAVING, parents->strays = parents_other->strays = -EVENTS_MAX;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(exit_at_bad_moments_terminates),
      TEST(handlers_of_atexit_may_delete_and_destroy),
      TEST(so_they_may_when_exit_was_called_inside_a_callback),
      TEST(a_forked_child_ends_and_its_parent_goes_on),
      TEST(clients_of_a_host_that_is_killed_do_not_take_its_child_for_it),
      TEST(a_fork_at_any_moment_does_not_hang_the_child),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN");
  flag_init(&never), flag_init(&begun);
  return run_test(argc, argv, tests);
}
