// Pictures and streams are copied in callbacks and used on another thread, later, after everything they came from is gone:
// the subscriber, the session, and at last the library.
//
//   frames_across_threads API_KEY SESSION_ID TOKEN
#include <opentok.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

struct FrameDeleter {
  void operator()(otc_video_frame *frame) const { otc_video_frame_delete(frame); }
};
struct StreamDeleter {
  void operator()(otc_stream *stream) const { otc_stream_delete(stream); }
};
using Frame = std::unique_ptr<otc_video_frame, FrameDeleter>;
using Stream = std::unique_ptr<otc_stream, StreamDeleter>;

class Queue {
 public:
  void push(Frame frame) {
    std::lock_guard<std::mutex> lock(mutex_);
    frames_.push_back(std::move(frame));
    changed_.notify_all();
  }
  Frame pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !frames_.empty(); });
    Frame frame = std::move(frames_.front());
    frames_.pop_front();
    return frame;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Frame> frames_;
};

struct App {
  otc_session *session = nullptr;
  otc_publisher *publisher = nullptr;
  otc_subscriber *subscriber = nullptr;
  const otc_video_capturer *capturer = nullptr;
  std::thread camera;
  std::atomic<bool> camera_exits{false};
  Queue queue;
  std::mutex mutex;
  std::condition_variable changed;
  Stream stream;
  bool published = false;
};

App *app(void *user_data) { return static_cast<App *>(user_data); }

otc_bool camera_init(const otc_video_capturer *capturer, void *user_data) {
  app(user_data)->capturer = capturer;
  return OTC_TRUE;
}

otc_bool camera_start(const otc_video_capturer *, void *user_data) {
  App *self = app(user_data);
  self->camera = std::thread([self] {
    std::vector<uint8_t> pixels(320 * 240 * 3 / 2, 128);
    for (uint8_t luma = 100; !self->camera_exits; luma = luma == 200 ? 100 : luma + 1) {
      std::fill(pixels.begin(), pixels.begin() + 320 * 240, luma);
      Frame frame(otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 320, 240, pixels.data()));
      const uint8_t label[] = {'l', luma};
      otc_video_frame_set_metadata(frame.get(), label, sizeof label);
      otc_video_capturer_provide_frame(self->capturer, 0, frame.get());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  return OTC_TRUE;
}

otc_bool camera_destroy(const otc_video_capturer *, void *user_data) {
  app(user_data)->camera_exits = true;
  app(user_data)->camera.join();
  return OTC_TRUE;
}

// Whether it is one plain grey, or nearly so after a codec.
bool is_grey(const otc_video_frame *frame) {
  const uint8_t *plane = otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_Y);
  int stride = otc_video_frame_get_plane_stride(frame, OTC_VIDEO_FRAME_PLANE_Y);
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  int least = 255, most = 0;
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int value = plane[y * stride + x];
      least = value < least ? value : least;
      most = value > most ? value : most;
    }
  }
  return most - least < 16 && least > 80 && most < 220;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  App self;
  otc_init(nullptr);

  otc_session_callbacks session_callbacks = {};
  session_callbacks.user_data = &self;
  session_callbacks.on_connected = [](otc_session *session, void *user_data) { otc_session_publish(session, app(user_data)->publisher); };
  session_callbacks.on_error = [](otc_session *, void *, const char *error, otc_session_error_code code) {
    std::printf("session: error %d %s\n", code, error);
  };
  self.session = otc_session_new(argv[1], argv[2], &session_callbacks);

  otc_video_capturer_callbacks camera = {};
  camera.init = camera_init;
  camera.start = camera_start;
  camera.destroy = camera_destroy;
  camera.user_data = &self;
  otc_publisher_callbacks publisher_callbacks = {};
  publisher_callbacks.user_data = &self;
  publisher_callbacks.on_stream_created = [](otc_publisher *, void *user_data, const otc_stream *stream) {
    std::lock_guard<std::mutex> lock(app(user_data)->mutex);
    app(user_data)->stream.reset(otc_stream_copy(stream));
    app(user_data)->changed.notify_all();
  };
  self.publisher = otc_publisher_new("frames", &camera, &publisher_callbacks);
  otc_session_connect(self.session, argv[3]);
  {
    std::unique_lock<std::mutex> lock(self.mutex);
    self.changed.wait(lock, [&] { return self.stream != nullptr; });
  }

  // On the main thread, with a copy that goes right afterwards.
  otc_subscriber_callbacks subscriber_callbacks = {};
  subscriber_callbacks.user_data = &self;
  subscriber_callbacks.on_render_frame = [](otc_subscriber *, void *user_data, const otc_video_frame *frame) {
    app(user_data)->queue.push(Frame(otc_video_frame_copy(frame)));
  };
  {
    Stream copy(otc_stream_copy(self.stream.get()));
    self.subscriber = otc_subscriber_new(copy.get(), &subscriber_callbacks);
  }
  otc_session_subscribe(self.session, self.subscriber);

  std::vector<Frame> kept;
  std::thread renderer([&] {
    int grey = 0, tight = 0, converted = 0;
    for (int i = 0; i < 10; i++) {
      Frame frame = self.queue.pop();
      grey += is_grey(frame.get());
      tight += otc_video_frame_get_buffer_size(frame.get()) ==
               static_cast<size_t>(otc_video_frame_get_width(frame.get())) * otc_video_frame_get_height(frame.get()) * 3 / 2;
      Frame argb(otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, frame.get()));
      converted += otc_video_frame_get_plane_stride(argb.get(), OTC_VIDEO_FRAME_PLANE_PACKED) == otc_video_frame_get_width(frame.get()) * 4 &&
                   otc_video_frame_get_plane_binary_data(argb.get(), OTC_VIDEO_FRAME_PLANE_PACKED) != nullptr;
      kept.push_back(std::move(frame));
    }
    std::printf("renderer: of ten pictures grey: %d, tight: %d, converted: %d\n", grey, tight, converted);
  });
  renderer.join();

  otc_subscriber_delete(self.subscriber);
  otc_publisher_delete(self.publisher);
  otc_session_disconnect(self.session);
  otc_session_delete(self.session);
  std::printf("main: destroy gives %d\n", otc_destroy());

  // The library has ended. What the program owns has not.
  int grey = 0, labelled = 0;
  for (const Frame &frame : kept) {
    Frame copy(otc_video_frame_mutable_copy(frame.get()));
    grey += is_grey(copy.get());
    size_t size = 0;
    const uint8_t *label = otc_video_frame_get_metadata(copy.get(), &size);
    labelled += size == 2 && label[0] == 'l';
  }
  std::printf("main: afterwards grey: %d, labelled: %d, stream '%s', of session '%s'\n", grey, labelled,
              otc_stream_get_name(self.stream.get()),
              otc_connection_get_session_id(otc_stream_get_connection(self.stream.get())) ==
                      std::string(argv[2]) ? "the same" : "another");
  return 0;
}
