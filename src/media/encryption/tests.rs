//! What is sealed is opened; what others have sealed is opened too; nothing else is.
//!
//! The vectors were made with another library (Python's `cryptography`), from the same description.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "the secret of the tests";

/// Made once: it takes its time.
pub(crate) fn keyring(secret: &str) -> Keyring {
    let keyring = Keyring::default();
    keyring.set(secret);
    keyring.derive();
    keyring
}

fn shared() -> &'static Keyring {
    static SHARED: std::sync::OnceLock<Keyring> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| keyring(SECRET))
}

pub(crate) fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("two digits");
    (0..hexadecimal.len()).step_by(2).map(digit).collect()
}

fn sealer(keyring: &Keyring) -> Sealer {
    let mut sealer = Sealer::new(keyring.clone(), 7, 0);
    assert_eq!(sealer.renew(), Renewal::New);
    sealer
}

#[test]
fn a_sound_sealed_by_others_is_opened() {
    let mut frame =
        bytes("781c80746a88291515d36ebcaa51481ee6c0855abd4b30aa6b091b62e9e5510102030405060708090a0b0c0c00");
    assert_eq!(Opener::new(shared().clone()).open(SOUND_HEAD, &mut frame), Ok(()));
    assert_eq!(frame, b"\x78sound of 20 ms");
}

#[test]
fn a_key_frame_sealed_by_others_is_opened_whatever_number_the_key_has() {
    let mut frame = bytes(
        "1002009d012a080008000ecf716d8f7d0f01963227e8124a3ac497ca47815b8ecad6100102030405060708090a0b0c0c03",
    );
    let head = vp8_head(&frame);
    assert_eq!(head, 10);
    assert_eq!(Opener::new(shared().clone()).open(head, &mut frame), Ok(()));
    assert_eq!(&frame[10..], b"a picture");
}

#[test]
fn data_encrypted_by_others_is_opened() {
    let data = bytes("0ecf71658f621f07d333eaaa585a3479b31d80cd45187ac0f7e825d61c77fef3");
    let nonce = bytes("0102030405060708090a0b0c");
    let opener = Opener::new(shared().clone());
    assert_eq!(opener.open_data(&nonce, data.clone()).as_deref(), Ok(&b"a packet of data"[..]));
    assert_eq!(opener.open_data(&nonce[1..], data), Err(Closed::Wrong));
}

#[test]
fn the_head_stays_readable_and_nothing_else_does() {
    let plain = [b"head".as_slice(), &[0; 100]].concat();
    let mut frame = plain.clone();
    sealer(shared()).seal(4, &mut frame).expect("sealed");
    assert!(frame.starts_with(b"head"));
    assert_eq!(frame.len(), plain.len() + 16 + 12 + 2);
    assert_eq!(frame[frame.len() - 2..], [12, 0]);
    assert!(frame.windows(4).all(|window| window != [0; 4]));
}

#[test]
fn the_same_frame_is_never_sealed_in_the_same_way() {
    let mut sealer = sealer(shared());
    let mut sealed = || {
        let mut frame = b"a frame".to_vec();
        sealer.seal(1, &mut frame).expect("sealed");
        frame
    };
    assert_ne!(sealed(), sealed());
}

#[test]
fn another_secret_opens_nothing() {
    let mut frame = b"a frame".to_vec();
    sealer(&keyring("another secret")).seal(1, &mut frame).expect("sealed");
    assert_eq!(Opener::new(shared().clone()).open(1, &mut frame), Err(Closed::Wrong));
}

#[test]
fn without_a_key_nothing_is_sealed_and_nothing_opened() {
    let keyring = Keyring::default();
    let mut sealer = Sealer::new(keyring.clone(), 7, 0);
    let mut frame = b"a frame".to_vec();
    for _ in 0..2 {
        assert_eq!(sealer.renew(), Renewal::Missing);
        assert_eq!(sealer.seal(1, &mut frame), Err(Unsealed));
        assert_eq!(Opener::new(keyring.clone()).open(1, &mut frame), Err(Closed::NoKey));
        keyring.set(SECRET); // and its key is not made yet
    }
    assert_eq!(frame, b"a frame");
    keyring.derive();
    assert_eq!(sealer.renew(), Renewal::New);
    assert_eq!(sealer.renew(), Renewal::Same);
}

#[test]
fn a_new_secret_takes_the_place_of_the_one_before_when_its_key_is_made() {
    let keyring = keyring(SECRET);
    let mut sealer = sealer(&keyring);
    keyring.set("a new secret");
    assert!(keyring.lacks_key());
    assert_eq!(sealer.renew(), Renewal::Same, "until then");
    keyring.derive();
    assert!(!keyring.lacks_key());
    assert_eq!(sealer.renew(), Renewal::New);
    let mut frame = b"a frame".to_vec();
    sealer.seal(1, &mut frame).expect("sealed");
    assert_eq!(Opener::new(shared().clone()).open(1, &mut frame.clone()), Err(Closed::Wrong));
    assert_eq!(Opener::new(keyring).open(1, &mut frame), Ok(()));
}

#[test]
fn neither_the_secret_nor_the_key_is_told() {
    let keyring = Keyring::default();
    keyring.set(SECRET);
    let told = format!("{keyring:?}");
    assert_eq!(told, "Keyring { is_set: true, .. }");
}

proptest! {
    #[test]
    fn a_frame_comes_back(frame in prop::collection::vec(any::<u8>(), 0..300), head in 0..300_usize) {
        let head = head.min(frame.len());
        let mut sealed = frame.clone();
        sealer(shared()).seal(head, &mut sealed).expect("sealed");
        prop_assert_eq!(Opener::new(shared().clone()).open(head, &mut sealed), Ok(()));
        prop_assert_eq!(sealed, frame);
    }

    #[test]
    fn a_frame_that_was_changed_stays_closed(
        frame in prop::collection::vec(any::<u8>(), 1..100), at: prop::sample::Index, change in 1..=255_u8,
    ) {
        let mut sealed = frame.clone();
        sealer(shared()).seal(1, &mut sealed).expect("sealed");
        // All but the last byte, the number of the key.
        let at = at.index(sealed.len() - 1);
        sealed[at] ^= change;
        prop_assert_eq!(Opener::new(shared().clone()).open(1, &mut sealed), Err(Closed::Wrong));
    }

    #[test]
    fn garbage_is_refused_and_never_a_panic(
        frame in prop::collection::vec(any::<u8>(), 0..80), ends_well: bool, head in 0..100_usize,
    ) {
        let mut frame = frame;
        if ends_well {
            frame.extend([12, 0]);
        }
        prop_assert_eq!(Opener::new(shared().clone()).open(head, &mut frame), Err(Closed::Wrong));
    }
}
