//! Kernel benchmarks on the device: time per launch, and bytes per second from the traffic that the kernel declares.
//!
//! Launches are batched into one recording, and the cost of an empty submission is subtracted. So launch overhead and
//! waiting do not hide small kernels.

use criterion::{BenchmarkId, Criterion, Throughput};
use ridgeline_compute::{Buffer, Executor, Kernel, Recording, Role, Slice, TestRng};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_kernels::attention;
use ridgeline_kernels::dequantize::{self, Dequantize, Output};
use ridgeline_kernels::gated_delta_rule::{self, GatedDeltaRule};
use ridgeline_kernels::layer_norm::{self, LayerNorm};
use ridgeline_kernels::mat_mul::{self, MatMul};
use ridgeline_kernels::mat_mul_coop::MatMulCoop;
use ridgeline_kernels::mat_vec;
use ridgeline_kernels::rms_norm;
use ridgeline_kernels::{
    AttentionKernel, HeadShape, LinearKernel, TokenInfo, VisibleRows, attention_for, layout_for, linear_for,
    norm_for, stride,
};
use ridgeline_quant::Format;
use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Most launches in a recording.
const BATCH: u64 = 256;

fn main() {
    let linker = match ridgeline_kernels::linker() {
        Ok(linker) => Arc::new(linker),
        Err(error) => return skip(&error.to_string()),
    };
    let gpu = match Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default()) {
        Ok(gpu) => RefCell::new(gpu),
        Err(error) => return skip(&error.to_string()),
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    mat_vecs(&mut criterion, &gpu);
    batches(&mut criterion, &gpu);
    mat_muls(&mut criterion, &gpu);
    dequantizes(&mut criterion, &gpu);
    attentions(&mut criterion, &gpu);
    norms(&mut criterion, &gpu);
    delta_rules(&mut criterion, &gpu);
    criterion.final_summary();
}

/// Prints why nothing is measured. A missing adapter is no failure.
fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "kernel benches skipped: {reason}");
}

/// Matrix shapes of models under `models/`: a small model's attention and feed-forward, and a wider feed-forward.
const SHAPES: [(u32, u32); 3] = [(576, 576), (1536, 576), (3072, 768)];

/// The shapes that a quantization type can store: rows of whole blocks.
fn shapes(format: Format) -> impl Iterator<Item = (u32, u32)> {
    SHAPES.into_iter().filter(move |shape| (shape.1 as usize).is_multiple_of(format.spec().block_len))
}

fn mat_vecs(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    for &format in Format::ALL {
        for shape in shapes(format) {
            linear(criterion, gpu, ("matvec", shape), (format, 1));
        }
    }
}

/// Small batches, as in the verification of drafts, with the largest shape.
fn batches(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    for &format in Format::ALL {
        for n_vecs in [1, 2, 3, 4, 5, 6, 8, 16] {
            linear(criterion, gpu, ("batch", SHAPES[2]), (format, n_vecs));
        }
    }
}

/// The default linear kernel for a batch of `n_vecs`.
fn linear(
    criterion: &mut Criterion,
    gpu: &RefCell<Gpu>,
    (group, (n_rows, n_cols)): (&str, (u32, u32)),
    (format, n_vecs): (Format, u32),
) {
    let kernel = linear_for(format, n_vecs, gpu.borrow().caps());
    let stride = stride(format, n_cols as usize);
    let params = mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld: n_rows, row0: 0, epilogue: 0 };
    let size = if n_vecs == 1 { format!("{n_rows}x{n_cols}") } else { format!("{n_rows}x{n_cols}x{n_vecs}") };
    let names = (group, BenchmarkId::new(format!("{format}"), size));
    match kernel {
        LinearKernel::Vec(kernel) => bench(criterion, gpu, names, (kernel, params)),
        LinearKernel::Rows(kernel) => bench(criterion, gpu, names, (kernel, bytemuck::cast(params))),
        LinearKernel::Mul(kernel) => bench(criterion, gpu, names, (kernel, bytemuck::cast(params))),
        LinearKernel::Coop(kernel) => bench(criterion, gpu, names, (kernel, bytemuck::cast(params))),
    }
}

