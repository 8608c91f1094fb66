//! Kinds of attention against the formulas of Table 2 of `RooflineBench`, after Sun et al. 2025 ("GTA"). They give the cached
//! values, and the multiply-adds of attention and of its projections.

use ridgeline_compute::{Caps, Cpu, Launch, Recording};
use ridgeline_kernels::LinearKernel;
use ridgeline_model::{Error, Fusion, Fusions, MlaForm, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::Rows;
use ridgeline_weights::{Checkpoint, Shape};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Hidden width.
const H: u64 = 128;
/// Heads.
const N_H: u64 = 8;
/// Width of a head.
const D_H: u64 = 16;

/// Positions in the cache before the token.
const DEPTH: usize = 30;

/// A kind of attention and what it costs in one layer.
struct Kind {
    name: &'static str,
    /// Its family, with the query heads, the key heads and the width of a key.
    family: (&'static str, [u64; 3]),
    metadata: &'static str,
    mla: MlaForm,
    /// Values that a token leaves in the cache.
    cached: u64,
    /// Multiply-adds of scores and weighted values per visible position.
    attention: u64,
    /// Multiply-adds of the projections per token.
    linear: u64,
}

/// Width of the latent row of MLA.
const D_C: u64 = 32;
/// Width of the rotated part of its keys.
const D_R: u64 = 8;
/// Width of the other part, and of its values.
const D_N: u64 = 16;

/// The same in the keys of its family. All layers are dense.
const MLA: &str = r#"
"attention.head_count_kv" = 1
"attention.key_length" = 40
"attention.value_length" = 32
"attention.key_length_mla" = 24
"attention.value_length_mla" = 16
"attention.kv_lora_rank" = 32
"rope.dimension_count" = 8
"leading_dense_block_count" = 9
"expert_count" = 1
"expert_used_count" = 1
"expert_shared_count" = 0
"expert_feed_forward_length" = 32
"#;

fn kinds() -> Vec<Kind> {
    let plain = |name, family, metadata, [cached, attention, linear]: [u64; 3]| Kind {
        name,
        family,
        metadata,
        mla: MlaForm::Expanded,
        cached,
        attention,
        linear,
    };
    let mha = [2 * N_H * D_H, 2 * N_H * D_H, 4 * H * H];
    let n_k = 2;
    let gqa = [2 * n_k * D_H, 2 * N_H * D_H, 2 * H * H + 2 * n_k * D_H * H];
    let (n_q, n_k) = (4, 4);
    let gva = [H + n_k * D_H, n_q * D_H + N_H * D_H, 2 * H * H + 2 * n_k * D_H * H];
    let (n_q, n_k, n_v) = (4, 2, 4);
    let linear = H * H + (n_q * D_H + n_k * D_H + n_v * D_H) * H;
    let gha = [n_k * D_H + n_v * D_H, n_q * D_H + N_H * D_H, linear];
    let (n_c, d_l) = (2, 24);
    let linear = 2 * H * H + (n_q * D_H + n_k * D_H + n_c * d_l + d_l) * H;
    let gta = [n_k * D_H + n_c * d_l, n_q * (D_H + d_l), linear];
    // The printed cache of MLA is that of the absorbed form, and the printed attention that of the expanded one.
    let linear = (D_C + D_R) * H + N_H * (D_R + D_N) * H + 2 * N_H * D_C * D_N + H * H;
    let expanded = [N_H * (2 * D_N + D_R), N_H * (D_R + 2 * D_N), linear];
    let absorbed = [D_C + D_R, N_H * (2 * D_C + D_R), linear];
    let latent = ("deepseek2", [N_H, N_H, D_R + D_N]);
    vec![
        plain("MHA", ("llama", [N_H, N_H, D_H]), "", mha),
        plain("GQA", ("llama", [N_H, 2, D_H]), "", gqa),
        plain("GVA", ("gta", [4, 4, D_H]), "attention.value_length = 32", gva),
        plain("GHA", ("gta", [4, 2, D_H]), "attention.value_length = 32", gha),
        plain("GTA", ("gta", [4, 2, D_H]), "attention = { value_length = 24, latent_values = true }", gta),
        plain("MLA expanded", latent, MLA, expanded),
        Kind { mla: MlaForm::Absorbed, ..plain("MLA absorbed", latent, MLA, absorbed) },
    ]
}

fn load((family, [heads, kv_heads, key]): (&str, [u64; 3]), metadata: &str) -> Result<(Model, Cpu), Error> {
    let shape = format!(
        "name = \"kind\"\narchitecture = \"{family}\"\nlicence = \"none\"\nlayers = 1\nhidden = {H}\nheads = {heads}\n\
         kv_heads = {kv_heads}\nhead_dim = {key}\nffn = 64\nvocab = 64\ntied_head = true\ncontext = 64\n\
         norm_epsilon = 1e-5\nrope_base = 10000.0\n[metadata]\n{metadata}\n"
    );
    let shape = Shape::from_toml(&shape)?;
    let mut cpu = Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() });
    let model = Model::load(&Checkpoint::random(&shape, Format::SINGLE, 1)?, &mut cpu)?;
    Ok((model, cpu))
}

