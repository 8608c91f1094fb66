//! Checkpoints that no forward pass supports. Each is refused with an error that names the file and the
//! reason.

use ridgeline_compute::{Caps, Cpu};
use ridgeline_model::{Error, MlaForm, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows};
use ridgeline_weights::{Checkpoint, Shape};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn data(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(family)
}

/// The result of loading a copy of the small llama with changed tensors and configuration.
fn load(tensors: impl FnOnce(&mut Tensors), config: impl FnOnce(String) -> String) -> Result<Model, Error> {
    load_of("llama", tensors, config)
}

/// The same for the small model of another family.
fn load_of(
    family: &str,
    tensors: impl FnOnce(&mut Tensors),
    config: impl FnOnce(String) -> String,
) -> Result<Model, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = fs::read(data(family).join("model.safetensors")).expect("the model");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let view = |(name, t): (String, TensorView<'_>)| (name, (t.shape().to_vec(), t.data().to_vec()));
    let mut changed: Tensors = file.tensors().into_iter().map(view).collect();
    tensors(&mut changed);
    let views = changed.iter().map(|(name, (shape, data))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).expect("a valid tensor"))
    });
    fs::write(folder.path().join("model.safetensors"), serialize(views, None).expect("bytes"))
        .expect("written");
    let text = fs::read_to_string(data(family).join("config.json")).expect("the configuration");
    fs::write(folder.path().join("config.json"), config(text)).expect("written");
    let checkpoint = Checkpoint::open(folder.path())?;
    Model::load(&checkpoint, &mut Cpu::new(Caps::webgpu()))
}

fn refused(result: Result<Model, Error>, says: &[&str]) {
    let message = result.map(|_| ()).expect_err("the checkpoint must be refused").to_string();
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn the_unchanged_copy_loads() {
    assert!(load(|_| (), |c| c).is_ok());
}

#[test]
fn a_missing_tensor_is_named() {
    let drop = |t: &mut Tensors| drop(t.remove("model.layers.1.mlp.up_proj.weight"));
    refused(load(drop, |c| c), &["blk.1.ffn_up.weight"]);
}

#[test]
fn another_shape_is_named_with_both_shapes() {
    let shrink = |t: &mut Tensors| {
        t.insert("model.norm.weight".to_owned(), (vec![32], vec![0; 128]));
    };
    refused(load(shrink, |c| c), &["output_norm.weight", "[32]", "[64]"]);
}

#[test]
fn a_bias_that_would_be_ignored_is_refused() {
    let add = |bytes: Vec<u8>| {
        move |t: &mut Tensors| {
            t.insert("model.layers.0.self_attn.o_proj.bias".to_owned(), (vec![64], bytes));
        }
    };
    assert!(load(add(vec![0; 256]), |c| c).is_ok(), "adding zeros changes nothing");
    let result = load(add(1.0_f32.to_le_bytes().repeat(64)), |c| c);
    assert!(
        matches!(&result, Err(Error::UnusedTensor { name, .. }) if name == "blk.0.attn_output.bias"),
        "{result:?}"
    );
}

#[test]
fn a_missing_bias_or_qk_norm_is_refused() {
    let one = |t: &mut Tensors| {
        t.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), (vec![64], vec![0; 256]));
    };
    refused(load(one, |c| c), &["blk.0.attn_q.bias", "`attention_bias` is false"]);
    let unsaid = |c: String| c.replace("\"attention_bias\": false,", "");
    refused(load(one, unsaid), &["blk.0.attn_k.bias", "missing"]);
    refused(
        load(|_| (), |c| c.replace("\"attention_bias\": false", "\"attention_bias\": true")),
        &["attn_q.bias"],
    );
    let without = |name: &'static str| move |t: &mut Tensors| drop(t.remove(name));
    let bias = without("model.layers.2.self_attn.v_proj.bias");
    refused(load_of("qwen2", bias, |c| c), &["blk.2.attn_v.bias", "missing"]);
    let norm = without("model.layers.1.self_attn.k_norm.weight");
    refused(load_of("qwen3", norm, |c| c), &["blk.1.attn_k_norm.weight", "missing"]);
    let bias = |t: &mut Tensors| {
        t.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), (vec![128], vec![0; 512]));
    };
    // A bias of zeros that the family does not have is left out.
    assert!(load_of("qwen3", bias, |c| c).is_ok());
    let bias = |t: &mut Tensors| {
        let ones = 1.0_f32.to_le_bytes().repeat(128);
        t.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), (vec![128], ones));
    };
    refused(load_of("qwen3", bias, |c| c), &["model.layers.0.self_attn.q_proj.bias"]);
}

#[test]
fn an_unsupported_rope_scaling_is_refused() {
    let scaled = |kind: &'static str| {
        move |c: String| {
            let scaling = format!(r#""rope_scaling": {{"rope_type": "{kind}", "factor": 4.0}}, "use_cache""#);
            c.replace("\"use_cache\"", &scaling)
        }
    };
    for family in ["qwen2", "qwen3"] {
        refused(load_of(family, |_| (), scaled("dynamic")), &["dynamic", "linear"]);
        assert!(load_of(family, |_| (), scaled("yarn")).is_ok(), "{family}");
    }
    refused(load_of("gptneox", |_| (), scaled("yarn")), &["yarn"]);
}

