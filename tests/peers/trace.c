/* One session, steered by lines on standard input; every callback is one line on standard output.
 *
 *   trace API_KEY SESSION_ID
 *
 *   connect TOKEN              disconnect             delete
 *   signal TYPE DATA           signal_to NAME TYPE DATA
 *   remove NAME
 *
 * In the environment: TRACE_PROXY, the URL of a proxy, and TRACE_MIGRATES, for session migration.
 *
 * Other clients are printed by their connection data, which the tests choose, and not by their ids, which nobody can foresee:
 * so the output can be compared word for word. A call that does not return 0 prints its code. End of input: destroy and exit.
 */
#include <opentok.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OTHERS_MAX = 16, LINE_MAX_BYTES = 16384 };

/* The clients that are there now: written by callbacks, read by the main thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static otc_connection* others[OTHERS_MAX];

static void say(const char* line) {
  puts(line);
  fflush(stdout);
}

static const char* name_of(const otc_connection* connection) {
  return connection == NULL ? "nobody" : otc_connection_get_data(connection);
}

static void on_connected(otc_session* session, void* user_data) {
  (void)user_data;
  printf("on_connected as %s\n", name_of(otc_session_get_connection(session)));
  fflush(stdout);
}

static void on_disconnected(otc_session* session, void* user_data) {
  (void)session;
  (void)user_data;
  say("on_disconnected");
}

static void on_connection_created(otc_session* session, void* user_data, const otc_connection* connection) {
  (void)session;
  (void)user_data;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < OTHERS_MAX; i++) {
    if (others[i] == NULL) {
      others[i] = otc_connection_copy(connection);
      break;
    }
  }
  pthread_mutex_unlock(&lock);
  printf("on_connection_created %s\n", name_of(connection));
  fflush(stdout);
}

static void on_connection_dropped(otc_session* session, void* user_data, const otc_connection* connection) {
  (void)session;
  (void)user_data;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < OTHERS_MAX; i++) {
    if (others[i] != NULL && strcmp(otc_connection_get_id(others[i]), otc_connection_get_id(connection)) == 0) {
      otc_connection_delete(others[i]);
      others[i] = NULL;
    }
  }
  pthread_mutex_unlock(&lock);
  printf("on_connection_dropped %s\n", name_of(connection));
  fflush(stdout);
}

static void on_signal_received(otc_session* session, void* user_data, const char* type, const char* signal,
                               const otc_connection* connection) {
  (void)session;
  (void)user_data;
  printf("on_signal_received %s %s from %s\n", type, signal, name_of(connection));
  fflush(stdout);
}

static void on_reconnection_started(otc_session* session, void* user_data) {
  (void)session;
  (void)user_data;
  say("on_reconnection_started");
}

static void on_reconnected(otc_session* session, void* user_data) {
  (void)session;
  (void)user_data;
  say("on_reconnected");
}

static void on_archive_started(otc_session* session, void* user_data, const char* archive_id, const char* name) {
  (void)session;
  (void)user_data;
  printf("on_archive_started %s '%s'\n", archive_id, name);
  fflush(stdout);
}

static void on_archive_stopped(otc_session* session, void* user_data, const char* archive_id) {
  (void)session;
  (void)user_data;
  printf("on_archive_stopped %s\n", archive_id);
  fflush(stdout);
}

static void on_error(otc_session* session, void* user_data, const char* error_string, enum otc_session_error_code error) {
  (void)session;
  (void)user_data;
  printf("on_error %d\n", (int)error);
  fflush(stdout);
  /* The sentence for people goes beside the trace: its words are free to change, its presence is not. */
  fprintf(stderr, "error_string: %s\n", error_string == NULL || *error_string == '\0' ? "MISSING" : error_string);
}

static void print_code(const char* call, otc_status status) {
  if (status != OTC_SUCCESS) {
    printf("%s = %d\n", call, (int)status);
    fflush(stdout);
  }
}

/* A copy, or NULL and a complaint. */
static otc_connection* other_of(const char* name) {
  otc_connection* other = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < OTHERS_MAX && other == NULL; i++) {
    if (others[i] != NULL && strcmp(name_of(others[i]), name) == 0) other = otc_connection_copy(others[i]);
  }
  pthread_mutex_unlock(&lock);
  if (other == NULL) say("nobody of that name");
  return other;
}

static void signal_to(otc_session* session, const char* name, const char* type, const char* data) {
  otc_connection* target = other_of(name);
  if (target == NULL) return;
  print_code("signal_to", otc_session_send_signal_to_connection(session, type, data, target));
  otc_connection_delete(target);
}

static void remove_other(otc_session* session, const char* name) {
  otc_connection* target = other_of(name);
  if (target == NULL) return;
  print_code("remove", otc_session_force_disconnect(session, target));
  otc_connection_delete(target);
}

static otc_session* session_of(const char* api_key, const char* session_id, const struct otc_session_callbacks* callbacks) {
  const char* proxy = getenv("TRACE_PROXY");
  otc_session_settings* settings = otc_session_settings_new();
  if (proxy != NULL) print_code("set_proxy_url", otc_session_settings_set_proxy_url(settings, proxy));
  otc_session_settings_set_session_migration(settings, getenv("TRACE_MIGRATES") != NULL);
  otc_session* session = otc_session_new_with_settings(api_key, session_id, callbacks, settings);
  otc_session_settings_delete(settings);
  return session;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: trace API_KEY SESSION_ID\n");
    return 2;
  }
  if (otc_init(NULL) != OTC_SUCCESS) return 1;
  struct otc_session_callbacks callbacks = {
      .on_connected = on_connected,
      .on_disconnected = on_disconnected,
      .on_connection_created = on_connection_created,
      .on_connection_dropped = on_connection_dropped,
      .on_signal_received = on_signal_received,
      .on_reconnection_started = on_reconnection_started,
      .on_reconnected = on_reconnected,
      .on_archive_started = on_archive_started,
      .on_archive_stopped = on_archive_stopped,
      .on_error = on_error,
  };
  otc_session* session = session_of(argv[1], argv[2], &callbacks);
  if (session == NULL) return 1;

  static char line[LINE_MAX_BYTES];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char* rest = line;
    const char* verb = strsep(&rest, " ");
    if (strcmp(verb, "connect") == 0) {
      print_code("connect", otc_session_connect(session, rest == NULL ? "" : rest));
    } else if (strcmp(verb, "disconnect") == 0) {
      print_code("disconnect", otc_session_disconnect(session));
    } else if (strcmp(verb, "delete") == 0) {
      print_code("delete", otc_session_delete(session));
      session = NULL;
    } else if (strcmp(verb, "signal") == 0) {
      const char* type = strsep(&rest, " ");
      print_code("signal", otc_session_send_signal(session, type, rest));
    } else if (strcmp(verb, "signal_to") == 0) {
      const char* name = strsep(&rest, " ");
      const char* type = strsep(&rest, " ");
      signal_to(session, name, type, rest);
    } else if (strcmp(verb, "remove") == 0) {
      remove_other(session, strsep(&rest, " "));
    } else {
      fprintf(stderr, "unknown line: %s\n", verb);
      return 2;
    }
  }
  if (session != NULL) otc_session_delete(session);
  for (int i = 0; i < OTHERS_MAX; i++) {
    if (others[i] != NULL) otc_connection_delete(others[i]);
  }
  return otc_destroy() == OTC_SUCCESS ? 0 : 1;
}
