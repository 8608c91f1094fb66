//! One line of the journal: the point, the device, the build, the result and every raw sample.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Schema of the records this crate writes. Records of `ridgeline.journal/1` and `/2` are read too.
pub const SCHEMA: &str = "ridgeline.journal/3";

/// The mark of the anchor's records, in place of the experiments that want a cell.
pub const ANCHOR: &str = "anchor";

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Measured, and its check passed.
    Ok,
    /// The measurement or its check failed; the row enters no table.
    Failed,
    /// It cannot run on this device, for the reason given.
    Skipped,
}

/// A correctness check of a cell and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Kind of check, such as `floor` or `greedy-matches-baseline`.
    pub kind: String,
    /// Whether it passed.
    pub ok: bool,
    /// Details, such as the compared numbers.
    pub detail: String,
}

/// The device that was measured and the computer around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineId {
    /// Name of the adapter.
    pub adapter: String,
    /// Driver name and version.
    pub driver: String,
    /// Graphics interface, such as Vulkan or Metal.
    pub backend: String,
    /// Discrete, integrated, software and so on.
    pub device_type: String,
    /// Device limits by name.
    pub limits: BTreeMap<String, u64>,
    /// Device features in use.
    pub features: Vec<String>,
    /// Operating system and version.
    pub os: String,
    /// Processor name.
    pub cpu: String,
    /// Logical cores.
    pub cores: u64,
    /// Main memory, bytes.
    pub memory_bytes: u64,
}

/// The program that measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Git revision; `None` where it was built outside a checkout.
    pub git_rev: Option<String>,
    /// Whether the checkout had uncommitted changes.
    pub dirty: Option<bool>,
    /// Compiler version.
    pub rustc: String,
    /// Version of the program.
    pub version: String,
    /// Versions of the crates that matter to the numbers.
    pub crates: BTreeMap<String, String>,
}

/// The mark in a version between the program's own and a digest of the tuned kernel choices.
pub const TUNED: &str = "+tuned.";

impl Build {
    /// Whether tuned kernel choices were in use.
    #[must_use]
    pub fn is_tuned(&self) -> bool {
        self.version.contains(TUNED)
    }
}

/// The model file that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelId {
    /// Its name.
    pub name: String,
    /// BLAKE3 of the file; `None` for generated weights.
    pub hash: Option<String>,
    /// Bytes of the file or of the generated weights.
    pub bytes: u64,
}

// No field is `#[serde(flatten)]` or internally tagged. Another crate of the workspace enables `serde_json`'s
// `arbitrary_precision`, and with it neither mechanism can deserialize floats.
/// One line of a journal: one visit of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// Id of the invocation of the program.
    pub run_id: String,
    /// Hash of the cell: measure, point and check.
    pub cell_id: String,
    /// Name of the measure.
    pub measure: String,
    /// Ids of the experiments that want the cell, such as `GAP-4`.
    #[serde(default)]
    pub studies: Vec<String>,
    /// Number of earlier visits of the cell in the same run folder, by this device and build.
    #[serde(default)]
    pub visit: u32,
    /// The point that was measured.
    pub point: Value,
    /// Whether it was measured.
    pub status: Status,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// The measure's row; null where there is none.
    pub row: Value,
    /// Every timed repetition in order, nanoseconds.
    pub samples_ns: Vec<u64>,
    /// The correctness check, where the cell has one.
    pub check: Option<Check>,
    /// The device and computer.
    pub machine: MachineId,
    /// The program.
    pub build: Build,
    /// The model, where there is one.
    pub model: Option<ModelId>,
    /// The command line.
    pub argv: Vec<String>,
    /// Seed of everything random in it.
    pub seed: u64,
    /// Start, UTC, RFC 3339.
    pub started_utc: String,
    /// Wall time of the whole cell, seconds.
    pub duration_s: f64,
}

/// The JSON Schema of one journal line, as text. `docs/journal.schema.json` holds it.
#[must_use]
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Record);
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text + "\n"
}

/// Seconds since 1970 of a time that [`utc`] wrote; `None` for other text.
#[must_use]
pub fn unix_seconds(utc: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| utc.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Hinnant's `days_from_civil`, the inverse of the days below.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Formats seconds since 1970 as an RFC 3339 time in UTC.
#[must_use]
pub fn utc(unix_seconds: u64) -> String {
    let (days, rest) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Hinnant's `civil_from_days`: years start in March, so that the leap day is the last day of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
