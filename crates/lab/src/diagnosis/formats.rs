//! Which quantization to run: speed, bytes and quality of a model in each, and which of them nothing else beats.

use super::Source;
use super::predict::Baseline;
use super::scope::plain;
use crate::measures::pass::{Point, Work};
use crate::measures::{mix, quality};
use ridgeline_experiment::finding::times;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::Evidence;
use ridgeline_quant::{Format, Mix};
use ridgeline_roofline::Measured;
use serde::Serialize;

/// The quantization with 16 bits per weight, to which the bytes of others are compared.
const HALF: Format = Format::HALF;

/// Bits per weight below which a quantization is not recommended: the quality of models suffers.
const LEAST_BITS: f64 = 4.0;

/// Ratio within which two speeds are the same to a user, who then has better quality for it.
const AS_FAST: f64 = 1.05;

/// One model in one quantization.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FormatRow {
    /// Quantization type or mix.
    pub format: String,
    /// Bytes of weights that one token reads.
    pub bytes: f64,
    /// Bits of one weight, on average over the matrices that a token reads.
    pub bits: f64,
    /// Predicted tokens/s over those of today's quantization.
    pub predicted: Option<Measured>,
    /// The same, measured.
    pub measured: Option<Measured>,
    /// Mean KL divergence from half precision in nats, where it was measured.
    pub kl: Option<Measured>,
    /// Whether no other row has more speed and as good a quality: by KL divergence, or by bits where it is unknown.
    pub on_front: bool,
    /// Whether it is today's quantization.
    pub is_now: bool,
    #[serde(skip)]
    pub(super) evidence: Evidence,
}

impl FormatRow {
    /// The gain that counts: measured, or else predicted.
    pub(crate) fn gain(&self) -> Option<Measured> {
        self.measured.or(self.predicted)
    }

    /// The gain that was expected before any trial; the measured one where none was predicted, and 0 without either.
    fn expected(&self) -> f64 {
        self.predicted.or(self.measured).map_or(0.0, |gain| gain.value)
    }
}

/// The rows with fewer bits than today's, but enough of them.
fn fewer_bits(rows: &[FormatRow]) -> impl Iterator<Item = &FormatRow> + Clone {
    let now = rows.iter().find(|it| it.is_now).map_or(0.0, |it| it.bits);
    rows.iter().filter(move |row| !row.is_now && row.bits >= LEAST_BITS && row.bits < now - 0.1)
}

/// The rows of all quantizations that were measured or profiled.
pub(crate) fn rows(source: &Source<'_>, baseline: &Baseline<'_>) -> Vec<FormatRow> {
    let now = &*source.format;
    let others = Mix::COMMON.into_iter().filter(|it| !source.title_of(now).eq_ignore_ascii_case(it));
    let mut rows: Vec<FormatRow> =
        std::iter::once(now).chain(others).filter_map(|it| row(source, baseline, it)).collect();
    let half = rows.iter().find(|row| row.format == HALF.spec().name).map(|row| row.bytes);
    for row in &mut rows {
        row.bits = half.map_or(f64::NAN, |half| 16.0 * row.bytes / half);
    }
    let beaten = |row: &FormatRow| {
        let faster = |other: &FormatRow| match (other.gain(), row.gain()) {
            (Some(other), Some(own)) => other.lo > own.hi,
            _ => false,
        };
        let as_good = |other: &FormatRow| match (other.kl, row.kl) {
            (Some(other), Some(own)) => other.value <= own.value,
            _ => other.bits >= row.bits - 1e-9,
        };
        rows.iter().any(|other| as_good(other) && faster(other))
    };
    let front: Vec<bool> = rows.iter().map(|row| !beaten(row)).collect();
    for (row, on_front) in rows.iter_mut().zip(front) {
        row.on_front = on_front;
    }
    rows.sort_by(|a, b| b.bits.total_cmp(&a.bits));
    rows
}

/// Bytes of weights that a token reads.
fn bytes(baseline: &Baseline<'_>, profile: &super::scope::Launches<'_>) -> f64 {
    baseline.scope.sum(&profile.row, |launch| launch.cost.weights as f64)
}

