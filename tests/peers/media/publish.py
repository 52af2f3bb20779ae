"""A real LiveKit client that publishes the mark (mark.py): pictures and sound of one clock.

    publish.py URL TOKEN [--codec vp8|vp9|h264|av1] [--size 1280x720] [--fps 30] [--bitrate BPS] [--simulcast]
               [--number count|clock] [--no-audio] [--no-video] [--secret TEXT]

Prints `published` when others can subscribe. Takes lines: `mute video`, `unmute video`, the same with `audio`. At the end of
input it leaves, and prints as JSON what it cost. The clock is the machine's monotonic one, which other processes share.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import time

from livekit import rtc

import mark
import sealed

# What a microphone hands over at once.
BLOCK_US = 10_000


def now_us() -> int:
    return time.monotonic_ns() // 1000


async def sleep_until(then_us: int) -> None:
    await asyncio.sleep(max(0, then_us - now_us()) / 1e6)


async def show(source: rtc.VideoSource, painter: mark.Painter, fps: int, number: str, shown: dict) -> None:
    start, count = now_us(), 0
    while True:
        await sleep_until(start + count * 1_000_000 // fps)
        now = now_us()
        drawn = time.thread_time()
        painter.draw(count, now // 100 if number == "clock" else count, mark.is_flash(now))
        frame = rtc.VideoFrame(painter.width, painter.height, rtc.VideoBufferType.I420, painter.memory)
        shown["drawing_s"] += time.thread_time() - drawn
        source.capture_frame(frame, timestamp_us=now)
        count += 1
        shown["pictures"] = count


async def sing(source: rtc.AudioSource) -> None:
    block = now_us() // BLOCK_US
    size = mark.RATE * BLOCK_US // 1_000_000
    while True:
        # A block is complete when its time is over.
        await sleep_until((block + 1) * BLOCK_US)
        samples = mark.sound(block * size, size)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), mark.RATE, 1, size))
        block += 1


def video_options(args: argparse.Namespace) -> rtc.TrackPublishOptions:
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA,
        video_codec=rtc.VideoCodec.Value(args.codec.upper()),
        simulcast=args.simulcast,
    )
    options.video_encoding.max_framerate = args.fps
    options.video_encoding.max_bitrate = args.bitrate
    return options


async def obey(tracks: dict[str, rtc.Track]) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().split():
        track = tracks[line[1]]
        track.mute() if line[0] == "mute" else track.unmute()


async def main(args: argparse.Namespace) -> None:
    room = rtc.Room()
    await room.connect(args.url, args.token, sealed.options(args.secret))
    width, height = map(int, args.size.split("x"))
    tracks, workers = {}, []
    shown = {"pictures": 0, "drawing_s": 0.0}
    if args.video:
        video = rtc.VideoSource(width, height)
        tracks["video"] = rtc.LocalVideoTrack.create_video_track("picture", video)
        await room.local_participant.publish_track(tracks["video"], video_options(args))
        painter = mark.Painter(width, height)
        workers.append(asyncio.create_task(show(video, painter, args.fps, args.number, shown)))
    if args.audio:
        # No queue: it would delay the sound by as much as it holds.
        audio = rtc.AudioSource(mark.RATE, 1, queue_size_ms=0)
        tracks["audio"] = rtc.LocalAudioTrack.create_audio_track("sound", audio)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(tracks["audio"], options)
        workers.append(asyncio.create_task(sing(audio)))
    print("published", flush=True)
    started, before = time.monotonic(), cpu_s()
    end = asyncio.create_task(obey(tracks))
    done, _ = await asyncio.wait([end, *workers], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()  # a worker ends by a mistake only, which is told here
    lasted, used = time.monotonic() - started, cpu_s() - before
    for worker in workers:
        worker.cancel()
    await room.disconnect()
    print(json.dumps({
        "seconds": round(lasted, 2),
        "pictures": shown["pictures"],
        "cpu_s_per_minute": round(used / lasted * 60, 2),
        "drawing_s_per_minute": round(shown["drawing_s"] / lasted * 60, 2),
    }), flush=True)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--codec", default="vp8")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--bitrate", type=int, default=1_500_000)
    parser.add_argument("--simulcast", action="store_true")
    parser.add_argument("--number", choices=("count", "clock"), default="count")
    parser.add_argument("--no-audio", dest="audio", action="store_false")
    parser.add_argument("--no-video", dest="video", action="store_false")
    parser.add_argument("--secret")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
    # The client's library now and then aborts in one of its own threads while the interpreter ends.
    sys.stdout.flush()
    os._exit(0)
