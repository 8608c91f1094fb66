//! Submissions of a recording, timestamps, and the host's caches.

use crate::kernels::add_to::{self, AddTo};
use crate::kernels::linker;
use crate::kernels::mark::{self, Mark};
use crate::kernels::scale::{self, Scale};
use crate::kernels::spin::{self, Spin};
use crate::results::{bytes, floats};
use crate::{gpu, open};
use ridgeline_compute::{
    AnyKernel, Buffer, Error, Executor, Granularity, Recording, Region, Role, RunOptions, Stamps,
};
use ridgeline_gpu::{Gpu, GpuOptions};

/// Three layers of two modules with two launches each: `y = 2 x`, then eleven times `y += x`.
fn layered(gpu: &mut Gpu) -> (Recording, [Buffer; 2]) {
    let x = gpu.alloc(512, Role::Activation, "x").expect("memory");
    let y = gpu.alloc(512, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    recording.upload(x.all(), &bytes(&[1.5; 128]));
    for layer in 0..3 {
        for module in ["attention", "mlp"] {
            recording.enter(Region { layer: Some(layer), module });
            for _ in 0..2 {
                if recording.launches().is_empty() {
                    let params = scale::Params { n: 128, factor: 2.0 };
                    recording.run(
                        Scale { workgroup_size: 64 },
                        params,
                        scale::Args { x: x.all(), y: y.all() },
                    );
                } else {
                    let args = add_to::Args { x: x.all(), y: y.all() };
                    recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 128 }, args);
                }
            }
        }
    }
    recording.read_back(y.all());
    (recording, [x, y])
}

pub(crate) fn run_options_do_not_change_results() {
    check_run_options(&mut gpu());
}

/// The launch that marks the end of a submission is in no result and in no timestamp.
pub(crate) fn verified_submissions_have_the_same_results() {
    let mut gpu = gpu();
    gpu.verify_completion(AnyKernel::new(Mark {})).expect("a kernel");
    check_run_options(&mut gpu);
    let (recording, keep) = layered(&mut gpu);
    let options = RunOptions { submission: Some(Granularity::Layer), ..RunOptions::default() };
    let started = [(); 3].map(|()| gpu.start_with(&recording, options).expect("a start"));
    for started in started {
        assert_eq!(floats(&gpu.finish(started).expect("a run").reads[0]), vec![19.5; 128], "in flight");
    }
    let mut silent = Recording::new();
    silent.run(Mark {}, mark::Params { value: 1 }, mark::Args { to: keep[0].all() });
    assert!(gpu.run(&silent).expect("a run without results").reads.is_empty());
    assert!(gpu.run(&Recording::new()).expect("a run without launches").reads.is_empty());
}

/// The noop backend reports launches as done that it never ran, as Metal does after a failure.
pub(crate) fn a_submission_that_did_not_run_is_a_lost_device() {
    let mut gpu = Gpu::noop(linker()).expect("the noop backend is built in");
    let (recording, _keep) = layered(&mut gpu);
    gpu.run(&recording).expect("a run that is not verified");
    let other = gpu.verify_completion(AnyKernel::new(Scale { workgroup_size: 64 }));
    assert!(matches!(other, Err(Error::Shader { .. })), "two parameters: {other:?}");
    gpu.verify_completion(AnyKernel::new(Mark {})).expect("a kernel");
    for _ in 0..2 {
        let error = gpu.run(&recording).expect_err("no launch ran");
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    }
}

fn check_run_options(gpu: &mut Gpu) {
    let (recording, _keep) = layered(gpu);
    let each = recording.launch_cost(&recording.launches()[0]).flops;
    assert!(
        recording.launches().iter().all(|step| recording.launch_cost(step).flops == each),
        "all twelve launches have the same cost"
    );
    let submissions = [
        (None, 1),
        (Some(Granularity::Pass), 1),
        (Some(Granularity::Bounded(u64::MAX)), 1),
        (Some(Granularity::Bounded(5 * each)), 3),
        (Some(Granularity::Bounded(1)), 12),
        (Some(Granularity::Layer), 3),
        (Some(Granularity::Launch), 12),
    ];
    for (submission, count) in submissions {
        for wait in [false, true] {
            for (stamps, stamped) in [(Stamps::Off, 0), (Stamps::Submission, count), (Stamps::Launch, 12)] {
                let options = RunOptions { submission, wait, stamps };
                let outcome = gpu.run_with(&recording, options).expect("a run");
                assert_eq!(floats(&outcome.reads[0]), vec![19.5; 128], "{options:?}");
                let timing = outcome.timing;
                assert_eq!(timing.submissions, count, "{options:?}");
                assert!(timing.submitted_ns > 0 && timing.submitted_ns < timing.total_ns(), "{timing:?}");
                let times = timing.device_ns.map(|times| times.len());
                assert!(times.is_none_or(|times| times == stamped as usize), "{options:?}: {times:?}");
                assert!(stamped > 0 || times.is_none(), "{options:?}");
            }
        }
    }
}

pub(crate) fn recordings_in_flight_have_their_own_timestamps() {
    let mut gpu = open(GpuOptions::default());
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let recordings = [1, 60_000, 1].map(|rounds| {
        let mut recording = Recording::new();
        recording.run(
            Spin { workgroup_size: 64 },
            spin::Params { groups: 1, rounds },
            spin::Args { y: y.all() },
        );
        recording
    });
    gpu.run(&recordings[0]).expect("a warm-up");
    let options = RunOptions { stamps: Stamps::Submission, ..RunOptions::default() };
    let mut least = [u64::MAX; 3];
    let own = (0..100).any(|_| {
        let started = [0, 1, 2].map(|i| gpu.start_with(&recordings[i], options).expect("a start"));
        for (least, started) in least.iter_mut().zip(started) {
            let times = gpu.finish(started).expect("a run").timing.device_ns;
            let Some([time]) = times.as_deref() else { continue };
            *least = (*time).min(*least);
        }
        least[1] != u64::MAX && least[1] > 10 * least[0].max(least[2])
    });
    let withheld = !gpu.info().features.timestamps || gpu.info().backend == "metal";
    assert!(own || withheld, "sixty thousand rounds between one and one: {least:?} ns");
}

