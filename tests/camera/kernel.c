/*
 * A camera for machines that have none: stands between a program and the kernel (LD_PRELOAD) and is /dev/video0.
 *
 * It speaks by the kernel's own header, so it also checks that the library's idea of those structures is right. What it
 * is like, the variable KERNEL_CAMERA says:
 *
 *   webcam     raw at 640x480 and, slower, at 1280x720; JPEG at 1280x720. Brings a picture every 5 ms.
 *   shy        as webcam, and brings no more than three.
 *   unplugged  as webcam, and gone after three.
 *   busy       another program has it.
 *   denied     it may not be opened.
 *
 * Whoever has buffers of it keeps others out until they are given back: a child may have a copy of its descriptor.
 * Rows are padded by 32 bytes. Each raw picture is one grey, by 10 brighter than the one before. KERNEL_FOLDER is listed
 * instead of /dev.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFERS = 2, BUFFER_SIZE = 4 << 20, PADDING = 32, PICTURE_MS = 5, FEW = 3 };

static int camera = -1; /* a piece of memory, so that it can be mapped */
static struct v4l2_pix_format set;
static struct stat memory; /* tells its descriptors from others */
static int has_owner, is_streaming, queued[BUFFERS], queue_length, brought;

static int is(const char *what) {
  const char *kind = getenv("KERNEL_CAMERA");
  return kind && !strcmp(kind, what);
}

static int no(int error) {
  errno = error;
  return -1;
}

DIR *opendir(const char *name) {
  DIR *(*next)(const char *) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
  const char *folder = getenv("KERNEL_FOLDER");
  return next(folder && !strcmp(name, "/dev") ? folder : name);
}

int open64(const char *path, int flags, ...) {
  int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (strcmp(path, "/dev/video0") != 0) return next(path, flags, mode);
  if (is("denied")) return no(EACCES);
  camera = memfd_create("camera", MFD_CLOEXEC);
  if (camera < 0 || ftruncate(camera, BUFFERS * BUFFER_SIZE) != 0) abort();
  if (fstat(camera, &memory) != 0) abort();
  is_streaming = queue_length = brought = 0;
  return camera;
}

int close(int fd) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
  if (fd == camera) camera = -1;
  return next(fd);
}

/* 8 x 8 in the middle grey, without Huffman's tables. */
static size_t jpeg(unsigned char *out) {
  static const unsigned char begin[] = {0xff, 0xd8, 0xff, 0xdb, 0, 67, 0};
  static const unsigned char end[] = {0xff, 0xc0, 0,    11, 8, 0, 8, 0, 8,  1, 1,    0x11, 0,
                                      0xff, 0xda, 0,    8,  1, 1, 0, 0, 63, 0, 0x2b, 0xff, 0xd9};
  memcpy(out, begin, sizeof begin);
  memset(out + sizeof begin, 1, 64);
  memcpy(out + sizeof begin + 64, end, sizeof end);
  return sizeof begin + 64 + sizeof end;
}

static size_t picture(unsigned char *out) {
  if (set.pixelformat == V4L2_PIX_FMT_MJPEG) return jpeg(out);
  memset(out, 0xee, set.sizeimage);
  for (unsigned row = 0; row < set.height; row++)
    for (unsigned column = 0; column < set.width; column++) {
      unsigned char *pixel = out + row * set.bytesperline + 2 * column;
      pixel[0] = (unsigned char)(20 + 10 * brought), pixel[1] = 128;
    }
  return set.sizeimage;
}

static int is_gone(void) { return is("unplugged") && brought >= FEW; }

static int bring(struct v4l2_buffer *buffer) {
  if (is_gone()) return no(ENODEV);
  if (!is_streaming || queue_length == 0) return no(EAGAIN);
  unsigned char *mapped = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, camera, queued[0] * BUFFER_SIZE);
  if (mapped == MAP_FAILED) abort();
  buffer->index = (unsigned)queued[0];
  buffer->bytesused = (unsigned)picture(mapped);
  buffer->flags = V4L2_BUF_FLAG_DONE;
  munmap(mapped, BUFFER_SIZE);
  memmove(queued, queued + 1, sizeof queued - sizeof queued[0]);
  queue_length--, brought++;
  return 0;
}

