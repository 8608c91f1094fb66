//! Benchmark rows in llama-bench's format, plus the 95 % interval, bandwidth utilization, roof fraction and bound.
//!
//! Field names and the text of the `test` column follow llama.cpp's `tools/llama-bench`, so that scripts written
//! for its output work. [`BenchRow::fields`] lists the fields for all output formats.

mod writer;

pub use writer::{Writer, export};

use crate::report::{Align, Table, number};
use crate::stats;
use ridgeline_roofline::{Bound, Measured};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One test of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchRow {
    /// Git revision of the program; `unknown` outside a checkout.
    pub build_commit: String,
    /// Number of the build; zero where builds are not numbered.
    pub build_number: u64,
    /// Processor name.
    pub cpu_info: String,
    /// Adapter name.
    pub gpu_info: String,
    /// Graphics API, such as `Vulkan`.
    pub backends: String,
    /// File or name of the model.
    pub model_filename: String,
    /// Family, size and quantization type, such as `llama 135M Q8_0`.
    pub model_type: String,
    /// Bytes of the weights.
    pub model_size: u64,
    /// Parameters.
    pub model_n_params: u64,
    /// Largest logical batch, tokens.
    pub n_batch: u64,
    /// Largest physical batch, tokens: one forward pass.
    pub n_ubatch: u64,
    /// Data type of the keys in the KV cache.
    pub type_k: String,
    /// Data type of the values in the KV cache.
    pub type_v: String,
    /// Whether attention is one fused kernel.
    pub flash_attn: bool,
    /// Prompt tokens of the test; zero in a generation test.
    pub n_prompt: u64,
    /// Tokens generated; zero in a prompt test.
    pub n_gen: u64,
    /// Tokens in the KV cache before the test.
    pub n_depth: u64,
    /// Sequences that go through the test together; `None`: one. Lengths and depths are those of each.
    #[serde(default)]
    pub n_parallel: Option<u64>,
    /// Start, UTC, RFC 3339.
    pub test_time: String,
    /// Every timed repetition in order, nanoseconds.
    pub samples_ns: Vec<u64>,
    /// Achieved share of the measured bandwidth (model bandwidth utilization), where ceilings are known.
    pub mbu: Option<f64>,
    /// Achieved share of the roof, where ceilings are known.
    pub roof_fraction: Option<f64>,
    /// The resource that bounds the test, where ceilings are known.
    pub bound: Option<Bound>,
}

/// The formats of `bench -o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// A table of aligned text, for terminals.
    Plain,
    /// A Markdown table.
    Md,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON array.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// `CREATE TABLE` and one `INSERT` per row, for `SQLite`.
    Sql,
}

impl BenchRow {
    /// Tokens that one repetition processes, of all sequences.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        let sequences = if let Some(n) = self.n_parallel { n } else { 1 };
        (self.n_prompt + self.n_gen) * sequences
    }

    /// Tokens per second of every repetition; zero for a repetition of 0 ns.
    #[must_use]
    pub fn samples_ts(&self) -> Vec<f64> {
        let rate = |&ns: &u64| if ns == 0 { 0.0 } else { self.tokens() as f64 * 1e9 / ns as f64 };
        self.samples_ns.iter().map(rate).collect()
    }

    /// Mean tokens per second with Student's 95 % interval; `None` below two repetitions. No rate is negative, so the
    /// interval of a few scattered repetitions ends at 0.
    #[must_use]
    pub fn rate(&self) -> Option<Measured> {
        stats::mean_interval(&self.samples_ts()).map(|it| Measured { lo: it.lo.max(0.0), ..it })
    }

    /// The name of the test as llama-bench writes it: `pp128`, `tg64 @ d256`, `pp512+tg128`.
    #[must_use]
    pub fn test(&self) -> String {
        let mut name = match (self.n_prompt, self.n_gen) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generated) => format!("tg{generated}"),
            (prompt, generated) => format!("pp{prompt}+tg{generated}"),
        };
        if self.n_depth > 0 {
            name += &format!(" @ d{}", self.n_depth);
        }
        name
    }

    /// Every field with its value, in output order.
    ///
    /// `ci95_lo_ts` to `bound` are additions to llama-bench's fields.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Value)> {
        let times: Vec<f64> = self.samples_ns.iter().map(|&ns| ns as f64).collect();
        let rates = self.samples_ts();
        let spread = |values: &[f64]| stats::sd(values).unwrap_or(0.0);
        let interval = self.rate();
        vec![
            ("build_commit", json!(self.build_commit)),
            ("build_number", json!(self.build_number)),
            ("cpu_info", json!(self.cpu_info)),
            ("gpu_info", json!(self.gpu_info)),
            ("backends", json!(self.backends)),
            ("model_filename", json!(self.model_filename)),
            ("model_type", json!(self.model_type)),
            ("model_size", json!(self.model_size)),
            ("model_n_params", json!(self.model_n_params)),
            ("n_batch", json!(self.n_batch)),
            ("n_ubatch", json!(self.n_ubatch)),
            ("type_k", json!(self.type_k)),
            ("type_v", json!(self.type_v)),
            ("flash_attn", json!(self.flash_attn)),
            ("n_prompt", json!(self.n_prompt)),
            ("n_gen", json!(self.n_gen)),
            ("n_depth", json!(self.n_depth)),
            ("test_time", json!(self.test_time)),
            ("avg_ns", json!(stats::mean(&times))),
            ("stddev_ns", json!(spread(&times))),
            ("avg_ts", json!(stats::mean(&rates))),
            ("stddev_ts", json!(spread(&rates))),
            ("ci95_lo_ts", json!(interval.map(|i| i.lo))),
            ("ci95_hi_ts", json!(interval.map(|i| i.hi))),
            ("median_ts", json!(stats::median(&rates))),
            ("mbu", json!(self.mbu)),
            ("roof_fraction", json!(self.roof_fraction)),
            ("bound", json!(self.bound.map(Bound::as_str))),
            ("samples_ns", json!(self.samples_ns)),
            ("samples_ts", json!(rates)),
        ]
    }
}

