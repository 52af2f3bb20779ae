//! Frames that claim to be encrypted: as they are, and put together from packets. One that was sealed with the key here comes
//! back, and with one byte changed it stays closed.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use opentok::media::VideoCodec;
use opentok::media::encryption::{Keyring, Opener, Sealer};
use opentok::media::packet::join_sealed;

fn keyring() -> &'static Keyring {
    static KEYRING: OnceLock<Keyring> = OnceLock::new();
    KEYRING.get_or_init(|| {
        let keyring = Keyring::default();
        keyring.set("the secret of the fuzzer");
        keyring.derive();
        keyring
    })
}

/// Each begins with its length.
fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        payloads.push(payload);
        bytes = rest;
    }
    payloads
}

fuzz_target!(|input: &[u8]| {
    let Some((&[head, change], bytes)) = input.split_first_chunk::<2>() else { return };
    let opener = Opener::new(keyring().clone());
    let head = usize::from(head);
    let _ = opener.open(head, &mut bytes.to_vec());
    let _ = opener.open_data(bytes.get(..12).unwrap_or_default(), bytes.to_vec());
    let packets = payloads(bytes);
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
        let _ = join_sealed(codec, &packets, &opener);
    }

    let head = head.min(bytes.len());
    let mut sealer = Sealer::new(keyring().clone(), 1, 0);
    sealer.renew();
    let mut sealed = bytes.to_vec();
    sealer.seal(head, &mut sealed).expect("there is a key");
    let mut changed = sealed.clone();
    opener.open(head, &mut sealed).expect("it was sealed with the same key");
    assert_eq!(sealed, bytes);
    // Not the last one, the number of the key.
    let at = usize::from(change) % (changed.len() - 1);
    changed[at] ^= 1;
    assert!(opener.open(head, &mut changed).is_err(), "byte {at} does not matter");
});
