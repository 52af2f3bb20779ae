/*
 * The life of streams: publishers and subscribers over the hub, with pictures and sound.
 *
 * What comes with the callbacks, and that none comes at the wrong time, is checked in media.h; here are the situations.
 */
#include "media.h"

static const char *TOKEN, *OTHER_TOKEN, *SUBSCRIBER_TOKEN;

/* ---- From the first callback to the last ---- */

static source *published_by_hook;
static sink *subscribed_by_hook;
static diary *hooks_diary;

static void publish_when_connected(recorder *self, const char *event) {
  if (!strcmp(event, "connected")) CHECK_EQUAL(otc_session_publish(self->session, published_by_hook->publisher), OTC_SUCCESS);
}
static void subscribe_when_received(recorder *self, const char *event) {
  if (!begins(event, "stream received")) return;
  subscribed_by_hook = sink_of(hooks_diary, "sink", self->last_stream);
  CHECK_EQUAL(otc_session_subscribe(self->session, subscribed_by_hook->subscriber), OTC_SUCCESS);
}

static void a_stream_published_and_subscribed_to_in_callbacks_flows(void) {
  device *device = device_use();
  diary *diary = hooks_diary = diary_new();
  recorder *here = recorder_new(), *there = recorder_new();
  there->hook = subscribe_when_received;
  CHECK_EQUAL(recorder_connect(there, OTHER_TOKEN), OTC_SUCCESS);
  recorder_wait(there, "connected", 1);
  published_by_hook = source_new(diary, "film");
  here->hook = publish_when_connected;
  CHECK_EQUAL(recorder_connect(here, TOKEN), OTC_SUCCESS);
  diary_wait(diary, "created film", 1);
  diary_wait(diary, "sink connected", 1);
  diary_wait(diary, "sink video data received", 1);
  sink *sink = subscribed_by_hook;
  source *source = published_by_hook;
  AWAIT_COUNT(sink->frames, 3);
  AWAIT_COUNT(sink->loud_sounds, 3);
  AWAIT_COUNT(sink->loud, 1);
  AWAIT_COUNT(source->frames, 3);
  AWAIT_COUNT(source->loud, 1);
  CHECK_EQUAL(sink->width, PICTURE_WIDTH);
  CHECK_EQUAL(sink->height, PICTURE_HEIGHT);
  CHECK(diary_place(diary, "sink connected") < diary_place(diary, "sink video data received"));
  CHECK(there->last_stream && otc_stream_has_audio_track(there->last_stream) && otc_stream_has_video_track(there->last_stream));
  CHECK(!strcmp(otc_connection_get_data(otc_stream_get_connection(there->last_stream)), "one"));
  CHECK(!strcmp(otc_stream_get_id(otc_publisher_get_stream(source->publisher)), otc_stream_get_id(there->last_stream)));
  CHECK(!strcmp(otc_stream_get_id(otc_subscriber_get_stream(sink->subscriber)), otc_stream_get_id(there->last_stream)));
  CHECK_EQUAL(recorder_count(here, "stream received"), 0); /* the own one is none */
  CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
  diary_wait(diary, "destroyed film", 1);
  recorder_wait(there, "stream dropped film", 1);
  sink_delete(sink), source_delete(source);
  recorder_delete(here), recorder_delete(there);
  for (int plays = 0; plays < 2; plays++) {
    CHECK_EQUAL(device->starts[plays], 1);
    CHECK_EQUAL(device->ends[plays], 1);
  }
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device), free(diary);
}

/* ---- The end of the own stream ---- */

static void note_in_the_same_diary(recorder *self, const char *event) { note((diary *)self->hook_data, "session %s", event); }

