//! The log
//!
//! Off until `otc_log_enable`. Lines go to the program's logger, else to the standard error. These functions may be
//! called on any thread, in any order, and before `otc_init`; what they set outlives `otc_destroy`.

use std::ffi::{c_char, c_int};

use super::{guard, text};
use crate::api::logger::{self, Level};

/// A function that takes the lines of the log.
///
/// It may be called on any thread, several at once, and in the middle of any function of the library, so it should be
/// short and should not wait for a lock that is held around calls. The library holds no lock of its own while it runs.
///
/// @param message  One line without its end, in UTF-8. Lent until the function returns. Never holds a token or a secret.
pub type otc_logger_callback = Option<unsafe extern "C" fn(message: *const c_char)>;

// The header writes this enum by hand, because six of its names share two values there.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_log_level {
    OTC_LOG_LEVEL_DISABLED = 0,
    OTC_LOG_LEVEL_ERROR = 1,
    OTC_LOG_LEVEL_WARN = 2,
    OTC_LOG_LEVEL_INFO = 3,
    OTC_LOG_LEVEL_DEBUG = 4,
}

/// A number from the program where the header says `enum otc_log_level`: it need not be one of ours.
pub type log_level_number = c_int;

/// Says where the lines of the log go.
///
/// When the log is enabled, a first line follows soon, on a thread of the library, so a program sees that its logger works.
///
/// @param callback  The function, or NULL for the standard error. It has to stay callable until another one is set.
#[unsafe(no_mangle)]
pub extern "C" fn otc_log_set_logger_callback(callback: otc_logger_callback) {
    guard::value("otc_log_set_logger_callback", (), || {
        logger::set_sink(callback.map(|callback| -> logger::Sink {
            Box::new(move |line| {
                let line = text::outgoing(line);
                // SAFETY: the program promises a function that stays callable; the line lives through the call.
                unsafe { callback(line.as_ptr()) }
            })
        }));
        Ok(())
    })
}

/// Says how much is logged.
///
/// @param log_level  `OTC_LOG_LEVEL_DISABLED` for nothing, else this level and the more serious ones. Any number above
///                   `OTC_LOG_LEVEL_DEBUG` means everything: older headers have `OTC_LOG_LEVEL_ALL` as 100.
#[unsafe(no_mangle)]
pub extern "C" fn otc_log_enable(log_level: log_level_number) {
    guard::value("otc_log_enable", (), || {
        logger::enable(level(log_level));
        Ok(())
    })
}

/// How much is logged.
///
/// @return The level set last; `OTC_LOG_LEVEL_DISABLED` before the first `otc_log_enable`.
#[unsafe(no_mangle)]
pub extern "C" fn otc_get_log_level() -> otc_log_level {
    guard::value("otc_get_log_level", otc_log_level::OTC_LOG_LEVEL_DISABLED, || {
        Ok(match logger::level() {
            Level::Disabled => otc_log_level::OTC_LOG_LEVEL_DISABLED,
            Level::Error => otc_log_level::OTC_LOG_LEVEL_ERROR,
            Level::Warn => otc_log_level::OTC_LOG_LEVEL_WARN,
            Level::Info => otc_log_level::OTC_LOG_LEVEL_INFO,
            Level::Debug => otc_log_level::OTC_LOG_LEVEL_DEBUG,
        })
    })
}

fn level(number: log_level_number) -> Level {
    match number {
        ..=0 => Level::Disabled,
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4.. => Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_old_headers_above_debug_mean_everything() {
        for number in [4, 5, 8, 100, c_int::MAX] {
            assert_eq!(level(number), Level::Debug);
        }
        assert_eq!(level(2), Level::Warn);
        assert_eq!(level(-1), Level::Disabled);
    }
}
