//! The secret that media is encrypted with.

use super::super::{Error, logger};
use super::{Phase, Session};
use crate::driver::workers::Workers;

/// The lengths a secret may have, in characters: in bytes one of other letters than Latin ones would have half the room.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

impl Session {
    /// For what is published from now on, and for what is received. Streams that were published with another secret go on
    /// with this one.
    pub fn set_encryption_secret(&self, secret: &str) -> Result<(), Error> {
        if !SECRET_LENGTH.contains(&secret.chars().count()) {
            return Err(Error::InvalidEncryptionSecret);
        }
        let _held = logger::hold();
        let inner = self.inner.lock();
        if !self.keyring.is_set() && !inner.publishers.is_empty() {
            log::warn!("the first encryption secret came late: what is published already stays readable");
        }
        self.keyring.set(secret);
        // Where nothing is connected the key is made when something is.
        if let (true, Some(equipment)) = (inner.phase.is_under_way(), &inner.equipment) {
            self.make_key(&equipment.workers);
        }
        Ok(())
    }

    /// On a thread of its own: it takes longer than a call may, and nobody else's sound waits for it.
    pub(super) fn make_key(&self, workers: &Workers) {
        if !self.keyring.lacks_key() {
            return;
        }
        let keyring = self.keyring.clone();
        if let Err(error) = workers.spawn("otc-secret", move || keyring.derive()) {
            log::error!("no thread for the key of the encryption secret: {error}");
        }
    }
}

impl Phase {
    fn is_under_way(self) -> bool {
        match self {
            Self::Connecting | Self::Connected | Self::Reconnecting => true,
            Self::Idle | Self::Disconnecting | Self::Deleted => false,
        }
    }
}
