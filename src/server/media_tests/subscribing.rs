//! Who gets what, and who does not.
use super::*;
