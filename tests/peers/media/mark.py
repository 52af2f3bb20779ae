"""The mark of examples-c/mark.h in Python: drawn, and read. What it looks and sounds like is described there."""

import numpy as np

COLUMNS, ROWS = 16, 12
TONE_HZ, BEEP_HZ = 440, 2000
RATE = 48000

CORNERS = {"R": (81, 90, 240), "G": (145, 54, 34), "B": (41, 240, 110), "Y": (210, 16, 146)}
CORNER_PLACES = ((0, 0), (14, 0), (0, 10), (14, 10))

# How often the background repeats itself, in columns.
PERIOD = 256


def checksum(number: int) -> int:
    return ((number >> 16 & 255) + 3 * (number >> 8 & 255) + 7 * (number & 255) + 90) & 255


def is_flash(time_us: int) -> bool:
    return time_us % 1_000_000 < 100_000


class Painter:
    """Draws pictures of one size. `memory` is YUV420P and the same each time."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        chroma = ((height + 1) // 2, (width + 1) // 2)
        self.memory = bytearray(width * height + 2 * chroma[0] * chroma[1])
        data = np.frombuffer(self.memory, np.uint8)
        data[:] = 128
        self.y = data[: width * height].reshape(height, width)
        self.u, self.v = data[width * height :].reshape(2, *chroma)
        column = np.arange(width + PERIOD)[None, :] & (PERIOD - 1)
        line = np.arange(height)[:, None]
        # Wider than the picture, so that moving is copying from another place.
        self.background = (64 + ((column * 5 + line * 3) >> 2 & 63) + (column * line >> 6 & 31)).astype(np.uint8)
        for colour, (column, row) in zip(CORNERS.values(), CORNER_PLACES):
            self._fill(column, row, 2, 2, colour, luma=False)

    def draw(self, count: int, number: int, flash: bool) -> None:
        start = 2 * count % PERIOD
        self.y[:] = self.background[:, start : start + self.width]
        for colour, (column, row) in zip(CORNERS.values(), CORNER_PLACES):
            self._fill(column, row, 2, 2, colour, chroma=False)
        bits = (number & 0xFFFFFF) << 8 | checksum(number)
        for i in range(32):
            luma = 235 if bits >> (31 - i) & 1 else 16
            self._fill(i % 16, 4 if i < 16 else 6, 1, 2, (luma, 128, 128), chroma=False)
        self._fill(4, 10, 8, 2, (235 if flash else 16, 128, 128), chroma=False)

    def _fill(self, column, row, columns, rows, colour, luma=True, chroma=True) -> None:
        left, right = self.width * column // COLUMNS & ~1, self.width * (column + columns) // COLUMNS & ~1
        top, bottom = self.height * row // ROWS & ~1, self.height * (row + rows) // ROWS & ~1
        right = self.width if column + columns == COLUMNS else right
        bottom = self.height if row + rows == ROWS else bottom
        if luma:
            self.y[top:bottom, left:right] = colour[0]
        if chroma:
            half = np.s_[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
            self.u[half], self.v[half] = colour[1], colour[2]


def _mean(plane: np.ndarray, column: int, row: int, columns: int, rows: int) -> float:
    height, width = plane.shape
    left, right = width * column / COLUMNS, width * (column + columns) / COLUMNS
    top, bottom = height * row / ROWS, height * (row + rows) / ROWS
    x0, x1 = int((3 * left + right) / 4), int((left + 3 * right) / 4)
    y0, y1 = int((3 * top + bottom) / 4), int((top + 3 * bottom) / 4)
    return float(plane[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].mean())


class Mark:
    """What was read from a picture. `number` is None when there is no mark in it."""

    def __init__(self, data, width: int, height: int) -> None:
        self.number, self.corners, self.flash = None, "????", False
        if width < 2 * COLUMNS or height < 2 * ROWS:
            return
        chroma = ((height + 1) // 2, (width + 1) // 2)
        size = width * height + 2 * chroma[0] * chroma[1]
        data = np.frombuffer(data, np.uint8, size)
        y = data[: width * height].reshape(height, width)
        u, v = data[width * height :].reshape(2, *chroma)
        self.corners = "".join(self._colour(u, v, *place) for place in CORNER_PLACES)
        bits = 0
        for i in range(32):
            bits = bits << 1 | (_mean(y, i % 16, 4 if i < 16 else 6, 1, 2) > 125)
        if bits & 255 == checksum(bits >> 8):
            self.number = bits >> 8
        self.flash = _mean(y, 4, 10, 8, 2) > 125

    @staticmethod
    def _colour(u, v, column, row) -> str:
        found = _mean(u, column, row, 2, 2), _mean(v, column, row, 2, 2)
        for name, (_, wanted_u, wanted_v) in CORNERS.items():
            if (found[0] - wanted_u) ** 2 + (found[1] - wanted_v) ** 2 < 40**2:
                return name
        return "?"


def sound(first: int, count: int, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """The sound from sample `first` of the film on."""
    at = np.arange(first, first + count)
    value = 0.1 * np.sin(2 * np.pi * (at * TONE_HZ % rate) / rate)
    value += 0.3 * np.sin(2 * np.pi * (at * BEEP_HZ % rate) / rate) * (at % rate < rate // 10)
    return np.repeat((value * 32767).astype(np.int16), channels)


class Ear:
    """Hears the tone and the beeps in a stream of mono samples."""

    # As long as a beep's beginning can be told to, and a whole number of its waves.
    STEP = RATE // 200

    def __init__(self) -> None:
        self.samples = np.zeros(0, np.float32)
        self._rest = np.zeros(0, np.float32)
        self._was_beep = True  # a beep that has begun before we listen has no beginning

    def hear(self, block: np.ndarray, until_us: int) -> list[int]:
        """Takes samples whose last one came at `until_us`; gives the times when beeps began."""
        block = block.astype(np.float32) / 32768
        self.samples = np.concatenate((self.samples, block))[-RATE:]
        self._rest = np.concatenate((self._rest, block))
        begins = []
        wave = np.exp(-2j * np.pi * BEEP_HZ * np.arange(self.STEP) / RATE)
        while len(self._rest) >= self.STEP:
            level = 2 * abs(np.dot(self._rest[: self.STEP], wave)) / self.STEP
            if level > 0.1 and not self._was_beep:
                begins.append(until_us - len(self._rest) * 1_000_000 // RATE)
            self._was_beep = level > 0.1
            self._rest = self._rest[self.STEP :]
        return begins

    def tone(self) -> tuple[int, float]:
        """The strongest frequency below the beep in the last second, and its level from 0 to 1."""
        if len(self.samples) < RATE:
            return 0, 0.0
        spectrum = 2 * np.abs(np.fft.rfft(self.samples)) / RATE
        peak = int(spectrum[50:1500].argmax()) + 50
        return peak, round(float(spectrum[peak]), 3)
