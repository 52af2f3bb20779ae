/*
 * Does everything twice, too early or too late: the callbacks of an event-driven program and its clean-up do not know of
 * each other. Nothing of this is an accident.
 *
 *   twice API_KEY SESSION_ID TOKEN
 */
#include <opentok.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t connected, created, destroyed, disconnected, subscribed, dropped;
static otc_subscriber *subscriber;

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  sem_post(&connected);
}
static void on_disconnected(otc_session *session, void *user_data) {
  (void)session;
  printf("session: %s disconnected\n", (const char *)user_data);
  sem_post(&disconnected);
}
static void on_error(otc_session *session, void *user_data, const char *error_string, enum otc_session_error_code error) {
  (void)session;
  printf("session: %s error %d %s\n", (const char *)user_data, error, error_string);
}
static void on_subscribed(otc_subscriber *self, void *user_data, const otc_stream *stream) {
  (void)self, (void)user_data, (void)stream;
  sem_post(&subscribed);
}
static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  struct otc_subscriber_callbacks callbacks = {.on_connected = on_subscribed};
  subscriber = otc_subscriber_new(stream, &callbacks);
  printf("session: subscribe gives %d\n", otc_session_subscribe(session, subscriber));
}
static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data, (void)stream;
  puts("session: stream dropped");
  sem_post(&dropped);
}
static void on_stream_created(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  puts("publisher: stream created");
  sem_post(&created);
}
static void on_stream_destroyed(otc_publisher *publisher, void *user_data, const otc_stream *stream) {
  (void)publisher, (void)user_data, (void)stream;
  puts("publisher: stream destroyed");
  sem_post(&destroyed);
}

/* "harmless" is all that is promised; that there is a code at all is what a program may look at. */
static void tell(const char *what, otc_status status) {
  printf("main: %s gives %s\n", what, status == OTC_SUCCESS ? "success" : "a code");
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sem_init(&connected, 0, 0), sem_init(&created, 0, 0), sem_init(&destroyed, 0, 0), sem_init(&disconnected, 0, 0);
  sem_init(&subscribed, 0, 0), sem_init(&dropped, 0, 0);
  tell("init", otc_init(NULL));

  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected, .on_error = on_error};
  callbacks.user_data = "speaker";
  otc_session *speaker = otc_session_new(argv[1], argv[2], &callbacks);
  callbacks.user_data = "listener", callbacks.on_stream_received = on_stream_received, callbacks.on_stream_dropped = on_stream_dropped;
  otc_session *listener = otc_session_new(argv[1], argv[2], &callbacks);
  struct otc_publisher_callbacks publishing = {.on_stream_created = on_stream_created, .on_stream_destroyed = on_stream_destroyed};
  otc_publisher_settings *settings = otc_publisher_settings_new();
  otc_publisher_settings_set_video_track(settings, OTC_FALSE);
  otc_publisher *publisher = otc_publisher_new_with_settings(&publishing, settings);
  otc_publisher_settings_delete(settings);

  tell("disconnect without connect", otc_session_disconnect(speaker));
  tell("publish without connect", otc_session_publish(speaker, publisher));
  tell("unpublish without publish", otc_session_unpublish(speaker, publisher));
  tell("unpublish in the session of nobody", otc_session_unpublish(otc_publisher_get_session(publisher), publisher));
  tell("a signal without connect", otc_session_send_signal(speaker, "type", "text"));

  tell("connect", otc_session_connect(speaker, argv[3]));
  tell("connect again", otc_session_connect(speaker, argv[3]));
  tell("connect", otc_session_connect(listener, argv[3]));
  sem_wait(&connected), sem_wait(&connected);
  tell("connect when connected", otc_session_connect(speaker, argv[3]));
  tell("publish", otc_session_publish(speaker, publisher));
  sem_wait(&created), sem_wait(&subscribed);
  tell("unpublish", otc_session_unpublish(otc_publisher_get_session(publisher), publisher));
  tell("unpublish again", otc_session_unpublish(speaker, publisher));
  tell("mute after unpublish", otc_publisher_set_publish_audio(publisher, OTC_FALSE));
  sem_wait(&destroyed), sem_wait(&dropped);
  tell("unsubscribe after drop", otc_session_unsubscribe(listener, subscriber));
  otc_session_unsubscribe(listener, subscriber);
  tell("delete of the subscriber", otc_subscriber_delete(subscriber));
  tell("delete of the subscriber again", otc_subscriber_delete(subscriber));
  tell("disconnect", otc_session_disconnect(speaker));
  tell("disconnect again", otc_session_disconnect(speaker));
  sem_wait(&disconnected);
  tell("disconnect a third time", otc_session_disconnect(speaker));
  tell("disconnect", otc_session_disconnect(listener));
  sem_wait(&disconnected);
  tell("delete of the publisher", otc_publisher_delete(publisher));
  tell("delete of the publisher again", otc_publisher_delete(publisher));
  tell("delete of the session", otc_session_delete(speaker));
  tell("delete of the session again", otc_session_delete(speaker));
  tell("disconnect of a deleted session", otc_session_disconnect(speaker));
  tell("delete of no session", otc_session_delete(NULL));
  tell("delete of the session", otc_session_delete(listener));
  tell("destroy", otc_destroy());
  return 0;
}
