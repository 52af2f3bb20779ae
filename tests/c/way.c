/*
 * Goes the way to a session that the environment names, and prints what came of it: one line for each token.
 *
 *   way each TOKEN...                      one after the other, with one session object
 *   way host HOST PATH PORT SECURE TOKEN   to a server that the program names
 *   way meet TOKEN TOKEN                   two clients at once: who sees whom
 *   way suppressed TOKEN TOKEN             the same, with connection events suppressed for the first
 *   way film TOKEN TOKEN                   the first publishes, the second sees and hears it
 *   way moderate TOKEN TOKEN TOKEN         the first tries to remove the second; the third is for "another session"
 *
 * TEST_PROXY, when set, is the proxy of the session's settings. See tests/ways.rs.
 */
#include "media.h"

static char sentence[2048];

static void on_error_with_its_sentence(otc_session *session, void *user_data, const char *text,
                                       enum otc_session_error_code error) {
  snprintf(sentence, sizeof sentence, "%s", text);
  recorded_error(session, user_data, text, error);
}

static otc_connection *last_sender; /* a copy */

static void on_signal_of_a_sender(otc_session *session, void *user_data, const char *type, const char *signal,
                                  const otc_connection *connection) {
  if (last_sender) otc_connection_delete(last_sender);
  last_sender = otc_connection_copy(connection);
  recorded_signal(session, user_data, type, signal, connection);
}

static recorder *client(int suppressed) {
  recorder *self = (recorder *)calloc(1, sizeof *self);
  flag_init(&self->changed);
  struct otc_session_callbacks callbacks = recorded_callbacks(self);
  callbacks.on_error = on_error_with_its_sentence;
  callbacks.on_signal_received = on_signal_of_a_sender;
  otc_session_settings *settings = otc_session_settings_new();
  CHECK_EQUAL(otc_session_settings_set_connection_events_suppressed(settings, suppressed ? OTC_TRUE : OTC_FALSE), OTC_SUCCESS);
  const char *proxy = getenv("TEST_PROXY");
  if (proxy) CHECK_EQUAL(otc_session_settings_set_proxy_url(settings, proxy), OTC_SUCCESS);
  self->session = otc_session_new_with_settings(given("TEST_KEY"), given("TEST_SESSION"), &callbacks, settings);
  CHECK(self->session);
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
  return self;
}

/* The end of the joining: whether it is connected. The law of the recorder sees that one thing is said, and nothing after it. */
static int joined(recorder *self) {
  struct timespec deadline = in_ms(PATIENCE_MS);
  pthread_mutex_lock(&self->changed.lock);
  while (self->state == LAW_CONNECTING) {
    CHECK_EQUAL(pthread_cond_timedwait(&self->changed.changed, &self->changed.lock, &deadline), 0);
  }
  int is_connected = self->state == LAW_CONNECTED;
  const char *last = self->events[self->count - 1];
  if (!is_connected) printf("%s: %s\n", last, sentence);
  pthread_mutex_unlock(&self->changed.lock);
  return is_connected;
}

static int connects(recorder *self, const char *token) {
  CHECK_EQUAL(recorder_connect(self, token), OTC_SUCCESS);
  return joined(self);
}

/* Whether a signal is on its way. */
static int tell(recorder *self) {
  struct otc_session_capabilities may = otc_session_get_capabilities(self->session);
  int signal = otc_session_send_signal(self->session, "type", "data");
  printf("connected as %s, publish %d, subscribe %d, moderate %d, signal %d\n",
         otc_connection_get_data(otc_session_get_connection(self->session)), may.publish, may.subscribe,
         may.force_mute && may.force_disconnect, signal);
  return signal == OTC_SUCCESS;
}

static void leave(recorder *self) {
  int before = recorder_count(self, "disconnected");
  CHECK_EQUAL(recorder_disconnect(self), OTC_SUCCESS);
  recorder_wait(self, "disconnected", before + 1);
}

static void each(char **tokens) {
  recorder *self = client(0);
  for (; *tokens; tokens++) {
    if (connects(self, *tokens)) {
      int before = recorder_count(self, "signal");
      if (tell(self)) recorder_wait(self, "signal", before + 1);
      leave(self);
    } else {
      CHECK_EQUAL(recorder_disconnect(self), OTC_SESSION_NOT_CONNECTED);
    }
  }
  recorder_delete(self);
}

static void host(char **arguments) {
  recorder *self = client(0);
  self->state = LAW_CONNECTING;
  otc_status status = otc_session_connect_to_host(self->session, arguments[0], arguments[1], atoi(arguments[2]),
                                                  atoi(arguments[3]), arguments[4]);
  if (status != OTC_SUCCESS) {
    printf("refused %d\n", (int)status);
  } else if (joined(self)) {
    tell(self);
    leave(self);
  }
  recorder_delete(self);
}

