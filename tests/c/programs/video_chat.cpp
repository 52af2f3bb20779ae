// A video chat: one window per participant, drawn by the main thread as toolkits want it. Callbacks only put events into the
// main thread's queue; subscribers are in a map by stream id, made and deleted on the main thread, under the program's lock.
//
// It has two guests, watches both until each has been drawn, mutes and hides one for a while, and sends them home.
//
//   video_chat API_KEY SESSION_ID TOKEN
#include <opentok.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

// What SDL, Qt and GTK have: a queue of things to do on the main thread.
class MainLoop {
 public:
  void post(std::function<void()> event) {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }
  void quit() {
    post([this] { is_over_ = true; });
  }
  void run() {
    while (!is_over_) {
      std::function<void()> event;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !events_.empty(); });
        event = std::move(events_.front());
        events_.pop_front();
      }
      event();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> events_;
  bool is_over_ = false;
};

// A texture of 32 bits for each pixel, filled in the callback, shown by the main thread.
class Window {
 public:
  explicit Window(std::string title) : title_(std::move(title)) {}
  void on_frame(const otc_video_frame *frame) {
    otc_video_frame *argb = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, frame);
    if (argb == nullptr) return;
    int width = otc_video_frame_get_width(argb), height = otc_video_frame_get_height(argb);
    const uint8_t *data = otc_video_frame_get_plane_binary_data(argb, OTC_VIDEO_FRAME_PLANE_PACKED);
    std::lock_guard<std::mutex> lock(mutex_);
    pixels_.assign(data, data + static_cast<size_t>(width) * height * 4);
    otc_video_frame_delete(argb);
    count_++;
  }
  int draw() {
    std::lock_guard<std::mutex> lock(mutex_);
    return pixels_.empty() ? 0 : count_;
  }
  const std::string &title() const { return title_; }

 private:
  std::mutex mutex_;
  std::string title_;
  std::vector<uint8_t> pixels_;
  int count_ = 0;
};

class Chat;

struct Participant {
  Chat *chat = nullptr;
  otc_subscriber *subscriber = nullptr;
  std::unique_ptr<Window> window;
};

class Chat {
 public:
  Chat(const char *key, const char *id, MainLoop *loop) : loop_(loop), preview_("preview") {
    otc_session_callbacks session = {};
    session.user_data = this;
    session.on_connected = [](otc_session *, void *self) { of(self)->later(&Chat::publish); };
    session.on_disconnected = [](otc_session *, void *self) {
      std::puts("session: disconnected");
      of(self)->loop_->quit();
    };
    session.on_stream_received = [](otc_session *, void *self, const otc_stream *stream) {
      otc_stream *copy = otc_stream_copy(stream);
      of(self)->loop_->post([self, copy] { of(self)->add(copy); });
    };
    session.on_stream_dropped = [](otc_session *, void *self, const otc_stream *stream) {
      std::string stream_id = otc_stream_get_id(stream);
      of(self)->loop_->post([self, stream_id] { of(self)->remove(stream_id); });
    };
    session.on_error = [](otc_session *, void *self, const char *text, otc_session_error_code code) {
      std::printf("session: error %d %s\n", code, text);
      of(self)->loop_->quit();
    };
    session_ = otc_session_new(key, id, &session);

    otc_video_capturer_callbacks capturer = {};
    capturer.user_data = this;
    capturer.init = [](const otc_video_capturer *capturer, void *self) -> otc_bool {
      of(self)->capturer_ = capturer;
      return OTC_TRUE;
    };
    capturer.start = [](const otc_video_capturer *, void *self) -> otc_bool {
      of(self)->camera_ = std::thread(&Chat::film, of(self));
      return OTC_TRUE;
    };
    capturer.destroy = [](const otc_video_capturer *, void *self) -> otc_bool {
      of(self)->camera_exits_ = true;
      of(self)->camera_.join();
      return OTC_TRUE;
    };
    otc_publisher_callbacks publisher = {};
    publisher.user_data = this;
    publisher.on_render_frame = [](otc_publisher *, void *self, const otc_video_frame *frame) { of(self)->preview_.on_frame(frame); };
    publisher.on_stream_created = [](otc_publisher *, void *, const otc_stream *) { std::puts("publisher: created"); };
    publisher.on_error = [](otc_publisher *, void *, const char *text, otc_publisher_error_code code) {
      std::printf("publisher: error %d %s\n", code, text);
    };
    publisher_ = otc_publisher_new("chat", &capturer, &publisher);
    otc_publisher_set_publish_audio(publisher_, OTC_FALSE);
  }

  ~Chat() {
    for (auto &entry : participants_) {
      otc_session_unsubscribe(session_, entry.second->subscriber);
      otc_subscriber_delete(entry.second->subscriber);
    }
    otc_session_unpublish(session_, publisher_);
    otc_publisher_delete(publisher_);
    otc_session_disconnect(session_);
    otc_session_delete(session_);
  }

  void connect(const char *token) { otc_session_connect(session_, token); }

