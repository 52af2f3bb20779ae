//! Text on its way in and out. NULL and bad UTF-8 are two different mistakes.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

use super::refusal::Refusal;

/// Text that has to be there.
///
/// # Safety
/// `pointer` is NULL or a C string that lives as long as the result is used.
pub unsafe fn required<'a>(pointer: *const c_char, parameter: &'static str) -> Result<&'a str, Refusal> {
    if pointer.is_null() {
        return Err(Refusal::null(parameter));
    }
    // SAFETY: not NULL, so a C string by the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Refusal::parameter(parameter, "is not UTF-8"))
}

/// Text that has to be there, and that others judge: what is not UTF-8 in it becomes U+FFFD, which is in no key, id or token.
///
/// # Safety
/// As for [`required`].
pub unsafe fn given<'a>(pointer: *const c_char, parameter: &'static str) -> Result<Cow<'a, str>, Refusal> {
    if pointer.is_null() {
        return Err(Refusal::null(parameter));
    }
    // SAFETY: the caller's promise is ours.
    Ok(unsafe { shown(pointer, parameter) })
}

/// Text that may be left out: NULL is the empty string.
///
/// # Safety
/// As for [`required`].
pub unsafe fn optional<'a>(pointer: *const c_char, parameter: &'static str) -> Result<&'a str, Refusal> {
    if pointer.is_null() {
        return Ok("");
    }
    // SAFETY: the caller's promise is ours.
    unsafe { required(pointer, parameter) }
}

/// Text that may be left out and that nothing but people ever read: what is not UTF-8 in it becomes U+FFFD. A name that was
/// written in another encoding, or cut in the middle of a letter, is no reason to have no publisher.
///
/// Logs, so no lock of ours is held by who calls this.
///
/// # Safety
/// As for [`required`].
pub unsafe fn shown<'a>(pointer: *const c_char, parameter: &'static str) -> Cow<'a, str> {
    if pointer.is_null() {
        return "".into();
    }
    // SAFETY: not NULL, so a C string by the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) }.to_string_lossy();
    if let Cow::Owned(_) = text {
        log::warn!("{parameter} is not UTF-8; U+FFFD stands for what is wrong in it");
    }
    text
}

/// Text for the program. C cannot see behind a NUL, so text from the network ends there.
pub fn outgoing(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default() // holds no NUL, so never the default
}

/// What a getter answers when it has to answer a string and there is no object. Programs print it without a check.
pub const EMPTY: &CStr = c"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_bad_utf8_are_told_apart() {
        // SAFETY: NULL is allowed.
        let null = unsafe { required(std::ptr::null(), "token") };
        assert_eq!(null, Err(Refusal::null("token")));
        // SAFETY: a C string with a byte that no UTF-8 text has.
        let bad = unsafe { required(c"\xff".as_ptr(), "token") };
        assert_eq!(bad, Err(Refusal::parameter("token", "is not UTF-8")));
    }

    #[test]
    fn what_others_judge_may_be_anything_but_null() {
        // SAFETY: NULL is allowed, and the other is a C string.
        let (null, bad) = unsafe { (given(std::ptr::null(), "token"), given(c"a\xff".as_ptr(), "token")) };
        assert_eq!((null, bad), (Err(Refusal::null("token")), Ok("a\u{fffd}".into())));
    }

    #[test]
    fn text_that_may_be_left_out_is_empty_when_null() {
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { optional(std::ptr::null(), "type") }, Ok(""));
    }

    #[test]
    fn text_for_people_is_mended() {
        // SAFETY: NULL is allowed, the others are C strings.
        let mended = unsafe {
            [std::ptr::null(), c"caf\xe9".as_ptr(), c"good".as_ptr()].map(|text| shown(text, "name"))
        };
        assert_eq!(mended, ["", "caf\u{fffd}", "good"]);
    }

    #[test]
    fn outgoing_text_ends_at_a_nul() {
        assert_eq!(outgoing("one\0two").as_c_str(), c"one");
        assert_eq!(outgoing("häuser").to_str(), Ok("häuser"));
    }
}
