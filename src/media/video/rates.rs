//! What each layer gets of what the network carries.

use super::plan::LayerPlan;

/// Below this share of what it is worth a layer looks worse than the one below it, enlarged.
const SHARE_MIN: f32 = 0.35;

/// A layer that was left out comes back when there is this much more than it needs: an estimate that swings around the
/// border would otherwise switch it with every swing, a key frame each time.
const RETURN_FACTOR: f32 = 1.2;

/// The lowest layer is never left out: something is to be seen on any network. Encoders get no less, unless it was planned.
const BITRATE_MIN: u32 = 30_000;

/// Which layers a rate goes to, and how much.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    /// Bits per second; `None`: not sent.
    layers: Vec<Option<u32>>,
}

impl Allocation {
    pub fn layer(&self, index: usize) -> Option<u32> {
        self.layers.get(index).copied().flatten()
    }

    pub fn total(&self) -> u64 {
        self.layers.iter().flatten().map(|rate| u64::from(*rate)).sum()
    }

    /// Lowest layer first, each as much as it is worth; what is left over is enough for the next or it is left out,
    /// with all above it.
    pub fn share_out(&mut self, available: u64, plan: &[LayerPlan], is_wanted: &[bool]) {
        let mut left = available;
        let mut is_lowest = true;
        let before = std::mem::take(&mut self.layers);
        for (index, layer) in plan.iter().enumerate() {
            if !is_wanted.get(index).copied().unwrap_or(true) {
                self.layers.push(None);
                continue;
            }
            let was_sent = before.get(index).is_none_or(|rate| rate.is_some());
            let factor = if was_sent { 1.0 } else { RETURN_FACTOR };
            let needed = (layer.bitrate_bps as f32 * SHARE_MIN * factor) as u64;
            let rate = left.min(u64::from(layer.bitrate_bps)) as u32;
            let is_enough = u64::from(rate) >= needed || is_lowest;
            // What the program allows goes before what looks well.
            let rate = is_enough.then(|| rate.max(BITRATE_MIN.min(layer.bitrate_bps)));
            left = if is_enough { left.saturating_sub(u64::from(rate.unwrap_or(0))) } else { 0 };
            self.layers.push(rate);
            is_lowest = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::plan_layers;
    use super::*;

    fn share_out(allocation: &mut Allocation, available: u64, is_wanted: &[bool]) -> Vec<Option<u32>> {
        allocation.share_out(available, &plan_layers(1280, 720, false, true, None), is_wanted);
        (0..3).map(|index| allocation.layer(index)).collect()
    }

    #[test]
    fn the_lowest_is_served_first_and_the_highest_left_out_first() {
        let shared = |available| share_out(&mut Allocation::default(), available, &[true; 3]);
        assert_eq!(shared(10_000_000), [Some(160_000), Some(450_000), Some(1_700_000)]);
        assert_eq!(shared(1_000_000), [Some(160_000), Some(450_000), None]);
        assert_eq!(shared(350_000), [Some(160_000), Some(190_000), None]);
        assert_eq!(shared(200_000), [Some(160_000), None, None]);
        assert_eq!(shared(10_000), [Some(BITRATE_MIN), None, None], "something is always sent");
    }

    #[test]
    fn what_the_program_allows_is_kept_however_little_it_is() {
        let mut allocation = Allocation::default();
        allocation.share_out(u64::MAX, &plan_layers(640, 480, false, false, Some(5_000)), &[true]);
        assert_eq!(allocation.layer(0), Some(5_000));
    }

    #[test]
    fn what_nobody_wants_gets_nothing() {
        let mut allocation = Allocation::default();
        assert_eq!(share_out(&mut allocation, 2_000_000, &[false, true, false]), [None, Some(450_000), None]);
        assert_eq!(share_out(&mut allocation, 2_000_000, &[false; 3]), [None; 3]);
    }

    #[test]
    fn a_layer_comes_back_when_there_is_clearly_enough() {
        let mut allocation = Allocation::default();
        let border = 610_000 + 595_000;
        assert!(share_out(&mut allocation, border + 5_000, &[true; 3])[2].is_some());
        assert!(share_out(&mut allocation, border - 5_000, &[true; 3])[2].is_none());
        assert!(share_out(&mut allocation, border + 5_000, &[true; 3])[2].is_none(), "not yet");
        assert!(share_out(&mut allocation, border + 150_000, &[true; 3])[2].is_some());
    }
}
