//! The operations whose bandwidth GAP-1 compares: a copy, and mat-vecs in several quantization types.

use ridgeline_measure::probe::{Ceiling, MatVecRate, STUDY_BITS_PER_WEIGHT, StreamCurve};
use ridgeline_quant::Format;
use ridgeline_roofline::{Measured, Sample};

/// Rows and columns of the study's matrix.
const SIDE: f64 = 8192.0;

/// Bits per weight below which a mat-vec is compared with the study's 4-bit one.
const FOUR_BIT_LIMIT: f64 = 6.0;

/// The operations that GAP-1 compares.
pub(super) struct Operations<'a> {
    pub(super) copy: Option<Copied>,
    pub(super) products: &'a [MatVecRate],
}

/// Copying the largest working set.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    pub(super) streamed: Measured,
    /// With one submission and one wait added; `None` where these were not measured.
    pub(super) synchronised: Option<Measured>,
}

impl<'a> Operations<'a> {
    pub(super) fn of(ceilings: &'a [Ceiling]) -> Self {
        let waits = ceilings.iter().find_map(|p| if let Ceiling::Overheads(o) = p { Some(o) } else { None });
        let copied = |c: &StreamCurve| {
            let Sample { bytes, rate } = *c.curve.samples().last()?;
            let add = |(submission, wait): (f64, f64), rate: f64| {
                bytes as f64 / (bytes as f64 / rate + submission + wait)
            };
            let synchronised = waits.map(|o| {
                let (s, w) = (o.overheads.submission_s, o.overheads.synchronisation_s);
                let value = add((s.value, w.value), rate.value);
                Measured { value, lo: add((s.hi, w.hi), rate.lo), hi: add((s.lo, w.lo), rate.hi) }
            });
            Some(Copied { streamed: rate, synchronised })
        };
        let copy = ceilings.iter().find_map(|p| if let Ceiling::Copy(c) = p { copied(c) } else { None });
        let products =
            ceilings.iter().find_map(|p| if let Ceiling::Matvec(m) = p { Some(&*m.products) } else { None });
        Self { copy, products: products.unwrap_or_default() }
    }

    /// The mat-vec in single precision.
    pub(super) fn plain(&self) -> Option<&'a MatVecRate> {
        self.products.iter().find(|p| p.format == Format::SINGLE.to_string())
    }

    /// Of the mat-vecs below [`FOUR_BIT_LIMIT`], the one whose bits per weight are nearest to the study's.
    pub(super) fn four_bit(&self) -> Option<&'a MatVecRate> {
        let far = |p: &MatVecRate| (bits(p) - STUDY_BITS_PER_WEIGHT).abs();
        let four_bit = self.products.iter().filter(|p| is_four_bit(p));
        four_bit.min_by(|a, b| far(a).total_cmp(&far(b)))
    }
}

/// Whether a mat-vec is compared with the study's 4-bit one.
pub(super) fn is_four_bit(mat_vec: &MatVecRate) -> bool {
    bits(mat_vec) < FOUR_BIT_LIMIT
}

/// Bits per weight of a mat-vec's matrix.
fn bits(mat_vec: &MatVecRate) -> f64 {
    mat_vec.bytes as f64 * 8.0 / (SIDE * SIDE)
}
