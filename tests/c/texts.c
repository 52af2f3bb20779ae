/* Texts in both directions, and the small objects: settings, capabilities, report-issue. No session connects. */
#include "otc_test.h"

static const struct otc_session_callbacks NO_CALLBACKS;

static void a_session_has_the_id_it_was_made_with(void) {
  char id[] = "1_Zo\xc3\xab";
  otc_session *session = otc_session_new("not a key", id, &NO_CALLBACKS);
  memset(id, 'x', sizeof id - 1); /* it was copied */
  CHECK(!strcmp(otc_session_get_id(session), "1_Zo\xc3\xab"));
  CHECK(otc_session_get_id(session) == otc_session_get_id(session));
  CHECK(!otc_session_get_connection(session));
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

static void nonsense_is_no_reason_to_make_no_session(void) {
  char *long_id = (char *)calloc(1, 100000);
  memset(long_id, 'x', 99999);
  const char *ids[] = {"", "word", long_id, "ws://", "\n"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    otc_session *session = otc_session_new("", ids[i], &NO_CALLBACKS);
    CHECK(session);
    CHECK(!strcmp(otc_session_get_id(session), ids[i]));
    CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  }
  free(long_id);
}

static void text_that_is_not_utf8_is_refused_where_it_means_something(void) {
  const char *bad = "\xc3(";
  const char *ids[] = {"good", bad};
  char *issue = (char *)"untouched";
  otc_session *session = otc_session_new(bad, bad, &NO_CALLBACKS); /* nonsense as any other, which the server judges */
  CHECK(session);
  CHECK_EQUAL(otc_session_connect(session, bad), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
  session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_connect_to_host(session, bad, "", 80, OTC_FALSE, "token"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_send_signal(session, bad, "data"), OTC_SESSION_INVALID_SIGNAL_TYPE);
  CHECK_EQUAL(otc_session_send_signal(session, "type", bad), OTC_SESSION_NOT_CONNECTED); /* data is mended */
  CHECK_EQUAL(otc_session_set_encryption_secret(session, bad), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_stream(session, bad), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_force_mute_all(session, ids, 2), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_session_report_issue(session, bad, &issue), OTC_INVALID_PARAM);
  CHECK(!strcmp(issue, "untouched"));
  otc_session_settings *settings = otc_session_settings_new();
  CHECK_EQUAL(otc_session_settings_set_proxy_url(settings, bad), OTC_INVALID_PARAM);
  otc_session_settings_delete(settings);
  otc_session_delete(session);
}

static void settings_end_before_their_session_and_serve_several(void) {
  otc_session_settings *settings = otc_session_settings_new();
  char url[] = "turn:127.0.0.1:3478", user[] = "user", credential[] = "credential";
  char *urls[] = {url, NULL}, *users[] = {user, NULL}, *credentials[] = {credential, NULL};
  struct otc_custom_ice_config ice;
  memset(&ice, 0x5e, sizeof ice); /* the vendor's sample leaves garbage in the last member */
  ice.num_ice_servers = 2;
  ice.ice_url = urls;
  ice.ice_user = users;
  ice.ice_credential = credentials;
  ice.force_turn = OTC_TRUE;
  ice.use_custom_turn_only = OTC_FALSE;
  CHECK_EQUAL(otc_session_settings_set_custom_ice_config(settings, &ice), OTC_SUCCESS);
  memset(url, 0, sizeof url);
  CHECK_EQUAL(otc_session_settings_set_connection_events_suppressed(settings, OTC_TRUE), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_settings_set_proxy_url(settings, "http://127.0.0.1:3128"), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_settings_set_proxy_url(settings, ""), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_settings_set_ip_whitelist(settings, OTC_TRUE), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_settings_set_session_migration(settings, OTC_TRUE), OTC_SUCCESS);
  otc_session *one = otc_session_new_with_settings("key", "session", &NO_CALLBACKS, settings);
  otc_session *two = otc_session_new_with_settings("key", "session", &NO_CALLBACKS, settings);
  CHECK_EQUAL(otc_session_settings_delete(settings), OTC_SUCCESS);
  otc_session *defaults = otc_session_new_with_settings("key", "session", &NO_CALLBACKS, NULL);
  CHECK(one && two && defaults && one != two);
  otc_session_delete(one), otc_session_delete(two), otc_session_delete(defaults);
}

static void absurd_ice_configurations_are_refused(void) {
  otc_session_settings *settings = otc_session_settings_new();
  struct otc_custom_ice_config ice = {0};
  int numbers[] = {-1, 65, 1 << 30, -2147483647 - 1, 1 /* and no ice_url */};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    ice.num_ice_servers = numbers[i];
    CHECK_EQUAL(otc_session_settings_set_custom_ice_config(settings, &ice), OTC_INVALID_PARAM);
  }
  ice.num_ice_servers = 0;
  CHECK_EQUAL(otc_session_settings_set_custom_ice_config(settings, &ice), OTC_SUCCESS);
  otc_session_settings_delete(settings);
}

static void secrets_are_8_to_256_long(void) {
  char secret[258] = {0};
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  memset(secret, 's', 257);
  CHECK_EQUAL(otc_session_set_encryption_secret(session, secret), OTC_SESSION_INVALID_ENCRYPTION_SECRET);
  secret[ENCRYPTION_SECRET_MAXIMUM_LENGTH] = 0;
  CHECK_EQUAL(otc_session_set_encryption_secret(session, secret), OTC_SUCCESS);
  secret[ENCRYPTION_SECRET_MINIMUM_LENGTH] = 0;
  CHECK_EQUAL(otc_session_set_encryption_secret(session, secret), OTC_SUCCESS);
  secret[ENCRYPTION_SECRET_MINIMUM_LENGTH - 1] = 0;
  CHECK_EQUAL(otc_session_set_encryption_secret(session, secret), OTC_SESSION_INVALID_ENCRYPTION_SECRET);
  otc_session_delete(session);
}

static void the_length_of_a_secret_is_that_of_its_characters(void) {
  const char *letter = "\xd0\xb6"; /* one character, two bytes */
  char secret[2 * 257 + 1] = {0};
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  for (int length = 1; length <= 257; length++) {
    strcat(secret, letter);
    int is_good = length >= ENCRYPTION_SECRET_MINIMUM_LENGTH && length <= ENCRYPTION_SECRET_MAXIMUM_LENGTH;
    CHECK_EQUAL(otc_session_set_encryption_secret(session, secret),
                is_good ? OTC_SUCCESS : OTC_SESSION_INVALID_ENCRYPTION_SECRET);
  }
  otc_session_delete(session);
}

static void an_issue_has_an_id_that_free_takes(void) {
  char *one = NULL, *two = NULL;
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_report_issue(session, "the picture is upside down", &one), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_report_issue(session, "", &two), OTC_SUCCESS);
  CHECK(one && *one && strcmp(one, two));
  otc_session_delete(session);
  free(one), free(two);
}

