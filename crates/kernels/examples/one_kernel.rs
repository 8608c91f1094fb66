//! Times one linear layer (GEMV or GEMM) of every quantization type on the best adapter. Needs no model.
//!
//! The time is the slope between 2 and 8 launches. The bandwidth is from the bytes that the kernel must move.
//!
//! `cargo run --release -p ridgeline-kernels --example one_kernel -- 4096 4096 1`

use ridgeline_compute::{Executor, Recording, Role};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_kernels::{Epilogue, layout_for, linear_for, mat_vec, stride};
use ridgeline_quant::Format;
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut sizes = std::env::args().skip(1).map(|arg| arg.parse::<u32>());
    let n_rows = sizes.next().unwrap_or(Ok(4096))?;
    let n_cols = sizes.next().unwrap_or(Ok(4096))?;
    let n_vecs = sizes.next().unwrap_or(Ok(1))?;
    let mut gpu =
        Gpu::open(&AdapterChoice::Best, Arc::new(ridgeline_kernels::linker()?), GpuOptions::default())?;
    report(&format!("{} ({})", gpu.info().name, gpu.info().backend));
    for &format in Format::ALL {
        let stride = stride(format, n_cols as usize);
        let layout = layout_for(gpu.caps());
        let bytes = layout.bytes(u64::from(n_rows), stride);
        let weights = gpu.alloc_in(layout.in_texture(), bytes, Role::Weights, "weights")?;
        let x = gpu.alloc(4 * u64::from(n_cols) * u64::from(n_vecs), Role::Activation, "x")?;
        let y = gpu.alloc(4 * u64::from(n_rows) * u64::from(n_vecs), Role::Activation, "y")?;
        let mut time = |launches: u32| -> Result<(f64, u64), Box<dyn Error>> {
            let mut recording = Recording::new();
            for _ in 0..launches {
                let (weights, x, y) = (weights.all(), x.all(), y.all());
                let (ld, row0, epilogue) = (n_rows, 0, Epilogue::Store as u32);
                let params = mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue };
                let choice = linear_for(format, n_vecs, gpu.caps());
                choice.record(&mut recording, params, mat_vec::Args { weights, x, y });
            }
            let mut best = u64::MAX;
            for _ in 0..7 {
                best = best.min(gpu.run(&recording)?.timing.total_ns());
            }
            Ok((best as f64 / 1e9, recording.cost().bytes()))
        };
        let ((few, bytes), (many, more)) = (time(2)?, time(8)?);
        let (seconds, bytes) = ((many - few) / 6.0, (more - bytes) as f64 / 6.0);
        let flops = 2.0 * f64::from(n_rows) * f64::from(n_cols) * f64::from(n_vecs);
        let (name, micros) = (format.spec().name, seconds * 1e6);
        report(&format!(
            "{name:>5} {micros:10.1} µs {:8.2} GB/s {:8.2} GFLOP/s",
            bytes / seconds / 1e9,
            flops / seconds / 1e9
        ));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn report(line: &str) {
    println!("{line}");
}
