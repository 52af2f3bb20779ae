/* Video frames: made, wrapped, copied, converted, and made wrongly. None of it needs a session. */
#include "otc_test.h"

#include <limits.h>
#include <stdint.h>

enum { WIDTH = 6, HEIGHT = 4, LUMA = WIDTH * HEIGHT, CHROMA = LUMA / 4, I420 = LUMA + 2 * CHROMA };

/* Formats with pixels, and how many bytes a picture of 6 x 4 has in them. */
static const struct {
  enum otc_video_frame_format format;
  size_t size;
  size_t planes;
  otc_bool is_packed;
} FORMATS[] = {
    {OTC_VIDEO_FRAME_FORMAT_YUV420P, I420, 3, OTC_FALSE},  {OTC_VIDEO_FRAME_FORMAT_NV12, I420, 2, OTC_FALSE},
    {OTC_VIDEO_FRAME_FORMAT_NV21, I420, 2, OTC_FALSE},     {OTC_VIDEO_FRAME_FORMAT_YUY2, 2 * LUMA, 1, OTC_TRUE},
    {OTC_VIDEO_FRAME_FORMAT_UYVY, 2 * LUMA, 1, OTC_TRUE},  {OTC_VIDEO_FRAME_FORMAT_ARGB32, 4 * LUMA, 1, OTC_TRUE},
    {OTC_VIDEO_FRAME_FORMAT_BGRA32, 4 * LUMA, 1, OTC_TRUE}, {OTC_VIDEO_FRAME_FORMAT_RGB24, 3 * LUMA, 1, OTC_TRUE},
    {OTC_VIDEO_FRAME_FORMAT_ABGR32, 4 * LUMA, 1, OTC_TRUE}, {OTC_VIDEO_FRAME_FORMAT_RGBA32, 4 * LUMA, 1, OTC_TRUE},
};
enum { FORMAT_COUNT = sizeof FORMATS / sizeof *FORMATS };

static uint8_t bytes[1024];

static void fill_bytes(void) {
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
}

static int is_near(int one, int other) { return abs(one - other) <= 3; }

static void a_new_frame_has_a_copy_of_the_buffer(void) {
  fill_bytes();
  for (size_t i = 0; i < FORMAT_COUNT; i++) {
    otc_video_frame *frame = otc_video_frame_new(FORMATS[i].format, WIDTH, HEIGHT, bytes);
    CHECK(frame);
    CHECK_EQUAL(otc_video_frame_get_format(frame), FORMATS[i].format);
    CHECK_EQUAL(otc_video_frame_get_width(frame), WIDTH);
    CHECK_EQUAL(otc_video_frame_get_height(frame), HEIGHT);
    CHECK_EQUAL(otc_video_frame_get_buffer_size(frame), FORMATS[i].size);
    CHECK(otc_video_frame_get_buffer(frame) != bytes);
    CHECK(!memcmp(otc_video_frame_get_buffer(frame), bytes, FORMATS[i].size));
    CHECK_EQUAL(otc_video_frame_get_number_of_planes(frame), FORMATS[i].planes);
    CHECK_EQUAL(otc_video_frame_is_packed(frame), FORMATS[i].is_packed);
    CHECK_EQUAL(otc_video_frame_is_contiguous(frame), OTC_TRUE);
    CHECK(!otc_video_frame_get_native_handle(frame));
    CHECK_EQUAL(otc_video_frame_get_timestamp(frame), 0);
    size_t sum = 0;
    for (size_t plane = 0; plane < FORMATS[i].planes; plane++) {
      enum otc_video_frame_plane number = (enum otc_video_frame_plane)plane;
      CHECK(otc_video_frame_get_plane_binary_data(frame, number) == otc_video_frame_get_buffer(frame) + sum);
      size_t size = otc_video_frame_get_plane_size(frame, number);
      CHECK_EQUAL(size, otc_video_frame_get_plane_stride(frame, number) * otc_video_frame_get_plane_height(frame, number));
      sum += size;
    }
    CHECK_EQUAL(sum, FORMATS[i].size);
    CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  }
}

static void without_a_buffer_a_new_frame_is_black(void) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  const uint8_t *buffer = otc_video_frame_get_buffer(frame);
  for (int i = 0; i < I420; i++) CHECK_EQUAL(buffer[i], i < LUMA ? 16 : 128);
  otc_video_frame_delete(frame);
  frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_ARGB32, 1, 1, NULL);
  CHECK(!memcmp(otc_video_frame_get_buffer(frame), "\0\0\0\377", 4));
  otc_video_frame_delete(frame);
}

