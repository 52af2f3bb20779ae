// A wrapper with one table per kind of object, guarded by a lock that is only tried: a callback that comes while another of
// its kind runs is lost. Two sessions of one process in one room, each with a publisher, a subscriber, a camera and sound, and nothing is lost.
//
//   two_sessions API_KEY SESSION_ID TOKEN
#include <opentok.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace {

// One per kind. What takes a little while inside makes a collision likely.
struct Kind {
  explicit Kind(const char *name) : name(name) {}
  const char *name;
  std::mutex mutex;
  std::atomic<int> lost{0}, came{0};
};
Kind sessions("session"), publishers("publisher"), subscribers("subscriber"), cameras("capturer"), devices("audio device");

class Guard {
 public:
  explicit Guard(Kind &kind) : lock_(kind.mutex, std::try_to_lock) {
    kind.came++;
    if (!lock_.owns_lock()) kind.lost++;
    else std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  bool is_lost() const { return !lock_.owns_lock(); }

 private:
  std::unique_lock<std::mutex> lock_;
};

std::mutex mutex;
std::condition_variable changed;
std::map<const otc_session *, int> connected;
std::map<const otc_publisher *, int> created, previewed;
std::map<const otc_subscriber *, int> rendered, heard;
std::vector<otc_subscriber *> all_subscribers;
otc_subscriber_callbacks subscribing = {};

template <class Key>
void count(std::map<Key, int> &table, Key key) {
  std::lock_guard<std::mutex> lock(mutex);
  table[key]++;
  changed.notify_all();
}

struct Camera {
  const otc_video_capturer *capturer = nullptr;
  std::thread thread;
  std::atomic<bool> exits{false};
};

void film(Camera *self) {
  std::vector<uint8_t> pixels(160 * 120 * 3 / 2, 99);
  while (!self->exits) {
    otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 160, 120, pixels.data());
    otc_video_capturer_provide_frame(self->capturer, 0, frame);
    otc_video_frame_delete(frame);
    std::this_thread::sleep_for(std::chrono::milliseconds(15));
  }
}

