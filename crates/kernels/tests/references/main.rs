//! CPU references of kernels against computations that are independent of them: by hand, or by another formula in f64.

mod feed_forward;
mod mixture;
mod norms;
mod recurrent;

use ridgeline_compute::{Access, Bindings, HostBuf, Kernel};

/// Bits of floats.
fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Runs the CPU reference in place on bindings in order.
fn run<K: Kernel>(kernel: K, params: &K::Params, bindings: &mut [Vec<u32>]) {
    let with_access = bindings.iter_mut().zip(<K as Bindings>::BINDINGS);
    let bufs = with_access.map(|(words, info)| match info.access {
        Access::Read => HostBuf::Read(words),
        Access::Write | Access::Update => HostBuf::Write(words),
    });
    kernel.reference(params, K::host(bufs.collect()));
}

/// Asserts that a binding holds these floats, within rounding.
#[track_caller]
fn assert_floats(binding: &[u32], expected: &[f64]) {
    let found: Vec<f64> = binding.iter().map(|&word| f64::from(f32::from_bits(word))).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 2e-6 * b.abs().max(1.0);
    assert!(found.iter().zip(expected).all(near), "found {found:?}, expected {expected:?}");
}
