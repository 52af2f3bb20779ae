//! TLS to a server or a proxy: which certificates are trusted, and what a failure means.
//!
//! Trust is the system's own, found as OpenSSL finds it; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace it. The
//! cryptographic provider is passed explicitly: a Rust host may have installed its own for the process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_certs_from_paths};
use tokio_rustls::TlsConnector;

use super::connect;
use super::http::one_line;
use super::wire::Wire;
use crate::session::{Fault, Reason};

/// What the environment names in place of the system's certificates.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Named {
    file: Option<OsString>,
    directories: Option<OsString>,
}

impl Named {
    fn now() -> Self {
        Self { file: std::env::var_os("SSL_CERT_FILE"), directories: std::env::var_os("SSL_CERT_DIR") }
    }
}

/// What was named when a thread of the program last looked.
static NAMED: Mutex<Option<Named>> = Mutex::new(None);

/// Reads from the environment which certificates are trusted. For a thread of the program, which may change its environment
/// at any time: on another thread that would be a race inside the C library.
pub fn look_around() {
    *NAMED.lock() = Some(Named::now());
}

/// Where trust came from: when it changes, the certificates are read again.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Origin {
    named: Named,
    file_changed: Option<SystemTime>,
}

impl Origin {
    fn now() -> Self {
        let named = NAMED.lock().clone().unwrap_or_else(Named::now);
        let file = named.file.as_ref().and_then(|file| std::fs::metadata(file).ok());
        let file_changed = file.and_then(|file| file.modified().ok());
        Self { named, file_changed }
    }
}

/// One for the process: a store of system certificates takes milliseconds to read and some hundred kilobytes to keep.
static TRUST: Mutex<Option<(Origin, Arc<ClientConfig>)>> = Mutex::new(None);

fn config() -> Result<Arc<ClientConfig>, Fault> {
    let mut skipped = Vec::new();
    let config = known_or_loaded(&mut skipped);
    // Nothing is locked any more: the program's logger may wait for a thread that comes here too.
    for error in skipped {
        log::debug!("certificate skipped: {error}");
    }
    config
}

fn known_or_loaded(skipped: &mut Vec<rustls_native_certs::Error>) -> Result<Arc<ClientConfig>, Fault> {
    let origin = Origin::now();
    let mut trust = TRUST.lock();
    if let Some((known, config)) = &*trust
        && *known == origin
    {
        return Ok(config.clone());
    }
    let config = Arc::new(load(&origin, skipped)?);
    *trust = Some((origin, config.clone()));
    Ok(config)
}

fn certificates(named: &Named) -> CertificateResult {
    let directories = named.directories.iter().flat_map(std::env::split_paths);
    let directories: Vec<PathBuf> =
        directories.filter(|directory| !directory.as_os_str().is_empty()).collect();
    if named.file.is_none() && directories.is_empty() {
        return rustls_native_certs::load_native_certs(); // the system's
    }
    let mut found = load_certs_from_paths(named.file.as_ref().map(Path::new), None);
    for directory in directories {
        let more = load_certs_from_paths(None, Some(&directory));
        found.certs.extend(more.certs);
        found.errors.extend(more.errors);
    }
    found
}

fn load(origin: &Origin, skipped: &mut Vec<rustls_native_certs::Error>) -> Result<ClientConfig, Fault> {
    let found = certificates(&origin.named);
    skipped.extend(found.errors);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let remedy = if origin.named.file.is_some() || origin.named.directories.is_some() {
            "look at what SSL_CERT_FILE and SSL_CERT_DIR name"
        } else {
            "install the package ca-certificates, or let SSL_CERT_FILE name a PEM file"
        };
        let text = format!("no trusted certificates were found for a TLS connection; {remedy}");
        return Err(Fault::new(Reason::ConnectionFailed, text));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(Reason::Internal, format!("TLS could not be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Puts TLS over the wire. The server must prove that it is `host`, a name or an address without brackets.
pub(super) async fn secure(wire: Wire, host: &str, port: u16) -> Result<Wire, Fault> {
    let place = connect::display(host, port);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let text = format!("{host} cannot be the name of a TLS server; is the address right?");
        Fault::new(Reason::ConnectionFailed, text)
    })?;
    let connector = TlsConnector::from(config()?);
    match connector.connect(name, wire).await {
        Ok(stream) => Ok(Wire::Secure(Box::new(stream))),
        Err(error) => Err(fault(&error, &place)),
    }
}

/// What an error of a wire means for a session, also of one without TLS. In TLS 1.3 a server may refuse a client
/// after the client's side of the handshake is done, so the error can come with the first read.
pub(super) fn fault(error: &io::Error, place: &str) -> Fault {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return connect::fault(error, place);
    };
    let text = match error {
        rustls::Error::InvalidCertificate(problem) => certificate_problem(problem, place),
        rustls::Error::AlertReceived(alert) => {
            format!("{place} refused the TLS connection with the alert {alert:?}")
        }
        rustls::Error::InvalidMessage(_) => {
            format!("{place} does not speak TLS; is it a ws:// server instead of wss://?")
        }
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            format!("{place} and this library have no version or cipher of TLS in common ({error})")
        }
        other => {
            let detail = one_line(&other.to_string(), 200).unwrap_or_default();
            format!("the TLS connection to {place} failed: {detail}")
        }
    };
    Fault::new(Reason::ConnectionFailed, text)
}

fn certificate_problem(problem: &CertificateError, place: &str) -> String {
    let what = match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; renew it, or set the clock of this machine".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; is the clock of this machine right?".to_owned()
        }
        CertificateError::NotValidForName => "is not for this name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = one_line(&presented.join(", "), 150).unwrap_or_else(|| "no name at all".to_owned());
            format!("is not for this name but for {names}")
        }
        CertificateError::UnknownIssuer => {
            "is from an unknown issuer; if it is your own, let SSL_CERT_FILE name its authority's PEM file"
                .to_owned()
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        // webpki has no variant of its own for a certificate that is its own authority.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "is self-signed; it needs an issuer that this machine trusts".to_owned()
        }
        other => format!("cannot be accepted ({})", one_line(&other.to_string(), 150).unwrap_or_default()),
    };
    format!("the certificate of {place} {what}")
}