static void the_own_stream_ends_before_on_disconnected(void) {
  call call = call_begun();
  call.here->hook_data = call.diary;
  call.here->hook = note_in_the_same_diary;
  CHECK(otc_publisher_get_session(call.source->publisher) == call.here->session);
  CHECK(otc_subscriber_get_session(call.sink->subscriber) == call.there->session);
  CHECK_EQUAL(recorder_disconnect(call.here), OTC_SUCCESS);
  diary_wait(call.diary, "session disconnected", 1);
  CHECK(diary_place(call.diary, "destroyed film") < diary_place(call.diary, "session disconnected"));
  CHECK(!otc_publisher_get_session(call.source->publisher) && !otc_publisher_get_stream(call.source->publisher));
  AWAIT_COUNT(call.source->camera.ends, 1);
  recorder_wait(call.there, "stream dropped film", 1);
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SESSION_PUBLISHER_NOT_FOUND);
  CHECK_EQUAL(diary_count(call.diary, "destroyed"), 1);
  call_end(call);
}

static void after_the_deletion_of_a_publisher_its_stream_ends_for_others_only(void) {
  call call = call_begun();
  source_delete(call.source), call.source = NULL;
  recorder_wait(call.there, "stream dropped film", 1);
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "after", ""), OTC_SUCCESS);
  recorder_wait(call.here, "signal after", 1); /* what was queued before has come by now */
  CHECK_EQUAL(diary_count(call.diary, "destroyed"), 0);
  call_end(call);
}

/* Recorders write down each step of sound: silence of a stream that is gone would lie among the sound of the next one. */
static void of_a_stream_that_has_dropped_nothing_comes_any_more(void) {
  call call = call_begun();
  sink *former = call.sink;
  AWAIT_MORE(former->audio_stats);
  source_delete(call.source);
  recorder_wait(call.there, "stream dropped film", 1);
  call.source = source_new(call.diary, "next");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received next", 1);
  call.sink = sink_in(call.there, call.diary, "watcher");
  AWAIT_MORE(call.sink->sounds);
  int sounds = count_of(&former->sounds), levels = count_of(&former->levels), statistics = count_of(&former->audio_stats);
  AWAIT_MORE(call.sink->audio_stats);
  CHECK_EQUAL(count_of(&former->sounds), sounds);
  CHECK_EQUAL(count_of(&former->levels), levels);
  CHECK_EQUAL(count_of(&former->audio_stats), statistics);
  sink_delete(former);
  call_end(call);
}

static void without_an_encoder_video_ends_and_sound_goes_on(void) {
  setenv("OTC_WITHOUT", "libvpx,libopenh264", 1);
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "publisher error", 1);
  recorder_wait(call.there, "stream received film", 1);
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_MORE(call.sink->sounds);
  CHECK(!otc_publisher_get_publish_video(call.source->publisher));
  source *pictures = source_with(call.diary, "pictures", 0, 1, HAS_ALL);
  CHECK_EQUAL(source_publish(pictures, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "destroyed pictures", 1);
  recorder_wait(call.there, "stream dropped pictures", 1);
  CHECK_EQUAL(diary_count(call.diary, "publisher error"), 2);
  CHECK(!otc_publisher_get_session(pictures->publisher));
  CHECK_EQUAL(pictures->camera.ends, 1);
  CHECK_EQUAL(diary_count(call.diary, "destroyed film"), 0);
  AWAIT_MORE(call.sink->sounds);
  source_delete(pictures);
  call_end(call);
}

static void after_a_disconnect_subscribers_hear_nothing(void) {
  call call = call_begun();
  CHECK_EQUAL(recorder_disconnect(call.there), OTC_SUCCESS);
  CHECK(!otc_subscriber_get_session(call.sink->subscriber));
  recorder_wait(call.there, "disconnected", 1);
  CHECK_EQUAL(recorder_count(call.there, "stream dropped"), 0);
  int frames = count_of(&call.sink->frames);
  AWAIT_MORE(call.source->frames);
  CHECK_EQUAL(count_of(&call.sink->frames), frames);
  CHECK_EQUAL(diary_count(call.diary, "sink disconnected") + diary_count(call.diary, "sink error"), 0);
  call_end(call);
}

/* ---- Publishing again, and elsewhere ---- */

static otc_session *published_in;

