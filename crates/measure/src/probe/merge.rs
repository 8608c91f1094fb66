//! Merges two sessions of one measurement: the blocks of both, and intervals over all of them.
//!
//! Each session allocates its own buffers and selects its own kernel variants. Two runs of a probe differ in the same
//! way, so the interval over both sessions covers that variation.

use super::blocks::{ceiling, typical};
use super::{Ceiling, MatVecRate, MatVecs, OverheadSeries, Peaks, Rate, StreamCurve};
use ridgeline_roofline::{Curve, Overheads, Sample};

impl Ceiling {
    /// Merges this session with a later one; `None` where they measured different quantities.
    #[must_use]
    pub fn joined(&self, later: &Self) -> Option<Self> {
        Some(match (self, later) {
            (Self::Read(a), Self::Read(b)) => Self::Read(streams(a, b)?),
            (Self::Copy(a), Self::Copy(b)) => Self::Copy(streams(a, b)?),
            (Self::Triad(a), Self::Triad(b)) => Self::Triad(streams(a, b)?),
            (Self::Flops(a), Self::Flops(b)) => Self::Flops(peaks(a, b)?),
            (Self::Overheads(a), Self::Overheads(b)) => Self::Overheads(overheads(a, b)?),
            (Self::Matvec(a), Self::Matvec(b)) => Self::Matvec(mat_vecs(a, b)?),
            _ => return None,
        })
    }
}

fn streams(a: &StreamCurve, b: &StreamCurve) -> Option<StreamCurve> {
    let (first, second) = (a.curve.samples(), b.curve.samples());
    if !first.iter().map(|s| s.bytes).eq(second.iter().map(|s| s.bytes)) {
        return None;
    }
    let blocks: Vec<Vec<f64>> = a.blocks.iter().zip(&b.blocks).map(|(a, b)| [&**a, b].concat()).collect();
    let sample = |(s, blocks): (&Sample, &Vec<f64>)| Some(Sample { rate: ceiling(blocks)?, ..*s });
    let samples = first.iter().zip(&blocks).map(sample).collect::<Option<Vec<_>>>()?;
    Some(StreamCurve {
        curve: Curve::new(samples).ok()?,
        variants: a.variants.iter().zip(&b.variants).map(|(a, b)| both(a, b)).collect(),
        blocks,
        timestamp_ratio: b.timestamp_ratio.or(a.timestamp_ratio),
        drift: worse(a.drift, b.drift),
    })
}

fn peaks(a: &Peaks, b: &Peaks) -> Option<Peaks> {
    let f16 = match (&a.f16, &b.f16) {
        (Some(a), Some(b)) => Some(rate(a, b)?),
        _ => None,
    };
    Some(Peaks { f32: rate(&a.f32, &b.f32)?, f16, drift: worse(a.drift, b.drift) })
}

fn rate(a: &Rate, b: &Rate) -> Option<Rate> {
    let blocks = [&*a.blocks, &b.blocks].concat();
    Some(Rate { rate: ceiling(&blocks)?, variant: both(&a.variant, &b.variant), blocks })
}

fn overheads(a: &OverheadSeries, b: &OverheadSeries) -> Option<OverheadSeries> {
    let blocks = [&*a.blocks, &b.blocks].concat();
    let column = |i: usize| typical(&blocks.iter().map(|b| b[i]).collect::<Vec<_>>());
    let overheads = Overheads {
        launch_s: column(0)?,
        submission_s: column(1)?,
        synchronisation_s: column(2)?,
        readback_s: column(3)?,
    };
    Some(OverheadSeries { overheads, blocks, encode_s: f64::midpoint(a.encode_s, b.encode_s) })
}

fn mat_vecs(a: &MatVecs, b: &MatVecs) -> Option<MatVecs> {
    let join = |(a, b): (&MatVecRate, &MatVecRate)| {
        let blocks = [&*a.blocks, &b.blocks].concat();
        let synchronised_blocks = [&*a.synchronised_blocks, &b.synchronised_blocks].concat();
        let (streamed, synchronised) = (ceiling(&blocks)?, typical(&synchronised_blocks)?);
        (a.format == b.format).then(|| MatVecRate {
            streamed,
            synchronised,
            blocks,
            synchronised_blocks,
            format: a.format.clone(),
            bytes: a.bytes,
        })
    };
    let products = a.products.iter().zip(&b.products).map(join).collect::<Option<Vec<_>>>()?;
    Some(MatVecs { products })
}

/// Both names, or one where they are equal.
fn both(a: &str, b: &str) -> String {
    if a == b { a.to_owned() } else { format!("{a}; {b}") }
}

/// The drift further from 1 on a logarithmic scale.
fn worse(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let far = |d: &f64| d.ln().abs();
    a.into_iter().chain(b).max_by(|a, b| far(a).total_cmp(&far(b)))
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{ceiling, typical};
    use super::super::{Ceiling, OverheadSeries, Peaks, Rate};
    use ridgeline_roofline::Overheads;

    fn flops(blocks: [f64; 3], variant: &str) -> Ceiling {
        let rate = ceiling(&blocks).expect("three blocks");
        let f32 = Rate { rate, variant: variant.to_owned(), blocks: blocks.to_vec() };
        Ceiling::Flops(Peaks { f32, f16: None, drift: None })
    }

    #[test]
    fn joined_intervals_cover_both_sessions() {
        let joined =
            flops([1.0, 1.1, 1.2], "a").joined(&flops([2.0, 2.1, 2.2], "b")).expect("both are peaks");
        let Ceiling::Flops(peaks) = joined else { panic!("not peaks") };
        assert!(peaks.f32.rate.lo == 1.0 && peaks.f32.rate.hi >= 2.2, "{:?}", peaks.f32.rate);
        assert!((peaks.f32.rate.value - 1.6).abs() < 1e-12);
        assert_eq!(peaks.f32.variant, "a; b");
    }

    #[test]
    fn different_measurements_do_not_join() {
        let m = typical(&[1.0, 2.0]).expect("two blocks");
        let overheads = Overheads { launch_s: m, submission_s: m, synchronisation_s: m, readback_s: m };
        let series = OverheadSeries { overheads, blocks: vec![[1.0; 4]; 2], encode_s: 1.0 };
        assert_eq!(flops([1.0; 3], "a").joined(&Ceiling::Overheads(series)), None);
    }
}
