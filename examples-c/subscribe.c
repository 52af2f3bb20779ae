/*
 * Subscribes to the first stream of a session and keeps what comes: picture.png, once per second the newest picture,
 * sound.wav, and all pictures in video.y4m when asked.
 *
 *   cc subscribe.c $(pkg-config --cflags --libs libopentok) -pthread -ldl -o subscribe
 *   ./subscribe API_KEY SESSION TOKEN [--y4m] [--window]      until Ctrl-C
 *
 * A picture is lent until its callback returns, and a callback that is slow loses the next one: so it keeps a copy, which
 * costs nothing, and `main` writes files and shows pictures. The window is SDL2's, where there is one.
 */
#include <opentok.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mark.h"
#include "png.h"
#include "wav.h"
#include "window.h"

enum word { WORD_LEAVE = 'l', WORD_LEFT = 'd', WORD_FAILED = 'f' };

static int words[2];
/* Known to the callbacks of the session alone, which all run on one thread. */
static int is_connected;
static otc_subscriber *subscriber;

/* The newest picture that `main` has not taken yet. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static otc_video_frame *newest;
static wav sound; /* known to on_audio_data, and to main when that is over */

static void say(char word) {
  if (write(words[1], &word, 1) != 1) abort();
}

/* ---- The subscriber ---- */

static void on_render_frame(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)subscriber, (void)user_data;
  otc_video_frame *copy = otc_video_frame_copy(frame);
  pthread_mutex_lock(&lock);
  otc_video_frame *missed = newest;
  newest = copy;
  pthread_mutex_unlock(&lock);
  if (missed) otc_video_frame_delete(missed);
}

static void on_audio_data(otc_subscriber *subscriber, void *user_data, const struct otc_audio_data *data) {
  (void)subscriber, (void)user_data;
  if (!sound.file) wav_open(&sound, "sound.wav", data->sample_rate, (int)data->number_of_channels);
  if (sound.file) wav_write(&sound, data->sample_buffer, data->number_of_samples);
}

static void on_subscriber_error(otc_subscriber *subscriber, void *user_data, const char *text,
                                enum otc_subscriber_error_code error) {
  (void)subscriber, (void)user_data;
  printf("subscriber error %d: %s\n", (int)error, text);
}

/* ---- The session ---- */

static void on_stream_received(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)user_data;
  printf("stream received: %s\n", otc_stream_get_name(stream));
  if (subscriber) return;
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_render_frame = on_render_frame;
  callbacks.on_audio_data = on_audio_data;
  callbacks.on_error = on_subscriber_error;
  subscriber = otc_subscriber_new(stream, &callbacks);
  otc_session_subscribe(session, subscriber);
}

static void on_stream_dropped(otc_session *session, void *user_data, const otc_stream *stream) {
  (void)session, (void)user_data;
  printf("stream dropped: %s\n", otc_stream_get_name(stream));
  otc_stream *ours = otc_subscriber_get_stream(subscriber);
  if (ours && !strcmp(otc_stream_get_id(ours), otc_stream_get_id(stream))) {
    otc_subscriber_delete(subscriber);
    subscriber = NULL;
  }
}

static void on_connected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  printf("connected\n");
  is_connected = 1;
}

static void on_disconnected(otc_session *session, void *user_data) {
  (void)session, (void)user_data;
  is_connected = 0;
  say(WORD_LEFT);
}

static void on_error(otc_session *session, void *user_data, const char *text, enum otc_session_error_code error) {
  (void)session, (void)user_data;
  printf("error %d: %s\n", (int)error, text);
  if (!is_connected) say(WORD_FAILED);
}

/* ---- What happens to a picture ---- */

