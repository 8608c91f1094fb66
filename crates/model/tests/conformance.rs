//! Each model family against the logits of an independent program. Weights come from GGUF and from
//! safetensors; executors are the CPU reference and the device. Greedy continuations must be equal.
//!
//! Where SwiftShader is installed, it is a second driver, with subgroups of four lanes.
//!
//! Golden files: `input_ids` [T], `logits` [T, V] and `greedy` of Hugging Face transformers in f32; the file's own
//! metadata names the version. Those of `gva`, `gha` and `gta` are of `support/gta_golden.py`, and those of `mistral-window` of
//! another independent forward pass in f64.

#[path = "support/golden.rs"]
mod golden;
mod support;
#[path = "support/swiftshader.rs"]
mod swiftshader;

use golden::{TOLERANCE, compare, words};
use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{Caps, Cpu, Executor};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_model::{
    AttentionPath, Error, Fusion, Fusions, MlaForm, Model, Session, SessionOptions, Switches,
};
use ridgeline_quant::Format;
use ridgeline_speculative::{self as speculative, LanguageModel, Rows, Sampler, Token, decode_on_host};
use ridgeline_weights::Checkpoint;
use safetensors::SafeTensors;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use support::{FAMILIES, files, model};
use swiftshader::on_swiftshader;

/// Families with MLA, in both of its forms.
const LATENT: [&str; 2] = ["deepseek2", "plm"];

/// The same where cooperative matrices round operands to 16 bits.
const ROUNDED_TOLERANCE: f64 = 2e-3;

fn main() {
    let args = Arguments::from_args();
    let adapters = ridgeline_gpu::adapters();
    let adapter = !adapters.is_empty();
    let cooperative = adapters.first().is_some_and(|it| it.limits.cooperative_edge > 0);
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let no_swiftshader = ridgeline_gpu::swiftshader().is_none() && !(required && cfg!(target_os = "linux"));
    let mut trials = Vec::new();
    for family in FAMILIES {
        for file in files(family) {
            let (path, container) = (file.clone(), container(&file));
            let trial = move || on_cpu(family, &path);
            trials.push(Trial::test(format!("{family}_{container}_cpu"), trial));
            for (name, options) in variations_of(family) {
                let path = file.clone();
                let trial = move || on_gpu(&path, options, GpuOptions::default());
                let trial = Trial::test(format!("{family}_{container}_device_{name}"), trial);
                trials.push(trial.with_ignored_flag(!adapter && !required));
            }
            // The GPU kernels even where the adapter is a software one.
            let gpu_kernels = GpuOptions { gpu_kernels: true, ..GpuOptions::default() };
            for (name, mla) in forms(family) {
                let (path, switches) = (file.clone(), Switches { mla, ..Switches::exact() });
                let trial = move || on_gpu(&path, whole(switches), gpu_kernels);
                let trial = Trial::test(format!("{family}_{container}_device_{name}"), trial);
                trials.push(trial.with_ignored_flag(!adapter && !required));
            }
            let trial = move || on_gpu(&file, whole(Switches::default()), gpu_kernels);
            let trial = Trial::test(format!("{family}_{container}_device_cooperative"), trial);
            trials.push(trial.with_ignored_flag(!cooperative));
        }
    }
    // It compiles the kernels of software adapters slowly, so that one family has to do for those.
    let as_gpu = FAMILIES.into_iter().flat_map(|family| forms(family).map(move |(name, _)| (family, name)));
    for (family, kernels) in as_gpu.chain([(FAMILIES[0], "whole")]) {
        let name = format!("{family}_{}", container(&model(family)));
        let on_device = format!("{name}_device_{kernels}");
        let trial = Trial::test(format!("{name}_swiftshader_{kernels}"), move || on_swiftshader(&on_device));
        trials.push(trial.with_ignored_flag(no_swiftshader));
    }
    libtest_mimic::run(&args, trials).exit();
}

/// The container of a file: `gguf` or `safetensors`.
fn container(file: &Path) -> String {
    file.extension().unwrap_or_default().to_string_lossy().into_owned()
}

