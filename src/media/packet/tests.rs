//! What is sent is read again; what browsers send is understood; garbage is refused.

use proptest::prelude::*;

use super::*;
use crate::media::codec;
use crate::media::codec::tests::{at, both_ways, picture, settings};

fn frame(bytes: Vec<u8>, is_key: bool, temporal_layer: u8) -> EncodedFrame {
    EncodedFrame { bytes, is_key, temporal_layer, is_layer_sync: temporal_layer > 0 }
}

fn joined(codec: VideoCodec, payloads: &[Payload]) -> Joined {
    let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &*payload.bytes).collect();
    join(codec, &payloads).expect("own payloads")
}

fn pieces(codec: VideoCodec, payloads: &[Payload]) -> Vec<Piece> {
    payloads.iter().map(|payload| inspect(codec, &payload.bytes).expect("own payload")).collect()
}

/// One mark, on the last; nothing too large; sizes as even as they can be.
fn assert_well_cut(payloads: &[Payload]) {
    let marks: Vec<bool> = payloads.iter().map(|payload| payload.is_marked).collect();
    assert_eq!(marks.iter().filter(|is_marked| **is_marked).count(), 1);
    assert_eq!(marks.last(), Some(&true));
    assert!(payloads.iter().all(|payload| payload.bytes.len() <= PAYLOAD_MAX));
}

fn is_even(payloads: &[Payload]) -> bool {
    let sizes = payloads.iter().map(|payload| payload.bytes.len());
    sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0) <= 10
}

/// NAL units that begin with `header`, in Annex B.
fn stream(units: &[(u8, usize)]) -> Vec<u8> {
    let unit = |(header, size): &(u8, usize)| {
        let contents = std::iter::repeat_n(0x55, *size);
        [0, 0, 0, 1, *header].into_iter().chain(contents).collect::<Vec<u8>>()
    };
    units.iter().flat_map(unit).collect()
}

proptest! {
    #[test]
    fn a_vp8_frame_comes_back(
        bytes in proptest::collection::vec(any::<u8>(), 1..5_000),
        is_key: bool, layer in 0..3_u8, start: u16, has_layers: bool,
        metadata in proptest::collection::vec(any::<u8>(), 0..=32),
    ) {
        let mut bytes = bytes;
        bytes[0] = (bytes[0] & !1) | u8::from(!is_key);
        let metadata = Metadata::new(&metadata).expect("short");
        let mut packetiser = Packetiser::new(VideoCodec::Vp8, start).expect("sent");
        let encoded = frame(bytes.clone(), is_key, layer);
        let payloads = packetiser.packetise(&encoded, (320, 240), has_layers, &metadata);
        assert_well_cut(&payloads);
        prop_assert!(is_even(&payloads));
        prop_assert_eq!(joined(VideoCodec::Vp8, &payloads), Joined { bytes, metadata });
        for (index, piece) in pieces(VideoCodec::Vp8, &payloads).iter().enumerate() {
            prop_assert_eq!(piece.is_start, Some(index == 0));
            prop_assert_eq!(piece.is_key, is_key && index == 0);
            match piece.link {
                Link::Layered { layer: told, is_sync, .. } => {
                    prop_assert!(has_layers);
                    prop_assert_eq!((told, is_sync), (layer, layer > 0));
                }
                _ => prop_assert!(!has_layers),
            }
        }
    }

    #[test]
    fn a_vp9_frame_comes_back(
        bytes in proptest::collection::vec(any::<u8>(), 1..5_000), is_key: bool, start: u16,
    ) {
        let mut packetiser = Packetiser::new(VideoCodec::Vp9, start).expect("sent");
        let encoded = frame(bytes.clone(), is_key, 0);
        let payloads = packetiser.packetise(&encoded, (320, 240), false, &Metadata::default());
        assert_well_cut(&payloads);
        prop_assert!(is_even(&payloads));
        prop_assert_eq!(joined(VideoCodec::Vp9, &payloads).bytes, bytes);
        for (index, piece) in pieces(VideoCodec::Vp9, &payloads).iter().enumerate() {
            prop_assert_eq!((piece.is_start, piece.is_key), (Some(index == 0), is_key && index == 0));
            let is_base = matches!(piece.link, Link::Layered { layer: 0, .. });
            prop_assert!(is_base);
        }
    }

    #[test]
    fn an_h264_picture_comes_back(
        sizes in proptest::collection::vec(0..3_000_usize, 1..6),
        metadata in proptest::collection::vec(any::<u8>(), 0..=32),
    ) {
        let headers = [0x67, 0x68, 0x65, 0x65, 0x65, 0x65];
        let units: Vec<(u8, usize)> = headers.into_iter().zip(sizes).collect();
        let bytes = stream(&units);
        let metadata = Metadata::new(&metadata).expect("short");
        let mut packetiser = Packetiser::new(VideoCodec::H264, 0).expect("sent");
        let payloads = packetiser.packetise(&frame(bytes.clone(), true, 0), (320, 240), false, &metadata);
        assert_well_cut(&payloads);
        prop_assert_eq!(joined(VideoCodec::H264, &payloads), Joined { bytes, metadata });
        prop_assert_eq!(pieces(VideoCodec::H264, &payloads)[0].is_start, Some(true));
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_a_panic(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
            for payload in &payloads {
                let _ = inspect(codec, payload);
            }
            let _ = join(codec, &payloads);
        }
    }
}

