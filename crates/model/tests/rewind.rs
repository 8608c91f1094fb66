//! Rewinding a recurrent model: it is exact at any depth, and nothing goes on from a state that is not known.

use ridgeline_compute::{
    Buffer, Caps, Cpu, Error as DeviceError, Executor, InFlight, Recording, Role, RunOptions, RunOutput,
    Slice,
};
use ridgeline_model::{Error, Model, Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Token};
use ridgeline_weights::Checkpoint;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The CPU executor, which fails to start recordings while the flag is set.
struct Faulty(Cpu, Rc<Cell<bool>>);

impl Executor for Faulty {
    fn caps(&self) -> &Caps {
        self.0.caps()
    }
    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, DeviceError> {
        self.0.alloc(bytes, role, label)
    }
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, DeviceError> {
        self.0.alloc_texture(bytes, role, label)
    }
    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), DeviceError> {
        self.0.write(at, data)
    }
    fn prepare(&mut self, kernels: &[ridgeline_compute::AnyKernel]) -> Result<(), DeviceError> {
        self.0.prepare(kernels)
    }
    fn start_with(&mut self, recording: &Recording, options: RunOptions) -> Result<InFlight, DeviceError> {
        if self.1.get() {
            return Err(DeviceError::OutOfMemory { label: "a test".to_owned(), role: Role::Kv, bytes: 1 });
        }
        self.0.start_with(recording, options)
    }
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, DeviceError> {
        self.0.finish(started)
    }
}

/// A session of the small Qwen3.5, and the flag that makes its device fail.
fn session() -> (Session<Faulty>, Rc<Cell<bool>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/qwen35");
    let checkpoint = Checkpoint::open(&folder).expect("the checkpoint");
    let fails = Rc::new(Cell::new(false));
    let mut device = Faulty(Cpu::new(Caps { subgroup: Some((8, 8)), ..Caps::webgpu() }), fails.clone());
    let model = Arc::new(Model::load(&checkpoint, &mut device).expect("the model"));
    let options = SessionOptions {
        context: 48,
        batch: 5,
        cache: [Format::F32; 2],
        sequences: 2,
        switches: Switches::exact(),
        ..SessionOptions::default()
    };
    (Session::new(model, Rc::new(RefCell::new(device)), options).expect("a session"), fails)
}

fn tokens() -> Vec<Token> {
    (0..30).map(|i| (i * 37 + 11) % 512).collect()
}

/// The logits of the tokens from position `first` on, in a fresh session.
fn fresh(tokens: &[Token], first: usize) -> Vec<f32> {
    let (mut session, _) = session();
    let all = session.extend(tokens, Rows::All).expect("logits");
    all.data[first * all.vocab..].to_vec()
}

fn assert_close(ours: &[f32], fresh: &[f32], context: &str) {
    assert_eq!(ours.len(), fresh.len(), "{context}");
    let size = fresh.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
    let worst = ours.iter().zip(fresh).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-5 * size, "{context}: {worst} of {size}");
}

#[test]
fn rewinding_is_exact_after_prompts_steps_and_drafts() {
    let tokens = tokens();
    for len in [0, 1, 9, 12, 13, 14, 17, 19] {
        let (mut session, _) = session();
        session.extend(&tokens[..9], Rows::None).expect("a prompt");
        session.extend(&tokens[9..12], Rows::All).expect("a draft");
        session.extend(&tokens[12..13], Rows::Last).expect("a step");
        session.extend(&tokens[13..14], Rows::Last).expect("a step");
        session.extend(&tokens[14..19], Rows::All).expect("a draft");
        session.truncate(len).expect("a rewind");
        assert_eq!(session.len(), len);
        let ours = session.extend(&tokens[len..], Rows::All).expect("logits");
        assert_close(&ours.data, &fresh(&tokens, len), &format!("rewound to {len}"));
    }
}

#[test]
fn rewinding_is_exact_after_decoding_on_the_device() {
    let tokens = tokens();
    let (mut session, _) = session();
    session.extend(&tokens[..9], Rows::None).expect("a prompt");
    let picks = session.decode_greedy(tokens[9], 12).expect("tokens");
    let known: Vec<Token> = tokens[..10].iter().chain(&picks).copied().collect();
    for len in [15, 10, 4] {
        session.truncate(len).expect("a rewind");
        let ours = session.extend(&known[len..], Rows::All).expect("logits");
        assert_close(&ours.data, &fresh(&known, len), &format!("rewound to {len}"));
    }
}

