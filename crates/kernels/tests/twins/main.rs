//! Compares every kernel variant on the device with its CPU reference (twin), at seeded ragged shapes, with shader checks
//! on and off.
//!
//! Written bindings start as NaN on both sides, so that a missing element is found. Without an adapter the trials are
//! ignored, or fail where `CI=true`. Trials of cooperative matrices are ignored where the adapter has none.
//!
//! Compilation dominates the time, so that of a kernel with many variants a sample is tried. `RIDGELINE_ALL_VARIANTS=1`
//! tries them all.
//!
//! Where SwiftShader is installed, one variant of each kernel runs on it too: a second driver beside Mesa's.

mod stores;

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{Access, AnyKernel, Caps, Cpu, Executor, Recording, Role, TEXTURE_WIDTH, TestRng};
use ridgeline_gpu::{AdapterChoice, Checks, Gpu, GpuOptions};
use ridgeline_kernels::kv_append::KvAppend;
use ridgeline_kernels::mat_vec::MatVec;
use ridgeline_kernels::{HeadShape, attention_for, linear_for, norm_for};
use ridgeline_quant::Format;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::sync::Arc;
use stores::stores;

/// Inputs of each variant. Variants of kernels with more than `MANY` get one input each.
const SAMPLES: u64 = 6;
const MANY: usize = 24;
/// About the most variants of a kernel that are tried.
const MOST: usize = 128;

