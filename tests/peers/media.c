/* A session that publishes the mark and watches everybody else, steered by lines on standard input.
 *
 *   media API_KEY SESSION_ID [TURN_URL USER PASSWORD | none], through that server, or the session's, and no other way
 *
 *   connect TOKEN            publish WIDTH HEIGHT [audio]      unpublish       publish_blind, by a camera that tells no size
 *   turn DEGREES, the camera while it films
 *   mute video|audio         unmute video|audio                prefer WIDTH HEIGHT      disconnect
 *   prefer_codec vp8|vp9|h264, before it publishes             watch_self                secret WORD, before it connects or later
 *   watch_again NAME TIMES PAUSE_MS, leaves the stream and takes it again that often
 *   force_mute NAME          force_mute_all [NAME], all but that one                    end_force_mute
 *
 * In the environment: MEDIA_PROXY, the URL of a proxy.
 *
 * Events are lines, and once per second there is a line of JSON for each stream that is watched (tests/c/film.h), in the form of
 * media/subscribe.py. Others are named by their connection data. End of input: destroy and exit.
 */
#include "film.h"

enum { STREAMS_MAX = 16, NAME_MAX_BYTES = 128 };

typedef struct watched {
  otc_subscriber *subscriber;
  otc_stream *of; /* a copy */
  char from[NAME_MAX_BYTES], stream[NAME_MAX_BYTES];
  film_watch watch;
} watched;

/* The streams that are there: written by callbacks of the session, read by the main thread and the teller. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static watched *all[STREAMS_MAX];
static unsigned prefer_width, prefer_height;
static atomic_int is_over;

static void say(const char *format, const char *word, int number) {
  printf(format, word, number);
  putchar('\n');
}

/* ---- Subscribers ---- */

static void on_watched(otc_subscriber *subscriber, void *user_data, const otc_stream *stream) {
  (void)subscriber, (void)user_data, say("subscribed %s", otc_stream_get_name(stream), 0);
}
static void on_video_disabled(otc_subscriber *subscriber, void *user_data, enum otc_video_reason reason) {
  (void)subscriber, (void)user_data, say("%s %d", "video_disabled", (int)reason);
}
static void on_video_enabled(otc_subscriber *subscriber, void *user_data, enum otc_video_reason reason) {
  (void)subscriber, (void)user_data, say("%s %d", "video_enabled", (int)reason);
}
static void on_audio_disabled(otc_subscriber *subscriber, void *user_data) {
  (void)subscriber, (void)user_data, puts("audio_disabled");
}
static void on_audio_enabled(otc_subscriber *subscriber, void *user_data) {
  (void)subscriber, (void)user_data, puts("audio_enabled");
}
static void on_caption(otc_subscriber *subscriber, void *user_data, const char *text, otc_bool is_final) {
  (void)subscriber, (void)user_data, say("caption %s %d", text, (int)is_final);
}
static void on_subscriber_error(otc_subscriber *subscriber, void *user_data, const char *text,
                                enum otc_subscriber_error_code error) {
  (void)subscriber, (void)user_data, say("subscriber_error %s %d", text, (int)error);
}

static void on_has_captions(otc_session *session, void *user_data, const otc_stream *stream, otc_bool has_captions) {
  (void)session, (void)user_data;
  say("has_captions %s %d", otc_connection_get_data(otc_stream_get_connection(stream)), (int)has_captions);
}

static void on_size(otc_session *session, void *user_data, const otc_stream *stream, int width, int height) {
  (void)session, (void)user_data;
  printf("size %s %d %d\n", otc_connection_get_data(otc_stream_get_connection(stream)), width, height);
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  watched *one = calloc(1, sizeof *one);
  snprintf(one->from, sizeof one->from, "%s", otc_connection_get_data(otc_stream_get_connection(stream)));
  snprintf(one->stream, sizeof one->stream, "%s", otc_stream_get_id(stream));
  one->of = otc_stream_copy(stream);
  film_watch_init(&one->watch, 0);
  struct otc_subscriber_callbacks callbacks = film_subscriber_callbacks(&one->watch);
  callbacks.on_connected = on_watched;
  callbacks.on_video_disabled = on_video_disabled;
  callbacks.on_video_enabled = on_video_enabled;
  callbacks.on_audio_disabled = on_audio_disabled;
  callbacks.on_audio_enabled = on_audio_enabled;
  callbacks.on_error = on_subscriber_error;
  callbacks.on_caption_text = on_caption;
  one->subscriber = otc_subscriber_new(stream, &callbacks);
  otc_subscriber_set_subscribe_to_captions(one->subscriber, OTC_TRUE);
  pthread_mutex_lock(&lock);
  if (prefer_width) otc_subscriber_set_preferred_resolution(one->subscriber, prefer_width, prefer_height);
  for (int i = 0; i < STREAMS_MAX; i++)
    if (!all[i]) {
      all[i] = one;
      break;
    }
  pthread_mutex_unlock(&lock);
  say("stream_received %s", one->from, 0); /* orders about it may follow */
  otc_status status = otc_session_subscribe(session, one->subscriber);
  if (status) say("%s = %d", "subscribe", status);
}

