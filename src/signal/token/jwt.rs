//! JSON web tokens (RFC 7519): those of the newer OpenTok platform, and LiveKit's.
//!
//! HS256 is read and written. RS256 is read only: platform tokens of an application are signed with a private key,
//! whose public half a client does not have. Every other algorithm is refused, `none` first of all.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{Access, Claims, Grants, Kind, Order, Proof, Role, Sources, Token, TokenError, check_data};
use crate::signal::proto::participant_info::Kind as ParticipantKind;

type Object = Map<String, Value>;

enum Algorithm {
    Hs256,
    Rs256,
}

pub(super) fn parse(text: &str) -> Result<Token, TokenError> {
    let (signed, tag) = text.rsplit_once('.').ok_or(TokenError::UnknownKind)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::UnknownKind)?;
    let algorithm = algorithm(&object(header, "header")?)?;
    let payload = object(payload, "payload")?;
    let claims = match payload.get("video") {
        Some(Value::Object(video)) => livekit_claims(&payload, video, &algorithm)?,
        Some(_) => return Err(TokenError::Malformed("video grant")),
        None => platform_claims(&payload, &algorithm)?,
    };
    let tag = decode(tag, "signature")?;
    let proof = match algorithm {
        Algorithm::Hs256 => Proof::HmacSha256 { signed: signed.to_owned(), tag },
        Algorithm::Rs256 => Proof::Rsa,
    };
    Ok(Token { claims, proof })
}

fn algorithm(header: &Object) -> Result<Algorithm, TokenError> {
    // RFC 7515, 4.1.11: extensions that are marked as critical and not understood make the token invalid.
    if header.contains_key("crit") {
        return Err(TokenError::UnsupportedAlgorithm);
    }
    match header.get("alg").and_then(Value::as_str) {
        Some("HS256") => Ok(Algorithm::Hs256),
        Some("RS256") => Ok(Algorithm::Rs256),
        _ => Err(TokenError::UnsupportedAlgorithm),
    }
}

fn platform_claims(payload: &Object, algorithm: &Algorithm) -> Result<Claims, TokenError> {
    if !payload.contains_key("session_id") {
        return Err(TokenError::UnknownKind);
    }
    let scope = text(payload, "scope")?;
    if !scope.is_empty() && !scope.split(' ').any(|word| word == "session.connect") {
        return Err(TokenError::JoinNotGranted);
    }
    let data = text(payload, "connection_data")?;
    check_data(&data)?;
    // The signer: an application signs with its private key, a project with its secret.
    let names = match algorithm {
        Algorithm::Rs256 => ["application_id", "iss"],
        Algorithm::Hs256 => ["iss", "application_id"],
    };
    let session_id = text(payload, "session_id")?;
    Ok(Claims {
        kind: Kind::Platform,
        api_key: first_of(payload, names)?,
        session_id: Some(session_id)
            .filter(|id| !id.is_empty())
            .ok_or(TokenError::Malformed("session_id"))?,
        identity: String::new(),
        name: String::new(),
        data,
        attributes: BTreeMap::new(),
        grants: Role::from_word(&text(payload, "role")?)?.grants(),
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s: seconds(payload, "iat")?,
        not_before_s: seconds(payload, "nbf")?,
        expires_s: seconds(payload, "exp")?.ok_or(TokenError::NoExpiry)?,
    })
}

/// An empty list is none.
fn sources(video: &Object) -> Result<Sources, TokenError> {
    let words = match video.get("canPublishSources") {
        None | Some(Value::Null) => return Ok(Sources::All),
        Some(Value::Array(words)) if words.is_empty() => return Ok(Sources::All),
        Some(Value::Array(words)) => words,
        Some(_) => return Err(TokenError::Malformed("canPublishSources")),
    };
    let names =
        |wanted: &str| words.iter().filter_map(Value::as_str).any(|word| word.eq_ignore_ascii_case(wanted));
    Ok(Sources::Only(Sources::WORDS.map(names)))
}

fn livekit_claims(payload: &Object, video: &Object, algorithm: &Algorithm) -> Result<Claims, TokenError> {
    if matches!(algorithm, Algorithm::Rs256) {
        return Err(TokenError::UnsupportedAlgorithm);
    }
    // What a grant leaves open is allowed for tracks, follows them for data, and is forbidden otherwise.
    let can_publish = flag(video, "canPublish")?.unwrap_or(true);
    // LiveKit writes its own names of kinds in small letters.
    let kind = payload.get("kind").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
    let holder = ParticipantKind::from_str_name(&kind).unwrap_or(ParticipantKind::Standard);
    let grants = Grants {
        can_publish,
        can_subscribe: flag(video, "canSubscribe")?.unwrap_or(true),
        can_publish_data: flag(video, "canPublishData")?.unwrap_or(can_publish),
        room_admin: flag(video, "roomAdmin")?.unwrap_or(false),
        hidden: flag(video, "hidden")?.unwrap_or(false),
        can_update_metadata: flag(video, "canUpdateOwnMetadata")?.unwrap_or(false),
        // LiveKit's own recorder says so by its kind.
        is_recorder: flag(video, "recorder")?.unwrap_or(false) || holder == ParticipantKind::Egress,
        is_agent: flag(video, "agent")?.unwrap_or(false),
        holder,
        sources: sources(video)?,
    };
    Ok(Claims {
        kind: Kind::LiveKit,
        api_key: first_of(payload, ["iss"])?,
        session_id: text(video, "room")?,
        identity: text(payload, "sub")?,
        name: text(payload, "name")?,
        data: text(payload, "metadata")?,
        attributes: attributes(payload)?,
        grants,
        can_join: flag(video, "roomJoin")?.unwrap_or(false),
        can_create_rooms: flag(video, "roomCreate")?.unwrap_or(false),
        can_list_rooms: flag(video, "roomList")?.unwrap_or(false),
        created_s: seconds(payload, "iat")?,
        not_before_s: seconds(payload, "nbf")?,
        expires_s: seconds(payload, "exp")?.ok_or(TokenError::NoExpiry)?,
    })
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed(name))
}

