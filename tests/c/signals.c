/* Signals of the system: which threads they may find, and that those of the program are enough. */
#include <signal.h>
#include <sys/syscall.h>

#include "media.h"

static unsigned long long bit(int number) { return 1ULL << (number - 1); }

/* What a thread of this process holds back, and its name. False when it has ended meanwhile. */
static int look_at(const char *thread, char name[32], unsigned long long *held) {
  char path[64], line[256];
  int has_name = 0, has_mask = 0;
  snprintf(path, sizeof path, "/proc/self/task/%.16s/status", thread);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  while (fgets(line, sizeof line, file)) {
    has_name += sscanf(line, "Name: %31s", name) == 1;
    has_mask += sscanf(line, "SigBlk: %llx", held) == 1;
  }
  fclose(file);
  return has_name && has_mask;
}

/* How many threads have this name. Each of them has to hold back what `held` says, bit for bit where `all` does. */
static int check_threads(const char *name, unsigned long long all, unsigned long long held) {
  int count = 0;
  DIR *directory = opendir("/proc/self/task");
  CHECK(directory);
  for (struct dirent *entry; (entry = readdir(directory));) {
    char found[32];
    unsigned long long mask;
    if (entry->d_name[0] == '.' || !look_at(entry->d_name, found, &mask) || strcmp(found, name)) continue;
    if ((mask & all) != held) fprintf(stderr, "%s holds back %llx\n", name, mask), _exit(1);
    count++;
  }
  closedir(directory);
  return count;
}

static void threads_that_never_run_the_programs_code_hold_signals_back_and_the_others_do_not(void) {
  sigset_t own;
  sigemptyset(&own), sigaddset(&own, SIGUSR2);
  CHECK_EQUAL(pthread_sigmask(SIG_BLOCK, &own, NULL), 0);
  device *device = device_use();
  call call = call_begun();
  unsigned long long sent = bit(SIGINT) | bit(SIGTERM) | bit(SIGHUP) | bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGALRM) | bit(SIGCHLD),
                     caused = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGPROF);
  CHECK(check_threads("otc-runtime", sent | caused, sent) > 0);
  const char *programs[] = {"otc-callbacks", "otc-encoder", "otc-decoder", "otc-device"};
  for (int i = 0; i < 4; i++) CHECK(check_threads(programs[i], sent | caused, bit(SIGUSR2)) > 0);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static volatile pid_t handled_by;
static volatile sig_atomic_t times_handled;

static void on_signal(int number) {
  (void)number;
  handled_by = (pid_t)syscall(SYS_gettid);
  times_handled++;
}

static void hold_back(int how) {
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGUSR1);
  CHECK_EQUAL(pthread_sigmask(how, &set, NULL), 0);
}

static flag holds_back;

static void hold_back_in_callbacks(recorder *self, const char *event) {
  (void)self;
  if (strcmp(event, "connected")) return;
  hold_back(SIG_BLOCK);
  flag_set(&holds_back);
}

/* The program's threads hold it back, and the thread for callbacks does, by the program's own hand. */
static void a_signal_that_the_programs_threads_hold_back_is_not_handled_behind_their_back(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *self = recorder_new();
  self->hook = hold_back_in_callbacks;
  flag_init(&holds_back);
  hold_back(SIG_BLOCK);
  CHECK_EQUAL(recorder_connect(self, given("TEST_TOKEN")), OTC_SUCCESS);
  CHECK(flag_wait(&holds_back, PATIENCE_MS));
  for (int round = 1; round <= 20; round++) {
    handled_by = 0;
    CHECK_EQUAL(kill(getpid(), SIGUSR1), 0);
    /* Through the library's threads and back: each of them had the time to take it. */
    CHECK_EQUAL(otc_session_send_signal(self->session, "round", "trip"), OTC_SUCCESS);
    recorder_wait(self, "signal round", round);
    CHECK_EQUAL(handled_by, 0);
    hold_back(SIG_UNBLOCK); /* it comes before this returns */
    CHECK_EQUAL(handled_by, getpid());
    CHECK_EQUAL(times_handled, round);
    hold_back(SIG_BLOCK);
  }
  recorder_delete(self);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(threads_that_never_run_the_programs_code_hold_signals_back_and_the_others_do_not),
      TEST(a_signal_that_the_programs_threads_hold_back_is_not_handled_behind_their_back),
      {0},
  };
  return run_test(argc, argv, tests);
}
