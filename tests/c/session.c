/* Sessions that meet on the hub: connecting, signals, and who owns what is handed out. */
#include "otc_test.h"

static const char *TOKEN, *OTHER_TOKEN, *BAD_TOKEN;

/* Two clients of one session, the second come after the first. */
typedef struct pair {
  recorder *one, *two;
} pair;

static pair meet(void) {
  pair both = {recorder_new(), recorder_new()};
  CHECK_EQUAL(recorder_connect(both.one, TOKEN), OTC_SUCCESS);
  recorder_wait(both.one, "connected", 1);
  CHECK_EQUAL(recorder_connect(both.two, OTHER_TOKEN), OTC_SUCCESS);
  recorder_wait(both.two, "connection created one", 1);
  recorder_wait(both.one, "connection created two", 1);
  return both;
}

static void part(pair both) { recorder_delete(both.one), recorder_delete(both.two); }

static void connected_sessions_know_themselves(void) {
  recorder *one = recorder_new();
  CHECK(!otc_session_get_capabilities(one->session).publish);
  CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SUCCESS);
  CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SESSION_ILLEGAL_STATE);
  recorder_wait(one, "connected", 1);
  CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SESSION_ILLEGAL_STATE);
  struct otc_session_capabilities capabilities = otc_session_get_capabilities(one->session);
  CHECK(capabilities.publish && capabilities.subscribe && capabilities.force_mute && capabilities.force_disconnect);
  otc_connection *own = otc_session_get_connection(one->session);
  CHECK(own && *otc_connection_get_id(own));
  CHECK(!strcmp(otc_connection_get_data(own), "one"));
  CHECK(!strcmp(otc_connection_get_session_id(own), otc_session_get_id(one->session)));
  CHECK(otc_connection_get_creation_time(own) > 1500000000000LL);
  recorder_delete(one);
}

static void the_own_connection_is_one_handle_that_the_session_owns(void) {
  recorder *one = recorder_new();
  CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SUCCESS);
  recorder_wait(one, "connected", 1);
  otc_connection *own = otc_session_get_connection(one->session);
  size_t objects = otc_ext_live_objects();
  for (int i = 0; i < 1000; i++) CHECK(otc_session_get_connection(one->session) == own);
  CHECK_EQUAL(otc_ext_live_objects(), objects);
  CHECK_EQUAL(otc_connection_delete(own), OTC_SUCCESS); /* harmless */
  CHECK(otc_connection_get_id(own));
  otc_connection *copy = otc_connection_copy(own);
  CHECK_EQUAL(recorder_disconnect(one), OTC_SUCCESS);
  recorder_wait(one, "disconnected", 1);
  CHECK(!otc_session_get_connection(one->session));
  CHECK(otc_connection_get_id(own)); /* until the session is deleted */
  recorder_delete(one);
  CHECK(!otc_connection_get_id(own));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(*otc_connection_get_id(copy) && !strcmp(otc_connection_get_data(copy), "one"));
  CHECK_EQUAL(otc_connection_delete(copy), OTC_SUCCESS);
}

static const otc_connection *lent;

static void keep_what_is_lent(otc_session *session, void *user_data, const otc_connection *connection) {
  (void)session;
  lent = connection;
  CHECK_EQUAL(otc_connection_delete((otc_connection *)connection), OTC_SUCCESS); /* harmless */
  CHECK(otc_connection_get_id(connection));
  flag_set((flag *)user_data);
}

static void what_is_lent_ends_with_the_callback(void) {
  flag created;
  flag_init(&created);
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connection_created = keep_what_is_lent;
  callbacks.user_data = &created;
  otc_session *first = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &callbacks);
  CHECK_EQUAL(otc_session_connect(first, TOKEN), OTC_SUCCESS);
  recorder *two = recorder_new();
  CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
  CHECK(flag_wait(&created, PATIENCE_MS));
  CHECK_EQUAL(otc_session_delete(first), OTC_SUCCESS); /* waits for the callback */
  CHECK(!otc_connection_get_id(lent));
  CHECK_EQUAL(otc_connection_delete((otc_connection *)lent), OTC_INVALID_PARAM);
  recorder_delete(two);
}

static void a_signal_to_all_comes_to_its_sender_too(void) {
  pair both = meet();
  CHECK_EQUAL(otc_session_send_signal(both.one->session, "chat", "hello"), OTC_SUCCESS);
  recorder_wait(both.two, "signal chat: hello from one", 1);
  recorder_wait(both.one, "signal chat: hello from one", 1);
  CHECK_EQUAL(otc_session_send_signal(both.one->session, "chat", "caf\xe9"), OTC_SUCCESS);
  recorder_wait(both.two, "signal chat: caf\xef\xbf\xbd from one", 1); /* Latin-1 is mended */
  CHECK_EQUAL(otc_session_send_signal(both.two->session, NULL, NULL), OTC_SUCCESS);
  recorder_wait(both.one, "signal :  from two", 1);
  recorder_wait(both.two, "signal :  from two", 1);
  part(both);
}