static void planes_have_their_numbers_and_the_old_ones(void) {
  otc_video_frame *i420 = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, 5, 3, NULL);
  CHECK_EQUAL(otc_video_frame_get_plane_width(i420, OTC_VIDEO_FRAME_PLANE_Y), 5);
  CHECK_EQUAL(otc_video_frame_get_plane_width(i420, OTC_VIDEO_FRAME_PLANE_U), 3);
  CHECK_EQUAL(otc_video_frame_get_plane_height(i420, OTC_VIDEO_FRAME_PLANE_V), 2);
  CHECK_EQUAL(otc_video_frame_get_plane_stride(i420, OTC_VIDEO_FRAME_PLANE_V), 3);
  CHECK_EQUAL(otc_video_frame_get_buffer_size(i420), 15 + 6 + 6);
  otc_video_frame *nv12 = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_NV12, 5, 3, NULL);
  const uint8_t *uv = otc_video_frame_get_plane_binary_data(nv12, OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED);
  CHECK(uv == otc_video_frame_get_buffer(nv12) + 15);
  CHECK_EQUAL(otc_video_frame_get_plane_stride(nv12, OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED), 6);
  CHECK_EQUAL(otc_video_frame_get_plane_width(nv12, OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED), 3);
  CHECK(otc_video_frame_get_plane_binary_data(nv12, (enum otc_video_frame_plane)4) == uv);
  CHECK(otc_video_frame_get_plane_binary_data(nv12, (enum otc_video_frame_plane)5) == uv);
  otc_video_frame *argb = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_ARGB32, 5, 3, NULL);
  const uint8_t *packed = otc_video_frame_get_plane_binary_data(argb, OTC_VIDEO_FRAME_PLANE_PACKED);
  CHECK(packed && packed == otc_video_frame_get_buffer(argb));
  CHECK(otc_video_frame_get_plane_binary_data(argb, (enum otc_video_frame_plane)3) == packed);
  static const int NONE[] = {-1, 6, 99, INT_MAX, INT_MIN};
  for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
    enum otc_video_frame_plane plane = (enum otc_video_frame_plane)NONE[i];
    CHECK(!otc_video_frame_get_plane_binary_data(i420, plane));
    CHECK_EQUAL(otc_video_frame_get_plane_size(i420, plane), 0);
    CHECK_EQUAL(otc_video_frame_get_plane_stride(i420, plane), 0);
    CHECK_EQUAL(otc_video_frame_get_plane_width(i420, plane), 0);
    CHECK_EQUAL(otc_video_frame_get_plane_height(i420, plane), 0);
  }
  CHECK(!otc_video_frame_get_plane_binary_data(nv12, OTC_VIDEO_FRAME_PLANE_V));
  CHECK(!otc_video_frame_get_plane_binary_data(argb, OTC_VIDEO_FRAME_PLANE_U));
  CHECK(!otc_video_frame_get_plane_binary_data(i420, (enum otc_video_frame_plane)4));
  otc_video_frame_delete(i420), otc_video_frame_delete(nv12), otc_video_frame_delete(argb);
}

static void strides_are_taken_and_left_out_of_the_copy(void) {
  enum { STRIDE = 16 };
  uint8_t y[HEIGHT * STRIDE], u[2 * STRIDE], v[2 * STRIDE];
  memset(y, 1, sizeof y), memset(u, 2, sizeof u), memset(v, 3, sizeof v);
  for (int row = 0; row < HEIGHT; row++) memset(y + row * STRIDE + WIDTH, 0xee, STRIDE - WIDTH);
  otc_video_frame *frame = otc_video_frame_new_I420(WIDTH, HEIGHT, y, STRIDE, u, STRIDE, v, STRIDE);
  uint8_t wanted[I420];
  memset(wanted, 1, LUMA), memset(wanted + LUMA, 2, CHROMA), memset(wanted + LUMA + CHROMA, 3, CHROMA);
  CHECK_EQUAL(otc_video_frame_get_buffer_size(frame), I420);
  CHECK(!memcmp(otc_video_frame_get_buffer(frame), wanted, I420));
  CHECK_EQUAL(otc_video_frame_get_plane_stride(frame, OTC_VIDEO_FRAME_PLANE_Y), WIDTH);
  otc_video_frame_delete(frame);

  const uint8_t *planes[] = {y, u, v};
  int strides[] = {STRIDE, STRIDE, STRIDE};
  frame = otc_video_frame_new_from_planes(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, planes, strides);
  CHECK(!memcmp(otc_video_frame_get_buffer(frame), wanted, I420));
  otc_video_frame_delete(frame);

  /* As NV12 the chroma is 2, 2, 2, ...: U and V alike. */
  frame = otc_video_frame_new_I420_from_planes_with_format(OTC_VIDEO_FRAME_FORMAT_NV12, WIDTH, HEIGHT, planes, strides);
  CHECK_EQUAL(otc_video_frame_get_format(frame), OTC_VIDEO_FRAME_FORMAT_YUV420P);
  memset(wanted + LUMA + CHROMA, 2, CHROMA);
  CHECK(!memcmp(otc_video_frame_get_buffer(frame), wanted, I420));
  otc_video_frame_delete(frame);
}

/* ---- Wrappers ---- */

typedef struct lender {
  uint8_t planes[3][LUMA];
  int released;
  int asked;
} lender;

static void count_release(const uint8_t *buffer, void *arg) {
  lender *self = (lender *)arg;
  CHECK(buffer == self->planes[0]);
  self->released++;
}
static const uint8_t *lend_plane(void *user_data, enum otc_video_frame_plane plane) {
  lender *self = (lender *)user_data;
  self->asked++;
  CHECK((int)plane >= 0 && (int)plane < 3);
  return self->planes[plane];
}
static int lend_stride(void *user_data, enum otc_video_frame_plane plane) {
  (void)user_data;
  return plane == OTC_VIDEO_FRAME_PLANE_Y ? WIDTH : WIDTH / 2;
}
static void count_planes_release(void *user_data) { ((lender *)user_data)->released++; }

static otc_video_frame *wrap(lender *self, otc_bool is_shallow_copyable) {
  return otc_video_frame_new_contiguous_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, is_shallow_copyable,
                                                       self->planes[0], sizeof self->planes, count_release, self);
}

