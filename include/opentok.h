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
 *   until the callback returns; texts are never NULL. A slow callback delays those behind it.
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
 *   Pointers to otc_session, otc_session_settings, otc_connection, otc_stream and otc_video_frame are handles: numbers
 *   to be looked up, never addresses. One that is NULL, deleted, of another kind or made up gives a code and does no harm. Texts are
 *   UTF-8; a text that is not gives OTC_INVALID_PARAM. Everything handed in is copied during the call, user_data and
 *   functions excepted, and the memory of frames that are made as wrappers. What a function does not change when it fails is left as it was; in particular results are
 *   written on success only.
 *
 * The sections: Codes, The library as a whole, The log, Connections, Streams, Video frames, Making
 * video frames, What a session tells, Settings of a session, Sessions, Signals, Publishing and subscribing, Moderation, Additions of this library.
 */

#ifndef OPENTOK_H
#define OPENTOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

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

/* ==== Codes ====
 *
 * Every function that can fail returns an `otc_status`: `OTC_SUCCESS` (0) or one of the numbers below. Success means
 * "accepted", not "done": what becomes of it is told by a callback. A function that returns a pointer returns NULL
 * instead, and one that returns an `otc_bool` returns `OTC_FALSE`. The log says which parameter was wrong.
 *
 * Codes of sessions are returned by functions and handed to `on_error`; which of them where stands at each function.
 */

/**
 * Codes that belong to no object in particular.
 */
typedef enum otc_error_code {
  /**
   * An argument is NULL, is not UTF-8, is out of range, or is no live handle of the right kind.
   */
  OTC_INVALID_PARAM = 1,
  /**
   * The library could not get a thread, a descriptor or memory.
   */
  OTC_FATAL = 2,
  /**
   * A video format that the function does not take, or a JPEG that is broken.
   */
  OTC_INVALID_VIDEO_FORMAT = 3,
  /**
   * The link to the server is gone.
   */
  OTC_CONNECTION_DROPPED = 1022,
  /**
   * The token does not allow to disconnect others, or there is no such connection.
   */
  OTC_UNABLE_TO_FORCE_DISCONNECT = 1520,
  /**
   * The token does not allow to mute others, or there is no such stream.
   */
  OTC_UNABLE_TO_FORCE_MUTE = 1540,
  /**
   * No answer in time.
   */
  OTC_CONNECTION_TIMED_OUT = 1542,
  /**
   * The publisher is not known.
   */
  OTC_UNKNOWN_PUBLISHER_INSTANCE = 2003,
  /**
   * The subscriber is not known.
   */
  OTC_UNKNOWN_SUBSCRIBER_INSTANCE = 2004,
  /**
   * The video capturer failed.
   */
  OTC_VIDEO_CAPTURE_FAILED = 3000,
  /**
   * The camera failed.
   */
  OTC_CAMERA_FAILED = 3010,
  /**
   * The renderer failed.
   */
  OTC_VIDEO_RENDER_FAILED = 4000,
  /**
   * No access to audio or video. The prefix of the name is an old slip that programs rely on.
   */
  OT_UNABLE_TO_ACCESS_MEDIA_ENGINE = 5000,
} otc_error_code;

/**
 * Kept for programs that name it. No function uses it.
 */
typedef enum otc_error {
  OTC_GENERIC_ERROR = 0,
} otc_error;

/**
 * Codes of sessions.
 */
typedef enum otc_session_error_code {
  /**
   * The token was rejected: empty, malformed, expired, for another API key or session, or wrongly signed.
   */
  OTC_SESSION_AUTHORIZATION_FAILURE = 1004,
  /**
   * The server refuses clients from this country.
   */
  OTC_SESSION_BLOCKED_COUNTRY = 1026,
  /**
   * The link was lost and could not be restored, or the server ended the session. `on_disconnected` follows.
   */
  OTC_SESSION_CONNECTION_DROPPED = 1022,
  /**
   * The server could not be reached, or does not speak the protocol.
   */
  OTC_SESSION_CONNECTION_FAILED = 1006,
  /**
   * No room for another connection.
   */
  OTC_SESSION_CONNECTION_LIMIT_EXCEEDED = 1027,
  /**
   * Nothing listens at the server's address.
   */
  OTC_SESSION_CONNECTION_REFUSED = 1023,
  /**
   * The server did not answer in time.
   */
  OTC_SESSION_CONNECTION_TIMED_OUT = 1021,
  /**
   * No such stream, or it could not be unpublished.
   */
  OTC_SESSION_FORCE_UNPUBLISH_OR_INVALID_STREAM = 1535,
  /**
   * Not allowed in the present state: for example to connect while connected.
   */
  OTC_SESSION_ILLEGAL_STATE = 1015,
  /**
   * A defect of this library, caught. The log has more.
   */
  OTC_SESSION_INTERNAL_ERROR = 2000,
  /**
   * No session can have this id, or the server knows none with it.
   */
  OTC_SESSION_INVALID_SESSION = 1005,
  /**
   * The type of a signal has a character other than `A-Z a-z 0-9 - _ ~`.
   */
  OTC_SESSION_INVALID_SIGNAL_TYPE = 1461,
  /**
   * The action needs a connected session.
   */
  OTC_SESSION_NOT_CONNECTED = 1010,
  /**
   * The service is there and says that it cannot serve now.
   */
  OTC_SESSION_NO_MESSAGING_SERVER = 1503,
  /**
   * Not returned: a wrong argument is `OTC_INVALID_PARAM` in every function.
   */
  OTC_SESSION_NULL_OR_INVALID_PARAMETER = 1011,
  /**
   * The publisher is not in this session.
   */
  OTC_SESSION_PUBLISHER_NOT_FOUND = 1113,
  /**
   * The data of a signal is longer than 8192 bytes.
   */
  OTC_SESSION_SIGNAL_DATA_TOO_LONG = 1413,
  /**
   * The type of a signal is longer than 128 bytes.
   */
  OTC_SESSION_SIGNAL_TYPE_TOO_LONG = 1414,
  /**
   * The token does not allow signals, too many wait for the end of a reconnection, or one that was accepted could
   * not be sent after all.
   */
  OTC_SESSION_UNABLE_TO_SEND_SIGNAL = 1550,
  /**
   * The session's state could not be obtained in time.
   */
  OTC_SESSION_STATE_FAILED = 1020,
  /**
   * The subscriber is not in this session.
   */
  OTC_SESSION_SUBSCRIBER_NOT_FOUND = 1112,
  /**
   * The server's first answer made no sense. The name is spelled so.
   */
  OTC_SESSION_UNEXPECTED_GET_SESSION_INFO_REPONSE = 2001,
  /**
   * The session is encrypted and no secret was set.
   */
  OTC_SESSION_ENCRYPTION_SECRET_MISSING = 6000,
  /**
   * The secret is shorter than 8 or longer than 256 bytes.
   */
  OTC_SESSION_INVALID_ENCRYPTION_SECRET = 6004,
} otc_session_error_code;

/* ==== The library as a whole ====
 *
 * `otc_init` comes first, `otc_destroy` last; only the log functions may be called before. Both may be repeated any
 * number of times in one process. Everything here may be called on any thread.
 *
 * A child made by `fork` between the two has none of the library's threads: there every function answers as if it had
 * failed (`OTC_FATAL`, NULL), and `otc_destroy` does nothing, successfully. The parent notices nothing, and `exec` and
 * exits are as usual. Fork before `otc_init` or after `otc_destroy` to use the library in both.
 */

/**
 * Why video of a publisher or subscriber came or went.
 */
typedef enum otc_video_reason {
  /**
   * The publisher started or stopped to publish video.
   */
  OTC_VIDEO_REASON_PUBLISH_VIDEO = 1,
  /**
   * The subscriber started or stopped to subscribe to video.
   */
  OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO = 2,
  /**
   * The quality of the link changed.
   */
  OTC_VIDEO_REASON_QUALITY = 3,
  /**
   * The codec of the stream cannot be used here.
   */
  OTC_VIDEO_REASON_CODEC_NOT_SUPPORTED = 4,
} otc_video_reason;

