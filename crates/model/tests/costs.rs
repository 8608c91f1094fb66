//! The cost of a forward pass against a count from the tensors and the hyperparameters alone.

mod support;

use ridgeline_compute::{Caps, Cpu, Executor};
use ridgeline_model::{Fusions, Keys, MlaForm, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_roofline::Cost;
use ridgeline_speculative::Rows;
use ridgeline_weights::{Checkpoint, LayerKind};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use support::{FAMILIES, model};

/// Bytes of a stored key or value, in f16.
const KV_BYTES: u64 = 2;

/// Floating-point operations of norms, rotations, softmax and activations, relative to the others, at most.
const ELEMENTWISE: f64 = 0.12;

/// What the formulas of each layer count.
#[derive(Default)]
struct Count {
    weights: u64,
    kv_read: u64,
    kv_write: u64,
    flops: u64,
}

/// The count of `n` tokens at `depth`, with logits for the last.
fn count(checkpoint: &Checkpoint, depth: u64, n: u64, form: MlaForm) -> Count {
    let keys = Keys::of(checkpoint).expect("an architecture");
    let size = |name: &str| u64::from(keys.size(name).expect("a size"));
    let hidden = size("embedding_length");
    let mut count = Count::default();
    for tensor in checkpoint.tensors().filter(|it| it.name != "rope_freqs.weight") {
        let mut values: u64 = tensor.shape.iter().map(|&n| n as u64).product();
        if tensor.name.contains("_exps.") {
            // Each token reads and multiplies the matrices of its experts. At least, all tokens have the same ones.
            values = values * size("expert_used_count") / size("expert_count");
            count.flops += 2 * n * values;
        }
        let rows = match tensor.name {
            "token_embd.weight" if !checkpoint.tied_head() => 0,
            "token_embd.weight" | "output.weight" => 1,
            _ => n,
        };
        count.weights += if rows == 0 { 0 } else { 4 * values };
        let of_heads = ["attn_k_b.", "attn_v_b."].iter().any(|it| tensor.name.contains(it));
        if (tensor.shape.len() == 2 || of_heads) && !tensor.name.contains("conv1d") {
            count.flops += 2 * rows * values;
        }
    }
    // The embedding rows of the tokens.
    count.weights += 4 * n * hidden;
    for kind in checkpoint.layer_kinds().expect("the kinds of the layers") {
        count += match kind {
            LayerKind::Full if checkpoint.tensors().any(|it| it.name.contains("attn_kv_a_mqa")) => {
                latent_attention(&size, (depth, n), form)
            }
            LayerKind::Full => attention(&size, (depth, n), u64::MAX),
            LayerKind::Windowed(window) => attention(&size, (depth, n), u64::from(window)),
            LayerKind::Recurrent => recurrence(&size, n),
        };
    }
    count
}

/// Scores and weighted values, and the keys and values that they read: each once.
fn attention(size: &dyn Fn(&str) -> u64, (depth, n): (u64, u64), window: u64) -> Count {
    let heads = size("attention.head_count");
    let kv_heads = size("attention.head_count_kv");
    let width = size("attention.key_length") + size("attention.value_length");
    let seen: u64 = (depth + 1..=depth + n).map(|position| position.min(window)).sum();
    let rows = (depth + n).min(window.saturating_add(n - 1));
    Count {
        kv_read: KV_BYTES * kv_heads * width * rows,
        kv_write: KV_BYTES * kv_heads * width * n,
        flops: 2 * heads * width * seen,
        weights: 0,
    }
}

/// The same for MLA. Expanded, every head has keys and values. Absorbed, all heads share a row of latent and rotated values.
fn latent_attention(size: &dyn Fn(&str) -> u64, (depth, n): (u64, u64), form: MlaForm) -> Count {
    let [heads, key, value] =
        ["attention.head_count", "attention.key_length_mla", "attention.value_length_mla"].map(size);
    let [latent, rotated] = ["attention.kv_lora_rank", "rope.dimension_count"].map(size);
    let seen: u64 = (depth + 1..=depth + n).sum();
    let (row, per_score) = match form {
        MlaForm::Expanded => (heads * (key + value), key + value),
        MlaForm::Absorbed => (latent + rotated, 2 * latent + rotated),
    };
    Count {
        kv_read: KV_BYTES * row * (depth + n),
        kv_write: KV_BYTES * row * n,
        flops: 2 * heads * per_score * seen,
        weights: 0,
    }
}

/// The state of a Gated DeltaNet layer, read and written once, and its decay, correction, update and output.
fn recurrence(size: &dyn Fn(&str) -> u64, n: u64) -> Count {
    let [key, inner, key_heads] = ["ssm.state_size", "ssm.inner_size", "ssm.group_count"].map(size);
    let conv = (size("ssm.conv_kernel") - 1) * (2 * key * key_heads + inner);
    let bytes = 4 * (key * inner + conv);
    Count { kv_read: bytes, kv_write: bytes, flops: 7 * n * key * inner, weights: 0 }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.weights += other.weights;
        self.kv_read += other.kv_read;
        self.kv_write += other.kv_write;
        self.flops += other.flops;
    }
}

