//! Frames, pixels, samples and codecs.
//!
//! Empty so far: a session without media is complete, and nothing below it needs a picture.
