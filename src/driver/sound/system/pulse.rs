//! The sound server, in its native protocol: PulseAudio's own, and PipeWire's.
//!
//! One connection for each direction, on the direction's thread: it reads, and answers what it reads. What the server
//! wants to play it asks for; what it has recorded it sends.

use std::ffi::{CStr, CString};
use std::io::{self, BufReader, Cursor, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    self, ChannelMap, Command, CommandReply, Prop, Props, ProtocolError, SampleFormat, SampleSpec,
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::{Direction, Ended, FRAGMENT, Listed, Order, PLAYBACK_BUFFER, channels, samples};
use crate::media::SAMPLE_RATE;

/// How long the server may take for an answer while a stream is made, and for taking samples.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A list is made while the program waits, so the whole of it stays within what one call may take.
const LIST_TIMEOUT: Duration = Duration::from_millis(80);

/// Longer messages are not read: a list of devices has some thousand bytes, a fragment of sound a thousand.
const MESSAGE_MAX: u32 = 1 << 20;

const NAME: &CStr = c"libopentok";

/// Where the server and its cookie may be. The environment says so; it is read on the program's own thread, and not where it
/// is needed: a program may change it at any time, which would be a race inside the C library.
pub struct Places {
    /// The first that is named counts.
    socket: Option<PathBuf>,
    /// The first that is there.
    cookies: Vec<PathBuf>,
}

impl Default for Places {
    /// As the environment has it now.
    fn default() -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let server = std::env::var("PULSE_SERVER").ok().and_then(|servers| socket_of(&servers));
        let runtime = || variable("PULSE_RUNTIME_PATH").or_else(|| variable("XDG_RUNTIME_DIR"));
        let home = std::env::home_dir();
        let in_home = [".config/pulse/cookie", ".pulse-cookie"].into_iter();
        let in_home = in_home.filter_map(|name| home.as_ref().map(|home| home.join(name)));
        Self {
            socket: server.or_else(|| runtime().map(|folder| folder.join("pulse/native"))),
            cookies: variable("PULSE_COOKIE").into_iter().chain(in_home).collect(),
        }
    }
}

/// The first of a list of servers that is on this machine: a path, or `unix:` and a path, each with the id of its machine in
/// braces or without.
fn socket_of(servers: &str) -> Option<PathBuf> {
    servers.split_whitespace().find_map(|server| {
        let place = match server.strip_prefix('{') {
            Some(named) => named.split_once('}')?.1,
            None => server,
        };
        let path = place.strip_prefix("unix:").unwrap_or(place);
        path.starts_with('/').then(|| path.into())
    })
}

impl Places {
    fn cookie(&self) -> Vec<u8> {
        let found = self.cookies.iter().find(|path| path.exists());
        found.and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
    }
}

pub struct PulseDevice {
    pub listed: Listed,
    /// What a loudspeaker plays, to be recorded: not a microphone.
    pub is_monitor: bool,
}

/// `None` where there is no server.
pub fn list(direction: Direction, places: &Places) -> Option<Vec<PulseDevice>> {
    let mut connection = Connection::open(places, Instant::now() + LIST_TIMEOUT)?;
    connection.introduce(places).ok()?;
    let listed = match direction {
        Direction::Render => connection.ask(Command::GetSinkInfoList).map(|sinks: protocol::SinkInfoList| {
            let device = |sink: protocol::SinkInfo| device(&sink.name, sink.description.as_deref(), false);
            sinks.into_iter().map(device).collect()
        }),
        Direction::Capture => {
            connection.ask(Command::GetSourceInfoList).map(|sources: protocol::SourceInfoList| {
                let device = |source: protocol::SourceInfo| {
                    let is_monitor = source.monitor_of_sink_index.is_some();
                    device(&source.name, source.description.as_deref(), is_monitor)
                };
                sources.into_iter().map(device).collect()
            })
        }
    };
    listed.inspect_err(|error| log::info!("the sound server does not list its devices: {error}")).ok()
}

fn device(name: &CStr, description: Option<&CStr>, is_monitor: bool) -> PulseDevice {
    let text = |text: &CStr| text.to_string_lossy().into_owned();
    let id = text(name);
    let name = description.map_or_else(|| id.clone(), text);
    PulseDevice { listed: Listed { id, name }, is_monitor }
}