/**
 * What `on_mute_forced` tells. Lent to the callback.
 */
typedef struct otc_on_mute_forced_info {
  /**
   * Whether streams that are published from now on start muted. False when a moderator has ended that.
   */
  otc_bool active;
} otc_on_mute_forced_info;

/**
 * Starts the library. To be called before anything but the log functions.
 *
 * A second call without `otc_destroy` between is harmless. It starts the library's threads, one for each processor but
 * at most four, and one for callbacks; more sessions do not make more of them. No socket is opened before a session
 * needs one.
 *
 * @param reserved  NULL. Not read.
 *
 * @return `OTC_SUCCESS`, or `OTC_FATAL` when the system refuses a thread or a descriptor: nothing is started then and
 *         the call may be repeated.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_init(void *reserved);

/**
 * Ends everything that lives and waits for it, at most five seconds, however many sessions there are.
 *
 * Live sessions are left and deleted; their handles give codes from then on. No callback starts after this function
 * has returned, and none is made because of it. Afterwards no thread, socket or timer of the library exists, `dlclose`
 * is safe (the library stays mapped, so a thread of the program that once called it may end later), and `otc_init`
 * begins anew. Copies of connections and streams, and settings, stay valid and are still deleted by the program. The
 * logger and its level stay in force.
 *
 * Inside a callback it does everything but wait for that callback.
 *
 * @return `OTC_SUCCESS`, also when there was nothing to end.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_destroy(void);

/* ==== The log ====
 *
 * Off until `otc_log_enable`. Lines go to the program's logger, else to the standard error. These functions may be
 * called on any thread, in any order, and before `otc_init`; what they set outlives `otc_destroy`.
 */

/**
 * A function that takes the lines of the log.
 *
 * It may be called on any thread, several at once, and in the middle of any function of the library, so it should be
 * short and should not wait for a lock that is held around calls. The library holds no lock of its own while it runs.
 *
 * @param message  One line without its end, in UTF-8. Lent until the function returns. Never holds a token or a secret.
 */
typedef void (*otc_logger_callback)(const char *message);

/**
 * Says where the lines of the log go.
 *
 * When the log is enabled, a first line follows soon, on a thread of the library, so a program sees that its logger works.
 *
 * @param callback  The function, or NULL for the standard error. It has to stay callable until another one is set.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_log_set_logger_callback(otc_logger_callback callback);

/**
 * Says how much is logged.
 *
 * @param log_level  `OTC_LOG_LEVEL_DISABLED` for nothing, else this level and the more serious ones. Any number above
 *                   `OTC_LOG_LEVEL_DEBUG` means everything: older headers have `OTC_LOG_LEVEL_ALL` as 100.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_log_enable(enum otc_log_level log_level);

/**
 * How much is logged.
 *
 * @return The level set last; `OTC_LOG_LEVEL_DISABLED` before the first `otc_log_enable`.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_log_level otc_get_log_level(void);

/* ==== Connections ====
 *
 * A connection is one client in one session, another one or this one. It does not change.
 *
 * Whose it is: the connection that a callback receives is lent until the callback returns; `otc_connection_copy` makes
 * one to keep. A connection that a getter returns (`otc_session_get_connection`, `otc_stream_get_connection`) belongs
 * to the session or stream and lives as long as that. Copies belong to the program, which ends them with
 * `otc_connection_delete`; they stay valid after the session, and even after `otc_destroy`.
 *
 * The functions may be called on any thread.
 */

/**
 * A client in a session. Opaque: a handle, never an address.
 */
typedef struct otc_connection otc_connection;

/**
 * The id of the connection, unique in its session and different for each time a client connects.
 *
 * @param connection  A connection.
 *
 * @return The id. Lives as long as the connection. NULL when `connection` is NULL or no live connection.
 */
LIBOPENTOK_LIBRARY_EXPORTED const char *otc_connection_get_id(const struct otc_connection *connection);

/**
 * When the client connected.
 *
 * @param connection  A connection.
 *
 * @return Milliseconds since 1970, by the clock of the server. 0 when `connection` is NULL or no live connection.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int64_t otc_connection_get_creation_time(const struct otc_connection *connection);

/**
 * The connection data that the client's token carries. The server has checked the token, so it can be trusted.
 *
 * @param connection  A connection.
 *
 * @return The data, the empty string when there is none. Lives as long as the connection. NULL when `connection` is
 *         NULL or no live connection.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_connection_get_data(const struct otc_connection *connection);

/**
 * The id of the session in which the connection is or was.
 *
 * @param connection  A connection.
 *
 * @return The id. Lives as long as the connection. NULL when `connection` is NULL or no live connection.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_connection_get_session_id(const struct otc_connection *connection);

/**
 * Makes a connection to keep out of one that is lent.
 *
 * @param connection  A connection; unchanged.
 *
 * @return The copy. It belongs to the program, to be ended with `otc_connection_delete`. NULL when `connection` is NULL
 *         or no live connection.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_connection *otc_connection_copy(const struct otc_connection *connection);

/**
 * Ends a copy. Its texts end with it.
 *
 * @param connection  A copy made by `otc_connection_copy`. A connection that is lent, or that belongs to a session or
 *                    stream, stays as it is: the call is harmless then.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `connection` is NULL, or no live connection (for example ended
 *         already): nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_connection_delete(struct otc_connection *connection);

/* ==== Streams ====
 *
 * A stream is the audio and video that one publisher sends. A stream value does not change: it says how the stream was
 * when the callback was made, and a callback about a change brings the new one.
 *
 * Whose it is: the stream that a callback receives is lent until the callback returns; `otc_stream_copy` makes one to
 * keep. Copies belong to the program, which ends them with `otc_stream_delete`; they stay valid after the session, and
 * even after `otc_destroy`.
 *
 * The functions may be called on any thread.
 */

/**
 * Where the video of a stream comes from.
 */
typedef enum otc_stream_video_type {
  /**
   * A camera. Also the answer for a stream without video.
   */
  OTC_STREAM_VIDEO_TYPE_CAMERA = 1,
  /**
   * A screen or a window.
   */
  OTC_STREAM_VIDEO_TYPE_SCREEN = 2,
  /**
   * Something else: a file, a drawing.
   */
  OTC_STREAM_VIDEO_TYPE_CUSTOM = 3,
} otc_stream_video_type;

/**
 * The audio and video of one publisher. Opaque: a handle, never an address.
 */
typedef struct otc_stream otc_stream;