static void tell_and_write(const otc_video_frame *frame, const mark_picture *picture) {
  mark mark;
  int is_marked = mark_read(picture, &mark); /* pictures of publish.c have one */
  otc_video_frame *rgba = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ABGR32, frame); /* R, G, B, A in memory */
  const uint8_t *pixels = otc_video_frame_get_plane_binary_data(rgba, OTC_VIDEO_FRAME_PLANE_PACKED);
  if (!pixels || png_write("picture.png", pixels, picture->width, picture->height, 4 * picture->width) != 0)
    fprintf(stderr, "picture.png cannot be written\n");
  otc_video_frame_delete(rgba);
  if (is_marked) printf("picture: %dx%d corners=%s number=%u\n", picture->width, picture->height, mark.corners, mark.number);
  else printf("picture: %dx%d\n", picture->width, picture->height);
}

static void append_y4m(FILE **file, const mark_picture *picture) {
  if (!*file && (*file = fopen("video.y4m", "wb"))) /* its size is the first picture's */
    fprintf(*file, "YUV4MPEG2 W%d H%d F30:1 C420\n", picture->width, picture->height);
  if (!*file) return;
  fputs("FRAME\n", *file);
  for (int plane = 0; plane < 3; plane++)
    for (int line = 0; line < (plane ? (picture->height + 1) / 2 : picture->height); line++)
      fwrite(picture->plane[plane] + (long)line * picture->stride[plane], 1,
             (size_t)(plane ? (picture->width + 1) / 2 : picture->width), *file);
}

static void handle(const otc_video_frame *frame, int is_second, FILE **y4m, window *window) {
  mark_picture picture = {.width = otc_video_frame_get_width(frame), .height = otc_video_frame_get_height(frame)};
  for (int plane = 0; plane < 3; plane++) {
    picture.plane[plane] = (uint8_t *)otc_video_frame_get_plane_binary_data(frame, (enum otc_video_frame_plane)plane);
    picture.stride[plane] = otc_video_frame_get_plane_stride(frame, (enum otc_video_frame_plane)plane);
  }
  if (is_second) tell_and_write(frame, &picture);
  if (y4m) append_y4m(y4m, &picture);
  if (window) window_show(window, picture.width, picture.height, (const uint8_t *const *)picture.plane, picture.stride);
}

static void leave(int number) {
  (void)number;
  say(WORD_LEAVE);
}

int main(int argc, char **argv) {
  int has_y4m = 0, has_window = 0;
  for (int i = 4; i < argc; i++) has_y4m |= !strcmp(argv[i], "--y4m"), has_window |= !strcmp(argv[i], "--window");
  if (argc < 4) return fprintf(stderr, "usage: %s API_KEY SESSION TOKEN [--y4m] [--window]\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (pipe(words) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
  signal(SIGINT, leave), signal(SIGTERM, leave);
  window window;
  has_window = has_window && window_open(&window, argv[2]);

  struct otc_session_callbacks callbacks = {.on_connected = on_connected, .on_disconnected = on_disconnected,
                                            .on_stream_received = on_stream_received,
                                            .on_stream_dropped = on_stream_dropped, .on_error = on_error};
  otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
  FILE *y4m = NULL;
  char word = session && otc_session_connect(session, argv[3]) == OTC_SUCCESS ? WORD_LEAVE : WORD_FAILED;
  struct pollfd heard = {.fd = words[0], .events = POLLIN};
  for (long turn = 0, told = -100; word != WORD_LEFT && word != WORD_FAILED; turn++) {
    if (poll(&heard, 1, 10) == 1 && read(words[0], &word, 1) == 1 && word == WORD_LEAVE) otc_session_disconnect(session);
    if (has_window && window_is_closed(&window)) otc_session_disconnect(session);
    pthread_mutex_lock(&lock);
    otc_video_frame *frame = newest;
    newest = NULL;
    pthread_mutex_unlock(&lock);
    if (!frame) continue;
    handle(frame, turn - told >= 100, has_y4m ? &y4m : NULL, has_window ? &window : NULL);
    if (turn - told >= 100) told = turn;
    otc_video_frame_delete(frame);
  }
  if (subscriber) otc_subscriber_delete(subscriber);
  otc_session_delete(session); /* from here on no callback runs: what they used is free */
  if (newest) otc_video_frame_delete(newest);
  otc_destroy();
  wav_close(&sound);
  if (y4m) fclose(y4m);
  return word == WORD_LEFT ? 0 : 1;
}