#[test]
fn picture_numbers_count_frames_and_base_indices_frames_of_the_base() {
    let mut packetiser = Packetiser::new(VideoCodec::Vp8, 0x7fff).expect("sent");
    let mut seen = Vec::new();
    for layer in [0, 2, 1, 2, 0] {
        let encoded = frame(vec![0x11; 10], false, layer);
        let payloads = packetiser.packetise(&encoded, (2, 2), true, &Metadata::default());
        let bytes = &payloads[0].bytes;
        seen.push((u16::from_be_bytes([bytes[2], bytes[3]]), bytes[4]));
    }
    // The number has fifteen bits behind the bit that says so, and wraps.
    assert_eq!(seen, [(0x8000, 0x80), (0x8001, 0x80), (0x8002, 0x80), (0x8003, 0x80), (0x8004, 0x81)]);
}

#[test]
fn a_vp8_descriptor_of_any_length_is_read() {
    let body = [0x10, 1, 2];
    let descriptors: [(&[u8], Link); 4] = [
        (&[0x10], Link::Sequence),
        (&[0x90, 0x80, 0x05], Link::Sequence),
        (&[0x90, 0x80, 0x85, 0x06], Link::Sequence),
        (
            &[0x90, 0xe0, 0x85, 0x06, 0x09, 0x60],
            Link::Layered { base_index: 9, layer: 1, is_sync: true, is_switch: false },
        ),
    ];
    for (descriptor, link) in descriptors {
        let payload = [descriptor, &body].concat();
        let piece = inspect(VideoCodec::Vp8, &payload).expect("a descriptor");
        assert_eq!(piece, Piece { is_start: Some(true), is_key: true, link });
        assert_eq!(join(VideoCodec::Vp8, &[&payload]).expect("a frame").bytes, body);
        for cut in 0..descriptor.len() {
            assert_eq!(inspect(VideoCodec::Vp8, &payload[..cut]), Err(Malformed));
        }
    }
}

#[test]
fn vp9_layers_of_one_picture_are_one_frame() {
    // Number 5, layer 0, base index 3; then spatial layer 1, which needs the one below.
    let structure = [0x38, 0, 160, 0, 90, 1, 64, 0, 180, 1, 0x14, 1];
    let low = [&[0xaa | 0x04, 0x85, 0x05, 0x00, 0x03], structure.as_slice(), &[0xb0]].concat();
    let high = [0xa8 | 0x04, 0x85, 0x05, 0x03, 0x03, 0xb1];
    let low_piece = inspect(VideoCodec::Vp9, &low).expect("a descriptor");
    assert_eq!((low_piece.is_start, low_piece.is_key), (Some(true), true));
    let high_piece = inspect(VideoCodec::Vp9, &high).expect("a descriptor");
    assert_eq!((high_piece.is_start, high_piece.is_key), (None, false));
    assert_eq!(join(VideoCodec::Vp9, &[&low, &high]).expect("a picture").bytes, [0xb0, 0xb1]);
}

#[test]
fn vp9_names_its_references_in_flexible_mode() {
    let payload = [0x80 | 0x40 | 0x10 | 0x08, 0x81, 0x00, 0x03, 0x08, 0xbb];
    let piece = inspect(VideoCodec::Vp9, &payload).expect("a descriptor");
    assert_eq!(piece.link, Link::References { picture_id: 256, differences: [1, 4, 0] });
    assert!(!piece.is_key);
    let endless = [0xd8, 0x81, 0x00, 0x03, 0x03, 0x03, 0x02, 0xbb];
    assert_eq!(inspect(VideoCodec::Vp9, &endless), Err(Malformed), "four references");
}

