//! Numbers and claims of the published studies, as printed, with codes for their known inconsistencies.

use crate::Error;
use crate::verdict::{Outcome, Range, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Name and text of each file of published numbers.
const FILES: [(&str, &str); 4] = [
    ("inversion.toml", include_str!("../published/inversion.toml")),
    ("throughput_gap.toml", include_str!("../published/throughput_gap.toml")),
    ("apple_silicon_sd.toml", include_str!("../published/apple_silicon_sd.toml")),
    ("rooflinebench.toml", include_str!("../published/rooflinebench.toml")),
];

/// A sentence of a study that a measurement can contradict.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id, such as `GAP-C1`.
    pub id: String,
    /// The claim in one sentence.
    pub text: String,
    /// The expression that decides it, in the catalogue's words.
    pub test: String,
    /// The figures that the study prints for it.
    pub published: String,
    /// Figures recomputed from the study's own data, where they differ from the printed ones.
    pub recomputed: Option<String>,
    /// Id of the experiment that decides it, such as `GAP-4`.
    pub study: String,
    /// The outcome that was expected before any run.
    pub prediction: Prediction,
    /// The comparisons that decide it. Without any, `needs` says why not.
    #[serde(default)]
    pub compare: Vec<Requirement>,
    /// Values that are shown beside the verdict, such as the truth beside a reproduced artefact.
    #[serde(default)]
    pub beside: Vec<Beside>,
    /// What is missing to test it: a measure, a model family or a device.
    pub needs: Option<String>,
    /// Devices that it compares.
    #[serde(default = "one")]
    pub devices: usize,
}

const fn one() -> usize {
    1
}

/// The expected outcome of a claim's test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason.
    pub why: String,
}

/// A named value with its required range.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawRequirement")]
pub struct Requirement {
    /// Name of the value.
    pub value: String,
    /// The range.
    pub range: Range,
    /// How the value is printed.
    pub unit: Unit,
    /// Why the range has these ends.
    pub why: String,
}

/// A requirement as it is written, with one range at most.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequirement {
    value: String,
    above: Option<f64>,
    below: Option<f64>,
    within: Option<[f64; 2]>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    #[serde(default)]
    unit: Unit,
    /// Only beside a verdict: that of a claim is a key of the claim.
    predicted: Option<Outcome>,
    why: String,
}

impl RawRequirement {
    fn range(&self) -> Result<Option<Range>, String> {
        let ranges = [
            self.above.map(Range::Above),
            self.below.map(Range::Below),
            self.within.map(|[low, high]| Range::Within(low, high)),
            self.at_least.map(Range::AtLeast),
            self.at_most.map(Range::AtMost),
        ];
        let given: Vec<Range> = ranges.into_iter().flatten().collect();
        match given[..] {
            [] => Ok(None),
            [range] => Ok(Some(range)),
            _ => Err(self.wrong(given.len())),
        }
    }

    fn wrong(&self, ranges: usize) -> String {
        format!("{} has {ranges} ranges; give one of above, below, within, at_least, at_most", self.value)
    }
}

impl TryFrom<RawRequirement> for Requirement {
    type Error = String;

    fn try_from(raw: RawRequirement) -> Result<Self, String> {
        let range = raw.range()?.ok_or_else(|| raw.wrong(0))?;
        let RawRequirement { value, unit, predicted, why, .. } = raw;
        match predicted {
            None => Ok(Self { value, range, unit, why }),
            Some(_) => Err(format!("{value} has a predicted outcome; give that of the claim")),
        }
    }
}

/// A value that is shown beside a verdict and does not decide the claim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawRequirement")]
pub struct Beside {
    /// Name of the value.
    pub value: String,
    /// The range that would decide the claim by this value alone, and the outcome expected before any run.
    pub test: Option<(Range, Outcome)>,
    /// How the value is printed.
    pub unit: Unit,
    /// What it shows.
    pub why: String,
}

impl TryFrom<RawRequirement> for Beside {
    type Error = String;