fn mat_muls(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    for &format in Format::ALL {
        for (n_rows, n_cols) in shapes(format) {
            let kernel = MatMul::new(format, gpu.borrow().caps());
            let stride = stride(format, n_cols as usize);
            let params =
                mat_mul::Params { n_rows, n_cols, n_vecs: 32, stride, ld: n_rows, row0: 0, epilogue: 0 };
            let id = || BenchmarkId::new(format!("{format}"), format!("{n_rows}x{n_cols}x32"));
            bench(criterion, gpu, ("matmul", id()), (kernel, params));
            if let Some(kernel) = MatMulCoop::for_batch(format, gpu.borrow().caps(), params.n_vecs) {
                bench(criterion, gpu, ("coop", id()), (kernel, bytemuck::cast(params)));
            }
        }
    }
}

/// Whole matrices, of the largest shape.
fn dequantizes(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    let (n_rows, n_cols) = SHAPES[2];
    for &format in Format::ALL {
        for output in [Output::F16, Output::F32] {
            let kernel = Dequantize::new(format, output, layout_for(gpu.borrow().caps()));
            let params = dequantize::Params { n_rows, n_cols, stride: stride(format, n_cols as usize) };
            let id = BenchmarkId::new(format!("{format}"), format!("{n_rows}x{n_cols}to{output:?}"));
            bench(criterion, gpu, ("dequantize", id), (kernel, params));
        }
    }
}

fn attentions(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    let (cache, head, n_heads) = (Format::HALF, 64, 9);
    let shape = HeadShape::of_width(head, 3);
    for (n_tokens, position) in [(1, 64), (1, 1024), (32, 256)] {
        let kernel = attention_for([cache; 2], shape, n_tokens, gpu.borrow().caps());
        let stride = stride(cache, head as usize);
        let tokens: Vec<TokenInfo> =
            (position..position + n_tokens).map(|at| TokenInfo::causal(0, at, None)).collect();
        let VisibleRows { visible, unique, end, .. } = VisibleRows::of(&tokens);
        let params = attention::Params {
            n_tokens,
            token0: 0,
            n_heads,
            capacity: end,
            end,
            visible,
            unique,
            key_stride: stride,
            value_stride: stride,
            ld: n_heads * head,
            kv_splits: 1,
            split_len: end,
            scale: 0.125,
        };
        let id = BenchmarkId::new("fused", format!("{n_tokens} after {position}"));
        let names = ("attention", id);
        let tokens: &[u32] = bytemuck::cast_slice(&tokens);
        match kernel {
            AttentionKernel::Workgroup(kernel) => {
                bench_with(criterion, gpu, names, (kernel, params), tokens);
            }
            AttentionKernel::Simd(kernel) => {
                bench_with(criterion, gpu, names, (kernel, bytemuck::cast(params)), tokens);
            }
        }
    }
}

fn norms(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    let kernel = norm_for(gpu.borrow().caps());
    for (n_rows, n_cols) in [(1, 576), (1, 4096), (128, 576)] {
        let params = rms_norm::Params { n_rows, n_cols, row0: 0, eps: 1e-5 };
        let id = BenchmarkId::new("rms", format!("{n_rows}x{n_cols}"));
        bench(criterion, gpu, ("norm", id), (kernel, params));
        let kernel = LayerNorm::new(gpu.borrow().caps());
        let params = layer_norm::Params { n_rows, n_cols, row0: 0, eps: 1e-5 };
        let id = BenchmarkId::new("layer", format!("{n_rows}x{n_cols}"));
        bench(criterion, gpu, ("norm", id), (kernel, params));
    }
}

