/*
 * What the measuring programs share: a client whose callbacks are counted and timed, tokens, and what this process
 * holds. `CHECK`, flags and the counting of threads and descriptors are those of the tests.
 */
#ifndef OTC_BENCH_H
#define OTC_BENCH_H

#include <malloc.h>
#include <stdint.h>
#include <sys/resource.h>

#include "../tests/c/otc_test.h"

#define KEY "100042"

static inline long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Tells a number, or takes the default when there is no such argument. */
static inline long argument(int argc, char **argv, int index, long otherwise) {
  return index < argc ? strtol(argv[index], NULL, 10) : otherwise;
}

/* ---- Tokens ---- */

/*
 * A classic token of this key for this session, to be freed. The signature is made of zeros: the hub knows that its
 * clients are the same user, and checks signatures only where it has a secret.
 */
static inline char *token_of(const char *key, const char *session_id) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char text[512] = {0};
  long long now_s = (long long)time(NULL);
  int length = snprintf((char *)text, sizeof text - 3,
                        "partner_id=%s&sig=%040d:session_id=%s&create_time=%lld&expire_time=%lld&role=publisher", key,
                        0, session_id, now_s, now_s + 3600);
  CHECK(length > 0 && length < (int)sizeof text - 3);
  char *token = (char *)calloc(1, 5 + 4 * ((size_t)length / 3 + 1) + 1), *end = token + sprintf(token, "T1==");
  for (int i = 0; i < length; i += 3) {
    unsigned bits = (unsigned)text[i] << 16 | (unsigned)text[i + 1] << 8 | text[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) *end++ = digits[bits >> shift & 63];
  }
  for (int missing = (3 - length % 3) % 3; missing > 0; missing--) end[-missing] = '=';
  return token;
}

/* ---- A client: the user_data of a session ---- */

typedef struct client {
  otc_session *session;
  flag changed; /* its lock guards what follows */
  int connected, disconnected, errors, created, dropped, signals;
  long long connected_ns, disconnected_ns, dropped_ns, signal_ns; /* when the last one came */
  char error[96];                                                 /* what the last one said */
} client;

static inline void client_count(client *self, int *count, long long *when_ns) {
  long long now = now_ns();
  pthread_mutex_lock(&self->changed.lock);
  ++*count;
  if (when_ns) *when_ns = now;
  pthread_cond_broadcast(&self->changed.changed);
  pthread_mutex_unlock(&self->changed.lock);
}

/* Waits until the count is reached. */
static inline void client_wait(client *self, const int *count, int wanted) {
  struct timespec deadline = in_ms(PATIENCE_MS);
  pthread_mutex_lock(&self->changed.lock);
  while (*count < wanted) {
    if (pthread_cond_timedwait(&self->changed.changed, &self->changed.lock, &deadline) == 0) continue;
    fprintf(stderr, "waited in vain: %d connected, %d disconnected, %d created, %d dropped, %d signals, %d errors %s\n",
            self->connected, self->disconnected, self->created, self->dropped, self->signals, self->errors,
            self->error);
    _exit(1);
  }
  pthread_mutex_unlock(&self->changed.lock);
}

static inline void client_connected(otc_session *session, void *user_data) {
  client *self = (client *)user_data;
  (void)session, client_count(self, &self->connected, &self->connected_ns);
}
static inline void client_disconnected(otc_session *session, void *user_data) {
  client *self = (client *)user_data;
  (void)session, client_count(self, &self->disconnected, &self->disconnected_ns);
}
static inline void client_created(otc_session *session, void *user_data, const otc_connection *connection) {
  client *self = (client *)user_data;
  (void)session, (void)connection, client_count(self, &self->created, NULL);
}
static inline void client_dropped(otc_session *session, void *user_data, const otc_connection *connection) {
  client *self = (client *)user_data;
  (void)session, (void)connection, client_count(self, &self->dropped, &self->dropped_ns);
}
static inline void client_signal(otc_session *session, void *user_data, const char *type, const char *data,
                                 const otc_connection *connection) {
  client *self = (client *)user_data;
  (void)session, (void)type, (void)data, (void)connection, client_count(self, &self->signals, &self->signal_ns);
}
static inline void client_error(otc_session *session, void *user_data, const char *text,
                                enum otc_session_error_code error) {
  client *self = (client *)user_data;
  (void)session, snprintf(self->error, sizeof self->error, "%d: %s", (int)error, text);
  client_count(self, &self->errors, NULL);
}

static inline struct otc_session_callbacks client_callbacks(client *self) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = client_connected;
  callbacks.on_disconnected = client_disconnected;
  callbacks.on_connection_created = client_created;
  callbacks.on_connection_dropped = client_dropped;
  callbacks.on_signal_received = client_signal;
  callbacks.on_error = client_error;
  callbacks.user_data = self;
  return callbacks;
}

