//! Which release's structs the program was compiled with.
//!
//! Members were inserted between releases, and a struct does not say how long it is. The present layout is the
//! contract; a program that carries old headers says so in the environment variable `OTC_ABI`.

/// A release whose layouts differ from those of its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    V2_19,
    /// From 2.22 on: `on_mute_forced` had come with 2.21, a subscriber's `on_audio_data` with 2.22.
    V2_24,
    V2_32,
}

pub(super) const VARIABLE: &str = "OTC_ABI";

impl Layout {
    /// Read at each use: a program may set it before it makes its first object.
    pub fn of_the_program() -> Self {
        let value = std::env::var(VARIABLE).unwrap_or_default();
        Self::named(&value).unwrap_or_else(|| {
            log::warn!(
                "{VARIABLE}={value}: the structs of that release are not known, only those of 2.19, of 2.22 to 2.24 and of \
                 2.32. Those of 2.32 are used, and callbacks may come under wrong names"
            );
            Self::V2_32
        })
    }

    fn named(value: &str) -> Option<Self> {
        let value = value.trim();
        // Structs did not change within a release.
        let release = value.match_indices('.').nth(1).map_or(value, |(end, _)| &value[..end]);
        match release {
            "" | "2.32" => Some(Self::V2_32),
            "2.22" | "2.23" | "2.24" => Some(Self::V2_24),
            "2.19" => Some(Self::V2_19),
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
        for release in ["2.22", "2.23", "2.24", "2.24.3"] {
            assert_eq!(Layout::named(release), Some(Layout::V2_24), "{release}");
        }
        for release in ["2.19", "2.19.1"] {
            assert_eq!(Layout::named(release), Some(Layout::V2_19), "{release}");
        }
        for unknown in ["3", "2", "2.2", "2.20.0", "2.21", "2.30", "2.240"] {
            assert_eq!(Layout::named(unknown), None, "{unknown}");
        }
    }
}
