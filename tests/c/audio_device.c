/*
 * The audio device as far as it goes without media: it is set, read and written before everything, in the middle of
 * everything, and after everything. What happens when a stream needs it is tested where streams are.
 */
#include "otc_test.h"

static int calls; /* of the device's functions */

static otc_bool counted(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  return OTC_TRUE;
}

static struct otc_audio_device_callbacks counting(void) {
  struct otc_audio_device_callbacks callbacks = {0};
  callbacks.init = callbacks.destroy = counted;
  callbacks.start_renderer = callbacks.destroy_renderer = counted;
  callbacks.start_capturer = callbacks.destroy_capturer = counted;
  return callbacks;
}

static void a_device_may_be_set_at_any_time(void) {
  struct otc_audio_device_callbacks callbacks = counting(), empty = {0};
  for (int round = 0; round < 3; round++) {
    CHECK_EQUAL(otc_set_audio_device(&callbacks), OTC_SUCCESS);
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    CHECK_EQUAL(otc_set_audio_device(&empty), OTC_SUCCESS);
    CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
    CHECK_EQUAL(otc_set_audio_device(&callbacks), OTC_SUCCESS);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  }
  CHECK_EQUAL(calls, 0); /* nobody needed it */
}

static void a_buffer_is_always_filled_while_the_library_runs(void) {
  int16_t buffer[962];
  CHECK_EQUAL(otc_audio_device_read_render_data(buffer, 480), 0);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (size_t count = 0; count <= 960; count += 96) {
    memset(buffer, 0x77, sizeof buffer);
    CHECK_EQUAL(otc_audio_device_read_render_data(buffer, count), count);
    for (size_t i = 0; i < count; i++) CHECK_EQUAL(buffer[i], 0);
    CHECK_EQUAL(buffer[count], 0x7777); /* and not more than that */
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_audio_device_read_render_data(buffer, 480), 0);
}

static void what_is_captured_is_taken_while_the_library_runs(void) {
  static const int16_t samples[960];
  CHECK(otc_audio_device_write_capture_data(samples, 480) != OTC_SUCCESS);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (size_t count = 0; count <= 960; count += 96) {
    CHECK_EQUAL(otc_audio_device_write_capture_data(samples, count), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK(otc_audio_device_write_capture_data(samples, 480) != OTC_SUCCESS);
}

static int lines;
static void on_log(const char *message) { lines += strstr(message, "buffer is NULL") != NULL; }

static void null_and_absurd_numbers_are_refused_and_told_once(void) {
  int16_t sample = 0;
  otc_log_set_logger_callback(on_log);
  otc_log_enable(OTC_LOG_LEVEL_WARN);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  for (int i = 0; i < 100; i++) {
    CHECK_EQUAL(otc_audio_device_write_capture_data(NULL, 480), OTC_INVALID_PARAM);
    CHECK_EQUAL(otc_audio_device_read_render_data(NULL, 480), 0);
    CHECK_EQUAL(otc_audio_device_write_capture_data(&sample, (size_t)-1), OTC_INVALID_PARAM);
    CHECK_EQUAL(otc_audio_device_read_render_data(&sample, (size_t)-1), 0);
  }
  CHECK_EQUAL(lines, 1);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
}

static int is_over;

static void *reads_and_writes(void *unused) {
  int16_t buffer[960];
  while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
    size_t got = otc_audio_device_read_render_data(buffer, 480);
    CHECK(got == 480 || got == 0);
    otc_audio_device_write_capture_data(buffer, got);
  }
  return unused;
}

static void *sets(void *unused) {
  struct otc_audio_device_callbacks callbacks = counting();
  while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
    CHECK_EQUAL(otc_set_audio_device(&callbacks), OTC_SUCCESS);
    CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  }
  return unused;
}

static void threads_of_the_program_may_be_in_it_while_the_library_comes_and_goes(void) {
  pthread_t program[4];
  for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&program[i], NULL, i ? reads_and_writes : sets, NULL), 0);
  for (int round = 0; round < 20; round++) {
    CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
    CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  }
  __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_join(program[i], NULL), 0);
  CHECK_EQUAL(calls, 0);
}

static void lists_of_devices_are_whole_or_empty_and_end(void) {
  size_t before = otc_ext_live_objects();
  otc_audio_module_input_device_enumerator *inputs = otc_audio_module_input_device_enumerator_new();
  otc_audio_module_output_device_enumerator *outputs = otc_audio_module_output_device_enumerator_new();
  CHECK(inputs && outputs);
  int input_count = otc_audio_module_input_device_enumerator_size(inputs);
  int output_count = otc_audio_module_output_device_enumerator_size(outputs);
  CHECK(input_count >= 0 && output_count >= 0);
  for (int i = 0; i < input_count; i++) {
    CHECK(*otc_audio_module_input_device_enumerator_get_device_id(inputs, i));
    CHECK(*otc_audio_module_input_device_enumerator_get_device_name(inputs, i));
  }
  for (int i = 0; i < output_count; i++) {
    CHECK(*otc_audio_module_output_device_enumerator_get_device_id(outputs, i));
    CHECK(*otc_audio_module_output_device_enumerator_get_device_name(outputs, i));
  }
  CHECK(!otc_audio_module_input_device_enumerator_get_device_id(inputs, input_count));
  CHECK(!otc_audio_module_output_device_enumerator_get_device_name(outputs, -1));
  CHECK_EQUAL(otc_audio_module_input_device_enumerator_delete(inputs), OTC_SUCCESS);
  CHECK_EQUAL(otc_audio_module_input_device_enumerator_delete(inputs), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_audio_module_input_device_enumerator_size(inputs), 0);
  CHECK_EQUAL(otc_audio_module_output_device_enumerator_delete(outputs), OTC_SUCCESS);
  CHECK_EQUAL(otc_audio_module_output_device_enumerator_delete(NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_ext_live_objects(), before);
}

static void a_device_that_is_not_there_cannot_be_selected(void) {
  CHECK_EQUAL(otc_audio_module_input_device_select(NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_audio_module_output_device_select("no such loudspeaker"), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_audio_module_output_device_select("\xff"), OTC_INVALID_PARAM);
}

static const test tests[] = {
  TEST(a_device_may_be_set_at_any_time),
  TEST(a_buffer_is_always_filled_while_the_library_runs),
  TEST(what_is_captured_is_taken_while_the_library_runs),
  TEST(null_and_absurd_numbers_are_refused_and_told_once),
  TEST(threads_of_the_program_may_be_in_it_while_the_library_comes_and_goes),
  TEST(lists_of_devices_are_whole_or_empty_and_end),
  TEST(a_device_that_is_not_there_cannot_be_selected),
  {NULL, NULL},
};

int main(int argc, char **argv) { return run_test(argc, argv, tests); }
