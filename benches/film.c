/*
 * What a film costs, and how late it comes: one process that publishes it in 720p30, or one that watches it.
 *
 *   benches/media.sh                          runs these beside LiveKit's client and prints a table
 *   film publish ROOM TOKEN SECONDS           processor time of publishing, per minute
 *   film subscribe ROOM TOKEN SECONDS         the same for subscribing, and provide_frame to on_render_frame
 *   film join ROOM TOKEN COUNT                otc_session_connect to the first on_render_frame
 *   film watch ROOM TOKEN SECONDS             a line for each second: how fluent it is (benches/network.sh)
 *
 * Each prints one line of JSON, in the words of tests/peers/media/publish.py and subscribe.py. The pictures carry the time
 * when they were handed in, so publisher and subscriber may be two processes. Drawing them is told apart: a camera would do it.
 */
#include "bench.h"
#include "../tests/c/film.h"

static flag published, subscribed;
static film_watch watch;
static otc_subscriber *subscriber;
static const char *room, *token;

static double cpu_s(void) {
  struct rusage used;
  CHECK(getrusage(RUSAGE_SELF, &used) == 0);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void complain(otc_publisher *publisher, void *user_data, const char *text, enum otc_publisher_error_code error) {
  (void)publisher, (void)user_data, fprintf(stderr, "publisher: %d %s\n", (int)error, text);
}
static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream, flag_set(&published);
}

static void publish(long seconds) {
  static film_camera camera = {.width = 1280, .height = 720, .fps = 30, .is_clock = 1};
  static film_microphone microphone;
  CHECK_EQUAL(film_use_microphone(&microphone), OTC_SUCCESS);
  struct otc_publisher_callbacks callbacks = {0};
  callbacks.on_stream_created = on_stream_created;
  callbacks.on_error = complain;
  otc_publisher *publisher = film_publisher("film", &camera, 1, &callbacks);
  client client;
  client_init(&client, room);
  client_connect(&client, token);
  CHECK_EQUAL(otc_session_publish(client.session, publisher), OTC_SUCCESS);
  CHECK(flag_wait(&published, PATIENCE_MS));
  double before_s = cpu_s();
  long long start = now_ns(), drawn = camera.drawing_ns;
  unsigned count = camera.count;
  usleep((useconds_t)seconds * 1000000);
  double lasted_s = (double)(now_ns() - start) / 1e9, used_s = cpu_s() - before_s;
  printf("{\"seconds\": %.2f, \"pictures\": %u, \"cpu_s_per_minute\": %.2f, \"drawing_s_per_minute\": %.2f, \"resident_mb\": %.1f}\n",
         lasted_s, camera.count - count, used_s / lasted_s * 60, (double)(camera.drawing_ns - drawn) / 1e9 / lasted_s * 60,
         (double)resident() / 1e6);
  client_disconnect(&client);
  client_end(&client);
  CHECK_EQUAL(otc_publisher_delete(publisher), OTC_SUCCESS);
}

static void first_frame(otc_subscriber *self, void *user_data, const otc_video_frame *frame) {
  film_watched_frame(self, user_data, frame);
  flag_set(&subscribed);
}

static void (*on_frame)(otc_subscriber *, void *, const otc_video_frame *) = first_frame;

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  if (subscriber) return;
  struct otc_subscriber_callbacks callbacks = film_subscriber_callbacks(&watch);
  callbacks.on_render_frame = on_frame;
  subscriber = otc_subscriber_new(stream, &callbacks);
  CHECK(subscriber);
  CHECK_EQUAL(otc_session_subscribe(session, subscriber), OTC_SUCCESS);
}

/* Connects and subscribes to the first stream; returns when a picture has come. */
static void begin(client *client) {
  flag_init(&subscribed);
  film_watch_init(&watch, 1);
  subscriber = NULL;
  client_init(client, room);
  CHECK_EQUAL(otc_session_delete(client->session), OTC_SUCCESS);
  struct otc_session_callbacks callbacks = client_callbacks(client);
  callbacks.on_stream_received = on_stream_received;
  client->session = otc_session_new(KEY, room, &callbacks);
  client_connect(client, token);
  CHECK(flag_wait(&subscribed, PATIENCE_MS));
}

static void end(client *client) {
  client_disconnect(client);
  client_end(client);
  CHECK_EQUAL(otc_subscriber_delete(subscriber), OTC_SUCCESS);
  free(watch.latencies);
}