/**
 * The id of the stream, unique in its session.
 *
 * @param stream  A stream.
 *
 * @return The id. Lives as long as the stream. NULL when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED const char *otc_stream_get_id(const struct otc_stream *stream);

/**
 * The name that the publisher gave the stream.
 *
 * @param stream  A stream.
 *
 * @return The name, the empty string when there is none. Lives as long as the stream. NULL when `stream` is NULL or no
 *         live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_stream_get_name(const struct otc_stream *stream);

/**
 * Whether the stream has a video track, sent or not.
 *
 * @param stream  A stream.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_stream_has_video_track(const struct otc_stream *stream);

/**
 * Whether video is being sent: there is a track, and the publisher has not switched it off.
 *
 * @param stream  A stream.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_stream_has_video(const struct otc_stream *stream);

/**
 * Whether the stream has an audio track, sent or not.
 *
 * @param stream  A stream.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_stream_has_audio_track(const struct otc_stream *stream);

/**
 * Whether audio is being sent: there is a track, and the publisher has not switched it off.
 *
 * @param stream  A stream.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_stream_has_audio(const struct otc_stream *stream);

/**
 * Whether captions of the stream are being made.
 *
 * @param stream  A stream.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_stream_has_captions(const struct otc_stream *stream);

/**
 * Makes a stream to keep out of one that is lent.
 *
 * @param stream  A stream; unchanged.
 *
 * @return The copy. It belongs to the program, to be ended with `otc_stream_delete`. NULL when `stream` is NULL or no
 *         live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_stream *otc_stream_copy(const struct otc_stream *stream);

/**
 * Ends a copy. Its texts and its connection end with it.
 *
 * @param stream  A copy made by `otc_stream_copy`. A stream that is lent stays as it is: the call is harmless then.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `stream` is NULL, or no live stream (for example ended already):
 *         nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_stream_delete(struct otc_stream *stream);

/**
 * The width of the video.
 *
 * @param stream  A stream.
 *
 * @return Pixels; 0 when it is not known, there is no video, or `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED int otc_stream_get_video_width(const struct otc_stream *stream);

/**
 * The height of the video.
 *
 * @param stream  A stream.
 *
 * @return Pixels; 0 when it is not known, there is no video, or `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED int otc_stream_get_video_height(const struct otc_stream *stream);

/**
 * When the stream was published.
 *
 * @param stream  A stream.
 *
 * @return Milliseconds since 1970. 0 when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED int64_t otc_stream_get_creation_time(const struct otc_stream *stream);

/**
 * Where the video comes from.
 *
 * @param stream  A stream.
 *
 * @return The type; `OTC_STREAM_VIDEO_TYPE_CAMERA` when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED
enum otc_stream_video_type otc_stream_get_video_type(const struct otc_stream *stream);

/**
 * The connection of the client that publishes the stream. There also when connection events are suppressed.
 *
 * @param stream  A stream.
 *
 * @return The connection, always the same one for a stream. It belongs to the stream and ends with it;
 *         `otc_connection_copy` makes one to keep. NULL when `stream` is NULL or no live stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED const otc_connection *otc_stream_get_connection(const struct otc_stream *stream);

/* ==== Video frames ====
 *
 * A frame is one picture in some format, with the time when it was taken and up to 32 bytes that travel with it to the
 * subscribers.
 *
 * Whose it is: the frame that a callback receives is lent until the callback returns; `otc_video_frame_copy` makes one
 * to keep, without copying the pixels. What a function of the next section makes belongs to the program, which ends it
 * with `otc_video_frame_delete`; it stays valid after its publisher, subscriber and session, and even after
 * `otc_destroy`. Addresses of planes, buffers and metadata are good as long as the frame.
 *
 * Formats: the name of a 32-bit format is read from the most significant byte of a little-endian word, so
 * `OTC_VIDEO_FRAME_FORMAT_ARGB32` lies in memory as B, G, R, A. `OTC_VIDEO_FRAME_FORMAT_RGB24` lies as R, G, B. Colours
 * of the YUV formats are BT.601 in the limited range. The chroma planes of an odd size are rounded up.
 *
 * Planes: Y, U and V are 0, 1 and 2; interleaved chroma is 1; what lies in one plane is 0. The numbers that some older
 * headers have are understood as well: 3 is 0 where there is one plane, 4 and 5 are 1 where chroma is interleaved.
 *
 * Threads: the functions may be called on any thread, on one frame by one thread at a time.
 */

/**
 * How many bytes of metadata a frame can carry.
 */
#define OTC_VIDEO_FRAME_METADATA_MAX_SIZE 32

/**
 * How the pixels of a frame lie in memory.
 */
typedef enum otc_video_frame_format {
  /**
   * None of the others.
   */
  OTC_VIDEO_FRAME_FORMAT_UNKNOWN = 0,
  /**
   * Three planes: Y, and U and V with half the width and height.
   */
  OTC_VIDEO_FRAME_FORMAT_YUV420P = 1,
  /**
   * Two planes: Y, and U and V in turns, a pair for four pixels.
   */
  OTC_VIDEO_FRAME_FORMAT_NV12 = 2,
  /**
   * Two planes: Y, and V and U in turns, a pair for four pixels.
   */
  OTC_VIDEO_FRAME_FORMAT_NV21 = 3,
  /**
   * One plane: Y, U, Y, V for two pixels.
   */
  OTC_VIDEO_FRAME_FORMAT_YUY2 = 4,
  /**
   * One plane: U, Y, V, Y for two pixels.
   */
  OTC_VIDEO_FRAME_FORMAT_UYVY = 5,
  /**
   * One plane: B, G, R, A.
   */
  OTC_VIDEO_FRAME_FORMAT_ARGB32 = 6,
  /**
   * One plane: A, R, G, B.
   */
  OTC_VIDEO_FRAME_FORMAT_BGRA32 = 7,
  /**
   * One plane: R, G, B, three bytes for a pixel.
   */
  OTC_VIDEO_FRAME_FORMAT_RGB24 = 8,
  /**
   * One plane: R, G, B, A.
   */
  OTC_VIDEO_FRAME_FORMAT_ABGR32 = 9,
  /**
   * One JPEG with the picture.
   */
  OTC_VIDEO_FRAME_FORMAT_MJPEG = 10,
  /**
   * One plane: A, B, G, R.
   */
  OTC_VIDEO_FRAME_FORMAT_RGBA32 = 11,
  /**
   * Not a format: above the numbers of those with pixels.
   */
  OTC_VIDEO_FRAME_FORMAT_MAX = 12,
  /**
   * What a codec made. It is carried and never looked into.
   */
  OTC_VIDEO_FRAME_FORMAT_COMPRESSED = 255,
} otc_video_frame_format;

/**
 * A picture with its format, its time and its metadata. Opaque: a handle, never an address.
 */
typedef struct otc_video_frame otc_video_frame;

/**
 * A function that works on frames on their way: it may look at the frame, and draw into it.
 *
 * @param user_data  What was given with the function.
 * @param frame      Lent until the function returns. Its memory may be written to: `OTC_VIDEO_FRAME_FORMAT_YUV420P`,
 *                   the strides as wide as the planes.
 */
typedef void (*video_transform_callback)(void *user_data, struct otc_video_frame *frame);

