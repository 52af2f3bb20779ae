// Joins a room with LiveKit's own client, publishes the mark and tells what it sees of others, line by line, to the program
// that serves this page (browser.py). What to do stands in the address.

const wish = new URLSearchParams(location.search);
const tell = (line) => fetch('/tell', { method: 'POST', body: line });
const fail = (error) => tell(`failed ${error && error.stack || error}`);
window.onerror = (message) => fail(message);
window.onunhandledrejection = (event) => fail(event.reason);

const { ExternalE2EEKeyProvider, Room, RoomEvent, Track, VideoQuality } = LivekitClient;
const sound = new AudioContext({ sampleRate: 48000 });

async function publish(room) {
  const [width, height] = wish.get('size').split('x').map(Number), fps = Number(wish.get('fps'));
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  document.body.append(canvas);
  const painter = new Painter(canvas);
  let count = 0;
  const paint = () => painter.draw(count, count++, isFlash(performance.now()));
  paint();
  setInterval(paint, 1000 / fps);
  const picture = canvas.captureStream(fps).getVideoTracks()[0];
  const video = await room.localParticipant.publishTrack(picture, {
    source: Track.Source.Camera,
    videoCodec: wish.get('publish'),
    simulcast: wish.get('simulcast') === '1',
    scalabilityMode: ['vp9', 'av1'].includes(wish.get('publish')) ? 'L1T1' : undefined,
    backupCodec: false,
    videoEncoding: { maxBitrate: 1500000, maxFramerate: fps },
  });
  const audio = await room.localParticipant.publishTrack(startSound(sound), { source: Track.Source.Microphone, dtx: false });
  await tell('published');
  return { video, audio };
}

class Watch {
  constructor(name) {
    Object.assign(this, { name, codec: '', pictures: 0, marks: 0, frame: null, corners: '', width: 0, height: 0 });
    this.wasFlash = true;
    this.offset_ms = null;
    this.ear = new Ear(sound, (time_ms) => { this.beep_ms = time_ms; this.pair(); });
    this.canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
    this.context = this.canvas.getContext('2d', { willReadFrequently: true });
  }

  see(element) {
    element.requestVideoFrameCallback((_, metadata) => {
      this.see(element);
      // The server ends a track with a few tiny blank pictures.
      if (metadata.width < 2 * COLUMNS) return;
      this.pictures++;
      [this.width, this.height] = [metadata.width, metadata.height];
      this.context.drawImage(element, 0, 0, 320, 180);
      const read = readMark(this.context.getImageData(0, 0, 320, 180));
      this.corners = read.corners;
      if (read.number !== null) {
        this.marks++;
        this.frame = read.number;
      }
      if (read.flash && !this.wasFlash) {
        this.flash_ms = metadata.expectedDisplayTime;
        this.pair();
      }
      this.wasFlash = read.flash;
    });
  }

  pair() {
    if (this.flash_ms && this.beep_ms && Math.abs(this.flash_ms - this.beep_ms) < 500) {
      this.offset_ms = this.flash_ms - this.beep_ms;
      this.flash_ms = this.beep_ms = null;
    }
  }

  tell() {
    const [tone_hz, tone_level] = this.ear.tone();
    tell(JSON.stringify({
      from: this.name, codec: this.codec, frame: this.frame, width: this.width, height: this.height, corners: this.corners,
      pictures: this.pictures, marks: this.marks, tone_hz, level: tone_level, flash_after_beep_ms: this.offset_ms,
    }));
    this.pictures = this.marks = 0;
    this.offset_ms = null;
  }
}

async function main() {
  const options = { adaptiveStream: false, dynacast: true }, secret = wish.get('secret');
  if (secret) {
    const keyProvider = new ExternalE2EEKeyProvider();
    await keyProvider.setKey(secret);
    options.encryption = { keyProvider, worker: new Worker('livekit-client.e2ee.worker.js') };
  }
  const room = new Room(options);
  const watches = new Map();
  room.on(RoomEvent.TrackSubscribed, (track, publication, owner) => {
    const name = owner.metadata || owner.identity;
    if (!watches.has(name)) watches.set(name, new Watch(name));
    const watch = watches.get(name), element = track.attach();
    document.body.append(element);
    if (track.kind === Track.Kind.Video) {
      watch.codec = publication.mimeType;
      if (wish.get('quality')) publication.setVideoQuality(VideoQuality[wish.get('quality').toUpperCase()]);
      watch.see(element);
    } else {
      // The element makes the sound flow; it is heard elsewhere.
      element.volume = 0;
      watch.ear.hear(new MediaStream([track.mediaStreamTrack]));
    }
  });
  room.on(RoomEvent.TrackMuted, (publication, owner) => tell(`muted ${publication.kind} ${owner.metadata}`));
  room.on(RoomEvent.TrackUnmuted, (publication, owner) => tell(`unmuted ${publication.kind} ${owner.metadata}`));
  room.on(RoomEvent.TrackUnpublished, (publication, owner) => tell(`unpublished ${publication.kind} ${owner.metadata}`));
  await room.connect(wish.get('url'), wish.get('token'));
  if (secret) await room.setE2EEEnabled(true);
  await tell('connected');
  const tracks = wish.get('publish') ? await publish(room) : {};
  setInterval(() => watches.forEach((watch) => watch.tell()), 1000);
  for (;;) {
    const [verb, what] = (await (await fetch('/next')).text()).split(' ');
    if (verb === 'mute') await tracks[what].mute();
    if (verb === 'unmute') await tracks[what].unmute();
    if (verb === 'leave') {
      await room.disconnect();
      return tell('left');
    }
  }
}

window.onload = () => main().catch(fail);
