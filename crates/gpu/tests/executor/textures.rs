//! Plain data in textures: writes, reads and refused operations.

use crate::gpu;
use crate::kernels::add_to::{self, AddTo};
use crate::kernels::texels::{self, Texels};
use ridgeline_compute::{Buffer, Cpu, Error, Executor, Recording, Role, TEXTURE_WIDTH};

const LINE: u64 = 16 * TEXTURE_WIDTH as u64;

fn numbered(bytes: u64) -> Vec<u8> {
    let words = u32::try_from(bytes / 4).expect("a small texture");
    (0..words).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

pub(crate) fn textures_hold_what_was_written() {
    let mut gpu = gpu();
    // Within a line, across a line's end, whole lines between two parts of lines, and many staging chunks.
    for (offset, bytes) in [(256, 32), (LINE - 256, 512), (3 * LINE - 512, 2 * LINE + 768), (256, 36 << 20)] {
        let texture = gpu.alloc_texture(offset + bytes + 48, Role::Weights, "t").expect("memory");
        let data = numbered(bytes);
        gpu.write(texture.slice(offset, bytes), &data).expect("a write");
        let read = gpu.read(texture.all()).expect("a read");
        let (before, rest) = read.split_at(usize::try_from(offset).expect("small"));
        let (written, after) = rest.split_at(data.len());
        assert!(written == data, "{bytes} bytes from {offset} on");
        assert!(
            before.iter().chain(after).all(|&byte| byte == 0) && after.len() == 48,
            "{bytes} from {offset}"
        );
        assert_eq!(gpu.memory_usage().weights.now % LINE, 0);
    }
    gpu.free_unused();
    assert_eq!(gpu.memory_usage().weights.now, 0);
}

fn copied(device: &mut dyn Executor, texture: &Buffer, offset: u64, n: u32) -> Vec<u8> {
    let bytes = 16 * u64::from(n);
    let y = device.alloc(bytes, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    let args = texels::Args { x: texture.slice(offset, bytes), y: y.all() };
    recording.run(Texels { workgroup_size: 64 }, texels::Params { n }, args);
    recording.read_back(y.all());
    device.run(&recording).expect("a run").reads.remove(0)
}

pub(crate) fn kernels_read_slices_of_textures() {
    let (mut gpu, mut cpu) = (gpu(), Cpu::default());
    let data = numbered(5 * LINE);
    for device in [&mut gpu as &mut dyn Executor, &mut cpu] {
        let texture = device.alloc_texture(5 * LINE, Role::Weights, "t").expect("memory");
        device.write(texture.all(), &data).expect("a write");
        for (offset, n) in
            [(0, 5 * TEXTURE_WIDTH), (256, 1), (LINE - 256, 40), (2 * LINE + 512, 2 * TEXTURE_WIDTH)]
        {
            let first = usize::try_from(offset).expect("small");
            let expected = &data[first..first + 16 * n as usize];
            assert!(copied(device, &texture, offset, n) == expected, "{n} texels from {offset} on");
        }
    }
}

pub(crate) fn textures_and_buffers_are_not_interchangeable() {
    let mut gpu = gpu();
    let texture = gpu.alloc_texture(1024, Role::Weights, "t").expect("memory");
    let buffer = gpu.alloc(1024, Role::Weights, "b").expect("memory");
    let y = gpu.alloc(1024, Role::Activation, "y").expect("memory");
    let refused = |error: Error, why: &str| {
        assert!(matches!(&error, Error::Device { reason } if reason.contains(why)), "{error}");
    };
    let mut recording = Recording::new();
    let args = texels::Args { x: buffer.all(), y: y.all() };
    recording.run(Texels { workgroup_size: 64 }, texels::Params { n: 4 }, args);
    refused(gpu.run(&recording).expect_err("no texture"), "a buffer cannot be used");
    let mut recording = Recording::new();
    let args = add_to::Args { x: texture.all(), y: y.all() };
    recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 4 }, args);
    refused(gpu.run(&recording).expect_err("no buffer"), "a texture cannot be used");
    let mut recording = Recording::new();
    recording.upload(texture.all(), &[0; 16]);
    refused(gpu.run(&recording).expect_err("no buffer"), "a texture cannot be used");
    refused(gpu.write(texture.all(), &[0; 20]).expect_err("a part of a texel"), "whole texels");
    let fill = gpu.fill(texture.all(), 24, &|_, _| ());
    refused(fill.expect_err("parts of texels"), "whole texels");
    let most = gpu.caps().max_texture;
    let error = gpu.alloc_texture(most + 16, Role::Weights, "huge").expect_err("too large");
    let what = "max_texture_dimension_2d";
    assert!(matches!(&error, Error::Limit { limit, what: w, .. } if *limit == most && *w == what), "{error}");
    gpu.write(texture.all(), &[1; 1024]).expect("the device is still usable");
    assert_eq!(gpu.read(texture.all()).expect("a read"), [1; 1024]);
}
