/* Too few descriptors, too few threads, and signals at every moment: codes or on_error, never a crash or a hang. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "otc_test.h"

static const char *TOKEN, *OTHER_TOKEN;

/* The time a connect takes to fail, with room for a busy machine. */
#define ATTEMPT_MAX_MS (15000 * slowness())

static recorder *connected(const char *token) {
  recorder *self = recorder_new();
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  recorder_wait(self, "connected", 1);
  return self;
}

static void limit(int resource, rlim_t soft) {
  struct rlimit limit;
  CHECK_EQUAL(getrlimit(resource, &limit), 0);
  limit.rlim_cur = soft;
  CHECK_EQUAL(setrlimit(resource, &limit), 0);
}

/* A whole life with so little: what happens is the library's choice among codes, on_error and success. */
static void a_life(void) {
  if (otc_init(NULL) == OTC_SUCCESS) {
    recorder *self = recorder_new();
    otc_status status = recorder_connect(self, TOKEN);
    if (status == OTC_SUCCESS) {
      long long deadline = now_ms() + ATTEMPT_MAX_MS;
      while (now_ms() < deadline && !recorder_count(self, "connected") && !recorder_count(self, "error")) {
        struct timespec a_moment = {0, 1000000};
        nanosleep(&a_moment, NULL);
      }
      CHECK(recorder_count(self, "connected") || recorder_count(self, "error"));
    } else {
      CHECK_EQUAL(status, OTC_FATAL);
    }
    recorder_delete(self);
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

/* ---- Descriptors ---- */

static void every_number_of_descriptors_left_is_lived_with(void) {
  int free_descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(free_descriptor);
  for (int left = 0; left <= 24; left++) {
    limit(RLIMIT_NOFILE, (rlim_t)(free_descriptor + left));
    a_life();
    limit(RLIMIT_NOFILE, 256);
  }
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder_delete(connected(TOKEN)); /* nothing is broken for good */
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK_EQUAL(after, free_descriptor); /* and nothing was lost */
  close(after);
}

static void a_host_without_descriptors_goes_on_when_there_are_some(void) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *one = connected(TOKEN);
  limit(RLIMIT_NOFILE, 3);
  recorder *two = recorder_new();
  CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
  recorder_wait(two, "error", 1);
  otc_session_send_signal(one->session, "type", "data");
  limit(RLIMIT_NOFILE, 256);
  CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
  recorder_wait(two, "connected", 1);
  recorder_wait(one, "connection created two", 1);
  CHECK_EQUAL(recorder_count(one, "reconnection"), 0);
  recorder_delete(one), recorder_delete(two);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

/* ---- Threads ---- */

/* A user that nobody is, so that only this process counts. */
#define NOBODYS_UID 64321

/* The limit on threads binds everybody but root. */
static void become_nobody(void) {
  if (getuid() != 0) return;
  char command[400];
  snprintf(command, sizeof command, "chown -R %d '%s'", NOBODYS_UID, given("XDG_RUNTIME_DIR"));
  CHECK_EQUAL(system(command), 0);
  CHECK_EQUAL(syscall(SYS_setresuid, NOBODYS_UID, NOBODYS_UID, NOBODYS_UID), 0);
}

static void every_number_of_threads_left_is_lived_with(void) {
  int was_root = getuid() == 0;
  become_nobody();
  /* Who is not root does not know how many threads the user has: none is all that can be tried. */
  for (int left = 0; left <= (was_root ? 8 : 0); left++) {
    limit(RLIMIT_NPROC, (rlim_t)(1 + left));
    a_life();
    only_this_thread_is_left();
  }
}

/* ---- Signals ---- */

static _Atomic int storms; /* any thread may get one */

static void on_signal(int number) { (void)number, storms++; }

static void a_storm_of_signals_disturbs_nothing(void) {
  struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: every call that waits is interrupted */
  struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  CHECK_EQUAL(sigaction(SIGALRM, &action, NULL), 0);
  CHECK_EQUAL(setitimer(ITIMER_REAL, &often, NULL), 0);
  for (int round = 0; round < 10; round++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    recorder *one = connected(TOKEN), *two = connected(OTHER_TOKEN);
    CHECK_EQUAL(otc_session_send_signal(one->session, "type", "data"), OTC_SUCCESS);
    recorder_wait(two, "signal type", 1);
    CHECK_EQUAL(recorder_disconnect(two), OTC_SUCCESS);
    recorder_wait(two, "disconnected", 1);
    recorder_wait(one, "connection dropped two", 1);
    CHECK_EQUAL(recorder_count(one, "reconnection"), 0);
    recorder_delete(one), recorder_delete(two);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
    only_this_thread_is_left();
  }
  CHECK_EQUAL(setitimer(ITIMER_REAL, &never, NULL), 0);
  CHECK(storms > 0);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(every_number_of_descriptors_left_is_lived_with),
      TEST(a_host_without_descriptors_goes_on_when_there_are_some),
      TEST(every_number_of_threads_left_is_lived_with),
      TEST(a_storm_of_signals_disturbs_nothing),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN");
  limit(RLIMIT_NOFILE, 256);
  return run_test(argc, argv, tests);
}
