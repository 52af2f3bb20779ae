//! Simulcast: who gets which layer, and that nobody notices a change.

use super::*;
use crate::signal::proto::StreamState;

struct Cast {
    call: Call,
    info: TrackInfo,
    layers: [Source; 3],
    is_key: [bool; 3],
}

impl Cast {
    fn new() -> Self {
        let mut call = Call::new();
        let (alice, bob) = (call.ours("alice"), call.ours("bob"));
        let (info, section) = call.publish(alice, simulcast("camera"), &["q", "h", "f"]);
        call.subscribe(bob, &info.sid, true);
        call.until("both connections are up", |call| {
            is_connected(call, alice) && call.clients[bob].subscriber.as_ref().is_some_and(Peer::is_connected)
        });
        let mut number = 0;
        let layers = ["q", "h", "f"].map(|name| {
            number += 1;
            let mut source = Source::video(alice, section, Some(name));
            // Nothing of the layers' numbers is related.
            source.sequence = 10_000 * number;
            source.timestamp = 1_000_000_000 * number as u32;
            source.picture = 1000 * number as u16;
            source.base = 50 * number as u8;
            source.payload_size = [100, 300, 1000][number as usize - 1];
            source
        });
        Self { call, info, layers, is_key: [true; 3] }
    }

    /// A picture in every layer, a key frame where one was asked for.
    fn frame(&mut self) {
        for (_, layer) in std::mem::take(&mut self.call.clients[0].key_frames) {
            let index = self.layers.iter().position(|source| source.layer == layer).expect("a layer");
            self.is_key[index] = true;
        }
        for (index, source) in self.layers.iter_mut().enumerate() {
            source.picture(&mut self.call, std::mem::take(&mut self.is_key[index]));
        }
        self.call.pass(Duration::from_millis(33));
    }

    fn until_size(&mut self, size: usize) {
        for _ in 0..300 {
            self.frame();
            let got = self.call.clients[1].got(&self.info.sid);
            let last = got.iter().rev().take(5).filter(|packet| packet.payload.len() == size).count();
            if last == 5 {
                return;
            }
        }
        let sizes: Vec<usize> =
            self.call.clients[1].packets.iter().map(|packet| packet.payload.len()).collect();
        panic!("no pictures of {size} bytes: {sizes:?}");
    }

    fn wish(&mut self, settings: UpdateTrackSettings) {
        let sid = self.info.sid.clone();
        self.call.set(1, &sid, settings);
    }
}

/// One stream as a decoder wants it: no gap, time goes on, each change of layer is a key frame.
fn is_one_stream(packets: &[&PacketIn]) {
    let read = |packet: &PacketIn| super::super::media::vp8::Descriptor::read(&packet.payload).expect("VP8");
    for pair in packets.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(after.sequence, before.sequence + 1);
        let time = after.timestamp as i64 - before.timestamp as i64;
        // Where a layer begins with the picture that the other one ended with, only just.
        assert!((1..20_000).contains(&time), "{time} between {before:?} and {after:?}");
        let (one, two) = (read(before), read(after));
        assert_eq!(two.picture, one.picture.map(|picture| picture.shifted(1)));
        assert_eq!(two.base, one.base.map(|base| base.wrapping_add(1)));
        assert!(two.is_key || before.payload.len() == after.payload.len(), "a change without a key frame");
    }
}

#[test]
fn a_wish_for_a_size_or_a_quality_chooses_the_layer_and_the_change_is_seamless() {
    let mut cast = Cast::new();
    cast.until_size(1000);
    cast.wish(UpdateTrackSettings { width: 300, height: 150, ..Default::default() });
    cast.until_size(100);
    cast.wish(UpdateTrackSettings { quality: VideoQuality::Medium.into(), ..Default::default() });
    cast.until_size(300);
    cast.wish(UpdateTrackSettings { width: 4000, height: 2000, ..Default::default() });
    cast.until_size(1000);
    let got = cast.call.clients[1].got(&cast.info.sid);
    is_one_stream(&got);
}

#[test]
fn the_first_picture_is_there_at_once_in_each_layer_that_begins() {
    let mut cast = Cast::new();
    cast.frame();
    let got = cast.call.clients[1].got(&cast.info.sid);
    let sizes: Vec<usize> = got.iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(
        sizes,
        [100, 300, 1000],
        "each begins with a key frame, and nothing better is there before it"
    );
    is_one_stream(&got);
}

