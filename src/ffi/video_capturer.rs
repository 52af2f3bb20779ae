//! Video capturers
//!
//! A capturer is the program's own source of pictures: a set of functions that it hands in when it makes a publisher. The
//! library calls `init` and `start` when pictures are wanted (when the publisher is published), and `stop` and `destroy`
//! when they are not any more. The two pairs come in turn: `start` is not called twice without `destroy` between, and
//! `destroy` not without a `start` that succeeded. Any function may be NULL, which counts as success.
//!
//! Threads: the functions are called on the library's callback thread, or on the thread that deletes the publisher; never two at once.
//! `destroy` may wait for a thread of the program that is inside `otc_video_capturer_provide_frame`: that function needs
//! nothing which the library holds meanwhile.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::base::{OTC_FALSE, OTC_TRUE, otc_bool, otc_status};
use super::guard;
use super::handle::{Kept, Kind, Table};
use super::refusal::Refusal;
use super::video_frame::{FRAMES, otc_video_frame};
use crate::api::capture::{CaptureSettings, Capturer};
use crate::api::frame::{Rotation, rotate};
use crate::api::publisher::{ContentHint, Publisher};

/// The program's source of pictures, as its functions know it. Opaque: a handle, never an address. It begins and ends
/// with its publisher.
pub struct otc_video_capturer {
    _private: (),
}

/// What a capturer says of its pictures. Filled in with defaults before the program is asked.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_video_capturer_settings {
    /// An `otc_video_frame_format`. Not needed: each frame says what it is.
    pub format: c_int,
    /// Pixels in a row. Frames may have other sizes.
    pub width: c_int,
    /// Rows.
    pub height: c_int,
    /// Pictures in a second.
    pub fps: c_int,
    /// Milliseconds from the light to `otc_video_capturer_provide_frame`. Not used.
    pub expected_delay: c_int,
    /// `OTC_TRUE`: `on_render_frame` of the publisher gets mirrored pictures. What is sent is not mirrored.
    pub mirror_on_local_render: otc_bool,
}

/// One of the functions.
type Call =
    Option<unsafe extern "C" fn(capturer: *const otc_video_capturer, user_data: *mut c_void) -> otc_bool>;

/// The functions of a capturer. Copied when the publisher or its settings get them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct otc_video_capturer_callbacks {
    /// Brings the pointer that `otc_video_capturer_provide_frame` needs.
    pub init:
        Option<unsafe extern "C" fn(capturer: *const otc_video_capturer, user_data: *mut c_void) -> otc_bool>,
    /// The last of a capture: a thread that was made in `start` is joined here.
    pub destroy:
        Option<unsafe extern "C" fn(capturer: *const otc_video_capturer, user_data: *mut c_void) -> otc_bool>,
    /// Pictures are wanted from now on. `OTC_FALSE` is asked again a few times, then the publisher goes on without video and
    /// says so by `on_error`.
    pub start:
        Option<unsafe extern "C" fn(capturer: *const otc_video_capturer, user_data: *mut c_void) -> otc_bool>,
    /// Pictures are not wanted any more. Those that still come are dropped.
    pub stop:
        Option<unsafe extern "C" fn(capturer: *const otc_video_capturer, user_data: *mut c_void) -> otc_bool>,
    /// Asked between `init` and `start`.
    pub get_capture_settings: Option<
        unsafe extern "C" fn(
            capturer: *const otc_video_capturer,
            user_data: *mut c_void,
            settings: *mut otc_video_capturer_settings,
        ) -> otc_bool,
    >,
    /// Handed back to every function, never read.
    pub user_data: *mut c_void,
    /// NULL. Not read.
    pub reserved: *mut c_void,
}

/// What the pictures show; advice to the encoder.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_video_capturer_content_hint_type {
    /// Nothing in particular.
    OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE = 0,
    /// Movement: rather blurred than slow.
    OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_MOTION = 1,
    /// Detail: rather slow than blurred.
    OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_DETAIL = 2,
    /// Text: as detail, with sharp edges.
    OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT = 3,
}

/// A content hint as it comes in: a C program may pass a number that the enum does not have.
#[allow(non_camel_case_types)]
pub type content_hint_number = c_int;

pub(super) static CAPTURERS: Table<otc_video_capturer, CapturerObject> = Table::new(Kind::Capturer);

/// What stands behind a capturer's handle: its publisher, which it does not keep.
pub(super) struct CapturerObject(pub Weak<Publisher>);

/// A capturer's handle, which ends with this value.
pub(super) type KeptCapturer = Kept<otc_video_capturer, CapturerObject>;

/// The program's side of a capture.
pub(super) struct ProgramCapturer {
    handle: *const otc_video_capturer,
    capturer: Weak<KeptCapturer>,
    callbacks: otc_video_capturer_callbacks,
    /// From `init` to the end of `destroy`: where the publisher is deleted meanwhile, inside one of these functions,
    /// pictures are still taken and dropped.
    in_use: Mutex<Option<Arc<KeptCapturer>>>,
}

// SAFETY: the handle is a number. `user_data` is never followed here, and handing it to functions on other threads is what
// the program asked for by handing them in.
unsafe impl Send for ProgramCapturer {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramCapturer {}

impl ProgramCapturer {
    pub fn new(capturer: &Arc<KeptCapturer>, callbacks: otc_video_capturer_callbacks) -> Self {
        let handle = capturer.handle().cast_const();
        Self { handle, capturer: Arc::downgrade(capturer), callbacks, in_use: Mutex::default() }
    }