/// A column that not every table has.
type Varied = (&'static str, fn(&BenchRow) -> String);

/// As llama-bench titles them.
const VARIED: [Varied; 5] = [
    ("n_batch", |row| row.n_batch.to_string()),
    ("n_ubatch", |row| row.n_ubatch.to_string()),
    ("type_k", |row| row.type_k.clone()),
    ("type_v", |row| row.type_v.clone()),
    ("fa", |row| u8::from(row.flash_attn).to_string()),
];

/// The settings that have a column of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Largest logical and physical batch.
    pub batches: [bool; 2],
    /// Data types of keys and values in the KV cache.
    pub cache_types: [bool; 2],
    /// Whether attention is one fused kernel.
    pub flash_attn: bool,
}

impl Shown {
    /// The settings in which rows differ.
    #[must_use]
    pub fn of(rows: &[BenchRow]) -> Self {
        let differs = |it: &Varied| rows.windows(2).any(|pair| it.1(&pair[0]) != it.1(&pair[1]));
        let [batch, ubatch, key, value, flash_attn] = VARIED.each_ref().map(differs);
        Self { batches: [batch, ubatch], cache_types: [key, value], flash_attn }
    }

    fn columns(self) -> Vec<Varied> {
        let Self { batches: [batch, ubatch], cache_types: [key, value], flash_attn } = self;
        let shown = [batch, ubatch, key, value, flash_attn];
        VARIED.into_iter().zip(shown).filter_map(|(column, shown)| shown.then_some(column)).collect()
    }
}

/// The rows as a table of the report. A setting has a column where rows differ in it.
#[must_use]
pub fn table(caption: &str, rows: &[BenchRow]) -> Table {
    table_of(caption, rows, Shown::of(rows))
}

/// The rows as a table with these settings.
fn table_of(caption: &str, rows: &[BenchRow], shown: Shown) -> Table {
    use Align::{Left, Right};
    let varied = shown.columns();
    let first = [("model", Left), ("size", Right), ("params", Right), ("backend", Left)];
    let mut table = Table::new(
        caption,
        first.into_iter().chain(varied.iter().map(|it| (it.0, Right))).chain([
            ("test", Left),
            ("t/s", Right),
            ("95 % CI", Right),
            ("ms/tok", Right),
            ("% BW", Right),
            ("% roof", Right),
            ("bound", Left),
        ]),
    );
    for row in rows {
        let rates = row.samples_ts();
        let share = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{:.1}", s * 100.0));
        let average = stats::mean(&rates).unwrap_or(0.0);
        let named =
            [row.model_type.clone(), size(row.model_size), params(row.model_n_params), row.backends.clone()];
        table.push(named.into_iter().chain(varied.iter().map(|it| it.1(row))).chain([
            row.test(),
            format!("{average:.2} ± {:.2}", stats::sd(&rates).unwrap_or(0.0)),
            row.rate().map_or_else(|| "–".to_owned(), |i| format!("{:.2} – {:.2}", i.lo, i.hi)),
            if average > 0.0 { number::digits(1e3 / average, 3) } else { "–".to_owned() },
            share(row.mbu),
            share(row.roof_fraction),
            row.bound.map_or_else(|| "–".to_owned(), |b| b.to_string()),
        ]));
    }
    table
}

/// Bytes as llama-bench writes them: two decimals, MiB below a GiB.
fn size(bytes: u64) -> String {
    let (gib, mib) = ((1_u64 << 30) as f64, (1_u64 << 20) as f64);
    let bytes = bytes as f64;
    if bytes < gib { format!("{:.2} MiB", bytes / mib) } else { format!("{:.2} GiB", bytes / gib) }
}

/// Parameters as llama-bench writes them: two decimals, millions below a billion.
fn params(count: u64) -> String {
    let count = count as f64;
    if count < 1e9 { format!("{:.2} M", count / 1e6) } else { format!("{:.2} B", count / 1e9) }
}
