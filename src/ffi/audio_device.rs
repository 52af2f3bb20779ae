//! The audio device
//!
//! One for the whole process and all sessions: the program's own, set with `otc_set_audio_device`, else the system's
//! (PulseAudio or PipeWire, else ALSA), else none: then nothing is heard and everything else works.
//!
//! A device has two directions. Capture begins when the first publisher with an audio track starts, render when there is
//! something to play; a program that only publishes never sees the render functions, and the other way round. For the
//! device: `init`, later `destroy`. Between them for each direction: `get_…_settings`, `init_…`, `start_…`, later
//! `stop_…`, `destroy_…`. A direction that was not started is not destroyed, and none is started twice without being
//! destroyed between. When nobody needs sound any more, all of it ends, and begins anew when somebody does.
//!
//! Any function may be NULL, which counts as success. One that answers `OTC_FALSE` is asked again, five times within a
//! quarter of a second; then the direction stays silent and the log says so.
//!
//! Threads: the functions are called one after the other on one thread of the library, never inside a function that the
//! program calls. `stop_…` and `destroy_…` may wait for the program's own thread: `otc_audio_device_read_render_data` and
//! `otc_audio_device_write_capture_data`, where that thread probably is, never wait for anything.
//!
//! Samples are signed, 16 bits wide, and interleaved where there are two channels. Numbers of samples are numbers of
//! samples for each channel: 480 are 10 ms at 48 kHz, with two channels in a buffer of 960.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::base::{OTC_FALSE, OTC_SUCCESS, otc_bool, otc_status};
use super::refusal::Refusal;
use super::{error, guard};
use crate::api::Error;
use crate::api::sound::{self, Device, Direction, Ports, Settings};

/// The audio device. Opaque, and not to be followed: it is handed to the functions of the device and to nothing else.
pub struct otc_audio_device {
    _private: (),
}

/// How one direction of a device wants its samples.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_audio_device_settings {
    /// Samples per second and channel: 8000 to 192000.
    pub sampling_rate: c_int,
    /// 1 or 2.
    pub number_of_channels: c_int,
}

/// The functions of a program's audio device. Copied by `otc_set_audio_device`, so it may lie on the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_audio_device_callbacks {
    /// The device is needed. The first function that is called.
    pub init: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// The device is not needed any more. The last function that is called, until `init` is called again.
    pub destroy: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// To prepare capture.
    pub init_capturer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// The end of capture, after `stop_capturer`. The program's thread may be waited for here.
    pub destroy_capturer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// From now on `otc_audio_device_write_capture_data` is heard.
    pub start_capturer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// What is captured from now on is not needed.
    pub stop_capturer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Kept for programs that have it. Not called.
    pub is_capturer_initialized: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Asked when `start_capturer` has answered `OTC_FALSE`: true makes it a success.
    pub is_capturer_started: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Milliseconds from the microphone to `otc_audio_device_write_capture_data`. Asked now and then, for the echo.
    pub get_estimated_capture_delay:
        Option<unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> c_int>,
    /// To fill in how capture has its samples. A member that stays as it is, or NULL here, means 48000 Hz and one channel.
    pub get_capture_settings: Option<
        unsafe extern "C" fn(
            audio_device: *const otc_audio_device,
            user_data: *mut c_void,
            settings: *mut otc_audio_device_settings,
        ) -> otc_bool,
    >,
    /// To prepare render.
    pub init_renderer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// The end of render, after `stop_renderer`. The program's thread may be waited for here.
    pub destroy_renderer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// From now on `otc_audio_device_read_render_data` has what is to be heard.
    pub start_renderer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// From now on there is silence.
    pub stop_renderer: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Kept for programs that have it. Not called.
    pub is_renderer_initialized: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Asked when `start_renderer` has answered `OTC_FALSE`: true makes it a success.
    pub is_renderer_started: Option<
        unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool,
    >,
    /// Milliseconds from `otc_audio_device_read_render_data` to the loudspeaker. Asked now and then, for the echo.
    pub get_estimated_render_delay:
        Option<unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> c_int>,
    /// To fill in how render wants its samples; as for capture.
    pub get_render_settings: Option<
        unsafe extern "C" fn(
            audio_device: *const otc_audio_device,
            user_data: *mut c_void,
            settings: *mut otc_audio_device_settings,
        ) -> otc_bool,
    >,
    /// Handed back unchanged. Never read; it has to stay valid until another device is set and this one is destroyed, or
    /// nothing uses sound any more.
    pub user_data: *mut c_void,
    /// NULL.
    pub reserved: *mut c_void,
}

type Function =
    Option<unsafe extern "C" fn(audio_device: *const otc_audio_device, user_data: *mut c_void) -> otc_bool>;

type SettingsFunction = Option<
    unsafe extern "C" fn(
        audio_device: *const otc_audio_device,
        user_data: *mut c_void,
        settings: *mut otc_audio_device_settings,
    ) -> otc_bool,
>;

/// The program's side of a device.
struct ProgramDevice(otc_audio_device_callbacks);

