/*
 * Reports of statistics of a film on the hub: every id that is named is there, what is counted grows, and what is said of
 * codec, path and picture is so.
 */
#include "media.h"

enum { OF_PUBLISHER, OF_SUBSCRIBER };

typedef struct report {
  const char *member; /* the one that the tests wait for, and where */
  const char *id;
  char *json; /* the newest; guarded by `counting` */
  int count;
} report;

static report reports[2];

static void keep(report *self, const char *json) {
  char *copy = strdup(json);
  pthread_mutex_lock(&counting);
  char *old = self->json;
  self->json = copy;
  pthread_mutex_unlock(&counting);
  free(old);
  count_one(&self->count);
}
static void on_publisher_report(otc_publisher *publisher, void *user_data, const struct otc_publisher_rtc_stats *stats, size_t count) {
  (void)publisher;
  CHECK_EQUAL(count, 1);
  keep((report *)user_data, stats->json_array_of_reports);
}
static void on_subscriber_report(otc_subscriber *subscriber, void *user_data, const char *json) {
  (void)subscriber;
  keep((report *)user_data, json);
}

/*
 * The object of this id, as text; NULL where there is none. Ids and members are plain words. A member that is an object itself
 * comes behind the id, and its own members are found as those of the object.
 */
static char *object_of(const char *json, const char *id) {
  char wanted[160];
  snprintf(wanted, sizeof wanted, "\"id\":\"%s\"", id);
  const char *place = strstr(json, wanted), *begin = place, *end = place;
  if (!place) return NULL;
  while (*begin != '{') begin--;
  for (int depth = 1; depth > 0; depth += (*end == '{') - (*end == '}')) end++;
  return strndup(begin, (size_t)(end - begin) + 1);
}

/* What a member of an object says, without quotation marks; "" where it is not there. */
static const char *member_of(const char *json, const char *id, const char *member) {
  static char values[64][160]; /* so many of the last answers may be kept */
  static int next;
  char wanted[80], *value = values[next = (next + 1) % 64];
  char *object = object_of(json, id);
  snprintf(wanted, sizeof wanted, "\"%s\":", member);
  const char *place = object ? strstr(object, wanted) : NULL;
  *value = 0;
  if (place) {
    place += strlen(wanted);
    size_t length = *place == '"' ? strcspn(++place, "\"") : strcspn(place, ",}");
    snprintf(value, 160, "%.*s", (int)length, place);
  }
  free(object);
  return value;
}
static double number_of(const char *json, const char *id, const char *member) {
  const char *value = member_of(json, id, member);
  if (!*value) fprintf(stderr, "no %s in %s of %s\n", member, id, json);
  CHECK(*value);
  return atof(value);
}
static int says(const char *json, const char *id, const char *member, const char *expected) {
  const char *value = member_of(json, id, member);
  if (strcmp(value, expected) != 0) fprintf(stderr, "%s of %s is '%s' in %s\n", member, id, value, json);
  return strcmp(value, expected) == 0;
}

/* How many members name another object; each of those is there. */
static int references_of(const char *json) {
  int count = 0;
  for (const char *place = json; (place = strstr(place, "Id\":\"")) != NULL; count++) {
    char id[160];
    place += strlen("Id\":\"");
    snprintf(id, sizeof id, "%.*s", (int)strcspn(place, "\""), place);
    char *object = object_of(json, id);
    if (!object) fprintf(stderr, "'%s' is named and not there: %s\n", id, json);
    CHECK(object);
    free(object);
  }
  return count;
}

static void ask(call *call, int which) {
  int before = count_of(&reports[which].count);
  CHECK_EQUAL(which == OF_PUBLISHER ? otc_publisher_get_rtc_stats_report(call->source->publisher)
                                    : otc_subscriber_get_rtc_stats_report(call->sink->subscriber),
              OTC_SUCCESS);
  wait_for_count(&reports[which].count, before + 1, "reports");
}

/* The next report, or the first one that has the member that is waited for. To be freed. */
static char *report_of(call *call, int which) {
  long long begin = now_ms();
  for (;;) {
    ask(call, which);
    pthread_mutex_lock(&counting);
    char *json = strdup(reports[which].json);
    pthread_mutex_unlock(&counting);
    if (*member_of(json, reports[which].id, reports[which].member)) return json;
    if (now_ms() - begin > PATIENCE_MS) fprintf(stderr, "no %s in %s\n", reports[which].member, json);
    CHECK(now_ms() - begin <= PATIENCE_MS);
    free(json);
    AWAIT_MORE(call->sink->frames);
  }
}