/* The one that watches this stream, or that watches somebody of this name, which is nobody's task any more. */
static watched *taken(const char *stream, const char *from) {
  watched *gone = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < STREAMS_MAX && !gone; i++)
    if (all[i] && (!strcmp(all[i]->stream, stream) || !strcmp(all[i]->from, from))) gone = all[i], all[i] = NULL;
  pthread_mutex_unlock(&lock);
  return gone;
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  watched *gone = taken(otc_stream_get_id(stream), "");
  if (!gone) return;
  say("stream_dropped %s", gone->from, 0);
  otc_subscriber_delete(gone->subscriber); /* no callback of it starts after this */
  otc_stream_delete(gone->of);
}

static void watch_again(otc_session *session, const char *name, int times, int pause_ms) {
  for (int i = 0; i < times; i++) {
    watched *one = taken("", name);
    if (!one) continue;
    otc_session_unsubscribe(session, one->subscriber);
    otc_subscriber_delete(one->subscriber);
    film_sleep_until_us(film_now_us() + pause_ms * 1000);
    on_stream_received(session, NULL, one->of);
    otc_stream_delete(one->of);
  }
}

/* ---- The publisher and the session ---- */

static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream, puts("published");
}
static void on_stream_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream, puts("stream_destroyed");
}
static void on_publisher_mute_forced(otc_publisher *publisher, void *user_data) {
  (void)publisher, (void)user_data, puts("publisher_mute_forced");
}
static void on_mute_forced(otc_session *session, void *user_data, struct otc_on_mute_forced_info *info) {
  (void)session, (void)user_data, say("%s %d", "mute_forced", (int)info->active);
}
static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *text,
                               enum otc_publisher_error_code error) {
  (void)publisher, (void)user_data, say("publisher_error %s %d", text, (int)error);
}
static void on_connected(otc_session *session, void *user_data) { (void)session, (void)user_data, puts("connected"); }
static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data, puts("disconnected");
}
static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  (void)session, (void)user_data, say("error %s %d", text, (int)error);
}

/* The id of the stream of whom this connection data belongs to; of this program's own for its own. */
static const char *stream_of(const char *name, otc_publisher *publisher, otc_session *session) {
  static char id[NAME_MAX_BYTES];
  const otc_stream *own = publisher ? otc_publisher_get_stream(publisher) : NULL;
  id[0] = 0;
  if (own && !strcmp(otc_connection_get_data(otc_session_get_connection(session)), name))
    snprintf(id, sizeof id, "%s", otc_stream_get_id(own));
  pthread_mutex_lock(&lock);
  for (int i = 0; i < STREAMS_MAX; i++)
    if (all[i] && !strcmp(all[i]->from, name)) snprintf(id, sizeof id, "%s", all[i]->stream);
  pthread_mutex_unlock(&lock);
  return id;
}

/* Settings under which media goes through a TURN server, where one is named. The last member is garbage: older headers do not
 * have it. */
static otc_session_settings *through(int count, char **turn) {
  otc_session_settings *settings = otc_session_settings_new();
  const char *proxy = getenv("MEDIA_PROXY");
  struct otc_custom_ice_config ice;
  if (proxy && otc_session_settings_set_proxy_url(settings, proxy) != OTC_SUCCESS) exit(2);
  if (count == 0) return settings;
  memset(&ice, 0x5e, sizeof ice);
  ice.num_ice_servers = count == 3;
  ice.ice_url = turn, ice.ice_user = turn + 1, ice.ice_credential = turn + 2;
  ice.force_turn = OTC_TRUE;
  ice.use_custom_turn_only = count == 3;
  if (otc_session_settings_set_custom_ice_config(settings, &ice) != OTC_SUCCESS) exit(2);
  return settings;
}

