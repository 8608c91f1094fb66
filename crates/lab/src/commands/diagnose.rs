//! `ridgeline diagnose`: how fast a model runs here, how fast it could run, and what to change. It tries what it advises.
//!
//! ```text
//! ceilings of the device, briefly
//! survey     today's decode step and its kernels; the kernels of other quantizations, of a batch; a draft
//! advice     from the survey; of the first three that can be tried, the cells that try them
//! trials     these cells and today's, interleaved, VISITS times or until the time is up
//! ```

use super::flags::MODELS;
use crate::diagnosis::size::{self, Size};
use crate::diagnosis::{self, Diagnosis, Scope, Subject, cells, sections};
use crate::globals::{Globals, UsageError};
use crate::measures::pass::Work;
use crate::runner::{Catalogue, Identity, Job, visit};
use crate::{audit, hub, install, output, provenance, studies};
use anyhow::Context;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::matrix::{Cell, VISITS};
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::report::{Report, markdown};
use ridgeline_measure::models::{self, SHAPE, STORED};
use ridgeline_measure::{MeasureContext, tune};
use ridgeline_weights::{Checkpoint, Container};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How fast a model runs here, how fast it could run, where the difference goes, and what to change
///
/// It measures the device, the model and other quantizations for a minute, predicts what each change gains, and tries the
/// first three. Without -m it takes the toy model that ships with the tool.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODELS, default_value = "tiny-target")]
    model: String,
    /// Draft model for advice on speculation, given as -m is (also -md). Its vocabulary must be that of -m's model
    /// [default: tiny-draft for tiny-target, else none]
    #[arg(long, value_name = "MODEL")]
    model_draft: Option<String>,
    /// Tokens in the KV cache
    #[arg(short = 'd', long, default_value_t = 0)]
    depth: usize,
    /// Time after which no further measurement starts, such as 60s or 3m [default: 45s, or 2m for weights above 128 MiB]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_time: Option<Duration>,
    /// Output format: text, md or json [default: text]
    #[arg(short, long, value_name = "FORMAT", value_parser = ["text", "md", "json"], default_value = "text")]
    output: String,
    /// Seed of random tokens
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
}

/// Share of the time after which no further round of the survey starts.
const SURVEY: f64 = 0.55;

/// Most rounds of the survey.
const MAX_ROUNDS: u32 = 4;