std::thread microphone;
std::atomic<bool> microphone_exits{false};

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  otc_init(nullptr);

  otc_audio_device_callbacks device = {};
  device.start_capturer = [](const otc_audio_device *, void *) -> otc_bool {
    Guard guard(devices);
    if (guard.is_lost()) return OTC_FALSE;
    microphone = std::thread([] {
      std::vector<int16_t> samples(480);
      while (!microphone_exits) {
        otc_audio_device_write_capture_data(samples.data(), samples.size());
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    });
    return OTC_TRUE;
  };
  device.destroy_capturer = [](const otc_audio_device *, void *) -> otc_bool {
    Guard guard(devices);
    microphone_exits = true;
    microphone.join();
    return OTC_TRUE;
  };
  device.get_capture_settings = [](const otc_audio_device *, void *, otc_audio_device_settings *settings) -> otc_bool {
    Guard guard(devices);
    settings->sampling_rate = 48000;
    settings->number_of_channels = 1;
    return OTC_TRUE;
  };
  otc_set_audio_device(&device);

  subscribing.on_render_frame = [](otc_subscriber *self, void *, const otc_video_frame *) {
    Guard guard(subscribers);
    if (!guard.is_lost()) count<const otc_subscriber *>(rendered, self);
  };
  subscribing.on_audio_data = [](otc_subscriber *self, void *, const otc_audio_data *) {
    Guard guard(subscribers);
    if (!guard.is_lost()) count<const otc_subscriber *>(heard, self);
  };
  subscribing.on_connected = [](otc_subscriber *, void *, const otc_stream *) { Guard guard(subscribers); };
  subscribing.on_video_data_received = [](otc_subscriber *, void *) { Guard guard(subscribers); };
  subscribing.on_audio_level_updated = [](otc_subscriber *, void *, float) { Guard guard(subscribers); };

  otc_session_callbacks callbacks = {};
  callbacks.on_connected = [](otc_session *self, void *user_data) {
    Guard guard(sessions);
    if (!guard.is_lost()) otc_session_publish(self, *static_cast<otc_publisher **>(user_data));
    count<const otc_session *>(connected, self);
  };
  callbacks.on_connection_created = [](otc_session *, void *, const otc_connection *) { Guard guard(sessions); };
  callbacks.on_stream_received = [](otc_session *self, void *, const otc_stream *stream) {
    Guard guard(sessions);
    otc_subscriber *subscriber = otc_subscriber_new(stream, &subscribing);
    otc_session_subscribe(self, subscriber);
    std::lock_guard<std::mutex> lock(mutex);
    all_subscribers.push_back(subscriber);
  };
  callbacks.on_stream_dropped = [](otc_session *, void *, const otc_stream *) { Guard guard(sessions); };
  callbacks.on_disconnected = [](otc_session *, void *) { Guard guard(sessions); };

  otc_publisher_callbacks publishing = {};
  publishing.on_stream_created = [](otc_publisher *self, void *, const otc_stream *) {
    Guard guard(publishers);
    if (!guard.is_lost()) count<const otc_publisher *>(created, self);
  };
  publishing.on_stream_destroyed = [](otc_publisher *, void *, const otc_stream *) { Guard guard(publishers); };
  publishing.on_render_frame = [](otc_publisher *self, void *, const otc_video_frame *) {
    Guard guard(publishers);
    if (!guard.is_lost()) count<const otc_publisher *>(previewed, self);
  };
  publishing.on_audio_level_updated = [](otc_publisher *, void *, float) { Guard guard(publishers); };

  Camera camera[2];
  otc_session *session[2];
  otc_publisher *publisher[2];
  for (int i = 0; i < 2; i++) {
    otc_video_capturer_callbacks capturing = {};
    capturing.user_data = &camera[i];
    capturing.init = [](const otc_video_capturer *capturer, void *user_data) -> otc_bool {
      Guard guard(cameras);
      static_cast<Camera *>(user_data)->capturer = capturer;
      return !guard.is_lost();
    };
    capturing.start = [](const otc_video_capturer *, void *user_data) -> otc_bool {
      Guard guard(cameras);
      static_cast<Camera *>(user_data)->thread = std::thread(film, static_cast<Camera *>(user_data));
      return OTC_TRUE;
    };
    capturing.destroy = [](const otc_video_capturer *, void *user_data) -> otc_bool {
      Guard guard(cameras);
      static_cast<Camera *>(user_data)->exits = true;
      static_cast<Camera *>(user_data)->thread.join();
      return OTC_TRUE;
    };
    publisher[i] = otc_publisher_new(i ? "second" : "first", &capturing, &publishing);
  }
  // Both are in one room, and each sees the other.
  for (int i = 0; i < 2; i++) {
    callbacks.user_data = &publisher[i];
    session[i] = otc_session_new(argv[1], argv[2], &callbacks);
  }
  for (otc_session *one : session) otc_session_connect(one, argv[3]);
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [] {
      int seen = 0, sounding = 0, shown = 0;
      for (const auto &entry : rendered) seen += entry.second > 20;
      for (const auto &entry : heard) sounding += entry.second > 50;
      for (const auto &entry : previewed) shown += entry.second > 20;
      return connected.size() == 2 && created.size() == 2 && seen == 2 && sounding == 2 && shown == 2;
    });
  }
  for (otc_session *one : session) otc_session_disconnect(one);
  for (otc_subscriber *one : all_subscribers) otc_subscriber_delete(one);
  for (otc_publisher *one : publisher) otc_publisher_delete(one);
  for (otc_session *one : session) otc_session_delete(one);
  std::printf("main: destroy gives %d\n", otc_destroy());
  for (Kind *kind : {&sessions, &publishers, &subscribers, &cameras, &devices})
    std::printf("main: callbacks of the kind '%s' came: %d, lost: %d\n", kind->name, kind->came > 0, kind->lost.load());
  return 0;
}