/// A session on the CPU.
fn session(checkpoint: &Checkpoint, switches: Switches) -> Session<Cpu> {
    let mut cpu = Cpu::new(Caps { subgroup: Some((32, 32)), ..Caps::webgpu() });
    let model = Arc::new(Model::load(checkpoint, &mut cpu).expect("the model"));
    let options = SessionOptions {
        context: 64,
        batch: 16,
        cache: [Format::F16; 2],
        switches,
        ..SessionOptions::default()
    };
    Session::new(model, Rc::new(RefCell::new(cpu)), options).expect("a session")
}

/// The cost that the recording of the same pass states.
fn recorded(checkpoint: &Checkpoint, depth: usize, n: u32, switches: Switches) -> Cost {
    let mut session = session(checkpoint, switches);
    session.set_kv_len(depth).expect("within the context");
    let ids: Vec<u32> = (0..n).collect();
    session.record(&ids, Rows::Last).expect("a forward pass").cost()
}

#[test]
fn costs_equal_an_independent_count() {
    for family in FAMILIES {
        let checkpoint = Checkpoint::open(&model(family)).expect("the checkpoint");
        for (depth, n) in [(0, 1), (30, 1), (11, 5)] {
            let fused = [Fusions::all(), Fusions::NONE].map(|fusions| (fusions, MlaForm::Expanded));
            for (fusions, mla) in fused.into_iter().chain([(Fusions::all(), MlaForm::Absorbed)]) {
                let expected = count(&checkpoint, depth, n, mla);
                let switches = Switches { fusions, mla, ..Switches::exact() };
                let (at, tokens) = (usize::try_from(depth).expect("small"), u32::try_from(n).expect("small"));
                let cost = recorded(&checkpoint, at, tokens, switches);
                let context = format!("{family}: {n} tokens at depth {depth}, {fusions:?}, {mla}");
                let bytes = (cost.weights, cost.kv_read, cost.kv_write);
                assert_eq!(bytes, (expected.weights, expected.kv_read, expected.kv_write), "{context}");
                let rest = cost.flops as f64 / expected.flops as f64 - 1.0;
                assert!((0.0..ELEMENTWISE).contains(&rest), "{context}: {rest:.3}");
            }
        }
    }
}

#[test]
fn the_traffic_of_a_mixture_follows_its_routing() {
    for family in ["qwen3moe", "qwen35moe"] {
        let checkpoint = Checkpoint::open(&model(family)).expect("the checkpoint");
        let keys = Keys::of(&checkpoint).expect("an architecture");
        let size = |name: &str| keys.size(name).expect("a size") as usize;
        let (layers, top_k) = (size("block_count"), size("expert_used_count"));
        // Gate, up and down projections in f32.
        let expert_bytes = 4 * 3 * size("expert_feed_forward_length") * size("embedding_length");
        for n in [1, 5] {
            let mut session = session(&checkpoint, Switches::exact());
            let ids: Vec<u32> = (0..n).collect();
            let mut pass = session.record(&ids, Rows::Last).expect("a forward pass").clone();
            let others = pass.reads().len();
            pass.read_back_deciding();
            let output = session.executor().borrow_mut().run(&pass).expect("the pass");
            let distinct = |bytes: &Vec<u8>| {
                let ids = bytes.chunks_exact(4).take(n as usize * top_k);
                ids.collect::<HashSet<_>>().len()
            };
            let distinct: usize = output.reads[others..].iter().map(distinct).sum();
            let (before, after) = (pass.cost(), pass.cost_after(&output));
            let more = (distinct - layers * top_k) * expert_bytes;
            assert_eq!(
                after,
                Cost { weights: before.weights + more as u64, ..before },
                "{family}: {n} tokens"
            );
            assert_eq!(more > 0, n > 1, "{family}: {n} tokens differ in their experts");
        }
    }
}
