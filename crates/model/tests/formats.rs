//! Whole models in every quantization type of weights and cache: device against CPU reference. The CPU
//! reference decodes the same bytes with the reference functions. Greedy continuations are compared with an
//! independent engine where golden files exist.
//!
//! The random models need an adapter. The trained ones lie in the folder `RIDGELINE_SHARED`. Missing files or
//! adapters make their trials ignored, or failed where `CI=true`.

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{Caps, Cpu, Executor};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_kernels::mat_vec_i8::MatVecI8;
use ridgeline_model::{Error, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::{Checkpoint, Shape};
use serde_json::Value;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

const TOKENS: [Token; 11] = [1, 30, 7, 299, 0, 15, 200, 150, 3, 3, 77];

/// ‖device − reference‖ / ‖reference‖ of the logits: f32 sums in another order.
const TOLERANCE: f64 = 1e-4;
/// The same with a quantized cache, where a value near the middle of two levels may round either way.
const CACHE_TOLERANCE: f64 = 5e-3;
/// The same with int8 activations. One value that rounds the other way changes all that follow, until the
/// difference is as large as the quantization error.
const INT8_TOLERANCE: f64 = 2e-2;

/// Two layers whose rows hold whole blocks of every type.
const SHAPE: &str = r#"
name = "two-layers"
architecture = "llama"
licence = "none"
layers = 2
hidden = 256
heads = 4
kv_heads = 2
head_dim = 64
ffn = 512
vocab = 300
tied_head = true
context = 64
norm_epsilon = 1e-5
rope_base = 10000.0
"#;

fn main() {
    let args = Arguments::from_args();
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let adapter = !ridgeline_gpu::adapters().is_empty();
    let shared = std::env::var_os("RIDGELINE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
        .join("models");
    let files = shared.is_dir();
    let mut trials = vec![Trial::test("heads_that_no_block_fits_are_refused", refused)];
    for &format in Format::ALL {
        // Quantization types without an encoder have no random checkpoints.
        if format.spec().encode.is_some() {
            let trial = Trial::test(format!("weights_{format}"), move || weights(format));
            trials.push(trial.with_ignored_flag(!adapter && !required));
        }
        if format.spec().encode.is_some() {
            let trial = Trial::test(format!("int8_{format}"), move || int8(format));
            trials.push(trial.with_ignored_flag(!adapter && !required));
        }
        if format.spec().kv_block.is_some() {
            let trial = Trial::test(format!("cache_{format}"), move || cache([format; 2]));
            trials.push(trial.with_ignored_flag(!adapter && !required));
        }
    }
    for [keys, values] in
        [[Format::Q8_0, Format::Q4_0], [Format::F32, Format::F16], [Format::F16, Format::Q8_0]]
    {
        let trial = Trial::test(format!("cache_{keys}_{values}"), move || cache([keys, values]));
        trials.push(trial.with_ignored_flag(!adapter && !required));
    }
    for name in ["target-q8_0", "target-q6_k", "target-q4_k_m", "target-q2_k", "target-iq4_xs"] {
        let path = shared.join(format!("{name}.gguf"));
        let trial = Trial::test(format!("trained_{name}"), move || trained(&path));
        trials.push(trial.with_ignored_flag((!adapter || !files) && !required));
    }
    for name in ["target-f16", "target-q8_0", "draft-f16", "draft-q8_0"] {
        let (folder, name) = (shared.clone(), format!("{name}.gguf"));
        let trial = Trial::test(format!("greedy_{name}"), move || greedy(&folder, &name));
        trials.push(trial.with_ignored_flag((!adapter || !files) && !required));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn gpu() -> Result<Gpu, Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    Ok(Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default())?)
}

fn session<E: Executor>(
    checkpoint: &Checkpoint,
    mut executor: E,
    (cache, int8_dot): ([Format; 2], bool),
) -> Result<Session<E>, Failed> {
    let model = Arc::new(Model::load(checkpoint, &mut executor)?);
    let switches = Switches { int8_dot, ..Switches::default() };
    let options = SessionOptions { context: 128, batch: 128, cache, switches, ..SessionOptions::default() };
    Ok(Session::new(model, Rc::new(RefCell::new(executor)), options)?)
}

/// Logits of a prompt in one chunk, then of two single tokens: large and small batches.
fn logits<E: Executor>(
    checkpoint: &Checkpoint,
    executor: E,
    how: ([Format; 2], bool),
) -> Result<Vec<f32>, Failed> {
    let mut session = session(checkpoint, executor, how)?;
    let (prompt, rest) = TOKENS.split_at(TOKENS.len() - 2);
    let mut logits = session.extend(prompt, Rows::All)?.data;
    for &token in rest {
        logits.extend(session.extend(&[token], Rows::Last)?.data);
    }
    Ok(logits)
}

fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = ours.iter().zip(theirs).map(|(a, b)| square(a - b)).sum();
    (difference / theirs.iter().copied().map(square).sum::<f64>()).sqrt()
}

fn agree(checkpoint: &Checkpoint, how: ([Format; 2], bool), tolerance: f64) -> Result<(), Failed> {
    let reference = Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() });
    let (device, reference) = (logits(checkpoint, gpu()?, how)?, logits(checkpoint, reference, how)?);
    let distance = distance(&device, &reference);
    if device.len() == reference.len() && distance <= tolerance {
        Ok(())
    } else {
        Err(format!("relative distance of the logits is {distance:.2e}").into())
    }
}

