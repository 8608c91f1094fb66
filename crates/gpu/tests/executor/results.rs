//! Results of recordings.

use crate::kernels::add_to::{self, AddTo};
use crate::kernels::linker;
use crate::kernels::scale::{self, Scale};
use crate::kernels::spin::{self, Spin};
use crate::{gpu, open};
use ridgeline_compute::{Cpu, Executor, Kernel, Recording, Role, TestRng};
use ridgeline_gpu::{AdapterChoice, Checks, Gpu, GpuOptions};

pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// `y = 3 x; y += x; y += x`, with `n` values, read back.
fn chain(executor: &mut dyn Executor, n: u32, workgroup_size: u32) -> Vec<u8> {
    let size = 4 * u64::from(n);
    let x = executor.alloc(size, Role::Activation, "x").expect("memory");
    let y = executor.alloc(size, Role::Activation, "y").expect("memory");
    executor.write(x.all(), &bytes(&TestRng::new(7).floats(n as usize))).expect("a write");
    let mut recording = Recording::new();
    let params = scale::Params { n, factor: 3.0 };
    recording.run(Scale { workgroup_size }, params, scale::Args { x: x.all(), y: y.all() });
    for _ in 0..2 {
        recording.run(
            AddTo { workgroup_size },
            add_to::Params { n },
            add_to::Args { x: x.all(), y: y.all() },
        );
    }
    recording.read_back(y.all());
    executor.run(&recording).expect("a run").reads.remove(0)
}

pub(crate) fn kernels_agree_with_their_twins() {
    for checks in [Checks::Off, Checks::On] {
        let mut gpu = open(GpuOptions { checks, validation: true, ..GpuOptions::default() });
        for (n, workgroup_size) in [(1, 1), (63, 64), (64, 64), (1000, 64)] {
            assert_eq!(
                chain(&mut gpu, n, workgroup_size),
                chain(&mut Cpu::default(), n, workgroup_size),
                "{checks:?} {n} {workgroup_size}"
            );
        }
        for kernel in Spin::all(gpu.caps()) {
            let run = |executor: &mut dyn Executor| {
                let y = executor.alloc(3 * 256, Role::Activation, "y").expect("memory");
                let mut recording = Recording::new();
                recording.run(kernel, spin::Params { groups: 3, rounds: 77 }, spin::Args { y: y.all() });
                recording.read_back(y.all());
                executor.run(&recording).expect("a run").reads
            };
            assert_eq!(run(&mut gpu), run(&mut Cpu::default()), "{checks:?} {kernel:?}");
        }
    }
}

pub(crate) fn a_launch_sees_earlier_writes() {
    let mut gpu = gpu();
    let alloc = |gpu: &mut Gpu, label| gpu.alloc(4096, Role::Activation, label).expect("memory");
    let (a, b, c) = (alloc(&mut gpu, "a"), alloc(&mut gpu, "b"), alloc(&mut gpu, "c"));
    let kernel = Scale { workgroup_size: 64 };
    let params = scale::Params { n: 1024, factor: 2.0 };
    let mut recording = Recording::new();
    recording.upload(a.all(), &bytes(&[1.0; 1024]));
    recording.run(kernel, params, scale::Args { x: a.all(), y: b.all() });
    recording.run(kernel, params, scale::Args { x: b.all(), y: c.all() });
    // This overwrites `b`. The second launch must have read the old value.
    recording.run(kernel, params, scale::Args { x: c.all(), y: b.all() });
    recording.read_back(c.all());
    recording.read_back(b.all());
    let reads = gpu.run(&recording).expect("a run").reads;
    assert_eq!(floats(&reads[0]), vec![4.0; 1024]);
    assert_eq!(floats(&reads[1]), vec![8.0; 1024]);
}

pub(crate) fn three_hundred_launches_in_one_pass() {
    let mut gpu = gpu();
    let x = gpu.alloc(400, Role::Activation, "x").expect("memory");
    let y = gpu.alloc(400, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    recording.upload(x.all(), &bytes(&[0.5; 100]));
    for _ in 0..300 {
        let args = add_to::Args { x: x.all(), y: y.all() };
        recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 100 }, args);
    }
    recording.read_back(y.all());
    for run in 1_u8..=3 {
        let outcome = gpu.run(&recording).expect("a run");
        assert_eq!(floats(&outcome.reads[0]), vec![150.0 * f32::from(run); 100]);
        assert_eq!(outcome.timing.submissions, 1);
        assert!(outcome.timing.encode_ns > 0 && outcome.timing.wait_ns > 0);
    }
}

pub(crate) fn slices_at_offsets() {
    let mut gpu = gpu();
    let x = gpu.alloc(1024, Role::Weights, "x").expect("memory");
    let y = gpu.alloc(1024, Role::Activation, "y").expect("memory");
    let values: Vec<f32> = (0_u8..=255).map(f32::from).collect();
    gpu.write(x.all(), &bytes(&values)).expect("a write");
    gpu.write(x.slice(768, 8), &bytes(&[-1.0, -2.0])).expect("a write");
    let mut recording = Recording::new();
    let params = scale::Params { n: 5, factor: 10.0 };
    recording.run(
        Scale { workgroup_size: 64 },
        params,
        scale::Args { x: x.slice(512, 20), y: y.slice(256, 20) },
    );
    recording.run(
        Scale { workgroup_size: 64 },
        params,
        scale::Args { x: x.slice(768, 20), y: y.slice(512, 20) },
    );
    gpu.run(&recording).expect("a run");
    let y = floats(&gpu.read(y.all()).expect("a read"));
    let mut expected = vec![0.0; 256];
    expected[64..69].copy_from_slice(&[1280.0, 1290.0, 1300.0, 1310.0, 1320.0]);
    expected[128..133].copy_from_slice(&[-10.0, -20.0, 1940.0, 1950.0, 1960.0]);
    assert_eq!(y, expected);
}

