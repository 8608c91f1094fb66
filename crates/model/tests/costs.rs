//! The cost of a forward pass against a count from the tensors and the hyperparameters alone.

mod support;

use ridgeline_compute::{Caps, Cpu, Executor, Recording};
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

/// Operations per value: RMSNorm squares, adds, and multiplies by the root and by the gain.
const RMS_NORM: u64 = 4;

/// The same of `LayerNorm`: adds for the mean; subtracts, squares and adds for the variance; subtracts, multiplies twice and adds.
const LAYER_NORM: u64 = 8;

/// The same of a norm without gain: squares, adds, multiplies.
const L2_NORM: u64 = 3;

/// Operations per rotated value: a pair has four multiplies and two additions.
const ROTATION: u64 = 3;

/// Operations per score of a softmax: scales, takes the maximum, subtracts, exp, adds.
const SOFTMAX: u64 = 5;

/// Operations of x·σ(g): negate, exp, add, divide. `SiLU` is the same with g = x.
const SIGMOID: u64 = 4;

/// Operations of a weight of the router: subtract, exp, multiply, divide. Each term of the sum: subtract, exp, add.
const ROUTE: [u64; 2] = [4, 3];

/// Operations of the activation of a feed-forward block.
fn activation(architecture: &str) -> u64 {
    match architecture {
        // Divide, erf, add, two multiplies.
        "gptneox" => 5,
        // Cubic: three multiplies, an addition. Then a multiply, tanh, an addition, two multiplies.
        "gemma3" => 9,
        // Maximum, square.
        "plm" => 2,
        _ => SIGMOID,
    }
}

/// What the formulas of each layer count.
#[derive(Default)]
struct Count {
    weights: u64,
    kv_read: u64,
    kv_write: u64,
    flops: u64,
}

/// The count of a forward pass of some sequences, each with its depth and its number of tokens, with logits for the last of
/// each. Weights are read once, keys and values by sequence.
fn count(checkpoint: &Checkpoint, sequences: &[(u64, u64)], form: MlaForm) -> Count {
    let n: u64 = sequences.iter().map(|it| it.1).sum();
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
            "token_embd.weight" | "output.weight" => sequences.len() as u64,
            _ => n,
        };
        // The launches of a recurrence are each for one run of tokens of a sequence.
        let recurrent =
            ["ssm_conv1d.weight", ".ssm_a", "ssm_dt.bias"].iter().any(|it| tensor.name.ends_with(it));
        let launches = if recurrent { runs(sequences) } else { u64::from(rows > 0) };
        count.weights += launches * 4 * values;
        let of_heads = ["attn_k_b.", "attn_v_b."].iter().any(|it| tensor.name.contains(it));
        if (tensor.shape.len() == 2 || of_heads) && !tensor.name.contains("conv1d") {
            count.flops += 2 * rows * values;
        }
    }
    // The embedding rows of the tokens, which are multiplied by a number.
    count.weights += 4 * n * hidden;
    count.flops += n * hidden + elementwise(checkpoint, keys, (n, sequences.len() as u64));
    for kind in checkpoint.layer_kinds().expect("the kinds of the layers") {
        if kind == LayerKind::Recurrent {
            count += recurrence(&size, runs(sequences), n);
            continue;
        }
        for &sequence in sequences {
            count += match kind {
                LayerKind::Windowed(window) => attention(&size, sequence, u64::from(window)),
                _ if checkpoint.tensors().any(|it| it.name.contains("attn_kv_a_mqa")) => {
                    latent_attention(&size, sequence, form)
                }
                _ => attention(&size, sequence, u64::MAX),
            };
        }
    }
    count
}

/// Runs of tokens of one sequence in a forward pass. With several sequences, the last token of each is behind all others.
fn runs(sequences: &[(u64, u64)]) -> u64 {
    let of = |&(_, n): &(u64, u64)| if sequences.len() > 1 && n > 1 { 2 } else { 1 };
    sequences.iter().map(of).sum()
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
        flops: (2 * width + SOFTMAX) * heads * seen,
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
        flops: (2 * per_score + SOFTMAX) * heads * seen,
        weights: 0,
    }
}

