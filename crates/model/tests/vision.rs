//! Images, against the logits of an independent program.
//!
//! The golden file is of Hugging Face transformers in f32: `pixel_values` [N, 3, S, S], `input_ids` [T] and `logits` [T, V]. The
//! ids have a placeholder for each embedding.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/swiftshader.rs"]
mod swiftshader;

use golden::{TOLERANCE, compare, words};
use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_compute::{Caps, Cpu, Executor};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_model::{
    AttentionPath, Error, Fusions, ImageEncoder, Keys, Model, Session, SessionOptions, Shared, Switches,
    VisionModel,
};
use ridgeline_quant::Format;
use ridgeline_roofline::Cost;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::Checkpoint;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use swiftshader::on_swiftshader;

/// The id of the placeholder (`image_token_id` of config.json).
const PLACEHOLDER: Token = 1;

fn main() {
    let args = Arguments::from_args();
    let adapter = !ridgeline_gpu::adapters().is_empty();
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    let no_swiftshader = ridgeline_gpu::swiftshader().is_none() && !(required && cfg!(target_os = "linux"));
    let mut trials = vec![
        Trial::test("smolvlm_cpu", on_cpu),
        Trial::test("costs_equal_an_independent_count", costs),
        Trial::test("wrong_inputs_are_refused", refusals),
        Trial::test("wrong_folders_are_refused", wrong_folders),
        Trial::test("an_mmproj_file_is_the_same_encoder", mmproj),
    ];
    for (name, switches) in variations() {
        let trial = move || on_gpu(switches, GpuOptions::default());
        let trial = Trial::test(format!("smolvlm_device_{name}"), trial);
        trials.push(trial.with_ignored_flag(!adapter && !required));
    }
    let gpu_kernels = GpuOptions { gpu_kernels: true, ..GpuOptions::default() };
    let trial = Trial::test("smolvlm_device_as_gpu", move || on_gpu(Switches::exact(), gpu_kernels));
    trials.push(trial.with_ignored_flag(!adapter && !required));
    let trial = Trial::test("smolvlm_swiftshader_as_gpu", || on_swiftshader("smolvlm_device_as_gpu"));
    trials.push(trial.with_ignored_flag(no_swiftshader));
    libtest_mimic::run(&args, trials).exit();
}

