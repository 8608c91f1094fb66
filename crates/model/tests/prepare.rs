//! `Session::prepare` compiles every kernel that the session uses later.

use ridgeline_compute::{
    AnyKernel, Buffer, Caps, Cpu, Error, Executor, InFlight, Recording, Role, RunOptions, RunOutput, Slice,
};
use ridgeline_model::{AttentionPath, Model, RunTimes, Session, SessionOptions, Switches};
use ridgeline_speculative::{Choice, LanguageModel, Rows, Sampler};
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The CPU reference kernels behind a log of prepared and used kernels.
#[derive(Debug)]
struct PrepareLog {
    cpu: Cpu,
    prepared: HashSet<AnyKernel>,
    calls: usize,
    /// Kernels that ran without being prepared.
    stalls: Vec<AnyKernel>,
}

impl Executor for PrepareLog {
    fn caps(&self) -> &Caps {
        self.cpu.caps()
    }
    fn alloc(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.cpu.alloc(bytes, role, label)
    }
    fn alloc_texture(&mut self, bytes: u64, role: Role, label: &str) -> Result<Buffer, Error> {
        self.cpu.alloc_texture(bytes, role, label)
    }
    fn write(&mut self, at: Slice, data: &[u8]) -> Result<(), Error> {
        self.cpu.write(at, data)
    }
    fn prepare(&mut self, kernels: &[AnyKernel]) -> Result<(), Error> {
        self.calls += 1;
        self.prepared.extend(kernels.iter().cloned());
        Ok(())
    }
    fn start_with(&mut self, recording: &Recording, options: RunOptions) -> Result<InFlight, Error> {
        let used = recording.kernels().iter().filter(|it| !self.prepared.contains(it));
        self.stalls.extend(used.cloned());
        self.cpu.start_with(recording, options)
    }
    fn finish(&mut self, started: InFlight) -> Result<RunOutput, Error> {
        self.cpu.finish(started)
    }
}

const CONTEXT: usize = 300;
const BATCH: usize = 32;

fn session(family: &str, caps: Caps, switches: Switches) -> Session<PrepareLog> {
    let cpu = Cpu::new(caps);
    let mut executor = PrepareLog { cpu, prepared: HashSet::new(), calls: 0, stalls: Vec::new() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(family);
    let checkpoint = Checkpoint::open(&folder).expect("the checkpoint");
    let model = Model::load(&checkpoint, &mut executor).expect("the model");
    let options = SessionOptions { context: CONTEXT, batch: BATCH, switches, ..SessionOptions::default() };
    Session::new(Arc::new(model), Rc::new(RefCell::new(executor)), options).expect("a session")
}

/// Runs the prepared lengths at both ends of the context.
fn run(session: &mut Session<PrepareLog>, lengths: &[usize]) {
    let sampler = Sampler::default();
    for &n in lengths {
        for want in [Rows::Last, Rows::All] {
            for position in [0, CONTEXT - n] {
                session.truncate(0).expect("a rewind");
                session.set_kv_len(position).expect("within the context");
                session.extend_greedy(&vec![1; n], want).expect("choices");
            }
        }
    }
    for position in [0, CONTEXT - 8] {
        session.truncate(0).expect("a rewind");
        session.set_kv_len(position).expect("within the context");
        session.extend(&[1], Rows::Last).expect("logits");
        session.decode_greedy(1, 3).expect("choices");
        let choice = Choice::Sampled(&sampler, &[0.1, 0.9]);
        session.decode(1, choice, &mut |_| ControlFlow::Continue(())).expect("sampled tokens");
    }
}

/// Adapters with different kernels: GPUs without and with subgroups, and a software adapter.
fn adapters() -> [Caps; 3] {
    let subgroups = Caps { subgroup: Some((8, 8)), ..Caps::webgpu() };
    [Caps::webgpu(), subgroups.clone(), Caps { software: true, max_texture: 1 << 27, ..subgroups }]
}

#[test]
fn only_prepared_kernels_run() {
    let unfused = Switches { attention: AttentionPath::Unfused, ..Switches::default() };
    let splits = Switches { kv_split_len: Some(8), ..Switches::default() };
    let int8 = Switches { int8_dot: true, ..Switches::default() };
    for (family, switches) in [
        ("llama", Switches::default()),
        ("qwen3", Switches::default()),
        ("llama", unfused),
        ("llama", splits),
        ("qwen2", int8),
    ] {
        for caps in adapters() {
            let mut session = session(family, caps, switches);
            session.set_kv_len(7).expect("within the context");
            // A length beyond the batch is split into a batch and a remainder.
            let lengths = [5, BATCH + 8];
            session.prepare(&lengths).expect("kernels");
            assert_eq!((session.len(), session.take_times()), (7, RunTimes::default()));
            run(&mut session, &lengths);
            let executor = session.executor().borrow();
            assert_eq!(executor.calls, 1, "one call compiles all kernels");
            assert_eq!(executor.stalls, [], "{family}, {switches:?}");
        }
    }
}

#[test]
fn only_the_end_of_the_context_uses_kv_splits() {
    let mut session = session("llama", Caps::webgpu(), Switches::default());
    session.prepare(&[]).expect("kernels");
    let names = |session: &mut Session<PrepareLog>, position| -> Vec<&str> {
        session.truncate(0).expect("a rewind");
        session.set_kv_len(position).expect("within the context");
        let pass = session.record(&[1], Rows::Last).expect("a forward pass");
        pass.launches().iter().map(|step| pass.kernel(step).name()).collect()
    };
    assert!(!names(&mut session, 0).contains(&"attn_reduce"));
    assert!(names(&mut session, CONTEXT - 1).contains(&"attn_reduce"));
    assert!(session.executor().borrow().prepared.iter().any(|it| it.name() == "attn_reduce"));
}