static otc_video_frame *wrap_planes(lender *self, otc_bool is_shallow_copyable) {
  struct otc_video_frame_planar_memory_callbacks callbacks = {0};
  callbacks.get_plane = lend_plane;
  callbacks.get_plane_stride = lend_stride;
  callbacks.release = count_planes_release;
  callbacks.user_data = self;
  otc_video_frame *frame = otc_video_frame_new_planar_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT,
                                                                     is_shallow_copyable, &callbacks);
  memset(&callbacks, 0xee, sizeof callbacks);
  return frame;
}

static void a_wrapper_lies_on_the_memory_and_gives_it_back_once(void) {
  lender self = {0};
  otc_video_frame *frame = wrap(&self, OTC_TRUE);
  CHECK(otc_video_frame_get_buffer(frame) == self.planes[0]);
  CHECK(otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_V) == self.planes[0] + LUMA + CHROMA);
  CHECK_EQUAL(self.released, 0);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  CHECK_EQUAL(self.released, 1);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_INVALID_PARAM);
  CHECK_EQUAL(self.released, 1);

  frame = wrap_planes(&self, OTC_TRUE);
  CHECK(!otc_video_frame_is_contiguous(frame));
  CHECK(!otc_video_frame_get_buffer(frame));
  CHECK_EQUAL(otc_video_frame_get_buffer_size(frame), 0);
  for (int plane = 0; plane < 3; plane++) {
    CHECK(otc_video_frame_get_plane_binary_data(frame, (enum otc_video_frame_plane)plane) == self.planes[plane]);
  }
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  CHECK_EQUAL(self.released, 2);
}

static void copies_share_a_wrappers_memory_only_where_that_is_allowed(void) {
  otc_video_frame *(*const makers[])(lender *, otc_bool) = {wrap, wrap_planes};
  for (int i = 0; i < 2; i++) {
    lender self = {0};
    otc_video_frame *frame = makers[i](&self, OTC_TRUE);
    otc_video_frame *copy = otc_video_frame_copy(frame);
    otc_video_frame *same = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_YUV420P, frame);
    otc_video_frame *other = otc_video_frame_mutable_copy(frame);
    CHECK(otc_video_frame_get_plane_binary_data(copy, OTC_VIDEO_FRAME_PLANE_Y) == self.planes[0]);
    CHECK(otc_video_frame_get_plane_binary_data(same, OTC_VIDEO_FRAME_PLANE_Y) == self.planes[0]);
    CHECK(otc_video_frame_get_plane_binary_data(other, OTC_VIDEO_FRAME_PLANE_Y) != self.planes[0]);
    otc_video_frame_delete(frame);
    otc_video_frame_delete(copy);
    CHECK_EQUAL(self.released, 0);
    otc_video_frame_delete(same);
    CHECK_EQUAL(self.released, 1);
    otc_video_frame_delete(other);

    frame = makers[i](&self, OTC_FALSE);
    self.planes[0][0] = 77;
    copy = otc_video_frame_copy(frame);
    CHECK(otc_video_frame_get_plane_binary_data(copy, OTC_VIDEO_FRAME_PLANE_Y) != self.planes[0]);
    otc_video_frame_delete(frame);
    CHECK_EQUAL(self.released, 2);
    self.planes[0][0] = 0;
    CHECK_EQUAL(otc_video_frame_get_buffer(copy)[0], 77);
    otc_video_frame_delete(copy);
    CHECK_EQUAL(self.released, 2);
  }
}

static void wrappers_without_a_release_function_are_copied_deeply(void) {
  lender self = {0};
  otc_video_frame *frames[] = {
      otc_video_frame_new_I420_wrapper(WIDTH, HEIGHT, self.planes[0], WIDTH, self.planes[1], 3, self.planes[2], 3),
      otc_video_frame_new_NV12_wrapper(WIDTH, HEIGHT, self.planes[0], WIDTH, self.planes[1], WIDTH),
      otc_video_frame_new_NV21_wrapper(WIDTH, HEIGHT, self.planes[0], WIDTH, self.planes[1], WIDTH),
  };
  static const enum otc_video_frame_format formats[] = {OTC_VIDEO_FRAME_FORMAT_YUV420P, OTC_VIDEO_FRAME_FORMAT_NV12,
                                                        OTC_VIDEO_FRAME_FORMAT_NV21};
  for (int i = 0; i < 3; i++) {
    CHECK_EQUAL(otc_video_frame_get_format(frames[i]), formats[i]);
    CHECK(otc_video_frame_get_plane_binary_data(frames[i], OTC_VIDEO_FRAME_PLANE_Y) == self.planes[0]);
    CHECK(otc_video_frame_get_plane_binary_data(frames[i], OTC_VIDEO_FRAME_PLANE_U) == self.planes[1]);
    otc_video_frame *copy = otc_video_frame_copy(frames[i]);
    CHECK(otc_video_frame_get_plane_binary_data(copy, OTC_VIDEO_FRAME_PLANE_Y) != self.planes[0]);
    CHECK_EQUAL(otc_video_frame_get_format(copy), formats[i]);
    CHECK_EQUAL(otc_video_frame_is_contiguous(copy), OTC_TRUE);
    otc_video_frame_delete(copy);
    otc_video_frame_delete(frames[i]);
  }
}

