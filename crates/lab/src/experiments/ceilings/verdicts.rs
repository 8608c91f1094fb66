//! Claims of the studies about ceilings: as published, recomputed from their own data, and measured on this device.

use ridgeline_experiment::published::{Published, Row};
use ridgeline_experiment::report::{Align, Block, Section, Table, number};
use ridgeline_experiment::verdict::{Comparison, Verdict};
use ridgeline_measure::probe::{Ceiling, MatVecRate, STUDY_BITS_PER_WEIGHT, StreamCurve};
use ridgeline_quant::Format;
use ridgeline_roofline::{Machine, Measured, Sample};

/// Memory streams of `c = a + b` over those that the study counted (X-RB-2).
const STREAMS: f64 = 3.0 / 2.0;

/// Rows and columns of the throughput-gap study's matrix.
const SIDE: f64 = 8192.0;

/// Bits per weight below which a mat-vec is compared with the study's 4-bit one.
const FOUR_BIT_LIMIT: f64 = 6.0;

/// The operations that GAP-1 compares.
struct Operations<'a> {
    copy: Option<Copied>,
    products: &'a [MatVecRate],
}

/// Copying the largest working set.
#[derive(Clone, Copy)]
struct Copied {
    streamed: Measured,
    /// With one submission and one wait added; `None` where these were not measured.
    synchronised: Option<Measured>,
    /// Number of blocks.
    n: usize,
}

impl<'a> Operations<'a> {
    fn of(ceilings: &[&'a Ceiling]) -> Self {
        let waits = ceilings.iter().find_map(|p| if let Ceiling::Overheads(o) = p { Some(o) } else { None });
        let copied = |c: &StreamCurve| {
            let Sample { bytes, rate } = *c.curve.samples().last()?;
            let n = c.blocks.last().map_or(0, Vec::len);
            let add = |(submission, wait): (f64, f64), rate: f64| {
                bytes as f64 / (bytes as f64 / rate + submission + wait)
            };
            let synchronised = waits.map(|o| {
                let (s, w) = (o.overheads.submission_s, o.overheads.synchronisation_s);
                let value = add((s.value, w.value), rate.value);
                Measured { value, lo: add((s.hi, w.hi), rate.lo), hi: add((s.lo, w.lo), rate.hi) }
            });
            let n = waits.map_or(n, |o| n.min(o.blocks.len()));
            Some(Copied { streamed: rate, synchronised, n })
        };
        let copy = ceilings.iter().find_map(|p| if let Ceiling::Copy(c) = p { copied(c) } else { None });
        let products =
            ceilings.iter().find_map(|p| if let Ceiling::Matvec(m) = p { Some(&*m.products) } else { None });
        Self { copy, products: products.unwrap_or_default() }
    }

    /// The mat-vec in single precision.
    fn plain(&self) -> Option<&'a MatVecRate> {
        self.products.iter().find(|p| p.format == Format::SINGLE.to_string())
    }

    /// Of the mat-vecs below [`FOUR_BIT_LIMIT`], the one whose bits per weight are nearest to the study's.
    fn four_bit(&self) -> Option<&'a MatVecRate> {
        let far = |p: &MatVecRate| (bits(p) - STUDY_BITS_PER_WEIGHT).abs();
        let four_bit = self.products.iter().filter(|p| bits(p) < FOUR_BIT_LIMIT);
        four_bit.min_by(|a, b| far(a).total_cmp(&far(b)))
    }
}

/// Bits per weight of a mat-vec's matrix.
fn bits(mat_vec: &MatVecRate) -> f64 {
    mat_vec.bytes as f64 * 8.0 / (SIDE * SIDE)
}

/// GAP-1: bandwidth of a copy, of a single-precision mat-vec and of a quantized mat-vec.
pub(super) fn throughput_gap(ceilings: &[&Ceiling], published: &Published) -> Option<Section> {
    let operations = Operations::of(ceilings);
    let Operations { copy, products } = operations;
    if copy.is_none() && products.is_empty() {
        return None;
    }
    let rate =
        |m: Measured| format!("{} [{}]", number::si(m.value, "B/s"), number::si_range(m.lo, m.hi, "B/s"));
    let columns =
        ["operation", "published, M3 Ultra", "measured, back to back", "measured, one submission each"];
    let mut table = Table::new(
        "Bandwidth of a copy and of mat-vecs. The published figures wait after every operation.",
        columns.map(|c| (c, Align::Left)),
    );
    let printed = |i: usize| {
        let rows = published.table("GAP-T1").ok().map(|t| t.rows.as_slice()).unwrap_or_default();
        rows.get(i).and_then(|r| r.number("bandwidth")).map_or(String::new(), |v| format!("{v} GB/s"))
    };
    if let Some(copy) = copy {
        let waited = copy.synchronised.map_or(String::new(), rate);
        table.push(["copy at the largest working set".to_owned(), printed(0), rate(copy.streamed), waited]);
    }
    for p in products {
        let published = match p {
            p if p.format == Format::SINGLE.to_string() => printed(1),
            p if bits(p) < FOUR_BIT_LIMIT => format!("{} (4-bit)", printed(2)),
            _ => String::new(),
        };
        let name = format!("mat-vec 8192², {}", p.format);
        table.push([name, published, rate(p.streamed), rate(p.synchronised)]);
    }
    let intro = "The study waits after every operation. Its own table of 224 mat-vecs, evaluated one by one and all at \
                 once, gives the time of one such wait. Its quantized mat-vec takes no longer than that: the difference \
                 that it attributes to dequantization is the cost of waiting (X-GAP-1). The verdict uses the study's \
                 method, one submission and one wait each; for the copy, their measured costs are added to its time.";
    let section = Section::new("Bandwidth delivered (GAP-1)", intro).with(Block::Table(table));
    let verdict = gap_verdict(&operations, published);
    Some(verdict.map_or(section.clone(), |v| section.with(Block::Verdicts(vec![v]))))
}