static void what_was_unpublished_is_published_again_at_once_as_another_stream(void) {
  enum { ROUNDS = 5 };
  call call = call_new();
  source *source = call.source = source_new(call.diary, "film");
  char ids[ROUNDS][64];
  for (int round = 0; round < ROUNDS; round++) {
    CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
    CHECK_EQUAL(source_publish(source, call.here), OTC_SESSION_ILLEGAL_STATE);
    CHECK_EQUAL(source_publish(source, call.there), OTC_SESSION_ILLEGAL_STATE);
    diary_wait(call.diary, "created film", round + 1);
    snprintf(ids[round], sizeof ids[round], "%s", otc_stream_get_id(otc_publisher_get_stream(source->publisher)));
    for (int before = 0; before < round; before++) CHECK(strcmp(ids[before], ids[round]));
    CHECK_EQUAL(source_unpublish(source, call.here), OTC_SUCCESS);
    CHECK(!otc_publisher_get_session(source->publisher) && !otc_publisher_get_stream(source->publisher));
    CHECK_EQUAL(source_unpublish(source, call.here), OTC_SESSION_PUBLISHER_NOT_FOUND);
  }
  CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", ROUNDS + 1);
  recorder_wait(call.there, "stream dropped film", ROUNDS);
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->frames, 2);
  call_end(call);
}

static void publish_when_destroyed(source *self, const char *event) {
  if (!strcmp(event, "destroyed")) CHECK_EQUAL(otc_session_publish(published_in, self->publisher), OTC_SUCCESS);
}

static void a_stream_may_be_published_again_inside_on_stream_destroyed(void) {
  call call = call_new();
  published_in = call.here->session;
  call.source = source_new(call.diary, "film");
  call.source->hook = publish_when_destroyed;
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  for (int round = 1; round <= 3; round++) {
    diary_wait(call.diary, "created", round);
    CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  }
  diary_wait(call.diary, "created", 4);
  recorder_wait(call.there, "stream received film", 4);
  call_end(call);
}

static void what_is_unpublished_at_once_leaves_nothing(void) {
  enum { ROUNDS = 20 };
  call call = call_new();
  call.source = source_new(call.diary, "film");
  for (int round = 0; round < ROUNDS; round++) {
    CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
    struct timespec moment = {0, round * 300000}; /* spread over the publishing, not a wait for it */
    nanosleep(&moment, NULL);
    CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  }
  /* Whoever comes now sees no stream: whatever was announced has been taken back. */
  CHECK_EQUAL(otc_session_send_signal(call.here->session, "last", ""), OTC_SUCCESS);
  recorder_wait(call.there, "signal last", 1);
  recorder_wait(call.there, "stream dropped", recorder_count(call.there, "stream received"));
  recorder *late = connected_with(OTHER_TOKEN);
  CHECK_EQUAL(otc_session_send_signal(late->session, "late", ""), OTC_SUCCESS);
  recorder_wait(late, "signal late", 1);
  CHECK_EQUAL(recorder_count(late, "stream received"), 0);
  recorder_delete(late);
  diary_wait(call.diary, "destroyed", diary_count(call.diary, "created"));
  CHECK_EQUAL(diary_count(call.diary, "publisher error"), 0);
  call_end(call);
}

static void a_publisher_goes_from_session_to_session(void) {
  diary *diary = diary_new();
  source *source = source_new(diary, "film");
  recorder *there = connected_with(OTHER_TOKEN);
  for (int round = 1; round <= 3; round++) {
    recorder *here = connected_with(TOKEN);
    CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
    diary_wait(diary, "created film", round);
    recorder_wait(there, "stream received film", round);
    sink *sink = sink_in(there, diary, "sink");
    AWAIT_COUNT(sink->frames, 2);
    if (round == 1) {
      CHECK_EQUAL(recorder_disconnect(here), OTC_SUCCESS); /* and at once: */
    } else if (round == 2) {
      CHECK_EQUAL(source_unpublish(source, here), OTC_SUCCESS);
      CHECK_EQUAL(source_unpublish(source, here), OTC_SESSION_PUBLISHER_NOT_FOUND);
    }
    recorder_delete(here);
    source->is_published = 0; /* of an end that comes with the session's it is not told */
    CHECK(!otc_publisher_get_session(source->publisher));
    sink_delete(sink);
  }
  recorder_wait(there, "stream dropped film", 3);
  source_delete(source);
  recorder_delete(there);
  free(diary);
}