#[test]
fn a_sliding_window_counts_only_where_it_is_used() {
    let window = |used: &'static str| {
        move |c: String| {
            let c = c.replace("\"sliding_window\": null", "\"sliding_window\": 32");
            c.replace("\"use_sliding_window\": false", used)
        }
    };
    let model = load_of("qwen2", |_| (), window("\"use_sliding_window\": false")).expect("it loads");
    assert_eq!(model.heads()[0].window, None);
    // The first layer with a window follows the last layer, unless the configuration says otherwise.
    let model = load_of("qwen2", |_| (), window("\"use_sliding_window\": true")).expect("it loads");
    assert_eq!(model.heads()[0].window, None);
    let reached = |c: String| {
        let c = c.replace("\"max_window_layers\": 28", "\"max_window_layers\": 0");
        c.replacen("\"full_attention\"", "\"sliding_attention\"", 1)
    };
    let used = |c: String| window("\"use_sliding_window\": true")(reached(c));
    let model = load_of("qwen2", |_| (), used).expect("it loads");
    let windows: Vec<_> = model.heads().iter().map(|heads| heads.window).collect();
    assert_eq!(windows, [Some(32), None], "the first layer alone has a window");
}

#[test]
fn impossible_dimensions_are_refused_before_anything_is_allocated() {
    let change = |from: &'static str, to: &'static str| move |c: String| c.replace(from, to);
    let heads = change("\"num_attention_heads\": 4", "\"num_attention_heads\": 0");
    refused(load(|_| (), heads), &["head_count"]);
    let groups = change("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3");
    refused(load(|_| (), groups), &["head_count_kv", "3"]);
    let layers = change("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4000000000");
    refused(load(|_| (), layers), &["block_count"]);
    let width = change("\"head_dim\": 16", "\"head_dim\": 12");
    refused(load(|_| (), width), &["key_length", "12"]);
}

#[test]
fn tokens_beyond_vocabulary_or_context_are_refused() {
    let checkpoint = Checkpoint::open(&data("llama")).expect("the model");
    let mut cpu = Cpu::new(Caps::webgpu());
    let model = Arc::new(Model::load(&checkpoint, &mut cpu).expect("it loads"));
    let options = SessionOptions { context: 4, ..SessionOptions::default() };
    let mut session = Session::new(model, Rc::new(RefCell::new(cpu)), options).expect("a session");
    assert!(matches!(session.extend(&[0, 1, 512], Rows::Last), Err(Error::Token { token: 512, vocab: 512 })));
    let full = session.extend(&[0; 5], Rows::Last);
    assert!(matches!(full, Err(Error::ContextFull { wanted: 5, capacity: 4 })), "{full:?}");
    assert!(session.is_empty());
    assert_eq!(session.extend(&[1, 2, 3, 4], Rows::All).expect("it fits").rows(), 4);
}

#[test]
fn a_quantization_type_without_cache_support_is_refused() {
    let checkpoint = Checkpoint::open(&data("llama")).expect("the model");
    let mut cpu = Cpu::new(Caps::webgpu());
    let model = Arc::new(Model::load(&checkpoint, &mut cpu).expect("it loads"));
    let cannot = Format::ALL.iter().copied().find(|f| f.spec().kv_block.is_none());
    if let Some(cache) = cannot {
        let options = SessionOptions { cache: [cache; 2], ..SessionOptions::default() };
        let result = Session::new(model, Rc::new(RefCell::new(cpu)), options).map(|_| ());
        assert!(matches!(result, Err(Error::CacheFormat { .. })), "{result:?}");
    }
}

#[test]
fn a_window_of_a_family_without_windows_is_refused() {
    let window = |c: String| c.replacen('{', "{\"sliding_window\": 12, \"use_sliding_window\": true,", 1);
    for family in ["gptneox", "plm", "deepseek2"] {
        assert!(load_of(family, |_| (), |c| c).is_ok(), "{family}");
        let message = load_of(family, |_| (), window).map(|_| ()).expect_err(family).to_string();
        assert!(message.contains("sliding_window") && message.contains("12"), "{family}: {message}");
    }
}

/// DeepSeek-V2 with 236 billion parameters, from a file that does not name its groups of experts.
#[test]
fn groups_of_experts_are_refused_even_where_a_file_is_silent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/deepseek-v2-lite.toml");
    let text = fs::read_to_string(path).expect("a shape");
    let silent: Vec<&str> = text.lines().filter(|line| !line.contains("expert_group")).collect();
    let many = silent.join("\n").replace("\"expert_count\" = 64", "\"expert_count\" = 160");
    let shape = Shape::from_toml(&many).expect("a shape");
    let checkpoint = Checkpoint::random(&shape, Format::HALF, 0).expect("random weights");
    refused(Model::load(&checkpoint, &mut Cpu::new(Caps::webgpu())), &["expert_group_count", "8"]);
}

#[test]
fn absorbed_mla_has_one_cache_type() {
    let checkpoint = Checkpoint::open(&data("plm")).expect("the model");
    let mut cpu = Cpu::new(Caps::webgpu());
    let model = Arc::new(Model::load(&checkpoint, &mut cpu).expect("it loads"));
    let cpu = Rc::new(RefCell::new(cpu));
    let session = |mla, cache| {
        let switches = Switches { mla, ..Switches::default() };
        let options = SessionOptions { cache, switches, context: 16, ..SessionOptions::default() };
        Session::new(Arc::clone(&model), Rc::clone(&cpu), options).map(|_| ())
    };
    let unlike = [Format::SINGLE, Format::HALF];
    assert!(session(MlaForm::Expanded, unlike).is_ok());
    assert!(session(MlaForm::Absorbed, [Format::HALF; 2]).is_ok());
    let result = session(MlaForm::Absorbed, unlike);
    assert!(matches!(&result, Err(Error::CacheFormat { .. })), "{result:?}");
}