/// Variations with equal results: one chunk, single tokens, chunks of three and of seven, unfused attention, no fusions at
/// all, and short KV splits.
fn variations() -> [(&'static str, SessionOptions); 8] {
    let whole = whole(Switches::exact());
    let unfused = Switches { attention: AttentionPath::Unfused, ..whole.switches };
    let no_fusions = Switches { fusions: Fusions::NONE, ..whole.switches };
    let splits = Switches { kv_split_len: Some(8), ..whole.switches };
    [
        ("whole", whole),
        ("single", SessionOptions { batch: 1, ..whole }),
        ("threes", SessionOptions { batch: 3, ..whole }),
        ("chunked", SessionOptions { batch: 7, ..whole }),
        ("unfused", SessionOptions { switches: unfused, ..whole }),
        ("no_fusions", SessionOptions { switches: no_fusions, ..whole }),
        ("splits", SessionOptions { batch: 7, switches: splits, ..whole }),
        ("splits_large_batch", SessionOptions { switches: splits, ..whole }),
    ]
}

/// The names of trials with the GPU kernels, and their forms of MLA.
fn forms(family: &str) -> impl Iterator<Item = (&'static str, MlaForm)> {
    let forms = [("as_gpu", MlaForm::Expanded), ("absorbed_as_gpu", MlaForm::Absorbed)];
    forms.into_iter().take(if LATENT.contains(&family) { 2 } else { 1 })
}

/// The variations of a family. MLA has absorbed ones too.
fn variations_of(family: &str) -> Vec<(&'static str, SessionOptions)> {
    let whole = whole(Switches { mla: MlaForm::Absorbed, ..Switches::exact() });
    let unfused = Switches { attention: AttentionPath::Unfused, ..whole.switches };
    let splits = Switches { kv_split_len: Some(8), ..whole.switches };
    let absorbed = [
        ("absorbed", whole),
        ("absorbed_single", SessionOptions { batch: 1, ..whole }),
        ("absorbed_unfused", SessionOptions { switches: unfused, ..whole }),
        ("absorbed_splits", SessionOptions { batch: 7, switches: splits, ..whole }),
    ];
    let n_absorbed = if LATENT.contains(&family) { absorbed.len() } else { 0 };
    variations().into_iter().chain(absorbed.into_iter().take(n_absorbed)).collect()
}

fn whole(switches: Switches) -> SessionOptions {
    let cache = [Format::F32; 2];
    SessionOptions { context: 64, batch: 64, cache, switches, ..SessionOptions::default() }
}

fn on_cpu(family: &str, file: &Path) -> Result<(), Failed> {
    let caps = Caps { subgroup: Some((8, 8)), ..Caps::webgpu() };
    // A binding limit of a few rows splits embedding, head and projections into chunks.
    let narrow = Caps { max_binding: 27_000, ..caps.clone() };
    for (_, options) in variations_of(family) {
        check(file, Cpu::new(caps.clone()), options)?;
    }
    for &fusion in Fusion::ALL {
        let switches = Switches { fusions: Fusions::all().without(fusion), ..Switches::exact() };
        check(file, Cpu::new(caps.clone()), SessionOptions { switches, ..variations()[0].1 })?;
    }
    check(file, Cpu::new(narrow), SessionOptions { context: 52, ..variations()[0].1 })?;
    // A software adapter interleaves rows and stores them in textures.
    let software = Caps { software: true, max_texture: 20_000, ..caps };
    check(file, Cpu::new(software), SessionOptions { context: 52, ..variations()[0].1 })
}

fn on_gpu(file: &Path, options: SessionOptions, open: GpuOptions) -> Result<(), Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    check(file, Gpu::open(&AdapterChoice::Best, linker, open)?, options)
}

