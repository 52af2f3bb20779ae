//! Transformers: the program's own functions on pictures and sound, before they are encoded and before they are shown.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::frame::Picture;
use crate::driver::callbacks::{self, Gate};
use crate::media::audio::{Processing, Switches};

pub trait VideoTransform: Send + Sync + 'static {
    /// Changes a picture in place.
    fn transform(&self, picture: Picture) -> Picture;
}

pub trait AudioTransform: Send + Sync + 'static {
    /// Changes 10 ms of sound in place, interleaved, at 48 kHz.
    fn transform(&self, step: &mut [i16], channels: u8);
}

/// Transformers in the order in which they work. They are kept for as long as they are in use, whoever deletes them.
pub struct Chain<T: ?Sized> {
    gate: Gate,
    links: Vec<Arc<T>>,
}

impl<T: ?Sized> Chain<T> {
    pub fn new(links: Vec<Arc<T>>) -> Arc<Self> {
        Arc::new(Self { gate: Gate::default(), links })
    }

    /// None of them is called any more. Waits for nothing.
    pub fn shut(&self) {
        self.gate.shut();
    }

    /// As above. One that runs is waited for until `deadline`, and not at all inside a callback.
    pub fn close(&self, deadline: Instant) {
        self.gate.close(deadline);
    }
}

impl Chain<dyn VideoTransform> {
    /// `is_wanted` is looked at before each of them.
    pub fn change(&self, picture: &mut Picture, is_wanted: impl Fn() -> bool) {
        let whole = std::mem::replace(picture, nothing());
        *picture = self.apply(whole, is_wanted);
    }

    fn apply(&self, picture: Picture, is_wanted: impl Fn() -> bool) -> Picture {
        // Handed on whole: a picture that nobody else holds is changed without a copy.
        let mut picture = Some(picture);
        for link in self.links.iter().take_while(|_| is_wanted()) {
            // The program's code: what it calls may not wait for this thread.
            self.gate
                .pass(|| callbacks::enter(|| picture = picture.take().map(|whole| link.transform(whole))));
        }
        picture.unwrap_or_else(nothing)
    }
}

/// What is left of a picture whose transformer panicked.
fn nothing() -> Picture {
    Picture::black(2, 2).expect("a size that pictures have")
}

impl Chain<dyn AudioTransform> {
    /// `is_wanted` is looked at before each of them.
    pub fn apply(&self, step: &mut [i16], channels: u8, is_wanted: impl Fn() -> bool) {
        for link in self.links.iter().take_while(|_| is_wanted()) {
            self.gate.pass(|| callbacks::enter(|| link.transform(step, channels)));
        }
    }
}

/// Steady noise is taken out.
pub struct NoiseSuppression(Mutex<Processing>);

impl Default for NoiseSuppression {
    fn default() -> Self {
        Self(Mutex::new(Processing::new(Switches { suppresses_noise: true, ..Switches::NONE })))
    }
}

impl AudioTransform for NoiseSuppression {
    fn transform(&self, step: &mut [i16], _channels: u8) {
        self.0.lock().capture(step);
    }
}
