//! As much of HTTP/1.1 as a client needs that asks one question: the head of the answer, and a refusal's few words.
//!
//! The WebSocket library's own handshake gives up the stream when the answer is not 101, and with it the body that
//! says why. So the question is asked here, and the library takes over where WebSocket begins.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::wire::Wire;

/// Room for the head of an answer: far more than servers send, little enough for a stranger's endless header.
const HEAD_SIZE_MAX: usize = 16 * 1024;

/// More header fields than any proxy chain adds.
const HEADERS_MAX: usize = 64;

/// A sentence fits; a page of HTML does not have to.
const BODY_SIZE_MAX: usize = 4 * 1024;

/// How long the body of a refusal is waited for. The refusal itself is known by then and should not be kept waiting.
const BODY_LIMIT: Duration = Duration::from_secs(1);

/// What a person reads in one go.
const SENTENCE_LENGTH_MAX: usize = 300;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
    /// What was read beyond the head.
    pub rest: Vec<u8>,
}

/// Why there is no head.
#[derive(Debug)]
pub(super) enum HeadError {
    NotHttp,
    TooLarge,
    /// The connection ended first; the number of bytes that had come.
    Closed(usize),
    Io(io::Error),
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated header has this word, in any case.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// `None`: more bytes are needed.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => Ok(Some(Self {
                status: response.code.unwrap_or(0),
                headers: response
                    .headers
                    .iter()
                    .map(|header| {
                        (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
                    })
                    .collect(),
                rest: bytes.get(length..).unwrap_or_default().to_vec(),
            })),
            Ok(httparse::Status::Partial) => Ok(None),
            Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLarge),
            Err(_) => Err(HeadError::NotHttp),
        }
    }
}

/// Reads the head of the final answer. Interim ones (100 to 199 except 101) are skipped, as RFC 9110 15.2 asks.
pub(super) async fn read_head(wire: &mut Wire) -> Result<Head, HeadError> {
    let mut bytes = Vec::new();
    loop {
        match Head::parse(&bytes)? {
            Some(head) if head.status != 101 && (100..200).contains(&head.status) => {
                bytes = head.rest;
                continue;
            }
            Some(head) => return Ok(head),
            None if bytes.len() >= HEAD_SIZE_MAX => return Err(HeadError::TooLarge),
            None => {}
        }
        if wire.read_buf(&mut bytes).await.map_err(HeadError::Io)? == 0 {
            return Err(HeadError::Closed(bytes.len()));
        }
    }
}

/// The body as one line of text, if it is text and comes in time. `secret` never shows in it: some servers quote what
/// they refuse.
pub(super) async fn read_sentence(wire: &mut Wire, head: &Head, secret: &str) -> Option<String> {
    let kind = head.header("content-type").unwrap_or("text/plain").to_ascii_lowercase();
    let is_text = kind.starts_with("text/plain") || kind.starts_with("application/") && kind.contains("json");
    if !is_text || matches!(head.status, 204 | 304) {
        return None;
    }
    let mut raw = head.rest.clone();
    let _ = timeout(BODY_LIMIT, async {
        while raw.len() < BODY_SIZE_MAX && !body(head, &raw).1 {
            match wire.read_buf(&mut raw).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    })
    .await;
    sentence(&body(head, &raw).0, secret)
}

/// The body as far as it has come, and whether that is all of it.
fn body(head: &Head, raw: &[u8]) -> (Vec<u8>, bool) {
    if head.has_word("transfer-encoding", "chunked") {
        return unchunk(raw);
    }
    match head.header("content-length").and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => (raw.get(..length).unwrap_or(raw).to_vec(), raw.len() >= length),
        None => (raw.to_vec(), false), // the end of the connection is the end of the body
    }
}

fn unchunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(raw) {
            Ok(httparse::Status::Complete((_, 0))) | Err(_) => return (body, true),
            Ok(httparse::Status::Complete((start, size))) => {
                (start, usize::try_from(size).unwrap_or(usize::MAX))
            }
            Ok(httparse::Status::Partial) => return (body, false),
        };
        let chunk = raw.get(start..).unwrap_or_default();
        let Some(rest) = size.checked_add(2).and_then(|size| chunk.get(size..)) else {
            body.extend_from_slice(chunk.get(..size).unwrap_or(chunk));
            return (body, false);
        };
        body.extend_from_slice(&chunk[..size]); // `rest` begins behind it
        raw = rest;
    }
}

fn sentence(body: &[u8], secret: &str) -> Option<String> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // Cut within a character by our own limit.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(body.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let text = if secret.is_empty() { text.to_owned() } else { text.replace(secret, "(secret)") };
    one_line(&text, SENTENCE_LENGTH_MAX)
}

/// Without control characters and runs of space, and not longer than `length_max` characters. `None` when nothing is
/// left.
pub(super) fn one_line(text: &str, length_max: usize) -> Option<String> {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line: String =
        spaced.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(length_max).collect();
    Some(line).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).expect("HTTP").expect("a whole head")
    }

    #[test]
    fn a_chunked_body_is_put_together_and_its_end_is_seen() {
        let head = head("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(body(&head, b"3\r\nbad\r\n6\r\n token\r\n0\r\n\r\n"), (b"bad token".to_vec(), true));
        assert_eq!(body(&head, b"3\r\nbad\r\n6\r\n tok"), (b"bad tok".to_vec(), false));
        assert_eq!(body(&head, b"3\r\nbad"), (b"bad".to_vec(), false));
        assert_eq!(body(&head, b"ffffffffffffffff\r\nbad"), (b"bad".to_vec(), false));
        assert_eq!(body(&head, b"nonsense\r\n"), (Vec::new(), true));
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let head = head("HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nbad and more");
        assert_eq!(body(&head, &head.rest), (b"bad".to_vec(), true));
    }

    #[test]
    fn a_sentence_is_one_short_line_without_the_secret() {
        let long = format!("bad\r\n\x1b[31m token:\tT0K3N{}", "x".repeat(1000));
        let line = sentence(long.as_bytes(), "T0K3N").expect("text");
        assert!(line.starts_with("bad [31m token: (secret)xxx"), "{line}");
        assert_eq!(line.chars().count(), SENTENCE_LENGTH_MAX);
        assert_eq!(sentence(b"\xff\xfe\x00binary", ""), None);
        assert_eq!(sentence(b" \r\n", ""), None);
        assert_eq!(
            sentence("abgeschnitten ü".as_bytes().split_last().expect("bytes").1, ""),
            Some("abgeschnitten".into())
        );
    }
}
