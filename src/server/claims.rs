//! Who may come in: the one place where the server looks at tokens.

use std::fmt;

use aws_lc_rs::digest;

use crate::signal::join::JoinQuery;
use crate::signal::token::{
    CLOCK_LEEWAY_S, Claims, Expectation, SESSION_ID_LENGTH_MAX, Secrets, Signature, Token, TokenError,
};

/// How a client reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Locality {
    /// Over the hub's socket: a process of the same user. Its token is taken at its word where no secret is known, and a
    /// cut link means that it died.
    Local,
    /// Over TCP.
    Remote,
}

/// Why a client may not come in: an HTTP status and a sentence for a person. Never contains a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub text: String,
}

impl Refusal {
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    fn token(error: TokenError) -> Self {
        let status = match error {
            TokenError::SessionIdTooLong | TokenError::NoSession => 404,
            _ => 401,
        };
        Self::new(status, error.text())
    }
}

/// Tells whether two tokens are the same one, without keeping either.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub fn of(token: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest.as_ref()[..16]);
        Self(short)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint")
    }
}

/// A client that may come in. Made by [`super::Server::admit`] before the link is opened, used up by opening it.
#[derive(Debug, Clone)]
pub struct Admission {
    pub(super) query: JoinQuery,
    pub(super) claims: Claims,
    pub(super) fingerprint: Fingerprint,
    pub(super) locality: Locality,
}

/// The room a client wants: the one its URL names, else its token's.
pub(super) fn room<'a>(query: &'a JoinQuery, token: &'a Token) -> Result<&'a str, Refusal> {
    let room = query.room.as_deref().unwrap_or(&token.claims().session_id);
    if room.chars().count() > SESSION_ID_LENGTH_MAX {
        return Err(Refusal::new(404, "The session id is longer than 255 characters."));
    }
    Ok(room)
}

pub(super) fn parse(token: &str) -> Result<Token, Refusal> {
    Token::parse(token).map_err(Refusal::token)
}

/// Whether the token opens the room.
pub(super) fn check(
    token: &Token,
    room: &str,
    query: &JoinQuery,
    now_s: i64,
    secrets: &Secrets,
    locality: Locality,
) -> Result<Claims, Refusal> {
    let signature = signature(locality);
    let now_s = match query.keep_created_ms {
        // Who was in the session before its token expired stays in it, also when the hub moves to another process.
        Some(created_ms) if query.keep_sid.is_some() && is_believed(token, secrets, locality) => {
            now_s.min(created_ms / 1000)
        }
        _ => now_s,
    };
    let now_s = not_before_its_start(token, now_s, secrets, locality);
    let expected = Expectation { api_key: query.api_key.as_deref(), session_id: room, secrets, signature };
    token.check(now_s, &expected).map_err(Refusal::token)
}

/// Whether the word of the client is all there is: no signature is checked.
fn is_believed(token: &Token, secrets: &Secrets, locality: Locality) -> bool {
    locality == Locality::Local && secrets.find(&token.claims().api_key).is_none()
}

/// When a token is looked at. Machines without a clock of their own begin in the past, and their programs are to meet all the
/// same: a token from the future is looked at in its first second where clients are believed.
fn not_before_its_start(token: &Token, now_s: i64, secrets: &Secrets, locality: Locality) -> i64 {
    match token.claims().start_s() {
        Some(start_s)
            if start_s.saturating_sub(now_s) > CLOCK_LEEWAY_S && is_believed(token, secrets, locality) =>
        {
            let ahead_s = start_s.saturating_sub(now_s);
            log::warn!("hub: a token begins in {ahead_s} s; is the clock of this machine right? It is taken");
            start_s
        }
        _ => now_s,
    }
}

fn signature(locality: Locality) -> Signature {
    match locality {
        Locality::Local => Signature::IfSecretKnown,
        Locality::Remote => Signature::Required,
    }
}

/// Checks a token that only shows who calls the server's own interface; the rights are the caller's business.
pub fn caller(token: &str, now_s: i64, secrets: &Secrets, locality: Locality) -> Result<Claims, Refusal> {
    let token = parse(token)?;
    let now_s = not_before_its_start(&token, now_s, secrets, locality);
    token.verify(now_s, None, secrets, signature(locality)).map_err(Refusal::token)?;
    Ok(token.claims().clone())
}