fn check<E: Executor>(file: &Path, mut executor: E, options: SessionOptions) -> Result<(), Failed> {
    let golden = std::fs::read(file.with_file_name("golden.safetensors"))?;
    let golden = SafeTensors::deserialize(&golden)?;
    let ids = words(&golden, "input_ids")?;
    let logits: Vec<f32> = words(&golden, "logits")?.into_iter().map(f32::from_bits).collect();
    let greedy = words(&golden, "greedy")?;

    let checkpoint = Checkpoint::open(file)?;
    let model = Arc::new(Model::load(&checkpoint, &mut executor)?);
    let mut session = Session::new(model, Rc::new(RefCell::new(executor)), options)?;
    let ours = session.extend(&ids, Rows::All)?.data;
    let exact = !options.switches.cooperative;
    compare(&ours, &logits, if exact { TOLERANCE } else { ROUNDED_TOLERANCE })?;
    if !exact {
        // Rounding may change greedy choices, so they are not compared.
        return uses_cooperative_matrices(&mut session, &ids);
    }
    session.truncate(0)?;
    let mut token = session.extend_greedy(&ids, Rows::Last)?;
    let mut picks = Vec::new();
    while picks.len() < greedy.len() {
        picks.extend_from_slice(&token);
        token = session.extend_greedy(&token, Rows::Last)?;
    }
    if picks != greedy {
        return Err(format!("greedy {picks:?}, golden {greedy:?}").into());
    }
    // The same with several tokens per submission. The first submission measures the time of a token.
    session.truncate(0)?;
    let mut picks = session.extend_greedy(&ids, Rows::Last)?;
    let len = greedy.len();
    session.take_times();
    picks.extend(session.decode_greedy(picks[0], len - 1)?);
    if picks != greedy || session.len() != ids.len() + len - 1 {
        return Err(format!("greedy {picks:?} decoded on the device, golden {greedy:?}").into());
    }
    // The CPU reference reports no time, so each recording has the most tokens.
    let times = session.take_times();
    if times.wait_ns == 0 && times.recordings as usize > 1 + len.div_ceil(16) {
        return Err(format!("{} recordings for {len} tokens", times.recordings).into());
    }
    let wide = Sampler { temperature: 1.5, top_k: 9, ..Sampler::default() };
    for sampler in [wide, Sampler::default()] {
        check_sampling(&mut session, &sampler, [ids.len(), len - 1], picks[0])?;
    }
    check_rewinding(&mut session, &ids, &logits)?;
    // Decoding past the end of the cache fails and appends nothing.
    let room = session.capacity() - session.len();
    match session.decode_greedy(picks[0], room + 1) {
        Err(Error::ContextFull { .. }) => Ok(()),
        other => Err(format!("decoding past the end of the cache: {other:?}").into()),
    }
}

/// After a rewind, tokens give the logits that they give in a fresh session. The sequence is longer than `ids`.
fn check_rewinding<E: Executor>(
    session: &mut Session<E>,
    ids: &[Token],
    golden: &[f32],
) -> Result<(), Failed> {
    for len in [ids.len() - 1, ids.len() / 2, 1] {
        session.truncate(len)?;
        if session.len() != len {
            return Err(format!("{} tokens after a rewind to {len}", session.len()).into());
        }
        let ours = session.extend(&ids[len..], Rows::All)?;
        compare(&ours.data, &golden[len * ours.vocab..], TOLERANCE)
            .map_err(|error| format!("after a rewind to {len}: {error:?}"))?;
    }
    Ok(())
}

/// Checks that the forward pass has a launch of the kernel that rounds operands.
fn uses_cooperative_matrices<E: Executor>(session: &mut Session<E>, ids: &[Token]) -> Result<(), Failed> {
    session.truncate(0)?;
    let pass = session.record(ids, Rows::Last)?;
    let rounds = |step| pass.kernel(step).name() == "mat_mul_coop";
    let found = pass.launches().iter().any(rounds);
    if found { Ok(()) } else { Err("no launch uses cooperative matrices".into()) }
}

/// Sampling on the device gives the tokens that the host samples from the same rows at the same numbers.
fn check_sampling<E: Executor>(
    session: &mut Session<E>,
    sampler: &Sampler,
    [from, n]: [usize; 2],
    token: Token,
) -> Result<(), Failed> {
    // Multiples of the golden ratio cover the unit interval evenly.
    let at: Vec<f64> = (1..=n).map(|i| (i as f64 * 0.618_034).fract()).collect();
    let choice = speculative::Choice::Sampled(sampler, &at);
    let (mut device, mut host): (Vec<Token>, Vec<Token>) = (Vec::new(), Vec::new());
    session.truncate(from)?;
    session.decode(token, choice, &mut |picks| {
        device.extend_from_slice(picks);
        ControlFlow::Continue(())
    })?;
    session.truncate(from)?;
    decode_on_host(session, token, choice, &mut |picks| {
        host.extend_from_slice(picks);
        ControlFlow::Continue(())
    })?;
    if device != host || device.len() != n || session.len() != from + n {
        return Err(format!("sampled on the device {device:?}, on the host {host:?}").into());
    }
    // After a break, the cache holds only tokens that were submitted.
    session.truncate(from)?;
    let mut calls = 0;
    session.decode(token, choice, &mut |_| {
        calls += 1;
        ControlFlow::Break(())
    })?;
    let left = session.len() - from;
    session.truncate(from + n)?;
    if calls == 1 && (1..=n).contains(&left) {
        Ok(())
    } else {
        Err(format!("{left} tokens of {n} and {calls} calls after the caller broke off").into())
    }
}
