//! `ridgeline doctor`: lists adapters and models, tests the device, and names problems and their remedy.

use crate::globals::{Globals, NO_DEVICE};
use crate::install::Remedy;
use crate::output;
use anyhow::{Context, ensure};
use ridgeline_compute::{Executor, Kernel, Recording, Role, RunOptions};
use ridgeline_gpu::{AdapterInfo, DeviceKind, Error, Gpu, KnownGpu, adapters, known_gpus, remedies};
use ridgeline_kernels::copy;
use ridgeline_measure::device_check::{KernelCheck, check_kernels};
use ridgeline_measure::{Device, models};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List this machine's GPUs and models, run a test copy on the chosen device, and print problems with their remedy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also check every kernel against its CPU reference, and write all findings to FILE as JSON, to be sent to the
    /// developers
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Variants of each kernel that `--report` checks.
const VARIANTS: usize = 4;

/// Size of the test copy in 32-bit words.
const WORDS: u32 = 1 << 20;

/// Runs of the test copy whose timestamps are checked.
const RUNS: usize = 9;

/// Quality of the device's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Timestamps {
    /// They are in order and within the time of the host's clock.
    Plausible,
    /// Only some runs have plausible timestamps: other programs delay the host, or the device.
    Disturbed,
    /// They are out of order or exceed the time of the host's clock, which is used instead.
    Implausible,
    /// The device has none, and the host's clock is used instead.
    Absent,
}

impl Timestamps {
    /// From repeated runs, and whether the timestamps of each were plausible.
    ///
    /// A wrong clock is wrong in every run. Load delays some runs: the host sees the end of a run late, and the device
    /// seems to have been too fast.
    fn of(plausible: &[bool]) -> Self {
        match plausible.iter().filter(|it| **it).count() {
            0 => Self::Implausible,
            n if 2 * n > plausible.len() => Self::Plausible,
            _ => Self::Disturbed,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Plausible => "plausible: in order, and within the time of the host's clock",
            Self::Disturbed => "plausible in some runs only: other programs use this machine",
            Self::Implausible => {
                "implausible: out of order, or beyond the time of the host's clock, which is used instead"
            }
            Self::Absent => "absent: the host's clock is used instead",
        }
    }
}

/// The results of all checks.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    adapters: Vec<AdapterInfo>,
    /// GPUs that the system knows, with a driver or without one.
    gpus: Vec<KnownGpu>,
    chosen: Option<String>,
    timestamps: Option<Timestamps>,
    models_folder: String,
    models: Vec<String>,
    /// Models without weights of their own.
    #[serde(skip)]
    shapes: Vec<String>,
    problems: Vec<String>,
    remedy: Option<String>,
    /// Kernels compared with their CPU references, for `--report`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kernels: Vec<KernelCheck>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut findings = examine(globals);
    if let Some(file) = &args.report {
        findings.check_kernels(globals);
        let json = serde_json::to_string_pretty(&findings)?;
        std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
        output::note(&format!("wrote {}", file.display()));
    }
    if globals.json {
        output::json(&findings)?;
    } else {
        output::text(&findings.text())?;
    }
    Ok(if findings.chosen.is_some() { ExitCode::SUCCESS } else { ExitCode::from(NO_DEVICE) })
}