/**
 * The width of the picture.
 *
 * @param frame  A frame.
 *
 * @return Pixels; 0 when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED int otc_video_frame_get_width(const struct otc_video_frame *frame);

/**
 * The height of the picture.
 *
 * @param frame  A frame.
 *
 * @return Pixels; 0 when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED int otc_video_frame_get_height(const struct otc_video_frame *frame);

/**
 * The format of the pixels.
 *
 * @param frame  A frame.
 *
 * @return The format; `OTC_VIDEO_FRAME_FORMAT_UNKNOWN` when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
enum otc_video_frame_format otc_video_frame_get_format(const struct otc_video_frame *frame);

/**
 * Takes the bytes of a frame for those of another format. Nothing is converted; for that there is
 * `otc_video_frame_convert`. Left as it is, with a line in the log, when the bytes are not enough for the other format,
 * or have padding that lies elsewhere there.
 *
 * @param frame   A frame.
 * @param format  The format in which the bytes are.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_video_frame_set_format(struct otc_video_frame *frame,
                                enum otc_video_frame_format format);

/**
 * When the picture was taken.
 *
 * @param frame  A frame.
 *
 * @return Milliseconds since 1970; 0 when it is not known, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED int64_t otc_video_frame_get_timestamp(const struct otc_video_frame *frame);

/**
 * Says when the picture was taken.
 *
 * @param frame      A frame.
 * @param timestamp  Milliseconds since 1970.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_video_frame_set_timestamp(struct otc_video_frame *frame,
                                   int64_t timestamp);

/**
 * Attaches bytes to a frame, in place of those that it had. They travel with the frame to the subscribers and with its
 * copies.
 *
 * @param frame  A frame.
 * @param data   The bytes; copied. May be NULL when `size` is 0.
 * @param size   How many there are, at most `OTC_VIDEO_FRAME_METADATA_MAX_SIZE`. 0 takes away what was there.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when there are too many bytes, `data` is NULL, or `frame` is NULL or no
 *         live frame: nothing is changed then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_frame_set_metadata(struct otc_video_frame *frame,
                                        const uint8_t *data,
                                        size_t size);

/**
 * The bytes that are attached to a frame.
 *
 * @param frame  A frame.
 * @param size   Where to put how many there are; 0 when there are none.
 *
 * @return The bytes; they belong to the frame and end with it. NULL when there are none, `size` is NULL, or `frame` is
 *         NULL or no live frame; in the last two cases `size` is not written.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const uint8_t *otc_video_frame_get_metadata(const struct otc_video_frame *frame,
                                            size_t *size);

/**
 * The whole picture, plane after plane without padding, or the JPEG or compressed bytes. With
 * `otc_video_frame_get_buffer_size` that is what goes into a file of raw pictures.
 *
 * @param frame  A frame.
 *
 * @return The first byte; it belongs to the frame. NULL when the frame is not contiguous, or `frame` is NULL or no live
 *         frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const uint8_t *otc_video_frame_get_buffer(const struct otc_video_frame *frame);

/**
 * The size of the whole picture.
 *
 * @param frame  A frame.
 *
 * @return Bytes: width * height * 3 / 2 for an `OTC_VIDEO_FRAME_FORMAT_YUV420P` of even size. 0 when the frame is not
 *         contiguous, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_video_frame_get_buffer_size(const struct otc_video_frame *frame);

/**
 * How many planes the format has.
 *
 * @param frame  A frame.
 *
 * @return 3 for `OTC_VIDEO_FRAME_FORMAT_YUV420P`, 2 for NV12 and NV21, else 1; 0 when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_video_frame_get_number_of_planes(const struct otc_video_frame *frame);

/**
 * The first byte of a plane.
 *
 * @param frame  A frame.
 * @param plane  The plane.
 *
 * @return The address; the memory belongs to the frame. A program may write there when the frame is its own and was
 *         not made as a wrapper. NULL when the format has no such plane, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const uint8_t *otc_video_frame_get_plane_binary_data(const struct otc_video_frame *frame,
                                                     enum otc_video_frame_plane plane);

/**
 * The size of a plane with its padding.
 *
 * @param frame  A frame.
 * @param plane  The plane.
 *
 * @return Bytes; 0 when the format has no such plane, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_video_frame_get_plane_size(const struct otc_video_frame *frame,
                                      enum otc_video_frame_plane plane);

/**
 * How far it is from the beginning of a row of a plane to that of the next.
 *
 * @param frame  A frame.
 * @param plane  The plane.
 *
 * @return Bytes; 0 when there are no rows, the format has no such plane, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int otc_video_frame_get_plane_stride(const struct otc_video_frame *frame,
                                     enum otc_video_frame_plane plane);

/**
 * How many pixels a row of a plane has. In a plane of chroma one stands for two of the picture; where chroma is
 * interleaved a pair counts once.
 *
 * @param frame  A frame.
 * @param plane  The plane.
 *
 * @return Pixels; 0 when the format has no such plane, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int otc_video_frame_get_plane_width(const struct otc_video_frame *frame,
                                    enum otc_video_frame_plane plane);

/**
 * How many rows a plane has.
 *
 * @param frame  A frame.
 * @param plane  The plane.
 *
 * @return Rows; 0 when the format has no such plane, or `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int otc_video_frame_get_plane_height(const struct otc_video_frame *frame,
                                     enum otc_video_frame_plane plane);

/**
 * Whether all of a pixel lies together, in one plane: RGB, YUY2 and UYVY.
 *
 * @param frame  A frame.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_video_frame_is_packed(const struct otc_video_frame *frame);

/**
 * Whether the planes lie one after the other without padding, so that `otc_video_frame_get_buffer` has the picture.
 * Always so but for wrappers of planes that lie otherwise.
 *
 * @param frame  A frame.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `frame` is NULL or no live frame.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_bool otc_video_frame_is_contiguous(const struct otc_video_frame *frame);

/**
 * What the system calls the picture, where it lies in memory of a graphics card. Frames of this library never do.
 *
 * @param frame  A frame.
 *
 * @return NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void *otc_video_frame_get_native_handle(const struct otc_video_frame *frame);

/**
 * Ends a frame. Its memory goes with the last copy that shares it; a release function is called then.
 *
 * @param frame  A frame of the program's. One that is lent stays as it is: the call is harmless then.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `frame` is NULL, or no live frame (for example ended already):
 *         nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_frame_delete(struct otc_video_frame *frame);

/* ==== Making video frames ====
 *
 * Out of pixels of the program, which are copied; on pixels of the program, which stay where they are (the functions
 * whose names end in `wrapper`); and out of other frames. All of them return a frame that belongs to the program, to be
 * ended with `otc_video_frame_delete`, or NULL: when a pointer that is needed is NULL, a size is not from 1 to 16383, a
 * stride is negative or shorter than a row, a buffer is too short, the format is not one that the function takes, or a
 * JPEG is broken. The log says which.
 *
 * Where a size says how much memory there has to be and the function is not told how much there is, the memory has to
 * be that large. The last row of a plane need not be padded.
 *
 * Wrappers: the memory must not change while the frame or a copy that shares it lives. The release function is called
 * once, when the last of them goes, on whichever thread that happens; it may call every function of the library. When
 * NULL was returned it is not called. A wrapper that has no release function ends with `otc_video_frame_delete`:
 * copies of it have memory of their own unless the program says that they may share.
 */

/**
 * Gives memory back that a frame was made on.
 *
 * @param buffer  The memory that was wrapped.
 * @param arg     What was given with the function.
 */
typedef void (*otc_video_frame_memory_release_callback)(const uint8_t *buffer, void *arg);

/**
 * The functions of a program that has a picture in planes. Copied by `otc_video_frame_new_planar_memory_wrapper`, so it
 * may lie on the stack.
 */
typedef struct otc_video_frame_planar_memory_callbacks {
  /**
   * The first byte of a plane. Needed. Called for each plane before the frame is made, and not again.
   */
  const uint8_t *(*get_plane)(void *user_data, enum otc_video_frame_plane plane);
  /**
   * The stride of a plane. Needed. Called for each plane before the frame is made, and not again.
   */
  int (*get_plane_stride)(void *user_data, enum otc_video_frame_plane plane);
  /**
   * The planes are not needed any more. May be NULL.
   */
  void (*release)(void *user_data);
  /**
   * Handed to the functions.
   */
  void *user_data;
  /**
   * Not read.
   */
  void *reserved;
} otc_video_frame_planar_memory_callbacks;

