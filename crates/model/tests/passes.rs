//! The launches of a forward pass: how many per layer, and the size of the head.

use ridgeline_compute::{Caps, Cpu, Launch, Recording, Role};
use ridgeline_kernels::{LinearKernel, mat_vec};
use ridgeline_model::{AttentionPath, Fusion, Fusions, Model, Session, SessionOptions, Switches};
use ridgeline_roofline::Cost;
use ridgeline_speculative::{LanguageModel, Rows, argmax};
use ridgeline_weights::{Checkpoint, Quantization, Shape};
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

const LAYERS: u32 = 3;

/// Some quantization mixes give the V projections another type. The vocabulary is large enough for splits of
/// argmax.
const MIXED: &str = r#"
name = "three-layers"
architecture = "llama"
licence = "none"
layers = 3
hidden = 256
heads = 4
kv_heads = 2
head_dim = 64
ffn = 512
vocab = 5000
tied_head = true
context = 64
norm_epsilon = 1e-5
rope_base = 10000.0
"#;

fn session(checkpoint: &Checkpoint, switches: Switches) -> Session<Cpu> {
    session_on(Caps { subgroup: Some((32, 32)), ..Caps::webgpu() }, checkpoint, switches)
}

fn session_on(caps: Caps, checkpoint: &Checkpoint, switches: Switches) -> Session<Cpu> {
    let mut cpu = Cpu::new(caps);
    let model = Model::load(checkpoint, &mut cpu).expect("the model");
    let options =
        SessionOptions { context: 64, batch: 32, logit_rows: 32, switches, ..SessionOptions::default() };
    Session::new(Arc::new(model), Rc::new(RefCell::new(cpu)), options).expect("a session")
}

fn family(name: &str) -> Checkpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Checkpoint::open(&folder).expect("the checkpoint")
}

fn mixed(mix: &str) -> Checkpoint {
    let shape = Shape::from_toml(MIXED).expect("a shape");
    let mix: Quantization = mix.parse().expect("a quantization mix");
    Checkpoint::random(&shape, mix, 0).expect("random weights")
}

/// The recording of a forward pass over `tokens` tokens of a small model at depth `depth`.
fn pass(
    checkpoint: &Checkpoint,
    (depth, tokens): (usize, u32),
    want: Rows,
    kv_split_len: Option<u32>,
) -> Recording {
    let mut session = session(checkpoint, Switches { kv_split_len, ..Switches::default() });
    session.set_kv_len(depth).expect("within the context");
    let ids: Vec<u32> = (0..tokens).collect();
    session.record(&ids, want).expect("a forward pass").clone()
}