/* ---- Subscribing ---- */

static void two_subscribers_of_one_stream_both_get_it(void) {
  call call = call_begun();
  sink *second = sink_in(call.there, call.diary, "second"); /* on this thread, with a copy that is gone already */
  AWAIT_COUNT(second->frames, 2);
  AWAIT_COUNT(second->sounds, 2);
  sink_delete(call.sink), call.sink = NULL;
  AWAIT_MORE(second->frames);
  AWAIT_MORE(second->sounds);
  CHECK_EQUAL(otc_session_unsubscribe(call.there->session, second->subscriber), OTC_SUCCESS);
  CHECK_EQUAL(otc_session_unsubscribe(call.there->session, second->subscriber), OTC_SESSION_SUBSCRIBER_NOT_FOUND);
  CHECK(!otc_subscriber_get_session(second->subscriber));
  CHECK_EQUAL(second->is_connected, 1);
  second->is_connected = second->has_video = 0; /* as new */
  CHECK_EQUAL(sink_subscribe(second, call.there), OTC_SUCCESS);
  CHECK_EQUAL(sink_subscribe(second, call.there), OTC_SESSION_ILLEGAL_STATE);
  diary_wait(call.diary, "second video data received", 2);
  AWAIT_MORE(second->frames);
  sink_delete(second);
  call_end(call);
}

static void take_long_over_a_picture(sink *self, const char *event) {
  struct timespec its_work = {0, 20000000};
  (void)self;
  if (!strcmp(event, "frame")) nanosleep(&its_work, NULL);
}

/* Half of the time a picture is being shown: who records the sound has all of it, but for a little that is under way. */
static void sound_is_whole_beside_pictures_that_take_long(void) {
  enum { UNDER_WAY = 5, ROUNDS = 5 };
  call call = call_begun();
  call.sink->hook = take_long_over_a_picture;
  int is_whole = 0;
  /* In some of these three seconds each a busy machine may be late itself. */
  for (int round = 0; round < ROUNDS && !is_whole; round++) {
    int frames = count_of(&call.sink->frames), begin = count_of(&call.sink->sounds);
    long long since = now_ms();
    AWAIT_COUNT(call.sink->frames, frames + 3 * PICTURE_RATE);
    long long steps = (now_ms() - since) / 10, sounds = count_of(&call.sink->sounds) - begin;
    is_whole = sounds >= steps * 98 / 100 - UNDER_WAY;
    if (!is_whole) fprintf(stderr, "%lld steps of %lld\n", sounds, steps);
  }
  CHECK(is_whole);
  call_end(call);
}

static void the_own_stream_can_be_subscribed_to(void) {
  diary *diary = diary_new();
  recorder *here = connected_with(TOKEN);
  source *source = source_new(diary, "film");
  CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
  diary_wait(diary, "created film", 1);
  sink *sink = sink_of(diary, "sink", otc_publisher_get_stream(source->publisher));
  CHECK_EQUAL(sink_subscribe(sink, here), OTC_SUCCESS);
  AWAIT_COUNT(sink->frames, 2);
  AWAIT_COUNT(sink->sounds, 2);
  sink_delete(sink), source_delete(source), recorder_delete(here);
  free(diary);
}

static void a_stream_that_has_dropped_is_told_by_on_error(void) {
  call call = call_new();
  call.source = source_new(call.diary, "film");
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 1);
  CHECK_EQUAL(source_unpublish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream dropped film", 1);
  call.sink = sink_in(call.there, call.diary, "sink");
  diary_wait(call.diary, "sink error 1604", 1);
  CHECK(!otc_subscriber_get_session(call.sink->subscriber));
  call_end(call);
}