#[test]
fn a_track_that_is_switched_off_sends_nothing_and_comes_back() {
    let mut cast = Cast::new();
    cast.until_size(1000);
    cast.wish(UpdateTrackSettings { disabled: true, ..Default::default() });
    cast.frame();
    let before = cast.call.clients[1].packets.len();
    for _ in 0..10 {
        cast.frame();
    }
    assert_eq!(cast.call.clients[1].packets.len(), before);
    cast.wish(UpdateTrackSettings { quality: VideoQuality::High.into(), ..Default::default() });
    cast.until_size(1000);
    let sequences: Vec<u64> = cast.call.clients[1].packets.iter().map(|packet| packet.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
}

#[test]
fn a_layer_that_is_not_sent_is_replaced_by_the_next_best() {
    let mut cast = Cast::new();
    cast.until_size(1000);
    // The publisher's own network does not carry the highest one any more.
    let only_low = |cast: &mut Cast| {
        for (_, layer) in std::mem::take(&mut cast.call.clients[0].key_frames) {
            cast.is_key[0] |= layer == Some(Layer::new("q"));
        }
        let is_key = std::mem::take(&mut cast.is_key[0]);
        cast.layers[0].picture(&mut cast.call, is_key);
        cast.call.pass(Duration::from_millis(33));
    };
    for _ in 0..150 {
        only_low(&mut cast);
    }
    let last = cast.call.clients[1].packets.last().expect("packets");
    assert_eq!(last.payload.len(), 100);
    cast.until_size(1000);
}

#[test]
fn higher_temporal_layers_are_left_out_for_a_lower_frame_rate() {
    let (mut call, info, mut source) = watching();
    let play = |call: &mut Call, source: &mut Source, pictures: usize| {
        for number in 0..pictures {
            let is_key = !std::mem::take(&mut call.clients[0].key_frames).is_empty() || source.picture == 100;
            source.temporal(call, is_key && number % 2 == 0, (number % 2) as u8);
            call.pass(Duration::from_millis(33));
        }
    };
    play(&mut call, &mut source, 80);
    call.set(
        1,
        &info.sid,
        UpdateTrackSettings { quality: VideoQuality::High.into(), fps: 12, ..Default::default() },
    );
    play(&mut call, &mut source, 4);
    let before = call.clients[1].packets.len();
    play(&mut call, &mut source, 40);
    let packets = &call.clients[1].packets;
    assert_eq!(packets.len() - before, 20);
    assert!(packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "no gap");
    let steps: Vec<u64> =
        packets[before..].windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    assert!(steps.iter().all(|step| *step == 6000), "{steps:?}");
    call.set(1, &info.sid, UpdateTrackSettings { quality: VideoQuality::High.into(), ..Default::default() });
    let before = call.clients[1].packets.len();
    play(&mut call, &mut source, 40);
    assert!(call.clients[1].packets.len() - before >= 38, "all of them again");
}

#[test]
fn what_the_network_does_not_carry_is_lowered_paused_and_raised_again() {
    let mut cast = Cast::new();
    cast.until_size(1000);
    for _ in 0..60 {
        cast.frame();
    }
    let key = cast.call.world.key_of(cast.call.clients[1].link);
    cast.call.world.estimate(&key, 120_000);
    for _ in 0..20 {
        cast.frame();
        cast.call.world.estimate(&key, 120_000);
    }
    assert_eq!(cast.call.clients[1].packets.last().map(|packet| packet.payload.len()), Some(300));
    let states = |cast: &mut Cast| {
        cast.call.heard(1, |message| match message {
            Message::StreamStateUpdate(update) => Some(update.stream_states[0].state()),
            _ => None,
        })
    };
    assert_eq!(states(&mut cast), []);
    cast.call.world.estimate(&key, 10_000);
    cast.call.settle();
    assert_eq!(states(&mut cast), [StreamState::Paused]);
    let before = cast.call.clients[1].packets.len();
    for layer in 0..3 {
        let source = &mut cast.layers[layer];
        source.picture(&mut cast.call, true);
    }
    cast.call.settle();
    assert_eq!(cast.call.clients[1].packets.len(), before);
    for _ in 0..200 {
        cast.call.world.estimate(&key, 3_000_000);
        cast.frame();
    }
    assert_eq!(states(&mut cast), [StreamState::Active]);
    assert_eq!(cast.call.clients[1].packets.last().map(|packet| packet.payload.len()), Some(1000));
}
