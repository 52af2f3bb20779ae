//! Exactly half and exactly a quarter of a size: every pixel is the mean of those that it replaces.
//!
//! Simulcast's layers have these ratios, so this runs on every frame. The loops are written so that the compiler makes
//! vectors of them: no branch inside, neighbours read as pairs, sums in 16 bits.

use super::vector_sys::vectorised;

/// Half a plane. `pixels` has `width` times `height`, `half` half of each, rounded up; where a last column or row has
/// no partner it is its own.
pub fn halve(pixels: &[u8], width: usize, height: usize, half: &mut [u8]) {
    let half_width = width.div_ceil(2);
    vectorised(
        #[inline(always)]
        || {
            for (row, out) in half.chunks_exact_mut(half_width).enumerate() {
                let upper = &pixels[2 * row * width..][..width];
                let lower =
                    if 2 * row + 1 < height { &pixels[(2 * row + 1) * width..][..width] } else { upper };
                halve_rows(upper, lower, out);
            }
        },
    );
}

#[inline(always)]
fn halve_rows(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    for (out, (upper, lower)) in out.iter_mut().zip(pairs) {
        *out = ((sum_of_four(upper, lower) + 2) >> 2) as u8;
    }
    if let ([upper], [lower], Some(out)) =
        (upper.chunks_exact(2).remainder(), lower.chunks_exact(2).remainder(), out.last_mut())
    {
        *out = (u16::from(*upper) + u16::from(*lower)).div_ceil(2) as u8;
    }
}

/// A quarter of a plane whose size is a multiple of four in both directions.
pub fn quarter(pixels: &[u8], width: usize, quarter: &mut [u8]) {
    let mut upper_sums = vec![0u16; width / 2];
    let mut lower_sums = vec![0u16; width / 2];
    vectorised(
        #[inline(always)]
        || {
            for (rows, out) in pixels.chunks_exact(4 * width).zip(quarter.chunks_exact_mut(width / 4)) {
                let (upper, lower) = rows.split_at(2 * width);
                sum_rows(upper, width, &mut upper_sums);
                sum_rows(lower, width, &mut lower_sums);
                let pairs = upper_sums.chunks_exact(2).zip(lower_sums.chunks_exact(2));
                for (out, (upper, lower)) in out.iter_mut().zip(pairs) {
                    *out = ((upper[0] + upper[1] + lower[0] + lower[1] + 8) >> 4) as u8;
                }
            }
        },
    );
}

#[inline(always)]
fn sum_rows(two_rows: &[u8], width: usize, sums: &mut [u16]) {
    let (upper, lower) = two_rows.split_at(width);
    let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    for (sum, (upper, lower)) in sums.iter_mut().zip(pairs) {
        *sum = sum_of_four(upper, lower);
    }
}

#[inline(always)]
fn sum_of_four(upper: &[u8], lower: &[u8]) -> u16 {
    u16::from(upper[0]) + u16::from(upper[1]) + u16::from(lower[0]) + u16::from(lower[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_the_mean_of_four() {
        let mut half = [0; 2];
        halve(&[0, 1, 10, 20, 2, 4, 30, 41], 4, 2, &mut half);
        assert_eq!(half, [2, 25]);
    }

    #[test]
    fn a_last_column_or_row_without_partner_is_its_own() {
        let mut half = [0; 4];
        halve(&[1, 1, 8, 1, 1, 9, 20, 20, 255], 3, 3, &mut half);
        assert_eq!(half, [1, 9, 20, 255]);
    }

    #[test]
    fn a_quarter_is_the_mean_of_sixteen() {
        let pixels: Vec<u8> = (0..32).collect();
        let mut small = [0; 2];
        quarter(&pixels, 8, &mut small);
        let mean = |left: u32| {
            let sum: u32 = (0..4).flat_map(|y| (0..4).map(move |x| y * 8 + left + x)).sum();
            ((sum + 8) / 16) as u8
        };
        assert_eq!(small, [mean(0), mean(4)]);
    }

    #[test]
    fn the_whole_range_stays_whole() {
        let mut half = vec![0; 64 * 8];
        halve(&[255; 128 * 16], 128, 16, &mut half);
        assert!(half.iter().all(|pixel| *pixel == 255));
        let mut small = vec![0; 32 * 4];
        quarter(&[255; 128 * 16], 128, &mut small);
        assert!(small.iter().all(|pixel| *pixel == 255));
    }
}