static int by_value(const void *a, const void *b) {
  long left = *(const long *)a, right = *(const long *)b;
  return (left > right) - (left < right);
}

static void watch_it(long seconds) {
  client client;
  int64_t began_us = film_now_us();
  begin(&client);
  double before_s = cpu_s();
  long long start = now_ns();
  unsigned seen = watch.seen;
  usleep((useconds_t)seconds * 1000000);
  double lasted_s = (double)(now_ns() - start) / 1e9, used_s = cpu_s() - before_s;
  unsigned pictures = watch.seen - seen;
  double resident_mb = (double)resident() / 1e6, first_ms = (double)(watch.first_us - began_us) / 1e3;
  client_disconnect(&client); /* from here on nobody writes the latencies */
  qsort(watch.latencies, (size_t)watch.latency_count, sizeof *watch.latencies, by_value);
  CHECK(watch.latency_count > 0);
  printf("{\"seconds\": %.2f, \"pictures\": %u, \"cpu_s_per_minute\": %.2f, \"first_picture_ms\": %.1f, \"latency_p50_ms\": %.1f, "
         "\"latency_p99_ms\": %.1f, \"resident_mb\": %.1f}\n",
         lasted_s, pictures, used_s / lasted_s * 60, first_ms, (double)watch.latencies[watch.latency_count / 2] / 10,
         (double)watch.latencies[watch.latency_count * 99 / 100] / 10, resident_mb);
  client_end(&client);
  CHECK_EQUAL(otc_subscriber_delete(subscriber), OTC_SUCCESS);
}

/* What a second had. A pause counts where it ends, and one that goes on for what it is so far. */
static struct {
  pthread_mutex_t lock;
  int64_t last_us;
  long longest_us;
  unsigned freezes;
} fluency = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define FREEZE_US 200000

static void timed_frame(otc_subscriber *self, void *user_data, const otc_video_frame *frame) {
  int64_t now = film_now_us();
  pthread_mutex_lock(&fluency.lock);
  long pause = fluency.last_us ? (long)(now - fluency.last_us) : 0;
  if (pause > fluency.longest_us) fluency.longest_us = pause;
  if (pause > FREEZE_US) fluency.freezes++;
  fluency.last_us = now;
  pthread_mutex_unlock(&fluency.lock);
  film_watched_frame(self, user_data, frame);
  flag_set(&subscribed);
}

static void watch_fluency(long seconds) {
  client client;
  on_frame = timed_frame;
  begin(&client);
  unsigned before = watch.seen;
  for (long second = 0; second < seconds; second++) {
    usleep(1000000);
    pthread_mutex_lock(&fluency.lock);
    long so_far = (long)(film_now_us() - fluency.last_us), longest = fluency.longest_us;
    unsigned freezes = fluency.freezes;
    fluency.longest_us = 0, fluency.freezes = 0;
    pthread_mutex_unlock(&fluency.lock);
    pthread_mutex_lock(&watch.lock);
    unsigned pictures = watch.seen - before;
    long latency = watch.latency_count ? watch.latencies[watch.latency_count - 1] : 0;
    before = watch.seen;
    int width = watch.width;
    pthread_mutex_unlock(&watch.lock);
    printf("{\"second\": %ld, \"pictures\": %u, \"longest_pause_ms\": %.0f, \"freezes\": %u, \"width\": %d, \"latency_ms\": %.1f}\n", second,
           pictures, (double)(so_far > longest ? so_far : longest) / 1e3, freezes, width, (double)latency / 10);
  }
  end(&client);
}

static void join(long count) {
  for (long i = 0; i < count; i++) {
    client client;
    int64_t began_us = film_now_us();
    begin(&client);
    printf("{\"first_picture_ms\": %.1f}\n", (double)(watch.first_us - began_us) / 1e3);
    end(&client);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "see the top of the source\n"), 2;
  room = argv[2], token = argv[3];
  setvbuf(stdout, NULL, _IOLBF, 0);
  flag_init(&published);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  long number = argument(argc, argv, 4, 60);
  if (!strcmp(argv[1], "publish")) publish(number);
  if (!strcmp(argv[1], "subscribe")) watch_it(number);
  if (!strcmp(argv[1], "join")) join(number);
  if (!strcmp(argv[1], "watch")) watch_fluency(number);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return 0;
}
