/* The smallest program that has used the library: C99 to C23. */
#include <opentok.h>
#include <stdio.h>

static void on_connected(otc_session *session, void *user_data) {
  (void)session;
  (void)user_data;
}

int main(void) {
  struct otc_session_callbacks callbacks = {0};
  otc_session *session;
  callbacks.on_connected = on_connected;
  if (otc_init(NULL) != OTC_SUCCESS) return 1;
  session = otc_session_new("key", "session", &callbacks);
  printf("%s\n", otc_session_get_id(session));
  return otc_session_delete(session) != OTC_SUCCESS || otc_destroy() != OTC_SUCCESS;
}
