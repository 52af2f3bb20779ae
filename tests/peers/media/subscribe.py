"""A real LiveKit client that subscribes to what others publish and tells what it sees and hears.

    subscribe.py URL TOKEN [--seconds N] [--number count|clock] [--quality low|medium|high] [--watch all|some|none]
                 [--secret TEXT]

Once per second and track owner a JSON line: the newest picture's number, its size and corners (mark.py), pictures and
readable marks in that second, the tone's frequency and level, and how much later the flash came than the beep
(null when there was none). With `--number clock` the marks are times, and latencies are told too. It leaves at the end of
input, or, when told so, after so many seconds of pictures. `--watch some` looks at the marks of one picture in ten: for measuring what
receiving costs, and not looking.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import time

import numpy as np
from livekit import rtc

import mark
import sealed

# A flash and a beep further apart than this do not belong together.
PAIR_US = 500_000


def now_us() -> int:
    return time.monotonic_ns() // 1000


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Watch:
    """What is known of one publisher."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.ear = mark.Ear()
        self.codec = ""
        self.frame, self.width, self.height, self.corners = None, 0, 0, ""
        self.pictures = self.marks = self.seen = 0
        self.was_flash = True
        self.flash_us = self.beep_us = None
        self.offsets_ms, self.latencies_ms, self.all_latencies_ms = [], [], []
        self.first_us = None

    def see(self, frame: rtc.VideoFrame) -> None:
        # The server ends a track with a few tiny blank pictures.
        if frame.width < 2 * mark.COLUMNS:
            return
        now = now_us()
        self.first_us = self.first_us or now
        self.pictures += 1
        self.seen += 1
        self.width, self.height = frame.width, frame.height
        if self.args.watch == "none" or (self.args.watch == "some" and self.seen % 10):
            return
        read = mark.Mark(frame.data, frame.width, frame.height)
        self.corners = read.corners
        if read.number is not None:
            self.marks += 1
            self.frame = read.number
            if self.args.number == "clock":
                self.latencies_ms.append(((now // 100 - read.number) & 0xFFFFFF) / 10)
        if read.flash and not self.was_flash:
            self.flash_us = now
            self._pair()
        self.was_flash = read.flash

    def hear(self, frame: rtc.AudioFrame) -> None:
        block = np.frombuffer(frame.data, np.int16)
        for begin in self.ear.hear(block, now_us()):
            self.beep_us = begin
            self._pair()

    def _pair(self) -> None:
        if self.flash_us and self.beep_us and abs(self.flash_us - self.beep_us) < PAIR_US:
            self.offsets_ms.append((self.flash_us - self.beep_us) / 1000)
            self.flash_us = self.beep_us = None

    def tell(self, name: str) -> str:
        tone_hz, level = self.ear.tone()
        told = {
            "from": name,
            "codec": self.codec,
            "frame": self.frame,
            "width": self.width,
            "height": self.height,
            "corners": self.corners,
            "pictures": self.pictures,
            "marks": self.marks,
            "tone_hz": tone_hz,
            "level": level,
            "flash_after_beep_ms": self.offsets_ms[-1] if self.offsets_ms else None,
        }
        if self.latencies_ms:
            told["latency_ms"] = statistics.median(self.latencies_ms)
        self.all_latencies_ms += self.latencies_ms
        self.pictures = self.marks = 0
        self.latencies_ms, self.offsets_ms = [], self.offsets_ms[-1:] if not self.offsets_ms else []
        return json.dumps(told)


async def look(watch: Watch, track: rtc.Track) -> None:
    async for event in rtc.VideoStream(track):
        watch.see(event.frame)


async def listen(watch: Watch, track: rtc.Track) -> None:
    async for event in rtc.AudioStream(track, sample_rate=mark.RATE, num_channels=1):
        watch.hear(event.frame)


async def end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main(args: argparse.Namespace) -> None:
    room = rtc.Room()
    watches: dict[str, Watch] = {}
    workers = set()
    began_us = now_us()

    @room.on("track_subscribed")
    def track_subscribed(track: rtc.Track, publication: rtc.RemoteTrackPublication, owner) -> None:
        watch = watches.setdefault(owner.metadata or owner.identity, Watch(args))
        is_video = track.kind == rtc.TrackKind.KIND_VIDEO
        workers.add(asyncio.create_task((look if is_video else listen)(watch, track)))
        if is_video:
            watch.codec = publication.mime_type
        if is_video and args.quality:
            publication.set_video_quality(getattr(rtc.VideoQuality, f"VIDEO_QUALITY_{args.quality.upper()}"))

    def tell_mute(what: str):
        return lambda owner, publication: print(
            what, "video" if publication.kind == rtc.TrackKind.KIND_VIDEO else "audio", owner.metadata, flush=True
        )

    room.on("track_muted", tell_mute("muted"))
    room.on("track_unmuted", tell_mute("unmuted"))
    room.on("track_unpublished", lambda publication, owner: tell_mute("unpublished")(owner, publication))
    await room.connect(args.url, args.token, sealed.options(args.secret))
    print("connected", flush=True)

    end = asyncio.create_task(end_of_input() if not args.seconds else asyncio.Event().wait())
    seconds_watched, used, started = 0, cpu_s(), time.monotonic()
    while not end.done() and (not args.seconds or seconds_watched < args.seconds):
        done, _ = await asyncio.wait([end, *workers], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for worker in done & workers:
            worker.result()  # a mistake is told here; else the track has ended
        workers -= done
        for name, watch in watches.items():
            if watch.seen and not seconds_watched:
                used, started = cpu_s(), time.monotonic()  # joining is not watching
            print(watch.tell(name), flush=True)
        seconds_watched += any(watch.seen for watch in watches.values())
    lasted, used = time.monotonic() - started, cpu_s() - used
    await room.disconnect()
    for name, watch in watches.items():
        times = sorted(watch.all_latencies_ms)
        print(json.dumps({
            "end_of": name,
            "seconds": round(lasted, 2),
            "pictures": watch.seen,
            "cpu_s_per_minute": round(used / lasted * 60, 2),
            "first_picture_ms": (watch.first_us - began_us) / 1000 if watch.first_us else None,
            "latency_p50_ms": times[len(times) // 2] if times else None,
            "latency_p99_ms": times[len(times) * 99 // 100] if times else None,
            "resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        }), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--number", choices=("count", "clock"), default="count")
    parser.add_argument("--quality", choices=("low", "medium", "high"))
    parser.add_argument("--watch", choices=("all", "some", "none"), default="all")
    parser.add_argument("--secret")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
    # The client's library now and then aborts in one of its own threads while the interpreter ends.
    sys.stdout.flush()
    os._exit(0)