/// The state of a Gated DeltaNet layer, read and written in each run of tokens, and its decay, correction, update and output.
fn recurrence(size: &dyn Fn(&str) -> u64, runs: u64, n: u64) -> Count {
    let [key, inner, key_heads] = ["ssm.state_size", "ssm.inner_size", "ssm.group_count"].map(size);
    let conv = (size("ssm.conv_kernel") - 1) * (2 * key * key_heads + inner);
    let bytes = runs * 4 * (key * inner + conv);
    Count { kv_read: bytes, kv_write: bytes, flops: 7 * n * key * inner, weights: 0 }
}

/// Elementwise operations of a token in a recurrent layer: convolution, norms of queries and keys, gates and decays.
fn around_recurrence(size: &dyn Fn(&str) -> u64) -> u64 {
    let [key, key_heads] = ["ssm.state_size", "ssm.group_count"].map(size);
    let [inner, value_heads] = ["ssm.inner_size", "ssm.time_step_rank"].map(size);
    let channels = 2 * key_heads * key + inner;
    // Each value: decay of Sᵀk, subtraction, β and scale. Each head: softplus of a sum, e to its product, σ.
    let rule = 4 * inner + (5 + 2 + 4) * value_heads;
    (2 * size("ssm.conv_kernel") + SIGMOID) * channels + L2_NORM * 2 * key_heads * key + rule
}

/// Norms, biases, rotations, activations, gates, routers, and additions to the residual stream, of `n` tokens. `rows` of them
/// have logits.
fn elementwise(checkpoint: &Checkpoint, keys: Keys<'_>, (n, rows): (u64, u64)) -> u64 {
    let size = |name: &str| u64::from(keys.size(name).expect("a size"));
    let (architecture, hidden, heads) =
        (keys.architecture(), size("embedding_length"), size("attention.head_count"));
    let has = |name: String| checkpoint.tensors().any(|it| it.name == name);
    let mut flops = 0;
    for tensor in checkpoint.tensors().filter(|it| it.shape.len() == 1) {
        let name = tensor.name.trim_start_matches("blk.").trim_start_matches(char::is_numeric);
        let width = tensor.shape[0] as u64;
        flops += match name {
            "output_norm.weight" if architecture == "gptneox" => rows * LAYER_NORM * width,
            "output_norm.weight" => rows * RMS_NORM * width,
            ".attn_q_norm.weight" => n * RMS_NORM * heads * width,
            ".attn_k_norm.weight" => n * RMS_NORM * size("attention.head_count_kv") * width,
            ".ssm_norm.weight" => n * (RMS_NORM + 1 + SIGMOID) * size("ssm.inner_size"),
            _ if name.ends_with("norm.weight") && architecture == "gptneox" => n * LAYER_NORM * width,
            _ if name.ends_with("norm.weight") => n * RMS_NORM * width,
            // Those of norms are counted above, and those of the recurrence below.
            _ if name.ends_with("norm.bias") || name.contains("ssm_") || name == "rope_freqs.weight" => 0,
            _ if name.ends_with(".bias") => n * width,
            _ => panic!("{name}: which operation has this vector?"),
        };
    }
    for (layer, kind) in checkpoint.layer_kinds().expect("the kinds of the layers").into_iter().enumerate() {
        let named = |part: &str| has(format!("blk.{layer}.{part}.weight"));
        flops += n * match kind {
            LayerKind::Recurrent => around_recurrence(&size),
            _ if named("attn_kv_a_mqa") => ROTATION * (heads + 1) * size("rope.dimension_count"),
            _ => {
                // The outputs of the heads, or those decoded from latent values.
                let gated = match architecture {
                    "qwen35" | "qwen35moe" => heads * size("attention.key_length"),
                    _ if named("attn_v_b") => hidden,
                    _ => 0,
                };
                let rotated = heads + size("attention.head_count_kv");
                ROTATION * rotated * size("rope.dimension_count") + SIGMOID * gated
            }
        };
        // The first half of the layer is added to the residual stream.
        flops += n * hidden;
        let gated = u64::from(!["plm", "gptneox"].contains(&architecture));
        if !named("ffn_gate_inp") {
            flops += n * ((activation(architecture) + gated) * size("feed_forward_length") + hidden);
            continue;
        }
        let [experts, k, ffn] = ["expert_count", "expert_used_count", "expert_feed_forward_length"].map(size);
        // A softmax over the chosen experts, or over all.
        let chosen = keys.flag_or("expert_weights_norm", architecture != "deepseek2").expect("a flag");
        let terms = if chosen { k } else { experts };
        flops += n * (ROUTE[0] * k + ROUTE[1] * terms + (SIGMOID + 1) * k * ffn + 2 * k * hidden);
        if named("ffn_up_shexp") {
            let gate = if named("ffn_gate_inp_shexp") { SIGMOID } else { 0 };
            let shared = match architecture {
                "deepseek2" => size("expert_shared_count") * ffn,
                _ => size("expert_shared_feed_forward_length"),
            };
            flops += n * ((SIGMOID + 1 + gate) * shared + hidden);
        }
    }
    flops
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
        sequences: 3,
        ..SessionOptions::default()
    };
    Session::new(model, Rc::new(RefCell::new(cpu)), options).expect("a session")
}

