/* What objects say of themselves, what is set and asked for again, and settings whose effect can be heard. */
#include "media.h"

/* ---- What was set can be asked for ---- */

static int mine;

static void a_publisher_says_what_it_was_told(void) {
  struct otc_publisher_callbacks callbacks = {0};
  callbacks.user_data = &mine;
  otc_publisher *one = otc_publisher_new("film", NULL, &callbacks), *other = otc_publisher_new(NULL, NULL, &callbacks);
  CHECK(one && other);
  CHECK(!strcmp(otc_publisher_get_name(one), "film") && !*otc_publisher_get_name(other));
  CHECK(*otc_publisher_get_publisher_id(one));
  CHECK(strcmp(otc_publisher_get_publisher_id(one), otc_publisher_get_publisher_id(other)));
  CHECK(otc_publisher_get_user_data(one) == &mine);
  CHECK(otc_publisher_get_publish_video(one) && otc_publisher_get_publish_audio(one));
  CHECK_EQUAL(otc_publisher_set_publish_audio(one, OTC_FALSE), OTC_SUCCESS);
  CHECK(otc_publisher_get_publish_video(one) && !otc_publisher_get_publish_audio(one));

  CHECK_EQUAL(otc_publisher_get_video_type(one), OTC_PUBLISHER_VIDEO_TYPE_CAMERA);
  CHECK_EQUAL(otc_publisher_set_video_type(one, OTC_PUBLISHER_VIDEO_TYPE_SCREEN), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_video_type(one), OTC_PUBLISHER_VIDEO_TYPE_SCREEN);

  CHECK(otc_publisher_get_audio_fallback_enabled(one));
  CHECK_EQUAL(otc_publisher_set_audio_fallback_enabled(one, OTC_FALSE), OTC_SUCCESS);
  CHECK(!otc_publisher_get_audio_fallback_enabled(one));
  otc_publisher_settings *settings = otc_publisher_settings_new();
  for (otc_bool enabled = 0; enabled < 2; enabled++) {
    CHECK_EQUAL(otc_publisher_settings_set_subscriber_audio_fallback_enabled(settings, enabled), OTC_SUCCESS);
    otc_publisher *third = otc_publisher_new_with_settings(&callbacks, settings);
    CHECK_EQUAL(otc_publisher_get_audio_fallback_enabled(third), enabled);
    CHECK_EQUAL(otc_publisher_delete(third), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
  otc_publisher *plain = otc_publisher_new_with_settings(&callbacks, NULL);
  CHECK(otc_publisher_get_audio_fallback_enabled(plain));
  CHECK_EQUAL(otc_publisher_delete(plain), OTC_SUCCESS);

  CHECK_EQUAL(otc_publisher_get_max_video_bitrate(one), 0);
  CHECK_EQUAL(otc_publisher_get_video_bitrate_preset(one), OTC_VIDEO_BITRATE_PRESET_DEFAULT);
  CHECK_EQUAL(otc_publisher_set_video_bitrate_preset(one, OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_video_bitrate_preset(one), OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER);
  CHECK_EQUAL(otc_publisher_set_max_video_bitrate(one, 300000), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_max_video_bitrate(one), 300000);
  CHECK_EQUAL(otc_publisher_get_video_bitrate_preset(one), OTC_VIDEO_BITRATE_PRESET_CUSTOM);
  CHECK_EQUAL(otc_publisher_set_video_bitrate_preset(one, OTC_VIDEO_BITRATE_PRESET_BW_SAVER), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_max_video_bitrate(one), 0);
  CHECK_EQUAL(otc_publisher_delete(one), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_delete(other), OTC_SUCCESS);
}

static void a_subscriber_says_what_it_was_told(void) {
  call call = call_begun();
  otc_subscriber *subscriber = call.sink->subscriber;
  sink *second = sink_of(call.diary, "second", call.there->last_stream);
  CHECK(*otc_subscriber_get_subscriber_id(subscriber));
  CHECK(strcmp(otc_subscriber_get_subscriber_id(subscriber), otc_subscriber_get_subscriber_id(second->subscriber)));
  CHECK(otc_subscriber_get_user_data(subscriber) == call.sink);
  CHECK(otc_subscriber_get_subscribe_to_audio(subscriber) && otc_subscriber_get_subscribe_to_video(subscriber));
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_audio(subscriber, OTC_FALSE), OTC_SUCCESS);
  CHECK(!otc_subscriber_get_subscribe_to_audio(subscriber));
  CHECK(!otc_subscriber_get_subscribe_to_captions(subscriber));
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_captions(subscriber, OTC_TRUE), OTC_SUCCESS);
  CHECK(otc_subscriber_get_subscribe_to_captions(subscriber));
  uint32_t width = 1, height = 1;
  CHECK_EQUAL(otc_subscriber_get_preferred_resolution(subscriber, &width, &height), OTC_SUCCESS);
  CHECK(width == 0 && height == 0);
  CHECK_EQUAL(otc_subscriber_set_preferred_resolution(subscriber, 80, 60), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_preferred_resolution(subscriber, &width, &height), OTC_SUCCESS);
  CHECK(width == 80 && height == 60);
  float rate = 1;
  CHECK_EQUAL(otc_subscriber_get_preferred_framerate(subscriber, &rate), OTC_SUCCESS);
  CHECK(rate == 0);
  CHECK_EQUAL(otc_subscriber_set_preferred_framerate(subscriber, 7.5f), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_preferred_framerate(subscriber, &rate), OTC_SUCCESS);
  CHECK(rate == 7.5f);
  double volume = 0;
  CHECK_EQUAL(otc_subscriber_get_audio_volume(subscriber, &volume), OTC_SUCCESS);
  CHECK(volume == 100);
  CHECK_EQUAL(otc_subscriber_set_audio_volume(subscriber, 25), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_audio_volume(subscriber, &volume), OTC_SUCCESS);
  CHECK(volume == 25);
  sink_delete(second);
  call_end(call);
}

/* ---- What is what ---- */

static void is_recent(int64_t then_ms) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t age_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - then_ms;
  CHECK(age_ms > -1000 && age_ms < PATIENCE_MS + 60000);
}