fn weights(format: Format) -> Result<(), Failed> {
    let checkpoint = Checkpoint::random(&Shape::from_toml(SHAPE)?, format, 5)?;
    let embedding = checkpoint.tensor("token_embd.weight")?;
    assert_eq!(embedding.format, format, "the rows of the shape are whole blocks");
    agree(&checkpoint, ([Format::SINGLE; 2], false), TOLERANCE)
}

/// Device and reference agree, and the error of the cache is within the quantization step.
fn cache(formats: [Format; 2]) -> Result<(), Failed> {
    let checkpoint = Checkpoint::random(&Shape::from_toml(SHAPE)?, Format::SINGLE, 6)?;
    let coarser = |f: &Format| f.spec().block_bytes as f64 / f.spec().block_len as f64;
    let format = if coarser(&formats[0]) < coarser(&formats[1]) { formats[0] } else { formats[1] };
    let quantised = format.spec().block_len > 1;
    agree(&checkpoint, (formats, false), if quantised { CACHE_TOLERANCE } else { TOLERANCE })?;
    let exact = logits(&checkpoint, gpu()?, ([Format::SINGLE; 2], false))?;
    let loss = distance(&logits(&checkpoint, gpu()?, (formats, false))?, &exact);
    // Half a step of 2^-bits of the largest value per block, with a margin for attention.
    let bits = 8.0 * format.spec().block_bytes as f64 / format.spec().block_len as f64;
    let most = if quantised { 4.0 * (2.0 - bits).exp2() } else { 1e-3 };
    if loss <= most {
        Ok(())
    } else {
        Err(format!("relative error of the cache is {loss:.2e}, at most {most:.2e} is allowed").into())
    }
}

/// Device and reference agree with int8 activations. Their error is that of an int8 cache, and zero for types
/// without an int8 kernel.
fn int8(format: Format) -> Result<(), Failed> {
    let checkpoint = Checkpoint::random(&Shape::from_toml(SHAPE)?, format, 7)?;
    let cache = [Format::SINGLE; 2];
    agree(&checkpoint, (cache, true), INT8_TOLERANCE)?;
    let loss =
        distance(&logits(&checkpoint, gpu()?, (cache, true))?, &logits(&checkpoint, gpu()?, (cache, false))?);
    let expected = if MatVecI8::takes(format) { 1e-4..3e-2 } else { 0.0..1e-9 };
    if expected.contains(&loss) {
        Ok(())
    } else {
        Err(format!("relative error of int8 activations is {loss:.2e}, expected {expected:?}").into())
    }
}

fn trained(path: &Path) -> Result<(), Failed> {
    agree(&Checkpoint::open(path)?, ([Format::SINGLE; 2], false), TOLERANCE)
}

/// A head of 16 values is not a whole block of 32. The error names the types that fit.
fn refused() -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/llama");
    let checkpoint = Checkpoint::open(&folder.join("model.gguf"))?;
    let mut cpu = Cpu::new(Caps::webgpu());
    let model = Arc::new(Model::load(&checkpoint, &mut cpu)?);
    let shared = Rc::new(RefCell::new(cpu));
    let caches = Format::ALL.iter().filter(|it| it.spec().kv_block.is_some_and(|block| block > 16));
    let mut tried = 0;
    for &cache in caches {
        let options = SessionOptions { cache: [Format::HALF, cache], ..SessionOptions::default() };
        let name = cache.spec().name;
        match Session::new(model.clone(), shared.clone(), options) {
            Err(Error::CacheFormat { format, supported })
                if format == name && supported.contains("F16") && !supported.contains(name) => {}
            other => return Err(format!("{name}: {:?}", other.map(|_| "a session")).into()),
        }
        tried += 1;
    }
    assert!(tried >= 2, "{tried} formats have larger blocks");
    Ok(())
}

/// The greedy continuation of every golden prompt. No golden text has a near tie of the two largest logits.
fn greedy(folder: &Path, name: &str) -> Result<(), Failed> {
    let golden: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json"))?)?;
    let ids = |entry: &Value, key: &str| -> Vec<Token> {
        let list = entry[key].as_array().into_iter().flatten();
        list.filter_map(|id| Token::try_from(id.as_u64()?).ok()).collect()
    };
    let checkpoint = Checkpoint::open(&folder.join(name))?;
    let mut session = session(&checkpoint, gpu()?, ([Format::SINGLE; 2], false))?;
    let mut tried = 0;
    for entry in golden["greedy"].as_array().into_iter().flatten().filter(|it| it["model"] == name) {
        let (prompt, expected) = (ids(entry, "prompt_tokens"), ids(entry, "tokens"));
        assert!(
            entry["min_top2_gap"].as_f64().is_some_and(|gap| gap > 1e-3),
            "golden texts have no near ties"
        );
        session.truncate(0).expect("a rewind");
        let mut token = session.extend_greedy(&prompt, Rows::Last)?;
        let mut picks = Vec::new();
        while picks.len() < expected.len() {
            picks.extend_from_slice(&token);
            token = session.extend_greedy(&token, Rows::Last)?;
        }
        if picks != expected {
            return Err(format!("{}: {picks:?}, golden {expected:?}", entry["kind"]).into());
        }
        tried += 1;
    }
    if tried == 4 { Ok(()) } else { Err(format!("{tried} golden texts of {name}, expected 4").into()) }
}
