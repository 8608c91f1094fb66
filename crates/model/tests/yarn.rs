//! Families whose context `YaRN` extends, against a forward pass in f64 that shares no code with the engine.

use ridgeline_compute::{Caps, Cpu};
use ridgeline_model::{Keys, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// How far the context is extended, and the context of before.
const FACTOR: f64 = 4.0;
const ORIGINAL: f64 = 4096.0;

type Matrix = Vec<Vec<f64>>;

/// Qwen2 or Qwen3 as equations.
struct Reference {
    tensors: HashMap<String, Vec<f64>>,
    layers: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head: usize,
    epsilon: f64,
    base: f64,
}

impl Reference {
    fn new(checkpoint: &Checkpoint) -> Self {
        let keys = Keys::of(checkpoint).expect("an architecture");
        let size = |name: &str| keys.size(name).expect("a size") as usize;
        let number = |name: &str| f64::from(keys.number(name).expect("a number"));
        let values = |it: ridgeline_weights::TensorInfo<'_>| {
            let values = checkpoint.tensor(it.name).expect("a tensor").to_f32();
            (it.name.to_owned(), values.into_iter().map(f64::from).collect())
        };
        Self {
            tensors: checkpoint.tensors().map(values).collect(),
            layers: size("block_count"),
            hidden: size("embedding_length"),
            heads: size("attention.head_count"),
            kv_heads: size("attention.head_count_kv"),
            head: size("attention.key_length"),
            epsilon: number("attention.layer_norm_rms_epsilon"),
            base: number("rope.freq_base"),
        }
    }

    /// W·x + b of every row of x.
    fn linear(&self, name: &str, x: &Matrix) -> Matrix {
        let (w, b) = (&self.tensors[&format!("{name}.weight")], self.tensors.get(&format!("{name}.bias")));
        let row = |x: &Vec<f64>| {
            let of = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            let products = w.chunks_exact(x.len()).map(of).enumerate();
            products.map(|(i, y)| y + b.map_or(0.0, |b| b[i])).collect()
        };
        x.iter().map(row).collect()
    }

    /// RMSNorm of each `width` values, if there is a gain of this name.
    fn norm(&self, name: &str, x: &mut [f64]) {
        let Some(gain) = self.tensors.get(&format!("{name}.weight")) else { return };
        for x in x.chunks_exact_mut(gain.len()) {
            let mean = x.iter().map(|x| x * x).sum::<f64>() / gain.len() as f64;
            x.iter_mut().zip(gain).for_each(|(x, gain)| *x *= gain / (mean + self.epsilon).sqrt());
        }
    }

    fn normed(&self, name: &str, x: &Matrix) -> Matrix {
        let mut x = x.clone();
        x.iter_mut().for_each(|x| self.norm(name, x));
        x
    }

    /// Rotates each head: value i and value i + width / 2 by the angle of pair i (Peng et al. 2023, sections 3.2 to 3.4).
    fn rotate(&self, x: &mut [f64], position: usize) {
        let pairs = self.head / 2;
        let turns = |n: f64| pairs as f64 * (ORIGINAL / (n * TAU)).ln() / self.base.ln();
        let (low, high) = (turns(32.0).floor().max(0.0), turns(1.0).ceil());
        assert!(high - low > 1.0 && high < pairs as f64, "the ramp has pairs on both sides: {low} {high}");
        let magnitude = 1.0 + 0.1 * FACTOR.ln();
        for x in x.chunks_exact_mut(self.head) {
            for i in 0..pairs {
                let frequency = self.base.powf(-(i as f64) / pairs as f64);
                let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                let angle = position as f64 * (ramp * frequency / FACTOR + (1.0 - ramp) * frequency);
                let (a, b) = (magnitude * x[i], magnitude * x[i + pairs]);
                x[i] = a * angle.cos() - b * angle.sin();
                x[i + pairs] = b * angle.cos() + a * angle.sin();
            }
        }
    }

    /// Causal attention with grouped queries.
    fn attention(&self, layer: usize, x: &Matrix) -> Matrix {
        let project = |part: &str, rotates: bool| {
            let mut rows = self.linear(&format!("blk.{layer}.attn_{part}"), x);
            for (position, row) in rows.iter_mut().enumerate().filter(|_| rotates) {
                self.norm(&format!("blk.{layer}.attn_{part}_norm"), row);
                self.rotate(row, position);
            }
            rows
        };
        let [queries, keys, values] =
            [("q", true), ("k", true), ("v", false)].map(|(it, rotates)| project(it, rotates));
        let mut mixed = vec![vec![0.0; self.heads * self.head]; x.len()];
        for (position, out) in mixed.iter_mut().enumerate() {
            for (h, out) in out.chunks_exact_mut(self.head).enumerate() {
                let of = |row: &Vec<f64>, h: usize| row[h * self.head..][..self.head].to_vec();
                let (query, kv) = (of(&queries[position], h), h * self.kv_heads / self.heads);
                let score = |key: &Vec<f64>| {
                    let dot: f64 = query.iter().zip(of(key, kv)).map(|(q, k)| q * k).sum();
                    (dot / (self.head as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = keys[..=position].iter().map(score).collect();
                let total: f64 = weights.iter().sum();
                for (row, weight) in values.iter().zip(&weights) {
                    out.iter_mut().zip(of(row, kv)).for_each(|(out, value)| *out += weight / total * value);
                }
            }
        }
        self.linear(&format!("blk.{layer}.attn_output"), &mixed)
    }

    fn mlp(&self, layer: usize, x: &Matrix) -> Matrix {
        let mut hidden = self.linear(&format!("blk.{layer}.ffn_gate"), x);
        let up = self.linear(&format!("blk.{layer}.ffn_up"), x);
        let both = hidden.iter_mut().flatten().zip(up.iter().flatten());
        both.for_each(|(gate, up)| *gate *= up / (1.0 + (-*gate).exp()));
        self.linear(&format!("blk.{layer}.ffn_down"), &hidden)
    }

    fn logits(&self, tokens: &[Token]) -> Matrix {
        let embedding = |&token: &Token| {
            self.tensors["token_embd.weight"][token as usize * self.hidden..][..self.hidden].to_vec()
        };
        let mut x: Matrix = tokens.iter().map(embedding).collect();
        for layer in 0..self.layers {
            let mixed = self.attention(layer, &self.normed(&format!("blk.{layer}.attn_norm"), &x));
            add(&mut x, &mixed);
            let hidden = self.mlp(layer, &self.normed(&format!("blk.{layer}.ffn_norm"), &x));
            add(&mut x, &hidden);
        }
        let head = if self.tensors.contains_key("output.weight") { "output" } else { "token_embd" };
        self.linear(head, &self.normed("output_norm", &x))
    }
}

fn add(x: &mut Matrix, delta: &Matrix) {
    x.iter_mut().flatten().zip(delta.iter().flatten()).for_each(|(x, delta)| *x += delta);
}

/// The small model of a family with another configuration.
fn extended(family: &str) -> (tempfile::TempDir, Checkpoint) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(family);
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).expect("a copy");
    let config = fs::read_to_string(from.join("config.json")).expect("the configuration");
    let scaling = format!(
        r#""rope_scaling": {{ "type": "yarn", "factor": {FACTOR}, "original_max_position_embeddings": {ORIGINAL} }}"#
    );
    let config = config.replacen('{', &format!("{{ {scaling},"), 1);
    fs::write(folder.path().join("config.json"), config).expect("written");
    let checkpoint = Checkpoint::open(folder.path()).expect("the checkpoint");
    (folder, checkpoint)
}

#[test]
fn yarn_equals_the_equations() {
    for family in ["qwen2", "qwen3"] {
        let (_folder, checkpoint) = extended(family);
        let reference = Reference::new(&checkpoint);
        let tokens: Vec<Token> = (0..40).map(|i| (i * 71 + 5) % 512).collect();
        let mut cpu = Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() });
        let model = Arc::new(Model::load(&checkpoint, &mut cpu).expect("the model"));
        let options = SessionOptions {
            context: 48,
            cache: [Format::F32; 2],
            switches: Switches::exact(),
            ..SessionOptions::default()
        };
        let mut session = Session::new(model, Rc::new(RefCell::new(cpu)), options).expect("a session");
        let ours = session.extend(&tokens, Rows::All).expect("logits").data;
        let expected: Vec<f64> = reference.logits(&tokens).concat();
        assert_eq!(ours.len(), expected.len());
        let difference: f64 = ours.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let distance = (difference / expected.iter().map(|x| x * x).sum::<f64>()).sqrt();
        assert!(distance < 1e-5, "{family}: {distance:.1e}");
    }
}
