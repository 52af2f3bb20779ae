//! The lasting mute mode of a session: one member of the JSON object in the room's metadata, beside whatever others keep
//! there.
//!
//! Metadata that is no JSON object is somebody's own text: it is put into a member of ours while the mode is on, and
//! stands alone again afterwards.

use serde_json::{Map, Value};

/// Whether streams that are published start muted.
const MODE: &str = "otc.force_mute";

/// What the metadata was when it was no object.
const OTHERS: &str = "otc.metadata";

pub fn is_on(metadata: &str) -> bool {
    object(metadata).is_some_and(|object| object.get(MODE) == Some(&Value::Bool(true)))
}

/// The metadata with the mode switched. Never empty: LiveKit takes empty metadata for a wish to leave it as it is.
pub fn switched(metadata: &str, is_on: bool) -> String {
    let mut object = object(metadata).unwrap_or_else(|| {
        let others = Some(metadata).filter(|text| !text.is_empty());
        others.map(|text| (OTHERS.to_owned(), Value::from(text))).into_iter().collect()
    });
    match (is_on, object.get(OTHERS)) {
        (false, Some(Value::String(text))) if !text.is_empty() => return text.clone(),
        _ => object.insert(MODE.to_owned(), Value::Bool(is_on)),
    };
    Value::Object(object).to_string()
}

fn object(metadata: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(metadata).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_mode_is_a_member_of_its_own_and_the_others_stay() {
        let metadata = r#"{"topic":"weather","otc":[1,2.5,null]}"#;
        let on = switched(metadata, true);
        assert!(is_on(&on) && !is_on(metadata));
        let off = switched(&on, false);
        assert!(!is_on(&off));
        let (before, after) = (object(metadata).expect("an object"), object(&off).expect("an object"));
        assert!(before.iter().all(|(name, value)| after.get(name) == Some(value)));
        assert_eq!(after.len(), before.len() + 1);
    }

    #[test]
    fn only_true_switches_it_on() {
        for metadata in ["", "true", "[]", r#"{"otc.force_mute":1}"#, r#"{"otc.force_mute":"true"}"#, "{"] {
            assert!(!is_on(metadata), "{metadata}");
        }
    }

    #[test]
    fn metadata_is_never_emptied() {
        assert_eq!(switched("", false), r#"{"otc.force_mute":false}"#);
        assert_eq!(switched(&switched("", true), false), r#"{"otc.force_mute":false}"#);
    }

    proptest! {
        #[test]
        fn a_text_of_others_comes_back(text in ".{1,100}") {
            prop_assume!(object(&text).is_none());
            let on = switched(&text, true);
            prop_assert!(is_on(&on));
            prop_assert_eq!(switched(&switched(&on, true), false), text);
        }
    }
}