fn gap_verdict(operations: &Operations<'_>, published: &Published) -> Option<Verdict> {
    let claim = published.claim("GAP-C1").ok()?;
    let copy = operations.copy.and_then(|c| Some((c.synchronised?, c.n)));
    let verdict = match (copy, operations.plain(), operations.four_bit()) {
        (Some((copy, n)), Some(plain), Some(four_bit)) => {
            let first = format!("copy over {} mat-vec", plain.format);
            let second = format!("{} mat-vec over {} mat-vec", plain.format, four_bit.format);
            let (p, f) = (plain.synchronised_blocks.len(), four_bit.synchronised_blocks.len());
            let comparisons = [
                Comparison::above(first, ratio(copy, plain.synchronised), 1.0).of(n.min(p)),
                Comparison::above(second, ratio(plain.synchronised, four_bit.synchronised), 1.0).of(p.min(f)),
            ];
            let gb = |m: Measured| number::si(m.value, "B/s");
            let here = format!("{}, {}, {}", gb(copy), gb(plain.synchronised), gb(four_bit.synchronised));
            Verdict::decide(claim, here, &comparisons)
        }
        (Some(_), Some(_), None) => Verdict::cannot(claim, "no 4-bit mat-vec was measured"),
        _ => Verdict::cannot(
            claim,
            "the cells `copy`, `overheads` and `matvec` of the experiment `ceilings` are required",
        ),
    };
    Some(match recomputed_gap(published) {
        Some(text) => verdict.recomputed(text),
        None => verdict,
    })
}

/// The study's figures without the wait of every evaluation, `(T(224 evals) − T(1 eval)) / 223`.
fn recomputed_gap(published: &Published) -> Option<String> {
    let sync = published.table("GAP-T2").ok()?;
    let row = |evals: f64| sync.row_number("evals", evals)?.number("time_ms");
    let floor_s = (row(224.0)? - row(1.0)?) * 1e-3 / 223.0;
    let rates = published.table("GAP-T1").ok()?;
    let bandwidth = |i: usize| rates.rows.get(i)?.number("bandwidth");
    let net = |bytes: f64, printed: f64| bytes / (bytes / (printed * 1e9) - floor_s);
    let quantised_s = SIDE * SIDE * STUDY_BITS_PER_WEIGHT / 8.0 / (bandwidth(2)? * 1e9);
    Some(format!(
        "one wait takes {}; the f32 mat-vec without it reaches {}; the 4-bit mat-vec takes {} in total, no longer than \
         one wait",
        number::si(floor_s, "s"),
        number::si(net(SIDE * SIDE * 4.0, bandwidth(1)?), "B/s"),
        number::si(quantised_s, "s"),
    ))
}