static call reported_call(void) {
  call call = call_begun();
  reports[OF_PUBLISHER] = (report){.id = "outbound-video", .member = "remoteId"};
  reports[OF_SUBSCRIBER] = (report){.id = "inbound-video", .member = "ssrc"};
  struct otc_publisher_rtc_stats_report_cb of_publisher = {.user_data = &reports[OF_PUBLISHER]};
  struct otc_subscriber_rtc_stats_report_cb of_subscriber = {.user_data = &reports[OF_SUBSCRIBER]};
  of_publisher.on_rtc_stats_report = on_publisher_report, of_subscriber.on_rtc_stats_report = on_subscriber_report;
  CHECK_EQUAL(otc_publisher_set_rtc_stats_report_cb(call.source->publisher, of_publisher), OTC_SUCCESS);
  CHECK_EQUAL(otc_subscriber_set_rtc_stats_report_cb(call.sink->subscriber, of_subscriber), OTC_SUCCESS);
  return call;
}

static void reported_call_end(call call) {
  call_end(call);
  free(reports[OF_PUBLISHER].json), free(reports[OF_SUBSCRIBER].json);
}

/* ---- Tests ---- */

static void each_id_that_a_report_names_is_in_it(void) {
  call call = reported_call();
  for (int which = OF_PUBLISHER; which <= OF_SUBSCRIBER; which++) {
    char *json = report_of(&call, which);
    int count = references_of(json);
    if (count < 8) fprintf(stderr, "only %d in %s\n", count, json);
    CHECK(count >= 8);
    free(json);
  }
  reported_call_end(call);
}

static void check_growth(call *call, int which, const char *const pairs[][2], size_t count) {
  char *before = report_of(call, which);
  for (int i = 0; i < 3; i++) AWAIT_MORE(call->sink->frames);
  char *after = report_of(call, which);
  for (size_t i = 0; i < count; i++) {
    double was = number_of(before, pairs[i][0], pairs[i][1]), is = number_of(after, pairs[i][0], pairs[i][1]);
    if (is <= was) fprintf(stderr, "%s of %s: first %g, then %g\n", pairs[i][1], pairs[i][0], was, is);
    CHECK(was >= 0 && is > was);
  }
  free(before), free(after);
}

