//! `diagnose`: the answer to "how fast, how fast could it be, and what should I change", from the records of a run.
//!
//! It measures nothing. The command `diagnose` and the report of `bench-all` give it their records; [`cells`] lists
//! what the command measures first.

mod advice;
mod answer;
pub(crate) mod cells;
mod formats;
mod predict;
pub(crate) mod report;
mod scope;
pub(crate) mod sections;
pub(crate) mod size;
mod speculate;

pub(crate) use advice::Advice;
pub(crate) use answer::Answer;
pub(crate) use scope::Scope;

use crate::measures::pass::Work;
use crate::measures::{launch, mix, pass, quality, speculation};
use formats::FormatRow;
use predict::Baseline;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Rows;
use ridgeline_measure::models::{self, STORED};
use ridgeline_measure::profile::Profiled;
use ridgeline_roofline::{Machine, Measured};
use scope::plain;
use serde::Serialize;

/// What is diagnosed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The model as the user names it.
    pub model: String,
    /// Quantization of its cells, or `stored`.
    pub format: String,
    /// Name of the stored quantization, such as `Q8_0`.
    pub stored: String,
    /// The model's cells.
    pub whole: Scope,
    /// Cells of random weights in its shape, for quantizations that the file does not have.
    pub shape: Scope,
    /// A draft model of the same vocabulary.
    pub draft: Option<String>,
    /// Tokens in the KV cache.
    pub depth: usize,
    /// Whether tuned kernel choices are stored for this device.
    pub tuned: bool,
}

/// Relative standard deviation between visits from which a diagnosis warns.
const NOISY: f64 = 0.05;

/// A subject with the cells of the run.
pub(crate) struct Source<'a> {
    subject: &'a Subject,
    /// The generation that is diagnosed.
    work: Work,
    passes: Rows<'a, pass::Point, pass::Row>,
    launches: Rows<'a, launch::Point, Profiled>,
    quality: Rows<'a, quality::Point, quality::Row>,
    speculation: Rows<'a, speculation::Point, speculation::Row>,
}

impl std::ops::Deref for Source<'_> {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        self.subject
    }
}

/// The diagnosis of one model on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Diagnosis {
    /// The answer.
    pub answer: Answer,
    /// What to change, the largest gain first.
    pub advice: Vec<Advice>,
    /// What was looked at and is not advised, with the reason.
    pub rejected: Vec<String>,
    /// The quantizations.
    pub formats: Vec<FormatRow>,
    /// Why the numbers may be worse than they look.
    pub caveats: Vec<String>,
}

impl Diagnosis {
    /// The quantization that is advised.
    pub(crate) fn quantization(&self) -> Option<String> {
        formats::recommended(&self.formats).map(|row| row.format.to_lowercase())
    }
}

impl Subject {
    /// A model whose cells in the records are of the whole model.
    pub(crate) fn whole(model: &str, format: &str, depth: usize) -> Self {
        let scope = |name: String| Scope { name, cut: None, layers: 1 };
        Self {
            model: model.to_owned(),
            format: format.to_owned(),
            stored: if format == STORED { "as stored".to_owned() } else { format.to_uppercase() },
            whole: scope(model.to_owned()),
            shape: scope(models::shape_of(model)),
            draft: None,
            depth,
            tuned: false,
        }
    }

    /// Whether a cell is of today's quantization, depth and cache.
    fn is_now(&self, p: &pass::Point) -> bool {
        p.format == self.format && p.depth == self.depth && p.is_default()
    }

    /// A quantization for people.
    fn title_of(&self, format: &str) -> String {
        if format == STORED { self.stored.clone() } else { mix(format).to_uppercase() }
    }

    /// The model and its quantization for people.
    fn title(&self) -> String {
        format!("{} {}", self.model, self.title_of(&self.format))
    }

    /// The command that quantizes it, or measures it so where it has no file.
    fn quantize_command(&self, format: &str) -> String {
        if self.whole.name == self.shape.name {
            return format!("ridgeline bench -m {}:{}", self.model, format.to_lowercase());
        }
        let base = self.model.rsplit('/').next().unwrap_or(&self.model).trim_end_matches(".gguf");
        let format = format.to_lowercase();
        format!("ridgeline quantize {} {base}-{format}.gguf {format}", self.model)
    }
}

