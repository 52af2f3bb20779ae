/*
 * A window for pictures in YUV420P, by SDL2. It is loaded when a window is wanted, so this builds without SDL's headers
 * and runs without SDL. All calls are for one thread.
 */
#ifndef OTC_WINDOW_H
#define OTC_WINDOW_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct window {
  int width, height;
  void *window, *renderer, *texture;
  void *(*create_texture)(void *renderer, uint32_t format, int access, int width, int height);
  void (*destroy_texture)(void *texture);
  int (*update)(void *texture, const void *area, const uint8_t *y, int y_stride, const uint8_t *u, int u_stride,
                const uint8_t *v, int v_stride);
  int (*copy)(void *renderer, void *texture, const void *from, const void *to);
  void (*present)(void *renderer);
  int (*poll)(void *event);
} window;

/* Where SDL2 or a screen is missing it says so and returns 0. */
static inline int window_open(window *self, const char *title) {
  enum { INIT_VIDEO = 0x20, ANYWHERE = 0x2fff0000, RESIZABLE = 0x20 };
  void *(*create)(const char *, int, int, int, int, uint32_t);
  void *(*create_renderer)(void *, int, uint32_t);
  int (*init)(uint32_t);
  memset(self, 0, sizeof *self);
  void *sdl = dlopen("libSDL2-2.0.so.0", RTLD_NOW);
  if (!sdl) return fprintf(stderr, "no window: %s\n", dlerror()), 0;
  /* dlsym gives pointers to data; this is how POSIX has them become functions. */
  *(void **)&init = dlsym(sdl, "SDL_Init");
  *(void **)&create = dlsym(sdl, "SDL_CreateWindow");
  *(void **)&create_renderer = dlsym(sdl, "SDL_CreateRenderer");
  *(void **)&self->create_texture = dlsym(sdl, "SDL_CreateTexture");
  *(void **)&self->destroy_texture = dlsym(sdl, "SDL_DestroyTexture");
  *(void **)&self->update = dlsym(sdl, "SDL_UpdateYUVTexture");
  *(void **)&self->copy = dlsym(sdl, "SDL_RenderCopy");
  *(void **)&self->present = dlsym(sdl, "SDL_RenderPresent");
  *(void **)&self->poll = dlsym(sdl, "SDL_PollEvent");
  if (init(INIT_VIDEO) == 0) self->window = create(title, ANYWHERE, ANYWHERE, 640, 360, RESIZABLE);
  if (self->window) self->renderer = create_renderer(self->window, -1, 0);
  if (!self->renderer) fprintf(stderr, "no window: SDL finds no screen\n");
  return self->renderer != NULL;
}

static inline void window_show(window *self, int width, int height, const uint8_t *const plane[3], const int stride[3]) {
  enum { YUV420P = 0x56555949 /* "IYUV" */, STREAMING = 1 };
  if (!self->texture || width != self->width || height != self->height) {
    if (self->texture) self->destroy_texture(self->texture);
    self->texture = self->create_texture(self->renderer, YUV420P, STREAMING, width, height);
    self->width = width, self->height = height;
  }
  if (!self->texture) return;
  self->update(self->texture, NULL, plane[0], stride[0], plane[1], stride[1], plane[2], stride[2]);
  self->copy(self->renderer, self->texture, NULL, NULL);
  self->present(self->renderer);
}

/* Takes what the user did; 1 when the window is to be closed. */
static inline int window_is_closed(window *self) {
  enum { QUIT = 0x100 };
  union {
    uint32_t type;
    uint8_t bytes[128];
  } event;
  while (self->poll(&event))
    if (event.type == QUIT) return 1;
  return 0;
}

#endif