/// RB-1: the study's five devices, as published and recomputed, and this device.
pub(super) fn rooflinebench(machine: Option<&Machine>, published: &Published) -> Option<Section> {
    let devices = published.table("RB-T1").ok()?;
    let ridges = published.table("RB-T1b").ok()?;
    let columns = [
        ("device", Align::Left),
        ("bandwidth, published", Align::Right),
        ("bandwidth, recomputed", Align::Right),
        ("% of datasheet", Align::Right),
        ("f32 peak", Align::Right),
        ("f16 peak", Align::Right),
        ("ridge, published", Align::Right),
        ("ridge, f32", Align::Right),
        ("ridge, f16", Align::Right),
    ];
    let caption = "Ceilings of the study's devices and of this one. Ridge points are in FLOP/byte; f32 and f16 use the recomputed bandwidth.";
    let mut table = Table::new(caption, columns);
    let mut f16_ridges: Vec<f64> = Vec::new();
    for row in &devices.rows {
        let Some(device) = Device::of(row) else { continue };
        let printed = ridges.row("chip", device.chip).and_then(|r| r.number("ridge_meas"));
        f16_ridges.extend(device.f16.map(|f| f / device.bandwidth));
        table.push(device.cells(printed));
    }
    if let Some(m) = machine {
        let bandwidth = m.bandwidth.memory().value;
        let peak = |p: Measured| (number::si(p.value, "FLOP/s"), number::digits(p.value / bandwidth, 3));
        let (f32, ridge32) = peak(m.flops_f32);
        let (f16, ridge16) = m.flops_f16.map_or(("–".to_owned(), "–".to_owned()), peak);
        let here = number::si(bandwidth, "B/s");
        let name = format!("this device: {}", m.name);
        let none = String::new;
        table.push([name, none(), here, none(), f32, f16, none(), ridge32, ridge16]);
    }
    let intro = "The study times c = a + b and counts two of its three memory streams, so that its bandwidth is too low \
                 by a factor of 1.5. With that bandwidth, several of its own decode rates would be impossible (X-RB-2). \
                 It computes the ridge from the f32 peak, but compares f16 inference with it (X-RB-3). The recomputed \
                 columns correct both. The bandwidth of this device is that of the largest working set.";
    let mut section = Section::new("Device ceilings (RB-1)", intro).with(Block::Table(table));
    if let Ok(claim) = published.claim("RB-C5") {
        let low = f16_ridges.iter().copied().fold(f64::INFINITY, f64::min);
        let high = f16_ridges.iter().copied().fold(0.0, f64::max);
        let reason = "the claim needs the ceilings of at least two devices and one model measured on each; this report \
                      treats one device at a time";
        let verdict = Verdict::cannot(claim, reason).recomputed(format!(
            "{} to {} FLOP/byte at f16, from the bandwidth of all three streams",
            number::digits(low, 3),
            number::digits(high, 3)
        ));
        section = section.with(Block::Verdicts(vec![verdict]));
    }
    Some(section)
}

/// One device of the study; rates in bytes/s and FLOP/s.
struct Device<'a> {
    chip: &'a str,
    specified: f64,
    printed: f64,
    bandwidth: f64,
    f32: Option<f64>,
    f16: Option<f64>,
}

impl<'a> Device<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        let printed = row.number("bw_meas")? * 1e9;
        let unit = if row.text("compute_unit") == Some("GFLOPS") { 1e9 } else { 1e12 };
        let flops = |column| row.number(column).map(|f| f * unit);
        Some(Self {
            chip: row.text("chip")?,
            specified: row.number("bw_theo")? * 1e9,
            printed,
            bandwidth: printed * STREAMS,
            f32: flops("fp32_meas"),
            f16: flops("fp16_meas"),
        })
    }

    fn cells(&self, ridge_printed: Option<f64>) -> [String; 9] {
        let flops = |f: Option<f64>| f.map_or("–".to_owned(), |f| number::si(f, "FLOP/s"));
        let ridge = |f: Option<f64>| f.map_or("–".to_owned(), |f| number::digits(f / self.bandwidth, 3));
        [
            self.chip.to_owned(),
            number::si(self.printed, "B/s"),
            number::si(self.bandwidth, "B/s"),
            number::percent(self.bandwidth / self.specified),
            flops(self.f32),
            flops(self.f16),
            ridge_printed.map_or("–".to_owned(), |r| number::digits(r, 4)),
            ridge(self.f32),
            ridge(self.f16),
        ]
    }
}

/// A ratio with its widest interval: the ends of `a` over the opposite ends of `b`.
fn ratio(a: Measured, b: Measured) -> Measured {
    Measured { value: a.value / b.value, lo: a.lo / b.hi, hi: a.hi / b.lo.max(f64::MIN_POSITIVE) }
}

#[cfg(test)]
mod tests {
    use super::{recomputed_gap, rooflinebench, throughput_gap};
    use ridgeline_experiment::published::Published;
    use ridgeline_experiment::report::Block;
    use ridgeline_experiment::verdict::Outcome;
    use ridgeline_measure::probe::{Ceiling, MatVecRate, MatVecs, OverheadSeries, StreamCurve};
    use ridgeline_roofline::{Curve, Machine, Measured, Overheads, Sample};

    #[test]
    fn the_studies_own_numbers_contradict_it() {
        let text = recomputed_gap(&Published::load().expect("published numbers")).expect("both tables");
        // (53.8 − 6.5) ms / 223 = 212 µs; 268 MB / (578 − 212) µs = 733 GB/s; 37.7 MB / 179 GB/s = 211 µs.
        assert!(text.contains("212 µs") && text.contains("733 GB/s") && text.contains("211 µs"), "{text}");
    }

