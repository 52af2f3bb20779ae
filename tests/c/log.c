/* The log: before otc_init, in either order, on any thread, and from inside itself. */
#include <signal.h>

#include "media.h"

static flag came, named;

static void on_line(const char *message) {
  CHECK(message && *message && !strchr(message, '\n'));
  if (strstr(message, "otc_session_connect") && strstr(message, "token")) flag_set(&named);
  flag_set(&came);
}

static void nothing_is_logged_before_it_is_enabled(void) {
  CHECK_EQUAL(otc_get_log_level(), OTC_LOG_LEVEL_DISABLED);
  otc_log_set_logger_callback(on_line);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_connect(NULL, NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(!came.is_set);
}

static void a_line_comes_without_a_further_call_when_the_logger_is_set_last(void) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  otc_log_set_logger_callback(on_line);
  CHECK(flag_wait(&came, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static void a_line_comes_without_a_further_call_when_the_level_is_set_last(void) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_log_set_logger_callback(on_line);
  otc_log_enable(OTC_LOG_LEVEL_INFO);
  CHECK(flag_wait(&came, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static void the_logger_may_be_set_before_the_library_starts(void) {
  otc_log_set_logger_callback(on_line);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  CHECK(flag_wait(&came, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static flag came_at[OTC_LOG_LEVEL_DEBUG + 1];
static atomic_int level_now;

static void on_first_line(const char *message) {
  if (strstr(message, "is ready")) flag_set(&came_at[level_now]);
}

static void the_first_line_comes_at_every_level(void) {
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_log_set_logger_callback(on_first_line);
  for (int level = OTC_LOG_LEVEL_ERROR; level <= OTC_LOG_LEVEL_DEBUG; level++) {
    flag_init(&came_at[level]);
    level_now = level;
    otc_log_enable((enum otc_log_level)level);
    CHECK(flag_wait(&came_at[level], PATIENCE_MS));
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static void a_mistake_is_told_with_function_and_parameter(void) {
  static const struct otc_session_callbacks no_callbacks;
  otc_log_set_logger_callback(on_line);
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_session *session = otc_session_new("key", "session", &no_callbacks);
  CHECK_EQUAL(otc_session_connect(session, NULL), OTC_INVALID_PARAM);
  CHECK(flag_wait(&named, PATIENCE_MS));
  otc_session_delete(session);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static int lines_about_pictures;

static void count_lines_about_pictures(const char *message) { lines_about_pictures += strstr(message, "otc_video_") != NULL; }

static void a_mistake_with_every_picture_is_told_once_for_each_handle(void) {
  otc_log_set_logger_callback(count_lines_about_pictures);
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (int handles = 1; handles <= 3; handles++) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 16, 16, NULL);
    CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
    for (int i = 0; i < 100; i++) {
      CHECK_EQUAL(otc_video_frame_get_width(frame), 0);
      CHECK_EQUAL(otc_video_capturer_provide_frame((const otc_video_capturer *)frame, 0, frame), OTC_INVALID_PARAM);
      CHECK_EQUAL(otc_video_capturer_provide_frame(NULL, 0, frame), OTC_INVALID_PARAM);
    }
    CHECK_EQUAL(lines_about_pictures, 1 + 2 * handles);
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static void on_line_that_calls(const char *message) {
  (void)message;
  CHECK(otc_get_log_level() != OTC_LOG_LEVEL_DISABLED);
  otc_session_disconnect(NULL); /* logs in its turn */
  otc_log_set_logger_callback(on_line);
  flag_set(&came);
}

static void the_logger_may_call_the_library(void) {
  otc_log_set_logger_callback(on_line_that_calls);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  otc_session_connect(NULL, NULL);
  CHECK(flag_wait(&came, PATIENCE_MS));
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static void on_line_that_sets_the_log_up(const char *message) {
  (void)message;
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  otc_log_set_logger_callback(on_line);
  flag_set(&came);
}

static void the_logger_may_call_the_library_when_that_is_not_running(void) {
  static const struct otc_session_callbacks no_callbacks;
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  otc_log_set_logger_callback(on_line_that_sets_the_log_up);
  otc_session *session = otc_session_new("key", "session", &no_callbacks);
  CHECK_EQUAL(otc_session_connect(session, "token"), OTC_FATAL);
  CHECK(flag_wait(&came, PATIENCE_MS));
  otc_session_delete(session);
}

static atomic_int lines_about_vpx;

static void on_line_that_asks_for_codecs(const char *message) {
  otc_media_utils_codecs *codecs = NULL;
  CHECK_EQUAL(otc_media_utils_get_supported_codecs(&codecs), OTC_SUCCESS);
  CHECK_EQUAL(otc_media_utils_codecs_delete(codecs), OTC_SUCCESS);
  lines_about_vpx += strstr(message, "libvpx is ") != NULL;
}

static void *asks_for_codecs(void *ignored) {
  on_line_that_asks_for_codecs("");
  return ignored;
}

static void the_logger_may_ask_for_the_codecs_while_they_are_looked_for(void) {
  pthread_t threads[4];
  otc_log_set_logger_callback(on_line_that_asks_for_codecs);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, asks_for_codecs, NULL), 0);
  for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
  CHECK_EQUAL(lines_about_vpx, 1);
}

static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;
static flag serves;

static void on_line_that_waits(const char *message) {
  if (!strstr(message, "this process serves")) return;
  flag_set(&serves);
  pthread_mutex_lock(&of_the_program), pthread_mutex_unlock(&of_the_program);
  flag_set(&came);
}

static void destroy_does_not_wait_for_a_logger_that_waits_for_who_destroys(void) {
  enum { DESTROY_MAX_MS = 5000, BUSY_MS = 400 };
  static const struct otc_session_callbacks no_callbacks;
  flag_init(&serves);
  otc_log_set_logger_callback(on_line_that_waits);
  otc_log_enable(OTC_LOG_LEVEL_INFO);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  pthread_mutex_lock(&of_the_program);
  otc_session *session = otc_session_new(given("TEST_KEY"), given("TEST_SESSION"), &no_callbacks);
  CHECK_EQUAL(otc_session_connect(session, given("TEST_TOKEN")), OTC_SUCCESS);
  CHECK(flag_wait(&serves, PATIENCE_MS));
  long long start = now_ms();
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(now_ms() - start <= DESTROY_MAX_MS + BUSY_MS * slowness());
  pthread_mutex_unlock(&of_the_program);
  CHECK(flag_wait(&came, PATIENCE_MS));
}

static void a_console_that_nobody_reads_ends_no_program(void) {
  int ends[2], console = dup(STDERR_FILENO);
  sigset_t waiting, held;
  CHECK_EQUAL(pipe(ends), 0);
  signal(SIGPIPE, SIG_DFL);
  dup2(ends[1], STDERR_FILENO), close(ends[0]), close(ends[1]);
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  CHECK_EQUAL(otc_session_connect(NULL, NULL), OTC_INVALID_PARAM); /* told on the console */
  dup2(console, STDERR_FILENO), close(console);
  sigpending(&waiting), pthread_sigmask(SIG_SETMASK, NULL, &held);
  CHECK(!sigismember(&waiting, SIGPIPE) && !sigismember(&held, SIGPIPE));
}

static otc_publisher *_Atomic published;
static atomic_int asked;

static void on_line_that_asks_the_publisher(const char *message) {
  (void)message;
  if (!published) return;
  asked++;
  otc_publisher_get_publish_audio(published), otc_publisher_get_stream(published), otc_publisher_get_session(published);
}

/* Its first picture says how large its stream is, and the codecs are looked for then. */
static void the_logger_may_ask_a_publisher_that_is_being_published(void) {
  otc_log_set_logger_callback(on_line_that_asks_the_publisher);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  recorder *here = connected_with(given("TEST_TOKEN"));
  diary *diary = diary_new();
  source *source = source_with(diary, "film", 1, 1, HAS_ALL & ~HAS_SETTINGS);
  published = source->publisher;
  CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
  diary_wait(diary, "created film", 1);
  CHECK(asked > 0); /* otherwise this has tested nothing */
  CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
  diary_wait(diary, "destroyed film", 1);
  CHECK_EQUAL(recorder_disconnect(here), OTC_SUCCESS);
  recorder_wait(here, "disconnected", 1);
  source_delete(source), recorder_delete(here), free(diary);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static flag warned;

static void on_line_about_old_headers(const char *message) {
  if (strstr(message, "OTC_ABI")) flag_set(&warned);
}

static void levels_of_old_headers_are_understood(void) {
  flag_init(&warned);
  otc_log_set_logger_callback(on_line_about_old_headers);
  otc_log_enable(OTC_LOG_LEVEL_ALL);
  CHECK(!warned.is_set);
  otc_log_enable((enum otc_log_level)100);
  CHECK(flag_wait(&warned, PATIENCE_MS)); /* their structs are others too */
  CHECK_EQUAL(otc_get_log_level(), OTC_LOG_LEVEL_ALL);
  otc_log_enable(OTC_LOG_LEVEL_ERROR);
  CHECK_EQUAL(otc_get_log_level(), OTC_LOG_LEVEL_ERROR);
  otc_log_enable((enum otc_log_level)-5);
  CHECK_EQUAL(otc_get_log_level(), OTC_LOG_LEVEL_DISABLED);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(nothing_is_logged_before_it_is_enabled),
      TEST(a_line_comes_without_a_further_call_when_the_logger_is_set_last),
      TEST(a_line_comes_without_a_further_call_when_the_level_is_set_last),
      TEST(the_logger_may_be_set_before_the_library_starts),
      TEST(the_first_line_comes_at_every_level),
      TEST(a_mistake_is_told_with_function_and_parameter),
      TEST(a_mistake_with_every_picture_is_told_once_for_each_handle),
      TEST(the_logger_may_call_the_library),
      TEST(the_logger_may_call_the_library_when_that_is_not_running),
      TEST(the_logger_may_ask_for_the_codecs_while_they_are_looked_for),
      TEST(destroy_does_not_wait_for_a_logger_that_waits_for_who_destroys),
      TEST(a_console_that_nobody_reads_ends_no_program),
      TEST(the_logger_may_ask_a_publisher_that_is_being_published),
      TEST(levels_of_old_headers_are_understood),
      {0},
  };
  flag_init(&came), flag_init(&named);
  return run_test(argc, argv, tests);
}
