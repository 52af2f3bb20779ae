/*
 * Five processes with four sessions each on one hub, whose host is killed or frozen, again and again. Each survivor says
 * on_reconnection_started and then on_reconnected, and all come to know the same connections. And processes that come
 * and go without a pause, for none of which a connect may fail because the host ends or is killed right then.
 *
 * Longer runs: TEST_ROUNDS, TEST_FREEZE_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "otc_test.h"

#define PROCESSES 5
#define SESSIONS 4
/* Taking over takes less than a second; rejoining after a freeze may take the 15 s in which only a resumption is tried. */
#define CONVERGE_MAX_MS (60000 * slowness())

static int wish(const char *name, int usual) {
  const char *wish = getenv(name);
  return wish ? atoi(wish) : usual;
}

/* ---- A process of the crowd: tells each change on its standard output ---- */

#define ROSTER_MAX 64

typedef struct member {
  int number;
  int started, reconnected;
  int count;
  char ids[ROSTER_MAX][64];
  char own[64];
} member;

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static unsigned long long hash(const char *text) {
  unsigned long long value = 14695981039346656037ull;
  for (; *text; text++) value = (value ^ (unsigned char)*text) * 1099511628211ull;
  return value;
}

/* One line: what happened, and the whole roster as a number and a sum that is the same for everybody who knows the same. */
static void tell(member *self, const char *event) {
  char line[256];
  unsigned long long sum = hash(self->own);
  for (int i = 0; i < self->count; i++) sum += hash(self->ids[i]);
  int size = snprintf(line, sizeof line, "%d %d %llu %s\n", self->number, self->count + 1, sum, event);
  pthread_mutex_lock(&telling);
  CHECK_EQUAL(write(STDOUT_FILENO, line, (size_t)size), size);
  pthread_mutex_unlock(&telling);
}

static void learn_own_id(member *self, otc_session *session) {
  snprintf(self->own, sizeof self->own, "%s", otc_connection_get_id(otc_session_get_connection(session)));
}

static void on_connected(otc_session *s, void *u) {
  learn_own_id((member *)u, s);
  tell((member *)u, "connected");
}
static void on_started(otc_session *s, void *u) {
  member *self = (member *)u;
  (void)s;
  CHECK_EQUAL(self->started, self->reconnected); /* one start, one end */
  self->started++;
  tell(self, "started");
}
static void on_reconnected(otc_session *s, void *u) {
  member *self = (member *)u;
  self->reconnected++;
  CHECK_EQUAL(self->started, self->reconnected);
  learn_own_id(self, s);
  tell(self, "reconnected");
}
static void on_created(otc_session *s, void *u, const otc_connection *c) {
  member *self = (member *)u;
  const char *id = otc_connection_get_id(c);
  (void)s;
  for (int i = 0; i < self->count; i++) CHECK(strcmp(self->ids[i], id)); /* nobody is announced twice */
  CHECK(self->count < ROSTER_MAX);
  snprintf(self->ids[self->count++], sizeof self->ids[0], "%s", id);
  tell(self, "created");
}
static void on_dropped(otc_session *s, void *u, const otc_connection *c) {
  member *self = (member *)u;
  const char *id = otc_connection_get_id(c);
  (void)s;
  int i = 0;
  while (i < self->count && strcmp(self->ids[i], id)) i++;
  CHECK(i < self->count); /* only who was announced goes */
  memmove(self->ids[i], self->ids[self->count - 1], sizeof self->ids[0]), self->count--;
  tell(self, "dropped");
}
static void on_error(otc_session *s, void *u, const char *text, enum otc_session_error_code code) {
  (void)s;
  fprintf(stderr, "session %d of %d: error %d: %s\n", ((member *)u)->number, getpid(), (int)code, text);
  tell((member *)u, "error");
}
static void on_disconnected(otc_session *s, void *u) {
  (void)s;
  tell((member *)u, "disconnected");
}

static int crowd_member(void) {
  static member members[SESSIONS];
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* none outlives the test */
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (int i = 0; i < SESSIONS; i++) {
    struct otc_session_callbacks callbacks = {0};
    callbacks.on_connected = on_connected, callbacks.on_disconnected = on_disconnected;
    callbacks.on_connection_created = on_created, callbacks.on_connection_dropped = on_dropped;
    callbacks.on_reconnection_started = on_started, callbacks.on_reconnected = on_reconnected;
    callbacks.on_error = on_error;
    callbacks.user_data = &members[i];
    members[i].number = i;
    otc_session *session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
    CHECK_EQUAL(otc_session_connect(session, given("TEST_TOKEN")), OTC_SUCCESS);
  }
  char word;
  while (read(STDIN_FILENO, &word, 1) != 0) continue; /* until the test closes its end */
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return 0;
}

/* ---- A process that comes and goes without a pause ---- */

static flag is_gone;

