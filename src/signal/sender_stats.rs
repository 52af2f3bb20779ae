//! What a publisher's network carries, for its subscribers: a data packet of this library's, once a second while it is asked for.
//!
//! No program can send its like as a signal: a signal's type has no dot.

use serde_json::{Value, json};

use super::proto::{DataPacket, UserPacket, data_packet};

const TOPIC: &str = "otc.sender-stats";

/// The longest packet that is looked at. One has about a hundred bytes.
const SIZE_MAX: usize = 1024;

/// What a sender says of its way to the server, in bit/s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderStatistics {
    pub stream_id: String,
    /// What it would send if the network let it.
    pub max_allocated_bps: Option<u64>,
    /// What the network carries.
    pub estimated_bps: Option<u64>,
}

#[allow(deprecated)] // what older servers read
pub fn packet(statistics: &SenderStatistics) -> DataPacket {
    let SenderStatistics { stream_id, max_allocated_bps, estimated_bps } = statistics;
    let payload = json!({ "stream": stream_id, "max": max_allocated_bps, "estimate": estimated_bps });
    let user = UserPacket {
        payload: payload.to_string().into_bytes(),
        topic: Some(TOPIC.to_owned()),
        ..Default::default()
    };
    let value = Some(data_packet::Value::User(user));
    DataPacket { kind: data_packet::Kind::Reliable.into(), value, ..Default::default() }
}

/// Whether it is such a packet, whatever is in it.
pub fn is_it(packet: &DataPacket) -> bool {
    matches!(&packet.value, Some(data_packet::Value::User(user)) if user.topic.as_deref() == Some(TOPIC))
}

pub fn read(packet: &DataPacket) -> Option<SenderStatistics> {
    let Some(data_packet::Value::User(user)) = &packet.value else { return None };
    if !is_it(packet) || user.payload.len() > SIZE_MAX {
        return None;
    }
    let said: Value = serde_json::from_slice(&user.payload).ok()?;
    Some(SenderStatistics {
        stream_id: said.get("stream")?.as_str()?.to_owned(),
        max_allocated_bps: said.get("max").and_then(Value::as_u64),
        estimated_bps: said.get("estimate").and_then(Value::as_u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::signals;

    #[test]
    fn what_is_sent_is_read_and_nothing_else_is() {
        let mut statistics =
            SenderStatistics { stream_id: "TR_1".into(), max_allocated_bps: Some(1), estimated_bps: None };
        assert_eq!(read(&packet(&statistics)), Some(statistics.clone()));
        statistics.estimated_bps = Some(u64::MAX);
        assert_eq!(read(&packet(&statistics)), Some(statistics.clone()));
        assert_eq!(read(&signals::packet("chat", "{}", vec![])), None);
        assert!(signals::validate(TOPIC, "").is_err(), "no signal looks like it");
        for strange in
            ["", "[]", "{}", r#"{"stream":1}"#, &format!(r#"{{"stream":"{}"}}"#, "x".repeat(SIZE_MAX))]
        {
            let packet = signals::packet(TOPIC, strange, vec![]);
            assert!(is_it(&packet) && read(&packet).is_none(), "{strange}");
        }
    }
}
