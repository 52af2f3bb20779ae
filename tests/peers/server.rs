//! The three places where a session can be: the embedded hub, `otc serve`, and a real livekit-server.
//!
//! All on loopback, all with the same key and secret, each in a folder of its own that goes when the test ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::child::{self, becomes_true, send_signal, tied};
use crate::{peers, program_c, token};

/// Both servers answer within 100 ms; a machine busy with compilers may need longer.
pub const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const STOP_TRIES: u32 = 20;

/// How often a free port may have been taken by somebody else between our looking and the server's binding.
const PORTS_TRIED: u32 = 5;

/// Enough for the stack of a server that fell over.
const LOG_LINES_SHOWN: usize = 60;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Hub,
    Serve,
    LiveKit,
}

pub struct Server {
    kind: Kind,
    /// Holds the configuration, the log, and the hub's socket.
    folder: PathBuf,
    port: u16,
    /// More lines of livekit-server's configuration, of its section `rtc`, or more words of `otc serve`'s command line.
    more: String,
    child: Option<Child>,
}

impl Server {
    pub fn start(kind: Kind) -> Self {
        Self::start_with(kind, "")
    }

    /// livekit-server with more lines in the section `rtc` of its configuration.
    pub fn livekit_with(rtc: &str) -> Self {
        Self::start_with(Kind::LiveKit, rtc)
    }

    /// Media reaches it by TCP, at the port that is returned, and by no UDP.
    pub fn without_udp(kind: Kind) -> (Self, u16) {
        let port = free_port();
        let more = match kind {
            Kind::Serve => format!("--media-tcp-port {port} --media-tcp-only"),
            Kind::LiveKit => format!("  tcp_port: {port}\n  force_tcp: true\n"),
            Kind::Hub => unreachable!("the hub has no port"),
        };
        (Self::start_with(kind, &more), port)
    }

    fn start_with(kind: Kind, more: &str) -> Self {
        let folder = temporary_folder();
        let mut server = Self { kind, folder, port: 0, more: more.to_owned(), child: None };
        if kind == Kind::Hub {
            return server;
        }
        for _ in 0..PORTS_TRIED {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("{kind:?} does not start:\n{}", server.log());
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where LiveKit's own clients find it.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Where its server API is.
    pub fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Points a program that uses the library to this place, and away from whatever the caller's environment says.
    pub fn configure(&self, command: &mut Command) {
        program_c::point_away(command);
        command.env("XDG_RUNTIME_DIR", &self.folder).env("XDG_CONFIG_HOME", &self.folder);
        match self.kind {
            // With the secret the hub checks signatures, so the same bad tokens are bad everywhere.
            Kind::Hub => command.env("OTC_API_SECRET", token::SECRET),
            Kind::Serve | Kind::LiveKit => command.env("OTC_URL", self.url()),
        };
    }

    /// Ends the server as its operator would, with its clients connected.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        // livekit-server takes the first signal as a wish to wait for its clients to go; the next one means it. Two at once
        // would be merged into one by the kernel, so it is said again until it is heard.
        let status = (0..STOP_TRIES).find_map(|_| {
            send_signal(&child, "TERM");
            child::wait(&mut child, STOP_LIMIT / STOP_TRIES)
        });
        let _ = child.kill();
        let _ = child.wait();
        assert!(status.is_some(), "{:?} did not end within {STOP_LIMIT:?} of SIGTERM", self.kind);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child of ours can be killed");
        let _ = child.wait();
    }

    pub fn freeze(&self) {
        send_signal(self.child.as_ref().expect("it runs"), "STOP");
    }

    pub fn thaw(&self) {
        send_signal(self.child.as_ref().expect("it runs"), "CONT");
    }

    /// After `stop` or `kill`: again, on the same port.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        assert!(self.try_start(), "{:?} does not start again:\n{}", self.kind, self.log());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn try_start(&mut self) -> bool {
        let log =
            File::options().create(true).append(true).open(self.log_path()).expect("the folder is ours");
        let mut command = match self.kind {
            Kind::Hub => unreachable!("the hub is inside the library"),
            Kind::Serve => self.serve_command(),
            Kind::LiveKit => self.livekit_command(),
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be duplicated"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut gone = false;
        becomes_true(START_LIMIT, || {
            gone = child.try_wait().expect("a child of ours can be waited for").is_some();
            gone || answers(self.port)
        });
        if gone || !answers(self.port) {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        self.child = Some(child);
        true
    }

    fn serve_command(&self) -> Command {
        let mut command = tied(Path::new(env!("CARGO_BIN_EXE_otc")));
        let address = format!("127.0.0.1:{}", self.port);
        command.args(["serve", "--listen", &address, "--key", token::KEY, "--secret", token::SECRET]);
        command.args(self.more.split_whitespace());
        command
    }

    fn livekit_command(&self) -> Command {
        let configuration = self.folder.join("livekit.yaml");
        fs::write(&configuration, livekit_configuration(self.port, &self.more)).expect("the folder is ours");
        let mut command = tied(&peers::livekit_server());
        command.arg("--config").arg(configuration);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("the last lines of the log of {:?}:\n{}", self.kind, tail.join("\n"));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Nothing of it leaves the loopback interface: without a STUN entry of our own it would name public servers to its clients,
/// without `node_ip` it would ask one for its own address. It takes media by UDP alone, unless `rtc` names a port for TCP.
fn livekit_configuration(port: u16, rtc: &str) -> String {
    let tcp_port = if rtc.contains("tcp_port:") { "" } else { "  tcp_port: 0\n" };
    format!(
        r#"port: {port}
bind_addresses: ["127.0.0.1"]
rtc:
{tcp_port}  port_range_start: 21000
  port_range_end: 21999
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces: {{ includes: [lo] }}
  stun_servers: ["127.0.0.1:9"]
{rtc}keys:
  {key}: {secret}
logging: {{ level: info }}
"#,
        key = token::KEY,
        secret = token::SECRET
    )
}

/// A folder of mode 0700, as the hub demands of a runtime directory.
pub fn temporary_folder() -> PathBuf {
    use std::os::unix::fs::DirBuilderExt;

    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Short on purpose: the path of a Unix socket has room for 107 bytes.
    let folder = std::env::temp_dir().join(format!("otc-peers-{}-{number}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&folder).expect("the temporary folder can be made");
    folder
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// For what would take a request for a mistake.
pub fn is_listening(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Any answer to a plain HTTP request will do: it means that the server has begun to serve.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut start = [0; 5];
    stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_exact(&mut start).is_ok()
        && &start == b"HTTP/"
}
