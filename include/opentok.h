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
   * A stream is encrypted and no secret was set. The session goes on.
   */
  OTC_SESSION_ENCRYPTION_SECRET_MISSING = 6000,
  /**
   * The secret is shorter than 8 or longer than 256 characters.
   */
  OTC_SESSION_INVALID_ENCRYPTION_SECRET = 6004,
} otc_session_error_code;

/**
 * Codes of publishers.
 */
typedef enum otc_publisher_error_code {
  /**
   * The camera, the capturer, the codec or this library failed. The text says which.
   */
  OTC_PUBLISHER_INTERNAL_ERROR = 2000,
  /**
   * The session ended before the stream was there, or the publisher is in none.
   */
  OTC_PUBLISHER_SESSION_DISCONNECTED = 1010,
  /**
   * The server did not take the stream in time.
   */
  OTC_PUBLISHER_TIMED_OUT = 1541,
  /**
   * The token does not allow to publish, or the server does not.
   */
  OTC_PUBLISHER_UNABLE_TO_PUBLISH = 1500,
  /**
   * The way for media to the server did not come up.
   */
  OTC_PUBLISHER_WEBRTC_ERROR = 1610,
  /**
   * The media could not be encrypted.
   */
  OTC_PUBLISHER_ENCRYPTION_INTERNAL_ERROR = 6001,
  /**
   * The codec cannot be encrypted.
   */
  OTC_PUBLISHER_ENCRYPTION_UNSUPPORTED_CODEC = 6005,
  /**
   * The publisher has no sound. The original's number is not known.
   */
  OTC_PUBLISHER_MISSING_AUDIO_TRACK = 6100,
} otc_publisher_error_code;

/**
 * Codes of subscribers.
 */
typedef enum otc_subscriber_error_code {
  /**
   * The codec or this library failed. The text says which.
   */
  OTC_SUBSCRIBER_INTERNAL_ERROR = 2000,
  /**
   * The session ended before the stream was there, or the subscriber is in none.
   */
  OTC_SUBSCRIBER_SESSION_DISCONNECTED = 1010,
  /**
   * The stream is not in the session, or this client may not receive it.
   */
  OTC_SUBSCRIBER_SERVER_CANNOT_FIND_STREAM = 1604,
  /**
   * Not used: the servers that this library knows have no such limit.
   */
  OTC_SUBSCRIBER_STREAM_LIMIT_EXCEEDED = 1605,
  /**
   * No media in time.
   */
  OTC_SUBSCRIBER_TIMED_OUT = 1542,
  /**
   * The way for media from the server did not come up, or the server cannot send the stream here.
   */
  OTC_SUBSCRIBER_WEBRTC_ERROR = 1600,
  /**
   * The media could not be decrypted. The original's name is not known.
   */
  OTC_SUBSCRIBER_DECRYPTION_INTERNAL_ERROR = 6002,
  /**
   * The publisher encrypts with another secret. The subscriber goes on. The original's name is not known.
   */
  OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH = 6003,
  /**
   * The codec cannot be decrypted. The original's name is not known.
   */
  OTC_SUBSCRIBER_DECRYPTION_UNSUPPORTED_CODEC = 6006,
} otc_subscriber_error_code;

/* ==== The library as a whole ====
 *
 * `otc_init` comes first, `otc_destroy` last; only the log functions may be called before. Both may be repeated any
 * number of times in one process. Everything here may be called on any thread.
 *
 * A child made by `fork` between the two has none of the library's threads: there every function answers as if it had
 * failed (`OTC_FATAL`, NULL), and `otc_destroy` does nothing, successfully. The parent notices nothing, and `exec` and
 * exits are as usual. Fork before `otc_init` or after `otc_destroy` to use the library in both.
 *
 * Signals: threads of the library that never call a function of the program hold them back, but for those that a thread
 * causes itself (`SIGSEGV` and the like) and `SIGPROF`. Those that call the program's functions have the mask of the thread
 * that called `otc_init`: block a signal there, and no thread of the library ever handles it.
 */

/**
 * Why video of a publisher or subscriber came or went.
 */