/**
 * Makes a frame of pixels that lie plane after plane without padding.
 *
 * @param format  Any format with pixels: not `OTC_VIDEO_FRAME_FORMAT_MJPEG`, nor compressed.
 * @param width   Pixels.
 * @param height  Pixels.
 * @param buffer  The pixels; copied. NULL makes a black picture.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new(enum otc_video_frame_format format,
                                     int width,
                                     int height,
                                     const uint8_t *buffer);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame of three planes.
 *
 * @param width     Pixels.
 * @param height    Pixels.
 * @param y_plane   Luma; copied, as the others.
 * @param y_stride  Bytes from row to row, at least `width`.
 * @param u_plane   Blue chroma, half the width and height, rounded up.
 * @param u_stride  Bytes from row to row.
 * @param v_plane   Red chroma.
 * @param v_stride  Bytes from row to row.
 *
 * @return The frame, or NULL. Its own strides are those without padding.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_I420(int width,
                                          int height,
                                          const uint8_t *y_plane,
                                          int y_stride,
                                          const uint8_t *u_plane,
                                          int u_stride,
                                          const uint8_t *v_plane,
                                          int v_stride);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_MJPEG` frame. The JPEG is not looked at before the frame is converted or sent.
 *
 * @param width   Pixels, as the JPEG says too.
 * @param height  Pixels, as the JPEG says too.
 * @param buffer  The JPEG; copied.
 * @param size    Its bytes.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_MJPEG(int width,
                                           int height,
                                           const uint8_t *buffer,
                                           size_t size);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_COMPRESSED` frame. Such a frame can be kept, copied and read; it cannot be converted.
 *
 * @param width   Pixels of the picture that was compressed.
 * @param height  Pixels of the picture that was compressed.
 * @param buffer  The bytes; copied.
 * @param size    How many there are.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_compressed(int width,
                                                int height,
                                                const uint8_t *buffer,
                                                size_t size);

/**
 * Makes a frame of planes with any strides.
 *
 * @param format   Any format with pixels.
 * @param width    Pixels.
 * @param height   Pixels.
 * @param planes   A pointer for each plane of the format; the pixels are copied.
 * @param strides  Bytes from row to row, for each plane.
 *
 * @return The frame, in the same format, or NULL. Its own strides are those without padding.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_from_planes(enum otc_video_frame_format format,
                                                 int width,
                                                 int height,
                                                 const uint8_t **planes,
                                                 int *strides);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame of planes in any format.
 *
 * @param input_format  Any format with pixels: that of the planes.
 * @param width         Pixels.
 * @param height        Pixels.
 * @param planes        A pointer for each plane of the format; the pixels are converted.
 * @param strides       Bytes from row to row, for each plane.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_I420_from_planes_with_format(enum otc_video_frame_format input_format,
                                                                  int width,
                                                                  int height,
                                                                  const uint8_t **planes,
                                                                  int *strides);

/**
 * Makes a frame on memory that holds all of the picture.
 *
 * @param format               Any format. With `OTC_VIDEO_FRAME_FORMAT_MJPEG` or compressed, the memory holds so many
 *                             bytes.
 * @param width                Pixels.
 * @param height               Pixels.
 * @param is_shallow_copyable  Whether copies of the frame may lie on the same memory; else they have their own.
 * @param buffer               The memory: plane after plane without padding.
 * @param size                 Its bytes: at least what the format and the size ask for.
 * @param callback             Called when the memory is not needed any more. May be NULL.
 * @param arg                  Handed to `callback`.
 *
 * @return The frame, or NULL; `callback` is not called then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_contiguous_memory_wrapper(enum otc_video_frame_format format,
                                                               int width,
                                                               int height,
                                                               otc_bool is_shallow_copyable,
                                                               const uint8_t *buffer,
                                                               size_t size,
                                                               otc_video_frame_memory_release_callback callback,
                                                               void *arg);

/**
 * Makes a frame on planes that lie anywhere.
 *
 * @param format               Any format with pixels.
 * @param width                Pixels.
 * @param height               Pixels.
 * @param is_shallow_copyable  Whether copies of the frame may lie on the same memory; else they have their own.
 * @param callbacks            Where the planes are, and what to call when they are not needed any more. Copied.
 *
 * @return The frame, or NULL; `release` is not called then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_planar_memory_wrapper(enum otc_video_frame_format format,
                                                           int width,
                                                           int height,
                                                           otc_bool is_shallow_copyable,
                                                           struct otc_video_frame_planar_memory_callbacks *callbacks);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_YUV420P` frame on three planes, which have to stay until it is deleted. Copies have
 * memory of their own.
 *
 * @param width     Pixels.
 * @param height    Pixels.
 * @param y_plane   Luma.
 * @param y_stride  Bytes from row to row, at least `width`.
 * @param u_plane   Blue chroma, half the width and height, rounded up.
 * @param u_stride  Bytes from row to row.
 * @param v_plane   Red chroma.
 * @param v_stride  Bytes from row to row.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_I420_wrapper(int width,
                                                  int height,
                                                  const uint8_t *y_plane,
                                                  int y_stride,
                                                  const uint8_t *u_plane,
                                                  int u_stride,
                                                  const uint8_t *v_plane,
                                                  int v_stride);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_NV21` frame on two planes, which have to stay until it is deleted. Copies have
 * memory of their own.
 *
 * @param width      Pixels.
 * @param height     Pixels.
 * @param y_plane    Luma.
 * @param y_stride   Bytes from row to row, at least `width`.
 * @param uv_plane   Red and blue chroma in turns, half the height, rounded up.
 * @param uv_stride  Bytes from row to row.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_NV21_wrapper(int width,
                                                  int height,
                                                  const uint8_t *y_plane,
                                                  int y_stride,
                                                  const uint8_t *uv_plane,
                                                  int uv_stride);

/**
 * Makes an `OTC_VIDEO_FRAME_FORMAT_NV12` frame on two planes, which have to stay until it is deleted. Copies have
 * memory of their own.
 *
 * @param width      Pixels.
 * @param height     Pixels.
 * @param y_plane    Luma.
 * @param y_stride   Bytes from row to row, at least `width`.
 * @param uv_plane   Blue and red chroma in turns, half the height, rounded up.
 * @param uv_stride  Bytes from row to row.
 *
 * @return The frame, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_new_NV12_wrapper(int width,
                                                  int height,
                                                  const uint8_t *y_plane,
                                                  int y_stride,
                                                  const uint8_t *uv_plane,
                                                  int uv_stride);

/**
 * Makes a frame to keep, with the same picture, time and metadata. It shares the memory of the other one, without
 * copying pixels, unless that is a wrapper whose memory may not be shared.
 *
 * @param frame  A frame, lent or the program's; unchanged.
 *
 * @return The copy, or NULL. Its pixels are to be read only; see `otc_video_frame_mutable_copy`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_copy(const otc_video_frame *frame);

/**
 * Makes a copy with memory of its own, which the program may write to.
 *
 * @param frame  A frame, lent or the program's; unchanged.
 *
 * @return The copy, contiguous, or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_video_frame *otc_video_frame_mutable_copy(const otc_video_frame *frame);

/**
 * Makes a frame with the same picture in another format.
 *
 * @param format  `OTC_VIDEO_FRAME_FORMAT_YUV420P`, `_ARGB32`, `_BGRA32`, `_ABGR32` or `_RGBA32`. Or the format that the
 *                frame has, whichever that is: the result is as that of `otc_video_frame_copy` then.
 * @param frame   A frame, lent or the program's; unchanged. Any format but compressed.
 *
 * @return The frame, contiguous, with the same time and metadata; or NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_video_frame *otc_video_frame_convert(enum otc_video_frame_format format,
                                         const otc_video_frame *frame);

/**
 * Writes the picture of a frame in another format into memory of the program.
 *
 * @param format       `OTC_VIDEO_FRAME_FORMAT_YUV420P`, `_ARGB32`, `_BGRA32` or `_ABGR32`.
 * @param planes       Where to write: a pointer for each plane of the format.
 * @param strides      Bytes from row to row, for each plane. What lies between the rows is left as it is.
 * @param input_frame  A frame, lent or the program's. Any format but compressed.
 *
 * @return `OTC_SUCCESS`. `OTC_INVALID_VIDEO_FORMAT`: another format is asked for, the frame is compressed, or its JPEG is
 *         broken. `OTC_INVALID_PARAM`: a pointer is NULL, a stride is negative or shorter than a row, or `input_frame`
 *         is no live frame. `OTC_FATAL`: no memory. Nothing is written unless it is `OTC_SUCCESS`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_frame_convert_inplace(enum otc_video_frame_format format,
                                           uint8_t **planes,
                                           const int *strides,
                                           const otc_video_frame *input_frame);

/* ==== What a session tells ====
 *
 * The functions that a program hands to `otc_session_new`. Any of them may be NULL, also all.
 *
 * Threads: they are called one after the other, on one thread of the library, never on a thread of the program and
 * never from inside a function that the program calls. Every function of the library may be called from them, the
 * deletion of their own session included. A slow callback delays all behind it, those of other sessions too.
 *
 * Order: an attempt to connect begins with `on_connected` or ends with `on_error`. After `on_connected` comes one
 * `on_connection_created` for each client that is there already, then one `on_stream_received` for each stream, and
 * later ones as they come. An end after `on_connected` is always told by `on_disconnected`, once and last.
 *
 * What is handed in (connections, streams, texts) is lent until the callback returns. Texts are never NULL.
 *
 * The order of the members is that of release 2.32. A program compiled with older headers sets the environment
 * variable `OTC_ABI` to `2.24` or `2.19`.
 */

/**
 * A session. Opaque: a handle, never an address.
 */
typedef struct otc_session otc_session;

/**
 * The functions of a program for one session. Copied by `otc_session_new`, so it may lie on the stack.
 */
