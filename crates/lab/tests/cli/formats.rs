//! Every quantization type end to end: text, speed and perplexity on the device, with trained and with random weights.

use crate::program::{Done, command, finish, originals, repository, ridgeline};
use ridgeline_quant::Format;
use serde_json::Value;
use std::sync::LazyLock;
use std::{fs, path::Path};

/// Name and function of a test, which panics on failure.
pub(crate) type Trial = (String, Box<dyn FnOnce() + Send>);

fn trial(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Trial {
    (name.into(), Box::new(run))
}

/// Types that can be encoded, and two mixes.
pub(crate) fn on_a_device() -> Vec<Trial> {
    let formats = Format::ALL.iter().filter(|it| it.spec().encode.is_some());
    let mut trials: Vec<_> = formats.map(|&it| trial(it.to_string(), move || encoded(it))).collect();
    for (name, main) in [("Q4_K_M", Format::Q4K), ("Q3_K_S", Format::Q3K)] {
        trials.push(trial(name, move || {
            trained(&format!("tiny-target:{}", name.to_lowercase()), main);
            random(name, "blk.0.ffn_up.weight", main);
        }));
    }
    trials
}

/// Types that are only read, from folders that MLX wrote.
pub(crate) fn on_originals() -> Vec<Trial> {
    let folder = |name: &'static str, format| {
        let path = originals().join(name).to_string_lossy().into_owned();
        trial(name, move || trained(&path, format))
    };
    vec![folder("target-mlx-4bit", Format::Mlx4G64), folder("target-mlx-8bit", Format::Mlx8G64)]
}

fn encoded(format: Format) {
    trained(&format!("tiny-target:{}", format.to_string().to_lowercase()), format);
    random(format.spec().name, "token_embd.weight", format);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Perplexity of the first 128 tokens of the shipped text.
fn perplexity(model: &str) -> f64 {
    let text = repository("models/tiny/wikitext-2-excerpt.txt");
    let text = text.to_str().expect("UTF-8");
    let arguments = ["perplexity", "-m", model, "-f", text, "-c", "32", "--chunks", "4", "-ctk", "f32"];
    number(&ridgeline(&[&arguments[..], &["--json"]].concat()).json()["perplexity"]["value"])
}

static IN_HALF_PRECISION: LazyLock<f64> = LazyLock::new(|| perplexity("tiny-target:f16"));

/// Tests a model whose weights are mostly of one type: it generates text, is timed, and has nearly the perplexity of
/// F16.
fn trained(model: &str, format: Format) {
    let inspected = ridgeline(&["inspect", model, "--json"]).json();
    weights_in(&inspected, format);
    let run = ridgeline(&["run", "-m", model, "-p", "It was", "-n", "4", "--temp", "0", "--json"]).json();
    assert_eq!(run["tokens"].as_array().map(Vec::len), Some(4), "{run}");
    timed(ridgeline(&BENCH.map(|it| if it == "M" { model } else { it })), &inspected, format);

    let spec = format.spec();
    let bits = 8.0 * spec.block_bytes as f64 / spec.block_len as f64;
    let change = (perplexity(model) / *IN_HALF_PRECISION).ln().abs();
    // The error of a weight halves with every bit. The factor 4 lets 2-bit types double the perplexity. Float types
    // differ only by rounding.
    let bound = (4.0 * (-bits).exp2()).max(0.005);
    assert!(change < bound, "{model}: perplexity changes by a factor of e^{change}, more than e^{bound}");
}

const BENCH: [&str; 13] =
    ["bench", "-m", "M", "-p", "8", "-n", "2", "-r", "1", "--no-probe", "-o", "json", "--no-warmup"];

/// Most weights have the type.
fn weights_in(inspected: &Value, format: Format) {
    let formats = inspected["formats"].as_array().expect("formats");
    let main = formats.iter().max_by_key(|it| it["weights"].as_u64()).expect("one at least");
    assert_eq!(main["format"], format.spec().name, "{inspected}");
}

/// Both rows of `bench` have a speed, and the size of the model.
fn timed(bench: Done, inspected: &Value, format: Format) {
    let rows = bench.json();
    let rows = rows.as_array().expect("rows");
    let tests = rows.iter().map(|row| (row["n_prompt"].as_u64(), row["n_gen"].as_u64()));
    assert!(tests.eq([(Some(8), Some(0)), (Some(0), Some(2))]), "{rows:?}");
    for row in rows {
        assert!(number(&row["avg_ts"]).is_finite() && number(&row["avg_ts"]) > 0.0, "{row}");
        assert_eq!(row["model_size"], inspected["tensor_bytes"], "{row}");
        assert_eq!(row["model_n_params"], inspected["parameters"], "{row}");
        let shown = row["model_type"].as_str().expect("text").rsplit(' ').next();
        assert_eq!(shown, Some(format.spec().name), "the type of most weights");
    }
}

/// Rows as long as the largest super-block.
const SHAPE: &str = r#"
name = "mini"
architecture = "llama"
licence = "none"
layers = 1
hidden = 256
heads = 4
kv_heads = 2
head_dim = 64
ffn = 512
vocab = 512
tied_head = true
context = 64
norm_epsilon = 1e-5
rope_base = 10000.0
"#;

/// Tests random weights: `tensor` has the type, the model is timed, and its logits are finite and not all equal.
fn random(mix: &str, tensor: &str, format: Format) {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("models")).expect("a folder");
    fs::write(root.path().join("models/mini.toml"), SHAPE).expect("a file");
    let there = |arguments: &[&str]| {
        finish(command(arguments).arg("--no-install").env("RIDGELINE_ROOT", root.path()))
    };
    let model = format!("mini:{}", mix.to_lowercase());
    let inspected = there(&["inspect", &model, "--json"]).json();
    let tensors = inspected["tensors"].as_array().expect("tensors");
    let found = tensors.iter().find(|it| it["name"] == tensor).expect("every model has this tensor");
    assert_eq!(found["format"], format.spec().name, "{mix}");
    assert_eq!(inspected["model"]["name"], model.as_str());
    timed(there(&BENCH.map(|it| if it == "M" { &model } else { it })), &inspected, format);

    let out = root.path().join("logits");
    there(&["logits", "-m", &model, "--tokens", "1,500,7", "-o", out.to_str().expect("UTF-8")]).ok();
    let (shape, logits) = logits(&out);
    assert_eq!(shape, [3, 512]);
    assert!(logits.iter().all(|it| it.is_finite()), "{mix}");
    let spread = |row: &[f32]| row.iter().fold(0.0_f32, |most, it| most.max((it - row[0]).abs()));
    assert!(logits.chunks(512).all(|row| spread(row) > 1e-3), "{mix}: the logits are not all equal");
}

/// Shape and values of a file that `logits` wrote.
pub(crate) fn logits(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path).expect("it was written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(file.names(), ["logits"]);
    let view = file.tensor("logits").expect("named so");
    assert_eq!(view.dtype(), safetensors::Dtype::F32);
    let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (view.shape().to_vec(), values)
}
