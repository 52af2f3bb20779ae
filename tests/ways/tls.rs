//! `wss://`: a server behind something that ends its TLS, as most are.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::program::Way;
use crate::server::Server;
use crate::token::good;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn trust_in(way: &Way, authority: &Authority) -> PathBuf {
    let body = STANDARD.encode(authority.der());
    way.folder
        .write("trust.pem", &format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"))
}

/// The port at which TLS to this server begins.
fn secure(server: &Server, issuer: &Authority, names: &[&str]) -> u16 {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let port = server.port;
    server.beside(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // What fails here is what the client has to tell.
            let Ok(mut outside) = acceptor.accept(stream).await else { return };
            let mut inside = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        }
    })
}

/// The program with trust in an authority.
fn trusting(mode: &str, authority: &Authority) -> Way {
    let way = Way::without_hub(mode);
    let trust = trust_in(&way, authority);
    way.env("SSL_CERT_FILE", trust)
}

#[test]
fn a_server_behind_tls_is_reached_and_moderates() {
    let (server, trusted) = (Server::start(), authority("Trusted"));
    let port = secure(&server, &trusted, &["localhost", "127.0.0.1"]);
    for host in ["localhost", "127.0.0.1"] {
        let way = trusting("each", &trusted).env("OTC_URL", format!("wss://{host}:{port}"));
        way.arg(good("one")).run().is_connected();
    }
    let way = trusting("host", &trusted).arg("localhost").arg("").arg(port.to_string()).arg("1");
    way.arg(good("one")).run().is_connected();
    let way = trusting("moderate", &trusted).env("OTC_URL", format!("https://localhost:{port}"));
    assert_eq!(way.arg(good("one")).arg(good("two")).run().lines, ["force disconnect 0", "removed"]);
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_an_error_that_names_the_cause() {
    let (server, trusted) = (Server::start(), authority("Trusted"));
    let way = |port: u16| {
        trusting("each", &trusted).env("OTC_URL", format!("wss://localhost:{port}")).arg(good("one"))
    };
    let port = secure(&server, &authority("Stranger"), &["localhost"]);
    way(port).run().is_error(1006, &["certificate", "unknown issuer", "SSL_CERT_FILE"]);
    let port = secure(&server, &trusted, &["another.test"]);
    way(port).run().is_error(1006, &["certificate", "not for this name", "another.test"]);
    // No TLS at all.
    way(server.port).run().is_error(1006, &["does not speak TLS", "ws://"]);
    let missing = way(port).env("SSL_CERT_FILE", "/nowhere/at/all.pem");
    missing.run().is_error(1006, &["SSL_CERT_FILE"]);
}
