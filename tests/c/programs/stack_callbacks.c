/*
 * Everything that is handed over lives on the stack of a function that has returned, or is deleted or overwritten at once:
 * callback structs, strings, settings, the ICE configuration, with garbage in the members that the program does not know.
 *
 *   stack_callbacks API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t published, gone;

typedef struct app {
  char name[16];
  otc_session *session;
  otc_publisher *publisher;
  const otc_video_capturer *capturer;
  pthread_t thread;
  atomic_bool exits;
} app;

static void on_connected(otc_session *session, void *user_data) {
  app *self = user_data;
  printf("session: %s connected, its user data too: %d, its id: %s\n", self->name,
         otc_session_get_user_data(session) == user_data, otc_session_get_id(session));
  otc_session_publish(session, self->publisher);
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session;
  printf("session: %s disconnected\n", ((app *)user_data)->name);
  sem_post(&gone);
}

static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("session: error %d: %s\n", error, error_string);
  exit(1);
}

static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  printf("publisher: %s created '%s' by name '%s'\n", ((app *)user_data)->name, otc_stream_get_name(stream),
         otc_publisher_get_name(publisher));
  sem_post(&published);
}

static void on_publisher_error(otc_publisher *publisher, void *user_data, const char *error_string,
                               enum otc_publisher_error_code error_code) {
  (void)publisher, (void)user_data;
  printf("publisher: error %d: %s\n", error_code, error_string);
  exit(1);
}

static otc_bool capturer_init(const otc_video_capturer *capturer, void *user_data) {
  ((app *)user_data)->capturer = capturer;
  return OTC_TRUE;
}

static void *capture(void *argument) {
  app *self = argument;
  while (!self->exits) {
    uint8_t pixels[64 * 48 * 3 / 2];
    memset(pixels, 99, sizeof pixels);
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 64, 48, pixels);
    otc_video_capturer_provide_frame(self->capturer, 0, frame);
    otc_video_frame_delete(frame);
    usleep(33000);
  }
  return NULL;
}

static otc_bool capturer_start(const otc_video_capturer *capturer, void *user_data) {
  app *self = user_data;
  (void)capturer;
  return pthread_create(&self->thread, NULL, capture, self) == 0;
}

static otc_bool capturer_destroy(const otc_video_capturer *capturer, void *user_data) {
  app *self = user_data;
  (void)capturer;
  self->exits = true;
  return pthread_join(self->thread, NULL) == 0;
}

__attribute__((noinline)) static void make_session(app *self, const char *key_, const char *id_) {
  char key[256], id[256];
  snprintf(key, sizeof key, "%s", key_), snprintf(id, sizeof id, "%s", id_);

  struct otc_custom_ice_config ice; /* many a program does not clear it, and has whatever the stack has */
  memset(&ice, 0xa5, sizeof ice);
  char *url = strdup("stun:127.0.0.1:9"), *user = strdup("user"), *credential = strdup("secret");
  ice.num_ice_servers = 1;
  ice.ice_url = &url;
  ice.ice_user = &user;
  ice.ice_credential = &credential;
  ice.force_turn = OTC_FALSE;
  ice.use_custom_turn_only = OTC_FALSE;
  struct otc_session_settings *settings = otc_session_settings_new();
  otc_session_settings_set_custom_ice_config(settings, &ice);
  memset(url, 'x', strlen(url));
  free(url), free(user), free(credential);

  struct otc_session_callbacks callbacks;
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.on_connected = on_connected;
  callbacks.on_disconnected = on_disconnected;
  callbacks.on_error = on_error;
  callbacks.user_data = self;
  self->session = otc_session_new_with_settings(key, id, &callbacks, settings);
  otc_session_settings_delete(settings);
  memset(&callbacks, 0xee, sizeof callbacks), memset(&ice, 0xee, sizeof ice), memset(id, '?', sizeof id - 1);
}

__attribute__((noinline)) static void make_publisher(app *self) {
  struct otc_video_capturer_callbacks capturer = {
      .init = capturer_init, .start = capturer_start, .destroy = capturer_destroy, .user_data = self};
  struct otc_publisher_callbacks callbacks = {
      .on_stream_created = on_stream_created, .on_error = on_publisher_error, .user_data = self};
  char name[] = "short-lived";
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_name(settings, name);
  otc_publisher_settings_set_video_capturer(settings, &capturer);
  otc_publisher_settings_set_audio_track(settings, OTC_FALSE);
  memset(name, '!', sizeof name - 1);
  self->publisher = otc_publisher_new_with_settings(&callbacks, settings);
  otc_publisher_settings_delete(settings);
  memset(&capturer, 0xee, sizeof capturer), memset(&callbacks, 0xee, sizeof callbacks);
}

__attribute__((noinline)) static void connect(app *self, const char *token_) {
  char token[2048];
  snprintf(token, sizeof token, "%s", token_);
  otc_session_connect(self->session, token);
  memset(token, '?', sizeof token - 1);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&published, 0, 0), sem_init(&gone, 0, 0);
  app app = {.name = "app"};
  otc_init(NULL);
  make_session(&app, argv[1], argv[2]);
  make_publisher(&app);
  connect(&app, argv[3]);
  sem_wait(&published);
  otc_session_disconnect(app.session);
  sem_wait(&gone);
  otc_publisher_delete(app.publisher);
  otc_session_delete(app.session);
  printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
