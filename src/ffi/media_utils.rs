//! Codecs of this machine
//!
//! Which video codecs can be sent and received depends on the codec libraries that the system has: libvpx for VP8 and
//! VP9, OpenH264 for H.264. They are looked for when they are first needed. VP8 can always be received. AV1, which is
//! received where dav1d is installed, has no name in this interface and is not listed. Sound is always Opus.
//!
//! The functions may be called on any thread.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ptr::null_mut;

use parking_lot::Mutex;

use super::base::otc_status;
use super::guard;
use super::refusal::Refusal;
use crate::api::codecs::{self, VideoCodec};

/// A video codec.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum otc_video_codec_type {
    OTC_VIDEO_CODEC_VP8 = 1,
    OTC_VIDEO_CODEC_H264 = 2,
    OTC_VIDEO_CODEC_VP9 = 3,
}

/// A codec as it comes in: a C program may pass a number that the enum does not have.
#[allow(non_camel_case_types)]
pub type video_codec_number = c_int;

pub(super) fn codec(number: video_codec_number) -> Option<VideoCodec> {
    match number {
        1 => Some(VideoCodec::Vp8),
        2 => Some(VideoCodec::H264),
        3 => Some(VideoCodec::Vp9),
        _ => None,
    }
}

/// The codecs of this machine. Made by `otc_media_utils_get_supported_codecs`, ended with
/// `otc_media_utils_codecs_delete`; to be read only.
#[repr(C)]
#[derive(Debug)]
pub struct otc_media_utils_codecs {
    /// How many codecs can be sent.
    pub number_encoder_video_codecs: usize,
    /// The codecs that can be sent, the preferred one first. NULL when there is none.
    pub encoder_video_codecs: *mut otc_video_codec_type,
    /// How many codecs can be received.
    pub number_decoder_video_codecs: usize,
    /// The codecs that can be received, the preferred one first.
    pub decoder_video_codecs: *mut otc_video_codec_type,
}

/// The struct and the lists that it points to.
struct Lists {
    value: otc_media_utils_codecs,
    _encoders: Vec<otc_video_codec_type>,
    _decoders: Vec<otc_video_codec_type>,
}

// SAFETY: the pointers lead to the lists beside them, which nothing here changes.
unsafe impl Send for Lists {}

/// All that live, by address: a pointer that is not among them is not followed.
static LIVE: Mutex<BTreeMap<usize, Box<Lists>>> = Mutex::new(BTreeMap::new());

impl Lists {
    fn new(encoders: &[VideoCodec], decoders: &[VideoCodec]) -> Box<Self> {
        let (mut encoders, mut decoders) = (named(encoders), named(decoders));
        let start = |list: &mut Vec<_>| if list.is_empty() { null_mut() } else { list.as_mut_ptr() };
        let value = otc_media_utils_codecs {
            number_encoder_video_codecs: encoders.len(),
            encoder_video_codecs: start(&mut encoders),
            number_decoder_video_codecs: decoders.len(),
            decoder_video_codecs: start(&mut decoders),
        };
        Box::new(Self { value, _encoders: encoders, _decoders: decoders })
    }
}

/// Those that have a name in this interface.
fn named(codecs: &[VideoCodec]) -> Vec<otc_video_codec_type> {
    let named = codecs.iter().filter_map(|codec| match codec {
        VideoCodec::Vp8 => Some(otc_video_codec_type::OTC_VIDEO_CODEC_VP8),
        VideoCodec::H264 => Some(otc_video_codec_type::OTC_VIDEO_CODEC_H264),
        VideoCodec::Vp9 => Some(otc_video_codec_type::OTC_VIDEO_CODEC_VP9),
        VideoCodec::Av1 => None,
    });
    named.collect()
}

/// Tells which video codecs can be sent and received on this machine. Loads their libraries if nothing has needed them
/// before.
///
/// @param supported_codecs  Where the answer goes. It belongs to the program, which ends it with
///                          `otc_media_utils_codecs_delete`. Not written to when the call fails.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `supported_codecs` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_media_utils_get_supported_codecs(
    supported_codecs: *mut *mut otc_media_utils_codecs,
) -> otc_status {
    guard::status("otc_media_utils_get_supported_codecs", || {
        if supported_codecs.is_null() {
            return Err(Refusal::null("supported_codecs"));
        }
        let supported = codecs::supported();
        let mut lists = Lists::new(&supported.encoders, &supported.decoders);
        let value = &raw mut lists.value;
        LIVE.lock().insert(value as usize, lists);
        // SAFETY: not NULL, so a pointer that may be written to by the caller's promise.
        unsafe { supported_codecs.write(value) };
        Ok(())
    })
}

/// Ends an answer of `otc_media_utils_get_supported_codecs`. Its lists end with it.
///
/// @param supported_codecs  The answer.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `supported_codecs` is NULL, or none that lives (for example ended
///         already): nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_media_utils_codecs_delete(supported_codecs: *mut otc_media_utils_codecs) -> otc_status {
    guard::status("otc_media_utils_codecs_delete", || {
        if supported_codecs.is_null() {
            return Err(Refusal::null("supported_codecs"));
        }
        let removed = LIVE.lock().remove(&(supported_codecs as usize));
        removed.map(drop).ok_or(Refusal::handle("supported_codecs", "is none that lives"))
    })
}

/// How many answers live.
pub(super) fn live() -> usize {
    LIVE.lock().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_without_a_name_is_not_listed() {
        let lists = Lists::new(&[], &[VideoCodec::Av1, VideoCodec::Vp9]);
        assert_eq!(lists.value.number_encoder_video_codecs, 0);
        assert!(lists.value.encoder_video_codecs.is_null());
        assert_eq!(lists.value.number_decoder_video_codecs, 1);
        // SAFETY: the list has one item.
        assert_eq!(unsafe { *lists.value.decoder_video_codecs }, otc_video_codec_type::OTC_VIDEO_CODEC_VP9);
    }
}
