/* Writes a picture as a PNG file without any library: the pixels are stored, not compressed. */
#ifndef OTC_PNG_H
#define OTC_PNG_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct png {
  FILE *file;
  uint32_t crc;         /* of the chunk that is being written */
  uint32_t a, b;        /* of the pixels: Adler-32 */
} png;

static inline void png_bytes(png *self, const void *bytes, size_t size) {
  const uint8_t *byte = bytes;
  fwrite(bytes, 1, size, self->file);
  while (size--) {
    self->crc ^= *byte++;
    for (int bit = 0; bit < 8; bit++) self->crc = self->crc >> 1 ^ (self->crc & 1 ? 0xedb88320u : 0);
  }
}

static inline void png_u32(png *self, uint32_t value) {
  uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  png_bytes(self, bytes, 4);
}

static inline void png_begin(png *self, uint32_t size, const char *type) {
  png_u32(self, size);
  self->crc = 0xffffffffu;
  png_bytes(self, type, 4);
}

static inline void png_end(png *self) { png_u32(self, ~self->crc); }

/* Bytes of the picture; they count for the checksum of the pixels too. */
static inline void png_pixels(png *self, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) self->a = (self->a + bytes[i]) % 65521, self->b = (self->b + self->a) % 65521;
  png_bytes(self, bytes, size);
}

/* `rgba` has four bytes for each pixel. Returns 0, or -1 when the file cannot be written. */
static inline int png_write(const char *path, const uint8_t *rgba, int width, int height, int stride) {
  static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  uint32_t line = 1 + 4 * (uint32_t)width; /* each begins with its filter: none */
  png self = {fopen(path, "wb"), 0, 1, 0};
  if (!self.file || line > 65535) return -1;
  png_bytes(&self, signature, sizeof signature);
  png_begin(&self, 13, "IHDR");
  png_u32(&self, (uint32_t)width), png_u32(&self, (uint32_t)height);
  png_bytes(&self, "\x08\x06\0\0\0", 5); /* eight bits, with alpha */
  png_end(&self);
  png_begin(&self, 2 + (uint32_t)height * (5 + line) + 4, "IDAT");
  png_bytes(&self, "\x78\x01", 2);
  for (int y = 0; y < height; y++) { /* a line is one stored block */
    uint8_t head[5] = {y == height - 1, (uint8_t)line, (uint8_t)(line >> 8), (uint8_t)~line, (uint8_t)(~line >> 8)};
    png_bytes(&self, head, sizeof head);
    png_pixels(&self, (const uint8_t *)"", 1);
    png_pixels(&self, rgba + (size_t)y * (size_t)stride, line - 1);
  }
  png_u32(&self, self.b << 16 | self.a);
  png_end(&self);
  png_begin(&self, 0, "IEND");
  png_end(&self);
  return fclose(self.file) == 0 ? 0 : -1;
}

#endif