fn main() {
    let args = Arguments::from_args();
    let adapters = ridgeline_gpu::adapters();
    let adapter = !adapters.is_empty();
    let cooperative = adapters.first().is_some_and(|it| it.limits.cooperative_edge > 0);
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(&Caps::everything()) {
        names.insert(kernel.name(), ());
    }
    let trial = |name: &'static str, checks: Checks| {
        let label = format!("{name}_{}", if checks == Checks::On { "checked" } else { "unchecked" });
        let lacks = name == "mat_mul_coop" && adapter && !cooperative;
        Trial::test(label, move || twins(name, checks)).with_ignored_flag(lacks || (!adapter && !required))
    };
    let mut trials: Vec<_> =
        names.keys().flat_map(|&name| [trial(name, Checks::On), trial(name, Checks::Off)]).collect();
    let mut one = |name: &str, test: fn() -> Result<(), Failed>, can: bool| {
        trials.push(Trial::test(name, test).with_ignored_flag(!can || (!adapter && !required)));
    };
    // In the main process, the trials by name cover the default subgroup size.
    if std::env::var_os(WIDTH).is_some() {
        one("a_few_of_each", a_few_of_each, true);
    }
    one("wide_subgroups", wide_subgroups, true);
    one("variants_of_gpus", variants_of_gpus, true);
    one("halves_are_rounded_to_nearest_even", halves_are_rounded, true);
    // Only llvmpipe reads the variable.
    let mesa = adapters.first().is_none_or(|it| it.name.contains("llvmpipe"));
    one("other_subgroups", other_subgroups, mesa);
    trials.extend(on_swiftshader(required && cfg!(target_os = "linux")));
    if adapters.first().is_some_and(|it| it.name.contains("SwiftShader")) {
        trials.extend(names.keys().map(|&name| Trial::test(format!("{name}_used"), move || used(name))));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn twins(name: &str, checks: Checks) -> Result<(), Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    // On software adapters cooperative matrices need the GPU kernels.
    let options = GpuOptions { checks, gpu_kernels: name == "mat_mul_coop", ..GpuOptions::default() };
    let mut gpu = Gpu::open(&AdapterChoice::Best, linker, options)?;
    let mut variants: Vec<_> =
        ridgeline_kernels::all(gpu.caps()).into_iter().filter(|k| k.name() == name).collect();
    if std::env::var_os("RIDGELINE_ALL_VARIANTS").is_none() {
        let one_in = variants.len().div_ceil(MOST) as u64;
        variants.retain(|it| number(&it.label()).is_multiple_of(one_in));
    }
    let many = variants.len() > MANY;
    let mut tried = 0;
    for (i, kernel) in variants.iter().enumerate() {
        // With many variants, one in three runs with checks and the others without.
        // Every quantization type has variants of both kinds.
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

/// A number that is spread evenly over labels, and the same in every run.
fn number(label: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    label.hash(&mut hasher);
    hasher.finish()
}

/// Environment variable of Mesa's llvmpipe: vector width in bits. A subgroup has one lane per 32 bits.
const WIDTH: &str = "LP_NATIVE_VECTOR_WIDTH";

/// A few variants of each kernel: those that reduce over subgroups, where the kernel has such variants.
fn a_few_of_each() -> Result<(), Failed> {
    const FEW: usize = 8;
    let mut gpu =
        Gpu::open(&AdapterChoice::Best, Arc::new(ridgeline_kernels::linker()?), GpuOptions::default())?;
    if let Ok(bits) = std::env::var(WIDTH) {
        let lanes = bits.parse::<u32>()? / 32;
        assert_eq!(gpu.caps().subgroup, Some((lanes, lanes)), "the adapter ignores {WIDTH}={bits}");
    }
    let mut by_name: BTreeMap<&str, Vec<AnyKernel>> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(gpu.caps()) {
        by_name.entry(kernel.name()).or_default().push(kernel);
    }
    for mut variants in by_name.into_values() {
        if variants.iter().any(reduces_over_subgroups) {
            variants.retain(reduces_over_subgroups);
        }
        for kernel in variants.iter().step_by(variants.len().div_ceil(FEW)) {
            (0..SAMPLES).try_for_each(|seed| compare(&mut gpu, kernel, seed))?;
        }
    }
    Ok(())
}

fn reduces_over_subgroups(kernel: &AnyKernel) -> bool {
    ["reduce: Subgroup", "reduce: SplitK"].iter().any(|it| kernel.label().contains(it))
}

/// [`a_few_of_each`] in child processes, where subgroups have half and twice the default lanes of llvmpipe.
fn other_subgroups() -> Result<(), Failed> {
    for bits in ["128", "512"] {
        again("a_few_of_each", [(WIDTH, bits)]).map_err(|printed| format!("{bits} bits: {printed}"))?;
    }
    Ok(())
}

/// Runs one trial in a child process, because drivers and their loader read the environment at their start.
fn again<V: AsRef<OsStr>>(
    trial: &str,
    settings: impl IntoIterator<Item = (&'static str, V)>,
) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(program).args([trial, "--exact"]).envs(settings).output();
    let output = output.map_err(|e| e.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && printed.contains("1 passed") { Ok(()) } else { Err(printed.into_owned()) }
}

/// One trial per kernel. SwiftShader's subgroups have four lanes, so kernels that need more have none.
fn on_swiftshader(required: bool) -> Vec<Trial> {
    let caps = Caps { subgroup: Some((4, 4)), ..Caps::webgpu() };
    let missing = ridgeline_gpu::swiftshader().is_none();
    let mut names: Vec<_> = ridgeline_kernels::all(&caps).iter().map(|kernel| kernel.name()).collect();
    names.dedup();
    let trial = |name: &str, child: String| {
        let run = move || {
            let settings =
                ridgeline_gpu::swiftshader().ok_or("not installed: Debian's chromium-common has it")?;
            Ok(again(&child, settings)?)
        };
        Trial::test(format!("{name}_swiftshader"), run).with_ignored_flag(missing && !required)
    };
    let halves = trial("halves_are_rounded", "halves_are_rounded_to_nearest_even".to_owned());
    names.into_iter().map(|name| trial(name, format!("{name}_used"))).chain([halves]).collect()
}

/// Tests the variant that the device would use if that is known, else the first one. Without shader checks, as measured.
fn used(name: &str) -> Result<(), Failed> {
    let mut gpu =
        Gpu::open(&AdapterChoice::Best, Arc::new(ridgeline_kernels::linker()?), GpuOptions::default())?;
    let caps = gpu.caps().clone();
    // The choices for GPUs name other kernels, and are tried as well.
    let as_gpu = Caps { software: false, ..caps.clone() };
    let linear = |caps| AnyKernel::from(linear_for(Format::INT8_ACTIVATIONS, 32, caps));
    let attention = AnyKernel::from(attention_for([Format::HALF; 2], HeadShape::of_width(64, 3), 1, &caps));
    let known = [linear(&caps), linear(&as_gpu), attention, AnyKernel::new(norm_for(&caps))];
    let mut variants = known.into_iter().chain(ridgeline_kernels::all(&caps));
    let kernel = variants.find(|it| it.name() == name).ok_or("no variant runs on this adapter")?;
    (0..SAMPLES).try_for_each(|seed| compare(&mut gpu, &kernel, seed))
}

/// A subgroup wider than the workgroup, as on a device with 128 lanes for workgroups of 64.
fn wide_subgroups() -> Result<(), Failed> {
    let mut gpu =
        Gpu::open(&AdapterChoice::Best, Arc::new(ridgeline_kernels::linker()?), GpuOptions::default())?;
    let Some((least, _)) = gpu.caps().subgroup else { return Ok(()) };
    let kernel = MatVec {
        workgroup_size: least / 2,
        blocks: 1,
        ..MatVec::new(Format::INT8_ACTIVATIONS, gpu.caps(), 4, 2)
    };
    (0..SAMPLES).try_for_each(|seed| compare(&mut gpu, &AnyKernel::new(kernel), seed))
}

/// Variants that only GPUs have, as far as this adapter can run them: a few of each kernel.
fn variants_of_gpus() -> Result<(), Failed> {
    const FEW: usize = 5;
    let linker = Arc::new(ridgeline_kernels::linker()?);
    let mut gpu = Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default())?;
    let here: HashSet<AnyKernel> = ridgeline_kernels::all(gpu.caps()).into_iter().collect();
    let mut others: BTreeMap<&str, Vec<AnyKernel>> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(&Caps { software: false, ..gpu.caps().clone() }) {
        if !here.contains(&kernel) {
            others.entry(kernel.name()).or_default().push(kernel);
        }
    }
    for name in ["attention", "attn_scores", "mat_mul", "mat_vec", "mat_vec_dual", "mat_vec_id"] {
        assert!(!gpu.caps().software || others.contains_key(name), "{name} has no variant for GPUs");
    }
    for variants in others.into_values() {
        for (seed, kernel) in (0..).zip(variants.iter().step_by(variants.len().div_ceil(FEW))) {
            compare(&mut gpu, kernel, seed)?;
        }
    }
    Ok(())
}

/// Stores f16 values of a KV cache, and expects the bits of the CPU reference. The input is beside the boundaries between
/// two f16.
fn halves_are_rounded() -> Result<(), Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    let mut gpu = Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default())?;
    let kernel = AnyKernel::new(KvAppend { format: Format::HALF, workgroup_size: 64, texture: false });
    let named = |name| kernel.bindings().iter().position(|it| it.name == name).ok_or("no such binding");
    let (x, cache) = (named("x")?, named("cache")?);
    let of = |bits| half::f16::from_bits(bits).to_f32();
    let beside = |bits: u16| {
        let middle = f32::midpoint(of(bits), of(bits + 1));
        [-of(bits), middle.next_down(), -middle, middle.next_up()]
    };
    let mut values = (0..0x7bff_u16).flat_map(beside).cycle();
    for seed in 0..200 {
        let (params, mut bindings) = kernel.test_input(&mut TestRng::new(seed));
        bindings[x].iter_mut().zip(&mut values).for_each(|(word, value)| *word = value.to_bits());
        let bytes = kernel.min_binding_size(&params)[cache];
        bindings[cache] = vec![f32::NAN.to_bits(); usize::try_from(bytes / 4)?];
        let here = run(&mut gpu, &kernel, &params, &bindings)?;
        let twin = run(&mut Cpu::new(gpu.caps().clone()), &kernel, &params, &bindings)?;
        if let Some(i) = here[cache].iter().zip(&twin[cache]).position(|(a, b)| a != b) {
            let (here, twin) = (here[cache][i], twin[cache][i]);
            return Err(format!("seed {seed}, word {i}: device {here:#x}, twin {twin:#x}").into());
        }
    }
    Ok(())
}