/// Runs all checks. Failures become problems of the result, and nothing is installed.
fn examine(globals: &Globals) -> Findings {
    let (adapters, gpus) = (adapters(), known_gpus(Path::new("/")));
    let mut problems = Vec::new();
    let (mut chosen, mut timestamps, mut undriven) = (None, None, false);
    match Device::open(globals.device.as_deref()) {
        Ok(Device::Cpu(_)) => chosen = Some("cpu".to_owned()),
        Ok(Device::Gpu(mut gpu)) => match check(&mut gpu) {
            Ok(found) => (chosen, timestamps) = (Some(gpu.info().name.clone()), Some(found)),
            Err(error) => problems.push(format!("{}: {error:#}", gpu.info().name)),
        },
        Err(error) => {
            undriven = matches!(error, Error::Undriven { .. });
            problems.push(error.to_string());
        }
    }
    if !undriven && !gpus.is_empty() && adapters.iter().all(|it| it.kind == DeviceKind::Software) {
        problems.push(format!("no Vulkan driver serves the GPU: {}", remedies(&gpus)));
    }
    let used = adapters.iter().find(|it| Some(&it.name) == chosen.as_ref());
    if used.is_some_and(|it| it.kind == DeviceKind::Software) {
        problems.push(
            "the device is a software renderer: results are correct, but timings are those of the CPU; to time a GPU, \
             install its Vulkan driver, run doctor again, and choose it with --device"
                .to_owned(),
        );
    }
    if timestamps == Some(Timestamps::Disturbed) {
        problems.push(
            "other programs disturb the device's timestamps: for reliable times, end them and run doctor again"
                .to_owned(),
        );
    }
    if timestamps == Some(Timestamps::Implausible) {
        problems.push(
            "the device's timestamps are implausible: kernels are timed with the host's clock".to_owned(),
        );
    }
    let models = models::names();
    let is_shape = |path: &Path| path.extension().is_some_and(|it| it == "toml");
    let shapes = models.iter().filter(|(_, path)| is_shape(path)).map(|(name, _)| name.clone()).collect();
    let names: Vec<_> = models.into_iter().map(|(name, _)| name).collect();
    let folder = models::root().join("models");
    if names.is_empty() {
        problems.push(format!("no models in {}; set {} to the checkout", folder.display(), models::ROOT_ENV));
    }
    Findings {
        version: env!("CARGO_PKG_VERSION"),
        remedy: adapters.is_empty().then(|| Remedy::here().text()),
        adapters,
        gpus,
        chosen,
        timestamps,
        models_folder: folder.display().to_string(),
        models: names,
        shapes,
        problems,
        kernels: Vec::new(),
    }
}

/// Runs a copy kernel on the device, and checks its output and its timestamps.
fn check(gpu: &mut Gpu) -> anyhow::Result<Timestamps> {
    let bytes = 4 * u64::from(WORDS);
    let from = gpu.alloc(bytes, Role::Activation, "doctor from")?;
    let to = gpu.alloc(bytes, Role::Activation, "doctor to")?;
    let words: Vec<u32> = (0..WORDS).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    gpu.write(from.all(), bytemuck::cast_slice(&words))?;
    let kernel = copy::Copy::all(gpu.caps())
        .pop()
        .ok_or_else(|| anyhow::anyhow!("no copy kernel fits the device's limits"))?;
    let mut recording = Recording::new();
    recording.run(
        kernel,
        copy::Params { n: WORDS, rounds: 1 },
        copy::Args { from_words: from.all(), to: to.all() },
    );
    // A driver may compile the kernel in its first run, outside the timestamps.
    gpu.run(&recording)?;
    let read = gpu.read(to.all())?;
    let plausible: Result<Vec<bool>, _> = (0..RUNS)
        .map(|_| gpu.run_with(&recording, RunOptions::stamp_launches()))
        .map(|outcome| outcome.map(|it| it.timing.device_ns.is_some()))
        .collect();
    let plausible = plausible?;
    ensure!(
        read == bytemuck::cast_slice::<_, u8>(&words),
        "a copy on the device returned wrong data: update the driver, or use another --device"
    );
    Ok(if gpu.info().features.timestamps { Timestamps::of(&plausible) } else { Timestamps::Absent })
}

impl Findings {
    /// Checks kernels on the device, if it is a GPU. Failures become problems.
    fn check_kernels(&mut self, globals: &Globals) {
        if let Ok(Device::Gpu(mut gpu)) = Device::open(globals.device.as_deref()) {
            self.kernels = check_kernels(&mut gpu, VARIANTS);
        }
        let failed = self.kernels.iter().filter(|it| !it.passes());
        let text = |it: &KernelCheck| match &it.error {
            Some(error) => error.clone(),
            None => format!("{}: its results differ from the CPU reference", it.kernel),
        };
        self.problems.extend(failed.map(text));
    }

