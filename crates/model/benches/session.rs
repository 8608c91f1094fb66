//! One decode step with random weights. On wgpu's noop backend it measures the host's cost; on the best
//! adapter, if there is one, it measures the whole step.

use criterion::{BenchmarkId, Criterion, Throughput};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions};
use ridgeline_model::{Model, Session, SessionOptions};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows};
use ridgeline_weights::{Checkpoint, Shape};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Context before the step. Attention needs no KV splits at this length.
const DEPTH: usize = 128;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let linker = Arc::new(ridgeline_kernels::linker().expect("the shipped templates are valid"));
    let shape = include_str!("../../../models/bench-110m.toml");
    let shape = Shape::from_toml(shape).expect("a shape");
    let checkpoint = Checkpoint::random(&shape, Format::INT8_ACTIVATIONS, 0).expect("random weights");
    let noop = Gpu::noop(linker.clone()).expect("the noop backend is built in");
    let adapter = Gpu::open(&AdapterChoice::Best, linker, GpuOptions::default()).ok();
    for gpu in [Some(noop), adapter].into_iter().flatten() {
        let name = gpu.info().name.clone();
        let name = if gpu.info().backend == "noop" { "noop" } else { &name };
        steps(&mut criterion, name, session(&checkpoint, gpu));
    }
    criterion.final_summary();
}

fn session(checkpoint: &Checkpoint, mut gpu: Gpu) -> Session<Gpu> {
    let model = Arc::new(Model::load(checkpoint, &mut gpu).expect("it fits"));
    let options = SessionOptions { context: 2 * DEPTH, ..SessionOptions::default() };
    let mut session = Session::new(model, Rc::new(RefCell::new(gpu)), options).expect("a session");
    session.prepare(&[]).expect("kernels");
    session.set_kv_len(DEPTH).expect("within the context");
    session
}

/// Benchmarks recording a decode step, and running one.
fn steps(criterion: &mut Criterion, name: &str, mut session: Session<Gpu>) {
    let launches = session.record(&[0], Rows::Last).expect("a forward pass").launches().len();
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(launches as u64));
    if name == "noop" {
        group.bench_function("record", |b| {
            b.iter(|| session.record(&[0], Rows::Last).expect("a forward pass").launches().len());
        });
    }
    group.bench_function(BenchmarkId::new("step", name), |b| {
        b.iter(|| {
            session.truncate(DEPTH).expect("a rewind");
            session.extend_greedy(&[0], Rows::Last).expect("a token")
        });
    });
    group.finish();
}
