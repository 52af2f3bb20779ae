/* Programs compiled with old headers: the callbacks lie in other places, and OTC_ABI says so. */
#include "otc_test.h"

static flag failed;

static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  CHECK(session && text && user_data == &failed);
  CHECK_EQUAL(error, OTC_SESSION_AUTHORIZATION_FAILURE);
  flag_set(&failed);
}

static void never(void) { CHECK(!"a callback at the wrong place was called"); }

/* A struct of so many pointers, every callback but on_error one that must not be called. */
static void try_layout(int slots, int error_slot) {
  void *callbacks[20];
  for (int i = 0; i < 20; i++) callbacks[i] = (void *)(uintptr_t)never;
  callbacks[error_slot] = (void *)(uintptr_t)on_error;
  callbacks[slots - 2] = &failed;
  callbacks[slots - 1] = NULL;
  otc_session *session = otc_session_new("key", "session", (const struct otc_session_callbacks *)(void *)callbacks);
  CHECK(otc_session_get_user_data(session) == &failed);
  CHECK_EQUAL(otc_session_connect(session, ""), OTC_SUCCESS); /* fails without a server */
  CHECK(flag_wait(&failed, PATIENCE_MS));
  CHECK_EQUAL(otc_session_delete(session), OTC_SUCCESS);
}

static void layout_2_19(void) { try_layout(18, 15); }
static void layout_2_24(void) { try_layout(19, 15); }
static void layout_2_32(void) { try_layout(20, 16); }

int main(int argc, char **argv) {
  static const test tests[] = {TEST(layout_2_19), TEST(layout_2_24), TEST(layout_2_32), {0}};
  flag_init(&failed);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