/// Variations with equal results.
fn variations() -> [(&'static str, Switches); 3] {
    let exact = Switches::exact();
    [
        ("whole", exact),
        ("unfused", Switches { attention: AttentionPath::Unfused, ..exact }),
        ("no_fusions", Switches { fusions: Fusions::NONE, ..exact }),
    ]
}

fn on_cpu() -> Result<(), Failed> {
    let caps = Caps { subgroup: Some((8, 8)), ..Caps::webgpu() };
    for (_, switches) in variations() {
        check(Cpu::new(caps.clone()), switches)?;
    }
    // A binding limit of a few rows splits matrices into chunks.
    check(Cpu::new(Caps { max_binding: 60_000, ..caps.clone() }), Switches::exact())?;
    // A software adapter interleaves rows and stores them in textures.
    check(Cpu::new(Caps { software: true, max_texture: 60_000, ..caps }), Switches::exact())
}

fn on_gpu(switches: Switches, open: GpuOptions) -> Result<(), Failed> {
    let linker = Arc::new(ridgeline_kernels::linker()?);
    check(Gpu::open(&AdapterChoice::Best, linker, open)?, switches)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smolvlm")
}

fn vision_checkpoint() -> Result<Checkpoint, Failed> {
    Ok(Checkpoint::open_vision(&folder())?.ok_or("the model sees images")?)
}

/// What the golden file holds: images, tokens, logits.
struct Golden {
    images: Vec<Vec<f32>>,
    ids: Vec<Token>,
    logits: Vec<f32>,
}

fn golden() -> Result<Golden, Failed> {
    let bytes = std::fs::read(folder().join("golden.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let floats = |name| Ok::<_, Failed>(words(&file, name)?.into_iter().map(f32::from_bits).collect());
    let pixels: Vec<f32> = floats("pixel_values")?;
    let n = file.tensor("pixel_values")?.shape()[0];
    let images = pixels.chunks_exact(pixels.len() / n).map(<[f32]>::to_vec).collect();
    Ok(Golden { images, ids: words(&file, "input_ids")?, logits: floats("logits")? })
}

fn options(switches: Switches, batch: usize) -> SessionOptions {
    SessionOptions { context: 32, batch, cache: [Format::F32; 2], switches, ..SessionOptions::default() }
}

fn check<E: Executor>(mut executor: E, switches: Switches) -> Result<(), Failed> {
    let Golden { images, ids, logits } = golden()?;
    let vision = Arc::new(VisionModel::load(&vision_checkpoint()?, &mut executor)?);
    let model = Arc::new(Model::load(&Checkpoint::open(&folder())?, &mut executor)?);
    let executor: Shared<E> = Rc::new(RefCell::new(executor));
    let mut encoder = ImageEncoder::new(vision, executor.clone(), switches)?;
    let mut rows = Vec::new();
    for image in &images {
        rows.extend(encoder.encode(image)?);
    }
    let at: Vec<usize> = (0..ids.len()).filter(|&i| ids[i] == PLACEHOLDER).collect();
    for batch in [1, 3, 7, 32] {
        let mut session = Session::new(model.clone(), executor.clone(), options(switches, batch))?;
        session.give_embeddings(&at, &rows)?;
        let ours = session.extend(&ids, Rows::All)?;
        compare(&ours.data, &logits, TOLERANCE).map_err(|error| format!("batch {batch}: {error:?}"))?;
        let largest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let greedy = |all: &[f32]| all.chunks_exact(ours.vocab).map(largest).collect::<Vec<_>>();
        if greedy(&ours.data) != greedy(&logits) {
            return Err(format!("batch {batch}: the greedy choices differ").into());
        }
        // Embeddings stay where they were given.
        for len in [0, at[1], ids.len() - 1] {
            session.truncate(len)?;
            let again = session.extend(&ids[len..], Rows::All)?;
            compare(&again.data, &logits[len * ours.vocab..], TOLERANCE)
                .map_err(|error| format!("after a rewind to {len}: {error:?}"))?;
        }
        session.give_embeddings(&[], &[])?;
        session.truncate(0)?;
        let blind = session.extend(&ids, Rows::All)?;
        if compare(&blind.data, &logits, 0.1).is_ok() {
            return Err("the images change nothing".into());
        }
    }
    Ok(())
}

/// The cost of the encoder against a count from its tensors alone.
fn costs() -> Result<(), Failed> {
    let checkpoint = vision_checkpoint()?;
    let keys = Keys::vision(&checkpoint)?;
    let size = |name: &str| keys.size(name).map(u64::from);
    let (hidden, layers) = (size("embedding_length")?, size("block_count")?);
    let patches = (size("image_size")? / size("patch_size")?).pow(2);
    let tokens = patches / size("projector.scale_factor")?.pow(2);
    let heads = size("attention.head_count")?;
    // Heads are padded to a multiple of eight, 12 to 16.
    let padded = heads * (hidden / heads).next_multiple_of(8);
    assert_eq!((hidden, padded), (48, 64));
    let (mut weights, mut flops) = (0, 0);
    for tensor in checkpoint.tensors() {
        let mut values: u64 = tensor.shape.iter().map(|&n| n as u64).product();
        if tensor.name.contains(".attn_") && !tensor.name.contains("attn_out.bias") {
            values = values * padded / hidden;
        }
        let rows = if tensor.name.starts_with("mm.") { tokens } else { patches };
        weights += 4 * values;
        // Positions are added, and vectors are norms and biases.
        if tensor.shape.len() > 1 && !tensor.name.contains("position") {
            flops += 2 * rows * values;
        }
    }
    // Scores and weighted values: every patch sees all.
    flops += layers * 4 * padded * patches * patches;
    let kv = layers * 2 * 4 * padded * patches;
    for fusions in [Fusions::all(), Fusions::NONE] {
        let mut cpu = Cpu::new(Caps { subgroup: Some((32, 32)), ..Caps::webgpu() });
        let vision = Arc::new(VisionModel::load(&checkpoint, &mut cpu)?);
        let pixels = vec![0.0; vision.shape.values()];
        let switches = Switches { fusions, ..Switches::exact() };
        let mut encoder = ImageEncoder::new(vision, Rc::new(RefCell::new(cpu)), switches)?;
        let cost: Cost = encoder.record(&pixels)?.cost();
        let found = (cost.weights, cost.kv_read, cost.kv_write);
        if found != (weights, kv, kv) {
            return Err(format!("bytes {found:?}, counted {:?}", (weights, kv, kv)).into());
        }
        let rest = cost.flops as f64 / flops as f64 - 1.0;
        if !(0.0..0.12).contains(&rest) {
            return Err(format!("{} operations, counted {flops}", cost.flops).into());
        }
    }
    Ok(())
}

/// The encoder in a file of its own, as llama.cpp has it, gives the same embeddings.
fn mmproj() -> Result<(), Failed> {
    let folder = vision_checkpoint()?;
    let out = tempfile::tempdir()?;
    let path = out.path().join("mmproj.gguf");
    ridgeline_weights::write_gguf(&folder, &path, |_| Format::F32)?;
    let file = Checkpoint::open_vision(&path)?.ok_or("the file has an encoder")?;
    let image = golden()?.images.swap_remove(0);
    let mut encoded = Vec::new();
    for checkpoint in [folder, file] {
        let mut cpu = Cpu::new(Caps::webgpu());
        let vision = Arc::new(VisionModel::load(&checkpoint, &mut cpu)?);
        let mut encoder = ImageEncoder::new(vision, Rc::new(RefCell::new(cpu)), Switches::exact())?;
        encoded.push(encoder.encode(&image)?);
    }
    if encoded[0] == encoded[1] { Ok(()) } else { Err("the embeddings differ".into()) }
}

/// Loads a copy of the folder with a changed value of config.json, or one tensor more.
fn load_changed(place: &str, key: &str, value: Json, tensor: Option<&str>) -> Result<VisionModel, Error> {
    let out = tempfile::tempdir().expect("a folder");
    let text = std::fs::read(folder().join("config.json")).expect("it is in the repository");
    let mut json: Json = serde_json::from_slice(&text).expect("JSON");
    json.pointer_mut(place).expect("an object")[key] = value;
    std::fs::write(out.path().join("config.json"), json.to_string()).expect("written");
    let bytes = std::fs::read(folder().join("model.safetensors")).expect("it is in the repository");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let ones = 1.0_f32.to_le_bytes().repeat(64);
    let more =
        tensor.map(|name| (name.to_owned(), TensorView::new(Dtype::F32, vec![64], &ones).expect("a view")));
    let all = serialize(file.tensors().into_iter().chain(more), None).expect("bytes");
    std::fs::write(out.path().join("model.safetensors"), all).expect("written");
    let checkpoint = Checkpoint::open_vision(out.path())?.expect("an encoder");
    VisionModel::load(&checkpoint, &mut Cpu::new(Caps::webgpu()))
}

/// Hyperparameters and tensors that no layer computes are errors that name them.
fn wrong_folders() -> Result<(), Failed> {
    let vision = "/vision_config";
    assert!(load_changed(vision, "num_channels", json!(3), None).is_ok());
    for (place, key, value, says) in [
        (vision, "image_size", json!(0), "image_size"),
        (vision, "image_size", json!(4_294_967_295_u32), "image_size"),
        (vision, "image_size", json!(48), "scale_factor"),
        (vision, "image_size", json!(96), "position_embd"),
        (vision, "patch_size", json!(0), "patch_size"),
        (vision, "patch_size", json!(8), "patch_embd"),
        (vision, "patch_size", json!(65), "image_size"),
        (vision, "num_attention_heads", json!(0), "head_count"),
        (vision, "num_attention_heads", json!(5), "head_count"),
        (vision, "num_attention_heads", json!("four"), "num_attention_heads"),
        (vision, "num_hidden_layers", json!(0), "block_count"),
        (vision, "num_hidden_layers", json!(1), "v.blk.1"),
        (vision, "num_hidden_layers", json!(3), "v.blk.2"),
        (vision, "hidden_size", json!(0), "embedding_length"),
        (vision, "hidden_size", json!(56), "[56"),
        (vision, "intermediate_size", json!(95), "feed_forward_length"),
        (vision, "intermediate_size", json!(104), "ffn_up"),
        (vision, "layer_norm_eps", json!(-1.0), "norms"),
        (vision, "hidden_act", json!("gelu"), "hidden_act"),
        (vision, "num_channels", json!(1), "num_channels"),
        (vision, "model_type", json!("siglip_vision_model"), "model_type"),
        (vision, "attention_window", json!(7), "attention_window"),
        ("", "scale_factor", json!(0), "scale_factor"),
        ("", "scale_factor", json!(3), "scale_factor"),
        ("", "scale_factor", json!(4), "mm.model.fc"),
    ] {
        let error = load_changed(place, key, value.clone(), None).expect_err(key);
        assert!(error.to_string().contains(says), "{key} = {value}: {error}");
    }
    for name in [
        "model.vision_model.head.probe.weight",
        "model.vision_model.encoder.layers.0.self_attn.q_norm.weight",
        "model.connector.modality_projection.proj.bias",
    ] {
        let error = load_changed(vision, "num_channels", json!(3), Some(name)).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
    }
    Ok(())
}

/// Inputs of another size are errors that name both sizes.
fn refusals() -> Result<(), Failed> {
    let mut cpu = Cpu::new(Caps::webgpu());
    let vision = Arc::new(VisionModel::load(&vision_checkpoint()?, &mut cpu)?);
    let model = Arc::new(Model::load(&Checkpoint::open(&folder())?, &mut cpu)?);
    let executor: Shared<Cpu> = Rc::new(RefCell::new(cpu));
    let mut encoder = ImageEncoder::new(vision, executor.clone(), Switches::exact())?;
    let result = encoder.encode(&[0.0; 12]);
    assert!(matches!(result, Err(Error::Pixels { found: 12, expected: 12_288 })), "{result:?}");
    let hidden = model.config.hidden;
    let mut session = Session::new(model, executor, options(Switches::exact(), 8))?;
    for (positions, values) in
        [(&[3, 3][..], 2 * hidden), (&[4, 3], 2 * hidden), (&[31, 32], 2 * hidden), (&[1], hidden + 1)]
    {
        let result = session.give_embeddings(positions, &vec![0.0; values]);
        assert!(matches!(result, Err(Error::Embeddings { .. })), "{positions:?}: {result:?}");
    }
    // A text model is no encoder, and an encoder no text model.
    let mut cpu = Cpu::new(Caps::webgpu());
    let error = VisionModel::load(&Checkpoint::open(&folder())?, &mut cpu).expect_err("a text model");
    assert!(matches!(&error, Error::Architecture { name, .. } if name == "llama"), "{error}");
    let error = Model::load(&vision_checkpoint()?, &mut cpu).expect_err("an encoder");
    assert!(error.to_string().contains("clip"), "{error}");
    Ok(())
}