static void a_wrapper_that_is_refused_gives_nothing_back(void) {
  lender self = {0};
  enum otc_video_frame_format i420 = OTC_VIDEO_FRAME_FORMAT_YUV420P;
  uint8_t *memory = self.planes[0];
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, WIDTH, HEIGHT, 1, memory, I420 - 1, count_release, &self));
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, WIDTH, HEIGHT, 1, memory, 0, count_release, &self));
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, WIDTH, HEIGHT, 1, NULL, I420, count_release, &self));
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, 0, HEIGHT, 1, memory, I420, count_release, &self));
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, -1, HEIGHT, 1, memory, SIZE_MAX, count_release, &self));
  CHECK(!otc_video_frame_new_contiguous_memory_wrapper(i420, WIDTH, INT_MAX, 1, memory, SIZE_MAX, count_release, &self));
  CHECK(!otc_video_frame_new_planar_memory_wrapper(i420, WIDTH, HEIGHT, 1, NULL));
  struct otc_video_frame_planar_memory_callbacks callbacks = {0};
  callbacks.release = count_planes_release;
  callbacks.user_data = &self;
  CHECK(!otc_video_frame_new_planar_memory_wrapper(i420, WIDTH, HEIGHT, 1, &callbacks));
  callbacks.get_plane = lend_plane;
  CHECK(!otc_video_frame_new_planar_memory_wrapper(i420, WIDTH, HEIGHT, 1, &callbacks));
  callbacks.get_plane_stride = lend_stride;
  CHECK(!otc_video_frame_new_planar_memory_wrapper(i420, WIDTH + 1, HEIGHT, 1, &callbacks)); /* wider than the stride */
  CHECK(!otc_video_frame_new_planar_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_MJPEG, WIDTH, HEIGHT, 1, &callbacks));
  CHECK_EQUAL(self.released, 0);
}

static void a_release_function_may_be_left_out(void) {
  otc_video_frame *frame = otc_video_frame_new_contiguous_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_RGB24, WIDTH, HEIGHT,
                                                                         OTC_TRUE, bytes, sizeof bytes, NULL, NULL);
  otc_video_frame *copy = otc_video_frame_copy(frame);
  CHECK(otc_video_frame_get_buffer(copy) == bytes);
  CHECK_EQUAL(otc_video_frame_get_buffer_size(copy), 3 * LUMA);
  otc_video_frame_delete(frame), otc_video_frame_delete(copy);
}

/* ---- Copies ---- */

static void a_copy_has_all_that_its_original_had(void) {
  fill_bytes();
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_UYVY, WIDTH, HEIGHT, bytes);
  otc_video_frame_set_timestamp(frame, 1234567890123);
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, (const uint8_t *)"mark", 4), OTC_SUCCESS);
  otc_video_frame *copies[] = {otc_video_frame_copy(frame), otc_video_frame_mutable_copy(frame),
                               otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, frame)};
  CHECK(otc_video_frame_get_buffer(copies[0]) == otc_video_frame_get_buffer(frame));
  CHECK(otc_video_frame_get_buffer(copies[1]) != otc_video_frame_get_buffer(frame));
  otc_video_frame_delete(frame);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS); /* they outlive the library */
  for (int i = 0; i < 3; i++) {
    size_t size = 0;
    CHECK_EQUAL(otc_video_frame_get_timestamp(copies[i]), 1234567890123);
    CHECK(!memcmp(otc_video_frame_get_metadata(copies[i], &size), "mark", 4));
    CHECK_EQUAL(size, 4);
    if (i < 2) CHECK(!memcmp(otc_video_frame_get_buffer(copies[i]), bytes, 2 * LUMA));
    CHECK_EQUAL(otc_video_frame_delete(copies[i]), OTC_SUCCESS);
  }
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
}

static void a_mutable_copy_may_be_drawn_into(void) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  otc_video_frame *copy = otc_video_frame_mutable_copy(frame);
  memset((uint8_t *)(uintptr_t)otc_video_frame_get_plane_binary_data(copy, OTC_VIDEO_FRAME_PLANE_Y), 235, LUMA);
  CHECK_EQUAL(otc_video_frame_get_buffer(frame)[0], 16);
  otc_video_frame *white = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, copy);
  CHECK(is_near(otc_video_frame_get_buffer(white)[0], 255));
  otc_video_frame_delete(frame), otc_video_frame_delete(copy), otc_video_frame_delete(white);
}

/* ---- Conversions ---- */

/* An orange, 255, 128, 0: no two of its channels are alike, but for red and alpha. In YUV it is 146, 53, 193. Each
 * plane of 6 x 4 pixels repeats its pattern. */
static void fill_orange(enum otc_video_frame_format format, uint8_t *pixels) {
  static const struct {
    enum otc_video_frame_format format;
    uint8_t first[4], second[2], third[1]; /* the patterns of the planes */
    size_t period;                         /* of the first */
  } ORANGES[] = {
      {OTC_VIDEO_FRAME_FORMAT_YUV420P, {146}, {53, 53}, {193}, 1},
      {OTC_VIDEO_FRAME_FORMAT_NV12, {146}, {53, 193}, {0}, 1},
      {OTC_VIDEO_FRAME_FORMAT_NV21, {146}, {193, 53}, {0}, 1},
      {OTC_VIDEO_FRAME_FORMAT_YUY2, {146, 53, 146, 193}, {0}, {0}, 4},
      {OTC_VIDEO_FRAME_FORMAT_UYVY, {53, 146, 193, 146}, {0}, {0}, 4},
      {OTC_VIDEO_FRAME_FORMAT_ARGB32, {0, 128, 255, 255}, {0}, {0}, 4},
      {OTC_VIDEO_FRAME_FORMAT_BGRA32, {255, 255, 128, 0}, {0}, {0}, 4},
      {OTC_VIDEO_FRAME_FORMAT_RGB24, {255, 128, 0}, {0}, {0}, 3},
      {OTC_VIDEO_FRAME_FORMAT_ABGR32, {255, 128, 0, 255}, {0}, {0}, 4},
      {OTC_VIDEO_FRAME_FORMAT_RGBA32, {255, 0, 128, 255}, {0}, {0}, 4},
  };
  for (size_t i = 0; i < FORMAT_COUNT; i++) {
    if (ORANGES[i].format != format) continue;
    size_t first = FORMATS[i].is_packed ? FORMATS[i].size : LUMA, second = FORMATS[i].planes == 3 ? CHROMA : 2 * CHROMA;
    CHECK_EQUAL(FORMATS[i].format, format);
    for (size_t at = 0; at < FORMATS[i].size; at++) {
      pixels[at] = at < first            ? ORANGES[i].first[at % ORANGES[i].period]
                   : at < first + second ? ORANGES[i].second[(at - first) % 2]
                                         : ORANGES[i].third[0];
    }
  }
}

