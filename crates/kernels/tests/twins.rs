//! Every kernel variant on the device against its CPU twin, at seeded ragged shapes, with shader checks on and off.
//!
//! Written slots start out as NaN on both sides, so that an element one of them forgets shows. Without an adapter
//! the trials are reported as ignored, and fail where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{Access, AnyKernel, Caps, Cpu, Executor, Recording, Role, Sampler, Slice};
use ridgeline_gpu::{Checks, Choice, Gpu, Options};
use ridgeline_kernels::kv_append::{self, KvAppend};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Samples of each variant where variants are few; where formats multiply them, more than `MANY`, each gets one.
const SAMPLES: u64 = 6;
const MANY: usize = 40;

fn main() {
    let args = Arguments::from_args();
    let adapter = !ridgeline_gpu::adapters().is_empty();
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(&Caps::everything()) {
        names.insert(kernel.name(), ());
    }
    let trial = |name: &'static str, checks: Checks| {
        let label = format!("{name}_{}", if checks == Checks::On { "checked" } else { "unchecked" });
        Trial::test(label, move || twins(name, checks)).with_ignored_flag(!adapter && !required)
    };
    let trials = names.keys().flat_map(|&name| [trial(name, Checks::On), trial(name, Checks::Off)]).collect();
    libtest_mimic::run(&args, trials).exit();
}

fn twins(name: &str, checks: Checks) -> Result<(), Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    let mut gpu = Gpu::open(&Choice::Best, linker, Options { checks, ..Options::default() })?;
    let variants: Vec<_> =
        ridgeline_kernels::all(gpu.caps()).into_iter().filter(|k| k.name() == name).collect();
    let many = variants.len() > MANY;
    let mut tried = 0;
    for (i, kernel) in variants.iter().enumerate() {
        // Where variants are many, one in three runs with checks and the others without: compiling them dominates,
        // and every format has variants of both kinds.
        if many && (i % 3 == 0) != (checks == Checks::On) {
            continue;
        }
        let seeds = if many { i as u64..i as u64 + 1 } else { 0..SAMPLES };
        for seed in seeds {
            compare(&mut gpu, kernel, seed)?;
            tried += 1;
        }
    }
    if tried == 0 { Err("no variant runs on this adapter".into()) } else { Ok(()) }
}

fn compare(gpu: &mut Gpu, kernel: &AnyKernel, seed: u64) -> Result<(), Failed> {
    let (params, mut slots) = kernel.sample(&mut Sampler::new(seed));
    for (i, bytes) in kernel.extent(&params).into_iter().enumerate() {
        if kernel.slots()[i].access == Access::Write {
            slots[i] = vec![f32::NAN.to_bits(); usize::try_from(bytes / 4)?];
        }
    }
    let here = run(gpu, kernel, &params, &slots)?;
    let twin = run(&mut Cpu::new(gpu.caps().clone()), kernel, &params, &slots)?;
    if let Some(append) = kernel.downcast::<KvAppend>() {
        return stored_alike(append, bytemuck::pod_read_unaligned(&params), [&here[1], &twin[1]], seed);
    }
    for ((info, here), twin) in kernel.slots().iter().zip(here).zip(twin) {
        let floats = info.wgsl.contains("f32");
        let at = |i: usize| format!("{}, seed {seed}, slot {}[{i}]", kernel.label(), info.name);
        let scale = twin.iter().map(|&w| f32::from_bits(w).abs()).filter(|v| *v < 1e30).fold(0.0, f32::max);
        for (i, (&a, &b)) in here.iter().zip(&twin).enumerate() {
            let (x, y) = (f32::from_bits(a), f32::from_bits(b));
            // f32 sums of up to a few hundred terms, f16 tiles: relative to the slot's largest value.
            let tolerance = if kernel.label().contains("tile: F16") { 4e-3 } else { 2e-5 };
            let equal = a == b || (floats && (x - y).abs() <= tolerance * scale);
            if !equal {
                return Err(format!("{}: device {x} ({a:#x}), twin {y} ({b:#x})", at(i)).into());
            }
        }
    }
    Ok(())
}

/// A quantising store may round differently where a quotient is not exact: rows agree up to one step of their block's
/// scale, in all but few values, and what was not stored has the same bits.
fn stored_alike(
    k: &KvAppend,
    p: kv_append::Params,
    [here, twin]: [&[u32]; 2],
    seed: u64,
) -> Result<(), Failed> {
    let spec = k.format.spec();
    let width = p.head_dim as usize;
    let decode = |row: &[u32]| {
        let mut values = vec![f32::NAN; width];
        (spec.decode_row)(row, &mut values);
        values
    };
    let (mut values, mut different) = (0, 0);
    for (i, (here, twin)) in
        here.chunks(4 * p.stride as usize).zip(twin.chunks(4 * p.stride as usize)).enumerate()
    {
        if here == twin {
            values += width;
            continue;
        }
        let (here, twin) = (decode(here), decode(twin));
        for (a, b) in here.chunks(spec.block_len).zip(twin.chunks(spec.block_len)) {
            let step = b.iter().fold(0.0_f32, |most, v| most.max(v.abs())) / 7.0;
            values += a.len();
            different += a.iter().zip(b).filter(|(a, b)| a != b).count();
            if !a.iter().zip(b).all(|(a, b)| (a - b).abs() <= step) {
                return Err(format!("{k:?}, seed {seed}, row {i}: device {a:?}, twin {b:?}").into());
            }
        }
    }
    if 20 * different > values && spec.block_len > 1 {
        return Err(format!("{k:?}, seed {seed}: {different} of {values} stored values differ").into());
    }
    Ok(())
}

/// Runs one launch and returns the contents of every slot.
fn run<E: Executor>(
    executor: &mut E,
    kernel: &AnyKernel,
    params: &[u8],
    slots: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, Failed> {
    let mut buffers = Vec::new();
    for (info, words) in kernel.slots().iter().zip(slots) {
        let buffer = executor.alloc(4 * words.len() as u64, Role::Activation, info.name)?;
        executor.write(buffer.all(), bytemuck::cast_slice(words))?;
        buffers.push(buffer);
    }
    let slices: Vec<Slice> = buffers.iter().map(ridgeline_compute::Buffer::all).collect();
    let mut recording = Recording::new();
    recording.run_erased(kernel, params, &slices);
    slices.iter().for_each(|&slice| {
        recording.read_back(slice);
    });
    let outcome = executor.run(&recording)?;
    Ok(outcome.reads.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect())
}
