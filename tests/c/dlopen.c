/* The library loaded at run time: used, destroyed, closed, and threads of the program that end only afterwards. */
#include <dlfcn.h>

#include "otc_test.h"

static flag called, closed;

static void *host_thread(void *library) {
  otc_status (*disconnect)(otc_session *) = NULL;
  *(void **)&disconnect = dlsym(library, "otc_session_disconnect");
  CHECK(disconnect);
  CHECK_EQUAL(disconnect(NULL), OTC_INVALID_PARAM);
  flag_set(&called);
  CHECK(flag_wait(&closed, PATIENCE_MS));
  return NULL; /* ends after the library was closed */
}

static void use_and_close(int has_host_thread) {
  otc_status (*init)(void *) = NULL, (*destroy)(void) = NULL;
  void *library = dlopen(given("TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror()), _exit(1);
  *(void **)&init = dlsym(library, "otc_init");
  *(void **)&destroy = dlsym(library, "otc_destroy");
  CHECK(init && destroy);
  CHECK_EQUAL(init(NULL), OTC_SUCCESS);
  pthread_t thread;
  called.is_set = closed.is_set = 0;
  if (has_host_thread) {
    CHECK_EQUAL(pthread_create(&thread, NULL, host_thread, library), 0);
    CHECK(flag_wait(&called, PATIENCE_MS));
  }
  CHECK_EQUAL(destroy(), OTC_SUCCESS);
  CHECK_EQUAL(dlclose(library), 0);
  if (has_host_thread) {
    flag_set(&closed);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
  }
}

static void rounds_of_dlopen_and_dlclose_leave_nothing(void) {
  CHECK(!dlopen(given("TEST_LIBRARY"), RTLD_NOW | RTLD_NOLOAD)); /* this program is not linked against it */
  use_and_close(0);
  int descriptors_before = descriptors();
  for (int round = 0; round < 100; round++) {
    use_and_close(0);
    only_this_thread_is_left();
    CHECK_EQUAL(descriptors(), descriptors_before);
  }
}

static void a_thread_of_the_program_may_end_after_dlclose(void) {
  for (int round = 0; round < 20; round++) use_and_close(1);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(rounds_of_dlopen_and_dlclose_leave_nothing), TEST(a_thread_of_the_program_may_end_after_dlclose), {0}};
  flag_init(&called), flag_init(&closed);
  return run_test(argc, argv, tests);
}