static void meet(char **tokens) {
  recorder *one = client(0), *two = client(0);
  if (connects(one, tokens[0]) && connects(two, tokens[1])) {
    recorder_wait(one, "connection created", 1);
    recorder_wait(two, "connection created", 1);
    printf("one sees %s\n", otc_connection_get_data(one->last_connection));
    printf("two sees %s\n", otc_connection_get_data(two->last_connection));
    CHECK_EQUAL(otc_session_send_signal(one->session, "type", "data"), OTC_SUCCESS);
    recorder_wait(two, "signal type: data", 1);
    leave(one);
    recorder_wait(two, "connection dropped", 1);
  }
  recorder_delete(one), recorder_delete(two);
}

static void film(char **tokens) {
  call call = {.diary = diary_new(), .here = client(0), .there = client(0)};
  device_use();
  if (connects(call.here, tokens[0]) && connects(call.there, tokens[1])) {
    call.source = source_new(call.diary, "film");
    CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
    recorder_wait(call.there, "stream received film", 1);
    call.sink = sink_in(call.there, call.diary, "sink");
    AWAIT_COUNT(call.sink->frames, PICTURE_RATE);
    AWAIT_MORE(call.sink->loud_sounds);
    printf("seen and heard\n");
  }
  call_end(call);
}

static void moderate(char **tokens) {
  recorder *one = client(0), *two = client(0), *elsewhere = recorder_for("another session");
  CHECK(connects(one, tokens[0]) && connects(two, tokens[1]));
  recorder_wait(one, "connection created", 1);
  otc_connection *target = one->last_connection;
  CHECK_EQUAL(otc_session_force_disconnect(elsewhere->session, target), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_force_mute_stream(elsewhere->session, "stream"), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_force_mute_all(elsewhere->session, NULL, 0), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_disable_force_mute(elsewhere->session), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_force_mute_stream(one->session, "stream"), OTC_UNABLE_TO_FORCE_MUTE);
  otc_bool may_mute = otc_session_get_capabilities(one->session).force_mute;
  otc_status muted = may_mute ? OTC_SUCCESS : OTC_UNABLE_TO_FORCE_MUTE;
  CHECK_EQUAL(otc_session_force_mute_all(one->session, NULL, 0), muted);
  CHECK_EQUAL(otc_session_disable_force_mute(one->session), muted);
  CHECK(connects(elsewhere, tokens[2]));
  otc_connection *stranger = otc_session_get_connection(elsewhere->session);
  CHECK_EQUAL(otc_session_force_disconnect(one->session, stranger), OTC_UNABLE_TO_FORCE_DISCONNECT);
  CHECK_EQUAL(otc_session_force_disconnect(one->session, NULL), OTC_INVALID_PARAM);
  otc_status status = otc_session_force_disconnect(one->session, target);
  printf("force disconnect %d\n", (int)status);
  if (status == OTC_SUCCESS) {
    recorder_wait(two, "disconnected", 1);
    recorder_wait(one, "connection dropped", 1);
    CHECK_EQUAL(recorder_count(two, "error"), 0);
    /* Who has gone cannot be removed. */
    CHECK_EQUAL(otc_session_force_disconnect(one->session, target), OTC_UNABLE_TO_FORCE_DISCONNECT);
    /* Removed is not banned. Whoever may remove others may remove itself. */
    CHECK(connects(two, tokens[1]));
    recorder_wait(one, "connection created", 2);
    CHECK_EQUAL(otc_session_force_disconnect(one->session, otc_session_get_connection(one->session)), OTC_SUCCESS);
    recorder_wait(one, "disconnected", 1);
    recorder_wait(two, "connection dropped", 1);
    CHECK_EQUAL(otc_session_force_disconnect(one->session, one->last_connection), OTC_SESSION_NOT_CONNECTED);
    /* Who leaves at once has been heard all the same. */
    CHECK(connects(one, tokens[0]));
    recorder_wait(one, "connection created", 3);
    CHECK_EQUAL(otc_session_force_disconnect(one->session, one->last_connection), OTC_SUCCESS);
    leave(one);
    recorder_wait(two, "disconnected", 2);
    printf("removed\n");
  }
  recorder_delete(one), recorder_delete(two), recorder_delete(elsewhere);
}

static void suppressed(char **tokens) {
  recorder *one = client(1), *two = client(0);
  CHECK(connects(one, tokens[0]) && connects(two, tokens[1]));
  /* It knows the others by their signals. */
  CHECK_EQUAL(otc_session_send_signal(two->session, "here", ""), OTC_SUCCESS);
  recorder_wait(one, "signal here", 1), recorder_wait(two, "signal here", 1);
  CHECK_EQUAL(otc_session_force_disconnect(one->session, last_sender), OTC_SUCCESS);
  recorder_wait(two, "disconnected", 1);
  CHECK_EQUAL(recorder_count(one, "connection"), 0);
  printf("removed\n");
  recorder_delete(one), recorder_delete(two);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(char **arguments);
  } modes[] = {{"each", each}, {"host", host}, {"meet", meet}, {"film", film}, {"moderate", moderate}, {"suppressed", suppressed}};
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int found = 0;
  for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++) {
    if (!strcmp(modes[i].name, argv[1])) modes[i].run(argv + 2), found = 1;
  }
  CHECK(found);
  if (last_sender) CHECK_EQUAL(otc_connection_delete(last_sender), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return 0;
}