/// Plays or records until it ends.
pub fn serve(order: &Order, chosen: Option<&str>) -> Ended {
    let Some(choice) = order.choice() else { return Ended::Told };
    let Some(mut connection) = Connection::open(&order.places, Instant::now() + ANSWER_TIMEOUT) else {
        return Ended::Absent;
    };
    // Before the first question: a server that hangs may leave that one unanswered already.
    let outcome = match order.attach(connection.reader.get_ref(), choice) {
        true => connection.introduce(&order.places).and_then(|()| connection.stream(order, chosen)),
        false => Ok(()),
    };
    order.detach();
    match outcome {
        _ if order.choice() != Some(choice) => Ended::Told,
        Ok(()) => Ended::Broken("the stream was ended".into()),
        Err(error) => Ended::Broken(error.to_string()),
    }
}

struct Connection {
    reader: BufReader<UnixStream>,
    version: u16,
    sequence: u32,
    deadline: Option<Instant>,
    message: Vec<u8>,
}

impl Connection {
    /// `None` where there is no server. Everything has to be answered until `deadline`.
    fn open(places: &Places, deadline: Instant) -> Option<Self> {
        let address = SockAddr::unix(places.socket.as_ref()?).ok()?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).ok()?;
        // A server that does not accept would be waited for otherwise.
        socket.set_nonblocking(true).ok()?;
        socket.connect(&address).ok()?;
        socket.set_nonblocking(false).ok()?;
        let reader = BufReader::new(UnixStream::from(OwnedFd::from(socket)));
        let version = protocol::MAX_VERSION;
        Some(Self { reader, version, sequence: 0, deadline: Some(deadline), message: Vec::new() })
    }

    /// The first thing to do.
    fn introduce(&mut self, places: &Places) -> Result<(), ProtocolError> {
        let auth = protocol::AuthParams {
            version: protocol::MAX_VERSION,
            supports_shm: false,
            supports_memfd: false,
            cookie: places.cookie(),
        };
        let reply: protocol::AuthReply = self.ask(Command::Auth(auth))?;
        if reply.version < protocol::MIN_VERSION {
            return Err(ProtocolError::UnsupportedVersion(reply.version));
        }
        self.version = reply.version.min(protocol::MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, NAME);
        let _: protocol::SetClientNameReply = self.ask(Command::SetClientName(props))?;
        Ok(())
    }

    /// One question, one answer. What else comes in between is not waited for at this time.
    fn ask<T: CommandReply>(&mut self, command: Command) -> Result<T, ProtocolError> {
        self.sequence += 1;
        self.message.clear();
        protocol::write_command_message(&mut self.message, self.sequence, &command, self.version)?;
        self.send()?;
        loop {
            let descriptor = self.read_message()?;
            let mut message = Cursor::new(&self.message);
            let is_answer = descriptor.channel == u32::MAX
                && matches!(Command::read_tag_prefixed(&mut message, self.version),
                    Ok((sequence, Command::Reply | Command::Error(_))) if sequence == self.sequence);
            if is_answer {
                let mut whole = Vec::with_capacity(protocol::DESCRIPTOR_SIZE + self.message.len());
                protocol::write_descriptor(&mut whole, &descriptor)?;
                whole.extend(&self.message);
                return Ok(protocol::read_reply_message(&mut Cursor::new(whole), self.version)?.1);
            }
        }
    }

    /// The next message, into `message`.
    fn read_message(&mut self) -> Result<protocol::Descriptor, ProtocolError> {
        let limit = self.deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            left.max(Duration::from_millis(1)) // zero would be no limit
        });
        self.reader.get_ref().set_read_timeout(limit)?;
        self.reader.get_ref().set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let descriptor = protocol::read_descriptor(&mut self.reader)?;
        if descriptor.length > MESSAGE_MAX {
            return Err(ProtocolError::Invalid(format!("{} bytes in a message", descriptor.length)));
        }
        self.message.resize(descriptor.length as usize, 0);
        self.reader.read_exact(&mut self.message)?;
        Ok(descriptor)
    }

    /// Sends `message`, without a signal where nobody reads any more.
    fn send(&self) -> io::Result<()> {
        let socket = SockRef::from(self.reader.get_ref());
        let mut rest = &self.message[..];
        while !rest.is_empty() {
            match socket.send_with_flags(rest, libc::MSG_NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn stream(&mut self, order: &Order, chosen: Option<&str>) -> Result<(), ProtocolError> {
        match order.direction {
            Direction::Capture => self.record(order, chosen),
            Direction::Render => self.play(order, chosen),
        }
    }

    fn play(&mut self, order: &Order, chosen: Option<&str>) -> Result<(), ProtocolError> {
        let reply: protocol::CreatePlaybackStreamReply =
            self.ask(Command::CreatePlaybackStream(protocol::PlaybackStreamParams {
                sample_spec: sample_spec(Direction::Render),
                channel_map: ChannelMap::stereo(),
                sink_name: Some(name(chosen, protocol::DEFAULT_SINK)),
                buffer_attr: BufferAttr {
                    target_length: bytes(Direction::Render, PLAYBACK_BUFFER),
                    minimum_request_length: bytes(Direction::Render, FRAGMENT),
                    pre_buffering: bytes(Direction::Render, FRAGMENT),
                    ..BufferAttr::default()
                },
                flags: flags(),
                props: props(),
                ..protocol::PlaybackStreamParams::default()
            }))?;
        log::debug!("the sound server plays: {:?}", reply.buffer_attr);
        self.deadline = None;
        self.play_some(order, reply.channel, reply.requested_bytes)?;
        loop {
            match self.next(|_| {})? {
                Some(Command::Request(request)) if request.channel == reply.channel => {
                    self.play_some(order, reply.channel, request.length)?;
                }
                Some(Command::PlaybackStreamKilled(_)) => return Ok(()),
                _ => {}
            }
        }
    }

    fn play_some(&mut self, order: &Order, channel: u32, length: u32) -> io::Result<()> {
        const FRAME: usize = 4; // two channels of two bytes
        let mut left = length.min(MESSAGE_MAX) as usize / FRAME * FRAME;
        let mut buffer = [0i16; 960];
        while left > 0 {
            let portion = left.min(buffer.len() * 2);
            let samples = &mut buffer[..portion / 2];
            order.ports.take(|_| samples);
            self.message.clear();
            let mut sound = Vec::with_capacity(portion);
            sound.extend(buffer[..portion / 2].iter().flat_map(|sample| sample.to_le_bytes()));
            protocol::write_memblock(&mut self.message, channel, &sound, 0).map_err(io::Error::other)?;
            self.send()?;
            left -= portion;
        }
        Ok(())
    }

    fn record(&mut self, order: &Order, chosen: Option<&str>) -> Result<(), ProtocolError> {
        let reply: protocol::CreateRecordStreamReply =
            self.ask(Command::CreateRecordStream(protocol::RecordStreamParams {
                sample_spec: sample_spec(Direction::Capture),
                channel_map: ChannelMap::mono(),
                source_name: Some(name(chosen, protocol::DEFAULT_SOURCE)),
                buffer_attr: BufferAttr {
                    fragment_size: bytes(Direction::Capture, FRAGMENT),
                    ..BufferAttr::default()
                },
                flags: flags(),
                props: props(),
                ..protocol::RecordStreamParams::default()
            }))?;
        log::debug!("the sound server records: {:?}", reply.buffer_attr);
        self.deadline = None;
        let mut samples = Vec::new();
        loop {
            let command = self.next(|sound| {
                samples.clear();
                samples.extend(sound.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])));
                order.ports.bring(|_| &samples);
            })?;
            if let Some(Command::RecordStreamKilled(_)) = command {
                return Ok(());
            }
        }
    }

    /// The next thing that the server says: sound, for `heard`, or a command. One that is not known is none.
    fn next(&mut self, heard: impl FnOnce(&[u8])) -> Result<Option<Command>, ProtocolError> {
        let descriptor = self.read_message()?;
        if descriptor.channel != u32::MAX {
            heard(&self.message);
            return Ok(None);
        }
        let command = Command::read_tag_prefixed(&mut Cursor::new(&self.message), self.version);
        Ok(command.ok().map(|(_, command)| command))
    }
}