typedef struct otc_session_callbacks {
  /**
   * The session is connected: its own connection and its capabilities are known. Once for each successful attempt.
   */
  void (*on_connected)(struct otc_session *session, void *user_data);
  /**
   * This client is no longer connected: it asked for it, the link was lost for good, the server ended the session,
   * or a moderator removed it. Nothing follows until the next `otc_session_connect`.
   */
  void (*on_disconnected)(struct otc_session *session, void *user_data);
  /**
   * Another client is in the session. Not called when connection events are suppressed.
   */
  void (*on_connection_created)(struct otc_session *session, void *user_data, const otc_connection *connection);
  /**
   * Another client has left; its streams were dropped before. Not called when connection events are suppressed.
   */
  void (*on_connection_dropped)(struct otc_session *session, void *user_data, const otc_connection *connection);
  /**
   * Another client publishes a stream; it is complete.
   */
  void (*on_stream_received)(struct otc_session *session, void *user_data, const otc_stream *stream);
  /**
   * Another client's stream has ended.
   */
  void (*on_stream_dropped)(struct otc_session *session, void *user_data, const otc_stream *stream);
  /**
   * Audio of another client's stream was switched on or off.
   */
  void (*on_stream_has_audio_changed)(struct otc_session *session,
                                      void *user_data,
                                      const otc_stream *stream,
                                      otc_bool has_audio);
  /**
   * Video of another client's stream was switched on or off.
   */
  void (*on_stream_has_video_changed)(struct otc_session *session,
                                      void *user_data,
                                      const otc_stream *stream,
                                      otc_bool has_video);
  /**
   * Captions of another client's stream were switched on or off.
   */
  void (*on_stream_has_captions_changed)(struct otc_session *session,
                                         void *user_data,
                                         const otc_stream *stream,
                                         otc_bool has_captions);
  /**
   * The video of another client's stream has a new size, in pixels.
   */
  void (*on_stream_video_dimensions_changed)(struct otc_session *session,
                                             void *user_data,
                                             const otc_stream *stream,
                                             int width,
                                             int height);
  /**
   * The video of another client's stream comes from another kind of source.
   */
  void (*on_stream_video_type_changed)(struct otc_session *session,
                                       void *user_data,
                                       const otc_stream *stream,
                                       otc_stream_video_type type);
  /**
   * A signal came. `type` and `signal` are empty strings when the sender left them out; `connection` is the sender,
   * this client included, and NULL when a server sent it.
   */
  void (*on_signal_received)(struct otc_session *session,
                             void *user_data,
                             const char *type,
                             const char *signal,
                             const otc_connection *connection);
  /**
   * The link to the server is lost and is being restored. The program does nothing; what it sends meanwhile waits.
   */
  void (*on_reconnection_started)(struct otc_session *session, void *user_data);
  /**
   * The link is restored. What came and went meanwhile is told next.
   */
  void (*on_reconnected)(struct otc_session *session, void *user_data);
  /**
   * A recording began, or was running already when this client connected. `name` is empty when it has none.
   */
  void (*on_archive_started)(struct otc_session *session,
                             void *user_data,
                             const char *archive_id,
                             const char *name);
  /**
   * A recording ended.
   */
  void (*on_archive_stopped)(struct otc_session *session, void *user_data, const char *archive_id);
  /**
   * Something went wrong. Instead of `on_connected`: the attempt has failed and nothing follows. After it:
   * `on_disconnected` follows when the session is lost; it does not for
   * `OTC_SESSION_UNABLE_TO_SEND_SIGNAL`, which leaves the session as it is. `error_string` is a sentence for a person.
   */
  void (*on_error)(struct otc_session *session,
                   void *user_data,
                   const char *error_string,
                   otc_session_error_code error);
  /**
   * A moderator muted everybody, or ended that.
   */
  void (*on_mute_forced)(struct otc_session *session, void *user_data, otc_on_mute_forced_info *mute_info);
  /**
   * Handed back unchanged. Never read; free it after `otc_session_delete` has returned.
   */
  void *user_data;
  /**
   * NULL.
   */
  void *reserved;
} otc_session_callbacks;

/* ==== Settings of a session ====
 *
 * What has to be known before a session is made. Settings belong to the program, which ends them with
 * `otc_session_settings_delete`, right after `otc_session_new_with_settings` if it likes: they are copied there. They
 * may be used for any number of sessions. The functions may be called on any thread.
 */

/**
 * Settings of a session. Opaque: a handle, never an address.
 */
typedef struct otc_session_settings otc_session_settings;

/**
 * STUN and TURN servers of the program's own.
 *
 * The three arrays have `num_ice_servers` elements each and are copied with all their texts. An element of `ice_url`
 * that is NULL is passed over; users and credentials may be NULL, the arrays too. Set every member: the struct has no
 * default.
 */
typedef struct otc_custom_ice_config {
  /**
   * Number of servers, 0 to 64.
   */
  int num_ice_servers;
  /**
   * Addresses: `stun:host:port`, `turn:host:port?transport=udp`, `turns:host:port`.
   */
  char **ice_url;
  /**
   * User names for the servers.
   */
  char **ice_user;
  /**
   * Passwords for the servers.
   */
  char **ice_credential;
  /**
   * `OTC_TRUE`: media goes through a TURN server and no other way.
   */
  otc_bool force_turn;
  /**
   * `OTC_TRUE`: these servers only. `OTC_FALSE`: these and those that the session's server names.
   */
  otc_bool use_custom_turn_only;
  /**
   * Exactly `OTC_TRUE`: addresses of the local network are not offered to the other side. Any other number means no,
   * and `force_turn` makes it pointless, because programs older than this member leave garbage in it.
   */
  otc_bool filter_out_lan_candidates;
} otc_custom_ice_config;

/**
 * Makes settings with the defaults: no connection events suppressed, no servers of one's own, no proxy, no address
 * list, no migration.
 *
 * @return The settings, to be ended with `otc_session_settings_delete`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_session_settings *otc_session_settings_new(void);

/**
 * Says whether `on_connection_created` and `on_connection_dropped` are left out. Large sessions want that. Stream
 * events still come, and streams still have a connection.
 *
 * @param settings  Settings.
 * @param suppress  `OTC_TRUE` to leave them out.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_connection_events_suppressed(struct otc_session_settings *settings,
                                                                 otc_bool suppress);

/**
 * Sets STUN and TURN servers.
 *
 * They are kept for the media of a session. Signals use none: on the hub and on `otc serve` they need no connection of
 * their own, and a LiveKit server is reached without help. A connect with `force_turn` says so in the log.
 *
 * @param settings           Settings.
 * @param custom_ice_config  The servers; copied with all texts, so it may be freed at once.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL, the number of servers is negative or above 64,
 *         there are servers but no `ice_url`, or a text is not UTF-8: the settings are as before then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_custom_ice_config(struct otc_session_settings *settings,
                                                      const struct otc_custom_ice_config *custom_ice_config);

/**
 * Sends all traffic through a proxy.
 *
 * @param settings   Settings.
 * @param proxy_url  Its address, `http://host:port`; copied. The empty string takes the proxy away.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or the text is not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_proxy_url(struct otc_session_settings *settings,
                                              const char *proxy_url);

/**
 * Says whether only addresses of the service's published list may be used. Without effect where the server has no such list.
 *
 * @param settings      Settings.
 * @param ip_whitelist  `OTC_TRUE` to use only those.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_ip_whitelist(struct otc_session_settings *settings,
                                                 otc_bool ip_whitelist);

/**
 * Says whether the session moves to another server by itself when its own is taken out of service. Otherwise that
 * ends the session.
 *
 * @param settings           Settings.
 * @param session_migration  `OTC_TRUE` to move.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_session_migration(struct otc_session_settings *settings,
                                                      otc_bool session_migration);

/**
 * Ends settings. Sessions that were made with them are not touched.
 *
 * @param settings  Settings.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_status otc_session_settings_delete(struct otc_session_settings *settings);

/* ==== Sessions ====
 *
 * A session is where clients meet. A program makes an object for it, connects, is told by callbacks what happens,
 * disconnects and deletes the object. The same object may connect again after `on_disconnected`, or after an attempt
 * that failed.
 *
 * Whose it is: a session belongs to the program until `otc_session_delete`. What its getters return belongs to the
 * session. The pointer that callbacks receive is the one that `otc_session_new` returned.
 *
 * The functions may be called on any thread and from every callback. None waits for the network.
 */

/**
 * What the role of the token allows this client. All `OTC_FALSE` before `on_connected`.
 */
