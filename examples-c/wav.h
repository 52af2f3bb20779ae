/* Writes sound as a WAV file: 16 bits, interleaved. */
#ifndef OTC_WAV_H
#define OTC_WAV_H

#include <stdint.h>
#include <stdio.h>

typedef struct wav {
  FILE *file;
  int rate, channels;
  uint32_t size; /* of the samples, in bytes */
} wav;

static inline void wav_number(wav *self, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) fputc((int)(value >> 8 * i & 255), self->file);
}

static inline void wav_head(wav *self) {
  uint32_t frame = 2 * (uint32_t)self->channels, rate = (uint32_t)self->rate;
  fputs("RIFF", self->file), wav_number(self, 36 + self->size, 4), fputs("WAVEfmt ", self->file);
  wav_number(self, 16, 4), wav_number(self, 1, 2), wav_number(self, (uint32_t)self->channels, 2);
  wav_number(self, rate, 4), wav_number(self, rate * frame, 4), wav_number(self, frame, 2), wav_number(self, 16, 2);
  fputs("data", self->file), wav_number(self, self->size, 4);
}

/* Returns 0, or -1 when the file cannot be written. */
static inline int wav_open(wav *self, const char *path, int rate, int channels) {
  *self = (wav){fopen(path, "wb"), rate, channels, 0};
  if (self->file) wav_head(self);
  return self->file ? 0 : -1;
}

/* `count` samples for each channel. */
static inline void wav_write(wav *self, const void *samples, size_t count) {
  size_t frame = 2 * (size_t)self->channels;
  self->size += (uint32_t)(fwrite(samples, frame, count, self->file) * frame);
}

/* Now that the size is known, it is written where it belongs. */
static inline void wav_close(wav *self) {
  if (!self->file) return;
  rewind(self->file);
  wav_head(self);
  fclose(self->file);
  self->file = NULL;
}

#endif