static void on_knocker_connected(otc_session *s, void *u) {
  tell((member *)u, "connected");
  CHECK_EQUAL(otc_session_disconnect(s), OTC_SUCCESS);
}
static void on_knocker_disconnected(otc_session *s, void *u) {
  (void)s, (void)u;
  flag_set(&is_gone);
}
static void on_knocker_error(otc_session *s, void *u, const char *text, enum otc_session_error_code code) {
  on_error(s, u, text, code);
  flag_set(&is_gone);
}

static int knocker(void) {
  static member self;
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_knocker_connected, callbacks.on_disconnected = on_knocker_disconnected;
  callbacks.on_error = on_knocker_error;
  callbacks.user_data = &self;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  struct pollfd words = {STDIN_FILENO, POLLIN, 0};
  while (poll(&words, 1, 0) == 0) { /* until the test closes its end */
    flag_init(&is_gone);
    otc_session *session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
    CHECK_EQUAL(otc_session_connect(session, given("TEST_TOKEN")), OTC_SUCCESS);
    CHECK(flag_wait(&is_gone, PATIENCE_MS));
    CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return 0;
}

/* ---- The one that watches and kills ---- */

typedef struct view {
  int count, connected, started, reconnected, failed;
  unsigned long long sum;
} view;

typedef struct process {
  pid_t pid;
  int words, events;
  char line[512];
  size_t filled;
  view sessions[SESSIONS];
} process;

static process crowd[PROCESSES];

static void start(process *self, const char *role) {
  int words[2], events[2];
  CHECK_EQUAL(pipe2(words, O_CLOEXEC) | pipe2(events, O_CLOEXEC), 0);
  memset(self, 0, sizeof *self);
  self->words = words[1], self->events = events[0];
  self->pid = fork();
  CHECK(self->pid >= 0);
  if (self->pid == 0) {
    dup2(words[0], STDIN_FILENO), dup2(events[1], STDOUT_FILENO);
    execl("/proc/self/exe", "takeover", role, (char *)NULL);
    _exit(127);
  }
  close(words[0]), close(events[1]);
}

static void understand(process *self, const char *line) {
  int number, count;
  unsigned long long sum;
  char event[32];
  CHECK_EQUAL(sscanf(line, "%d %d %llu %31s", &number, &count, &sum, event), 4);
  view *view = &self->sessions[number];
  view->count = count, view->sum = sum;
  view->connected += !strcmp(event, "connected");
  view->started += !strcmp(event, "started");
  view->reconnected += !strcmp(event, "reconnected");
  view->failed += !strcmp(event, "error") || !strcmp(event, "disconnected");
}

static void listen_to_all(int ms) {
  struct pollfd ends[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) ends[i] = (struct pollfd){crowd[i].events, POLLIN, 0};
  poll(ends, PROCESSES, ms);
  for (int i = 0; i < PROCESSES; i++) {
    process *self = &crowd[i];
    if (!(ends[i].revents & POLLIN)) continue;
    ssize_t size = read(self->events, self->line + self->filled, sizeof self->line - self->filled - 1);
    if (size <= 0) continue;
    self->filled += (size_t)size, self->line[self->filled] = 0;
    for (char *end; (end = strchr(self->line, '\n'));) {
      *end = 0;
      understand(self, self->line);
      self->filled -= (size_t)(end + 1 - self->line);
      memmove(self->line, end + 1, self->filled + 1);
    }
  }
}

static int agree(void) {
  for (int i = 0; i < PROCESSES; i++) {
    for (int k = 0; k < SESSIONS; k++) {
      view *view = &crowd[i].sessions[k];
      if (view->count != PROCESSES * SESSIONS || view->sum != crowd[0].sessions[0].sum) return 0;
      if (view->started != view->reconnected) return 0;
    }
  }
  return 1;
}

static long long converge(const char *after) {
  long long begin = now_ms();
  while (!agree()) {
    listen_to_all(100);
    if (now_ms() - begin < CONVERGE_MAX_MS) continue;
    fprintf(stderr, "after %s they do not agree:\n", after);
    for (int i = 0; i < PROCESSES * SESSIONS; i++) {
      view *view = &crowd[i / SESSIONS].sessions[i % SESSIONS];
      fprintf(stderr, "  process %d session %d: knows %d (%016llx), %d started, %d reconnected, %d failed\n",
              (int)crowd[i / SESSIONS].pid, i % SESSIONS, view->count, view->sum, view->started, view->reconnected,
              view->failed);
    }
    _exit(1);
  }
  for (int i = 0; i < PROCESSES * SESSIONS; i++) CHECK_EQUAL(crowd[i / SESSIONS].sessions[i % SESSIONS].failed, 0);
  return now_ms() - begin;
}

/* Who hosts: the kernel knows who holds the lock. */
static process *host(void) {
  char path[400];
  snprintf(path, sizeof path, "%s/openotc/hub-1.lock", given("XDG_RUNTIME_DIR"));
  int lock = open(path, O_RDWR | O_CLOEXEC);
  CHECK(lock >= 0);
  struct flock holder = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  CHECK_EQUAL(fcntl(lock, F_GETLK, &holder), 0);
  close(lock);
  for (int i = 0; i < PROCESSES; i++) {
    if (holder.l_type != F_UNLCK && crowd[i].pid == holder.l_pid) return &crowd[i];
  }
  fprintf(stderr, "nobody hosts the hub\n"), _exit(1);
}

typedef enum death { KILLED, ENDED } death;

/* At once: the new one takes part in the race for the place. */
static void replace(process *victim, const char *role, death death) {
  if (death == KILLED) kill(victim->pid, SIGKILL);
  close(victim->words);
  CHECK_EQUAL(waitpid(victim->pid, NULL, 0), victim->pid);
  close(victim->events);
  start(victim, role);
}

static void gather(void) {
  for (int i = 0; i < PROCESSES; i++) start(&crowd[i], "crowd_member");
  fprintf(stderr, "together after %lld ms\n", converge("the start"));
}

static void disperse(void) {
  for (int i = 0; i < PROCESSES; i++) close(crowd[i].words);
  for (int i = 0; i < PROCESSES; i++) {
    int status;
    CHECK_EQUAL(waitpid(crowd[i].pid, &status, 0), crowd[i].pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(crowd[i].events);
  }
}

static int started(void) {
  int sum = 0;
  for (int i = 0; i < PROCESSES * SESSIONS; i++) sum += crowd[i / SESSIONS].sessions[i % SESSIONS].started;
  return sum;
}

static void hosts_that_are_killed_are_followed_by_others(void) {
  gather();
  for (int round = 0; round < wish("TEST_ROUNDS", 5); round++) {
    process *victim = host();
    int before[PROCESSES][SESSIONS];
    for (int i = 0; i < PROCESSES * SESSIONS; i++) {
      before[i / SESSIONS][i % SESSIONS] = crowd[i / SESSIONS].sessions[i % SESSIONS].started;
    }
    replace(victim, "crowd_member", KILLED);
    fprintf(stderr, "together again after %lld ms\n", converge("a kill"));
    for (int i = 0; i < PROCESSES; i++) {
      for (int k = 0; &crowd[i] != victim && k < SESSIONS; k++) {
        CHECK(crowd[i].sessions[k].started > before[i][k]); /* each survivor has said so */
      }
    }
  }
  disperse();
}

/* Shorter than the patience of the clients, whose pings go unanswered meanwhile. */
#define FREEZE_MS 3000

static void a_host_that_is_frozen_for_a_moment_loses_nobody(void) {
  int ms = wish("TEST_FREEZE_MS", FREEZE_MS);
  gather();
  int before = started();
  for (int round = 0; round < wish("TEST_ROUNDS", 1); round++) {
    process *frozen = host();
    struct timespec a_while = {ms / 1000, ms % 1000 * 1000000L};
    kill(frozen->pid, SIGSTOP);
    nanosleep(&a_while, NULL); /* the length of the freeze, not a wait for something */
    kill(frozen->pid, SIGCONT);
    listen_to_all(500);
    fprintf(stderr, "together again after %lld ms, %d reconnections\n", converge("a freeze"), started() - before);
    if (ms <= FREEZE_MS) CHECK_EQUAL(started(), before);
  }
  disperse();
}

/* Until each has come in so many times more. */
static void wait_for_visits(int more) {
  long long begin = now_ms();
  int before[PROCESSES], missing;
  for (int i = 0; i < PROCESSES; i++) before[i] = crowd[i].sessions[0].connected;
  do {
    listen_to_all(100);
    missing = 0;
    for (int i = 0; i < PROCESSES; i++) {
      CHECK_EQUAL(crowd[i].sessions[0].failed, 0);
      missing += crowd[i].sessions[0].connected < before[i] + more;
    }
    CHECK(now_ms() - begin < CONVERGE_MAX_MS);
  } while (missing);
}

static void who_comes_while_the_host_ends_or_is_killed_comes_in_all_the_same(void) {
  for (int i = 0; i < PROCESSES; i++) start(&crowd[i], "knocker");
  for (int round = 0; round < wish("TEST_ROUNDS", 20); round++) {
    wait_for_visits(2);
    replace(host(), "knocker", round % 2 ? ENDED : KILLED);
  }
  wait_for_visits(2);
  disperse();
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(hosts_that_are_killed_are_followed_by_others),
      TEST(a_host_that_is_frozen_for_a_moment_loses_nobody),
      TEST(who_comes_while_the_host_ends_or_is_killed_comes_in_all_the_same),
      {0},
  };
  if (argc == 2 && !strcmp(argv[1], "crowd_member")) return crowd_member();
  if (argc == 2 && !strcmp(argv[1], "knocker")) return knocker();
  return run_test(argc, argv, tests);
}