static void an_orange_is_the_same_in_every_format(void) {
  static const enum otc_video_frame_format targets[] = {OTC_VIDEO_FRAME_FORMAT_YUV420P, OTC_VIDEO_FRAME_FORMAT_ARGB32,
                                                        OTC_VIDEO_FRAME_FORMAT_BGRA32, OTC_VIDEO_FRAME_FORMAT_ABGR32,
                                                        OTC_VIDEO_FRAME_FORMAT_RGBA32};
  for (size_t i = 0; i < FORMAT_COUNT; i++) {
    uint8_t pixels[4 * LUMA], wanted[4 * LUMA];
    fill_orange(FORMATS[i].format, pixels);
    otc_video_frame *frame = otc_video_frame_new(FORMATS[i].format, WIDTH, HEIGHT, pixels);
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
      otc_video_frame *converted = otc_video_frame_convert(targets[t], frame);
      CHECK_EQUAL(otc_video_frame_get_format(converted), targets[t]);
      int stride = targets[t] == OTC_VIDEO_FRAME_FORMAT_YUV420P ? WIDTH : 4 * WIDTH;
      CHECK_EQUAL(otc_video_frame_get_plane_stride(converted, OTC_VIDEO_FRAME_PLANE_PACKED), stride);
      const uint8_t *buffer = otc_video_frame_get_buffer(converted);
      fill_orange(targets[t], wanted);
      for (size_t at = 0; at < otc_video_frame_get_buffer_size(converted); at++) {
        if (!is_near(buffer[at], wanted[at])) {
          fprintf(stderr, "%d to %d: byte %zu is %d, not %d\n", FORMATS[i].format, targets[t], at, buffer[at], wanted[at]);
          _exit(1);
        }
      }
      otc_video_frame_delete(converted);
    }
    otc_video_frame_delete(frame);
  }
}

static void other_targets_are_refused(void) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  uint8_t memory[4 * LUMA], *planes[] = {memory, memory, memory};
  int strides[] = {4 * WIDTH, 4 * WIDTH, 4 * WIDTH};
  static const int others[] = {OTC_VIDEO_FRAME_FORMAT_UNKNOWN, OTC_VIDEO_FRAME_FORMAT_NV12, OTC_VIDEO_FRAME_FORMAT_NV21,
                               OTC_VIDEO_FRAME_FORMAT_YUY2, OTC_VIDEO_FRAME_FORMAT_UYVY, OTC_VIDEO_FRAME_FORMAT_RGB24,
                               OTC_VIDEO_FRAME_FORMAT_MJPEG, OTC_VIDEO_FRAME_FORMAT_MAX,
                               OTC_VIDEO_FRAME_FORMAT_COMPRESSED, -1, 77, INT_MAX};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    enum otc_video_frame_format format = (enum otc_video_frame_format)others[i];
    CHECK(!otc_video_frame_convert(format, frame));
    CHECK_EQUAL(otc_video_frame_convert_inplace(format, planes, strides, frame), OTC_INVALID_VIDEO_FORMAT);
  }
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_RGBA32, planes, strides, frame),
              OTC_INVALID_VIDEO_FORMAT);
  otc_video_frame_delete(frame);
}

static void conversion_into_the_programs_memory_respects_its_strides(void) {
  enum { STRIDE = 4 * WIDTH + 5 };
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_NV21, WIDTH, HEIGHT, NULL);
  uint8_t memory[HEIGHT * STRIDE], *planes[] = {memory, NULL, NULL};
  int strides[] = {STRIDE, 0, 0};
  memset(memory, 0xee, sizeof memory);
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_BGRA32, planes, strides, frame), OTC_SUCCESS);
  for (int row = 0; row < HEIGHT; row++) {
    for (int at = 0; at < STRIDE; at++) {
      CHECK_EQUAL(memory[row * STRIDE + at], at >= 4 * WIDTH ? 0xee : at % 4 == 0 ? 255 : 0);
    }
  }
  /* U and V side by side in the same rows. */
  uint8_t y[LUMA], uv[2 * WIDTH], *yuv[] = {y, uv, uv + WIDTH / 2};
  int yuv_strides[] = {WIDTH, WIDTH, WIDTH};
  memset(uv, 0, sizeof uv);
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_YUV420P, yuv, yuv_strides, frame), OTC_SUCCESS);
  for (size_t i = 0; i < sizeof uv; i++) CHECK_EQUAL(uv[i], 128);
  for (int i = 0; i < LUMA; i++) CHECK_EQUAL(y[i], 16);

  strides[0] = 4 * WIDTH - 1;
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, strides, frame), OTC_INVALID_PARAM);
  strides[0] = -STRIDE;
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, strides, frame), OTC_INVALID_PARAM);
  planes[0] = NULL;
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, strides, frame), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, NULL, strides, frame), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, NULL, frame), OTC_INVALID_PARAM);
  otc_video_frame_delete(frame);
}

