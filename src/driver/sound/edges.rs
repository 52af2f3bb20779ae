//! Soft edges for holes: sound that breaks off, and begins somewhere else, clicks.

use std::collections::VecDeque;

/// What was heard last fades away, mirrored, where nothing follows; what comes after the hole rises from silence.
pub struct Edges {
    channels: usize,
    /// Frames of an edge.
    length: usize,
    /// What is still to be heard of what fades away.
    tail: VecDeque<i16>,
    /// Frames since the sound began again, up to `length`.
    risen: usize,
}

impl Edges {
    pub fn new(channels: usize, length: usize) -> Self {
        Self { channels, length, tail: VecDeque::new(), risen: length }
    }

    /// Nothing follows on `past`, whole frames of which the last ones count.
    pub fn fall(&mut self, past: impl DoubleEndedIterator<Item = i16>) {
        let mut mirrored = past.rev();
        self.tail.clear();
        for frame in 0..self.length {
            let gain = 1.0 - frame as f32 / self.length as f32;
            // Backwards the last channel comes first.
            let begin = self.tail.len();
            for _ in 0..self.channels {
                let Some(sample) = mirrored.next() else { return };
                self.tail.insert(begin, scaled(sample, gain));
            }
        }
        self.risen = 0;
    }

    /// Sound after the hole, if there was one.
    pub fn rise(&mut self, sound: &mut [i16]) {
        for frame in sound.chunks_exact_mut(self.channels) {
            if self.risen == self.length {
                return;
            }
            // Slowly at first: the first few samples may still be those of before.
            let gain = (self.risen as f32 / self.length as f32).powi(2);
            frame.iter_mut().for_each(|sample| *sample = scaled(*sample, gain));
            self.risen += 1;
        }
    }

    /// Adds what is still to be heard of what was before the hole.
    pub fn ring_out(&mut self, sound: &mut [i16]) {
        let there = self.tail.len().min(sound.len());
        for (sample, tail) in sound.iter_mut().zip(self.tail.drain(..there)) {
            *sample = sample.saturating_add(tail);
        }
    }
}

fn scaled(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_falls_and_rises_without_a_jump_in_both_channels() {
        let sound: Vec<i16> = (0..100).flat_map(|at| [10_000 + at, -10_000 - 2 * at]).collect();
        let mut edges = Edges::new(2, 50);
        edges.fall(sound.iter().copied());
        let mut heard = vec![0; 200];
        edges.ring_out(&mut heard[..30]);
        edges.ring_out(&mut heard[30..]);
        assert_eq!(heard[..2], [10_099, -10_198]);
        assert!(heard[100..].iter().all(|sample| *sample == 0));
        let mut again = sound.clone();
        edges.rise(&mut again[..30]);
        edges.rise(&mut again[30..]);
        assert_eq!(again[..2], [0, 0]);
        assert_eq!(again[100..], sound[100..]);
        for heard in [heard, again] {
            assert!(heard.windows(3).all(|at| at[0].abs_diff(at[2]) < 450), "{heard:?}");
        }
    }

    #[test]
    fn the_very_first_sound_is_as_it_is() {
        let mut sound = [1000; 480];
        let mut edges = Edges::new(1, 240);
        edges.rise(&mut sound);
        edges.ring_out(&mut sound);
        assert_eq!(sound, [1000; 480]);
    }
}
