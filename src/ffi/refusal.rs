//! Why a call was not carried out: the error for the program, the sentence for its log.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::api::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub error: Error,
    /// What is wrong with a parameter. Absent when the object itself refused.
    mistake: Option<Mistake>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mistake {
    parameter: &'static str,
    what: &'static str,
    /// The handle that is wrong, as a number; 0 where it is not the handle that is.
    handle: usize,
}

/// What has been told of functions that are called for each picture. The oldest makes room.
static TOLD: Mutex<VecDeque<(&'static str, Mistake)>> = Mutex::new(VecDeque::new());

/// More handles than a program would go on using after their end, and few enough to be looked through.
const TOLD_MAX: usize = 64;

impl Refusal {
    pub fn null(parameter: &'static str) -> Self {
        Self::parameter(parameter, "is NULL")
    }

    pub fn parameter(parameter: &'static str, what: &'static str) -> Self {
        Self { error: Error::InvalidParameter, mistake: Some(Mistake { parameter, what, handle: 0 }) }
    }

    pub fn handle(parameter: &'static str, what: &'static str) -> Self {
        Self { error: Error::InvalidHandle, mistake: Some(Mistake { parameter, what, handle: 0 }) }
    }

    /// The same, of this handle.
    pub fn of(mut self, handle: usize) -> Self {
        self.mistake.iter_mut().for_each(|mistake| mistake.handle = handle);
        self
    }

    /// A mistake of the program is a warning. A refusal by the object is the ordinary course of things (programs
    /// disconnect twice and do not care), and a panic is a defect of ours.
    pub fn tell(&self, function: &'static str) {
        match (self.mistake, self.error) {
            (Some(mistake), _) if is_for_each_picture(function) && !is_news(function, mistake) => {}
            (Some(Mistake { parameter, what, .. }), _) => log::warn!("{function}: {parameter} {what}"),
            (None, Error::Internal | Error::Fatal) => log::error!("{function}: failed ({:?})", self.error),
            (None, error) => log::info!("{function}: refused ({error:?})"),
        }
    }
}

/// A mistake in one of these is made thirty times a second, and told once.
fn is_for_each_picture(function: &str) -> bool {
    function == "otc_video_capturer_provide_frame" || function.starts_with("otc_video_frame_")
}

fn is_news(function: &'static str, mistake: Mistake) -> bool {
    let mut told = TOLD.lock();
    if told.contains(&(function, mistake)) {
        return false;
    }
    if told.len() >= TOLD_MAX {
        told.pop_front();
    }
    told.push_back((function, mistake));
    true
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, mistake: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_news_once_for_each_function_and_handle() {
        let mistake = |handle| Mistake { parameter: "frame", what: "has been deleted", handle };
        let function = "otc_video_frame_of_this_test";
        assert!(is_news(function, mistake(1)));
        assert!(!is_news(function, mistake(1)));
        assert!(is_news(function, mistake(2)) && is_news("otc_video_frame_of_this_test_too", mistake(1)));
        assert!((3..3 + TOLD_MAX).all(|handle| is_news(function, mistake(handle))));
        assert!(is_news(function, mistake(1)), "what was told long ago is forgotten");
        assert!(TOLD.lock().len() <= TOLD_MAX);
    }
}
