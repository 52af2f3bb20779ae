//! The lasting mute mode of a session: one member of the JSON object in the room's metadata, beside whatever others keep
//! there.
//!
//! Metadata that is no JSON object is somebody's own text: it is put into a member of ours while the mode is on, and
//! stands alone again afterwards.

use serde_json::{Map, Value};

/// Whether streams that are published start muted.
const MODE: &str = "otc.force_mute";

/// How often all were muted since the mode is on: who mutes all again is heard again.
const TIMES: &str = "otc.force_mutes";

/// What the metadata was when it was no object.
const OTHERS: &str = "otc.metadata";

pub fn is_on(metadata: &str) -> bool {
    times(metadata) > 0
}

/// How often all were muted since the mode is on; 0 while it is off.
pub fn times(metadata: &str) -> u64 {
    let object = object(metadata).filter(|object| object.get(MODE) == Some(&Value::Bool(true)));
    // Who knows nothing of the number has switched it on once.
    object.map_or(0, |object| object.get(TIMES).and_then(Value::as_u64).unwrap_or(1).max(1))
}

/// The metadata with the mode switched, once more where it is on already.
pub fn switched(metadata: &str, is_on: bool) -> String {
    with_times(metadata, if is_on { times(metadata).saturating_add(1) } else { 0 })
}

/// The metadata with the mode on so many times. Never empty: LiveKit takes empty metadata for a wish to leave it as it is.
pub fn with_times(metadata: &str, times: u64) -> String {
    let mut object = object(metadata).unwrap_or_else(|| {
        let others = Some(metadata).filter(|text| !text.is_empty());
        others.map(|text| (OTHERS.to_owned(), Value::from(text))).into_iter().collect()
    });
    if let (0, Some(Value::String(text))) = (times, object.get(OTHERS))
        && !text.is_empty()
    {
        return text.clone();
    }
    object.insert(MODE.to_owned(), Value::Bool(times > 0));
    match times {
        0 => object.remove(TIMES),
        times => object.insert(TIMES.to_owned(), Value::from(times)),
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
    fn to_switch_it_on_again_is_news_and_to_switch_it_off_forgets_the_number() {
        let once = switched("", true);
        let twice = switched(&once, true);
        assert_eq!([times(""), times(&once), times(&twice)], [0, 1, 2]);
        assert_eq!(times(r#"{"otc.force_mute":true,"otc.force_mutes":"x"}"#), 1);
        assert_eq!(switched(&twice, false), switched("", false));
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
