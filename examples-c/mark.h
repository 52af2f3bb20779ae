/*
 * A mark in pictures and sound: who receives them can tell which picture it is, upright and in the right colours,
 * and whether the sound belongs to it. The same mark in Python is tests/peers/media/mark.py, in JavaScript mark.js there.
 *
 * The picture. A grid of 16 columns and 12 rows, in fractions of the size, so that it survives scaling:
 *
 *     columns  0 1   2 ..... 13   14 15
 *     rows 0-1  red   background   green       The corners in reading order are "RGBY". Any other word says what
 *     rows 2-3        background               happened: "GRYB" is mirrored, "BRYG" turned clockwise by 90 degrees,
 *     rows 4-5  sixteen bits of the number     "BGRY" has U and V exchanged.
 *     rows 6-7  eight bits, and a checksum
 *     rows 8-9        background
 *     rows 10-11 blue flash (4-11)  yellow
 *
 * A bit is a block of one column and two rows, white for 1, black for 0, the most significant first. The number has 24
 * bits. The checksum is (high + 3 * middle + 7 * low + 90) modulo 256 of its bytes, so neither black nor white is a mark.
 * What the number means is up to who draws it: tests count pictures, measurements write a clock in tenths of milliseconds.
 *
 * The flash is white in the first tenth of every second and black else. The background is grey, moves by two columns
 * of pixels with every picture, and has detail, so that an encoder has something to do.
 *
 * The sound. A sine of 440 Hz and a tenth of the full range, always; in the first tenth of every second a beep of
 * 2000 Hz and three tenths on top. Flash and beep are of the same clock: they leave together.
 */
#ifndef OTC_MARK_H
#define OTC_MARK_H

#include <stdint.h>
#include <string.h>

enum { MARK_COLUMNS = 16, MARK_ROWS = 12, MARK_TONE_HZ = 440, MARK_BEEP_HZ = 2000 };

/* A picture in YUV420P, limited range. */
typedef struct mark_picture {
  uint8_t *plane[3];
  int stride[3], width, height;
} mark_picture;

/* A rectangle of the grid, filled with one colour. Chroma has half the size, so the edges are even. */
static inline void mark_fill(const mark_picture *to, int column, int row, int columns, int rows, int y, int u, int v) {
  int left = to->width * column / MARK_COLUMNS & ~1, right = to->width * (column + columns) / MARK_COLUMNS & ~1;
  int top = to->height * row / MARK_ROWS & ~1, bottom = to->height * (row + rows) / MARK_ROWS & ~1;
  if (column + columns == MARK_COLUMNS) right = to->width;
  if (row + rows == MARK_ROWS) bottom = to->height;
  for (int line = top; line < bottom; line++)
    memset(to->plane[0] + (long)line * to->stride[0] + left, y, (size_t)(right - left));
  for (int line = top / 2; line < (bottom + 1) / 2; line++) {
    memset(to->plane[1] + (long)line * to->stride[1] + left / 2, u, (size_t)((right + 1) / 2 - left / 2));
    memset(to->plane[2] + (long)line * to->stride[2] + left / 2, v, (size_t)((right + 1) / 2 - left / 2));
  }
}

static inline unsigned mark_checksum(unsigned number) {
  return ((number >> 16 & 255) + 3 * (number >> 8 & 255) + 7 * (number & 255) + 90) & 255;
}

/* Draws picture `count` of a film, with this number in it. */
static inline void mark_draw(const mark_picture *to, unsigned count, unsigned number, int is_flash) {
  static const uint8_t corners[4][3] = {{81, 90, 240}, {145, 54, 34}, {41, 240, 110}, {210, 16, 146}};
  for (int line = 0; line < to->height; line++) {
    uint8_t *out = to->plane[0] + (long)line * to->stride[0];
    for (int x = 0; x < to->width; x++) {
      unsigned column = ((unsigned)x + 2 * count) & 255;
      out[x] = (uint8_t)(64 + ((column * 5 + (unsigned)line * 3) >> 2 & 63) + (column * (unsigned)line >> 6 & 31));
    }
  }
  for (int plane = 1; plane < 3; plane++)
    for (int line = 0; line < (to->height + 1) / 2; line++)
      memset(to->plane[plane] + (long)line * to->stride[plane], 128, (size_t)(to->width + 1) / 2);
  for (int i = 0; i < 4; i++)
    mark_fill(to, i % 2 ? 14 : 0, i / 2 ? 10 : 0, 2, 2, corners[i][0], corners[i][1], corners[i][2]);
  unsigned bits = (number & 0xffffff) << 8 | mark_checksum(number);
  for (int i = 0; i < 32; i++) mark_fill(to, i % 16, i < 16 ? 4 : 6, 1, 2, bits >> (31 - i) & 1 ? 235 : 16, 128, 128);
  mark_fill(to, 4, 10, 8, 2, is_flash ? 235 : 16, 128, 128);
}

