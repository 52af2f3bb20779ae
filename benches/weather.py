"""A network between two namespaces that loses, delays and is too narrow, where the kernel has no netem.

    weather.py NEAR FAR         makes both namespaces, 10.77.0.1 in NEAR and 10.77.0.2 in FAR, and carries packets
                                between them until its input ends; then both are gone

A line of input changes the weather of a direction from then on:

    up loss=10 delay=50 rate=300000      from NEAR to FAR: percent, milliseconds, bit/s (0: any); down: from FAR to NEAR

Packets are carried in order. What a narrow network cannot carry waits up to 250 ms and is dropped after that, as a
common router does. Needs root, iproute2 and /dev/net/tun. Says "ready" when packets flow.
"""

import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_MAX = 2048
QUEUE_S = 0.25
SEED = 7


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def tun_in(namespace, address):
    """A TUN device in a namespace, opened from outside of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"weather", IFF_TUN | IFF_NO_PI))
    libc.setns(home, CLONE_NEWNET)
    for command in (
        ["link", "set", "lo", "up"],
        ["addr", "add", f"{address}/24", "dev", "weather"],
        ["link", "set", "weather", "up", "mtu", "1500"],
    ):
        ip("-n", namespace, *command)
    os.close(home), os.close(there)
    return tun


class Direction:
    def __init__(self, source, sink, chance):
        self.source, self.sink, self.chance = source, sink, chance
        self.loss, self.delay, self.rate = 0.0, 0.0, 0.0
        self.free_at = 0.0
        self.waiting = collections.deque()  # (when it arrives, packet)
        self.carried = self.lost = self.dropped = 0

    def change(self, words):
        for word in words:
            name, value = word.split("=")
            setattr(self, name, float(value))

    def take(self, now):
        while True:
            try:
                packet = os.read(self.source, PACKET_MAX)
            except BlockingIOError:
                return
            if self.chance.random() * 100 < self.loss:
                self.lost += 1
                continue
            sent = now
            if self.rate:
                begins = max(now, self.free_at)
                if begins - now > QUEUE_S:
                    self.dropped += 1
                    continue
                sent = self.free_at = begins + len(packet) * 8 / self.rate
            self.waiting.append((sent + self.delay / 1000, packet))

    def give(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            os.write(self.sink, self.waiting.popleft()[1])
            self.carried += 1


def main():
    near, far = sys.argv[1:]
    for name in (near, far):
        ip("netns", "add", name)
    try:
        ends = tun_in(near, "10.77.0.1"), tun_in(far, "10.77.0.2")
        chance = random.Random(SEED)
        up, down = Direction(*ends, chance), Direction(*reversed(ends), chance)
        print("ready", flush=True)
        while True:
            now = time.monotonic()
            due = [way.waiting[0][0] for way in (up, down) if way.waiting]
            wait = max(0.0, min(due) - now) if due else 1.0
            readable, _, _ = select.select([*ends, sys.stdin], [], [], wait)
            if sys.stdin in readable:
                line = sys.stdin.readline()
                if not line:
                    break
                way, *words = line.split()
                {"up": up, "down": down}[way].change(words)
            now = time.monotonic()
            for way in (up, down):
                way.take(now), way.give(now)
        for name, way in (("up", up), ("down", down)):
            print(f"{name}: {way.carried} carried, {way.lost} lost, {way.dropped} dropped", flush=True)
    finally:
        for name in (near, far):
            ip("netns", "del", name)


main()
