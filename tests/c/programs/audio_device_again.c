/*
 * Sets the audio device again and again: before and after init, inside callbacks, while it plays, with the same functions
 * and with others, from a thread of its own, and just before destroy. None is too late to be taken without a fuss.
 *
 *   audio_device_again API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static sem_t connected, created;
static atomic_int in_balance, starts, both_at_once;
static atomic_bool is_setting;
static __thread bool is_inside_set;

static otc_bool start(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (is_inside_set) puts("sound: called on the thread that sets it");
  starts++;
  if (in_balance++ >= 2) puts("sound: more begun than there are directions");
  return OTC_TRUE;
}
static otc_bool end(const otc_audio_device *device, void *user_data) {
  (void)device, (void)user_data;
  if (is_inside_set) puts("sound: called on the thread that sets it");
  if (in_balance-- <= 0) puts("sound: ended without a beginning");
  return OTC_TRUE;
}
static otc_bool settings(const otc_audio_device *device, void *user_data, struct otc_audio_device_settings *settings) {
  (void)device;
  settings->sampling_rate = user_data == NULL ? 48000 : 16000;
  settings->number_of_channels = user_data == NULL ? 2 : 1;
  return OTC_TRUE;
}

static void set(int variant) {
  struct otc_audio_device_callbacks device;
  memset(&device, 0, sizeof device);
  device.start_capturer = start, device.destroy_capturer = end, device.get_capture_settings = settings;
  device.start_renderer = start, device.destroy_renderer = end, device.get_render_settings = settings;
  device.user_data = variant % 2 ? &both_at_once : NULL;
  is_inside_set = true;
  otc_status status = otc_set_audio_device(&device);
  is_inside_set = false;
  if (status != OTC_SUCCESS) printf("main: setting the device gives %d\n", status);
  memset(&device, 0xee, sizeof device);
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  set(0), set(1);
  sem_post(&connected);
}
static void on_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  set(1), set(0);
  sem_post(&created);
}

static void *set_and_set(void *argument) {
  (void)argument;
  for (int i = 0; is_setting; i++) set(i), usleep(2000);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&created, 0, 0);
  set(0);
  for (int round = 0; round < 3; round++) {
    otc_init(NULL);
    set(0), set(0), set(1);
    struct otc_session_callbacks callbacks = {.on_connected = on_connected};
    otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
    otc_session_connect(session, argv[3]);
    sem_wait(&connected);
    struct otc_publisher_callbacks publishing = {.on_stream_created = on_created};
    otc_publisher_settings *publisher_settings = otc_publisher_settings_new();
    otc_publisher_settings_set_video_track(publisher_settings, OTC_FALSE);
    otc_publisher *publisher = otc_publisher_new_with_settings(&publishing, publisher_settings);
    otc_publisher_settings_delete(publisher_settings);
    otc_session_publish(session, publisher);
    sem_wait(&created);
    struct otc_subscriber_callbacks hearing = {0};
    otc_subscriber *subscriber = otc_subscriber_new(otc_publisher_get_stream(publisher), &hearing);
    otc_session_subscribe(session, subscriber);

    pthread_t thread;
    is_setting = true;
    pthread_create(&thread, NULL, set_and_set, NULL);
    int16_t samples[960] = {0};
    for (int i = 0; i < 50; i++) {
      otc_audio_device_write_capture_data(samples, 480);
      otc_audio_device_read_render_data(samples, 480);
      usleep(10000);
    }
    otc_subscriber_delete(subscriber);
    otc_publisher_delete(publisher);
    otc_session_delete(session);
    is_setting = false;
    pthread_join(thread, NULL);
    printf("main: was started: %d, is on after the last session: %d\n", starts > 0, in_balance);
    set(1);
    printf("main: destroy gives %d\n", otc_destroy());
    set(0);
  }
  return 0;
}
