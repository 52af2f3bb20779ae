//! `pthread_cancel` on a thread of the program's that is inside a function of this library.
//!
//! C programs end their capture and render threads so. Cancelling unwinds the stack by force, and the C library ends the
//! process where that meets a function that stops panics, as each of ours does. So it waits until the function has
//! returned: the thread ends at its next own point of cancellation.

use std::ffi::c_int;
use std::marker::PhantomData;

/// The same number in every C library for Linux.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

// The `libc` crate has it for other systems only.
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// The calling thread is not cancelled as long as this lives.
pub struct Uncancelled {
    before: c_int,
    /// It belongs to its thread.
    stays: PhantomData<*const ()>,
}

impl Uncancelled {
    pub fn new() -> Self {
        let mut before = 0;
        // SAFETY: the place for the state before is ours.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        Self { before, stays: PhantomData }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        let mut disabled = 0;
        // SAFETY: as above; the state is the one that the thread had.
        unsafe { pthread_setcancelstate(self.before, &mut disabled) };
    }
}