    fn text(&self) -> String {
        let mut text = format!("ridgeline {}\n\nadapters (* is used)\n", self.version);
        for adapter in &self.adapters {
            text += &adapter_text(adapter, self.chosen.as_ref() == Some(&adapter.name));
        }
        if self.adapters.is_empty() {
            text += "  none\n";
        }
        text += "\nGPUs that the system knows\n";
        for gpu in &self.gpus {
            let _ = writeln!(text, "  {gpu}");
        }
        if self.gpus.is_empty() {
            text += "  none\n";
        }
        if let Some(timestamps) = self.timestamps {
            let _ = writeln!(text, "\nGPU timestamps\n  {}", timestamps.text());
        }
        let _ = writeln!(text, "\nmodels in {}", self.models_folder);
        let (shapes, files): (Vec<&str>, Vec<&str>) = self
            .models
            .iter()
            .map(String::as_str)
            .partition(|it| self.shapes.iter().any(|shape| shape == it));
        for (kind, names) in
            [("with weights", files), ("dimensions only, filled with random weights", shapes)]
        {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let _ = writeln!(text, "  {kind}: {names}");
        }
        text += "\nproblems\n";
        for problem in &self.problems {
            let _ = writeln!(text, "  {problem}");
        }
        if self.problems.is_empty() {
            text += "  none\n";
        }
        if let Some(remedy) = &self.remedy {
            let _ = writeln!(text, "\nremedy\n  {remedy}");
        }
        text
    }
}

fn adapter_text(adapter: &AdapterInfo, chosen: bool) -> String {
    let (f, l) = (&adapter.features, &adapter.limits);
    let offered = [
        ("f16", f.f16),
        ("i16", f.i16),
        ("subgroup", f.subgroup),
        ("immediates", f.immediates),
        ("timestamps", f.timestamps),
        ("timestamps inside passes", f.timestamps_inside_passes),
        ("pipeline cache", f.pipeline_cache),
        ("cooperative matrix", f.cooperative_matrix),
    ];
    let offered: Vec<_> = offered.iter().filter(|it| it.1).map(|it| it.0).collect();
    let kind = format!("{:?}", adapter.kind).to_lowercase();
    let mark = if chosen { '*' } else { ' ' };
    let driver = format!("{} {}", adapter.driver, adapter.driver_info);
    let mut text = format!("{mark} {} ({}, {kind}; {})\n", adapter.name, adapter.backend, driver.trim());
    let (low, high) = adapter.subgroup;
    let _ = writeln!(text, "    features  {}", offered.join(", "));
    let lanes = if low == high { low.to_string() } else { format!("{low} to {high}") };
    let _ = writeln!(text, "    subgroup  {lanes} lanes");
    if l.cooperative_edge > 0 {
        let _ = writeln!(text, "    matrices  {0} x {0} of f16, sums of f32", l.cooperative_edge);
    }
    let (buffer, binding) = (output::bytes(l.max_buffer), output::bytes(l.max_binding));
    let workgroup = output::bytes(l.max_workgroup_memory.into());
    let _ = writeln!(
        text,
        "    limits    buffer {buffer}, binding {binding}, texture side {}, workgroup {workgroup}, {} bindings, {} bytes of immediates",
        l.max_texture_side, l.max_storage_buffers, l.max_immediates
    );
    text
}

#[cfg(test)]
mod tests {
    use super::{RUNS, Timestamps};

    #[test]
    fn a_clock_is_judged_by_repeated_runs() {
        let of = |plausible: usize| Timestamps::of(&std::array::from_fn::<_, RUNS, _>(|i| i < plausible));
        assert_eq!([of(RUNS), of(5)], [Timestamps::Plausible; 2], "most runs");
        assert_eq!([of(4), of(1)], [Timestamps::Disturbed; 2], "a busy machine");
        assert_eq!(of(0), Timestamps::Implausible, "every run: the clock");
    }
}