typedef enum otc_video_reason {
  /**
   * The publisher started or stopped to publish video, or to let this client have it.
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
 * Live sessions are left and deleted, and so are publishers and subscribers; their handles give codes from then on. No
 * callback starts after this function has returned. Because of it none is made but those that end what the program
 * provides: `stop` and `destroy` of its capturers, and those of its audio device, which stays set for the next `otc_init`.
 *
 * Afterwards no thread, socket or timer of the library exists, `dlclose` is safe (the library stays mapped, so a thread of
 * the program that once called it may end later), and `otc_init` begins anew. Copies of connections and streams, and
 * settings, stay valid and are still deleted by the program. The logger and its level stay in force.
 *
 * Name servers that do not answer are not waited for, because the system's resolver cannot be interrupted: a thread that is
 * in it (`getaddrinfo`, with its socket) may outlive the library for as long as that takes. Such threads are few, hold
 * nothing else and call nobody, and the next library goes on with them.
 *
 * Inside a callback it does everything but wait for that callback, and an audio device that runs hears nothing of it: it
 * is stopped and destroyed before it is used the next time.
 *
 * @return `OTC_SUCCESS`, also when there was nothing to end.
 *         `OTC_FATAL`: it was called by a handler of `atexit` or by the logger on a thread of the library, which needs
 *         another thread for it, and the system refuses that. All is left and deleted, but the library's threads live
 *         on; the next `otc_destroy` ends them.
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
 * When the log is enabled, at whatever level, a first line follows soon, on a thread of the library, so a program sees that
 * its logger works.
 *
 * @param callback  The function, or NULL for the standard error. It has to stay callable until another one is set.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_log_set_logger_callback(otc_logger_callback callback);

/**
 * Says how much is logged.
 *
 * @param log_level  `OTC_LOG_LEVEL_DISABLED` for nothing, else this level and the more serious ones. Any number above
 *                   `OTC_LOG_LEVEL_DEBUG` means everything: older headers have `OTC_LOG_LEVEL_ALL` as 100, and the log
 *                   warns of it where `OTC_ABI` does not name their release. Their other levels have other numbers too
 *                   (an error is 3, not 1), which count when it does.
 */
LIBOPENTOK_LIBRARY_EXPORTED
void otc_log_enable(enum otc_log_level log_level);

/**
 * How much is logged.
 *
 * @return The level set last; `OTC_LOG_LEVEL_DISABLED` before the first `otc_log_enable`.
 */
LIBOPENTOK_LIBRARY_EXPORTED enum otc_log_level otc_get_log_level(void);

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
 * Whether a caption of the stream has come by now.
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
 * @return The address; the memory belongs to the frame. A program may write there when the frame is its own, was not made
 *         as a wrapper, and shares its memory with no other: a frame and what `otc_video_frame_copy` makes of it do. NULL
 *         when the format has no such plane, or `frame` is NULL or no live frame.
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
   * The first caption of another client's stream has come, whoever subscribes to captions. `has_captions` is `OTC_TRUE`:
   * those who transcribe do not say when they end, so a stream has captions until it is dropped.
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
   * A recording began, or was running already when this client connected. The server does not say which: `archive_id` is
   * the same for all recordings of a session, one after the other, and `name` is empty.
   */
  void (*on_archive_started)(struct otc_session *session,
                             void *user_data,
                             const char *archive_id,
                             const char *name);
  /**
   * The recording ended.
   */
  void (*on_archive_stopped)(struct otc_session *session, void *user_data, const char *archive_id);
  /**
   * Something went wrong. Instead of `on_connected`: the attempt has failed and nothing follows. After it:
   * `on_disconnected` follows when the session is lost; it does not for `OTC_SESSION_UNABLE_TO_SEND_SIGNAL` and
   * `OTC_SESSION_ENCRYPTION_SECRET_MISSING`, which leave the session as it is. `error_string` is a sentence for a person.
   */
  void (*on_error)(struct otc_session *session,
                   void *user_data,
                   const char *error_string,
                   otc_session_error_code error);
  /**
   * A moderator has muted everybody, and streams that are published from now on start muted; or has ended that. Told to
   * everybody, the moderator too, once for each change. Who connects while it is on is not told, but publishes muted.
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
   * Addresses: `turn:host:port?transport=udp`, also with `tcp`, and `turns:host:port` for TLS; port and transport may be
   * left out. One that is none of these is left out with a line in the log. STUN servers are of no use here: the
   * session's server finds out the public address by itself.
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
 * Peer connections are offered relays on at most four TURN servers: these, then those that the session's server names,
 * unless `use_custom_turn_only` is set. On the hub, which is on this machine, the servers are not used.
 *
 * With `force_turn` media, and signals on a LiveKit server, go through a TURN server and no other way. Where none gives a
 * relay a connect ends with `OTC_SESSION_CONNECTION_FAILED`, at once when it refuses, after 8 seconds when it does not
 * answer.
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
 * Reaches the server through a proxy, by CONNECT: the session's link, the calls of moderators, and media by TCP or TLS, be it
 * to a TURN server, whose name the proxy resolves, or to a server that takes it; on a LiveKit server signals are among it.
 * UDP, which no HTTP proxy passes on, is tried first and goes past it. The hub needs no proxy.
 *
 * A proxy that cannot be reached, refuses, or does not accept the password makes the connect end with one `on_error`, whose
 * text names it; one that is lost later is a lost link. Where it leads to the server but not to a place for media, that way
 * is left out, and the log says so. Settings in the environment (`http_proxy`) are not read.
 *
 * @param settings   Settings.
 * @param proxy_url  Its address, `http://host:port`, `http://user:password@host:port`, or `https` for TLS to the proxy
 *                   itself; copied. The empty string takes the proxy away.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or the text is not UTF-8.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_proxy_url(struct otc_session_settings *settings,
                                              const char *proxy_url);

/**
 * Says whether the session keeps to the server that it was pointed to. There is no published list of a service's addresses
 * here, as there is for the one that this setting was made for: a server is where its operator says. With it the session
 * does not go to other servers that its own one names, see `otc_session_settings_set_session_migration`. Media goes between
 * this machine and the addresses that the server offers, with it and without.
 *
 * @param settings      Settings.
 * @param ip_whitelist  `OTC_TRUE` to keep to it.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_settings_set_ip_whitelist(struct otc_session_settings *settings,
                                                 otc_bool ip_whitelist);

/**
 * Says whether the session goes on when its server is taken out of service. Off to begin with.
 *
 * With it a server that says that it shuts down is no end of the session: there are `on_reconnection_started` and
 * `on_reconnected`, as soon as a server is there again. Where the server has named others (LiveKit's regions) those are tried
 * first, and never without TLS where the session began with it; the token is sent there. Without it such a server is the end,
 * with `OTC_SESSION_CONNECTION_DROPPED`, unless it asks its clients to connect anew, which they do at its own address.
 *
 * A server that puts this client into another room needs no setting. The session goes on there under its id: the streams
 * and connections of before are dropped, and those of the other room received and created.
 *
 * @param settings           Settings.
 * @param session_migration  `OTC_TRUE` to go on.
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
 * @return The session, to be ended with `otc_session_delete`. NULL when a pointer is NULL.
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
 * the session's id and what `otc_session_get_connection` returned end with it; copies do not.
 *
 * Publishers and subscribers of the session stay and are then in no session. No callback of theirs starts either, not even
 * `on_stream_destroyed`, before they are in another one, and the publishers' capturers have been stopped and destroyed: it
 * waits for that too, as above, and on a thread that brings pictures for 50 ms, since a capturer may be joining it.
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
 *         `OTC_INVALID_PARAM`: a pointer is NULL or `session` is no live session; nothing happens.
 *         `OTC_FATAL`: the system refuses a thread or a descriptor, or `otc_destroy` was called and `otc_init` not since;
 *         nothing happens.
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
 * Sets the secret with which pictures and sound are encrypted from end to end, so that no server can look into them. To be
 * called before `otc_session_connect`; a later call changes it for everything that is published and subscribed to, and all
 * clients have to do the same. Clients of LiveKit with the same shared key understand each other with this library.
 *
 * What is published after the first call is encrypted: pictures in VP8, VP9 and H.264, what is attached to them, and sound.
 * Signals, names and sizes are not. A stream that somebody publishes without a secret is received as it is.
 *
 * A subscriber of a publisher with another secret hears `OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH` by its `on_error` after
 * two seconds without anything that it could decrypt: once for each secret that was set. Where no secret was set the
 * session says `OTC_SESSION_ENCRYPTION_SECRET_MISSING` by its `on_error`, once for each connecting, when a stream that is
 * encrypted is subscribed to. Neither ends anything: with the right secret the picture comes.
 *
 * @param session  A session.
 * @param secret   8 to 256 characters in UTF-8; copied.
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
 * @param signal   The data; copied. NULL or empty for none. What is not UTF-8 in it becomes U+FFFD.
 *
 * @return `OTC_SUCCESS`: it is on its way, or waits for the end of a reconnection.
 *         `OTC_SESSION_SIGNAL_TYPE_TOO_LONG`, `OTC_SESSION_INVALID_SIGNAL_TYPE`, `OTC_SESSION_SIGNAL_DATA_TOO_LONG`: not sent.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is neither connected nor reconnecting; not sent.
 *         `OTC_SESSION_UNABLE_TO_SEND_SIGNAL`: the token does not allow it, or too many wait; not sent.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session; not sent.
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
 * @return As for `otc_session_send_signal`; `OTC_INVALID_PARAM` also when `connection` is NULL, no live connection, or one of
 *         another session: it is then sent to nobody.
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

/* ==== Video capturers ====
 *
 * A capturer is the program's own source of pictures: a set of functions that it hands in when it makes a publisher. The
 * library calls `init` and `start` when pictures are wanted (when the publisher is published), and `stop` and `destroy`
 * when they are not any more. The two pairs come in turn: `start` is not called twice without `destroy` between, and
 * `destroy` not without a `start` that succeeded. Any function may be NULL, which counts as success.
 *
 * Threads: the functions are called on the library's callback thread, or on the thread that deletes the publisher; never two at once.
 * `destroy` may wait for a thread of the program that is inside `otc_video_capturer_provide_frame`: that function needs
 * nothing which the library holds meanwhile.
 */

/**
 * What the pictures show; advice to the encoder.
 */
typedef enum otc_video_capturer_content_hint_type {
  /**
   * Nothing in particular.
   */
  OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE = 0,
  /**
   * Movement: rather blurred than slow.
   */
  OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_MOTION = 1,
  /**
   * Detail: rather slow than blurred.
   */
  OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_DETAIL = 2,
  /**
   * Text: as detail, with sharp edges.
   */
  OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT = 3,
} otc_video_capturer_content_hint_type;

/**
 * The program's source of pictures, as its functions know it. Opaque: a handle, never an address. It begins and ends
 * with its publisher.
 */
typedef struct otc_video_capturer otc_video_capturer;

/**
 * What a capturer says of its pictures. Filled in with defaults before the program is asked.
 */
typedef struct otc_video_capturer_settings {
  /**
   * An `otc_video_frame_format`. Not needed: each frame says what it is.
   */
  int format;
  /**
   * Pixels in a row. Frames may have other sizes.
   */
  int width;
  /**
   * Rows.
   */
  int height;
  /**
   * Pictures in a second.
   */
  int fps;
  /**
   * Milliseconds from the light to `otc_video_capturer_provide_frame`. Not used.
   */
  int expected_delay;
  /**
   * `OTC_TRUE`: `on_render_frame` of the publisher gets mirrored pictures. What is sent is not mirrored.
   */
  otc_bool mirror_on_local_render;
} otc_video_capturer_settings;

/**
 * The functions of a capturer. Copied when the publisher or its settings get them.
 */
typedef struct otc_video_capturer_callbacks {
  /**
   * Brings the pointer that `otc_video_capturer_provide_frame` needs.
   */
  otc_bool (*init)(const struct otc_video_capturer *capturer, void *user_data);
  /**
   * The last of a capture: a thread that was made in `start` is joined here.
   */
  otc_bool (*destroy)(const struct otc_video_capturer *capturer, void *user_data);
  /**
   * Pictures are wanted from now on. `OTC_FALSE` is asked again a few times, then the publisher goes on without video and
   * says so by `on_error`.
   */
  otc_bool (*start)(const struct otc_video_capturer *capturer, void *user_data);
  /**
   * Pictures are not wanted any more. Those that still come are dropped.
   */
  otc_bool (*stop)(const struct otc_video_capturer *capturer, void *user_data);
  /**
   * Asked between `init` and `start`.
   */
  otc_bool (*get_capture_settings)(const struct otc_video_capturer *capturer,
                                   void *user_data,
                                   struct otc_video_capturer_settings *settings);
  /**
   * Handed back to every function, never read.
   */
  void *user_data;
  /**
   * NULL. Not read.
   */
  void *reserved;
} otc_video_capturer_callbacks;

/**
 * Hands in a picture. It is copied, and converted where that is needed, during the call; the frame stays the program's.
 *
 * Never waits: where the encoder is busy, the newest picture takes the place of one that waits. Sizes and formats may
 * change from frame to frame. To be called on a thread of the program.
 *
 * @param capturer  The capturer, as `init` brought it.
 * @param rotation  By how many degrees the picture has to be turned clockwise to be upright: 0, 90, 180 or 270. Whole turns
 *                  more or less do not count.
 * @param frame     The picture.
 *
 * @return `OTC_SUCCESS`, also when nothing is captured at present: the frame is dropped then.
 *         `OTC_INVALID_VIDEO_FORMAT`: the frame's format cannot be converted, or its contents are broken.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle, or `rotation` is no multiple of 90.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_capturer_provide_frame(const struct otc_video_capturer *capturer,
                                            int rotation,
                                            const otc_video_frame *frame);

/**
 * Says what the pictures show. May be called at any time after `init`.
 *
 * @param capturer      The capturer, as `init` brought it.
 * @param content_hint  What they show.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `capturer` is NULL or no live handle, or the hint is none.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_capturer_set_content_hint(const struct otc_video_capturer *capturer,
                                               enum otc_video_capturer_content_hint_type content_hint);

/**
 * What `otc_video_capturer_set_content_hint` was given last.
 *
 * @param capturer  The capturer, as `init` brought it.
 *
 * @return The hint; `OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE` when there was none, or `capturer` is NULL or no live
 *         handle.
 */
LIBOPENTOK_LIBRARY_EXPORTED
enum otc_video_capturer_content_hint_type otc_video_capturer_get_content_hint(const struct otc_video_capturer *capturer);

/* ==== What a publisher tells ====
 *
 * The functions that a program hands to `otc_publisher_new`. Any of them may be NULL, also all.
 *
 * Threads: events come on the library's callback thread, pictures on a thread of their own; never two callbacks of
 * publishers at once, whichever publishers they are of, and never from inside a function that the program calls. Every
 * function of the library may be called from them, the deletion of their own publisher included. A picture that finds
 * another callback running for longer than 10 ms is not shown; an event waits.
 *
 * Order: `on_stream_created` when others can see the stream, `on_stream_destroyed` when it has ended, whatever ended it;
 * not where the publisher or its session is deleted. When it is a disconnect, it comes before the session's
 * `on_disconnected`.
 *
 * The order of the members is that of release 2.32. A program compiled with older headers sets the environment
 * variable `OTC_ABI` to `2.24` or `2.19`.
 */

/**
 * A publisher. Opaque: a handle, never an address.
 */
typedef struct otc_publisher otc_publisher;

/**
 * How the sound of a publisher has gone out so far.
 */
typedef struct otc_publisher_audio_stats {
  /**
   * The empty string: sound goes to the server once, whoever hears it.
   */
  const char *connection_id;
  /**
   * The empty string, as above.
   */
  const char *subscriber_id;
  /**
   * Packets that the server missed.
   */
  int64_t packets_lost;
  /**
   * Packets sent.
   */
  int64_t packets_sent;
  /**
   * Bytes of their contents.
   */
  int64_t bytes_sent;
  /**
   * How loud it is, 0 to 1.
   */
  float audio_level;
  /**
   * When this was counted: milliseconds since 1970.
   */
  double timestamp;
  /**
   * When counting began: milliseconds since 1970.
   */
  double start_time;
} otc_publisher_audio_stats;

/**
 * How the video of a publisher has gone out so far.
 */
typedef struct otc_publisher_video_stats {
  /**
   * The empty string: video goes to the server once, whoever sees it.
   */
  const char *connection_id;
  /**
   * The empty string, as above.
   */
  const char *subscriber_id;
  /**
   * Packets that the server missed.
   */
  int64_t packets_lost;
  /**
   * Packets sent, of all layers.
   */
  int64_t packets_sent;
  /**
   * Bytes of their contents.
   */
  int64_t bytes_sent;
  /**
   * When this was counted: milliseconds since 1970.
   */
  double timestamp;
  /**
   * When counting began: milliseconds since 1970.
   */
  double start_time;
} otc_publisher_video_stats;

/**
 * The functions of a program for one publisher. Copied by `otc_publisher_new`, so it may lie on the stack.
 */
typedef struct otc_publisher_callbacks {
  /**
   * The stream is in the session.
   */
  void (*on_stream_created)(struct otc_publisher *publisher, void *user_data, const otc_stream *stream);
  /**
   * The stream has ended.
   */
  void (*on_stream_destroyed)(struct otc_publisher *publisher, void *user_data, const otc_stream *stream);
  /**
   * A picture before it is encoded, always `OTC_VIDEO_FRAME_FORMAT_YUV420P`. Lent until the callback returns.
   */
  void (*on_render_frame)(struct otc_publisher *publisher, void *user_data, const otc_video_frame *frame);
  /**
   * How loud the microphone is, 0.0 to 1.0; about ten times a second. 0 while no sound is published.
   */
  void (*on_audio_level_updated)(struct otc_publisher *publisher, void *user_data, float audio_level);
  /**
   * A moderator has switched the sound off, or the stream was published while everybody is muted; then this follows
   * `on_stream_created`. `otc_publisher_set_publish_audio` switches it on again.
   */
  void (*on_publisher_mute_forced)(struct otc_publisher *publisher, void *user_data);
  /**
   * About once a second.
   */
  void (*on_audio_stats)(struct otc_publisher *publisher,
                         void *user_data,
                         struct otc_publisher_audio_stats *audio_stats,
                         size_t number_of_stats);
  /**
   * About once a second.
   */
  void (*on_video_stats)(struct otc_publisher *publisher,
                         void *user_data,
                         struct otc_publisher_video_stats *video_stats,
                         size_t number_of_stats);
  /**
   * Something went wrong. The text is for a person and lent until the callback returns.
   */
  void (*on_error)(struct otc_publisher *publisher,
                   void *user_data,
                   const char *error_string,
                   otc_publisher_error_code error_code);
  /**
   * Video is not sent any more, and why.
   */
  void (*on_video_disabled)(struct otc_publisher *publisher, void *user_data, otc_video_reason reason);
  /**
   * Video is sent again.
   */
  void (*on_video_enabled)(struct otc_publisher *publisher, void *user_data, otc_video_reason reason);
  /**
   * The network is so poor that video may be stopped.
   */
  void (*on_video_disable_warning)(struct otc_publisher *publisher, void *user_data);
  /**
   * The network is good enough again.
   */
  void (*on_video_disable_warning_lifted)(struct otc_publisher *publisher, void *user_data);
  /**
   * Handed back to every function, never read.
   */
  void *user_data;
  /**
   * NULL. Not read.
   */
  void *reserved;
} otc_publisher_callbacks;

/* ==== Settings of a publisher ====
 *
 * What has to be known before a publisher is made. Settings belong to the program, which ends them with
 * `otc_publisher_settings_delete`, right after `otc_publisher_new_with_settings` if it likes: they are copied there. They
 * may be used for any number of publishers. The functions may be called on any thread.
 */

/**
 * How large the pictures of the default camera are.
 */
typedef enum otc_camera_capture_resolution {
  /**
   * 320 × 240.
   */
  OTC_CAMERA_CAPTURE_RESOLUTION_LOW = 0,
  /**
   * 640 × 480, the default.
   */
  OTC_CAMERA_CAPTURE_RESOLUTION_MEDIUM = 1,
  /**
   * 1280 × 720.
   */
  OTC_CAMERA_CAPTURE_RESOLUTION_HIGH = 2,
  /**
   * 1920 × 1080.
   */
  OTC_CAMERA_CAPTURE_RESOLUTION_1080P = 3,
} otc_camera_capture_resolution;

/**
 * Settings of a publisher. Opaque: a handle, never an address.
 */
typedef struct otc_publisher_settings otc_publisher_settings;

/**
 * Makes settings with the defaults, which stand at each function.
 *
 * @return The settings, to be ended with `otc_publisher_settings_delete`.
 */
LIBOPENTOK_LIBRARY_EXPORTED struct otc_publisher_settings *otc_publisher_settings_new(void);

/**
 * Ends settings. Publishers made with them keep theirs.
 *
 * @param settings  Settings.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_status otc_publisher_settings_delete(struct otc_publisher_settings *settings);

/**
 * Sets the name that others see of the stream.
 *
 * @param settings  Settings.
 * @param name      The name; copied. NULL is the empty string, the default. What is not UTF-8 in it becomes U+FFFD.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_name(struct otc_publisher_settings *settings,
                                           const char *name);

/**
 * Sets the source of pictures.
 *
 * @param settings  Settings.
 * @param capturer  The functions of the capturer; copied. NULL, the default, is the camera of the machine.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_video_capturer(struct otc_publisher_settings *settings,
                                                     const otc_video_capturer_callbacks *capturer);

/**
 * Sets how large the pictures of the default camera are. A camera that cannot do that gives what comes closest.
 *
 * @param settings                   Settings.
 * @param camera_capture_resolution  The size.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings, or there is no such size.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_default_camera_capture_resolution(struct otc_publisher_settings *settings,
                                                                        enum otc_camera_capture_resolution camera_capture_resolution);

/**
 * Says whether sound is left as the microphone brings it: no echo cancellation, noise suppression or gain control, whatever
 * is said of them, before or after.
 *
 * @param settings  Settings.
 * @param disabled  `OTC_TRUE` leaves it. With `OTC_FALSE`, the default, each of the three is as its own function says.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_disable_audio_processing(struct otc_publisher_settings *settings,
                                                               otc_bool disabled);

/**
 * Says whether the stream has sound at all.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`: the stream has no audio track.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_audio_track(struct otc_publisher_settings *settings,
                                                  otc_bool enabled);

/**
 * Says whether the stream has video at all.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`: the stream has no video track, and no capturer is
 *                  used.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_video_track(struct otc_publisher_settings *settings,
                                                  otc_bool enabled);

/**
 * Says whether sound is sent in two channels. An audio device of the program's brings two where it says so; the system's is
 * recorded in one, which is on both sides then.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default: one channel.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_stereo(struct otc_publisher_settings *settings,
                                             otc_bool enabled);

/**
 * Says whether next to nothing is sent while nothing is to be heard.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_opus_dtx(struct otc_publisher_settings *settings,
                                               otc_bool enabled);

/**
 * Says whether the microphone is kept at an even loudness. There is one microphone for all publishers: what one of
 * them switches off is off for all.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_auto_gain_control(struct otc_publisher_settings *settings,
                                                        otc_bool enabled);

/**
 * Says whether steady noise is taken out of the microphone's sound. One microphone for all publishers, as above.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_noise_suppression(struct otc_publisher_settings *settings,
                                                        otc_bool enabled);

/**
 * Says whether what the loudspeaker plays is taken out of the microphone's sound. One microphone for all
 * publishers, as above.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_echo_cancellation(struct otc_publisher_settings *settings,
                                                        otc_bool enabled);

/**
 * Says whether a screen is sent in several sizes, from which each receiver gets what suits it. Cameras always are.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_scalable_screenshare(struct otc_publisher_settings *settings,
                                                           otc_bool enabled);

/**
 * Says whether this publisher stops its video when its network is too poor for it, so that the sound goes on.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_publisher_audio_fallback_enabled(struct otc_publisher_settings *settings,
                                                                       otc_bool enabled);

/**
 * Says whether the server may stop this publisher's video for a receiver whose network is too poor for it.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, the default, or `OTC_FALSE`. The servers that this library knows decide for
 *                  themselves; the wish is kept.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_subscriber_audio_fallback_enabled(struct otc_publisher_settings *settings,
                                                                        otc_bool enabled);

/**
 * Says whether receivers are told what this publisher's network carries: in the `sender_connection_` members of their
 * statistics, in sessions of more than two.
 *
 * @param settings  Settings.
 * @param enabled   `OTC_TRUE`, or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_settings_set_sender_stats_track(struct otc_publisher_settings *settings,
                                                         otc_bool enabled);

/* ==== Publishers ====
 *
 * A publisher sends one stream: sound of the audio device, pictures of a capturer. It is published with
 * `otc_session_publish`, may be unpublished and published again, in one session after another, each time as a new stream.
 *
 * The functions may be called on any thread and in every callback. What is set before the publishing takes effect with it.
 */

/**
 * How much of the network a publisher's video takes.
 */
typedef enum otc_video_bitrate_preset {
  /**
   * As much as the size of the pictures is worth.
   */
  OTC_VIDEO_BITRATE_PRESET_DEFAULT = 0,
  /**
   * About half of it.
   */
  OTC_VIDEO_BITRATE_PRESET_BW_SAVER = 1,
  /**
   * About a quarter of it.
   */
  OTC_VIDEO_BITRATE_PRESET_EXTRA_BW_SAVER = 2,
  /**
   * `otc_publisher_set_max_video_bitrate` rules. An answer only, never handed in.
   */
  OTC_VIDEO_BITRATE_PRESET_CUSTOM = 3,
} otc_video_bitrate_preset;

/**
 * Where the pictures of a publisher come from.
 */
typedef enum otc_publisher_video_type {
  /**
   * A camera, or what is like one.
   */
  OTC_PUBLISHER_VIDEO_TYPE_CAMERA = 1,
  /**
   * A screen or a window: sharpness goes before smoothness, and there is one size unless more are asked for.
   */
  OTC_PUBLISHER_VIDEO_TYPE_SCREEN = 2,
} otc_publisher_video_type;

/**
 * Kinds of media.
 */
typedef enum otc_media_type {
  /**
   * Pictures.
   */
  OTC_MEDIA_TYPE_VIDEO = 0,
  /**
   * Sound.
   */
  OTC_MEDIA_TYPE_AUDIO = 1,
} otc_media_type;

/**
 * Makes a publisher and does nothing else: the capturer is not called before the publishing.
 *
 * @param name       The name that others see of the stream; copied. NULL is the empty string. What is not UTF-8 in it becomes
 *                   U+FFFD.
 * @param capturer   The functions of the program's capturer; copied. NULL is the camera of the machine: without one the
 *                   publisher says so by `on_error` when it is published, and goes on without video.
 * @param callbacks  The functions of the program; copied.
 *
 * @return The publisher, to be ended with `otc_publisher_delete`. NULL when `callbacks` is NULL.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_publisher *otc_publisher_new(const char *name,
                                 const otc_video_capturer_callbacks *capturer,
                                 const otc_publisher_callbacks *callbacks);

/**
 * As `otc_publisher_new`, with settings.
 *
 * @param callbacks  The functions of the program; copied.
 * @param settings   Settings; copied, so they may be deleted at once. NULL for the defaults.
 *
 * @return The publisher, to be ended with `otc_publisher_delete`. NULL when `callbacks` is NULL or `settings` is no live
 *         settings.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_publisher *otc_publisher_new_with_settings(const otc_publisher_callbacks *callbacks,
                                               otc_publisher_settings *settings);

/**
 * Ends a publisher. One that is published leaves its session first; others see the stream drop, this program is not told.
 *
 * After this function has returned no callback of the publisher starts and the capturer's `destroy` has returned, so
 * the program may free what belongs to them. When a callback is running on another thread, the function waits for it,
 * at most two seconds; inside a callback it does not wait. The handle ends with it, and with it what
 * `otc_publisher_get_stream` returned; copies do not.
 *
 * Inside a callback, while a function of the capturer runs: that may be this one, else it is waited for, 50 ms at most.
 * After `init` and `get_capture_settings` none of its functions is called any more; a `start` that succeeds is followed by
 * `stop` and `destroy`, and `stop` by `destroy`, so what belongs to the capturer has to live until then.
 *
 * @param publisher  A publisher.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL, or no live publisher (for example deleted
 *         already, or being deleted by another thread): nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_delete(otc_publisher *publisher);

/**
 * The stream of a publisher while it is published.
 *
 * @param publisher  A publisher.
 *
 * @return The stream. It belongs to the publisher and lives as long; `otc_stream_copy` makes one to keep. NULL before
 *         `on_stream_created` and after the end, or when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_stream *otc_publisher_get_stream(otc_publisher *publisher);

/**
 * Switches video on or off. Others see it by `on_stream_has_video_changed` and `on_video_disabled`. The capturer goes on.
 *
 * @param publisher      A publisher, published or not.
 * @param publish_video  `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_publish_video(otc_publisher *publisher,
                                           otc_bool publish_video);

/**
 * Switches sound on or off. Others see it by `on_stream_has_audio_changed` and `on_audio_disabled`.
 *
 * @param publisher      A publisher, published or not.
 * @param publish_audio  `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_publish_audio(otc_publisher *publisher,
                                           otc_bool publish_audio);

/**
 * Whether video is switched on. It is not after a moderator has switched it off by the server's own interface; no callback
 * tells of that, and `otc_publisher_set_publish_video` switches it on again.
 *
 * @param publisher  A publisher.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_bool otc_publisher_get_publish_video(const otc_publisher *publisher);

/**
 * Whether sound is switched on.
 *
 * @param publisher  A publisher.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_publisher_get_publish_audio(const otc_publisher *publisher);

/**
 * Says whether what is said is sent as text too. The servers that this library knows make no captions of their own; a
 * LiveKit agent that transcribes does, whatever is said here.
 *
 * @param publisher         A publisher.
 * @param publish_captions  `OTC_TRUE` or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`.
 *         `OTC_PUBLISHER_MISSING_AUDIO_TRACK`: the publisher has no sound; nothing changes.
 *         `OTC_INVALID_PARAM`: `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_publish_captions(otc_publisher *publisher,
                                              otc_bool publish_captions);

/**
 * The session that a publisher is in.
 *
 * @param publisher  A publisher.
 *
 * @return The session's own handle. NULL when the publisher is in none: before the publishing, after its end, after the
 *         session was left or deleted; also when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_session *otc_publisher_get_session(const otc_publisher *publisher);

/**
 * Limits the sound.
 *
 * @param publisher  A publisher.
 * @param bitrate    6000 to 510000 bit/s. The default is 48000, and 96000 for stereo.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or the rate is out of range.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_max_audio_bitrate(otc_publisher *publisher,
                                               uint32_t bitrate);

/**
 * Limits the video, all its layers together. A preset that was set is given up.
 *
 * @param publisher  A publisher.
 * @param bitrate    5000 to 10000000 bit/s.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or the rate is out of range.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_max_video_bitrate(otc_publisher *publisher,
                                               uint32_t bitrate);

/**
 * The limit of the video.
 *
 * @param publisher  A publisher.
 *
 * @return Bits per second. 0 when none is set, or `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED uint32_t otc_publisher_get_max_video_bitrate(otc_publisher *publisher);

/**
 * Sets how much of the network the video takes. A limit that was set is given up.
 *
 * @param publisher  A publisher.
 * @param preset     The preset, not `OTC_VIDEO_BITRATE_PRESET_CUSTOM`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or there is no such preset.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_video_bitrate_preset(otc_publisher *publisher,
                                                  enum otc_video_bitrate_preset preset);

/**
 * How much of the network the video takes.
 *
 * @param publisher  A publisher.
 *
 * @return The preset; `OTC_VIDEO_BITRATE_PRESET_CUSTOM` when a limit was set, `OTC_VIDEO_BITRATE_PRESET_DEFAULT` when nothing
 *         was, or `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
enum otc_video_bitrate_preset otc_publisher_get_video_bitrate_preset(otc_publisher *publisher);

/**
 * Says where the pictures come from. What is published already keeps its place in the session; its encoder goes by the
 * new type, and the others hear of it by `on_stream_video_type_changed`, except on a LiveKit server, whose protocol has
 * no word for it.
 *
 * @param publisher   A publisher.
 * @param video_type  The type; `OTC_PUBLISHER_VIDEO_TYPE_CAMERA` is the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher, or there is no such type.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_video_type(otc_publisher *publisher,
                                        enum otc_publisher_video_type video_type);

/**
 * Where the pictures come from.
 *
 * @param publisher  A publisher.
 *
 * @return The type; `OTC_PUBLISHER_VIDEO_TYPE_CAMERA` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
enum otc_publisher_video_type otc_publisher_get_video_type(const otc_publisher *publisher);

/**
 * The old name of `otc_publisher_settings_set_subscriber_audio_fallback_enabled`. To be set before the publishing.
 *
 * @param publisher  A publisher.
 * @param enabled    `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_audio_fallback_enabled(otc_publisher *publisher,
                                                    otc_bool enabled);

/**
 * What `otc_publisher_set_audio_fallback_enabled` was given last.
 *
 * @param publisher  A publisher.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_publisher_get_audio_fallback_enabled(const otc_publisher *publisher);

/**
 * A name for this publisher, unique in the world.
 *
 * @param publisher  A publisher.
 *
 * @return The name. Lives as long as the publisher. NULL when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED const char *otc_publisher_get_publisher_id(const otc_publisher *publisher);

/**
 * What the program gave as `user_data`.
 *
 * @param publisher  A publisher.
 *
 * @return The pointer, unchanged. NULL when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED void *otc_publisher_get_user_data(const otc_publisher *publisher);

/**
 * The name that others see of the stream.
 *
 * @param publisher  A publisher.
 *
 * @return The name, the empty string when there is none. Lives as long as the publisher. NULL when `publisher` is NULL or no
 *         live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_publisher_get_name(const otc_publisher *publisher);

/* ==== Reports of statistics of a publisher ====
 *
 * Beside `on_audio_stats` and `on_video_stats` a program may ask for a report as JSON, in the shape and with the names of
 * the W3C's `RTCStatsReport`. The functions may be called on any thread and in every callback.
 */

/**
 * A report of statistics for one receiver, or for the server.
 */
typedef struct otc_publisher_rtc_stats {
  /**
   * The empty string: media goes to the server once, whoever receives it.
   */
  const char *connection_id;
  /**
   * A JSON array of objects; `otc_publisher_get_rtc_stats_report` says of which types.
   */
  const char *json_array_of_reports;
} otc_publisher_rtc_stats;

/**
 * How a report of statistics is asked for. Passed by value.
 */
typedef struct otc_publisher_rtc_stats_report_cb {
  /**
   * Handed back to the function, never read.
   */
  void *user_data;
  /**
   * Gets the reports: `entries` of them, one with a server. Lent until it returns.
   */
  void (*on_rtc_stats_report)(otc_publisher *publisher,
                              void *user_data,
                              const struct otc_publisher_rtc_stats *stats,
                              size_t entries);
  /**
   * NULL. Not read.
   */
  void *reserved;
} otc_publisher_rtc_stats_report_cb;

/**
 * Asks for a report of statistics. The function registered with `otc_publisher_set_rtc_stats_report_cb` gets it, on the
 * callback thread.
 *
 * Types, members and units are those of the W3C's "Identifiers for WebRTC's Statistics API", except that `timestamp` is in
 * microseconds. There is an `outbound-rtp` for sound and for each layer of the picture (those of several have a `rid`), a
 * `remote-inbound-rtp` for each that the server has reported on, a `codec`, a `media-source` of sound and of the picture, the
 * `transport`, and the `candidate-pair` in use with its `local-candidate` and `remote-candidate`. What is not known is left
 * out, and before there is a way for the media that is everything: the array is empty.
 *
 * @param publisher  A publisher.
 *
 * @return `OTC_SUCCESS`: the report will come.
 *         `OTC_PUBLISHER_SESSION_DISCONNECTED`: the publisher is in no session; no report comes.
 *         `OTC_INVALID_PARAM`: `publisher` is NULL or no live publisher, or no function was registered.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_get_rtc_stats_report(const otc_publisher *publisher);

/**
 * Registers the function that gets reports of statistics, in place of the one before.
 *
 * After this function has returned the one before is not called any more, also not with reports that were asked for
 * already, so its `user_data` may be freed. When it is running on another thread, this function waits for it, at most two
 * seconds; inside a callback it does not wait.
 *
 * @param publisher  A publisher.
 * @param cb         The function and its `user_data`; copied. A NULL function takes the registration back.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `publisher` is NULL or no live publisher.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_rtc_stats_report_cb(otc_publisher *publisher,
                                                 struct otc_publisher_rtc_stats_report_cb cb);

/* ==== Sound of one subscriber ====
 *
 * What `on_audio_data` brings. It is always the same: signed 16 bit, 48000 samples per second, two channels, 10 ms at a
 * time.
 */

/**
 * A piece of sound. Lent until the callback returns.
 */
typedef struct otc_audio_data {
  /**
   * The samples, those of the channels in turn.
   */
  const void *sample_buffer;
  /**
   * 16.
   */
  int bits_per_sample;
  /**
   * Samples per second and channel: 48000.
   */
  int sample_rate;
  /**
   * 2.
   */
  size_t number_of_channels;
  /**
   * Samples of each channel: 480.
   */
  size_t number_of_samples;
} otc_audio_data;

/* ==== What a subscriber tells ====
 *
 * The functions that a program hands to `otc_subscriber_new`. Any of them may be NULL, also all.
 *
 * Threads: events come on the library's callback thread, pictures and sound on threads of their own; never two callbacks
 * of subscribers at once, whichever subscribers they are of, and never from inside a function that the program calls.
 * Every function of the library may be called from them, the deletion of their own subscriber included. A picture that
 * finds another callback running for longer than 10 ms is left out; an event waits, and so does sound, up to a second of it.
 *
 * Order: `on_connected`, then `on_video_data_received`, then `on_render_frame`. An end of the stream is the session's to
 * tell (`on_stream_dropped`); nothing of the subscriber follows.
 *
 * The order of the members is that of release 2.32. A program compiled with older headers sets the environment
 * variable `OTC_ABI` to `2.24` or `2.19`.
 */

/**
 * A subscriber. Opaque: a handle, never an address.
 */
typedef struct otc_subscriber otc_subscriber;

/**
 * How the sound of a subscriber has come so far.
 */
typedef struct otc_subscriber_audio_stats {
  /**
   * Packets that did not come.
   */
  uint64_t packets_lost;
  /**
   * Packets that came.
   */
  uint64_t packets_received;
  /**
   * Bytes of their contents.
   */
  uint64_t bytes_received;
  /**
   * How loud it is, 0 to 1.
   */
  float audio_level;
  /**
   * When this was counted: milliseconds since 1970.
   */
  double timestamp;
  /**
   * What the sender may use, in bit/s; −1 when it is not known.
   */
  int64_t sender_connection_max_allocated_bitrate;
  /**
   * What the sender's network carries, in bit/s; −1 when it is not known.
   */
  int64_t sender_connection_estimated_bandwidth;
} otc_subscriber_audio_stats;

/**
 * How the video of a subscriber has come so far.
 */
typedef struct otc_subscriber_video_stats {
  /**
   * Packets that did not come.
   */
  uint64_t packets_lost;
  /**
   * Packets that came.
   */
  uint64_t packets_received;
  /**
   * Bytes of their contents.
   */
  uint64_t bytes_received;
  /**
   * When this was counted: milliseconds since 1970.
   */
  double timestamp;
  /**
   * What the sender may use, in bit/s; −1 when it is not known.
   */
  int64_t sender_connection_max_allocated_bitrate;
  /**
   * What the sender's network carries, in bit/s; −1 when it is not known.
   */
  int64_t sender_connection_estimated_bandwidth;
} otc_subscriber_video_stats;

/**
 * The functions of a program for one subscriber. Copied by `otc_subscriber_new`, so it may lie on the stack.
 */
typedef struct otc_subscriber_callbacks {
  /**
   * The way of the stream's media is open. Once for each subscribing.
   */
  void (*on_connected)(struct otc_subscriber *subscriber, void *user_data, const otc_stream *stream);
  /**
   * The media is interrupted, because a network failed here or at the publisher. It may come back.
   */
  void (*on_disconnected)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * The media is back.
   */
  void (*on_reconnected)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * A picture, always `OTC_VIDEO_FRAME_FORMAT_YUV420P`, its planes one after the other without padding. Lent until the
   * callback returns.
   */
  void (*on_render_frame)(struct otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame);
  /**
   * Video has gone, and why.
   */
  void (*on_video_disabled)(struct otc_subscriber *subscriber, void *user_data, otc_video_reason reason);
  /**
   * Video is back: what it had gone for is over.
   */
  void (*on_video_enabled)(struct otc_subscriber *subscriber, void *user_data, otc_video_reason reason);
  /**
   * The publisher's sound, or this subscriber's share in it, was switched off.
   */
  void (*on_audio_disabled)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * It was switched on again.
   */
  void (*on_audio_enabled)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * The first picture is there; `on_render_frame` follows. Once for each subscribing.
   */
  void (*on_video_data_received)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * The network is so poor that video may be stopped.
   */
  void (*on_video_disable_warning)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * What was said by a publisher, as text. A later text replaces an earlier one until `is_final` is `OTC_TRUE`. One that
   * is replaced before the callback thread comes to it is left out; final ones never are.
   */
  void (*on_caption_text)(struct otc_subscriber *subscriber,
                          void *user_data,
                          const char *text,
                          otc_bool is_final);
  /**
   * The network is good enough again.
   */
  void (*on_video_disable_warning_lifted)(struct otc_subscriber *subscriber, void *user_data);
  /**
   * About once a second.
   */
  void (*on_audio_stats)(struct otc_subscriber *subscriber,
                         void *user_data,
                         struct otc_subscriber_audio_stats audio_stats);
  /**
   * About once a second.
   */
  void (*on_video_stats)(struct otc_subscriber *subscriber,
                         void *user_data,
                         struct otc_subscriber_video_stats video_stats);
  /**
   * How loud the stream is, 0.0 to 1.0; about ten times a second.
   */
  void (*on_audio_level_updated)(struct otc_subscriber *subscriber, void *user_data, float audio_level);
  /**
   * Nothing came of the subscribing, or nothing more will come. The subscriber is in no session then; except for
   * `OTC_SUBSCRIBER_ENCRYPTION_SECRET_MISMATCH`, which leaves it where it is: with the right secret the picture comes. The
   * text is for a person and lent until the callback returns.
   */
  void (*on_error)(struct otc_subscriber *subscriber,
                   void *user_data,
                   const char *error_string,
                   otc_subscriber_error_code error);
  /**
   * 10 ms of this stream's sound, before it is mixed with others, at full volume, whether or not there is an audio device.
   */
  void (*on_audio_data)(struct otc_subscriber *subscriber, void *user_data, const otc_audio_data *audio_data);
  /**
   * Handed back to every function, never read.
   */
  void *user_data;
  /**
   * NULL. Not read.
   */
  void *reserved;
} otc_subscriber_callbacks;

/* ==== Subscribers ====
 *
 * A subscriber receives one stream. It is made of a stream that `on_stream_received` brought (or that
 * `otc_publisher_get_stream` gave, to look at one's own), begins with `otc_session_subscribe`, and may be made and begun
 * later, on any thread, with a copy of the stream.
 *
 * The functions may be called on any thread and in every callback. What is set before the subscribing takes effect with it.
 */

/**
 * How a report of statistics is asked for. Passed by value.
 */
typedef struct otc_subscriber_rtc_stats_report_cb {
  /**
   * Handed back to the function, never read.
   */
  void *user_data;
  /**
   * Gets the report: a JSON array of objects; `otc_subscriber_get_rtc_stats_report` says of which types. Lent until it
   * returns.
   */
  void (*on_rtc_stats_report)(otc_subscriber *subscriber, void *user_data, const char *json_array_of_reports);
  /**
   * NULL. Not read.
   */
  void *reserved;
} otc_subscriber_rtc_stats_report_cb;

/**
 * Makes a subscriber and does nothing else.
 *
 * @param stream     The stream; copied, so it may be a lent one.
 * @param callbacks  The functions of the program; copied.
 *
 * @return The subscriber, to be ended with `otc_subscriber_delete`. NULL when a pointer is NULL or `stream` is no live
 *         stream.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_subscriber *otc_subscriber_new(const otc_stream *stream,
                                   const otc_subscriber_callbacks *callbacks);

/**
 * Ends a subscriber. One that is in a session leaves it first.
 *
 * After this function has returned no callback of the subscriber starts, so the program may free its `user_data`. When
 * one is running on another thread, the function waits for it, at most two seconds; inside a callback it does not wait.
 * The handle ends with it, and with it what `otc_subscriber_get_stream` returned; copies do not.
 *
 * @param subscriber  A subscriber.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL, or no live subscriber (for example deleted
 *         already, or being deleted by another thread): nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_delete(otc_subscriber *subscriber);

/**
 * The stream of a subscriber, as it is now or was last.
 *
 * @param subscriber  A subscriber.
 *
 * @return The stream. It belongs to the subscriber and lives as long; `otc_stream_copy` makes one to keep. The same pointer
 *         while the stream does not change. NULL when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_stream *otc_subscriber_get_stream(const otc_subscriber *subscriber);

/**
 * Says whether video is wanted. Without it none is sent to this client, and `on_video_disabled` says so with the reason
 * `OTC_VIDEO_REASON_SUBSCRIBE_TO_VIDEO`.
 *
 * @param subscriber          A subscriber.
 * @param subscribe_to_video  `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_subscribe_to_video(otc_subscriber *subscriber,
                                                 otc_bool subscribe_to_video);

/**
 * Says whether sound is wanted. Without it none is sent to this client, and `on_audio_disabled` says so.
 *
 * @param subscriber          A subscriber.
 * @param subscribe_to_audio  `OTC_TRUE`, the default, or `OTC_FALSE`.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_subscribe_to_audio(otc_subscriber *subscriber,
                                                 otc_bool subscribe_to_audio);

/**
 * Says whether captions are wanted: `on_caption_text` brings them. They are LiveKit's transcriptions, in packets or in text
 * streams, of the stream's tracks or, where no track is named, of its publisher.
 *
 * @param subscriber             A subscriber.
 * @param subscribe_to_captions  `OTC_TRUE` or `OTC_FALSE`, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_subscribe_to_captions(otc_subscriber *subscriber,
                                                    otc_bool subscribe_to_captions);

/**
 * Whether video is wanted.
 *
 * @param subscriber  A subscriber.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_subscriber_get_subscribe_to_video(const otc_subscriber *subscriber);

/**
 * Whether sound is wanted.
 *
 * @param subscriber  A subscriber.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED otc_bool otc_subscriber_get_subscribe_to_audio(const otc_subscriber *subscriber);

/**
 * Whether captions are wanted.
 *
 * @param subscriber  A subscriber.
 *
 * @return `OTC_TRUE` or `OTC_FALSE`; `OTC_FALSE` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_bool otc_subscriber_get_subscribe_to_captions(const otc_subscriber *subscriber);

/**
 * The session that a subscriber is in.
 *
 * @param subscriber  A subscriber.
 *
 * @return The session's own handle. NULL when the subscriber is in none: before the subscribing, after its end, after the
 *         session was left or deleted; also when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_session *otc_subscriber_get_session(const otc_subscriber *subscriber);

/**
 * Asks for pictures of about this size: the server sends the layer of the publisher's video that fits it best. Where the
 * publisher sends one layer only it has no effect.
 *
 * @param subscriber        A subscriber.
 * @param preferred_width   In pixels; 0 with a height of 0 asks for the largest.
 * @param preferred_height  In pixels.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or one of the two is 0 and
 *         the other is not.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_preferred_resolution(otc_subscriber *subscriber,
                                                   uint32_t preferred_width,
                                                   uint32_t preferred_height);

/**
 * What `otc_subscriber_set_preferred_resolution` was given last.
 *
 * @param subscriber        A subscriber.
 * @param preferred_width   Gets the width, 0 when nothing was asked for. Written on success only.
 * @param preferred_height  Gets the height, 0 when nothing was asked for. Written on success only.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_get_preferred_resolution(const otc_subscriber *subscriber,
                                                   uint32_t *preferred_width,
                                                   uint32_t *preferred_height);

/**
 * Sets how loud the stream is in what the audio device plays. `on_audio_data` is not changed by it.
 *
 * @param subscriber  A subscriber.
 * @param volume      0 (silent) to 100 (as it was sent, the default); what is beyond is brought back into that.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or `volume` is no number.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_audio_volume(otc_subscriber *subscriber,
                                           double volume);

/**
 * How loud the stream is in what the audio device plays.
 *
 * @param subscriber  A subscriber.
 * @param volume      Gets the volume, 0 to 100. Written on success only.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_get_audio_volume(const otc_subscriber *subscriber,
                                           double *volume);

/**
 * Asks for about so many pictures in a second; the server leaves out some. Where the publisher's video has no layers in time
 * it has no effect.
 *
 * @param subscriber           A subscriber.
 * @param preferred_framerate  Pictures in a second; 0 asks for all.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber, or the rate is negative or no
 *         number.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_preferred_framerate(otc_subscriber *subscriber,
                                                  float preferred_framerate);

/**
 * What `otc_subscriber_set_preferred_framerate` was given last.
 *
 * @param subscriber           A subscriber.
 * @param preferred_framerate  Gets the rate, 0 when nothing was asked for. Written on success only.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when a pointer is NULL or `subscriber` is no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_get_preferred_framerate(const otc_subscriber *subscriber,
                                                  float *preferred_framerate);

/**
 * A name for this subscriber, unique in the world.
 *
 * @param subscriber  A subscriber.
 *
 * @return The name. Lives as long as the subscriber. NULL when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED const char *otc_subscriber_get_subscriber_id(const otc_subscriber *subscriber);

/**
 * What the program gave as `user_data`.
 *
 * @param subscriber  A subscriber.
 *
 * @return The pointer, unchanged. NULL when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED void *otc_subscriber_get_user_data(const otc_subscriber *subscriber);

/**
 * Asks for a report of statistics. The function registered with `otc_subscriber_set_rtc_stats_report_cb` gets it, on the
 * callback thread.
 *
 * Types, members and units are those of the W3C's "Identifiers for WebRTC's Statistics API", except that `timestamp` is in
 * microseconds. There is an `inbound-rtp` and a `codec` for each of sound and picture that has come, a `remote-outbound-rtp`
 * for each of which the server has told what it sent, the `transport`, and the `candidate-pair` in use with its
 * `local-candidate` and `remote-candidate`. What is not known is left out, and so is everything of which nothing has come.
 *
 * @param subscriber  A subscriber.
 *
 * @return `OTC_SUCCESS`: the report will come.
 *         `OTC_SUBSCRIBER_SESSION_DISCONNECTED`: the subscriber is in no session; no report comes.
 *         `OTC_INVALID_PARAM`: `subscriber` is NULL or no live subscriber, or no function was registered.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_get_rtc_stats_report(const otc_subscriber *subscriber);

/**
 * Registers the function that gets reports of statistics, in place of the one before.
 *
 * After this function has returned the one before is not called any more, also not with reports that were asked for
 * already, so its `user_data` may be freed. When it is running on another thread, this function waits for it, at most two
 * seconds; inside a callback it does not wait.
 *
 * @param subscriber  A subscriber.
 * @param cb          The function and its `user_data`; copied. A NULL function takes the registration back.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `subscriber` is NULL or no live subscriber.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_subscriber_set_rtc_stats_report_cb(otc_subscriber *subscriber,
                                                  struct otc_subscriber_rtc_stats_report_cb cb);

/* ==== Publishing and subscribing ====
 *
 * A session sends the streams of its publishers and receives those that its subscribers ask for. Success means that it
 * has begun; what becomes of it the publisher's and the subscriber's own callbacks tell.
 *
 * A publisher or subscriber is in one session at a time, and in it once. It leaves it by the functions here, by its own
 * deletion, and with the end of the session; while the session reconnects it stays.
 */

/**
 * Sends the stream of a publisher into the session. Its capturer starts; `on_stream_created` or `on_error` of the
 * publisher follows.
 *
 * @param session    A connected session.
 * @param publisher  A publisher that is in no session.
 *
 * @return `OTC_SUCCESS`: it has begun.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_SESSION_ILLEGAL_STATE`: the publisher is in a session already, this one or another.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_publish(otc_session *session,
                               otc_publisher *publisher);

/**
 * Ends the stream of a publisher in the session, also before it was there. Its capturer is stopped and destroyed soon
 * after; `on_stream_destroyed` follows where there was `on_stream_created`. The publisher may be published again at once.
 *
 * @param session    A session.
 * @param publisher  A publisher.
 *
 * @return `OTC_SUCCESS`: the publisher is in no session.
 *         `OTC_SESSION_PUBLISHER_NOT_FOUND`: the publisher is not in this session; nothing happens.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_unpublish(otc_session *session,
                                 otc_publisher *publisher);

/**
 * Receives a stream. `on_connected` or `on_error` of the subscriber follows.
 *
 * @param session     A connected session, the one that the subscriber's stream is in.
 * @param subscriber  A subscriber that is in no session.
 *
 * @return `OTC_SUCCESS`: it has begun.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_SESSION_ILLEGAL_STATE`: the subscriber is in a session already, this one or another.
 *         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_subscribe(otc_session *session,
                                 otc_subscriber *subscriber);

/**
 * Stops to receive a stream. No callback of the subscriber starts any more; it may be subscribed again at once. One that
 * has begun on another thread is waited for, at most 50 ms, and inside a callback not at all.
 *
 * @param session     A session.
 * @param subscriber  A subscriber.
 *
 * @return `OTC_SUCCESS`: the subscriber is in no session.
 *         `OTC_SESSION_SUBSCRIBER_NOT_FOUND`: the subscriber is not in this session; nothing happens.
 *         `OTC_INVALID_PARAM`: a pointer is NULL, or `session` is no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_unsubscribe(otc_session *session,
                                   otc_subscriber *subscriber);

/* ==== Moderation ====
 *
 * What a client may do to others, when the role of its token allows it: see `otc_session_get_capabilities`. The functions
 * ask the server and return at once. When the server then refuses or cannot be reached, the log says so and no callback
 * comes. While the session is reconnecting everything waits for the end of that.
 *
 * Only sound is muted, and a publisher whose sound is muted may switch it on again at any time with
 * `otc_publisher_set_publish_audio`.
 */

/**
 * Mutes every stream, this client's own too, and those that are published later, until `otc_session_disable_force_mute`.
 * Every client is told by `on_mute_forced`, every publisher that was muted by `on_publisher_mute_forced`. Streams that are
 * muted already, or have no sound, stay as they are.
 *
 * On a LiveKit server the mode is a member of the room's metadata, `otc.force_mute`; what others keep there stays. Clients
 * that are not of this library are muted now, and know nothing of the mode.
 *
 * @param session               A connected session.
 * @param excluded_streams_ids  Ids of streams that are left alone now; copied. Ids that nobody has are passed over. NULL for
 *                              none.
 * @param excluded_streams_len  How many; 0 for none.
 *
 * @return `OTC_SUCCESS`: the request is on its way.
 *         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it.
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
 * @return `OTC_SUCCESS`: the request is on its way.
 *         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it.
 *         `OTC_SESSION_NOT_CONNECTED`: the session is not connected.
 *         `OTC_INVALID_PARAM`: `session` is NULL or no live session.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_session_disable_force_mute(otc_session *session);

/**
 * Mutes one stream, another client's or one of this client's own. Its publisher is told by `on_publisher_mute_forced`. A
 * stream without sound stays as it is.
 *
 * @param session            A connected session.
 * @param stream_id_to_mute  The id of the stream; copied.
 *
 * @return `OTC_SUCCESS`: the request is on its way.
 *         `OTC_UNABLE_TO_FORCE_MUTE`: the token does not allow it, or there is no such stream in the session.
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

/* ==== The audio device ====
 *
 * One for the whole process and all sessions: the program's own, set with `otc_set_audio_device`, else the system's
 * (PulseAudio or PipeWire, else ALSA), else none: then nothing is heard and everything else works.
 *
 * A device has two directions. Capture begins when the first publisher with an audio track starts, render when there is
 * something to play; a program that only publishes never sees the render functions, and the other way round. For the
 * device: `init`, later `destroy`. Between them for each direction: `get_…_settings`, `init_…`, `start_…`, later
 * `stop_…`, `destroy_…`. A direction that was not started is not destroyed, and none is started twice without being
 * destroyed between. When nobody needs sound any more, all of it ends, and begins anew when somebody does.
 *
 * Any function may be NULL, which counts as success. One that answers `OTC_FALSE` is asked again, five times within a
 * quarter of a second; then the direction stays silent and the log says so.
 *
 * Threads: the functions are called one after the other on one thread of the library, never inside a function that the
 * program calls. `stop_…` and `destroy_…` may wait for the program's own thread: `otc_audio_device_read_render_data` and
 * `otc_audio_device_write_capture_data`, where that thread probably is, never wait for anything.
 *
 * Samples are signed, 16 bits wide, and interleaved where there are two channels. Numbers of samples are numbers of
 * samples for each channel: 480 are 10 ms at 48 kHz, with two channels in a buffer of 960.
 */

/**
 * The audio device. Opaque, and not to be followed: it is handed to the functions of the device and to nothing else.
 */
typedef struct otc_audio_device otc_audio_device;

/**
 * How one direction of a device wants its samples.
 */
typedef struct otc_audio_device_settings {
  /**
   * Samples per second and channel: 8000 to 192000.
   */
  int sampling_rate;
  /**
   * 1 or 2.
   */
  int number_of_channels;
} otc_audio_device_settings;

/**
 * The functions of a program's audio device. Copied by `otc_set_audio_device`, so it may lie on the stack.
 */
typedef struct otc_audio_device_callbacks {
  /**
   * The device is needed. The first function that is called.
   */
  otc_bool (*init)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * The device is not needed any more. The last function that is called, until `init` is called again.
   */
  otc_bool (*destroy)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * To prepare capture.
   */
  otc_bool (*init_capturer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * The end of capture, after `stop_capturer`. The program's thread may be waited for here.
   */
  otc_bool (*destroy_capturer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * From now on `otc_audio_device_write_capture_data` is heard.
   */
  otc_bool (*start_capturer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * What is captured from now on is not needed.
   */
  otc_bool (*stop_capturer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Kept for programs that have it. Not called.
   */
  otc_bool (*is_capturer_initialized)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Asked when `start_capturer` has answered `OTC_FALSE`: true makes it a success.
   */
  otc_bool (*is_capturer_started)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Milliseconds from the microphone to `otc_audio_device_write_capture_data`. Asked now and then, for the echo.
   */
  int (*get_estimated_capture_delay)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * To fill in how capture has its samples. A member that stays as it is, or NULL here, means 48000 Hz and one channel.
   */
  otc_bool (*get_capture_settings)(const struct otc_audio_device *audio_device,
                                   void *user_data,
                                   struct otc_audio_device_settings *settings);
  /**
   * To prepare render.
   */
  otc_bool (*init_renderer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * The end of render, after `stop_renderer`. The program's thread may be waited for here.
   */
  otc_bool (*destroy_renderer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * From now on `otc_audio_device_read_render_data` has what is to be heard.
   */
  otc_bool (*start_renderer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * From now on there is silence.
   */
  otc_bool (*stop_renderer)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Kept for programs that have it. Not called.
   */
  otc_bool (*is_renderer_initialized)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Asked when `start_renderer` has answered `OTC_FALSE`: true makes it a success.
   */
  otc_bool (*is_renderer_started)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * Milliseconds from `otc_audio_device_read_render_data` to the loudspeaker. Asked now and then, for the echo.
   */
  int (*get_estimated_render_delay)(const struct otc_audio_device *audio_device, void *user_data);
  /**
   * To fill in how render wants its samples; as for capture.
   */
  otc_bool (*get_render_settings)(const struct otc_audio_device *audio_device,
                                  void *user_data,
                                  struct otc_audio_device_settings *settings);
  /**
   * Handed back unchanged. Never read; it has to stay valid until another device is set and this one is destroyed, or
   * nothing uses sound any more.
   */
  void *user_data;
  /**
   * NULL.
   */
  void *reserved;
} otc_audio_device_callbacks;

/**
 * Sets the audio device of the process.
 *
 * Meant to be called once, before the first session connects, and for good: the device stays set after `otc_destroy`, for
 * the next `otc_init`. It may be called at any time and from any thread all the same; then the device before is stopped and
 * destroyed, and after that this one is started. None of its functions is called before this function returns, and this
 * function waits for none.
 *
 * @param callbacks  The functions of the device. Copied. NULL for the system's device, as if none had been set.
 *
 * @return `OTC_SUCCESS`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_set_audio_device(const struct otc_audio_device_callbacks *callbacks);

/**
 * Takes what is to be heard next: all subscribed streams, mixed.
 *
 * Never waits. The buffer is always filled, with silence where there is nothing to be heard, so a program has to keep its
 * own time: 480 samples every 10 ms at 48 kHz.
 *
 * @param buffer             Room for `number_of_samples` for each channel of the device. It may be uninitialised.
 * @param number_of_samples  How many samples for each channel.
 *
 * @return How many samples for each channel were written: `number_of_samples`, or 0 when `buffer` is NULL, and when the
 *         library does not run.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_audio_device_read_render_data(int16_t *buffer,
                                         size_t number_of_samples);

/**
 * Brings what was captured. It reaches every publisher with an audio track.
 *
 * Never waits. Before `start_capturer` and where nobody publishes audio it is dropped. Usual are 10 ms at a time; other
 * portions do as well, at the speed at which they were captured.
 *
 * @param buffer             `number_of_samples` for each channel of the device. Copied.
 * @param number_of_samples  How many samples for each channel.
 *
 * @return `OTC_SUCCESS`, `OTC_INVALID_PARAM` when `buffer` is NULL, or `OTC_FATAL` when the library does not run: nothing
 *         happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_device_write_capture_data(const int16_t *buffer,
                                               size_t number_of_samples);

/* ==== Sound inputs of the system ====
 *
 * The microphones of PulseAudio or PipeWire, else of ALSA: which there are, and which is used where the program has set
 * no audio device.
 *
 * An enumerator is a list as it was when it was made. It belongs to the program, and so do the texts in it, which live as
 * long as it does. The functions may be called on any thread, also before `otc_init` and after `otc_destroy`.
 */

/**
 * A list of the system's sound inputs. Opaque: a handle, never an address.
 */
typedef struct otc_audio_module_input_device_enumerator otc_audio_module_input_device_enumerator;

/**
 * Makes a list of the sound inputs that there are now. Asking the system's sound server takes some milliseconds.
 *
 * @return The list, empty where the system has no sound. It belongs to the program, to be ended with
 *         `otc_audio_module_input_device_enumerator_delete`. NULL only after a panic of the library.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_audio_module_input_device_enumerator *otc_audio_module_input_device_enumerator_new(void);

/**
 * How many inputs the list has.
 *
 * @param device_enumerator  A list.
 *
 * @return The number. 0 when `device_enumerator` is NULL or no live list.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int otc_audio_module_input_device_enumerator_size(struct otc_audio_module_input_device_enumerator *device_enumerator);

/**
 * What `otc_audio_module_input_device_select` knows an entry by. Not for people.
 *
 * @param device_enumerator  A list.
 * @param device_index       From 0 to the size of the list less one.
 *
 * @return The id. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
 *         entry.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_audio_module_input_device_enumerator_get_device_id(struct otc_audio_module_input_device_enumerator *device_enumerator,
                                                                   int device_index);

/**
 * What people know an entry by.
 *
 * @param device_enumerator  A list.
 * @param device_index       From 0 to the size of the list less one.
 *
 * @return The name. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
 *         entry.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_audio_module_input_device_enumerator_get_device_name(struct otc_audio_module_input_device_enumerator *device_enumerator,
                                                                     int device_index);

/**
 * Ends a list. Its texts end with it.
 *
 * @param device_enumerator  A list.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_enumerator` is NULL or no live list: nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_module_input_device_enumerator_delete(struct otc_audio_module_input_device_enumerator *device_enumerator);

/**
 * Chooses which of the system's sound inputs is used from now on, at once where one is in use. A program that has set
 * an audio device of its own notices nothing of it.
 *
 * @param device_id  The id of an entry of a list. Copied.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_id` is NULL, is not UTF-8, or names nothing that is there now:
 *         the choice stays as it was then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_module_input_device_select(const char *device_id);

/* ==== Sound outputs of the system ====
 *
 * As for inputs: the loudspeakers and headphones.
 *
 * An enumerator is a list as it was when it was made. It belongs to the program, and so do the texts in it, which live as
 * long as it does. The functions may be called on any thread, also before `otc_init` and after `otc_destroy`.
 */

/**
 * A list of the system's sound outputs. Opaque: a handle, never an address.
 */
typedef struct otc_audio_module_output_device_enumerator otc_audio_module_output_device_enumerator;

/**
 * Makes a list of the sound outputs that there are now. Asking the system's sound server takes some milliseconds.
 *
 * @return The list, empty where the system has no sound. It belongs to the program, to be ended with
 *         `otc_audio_module_output_device_enumerator_delete`. NULL only after a panic of the library.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_audio_module_output_device_enumerator *otc_audio_module_output_device_enumerator_new(void);

/**
 * How many outputs the list has.
 *
 * @param device_enumerator  A list.
 *
 * @return The number. 0 when `device_enumerator` is NULL or no live list.
 */
LIBOPENTOK_LIBRARY_EXPORTED
int otc_audio_module_output_device_enumerator_size(struct otc_audio_module_output_device_enumerator *device_enumerator);

/**
 * What `otc_audio_module_output_device_select` knows an entry by. Not for people.
 *
 * @param device_enumerator  A list.
 * @param device_index       From 0 to the size of the list less one.
 *
 * @return The id. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
 *         entry.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_audio_module_output_device_enumerator_get_device_id(struct otc_audio_module_output_device_enumerator *device_enumerator,
                                                                    int device_index);

/**
 * What people know an entry by.
 *
 * @param device_enumerator  A list.
 * @param device_index       From 0 to the size of the list less one.
 *
 * @return The name. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
 *         entry.
 */
LIBOPENTOK_LIBRARY_EXPORTED
const char *otc_audio_module_output_device_enumerator_get_device_name(struct otc_audio_module_output_device_enumerator *device_enumerator,
                                                                      int device_index);

/**
 * Ends a list. Its texts end with it.
 *
 * @param device_enumerator  A list.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_enumerator` is NULL or no live list: nothing happens then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_module_output_device_enumerator_delete(struct otc_audio_module_output_device_enumerator *device_enumerator);

/**
 * Chooses which of the system's sound outputs is used from now on, at once where one is in use. A program that has set
 * an audio device of its own notices nothing of it.
 *
 * @param device_id  The id of an entry of a list. Copied.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_id` is NULL, is not UTF-8, or names nothing that is there now:
 *         the choice stays as it was then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_module_output_device_select(const char *device_id);

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

/* ==== Transformers ====
 *
 * A transformer changes what a publisher sends, and what its `on_render_frame` shows: pictures and sound, each as they
 * pass. A program brings its own function (`OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM`), or asks for a ready-made one by name
 * (`OTC_MEDIA_TRANSFORMER_TYPE_VONAGE`): of those there is "NoiseSuppression" for sound.
 *
 * `otc_publisher_set_video_transformers` and `otc_publisher_set_audio_transformers` put them to work, in the order of the
 * array. A transformer may be deleted while it is at work: it goes on until it is taken from the last publisher.
 *
 * Threads: a custom function is called on a thread of the library, one picture or 10 ms of sound at a time, and may call every
 * function of the library. When it has been taken from its publisher, or the publisher was deleted, it is not called any
 * more.
 */

/**
 * Whose transformer it is.
 */
typedef enum otc_media_transformer_type {
  /**
   * A function of the program.
   */
  OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM = 0,
  /**
   * A ready-made one.
   */
  OTC_MEDIA_TRANSFORMER_TYPE_VONAGE = 1,
} otc_media_transformer_type;

/**
 * Codes of transformers.
 */
typedef enum otc_media_transformer_error_code {
  /**
   * A defect of this library.
   */
  OTC_MEDIA_TRANSFORMER_INTERNAL_ERROR = 167772160,
  /**
   * There is no such type.
   */
  OTC_MEDIA_TRANSFORMER_INVALID_TYPE = 167772161,
  /**
   * A ready-made transformer needs a name.
   */
  OTC_MEDIA_TRANSFORMER_NAME_NOT_PROVIDED = 167772162,
  /**
   * A custom transformer needs a function.
   */
  OTC_MEDIA_TRANSFORMER_CUSTOM_CALLBACK_NOT_PROVIDED = 167772163,
  /**
   * A ready-made transformer needs properties.
   */
  OTC_MEDIA_TRANSFORMER_PROPERTIES_NOT_PROVIDED = 167772164,
  /**
   * A ready-made transformer has no model.
   */
  OTC_MEDIA_TRANSFORMER_MODEL_NOT_FOUND = 167772165,
  /**
   * There is no ready-made transformer of that name here.
   */
  OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED = 167772166,
  /**
   * Not used.
   */
  OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_SYMBOL_NOT_FOUND = 167772167,
} otc_media_transformer_error_code;

/**
 * A transformer of sound. Opaque: a handle, never an address.
 */
typedef struct otc_audio_transformer otc_audio_transformer;

/**
 * A transformer of pictures. Opaque: a handle, never an address.
 */
typedef struct otc_video_transformer otc_video_transformer;

/**
 * Changes sound in place: what `sample_buffer` points to may be written.
 *
 * @param user_data  What was given with the function.
 * @param frame      10 ms of sound: signed 16 bit, 48000 samples per second, the channels in turn.
 */
typedef void (*audio_transform_callback)(void *user_data, otc_audio_data *frame);

/**
 * Makes a transformer of pictures.
 *
 * @param type        Whose it is.
 * @param name        Of a ready-made one: its name. Not read for a custom one.
 * @param properties  Of a ready-made one: JSON. Not read for a custom one.
 * @param callback    Of a custom one: the function. It may write the planes of the frame, which is
 *                    `OTC_VIDEO_FRAME_FORMAT_YUV420P` with strides equal to the widths; lent until the function returns.
 * @param user_data   Handed back to the function, never read.
 *
 * @return The transformer, to be ended with `otc_video_transformer_delete`. NULL when there is no such type, a custom one
 *         has no function, or a ready-made one has no name. A ready-made one that there is not here can be made, and
 *         cannot be put to work.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_video_transformer *otc_video_transformer_create(enum otc_media_transformer_type type,
                                                           const char *name,
                                                           const char *properties,
                                                           video_transform_callback callback,
                                                           void *user_data);

/**
 * Makes a transformer of sound.
 *
 * @param type        Whose it is.
 * @param name        Of a ready-made one: "NoiseSuppression". Not read for a custom one.
 * @param properties  Not read: "NoiseSuppression" has none.
 * @param callback    Of a custom one: the function.
 * @param user_data   Handed back to the function, never read.
 *
 * @return The transformer, to be ended with `otc_audio_transformer_delete`. NULL as for `otc_video_transformer_create`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
struct otc_audio_transformer *otc_audio_transformer_create(enum otc_media_transformer_type type,
                                                           const char *name,
                                                           const char *properties,
                                                           audio_transform_callback callback,
                                                           void *user_data);

/**
 * Ends a transformer. Where it is at work it goes on until it is taken away; only the handle ends.
 *
 * @param video_transformer  A transformer.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when it is NULL or no live transformer.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_video_transformer_delete(struct otc_video_transformer *video_transformer);

/**
 * Ends a transformer. Where it is at work it goes on until it is taken away; only the handle ends.
 *
 * @param audio_transformer  A transformer.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when it is NULL or no live transformer.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_audio_transformer_delete(struct otc_audio_transformer *audio_transformer);

/**
 * Puts transformers of pictures to work, in place of those that were. When it has returned those are not called any more;
 * one that runs is waited for, at most two seconds, and not at all inside a callback.
 *
 * @param publisher     A publisher, published or not.
 * @param transformers  The transformers, in the order in which they are to work; copied. NULL with a size of 0: none.
 * @param size          How many there are, at most 64.
 *
 * @return `OTC_SUCCESS`.
 *         `OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED`: one of them is a ready-made one that there is not
 *         here; nothing changes.
 *         `OTC_INVALID_PARAM`: `publisher` or an element is NULL or no live handle, or the array is NULL and the size is not
 *         0, or it is too large; nothing changes.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_video_transformers(otc_publisher *publisher,
                                                struct otc_video_transformer **transformers,
                                                size_t size);

/**
 * Puts transformers of sound to work, in place of those that were; as `otc_publisher_set_video_transformers`.
 *
 * @param publisher     A publisher, published or not.
 * @param transformers  The transformers, in the order in which they are to work; copied. NULL with a size of 0: none.
 * @param size          How many there are, at most 64.
 *
 * @return As for `otc_publisher_set_video_transformers`.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_publisher_set_audio_transformers(otc_publisher *publisher,
                                                struct otc_audio_transformer **transformers,
                                                size_t size);

/* ==== Additions of this library ====
 *
 * Not in the original. A program that uses them runs with this library only.
 */

/**
 * How many handles are live: sessions, publishers, subscribers, settings, connections, streams, frames, lists of devices, lists of codecs and transformers,
 * those that the library keeps for itself
 * included. For checks that a program deletes what it makes; 0 when nothing is left. May be called on any thread.
 *
 * @return The number.
 */
LIBOPENTOK_LIBRARY_EXPORTED
size_t otc_ext_live_objects(void);

/**
 * Sets the order in which a publisher prefers video codecs. The first one is used that this machine can encode and the
 * server takes; VP8 follows whatever is not among them, since it goes everywhere. What the machine can encode is told by
 * `otc_media_utils_get_supported_codecs`; what it cannot is passed over. A LiveKit server gives every subscriber the codec
 * that is sent. VP9 is sent in one size, whoever wants a smaller one.
 *
 * @param settings  Settings; publishers that were made with them before keep what they have.
 * @param codecs    The codecs, the best first; copied. NULL for none.
 * @param count     How many; 0 for none: VP8, the default.
 *
 * @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `settings` is NULL or no live settings, `codecs` is NULL and `count` is
 *         not 0, there are more than 16, or one of them is no codec. Nothing changes then.
 */
LIBOPENTOK_LIBRARY_EXPORTED
otc_status otc_ext_publisher_settings_set_preferred_video_codecs(otc_publisher_settings *settings,
                                                                 const enum otc_video_codec_type *codecs,
                                                                 size_t count);

OTC_END_DECL

#endif /* OPENTOK_H */