fn compare(gpu: &mut Gpu, kernel: &AnyKernel, seed: u64) -> Result<(), Failed> {
    let (params, mut bindings) = kernel.test_input(&mut TestRng::new(seed));
    for (i, bytes) in kernel.min_binding_size(&params).into_iter().enumerate() {
        if kernel.bindings()[i].access == Access::Write {
            bindings[i] = vec![f32::NAN.to_bits(); usize::try_from(bytes / 4)?];
        }
    }
    let here = run(gpu, kernel, &params, &bindings)?;
    let twin = run(&mut Cpu::new(gpu.caps().clone()), kernel, &params, &bindings)?;
    let stores = stores(kernel, &params);
    for (binding, ((info, here), twin)) in kernel.bindings().iter().zip(here).zip(twin).enumerate() {
        if let Some(store) = stores.iter().find(|store| store.binding == binding) {
            store.compare([&here, &twin]).map_err(|e| format!("{}, seed {seed}: {e}", kernel.label()))?;
            continue;
        }
        let floats = info.wgsl.contains("f32");
        let at = |i: usize| format!("{}, seed {seed}, binding {}[{i}]", kernel.label(), info.name);
        let scale = twin.iter().map(|&w| f32::from_bits(w).abs()).filter(|v| *v < 1e30).fold(0.0, f32::max);
        for (i, (&a, &b)) in here.iter().zip(&twin).enumerate() {
            let (x, y) = (f32::from_bits(a), f32::from_bits(b));
            // f32 sums of up to a few hundred terms, f16 tiles: relative to the binding's largest value.
            let halves = kernel.label().contains("tile: F16") || kernel.name() == "mat_mul_coop";
            let tolerance = if halves { 4e-3 } else { 2e-5 };
            let equal = a == b || (floats && (x - y).abs() <= tolerance * scale);
            if !equal {
                return Err(format!("{}: device {x} ({a:#x}), twin {y} ({b:#x})", at(i)).into());
            }
        }
    }
    Ok(())
}

