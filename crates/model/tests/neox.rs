//! Both forms of GPT-NeoX against a forward pass in f64 that shares no code with the engine. The golden logits cover only
//! parallel halves; the other form has `use_parallel_residual: false`.

use ridgeline_compute::{Caps, Cpu};
use ridgeline_model::{Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

const HIDDEN: usize = 64;
const HEADS: usize = 4;
const HEAD: usize = HIDDEN / HEADS;
/// Rotated values of a head.
const ROTARY: usize = 4;
const LAYERS: usize = 3;
const EPSILON: f64 = 1e-5;

type Matrix = Vec<Vec<f64>>;

/// The model as equations (Black et al. 2022).
struct Reference {
    tensors: HashMap<String, Vec<f64>>,
    parallel: bool,
}

impl Reference {
    fn tensor(&self, name: &str) -> &[f64] {
        &self.tensors[name]
    }

    /// W·x + b of every row of x.
    fn linear(&self, name: &str, x: &Matrix) -> Matrix {
        let (w, b) = (self.tensor(&format!("{name}.weight")), self.tensors.get(&format!("{name}.bias")));
        let row = |x: &Vec<f64>| {
            let of = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            let products = w.chunks_exact(x.len()).map(of).enumerate();
            products.map(|(i, y)| y + b.map_or(0.0, |b| b[i])).collect()
        };
        x.iter().map(row).collect()
    }

    fn layer_norm(&self, name: &str, x: &Matrix) -> Matrix {
        let (gain, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let row = |x: &Vec<f64>| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
            let scaled = x.iter().map(|x| (x - mean) / (variance + EPSILON).sqrt());
            scaled.zip(gain.iter().zip(bias)).map(|(x, (gain, bias))| x * gain + bias).collect()
        };
        x.iter().map(row).collect()
    }

    /// Causal attention over rows of queries, keys and values.
    fn attention(&self, layer: usize, x: &Matrix) -> Matrix {
        let qkv = self.linear(&format!("blk.{layer}.attn_qkv"), x);
        let head = |position: usize, part: usize, head: usize| {
            let first = part * HIDDEN + head * HEAD;
            let mut values = qkv[position][first..first + HEAD].to_vec();
            if part < 2 {
                rotate(&mut values, position);
            }
            values
        };
        let mut mixed = vec![vec![0.0; HIDDEN]; x.len()];
        for (position, out) in mixed.iter_mut().enumerate() {
            for h in 0..HEADS {
                let query = head(position, 0, h);
                let dot = |key: Vec<f64>| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
                let weights = (0..=position).map(|at| (dot(head(at, 1, h)) / (HEAD as f64).sqrt()).exp());
                let weights: Vec<f64> = weights.collect();
                let total: f64 = weights.iter().sum();
                for (at, weight) in weights.iter().enumerate() {
                    let slots = out[h * HEAD..].iter_mut().zip(head(at, 2, h));
                    slots.for_each(|(out, value)| *out += weight / total * value);
                }
            }
        }
        self.linear(&format!("blk.{layer}.attn_output"), &mixed)
    }

    fn mlp(&self, layer: usize, x: &Matrix) -> Matrix {
        let mut hidden = self.linear(&format!("blk.{layer}.ffn_up"), x);
        hidden.iter_mut().flatten().for_each(|x| *x *= 0.5 * (1.0 + erf(*x / 2.0_f64.sqrt())));
        self.linear(&format!("blk.{layer}.ffn_down"), &hidden)
    }

    fn logits(&self, tokens: &[Token]) -> Matrix {
        let embedding =
            |&token: &Token| self.tensor("token_embd.weight")[token as usize * HIDDEN..][..HIDDEN].to_vec();
        let mut x: Matrix = tokens.iter().map(embedding).collect();
        for layer in 0..LAYERS {
            let before = x.clone();
            add(&mut x, &self.attention(layer, &self.layer_norm(&format!("blk.{layer}.attn_norm"), &before)));
            let read = if self.parallel { before } else { x.clone() };
            add(&mut x, &self.mlp(layer, &self.layer_norm(&format!("blk.{layer}.ffn_norm"), &read)));
        }
        self.linear("output", &self.layer_norm("output_norm", &x))
    }
}

fn add(x: &mut Matrix, delta: &Matrix) {
    x.iter_mut().flatten().zip(delta.iter().flatten()).for_each(|(x, delta)| *x += delta);
}

/// Rotates values i and i + rotary / 2 by position · 10000^(−2i / rotary).
fn rotate(values: &mut [f64], position: usize) {
    for i in 0..ROTARY / 2 {
        let angle = position as f64 * 10_000_f64.powf(-2.0 * i as f64 / ROTARY as f64);
        let (a, b) = (values[i], values[i + ROTARY / 2]);
        values[i] = a * angle.cos() - b * angle.sin();
        values[i + ROTARY / 2] = b * angle.cos() + a * angle.sin();
    }
}

/// The error function by its Taylor series, which converges quickly below 4. Beyond, it is ±1 to 1e-8.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// The relative distance between the engine's logits and those of the equations.
fn distance(parallel: bool) -> f64 {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gptneox");
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).expect("a copy");
    let config = fs::read_to_string(from.join("config.json")).expect("the configuration");
    let changed =
        config.replace("\"use_parallel_residual\": true", &format!("\"use_parallel_residual\": {parallel}"));
    assert_eq!(changed == config, parallel, "the configuration names the form");
    fs::write(folder.path().join("config.json"), changed).expect("written");
    let checkpoint = Checkpoint::open(folder.path()).expect("the checkpoint");
    let tensors = checkpoint.tensors().map(|it| it.name.to_owned()).collect::<Vec<_>>().into_iter();
    let values = |name: String| {
        let values = checkpoint.tensor(&name).expect("a tensor").to_f32();
        (name, values.into_iter().map(f64::from).collect())
    };
    let reference = Reference { tensors: tensors.map(values).collect(), parallel };
    let tokens: Vec<Token> = (0..14).map(|i| (i * 71 + 5) % 512).collect();
    let mut cpu = Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() });
    let model = Arc::new(Model::load(&checkpoint, &mut cpu).expect("the model"));
    let options = SessionOptions {
        context: 16,
        cache: [Format::F32; 2],
        switches: Switches::exact(),
        ..SessionOptions::default()
    };
    let mut session = Session::new(model, Rc::new(RefCell::new(cpu)), options).expect("a session");
    let ours = session.extend(&tokens, Rows::All).expect("logits").data;
    let expected: Vec<f64> = reference.logits(&tokens).concat();
    assert_eq!(ours.len(), expected.len());
    let difference: f64 = ours.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (difference / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
}

#[test]
fn both_forms_of_the_residual_stream_equal_the_equations() {
    for parallel in [true, false] {
        let distance = distance(parallel);
        assert!(distance < 1e-5, "parallel {parallel}: {distance:.1e}");
    }
}