static void who_is_in_no_connected_session_is_refused(void) {
  call call = call_begun();
  recorder *idle = recorder_new();
  source *source = source_new(call.diary, "other");
  sink *sink = sink_of(call.diary, "other", call.there->last_stream);
  CHECK_EQUAL(source_publish(source, idle), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(sink_subscribe(sink, idle), OTC_SESSION_NOT_CONNECTED);
  CHECK_EQUAL(source_unpublish(source, call.here), OTC_SESSION_PUBLISHER_NOT_FOUND);
  CHECK_EQUAL(otc_session_unsubscribe(call.here->session, sink->subscriber), OTC_SESSION_SUBSCRIBER_NOT_FOUND);
  CHECK_EQUAL(otc_session_unpublish(call.there->session, call.source->publisher), OTC_SESSION_PUBLISHER_NOT_FOUND);
  CHECK(!otc_publisher_get_session(source->publisher) && !otc_publisher_get_stream(source->publisher));
  CHECK(!otc_subscriber_get_session(sink->subscriber));
  CHECK(otc_subscriber_get_stream(sink->subscriber));
  sink_delete(sink), source_delete(source), recorder_delete(idle);
  call_end(call);
}

/* ---- Switching ---- */

static void what_the_publisher_switches_off_and_on_is_told(void) {
  call call = call_begun();
  otc_publisher *publisher = call.source->publisher;
  CHECK_EQUAL(otc_publisher_set_publish_video(publisher, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_publish_video(publisher), OTC_FALSE);
  recorder_wait(call.there, "stream film: video 0", 1);
  diary_wait(call.diary, "sink video disabled 1", 1);
  CHECK(!otc_stream_has_video(otc_subscriber_get_stream(call.sink->subscriber)));
  CHECK_EQUAL(otc_publisher_set_publish_audio(publisher, OTC_FALSE), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: audio 0", 1);
  diary_wait(call.diary, "sink audio disabled", 1);
  AWAIT_MORE(call.source->frames); /* the preview goes on */
  CHECK_EQUAL(otc_publisher_set_publish_video(publisher, OTC_TRUE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_set_publish_audio(publisher, OTC_TRUE), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: video 1", 1);
  recorder_wait(call.there, "stream film: audio 1", 1);
  diary_wait(call.diary, "sink video enabled 1", 1);
  diary_wait(call.diary, "sink audio enabled", 1);
  AWAIT_MORE(call.sink->frames);
  CHECK_EQUAL(call.source->camera.starts, 1);
  call_end(call);
}

static void what_the_subscriber_does_not_want_does_not_come(void) {
  call call = call_begun();
  otc_subscriber *subscriber = call.sink->subscriber;
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_video(subscriber, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_get_subscribe_to_video(subscriber), OTC_FALSE);
  diary_wait(call.diary, "sink video disabled 2", 1);
  int frames = count_of(&call.sink->frames);
  AWAIT_MORE(call.source->frames);
  CHECK(count_of(&call.sink->frames) <= frames + 1); /* one may have been under way */
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_audio(subscriber, OTC_FALSE), OTC_SUCCESS);
  diary_wait(call.diary, "sink audio disabled", 1);
  int sounds = count_of(&call.sink->sounds);
  AWAIT_MORE(call.source->frames);
  CHECK(count_of(&call.sink->sounds) <= sounds + 1);
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_video(subscriber, OTC_TRUE), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_audio(subscriber, OTC_TRUE), OTC_SUCCESS);
  diary_wait(call.diary, "sink video enabled 2", 1);
  diary_wait(call.diary, "sink audio enabled", 1);
  AWAIT_MORE(call.sink->frames);
  AWAIT_MORE(call.sink->sounds);
  call_end(call);
}

static void what_is_set_before_takes_effect_with_the_publishing_and_subscribing(void) {
  call call = call_new();
  source *source = call.source = source_new(call.diary, "film");
  CHECK_EQUAL(otc_publisher_set_publish_video(source->publisher, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_set_max_video_bitrate(source->publisher, 200000), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_set_max_audio_bitrate(source->publisher, 32000), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_set_video_type(source->publisher, OTC_PUBLISHER_VIDEO_TYPE_SCREEN), OTC_SUCCESS);
  CHECK_EQUAL(source_publish(source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 1);
  CHECK(otc_stream_has_video_track(call.there->last_stream) && !otc_stream_has_video(call.there->last_stream));
  CHECK(otc_stream_has_audio(call.there->last_stream));
  CHECK_EQUAL(otc_stream_get_video_type(call.there->last_stream), OTC_STREAM_VIDEO_TYPE_SCREEN);
  sink *sink = call.sink = sink_of(call.diary, "sink", call.there->last_stream);
  CHECK_EQUAL(otc_subscriber_set_subscribe_to_audio(sink->subscriber, OTC_FALSE), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_preferred_resolution(sink->subscriber, 80, 60), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_preferred_framerate(sink->subscriber, 5), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_audio_volume(sink->subscriber, 1000), OTC_SUCCESS);
  double volume = 0;
  CHECK_EQUAL(otc_subscriber_get_audio_volume(sink->subscriber, &volume), OTC_SUCCESS);
  CHECK(volume == 100);
  CHECK_EQUAL(sink_subscribe(sink, call.there), OTC_SUCCESS);
  diary_wait(call.diary, "sink connected", 1);
  CHECK_EQUAL(otc_publisher_set_publish_video(source->publisher, OTC_TRUE), OTC_SUCCESS);
  AWAIT_COUNT(sink->frames, 2);
  CHECK_EQUAL(count_of(&sink->sounds), 0);
  CHECK_EQUAL(otc_publisher_set_video_type(source->publisher, OTC_PUBLISHER_VIDEO_TYPE_CAMERA), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: type 1", 1);
  CHECK_EQUAL(otc_publisher_set_video_type(source->publisher, OTC_PUBLISHER_VIDEO_TYPE_SCREEN), OTC_SUCCESS);
  recorder_wait(call.there, "stream film: type 2", 1);
  CHECK_EQUAL(source_unpublish(source, call.here), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_set_publish_video(source->publisher, OTC_FALSE), OTC_SUCCESS); /* afterwards too */
  CHECK_EQUAL(otc_publisher_set_publish_audio(source->publisher, OTC_FALSE), OTC_SUCCESS);
  call_end(call);
}

/* Of the stream that a subscriber has by now. */
static int has_size(const otc_stream *stream, int width, int height) {
  return otc_stream_get_video_width(stream) == width && otc_stream_get_video_height(stream) == height;
}

static void pictures_of_another_size_are_told_and_those_of_the_same_are_not(void) {
  call call = call_begun();
  CHECK(has_size(otc_subscriber_get_stream(call.sink->subscriber), 160, 120));
  CHECK_EQUAL(recorder_count(call.there, "stream film: "), 0);
  atomic_store(&call.source->camera.lines, 60);
  recorder_wait(call.there, "stream film: 160 x 60", 1);
  AWAIT_MORE(call.sink->frames);
  atomic_store(&call.source->camera.degrees, 90);
  recorder_wait(call.there, "stream film: 60 x 160", 1);
  CHECK(has_size(otc_subscriber_get_stream(call.sink->subscriber), 60, 160));
  CHECK(has_size(otc_publisher_get_stream(call.source->publisher), 60, 160));
  AWAIT_MORE(call.sink->frames);
  CHECK_EQUAL(call.sink->width, 60);
  CHECK_EQUAL(recorder_count(call.there, "stream film: "), 2);
  call_end(call);
}

/* ---- Statistics ---- */

static int reports;

static void on_publisher_report(otc_publisher *publisher, void *user_data, const struct otc_publisher_rtc_stats *stats, size_t count) {
  (void)publisher;
  CHECK(user_data == &reports);
  CHECK(count == 1 && stats->connection_id && begins(stats->json_array_of_reports, "["));
  CHECK(strstr(stats->json_array_of_reports, "outbound-rtp"));
  count_one(&reports);
}
static void on_subscriber_report(otc_subscriber *subscriber, void *user_data, const char *json) {
  (void)subscriber;
  CHECK(user_data == &reports && begins(json, "[") && strstr(json, "inbound-rtp"));
  count_one(&reports);
}

static void statistics_come_every_second_and_reports_when_asked_for(void) {
  call call = call_new();
  call.source = source_new(call.diary, "film");
  struct otc_publisher_rtc_stats_report_cb of_publisher = {.user_data = &reports};
  struct otc_subscriber_rtc_stats_report_cb of_subscriber = {.user_data = &reports};
  of_publisher.on_rtc_stats_report = on_publisher_report, of_subscriber.on_rtc_stats_report = on_subscriber_report;
  CHECK_EQUAL(otc_publisher_set_rtc_stats_report_cb(call.source->publisher, of_publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_rtc_stats_report(call.source->publisher), OTC_PUBLISHER_SESSION_DISCONNECTED);
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received film", 1);
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->frames, 1);
  CHECK_EQUAL(otc_subscriber_set_rtc_stats_report_cb(call.sink->subscriber, of_subscriber), OTC_SUCCESS);
  CHECK_EQUAL(otc_publisher_get_rtc_stats_report(call.source->publisher), OTC_SUCCESS);
  AWAIT_COUNT(reports, 1);
  CHECK_EQUAL(otc_subscriber_get_rtc_stats_report(call.sink->subscriber), OTC_SUCCESS);
  AWAIT_COUNT(reports, 2);
  AWAIT_COUNT(call.source->stats, 1);
  AWAIT_COUNT(call.sink->audio_stats, 1);
  AWAIT_COUNT(call.sink->video_stats, 1);
  call_end(call);
}

/* ---- Streams that lack something ---- */

static void without_a_picture_there_is_sound(void) {
  call call = call_new();
  call.source = source_with(call.diary, "voice", 1, 0, HAS_ALL);
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received voice", 1);
  CHECK(otc_stream_has_audio_track(call.there->last_stream) && !otc_stream_has_video_track(call.there->last_stream));
  CHECK(!otc_stream_has_video(call.there->last_stream));
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->sounds, 3);
  CHECK_EQUAL(call.source->camera.stage, UNUSED);
  call_end(call);
}

static void without_sound_there_is_a_picture(void) {
  call call = call_new();
  call.source = source_with(call.diary, "mime", 0, 1, HAS_ALL);
  CHECK_EQUAL(otc_publisher_set_publish_captions(call.source->publisher, OTC_TRUE), OTC_PUBLISHER_MISSING_AUDIO_TRACK);
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  recorder_wait(call.there, "stream received mime", 1);
  CHECK(!otc_stream_has_audio_track(call.there->last_stream) && otc_stream_has_video_track(call.there->last_stream));
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->frames, 3);
  CHECK_EQUAL(count_of(&call.sink->sounds), 0);
  call_end(call);
}

static void is_in_no_session(source *self, const char *event) {
  CHECK(!strcmp(event, "error"));
  CHECK(!otc_publisher_get_session(self->publisher));
}

static void with_neither_there_is_an_error(void) {
  call call = call_new();
  call.source = source_with(call.diary, "nothing", 0, 0, HAS_ALL);
  call.source->hook = is_in_no_session;
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "publisher error 2000", 1);
  CHECK(!otc_publisher_get_session(call.source->publisher));
  call_end(call);
}

static void a_camera_that_does_not_start_is_told_and_sound_goes_on(void) {
  call call = call_new();
  call.source = source_new(call.diary, "film");
  call.source->camera.refusals = 1000;
  CHECK_EQUAL(source_publish(call.source, call.here), OTC_SUCCESS);
  diary_wait(call.diary, "publisher error 2000", 1);
  recorder_wait(call.there, "stream received film", 1);
  CHECK(!otc_stream_has_video_track(call.there->last_stream));
  call.sink = sink_in(call.there, call.diary, "sink");
  AWAIT_COUNT(call.sink->sounds, 3);
  call.source->camera.stage = UNUSED; /* `init` is asked again with the next start */
  call_end(call);
}

/* ---- Refusals of the session ---- */

static void who_may_only_subscribe_is_told_so(void) {
  diary *diary = diary_new();
  recorder *here = connected_with(SUBSCRIBER_TOKEN);
  CHECK(!otc_session_get_capabilities(here->session).publish);
  source *source = source_new(diary, "film");
  for (int round = 1; round <= 2; round++) {
    CHECK_EQUAL(source_publish(source, here), OTC_SUCCESS);
    diary_wait(diary, "publisher error 1500", round);
    CHECK(!otc_publisher_get_session(source->publisher));
  }
  CHECK_EQUAL(diary_count(diary, "created") + diary_count(diary, "destroyed"), 0);
  source_delete(source), recorder_delete(here);
  free(diary);
}

static recorder *the_other_session;

static void publish_elsewhere(source *self, const char *event) {
  if (strcmp(event, "error")) return;
  CHECK(!otc_publisher_get_session(self->publisher));
  CHECK_EQUAL(source_publish(self, the_other_session), OTC_SUCCESS);
}

static void who_is_refused_publishes_in_another_session_at_once(void) {
  diary *diary = diary_new();
  recorder *refusing = connected_with(SUBSCRIBER_TOKEN), *there = connected_with(OTHER_TOKEN);
  recorder *here = the_other_session = connected_with(TOKEN);
  source *source = source_new(diary, "film");
  source->hook = publish_elsewhere;
  CHECK_EQUAL(source_publish(source, refusing), OTC_SUCCESS);
  recorder_wait(there, "stream received film", 1);
  diary_wait(diary, "created film", 1);
  CHECK(otc_publisher_get_session(source->publisher) == here->session);
  sink *sink = sink_in(there, diary, "sink");
  AWAIT_COUNT(sink->frames, 3); /* what stopped the first publishing has not stopped the second */
  CHECK_EQUAL(diary_count(diary, "publisher error"), 1);
  sink_delete(sink), source_delete(source);
  recorder_delete(refusing), recorder_delete(here), recorder_delete(there);
  free(diary);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(a_stream_published_and_subscribed_to_in_callbacks_flows),
      TEST(the_own_stream_ends_before_on_disconnected),
      TEST(after_the_deletion_of_a_publisher_its_stream_ends_for_others_only),
      TEST(of_a_stream_that_has_dropped_nothing_comes_any_more),
      TEST(without_an_encoder_video_ends_and_sound_goes_on),
      TEST(after_a_disconnect_subscribers_hear_nothing),
      TEST(what_was_unpublished_is_published_again_at_once_as_another_stream),
      TEST(a_stream_may_be_published_again_inside_on_stream_destroyed),
      TEST(what_is_unpublished_at_once_leaves_nothing),
      TEST(a_publisher_goes_from_session_to_session),
      TEST(two_subscribers_of_one_stream_both_get_it),
      TEST(sound_is_whole_beside_pictures_that_take_long),
      TEST(the_own_stream_can_be_subscribed_to),
      TEST(a_stream_that_has_dropped_is_told_by_on_error),
      TEST(who_is_in_no_connected_session_is_refused),
      TEST(what_the_publisher_switches_off_and_on_is_told),
      TEST(what_the_subscriber_does_not_want_does_not_come),
      TEST(what_is_set_before_takes_effect_with_the_publishing_and_subscribing),
      TEST(pictures_of_another_size_are_told_and_those_of_the_same_are_not),
      TEST(statistics_come_every_second_and_reports_when_asked_for),
      TEST(without_a_picture_there_is_sound),
      TEST(without_sound_there_is_a_picture),
      TEST(with_neither_there_is_an_error),
      TEST(a_camera_that_does_not_start_is_told_and_sound_goes_on),
      TEST(who_may_only_subscribe_is_told_so),
      TEST(who_is_refused_publishes_in_another_session_at_once),
      {0},
  };
  TOKEN = given("TEST_TOKEN"), OTHER_TOKEN = given("TEST_OTHER_TOKEN"), SUBSCRIBER_TOKEN = given("TEST_SUBSCRIBER_TOKEN");
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
