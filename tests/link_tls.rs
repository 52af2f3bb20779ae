//! The link over TLS: who is trusted, and what each failure is called.

mod link_support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use link_support::*;
use opentok::driver::dial::{Target, dial};
use opentok::driver::link::{Link, LinkEvent};
use opentok::driver::proxy::ProxyUrl;
use opentok::session::{Fault, Reason};
use opentok::signal::address::Address;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn write_pem(authority: &Authority, name: &str) -> PathBuf {
    let body = base64::engine::general_purpose::STANDARD.encode(authority.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, pem).expect("a file for the authority");
    path
}

/// The authority that this process trusts, as a user makes it trusted: with `SSL_CERT_FILE`.
fn trusted() -> &'static Authority {
    static TRUSTED: OnceLock<Authority> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let authority = authority("Trusted");
        // SAFETY: the tests read the environment through the standard library alone, which has a lock for it.
        unsafe { std::env::set_var("SSL_CERT_FILE", write_pem(&authority, "trusted.pem")) };
        authority
    })
}

struct Certificate {
    issuer: Option<&'static Authority>,
    names: Vec<String>,
    years: (i32, i32),
    protocol: &'static str,
}

impl Certificate {
    fn good() -> Self {
        let names = vec!["localhost".into(), "127.0.0.1".into()];
        Self { issuer: Some(trusted()), names, years: (2020, 2100), protocol: "http/1.1" }
    }

    fn acceptor(self) -> TlsAcceptor {
        let mut params = CertificateParams::new(self.names).expect("names");
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = match self.issuer {
            Some(issuer) => params.signed_by(&key, issuer),
            None => params.self_signed(&key),
        }
        .expect("a certificate");
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::Pkcs8(key.serialize_der().into()),
                )
                .expect("a server");
        config.alpn_protocols = vec![self.protocol.into()];
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn dial_host(host: &str, certificate: Certificate) -> Result<Link, Fault> {
    let acceptor = certificate.acceptor();
    let (address, _server) = serve(move |stream| async move {
        let stream = acceptor.accept(stream).await?;
        let mut server = tokio_tungstenite::accept_async(stream).await.map_err(std::io::Error::other)?;
        while let Some(Ok(message)) = server.next().await {
            let _ = server.send(message).await;
        }
        std::io::Result::Ok(())
    })
    .await;
    in_time(dial(target(&format!("wss://{host}:{}", address.port())), &request())).await
}

#[tokio::test]
async fn a_trusted_server_is_reached_by_name_and_by_address() {
    for host in ["localhost", "127.0.0.1"] {
        let mut link = dial_host(host, Certificate::good()).await.expect(host);
        for size in [10, 100_000] {
            link.queue(vec![3; size]);
            assert_eq!(next(&mut link).await, LinkEvent::Frame(vec![3; size]));
        }
        in_time(link.farewell(LIMIT)).await;
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_named_by_its_defect() {
    let stranger: &'static Authority = Box::leak(Box::new(authority("Stranger")));
    let good = Certificate::good;
    let cases = [
        (Certificate { years: (2020, 2021), ..good() }, "has expired"),
        (Certificate { years: (2098, 2099), ..good() }, "is not valid yet"),
        (Certificate { names: vec!["other.example".into()], ..good() }, "is not for this name but for "),
        (Certificate { issuer: Some(stranger), ..good() }, "is from an unknown issuer"),
        (Certificate { issuer: None, ..good() }, "is from an unknown issuer"),
    ];
    for (certificate, part) in cases {
        let fault = dial_host("localhost", certificate).await.expect_err(part);
        assert_eq!(fault.reason, Reason::ConnectionFailed);
        assert!(fault.text.contains(part) && fault.text.contains("localhost:"), "{part}: {}", fault.text);
    }
}

#[tokio::test]
async fn an_authority_that_serves_with_its_own_certificate_is_called_self_signed() {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let config = config
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    trusted();
    let (address, _server) = serve(move |stream| async move { acceptor.accept(stream).await.is_ok() }).await;
    let url = format!("wss://localhost:{}", address.port());
    let fault = in_time(dial(target(&url), &request())).await.expect_err("no link");
    assert!(fault.text.contains("is self-signed"), "{}", fault.text);
}

#[tokio::test]
async fn a_server_that_refuses_or_speaks_something_else_is_told_apart() {
    let fault = dial_host("localhost", Certificate { protocol: "h2", ..Certificate::good() }).await;
    let fault = fault.expect_err("no link");
    assert!(fault.text.contains("with the alert NoApplicationProtocol"), "{}", fault.text);
    for (said, part) in
        [("HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"), ("", "cut the connection")]
    {
        let (address, _server) = serve(move |mut stream| async move {
            stream.readable().await.expect("a greeting");
            let mut greeting = [0; 4096];
            let _ = stream.try_read(&mut greeting);
            stream.write_all(said.as_bytes()).await.expect("open");
        })
        .await;
        let url = format!("wss://127.0.0.1:{}", address.port());
        let fault = in_time(dial(target(&url), &request())).await.expect_err("no link");
        assert_eq!(fault.reason, Reason::ConnectionFailed);
        assert!(fault.text.contains(part), "{}", fault.text);
    }
}

#[tokio::test]
async fn a_secure_server_is_reached_through_plain_and_secure_proxies() {
    for secure in [false, true] {
        let acceptor = Certificate::good().acceptor();
        let (server_address, server) = serve(move |stream| async move {
            let stream = acceptor.accept(stream).await.expect("TLS");
            tokio_tungstenite::accept_async(stream).await.is_ok()
        })
        .await;
        let acceptor = Certificate::good().acceptor();
        let (proxy_address, _proxy) = serve(move |stream| async move {
            if secure {
                forward(acceptor.accept(stream).await.expect("TLS"), server_address).await;
            } else {
                forward(stream, server_address).await;
            }
        })
        .await;
        let scheme = if secure { "https" } else { "http" };
        let proxy = ProxyUrl::parse(&format!("{scheme}://{proxy_address}")).expect("a proxy URL");
        let address = Address::parse(&format!("wss://{server_address}")).expect("an address");
        let link = in_time(dial(Target::Tcp { address, proxy: Some(proxy) }, &request())).await;
        assert_eq!(link.expect("a link").peer_addr(), Some(proxy_address));
        assert!(in_time(server).await.expect("the server"));
    }
}

async fn forward<S>(mut stream: S, server: std::net::SocketAddr)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    read_head(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 Go\r\n\r\n").await.expect("open");
    stream.flush().await.expect("open");
    let mut server = TcpStream::connect(server).await.expect("the server");
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}

/// What `client_child` does, and with which server.
const CHILD: &str = "OTC_TEST_TLS_CHILD";
const CHILD_URL: &str = "OTC_TEST_TLS_URL";
const CHILD_PEM: &str = "OTC_TEST_TLS_PEM";

const LINKS: usize = 50;

/// A secure server in this process, the client in another: its trust and its memory are its own.
#[test]
fn trust_is_read_again_when_its_file_changes_and_an_idle_secure_link_costs_little() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let acceptor = Certificate::good().acceptor();
    let pem = write_pem(trusted(), "parent.pem");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let url = format!("wss://localhost:{}", listener.local_addr().expect("its address").port());
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let Ok(mut server) = tokio_tungstenite::accept_async(stream).await else { return };
                let _ = server.send(Message::Binary(vec![0; 500].into())).await;
                while server.next().await.is_some() {}
            });
        }
    });
    let later = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-later.pem", std::process::id()));
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["client_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env(CHILD_URL, &url)
        .env(CHILD_PEM, &pem)
        .env("SSL_CERT_FILE", &later)
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter(|line| line.contains("bytes per link")) {
        println!("{line}");
    }
}

