/*
 * How long a program on the hub waits.
 *
 *   benches/run latency 1000
 *
 * Measured from the call to the first line of the callback, one client at a time in a room with one observer. The
 * observer sits in this process, which hosts the hub, and then in another one. Goals stand beside the figures.
 */
#include <sys/wait.h>

#include "bench.h"

#define SESSION "latency"

/* ---- The observer: tells through a pipe when it has seen somebody come or go ---- */

static int reports[2];

static void report(otc_session *session, void *user_data, const otc_connection *connection) {
  long long now = now_ns();
  (void)session, (void)user_data, (void)connection;
  CHECK(write(reports[1], &now, sizeof now) == sizeof now);
}

static long long reported(void) {
  long long then = 0;
  CHECK(read(reports[0], &then, sizeof then) == sizeof then);
  return then;
}

static void report_connected(otc_session *session, void *user_data) { report(session, user_data, NULL); }

static otc_session *observe(const char *token) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = report_connected;
  callbacks.on_connection_created = report;
  callbacks.on_connection_dropped = report;
  otc_session *session = otc_session_new(KEY, SESSION, &callbacks);
  CHECK(session);
  CHECK_EQUAL(otc_session_connect(session, token), OTC_SUCCESS);
  return session;
}

/* ---- The measuring ---- */

static void measure(const char *where, const char *token, long count) {
  size_t size = (size_t)count * sizeof(long long);
  long long *connect = malloc(size), *disconnect = malloc(size), *come = malloc(size), *leave = malloc(size),
            *signal = malloc(size), *delete = malloc(size);
  for (long i = -10; i < count; i++) { /* the first few warm everything up */
    client client;
    client_init(&client, SESSION);
    long long start = now_ns();
    client_connect(&client, token);
    long long seen = reported();
    long long connected = client.connected_ns - start, came = seen - start;
    start = now_ns();
    CHECK_EQUAL(otc_session_send_signal(client.session, "type", "data"), OTC_SUCCESS);
    client_wait(&client, &client.signals, 1);
    long long signalled = client.signal_ns - start;
    start = now_ns();
    client_disconnect(&client);
    seen = reported();
    long long disconnected = client.disconnected_ns - start, left = seen - start;
    start = now_ns();
    client_end(&client);
    long long deleted = now_ns() - start;
    if (i < 0) continue;
    connect[i] = connected, disconnect[i] = disconnected, come[i] = came, leave[i] = left;
    signal[i] = signalled, delete[i] = deleted;
  }
  printf("observer in %s, %ld rounds\n", where, count);
  print_times("  connect -> on_connected (p50 < 5)", connect, count, 5, 0);
  print_times("  connect -> the other's on_connection_created", come, count, 0, 0);
  print_times("  disconnect -> on_disconnected (p99 < 5)", disconnect, count, 0, 5);
  print_times("  disconnect -> the other's on_connection_dropped (20)", leave, count, 0, 20);
  print_times("  signal -> the own on_signal_received", signal, count, 0, 0);
  print_times("  delete after on_disconnected", delete, count, 0, 0);
  free(connect), free(disconnect), free(come), free(leave), free(signal), free(delete);
}

/* ---- A signal to another client and its answer ---- */

static void echo(otc_session *session, void *user_data, const char *type, const char *data,
                 const otc_connection *from) {
  (void)user_data;
  if (from && !strcmp(type, "ask")) CHECK_EQUAL(otc_session_send_signal_to_connection(session, "answer", data, from), OTC_SUCCESS);
}

static otc_session *answer(const char *token) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = report_connected;
  callbacks.on_signal_received = echo;
  otc_session *session = otc_session_new(KEY, SESSION, &callbacks);
  CHECK(session);
  CHECK_EQUAL(otc_session_connect(session, token), OTC_SUCCESS);
  return session;
}

static void answered(otc_session *session, void *user_data, const char *type, const char *data,
                     const otc_connection *from) {
  if (!strcmp(type, "answer")) client_signal(session, user_data, type, data, from);
}

static void measure_round_trip(const char *where, const char *token, long count) {
  client client;
  client_init(&client, SESSION);
  CHECK_EQUAL(otc_session_delete(client.session), OTC_SUCCESS);
  struct otc_session_callbacks callbacks = client_callbacks(&client);
  callbacks.on_signal_received = answered;
  client.session = otc_session_new(KEY, SESSION, &callbacks);
  client_connect(&client, token);
  long long *times = malloc((size_t)count * sizeof *times);
  for (long i = 0; i < count; i++) {
    long long start = now_ns();
    CHECK_EQUAL(otc_session_send_signal(client.session, "ask", "data"), OTC_SUCCESS);
    client_wait(&client, &client.signals, (int)i + 1);
    times[i] = client.signal_ns - start;
  }
  client_end(&client);
  char what[64];
  snprintf(what, sizeof what, "signal to %s and back", where);
  print_times(what, times, count, 0, 0);
  free(times);
}

/* ---- Another process ---- */

/* Runs a session in another process until `end_other` is called. */
static pid_t other(otc_session *(*run)(const char *), const char *token, int end[2]) {
  CHECK(pipe(end) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) {
    close(end[0]);
    reported();
    return child;
  }
  close(end[1]);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_session *session = run(token);
  char byte;
  CHECK(read(end[0], &byte, 1) == 0);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  _exit(0);
}

static void end_other(pid_t child, int end[2]) {
  int status = 0;
  close(end[1]);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  long count = argument(argc, argv, 1, 1000);
  char *token = token_of(KEY, SESSION);
  int end[2];
  CHECK(pipe(reports) == 0);

  /* Other processes come first: a process that has threads should not fork. They host the hub then. */
  pid_t child = other(observe, token, end);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  measure("another process, which hosts the hub", token, count);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  end_other(child, end);

  child = other(answer, token, end);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  measure_round_trip("another process", token, count);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  end_other(child, end);

  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_session *session = observe(token);
  reported();
  measure("this process, which hosts the hub", token, count);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  session = answer(token);
  reported();
  measure_round_trip("another client of this process", token, count);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(token);
  return 0;
}