/// The recurrence of Gated DeltaNet with the heads of Qwen3.5-0.8B, for one token and for a short prompt.
fn delta_rules(criterion: &mut Criterion, gpu: &RefCell<Gpu>) {
    let (key, value, heads) = (128, 128, 16);
    let kernel = GatedDeltaRule::new(key, gpu.borrow().caps());
    for n_tokens in [1, 32] {
        let params = gated_delta_rule::Params {
            n_tokens,
            key_heads: heads,
            value_heads: heads,
            value,
            ld: heads * (2 * key + value),
            gates_ld: 2 * heads,
            alpha0: 0,
            beta0: heads,
            scale: 0.088,
        };
        let id = BenchmarkId::new("gated", format!("{n_tokens} tokens"));
        bench(criterion, gpu, ("delta_rule", id), (kernel, params));
    }
}

/// Times one launch of a kernel over buffers of random floats.
fn bench<K: Kernel>(
    criterion: &mut Criterion,
    gpu: &RefCell<Gpu>,
    names: (&str, BenchmarkId),
    launch: (K, K::Params),
) {
    bench_with(criterion, gpu, names, launch, &[]);
}

/// The same with these words in the binding `tokens`, if the kernel has one.
fn bench_with<K: Kernel>(
    criterion: &mut Criterion,
    gpu: &RefCell<Gpu>,
    (group, id): (&str, BenchmarkId),
    (kernel, params): (K, K::Params),
    tokens: &[u32],
) {
    let mut min_binding_sizes = Vec::new();
    K::bytes(kernel.min_binding_size(&params), &mut min_binding_sizes);
    let bindings = K::BINDINGS.iter().map(|binding| kernel.in_texture(binding.name));
    let buffers = min_binding_sizes
        .iter()
        .zip(bindings)
        .map(|(&bytes, texture)| filled(&mut gpu.borrow_mut(), bytes, texture));
    let buffers = match buffers.collect::<Result<Vec<Buffer>, _>>() {
        Ok(buffers) => buffers,
        Err(error) => return skip(&format!("{group}: {error}")),
    };
    let slices: Vec<Slice> = buffers.iter().map(Buffer::all).collect();
    for (binding, slice) in K::BINDINGS.iter().zip(&slices).filter(|(binding, _)| binding.name == "tokens") {
        let written = gpu.borrow_mut().write(*slice, bytemuck::cast_slice(tokens));
        written.unwrap_or_else(|error| panic!("{}: {error}", binding.name));
    }
    let erased = ridgeline_compute::AnyKernel::new(kernel);
    let launches = |n: u64| {
        let mut recording = Recording::new();
        for _ in 0..n {
            recording.run_erased(&erased, bytemuck::bytes_of(&params), &slices);
        }
        recording
    };
    let (one, batch) = (launches(1), launches(BATCH));
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Bytes(one.cost().bytes()));
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|iterations| {
            let empty = time(gpu, &Recording::new());
            let mut total = Duration::ZERO;
            for _ in 0..iterations / BATCH {
                total += time(gpu, &batch).saturating_sub(empty);
            }
            let rest = iterations % BATCH;
            if rest > 0 {
                total += time(gpu, &launches(rest)).saturating_sub(empty);
            }
            total.max(Duration::from_nanos(1))
        });
    });
    group.finish();
}

/// A buffer of random floats. Their bits are any quants to other types, and the time does not depend on them.
fn filled(gpu: &mut Gpu, bytes: u64, texture: bool) -> Result<Buffer, ridgeline_compute::Error> {
    let buffer = gpu.alloc_in(texture, bytes.next_multiple_of(4), Role::Activation, "bench")?;
    let words = TestRng::new(bytes).words(usize::try_from(bytes.div_ceil(4)).unwrap_or(usize::MAX));
    gpu.write(buffer.all(), bytemuck::cast_slice(&words))?;
    Ok(buffer)
}

/// Time from submission to completion, without recording on the host.
fn time(gpu: &RefCell<Gpu>, recording: &Recording) -> Duration {
    let timing = gpu.borrow_mut().run(recording).expect("a recording that ran before runs again").timing;
    Duration::from_nanos(timing.submit_ns + timing.wait_ns)
}