static inline void client_init(client *self, const char *session_id) {
  memset(self, 0, sizeof *self);
  flag_init(&self->changed);
  struct otc_session_callbacks callbacks = client_callbacks(self);
  self->session = otc_session_new(KEY, session_id, &callbacks);
  CHECK(self->session);
}

/* Connects, and waits until it is connected. */
static inline void client_connect(client *self, const char *token) {
  int wanted = self->connected + 1; /* before the call: the callback may be faster than its return */
  CHECK_EQUAL(otc_session_connect(self->session, token), OTC_SUCCESS);
  client_wait(self, &self->connected, wanted);
  CHECK_EQUAL(self->errors, 0);
}

static inline void client_disconnect(client *self) {
  int wanted = self->disconnected + 1;
  CHECK_EQUAL(otc_session_disconnect(self->session), OTC_SUCCESS);
  client_wait(self, &self->disconnected, wanted);
}

static inline void client_end(client *self) {
  CHECK_EQUAL(otc_session_delete(self->session), OTC_SUCCESS);
  pthread_mutex_destroy(&self->changed.lock), pthread_cond_destroy(&self->changed.changed);
}

/* ---- What this process holds ---- */

typedef struct holding {
  int threads, descriptors;
  size_t objects;     /* handles */
  long long in_use;   /* bytes that malloc has given out */
  long long resident; /* bytes, as the kernel counts them */
} holding;

static inline long long resident(void) {
  long long pages = 0, total = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%lld %lld", &total, &pages) == 2);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

/* `objects` is 0 where the library is loaded at run time. */
static inline holding held(size_t objects) {
  holding now = {threads(), descriptors(), objects, (long long)mallinfo2().uordblks, resident()};
  return now;
}

/* As `held`, when what ends on its own has ended: nothing was counted differently for a while. */
static inline holding settled(size_t (*objects)(void)) {
  holding before = held(0);
  int unchanged = 0;
  for (long long deadline = now_ms() + PATIENCE_MS; unchanged < 20 && now_ms() < deadline; usleep(5000)) {
    holding now = held(objects ? objects() : 0);
    int is_same = now.descriptors == before.descriptors && now.threads == before.threads && now.objects == before.objects;
    unchanged = is_same ? unchanged + 1 : 0;
    before = now;
  }
  return before;
}

static inline void print_holding(const char *when, const holding *now) {
  printf("%-8s %3d threads %5d descriptors %5zu objects %9.1f kB in use %9.1f kB resident\n", when, now->threads,
         now->descriptors, now->objects, (double)now->in_use / 1e3, (double)now->resident / 1e3);
}

/* Checks growth against a limit unless it is 0. Resident memory may grow by more: the allocator keeps some for later. */
static inline void check_growth(double in_use, double resident, long limit) {
  CHECK(limit == 0 || (in_use < (double)limit && resident < 5 * (double)limit));
}

/* Threads, descriptors and objects are back to what they were, or fewer: what was being freed when they were first counted
 * is none of the growth. For what ends a moment later there is patience. */
static inline void check_back(const holding *before, size_t (*objects)(void)) {
  long long deadline = now_ms() + PATIENCE_MS;
  for (;;) {
    holding now = held(objects ? objects() : 0);
    if (now.threads <= before->threads && now.descriptors <= before->descriptors && now.objects <= before->objects)
      return;
    if (now_ms() > deadline) {
      print_holding("before", before), print_holding("now", &now);
      fprintf(stderr, "not everything has gone\n");
      _exit(1);
    }
    usleep(1000);
  }
}

/* ---- Percentiles ---- */

static inline int by_size(const void *a, const void *b) {
  long long left = *(const long long *)a, right = *(const long long *)b;
  return (left > right) - (left < right);
}

/* Prints the median and the 99th percentile in milliseconds, and checks them against goals unless these are 0. */
static inline void print_times(const char *what, long long *times_ns, long count, double p50_max_ms,
                               double p99_max_ms) {
  qsort(times_ns, (size_t)count, sizeof *times_ns, by_size);
  double p50_ms = (double)times_ns[count / 2] / 1e6, p99_ms = (double)times_ns[count * 99 / 100] / 1e6;
  int is_met = (p50_max_ms == 0 || p50_ms < p50_max_ms) && (p99_max_ms == 0 || p99_ms < p99_max_ms);
  printf("%-52s p50 %7.3f ms   p99 %7.3f ms   max %8.3f ms%s\n", what, p50_ms, p99_ms,
         (double)times_ns[count - 1] / 1e6, is_met ? "" : "   GOAL MISSED");
}

#endif
