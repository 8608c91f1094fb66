//! `ridgeline inspect`: what a model file says and holds, and on request what it occupies on a device.

use crate::cli::Globals;
use crate::{install, output};
use ridgeline_measure::models;
use ridgeline_model::Model;
use ridgeline_quant::Format;
use ridgeline_weights::{Array, Checkpoint, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Show a model's metadata and tensors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file, safetensors folder, or a name under models/
    #[arg(value_name = "M")]
    model: String,
    /// Load it onto the device and report what it occupies there
    #[arg(long)]
    load: bool,
}

/// Arrays up to this long are shown whole.
const SHOWN: usize = 8;

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let models::Opened { checkpoint, id } = models::open(&args.model, None)?;
    let loaded = if args.load { Some(Occupied::measure(&checkpoint, globals)?) } else { None };
    let totals = Totals::of(&checkpoint);
    if globals.json {
        let metadata: Map<_, _> =
            checkpoint.metadata().iter().map(|(k, v)| (k.to_owned(), to_json(v))).collect();
        let tensors = checkpoint.tensors().map(|it| {
            json!({ "name": it.name, "shape": it.shape, "format": it.format.spec().name, "bytes": it.bytes })
        });
        output::json(&json!({
            "model": serde_json::to_value(&id)?, "metadata": metadata, "tensors": tensors.collect::<Vec<_>>(),
            "parameters": totals.parameters, "tensor_bytes": totals.bytes,
            "bits_per_weight": totals.bits_per_weight(), "formats": totals.formats_json(),
            "load": loaded.map(|it| it.json()),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("model: {} ({})\n", id.name, output::bytes(id.bytes));
    if let Some(hash) = &id.hash {
        let _ = writeln!(text, "blake3: {hash}");
    }
    text += "\nmetadata\n";
    let rows: Vec<_> = checkpoint.metadata().iter().map(|(k, v)| vec![format!("  {k}"), show(v)]).collect();
    text += &output::table(&[false, false], &rows);
    text += "\ntensors\n";
    text += &tensor_table(&checkpoint);
    text += &totals.text();
    if let Some(loaded) = loaded {
        text += &loaded.text();
    }
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn tensor_table(checkpoint: &Checkpoint) -> String {
    let row = |it: ridgeline_weights::TensorInfo<'_>| {
        let shape = it.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        vec![format!("  {}", it.name), shape, it.format.to_string(), it.bytes.to_string()]
    };
    let head = ["  name", "shape", "format", "bytes"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(checkpoint.tensors().map(row)).collect();
    output::table(&[false, true, false, true], &rows)
}

/// Sums over the tensors.
struct Totals {
    parameters: u64,
    bytes: u64,
    /// Format, tensors, weights, bytes.
    formats: Vec<(Format, u64, u64, u64)>,
}

impl Totals {
    fn of(checkpoint: &Checkpoint) -> Self {
        let sum = |format: Format| {
            let of_format = checkpoint.tensors().filter(|it| it.format == format);
            of_format.fold((format, 0, 0, 0), |(f, n, w, b), it| (f, n + 1, w + it.n_weights(), b + it.bytes))
        };
        let formats: Vec<_> = Format::ALL.iter().map(|&it| sum(it)).filter(|it| it.1 > 0).collect();
        let parameters = formats.iter().map(|it| it.2).sum();
        Self { parameters, bytes: formats.iter().map(|it| it.3).sum(), formats }
    }

    fn bits_per_weight(&self) -> f64 {
        if self.parameters == 0 { 0.0 } else { 8.0 * self.bytes as f64 / self.parameters as f64 }
    }

    fn formats_json(&self) -> Json {
        let of = |&(format, tensors, weights, bytes): &(Format, u64, u64, u64)| json!({ "format": format.spec().name, "tensors": tensors, "weights": weights, "bytes": bytes });
        self.formats.iter().map(of).collect()
    }

    fn text(&self) -> String {
        let head = ["  format", "tensors", "weights", "bytes"].map(str::to_owned).to_vec();
        let row = |&(format, tensors, weights, bytes): &(Format, u64, u64, u64)| {
            vec![format!("  {format}"), tensors.to_string(), weights.to_string(), bytes.to_string()]
        };
        let rows: Vec<_> = std::iter::once(head).chain(self.formats.iter().map(row)).collect();
        let table = output::table(&[false, true, true, true], &rows);
        let (bits, size) = (self.bits_per_weight(), output::bytes(self.bytes));
        format!("\ntotals\n{table}  {} parameters in {size}: {bits:.2} bits per weight\n", self.parameters)
    }
}

/// What a loaded model occupies, in bytes.
struct Occupied {
    device: u64,
    in_format: u64,
    /// Most memory this process ever had resident, where the system says so.
    peak_rss: Option<u64>,
    file: u64,
}

impl Occupied {
    fn measure(checkpoint: &Checkpoint, globals: &Globals) -> anyhow::Result<Self> {
        let mut device = install::open(globals)?;
        let model = Model::load(checkpoint, &mut device)?;
        let report = model.report();
        if let Some(gpu) = device.gpu() {
            gpu.wait_idle()?;
        }
        // The ledger also counts what the device rounds each buffer up to.
        let on_device = device.gpu().map_or(report.device_bytes, |gpu| gpu.memory_usage().weights.now);
        let file = checkpoint.file_bytes();
        Ok(Self { device: on_device, in_format: report.format_bytes, peak_rss: peak_rss(), file })
    }

    fn over_file(&self) -> Option<f64> {
        self.peak_rss.filter(|_| self.file > 0).map(|rss| rss as f64 / self.file as f64)
    }

    fn json(&self) -> Json {
        json!({
            "device_bytes": self.device, "format_bytes": self.in_format, "file_bytes": self.file,
            "peak_rss_bytes": self.peak_rss, "peak_rss_over_file": self.over_file(),
        })
    }

    fn text(&self) -> String {
        let (device, format) = (output::bytes(self.device), output::bytes(self.in_format));
        let mut text = format!("\nloaded\n  on the device  {device} ({format} in the file's formats)\n");
        if let (Some(rss), Some(ratio)) = (self.peak_rss, self.over_file()) {
            let _ = writeln!(text, "  peak memory    {} ({ratio:.2} x the file)", output::bytes(rss));
        }
        text
    }
}

/// Peak resident memory of this process in bytes: the kernel's high-water mark on Linux, elsewhere what is resident
/// now, which loading has just raised.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = mark.and_then(|it| it.trim().strip_suffix(" kB")).and_then(|it| it.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).or_else(|| {
        let pid = sysinfo::get_current_pid().ok()?;
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
        system.process(pid).map(sysinfo::Process::memory)
    })
}

/// A metadata value as text for people; long arrays by their length.
fn show(value: &Value) -> String {
    match to_json(value) {
        Json::String(text) if text.chars().count() > 60 => {
            format!("{:?}…", text.chars().take(60).collect::<String>())
        }
        Json::Object(long) => format!("{} values", long.get("length").unwrap_or(&Json::Null)),
        other => other.to_string(),
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::U8(it) => json!(it),
        Value::I8(it) => json!(it),
        Value::U16(it) => json!(it),
        Value::I16(it) => json!(it),
        Value::U32(it) => json!(it),
        Value::I32(it) => json!(it),
        Value::F32(it) => json!(it),
        Value::Bool(it) => json!(it),
        Value::Str(it) => json!(it),
        Value::U64(it) => json!(it),
        Value::I64(it) => json!(it),
        Value::F64(it) => json!(it),
        Value::Array(it) if it.len() > SHOWN => json!({ "length": it.len() }),
        Value::Array(it) => match it {
            Array::U8(it) => json!(it),
            Array::I8(it) => json!(it),
            Array::U16(it) => json!(it),
            Array::I16(it) => json!(it),
            Array::U32(it) => json!(it),
            Array::I32(it) => json!(it),
            Array::F32(it) => json!(it),
            Array::Bool(it) => json!(it),
            Array::Str(it) => json!(it),
            Array::U64(it) => json!(it),
            Array::I64(it) => json!(it),
            Array::F64(it) => json!(it),
        },
    }
}