/// The cost of a recorded pass without the choice of tokens.
fn of_model(pass: &Recording) -> Cost {
    let launches = pass.launches().iter().filter(|launch| launch.region.module != "sampling");
    launches.map(|launch| pass.launch_cost(launch)).sum()
}

/// The cost that the recording of the same pass states. One sequence is recorded as any prompt.
fn recorded(checkpoint: &Checkpoint, sequences: &[(u64, u64)], switches: Switches) -> Cost {
    let mut session = session(checkpoint, switches);
    let small = |n: u64| u32::try_from(n).expect("small");
    let ids: Vec<Vec<u32>> = sequences.iter().map(|it| (0..small(it.1)).collect()).collect();
    for (sequence, &(depth, _)) in sequences.iter().enumerate() {
        let selected = session.select(sequence).expect("a sequence");
        selected.set_kv_len(small(depth) as usize).expect("within the context");
    }
    if let [ids] = &ids[..] {
        return of_model(session.record(ids, Rows::Last).expect("a forward pass"));
    }
    let entries: Vec<(usize, &[u32])> = ids.iter().map(|ids| &ids[..]).enumerate().collect();
    let mut costs = Vec::new();
    session.record_many(&entries, &mut |pass| costs.push(of_model(pass))).expect("a forward pass");
    assert_eq!(costs.len(), 1, "the tokens fit one pass");
    costs[0]
}

/// Depth and number of tokens of each sequence of a forward pass.
const SEQUENCES: [&[(u64, u64)]; 5] =
    [&[(0, 1)], &[(30, 1)], &[(11, 5)], &[(30, 1), (0, 1), (17, 1)], &[(11, 5), (3, 1), (40, 2)]];

#[test]
fn costs_equal_an_independent_count() {
    for family in FAMILIES {
        let checkpoint = Checkpoint::open(&model(family)).expect("the checkpoint");
        for sequences in SEQUENCES {
            let fused = [Fusions::all(), Fusions::NONE].map(|fusions| (fusions, MlaForm::Expanded));
            for (fusions, mla) in fused.into_iter().chain([(Fusions::all(), MlaForm::Absorbed)]) {
                let expected = count(&checkpoint, sequences, mla);
                let switches = Switches { fusions, mla, ..Switches::exact() };
                let cost = recorded(&checkpoint, sequences, switches);
                let context = format!("{family}: {sequences:?}, {fusions:?}, {mla}");
                let counted = (cost.weights, cost.kv_read, cost.kv_write, cost.flops);
                let Count { weights, kv_read, kv_write, flops } = expected;
                assert_eq!(counted, (weights, kv_read, kv_write, flops), "{context}");
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
        // One token, a few, and enough to sort them by expert.
        for n in [1, 5, 16] {
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
            // Ids are read back first. The other reads are of pairs sorted by expert.
            let ids = pass.reads()[others..].iter().zip(&output.reads[others..]);
            let ids = ids.filter(|(slice, _)| slice.id == pass.reads()[others].id);
            let distinct: usize = ids.map(|(_, bytes)| distinct(bytes)).sum();
            let (before, after) = (pass.cost(), pass.cost_after(&output));
            let sorted = pass.launches().iter().filter(|it| pass.kernel(it).name() == "mat_mul_id").count();
            assert_eq!(sorted > 0, n == 16, "{family}: {n} tokens");
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
