//! Host cost of a recording: encoding, submitting and reading back on wgpu's noop backend.
//!
//! The same commands written directly with wgpu are the baseline. The difference is this crate's own cost.

#[path = "../tests/executor/kernels.rs"]
mod kernels;

use criterion::{BenchmarkId, Criterion, Throughput};
use kernels::add_to::{self, AddTo};
use kernels::scale::{self, Scale};
use ridgeline_compute::{Buffer, Executor, Recording, Role};
use ridgeline_gpu::Gpu;
use std::io::Write;
use std::time::{Duration, Instant};

/// Launches of a recording: none, one token of a small model, one token of a large model.
const LAUNCHES: [u32; 3] = [0, 40, 320];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut medians = Vec::new();
    for launches in LAUNCHES {
        let mut ours = ours(launches);
        let mut direct = direct_wgpu(launches);
        let mut group = criterion.benchmark_group("host");
        group.throughput(Throughput::Elements(u64::from(launches)));
        group.bench_function(BenchmarkId::new("ridgeline", launches), |b| b.iter(&mut ours));
        group.bench_function(BenchmarkId::new("wgpu", launches), |b| b.iter(&mut direct));
        group.finish();
        medians.push(median_us(&mut ours, &mut direct));
    }
    criterion.final_summary();
    summary(&medians);
}

/// Prints the cost per launch and the fixed cost, and wgpu's share of each.
fn summary(medians: &[[f64; 2]]) {
    let [Some(none), Some(many)] = [medians.first(), medians.last()] else { return };
    let n = f64::from(LAUNCHES[LAUNCHES.len() - 1]);
    let each = [0, 1].map(|i| (many[i] - none[i]) / n);
    let _ = writeln!(
        std::io::stdout(),
        "host: {:.2} us per launch, of which wgpu {:.2} ({:.0} %); {:.1} us fixed, of which wgpu {:.1} ({:.0} %)",
        each[0],
        each[1],
        100.0 * each[1] / each[0],
        none[0],
        none[1],
        100.0 * none[1] / none[0],
    );
}

/// Medians of interleaved repetitions, in microseconds.
fn median_us(ours: &mut impl FnMut(), direct: &mut impl FnMut()) -> [f64; 2] {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..301 {
        times[0].push(time(ours));
        times[1].push(time(direct));
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// The commands of a token, by the executor: upload four bytes, launch two alternating kernels, read four bytes back.
fn ours(launches: u32) -> impl FnMut() {
    let mut gpu = Gpu::noop(kernels::linker()).expect("the noop backend is built in");
    let mut alloc = || gpu.alloc(256, Role::Activation, "x").expect("a buffer");
    let [x, y]: [Buffer; 2] = [alloc(), alloc()];
    let mut recording = Recording::new();
    move || {
        recording.clear();
        recording.upload(x.all(), &[0; 4]);
        for i in 0..launches {
            if i % 2 == 0 {
                let args = scale::Args { x: x.all(), y: y.all() };
                recording.run(Scale { workgroup_size: 64 }, scale::Params { n: 64, factor: 2.0 }, args);
            } else {
                let args = add_to::Args { x: y.all(), y: x.all() };
                recording.run(AddTo { workgroup_size: 64 }, add_to::Params { n: 64 }, args);
            }
        }
        recording.read_back(x.all().head(4));
        gpu.run(&recording).expect("a run");
    }
}

fn entry(binding: u32, buffer: &wgpu::Buffer) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }
}

/// The same commands, directly with wgpu.
fn direct_wgpu(launches: u32) -> impl FnMut() {
    let (device, queue) = noop();
    let pipelines = [pipeline(&device, 8), pipeline(&device, 4)];
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 256,
            usage,
            mapped_at_creation: false,
        })
    };
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let [x, y] = [buffer(storage), buffer(storage)];
    let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let groups = [[&x, &y], [&y, &x]].map(|pair| {
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipelines[0].get_bind_group_layout(0),
            entries: &[entry(0, pair[0]), entry(1, pair[1])],
        })
    });
    move || {
        queue.write_buffer(&x, 0, &[0; 4]);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for i in 0..launches as usize {
            pass.set_pipeline(&pipelines[i % 2]);
            pass.set_bind_group(0, &groups[i % 2], &[]);
            pass.set_immediates(0, &[0; 8][..if i % 2 == 0 { 8 } else { 4 }]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(&x, 0, &staging, 0, 4);
        queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, 0..4, |result| result.expect("it maps"));
        device.poll(wgpu::PollType::wait_indefinitely()).expect("nothing to wait for");
        std::hint::black_box(staging.get_mapped_range(0..4).expect("mapped").to_vec());
        staging.unmap();
    }
}

fn noop() -> (wgpu::Device, wgpu::Queue) {
    let limits = wgpu::Limits { max_immediate_size: 128, ..wgpu::Limits::default() };
    let options =
        wgpu::NoopBackendOptions { limits: Some(limits.clone()), ..wgpu::NoopBackendOptions::enabled() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        flags: wgpu::InstanceFlags::empty(),
        backend_options: wgpu::BackendOptions { noop: options, ..wgpu::BackendOptions::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    let request = adapter.expect("the noop adapter").request_device(&wgpu::DeviceDescriptor {
        required_features: wgpu::Features::IMMEDIATES,
        required_limits: limits,
        ..wgpu::DeviceDescriptor::default()
    });
    pollster::block_on(request).expect("a device")
}

/// A kernel with two storage buffers and `immediate_size` bytes of immediates.
fn pipeline(device: &wgpu::Device, immediate_size: u32) -> wgpu::ComputePipeline {
    let entry = |binding: u32, read_only| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    let groups = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[entry(0, true), entry(1, false)],
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&groups)],
        immediate_size,
    });
    let source = "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { y[i] = x[i]; }";
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
