//! Runs kernels on a device and compares them with their CPU references: for a report from a device that nobody has tried.
//!
//! The twin tests of `ridgeline-kernels` try every variant and judge it. This is a part of them for users, in seconds.

use ridgeline_compute::{Access, AnyKernel, Cpu, Error, Executor, Recording, Role, TestRng};
use ridgeline_gpu::Gpu;
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest error of a right result: that of f16 tiles.
const TOLERANCE: f64 = 4e-3;

/// The check of one kernel variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelCheck {
    /// The variant.
    pub kernel: String,
    /// Why it did not compile or run.
    pub error: Option<String>,
    /// Largest difference from the CPU reference in bindings of floats, relative to the largest value of the binding.
    pub largest_error: f64,
    /// Number of different words in bindings of whole numbers.
    pub different_numbers: usize,
    /// Share of different words in bindings of packed rows, where some may be rounded differently.
    pub different_packed: f64,
}

impl KernelCheck {
    /// Whether the kernel ran and its floats and whole numbers are right. Packed rows are not judged.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.error.is_none() && self.largest_error <= TOLERANCE && self.different_numbers == 0
    }
}

/// Checks up to `per_kernel` variants of each kernel, spread evenly over those for this device.
pub fn check_kernels(gpu: &mut Gpu, per_kernel: usize) -> Vec<KernelCheck> {
    let mut by_name: BTreeMap<&str, Vec<AnyKernel>> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(gpu.caps()) {
        by_name.entry(kernel.name()).or_default().push(kernel);
    }
    let spread = |variants: Vec<AnyKernel>| {
        let step = variants.len().div_ceil(per_kernel.max(1)).max(1);
        variants.into_iter().step_by(step)
    };
    by_name.into_values().flat_map(spread).map(|kernel| check(gpu, &kernel)).collect()
}

fn check(gpu: &mut Gpu, kernel: &AnyKernel) -> KernelCheck {
    let mut check = KernelCheck {
        kernel: kernel.label(),
        error: None,
        largest_error: 0.0,
        different_numbers: 0,
        different_packed: 0.0,
    };
    let (params, mut bindings) = kernel.test_input(&mut TestRng::new(1));
    // Bindings that are only written begin as NaN, so that a missing element is found.
    for (i, bytes) in kernel.min_binding_size(&params).into_iter().enumerate() {
        if kernel.bindings()[i].access == Access::Write {
            bindings[i] = vec![f32::NAN.to_bits(); usize::try_from(bytes / 4).unwrap_or(0)];
        }
    }
    let here = run_once(gpu, kernel, &params, &bindings);
    let twin = run_once(&mut Cpu::new(gpu.caps().clone()), kernel, &params, &bindings);
    let (here, twin) = match (here, twin) {
        (Ok(here), Ok(twin)) => (here, twin),
        (Err(error), _) | (_, Err(error)) => return KernelCheck { error: Some(error.to_string()), ..check },
    };
    for (info, (here, twin)) in kernel.bindings().iter().zip(here.iter().zip(&twin)) {
        let different = here.iter().zip(twin).filter(|(a, b)| a != b).count();
        match info.wgsl {
            floats if floats.contains("f32") => {
                check.largest_error = check.largest_error.max(largest_error(here, twin));
            }
            packed if packed.contains("vec4") => {
                #[expect(clippy::cast_precision_loss, reason = "a share")]
                let share = different as f64 / here.len().max(1) as f64;
                check.different_packed = check.different_packed.max(share);
            }
            _ => check.different_numbers += different,
        }
    }
    check
}

/// Largest difference of two bindings of floats, relative to the largest finite value of the twin. A NaN on one side alone
/// is the largest f32.
fn largest_error(here: &[u32], twin: &[u32]) -> f64 {
    let value = |word: u32| f64::from(f32::from_bits(word));
    // Values beyond are masks, such as the lowest f32.
    let largest = twin.iter().map(|&word| value(word).abs()).filter(|v| *v < 1e30).fold(0.0, f64::max);
    let error = |(&a, &b): (&u32, &u32)| {
        let difference = if a == b { 0.0 } else { (value(a) - value(b)).abs() / largest };
        if difference.is_finite() { difference } else { f64::from(f32::MAX) }
    };
    here.iter().zip(twin).map(error).fold(0.0, f64::max)
}

/// Runs one launch and returns the contents of every binding.
///
/// # Errors
/// As running a recording.
pub(crate) fn run_once<E: Executor>(
    executor: &mut E,
    kernel: &AnyKernel,
    params: &[u8],
    bindings: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, Error> {
    let (mut buffers, mut slices, mut recording) = (Vec::new(), Vec::new(), Recording::new());
    for (info, words) in kernel.bindings().iter().zip(bindings) {
        let bytes = 4 * words.len() as u64;
        let buffer = executor.alloc_in(kernel.in_texture(info), bytes, Role::Activation, info.name)?;
        executor.write(buffer.all(), bytemuck::cast_slice(words))?;
        slices.push(buffer.all());
        buffers.push(buffer);
    }
    recording.run_erased(kernel, params, &slices);
    for slice in &slices {
        recording.read_back(*slice);
    }
    let reads = executor.run(&recording)?.reads;
    Ok(reads.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::{check_kernels, largest_error};
    use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn errors_are_relative_and_a_nan_is_one() {
        let bits = |values: [f32; 3]| values.map(f32::to_bits);
        assert!(largest_error(&bits([1.0, 2.0, 3.0]), &bits([1.0, 2.0, 3.0])) == 0.0);
        assert!((largest_error(&bits([1.0, 2.0, 3.5]), &bits([1.0, 2.0, 4.0])) - 0.125).abs() < 1e-12);
        assert!(largest_error(&bits([1.0, f32::NAN, 4.0]), &bits([1.0, 2.0, 4.0])) > 1e30);
    }

    /// The noop backend runs no launch, so that every kernel with a result fails.
    #[test]
    fn kernels_that_do_not_run_fail_the_check() {
        let linker = Arc::new(ridgeline_kernels::linker().expect("the built-in templates are valid"));
        let mut gpu = Gpu::noop(linker).expect("the noop backend is built in");
        let checks = check_kernels(&mut gpu, 1);
        let names: BTreeSet<_> = ridgeline_kernels::all(gpu_caps(&gpu)).iter().map(|it| it.name()).collect();
        assert_eq!(checks.len(), names.len(), "one variant of each kernel");
        let judged = checks.iter().filter(|it| it.different_packed == 0.0);
        assert!(judged.clone().count() > 10);
        for check in judged {
            assert!(!check.passes(), "{check:?}");
        }
    }

    fn gpu_caps(gpu: &Gpu) -> &ridgeline_compute::Caps {
        ridgeline_compute::Executor::caps(gpu)
    }

    #[test]
    fn kernels_of_this_adapter_pass() {
        let linker = Arc::new(ridgeline_kernels::linker().expect("the built-in templates are valid"));
        match Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default()) {
            Ok(mut gpu) => {
                for check in check_kernels(&mut gpu, 1) {
                    assert!(check.passes(), "{check:?}");
                }
            }
            // Without an adapter the test passes, except on CI.
            Err(error) => assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}"),
        }
    }
}
