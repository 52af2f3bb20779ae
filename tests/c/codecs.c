/* The codecs of this machine. */
#include "otc_test.h"

static int lists(const otc_video_codec_type *list, size_t count, otc_video_codec_type codec) {
  int found = 0;
  for (size_t i = 0; i < count; i++) found += list[i] == codec;
  return found;
}

static void what_is_supported_is_listed_once(void) {
  otc_media_utils_codecs *codecs = NULL;
  CHECK_EQUAL(otc_media_utils_get_supported_codecs(&codecs), OTC_SUCCESS);
  CHECK(codecs);
  CHECK_EQUAL(lists(codecs->decoder_video_codecs, codecs->number_decoder_video_codecs, OTC_VIDEO_CODEC_VP8), 1);
  for (size_t i = 0; i < codecs->number_encoder_video_codecs; i++) {
    otc_video_codec_type codec = codecs->encoder_video_codecs[i];
    CHECK(codec == OTC_VIDEO_CODEC_VP8 || codec == OTC_VIDEO_CODEC_H264 || codec == OTC_VIDEO_CODEC_VP9);
    CHECK_EQUAL(lists(codecs->encoder_video_codecs, codecs->number_encoder_video_codecs, codec), 1);
    CHECK_EQUAL(lists(codecs->decoder_video_codecs, codecs->number_decoder_video_codecs, codec), 1);
  }
  CHECK_EQUAL(otc_ext_live_objects(), 1);
  CHECK_EQUAL(otc_media_utils_codecs_delete(codecs), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
}

static void without_libraries_vp8_can_be_received_and_nothing_sent(void) {
  setenv("OTC_WITHOUT", "libvpx,libopenh264,libdav1d,libopus", 1);
  otc_media_utils_codecs *codecs = NULL;
  CHECK_EQUAL(otc_media_utils_get_supported_codecs(&codecs), OTC_SUCCESS);
  CHECK_EQUAL(codecs->number_encoder_video_codecs, 0);
  CHECK(!codecs->encoder_video_codecs);
  CHECK_EQUAL(codecs->number_decoder_video_codecs, 1);
  CHECK_EQUAL(codecs->decoder_video_codecs[0], OTC_VIDEO_CODEC_VP8);
  CHECK_EQUAL(otc_media_utils_codecs_delete(codecs), OTC_SUCCESS);
}

static void wrong_pointers_are_refused(void) {
  otc_media_utils_codecs *codecs = NULL, invented = {0};
  CHECK_EQUAL(otc_media_utils_get_supported_codecs(NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_media_utils_codecs_delete(NULL), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_media_utils_codecs_delete(&invented), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_media_utils_get_supported_codecs(&codecs), OTC_SUCCESS);
  CHECK_EQUAL(otc_media_utils_codecs_delete(codecs), OTC_SUCCESS);
  CHECK_EQUAL(otc_media_utils_codecs_delete(codecs), OTC_INVALID_PARAM);
}

static void preferences_are_codecs(void) {
  otc_publisher_settings *settings = otc_publisher_settings_new();
  enum otc_video_codec_type good[] = {OTC_VIDEO_CODEC_VP9, OTC_VIDEO_CODEC_H264}, bad[] = {OTC_VIDEO_CODEC_VP9, 7},
                            many[17];
  for (int i = 0; i < 17; i++) many[i] = OTC_VIDEO_CODEC_VP8;
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, good, 2), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, NULL, 0), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, many, 16), OTC_SUCCESS);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, many, 17), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, bad, 2), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(settings, NULL, 1), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_ext_publisher_settings_set_preferred_video_codecs(NULL, good, 2), OTC_INVALID_PARAM);
  CHECK_EQUAL(otc_publisher_settings_delete(settings), OTC_SUCCESS);
}

int main(int argc, char **argv) {
  static const test tests[] = {
      TEST(what_is_supported_is_listed_once),
      TEST(without_libraries_vp8_can_be_received_and_nothing_sent),
      TEST(wrong_pointers_are_refused),
      TEST(preferences_are_codecs),
      {0},
  };
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  int result = run_test(argc, argv, tests);
  CHECK_EQUAL(otc_ext_live_objects(), 0);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  return result;
}