static void a_signal_to_one_comes_to_that_one_only(void) {
  pair both = meet();
  struct otc_signal_options options = {OTC_FALSE};
  otc_connection *two = both.one->last_connection;
  CHECK_EQUAL(otc_session_send_signal_to_connection(both.one->session, "a", "private", two), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_send_signal_to_connection_with_options(both.one->session, "b", "private", two, options), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_send_signal_to_connection(both.one->session, "x", "nobody", NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal_with_options(both.one->session, "last", "", options), OTC_SUCCESS);
  recorder_wait(both.two, "signal last", 1);
  recorder_wait(both.one, "signal last", 1);
  CHECK_EQUAL(recorder_count(both.two, "signal a: private from one"), 1);
  CHECK_EQUAL(recorder_count(both.two, "signal b: private from one"), 1);
  CHECK_EQUAL(recorder_count(both.one, "signal"), 1);
  part(both);
}

static void signals_keep_their_order(void) {
  enum { NUMBER = 500 };
  pair both = meet();
  for (int i = 0; i < NUMBER; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    CHECK_EQUAL(otc_session_send_signal(both.one->session, "n", text), OTC_SUCCESS);
  }
  recorder_wait(both.two, "signal n: ", NUMBER);
  int expected = 0;
  for (int i = 0; i < both.two->count; i++) {
    int number;
    if (sscanf(both.two->events[i], "signal n: %d", &number) == 1) CHECK_EQUAL(number, expected++);
  }
  CHECK_EQUAL(expected, NUMBER);
  part(both);
}

static void answer(recorder *self, const char *event) {
  if (begins(event, "signal ask")) otc_session_send_signal(self->session, "answer", "yes");
}

static void signals_may_be_answered_inside_the_callback(void) {
  pair both = meet();
  both.two->hook = answer;
  CHECK_EQUAL(otc_session_send_signal(both.one->session, "ask", "?"), OTC_SUCCESS);
  recorder_wait(both.one, "signal answer: yes from two", 1);
  part(both);
}

static void suppressed_connection_events_do_not_come(void) {
  otc_session_settings *settings = otc_session_settings_new();
  CHECK_EQUAL(otc_session_settings_set_connection_events_suppressed(settings, OTC_TRUE), OTC_SUCCESS);
  recorder *quiet = recorder_new(), *two = recorder_new();
  struct otc_session_callbacks callbacks = recorded_callbacks(quiet);
  otc_session_delete(quiet->session);
  quiet->session = otc_session_new_with_settings(given("TEST_KEY"), given("TEST_SESSION"), &callbacks, settings);
  otc_session_settings_delete(settings);
  CHECK_EQUAL(recorder_connect(quiet, TOKEN), OTC_SUCCESS);
  recorder_wait(quiet, "connected", 1);
  CHECK_EQUAL(recorder_connect(two, OTHER_TOKEN), OTC_SUCCESS);
  recorder_wait(two, "connected", 1);
  CHECK_EQUAL(otc_session_send_signal(two->session, "here", ""), OTC_SUCCESS);
  recorder_wait(quiet, "signal here:  from two", 1);
  recorder_delete(two);
  CHECK_EQUAL(otc_session_send_signal(quiet->session, "alone", ""), OTC_SUCCESS);
  recorder_wait(quiet, "signal alone", 1);
  CHECK_EQUAL(recorder_count(quiet, "connection"), 0);
  recorder_delete(quiet);
}

static void one_object_connects_again_and_again(void) {
  recorder *one = recorder_new();
  for (int i = 1; i <= 20; i++) {
    CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SUCCESS);
    recorder_wait(one, "connected", i);
    CHECK_EQUAL(recorder_disconnect(one), OTC_SUCCESS);
    recorder_wait(one, "disconnected", i);
  }
  recorder_delete(one);
}

static void a_session_id_that_is_too_long_is_told_by_on_error(void) {
  char id[257] = {0};
  memset(id, 'x', 256);
  recorder *one = recorder_for(id);
  CHECK_EQUAL(recorder_connect(one, TOKEN), OTC_SUCCESS);
  recorder_wait(one, "error 1005", 1);
  recorder_delete(one);
}

static void a_host_where_nothing_listens_is_told_by_on_error(void) {
  recorder *one = recorder_new();
  one->state = LAW_CONNECTING;
  CHECK_EQUAL(otc_session_connect_to_host(one->session, "127.0.0.1", "", 1, OTC_FALSE, TOKEN), OTC_SUCCESS);
  recorder_wait(one, "error 1023", 1);
  recorder_delete(one);
}

static void tokens_that_are_wrong_are_told_by_on_error(void) {
  const char *tokens[] = {"", "x", "T1==", "T1==!!!!", "a.b.c", BAD_TOKEN};
  recorder *one = recorder_new();
  for (int i = 0; i < 6; i++) {
    CHECK_EQUAL(recorder_connect(one, tokens[i]), OTC_SUCCESS);
    recorder_wait(one, "error 1004", i + 1);
  }
  CHECK_EQUAL(one->count, 6);
  recorder_delete(one);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(connected_sessions_know_themselves),
      TEST(the_own_connection_is_one_handle_that_the_session_owns),
      TEST(what_is_lent_ends_with_the_callback),
      TEST(a_signal_to_all_comes_to_its_sender_too),
      TEST(a_signal_to_one_comes_to_that_one_only),
      TEST(signals_keep_their_order),
      TEST(signals_may_be_answered_inside_the_callback),
      TEST(suppressed_connection_events_do_not_come),
      TEST(one_object_connects_again_and_again),
      TEST(a_session_id_that_is_too_long_is_told_by_on_error),
      TEST(a_host_where_nothing_listens_is_told_by_on_error),
      TEST(tokens_that_are_wrong_are_told_by_on_error),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN"), BAD_TOKEN = given("TEST_BAD_TOKEN");
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
