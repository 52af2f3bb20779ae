//! What is told again and again: of what waits for the callback thread there is never more than the newest.

use parking_lot::Mutex;

/// Holds a value until it is told, or the next one takes its place.
pub(super) struct Newest<T>(Mutex<Option<T>>);

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Newest<T> {
    /// Whether none has waited: then somebody has to be sent who [takes](Self::take) it.
    pub fn put(&self, value: T) -> bool {
        let before = self.0.lock().replace(value);
        before.is_none()
    }

    pub fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}