static void a_stream_and_its_connection_say_what_they_are(void) {
  call call = call_begun();
  const otc_stream *stream = call.there->last_stream;
  CHECK(*otc_stream_get_id(stream));
  CHECK(!strcmp(otc_stream_get_name(stream), "film"));
  CHECK(otc_stream_has_audio_track(stream) && otc_stream_has_audio(stream));
  CHECK(otc_stream_has_video_track(stream) && otc_stream_has_video(stream));
  CHECK(!otc_stream_has_captions(stream));
  CHECK_EQUAL(otc_stream_get_video_width(stream), PICTURE_WIDTH);
  CHECK_EQUAL(otc_stream_get_video_height(stream), PICTURE_HEIGHT);
  CHECK_EQUAL(otc_stream_get_video_type(stream), OTC_STREAM_VIDEO_TYPE_CAMERA);
  is_recent(otc_stream_get_creation_time(stream));
  const otc_connection *connection = otc_stream_get_connection(stream);
  CHECK(!strcmp(otc_connection_get_id(connection), otc_connection_get_id(otc_session_get_connection(call.here->session))));
  CHECK(!strcmp(otc_connection_get_data(connection), "one"));
  CHECK(!strcmp(otc_connection_get_session_id(connection), otc_session_get_id(call.here->session)));
  is_recent(otc_connection_get_creation_time(connection));
  call_end(call);
}

static void a_capturer_has_a_content_hint(void) {
  call call = call_begun();
  const otc_video_capturer *capturer = call.source->camera.capturer;
  CHECK_EQUAL(otc_video_capturer_get_content_hint(capturer), OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE);
  for (int hint = OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT; hint >= 0; hint--) {
    enum otc_video_capturer_content_hint_type type = (enum otc_video_capturer_content_hint_type)hint;
    CHECK_EQUAL(otc_video_capturer_set_content_hint(capturer, type), OTC_SUCCESS);
    CHECK_EQUAL(otc_video_capturer_get_content_hint(capturer), hint);
    AWAIT_MORE(call.sink->frames);
  }
  call_end(call);
}