static void a_frame_may_be_converted_onto_itself(void) {
  uint8_t pixels[4 * LUMA];
  for (int at = 0; at < 4 * LUMA; at++) pixels[at] = (uint8_t)at;
  otc_video_frame *frame = otc_video_frame_new_contiguous_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_ARGB32, WIDTH, HEIGHT,
                                                                         OTC_FALSE, pixels, sizeof pixels, NULL, NULL);
  uint8_t *planes[] = {pixels};
  int strides[] = {4 * WIDTH};
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_BGRA32, planes, strides, frame), OTC_SUCCESS);
  for (int at = 0; at < 4 * LUMA; at++) CHECK_EQUAL(pixels[at], (uint8_t)(at / 4 * 4 + 3 - at % 4));
  otc_video_frame_set_format(frame, OTC_VIDEO_FRAME_FORMAT_BGRA32);
  CHECK_EQUAL(otc_video_frame_get_format(frame), OTC_VIDEO_FRAME_FORMAT_BGRA32);
  otc_video_frame_delete(frame);
}

static void a_label_that_does_not_fit_is_not_stuck_on(void) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  otc_video_frame_set_format(frame, OTC_VIDEO_FRAME_FORMAT_ARGB32); /* more bytes than there are */
  otc_video_frame_set_format(frame, (enum otc_video_frame_format)99);
  otc_video_frame_set_format(frame, OTC_VIDEO_FRAME_FORMAT_UNKNOWN);
  otc_video_frame_set_format(frame, OTC_VIDEO_FRAME_FORMAT_MJPEG);
  CHECK_EQUAL(otc_video_frame_get_format(frame), OTC_VIDEO_FRAME_FORMAT_YUV420P);
  otc_video_frame_set_format(frame, OTC_VIDEO_FRAME_FORMAT_NV12);
  CHECK_EQUAL(otc_video_frame_get_number_of_planes(frame), 2);
  CHECK_EQUAL(otc_video_frame_get_plane_size(frame, OTC_VIDEO_FRAME_PLANE_UV_INTERLEAVED), 2 * CHROMA);
  otc_video_frame_delete(frame);
}

static void metadata_is_at_most_32_bytes(void) {
  uint8_t data[OTC_VIDEO_FRAME_METADATA_MAX_SIZE + 1];
  memset(data, 7, sizeof data);
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  size_t size = 99;
  CHECK(!otc_video_frame_get_metadata(frame, &size));
  CHECK_EQUAL(size, 0);
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, data, sizeof data), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, data, SIZE_MAX), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, NULL, 1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, data, 32), OTC_SUCCESS);
  const uint8_t *metadata = otc_video_frame_get_metadata(frame, &size);
  CHECK_EQUAL(size, 32);
  CHECK(!memcmp(metadata, data, 32));
  CHECK(otc_video_frame_get_metadata(frame, &size) == metadata);
  CHECK(!otc_video_frame_get_metadata(frame, NULL));
  CHECK_EQUAL(otc_video_frame_set_metadata(frame, NULL, 0), OTC_SUCCESS);
  CHECK(!otc_video_frame_get_metadata(frame, &size));
  CHECK_EQUAL(size, 0);
  otc_video_frame_delete(frame);
}

/* ---- Coded frames ---- */

static void coded_frames_carry_their_bytes(void) {
  static const uint8_t coded[] = "not a picture";
  otc_video_frame *frames[] = {otc_video_frame_new_MJPEG(640, 480, coded, sizeof coded),
                               otc_video_frame_new_compressed(640, 480, coded, sizeof coded)};
  for (int i = 0; i < 2; i++) {
    otc_video_frame *frame = frames[i];
    CHECK_EQUAL(otc_video_frame_get_width(frame), 640);
    CHECK_EQUAL(otc_video_frame_get_buffer_size(frame), sizeof coded);
    CHECK(!memcmp(otc_video_frame_get_buffer(frame), coded, sizeof coded));
    CHECK_EQUAL(otc_video_frame_get_plane_size(frame, OTC_VIDEO_FRAME_PLANE_PACKED), sizeof coded);
    CHECK(!otc_video_frame_is_packed(frame));
    /* Broken, and unknown. */
    CHECK(!otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_YUV420P, frame));
    uint8_t *memory = (uint8_t *)malloc(640 * 480 * 4), *planes[] = {memory};
    int strides[] = {640 * 4};
    CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, strides, frame),
                OTC_INVALID_VIDEO_FORMAT);
    free(memory);
    otc_video_frame *copy = otc_video_frame_copy(frame);
    CHECK(!memcmp(otc_video_frame_get_buffer(copy), coded, sizeof coded));
    otc_video_frame_delete(copy), otc_video_frame_delete(frame);
  }
  CHECK(!otc_video_frame_new_MJPEG(640, 480, NULL, 5));
  CHECK(!otc_video_frame_new_MJPEG(640, 480, coded, 0));
  CHECK(!otc_video_frame_new_MJPEG(0, 480, coded, 5));
  CHECK(!otc_video_frame_new_compressed(640, -480, coded, 5));
  CHECK(!otc_video_frame_new_compressed(640, 480, coded, SIZE_MAX));
}

