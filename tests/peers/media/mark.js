// The mark of examples-c/mark.h in JavaScript: drawn on a canvas and read from one. What it is, is described there.

const COLUMNS = 16, ROWS = 12, TONE_HZ = 440, BEEP_HZ = 2000, PERIOD = 256;
const CORNERS = { R: [255, 0, 0], G: [0, 255, 0], B: [0, 0, 255], Y: [255, 255, 0] };
const PLACES = [[0, 0], [14, 0], [0, 10], [14, 10]];

const checksum = (n) => ((n >> 16 & 255) + 3 * (n >> 8 & 255) + 7 * (n & 255) + 90) & 255;
const isFlash = (time_ms) => time_ms % 1000 < 100;

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.background = document.createElement('canvas');
    this.background.width = canvas.width + PERIOD;
    this.background.height = canvas.height;
    const context = this.background.getContext('2d');
    const image = context.createImageData(this.background.width, canvas.height);
    for (let line = 0, at = 0; line < canvas.height; line++) {
      for (let x = 0; x < this.background.width; x++, at += 4) {
        const column = x & PERIOD - 1;
        const luma = 64 + ((column * 5 + line * 3) >> 2 & 63) + (column * line >> 6 & 31);
        image.data.fill((luma - 16) * 255 / 219, at, at + 3);
        image.data[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  draw(count, number, flash) {
    this.context.drawImage(this.background, -(2 * count % PERIOD), 0);
    Object.values(CORNERS).forEach((colour, i) => this.fill(...PLACES[i], 2, 2, `rgb(${colour})`));
    const bits = (number & 0xffffff) * 256 + checksum(number);
    for (let i = 0; i < 32; i++) {
      this.fill(i % 16, i < 16 ? 4 : 6, 1, 2, Math.floor(bits / 2 ** (31 - i)) % 2 ? 'white' : 'black');
    }
    this.fill(4, 10, 8, 2, flash ? 'white' : 'black');
  }

  fill(column, row, columns, rows, style) {
    const even = (size, part, parts) => part === parts ? size : Math.floor(size * part / parts) & ~1;
    const { width, height } = this.canvas;
    const left = even(width, column, COLUMNS), top = even(height, row, ROWS);
    this.context.fillStyle = style;
    this.context.fillRect(left, top, even(width, column + columns, COLUMNS) - left, even(height, row + rows, ROWS) - top);
  }
}

// Reads a picture from ImageData of any size. `number` is null when there is no mark.
function readMark(image) {
  const mean = (column, row, columns, rows) => {
    const between = (size, a, b, parts) => [Math.floor((3 * a + b) / 4 * size / parts), Math.floor((a + 3 * b) / 4 * size / parts)];
    const [x0, x1] = between(image.width, column, column + columns, COLUMNS);
    const [y0, y1] = between(image.height, row, row + rows, ROWS);
    const sum = [0, 0, 0];
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        for (let i = 0; i < 3; i++) sum[i] += image.data[4 * (y * image.width + x) + i];
      }
    }
    return sum.map((value) => value / ((x1 - x0) * (y1 - y0)));
  };
  const isWhite = (...place) => mean(...place)[1] > 127;
  const corners = PLACES.map((place) => {
    const found = mean(...place, 2, 2);
    const near = Object.entries(CORNERS).find(([, wanted]) => wanted.every((value, i) => Math.abs(value - found[i]) < 80));
    return near ? near[0] : '?';
  }).join('');
  let bits = 0;
  for (let i = 0; i < 32; i++) bits = bits * 2 + isWhite(i % 16, i < 16 ? 4 : 6, 1, 2);
  const number = Math.floor(bits / 256);
  return { corners, flash: isWhite(4, 10, 8, 2), number: bits % 256 === checksum(number) ? number : null };
}

// The sound as a track of its own. The beeps are of the clock of `performance`, as the flashes are.
function startSound(context) {
  const to = context.createMediaStreamDestination();
  const oscillator = (frequency, level) => {
    const source = new OscillatorNode(context, { frequency }), gain = new GainNode(context, { gain: level });
    source.connect(gain).connect(to);
    source.start();
    return gain.gain;
  };
  oscillator(TONE_HZ, 0.1);
  const beep = oscillator(BEEP_HZ, 0);
  let planned = 0;
  const plan = () => {
    const second = Math.floor(performance.now() / 1000) + 1;
    if (second > planned) {
      planned = second;
      const at = context.currentTime + second - performance.now() / 1000;
      beep.setValueAtTime(0.3, at);
      beep.setValueAtTime(0, at + 0.1);
    }
  };
  plan();
  setInterval(plan, 200);
  return to.stream.getAudioTracks()[0];
}

// Runs beside the page, on the thread of the sound: hands over all samples, each block with the time of its end.
const EAR = `registerProcessor('ear', class extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0].length) this.port.postMessage({ samples: inputs[0][0].slice(), end_s: currentTime + 128 / sampleRate });
    return true;
  }
});`;

const level = (samples, frequency, rate) => {
  let real = 0, imaginary = 0;
  for (let i = 0; i < samples.length; i++) {
    const angle = 2 * Math.PI * frequency * i / rate;
    real += samples[i] * Math.cos(angle);
    imaginary += samples[i] * Math.sin(angle);
  }
  return 2 * Math.hypot(real, imaginary) / samples.length;
};

class Ear {
  constructor(context, onBeep) {
    this.context = context;
    this.onBeep = onBeep;
    this.second = [];
    this.step = [];
    this.wasBeep = true; // a beep that has begun before we listen has no beginning
  }

  async hear(stream) {
    const url = URL.createObjectURL(new Blob([EAR], { type: 'text/javascript' }));
    await this.context.audioWorklet.addModule(url);
    const node = new AudioWorkletNode(this.context, 'ear', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    this.context.createMediaStreamSource(stream).connect(node);
    node.port.onmessage = ({ data }) => this.take(data.samples, data.end_s);
  }

  take(samples, end_s) {
    const rate = this.context.sampleRate, size = rate / 200;
    this.second.push(...samples);
    this.second.splice(0, this.second.length - rate);
    this.step.push(...samples);
    while (this.step.length >= size) {
      const isBeep = level(this.step.slice(0, size), BEEP_HZ, rate) > 0.1;
      if (isBeep && !this.wasBeep) {
        const ago_s = this.context.currentTime - end_s + this.step.length / rate;
        this.onBeep(performance.now() - 1000 * ago_s);
      }
      this.wasBeep = isBeep;
      this.step.splice(0, size);
    }
  }

  // The strongest frequency around the tone in the last second, and its level.
  tone() {
    const rate = this.context.sampleRate;
    if (this.second.length < rate) return [0, 0];
    let best = [0, 0];
    for (let frequency = TONE_HZ - 20; frequency <= TONE_HZ + 20; frequency++) {
      const found = level(this.second, frequency, rate);
      if (found > best[1]) best = [frequency, found];
    }
    return [best[0], Math.round(best[1] * 1000) / 1000];
  }
}
