//! Prints the ceilings of the best device, with intervals: `cargo run --release -p ridgeline-measure --example probe`.
#![expect(clippy::print_stdout, reason = "an example is a program")]

use ridgeline_experiment::report::number::{si, si_range};
use ridgeline_measure::{Device, Error, MeasureContext};
use ridgeline_roofline::Measured;

fn main() -> Result<(), Error> {
    // `None` selects the best adapter. Loaded models would use `Tuning`; the seed is for random prompts.
    let cx = MeasureContext::new(Device::open(None)?, None, ridgeline_kernels::Tuning::default(), 0);
    // Takes about half a minute: a few seconds for each of five groups of ceilings.
    let machine = cx.ceilings()?;
    println!("{}", machine.name);
    for (name, curve) in [("read", &machine.bandwidth.read), ("copy", &machine.bandwidth.copy)] {
        if let Some(largest) = curve.samples().last() {
            print(&format!("{name} {}", si(largest.bytes as f64, "B")), largest.rate, "B/s");
        }
    }
    print("f32 peak", machine.flops_f32, "FLOP/s");
    print("launch", machine.overheads.launch_s, "s");
    print("submission", machine.overheads.submission_s, "s");
    Ok(())
}

fn print(name: &str, Measured { value, lo, hi }: Measured, unit: &str) {
    println!("{name:12} {:>14}  ({})", si(value, unit), si_range(lo, hi, unit));
}