// SAFETY: `user_data` is never followed here, and handing it to functions on another thread is what the program asked for
// by setting a device.
unsafe impl Send for ProgramDevice {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramDevice {}

/// No program can follow it: there is no object, only something that is not NULL, for programs that look.
fn the_device() -> *const otc_audio_device {
    std::ptr::dangling()
}

impl ProgramDevice {
    /// `None` where the program has no such function.
    fn ask(&self, function: Function) -> Option<bool> {
        // SAFETY: the program promises a callable function.
        function.map(|call| unsafe { call(the_device(), self.0.user_data) } != OTC_FALSE)
    }

    fn is_done(&self, function: Function) -> bool {
        self.ask(function).unwrap_or(true)
    }
}

impl Device for ProgramDevice {
    fn init(&self) -> bool {
        self.is_done(self.0.init)
    }

    fn destroy(&self) -> bool {
        self.is_done(self.0.destroy)
    }

    fn settings(&self, direction: Direction) -> Option<Settings> {
        let function: SettingsFunction = match direction {
            Direction::Capture => self.0.get_capture_settings,
            Direction::Render => self.0.get_render_settings,
        };
        let mut settings = Settings::default();
        if let Some(call) = function {
            let Settings { rate_hz, channels } = settings;
            let mut filled =
                otc_audio_device_settings { sampling_rate: rate_hz, number_of_channels: channels };
            // SAFETY: the program promises a callable function; what is lent lives through the call.
            if unsafe { call(the_device(), self.0.user_data, &mut filled) } == OTC_FALSE {
                return None;
            }
            settings = Settings { rate_hz: filled.sampling_rate, channels: filled.number_of_channels };
        }
        Some(settings)
    }

    fn init_direction(&self, direction: Direction) -> bool {
        self.is_done(match direction {
            Direction::Capture => self.0.init_capturer,
            Direction::Render => self.0.init_renderer,
        })
    }

    fn start(&self, direction: Direction, _: &Arc<Ports>) -> bool {
        self.is_done(match direction {
            Direction::Capture => self.0.start_capturer,
            Direction::Render => self.0.start_renderer,
        })
    }

    fn is_started(&self, direction: Direction) -> Option<bool> {
        self.ask(match direction {
            Direction::Capture => self.0.is_capturer_started,
            Direction::Render => self.0.is_renderer_started,
        })
    }

    fn stop(&self, direction: Direction) -> bool {
        self.is_done(match direction {
            Direction::Capture => self.0.stop_capturer,
            Direction::Render => self.0.stop_renderer,
        })
    }

    fn destroy_direction(&self, direction: Direction) -> bool {
        self.is_done(match direction {
            Direction::Capture => self.0.destroy_capturer,
            Direction::Render => self.0.destroy_renderer,
        })
    }

    fn delay(&self, direction: Direction) -> Duration {
        let function = match direction {
            Direction::Capture => self.0.get_estimated_capture_delay,
            Direction::Render => self.0.get_estimated_render_delay,
        };
        // SAFETY: the program promises a callable function.
        let delay_ms = function.map_or(0, |call| unsafe { call(the_device(), self.0.user_data) });
        Duration::from_millis(delay_ms.max(0) as u64)
    }
}

/// Sets the audio device of the process.
///
/// Meant to be called once, before the first session connects, and for good: the device stays set after `otc_destroy`, for
/// the next `otc_init`. It may be called at any time and from any thread all the same; then the device before is stopped and
/// destroyed, and after that this one is started. None of its functions is called before this function returns, and this
/// function waits for none.
///
/// @param callbacks  The functions of the device. Copied. NULL for the system's device, as if none had been set.
///
/// @return `OTC_SUCCESS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_set_audio_device(callbacks: *const otc_audio_device_callbacks) -> otc_status {
    guard::status("otc_set_audio_device", || {
        // SAFETY: the caller passes NULL or a struct of this layout, which did not change between releases.
        let callbacks = (!callbacks.is_null()).then(|| unsafe { callbacks.read() });
        sound::set_device(
            callbacks.map(|callbacks| -> Arc<dyn Device> { Arc::new(ProgramDevice(callbacks)) }),
        );
        Ok(())
    })
}

/// Takes what is to be heard next: all subscribed streams, mixed.
///
/// Never waits. The buffer is always filled, with silence where there is nothing to be heard, so a program has to keep its
/// own time: 480 samples every 10 ms at 48 kHz.
///
/// @param buffer             Room for `number_of_samples` for each channel of the device. It may be uninitialised.
/// @param number_of_samples  How many samples for each channel.
///
/// @return How many samples for each channel were written: `number_of_samples`, or 0 when `buffer` is NULL, and when the
///         library does not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_audio_device_read_render_data(
    buffer: *mut i16,
    number_of_samples: usize,
) -> usize {
    guard::value("otc_audio_device_read_render_data", 0, || {
        let Some(ports) = sound::ports() else { return Ok(0) };
        if buffer.is_null() || !is_possible(number_of_samples) {
            tell_once("otc_audio_device_read_render_data", buffer.is_null());
            return Ok(0);
        }
        ports.take(|channels| {
            let length = number_of_samples * channels;
            // SAFETY: the caller promises so much room. Filled before it is looked at: it may be uninitialised.
            unsafe {
                buffer.write_bytes(0, length);
                std::slice::from_raw_parts_mut(buffer, length)
            }
        });
        Ok(number_of_samples)
    })
}

