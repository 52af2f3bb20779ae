//! Why a call was not carried out: the error for the program, the sentence for its log.

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
}

impl Refusal {
    pub fn null(parameter: &'static str) -> Self {
        Self::parameter(parameter, "is NULL")
    }

    pub fn parameter(parameter: &'static str, what: &'static str) -> Self {
        Self { error: Error::InvalidParameter, mistake: Some(Mistake { parameter, what }) }
    }

    pub fn handle(parameter: &'static str, what: &'static str) -> Self {
        Self { error: Error::InvalidHandle, mistake: Some(Mistake { parameter, what }) }
    }

    /// A mistake of the program is a warning. A refusal by the object is the ordinary course of things (programs
    /// disconnect twice and do not care), and a panic is a defect of ours.
    pub fn tell(&self, function: &str) {
        match (self.mistake, self.error) {
            (Some(Mistake { parameter, what }), _) => log::warn!("{function}: {parameter} {what}"),
            (None, Error::Internal | Error::Fatal) => log::error!("{function}: failed ({:?})", self.error),
            (None, error) => log::info!("{function}: refused ({error:?})"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, mistake: None }
    }
}