#[test]
fn small_h264_units_share_a_packet_and_large_ones_are_cut() {
    let bytes = stream(&[(0x67, 20), (0x68, 4), (0x65, 3_000)]);
    let payloads = h264::packetise(&bytes, &Metadata::default());
    assert_eq!(payloads[0].bytes[0] & 0x1f, 24);
    assert_eq!(payloads.len(), 4);
    let cut = &payloads[1..];
    assert!(cut.iter().all(|payload| payload.bytes[0] & 0x1f == 28) && is_even(cut));
    let pieces = pieces(VideoCodec::H264, &payloads);
    assert!(pieces.iter().all(|piece| piece.is_key));
    assert_eq!(
        pieces.iter().map(|piece| piece.is_start).collect::<Vec<_>>(),
        [Some(true), None, Some(false), Some(false)]
    );
}

#[test]
fn h264_fragments_with_a_hole_are_refused() {
    let payloads = h264::packetise(&stream(&[(0x65, 5_000)]), &Metadata::default());
    let all: Vec<&[u8]> = payloads.iter().map(|payload| &*payload.bytes).collect();
    assert!(join(VideoCodec::H264, &all).is_ok());
    assert_eq!(join(VideoCodec::H264, &all[1..]), Err(Malformed));
    assert_eq!(join(VideoCodec::H264, &all[..all.len() - 1]), Err(Malformed));
}

#[test]
fn kinds_of_the_other_packetization_mode_are_not_taken() {
    for kind in [0, 25, 26, 27, 29, 30, 31] {
        let payload = [kind, 0x85, 0, 0, 1, 0x65];
        assert_eq!(inspect(VideoCodec::H264, &payload), Err(Malformed), "type {kind}");
        assert_eq!(join(VideoCodec::H264, &[&payload]), Err(Malformed), "type {kind}");
    }
}

#[test]
fn user_data_of_others_stays_in_an_h264_picture() {
    let foreign = [0x06, 5, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0xaa, 0x80];
    let joined = join(VideoCodec::H264, &[&foreign, &[0x65, 1, 2]]).expect("a picture");
    assert_eq!(joined.metadata, Metadata::default());
    assert_eq!(joined.bytes, [&[0, 0, 0, 1], foreign.as_slice(), &[0, 0, 0, 1, 0x65, 1, 2]].concat());
}

#[test]
fn metadata_that_looks_like_a_start_code_is_escaped() {
    let metadata = Metadata::new(&[0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 1]).expect("short");
    let payloads = h264::packetise(&stream(&[(0x65, 10)]), &metadata);
    let bytes = &payloads[0].bytes;
    assert!(!bytes.windows(3).any(|window| window == [0, 0, 1]), "{bytes:02x?}");
    assert_eq!(joined(VideoCodec::H264, &payloads).metadata, metadata);
}

#[test]
fn av1_units_get_their_sizes_back_across_packets() {
    // Two packets: a sequence header whose length is said, a frame that goes on in the second packet; a delimiter
    // with a size of its own in between.
    let first = [0x08 | 0x30 | 0x40, 3, 0x08, 0xaa, 0xbb, 2, 0x12, 0x00, 0x30, 1, 2];
    let second = [0x80 | 0x10, 3, 4];
    let frame = join(VideoCodec::Av1, &[&first, &second]).expect("a temporal unit");
    assert_eq!(frame.bytes, [0x12, 0, 0x0a, 2, 0xaa, 0xbb, 0x32, 4, 1, 2, 3, 4]);
    assert_eq!(
        inspect(VideoCodec::Av1, &first).map(|piece| (piece.is_start, piece.is_key)),
        Ok((Some(true), true))
    );
    assert_eq!(
        inspect(VideoCodec::Av1, &second).map(|piece| (piece.is_start, piece.is_key)),
        Ok((Some(false), false))
    );
    assert_eq!(join(VideoCodec::Av1, &[&first]), Err(Malformed), "the rest is missing");
    assert_eq!(join(VideoCodec::Av1, &[&second]), Err(Malformed), "the beginning is missing");
}

#[test]
fn an_av1_unit_of_more_than_127_bytes_has_a_longer_size() {
    let payload = [&[0x10, 0x30], [7; 300].as_slice()].concat();
    let frame = join(VideoCodec::Av1, &[&payload]).expect("a temporal unit");
    assert_eq!(frame.bytes[2..5], [0x32, 0xac, 0x02]);
    assert_eq!(frame.bytes.len(), 5 + 300);
}