static void a_capturer_takes_no_coded_pictures(void) {
  static const uint8_t nonsense[64] = {0};
  call call = call_begun();
  otc_video_frame *coded = otc_video_frame_new_compressed(PICTURE_WIDTH, PICTURE_HEIGHT, nonsense, sizeof nonsense);
  otc_video_frame *broken = otc_video_frame_new_MJPEG(PICTURE_WIDTH, PICTURE_HEIGHT, nonsense, sizeof nonsense);
  CHECK_EQUAL(otc_video_capturer_provide_frame(call.source->camera.capturer, 0, coded), OTC_INVALID_VIDEO_FORMAT);
  CHECK_EQUAL(otc_video_capturer_provide_frame(call.source->camera.capturer, 0, broken), OTC_INVALID_VIDEO_FORMAT);
  otc_video_frame_delete(coded), otc_video_frame_delete(broken);
  AWAIT_MORE(call.sink->frames);
  call_end(call);
}

/* ---- A microphone with two sides: a tone on the left, and nothing on the right ---- */

static struct { pthread_t thread; atomic_int is_on, is_silent; } microphone;

static void *sing(void *nothing) {
  int16_t samples[2 * SOUND_BLOCK] = {0};
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (atomic_load(&microphone.is_on)) {
    for (int i = 0; i < SOUND_BLOCK; i++) samples[2 * i] = microphone.is_silent ? 0 : i / 48 % 2 ? 8000 : -8000;
    otc_audio_device_write_capture_data(samples, SOUND_BLOCK);
    next.tv_nsec += 10000000;
    if (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, next.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL); /* a device's pace */
  }
  return nothing;
}
static otc_bool start_singing(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  atomic_store(&microphone.is_on, 1);
  return pthread_create(&microphone.thread, NULL, sing, NULL) == 0;
}
static otc_bool end_singing(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  atomic_store(&microphone.is_on, 0);
  return pthread_join(microphone.thread, NULL) == 0;
}
static otc_bool two_channels(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = 48000, settings->number_of_channels = 2;
  return OTC_TRUE;
}
static void use_microphone(int is_silent) {
  struct otc_audio_device_callbacks callbacks = {0};
  callbacks.start_capturer = start_singing, callbacks.destroy_capturer = end_singing;
  callbacks.get_capture_settings = two_channels;
  atomic_store(&microphone.is_silent, is_silent);
  CHECK_EQUAL(otc_set_audio_device(&callbacks), OTC_SUCCESS);
}

/* ---- Publishers with these settings, and who listens to them ---- */

typedef struct voice {
  otc_publisher *publisher;
  int reports;                /* counter */
  int64_t first, last;        /* bytes, when the first and the newest report of statistics came */
} voice;

static voice mono, stereo, steady, sparing, limited;
static int one_sided, two_sided; /* counters of steps with a loud left side */

static void on_sent(otc_publisher *publisher, void *user_data, struct otc_publisher_audio_stats *stats, size_t count) {
  voice *self = (voice *)user_data;
  (void)publisher;
  CHECK_EQUAL(count, 1);
  if (!self->reports) self->first = stats->bytes_sent;
  self->last = stats->bytes_sent;
  count_one(&self->reports);
}
static void on_audio_data(otc_subscriber *subscriber, void *user_data, const struct otc_audio_data *data) {
  const int16_t *samples = (const int16_t *)data->sample_buffer;
  int left = 0, right = 0;
  (void)subscriber;
  for (size_t i = 0; i < data->number_of_samples; i++) {
    if (abs(samples[2 * i]) > left) left = abs(samples[2 * i]);
    if (abs(samples[2 * i + 1]) > right) right = abs(samples[2 * i + 1]);
  }
  if (left < 1000) return;
  /* Mono puts the same on both sides. What conceals a gap on a busy machine may differ for a moment: that does not count. */
  if (user_data == &stereo && right < left / 4) count_one(&one_sided);
  if (user_data != &stereo && right == left) count_one(&two_sided);
}

