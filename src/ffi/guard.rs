//! What stands around every exported function: no panic leaves it, a refusal is told in the log, and
//! the thread is not cancelled within it.
//!
//! Functions and not a macro, because the header generator does not see functions that a macro makes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::base::{OTC_SUCCESS, otc_status};
use super::cancellation::Uncancelled;
use super::error;
use super::refusal::Refusal;
use crate::api::{Error, library};

/// Runs the body of a function that answers with a code.
pub fn status(function: &'static str, body: impl FnOnce() -> Result<(), Refusal>) -> otc_status {
    match caught(function, body) {
        Ok(()) => OTC_SUCCESS,
        Err(refusal) => error::status(refusal.error),
    }
}

/// Runs the body of a function that answers with a value, and `otherwise` when there is none.
pub fn value<T>(function: &'static str, otherwise: T, body: impl FnOnce() -> Result<T, Refusal>) -> T {
    caught(function, body).unwrap_or(otherwise)
}

// The values that a body touches are behind handles and locks that do not poison; a panic ends the call, and what it
// left half done is an object that the program can still delete.
fn caught<T>(function: &'static str, body: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let _uncancelled = Uncancelled::new();
    if library::is_lost() {
        return Err(Error::Fatal.into()); // not told: the log needs locks too
    }
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Refusal::from(Error::Internal)));
    if let Err(refusal) = &outcome {
        // The way to the log is code as well: a panic in it must not leave either.
        let _ = catch_unwind(AssertUnwindSafe(|| refusal.tell(function)));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_internal_code() {
        assert_eq!(status("otc_test", || panic!("on purpose")), 2000);
    }

    #[test]
    fn a_panic_becomes_the_other_value() {
        assert_eq!(value("otc_test", 7, || panic!("on purpose")), 7);
    }

    #[test]
    fn a_refusal_becomes_its_code() {
        assert_eq!(status("otc_test", || Err(Refusal::null("session"))), 1);
        assert_eq!(status("otc_test", || Ok(())), 0);
    }
}