/// Advice that is tried.
const TRIALS: usize = 3;

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.model, None)?;
    if let Some(draft) = &args.model_draft {
        models::checkpoint(draft, None)?;
    }
    let mut device = install::open(globals)?;
    let identity =
        Identity { machine: provenance::machine_id(&mut device), build: provenance::build_for(&mut device) };
    let tuning = tune::stored(&mut device);
    let tuned = identity.build.is_tuned();
    let cx = MeasureContext::new(device, None, tuning, args.seed);
    cx.require_clock()?;
    let max = args.max_time.unwrap_or_else(|| size::default_time(&checkpoint));
    let mut session = Session::new(cx, identity, (globals, args.seed), max);
    let diagnosis = session.run(&args, &checkpoint, tuned)?;
    let measured = session.measured(&args);
    match &*args.output {
        it if globals.json || it == "json" => output::json(&diagnosis)?,
        "md" => {
            let report = Report {
                title: format!("Diagnosis of {}", diagnosis.answer.model),
                subtitle: measured.join(" "),
                sections: vec![sections::section(&diagnosis)],
                provenance: Vec::new(),
            };
            output::text(&markdown::markdown(&report))?;
        }
        _ => output::text(&sections::terminal(&diagnosis, &measured))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Measurements in this process, with their records.
struct Session {
    cx: MeasureContext,
    catalogue: Catalogue,
    job: Job,
    identity: Identity,
    records: Vec<Record>,
    visits: HashMap<String, u32>,
    started: Instant,
    max: Duration,
}

impl Session {
    fn new(cx: MeasureContext, identity: Identity, (globals, seed): (&Globals, u64), max: Duration) -> Self {
        let job = Job {
            device: globals.device.clone(),
            seed,
            run_id: provenance::run_id(),
            argv: hub::recorded(std::env::args_os()),
            ceilings: None,
            longest_s: None,
            anchor: None,
            anchor_due_s: 0.0,
            cells: Vec::new(),
        };
        let catalogue = studies::catalogue();
        Self {
            cx,
            catalogue,
            job,
            identity,
            records: Vec::new(),
            visits: HashMap::new(),
            started: Instant::now(),
            max,
        }
    }

    fn run(&mut self, args: &Args, checkpoint: &Checkpoint, tuned: bool) -> anyhow::Result<Diagnosis> {
        output::note("measuring the device's ceilings");
        self.round(&cells::ceilings());
        self.cx.machine = (self.catalogue.ceilings)(&self.records);
        let (subject, work) = self.subject(args, checkpoint, tuned)?;
        let survey = cells::survey(&subject, work);
        for round in 1..=MAX_ROUNDS {
            if round > 1 && self.share() > SURVEY {
                break;
            }
            output::note(&format!("round {round}: {} measurements of {}", survey.len(), subject.model));
            self.round(&survey);
        }
        let diagnosis = self.diagnose(&subject)?;
        let trials: Vec<&diagnosis::Advice> =
            diagnosis.advice.iter().filter(|it| !it.trial.is_empty()).take(TRIALS).collect();
        for it in &trials {
            output::note(&format!("trying: {}", it.finding.action));
        }
        let cells: Vec<Cell> = trials.iter().flat_map(|it| it.trial.clone()).collect();
        for round in 1..=VISITS {
            if round == 1 || self.share() < 1.0 {
                self.round(&cells);
            }
        }
        if let Some(format) = diagnosis.quantization().filter(|_| self.has_quality(args, checkpoint)) {
            output::note(&format!("comparing the quality of {format} with the stored weights"));
            self.round(&[cells::quality(&subject.model, &format)]);
        }
        let mut diagnosis = self.diagnose(&subject)?;
        for it in diagnosis.advice.iter_mut().filter(|it| it.finding.measured.is_none()) {
            let untried = if it.trial.is_empty() { "no trial" } else { "not among the first three" };
            it.finding.untried.get_or_insert_with(|| untried.to_owned());
        }
        Ok(diagnosis)
    }

    /// Whether the quality of a quantization can be measured: there is a vocabulary, and quantizing takes no minutes.
    fn has_quality(&self, args: &Args, checkpoint: &Checkpoint) -> bool {
        let has_vocabulary = models::tokenizer(checkpoint).is_ok_and(|it| it.is_some());
        has_vocabulary && !args.model.starts_with(SHAPE) && !size::is_large(checkpoint)
    }

    /// Visits cells in order.
    fn round(&mut self, cells: &[Cell]) {
        for cell in cells {
            let visits = self.visits.entry(cell.id()).or_default();
            let cell = Cell { visit: *visits, ..cell.clone() };
            *visits += 1;
            let record = visit(&self.catalogue.measures, &mut self.cx, &cell, (&self.job, &self.identity));
            if let Some(reason) = record.reason.as_ref().filter(|_| record.status == Status::Failed) {
                output::note(&format!("{} {} failed: {reason}", cell.measure, cell.label()));
            }
            self.records.push(record);
        }
    }

    /// Share of the time that is used.
    fn share(&self) -> f64 {
        self.started.elapsed().as_secs_f64() / self.max.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn diagnose(&self, subject: &Subject) -> anyhow::Result<Diagnosis> {
        let published = Published::load()?;
        let machine = (self.catalogue.ceilings)(&self.records);
        let audit = audit::audit(&Data::new(&self.records, machine.as_ref(), &published), None)?;
        let data = Data::new(&self.records, audit.machine.as_ref(), &published);
        let mut diagnosis = diagnosis::diagnose(&data, subject)?.with_context(|| self.failure())?;
        diagnosis.caveats.extend(audit.faults.into_iter().map(|fault| fault.sentence));
        Ok(diagnosis)
    }

    /// Why there is no diagnosis.
    fn failure(&self) -> String {
        let failed = self.records.iter().find(|r| r.status != Status::Ok);
        let reason =
            failed.and_then(|r| r.reason.clone()).unwrap_or_else(|| "nothing was measured".to_owned());
        format!("no decode step was measured: {reason}")
    }

    /// What is diagnosed, and the generation that suits its speed.
    fn subject(&self, args: &Args, checkpoint: &Checkpoint, tuned: bool) -> anyhow::Result<(Subject, Work)> {
        let machine = self.cx.machine.as_ref().with_context(|| self.failure())?;
        let size =
            Size::of(checkpoint, machine.bandwidth.memory().value, self.identity.machine.memory_bytes)?;
        let is_shape = checkpoint.container() == Container::Random;
        // The quantization of a name is the format of the cells, so that others can take its place.
        let (model, format) = models::split_quantization(&args.model);
        let shaped = if is_shape { model.to_owned() } else { models::shape_of(model) };
        let shape =
            Scope { name: shaped, cut: size.cut_shape().map(|it| it.measured), layers: size.layers() };
        let whole = if is_shape || !size.fits() {
            shape.clone()
        } else {
            Scope { name: model.to_owned(), cut: None, layers: size.layers() }
        };
        if is_shape && model.contains('@') && shape.cut.is_some() {
            return Err(
                UsageError(format!("{} has a number of layers already; leave it out", args.model)).into()
            );
        }
        let shipped = (model == "tiny-target").then(|| "tiny-draft".to_owned());
        let main = checkpoint.main_format().map(|it| it.spec().name.to_uppercase());
        let stored = format.map(str::to_uppercase).or(main).unwrap_or_else(|| STORED.to_owned());
        let subject = Subject {
            model: model.to_owned(),
            format: format.unwrap_or(STORED).to_owned(),
            stored,
            draft: args.model_draft.clone().or(shipped).filter(|_| whole.cut.is_none() && !is_shape),
            whole,
            shape,
            depth: args.depth,
            tuned,
        };
        Ok((subject, Work::generation(size.tokens())))
    }

    /// What was measured, and how to repeat it.
    fn measured(&self, args: &Args) -> Vec<String> {
        let ok = self.records.iter().filter(|r| r.status == Status::Ok).count();
        let m = &self.identity.machine;
        let machine = format!("{} ({}, {})", m.adapter, m.backend, m.driver);
        let depth = if args.depth > 0 { format!(" -d {}", args.depth) } else { String::new() };
        vec![
            format!(
                "{ok} measurements of {} cells in {:.0} s on {machine}.",
                self.visits.len(),
                self.started.elapsed().as_secs_f64()
            ),
            format!(
                "Repeat: ridgeline diagnose -m {}{depth}; more time (--max-time) gives narrower intervals.",
                args.model
            ),
        ]
    }
}
