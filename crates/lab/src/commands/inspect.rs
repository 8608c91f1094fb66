//! `ridgeline inspect`: metadata and tensors of a model file, and the memory that the loaded model takes.

use super::flags::MODEL;
use crate::globals::Globals;
use crate::{install, output};
use ridgeline_experiment::report::{Align, Table, plain};
use ridgeline_measure::models;
use ridgeline_model::Model;
use ridgeline_quant::Format;
use ridgeline_weights::{Array, Checkpoint, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Print a model's metadata and tensors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "MODEL", help = MODEL)]
    model: String,
    /// Also load the model on the device, and print its memory there and the process's peak memory
    #[arg(long)]
    load: bool,
}

/// Longest array whose values are printed.
const MAX_PRINTED: usize = 8;

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
    let mut text = format!("model: {} (file {})\n", id.name, output::bytes(id.bytes));
    if let Some(hash) = &id.hash {
        let _ = writeln!(text, "blake3: {hash}");
    }
    text += "\nmetadata\n";
    let mut metadata = Table::new("", [("key", Align::Left), ("value", Align::Left)]);
    checkpoint.metadata().iter().for_each(|(k, v)| metadata.push([k.to_owned(), show(v)]));
    text += &plain::table(&metadata);
    text += "\ntensors\n";
    text += &tensor_table(&checkpoint);
    text += &totals.text();
    if let Some(loaded) = loaded {
        text += &loaded.text();
    }
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Aligned text also in a pipe, where users search for a tensor's name.
fn tensor_table(checkpoint: &Checkpoint) -> String {
    use Align::{Left, Right};
    let mut table = Table::new("", [("name", Left), ("shape", Right), ("type", Left), ("bytes", Right)]);
    for it in checkpoint.tensors() {
        let shape = it.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        table.push([it.name.to_owned(), shape, it.format.to_string(), it.bytes.to_string()]);
    }
    plain::table(&table)
}

/// Sums over the tensors.
struct Totals {
    parameters: u64,
    bytes: u64,
    /// Quantization type, and its number of tensors, weights and bytes.
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
        use Align::{Left, Right};
        let columns = [("type", Left), ("tensors", Right), ("weights", Right), ("bytes", Right)];
        let mut table = Table::new("", columns);
        for &(format, tensors, weights, bytes) in &self.formats {
            table.push([format.to_string(), tensors.to_string(), weights.to_string(), bytes.to_string()]);
        }
        let table = plain::table(&table);
        let (bits, size) = (self.bits_per_weight(), output::bytes(self.bytes));
        format!("\ntotals\n{table}{} parameters in {size}: {bits:.2} bits per weight\n", self.parameters)
    }
}

/// Memory of a loaded model, in bytes.
struct Occupied {
    device: u64,
    in_format: u64,
    /// Peak resident memory of this process, where the system reports it.
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
        // The allocation ledger includes the rounding of each buffer's size.
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
        let mut text =
            format!("\nloaded\n  on the device  {device} ({format} in the file's quantization types)\n");
        if let (Some(rss), Some(ratio)) = (self.peak_rss, self.over_file()) {
            let _ = writeln!(text, "  peak memory    {} ({ratio:.2} x the file)", output::bytes(rss));
        }
        text
    }
}

/// Peak resident memory of this process in bytes: `VmHWM` on Linux, elsewhere the present resident memory.
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

/// A metadata value as text: long strings are cut, long arrays are given by their length.
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
        Value::Array(it) if it.len() > MAX_PRINTED => json!({ "length": it.len() }),
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
