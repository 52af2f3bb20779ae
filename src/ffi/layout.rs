//! Which release's structs the program was compiled with.
//!
//! Members were inserted between releases, and a struct does not say how long it is. The present layout is the
//! contract; a program that carries old headers says so in the environment variable `OTC_ABI`.

/// A release whose layouts differ from those of its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    V2_19,
    V2_24,
    V2_32,
}

pub(super) const VARIABLE: &str = "OTC_ABI";

impl Layout {
    /// Read at each use: a program may set it before it makes its first object.
    pub fn of_the_program() -> Self {
        let value = std::env::var(VARIABLE).unwrap_or_default();
        Self::named(&value).unwrap_or_else(|| {
            log::warn!("{VARIABLE}={value} is none of 2.19, 2.24 and 2.32; 2.32 is used");
            Self::V2_32
        })
    }

    fn named(value: &str) -> Option<Self> {
        match value.trim() {
            "" | "2.32" => Some(Self::V2_32),
            "2.24" => Some(Self::V2_24),
            "2.19" | "2.19.1" => Some(Self::V2_19),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_layout_is_used_when_nothing_is_said() {
        assert_eq!(Layout::named(""), Some(Layout::V2_32));
    }

    #[test]
    fn old_layouts_have_their_release_as_name() {
        assert_eq!(Layout::named("2.24"), Some(Layout::V2_24));
        assert_eq!(Layout::named("2.19"), Some(Layout::V2_19));
        assert_eq!(Layout::named("3"), None);
    }
}