static int set_format(struct v4l2_format *format) {
  if (is("busy")) return no(EBUSY);
  if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return no(EINVAL);
  struct v4l2_pix_format *pix = &format->fmt.pix;
  pix->field = V4L2_FIELD_NONE;
  pix->bytesperline = pix->pixelformat == V4L2_PIX_FMT_MJPEG ? 0 : 2 * pix->width + PADDING;
  pix->sizeimage = pix->bytesperline ? pix->bytesperline * pix->height : BUFFER_SIZE / 2;
  set = *pix;
  return 0;
}

static int intervals(struct v4l2_frmivalenum *all) {
  int is_slow = all->pixel_format == V4L2_PIX_FMT_YUYV && all->width == 1280;
  if (all->index > 0) return no(EINVAL);
  all->type = V4L2_FRMIVAL_TYPE_DISCRETE;
  all->discrete = is_slow ? (struct v4l2_fract){1, 10} : (struct v4l2_fract){1001, 30000};
  return 0;
}

static int sizes(struct v4l2_frmsizeenum *all) {
  static const struct v4l2_frmsize_discrete both[] = {{1280, 720}, {640, 480}};
  if (all->index >= (all->pixel_format == V4L2_PIX_FMT_YUYV ? 2 : 1)) return no(EINVAL);
  all->type = V4L2_FRMSIZE_TYPE_DISCRETE;
  all->discrete = both[all->index];
  return 0;
}

static int answer(unsigned long request, void *argument) {
  static const unsigned formats[] = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_MJPEG};
  struct v4l2_capability *can = argument;
  struct v4l2_fmtdesc *format = argument;
  struct v4l2_requestbuffers *wanted = argument;
  struct v4l2_buffer *buffer = argument;
  switch ((unsigned)request) {
  case VIDIOC_QUERYCAP:
    memset(can, 0, sizeof *can);
    can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    can->capabilities = can->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
  case VIDIOC_ENUM_FMT:
    if (format->index >= 2 || format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return no(EINVAL);
    format->pixelformat = formats[format->index];
    return 0;
  case VIDIOC_ENUM_FRAMESIZES: return sizes(argument);
  case VIDIOC_ENUM_FRAMEINTERVALS: return intervals(argument);
  case VIDIOC_S_FMT: return set_format(argument);
  case VIDIOC_S_PARM:
    ((struct v4l2_streamparm *)argument)->parm.capture.timeperframe = (struct v4l2_fract){1001, 30000};
    return 0;
  case VIDIOC_REQBUFS:
    if (wanted->memory != V4L2_MEMORY_MMAP || wanted->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return no(EINVAL);
    if (is_streaming || (wanted->count && has_owner)) return no(EBUSY);
    has_owner = wanted->count > 0;
    if (wanted->count > BUFFERS) wanted->count = BUFFERS;
    return 0;
  case VIDIOC_QUERYBUF:
    if (buffer->index >= BUFFERS) return no(EINVAL);
    buffer->length = BUFFER_SIZE, buffer->m.offset = buffer->index * BUFFER_SIZE;
    return 0;
  case VIDIOC_QBUF:
    if (buffer->index >= BUFFERS || queue_length == BUFFERS) return no(EINVAL);
    queued[queue_length++] = (int)buffer->index;
    return 0;
  case VIDIOC_DQBUF: return bring(buffer);
  case VIDIOC_STREAMON: is_streaming = 1; return 0;
  case VIDIOC_STREAMOFF: is_streaming = queue_length = 0; return 0;
  default: return no(ENOTTY);
  }
}

static int is_camera(int fd) {
  struct stat found;
  return memory.st_ino && fstat(fd, &found) == 0 && found.st_dev == memory.st_dev && found.st_ino == memory.st_ino;
}

int ioctl(int fd, unsigned long request, ...) {
  int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return is_camera(fd) ? answer(request, argument) : next(fd, request, argument);
}

/* The camera stands first where two are waited for. */
int poll(struct pollfd *entries, nfds_t count, int limit_ms) {
  int (*next)(struct pollfd *, nfds_t, int) = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
  if (count != 2 || camera < 0 || entries[0].fd != camera) return next(entries, count, limit_ms);
  int is_quiet = is("shy") && brought >= FEW;
  int happened = next(entries + 1, 1, is_quiet || limit_ms < PICTURE_MS ? limit_ms : PICTURE_MS);
  entries[0].revents = 0;
  if (happened != 0 || is_quiet) return happened;
  entries[0].revents = is_gone() ? POLLERR | POLLHUP : POLLIN;
  return 1;
}