pub(crate) fn grids_beyond_65535_groups() {
    let mut gpu = gpu();
    let n = 140_001;
    assert_eq!(chain(&mut gpu, n, 1), chain(&mut Cpu::default(), n, 1));
}

pub(crate) fn read_backs_come_in_order() {
    let mut gpu = gpu();
    let a = gpu.alloc(1000, Role::Activation, "a").expect("memory");
    let b = gpu.alloc(6, Role::Activation, "b").expect("memory");
    let counted: Vec<f32> = (0_u8..250).map(f32::from).collect();
    gpu.write(a.all(), &bytes(&counted)).expect("a write");
    gpu.write(b.all(), &[1, 2, 3, 4, 5, 6, 0, 0]).expect("a write");
    let mut recording = Recording::new();
    recording.read_back(a.slice(256, 12));
    recording.read_back(b.all());
    recording.read_back(a.slice(0, 0));
    recording.read_back(a.all());
    for _ in 0..2 {
        let reads = gpu.run(&recording).expect("a run").reads;
        assert_eq!(floats(&reads[0]), [64.0, 65.0, 66.0]);
        assert_eq!(reads[1], [1, 2, 3, 4, 5, 6]);
        assert!(reads[2].is_empty());
        assert_eq!(floats(&reads[3]), counted);
    }
}

pub(crate) fn running_recordings_keep_their_results() {
    let mut gpu = gpu();
    let x = gpu.alloc(16, Role::Activation, "x").expect("memory");
    let y = gpu.alloc(16, Role::Activation, "y").expect("memory");
    gpu.write(x.all(), &bytes(&[1.0, 2.0, 3.0, 4.0])).expect("a write");
    let mut recording = Recording::new();
    let args = add_to::Args { x: x.all(), y: y.all() };
    recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 4 }, args);
    recording.read_back(y.all());
    // More recordings than the pool of staging buffers holds, finished in another order than started.
    let times = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let mut in_flight = times.map(|times| (times, gpu.start(&recording).expect("a start")));
    in_flight.rotate_left(4);
    for (times, started) in in_flight {
        let reads = gpu.finish(started).expect("a run").reads;
        assert_eq!(floats(&reads[0]), [times, 2.0 * times, 3.0 * times, 4.0 * times]);
    }
    // A recording that is never finished does no harm.
    drop(gpu.start(&recording).expect("a start"));
    assert_eq!(floats(&gpu.run(&recording).expect("a run").reads[0]), [11.0, 22.0, 33.0, 44.0]);
}

pub(crate) fn the_pipeline_cache_file_survives_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = || std::fs::read_dir(folder.path()).expect("a folder").flatten().collect::<Vec<_>>();
    let run = || {
        let mut gpu = gpu();
        gpu.set_pipeline_cache_dir(folder.path());
        let y = gpu.alloc(16, Role::Activation, "y").expect("memory");
        let x = gpu.alloc(16, Role::Activation, "x").expect("memory");
        gpu.write(x.all(), &bytes(&[1.0; 4])).expect("a write");
        let mut recording = Recording::new();
        let args = add_to::Args { x: x.all(), y: y.all() };
        recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 4 }, args);
        recording.read_back(y.all());
        assert_eq!(floats(&gpu.run(&recording).expect("a run").reads[0]), [1.0; 4]);
        gpu.info().features.pipeline_cache
    };
    let expected = usize::from(run());
    assert_eq!(files().len(), expected);
    run();
    // A damaged file is ignored and written again.
    files().iter().for_each(|file| std::fs::write(file.path(), [7; 100]).expect("room"));
    run();
    assert_eq!(files().len(), expected);
}

pub(crate) fn a_recording_without_launches() {
    let mut gpu = gpu();
    let a = gpu.alloc(4, Role::Activation, "a").expect("memory");
    let mut recording = Recording::new();
    assert!(gpu.run(&recording).expect("nothing to do").reads.is_empty());
    recording.upload(a.all(), &[9, 8, 7, 6]);
    gpu.run(&recording).expect("an upload");
    assert_eq!(gpu.read(a.all()).expect("a read"), [9, 8, 7, 6]);
}

pub(crate) fn two_devices_at_once() {
    let mut gpus: Vec<_> = (0..2)
        .map(|_| Gpu::open(&AdapterChoice::Best, linker(), GpuOptions::default()).expect("an adapter"))
        .collect();
    let expected = chain(&mut Cpu::default(), 5000, 64);
    std::thread::scope(|scope| {
        for gpu in &mut gpus {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(chain(gpu, 5000, 64), expected);
                }
            });
        }
    });
}