    #[test]
    fn ridges_are_recomputed_per_precision() {
        let machine = Machine::flat("here", 100e9, 1e12).expect("positive");
        let section =
            rooflinebench(Some(&machine), &Published::load().expect("published")).expect("a section");
        let Some(Block::Table(table)) = section.blocks.first() else { panic!("a table comes first") };
        let m1 = table.rows.iter().find(|r| r[0] == "Apple M1 Pro").expect("the M1 Pro");
        // 120.03 · 1.5 = 180 GB/s, 88 % of 204.8; 4.31 and 4.61 TFLOP/s over it.
        assert_eq!(
            m1[1..],
            ["120 GB/s", "180 GB/s", "87.9 %", "4.31 TFLOP/s", "4.61 TFLOP/s", "35.83", "23.9", "25.6"]
        );
        let here = table.rows.last().expect("a row for this device");
        assert_eq!((here[2].as_str(), here[7].as_str(), here[8].as_str()), ("100 GB/s", "10.0", "–"));
    }

    /// A device that copies at 5 GB/s, with a millisecond of submission and wait for a copy of a fifth of a second.
    fn device() -> [Ceiling; 2] {
        let curve = Curve::new(vec![Sample { bytes: 1_000_000_000, rate: m(5e9) }]).expect("one point");
        let (variants, blocks) = (Vec::new(), vec![vec![5e9; 8]]);
        let copy = Ceiling::Copy(StreamCurve { curve, variants, blocks, timestamp_ratio: None, drift: None });
        let cost = Measured::exact(5e-4);
        let overheads =
            Overheads { launch_s: cost, submission_s: cost, synchronisation_s: cost, readback_s: cost };
        [copy, Ceiling::Overheads(OverheadSeries { overheads, blocks: vec![[5e-4; 4]; 9], encode_s: 0.0 })]
    }

    fn m(value: f64) -> Measured {
        Measured { value, lo: 0.9 * value, hi: 1.1 * value }
    }

    /// Mat-vecs by quantization type, bits per weight, back-to-back rate and synchronized rate.
    fn products(all: &[(&str, u64, f64, f64)]) -> Ceiling {
        let product = |&(format, bits, streamed, synchronised): &(&str, u64, f64, f64)| MatVecRate {
            format: format.to_owned(),
            bytes: 8192 * 8192 / 8 * bits,
            streamed: m(streamed),
            synchronised: m(synchronised),
            blocks: vec![streamed; 8],
            synchronised_blocks: vec![synchronised; 4],
        };
        Ceiling::Matvec(MatVecs { products: all.iter().map(product).collect() })
    }

    /// The outcome of GAP-C1 and its statistics.
    fn gap(ceilings: &[&Ceiling]) -> (Outcome, String) {
        let published = Published::load().expect("published numbers");
        let section = throughput_gap(ceilings, &published).expect("a section");
        let Some(Block::Verdicts(verdicts)) = section.blocks.last() else { panic!("verdicts come last") };
        (verdicts[0].outcome, verdicts[0].statistics.clone())
    }

    #[test]
    fn the_order_is_that_of_synchronized_operations() {
        let [copy, overheads] = device();
        // Back to back, the order would hold; with one wait each, the F32 mat-vec is faster than the copy.
        let all = products(&[
            ("Q8_0", 8, 2e9, 2e9),
            ("Q4_0", 4, 1e9, 1e9),
            ("F32", 32, 3e9, 9e9),
            ("Q2_K", 2, 1e9, 9e9),
        ]);
        let (outcome, why) = gap(&[&copy, &overheads, &all]);
        assert_eq!(outcome, Outcome::DoesNotHold, "{why}");
        // 1e9 B in 0.2 s and 1 ms are 4.975 GB/s; over 9 GB/s 0.553.
        assert!(
            why.contains("copy over F32 mat-vec = 0.553")
                && why.contains("F32 mat-vec over Q4_0 mat-vec = 9.000"),
            "{why}"
        );
        assert!(why.contains("(n = 4, full range)"), "{why}");
    }

    #[test]
    fn a_claim_about_four_bits_needs_a_4_bit_mat_vec() {
        let [copy, overheads] = device();
        let eight = products(&[("F32", 32, 3e9, 3e9), ("Q8_0", 8, 2e9, 2e9)]);
        let (outcome, why) = gap(&[&copy, &overheads, &eight]);
        assert_eq!((outcome, why.as_str()), (Outcome::CannotBeTested, "no 4-bit mat-vec was measured"));
        let four = products(&[("F32", 32, 3e9, 3e9), ("Q4_0", 4, 1e9, 1e9)]);
        assert_eq!(gap(&[&copy, &overheads, &four]).0, Outcome::Holds);
        let (outcome, why) = gap(&[&copy, &four]);
        assert!(outcome == Outcome::CannotBeTested && why.contains("overheads"), "{why}");
    }
}