/// Brings what was captured. It reaches every publisher with an audio track.
///
/// Never waits. Before `start_capturer` and where nobody publishes audio it is dropped. Usual are 10 ms at a time; other
/// portions do as well, at the speed at which they were captured.
///
/// @param buffer             `number_of_samples` for each channel of the device. Copied.
/// @param number_of_samples  How many samples for each channel.
///
/// @return `OTC_SUCCESS`, `OTC_INVALID_PARAM` when `buffer` is NULL, or `OTC_FATAL` when the library does not run: nothing
///         happens then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_audio_device_write_capture_data(
    buffer: *const i16,
    number_of_samples: usize,
) -> otc_status {
    // What is refused is not told in the log each time: a program does this a hundred times a second.
    guard::value("otc_audio_device_write_capture_data", error::status(Error::Fatal), || {
        if buffer.is_null() || !is_possible(number_of_samples) {
            tell_once("otc_audio_device_write_capture_data", buffer.is_null());
            return Ok(error::status(Error::InvalidParameter));
        }
        let Some(ports) = sound::ports() else { return Ok(error::status(Error::Fatal)) };
        // SAFETY: the caller promises so many samples.
        ports.bring(|channels| unsafe { std::slice::from_raw_parts(buffer, number_of_samples * channels) });
        Ok(OTC_SUCCESS)
    })
}

/// Whether so many samples can lie in memory at all.
fn is_possible(number_of_samples: usize) -> bool {
    const CHANNELS_MAX: usize = 2;
    number_of_samples <= isize::MAX as usize / (CHANNELS_MAX * size_of::<i16>())
}

/// A mistake that a program makes a hundred times a second is told once.
fn tell_once(function: &'static str, is_null: bool) {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        let refusal = match is_null {
            true => Refusal::null("buffer"),
            false => Refusal::parameter("number_of_samples", "is more than memory can hold"),
        };
        refusal.tell(function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: otc_audio_device_callbacks = otc_audio_device_callbacks {
        init: None,
        destroy: None,
        init_capturer: None,
        destroy_capturer: None,
        start_capturer: None,
        stop_capturer: None,
        is_capturer_initialized: None,
        is_capturer_started: None,
        get_estimated_capture_delay: None,
        get_capture_settings: None,
        init_renderer: None,
        destroy_renderer: None,
        start_renderer: None,
        stop_renderer: None,
        is_renderer_initialized: None,
        is_renderer_started: None,
        get_estimated_render_delay: None,
        get_render_settings: None,
        user_data: std::ptr::null_mut(),
        reserved: std::ptr::null_mut(),
    };

    const BOTH: [Direction; 2] = [Direction::Capture, Direction::Render];

    #[test]
    fn a_device_without_functions_succeeds_in_everything() {
        let device = ProgramDevice(EMPTY);
        assert!(device.init() && device.destroy());
        for direction in BOTH {
            assert_eq!(device.settings(direction), Some(Settings { rate_hz: 48_000, channels: 1 }));
            assert!(device.init_direction(direction) && device.stop(direction));
            assert!(device.start(direction, &Arc::default()) && device.destroy_direction(direction));
            assert_eq!(device.is_started(direction), None);
            assert_eq!(device.delay(direction), Duration::ZERO);
        }
    }

    unsafe extern "C" fn fills_the_rate_in(
        device: *const otc_audio_device,
        user_data: *mut c_void,
        settings: *mut otc_audio_device_settings,
    ) -> otc_bool {
        assert!(!device.is_null());
        assert_eq!(user_data, 7 as *mut c_void);
        // SAFETY: lent by the caller.
        unsafe { (*settings).sampling_rate = 44_100 };
        -1 // any number but 0 is true
    }

    unsafe extern "C" fn is_early(_: *const otc_audio_device, _: *mut c_void) -> c_int {
        -40
    }

    unsafe extern "C" fn has_started(_: *const otc_audio_device, _: *mut c_void) -> otc_bool {
        1
    }

    #[test]
    fn a_device_says_whether_it_has_started() {
        let device = ProgramDevice(otc_audio_device_callbacks {
            is_capturer_started: Some(has_started),
            is_renderer_started: Some(has_started),
            ..EMPTY
        });
        assert_eq!(BOTH.map(|direction| device.is_started(direction)), [Some(true); 2]);
    }

    #[test]
    fn a_member_that_is_not_filled_in_stays_usual_and_a_delay_is_never_negative() {
        let device = ProgramDevice(otc_audio_device_callbacks {
            get_render_settings: Some(fills_the_rate_in),
            get_estimated_render_delay: Some(is_early),
            user_data: 7 as *mut c_void,
            ..EMPTY
        });
        assert_eq!(device.settings(Direction::Render), Some(Settings { rate_hz: 44_100, channels: 1 }));
        assert_eq!(device.delay(Direction::Render), Duration::ZERO);
    }
}
