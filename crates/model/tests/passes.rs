//! What a pass is made of: launches a layer, and how much of the head.

use ridgeline_compute::{Caps, Cpu, Recording};
use ridgeline_kernels::{ProductChoice, mat_vec};
use ridgeline_model::{Model, Session, SessionOptions, Switches};
use ridgeline_speculative::Rows;
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

const LAYERS: u32 = 3;

/// A pass over `tokens` tokens of a small model after `depth` others.
fn pass(family: &str, (depth, tokens): (usize, u32), want: Rows, span: Option<u32>) -> Recording {
    let caps = Caps { subgroup: Some((32, 32)), ..Caps::webgpu() };
    let mut cpu = Cpu::new(caps);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(family);
    let checkpoint = Checkpoint::open(&folder).expect("the checkpoint");
    let model = Model::load(&checkpoint, &mut cpu).expect("the model");
    let switches = Switches { span, ..Switches::default() };
    let options =
        SessionOptions { context: 64, batch: 32, logit_rows: 32, switches, ..SessionOptions::default() };
    let mut session = Session::new(Arc::new(model), Rc::new(RefCell::new(cpu)), options).expect("a session");
    session.assume(depth).expect("it fits");
    let ids: Vec<u32> = (0..tokens).collect();
    session.record(&ids, want).expect("a pass").clone()
}

#[test]
fn a_layer_is_nine_launches_at_most() {
    for family in ["llama", "mistral", "qwen2", "qwen3"] {
        for (span, most) in [(None, 8), (Some(8), 9)] {
            let pass = pass(family, (30, 1), Rows::Last, span);
            for layer in 0..LAYERS {
                let launches = pass.steps().iter().filter(|step| step.region.layer == Some(layer)).count();
                assert_eq!(launches, most, "{family}, layer {layer}, spans of {span:?}");
            }
        }
    }
}

#[test]
fn no_more_of_the_head_is_computed_than_is_asked_for() {
    for (want, vectors) in [(Rows::None, vec![]), (Rows::Last, vec![1]), (Rows::All, vec![20])] {
        let pass = pass("llama", (0, 20), want, None);
        let heads = pass.steps().iter().filter(|step| step.region.part == "head");
        let products = heads.filter(|step| ProductChoice::of(pass.kernel(step)).is_some());
        let of = |step| bytemuck::pod_read_unaligned::<mat_vec::Params>(pass.params(step)).n_vecs;
        assert_eq!(products.map(of).collect::<Vec<_>>(), vectors, "{want:?}");
    }
}