#[test]
fn client_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    /// A quarter of what a whole session may cost.
    const LINK_MEMORY_MAX: usize = 25 << 10;
    let variable = |name| std::env::var(name).expect(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let url = variable(CHILD_URL);
        let fault = in_time(dial(target(&url), &request())).await.expect_err("nothing is trusted yet");
        assert!(fault.text.contains("SSL_CERT_FILE"), "{}", fault.text);
        std::fs::copy(variable(CHILD_PEM), variable("SSL_CERT_FILE")).expect("a copy");
        let mut held = Vec::new();
        let mut before = 0;
        for number in 0..LINKS + 5 {
            if number == 5 {
                before = resident(); // the first ones have brought what is shared
            }
            let mut link = in_time(dial(target(&url), &request())).await.expect("a link");
            assert_eq!(next(&mut link).await, LinkEvent::Frame(vec![0; 500]));
            held.push(link);
        }
        let each = resident().saturating_sub(before) / LINKS;
        println!("idle over TLS: {each} bytes per link");
        assert!(each < LINK_MEMORY_MAX, "{each}");
        let stranger = write_pem(&authority("Stranger"), "stranger.pem");
        std::fs::copy(stranger, variable("SSL_CERT_FILE")).expect("a copy");
        let fault = in_time(dial(target(&url), &request())).await.expect_err("trusted no more");
        assert!(fault.text.contains("unknown issuer"), "{}", fault.text);
    });
}