/// The diagnosis, where the subject's decode step and the ceilings were measured.
///
/// # Errors
/// Where a record does not deserialize to its measure's types.
pub(crate) fn diagnose(data: &Data<'_>, subject: &Subject) -> Result<Option<Diagnosis>, Error> {
    let (passes, names) = (data.rows::<pass::Kind>()?, subject.whole.names());
    let is = |p: &pass::Point| {
        names.contains(&p.model) && subject.is_now(p) && p.kernels && p.work.generated().is_some()
    };
    let (Some(work), Some(machine)) = (passes.find(is).map(|e| e.point.work), data.machine()) else {
        return Ok(None);
    };
    let source = Source {
        subject,
        work,
        passes,
        launches: data.rows::<launch::Kind>()?,
        quality: data.rows::<quality::Kind>()?,
        speculation: data.rows::<speculation::Kind>()?,
    };
    let mut diagnosis = of(&source, machine);
    if let Some(diagnosis) = &mut diagnosis {
        diagnosis.caveats = caveats(data);
    }
    Ok(diagnosis)
}

/// What a reader has to know of the numbers: noise, and a device that is no GPU.
fn caveats(data: &Data<'_>) -> Vec<String> {
    let mut caveats = Vec::new();
    let device = data.cells().iter().flatten().next().map(|r| &r.machine);
    if let Some(device) = device.filter(|it| it.device_type == "software") {
        caveats.push(format!(
            "{} is a software adapter: a GPU has other limits and ranks advice otherwise.",
            device.adapter
        ));
    }
    if let Some(noise) = data.noise().filter(|it| *it > NOISY) {
        caveats.push(format!(
            "Two visits of one cell differ by {} (standard deviation): close other programs, or give more time.",
            number::percent(noise)
        ));
    }
    caveats
}

fn of(source: &Source<'_>, machine: &Machine) -> Option<Diagnosis> {
    let tokens = source.work.generated()?;
    let is = |p: &pass::Point| source.is_now(p) && p.work == source.work && p.kernels;
    let step = source.whole.step(&source.passes, is)?;
    let mut answer = Answer::new(source.title(), source.depth, &step, tokens, machine);
    answer.prompt = prompt(source);
    // Profiles are of the shape where it was profiled, and else of the model itself.
    let profiled = |scope: &Scope| source.launches.find(|p| p.model == scope.profiled().0).is_some();
    let scope = if profiled(&source.shape) { &source.shape } else { &source.whole };
    let depths =
        source.launches.iter().filter(|e| e.point.model == scope.profiled().0).map(|e| e.point.depth);
    // The nearest depth at which kernels were profiled.
    let depth = depths.min_by_key(|depth| depth.abs_diff(source.depth)).unwrap_or(source.depth);
    // The quantization in the model's name is that of its cells; its profiles have it as their format.
    let format = models::split_quantization(&source.model).1.filter(|_| source.format == STORED);
    let at = (depth, format.unwrap_or(&source.format).to_owned());
    let baseline = Baseline::new(scope, &source.launches, (&step, tokens), at, machine);
    let formats = formats::rows(source, &baseline);
    let advice = advice::advice(source, &baseline, &answer, &formats);
    let rejected = advice::rejected(source, &answer, &formats);
    Some(Diagnosis { answer, advice, rejected, formats, caveats: Vec::new() })
}

/// Prompt tokens per second, by the longest prompt at depth 0; only of a model that is measured whole.
fn prompt(source: &Source<'_>) -> Option<Measured> {
    if source.whole.cut.is_some() {
        return None;
    }
    let is_prompt = |p: &pass::Point| {
        let prompt = matches!(p.work, pass::Work::Test(test) if test.generate == 0);
        prompt && p.model == source.whole.name && p.format == source.format && plain(p.work, 0)(p)
    };
    let entry = source.passes.iter().filter(|e| is_prompt(&e.point)).max_by_key(|e| e.point.work.tokens())?;
    let n = entry.point.work.tokens() as f64;
    Some(entry.seconds()?.map(|s| n / s))
}

#[cfg(test)]
mod tests;