typedef struct otc_session_capabilities {
  /**
   * To publish streams.
   */
  otc_bool publish;
  /**
   * To subscribe to streams.
   */
  otc_bool subscribe;
  /**
   * To mute other clients' streams.
   */
  otc_bool force_mute;
  /**
   * To disconnect other clients.
   */
  otc_bool force_disconnect;
} otc_session_capabilities;

/**
 * Makes a session and does nothing else: no thread, no socket. Nothing is checked but that the texts are texts; what is
 * wrong with them `on_error` tells after `otc_session_connect`.
 *
 * @param apikey      The API key of the project, or the id of the application; copied.
 * @param session_id  The id of the session; copied. On the hub of this machine any text of 1 to 255 characters names a
 *                    session. A URL (`ws://`, `wss://`, `http://host/room`) says where to connect as well.
 * @param callbacks   The functions of the program; copied.
 *
 * @return The session, to be ended with `otc_session_delete`. NULL when a pointer is NULL or a text is not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_session *otc_session_new(const char *apikey,
                             const char *session_id,
                             const otc_session_callbacks *callbacks);

/**
 * As `otc_session_new`, with settings.
 *
 * @param apikey      As for `otc_session_new`.
 * @param session_id  As for `otc_session_new`.
 * @param callbacks   As for `otc_session_new`.
 * @param settings    Settings; copied, so they may be deleted at once. NULL for the defaults.
 *
 * @return The session, to be ended with `otc_session_delete`. NULL when a pointer other than `settings` is NULL, a text
 *         is not UTF-8, or `settings` is no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_session *otc_session_new_with_settings(const char *apikey,
                                           const char *session_id,
                                           const otc_session_callbacks *callbacks,
                                           otc_session_settings *settings);

/**
 * Ends a session object.
 *
 * A connected session is left first: the server hears of it, the program does not. After this function has returned no
 * callback of the session starts, so the program may free its `user_data`. When a callback of the session is running on
 * another thread, the function waits for it, at most two seconds; inside a callback it does not wait. The handle,
 * the session's id and what `otc_session_get_connection` returned end with it; copies do not. Publishers and
 * subscribers of the session stay and are then in no session.
 *
 * @param session  A session.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `session` is NULL, or no live session (for example deleted already, or
 *         being deleted by another thread): nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_delete(otc_session *session);

/**
 * Starts to connect and returns at once. `on_connected` or `on_error` tells what became of it, within some ten seconds.
 *
 * @param session  A session.
 * @param token    A token for this session; copied. What is wrong with it `on_error` tells, with
 *                 `OTC_SESSION_AUTHORIZATION_FAILURE`; so it is with the empty string.
 *
 * @return `OTC_SUCCESS`: the attempt has begun.
 *         `OTC_SESSION_ILLEGAL_STATE`: the session is connecting, connected, reconnecting or disconnecting, and goes on with it.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, `session` is no live session, or the token is not UTF-8; nothing happens.
 *         `OTC_FATAL`: the system refuses a thread or a descriptor; nothing happens.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_connect(otc_session *session,
                               const char *token);

/**
 * As `otc_session_connect`, to a server named here. Some programs use it; it is in no published header of the original.
 * New programs set `OTC_URL` or use a URL as session id.
 *
 * @param session      A session; its id is the room on that server.
 * @param host         Name or address of the server, an IPv6 one with or without brackets; copied.
 * @param server_path  Path on the server, NULL or empty for none; copied.
 * @param port         1 to 65535.
 * @param secure       `OTC_TRUE` for TLS.
 * @param token        As for `otc_session_connect`.
 *
 * @return As for `otc_session_connect`; `OTC_INVALID_PARAM` also for a host or a path that cannot be one, and for a port out
 *         of range.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_connect_to_host(otc_session *session,
                                       const char *host,
                                       const char *server_path,
                                       int port,
                                       otc_bool secure,
                                       const char *token);

/**
 * Leaves the session and returns at once. `on_disconnected` follows within two seconds, exactly once and last, also when
 * the network is dead, and also when the session was still connecting; no `on_error` comes any more.
 *
 * @param session  A session.
 *
 * @return `OTC_SUCCESS`: `on_disconnected` will follow.
 *         `OTC_SESSION_NOT_CONNECTED`: there is nothing to leave (never connected, attempt failed, already left or leaving);
 *         nothing happens and no callback follows.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_disconnect(otc_session *session);

/**
 * Sets the passphrase with which media of an encrypted session is encrypted. To be called before
 * `otc_session_connect`; a later call changes it, and all clients have to do the same.
 *
 * @param session  A session.
 * @param secret   8 to 256 bytes of UTF-8; copied.
 *
 * @return `OTC_SUCCESS`.
 *         `OTC_SESSION_INVALID_ENCRYPTION_SECRET`: too short or too long; the earlier one stays.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, `session` is no live session, or the secret is not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_set_encryption_secret(otc_session *session,
                                             const char *secret);

/**
 * Writes a description of a problem into the log and gives it an id to be quoted.
 *
 * @param session            A session.
 * @param issue_description  What happened, in the words of the user; not kept.
 * @param issue_id           Where the id is written, on success only. The program ends it with `free`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL, `session` is no live session, or the text is not
 *         UTF-8; or `OTC_FATAL` when there is no memory.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_report_issue(otc_session *session,
                                    const char *issue_description,
                                    char **issue_id);

/**
 * The id that the session was made with.
 *
 * @param session  A session.
 *
 * @return The id. Belongs to the session and ends with it; not to be changed or freed. The empty string, never NULL, when
 *         `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
char *otc_session_get_id(const otc_session *session);

/**
 * This client's own connection.
 *
 * @param session  A session.
 *
 * @return The connection, the same pointer as long as the client stays connected. It belongs to the session and lives
 *         until `otc_session_delete`, also when the session has been left meanwhile; deleting it is harmless. NULL
 *         while the session is not connected, and when `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_connection *otc_session_get_connection(const otc_session *session);

/**
 * What the role of the token allows. Known from `on_connected` on.
 *
 * @param session  A session.
 *
 * @return The capabilities; all `OTC_FALSE` before, and when `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_session_capabilities otc_session_get_capabilities(const otc_session *session);

/**
 * The `user_data` of the session's callbacks.
 *
 * @param session  A session.
 *
 * @return The pointer, unchanged. NULL when `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED void *otc_session_get_user_data(const otc_session *session);

/* ==== Signals ====
 *
 * Short texts from client to client. A signal has a type and data, both optional. The type is at most 128 bytes of
 * `A-Z a-z 0-9 - _ ~`, the data at most 8192 bytes of UTF-8. Between two clients the order is kept. A signal to all
 * comes back to its sender too.
 *
 * While the session is reconnecting, signals wait and are sent after `on_reconnected`; at most 1000 do. There is no
 * report of delivery.
 */

/**
 * How a signal is sent.
 */
typedef struct otc_signal_options {
  /**
   * `OTC_FALSE`: a signal is dropped, not kept, while the session is reconnecting. Otherwise it waits, as it does
   * without options.
   */
  otc_bool retry_after_reconnect;
} otc_signal_options;

