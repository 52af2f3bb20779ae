/* Draws minutes and seconds into a picture, for people, in digits of three by five blocks. */
#ifndef OTC_CLOCK_H
#define OTC_CLOCK_H

#include <stdint.h>
#include <string.h>

static inline void clock_draw(uint8_t *luma, int stride, int width, int height, int64_t time_us) {
  static const uint16_t digits[11] = {075557, 026227, 071747, 071717, 055711, 074717,
                                      074757, 071111, 075757, 075717, 002020 /* a colon */};
  int seconds = (int)(time_us / 1000000 % 3600), block = height / 60, left = (width - 19 * block) / 2, top = height / 12;
  int shown[5] = {seconds / 600, seconds / 60 % 10, 10, seconds % 60 / 10, seconds % 10};
  for (int place = 0; place < 5; place++)
    for (int bit = 0; bit < 15; bit++)
      for (int line = 0; line < block && digits[shown[place]] >> (14 - bit) & 1; line++)
        memset(luma + (top + bit / 3 * block + line) * stride + left + (4 * place + bit % 3) * block, 235, (size_t)block);
}

#endif
