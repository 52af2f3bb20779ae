//! Classic tokens: `T1==` and base64 of `partner_id=<key>&sig=<hex HMAC-SHA1 of the data>:<form data>`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use url::form_urlencoded;

use super::{Claims, Kind, LIFETIME_DEFAULT_S, Order, Proof, Role, Token, TokenError, check_data};

pub(super) const PREFIX: &str = "T1==";

/// Generators differ in whether they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of an HMAC-SHA1.
const TAG_LENGTH: usize = 20;

/// Reads what follows the prefix.
pub(super) fn parse(encoded: &str) -> Result<Token, TokenError> {
    let bytes = LENIENT.decode(encoded).map_err(|_| TokenError::Malformed("base64 text"))?;
    let text = String::from_utf8(bytes).map_err(|_| TokenError::Malformed("text"))?;
    let (head, signed) = text.split_once(':').ok_or(TokenError::Malformed("signed part"))?;

    let mut api_key = None;
    let mut tag = None;
    for (name, value) in form_urlencoded::parse(head.as_bytes()) {
        match &*name {
            "partner_id" => once(&mut api_key, value.into_owned(), "partner_id")?,
            "sig" => once(&mut tag, from_hex(&value)?, "signature")?,
            _ => {}
        }
    }
    let api_key = api_key.filter(|key| !key.is_empty()).ok_or(TokenError::NoKey)?;
    let tag = tag.ok_or(TokenError::Malformed("signature"))?;
    let claims = claims(api_key, signed)?;
    Ok(Token { claims, proof: Proof::HmacSha1 { signed: signed.to_owned(), tag } })
}

fn claims(api_key: String, signed: &str) -> Result<Claims, TokenError> {
    let mut session_id = None;
    let mut role = None;
    let mut data = None;
    let mut created = None;
    let mut expires = None;
    for (name, value) in form_urlencoded::parse(signed.as_bytes()) {
        match &*name {
            "session_id" => once(&mut session_id, value.into_owned(), "session_id")?,
            "role" => once(&mut role, Role::from_word(&value)?, "role")?,
            "connection_data" => once(&mut data, value.into_owned(), "connection_data")?,
            "create_time" => once(&mut created, seconds(&value, "create_time")?, "create_time")?,
            "expire_time" => once(&mut expires, seconds(&value, "expire_time")?, "expire_time")?,
            _ => {}
        }
    }
    let created_s = created.flatten();
    let until_default = created_s.map(|created| created.saturating_add(LIFETIME_DEFAULT_S));
    let data = data.unwrap_or_default();
    check_data(&data)?;
    Ok(Claims {
        kind: Kind::Classic,
        api_key,
        session_id: session_id.filter(|id| !id.is_empty()).ok_or(TokenError::Malformed("session_id"))?,
        identity: String::new(),
        name: String::new(),
        data,
        attributes: Default::default(),
        grants: role.unwrap_or_default().grants(),
        can_join: true,
        can_create_rooms: false,
        can_list_rooms: false,
        created_s,
        not_before_s: None,
        expires_s: expires.flatten().or(until_default).ok_or(TokenError::NoExpiry)?,
    })
}

/// A field that stands twice could be read one way here and another way elsewhere.
fn once<T>(field: &mut Option<T>, value: T, name: &'static str) -> Result<(), TokenError> {
    if field.is_some() {
        return Err(TokenError::Malformed(name));
    }
    *field = Some(value);
    Ok(())
}

/// Some generators write an absent time as an empty text.
fn seconds(text: &str, name: &'static str) -> Result<Option<i64>, TokenError> {
    if text.is_empty() {
        return Ok(None);
    }
    // Some write fractions of a second.
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse().map(Some).map_err(|_| TokenError::Malformed(name))
}

fn from_hex(text: &str) -> Result<Vec<u8>, TokenError> {
    let digits = text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8));
    let digits: Option<Vec<u8>> = digits.collect();
    let digits = digits.filter(|digits| digits.len() == 2 * TAG_LENGTH);
    let digits = digits.ok_or(TokenError::Malformed("signature"))?;
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Signs a classic token.
pub fn classic(order: &Order) -> Result<String, TokenError> {
    order.check()?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("session_id", order.session_id)
        .append_pair("create_time", &order.created_s.to_string())
        .append_pair("expire_time", &order.expires_s.to_string())
        .append_pair("role", order.role.word())
        .append_pair("nonce", &order.nonce.to_string())
        .append_pair("initial_layout_class_list", "");
    if !order.connection_data.is_empty() {
        form.append_pair("connection_data", order.connection_data);
    }
    let signed = form.finish();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, order.secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let api_key: String = form_urlencoded::byte_serialize(order.api_key.as_bytes()).collect();
    let text = format!("partner_id={api_key}&sig={tag}:{signed}");
    Ok(format!("{PREFIX}{}", BASE64_STANDARD.encode(text)))
}
