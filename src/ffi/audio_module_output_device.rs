//! Sound outputs of the system
//!
//! As for inputs: the loudspeakers and headphones.
//!
//! An enumerator is a list as it was when it was made. It belongs to the program, and so do the texts in it, which live as
//! long as it does. The functions may be called on any thread, also before `otc_init` and after `otc_destroy`.

use std::ffi::{c_char, c_int};

use super::audio_module_input_device::Devices;
use super::base::otc_status;
use super::handle::{Kind, Table};
use super::refusal::Refusal;
use super::{guard, text};
use crate::api::sound::{self, Direction};

/// A list of the system's sound outputs. Opaque: a handle, never an address.
pub struct otc_audio_module_output_device_enumerator {
    _private: (),
}

pub(super) static OUTPUTS: Table<otc_audio_module_output_device_enumerator, Devices> =
    Table::new(Kind::AudioOutputs);

/// Makes a list of the sound outputs that there are now. Asking the system's sound server takes some milliseconds.
///
/// @return The list, empty where the system has no sound. It belongs to the program, to be ended with
///         `otc_audio_module_output_device_enumerator_delete`. NULL only after a panic of the library.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_module_output_device_enumerator_new()
-> *mut otc_audio_module_output_device_enumerator {
    guard::value("otc_audio_module_output_device_enumerator_new", std::ptr::null_mut(), || {
        Ok(OUTPUTS.give(Devices::of_the_system(Direction::Render)))
    })
}

/// How many outputs the list has.
///
/// @param device_enumerator  A list.
///
/// @return The number. 0 when `device_enumerator` is NULL or no live list.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_module_output_device_enumerator_size(
    device_enumerator: *mut otc_audio_module_output_device_enumerator,
) -> c_int {
    guard::value("otc_audio_module_output_device_enumerator_size", 0, || {
        Ok(OUTPUTS.get(device_enumerator, "device_enumerator")?.size())
    })
}

/// What `otc_audio_module_output_device_select` knows an entry by. Not for people.
///
/// @param device_enumerator  A list.
/// @param device_index       From 0 to the size of the list less one.
///
/// @return The id. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
///         entry.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_module_output_device_enumerator_get_device_id(
    device_enumerator: *mut otc_audio_module_output_device_enumerator,
    device_index: c_int,
) -> *const c_char {
    guard::value("otc_audio_module_output_device_enumerator_get_device_id", std::ptr::null(), || {
        Ok(OUTPUTS.get(device_enumerator, "device_enumerator")?.at(device_index)?.id.as_ptr())
    })
}

/// What people know an entry by.
///
/// @param device_enumerator  A list.
/// @param device_index       From 0 to the size of the list less one.
///
/// @return The name. Lives as long as the list. NULL when `device_enumerator` is NULL or no live list, or has no such
///         entry.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_module_output_device_enumerator_get_device_name(
    device_enumerator: *mut otc_audio_module_output_device_enumerator,
    device_index: c_int,
) -> *const c_char {
    guard::value("otc_audio_module_output_device_enumerator_get_device_name", std::ptr::null(), || {
        Ok(OUTPUTS.get(device_enumerator, "device_enumerator")?.at(device_index)?.name.as_ptr())
    })
}

/// Ends a list. Its texts end with it.
///
/// @param device_enumerator  A list.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_enumerator` is NULL or no live list: nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn otc_audio_module_output_device_enumerator_delete(
    device_enumerator: *mut otc_audio_module_output_device_enumerator,
) -> otc_status {
    guard::status("otc_audio_module_output_device_enumerator_delete", || {
        OUTPUTS.delete(device_enumerator, "device_enumerator")
    })
}

/// Chooses which of the system's sound outputs is used from now on, at once where one is in use. A program that has set
/// an audio device of its own notices nothing of it.
///
/// @param device_id  The id of an entry of a list. Copied.
///
/// @return `OTC_SUCCESS`, or `OTC_INVALID_PARAM` when `device_id` is NULL, is not UTF-8, or names nothing that is there now:
///         the choice stays as it was then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn otc_audio_module_output_device_select(device_id: *const c_char) -> otc_status {
    guard::status("otc_audio_module_output_device_select", || {
        // SAFETY: the caller passes NULL or a C string.
        let id = unsafe { text::required(device_id, "device_id") }?;
        match sound::select(Direction::Render, id) {
            true => Ok(()),
            false => Err(Refusal::parameter("device_id", "names no sound output of the system")),
        }
    })
}
