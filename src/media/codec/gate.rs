//! Keeps a decoder from going on after it has lost its way.

use super::CodecError;
use crate::media::Picture;

/// Closed at first and after every error, opened by a key frame. What comes while it is closed is an error too, so that
/// the caller asks for a key frame again.
#[derive(Default)]
pub struct Gate {
    is_open: bool,
}

impl Gate {
    pub fn close(&mut self) {
        self.is_open = false;
    }

    pub fn pass(
        &mut self,
        is_key: bool,
        decode: impl FnOnce() -> Result<Option<Picture>, CodecError>,
    ) -> Result<Option<Picture>, CodecError> {
        if !self.is_open && !is_key {
            return Err(CodecError::Malformed);
        }
        let outcome = decode();
        self.is_open = outcome.is_ok();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_error_only_a_key_frame_passes() {
        let mut gate = Gate::default();
        assert!(gate.pass(false, || Ok(None)).is_err());
        assert!(gate.pass(true, || Ok(None)).is_ok());
        assert!(gate.pass(false, || Ok(None)).is_ok());
        assert!(gate.pass(false, || Err(CodecError::Malformed)).is_err());
        assert!(gate.pass(false, || Ok(None)).is_err());
        assert!(gate.pass(true, || Ok(None)).is_ok());
    }
}
