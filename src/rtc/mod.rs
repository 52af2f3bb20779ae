//! A peer connection as a value.
