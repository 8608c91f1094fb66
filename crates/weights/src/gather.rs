//! A tensor's weights in another order.

/// The order of a tensor's weights, in units of adjacent weights that move together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    /// Weights of a unit.
    pub(crate) unit: usize,
    /// The units of the result, piece by piece.
    pub(crate) pieces: Vec<Gather>,
}

/// A piece: four nested loops over units, the last one innermost. Unit i of the result comes from
/// `offset + Σ strides · indices of i`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gather {
    pub(crate) offset: usize,
    pub(crate) counts: [usize; 4],
    pub(crate) strides: [usize; 4],
}

impl Order {
    /// The order, in units of rows, in which the pair (`i`, `i + width/2`) of each head becomes (`2i`, `2i + 1`): llama.cpp's `permute`.
    /// `None` if the rows do not divide into heads of an even width.
    pub(crate) fn interleaved(rows: usize, heads: usize) -> Option<Self> {
        if heads == 0 || !rows.is_multiple_of(2 * heads) {
            return None;
        }
        let half = rows / heads / 2;
        let piece = Gather { offset: 0, counts: [1, heads, half, 2], strides: [0, 2 * half, 1, half] };
        Some(Self { unit: 1, pieces: vec![piece] })
    }

    /// Whether every piece lies within `n` weights. Products of untrusted sizes are checked here, once.
    pub(crate) fn fits(&self, n: usize) -> bool {
        let within = |it: &Gather| {
            let last = it.counts.iter().zip(&it.strides).try_fold(it.offset, |sum, (count, stride)| {
                sum.checked_add(count.checked_sub(1)?.checked_mul(*stride)?)
            });
            last.and_then(|it| it.checked_add(1)?.checked_mul(self.unit)).is_some_and(|it| it <= n)
        };
        self.unit > 0 && self.pieces.iter().all(within)
    }

    /// The bytes in this order. A unit has whole blocks, `unit_bytes` long, and [`Self::fits`] holds.
    pub(crate) fn apply(&self, from: &[u8], unit_bytes: usize) -> Vec<u8> {
        let mut to = Vec::new();
        for piece in &self.pieces {
            piece.append(from, unit_bytes, &mut to);
        }
        to
    }
}

impl Gather {
    fn append(&self, from: &[u8], unit_bytes: usize, to: &mut Vec<u8>) {
        let [a, b, c, d] = self.counts;
        to.reserve_exact(a * b * c * d * unit_bytes);
        for (i, j, k) in (0..a).flat_map(|i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k)))) {
            let start = self.offset + i * self.strides[0] + j * self.strides[1] + k * self.strides[2];
            if self.strides[3] == 1 {
                to.extend_from_slice(&from[start * unit_bytes..(start + d) * unit_bytes]);
                continue;
            }
            for l in 0..d {
                let at = (start + l * self.strides[3]) * unit_bytes;
                to.extend_from_slice(&from[at..at + unit_bytes]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_each_head_become_adjacent() {
        let order = Order::interleaved(8, 2).unwrap();
        assert!(order.fits(8) && !order.fits(7));
        assert_eq!(order.apply(&[0, 1, 2, 3, 4, 5, 6, 7], 1), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(Order::interleaved(6, 2), None);
        assert_eq!(Order::interleaved(6, 0), None);
    }

    #[test]
    fn a_transposition_takes_single_weights_and_runs_take_whole_units() {
        let transposed = Gather { offset: 0, counts: [1, 1, 3, 2], strides: [0, 0, 1, 3] };
        let order = Order { unit: 1, pieces: vec![transposed] };
        assert_eq!(order.apply(&[0, 1, 2, 3, 4, 5], 1), [0, 3, 1, 4, 2, 5]);
        let swapped = Gather { offset: 0, counts: [1, 2, 1, 1], strides: [0, 1, 0, 1] };
        let halves = [Gather { offset: 1, counts: [1, 1, 1, 1], ..swapped.clone() }, swapped];
        let order = Order { unit: 2, pieces: halves.to_vec() };
        assert!(order.fits(4) && !order.fits(3));
        assert_eq!(order.apply(&[0, 1, 2, 3], 2), [2, 3, 0, 1, 2, 3]);
        let huge = Gather { offset: usize::MAX, counts: [1; 4], strides: [1; 4] };
        assert!(!Order { unit: 2, pieces: vec![huge] }.fits(usize::MAX));
    }
}