/**
 * Sends a signal to every client in the session, this one included.
 *
 * @param session  A session.
 * @param type     The type; copied. NULL or empty for none.
 * @param signal   The data; copied. NULL or empty for none.
 *
 * @return `OTC_SUCCESS`: it is on its way, or waits for the end of a reconnection.
 *         `OTC_SESSION_SIGNAL_TYPE_TOO_LONG`, `OTC_SESSION_INVALID_SIGNAL_TYPE`, `OTC_SESSION_SIGNAL_DATA_TOO_LONG`: not sent.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is neither connected nor reconnecting; not sent.
 *         `OTC_SESSION_UNABLE_TO_SEND_SIGNAL`: the token does not allow it, or too many wait; not sent.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session, or a text is not UTF-8; not sent.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_send_signal(otc_session *session,
                                   const char *type,
                                   const char *signal);

/**
 * Sends a signal to one client.
 *
 * @param session     A session.
 * @param type        As for `otc_session_send_signal`.
 * @param signal      As for `otc_session_send_signal`.
 * @param connection  The client: a connection of this session, lent or copied.
 *
 * @return As for `otc_session_send_signal`; `OTC_INVALID_PARAM` also when `connection` is NULL or no live connection: it is
 *         then sent to nobody.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_send_signal_to_connection(otc_session *session,
                                                 const char *type,
                                                 const char *signal,
                                                 const otc_connection *connection);

/**
 * As `otc_session_send_signal`, and says what to do while the session is reconnecting.
 *
 * @param session         As for `otc_session_send_signal`.
 * @param type            As for `otc_session_send_signal`.
 * @param signal          As for `otc_session_send_signal`.
 * @param signal_options  What to do while reconnecting.
 *
 * @return As for `otc_session_send_signal`. A signal that is dropped because of the options is a success.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_send_signal_with_options(otc_session *session,
                                                const char *type,
                                                const char *signal,
                                                struct otc_signal_options signal_options);

/**
 * As `otc_session_send_signal_to_connection`, and says what to do while the session is reconnecting.
 *
 * @param session         As for `otc_session_send_signal`.
 * @param type            As for `otc_session_send_signal`.
 * @param signal          As for `otc_session_send_signal`.
 * @param connection      As for `otc_session_send_signal_to_connection`.
 * @param signal_options  What to do while reconnecting.
 *
 * @return As for `otc_session_send_signal_to_connection`. A signal that is dropped because of the options is a success.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_send_signal_to_connection_with_options(otc_session *session,
                                                              const char *type,
                                                              const char *signal,
                                                              const otc_connection *connection,
                                                              struct otc_signal_options signal_options);

/* ==== Publishing and subscribing ====
 *
 * A session sends the streams of its publishers and receives those that its subscribers ask for. Publishers and
 * subscribers cannot be made yet, so every pointer is refused; the codes are those that programs will meet later.
 */

/**
 * What sends a stream. Opaque: a handle, never an address.
 */
typedef struct otc_publisher otc_publisher;

/**
 * What receives a stream. Opaque: a handle, never an address.
 */
typedef struct otc_subscriber otc_subscriber;

/**
 * Sends the stream of a publisher into the session.
 *
 * @param session    A connected session.
 * @param publisher  A publisher that is in no session.
 *
 * @return `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_publish(otc_session *session,
                               struct otc_publisher *publisher);

/**
 * Ends the stream of a publisher in the session. Harmless when it is not there.
 *
 * @param session    A session.
 * @param publisher  A publisher.
 *
 * @return `OTC_SESSION_PUBLISHER_NOT_FOUND`: the publisher is not in this session; nothing happens.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_unpublish(otc_session *session,
                                 struct otc_publisher *publisher);

/**
 * Receives a stream.
 *
 * @param session     A connected session.
 * @param subscriber  A subscriber that is in no session.
 *
 * @return `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_subscribe(otc_session *session,
                                 struct otc_subscriber *subscriber);

/**
 * Stops to receive a stream. Harmless when the subscriber is not in the session.
 *
 * @param session     A session.
 * @param subscriber  A subscriber.
 *
 * @return `OTC_SESSION_SUBSCRIBER_NOT_FOUND`: the subscriber is not in this session; nothing happens.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_unsubscribe(otc_session *session,
                                   struct otc_subscriber *subscriber);

/* ==== Moderation ====
 *
 * What a client may do to others, when the role of its token allows it: see `otc_session_get_capabilities`. The functions
 * ask the server and return at once. When the server then refuses or cannot be reached, the log says so and no callback
 * comes. Those that mute are refused to everybody in this version, which has no media that could be muted.
 */

/**
 * Mutes all publishers, and those that publish later, until `otc_session_disable_force_mute`. Every client is told by
 * `on_mute_forced`.
 *
 * @param session               A connected session.
 * @param excluded_streams_ids  Ids of streams that are left alone; copied. NULL for none.
 * @param excluded_streams_len  How many; 0 for none.
 *
 * @return `OTC_UNABLE_TO_FORCE_MUTE`: always, in this version; nobody is muted.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session, the number is negative, an id is NULL or not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_force_mute_all(otc_session *session,
                                      const char **excluded_streams_ids,
                                      int excluded_streams_len);

/**
 * Ends what `otc_session_force_mute_all` began: streams published from now on start as they like. Nobody is unmuted.
 * Every client is told by `on_mute_forced`.
 *
 * @param session  A connected session.
 *
 * @return `OTC_UNABLE_TO_FORCE_MUTE`: always, in this version; nobody is muted.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_disable_force_mute(otc_session *session);

/**
 * Mutes one stream. Its publisher may unmute it again.
 *
 * @param session            A connected session.
 * @param stream_id_to_mute  The id of the stream; copied.
 *
 * @return `OTC_UNABLE_TO_FORCE_MUTE`: always, in this version; nobody is muted.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, `session` is no live session, or the id is not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_force_mute_stream(const otc_session *session,
                                         const char *stream_id_to_mute);

/**
 * Removes a client from the session. It is told by `on_disconnected` alone; the others see its streams and connection
 * drop. It may connect again. While the session is reconnecting the removal waits for the end of that.
 *
 * @param session     A connected session.
 * @param connection  The client: a connection of this session, lent or copied. It may be this client's own.
 *
 * @return `OTC_SUCCESS`: the request is on its way.
 *         `OTC_UNABLE_TO_FORCE_DISCONNECT`: the token does not allow it, the connection is of another session, or its client
 *         has left; where connection events are suppressed the last of these is not noticed.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle of its kind.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_force_disconnect(otc_session *session,
                                        otc_connection *connection);

/* ==== Codecs of this machine ====
 *
 * Which video codecs can be sent and received depends on the codec libraries that the system has: libvpx for VP8 and
 * VP9, OpenH264 for H.264. They are looked for when they are first needed. VP8 can always be received. AV1, which is
 * received where dav1d is installed, has no name in this interface and is not listed. Sound is always Opus.
 *
 * The functions may be called on any thread.
 */

/**
 * A video codec.
 */
typedef enum otc_video_codec_type {
  OTC_VIDEO_CODEC_VP8 = 1,
  OTC_VIDEO_CODEC_H264 = 2,
  OTC_VIDEO_CODEC_VP9 = 3,
} otc_video_codec_type;

/**
 * The codecs of this machine. Made by `otc_media_utils_get_supported_codecs`, ended with
 * `otc_media_utils_codecs_delete`; to be read only.
 */
typedef struct otc_media_utils_codecs {
  /**
   * How many codecs can be sent.
   */
  size_t number_encoder_video_codecs;
  /**
   * The codecs that can be sent, the preferred one first. NULL when there is none.
   */
  enum otc_video_codec_type *encoder_video_codecs;
  /**
   * How many codecs can be received.
   */
  size_t number_decoder_video_codecs;
  /**
   * The codecs that can be received, the preferred one first.
   */
  enum otc_video_codec_type *decoder_video_codecs;
} otc_media_utils_codecs;

/**
 * Tells which video codecs can be sent and received on this machine. Loads their libraries if nothing has needed them
 * before.
 *
 * @param supported_codecs  Where the answer goes. It belongs to the program, which ends it with
 *                          `otc_media_utils_codecs_delete`. Not written to when the call fails.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `supported_codecs` is NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_media_utils_get_supported_codecs(struct otc_media_utils_codecs **supported_codecs);

/**
 * Ends an answer of `otc_media_utils_get_supported_codecs`. Its lists end with it.
 *
 * @param supported_codecs  The answer.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `supported_codecs` is NULL, or none that lives (for example ended
 *         already): nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_media_utils_codecs_delete(struct otc_media_utils_codecs *supported_codecs);

/* ==== Additions of this library ====
 *
 * Not in the original. A program that uses them runs with this library only.
 */

/**
 * How many objects are live: sessions, settings, connections, streams, frames and lists of codecs, those that the
 * library keeps for itself included. For checks that a program deletes what it makes; 0 when nothing is left. May be called on any thread.
 *
 * @return The number.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_ext_live_objects(void);

OTC_END_DECL

#endif /* OPENTOK_H */
