//! A tunnel through an HTTP proxy (CONNECT, RFC 9110 9.3.6).
//!
//! The proxy is the one that the program's settings name, and no other: `http_proxy` and its kin in the environment
//! are not read, since a library that suddenly goes through a proxy surprises its program.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::connect;
use super::http::{self, HeadError};
use super::tls;
use super::wire::Wire;
use crate::session::{Fault, Reason};

/// `http://user:password@host:port`, or `https://…` for TLS to the proxy itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    secure: bool,
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProxyUrl({})", self.place())
    }
}

impl ProxyUrl {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let malformed = |what: &str| {
            Fault::new(
                Reason::ConnectionFailed,
                format!("the proxy URL {what}; it looks like http://user:password@host:port"),
            )
        };
        let url = Url::parse(text).map_err(|error| malformed(&format!("is malformed ({error})")))?;
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(malformed("has another scheme than http and https")),
        };
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            None => return Err(malformed("names no host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| malformed("names no port"))?;
        let password = url.password();
        let authorization = (!url.username().is_empty() || password.is_some()).then(|| {
            let mut credentials = percent_decode(url.username());
            credentials.push(b':');
            credentials.extend(percent_decode(password.unwrap_or_default()));
            format!("Basic {}", STANDARD.encode(credentials))
        });
        Ok(Self { secure, host, port, authorization })
    }

    pub(super) fn place(&self) -> String {
        format!("the proxy {}", connect::display(&self.host, self.port))
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |index: usize| tail.get(index).and_then(|digit| char::from(*digit).to_digit(16));
        let decoded = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        match decoded.filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    bytes
}

/// A wire that ends at `host:port`, through the proxy where there is one.
pub(super) async fn open(proxy: Option<&ProxyUrl>, host: &str, port: u16) -> Result<Wire, Fault> {
    match proxy {
        Some(proxy) => tunnel(proxy, host, port).await,
        None => Ok(Wire::Plain(connect::connect(host, port).await?.into())),
    }
}

/// What is said of a wire that was not there in time.
pub(super) fn late(proxy: Option<&ProxyUrl>, place: &str) -> Fault {
    let way = proxy.map(|proxy| format!(" through {}", proxy.place())).unwrap_or_default();
    Fault::new(Reason::TimedOut, format!("{place} was not reached in time{way}"))
}

/// The proxy resolves the name.
async fn tunnel(proxy: &ProxyUrl, host: &str, port: u16) -> Result<Wire, Fault> {
    let place = proxy.place();
    let stream = connect::connect(&proxy.host, proxy.port)
        .await
        .map_err(|fault| Fault::new(fault.reason, format!("the proxy cannot be reached: {}", fault.text)))?;
    let mut wire = Wire::Plain(stream.into());
    if proxy.secure {
        wire = tls::secure(wire, &proxy.host, proxy.port).await?;
    }
    let target = connect::display(host, port);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    let sent = async {
        wire.write_all(request.as_bytes()).await?;
        wire.flush().await
    };
    sent.await.map_err(|error| connect::fault(&error, &place))?;
    let head = http::read_head(&mut wire).await.map_err(|error| match error {
        HeadError::Io(error) => connect::fault(&error, &place),
        HeadError::NotHttp | HeadError::TooLarge | HeadError::Closed(_) => {
            Fault::new(Reason::ConnectionFailed, format!("{place} does not answer as an HTTP proxy does"))
        }
    })?;
    match head.status {
        // A server speaks second, in TLS and in HTTP. What comes before that is not its.
        200..300 if head.rest.is_empty() => Ok(wire),
        200..300 => Err(Fault::new(
            Reason::ConnectionFailed,
            format!("{place} sent more than its answer; it is no proxy for CONNECT"),
        )),
        status => Err(refusal(status, &place, &target, proxy.authorization.is_some())),
    }
}

fn refusal(status: u16, place: &str, target: &str, had_credentials: bool) -> Fault {
    let text = match status {
        // Some say 401 of what they want for themselves.
        401 | 407 if had_credentials => {
            format!("{place} does not accept the user and password of the proxy URL (HTTP {status})")
        }
        407 => format!("{place} wants a user and a password (HTTP 407); put them into the proxy URL"),
        403 | 405 => format!("{place} does not allow connections to {target} (HTTP {status})"),
        502 | 503 => format!("{place} cannot reach {target} (HTTP {status}); is the server running?"),
        504 | 408 => format!("{place} had no answer from {target} in time (HTTP {status})"),
        _ => format!("{place} did not connect to {target} (HTTP {status})"),
    };
    let reason = if matches!(status, 408 | 504) { Reason::TimedOut } else { Reason::ConnectionFailed };
    Fault::new(reason, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy = ProxyUrl::parse("http://us%40er:p%3Aa%25ss@proxy.example:3128").expect("a proxy URL");
        assert_eq!(
            proxy.authorization.as_deref(),
            Some(format!("Basic {}", STANDARD.encode("us@er:p:a%ss")).as_str())
        );
        assert_eq!(format!("{proxy:?}"), "ProxyUrl(the proxy proxy.example:3128)");
    }

    #[test]
    fn a_malformed_proxy_url_is_refused_without_its_secret() {
        for text in ["", "proxy:3128", "socks5://u:hidden@h:1", "http://u:hidden@h:99999", "http://"] {
            let fault = ProxyUrl::parse(text).expect_err(text);
            assert!(!fault.text.contains("hidden"), "{}", fault.text);
        }
    }

    #[test]
    fn an_ipv6_proxy_stands_in_brackets_only_where_it_is_shown() {
        let proxy = ProxyUrl::parse("https://[::1]:8443").expect("a proxy URL");
        assert_eq!((proxy.host.as_str(), proxy.secure), ("::1", true));
        assert_eq!(proxy.place(), "the proxy [::1]:8443");
    }
}
