//! The secret of a session, and the key that is made of it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::pbkdf2;
use parking_lot::RwLock;

/// What LiveKit's clients make their keys with: PBKDF2 with HMAC-SHA-256.
const SALT: &[u8] = b"LKFrameEncryptionKey";
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const KEY_SIZE: usize = 16;

/// The key of a session, for all its senders and receivers. Clones are the same.
#[derive(Clone, Default)]
pub struct Keyring(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    /// Counts the secrets.
    newest: u64,
    /// No key has been made of it yet.
    secret: Option<Secret>,
    key: Option<Numbered>,
}

/// The key of the secret with this number.
#[derive(Clone)]
pub(super) struct Numbered {
    pub number: u64,
    pub key: Arc<LessSafeKey>,
}

/// Overwritten when it has been used.
struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // The compiler may not know that nobody looks at it any more.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Keyring {
    /// Neither the secret nor the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// From now on. The key before is used until [`Self::derive`] has made this one's.
    pub fn set(&self, secret: &str) {
        let mut state = self.0.write();
        state.newest += 1;
        state.secret = Some(Secret(secret.as_bytes().to_vec()));
    }

    /// Makes the key of a new secret, if there is one. It takes a good part of a tenth of a second, which is what makes
    /// guessing expensive: not for a thread that somebody waits for.
    pub fn derive(&self) {
        let (number, secret) = {
            let mut state = self.0.write();
            let Some(secret) = state.secret.take() else { return };
            (state.newest, secret)
        };
        let Some(key) = key(&secret) else {
            log::error!("no key could be made of the encryption secret");
            return;
        };
        let mut state = self.0.write();
        // Where two threads are at it, the newer secret counts.
        if state.key.as_ref().is_none_or(|present| present.number < number) {
            state.key = Some(Numbered { number, key: Arc::new(key) });
        }
    }

    /// Whether there is a secret, be its key ready or not.
    pub fn is_set(&self) -> bool {
        self.0.read().newest > 0
    }

    /// Whether there is a secret whose key nobody has begun to make.
    pub fn lacks_key(&self) -> bool {
        self.0.read().secret.is_some()
    }

    /// Counts the secrets: another number, another secret.
    pub fn number(&self) -> u64 {
        self.0.read().newest
    }

    pub(super) fn current(&self) -> Option<Numbered> {
        self.0.read().key.clone()
    }
}

fn key(secret: &Secret) -> Option<LessSafeKey> {
    let mut bytes = [0; KEY_SIZE];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, SALT, &secret.0, &mut bytes);
    let key = UnboundKey::new(&AES_128_GCM, &bytes).ok().map(LessSafeKey::new);
    bytes.fill(0);
    std::hint::black_box(&bytes);
    key
}