/// The same from a generation in a quantization, where its kernels were not profiled.
fn bytes_of_pass(source: &Source<'_>, format: &str) -> Option<f64> {
    let same = |p: &str| mix(p).eq_ignore_ascii_case(mix(format));
    let is = |p: &Point| p.model == source.model && p.is_default() && same(&p.format);
    let entry = source.passes.find(|p| is(p) && p.work.generated().is_some())?;
    Some(entry.row.pass.cost.weights as f64 / entry.point.work.tokens() as f64)
}

fn row(source: &Source<'_>, baseline: &Baseline<'_>, format: &str) -> Option<FormatRow> {
    let is_now = mix(format).eq_ignore_ascii_case(mix(&source.format));
    let profile = baseline.profile(format, 1, None);
    let predicted = if is_now { None } else { profile.and_then(|it| baseline.gain(it)) };
    let measured = if is_now { Some(Measured::exact(1.0)) } else { measured(source, format) };
    if predicted.is_none() && measured.is_none() {
        return None;
    }
    let bytes = profile.map(|it| bytes(baseline, it)).or_else(|| bytes_of_pass(source, format))?;
    Some(FormatRow {
        format: source.title_of(format),
        bytes,
        bits: f64::NAN,
        predicted,
        measured,
        kl: kl(&source.quality, &source.model, format),
        on_front: false,
        is_now,
        evidence: profile.map(|it| it.evidence()).unwrap_or_default(),
    })
}

/// Measured tokens/s in a quantization over those of today's: generations of the same length at the same depth.
fn measured(source: &Source<'_>, format: &str) -> Option<Measured> {
    let is = |p: &str, wanted: &str| mix(p).eq_ignore_ascii_case(mix(wanted));
    let scopes = [&source.shape, &source.whole];
    works(source).into_iter().find_map(|work| {
        let of = |wanted: &str| {
            let (wanted, plain) = (wanted.to_owned(), plain(work, source.depth));
            move |p: &Point| plain(p) && is(&p.format, &wanted)
        };
        scopes.iter().find_map(|scope| scope.ratio(&source.passes, of(&source.format), of(format)))
    })
}

/// The generations at this depth, that of most quantizations first, so that all rows compare the same one.
fn works(source: &Source<'_>) -> Vec<Work> {
    let names = [source.shape.names(), source.whole.names()].concat();
    let own = source.passes.iter().map(|e| &e.point).filter(|p| {
        names.contains(&p.model) && p.depth == source.depth && p.is_default() && p.work.generated().is_some()
    });
    let mut counts: Vec<(Work, usize)> = Vec::new();
    for point in own {
        match counts.iter_mut().find(|(work, _)| *work == point.work) {
            Some((_, n)) => *n += 1,
            None => counts.push((point.work, 1)),
        }
    }
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.into_iter().map(|it| it.0).collect()
}

/// KL divergence of a quantization from half precision, where it was measured for the model.
fn kl(rows: &Rows<'_, quality::Point, quality::Row>, model: &str, format: &str) -> Option<Measured> {
    let is = |p: &quality::Point| p.model == model && mix(&p.format).eq_ignore_ascii_case(mix(format));
    Some(rows.find(is)?.row.vs_reference.kl.interval())
}

/// The row to recommend: of those with enough bits, the one that is predicted to be the fastest.
///
/// One with more bits that is as fast within [`AS_FAST`] goes before it. `None` where today's is the fastest.
///
/// A trial does not change the choice, so that a prediction that did not come true stays in sight.
pub(crate) fn recommended(rows: &[FormatRow]) -> Option<&FormatRow> {
    let fewer = fewer_bits(rows);
    let best = fewer.clone().map(FormatRow::expected).fold(0.0, f64::max);
    let close = fewer.filter(|row| row.expected() >= best / AS_FAST);
    let most_bits = close.max_by(|a, b| a.bits.total_cmp(&b.bits))?;
    (most_bits.expected() >= super::advice::LEAST_GAIN).then_some(most_bits)
}

