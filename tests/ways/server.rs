//! The library's own server, and other things that listen, in this process.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use opentok::server::{Config, Running, serve_tcp};
use opentok::signal::token::Secrets;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::token::{KEY, SECRET};

const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A server that knows the key of the tests. Ends with the test.
pub struct Server {
    pub runtime: Runtime,
    running: Option<Running>,
    pub port: u16,
    /// Where it takes streams for media; 0 where it takes none.
    pub media_port: u16,
}

/// Containers may be without. Then what needs it is left out, and says so.
pub fn has_ipv6() -> bool {
    let found = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !found {
        println!("no IPv6 on this machine: not tested");
    }
    found
}

impl Server {
    pub fn start() -> Self {
        Self::with(None, Ipv4Addr::LOCALHOST.into())
    }

    /// Media reaches it by TCP, and by no UDP.
    pub fn without_udp() -> Self {
        let config = Config { media_tcp_port: Some(0), media_tcp_only: true, ..Config::default() };
        Self::of(config, Ipv4Addr::LOCALHOST.into())
    }

    pub fn with(connections_max: Option<u32>, host: IpAddr) -> Self {
        Self::of(Config { connections_max, ..Config::default() }, host)
    }

    fn of(config: Config, host: IpAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let secrets: Secrets = [(KEY, SECRET)].into_iter().collect();
        let config = Config { secrets, ..config };
        let running = runtime.block_on(serve_tcp(config, &[SocketAddr::new(host, 0)])).expect("a server");
        let port = running.addresses()[0].port();
        let media_port = running.media_addresses().first().map_or(0, SocketAddr::port);
        Self { runtime, running: Some(running), port, media_port }
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Something else that listens, as long as the server does: each connection is handed to `serve`.
    pub fn beside<F, Fut>(&self, serve: F) -> u16
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener =
            self.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(STOP_LIMIT));
        }
    }
}