fn sample_spec(direction: Direction) -> SampleSpec {
    SampleSpec { format: SampleFormat::S16Le, channels: channels(direction), sample_rate: SAMPLE_RATE }
}

fn bytes(direction: Direction, length: Duration) -> u32 {
    (samples(direction, length) * size_of::<i16>()) as u32
}

fn flags() -> StreamFlags {
    StreamFlags { adjust_latency: true, ..Default::default() }
}

fn props() -> Props {
    let mut props = Props::new();
    props.set(Prop::MediaName, NAME);
    props
}

fn name(chosen: Option<&str>, usual: &CStr) -> CString {
    chosen.and_then(|chosen| CString::new(chosen).ok()).unwrap_or_else(|| usual.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_servers_the_first_on_this_machine_is_asked() {
        for (servers, socket) in [
            ("unix:/run/pulse", Some("/run/pulse")),
            ("/run/pulse", Some("/run/pulse")),
            ("{0123abcd}unix:/run/pulse tcp:other:4713", Some("/run/pulse")),
            ("tcp:other:4713 unix:/run/pulse unix:/run/next", Some("/run/pulse")),
            ("tcp:other:4713", None),
            ("{0123abcd", None),
            ("", None),
        ] {
            assert_eq!(socket_of(servers), socket.map(PathBuf::from), "{servers}");
        }
    }
}
