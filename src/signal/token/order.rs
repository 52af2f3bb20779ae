//! What is wanted of a new token.

use super::{Grants, Role, SESSION_ID_LENGTH_MAX, TokenError, check_data, check_lifetime, too_long};

/// What is wanted of a new OpenTok token, for [`super::classic`] and [`super::platform`].
///
/// Not `Debug`: it holds the secret.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub api_key: &'a str,
    pub secret: &'a str,
    pub session_id: &'a str,
    pub role: Role,
    pub connection_data: &'a str,
    pub created_s: i64,
    pub expires_s: i64,
    /// Makes two tokens of one second differ.
    pub nonce: u64,
}

/// What is wanted of a new LiveKit token, for [`super::livekit`].
///
/// Not `Debug`: it holds the secret.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    pub api_key: &'a str,
    pub secret: &'a str,
    /// Empty: every room.
    pub room: &'a str,
    pub identity: &'a str,
    pub name: &'a str,
    pub metadata: &'a str,
    pub grants: Grants,
    /// False for tokens that only open the server's own interface.
    pub can_join: bool,
    pub can_create_rooms: bool,
    pub can_list_rooms: bool,
    pub created_s: i64,
    pub expires_s: i64,
}

impl Order<'_> {
    pub(super) fn check(&self) -> Result<(), TokenError> {
        check_new(self.api_key, self.secret, self.connection_data, self.created_s, self.expires_s)?;
        if self.session_id.is_empty() {
            return Err(TokenError::NoSession);
        }
        if too_long(self.session_id, SESSION_ID_LENGTH_MAX) {
            return Err(TokenError::SessionIdTooLong);
        }
        check_lifetime(self.created_s, self.expires_s)
    }
}

impl Access<'_> {
    pub(super) fn check(&self) -> Result<(), TokenError> {
        check_new(self.api_key, self.secret, self.metadata, self.created_s, self.expires_s)?;
        if self.can_join && self.identity.is_empty() {
            return Err(TokenError::NoIdentity);
        }
        if too_long(self.room, SESSION_ID_LENGTH_MAX) {
            return Err(TokenError::SessionIdTooLong);
        }
        Ok(())
    }
}

/// What a new token of every kind has to have.
fn check_new(key: &str, secret: &str, data: &str, created_s: i64, expires_s: i64) -> Result<(), TokenError> {
    if key.is_empty() {
        return Err(TokenError::NoKey);
    }
    if secret.is_empty() {
        return Err(TokenError::NoSecret);
    }
    if expires_s <= created_s {
        return Err(TokenError::Expired);
    }
    check_data(data)
}
