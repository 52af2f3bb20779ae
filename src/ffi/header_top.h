/*
 * libopentok: the open OpenTok client library for Linux.
 *
 * A session is where clients meet: they see each other come and go, send each other signals, publish streams and
 * subscribe to them. A program written for the OpenTok (Vonage Video) SDK for Linux runs unchanged with this library.
 * With nothing configured it finds the other programs of the same user on the same machine by itself; OTC_URL in the
 * environment points it at a server. Not affiliated with the vendor of that SDK.
 *
 * This header is the manual. It is generated from the sources: do not edit it.
 *
 * A whole program. It connects, says hello to everybody, itself included, and leaves when the greeting has come back:
 *
 * example: begin
 *
 *   #include <opentok.h>
 *   #include <stdio.h>
 *   #include <unistd.h>
 *
 *   static int ended[2];  // a pipe: the callbacks tell main that it is over
 *
 *   static void tell_main(char outcome) {
 *     if (write(ended[1], &outcome, 1) != 1) perror("write");
 *   }
 *
 *   static void on_connected(otc_session *session, void *user_data) {
 *     (void)user_data;
 *     otc_session_send_signal(session, "greeting", "hello");
 *   }
 *
 *   static void on_signal_received(otc_session *session, void *user_data, const char *type, const char *signal,
 *                                  const otc_connection *connection) {
 *     (void)user_data;
 *     printf("%s: %s, from %s\n", type, signal, connection ? otc_connection_get_id(connection) : "a server");
 *     otc_session_disconnect(session);
 *   }
 *
 *   static void on_disconnected(otc_session *session, void *user_data) {
 *     (void)session, (void)user_data;
 *     tell_main(0);
 *   }
 *
 *   static void on_error(otc_session *session, void *user_data, const char *error_string,
 *                        enum otc_session_error_code error) {
 *     (void)session, (void)user_data;
 *     fprintf(stderr, "error %d: %s\n", (int)error, error_string);
 *     tell_main(1);
 *   }
 *
 *   int main(int argc, char **argv) {
 *     if (argc != 4) return fprintf(stderr, "usage: %s API_KEY SESSION TOKEN\n", argv[0]), 2;
 *     if (pipe(ended) != 0 || otc_init(NULL) != OTC_SUCCESS) return 2;
 *
 *     struct otc_session_callbacks callbacks = {0};
 *     callbacks.on_connected = on_connected;
 *     callbacks.on_signal_received = on_signal_received;
 *     callbacks.on_disconnected = on_disconnected;
 *     callbacks.on_error = on_error;
 *     otc_session *session = otc_session_new(argv[1], argv[2], &callbacks);
 *
 *     char outcome = 1;
 *     if (otc_session_connect(session, argv[3]) == OTC_SUCCESS) {
 *       if (read(ended[0], &outcome, 1) != 1) perror("read");
 *     }
 *     otc_session_delete(session);
 *     otc_destroy();
 *     return outcome;
 *   }
 *
 * example: end
 *
 * Build it with: cc hello.c $(pkg-config --cflags --libs libopentok)
 *
 * Callbacks
 *
 *   They run on threads of the library, never on one of the program's, never two at once of one kind of object, and
 *   never from inside a function that the program calls. No lock of the library is held meanwhile, so every function
 *   may be called from every callback, the deletion of the callback's own object included. What is handed in is lent
 *   until the callback returns; texts are never NULL. A slow event delays those behind it; a picture or sound that does
 *   not return delays events of its kind, and after a second no others.
 *
 * Teardown
 *
 *   An attempt to connect that fails ends with on_error, and nothing more. What was connected ends with on_disconnected,
 *   once and last; a loss says on_error before it. After otc_session_disconnect on_disconnected follows within two
 *   seconds, whatever the network does. After otc_session_delete has returned no callback of the session starts; it
 *   waits for one that is running on another thread, at most two seconds, and not at all inside a callback.
 *   otc_destroy ends whatever is left, within five seconds.
 *
 * Handles
 *
 *   Pointers to opaque types are handles: numbers to be looked up, never addresses. These types are otc_session,
 *   otc_publisher, otc_subscriber, their settings, otc_connection, otc_stream, otc_video_capturer, otc_video_frame, the
 *   transformers, and the enumerators of audio devices. A handle that is NULL, deleted, of another kind or made up gives
 *   a code and does no harm.
 *   Texts are UTF-8; one that is not gives OTC_INVALID_PARAM, or is mended where only people read it. Everything handed in
 *   is copied during the call, user_data and functions excepted, and the memory of frames that are made as wrappers. What
 *   a function does not change when it fails is left as it was; in particular results are written on success only.
 *
 * The sections: Codes, The library as a whole, The log, Connections, Streams, Video frames, Making video frames, What a
 * session tells, Settings of a session, Sessions, Signals, Video capturers, What a publisher tells, Settings of a
 * publisher, Publishers, Reports of statistics of a publisher, Sound of one subscriber, What a subscriber tells, Subscribers, Publishing and subscribing,
 * Moderation, The audio device, Sound inputs of the system, Sound outputs of the system, Codecs of
 * this machine, Transformers, Additions of this library.
 */

