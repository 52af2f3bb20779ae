//! Tokens: what a client shows when it joins. Three kinds, recognised by their shape.
//!
//! * classic: `T1==` and base64 of the API key, an HMAC-SHA1 and form data;
//! * platform: the JSON web token of the newer OpenTok and Vonage generators;
//! * LiveKit: the JSON web token with a `video` grant.
//!
//! [`Token::parse`] reads any of them into the same [`Claims`]; [`Token::check`] decides whether they open a session.
//! No clock and no I/O: the time and the secrets are handed in. Nothing here shows a token or a secret, neither in an
//! error nor in `Debug`.

mod claims;
mod classic;
mod error;
mod jwt;
mod order;
mod secrets;

use std::fmt;

pub use claims::{Claims, Grants, Kind, Role, Sources};
pub use classic::classic;
pub use error::TokenError;
pub use jwt::{livekit, platform};
pub use order::{Access, Order};
pub use secrets::Secrets;

/// The largest token that is read. A classic one with a thousand characters of four bytes in its connection data has
/// 16 kB after percent and base64 encoding; this is twice as much.
pub const TOKEN_SIZE_MAX: usize = 32 << 10;

/// The longest session id in characters, as OpenTok documents it.
pub const SESSION_ID_LENGTH_MAX: usize = 255;

/// The longest connection data in characters, as OpenTok documents it. LiveKit's metadata is longer at times; it is
/// read as it is, and only written within this limit.
pub const CONNECTION_DATA_LENGTH_MAX: usize = 1000;

/// How long an OpenTok token may live. LiveKit sets no limit for its own.
pub const LIFETIME_MAX_S: i64 = 30 * 24 * 3600;

/// How long a classic token lives that names no end.
pub const LIFETIME_DEFAULT_S: i64 = 24 * 3600;

/// By how much the clocks of two machines may differ. The same minute that LiveKit's servers allow.
pub const CLOCK_LEEWAY_S: i64 = 60;

/// What a token has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The key that the program gave to its session, where it is known.
    pub api_key: Option<&'a str>,
    pub session_id: &'a str,
    pub secrets: &'a Secrets,
    pub signature: Signature,
}

/// When a signature is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// Always; a key without a secret is refused.
    Required,
    /// Where the secret is known. Without one a well-formed token is taken at its word: on the hub the peer is the
    /// same user.
    IfSecretKnown,
}

/// A token that was read. It is no proof of anything until [`Token::check`] has accepted it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    claims: Claims,
    proof: Proof,
}

/// The signature, and what it was made over.
#[derive(Clone, PartialEq, Eq)]
enum Proof {
    HmacSha1 {
        signed: String,
        tag: Vec<u8>,
    },
    HmacSha256 {
        signed: String,
        tag: Vec<u8>,
    },
    /// Made with a private key; no secret can check it.
    Rsa,
}

impl Token {
    /// Reads a token of any kind. Whether it is signed, current and for this session is asked by [`Self::check`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > TOKEN_SIZE_MAX {
            return Err(TokenError::TooLarge);
        }
        let token = if let Some(encoded) = text.strip_prefix(classic::PREFIX) {
            classic::parse(encoded)?
        } else if text.split('.').count() == 3 {
            jwt::parse(text)?
        } else {
            return Err(TokenError::UnknownKind);
        };
        if too_long(&token.claims.session_id, SESSION_ID_LENGTH_MAX) {
            return Err(TokenError::SessionIdTooLong);
        }
        Ok(token)
    }

    /// What the token says of itself, checked or not.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether the token opens the expected session now.
    pub fn check(&self, now_s: i64, expected: &Expectation) -> Result<Claims, TokenError> {
        self.verify(now_s, expected.api_key, expected.secrets, expected.signature)?;
        let claims = &self.claims;
        if !claims.can_join {
            return Err(TokenError::JoinNotGranted);
        }
        if claims.kind == Kind::LiveKit && claims.identity.is_empty() {
            return Err(TokenError::NoIdentity);
        }
        if expected.session_id.is_empty() {
            return Err(TokenError::NoSession);
        }
        let every_room = claims.kind == Kind::LiveKit && claims.session_id.is_empty();
        if !every_room && claims.session_id != expected.session_id {
            return Err(TokenError::WrongSession);
        }
        Ok(Claims { session_id: expected.session_id.to_owned(), ..claims.clone() })
    }

    /// The part of [`Self::check`] that asks for no session: what a call to the server's own interface needs.
    pub fn verify(
        &self,
        now_s: i64,
        api_key: Option<&str>,
        secrets: &Secrets,
        signature: Signature,
    ) -> Result<(), TokenError> {
        if api_key.is_some_and(|key| key != self.claims.api_key) {
            return Err(TokenError::WrongKey);
        }
        // The signature comes before the times: a forged token learns nothing else.
        match (secrets.find(&self.claims.api_key), signature) {
            (Some(secret), _) => self.proof.verify(secret)?,
            (None, Signature::Required) => return Err(self.proof.refusal_without_secret()),
            (None, Signature::IfSecretKnown) => {}
        }
        self.claims.check_times(now_s)
    }
}

impl Proof {
    fn verify(&self, secret: &str) -> Result<(), TokenError> {
        use aws_lc_rs::hmac;
        let (algorithm, signed, tag) = match self {
            Self::HmacSha1 { signed, tag } => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, signed, tag),
            Self::HmacSha256 { signed, tag } => (hmac::HMAC_SHA256, signed, tag),
            Self::Rsa => return Err(TokenError::SignatureNotCheckable),
        };
        let key = hmac::Key::new(algorithm, secret.as_bytes());
        hmac::verify(&key, signed.as_bytes(), tag).map_err(|_| TokenError::BadSignature)
    }

    fn refusal_without_secret(&self) -> TokenError {
        match self {
            Self::Rsa => TokenError::SignatureNotCheckable,
            Self::HmacSha1 { .. } | Self::HmacSha256 { .. } => TokenError::UnknownKey,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Token")
            .field("kind", &self.claims.kind)
            .field("api_key", &self.claims.api_key)
            .finish_non_exhaustive()
    }
}

fn check_data(data: &str) -> Result<(), TokenError> {
    if too_long(data, CONNECTION_DATA_LENGTH_MAX) { Err(TokenError::DataTooLong) } else { Ok(()) }
}

fn check_lifetime(created_s: i64, expires_s: i64) -> Result<(), TokenError> {
    if expires_s.saturating_sub(created_s) > LIFETIME_MAX_S {
        return Err(TokenError::LifetimeTooLong);
    }
    Ok(())
}

fn too_long(text: &str, length_max: usize) -> bool {
    // No character is shorter than one byte, so most texts need no count.
    text.len() > length_max && text.chars().count() > length_max
}

#[cfg(test)]
mod tests;
