//! Random weights in the shape of every family, in several types and depths, give finite logits on the CPU executor.

mod support;

use ridgeline_compute::{Caps, Cpu};
use ridgeline_model::{Model, Session, SessionOptions, arch};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::{Checkpoint, Quantization};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use support::{FAMILIES, model};

const TOKENS: [Token; 11] = [1, 30, 7, 299, 0, 15, 200, 150, 3, 3, 77];

/// The logits of a prompt and of one more token.
fn logits(checkpoint: &Checkpoint) -> Vec<f32> {
    let mut device = Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() });
    let model = Arc::new(Model::load(checkpoint, &mut device).expect("the model"));
    let options =
        SessionOptions { context: 32, batch: 16, cache: [Format::F32; 2], ..SessionOptions::default() };
    let mut session = Session::new(model, Rc::new(RefCell::new(device)), options).expect("a session");
    let (prompt, last) = TOKENS.split_at(TOKENS.len() - 1);
    let mut logits = session.extend(prompt, Rows::All).expect("the prompt").data;
    logits.extend(session.extend(last, Rows::Last).expect("a token").data);
    logits
}

#[test]
fn random_weights_of_every_family_give_finite_logits() {
    let mut families = HashSet::new();
    for name in FAMILIES {
        let source = Checkpoint::open(&model(name)).expect("a checkpoint");
        let family = source.metadata().str("general.architecture").expect("a family").to_owned();
        for (layers, quantization) in [(1, "F32"), (9, "Q8_0"), (4, "Q4_K_M")] {
            let quantization: Quantization = quantization.parse().expect("a type or mix");
            let random = source.random_like(Some(layers), Some(quantization), 3).expect("random weights");
            let logits = logits(&random);
            let (least, most) = logits.iter().fold((f32::MAX, f32::MIN), |it, &l| (it.0.min(l), it.1.max(l)));
            assert!(logits.iter().all(|it| it.is_finite()), "{family}: {quantization}, {layers} layers");
            // Weights of deviation 0.02 give small logits, which are not all equal.
            assert!((1e-4..100.0).contains(&(most - least)), "{family}: {quantization}: {least} to {most}");
        }
        families.insert(family);
    }
    assert_eq!(families.len(), arch::ALL.len(), "{families:?}");
}