#[test]
fn a_length_beyond_the_packet_is_refused() {
    for payload in [[0x00, 9, 0x30].as_slice(), &[0x00, 0xff, 0xff, 0xff, 0xff, 0xff], &[0x20, 0x80]] {
        assert_eq!(join(VideoCodec::Av1, &[payload]), Err(Malformed));
    }
    assert_eq!(inspect(VideoCodec::H264, &[24, 0, 9, 0x67]), Err(Malformed));
    assert_eq!(
        inspect(VideoCodec::Av1, &[0x88, 0x30]),
        Err(Malformed),
        "a sequence does not begin in its middle"
    );
}

#[test]
fn a_foreign_decoder_does_not_look_at_the_metadata() {
    for codec in both_ways().into_iter().filter(|codec| *codec != VideoCodec::Vp9) {
        let mut encoder = codec::video_encoder(codec, &settings(320, 180)).expect("an encoder");
        let mut with = codec::video_decoder(codec).expect("a decoder");
        let mut without = codec::video_decoder(codec).expect("a decoder");
        let metadata = Metadata::new(&[0xff; Metadata::SIZE_MAX]).expect("short");
        let mut count = 0;
        for number in 0..20 {
            let picture = picture(320, 180, number);
            let Some(frame) = encoder.encode(&picture, at(number), number == 10).expect("encoded") else {
                continue;
            };
            let foreign = as_others_see_it(codec, &frame.bytes, &metadata);
            assert!(foreign.len() > frame.bytes.len() + metadata.as_bytes().len(), "{codec:?}");
            let seen = with.decode(&foreign).expect("decoded").map(|picture| picture.shared_pixels());
            let meant = without.decode(&frame.bytes).expect("decoded").map(|picture| picture.shared_pixels());
            assert!(seen == meant, "{codec:?}, picture {number}");
            count += usize::from(seen.is_some());
        }
        assert!(count > 15, "{codec:?}: {count} pictures");
    }
}

/// The frame that a client puts together which knows nothing of metadata.
fn as_others_see_it(codec: VideoCodec, frame: &[u8], metadata: &Metadata) -> Vec<u8> {
    if codec == VideoCodec::Vp8 {
        let mut bytes = std::borrow::Cow::Borrowed(frame);
        metadata::append_trailer(&mut bytes, metadata);
        return bytes.into_owned();
    }
    let mut units: Vec<Vec<u8>> = annex_b::units(frame).into_iter().map(<[u8]>::to_vec).collect();
    let slice = units.iter().position(|unit| annex_b::unit_type(unit[0]) <= annex_b::SLICE_LAST);
    units.insert(slice.expect("a slice"), metadata::to_sei(metadata).expect("some"));
    units.into_iter().flat_map(|unit| annex_b::START_CODE.into_iter().chain(unit)).collect()
}

mod sealed {
    use super::*;
    use crate::media::encryption::tests::keyring;
    use crate::media::encryption::{Closed, Keyring, Renewal};

