//! Transformers
//!
//! A transformer changes what a publisher sends, and what its `on_render_frame` shows: pictures and sound, each as they
//! pass. A program brings its own function (`OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM`), or asks for a ready-made one by name
//! (`OTC_MEDIA_TRANSFORMER_TYPE_VONAGE`): of those there is "NoiseSuppression" for sound.
//!
//! `otc_publisher_set_video_transformers` and `otc_publisher_set_audio_transformers` put them to work, in the order of the
//! array. A transformer may be deleted while it is at work: it goes on until it is taken from the last publisher.
//!
//! Threads: a custom function is called on a thread of the library, one picture or 10 ms of sound at a time, and may call every
//! function of the library. When it has been taken from its publisher, or the publisher was deleted, it is not called any
//! more.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use super::audio_data::otc_audio_data;
use super::base::otc_status;
use super::handle::{Kind, Table};
use super::publisher::PUBLISHERS;
use super::publisher_callbacks::otc_publisher;
use super::refusal::Refusal;
use super::video_frame::{FRAMES, FrameObject, video_transform_callback};
use super::{guard, text};
use crate::api::Error;
use crate::api::frame::{Frame, Picture};
use crate::api::transformer::{AudioTransform, NoiseSuppression, VideoTransform};

/// A transformer of pictures. Opaque: a handle, never an address.
pub struct otc_video_transformer {
    _private: (),
}

/// A transformer of sound. Opaque: a handle, never an address.
pub struct otc_audio_transformer {
    _private: (),
}

/// Whose transformer it is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_media_transformer_type {
    /// A function of the program.
    OTC_MEDIA_TRANSFORMER_TYPE_CUSTOM = 0,
    /// A ready-made one.
    OTC_MEDIA_TRANSFORMER_TYPE_VONAGE = 1,
}

/// A type as it comes in: a C program may pass a number that the enum does not have.
#[allow(non_camel_case_types)]
pub type transformer_type_number = c_int;

/// Codes of transformers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_media_transformer_error_code {
    /// A defect of this library.
    OTC_MEDIA_TRANSFORMER_INTERNAL_ERROR = 0x0A00_0000,
    /// There is no such type.
    OTC_MEDIA_TRANSFORMER_INVALID_TYPE = 0x0A00_0001,
    /// A ready-made transformer needs a name.
    OTC_MEDIA_TRANSFORMER_NAME_NOT_PROVIDED = 0x0A00_0002,
    /// A custom transformer needs a function.
    OTC_MEDIA_TRANSFORMER_CUSTOM_CALLBACK_NOT_PROVIDED = 0x0A00_0003,
    /// A ready-made transformer needs properties.
    OTC_MEDIA_TRANSFORMER_PROPERTIES_NOT_PROVIDED = 0x0A00_0004,
    /// A ready-made transformer has no model.
    OTC_MEDIA_TRANSFORMER_MODEL_NOT_FOUND = 0x0A00_0005,
    /// There is no ready-made transformer of that name here.
    OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED = 0x0A00_0006,
    /// Not used.
    OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_SYMBOL_NOT_FOUND = 0x0A00_0007,
}

/// Changes sound in place: what `sample_buffer` points to may be written.
///
/// @param user_data  What was given with the function.
/// @param frame      10 ms of sound: signed 16 bit, 48000 samples per second, the channels in turn.
pub type audio_transform_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, frame: *mut otc_audio_data)>;

pub(super) static VIDEO_TRANSFORMERS: Table<otc_video_transformer, VideoTransformerObject> =
    Table::new(Kind::VideoTransformer);

pub(super) static AUDIO_TRANSFORMERS: Table<otc_audio_transformer, AudioTransformerObject> =
    Table::new(Kind::AudioTransformer);

/// `None`: a ready-made one that there is not here.
pub(super) struct VideoTransformerObject(Option<Arc<dyn VideoTransform>>);

pub(super) enum AudioTransformerObject {
    Custom(Arc<dyn AudioTransform>),
    NoiseSuppression,
    /// A ready-made one that there is not here.
    Missing,
}

impl AudioTransformerObject {
    /// For one publisher. A ready-made one remembers what it has heard, so each has its own.
    fn link(&self) -> Option<Arc<dyn AudioTransform>> {
        match self {
            Self::Custom(transform) => Some(transform.clone()),
            Self::NoiseSuppression => Some(Arc::new(NoiseSuppression::default())),
            Self::Missing => None,
        }
    }
}

/// The program's function on pictures.
struct ProgramVideo {
    call: unsafe extern "C" fn(user_data: *mut c_void, frame: *mut super::video_frame::otc_video_frame),
    user_data: *mut c_void,
}