    fn call(&self, call: Call) -> bool {
        // SAFETY: the program promises a callable function.
        call.is_none_or(|call| unsafe { call(self.handle, self.callbacks.user_data) } != OTC_FALSE)
    }
}

impl Capturer for ProgramCapturer {
    fn init(&self) -> bool {
        if let Some(capturer) = self.capturer.upgrade() {
            *self.in_use.lock() = Some(capturer);
        }
        self.call(self.callbacks.init)
    }

    fn settings(&self) -> Option<CaptureSettings> {
        let call = self.callbacks.get_capture_settings?;
        let usual = CaptureSettings::default();
        let number = |value: u32| value as c_int; // the defaults are small
        let mut settings = otc_video_capturer_settings {
            format: 0,
            width: number(usual.width),
            height: number(usual.height),
            fps: number(usual.frames_per_second),
            expected_delay: 0,
            mirror_on_local_render: OTC_FALSE,
        };
        // SAFETY: the program promises a callable function; the struct lives through the call.
        let told = unsafe { call(self.handle, self.callbacks.user_data, &mut settings) } != OTC_FALSE;
        let size = |value: c_int, usual: u32| match u32::try_from(value) {
            Ok(value @ 1..=16_383) => value,
            _ => usual,
        };
        told.then(|| CaptureSettings {
            width: size(settings.width, usual.width),
            height: size(settings.height, usual.height),
            frames_per_second: size(settings.fps, usual.frames_per_second),
            is_mirrored_locally: settings.mirror_on_local_render == OTC_TRUE,
        })
    }

    fn start(&self) -> bool {
        self.call(self.callbacks.start)
    }

    fn stop(&self, _deadline: Instant) -> bool {
        self.call(self.callbacks.stop)
    }

    fn destroy(&self) -> bool {
        let outcome = self.call(self.callbacks.destroy);
        let unused = self.in_use.lock().take();
        drop(unused); // ends the handle where the publisher is gone, with no lock held
        outcome
    }
}

/// Hands in a picture. It is copied, and converted where that is needed, during the call; the frame stays the program's.
///
/// Never waits: where the encoder is busy, the newest picture takes the place of one that waits. Sizes and formats may
/// change from frame to frame. To be called on a thread of the program.
///
/// @param capturer  The capturer, as `init` brought it.
/// @param rotation  By how many degrees the picture has to be turned clockwise to be upright: 0, 90, 180 or 270. Whole turns
///                  more or less do not count.
/// @param frame     The picture.
///
/// @return `OTC_SUCCESS`, also when nothing is captured at present: the frame is dropped then.
///         `OTC_INVALID_VIDEO_FORMAT`: the frame's format cannot be converted, or its contents are broken.
///         `OTC_INVALID_PARAM`: a pointer is NULL or no live handle, or `rotation` is no multiple of 90.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_capturer_provide_frame(
    capturer: *const otc_video_capturer,
    rotation: c_int,
    frame: *const otc_video_frame,
) -> otc_status {
    guard::status("otc_video_capturer_provide_frame", || {
        let object = CAPTURERS.get(capturer, "capturer")?;
        let frame = FRAMES.get(frame, "frame")?;
        let rotation = Rotation::from_degrees(rotation)
            .ok_or_else(|| Refusal::parameter("rotation", "is no multiple of 90"))?;
        let Some(publisher) = object.0.upgrade() else { return Ok(()) };
        publisher.provide(|| {
            let picture = frame.frame().to_picture()?;
            Ok(match rotation {
                Rotation::None => picture,
                turned => rotate(&picture, turned),
            })
        })?;
        Ok(())
    })
}

/// Says what the pictures show. May be called at any time after `init`.
///
/// @param capturer      The capturer, as `init` brought it.
/// @param content_hint  What they show.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `capturer` is NULL or no live handle, or the hint is none.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_capturer_set_content_hint(
    capturer: *const otc_video_capturer,
    content_hint: content_hint_number,
) -> otc_status {
    guard::status("otc_video_capturer_set_content_hint", || {
        let object = CAPTURERS.get(capturer, "capturer")?;
        let hint = match content_hint {
            0 => ContentHint::None,
            1 => ContentHint::Motion,
            2 => ContentHint::Detail,
            3 => ContentHint::Text,
            _ => return Err(Refusal::parameter("content_hint", "is no content hint")),
        };
        if let Some(publisher) = object.0.upgrade() {
            publisher.set_content_hint(hint);
        }
        Ok(())
    })
}

/// What `otc_video_capturer_set_content_hint` was given last.
///
/// @param capturer  The capturer, as `init` brought it.
///
/// @return The hint; `OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE` when there was none, or `capturer` is NULL or no live
///         handle.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_capturer_get_content_hint(
    capturer: *const otc_video_capturer,
) -> otc_video_capturer_content_hint_type {
    use otc_video_capturer_content_hint_type::*;
    guard::value("otc_video_capturer_get_content_hint", OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE, || {
        let publisher = CAPTURERS.get(capturer, "capturer")?.0.upgrade();
        Ok(match publisher.map(|publisher| publisher.content_hint()).unwrap_or_default() {
            ContentHint::None => OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_NONE,
            ContentHint::Motion => OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_MOTION,
            ContentHint::Detail => OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_DETAIL,
            ContentHint::Text => OTC_VIDEO_CAPTURER_CONTENT_HINT_TYPE_TEXT,
        })
    })
}