/* ---- Mistakes ---- */

static void sizes_that_no_picture_has_are_refused(void) {
  static const int sizes[] = {0, -1, INT_MIN, 16384, INT_MAX};
  const uint8_t *planes[] = {bytes, bytes, bytes};
  int strides[] = {16, 16, 16};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
      enum otc_video_frame_format format = FORMATS[i].format;
      CHECK(!otc_video_frame_new(format, sizes[s], 2, bytes) && !otc_video_frame_new(format, 2, sizes[s], NULL));
      CHECK(!otc_video_frame_new_from_planes(format, 2, sizes[s], planes, strides));
      CHECK(!otc_video_frame_new_I420_from_planes_with_format(format, sizes[s], 2, planes, strides));
    }
    CHECK(!otc_video_frame_new_I420(sizes[s], 2, bytes, 16, bytes, 16, bytes, 16));
    CHECK(!otc_video_frame_new_I420_wrapper(2, sizes[s], bytes, 16, bytes, 16, bytes, 16));
    CHECK(!otc_video_frame_new_NV12_wrapper(sizes[s], 2, bytes, 16, bytes, 16));
    CHECK(!otc_video_frame_new_NV21_wrapper(2, sizes[s], bytes, 16, bytes, 16));
  }
}

static void missing_planes_and_wrong_strides_are_refused(void) {
  const uint8_t *planes[] = {bytes, bytes, NULL};
  int strides[] = {16, 16, 16};
  enum otc_video_frame_format i420 = OTC_VIDEO_FRAME_FORMAT_YUV420P;
  CHECK(!otc_video_frame_new_from_planes(i420, WIDTH, HEIGHT, planes, strides));
  CHECK(!otc_video_frame_new_from_planes(i420, WIDTH, HEIGHT, NULL, strides));
  CHECK(!otc_video_frame_new_from_planes(i420, WIDTH, HEIGHT, planes, NULL));
  planes[2] = bytes;
  static const int wrong[] = {0, 2, -16, INT_MIN};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    strides[1] = wrong[i];
    CHECK(!otc_video_frame_new_from_planes(i420, WIDTH, HEIGHT, planes, strides));
    CHECK(!otc_video_frame_new_I420_from_planes_with_format(i420, WIDTH, HEIGHT, planes, strides));
    CHECK(!otc_video_frame_new_I420(WIDTH, HEIGHT, bytes, wrong[i], bytes, 16, bytes, 16));
    CHECK(!otc_video_frame_new_I420_wrapper(WIDTH, HEIGHT, bytes, 16, bytes, wrong[i], bytes, 16));
    CHECK(!otc_video_frame_new_NV12_wrapper(WIDTH, HEIGHT, bytes, 16, bytes, wrong[i]));
    CHECK(!otc_video_frame_new_NV21_wrapper(WIDTH, HEIGHT, bytes, wrong[i], bytes, 16));
  }
  CHECK(!otc_video_frame_new_NV12_wrapper(WIDTH, HEIGHT, NULL, 16, bytes, 16));
  CHECK(!otc_video_frame_new_NV21_wrapper(WIDTH, HEIGHT, bytes, 16, NULL, 16));
  CHECK(!otc_video_frame_new_I420(WIDTH, HEIGHT, bytes, 16, NULL, 16, bytes, 16));
}

static void formats_without_pixels_are_refused_where_pixels_are_needed(void) {
  static const int formats[] = {OTC_VIDEO_FRAME_FORMAT_UNKNOWN, OTC_VIDEO_FRAME_FORMAT_MJPEG, OTC_VIDEO_FRAME_FORMAT_MAX,
                                OTC_VIDEO_FRAME_FORMAT_COMPRESSED, -1, 100, INT_MAX};
  const uint8_t *planes[] = {bytes, bytes, bytes};
  int strides[] = {64, 64, 64};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    enum otc_video_frame_format format = (enum otc_video_frame_format)formats[i];
    CHECK(!otc_video_frame_new(format, WIDTH, HEIGHT, bytes) && !otc_video_frame_new(format, WIDTH, HEIGHT, NULL));
    CHECK(!otc_video_frame_new_from_planes(format, WIDTH, HEIGHT, planes, strides));
    CHECK(!otc_video_frame_new_I420_from_planes_with_format(format, WIDTH, HEIGHT, planes, strides));
  }
}