static void publish(voice *self, recorder *session, const char *name, int is_stereo, int uses_dtx) {
  struct otc_publisher_callbacks callbacks = {0};
  callbacks.on_audio_stats = on_sent;
  callbacks.user_data = self;
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, name);
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  CHECK_EQUAL(otc_publisher_settings_set_auto_gain_control(settings, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_noise_suppression(settings, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_echo_cancellation(settings, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_stereo(settings, is_stereo), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_settings_set_opus_dtx(settings, uses_dtx), OTC_SUCCESS);
  self->publisher = otc_publisher_new_with_settings(&callbacks, settings);
  otc_publisher_settings_delete(settings);
  CHECK_EQUAL(otc_session_publish(session->session, self->publisher), OTC_SUCCESS);
}

static otc_subscriber *listener_to(voice *to, recorder *session) {
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_audio_data = on_audio_data;
  callbacks.user_data = to;
  otc_subscriber *subscriber = otc_subscriber_new(session->last_stream, &callbacks);
  CHECK_EQUAL(otc_session_subscribe(session->session, subscriber), OTC_SUCCESS);
  return subscriber;
}

static void stereo_keeps_the_sides_and_mono_mixes_them(void) {
  use_microphone(0);
  call call = call_new();
  publish(&stereo, call.here, "stereo", OTC_TRUE, OTC_FALSE);
  recorder_wait(call.there, "stream received stereo", 1);
  otc_subscriber *wide = listener_to(&stereo, call.there);
  publish(&mono, call.here, "mono", OTC_FALSE, OTC_FALSE);
  recorder_wait(call.there, "stream received mono", 1);
  otc_subscriber *narrow = listener_to(&mono, call.there);
  AWAIT_COUNT(one_sided, 20);
  AWAIT_COUNT(two_sided, 20);
  otc_subscriber_delete(wide), otc_subscriber_delete(narrow);
  otc_publisher_delete(stereo.publisher), otc_publisher_delete(mono.publisher);
  call_end(call);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
}

/* Each reports every second; half of what the other one sends is far from both. */
static void costs_at_most_half(const voice *self, const voice *other) {
  int64_t usual = other->last - other->first, own = self->last - self->first;
  if (usual <= 0 || own > usual / 2) fprintf(stderr, "%lld bytes, and usually %lld\n", (long long)own, (long long)usual);
  CHECK(usual > 0 && own <= usual / 2);
}

static void silence_costs_next_to_nothing_with_dtx(void) {
  use_microphone(1);
  call call = call_new();
  publish(&steady, call.here, "steady", OTC_FALSE, OTC_FALSE);
  publish(&sparing, call.here, "sparing", OTC_FALSE, OTC_TRUE);
  AWAIT_COUNT(steady.reports, 4);
  AWAIT_COUNT(sparing.reports, 4);
  otc_publisher_delete(steady.publisher), otc_publisher_delete(sparing.publisher);
  costs_at_most_half(&sparing, &steady);
  call_end(call);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
}

static void a_limit_on_sound_holds(void) {
  use_microphone(0);
  call call = call_new();
  publish(&steady, call.here, "steady", OTC_FALSE, OTC_FALSE);
  publish(&limited, call.here, "limited", OTC_FALSE, OTC_FALSE);
  CHECK_EQUAL(otc_publisher_set_max_audio_bitrate(limited.publisher, 6000), OTC_SUCCESS);
  AWAIT_COUNT(steady.reports, 4);
  AWAIT_COUNT(limited.reports, 4);
  otc_publisher_delete(steady.publisher), otc_publisher_delete(limited.publisher);
  costs_at_most_half(&limited, &steady);
  call_end(call);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(a_publisher_says_what_it_was_told),
      TEST(a_subscriber_says_what_it_was_told),
      TEST(a_stream_and_its_connection_say_what_they_are),
      TEST(a_capturer_has_a_content_hint),
      TEST(a_capturer_takes_no_coded_pictures),
      TEST(stereo_keeps_the_sides_and_mono_mixes_them),
      TEST(silence_costs_next_to_nothing_with_dtx),
      TEST(a_limit_on_sound_holds),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