#ifndef OPENTOK_H
#define OPENTOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#ifdef __cplusplus
/* Programs written for the SDK call usleep, which the C++ libraries of their time declared by the way. */
#include <unistd.h>
#endif

/* ==== Macros ==== */

/* The system. IS_LINUX follows the macros that existing build scripts define. */
#ifdef __APPLE__
#define IS_MAC_OS 1
#else
#define IS_MAC_OS 0
#endif
#if defined(WEBRTC_LINUX) && !defined(WEBRTC_ANDROID)
#define IS_LINUX 1
#else
#define IS_LINUX 0
#endif

/* Makes a declaration visible to programs. */
#ifndef LIBOPENTOK_LIBRARY_EXPORTED
#if defined(SWIG)
#define LIBOPENTOK_LIBRARY_EXPORTED
#elif defined(_WIN32)
#define LIBOPENTOK_LIBRARY_EXPORTED __declspec(dllexport)
#else
#define LIBOPENTOK_LIBRARY_EXPORTED __attribute__((__visibility__("default")))
#endif
#endif

/* Kept for programs that declare functions in the way of the original headers. */
#ifdef __cplusplus
#define OTC_DECL(type) LIBOPENTOK_LIBRARY_EXPORTED type
#define OTC_BEGIN_DECL extern "C" {
#define OTC_END_DECL }
#else
#define OTC_DECL(type) extern LIBOPENTOK_LIBRARY_EXPORTED type
#define OTC_BEGIN_DECL
#define OTC_END_DECL
#endif
#define OTC_DEF(type) type

/* Headers that declare an opaque type of their own ask these first; here all of them are declared. */
#ifndef OTC_SESSION_FWD_DECL
#define OTC_SESSION_FWD_DECL
#endif
#ifndef OTC_CONNECTION_FWD_DECL
#define OTC_CONNECTION_FWD_DECL
#endif
#ifndef OTC_STREAM_FWD_DECL
#define OTC_STREAM_FWD_DECL
#endif
#ifndef OTC_PUBLISHER_FWD_DECL
#define OTC_PUBLISHER_FWD_DECL
#endif
#ifndef OTC_SUBSCRIBER_FWD_DECL
#define OTC_SUBSCRIBER_FWD_DECL
#endif

/* The length of an encryption secret, in characters. */
#define ENCRYPTION_SECRET_MINIMUM_LENGTH 8
#define ENCRYPTION_SECRET_MAXIMUM_LENGTH 256

/* Where the codes of transformers begin. */
#define OTC_MEDIA_TRANSFORMER_ERROR_SPACE 0x0A000000

OTC_BEGIN_DECL

/** Truth on its way in and out: OTC_FALSE or OTC_TRUE. Coming in, any number but 0 is true. */
typedef int otc_bool;

/** What a call answers: OTC_SUCCESS or a code. */
typedef int otc_status;

/** Success, false and true. */
enum otc_constant {
  OTC_SUCCESS = 0,
  OTC_FALSE = 0,
  OTC_TRUE = !OTC_FALSE
};

/** How much is logged: each level and the more serious ones. The last four names are kept for older programs. */
typedef enum otc_log_level {
  OTC_LOG_LEVEL_DISABLED = 0,
  OTC_LOG_LEVEL_ERROR = 1,
  OTC_LOG_LEVEL_WARN = 2,
  OTC_LOG_LEVEL_INFO = 3,
  OTC_LOG_LEVEL_DEBUG = 4,
  OTC_LOG_LEVEL_FATAL = OTC_LOG_LEVEL_ERROR,
  OTC_LOG_LEVEL_MSG = OTC_LOG_LEVEL_DEBUG,
  OTC_LOG_LEVEL_TRACE = OTC_LOG_LEVEL_DEBUG,
  OTC_LOG_LEVEL_ALL = OTC_LOG_LEVEL_DEBUG
} otc_log_level;

/** A plane of a video frame: its index. In what it is the only or the second one, it has more than one name. */
typedef enum otc_video_frame_plane {
  OTC_VIDEO_FRAME_PLANE_Y = 0,
  OTC_VIDEO_FRAME_PLANE_U = 1,
  OTC_VIDEO_FRAME_PLANE_V = 2,
  OTC_VIDEO_FRAME_PLANE_PACKED = 0,
  OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED = 1,
  OTC_VIDEO_FRAME_PLANE_VU_INTERLEAVED = 1
} otc_video_frame_plane;
