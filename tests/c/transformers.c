/*
 * Transformers: what they change is what others get, they may be deleted while they work, and once they have been taken away
 * they are not called.
 */
#include "media.h"

enum { PAINTED = 40 };

typedef struct brush {
  int calls; /* counter */
  atomic_int is_freed;
} brush;

static void paint(void *user_data, otc_video_frame *frame) {
  brush *self = (brush *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  CHECK_EQUAL(otc_video_frame_get_format(frame), OTC_VIDEO_FRAME_FORMAT_YUV420P);
  int width = otc_video_frame_get_width(frame), height = otc_video_frame_get_height(frame);
  CHECK_EQUAL(otc_video_frame_get_plane_stride(frame, OTC_VIDEO_FRAME_PLANE_Y), width);
  /* As programs do it: the plane is theirs to write. */
  uint8_t *luma = (uint8_t *)(uintptr_t)otc_video_frame_get_plane_binary_data(frame, OTC_VIDEO_FRAME_PLANE_Y);
  memset(luma, PAINTED, (size_t)width * (size_t)height);
  count_one(&self->calls);
}

static void silence(void *user_data, struct otc_audio_data *data) {
  brush *self = (brush *)user_data;
  CHECK(!atomic_load(&self->is_freed));
  memset((void *)(uintptr_t)data->sample_buffer, 0, data->number_of_samples * data->number_of_channels * 2);
  count_one(&self->calls);
}

typedef struct eye {
  int dark, bright; /* counters */
} eye;

static void see(otc_subscriber *subscriber, void *user_data, const otc_video_frame *frame) {
  (void)subscriber;
  eye *self = (eye *)user_data;
  int luma = otc_video_frame_get_buffer(frame)[PICTURE_WIDTH * 8 + 8];
  if (abs(luma - PAINTED) < 12) count_one(&self->dark);
  if (abs(luma - LUMA) < 12) count_one(&self->bright);
}

/* A film that is watched by one more, who looks at the picture. */
static otc_subscriber *watched(call call, eye *eye) {
  struct otc_subscriber_callbacks callbacks = {0};
  callbacks.on_render_frame = see, callbacks.user_data = eye;
  otc_subscriber *subscriber = otc_subscriber_new(call.there->last_stream, &callbacks);
  CHECK(subscriber);
  CHECK_EQUAL(otc_session_subscribe(call.there->session, subscriber), OTC_SUCCESS);
  return subscriber;
}

static void what_is_painted_is_what_others_see(void) {
  call call = call_begun();
  eye eye = {0};
  brush brush = {0};
  otc_subscriber *subscriber = watched(call, &eye);
  AWAIT_COUNT(eye.bright, 1);
  call.source->camera.is_eager = 1; /* what the preview shows is not the camera's any more */
  otc_video_transformer *all[] = {
      otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, NULL, NULL, paint, &brush)};
  CHECK(all[0]);
  CHECK_EQUAL(otc_publisher_set_video_transformers(call.source->publisher, all, 1), OTC_SUCCESS);
  AWAIT_MORE(eye.dark);
  /* The order of the vendor's sample: deleted first, taken away afterwards. */
  CHECK_EQUAL(otc_video_transformer_delete(all[0]), OTC_SUCCESS);
  CHECK_EQUAL(otc_video_transformer_delete(all[0]), OTC_INVALID_PARAM);
  AWAIT_MORE(brush.calls);
  CHECK_EQUAL(otc_publisher_set_video_transformers(call.source->publisher, NULL, 0), OTC_SUCCESS);
  atomic_store(&brush.is_freed, 1);
  int bright = count_of(&eye.bright);
  AWAIT_COUNT(eye.bright, bright + 2);
  CHECK_EQUAL(otc_subscriber_delete(subscriber), OTC_SUCCESS);
  call_end(call);
}

static void what_is_silenced_is_not_heard(void) {
  device *device = device_use();
  call call = call_begun();
  brush brush = {0};
  AWAIT_COUNT(call.sink->loud_sounds, 1);
  otc_audio_transformer *all[] = {
      otc_audio_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, NULL, NULL, silence, &brush)};
  CHECK_EQUAL(otc_publisher_set_audio_transformers(call.source->publisher, all, 1), OTC_SUCCESS);
  AWAIT_COUNT(brush.calls, 20); /* what was on its way has arrived */
  AWAIT_MORE(call.sink->sounds);
  CHECK_EQUAL(otc_publisher_set_audio_transformers(call.source->publisher, NULL, 0), OTC_SUCCESS);
  atomic_store(&brush.is_freed, 1);
  int loud = count_of(&call.sink->loud_sounds);
  AWAIT_COUNT(call.sink->loud_sounds, loud + 2);
  CHECK_EQUAL(otc_audio_transformer_delete(all[0]), OTC_SUCCESS);
  call_end(call);
  CHECK_EQUAL(otc_set_audio_device(NULL), OTC_SUCCESS);
  free(device);
}

static void a_transformer_ends_with_its_publisher(void) {
  call call = call_begun();
  brush brush = {0};
  call.source->camera.is_eager = 1;
  otc_video_transformer *all[] = {
      otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, NULL, NULL, paint, &brush)};
  CHECK_EQUAL(otc_publisher_set_video_transformers(call.source->publisher, all, 1), OTC_SUCCESS);
  AWAIT_MORE(brush.calls);
  source_delete(call.source), call.source = NULL;
  atomic_store(&brush.is_freed, 1);
  CHECK_EQUAL(otc_video_transformer_delete(all[0]), OTC_SUCCESS);
  call_end(call);
}

static void what_cannot_be_made_or_put_to_work_is_refused(void) {
  CHECK(!otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM, NULL, NULL, NULL, NULL));
  CHECK(!otc_video_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_VONAGE, NULL, NULL, NULL, NULL));
  CHECK(!otc_audio_transformer_create((enum otc_media_transformer_type)7, "x", NULL, NULL, NULL));
  CHECK_EQUAL(otc_video_transformer_delete(NULL), OTC_INVALID_PARAM);
  diary *diary = diary_new();
  source *source = source_new(diary, "film");
  otc_video_transformer *blur[] = {otc_video_transformer_create(
      OTC_MEDIA_TRANSFORMER_TYPE_VONAGE, "BackgroundBlur", "{\"radius\":\"High\"}", NULL, NULL)};
  CHECK(blur[0]);
  CHECK_EQUAL(otc_publisher_set_video_transformers(source->publisher, blur, 1),
              OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED);
  otc_audio_transformer *noise[] = {
      otc_audio_transformer_create(OTC_MEDIA_TRANSFORMER_TYPE_VONAGE, "NoiseSuppression", "", NULL, NULL)};
  CHECK_EQUAL(otc_publisher_set_audio_transformers(source->publisher, noise, 1), OTC_SUCCESS);
  otc_video_transformer *nothing[] = {NULL};
  CHECK_EQUAL(otc_publisher_set_video_transformers(source->publisher, nothing, 1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_publisher_set_video_transformers(source->publisher, NULL, 1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_video_transformer_delete(blur[0]), OTC_SUCCESS);
  CHECK_EQUAL(otc_audio_transformer_delete(noise[0]), OTC_SUCCESS);
  source_delete(source);
  free(diary);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(what_is_painted_is_what_others_see),
      TEST(what_is_silenced_is_not_heard),
      TEST(a_transformer_ends_with_its_publisher),
      TEST(what_cannot_be_made_or_put_to_work_is_refused),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  return result;
}
