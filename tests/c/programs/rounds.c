/*
 * Seven rounds of init and destroy in one process, as a test suite has them. The audio device is set once, at the end of the
 * first; its renderer is started in the last. A line of the log comes in each round, without a session.
 *
 *   rounds API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 7 };

static sem_t connected, created, logged, rendering;
static atomic_int round_number;
static char device_data[] = "device";

static void logger(const char *message) {
  (void)message;
  sem_post(&logged);
}

static otc_bool start_renderer(const otc_audio_device *device, void *user_data) {
  (void)device;
  printf("sound: renderer started in round %d, with its user data: %d\n", round_number, user_data == device_data);
  sem_post(&rendering);
  return OTC_TRUE;
}

static otc_bool get_render_settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device, (void)user_data;
  settings->sampling_rate = 48000, settings->number_of_channels = 1;
  return OTC_TRUE;
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}
static void on_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  sem_post(&created);
}

static void play(char **argv) {
  struct otc_session_callbacks callbacks = {.on_connected = on_connected};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  otc_session_connect(session, argv[3]);
  sem_wait(&connected);
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_created};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  otc_publisher *publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);
  otc_session_publish(session, publisher);
  sem_wait(&created);
  struct otc_subscriber_callbacks hearing = {0};
  otc_subscriber *subscriber = otc_subscriber_new(otc_publisher_get_stream(publisher), &hearing);
  otc_session_subscribe(session, subscriber);
  sem_wait(&rendering);
  otc_session_disconnect(session);
  otc_subscriber_delete(subscriber), otc_publisher_delete(publisher), otc_session_delete(session);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&created, 0, 0), sem_init(&logged, 0, 0), sem_init(&rendering, 0, 0);
  for (round_number = 1; round_number <= ROUNDS; round_number++) {
    printf("main: round %d, init gives %d\n", round_number, otc_init(NULL));
    otc_log_enable(OTC_LOG_LEVEL_ALL);
    otc_log_set_logger_callback(logger);
    sem_wait(&logged);
    while (sem_trywait(&logged) == 0) continue;
    if (round_number == ROUNDS) play(argv);
    if (round_number == 1) {
      struct otc_audio_device_callbacks device = {
          .start_renderer = start_renderer, .get_render_settings = get_render_settings, .user_data = device_data};
      otc_set_audio_device(&device);
    }
    if (otc_destroy() != OTC_SUCCESS) puts("main: destroy failed");
  }
  return 0;
}
