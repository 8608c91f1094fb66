//! Every failure is a typed error, without a panic or a hang. The device stays usable unless it is lost.

use crate::kernels::broken::{self, Broken};
use crate::kernels::linker;
use crate::kernels::spin::{self, Spin};
use crate::{gpu, open};
use ridgeline_compute::{AnyKernel, Error, Executor, Recording, Role};
use ridgeline_gpu::{AdapterChoice, Error as OpenError, Gpu, GpuOptions};
use std::time::Duration;

pub(crate) fn foreign_buffers_are_refused() {
    let (mut here, mut there) = (gpu(), gpu());
    let foreign = there.alloc(256, Role::Activation, "foreign").expect("memory");
    let refused = |error: Error| matches!(error, Error::UnknownBuffer { id } if id == foreign.id());
    assert!(refused(here.write(foreign.all(), &[0; 4]).expect_err("foreign")));
    assert!(refused(here.read(foreign.all()).expect_err("foreign")));
    let mut recording = Recording::new();
    recording.run(
        Spin { workgroup_size: 64 },
        spin::Params { groups: 1, rounds: 1 },
        spin::Args { y: foreign.all() },
    );
    assert!(refused(here.run(&recording).expect_err("foreign")));
    let mut recording = Recording::new();
    recording.upload(foreign.all(), &[0; 4]);
    assert!(refused(here.run(&recording).expect_err("foreign")));
}

pub(crate) fn broken_shaders_name_kernel_and_cause() {
    let mut gpu = gpu();
    let kernel = Broken { workgroup_size: 1 };
    let says_why = |error: &Error| {
        let text = error.to_string();
        text.contains("Broken { workgroup_size: 1 }") && text.contains("no_such_name")
    };
    let good = AnyKernel::new(Spin { workgroup_size: 64 });
    let error = gpu.prepare(&[AnyKernel::new(kernel), good]).expect_err("broken");
    assert!(matches!(error, Error::Shader { .. }) && says_why(&error), "{error}");
    assert_eq!(gpu.host_stats().pipelines, 1, "the good kernel beside it is kept");

    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    recording.run(kernel, broken::Params { n: 1 }, broken::Args { y: y.all() });
    let error = gpu.run(&recording).expect_err("broken");
    assert!(says_why(&error), "{error}");

    let mut recording = Recording::new();
    recording.run(
        Spin { workgroup_size: 64 },
        spin::Params { groups: 1, rounds: 0 },
        spin::Args { y: y.all() },
    );
    gpu.run(&recording).expect("the device is still usable");
}

pub(crate) fn a_lost_device_is_a_typed_error() {
    let mut gpu = gpu();
    let y = gpu.alloc(256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    recording.run(
        Spin { workgroup_size: 64 },
        spin::Params { groups: 1, rounds: 1 },
        spin::Args { y: y.all() },
    );
    recording.read_back(y.all());
    gpu.run(&recording).expect("a run");
    gpu.destroy_device();
    for _ in 0..2 {
        let error = gpu.run(&recording).expect_err("lost");
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    }
    let lost = |error: Error| matches!(error, Error::DeviceLost { .. });
    assert!(lost(gpu.alloc(16, Role::Kv, "a").expect_err("lost")));
    assert!(lost(gpu.write(y.all(), &[0; 4]).expect_err("lost")));
    assert!(lost(gpu.prepare(&[AnyKernel::new(Spin { workgroup_size: 32 })]).expect_err("lost")));
    assert!(lost(gpu.wait_idle().expect_err("lost")));

    // Each call as the first one after the loss.
    type Call = fn(&mut Gpu) -> Result<(), Error>;
    let calls: [Call; 4] = [
        |gpu| gpu.alloc(16, Role::Kv, "a").map(drop),
        |gpu| gpu.prepare(&[AnyKernel::new(Spin { workgroup_size: 16 })]),
        Gpu::wait_idle,
        |gpu| gpu.run(&Recording::new()).map(drop),
    ];
    for call in calls {
        let mut gpu = open(GpuOptions::default());
        gpu.destroy_device();
        let error = call(&mut gpu).expect_err("lost");
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    }
}

pub(crate) fn a_silent_device_is_a_typed_error() {
    let mut gpu = open(GpuOptions { timeout: Duration::from_millis(1), ..GpuOptions::default() });
    let y = gpu.alloc(400 * 256, Role::Activation, "y").expect("memory");
    let mut recording = Recording::new();
    recording.run(
        Spin { workgroup_size: 64 },
        spin::Params { groups: 400, rounds: 50_000_000 },
        spin::Args { y: y.all() },
    );
    recording.read_back(y.all());
    gpu.prepare(recording.kernels()).expect("a pipeline");
    // If other programs delay this thread, the device may finish before the wait begins.
    let error = (0..5).find_map(|_| gpu.run(&recording).err()).expect("a millisecond is too short");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

pub(crate) fn a_wrong_name_lists_what_is_here() {
    let choice = AdapterChoice::Named("no adapter has this name".to_owned());
    let error = Gpu::open(&choice, linker(), GpuOptions::default()).expect_err("no such adapter");
    let here = ridgeline_gpu::adapters();
    assert!(matches!(&error, OpenError::NoMatch { seen, .. } if *seen == here), "{error}");
    assert!(error.to_string().contains(&here[0].name), "{error}");
    let error = Gpu::open(&AdapterChoice::Index(here.len()), linker(), GpuOptions::default())
        .expect_err("no such adapter");
    assert!(matches!(error, OpenError::NoMatch { .. }), "{error}");

    let choice = AdapterChoice::Named(here[0].name.to_uppercase());
    let gpu = Gpu::open(&choice, linker(), GpuOptions::default()).expect("the adapter by its own name");
    assert_eq!(gpu.info(), &here[0]);
}