    fn shared() -> &'static Keyring {
        static SHARED: std::sync::OnceLock<Keyring> = std::sync::OnceLock::new();
        SHARED.get_or_init(|| keyring("a secret of packets"))
    }

    fn sealer() -> Sealer {
        let mut sealer = Sealer::new(shared().clone(), 3, 1);
        assert_eq!(sealer.renew(), Renewal::New);
        sealer
    }

    fn joined(codec: VideoCodec, payloads: &[Payload], keyring: &Keyring) -> Result<Joined, Unjoined> {
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &*payload.bytes).collect();
        join_sealed(codec, &payloads, &Opener::new(keyring.clone()))
    }

    fn packetise(codec: VideoCodec, encoded: &EncodedFrame, metadata: &Metadata) -> Vec<Payload> {
        let mut packetiser = Packetiser::new(codec, 9).expect("sent");
        let sealed = packetiser.packetise_sealed(encoded, (320, 240), true, metadata, &mut sealer());
        sealed.expect("sealed")
    }

    proptest! {
        #[test]
        fn a_vp8_frame_comes_back_with_its_metadata(
            // No frame is shorter than its head.
            bytes in proptest::collection::vec(any::<u8>(), 10..3_000), is_key: bool,
            metadata in proptest::collection::vec(any::<u8>(), 0..=32),
        ) {
            let mut bytes = bytes;
            bytes[0] = (bytes[0] & !1) | u8::from(!is_key);
            let metadata = Metadata::new(&metadata).expect("short");
            let payloads = packetise(VideoCodec::Vp8, &frame(bytes.clone(), is_key, 0), &metadata);
            assert_well_cut(&payloads);
            prop_assert_eq!(pieces(VideoCodec::Vp8, &payloads)[0].is_key, is_key);
            prop_assert_eq!(joined(VideoCodec::Vp8, &payloads, shared()), Ok(Joined { bytes, metadata }));
        }

        #[test]
        fn a_vp9_frame_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..3_000), is_key: bool) {
            let metadata = Metadata::default();
            let payloads = packetise(VideoCodec::Vp9, &frame(bytes.clone(), is_key, 0), &metadata);
            assert_well_cut(&payloads);
            prop_assert_eq!(pieces(VideoCodec::Vp9, &payloads)[0].is_key, is_key);
            prop_assert_eq!(joined(VideoCodec::Vp9, &payloads, shared()), Ok(Joined { bytes, metadata }));
        }

        #[test]
        fn an_h264_picture_of_several_slices_comes_back_with_its_metadata(
            sizes in proptest::collection::vec(1..2_500_usize, 3..6),
            metadata in proptest::collection::vec(any::<u8>(), 0..=32),
        ) {
            let headers = [0x67, 0x68, 0x65, 0x65, 0x65, 0x65];
            let bytes = stream(&headers.into_iter().zip(sizes).collect::<Vec<_>>());
            let metadata = Metadata::new(&metadata).expect("short");
            let payloads = packetise(VideoCodec::H264, &frame(bytes.clone(), true, 0), &metadata);
            assert_well_cut(&payloads);
            prop_assert!(pieces(VideoCodec::H264, &payloads)[0].is_key);
            prop_assert_eq!(joined(VideoCodec::H264, &payloads, shared()), Ok(Joined { bytes, metadata }));
        }

        #[test]
        fn garbage_is_refused_and_never_a_panic(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6),
        ) {
            let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
            for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
                prop_assert!(join_sealed(codec, &payloads, &Opener::new(shared().clone())).is_err());
            }
        }
    }

    #[test]
    fn the_layers_of_a_vp9_picture_are_opened_one_by_one() {
        let mut sealer = sealer();
        let mut payloads = Vec::new();
        for (spatial, contents) in [(0_u8, b"below"), (1, b"above")] {
            let mut layer = contents.to_vec();
            sealer.seal(0, &mut layer).expect("sealed");
            let (first, second) = layer.split_at(9);
            for (edge, part) in [(0x08, first), (0x04, second)] {
                payloads.push([&[0xa0 | edge, 1, spatial << 1, 0], part].concat());
            }
        }
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let opener = Opener::new(shared().clone());
        let whole = join_sealed(VideoCodec::Vp9, &payloads, &opener).expect("opened");
        assert_eq!(whole.bytes, b"belowabove");
        for missing in 0..payloads.len() {
            let mut payloads = payloads.clone();
            payloads.remove(missing);
            assert!(join_sealed(VideoCodec::Vp9, &payloads, &opener).is_err(), "without {missing}");
        }
    }

    #[test]
    fn nothing_behind_the_head_of_an_h264_picture_looks_like_a_start_code() {
        for _ in 0..200 {
            let payloads = packetise(
                VideoCodec::H264,
                &frame(stream(&[(0x67, 9), (0x65, 700)]), true, 0),
                &Metadata::default(),
            );
            let [payload] = payloads.as_slice() else { panic!("one packet is enough") };
            // The header of the group, the size and the parameters, the size and the slice.
            let slice = &payload.bytes[1 + 2 + 10 + 2..];
            assert_eq!(slice[0], 0x65);
            assert!(slice.windows(3).all(|window| !matches!(window, [0, 0, 0..=2])));
        }
    }

    #[test]
    fn metadata_is_not_readable() {
        let metadata = Metadata::new(b"where the camera is").expect("short");
        for codec in [VideoCodec::Vp8, VideoCodec::H264] {
            let bytes = if codec == VideoCodec::H264 { stream(&[(0x65, 50)]) } else { vec![0; 50] };
            for payload in packetise(codec, &frame(bytes, true, 0), &metadata) {
                assert!(payload.bytes.windows(6).all(|window| window != b"camera"), "{codec:?}");
            }
        }
    }

    #[test]
    fn with_another_secret_it_stays_closed() {
        let other = keyring("another secret of packets");
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264] {
            let bytes = if codec == VideoCodec::H264 { stream(&[(0x65, 50)]) } else { vec![0; 50] };
            let payloads = packetise(codec, &frame(bytes, true, 0), &Metadata::default());
            let joined = joined(codec, &payloads, &other);
            assert_eq!(joined, Err(Unjoined::Closed(Closed::Wrong)), "{codec:?}");
        }
    }
}
