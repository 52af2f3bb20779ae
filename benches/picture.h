/* The moving picture of picture.rs, in C: the same bytes for the same number. tests/moving_picture.rs compares them. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PICTURE_TILE 256

static inline uint8_t picture_wave(size_t t, size_t period) {
  t = t % period * 4;
  return (uint8_t)(t < 2 * period ? t * 64 / period : (4 * period - t) * 64 / period);
}

static inline uint8_t picture_texture(size_t x, size_t y) {
  size_t grain = ((x * 0x9e37 + y * 0x79b9) * 0x2545) >> 9 & 15;
  return (uint8_t)(40 + picture_wave(x + y / 2, 64) / 2 + picture_wave(y + x / 4, 128) / 2 + grain);
}

static inline size_t picture_bounce(size_t distance, size_t room) {
  size_t at = room ? distance % (2 * room) : 0;
  return at > room ? 2 * room - at : at;
}

/* Writes Y, U and V of frame `number`, one after the other without padding: width * height bytes, and twice the halves,
 * rounded up. For one thread at a time: the texture is made by the first call. */
static inline void picture_draw(uint8_t *pixels, size_t width, size_t height, size_t number) {
  static uint8_t texture[PICTURE_TILE][2 * PICTURE_TILE];
  static int is_made;
  if (!is_made) {
    for (size_t y = 0; y < PICTURE_TILE; y++)
      for (size_t x = 0; x < 2 * PICTURE_TILE; x++) texture[y][x] = picture_texture(x % PICTURE_TILE, y);
    is_made = 1;
  }
  size_t chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2, dx = 2 * number, dy = number;
  uint8_t *out = pixels;
  for (size_t y = 0; y < height; y++) {
    const uint8_t *row = texture[(y + dy) % PICTURE_TILE];
    for (size_t x = 0; x < width;) {
      size_t start = (x + dx) % PICTURE_TILE, count = 2 * PICTURE_TILE - start;
      if (count > width - x) count = width - x;
      memcpy(out, row + start, count);
      out += count, x += count;
    }
  }
  for (size_t y = 0; y < chroma_height; y++, out += chroma_width) memset(out, (int)(96 + (y + dy / 2) % 64), chroma_width);
  for (size_t y = 0; y < chroma_height; y++, out += chroma_width) memset(out, (int)(160 - (y + dy / 2) % 64), chroma_width);
  size_t box_width = width / 4, box_height = height / 4;
  size_t left = picture_bounce(4 * number, width - box_width), top = picture_bounce(2 * number, height - box_height);
  for (size_t y = 0; y < box_height; y++)
    memset(pixels + (top + y) * width + left, y / 8 % 2 == 0 ? 220 : 60, box_width);
}

#endif