static void refuse_as_frame(otc_video_frame *f) {
  size_t size = 99;
  uint8_t *planes[] = {bytes, bytes, bytes};
  int strides[] = {64, 64, 64};
  CHECK_EQUAL(otc_video_frame_delete(f), OTC_INVALID_PARAM);
  CHECK(!otc_video_frame_get_native_handle(f) && !otc_video_frame_get_buffer(f));
  CHECK(!otc_video_frame_get_buffer_size(f) && !otc_video_frame_get_timestamp(f));
  CHECK(!otc_video_frame_get_width(f) && !otc_video_frame_get_height(f));
  CHECK(!otc_video_frame_get_number_of_planes(f));
  CHECK_EQUAL(otc_video_frame_get_format(f), OTC_VIDEO_FRAME_FORMAT_UNKNOWN);
  CHECK(!otc_video_frame_get_plane_binary_data(f, OTC_VIDEO_FRAME_PLANE_Y));
  CHECK(!otc_video_frame_get_plane_size(f, OTC_VIDEO_FRAME_PLANE_Y));
  CHECK(!otc_video_frame_get_plane_stride(f, OTC_VIDEO_FRAME_PLANE_Y));
  CHECK(!otc_video_frame_get_plane_width(f, OTC_VIDEO_FRAME_PLANE_Y));
  CHECK(!otc_video_frame_get_plane_height(f, OTC_VIDEO_FRAME_PLANE_Y));
  CHECK(!otc_video_frame_copy(f) && !otc_video_frame_mutable_copy(f));
  CHECK(!otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, f));
  CHECK_EQUAL(otc_video_frame_convert_inplace(OTC_VIDEO_FRAME_FORMAT_ARGB32, planes, strides, f), OTC_INVALID_PARAM);
  CHECK(!otc_video_frame_is_packed(f) && !otc_video_frame_is_contiguous(f));
  CHECK_EQUAL(otc_video_frame_set_metadata(f, bytes, 1), OTC_INVALID_PARAM);
  CHECK(!otc_video_frame_get_metadata(f, &size));
  CHECK_EQUAL(size, 99);
  otc_video_frame_set_timestamp(f, 1);
  otc_video_frame_set_format(f, OTC_VIDEO_FRAME_FORMAT_NV12);
}

static void wrong_handles_are_refused_by_every_function(void) {
  int on_the_stack[64] = {0};
  refuse_as_frame(NULL);
  refuse_as_frame((otc_video_frame *)(void *)on_the_stack);
  refuse_as_frame((otc_video_frame *)(uintptr_t)8);
  refuse_as_frame((otc_video_frame *)UINTPTR_MAX);
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, NULL);
  CHECK_EQUAL(otc_session_delete((otc_session *)frame), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_stream_delete((otc_stream *)frame), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  refuse_as_frame(frame);
  otc_session_settings *settings = otc_session_settings_new();
  refuse_as_frame((otc_video_frame *)settings);
  otc_session_settings_delete(settings);
}

/* ---- Threads ---- */

static otc_video_frame *shared;

static void *copy_and_convert(void *unused) {
  for (int i = 0; i < 200; i++) {
    otc_video_frame *copy = otc_video_frame_copy(shared);
    otc_video_frame *argb = otc_video_frame_convert(OTC_VIDEO_FRAME_FORMAT_ARGB32, copy);
    CHECK(copy && argb);
    CHECK_EQUAL(otc_video_frame_delete(copy), OTC_SUCCESS);
    CHECK_EQUAL(otc_video_frame_delete(argb), OTC_SUCCESS);
  }
  return unused;
}

static void threads_may_copy_and_convert_one_frame(void) {
  lender self = {0};
  pthread_t others[3];
  shared = wrap_planes(&self, OTC_TRUE);
  for (int i = 0; i < 3; i++) CHECK_EQUAL(pthread_create(&others[i], NULL, copy_and_convert, NULL), 0);
  copy_and_convert(NULL);
  for (int i = 0; i < 3; i++) pthread_join(others[i], NULL);
  CHECK_EQUAL(self.released, 0);
  otc_video_frame_delete(shared);
  CHECK_EQUAL(self.released, 1);
  CHECK_EQUAL(self.asked, 3);
}

static void release_and_call(const uint8_t *buffer, void *arg) {
  otc_video_frame *frame = otc_video_frame_new(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, buffer);
  CHECK_EQUAL(otc_video_frame_delete(*(otc_video_frame **)arg), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  *(otc_video_frame **)arg = NULL;
}

static void a_release_function_may_call_the_library(void) {
  otc_video_frame *frame;
  frame = otc_video_frame_new_contiguous_memory_wrapper(OTC_VIDEO_FRAME_FORMAT_YUV420P, WIDTH, HEIGHT, OTC_TRUE, bytes,
                                                        sizeof bytes, release_and_call, &frame);
  CHECK_EQUAL(otc_video_frame_delete(frame), OTC_SUCCESS);
  CHECK(!frame);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(a_new_frame_has_a_copy_of_the_buffer),
      TEST(without_a_buffer_a_new_frame_is_black),
      TEST(planes_have_their_numbers_and_the_old_ones),
      TEST(strides_are_taken_and_left_out_of_the_copy),
      TEST(a_wrapper_lies_on_the_memory_and_gives_it_back_once),
      TEST(copies_share_a_wrappers_memory_only_where_that_is_allowed),
      TEST(wrappers_without_a_release_function_are_copied_deeply),
      TEST(a_wrapper_that_is_refused_gives_nothing_back),
      TEST(a_release_function_may_be_left_out),
      TEST(a_copy_has_all_that_its_original_had),
      TEST(a_mutable_copy_may_be_drawn_into),
      TEST(an_orange_is_the_same_in_every_format),
      TEST(other_targets_are_refused),
      TEST(conversion_into_the_programs_memory_respects_its_strides),
      TEST(a_frame_may_be_converted_onto_itself),
      TEST(a_label_that_does_not_fit_is_not_stuck_on),
      TEST(metadata_is_at_most_32_bytes),
      TEST(coded_frames_carry_their_bytes),
      TEST(sizes_that_no_picture_has_are_refused),
      TEST(missing_planes_and_wrong_strides_are_refused),
      TEST(formats_without_pixels_are_refused_where_pixels_are_needed),
      TEST(wrong_handles_are_refused_by_every_function),
      TEST(threads_may_copy_and_convert_one_frame),
      TEST(a_release_function_may_call_the_library),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