    fn try_from(raw: RawRequirement) -> Result<Self, String> {
        let range = raw.range()?;
        let RawRequirement { value, unit, predicted, why, .. } = raw;
        match (range, predicted) {
            (None, None) => Ok(Self { value, test: None, unit, why }),
            (Some(range), Some(predicted)) => Ok(Self { value, test: Some((range, predicted)), unit, why }),
            _ => Err(format!("{value} beside a verdict has a range and a predicted outcome, or neither")),
        }
    }
}

/// One published table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Table {
    /// Its id, such as `GAP-T1`.
    pub id: String,
    /// The experiment it reports.
    pub experiment: String,
    /// What it shows.
    pub caption: String,
    /// `study`, or `authors-repo` for the authors' repository.
    pub origin: String,
    /// Its name in the study, such as `Table 6`.
    pub printed_as: Option<String>,
    /// The device measured.
    pub device: Option<String>,
    /// Codes of the inconsistencies that touch it, such as `X-GAP-1`.
    #[serde(default)]
    pub suspect: Vec<String>,
    /// Units by column.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// The rows, each a map from column to value.
    #[serde(default)]
    pub rows: Vec<Row>,
}

/// One row of a published table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Row(BTreeMap<String, toml::Value>);

impl Row {
    /// A number, integer or float.
    #[must_use]
    pub fn number(&self, column: &str) -> Option<f64> {
        match self.0.get(column)? {
            toml::Value::Float(f) => Some(*f),
            toml::Value::Integer(i) => Some(*i as f64),
            _ => None,
        }
    }

    /// A string.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column)?.as_str()
    }

    /// Columns and values, by name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &toml::Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl Table {
    /// The first row whose column holds exactly this text.
    #[must_use]
    pub fn row(&self, column: &str, text: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.text(column) == Some(text))
    }

    /// The first row whose column holds this number.
    #[must_use]
    pub fn row_number(&self, column: &str, number: f64) -> Option<&Row> {
        self.rows.iter().find(|r| r.number(column) == Some(number))
    }
}

/// Where a file of published numbers comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// Title of the study.
    pub title: String,
    /// Prefix of its ids.
    pub prefix: String,
    /// Identifier of the paper, where it has one.
    pub paper_id: Option<String>,
    /// The inference framework that it measured.
    pub framework: Option<String>,
}

#[derive(Deserialize)]
struct File {
    source: Source,
    #[serde(default)]
    table: Vec<Table>,
    #[serde(default)]
    claim: Vec<Claim>,
}

/// Everything published, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    sources: Vec<Source>,
    claims: Vec<Claim>,
    tables: Vec<Table>,
}

impl Published {
    /// Parses the files that are compiled into the crate.
    ///
    /// # Errors
    /// [`Error::Toml`] where one does not parse.
    pub fn load() -> Result<Self, Error> {
        let mut all = Self::default();
        for (name, text) in FILES {
            let path = || PathBuf::from("published").join(name);
            let file: File =
                toml::from_str(text).map_err(|e| Error::Toml { path: path(), source: Box::new(e) })?;
            all.sources.push(file.source);
            all.claims.extend(file.claim);
            all.tables.extend(file.table);
        }
        Ok(all)
    }

    /// The studies, in the order of their files.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Every claim, in the order of the files.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// Every table, in the order of the files.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// One claim.
    ///
    /// # Errors
    /// [`Error::UnknownPublished`] where there is none of that id.
    pub fn claim(&self, id: &str) -> Result<&Claim, Error> {
        let missing = || Error::UnknownPublished { kind: "claim", id: id.to_owned() };
        self.claims.iter().find(|c| c.id == id).ok_or_else(missing)
    }

    /// One table.
    ///
    /// # Errors
    /// [`Error::UnknownPublished`] where there is none of that id.
    pub fn table(&self, id: &str) -> Result<&Table, Error> {
        let missing = || Error::UnknownPublished { kind: "table", id: id.to_owned() };
        self.tables.iter().find(|t| t.id == id).ok_or_else(missing)
    }
}
