//! The searching encoders: their error compared with ggml's reference quantizer and with plain rounding, and extreme
//! values.

use proptest::prelude::*;
use ridgeline_quant::{Format, Rounding};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("data/golden.safetensors");
/// Columns of the golden source.
const N_COLS: usize = 1024;
/// Random weights of each kind.
const N_RANDOM: usize = 64 * 1024;

fn searched() -> impl Iterator<Item = Format> {
    let searched = Format::ALL.iter().copied().filter(|it| it.spec().rounding == Rounding::Search);
    assert_eq!(searched.clone().count(), 7);
    searched
}

fn floats(name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is well formed");
    let view = file.tensor(name).unwrap_or_else(|_| panic!("the golden file has no {name}"));
    view.data().as_chunks().0.iter().map(|&it| f32::from_le_bytes(it)).collect()
}

/// The values after encoding and decoding.
fn round_trip(format: Format, values: &[f32]) -> Vec<f32> {
    let spec = format.spec();
    let mut bytes = vec![0xaa; values.len() / spec.block_len * spec.block_bytes];
    (spec.encode.expect("a searched format has an encoder"))(values, &mut bytes);
    let mut decoded = vec![f32::NAN; values.len()];
    (spec.decode)(&bytes, &mut decoded);
    decoded
}

fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// The largest level of a type whose levels are `-largest..largest`.
fn largest_quant(format: Format) -> f32 {
    match format.spec().block_bytes * 8 / format.spec().block_len {
        0..=2 => 2.0,
        3 => 4.0,
        4 => 8.0,
        5 => 16.0,
        _ => 32.0,
    }
}

