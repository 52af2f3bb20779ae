//! The log
//!
//! Off until `otc_log_enable`. Lines go to the program's logger, else to the standard error. These functions may be
//! called on any thread, in any order, and before `otc_init`; what they set outlives `otc_destroy`.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicI32, Ordering};

use super::layout::{self, Layout};
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

/// A number where the header says `enum otc_log_level`: from the program, where it need not be one of ours, and to a
/// program with older headers, where it has other values.
pub type log_level_number = c_int;

/// What `otc_log_enable` was given last: older headers have several numbers for "everything", and a program gets its own back.
static SET_LAST: AtomicI32 = AtomicI32::new(otc_log_level::OTC_LOG_LEVEL_DISABLED as c_int);

/// Says where the lines of the log go.
///
/// When the log is enabled, at whatever level, a first line follows soon, on a thread of the library, so a program sees that
/// its logger works.
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
///                   `OTC_LOG_LEVEL_DEBUG` means everything: older headers have `OTC_LOG_LEVEL_ALL` as 100, and the log
///                   warns of it where `OTC_ABI` does not name their release. Their other levels have other numbers too
///                   (an error is 3, not 1), which count when it does.
#[unsafe(no_mangle)]
pub extern "C" fn otc_log_enable(log_level: log_level_number) {
    guard::value("otc_log_enable", (), || {
        SET_LAST.store(log_level, Ordering::Relaxed);
        let layout = Layout::of_the_program();
        logger::enable(level(log_level, layout));
        if layout == Layout::V2_32 && log_level > otc_log_level::OTC_LOG_LEVEL_DEBUG as c_int {
            log::warn!(
                "log level {log_level} is one of headers up to 2.24; a program compiled with them needs {}=2.24 or 2.19",
                layout::VARIABLE
            );
        }
        Ok(())
    })
}

/// How much is logged.
///
/// @return The level set last; `OTC_LOG_LEVEL_DISABLED` before the first `otc_log_enable`.
#[unsafe(no_mangle)]
pub extern "C" fn otc_get_log_level() -> log_level_number {
    guard::value("otc_get_log_level", otc_log_level::OTC_LOG_LEVEL_DISABLED as c_int, || {
        let (layout, set) = (Layout::of_the_program(), SET_LAST.load(Ordering::Relaxed));
        let now = logger::level();
        Ok(match layout {
            Layout::V2_32 => number(now, layout),
            // Not where the environment has set it since.
            Layout::V2_24 | Layout::V2_19 if level(set, layout) == now => set,
            Layout::V2_24 | Layout::V2_19 => number(now, layout),
        })
    })
}

/// What a number of the program means. Up to 2.24 fatal was 2, an error 3, a warning 4, information 5, debug 6, and
/// there were more beyond.
fn level(number: log_level_number, layout: Layout) -> Level {
    let serious = match layout {
        Layout::V2_32 => 0,
        Layout::V2_24 | Layout::V2_19 => OLD_LEVELS_BEGIN,
    };
    match number {
        ..=0 => Level::Disabled,
        number => match number - serious {
            ..=1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            4.. => Level::Debug,
        },
    }
}

/// By how much the older numbers of error, warning, information and debug are larger than the present ones.
const OLD_LEVELS_BEGIN: c_int = 2;

fn number(level: Level, layout: Layout) -> log_level_number {
    let number = match level {
        Level::Disabled => return otc_log_level::OTC_LOG_LEVEL_DISABLED as c_int,
        Level::Error => otc_log_level::OTC_LOG_LEVEL_ERROR,
        Level::Warn => otc_log_level::OTC_LOG_LEVEL_WARN,
        Level::Info => otc_log_level::OTC_LOG_LEVEL_INFO,
        Level::Debug => otc_log_level::OTC_LOG_LEVEL_DEBUG,
    };
    match layout {
        Layout::V2_32 => number as c_int,
        Layout::V2_24 | Layout::V2_19 => number as c_int + OLD_LEVELS_BEGIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_old_headers_above_debug_mean_everything() {
        for number in [4, 5, 8, 100, c_int::MAX] {
            assert_eq!(level(number, Layout::V2_32), Level::Debug);
        }
        assert_eq!(level(2, Layout::V2_32), Level::Warn);
        assert_eq!(level(-1, Layout::V2_32), Level::Disabled);
    }

    #[test]
    fn old_layouts_have_the_numbers_of_their_time() {
        let levels = [Level::Disabled, Level::Error, Level::Error, Level::Error, Level::Warn, Level::Info];
        for (number, expected) in levels.into_iter().enumerate() {
            assert_eq!(level(number as c_int, Layout::V2_19), expected, "{number}");
        }
        for number in [6, 7, 8, 100, c_int::MAX] {
            assert_eq!(level(number, Layout::V2_24), Level::Debug, "{number}");
        }
        assert_eq!(level(c_int::MIN, Layout::V2_24), Level::Disabled);
        assert_eq!(
            [Level::Disabled, Level::Error, Level::Debug].map(|one| number(one, Layout::V2_24)),
            [0, 3, 6]
        );
    }
}
