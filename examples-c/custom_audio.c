/*
 * An audio device of the program's own: the microphone is standard input, the loudspeaker is standard output.
 * It publishes a stream without pictures and plays the mix of all streams that it hears.
 *
 *   cc custom_audio.c $(pkg-config --cflags --libs libopentok) -pthread -o custom_audio
 *   arecord -t raw -f S16_LE -r 48000 -c 1 | ./custom_audio API_KEY SESSION TOKEN | aplay -t raw -f S16_LE -r 48000 -c 1
 *
 * After the end of its input it is silent; it leaves on Ctrl-C. What happens is told on standard error.
 *
 * There is one device for all sessions of a process, set before the first connects. The library calls `init`, and then for
 * each direction when it is needed: settings, init, start, ..., stop, destroy. Each member may be NULL.
 */
#include <errno.h>
#include <opentok.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RATE = 48000, BLOCK = RATE / 100, SUBSCRIBERS_MAX = 16 };
enum word { WORD_LEAVE = 'l', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];
/* Known to the callbacks of the session alone, which all run on one thread. */
static int is_connected;
static otc_subscriber *subscribers[SUBSCRIBERS_MAX];
static otc_publisher *publisher;

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

/* ---- The device: one thread for each direction, which `start` begins and `destroy` joins ---- */

typedef struct direction {
  void (*move)(void); /* ten milliseconds of sound */
  pthread_t thread;
  atomic_int is_on;
} direction;

static void *run(void *argument) {
  direction *self = argument;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (self->is_on) {
    self->move();
    next.tv_nsec += 10000000;
    if (next.tv_nsec >= 1000000000) next.tv_sec++, next.tv_nsec -= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) continue;
  }
  return NULL;
}

static void capture(void) {
  int16_t samples[BLOCK] = {0}; /* what cannot be read is silence */
  if (fread(samples, sizeof *samples, BLOCK, stdin) < BLOCK) clearerr(stdin);
  otc_audio_device_write_capture_data(samples, BLOCK); /* never waits */
}

static void render(void) {
  int16_t samples[BLOCK];
  size_t count = otc_audio_device_read_render_data(samples, BLOCK); /* the mix; silence when nobody speaks */
  fwrite(samples, sizeof *samples, count, stdout);
  fflush(stdout);
}

static direction capturing = {.move = capture}, rendering = {.move = render};

static otc_bool start(direction *direction) {
  direction->is_on = 1;
  return pthread_create(&direction->thread, NULL, run, direction) == 0;
}

static otc_bool end(direction *direction) {
  direction->is_on = 0;
  return pthread_join(direction->thread, NULL) == 0;
}

/* The members differ in nothing but what they call. */
#define MEMBER(name, result) \
  static otc_bool name(const otc_audio_device *device, void *user_data) { return (void)device, (void)user_data, result; }
MEMBER(start_capturer, start(&capturing))
MEMBER(destroy_capturer, end(&capturing))
MEMBER(is_capturer_started, capturing.is_on)
MEMBER(start_renderer, start(&rendering))
MEMBER(destroy_renderer, end(&rendering))
MEMBER(is_renderer_started, rendering.is_on)

static otc_bool settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = RATE, settings->number_of_channels = 1;
  return OTC_TRUE;
}

/* ---- The session ---- */

static void on_connected(otc_session *session, void *user_data) {
  (void)user_data;
  fprintf(stderr, "connected\n");
  is_connected = 1;
  otc_session_publish(session, publisher);
}

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  struct otc_subscriber_callbacks callbacks = {0}; /* its sound goes to the device by itself */
  for (int i = 0; i < SUBSCRIBERS_MAX; i++) {
    if (subscribers[i]) continue;
    subscribers[i] = otc_subscriber_new(stream, &callbacks);
    otc_subscriber_set_subscribe_to_video(subscribers[i], OTC_FALSE);
    otc_session_subscribe(session, subscribers[i]);
    fprintf(stderr, "hearing %s\n", otc_stream_get_name(stream));
    return;
  }
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  for (int i = 0; i < SUBSCRIBERS_MAX; i++) {
    if (!subscribers[i]) continue;
    const char *id = otc_stream_get_id(otc_subscriber_get_stream(subscribers[i]));
    if (strcmp(id, otc_stream_get_id(stream)) != 0) continue;
    otc_subscriber_delete(subscribers[i]);
    subscribers[i] = NULL;
  }
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  is_connected = 0;
  say(WORD_LEFT);
}

static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  fprintf(stderr, "error %d: %s\n", (int)error, text);
  if (!is_connected) say(WORD_FAILED);
}

static void leave(int number) {
  (void)number;
  say(WORD_LEAVE);
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: %s API_KEY SESSION TOKEN\n", argv[0]), 2;
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave), signal(SIGPIPE, SIG_IGN);
  struct otc_audio_device_callbacks device = {
      .destroy_capturer = destroy_capturer, .start_capturer = start_capturer,
      .is_capturer_started = is_capturer_started, .get_capture_settings = settings,
      .destroy_renderer = destroy_renderer, .start_renderer = start_renderer,
      .is_renderer_started = is_renderer_started, .get_render_settings = settings};
  otc_set_audio_device(&device);

  struct otc_publisher_callbacks publishing = {0};
  otc_publisher_settings *choice = otc_publisher_settings_new();
  otc_publisher_settings_set_name(choice, argv[0]);
  otc_publisher_settings_set_video_track(choice, OTC_FALSE);
  publisher = otc_publisher_new_with_settings(&publishing, choice);
  otc_publisher_settings_delete(choice);

  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected,
                                            .on_stream_received = on_stream_received,
                                            .on_stream_dropped = on_stream_dropped, .on_error = on_error};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  char word = WORD_FAILED;
  if (publisher && session && otc_session_connect(session, argv[3]) == OTC_SUCCESS) {
    do {
      while (read(words[0], &word, 1) != 1) continue;
      if (word == WORD_LEAVE) otc_session_disconnect(session);
    } while (word == WORD_LEAVE);
  }
  otc_publisher_delete(publisher);
  for (int i = 0; i < SUBSCRIBERS_MAX; i++)
    if (subscribers[i]) otc_subscriber_delete(subscribers[i]);
  otc_session_delete(session); /* the last one: both directions of the device have ended */
  otc_destroy();
  return word == WORD_LEFT ? 0 : 1;
}
