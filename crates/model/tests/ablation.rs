//! Ablation: an ablated part launches nothing, and the rest of the forward pass stays within its buffers.

mod support;

use ridgeline_compute::{Caps, Cpu, Executor, Recording, Region};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_model::{
    AttentionPath, Fusion, Fusions, Model, Part, Parts, Session, SessionOptions, Switches,
};
use ridgeline_speculative::{LanguageModel, Rows};
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use support::FAMILIES;

/// Positions in the cache before the forward pass.
const DEPTH: usize = 5;

fn caps() -> Caps {
    Caps { subgroup: Some((8, 8)), ..Caps::webgpu() }
}

fn session<E: Executor>(family: &str, mut executor: E, switches: Switches) -> Session<E> {
    let checkpoint = Checkpoint::open(&support::model(family)).expect("the checkpoint");
    let model = Model::load(&checkpoint, &mut executor).expect("the model");
    let options =
        SessionOptions { context: 48, batch: 24, logit_rows: 24, switches, ..SessionOptions::default() };
    Session::new(Arc::new(model), Rc::new(RefCell::new(executor)), options).expect("a session")
}

fn record(session: &mut Session<Cpu>, tokens: u32, want: Rows) -> &Recording {
    session.truncate(0).expect("a rewind");
    session.set_kv_len(DEPTH).expect("within the context");
    let ids: Vec<u32> = (0..tokens).collect();
    session.record(&ids, want).expect("a forward pass")
}

/// Region, kernel and parameters of each launch.
fn launches(session: &mut Session<Cpu>, tokens: u32) -> Vec<(Region, String, Vec<u8>)> {
    let pass = record(session, tokens, Rows::Last);
    let of = |it| (pass.kernel(it).label(), pass.params(it).to_vec());
    let launches = pass.launches().iter().map(|it| (it.region, of(it)));
    launches.map(|(region, (kernel, params))| (region, kernel, params)).collect()
}

/// Switches that make each part launches of its own, except for the residual adds and the activation.
fn apart(ablate: Parts) -> Switches {
    Switches { fusions: Fusions::all().without(Fusion::RopeAppend), ablate, ..Switches::default() }
}

#[test]
fn every_module_belongs_to_a_part() {
    for family in FAMILIES {
        for fusions in [Fusions::all(), Fusions::NONE] {
            let switches = Switches { fusions, ..Switches::default() };
            let mut session = session(family, Cpu::new(caps()), switches);
            for tokens in [1, 7] {
                for (Region { module, .. }, kernel, _) in launches(&mut session, tokens) {
                    assert_eq!(
                        Part::of(module).is_none(),
                        module == "sampling",
                        "{family}: {module}: {kernel}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_ablated_part_launches_nothing_and_the_others_are_unchanged() {
    for family in FAMILIES {
        let mut whole = session(family, Cpu::new(caps()), apart(Parts::NONE));
        for &part in Part::ALL {
            let mut ablated = session(family, Cpu::new(caps()), apart(Parts::NONE.with(part)));
            for tokens in [1, 7] {
                let all = launches(&mut whole, tokens);
                let before = all.len();
                let rest: Vec<_> =
                    all.into_iter().filter(|(region, ..)| Part::of(region.module) != Some(part)).collect();
                assert!(rest.len() < before, "{family}: {part} has launches");
                assert_eq!(launches(&mut ablated, tokens), rest, "{family} without {part}, {tokens} tokens");
            }
        }
    }
}

#[test]
fn ablation_splits_the_fused_launch_only_where_it_must() {
    let names = |part| {
        let switches = Switches { ablate: Parts::NONE.with(part), ..Switches::default() };
        let mut session = session("qwen3", Cpu::new(caps()), switches);
        let pass = record(&mut session, 1, Rows::Last);
        let layer = pass.launches().iter().filter(|it| it.region.layer == Some(0));
        layer.map(|it| pass.kernel(it).name()).collect::<Vec<_>>()
    };
    for (part, fused) in
        [(Part::Norm, true), (Part::Projection, true), (Part::Rope, false), (Part::KvWrite, false)]
    {
        assert_eq!(names(part).contains(&"rope_append"), fused, "{part}");
    }
    assert!(!names(Part::Norm).contains(&"qk_norm"));
    assert!(names(Part::Rope).contains(&"kv_append") && names(Part::Rope).contains(&"qk_norm"));
    assert!(names(Part::KvWrite).contains(&"rope") && !names(Part::KvWrite).contains(&"kv_append"));
}

#[test]
fn every_combination_stays_within_its_buffers() {
    for family in ["gta", "gva", "llama-mha-tied", "qwen2", "qwen3"] {
        for set in 0..1u32 << Part::ALL.len() {
            let ablate: Parts =
                Part::ALL.iter().copied().filter(|&part| set & 1 << part as u32 != 0).collect();
            let whole = Switches { ablate, int8_dot: set % 2 == 0, ..Switches::default() };
            let unfused = Switches { fusions: Fusions::NONE, attention: AttentionPath::Unfused, ..whole };
            for switches in [whole, unfused] {
                let mut session = session(family, Cpu::new(caps()), switches);
                // Recording a launch checks the bounds of its buffers.
                for (tokens, want) in [(1, Rows::Last), (7, Rows::Last), (7, Rows::All), (24, Rows::Last)] {
                    record(&mut session, tokens, want);
                }
            }
        }
    }
}

/// Prompts and generations without each part, and without all.
fn run<E: Executor>(open: impl Fn() -> E) {
    let sets = Part::ALL.iter().map(|&part| Parts::NONE.with(part)).chain([Parts::all()]);
    for (i, ablate) in sets.enumerate() {
        let family = FAMILIES[i % FAMILIES.len()];
        let mut session = session(family, open(), Switches { ablate, ..Switches::default() });
        let picks = session.extend_greedy(&[1, 2, 3, 4, 5, 6, 7], Rows::All).expect("choices");
        let more = session.decode_greedy(picks[6], 5).expect("choices");
        let vocab = session.vocab();
        let known = picks.iter().chain(&more).all(|&token| (token as usize) < vocab);
        assert!(
            known && (picks.len(), more.len()) == (7, 5),
            "{family} without {ablate:?}: {picks:?} {more:?}"
        );
    }
}

#[test]
fn ablated_passes_run_on_the_cpu_executor() {
    run(|| Cpu::new(caps()));
}

#[test]
fn ablated_passes_run_on_an_adapter() {
    let linker = Arc::new(ridgeline_kernels::linker().expect("the templates"));
    let open = || Gpu::open(&AdapterChoice::Best, linker.clone(), GpuOptions::default());
    match open() {
        Ok(_) => run(|| open().expect("the adapter")),
        // Without an adapter the test passes, except on CI.
        Err(error) => assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}"),
    }
}