/// Absmax quantization: blocks of 32, an exact scale of `peak / largest`, plain rounding. It rounds no scales, so a
/// type of as many bits must search to be as good.
fn plain_rounding(format: Format, values: &[f32]) -> Vec<f32> {
    let n = largest_quant(format);
    let mut out = Vec::with_capacity(values.len());
    for block in values.chunks(32) {
        let largest = block.iter().fold(0.0_f32, |largest, it| largest.max(it.abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest / n };
        out.extend(block.iter().map(|&it| scale * (it / scale).round().clamp(-n, n - 1.0)));
    }
    out
}

struct Uniform(u64);

impl Uniform {
    /// In (0, 1).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// As many weights as `N_RANDOM`, with a deviation of a fiftieth.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is meant")]
    fn weights(&mut self, draw: impl Fn(&mut Self) -> f64) -> Vec<f32> {
        (0..N_RANDOM).map(|_| (0.02 * draw(self)) as f32).collect()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }

    /// Student's t.
    fn student(&mut self, degrees: u8) -> f64 {
        let chi2: f64 = (0..degrees).map(|_| self.normal().powi(2)).sum();
        self.normal() / (chi2 / f64::from(degrees)).sqrt()
    }
}

#[test]
fn no_golden_row_has_a_larger_error_than_the_reference() {
    let source = floats("source");
    for format in searched() {
        let reference = floats(&format!("{format}.dequant"));
        let ours = round_trip(format, &source);
        for (row, source) in source.chunks(N_COLS).enumerate() {
            let at = row * N_COLS..(row + 1) * N_COLS;
            let (ours, reference) =
                (squared_error(source, &ours[at.clone()]), squared_error(source, &reference[at]));
            assert!(ours <= reference, "{format}, row {row}: {ours} > {reference}");
        }
    }
}

#[test]
fn encoding_the_reference_again_is_as_good_as_the_reference() {
    // Values that the type holds exactly: the search must find their scales.
    for format in searched() {
        let reference = floats(&format!("{format}.dequant"));
        let signal: f64 = reference.iter().map(|&it| f64::from(it).powi(2)).sum();
        let lost = squared_error(&reference, &round_trip(format, &reference)) / signal;
        let again = squared_error(&floats("source"), &reference) / signal;
        assert!(
            lost < 0.5 * again,
            "{format}: {lost} of the power is lost, and {again} in the first round trip"
        );
    }
}

/// Weights of several distributions, by name.
fn kinds() -> [(&'static str, Vec<f32>); 4] {
    let mut random = Uniform(7);
    let normal = random.weights(Uniform::normal);
    let [two, three] = [2, 3].map(|degrees| random.weights(|it| it.student(degrees)));
    let mut constant = random.weights(Uniform::normal);
    constant.chunks_mut(N_COLS).for_each(|row| row.fill(row[0]));
    [("normal", normal), ("t, 2", two), ("t, 3", three), ("constant", constant)]
}

#[test]
fn random_rows_are_better_than_plain_rounding() {
    for (kind, values) in &kinds()[..3] {
        for format in searched() {
            let ours = squared_error(values, &round_trip(format, values));
            let plain = squared_error(values, &plain_rounding(format, values));
            assert!(ours < plain, "{format}, {kind}: {ours} >= {plain}");
        }
    }
}

/// The fixture has the squared errors of ggml's quantizer on the same weights, and their power.
#[test]
fn no_kind_of_weights_has_a_larger_error_than_the_reference() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("data/reference_errors.json")).unwrap();
    for (kind, values) in kinds() {
        let reference = &fixture["squared_errors"][kind];
        let power = squared_error(&values, &vec![0.0; values.len()]);
        assert!((power / reference["power"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{kind}: other weights");
        for format in searched() {
            let ours = squared_error(&values, &round_trip(format, &values));
            let reference = reference[format.spec().name].as_f64().unwrap();
            assert!(ours <= reference, "{format}, {kind}: {ours} > {reference}");
        }
    }
}

#[test]
fn constant_rows_are_better_than_plain_rounding_of_a_half() {
    // The scale is a binary16, whose relative error is up to 2⁻¹¹.
    for constant in [1.0_f32, -1.0, 0.3, -0.7, 2.5, -123.4] {
        for format in searched() {
            let worst = round_trip(format, &[constant; 512])
                .into_iter()
                .fold(0.0_f32, |worst, it| worst.max((it / constant - 1.0).abs()));
            assert!(worst <= 1.0 / 2048.0, "{format}, {constant}: off by {worst}");
        }
    }
}

#[test]
fn zeros_stay_zero() {
    for format in searched() {
        assert!(round_trip(format, &[0.0; 512]).iter().all(|&it| it == 0.0), "{format}");
        let mut mixed = [0.0; 512];
        mixed[256..].fill(1.0);
        assert_eq!(round_trip(format, &mixed)[..256], [0.0; 256], "{format}");
    }
}

#[test]
fn the_smallest_and_the_largest_values_do_no_harm() {
    for format in searched() {
        for exponent in -149..=127_i32 {
            let scale = 2.0_f32.powi(exponent);
            let values: Vec<f32> =
                (0..256_i16).map(|i| scale * (f32::from(i * 37 % 101) / 101.0 - 0.4)).collect();
            let decoded = round_trip(format, &values);
            assert!(decoded.iter().all(|it| it.is_finite()), "{format} at 2^{exponent}");
            let (error, power) = (squared_error(&values, &decoded), squared_error(&values, &[0.0; 256]));
            assert!(error <= power, "{format} at 2^{exponent}: the error is larger than that of zeros");
        }
        let odd =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -f32::MAX, f32::MIN_POSITIVE, -0.0, 1.0];
        assert!(round_trip(format, &odd.repeat(32)).iter().all(|it| it.is_finite()), "{format}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Each error is below that of a uniform quantizer with one scale per super-block, and the total error is small.
    #[test]
    fn errors_are_bounded(
        values in proptest::collection::vec(-1.0_f32..1.0, 256),
        exponent in -12..12_i32,
        shift in -1.0_f32..1.0,
    ) {
        let scale = 2.0_f32.powi(exponent);
        let values: Vec<f32> = values.iter().map(|it| scale * (it + shift)).collect();
        let power = squared_error(&values, &[0.0; 256]);
        for format in searched() {
            let decoded = round_trip(format, &values);
            let largest = largest_quant(format);
            let error = squared_error(&values, &decoded);
            prop_assert!(error <= power / f64::from(largest * largest), "{}: {} of {}", format, error, power);
            // A type with a minimum has all its levels on one side of it; others have half of them per sign.
            let peak = values.iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
            let worst = values.iter().zip(&decoded).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
            prop_assert!(worst <= 1.5 * peak / largest, "{}: {} of {}", format, worst, peak);
        }
    }
}