fn object(part: &str, name: &'static str) -> Result<Object, TokenError> {
    match serde_json::from_slice(&decode(part, name)?) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(TokenError::Malformed(name)),
    }
}

/// Absent is empty; another type is an error.
fn text(object: &Object, name: &'static str) -> Result<String, TokenError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(TokenError::Malformed(name)),
    }
}

/// The first of the names that has a value. Some generators write the API key as a number.
fn first_of<const N: usize>(object: &Object, names: [&'static str; N]) -> Result<String, TokenError> {
    for name in names {
        let value = match object.get(name) {
            Some(Value::Number(number)) => number.to_string(),
            _ => text(object, name)?,
        };
        if !value.is_empty() {
            return Ok(value);
        }
    }
    Err(TokenError::NoKey)
}

fn flag(object: &Object, name: &'static str) -> Result<Option<bool>, TokenError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(TokenError::Malformed(name)),
    }
}

/// A `NumericDate`: RFC 7519, 2 allows fractions.
fn seconds(object: &Object, name: &'static str) -> Result<Option<i64>, TokenError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        // A conversion from `f64` saturates, so no time of a stranger overflows.
        Some(Value::Number(number)) => Ok(number.as_i64().or(number.as_f64().map(|seconds| seconds as i64))),
        Some(_) => Err(TokenError::Malformed(name)),
    }
}

fn attributes(payload: &Object) -> Result<BTreeMap<String, String>, TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed("attributes");
    match payload.get("attributes") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.as_str().ok_or(MALFORMED)?.to_owned())))
            .collect(),
        Some(_) => Err(MALFORMED),
    }
}

/// Signs a platform token of a project (HS256).
pub fn platform(order: &Order) -> Result<String, TokenError> {
    order.check()?;
    let mut payload = json!({
        "iss": order.api_key,
        "ist": "project",
        "scope": "session.connect",
        "session_id": order.session_id,
        "role": order.role.word(),
        "nonce": order.nonce,
        "iat": order.created_s,
        "exp": order.expires_s,
        "initial_layout_class_list": "",
    });
    if !order.connection_data.is_empty() {
        payload["connection_data"] = order.connection_data.into();
    }
    Ok(sign(&payload, order.secret))
}

/// Signs a LiveKit access token.
pub fn livekit(access: &Access) -> Result<String, TokenError> {
    access.check()?;
    let mut video = json!({
        "canPublish": access.grants.can_publish,
        "canSubscribe": access.grants.can_subscribe,
        "canPublishData": access.grants.can_publish_data,
    });
    let flags = [
        ("roomJoin", access.can_join),
        ("roomAdmin", access.grants.room_admin),
        ("roomCreate", access.can_create_rooms),
        ("roomList", access.can_list_rooms),
        ("hidden", access.grants.hidden),
        ("canUpdateOwnMetadata", access.grants.can_update_metadata),
        ("recorder", access.grants.is_recorder),
        ("agent", access.grants.is_agent),
    ];
    for (name, _) in flags.into_iter().filter(|(_, granted)| *granted) {
        video[name] = true.into();
    }
    if let Sources::Only(named) = access.grants.sources {
        let words = Sources::WORDS.into_iter().zip(named).filter(|(_, is_named)| *is_named);
        video["canPublishSources"] = words.map(|(word, _)| word).collect::<Vec<_>>().into();
    }
    if !access.room.is_empty() {
        video["room"] = access.room.into();
    }
    let mut payload = json!({
        "iss": access.api_key,
        "nbf": access.created_s,
        "exp": access.expires_s,
        "video": video,
    });
    let kind = match access.grants.holder {
        ParticipantKind::Standard => String::new(),
        other => other.as_str_name().to_ascii_lowercase(),
    };
    let texts =
        [("sub", access.identity), ("name", access.name), ("metadata", access.metadata), ("kind", &kind)];
    for (name, value) in texts {
        if !value.is_empty() {
            payload[name] = value.into();
        }
    }
    Ok(sign(&payload, access.secret))
}

fn sign(payload: &Value, secret: &str) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.to_string());
    let signed = format!("{header}.{payload}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()))
}