/// Why no quantization is advised, where none is.
pub(crate) fn rejected(rows: &[FormatRow]) -> Option<String> {
    let best = fewer_bits(rows).max_by(|a, b| a.expected().total_cmp(&b.expected()))?;
    recommended(rows).is_none().then(|| {
        format!(
            "Fewer bits are not faster here: {}, the fastest quantization of at least {LEAST_BITS} bits, is at {}×.",
            best.format,
            number::digits(best.expected(), 3)
        )
    })
}

/// Bits of one weight of the base type of a quantization; `None` if the name is of neither a type nor a mix.
fn nominal_bits(format: &str) -> Option<f64> {
    let base = Mix::from_name(format).map(|mix| mix.base).or_else(|| Format::from_name(format))?;
    Some(8.0 * base.spec().block_bytes as f64 / base.spec().block_len as f64)
}

/// Whether a quantization of a type with fewer bits has as many as one of a type with more. Its matrices are then of another
/// type, because their rows are not whole blocks of it.
fn falls_back(rows: &[FormatRow]) -> bool {
    let of = |row: &FormatRow| nominal_bits(&row.format).map(|nominal| (nominal, row.bits));
    let bits: Vec<(f64, f64)> = rows.iter().filter_map(of).collect();
    bits.iter().any(|few| bits.iter().any(|many| few.0 < many.0 - 0.1 && few.1 > many.1 - 0.05))
}

/// The table of all quantizations.
pub(crate) fn table(rows: &[FormatRow]) -> Table {
    let mut columns = vec![
        ("quantization", Align::Left),
        ("bits/weight", Align::Right),
        ("read per token", Align::Right),
        ("predicted speed", Align::Right),
        ("measured speed", Align::Right),
        ("KL divergence, nats", Align::Right),
    ];
    let selects = rows.iter().any(|row| !row.on_front);
    let front = if selects {
        columns.push(("Pareto front", Align::Left));
        "A row leaves the Pareto front where another is faster, beyond both intervals, and as good."
    } else {
        "No quantization is faster than another beyond their intervals: choose by size and quality."
    };
    let fallback = if falls_back(rows) {
        " A type whose blocks do not fill the rows of a matrix gives way to one with more bits there, as in llama.cpp."
    } else {
        ""
    };
    let caption = format!(
        "Tokens/s in each quantization over those of today's, by the same generation. KL divergence is from half precision, \
         or from the stored weights; – where no text was scored. {front}{fallback}"
    );
    let mut table = Table::new(caption, columns);
    let dash = || "–".to_owned();
    for row in rows {
        let mut cells = vec![
            if row.is_now { format!("{} (now)", row.format) } else { row.format.clone() },
            if row.bits.is_finite() { format!("{:.1}", row.bits) } else { dash() },
            number::si(row.bytes, "B"),
            row.predicted.map_or_else(dash, times),
            if row.is_now { "1×".to_owned() } else { row.measured.map_or_else(dash, times) },
            row.kl.map_or_else(dash, |kl| number::digits(kl.value, 2)),
        ];
        if selects {
            cells.push(if row.on_front { "yes" } else { "" }.to_owned());
        }
        table.push(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{FormatRow, table};
    use ridgeline_experiment::study::Evidence;

    #[test]
    fn types_that_gave_way_are_explained() {
        let row = |(format, bits): (&str, f64)| FormatRow {
            format: format.to_owned(),
            bytes: 1e6 * bits,
            bits,
            predicted: None,
            measured: None,
            kl: None,
            on_front: true,
            is_now: false,
            evidence: Evidence::default(),
        };
        let explains = |rows: &[(&str, f64)]| {
            let rows: Vec<FormatRow> = rows.iter().copied().map(row).collect();
            table(&rows).caption.contains("gives way")
        };
        let whole_blocks =
            [("F16", 16.0), ("Q8_0", 8.5), ("Q6_K", 6.6), ("Q4_K_M", 4.9), ("Q4_0", 4.6), ("Q3_K_M", 4.0)];
        assert!(!explains(&whole_blocks));
        assert!(explains(&[("Q8_0", 8.5), ("Q6_K", 8.5)]), "rows of 576 weights");
        assert!(explains(&[("Q8_0", 8.5), ("Q4_K", 11.8)]));
        assert!(!explains(&[("Q8_0", 8.5), ("a file's own", 9.0)]), "no type is named");
    }
}
