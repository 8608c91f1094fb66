//! Buffers: allocation and freeing, limits, and writes.

use crate::gpu;
use crate::kernels::add_to::{self, AddTo};
use ridgeline_compute::{Buffer, Cpu, Error, Executor, Recording, Role};

pub(crate) fn memory_is_zeroed() {
    let mut gpu = gpu();
    for _ in 0..3 {
        let a = gpu.alloc(100_000, Role::Activation, "a").expect("memory");
        assert!(gpu.read(a.all()).expect("a read").iter().all(|&b| b == 0));
        gpu.write(a.all(), &[0xFF; 100_000]).expect("a write");
        gpu.wait_idle().expect("a wait");
    }
}

pub(crate) fn dropped_buffers_are_freed() {
    let mut gpu = gpu();
    let keep = gpu.alloc(1024, Role::Weights, "keep").expect("memory");
    let gone = gpu.alloc(2048, Role::Kv, "gone").expect("memory");
    let slice = gone.all();
    let mut recording = Recording::new();
    let kernel = AddTo { workgroup_size: 64 };
    recording.run(kernel, add_to::Params { n: 8 }, add_to::Args { x: keep.all(), y: slice });
    gpu.run(&recording).expect("a run");
    assert_eq!((gpu.host_stats().buffers, gpu.host_stats().bind_groups), (2, 1));
    assert_eq!(gpu.memory_usage().kv.now, 2048);

    drop(gone);
    assert_eq!(gpu.memory_usage().kv.now, 2048, "dropping a handle frees nothing yet");
    gpu.free_unused();
    assert_eq!((gpu.host_stats().buffers, gpu.host_stats().bind_groups), (1, 0));
    let memory_usage = gpu.memory_usage();
    assert_eq!((memory_usage.kv.now, memory_usage.kv.peak, memory_usage.weights.now), (0, 2048, 1024));
    assert_eq!((memory_usage.total.now, memory_usage.total.peak), (1024, 3072));
    assert!(matches!(gpu.run(&recording), Err(Error::UnknownBuffer { id }) if id == slice.id));

    // Allocating frees dropped buffers too, so repeated allocations do not accumulate.
    for _ in 0..5 {
        gpu.alloc(4096, Role::Activation, "short-lived").expect("memory");
    }
    assert_eq!((gpu.host_stats().buffers, gpu.memory_usage().activation.peak), (2, 4096));
}

pub(crate) fn writes_larger_than_a_chunk() {
    let mut gpu = gpu();
    let words: Vec<u32> = (0..9_000_001_u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let data: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let a = gpu.alloc(data.len() as u64 + 256, Role::Weights, "a").expect("memory");
    gpu.write(a.slice(256, data.len() as u64), &data).expect("a write");
    let read = gpu.read(a.all()).expect("a read");
    assert!(read[..256].iter().all(|&b| b == 0));
    assert!(read[256..] == data[..], "36 MB arrive as written");
}

pub(crate) fn fills_use_whole_units_on_every_executor() {
    // Units that divide neither a staging chunk nor a thread's buffer, and one that is larger than both.
    for (unit, units) in [(48_u64, 250_000_u64), (1_000_000, 7), (9_000_000, 2)] {
        let bytes = 256 + unit * units;
        let (mut cpu, mut gpu) = (Cpu::default(), gpu());
        let host = cpu.alloc(bytes, Role::Weights, "host").expect("memory");
        let buffer = gpu.alloc(bytes, Role::Weights, "buffer").expect("memory");
        let texture = gpu.alloc_texture(bytes, Role::Weights, "texture").expect("memory");
        filled(&mut cpu, &host, (unit, units));
        filled(&mut gpu, &buffer, (unit, units));
        filled(&mut gpu, &texture, (unit, units));
    }
}

fn filled(device: &mut dyn Executor, to: &Buffer, (unit, units): (u64, u64)) {
    let fill = |offset: u64, to: &mut [u32]| {
        assert!(offset.is_multiple_of(unit) && (4 * to.len() as u64).is_multiple_of(unit), "{offset}");
        let first = u32::try_from(offset / 4).expect("a small buffer");
        to.iter_mut().zip(first..).for_each(|(word, i)| *word = i.wrapping_mul(2_654_435_761));
    };
    device.fill(to.slice(256, unit * units), unit, &fill).expect("a fill");
    let read = device.read(to.all()).expect("a read");
    let words = usize::try_from(64 + unit * units / 4).expect("a small buffer");
    let mut expected = vec![0; words];
    fill(0, &mut expected[64..]);
    assert!(read == bytemuck::cast_slice::<u32, u8>(&expected), "{units} units of {unit}");
}

pub(crate) fn limits_are_typed_errors() {
    let mut gpu = gpu();
    let most = gpu.caps().max_buffer;
    let error = gpu.alloc(most + 1, Role::Weights, "huge").expect_err("too large");
    assert!(
        matches!(&error, Error::Limit { label, bytes, limit, what: "max_buffer_size" }
            if label == "huge" && *bytes == most + 1 && *limit == most),
        "{error}"
    );
    let largest = gpu.caps().max_binding;
    if largest + 256 <= most {
        let x = gpu.alloc(largest + 256, Role::Weights, "one buffer, several bindings").expect("memory");
        let y = gpu.alloc(16, Role::Activation, "y").expect("memory");
        let mut recording = Recording::new();
        let (kernel, params) = (AddTo { workgroup_size: 64 }, add_to::Params { n: 4 });
        recording.run(kernel, params, add_to::Args { x: x.all(), y: y.all() });
        let error = gpu.run(&recording).expect_err("too large a binding");
        let what = "max_storage_buffer_binding_size";
        assert!(
            matches!(&error, Error::Limit { limit, what: w, .. } if *limit == largest && *w == what),
            "{error}"
        );
        recording.clear();
        recording.run(kernel, params, add_to::Args { x: x.slice(256, largest), y: y.all() });
        gpu.run(&recording).expect("a slice within the limit");
    }
    let small = gpu.alloc(16, Role::Activation, "small").expect("memory");
    let error = gpu.write(small.all(), &[0; 32]).expect_err("beyond the slice");
    assert!(matches!(error, Error::Limit { bytes: 32, limit: 16, .. }), "{error}");
    gpu.write(small.all(), &[1; 16]).expect("the device is still usable");
    assert_eq!(gpu.read(small.all()).expect("a read"), [1; 16]);
}
