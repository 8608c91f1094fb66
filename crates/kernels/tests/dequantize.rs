//! A matrix that is dequantized and then multiplied gives the product of the fused kernel, within rounding.
//!
//! Without an adapter the trials on a device are ignored, or fail where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{AnyKernel, Buffer, Caps, Cpu, Executor, Recording, Role, TestRng};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_kernels::dequantize::{self, Dequantize, Output};
use ridgeline_kernels::{Epilogue, WeightLayout, layout_for, linear_for, mat_vec, stride};
use ridgeline_quant::Format;
use std::sync::Arc;

fn main() {
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let missing = ridgeline_gpu::adapters().is_empty() && !required;
    let on_device = |name, gpu_kernels| {
        Trial::test(name, move || equals_fused(&mut open(gpu_kernels)?)).with_ignored_flag(missing)
    };
    let trials = vec![
        Trial::test("cpu_plain", || on_cpu(Caps::everything(), WeightLayout::Plain)),
        Trial::test("cpu_interleaved", || {
            on_cpu(Caps { software: true, ..Caps::everything() }, WeightLayout::Interleaved)
        }),
        on_device("device", false),
        on_device("device_with_gpu_kernels", true),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn on_cpu(caps: Caps, layout: WeightLayout) -> Result<(), Failed> {
    assert_eq!(layout_for(&caps), layout);
    equals_fused(&mut Cpu::new(caps))
}

fn open(gpu_kernels: bool) -> Result<Gpu, Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    Ok(Gpu::open(&AdapterChoice::Best, linker, GpuOptions { gpu_kernels, ..GpuOptions::default() })?)
}

fn equals_fused<E: Executor>(executor: &mut E) -> Result<(), Failed> {
    for (seed, &format) in (0..).zip(Format::ALL) {
        for output in [Output::F16, Output::F32] {
            let products = Products::of(executor, (format, output), seed)?;
            products.compare(output).map_err(|e| format!("{format} to {output:?}: {e}"))?;
        }
    }
    Ok(())
}

/// The same product twice.
struct Products {
    /// The vectors, `n_cols` values each.
    x: Vec<f32>,
    n_cols: usize,
    /// Rows of `ld` values, by the fused kernel.
    fused: Vec<f32>,
    /// The same after dequantization.
    dequantized: Vec<f32>,
    ld: usize,
}

impl Products {
    /// Multiplies a random matrix by the default kernels of a mat-vec: as it is, and dequantized.
    fn of<E: Executor>(
        executor: &mut E,
        (format, output): (Format, Output),
        seed: u64,
    ) -> Result<Self, Failed> {
        let fused = linear_for(format, 1, executor.caps());
        let layout = fused.layout();
        let (params, words) = AnyKernel::from(fused).test_input(&mut TestRng::new(seed));
        let params =
            mat_vec::Params { epilogue: Epilogue::Store as u32, ..bytemuck::pod_read_unaligned(&params) };
        let mat_vec::Params { n_rows, n_cols, .. } = params;
        let weights = filled(executor, layout.in_texture(), &words[0])?;
        let [x, y, other_y] = [1, 2, 2].map(|i: usize| filled(executor, false, &words[i]));
        let (x, y, other_y) = (x?, y?, other_y?);
        let to_stride = stride(output.format(), n_cols as usize);
        let bytes = layout.bytes(u64::from(n_rows), to_stride);
        let values = executor.alloc_in(layout.in_texture(), bytes, Role::Weights, "values")?;

        let mut recording = Recording::new();
        fused.record(&mut recording, params, args([&weights, &x, &y]));
        recording.run(
            Dequantize::new(format, output, layout),
            dequantize::Params { n_rows, n_cols, stride: params.stride },
            dequantize::Args { weights: weights.all(), values: values.all() },
        );
        let plain = linear_for(output.format(), 1, executor.caps());
        let params = mat_vec::Params { stride: to_stride, ..params };
        plain.record(&mut recording, params, args([&values, &x, &other_y]));
        recording.read_back(y.all());
        recording.read_back(other_y.all());
        let reads = executor.run(&recording)?.reads;
        let [fused, dequantized] = [0, 1].map(|i: usize| bytemuck::pod_collect_to_vec(&reads[i]));
        let x = bytemuck::pod_collect_to_vec(&words[1]);
        Ok(Self { x, n_cols: n_cols as usize, fused, dequantized, ld: params.ld as usize })
    }

    /// Test weights are at most about 2, so an f16 differs by 2⁻¹⁰ at most. Sums in f32 may differ in their last bits.
    fn compare(&self, output: Output) -> Result<(), String> {
        let of_x = if output == Output::F16 { 1.0 / 1024.0 } else { 1e-5 };
        let rows = self.fused.chunks(self.ld).zip(self.dequantized.chunks(self.ld));
        for ((fused, dequantized), x) in rows.zip(self.x.chunks(self.n_cols)) {
            let tolerance = of_x * x.iter().map(|x| x.abs()).sum::<f32>();
            for (r, (a, b)) in fused.iter().zip(dequantized).enumerate() {
                let equal = a.to_bits() == b.to_bits() || (a - b).abs() <= tolerance;
                equal.then_some(()).ok_or(format!("output {r}: fused {a}, dequantized {b}"))?;
            }
        }
        Ok(())
    }
}

fn filled<E: Executor>(executor: &mut E, texture: bool, words: &[u32]) -> Result<Buffer, Failed> {
    let buffer = executor.alloc_in(texture, 4 * words.len() as u64, Role::Activation, "filled")?;
    executor.write(buffer.all(), bytemuck::cast_slice(words))?;
    Ok(buffer)
}

fn args([weights, x, y]: [&Buffer; 3]) -> mat_vec::Args {
    mat_vec::Args { weights: weights.all(), x: x.all(), y: y.all() }
}