/// Bytes of NaN around a slice of a texture. The slice starts near the end of a line, and reads beyond it give NaN.
const MARGIN: u64 = 16 * TEXTURE_WIDTH as u64 - 256;

/// Runs one launch and returns the contents of every binding.
fn run<E: Executor>(
    executor: &mut E,
    kernel: &AnyKernel,
    params: &[u8],
    bindings: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, Failed> {
    let (mut buffers, mut slices) = (Vec::new(), Vec::new());
    for (info, words) in kernel.bindings().iter().zip(bindings) {
        let bytes = 4 * words.len() as u64;
        let margin = if kernel.in_texture(info) { MARGIN } else { 0 };
        let buffer = executor.alloc_in(margin > 0, bytes + 2 * margin, Role::Activation, info.name)?;
        let around = vec![f32::NAN.to_bits(); usize::try_from(margin / 4)?];
        executor.write(buffer.all(), bytemuck::cast_slice(&[&around, &words[..], &around].concat()))?;
        slices.push(buffer.slice(margin, bytes));
        buffers.push((buffer, margin));
    }
    let mut recording = Recording::new();
    recording.run_erased(kernel, params, &slices);
    buffers.iter().for_each(|(buffer, _)| {
        recording.read_back(buffer.all());
    });
    let mut contents = Vec::new();
    for (bytes, (_, margin)) in executor.run(&recording)?.reads.iter().zip(&buffers) {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let margin = usize::try_from(margin / 4)?;
        let (around, words) = words.split_at(margin);
        let (words, after) = words.split_at(words.len() - margin);
        if around.iter().chain(after).any(|&word| word != f32::NAN.to_bits()) {
            return Err(format!("{}: wrote beyond its slice of a texture", kernel.label()).into());
        }
        contents.push(words.to_vec());
    }
    Ok(contents)
}
