//! How recordings are run: pipelined or a token at a time, and the options that reach the executor.

use ridgeline_compute::{Caps, Cpu, Executor, Granularity, RunOptions, Stamps};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_model::{Model, RunTimes, Session, SessionOptions};
use ridgeline_speculative::{Choice, LanguageModel, Rows, Sampler, Token};
use ridgeline_weights::Checkpoint;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

const LAYERS: u32 = 3;

/// Generated tokens.
const N: u8 = 20;

/// A prompt's last choice, greedy and sampled tokens after it, and the times of the greedy ones.
fn generate<E: Executor>(mut executor: E, options: SessionOptions) -> (Vec<Token>, Vec<Token>, RunTimes) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/llama");
    let checkpoint = Checkpoint::open(&folder).expect("the checkpoint");
    let model = Model::load(&checkpoint, &mut executor).expect("the model");
    let executor = Rc::new(RefCell::new(executor));
    let mut session = Session::new(Arc::new(model), executor, options).expect("a session");
    let prompt = session.extend_greedy(&[1, 2, 3, 4, 5], Rows::Last).expect("a choice");
    session.take_times();
    let greedy = session.decode_greedy(prompt[0], usize::from(N)).expect("tokens");
    let times = session.take_times();
    let random: Vec<f64> = (0..N).map(|i| f64::from(i) / f64::from(N)).collect();
    let (sampler, mut sampled) = (Sampler::default(), Vec::new());
    let mut keep = |tokens: &[Token]| {
        sampled.extend_from_slice(tokens);
        ControlFlow::Continue(())
    };
    session
        .decode(greedy[usize::from(N) - 1], Choice::Sampled(&sampler, &random), &mut keep)
        .expect("tokens");
    assert_eq!(session.len(), 5 + 2 * usize::from(N));
    (greedy, sampled, times)
}

fn options(run: RunOptions, pipelined: bool) -> SessionOptions {
    SessionOptions { context: 64, batch: 16, run, pipelined, ..SessionOptions::default() }
}

#[test]
fn one_token_at_a_time_gives_the_same_tokens() {
    let run = |pipelined| generate(Cpu::new(Caps::webgpu()), options(RunOptions::default(), pipelined));
    let (ahead, single) = (run(true), run(false));
    assert_eq!((ahead.0, ahead.1), (single.0, single.1));
    assert_eq!((single.2.recordings, single.2.tokens), (20, 20));
    assert!(ahead.2.recordings < 20 && ahead.2.tokens == 20, "{:?}", ahead.2);
}

#[test]
fn options_are_read_from_their_json() {
    let run = RunOptions { submission: Some(Granularity::Layer), wait: true, stamps: Stamps::Launch };
    let before = options(run, false);
    let json = serde_json::to_string(&before).expect("JSON");
    assert!(json.contains(r#""run":{"submission":"layer","wait":true,"stamps":"launch"}"#), "{json}");
    assert_eq!(serde_json::from_str::<SessionOptions>(&json).expect("options"), before);
    assert_eq!(serde_json::from_str::<SessionOptions>("{}").expect("options"), SessionOptions::default());
    for wrong in [r#"{"run":{"waits":true}}"#, r#"{"run":{"submission":"token"}}"#, r#"{"depth":1}"#] {
        assert!(serde_json::from_str::<SessionOptions>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn sessions_pass_their_options_to_the_device() {
    let linker = Arc::new(ridgeline_kernels::linker().expect("the templates"));
    let open = || Gpu::open(&AdapterChoice::Best, linker.clone(), GpuOptions::default());
    if let Err(error) = open() {
        // Without an adapter the test passes, except on CI.
        return assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
    }
    let (greedy, sampled, _) = generate(open().expect("the adapter"), options(RunOptions::default(), true));
    let launches = u32::from(N) * (LAYERS * 8 + 4);
    let layers = u32::from(N) * (LAYERS + 2);
    for (submission, most) in
        [(Granularity::Pass, u32::from(N)), (Granularity::Layer, layers), (Granularity::Launch, launches)]
    {
        for (wait, stamps) in [(false, Stamps::Off), (true, Stamps::Submission), (false, Stamps::Launch)] {
            let run = RunOptions { submission: Some(submission), wait, stamps };
            let (tokens, more, times) = generate(open().expect("the adapter"), options(run, false));
            assert_eq!((tokens, more), (greedy.clone(), sampled.clone()), "{run:?}");
            assert_eq!(times.recordings, u32::from(N), "{run:?}");
            assert!(times.submissions <= most && 2 * times.submissions > most, "{run:?}: {times:?}");
            assert!(times.result_wait_ns <= times.wait_ns, "{times:?}");
            assert!(times.stamped == 0 || stamps != Stamps::Off, "{times:?}");
        }
    }
}
