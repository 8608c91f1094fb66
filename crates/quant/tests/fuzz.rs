//! The fuzz targets of `examples/fuzz_formats` on the first few inputs of each, so that every run of the tests covers them.

#[path = "../examples/fuzz_formats/targets.rs"]
mod targets;

use ridgeline_quant::Format;

/// Inputs per type; some run the slow searching encoders.
const INPUTS: u64 = 2000;

#[test]
fn no_input_breaks_a_format() {
    for &format in Format::ALL {
        for seed in 0..INPUTS {
            targets::check(format, seed).unwrap_or_else(|problem| panic!("{format}, seed {seed}: {problem}"));
        }
    }
}