static void what_is_counted_in_a_report_grows(void) {
  device *device = device_use();
  call call = reported_call();
  AWAIT_COUNT(call.source->loud, 1);
  AWAIT_COUNT(call.sink->loud, 1);
  static const char *const sent[][2] = {
      {"outbound-video", "packetsSent"}, {"outbound-video", "bytesSent"}, {"outbound-video", "framesEncoded"},
      {"outbound-audio", "packetsSent"}, {"outbound-audio", "bytesSent"}, {"media-source-video", "frames"},
      {"transport", "bytesSent"},        {"transport", "packetsSent"},
      {"outbound-video", "totalEncodeTime"}, {"outbound-video", "none"}, /* of the times of quality limits */
      {"media-source-audio", "totalAudioEnergy"}, {"media-source-audio", "totalSamplesDuration"},
  };
  static const char *const received[][2] = {
      {"inbound-video", "packetsReceived"}, {"inbound-video", "framesReceived"}, {"inbound-video", "framesDecoded"},
      {"inbound-audio", "packetsReceived"}, {"inbound-audio", "totalSamplesReceived"}, {"transport", "bytesReceived"},
      {"transport", "packetsReceived"},
      {"inbound-video", "jitterBufferDelay"}, {"inbound-video", "jitterBufferEmittedCount"},
      {"inbound-video", "totalInterFrameDelay"}, {"inbound-video", "totalSquaredInterFrameDelay"},
      {"inbound-audio", "jitterBufferDelay"}, {"inbound-audio", "jitterBufferTargetDelay"},
      {"inbound-audio", "jitterBufferEmittedCount"}, {"inbound-audio", "totalSamplesDuration"},
      {"inbound-audio", "totalAudioEnergy"}, {"inbound-video", "totalDecodeTime"}, {"inbound-video", "totalProcessingDelay"},
  };
  check_growth(&call, OF_PUBLISHER, sent, sizeof sent / sizeof *sent);
  check_growth(&call, OF_SUBSCRIBER, received, sizeof received / sizeof *received);
  reported_call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

/* The square of the effective value, a part of full scale, for as long as the sound lasts. */
static void check_energy(const char *json, const char *id) {
  double energy = number_of(json, id, "totalAudioEnergy"), seconds = number_of(json, id, "totalSamplesDuration");
  if (energy <= 0 || energy > seconds) fprintf(stderr, "%s: %g in %g s\n", id, energy, seconds);
  CHECK(energy > 0 && energy <= seconds && seconds < PATIENCE_MS / 1000.0);
}

/* Both ends are hosts; the hub's is only within this machine. */
static void check_path(const char *json) {
  CHECK(says(json, "transport", "dtlsState", "connected"));
  const char *pair = member_of(json, "transport", "selectedCandidatePairId");
  CHECK(says(json, pair, "state", "succeeded") && says(json, pair, "nominated", "true"));
  CHECK(number_of(json, pair, "bytesSent") > 0 && number_of(json, pair, "bytesReceived") > 0);
  static const char *const sides[] = {"localCandidateId", "remoteCandidateId"};
  for (int i = 0; i < 2; i++) {
    const char *candidate = member_of(json, pair, sides[i]);
    CHECK(says(json, candidate, "protocol", "udp") && *member_of(json, candidate, "address"));
    CHECK(i == 0 || says(json, candidate, "address", "127.0.0.1"));
    CHECK(says(json, candidate, "candidateType", "host") && number_of(json, candidate, "port") > 0);
  }
}

static void check_codec(const char *json, const char *stream, const char *name, double clock) {
  const char *codec = member_of(json, stream, "codecId");
  CHECK(says(json, codec, "type", "codec") && says(json, codec, "mimeType", name));
  CHECK(number_of(json, codec, "clockRate") == clock && number_of(json, codec, "payloadType") > 0);
}

static void statistics_know_how_loud_it_is(void) {
  device *device = device_use();
  call call = call_begun();
  AWAIT_MORE(call.source->loud);
  AWAIT_MORE(call.sink->loud);
  int loud = count_of(&call.sink->loud_stats);
  AWAIT_MORE(call.sink->audio_stats); /* three */
  CHECK(count_of(&call.sink->loud_stats) >= loud + 3);
  CHECK(call.source->is_loud);
  CHECK_EQUAL(otc_publisher_set_publish_audio(call.source->publisher, OTC_FALSE), OTC_SUCCESS);
  AWAIT_MORE(call.source->stats);
  CHECK(!call.source->is_loud);
  call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void what_a_report_says_is_so(void) {
  device *device = device_use();
  call call = reported_call();
  AWAIT_COUNT(call.source->loud, 1);
  AWAIT_COUNT(call.sink->loud, 1);
  char *sent = report_of(&call, OF_PUBLISHER), *received = report_of(&call, OF_SUBSCRIBER);
  check_codec(sent, "outbound-video", "video/VP8", 90000), check_codec(sent, "outbound-audio", "audio/opus", 48000);
  check_codec(received, "inbound-video", "video/VP8", 90000), check_codec(received, "inbound-audio", "audio/opus", 48000);
  check_path(sent), check_path(received);
  CHECK(number_of(sent, "outbound-video", "frameWidth") == PICTURE_WIDTH);
  CHECK(number_of(sent, "media-source-video", "height") == PICTURE_HEIGHT);
  CHECK(number_of(received, "inbound-video", "frameHeight") == PICTURE_HEIGHT);
  CHECK(number_of(sent, "outbound-video", "targetBitrate") > 0 && number_of(sent, "outbound-video", "keyFramesEncoded") >= 1);
  CHECK(number_of(sent, "media-source-audio", "audioLevel") > 0);
  CHECK(number_of(received, "inbound-audio", "audioLevel") > 0);
  check_energy(sent, "media-source-audio"), check_energy(received, "inbound-audio");
  CHECK(says(sent, "outbound-video", "qualityLimitationReason", "none") && number_of(sent, "outbound-video", "cpu") == 0);
  CHECK(number_of(sent, "outbound-video", "qualityLimitationResolutionChanges") == 0);
  CHECK(number_of(sent, "outbound-video", "bandwidth") == 0 && number_of(sent, "outbound-video", "other") == 0);
  CHECK(*member_of(sent, "outbound-audio", "totalEncodeTime") == 0); /* only pictures have it */
  CHECK(number_of(received, "inbound-video", "totalProcessingDelay") > number_of(received, "inbound-video", "totalDecodeTime"));
  CHECK(says(sent, "outbound-video", "rid", "")); /* one layer has no name */
  CHECK(number_of(sent, "remote-inbound-video", "packetsLost") == 0);
  CHECK(says(sent, "remote-inbound-video", "localId", "outbound-video"));
  CHECK(strstr(sent, "null") == NULL && strstr(received, "null") == NULL);
  free(sent), free(received);
  reported_call_end(call);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  free(device);
}

static void reports_that_are_asked_for_together_come_each(void) {
  call call = reported_call();
  for (int i = 0; i < 5; i++) {
    CHECK_EQUAL(otc_publisher_get_rtc_stats_report(call.source->publisher), OTC_SUCCESS);
    CHECK_EQUAL(otc_subscriber_get_rtc_stats_report(call.sink->subscriber), OTC_SUCCESS);
  }
  AWAIT_COUNT(reports[OF_PUBLISHER].count, 5);
  AWAIT_COUNT(reports[OF_SUBSCRIBER].count, 5);
  reported_call_end(call);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(each_id_that_a_report_names_is_in_it),
      TEST(what_is_counted_in_a_report_grows),
      TEST(what_a_report_says_is_so),
      TEST(statistics_know_how_loud_it_is),
      TEST(reports_that_are_asked_for_together_come_each),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