#[test]
fn a_layer_is_nine_launches_at_most() {
    let families = ["llama", "mistral", "qwen2", "qwen3"].map(|it| (it, family(it)));
    let mixes = ["q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "iq4_xs"].map(|it| (it, mixed(it)));
    for (family, checkpoint) in families.into_iter().chain(mixes) {
        for (kv_split_len, most) in [(None, 8), (Some(8), 9)] {
            let pass = pass(&checkpoint, (30, 1), Rows::Last, kv_split_len);
            for layer in 0..LAYERS {
                let launches = pass.launches().iter().filter(|step| step.region.layer == Some(layer)).count();
                assert_eq!(launches, most, "{family}, layer {layer}, splits of {kv_split_len:?}");
            }
        }
    }
}

#[test]
fn four_bindings_are_enough() {
    // The limit that every Vulkan device has per shader stage.
    let caps = Caps { max_storage_buffers: 4, ..Caps::webgpu() };
    for checkpoint in ["llama", "mistral", "qwen2", "qwen3"].map(family) {
        let mut session = session_on(caps.clone(), &checkpoint, Switches::default());
        for tokens in [1, 20] {
            let ids: Vec<u32> = (0..tokens).collect();
            let pass = session.record(&ids, Rows::Last).expect("a forward pass");
            let most = pass.launches().iter().map(|step| pass.slices(step).len()).max();
            assert!(most.is_some_and(|most| most <= 4), "{most:?}");
        }
    }
}

#[test]
fn a_dual_mat_vec_equals_two_launches() {
    let checkpoint = mixed("q4_k_m");
    let without_qkv = Fusions::all().without(Fusion::Qkv);
    let [one, two] = [Fusions::all(), without_qkv].map(|fusions| {
        let mut session = session(&checkpoint, Switches { fusions, ..Switches::exact() });
        let dual = session
            .record(&[5], Rows::Last)
            .expect("a forward pass")
            .kernels()
            .iter()
            .any(|it| it.name() == "mat_vec_dual");
        let logits = [5, 7].map(|token| session.extend(&[token], Rows::Last).expect("logits").data);
        (dual, logits)
    });
    assert!(one.0 && !two.0);
    assert_eq!(one.1, two.1);
}

#[test]
fn argmax_splits_a_large_vocabulary() {
    let checkpoint = mixed("f16");
    let mut session = session(&checkpoint, Switches::exact());
    let tokens: Vec<u32> = (0..9).map(|i| 531 * i).collect();
    let pass = session.record(&tokens, Rows::All).expect("a forward pass");
    assert!(pass.kernels().iter().any(|it| it.name() == "argmax_reduce"));
    let picks = session.extend_greedy(&tokens, Rows::All).expect("choices");
    session.truncate(0).expect("a rewind");
    let logits = session.extend(&tokens, Rows::All).expect("logits");
    let largest: Vec<u32> = (0..tokens.len()).map(|i| argmax(logits.row(i))).collect();
    assert_eq!(picks, largest);
}

#[test]
fn the_head_computes_only_the_wanted_rows() {
    for (want, batch_sizes) in [(Rows::None, vec![]), (Rows::Last, vec![1]), (Rows::All, vec![20])] {
        let pass = pass(&family("llama"), (0, 20), want, None);
        let heads = pass.launches().iter().filter(|step| step.region.module == "lm_head");
        let linears = heads.filter(|step| LinearKernel::of(pass.kernel(step)).is_some());
        let of = |step| bytemuck::pod_read_unaligned::<mat_vec::Params>(pass.params(step)).n_vecs;
        assert_eq!(linears.map(of).collect::<Vec<_>>(), batch_sizes, "{want:?}");
    }
}

/// Rows read and multiply-adds of attention for `tokens` tokens after `depth`, by enumeration. The window is 12, and 4 query
/// heads share a KV head of 32 values.
fn windowed_attention(depth: u64, tokens: u64) -> (u64, u64) {
    let seen = |at: u64| at.saturating_sub(11)..=at;
    let pairs: u64 = (depth..depth + tokens).map(|at| seen(at).count() as u64).sum();
    let rows: HashSet<u64> = (depth..depth + tokens).flat_map(seen).collect();
    (rows.len() as u64, 4 * 32 * pairs)
}

#[test]
fn attention_with_a_window_costs_what_its_tokens_see() {
    for (depth, tokens) in [(0, 5), (0, 30), (7, 9), (40, 1), (45, 16)] {
        let (rows, multiply_adds) = windowed_attention(depth, tokens);
        for (attention, softmax) in [(AttentionPath::Fused, true), (AttentionPath::Unfused, false)] {
            let mut session =
                session(&family("mistral-window"), Switches { attention, ..Switches::default() });
            session.set_kv_len(usize::try_from(depth).expect("a depth")).expect("within the context");
            let ids: Vec<u32> = (0..u32::try_from(tokens).expect("a length")).collect();
            let pass = session.record(&ids, Rows::Last).expect("a forward pass");
            let is_read = |step: &&Launch| {
                ["attention", "attn_scores", "attn_values"].contains(&pass.kernel(step).name())
            };
            let cost: Cost = pass.launches().iter().filter(is_read).map(|step| pass.launch_cost(step)).sum();
            // Keys and values of 32 values in f16, once per layer.
            assert_eq!(
                cost.kv_read,
                u64::from(LAYERS) * rows * 2 * 32 * 2,
                "{attention:?}, {tokens} after {depth}"
            );
            // Scores and weighted values, and 5 operations per score where the softmax is in the same launch.
            let flops = 2 * 2 * multiply_adds + if softmax { 5 * multiply_adds / 32 } else { 0 };
            assert_eq!(cost.flops, u64::from(LAYERS) * flops, "{attention:?}, {tokens} after {depth}");
        }
    }
}

#[test]
fn the_footprint_is_what_a_pass_touches() {
    // Residual, norm, Q K V, queries, attention output and hidden activations of the small llama, in values per token.
    let per_token = 64 + 64 + (64 + 2 * 32) + 64 + 64 + 160;
    for (depth, n) in [(0, 1), (40, 1), (3, 2)] {
        let pass = pass(&family("llama"), (depth, n), Rows::Last, None);
        // The id, the rotation and what it sees of each token, the logits of one row, and the choice.
        let bytes = 4 * (u64::from(n) * (per_token + 1 + 16 + 8) + 512 + 1);
        assert_eq!(pass.footprint(Role::Activation), bytes, "{n} tokens at depth {depth}");
    }
}