static void *tell(void *unused) {
  (void)unused;
  for (int64_t next = film_now_us() + 1000000; !is_over; next += 1000000) {
    film_sleep_until_us(next);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < STREAMS_MAX; i++)
      if (all[i]) film_watch_tell(&all[i]->watch, all[i]->from);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

int main(int argc, char **argv) {
  static film_camera camera = {.fps = 30};
  static film_microphone microphone;
  static char line[16384];
  char *context;
  pthread_t teller;
  if (argc != 3 && argc != 4 && argc != 6) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (otc_init(NULL) != OTC_SUCCESS || film_use_microphone(&microphone) != OTC_SUCCESS) return 2;
  struct otc_session_callbacks callbacks = {0};
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_stream_received = on_stream_received;
  callbacks.on_stream_dropped = on_stream_dropped;
  callbacks.on_error = on_error;
  callbacks.on_mute_forced = on_mute_forced;
  callbacks.on_stream_has_captions_changed = on_has_captions;
  callbacks.on_stream_video_dimensions_changed = on_size;
  struct otc_publisher_callbacks publishing = {0};
  publishing.on_stream_created = on_stream_created;
  publishing.on_stream_destroyed = on_stream_destroyed;
  publishing.on_error = on_publisher_error;
  publishing.on_publisher_mute_forced = on_publisher_mute_forced;
  otc_session_settings *settings = through(argc - 3, argv + 3);
  otc_session *session = otc_session_new_with_settings(argv[1], argv[2], &callbacks, settings);
  otc_session_settings_delete(settings);
  otc_publisher *publisher = NULL;
  if (!session || pthread_create(&teller, NULL, tell, NULL) != 0) return 2;

  while (fgets(line, sizeof line, stdin)) {
    char *verb = strtok_r(line, " \n", &context), *first = strtok_r(NULL, " \n", &context),
         *second = strtok_r(NULL, " \n", &context), *third = strtok_r(NULL, " \n", &context);
    otc_status status = OTC_SUCCESS;
    if (!verb) continue;
    if (!strcmp(verb, "connect")) status = otc_session_connect(session, first);
    if (!strcmp(verb, "secret")) status = otc_session_set_encryption_secret(session, first);
    if (!strcmp(verb, "disconnect")) status = otc_session_disconnect(session);
    if (!strncmp(verb, "publish", 7)) {
      if (!publisher) {
        camera.is_blind = !strcmp(verb, "publish_blind");
        camera.width = atoi(first), camera.height = atoi(second);
        publisher = film_publisher("film", &camera, third != NULL, &publishing);
      }
      status = otc_session_publish(session, publisher);
    }
    if (!strcmp(verb, "turn")) camera.rotation = atoi(first);
    if (!strcmp(verb, "unpublish")) status = otc_session_unpublish(session, publisher);
    if (!strcmp(verb, "mute") || !strcmp(verb, "unmute")) {
      otc_bool is_on = verb[0] == 'u';
      status = !strcmp(first, "video") ? otc_publisher_set_publish_video(publisher, is_on)
                                       : otc_publisher_set_publish_audio(publisher, is_on);
    }
    if (!strcmp(verb, "force_mute"))
      status = otc_session_force_mute_stream(session, stream_of(first, publisher, session));
    if (!strcmp(verb, "force_mute_all")) {
      const char *excluded = first ? stream_of(first, publisher, session) : NULL;
      status = otc_session_force_mute_all(session, &excluded, first != NULL);
    }
    if (!strcmp(verb, "end_force_mute")) status = otc_session_disable_force_mute(session);
    if (!strcmp(verb, "watch_self")) on_stream_received(session, NULL, otc_publisher_get_stream(publisher));
    if (!strcmp(verb, "watch_again")) watch_again(session, first, atoi(second), atoi(third));
    if (!strcmp(verb, "prefer_codec"))
      camera.codec = !strcmp(first, "vp9")    ? OTC_VIDEO_CODEC_VP9
                     : !strcmp(first, "h264") ? OTC_VIDEO_CODEC_H264
                                              : OTC_VIDEO_CODEC_VP8;
    if (!strcmp(verb, "prefer")) {
      pthread_mutex_lock(&lock);
      prefer_width = (unsigned)atoi(first), prefer_height = (unsigned)atoi(second);
      for (int i = 0; i < STREAMS_MAX; i++)
        if (all[i]) status |= otc_subscriber_set_preferred_resolution(all[i]->subscriber, prefer_width, prefer_height);
      pthread_mutex_unlock(&lock);
    }
    if (status) say("%s = %d", verb, status);
  }
  is_over = 1;
  pthread_join(teller, NULL);
  otc_session_delete(session);
  if (publisher) otc_publisher_delete(publisher);
  otc_destroy();
  return 0;
}