/// A forward pass over one token.
fn step(kind: &Kind) -> Recording {
    let (model, cpu) = load(kind.family, kind.metadata).expect("a model");
    // Apart from the residual add, which would count as a part of the output projection.
    let fusions = Fusions::all().without(Fusion::Residual);
    let switches = Switches { mla: kind.mla, fusions, ..Switches::exact() };
    let options =
        SessionOptions { context: 64, batch: 1, cache: [Format::F16; 2], switches, ..Default::default() };
    let mut session = Session::new(Arc::new(model), Rc::new(RefCell::new(cpu)), options).expect("a session");
    session.set_kv_len(DEPTH).expect("within the context");
    session.record(&[1], Rows::Last).expect("a forward pass").clone()
}

#[test]
fn each_kind_costs_what_its_formulas_say() {
    for kind in kinds() {
        let (pass, name) = (step(&kind), kind.name);
        let flops = |keep: &dyn Fn(&Launch) -> bool| -> u64 {
            pass.launches().iter().filter(|it| keep(it)).map(|it| pass.launch_cost(it).flops).sum()
        };
        let visible = DEPTH as u64 + 1;
        // A value in the cache has two bytes.
        assert_eq!(pass.cost().kv_write, 2 * kind.cached, "{name}: cache");
        assert_eq!(pass.cost().kv_read, 2 * kind.cached * visible, "{name}: cache");
        let softmax = 5 * kind.family.1[0] * visible;
        let attention = flops(&|it| it.region.module == "attention");
        assert_eq!(attention, 2 * kind.attention * visible + softmax, "{name}: attention");
        let is_linear = |it: &Launch| {
            let kernel = pass.kernel(it);
            LinearKernel::of(kernel).is_some() || kernel.name() == "head_linear"
        };
        let linear = flops(&|it| ["qkv", "o"].contains(&it.region.module) && is_linear(it));
        assert_eq!(linear, 2 * kind.linear, "{name}: projections");
    }
}

#[test]
fn shapes_that_no_layer_computes_are_refused_by_name() {
    let window = "attention = { value_length = 32, sliding_window = 8 }";
    let cases = [
        ([4, 4, 16], "attention.value_length = 48", "value_length"),
        ([4, 4, 16], "attention.value_length = 30", "value_length"),
        ([4, 4, 16], "attention = { value_length = 2048, latent_values = true }", "value_length"),
        ([3, 3, 16], "attention = { value_length = 24, latent_values = true }", "head_count"),
        ([4, 4, 16], window, "attention.sliding_window"),
        ([32, 1, 16], "attention = { value_length = 24, latent_values = true }", "heads per key/value head"),
    ];
    for (heads, metadata, says) in cases {
        let error = load(("gta", heads), metadata).map(|_| ()).expect_err(metadata).to_string();
        assert!(error.contains(says), "{metadata}: {error}");
    }
    // In other families, a value is as wide as a key.
    let error =
        load(("llama", [8, 2, 16]), "attention.value_length = 32").map(|_| ()).expect_err("two widths");
    assert!(error.to_string().contains("value_length"), "{error}");
}