/* The mean of the middle of a rectangle of the grid; edges are blurred by scaling and coding. */
static inline int mark_mean(const mark_picture *from, int plane, int column, int row, int columns, int rows) {
  int shift = plane > 0;
  int left = from->width * column / MARK_COLUMNS, right = from->width * (column + columns) / MARK_COLUMNS;
  int top = from->height * row / MARK_ROWS, bottom = from->height * (row + rows) / MARK_ROWS;
  int x0 = (3 * left + right) / 4 >> shift, x1 = (left + 3 * right) / 4 >> shift;
  int y0 = (3 * top + bottom) / 4 >> shift, y1 = (top + 3 * bottom) / 4 >> shift;
  long sum = 0;
  if (x1 <= x0) x1 = x0 + 1;
  if (y1 <= y0) y1 = y0 + 1;
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++) sum += from->plane[plane][(long)y * from->stride[plane] + x];
  return (int)(sum / ((long)(x1 - x0) * (y1 - y0)));
}

/* What was read. `corners` is "RGBY" when all is well; `?` is none of the four colours. */
typedef struct mark {
  unsigned number;
  int is_flash;
  char corners[5];
} mark;

/* 1 when the picture has a mark. The corners are told in any case; a picture that is turned has no number. */
static inline int mark_read(const mark_picture *from, mark *read) {
  static const int colours[4][2] = {{90, 240}, {54, 34}, {240, 110}, {16, 146}};
  memset(read, 0, sizeof *read);
  if (from->width < 2 * MARK_COLUMNS || from->height < 2 * MARK_ROWS) return 0;
  for (int i = 0; i < 4; i++) {
    int u = mark_mean(from, 1, i % 2 ? 14 : 0, i / 2 ? 10 : 0, 2, 2);
    int v = mark_mean(from, 2, i % 2 ? 14 : 0, i / 2 ? 10 : 0, 2, 2);
    read->corners[i] = '?';
    for (int colour = 0; colour < 4; colour++) {
      int du = u - colours[colour][0], dv = v - colours[colour][1];
      if (du * du + dv * dv < 40 * 40) read->corners[i] = "RGBY"[colour];
    }
  }
  unsigned bits = 0;
  for (int i = 0; i < 32; i++) bits = bits << 1 | (mark_mean(from, 0, i % 16, i < 16 ? 4 : 6, 1, 2) > 125);
  read->number = bits >> 8;
  read->is_flash = mark_mean(from, 0, 4, 10, 8, 2) > 125;
  return (bits & 255) == mark_checksum(read->number);
}

/* Whether a picture of this time of the film is one with a flash. */
static inline int mark_is_flash(int64_t time_us) { return time_us % 1000000 < 100000; }

/* A sine of an angle in turns, from 0 to 1, to a thousandth: two parabolas, straightened. Needs no libm. */
static inline double mark_sine(double turns) {
  double half = turns < 0.5 ? turns : turns - 0.5, sine = 16 * half * (0.5 - half);
  sine = 0.775 * sine + 0.225 * sine * sine;
  return turns < 0.5 ? sine : -sine;
}

/* The sound from sample `first` of the film on; `count` samples for each channel, interleaved. */
static inline void mark_sound(int16_t *to, int64_t first, int count, int rate, int channels) {
  for (int i = 0; i < count; i++) {
    int64_t at = first + i;
    double value = 0.1 * mark_sine((double)(at * MARK_TONE_HZ % rate) / rate);
    if (at % rate < rate / 10) value += 0.3 * mark_sine((double)(at * MARK_BEEP_HZ % rate) / rate);
    for (int channel = 0; channel < channels; channel++) *to++ = (int16_t)(value * 32767);
  }
}

#endif