// SAFETY: `user_data` is never followed here; the program asked to have it back on other threads.
unsafe impl Send for ProgramVideo {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for ProgramVideo {}

impl VideoTransform for ProgramVideo {
    fn transform(&self, picture: Picture) -> Picture {
        let (width, height) = (picture.width(), picture.height());
        let object = FrameObject::new(Frame::writable(picture));
        let lent = FRAMES.keep(object.clone());
        // SAFETY: the program promises a callable function; what is lent lives through the call.
        unsafe { (self.call)(self.user_data, lent.handle()) };
        drop(lent);
        // A frame that the program has made something else of is no picture any more.
        let changed = object.take().into_picture().ok();
        changed.or(Picture::black(width, height)).expect("the size of a picture")
    }
}

/// The program's function on sound.
struct ProgramAudio {
    call: unsafe extern "C" fn(user_data: *mut c_void, frame: *mut otc_audio_data),
    user_data: *mut c_void,
}

// SAFETY: as for `ProgramVideo`.
unsafe impl Send for ProgramAudio {}
// SAFETY: as above.
unsafe impl Sync for ProgramAudio {}

impl AudioTransform for ProgramAudio {
    fn transform(&self, step: &mut [i16], channels: u8) {
        let channels = usize::from(channels.max(1));
        let mut data = otc_audio_data {
            sample_buffer: step.as_mut_ptr().cast_const().cast(),
            bits_per_sample: 16,
            sample_rate: 48_000,
            number_of_channels: channels,
            number_of_samples: step.len() / channels,
        };
        // SAFETY: the program promises a callable function, which may write the samples that are lent for the call.
        unsafe { (self.call)(self.user_data, &mut data) }
    }
}

/// Makes a transformer of pictures.
///
/// @param type        Whose it is.
/// @param name        Of a ready-made one: its name. Not read for a custom one.
/// @param properties  Of a ready-made one: JSON. Not read for a custom one.
/// @param callback    Of a custom one: the function. It may write the planes of the frame, which is
///                    `OTC_VIDEO_FRAME_FORMAT_YUV420P` with strides equal to the widths; lent until the function returns.
/// @param user_data   Handed back to the function, never read.
///
/// @return The transformer, to be ended with `otc_video_transformer_delete`. NULL when there is no such type, a custom one
///         has no function, or a ready-made one has no name. A ready-made one that there is not here can be made, and
///         cannot be put to work.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_video_transformer_create(
    r#type: transformer_type_number,
    name: *const c_char,
    properties: *const c_char,
    callback: video_transform_callback,
    user_data: *mut c_void,
) -> *mut otc_video_transformer {
    guard::value("otc_video_transformer_create", std::ptr::null_mut(), || {
        let _ = properties;
        let transform = match (r#type, callback) {
            (0, Some(call)) => Some(Arc::new(ProgramVideo { call, user_data }) as Arc<dyn VideoTransform>),
            (0, None) => return Err(Refusal::null("callback")),
            (1, _) => {
                // SAFETY: the caller passes NULL or a C string.
                unsafe { text::required(name, "name") }?;
                None
            }
            _ => return Err(Refusal::parameter("type", "is no type of a transformer")),
        };
        Ok(VIDEO_TRANSFORMERS.give(Arc::new(VideoTransformerObject(transform))))
    })
}

/// Makes a transformer of sound.
///
/// @param type        Whose it is.
/// @param name        Of a ready-made one: "NoiseSuppression". Not read for a custom one.
/// @param properties  Not read: "NoiseSuppression" has none.
/// @param callback    Of a custom one: the function.
/// @param user_data   Handed back to the function, never read.
///
/// @return The transformer, to be ended with `otc_audio_transformer_delete`. NULL as for `otc_video_transformer_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_audio_transformer_create(
    r#type: transformer_type_number,
    name: *const c_char,
    properties: *const c_char,
    callback: audio_transform_callback,
    user_data: *mut c_void,
) -> *mut otc_audio_transformer {
    guard::value("otc_audio_transformer_create", std::ptr::null_mut(), || {
        let _ = properties;
        let transform = match (r#type, callback) {
            (0, Some(call)) => AudioTransformerObject::Custom(Arc::new(ProgramAudio { call, user_data })),
            (0, None) => return Err(Refusal::null("callback")),
            (1, _) => {
                // SAFETY: the caller passes NULL or a C string.
                match unsafe { text::required(name, "name") }? {
                    "NoiseSuppression" => AudioTransformerObject::NoiseSuppression,
                    _ => AudioTransformerObject::Missing,
                }
            }
            _ => return Err(Refusal::parameter("type", "is no type of a transformer")),
        };
        Ok(AUDIO_TRANSFORMERS.give(Arc::new(transform)))
    })
}