#[test]
fn a_sequence_that_was_moved_starts_again_from_nothing() {
    let tokens = tokens();
    for moved in [0, 3, 20] {
        let (mut session, _) = session();
        session.extend(&tokens[..12], Rows::None).expect("a prompt");
        session.set_kv_len(moved).expect("within the context");
        session.extend(&tokens[..2], Rows::None).expect("tokens");
        session.set_kv_len(moved).expect("within the context");
        session.truncate(0).expect("a rewind");
        let ours = session.extend(&tokens, Rows::All).expect("logits");
        assert_close(&ours.data, &fresh(&tokens, 0), &format!("moved to {moved}"));
    }
}

/// The first two tokens appended after the move overwrite keys and values, so that only those before it are known.
#[test]
fn a_sequence_that_was_moved_returns_to_what_it_still_has() {
    let tokens = tokens();
    for (moved, len) in [(5, 3), (5, 5), (20, 9), (20, 12)] {
        let (mut session, _) = session();
        session.extend(&tokens[..9], Rows::None).expect("a prompt");
        session.extend(&tokens[9..12], Rows::None).expect("a draft");
        session.set_kv_len(moved).expect("within the context");
        session.extend(&tokens[20..22], Rows::None).expect("tokens");
        session.truncate(len).expect("a rewind");
        let ours = session.extend(&tokens[len..], Rows::All).expect("logits");
        assert_close(&ours.data, &fresh(&tokens, len), &format!("moved to {moved}, rewound to {len}"));
    }
}

#[test]
fn a_pinned_sequence_is_exact_without_further_snapshots() {
    let tokens = tokens();
    let (mut session, _) = session();
    session.extend(&tokens[..9], Rows::None).expect("a prompt");
    session.pin().expect("a snapshot");
    // A prompt in several calls, then a generation, again and again.
    for len in [9, 9, 12, 4, 9] {
        session.extend(&tokens[session.len()..12], Rows::None).expect("a batch");
        session.extend(&tokens[12..17], Rows::None).expect("a batch");
        session.decode_greedy(tokens[17], 3).expect("tokens");
        session.set_kv_len(14).expect("within the context");
        session.truncate(len).expect("a rewind");
        assert_eq!(session.len(), len);
        let ours = session.extend(&tokens[len..], Rows::All).expect("logits");
        assert_close(&ours.data, &fresh(&tokens, len), &format!("rewound to {len}"));
        session.truncate(len).expect("a rewind");
    }
}

#[test]
fn nothing_goes_on_from_an_unknown_state() {
    let tokens = tokens();
    let (mut session, fails) = session();
    session.extend(&tokens[..12], Rows::None).expect("a prompt");
    fails.set(true);
    assert!(matches!(session.extend(&tokens[12..13], Rows::Last), Err(Error::Device(_))));
    fails.set(false);
    assert!(matches!(session.extend(&tokens[12..20], Rows::Last), Err(Error::StateLost)));
    assert!(matches!(session.decode_greedy(tokens[12], 3), Err(Error::StateLost)));
    fails.set(true);
    assert!(matches!(session.truncate(7), Err(Error::Device(_))), "the replay fails");
    fails.set(false);
    assert!(matches!(session.extend(&tokens[7..8], Rows::Last), Err(Error::StateLost)));
    session.truncate(7).expect("a rewind");
    assert_eq!(session.len(), 7);
    let ours = session.extend(&tokens[7..], Rows::All).expect("logits");
    assert_close(&ours.data, &fresh(&tokens, 7), "after the failures");
}

#[test]
fn a_failed_pass_leaves_the_states_of_other_sequences() {
    let tokens = tokens();
    let (mut session, fails) = session();
    session.extend_many(&[(0, &tokens[..4]), (1, &tokens[10..15])]).expect("prompts");
    fails.set(true);
    assert!(matches!(session.extend_many(&[(1, &tokens[15..16])]), Err(Error::Device(_))));
    fails.set(false);
    let both: [(usize, &[Token]); 2] = [(0, &tokens[4..5]), (1, &tokens[15..16])];
    assert!(matches!(session.extend_many(&both), Err(Error::StateLost)));
    assert!(matches!(session.decode_many(&[(0, 1), (1, 1)], 2), Err(Error::StateLost)));
    let first = session.extend_many(&both[..1]).expect("the other sequence goes on");
    assert_close(&first.data, &fresh(&tokens[..5], 4), "the other sequence");
    session.select(1).expect("a sequence").truncate(5).expect("a rewind");
    let second = session.extend_many(&[(1, &tokens[15..18]), (0, &tokens[5..6])]).expect("logits");
    assert_close(second.row(0), &fresh(&tokens[10..18], 7), "the rewound sequence");
    assert_close(second.row(1), &fresh(&tokens[..6], 5), "the other sequence");
}