  // A timer of the main loop.
  void tick() {
    std::lock_guard<std::mutex> lock(mutex_); // and the callbacks want it too
    if (stage_ == 0 && participants_.size() == 2 && preview_.draw() > 0 && all_drawn(3)) {
      std::puts("main: all windows show something");
      for (auto &entry : participants_) {
        otc_subscriber_set_subscribe_to_audio(entry.second->subscriber, OTC_FALSE);
        otc_subscriber_set_subscribe_to_video(entry.second->subscriber, OTC_FALSE);
      }
      stage_ = 1;
    } else if (stage_ == 1 && hidden_ == 2) {
      std::puts("main: both hidden");
      for (auto &entry : participants_) {
        otc_subscriber_set_preferred_resolution(entry.second->subscriber, 160, 120);
        otc_subscriber_set_subscribe_to_video(entry.second->subscriber, OTC_TRUE);
        shown_[entry.first] = entry.second->window->draw();
      }
      stage_ = 2;
    } else if (stage_ == 2 && all_drawn(3)) {
      std::puts("main: both show something again");
      otc_session_send_signal(session_, "ask", "leave");
      stage_ = 3;
    } else if (stage_ == 3 && participants_.empty()) {
      otc_session_disconnect(session_);
      stage_ = 4;
    }
  }

 private:
  static Chat *of(void *user_data) { return static_cast<Chat *>(user_data); }
  void later(void (Chat::*what)()) {
    loop_->post([this, what] { (this->*what)(); });
  }
  void publish() {
    if (otc_session_publish(session_, publisher_) != OTC_SUCCESS) std::puts("main: could not publish");
  }
  bool all_drawn(int more) {
    for (auto &entry : participants_)
      if (entry.second->window->draw() < shown_[entry.first] + more) return false;
    return true;
  }

  void add(otc_stream *stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::string id = otc_stream_get_id(stream);
    std::unique_ptr<Participant> participant(new Participant);
    participant->chat = this;
    participant->window.reset(new Window(otc_stream_get_name(stream)));
    std::printf("main: window '%s' opened\n", participant->window->title().c_str());
    otc_subscriber_callbacks callbacks = {};
    callbacks.user_data = participant.get();
    callbacks.on_render_frame = [](otc_subscriber *, void *user_data, const otc_video_frame *frame) {
      Participant *self = static_cast<Participant *>(user_data);
      std::lock_guard<std::mutex> lock(self->chat->mutex_);
      self->window->on_frame(frame);
    };
    callbacks.on_video_disabled = [](otc_subscriber *, void *user_data, otc_video_reason reason) {
      Participant *self = static_cast<Participant *>(user_data);
      std::printf("subscriber: video disabled, reason %d\n", reason);
      std::lock_guard<std::mutex> lock(self->chat->mutex_);
      self->chat->hidden_++;
    };
    callbacks.on_error = [](otc_subscriber *, void *, const char *text, otc_subscriber_error_code code) {
      std::printf("subscriber: error %d %s\n", code, text);
    };
    participant->subscriber = otc_subscriber_new(stream, &callbacks);
    otc_stream_delete(stream);
    otc_session_subscribe(session_, participant->subscriber);
    participants_[id] = std::move(participant);
  }

  void remove(const std::string &id) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = participants_.find(id);
    if (found == participants_.end()) return;
    std::printf("main: window '%s' closed\n", found->second->window->title().c_str());
    otc_subscriber_delete(found->second->subscriber);
    participants_.erase(found);
  }

  void film() {
    std::vector<uint8_t> pixels(320 * 240 * 3 / 2, 128);
    for (uint8_t count = 0; !camera_exits_; count++) {
      std::fill(pixels.begin(), pixels.begin() + 320 * 240, count);
      otc_video_frame *frame = otc_video_frame_new_I420_wrapper(320, 240, pixels.data(), 320, pixels.data() + 320 * 240, 160,
                                                                pixels.data() + 320 * 240 * 5 / 4, 160);
      otc_video_capturer_provide_frame(capturer_, 0, frame);
      otc_video_frame_delete(frame);
      std::this_thread::sleep_for(std::chrono::milliseconds(40));
    }
  }

  MainLoop *loop_;
  otc_session *session_ = nullptr;
  otc_publisher *publisher_ = nullptr;
  const otc_video_capturer *capturer_ = nullptr;
  std::thread camera_;
  std::atomic<bool> camera_exits_{false};
  Window preview_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Participant>> participants_;
  std::map<std::string, int> shown_;
  int hidden_ = 0, stage_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (otc_init(nullptr) != OTC_SUCCESS) return 1;
  MainLoop loop;
  {
    Chat chat(argv[1], argv[2], &loop);
    chat.connect(argv[3]);
    std::atomic<bool> ends{false};
    std::thread timer([&] {
      while (!ends) {
        loop.post([&] { chat.tick(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    loop.run();
    ends = true;
    timer.join();
  }
  std::printf("main: destroy gives %d\n", otc_destroy());
  return 0;
}