static void user_data_comes_back_unchanged(void) {
  struct otc_session_callbacks callbacks = {0};
  callbacks.user_data = (void *)(uintptr_t)0xabad1dea;
  otc_session *session = otc_session_new("key", "session", &callbacks);
  callbacks.user_data = NULL; /* it was copied */
  CHECK(otc_session_get_user_data(session) == (void *)(uintptr_t)0xabad1dea);
  otc_session_delete(session);
}

static void signals_are_checked_before_they_are_sent(void) {
  static char data[8194], type[130];
  memset(data, 'd', sizeof data - 1), memset(type, 't', sizeof type - 1);
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_send_signal(session, type, ""), OTC_SESSION_SIGNAL_TYPE_TOO_LONG);
  CHECK_EQUAL(otc_session_send_signal(session, "", data), OTC_SESSION_SIGNAL_DATA_TOO_LONG);
  CHECK_EQUAL(otc_session_send_signal(session, "no spaces", ""), OTC_SESSION_INVALID_SIGNAL_TYPE);
  type[128] = 0, data[8192] = 0;
  CHECK_EQUAL(otc_session_send_signal(session, type, data), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_send_signal(session, NULL, NULL), OTC_SESSION_NOT_CONNECTED);
  otc_session_delete(session);
}

static void what_needs_a_connected_session_says_so(void) {
  otc_session *session = otc_session_new("key", "session", &NO_CALLBACKS);
  CHECK_EQUAL(otc_session_disconnect(session), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(otc_session_disconnect(session), OTC_SESSION_NOT_CONNECTED);
  CHECK(otc_session_force_mute_all(session, NULL, 0) != OTC_SUCCESS);
  CHECK(otc_session_force_mute_stream(session, "stream") != OTC_SUCCESS);
  CHECK(otc_session_disable_force_mute(session) != OTC_SUCCESS);
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(a_session_has_the_id_it_was_made_with),
      TEST(nonsense_is_no_reason_to_make_no_session),
      TEST(text_that_is_not_utf8_is_refused_where_it_means_something),
      TEST(settings_end_before_their_session_and_serve_several),
      TEST(absurd_ice_configurations_are_refused),
      TEST(secrets_are_8_to_256_long),
      TEST(the_length_of_a_secret_is_that_of_its_characters),
      TEST(an_issue_has_an_id_that_free_takes),
      TEST(user_data_comes_back_unchanged),
      TEST(signals_are_checked_before_they_are_sent),
      TEST(what_needs_a_connected_session_says_so),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