/// Ends a transformer. Where it is at work it goes on until it is taken away; only the handle ends.
///
/// @param video_transformer  A transformer.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when it is NULL or no live transformer.
#[unsafe(no_mangle)]
pub extern "C" fn otc_video_transformer_delete(video_transformer: *mut otc_video_transformer) -> otc_status {
    guard::status("otc_video_transformer_delete", || {
        VIDEO_TRANSFORMERS.delete(video_transformer, "video_transformer")
    })
}

/// Ends a transformer. Where it is at work it goes on until it is taken away; only the handle ends.
///
/// @param audio_transformer  A transformer.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when it is NULL or no live transformer.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_transformer_delete(audio_transformer: *mut otc_audio_transformer) -> otc_status {
    guard::status("otc_audio_transformer_delete", || {
        AUDIO_TRANSFORMERS.delete(audio_transformer, "audio_transformer")
    })
}

/// More transformers than this in a row is a mistake.
const TRANSFORMERS_MAX: usize = 64;

/// Puts transformers of pictures to work, in place of those that were. When it has returned those are not called any more;
/// one that runs is waited for, at most two seconds, and not at all inside a callback.
///
/// @param publisher     A publisher, published or not.
/// @param transformers  The transformers, in the order in which they are to work; copied. NULL with a size of 0: none.
/// @param size          How many there are, at most 64.
///
/// @return `OTC_SUCCESS`.
///         `OTC_MEDIA_TRANSFORMER_OPENTOK_TRANSFORMERS_LIBRARY_NOT_LOADED`: one of them is a ready-made one that there is not
///         here; nothing changes.
///         `OTC_INVALID_PARAM`: `publisher` or an element is NULL or no live handle, or the array is NULL and the size is not
///         0, or it is too large; nothing changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_set_video_transformers(
    publisher: *mut otc_publisher,
    transformers: *mut *mut otc_video_transformer,
    size: usize,
) -> otc_status {
    guard::status("otc_publisher_set_video_transformers", || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        // SAFETY: the caller passes NULL or an array of that size.
        let handles = unsafe { elements(transformers, size) }?;
        let links = handles.iter().map(|handle| {
            let transformer = VIDEO_TRANSFORMERS.get(*handle, "transformers")?;
            transformer.0.clone().ok_or(Refusal::from(Error::TransformerMissing))
        });
        let links = links.collect::<Result<Vec<_>, Refusal>>()?;
        object.publisher.set_video_transformers(links); // no lock is held: it may wait for the program's code
        Ok(())
    })
}

/// Puts transformers of sound to work, in place of those that were; as `otc_publisher_set_video_transformers`.
///
/// @param publisher     A publisher, published or not.
/// @param transformers  The transformers, in the order in which they are to work; copied. NULL with a size of 0: none.
/// @param size          How many there are, at most 64.
///
/// @return As for `otc_publisher_set_video_transformers`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_publisher_set_audio_transformers(
    publisher: *mut otc_publisher,
    transformers: *mut *mut otc_audio_transformer,
    size: usize,
) -> otc_status {
    guard::status("otc_publisher_set_audio_transformers", || {
        let object = PUBLISHERS.get(publisher, "publisher")?;
        // SAFETY: the caller passes NULL or an array of that size.
        let handles = unsafe { elements(transformers, size) }?;
        let links = handles.iter().map(|handle| {
            let transformer = AUDIO_TRANSFORMERS.get(*handle, "transformers")?;
            transformer.link().ok_or(Refusal::from(Error::TransformerMissing))
        });
        let links = links.collect::<Result<Vec<_>, Refusal>>()?;
        object.publisher.set_audio_transformers(links); // as above
        Ok(())
    })
}

/// # Safety
/// `array` is NULL or has `size` elements.
unsafe fn elements<'a, H>(array: *mut *mut H, size: usize) -> Result<&'a [*mut H], Refusal> {
    // A program that counts in `int` leaves the upper half undefined.
    let size = size & u32::MAX as usize;
    match (array.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Refusal::null("transformers")),
        (false, 1..=TRANSFORMERS_MAX) => {
            // SAFETY: not NULL, and so many by the caller's promise.
            Ok(unsafe { std::slice::from_raw_parts(array, size) })
        }
        (false, _) => Err(Refusal::parameter("size", "is more than 64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_publisher_has_noise_suppression_of_its_own() {
        let one = AudioTransformerObject::NoiseSuppression.link().expect("there is one");
        let other = AudioTransformerObject::NoiseSuppression.link().expect("there is one");
        assert!(!Arc::ptr_eq(&one, &other));
    }
}