pub(crate) fn a_layer_is_one_submission() {
    let mut gpu = gpu();
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    // A region that comes again after another one is a new submission.
    for (layer, launches) in [(None, 1), (Some(0), 5), (Some(1), 5), (Some(0), 2), (None, 1)] {
        recording.enter(Region { layer, module: "all" });
        for _ in 0..launches {
            recording.run(
                Spin { workgroup_size: 64 },
                spin::Params { groups: 1, rounds: 1 },
                spin::Args { y: y.all() },
            );
        }
    }
    let options = RunOptions { submission: Some(Granularity::Layer), ..RunOptions::default() };
    assert_eq!(gpu.run_with(&recording, options).expect("a run").timing.submissions, 5);
}

pub(crate) fn profiled_times_are_plausible() {
    let mut gpu = open(GpuOptions::default());
    let options = RunOptions::stamp_launches();
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    for rounds in [1, 60_000, 1] {
        recording.run(
            Spin { workgroup_size: 64 },
            spin::Params { groups: 1, rounds },
            spin::Args { y: y.all() },
        );
    }
    gpu.run_with(&recording, options).expect("a warm-up");
    if !gpu.info().features.timestamps {
        assert_eq!(gpu.run_with(&recording, options).expect("a run").timing.device_ns, None);
        return;
    }
    // On a busy machine an interruption may exceed the long launch's time, so the minimum of many runs counts.
    let mut least = [u64::MAX; 3];
    let long_step_shows = (0..100).any(|_| {
        let timing = gpu.run_with(&recording, options).expect("a run").timing;
        let Some(times) = &timing.device_ns else { return false };
        assert_eq!(times.len(), 3);
        assert!(times.iter().sum::<u64>() <= timing.total_ns() + timing.total_ns() / 10);
        for (least, &time) in least.iter_mut().zip(times) {
            *least = time.min(*least);
        }
        least[1] > 10 * least[0].max(least[2])
    });
    // Metal's timestamps may be implausible, and the executor then returns none.
    let withheld = least == [u64::MAX; 3] && gpu.info().backend == "metal";
    assert!(long_step_shows || withheld, "sixty thousand rounds between one and one: {least:?} ns");
}

pub(crate) fn profiles_span_several_query_sets() {
    let mut gpu = open(GpuOptions::default());
    let options = RunOptions::stamp_launches();
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    for _ in 0..2500 {
        recording.run(
            Spin { workgroup_size: 64 },
            spin::Params { groups: 1, rounds: 1 },
            spin::Args { y: y.all() },
        );
    }
    let timing = gpu.run_with(&recording, options).expect("a run").timing;
    assert!(timing.device_ns.is_none_or(|times| times.len() == 2500));
}

pub(crate) fn caches_stay_warm() {
    let mut gpu = gpu();
    let (recording, [_x, y]) = layered(&mut gpu);
    gpu.prepare(recording.kernels()).expect("pipelines");
    assert_eq!((gpu.host_stats().pipelines, gpu.host_stats().bind_groups), (2, 0));
    for _ in 0..3 {
        gpu.run(&recording).expect("a run");
        // Both kernels have one read binding and one written binding, so they share the layout and the bind group.
        assert_eq!((gpu.host_stats().pipelines, gpu.host_stats().bind_groups), (2, 1));
    }
    let mut other = Recording::new();
    let x = gpu.alloc(512, Role::Activation, "x2").expect("memory");
    other.run(AddTo { workgroup_size: 32 }, add_to::Params { n: 1 }, add_to::Args { x: x.all(), y: y.all() });
    gpu.run(&other).expect("a run");
    assert_eq!((gpu.host_stats().pipelines, gpu.host_stats().bind_groups), (3, 2));
}

pub(crate) fn the_noop_backend_encodes() {
    let mut gpu = Gpu::noop(linker()).expect("the noop backend is built in");
    assert_eq!(gpu.info().backend, "noop");
    let (recording, [_x, y]) = layered(&mut gpu);
    let outcome = gpu.run(&recording).expect("a run");
    // The noop backend runs copies but no launches.
    assert_eq!(floats(&outcome.reads[0]), vec![0.0; 128]);
    assert!(outcome.timing.encode_ns > 0);
    gpu.write(y.all(), &bytes(&[4.0; 128])).expect("a write");
    assert_eq!(floats(&gpu.read(y.all()).expect("a read")), vec![4.0; 128]);
    let timing = gpu.run_with(&recording, RunOptions::stamp_launches()).expect("a profiled run").timing;
    assert_eq!(timing.device_ns, None, "the noop backend has no timestamps");
}

pub(crate) fn the_bind_group_cache_is_bounded() {
    const LAUNCHES: u64 = 33_000;
    let mut gpu = Gpu::noop(linker()).expect("the noop backend is built in");
    let x = gpu.alloc(256 * LAUNCHES, Role::Activation, "x").expect("memory");
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    for i in 0..LAUNCHES {
        let args = add_to::Args { x: x.slice(256 * i, 256), y: y.all() };
        recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 64 }, args);
    }
    gpu.run(&recording).expect("a run");
    let kept = gpu.host_stats().bind_groups;
    assert!(kept > 0 && kept < 33_000, "{kept} bind groups after {LAUNCHES} different launches");
}
