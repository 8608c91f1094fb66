//! Progress on standard error: bars on a terminal, else one plain line per cell.

use super::Verbosity;
use crate::output;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Record, Status};
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Estimated seconds per second of budget, before a cell of the measure has been measured.
///
/// The budget does not include loading, shader compilation and warmup.
const FIRST_GUESS: f64 = 1.5;

/// The progress of one invocation.
#[derive(Debug)]
pub(crate) struct Progress {
    verbosity: Verbosity,
    bars: Option<Bars>,
    total: usize,
    done: usize,
    /// Remaining seconds of budget, by measure.
    left_s: HashMap<String, f64>,
    /// Measured seconds and seconds of budget of the finished cells, by measure.
    past_s: HashMap<String, (f64, f64)>,
    /// Seconds of budget of every cell of this run, by id.
    budget_s: HashMap<String, f64>,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
    current: ProgressBar,
}

impl Progress {
    /// Progress over `cells`; `past` are earlier records with their budgets, for the estimate of the remaining time.
    pub(crate) fn new<'a>(
        cells: &[Cell],
        past: impl Iterator<Item = (&'a Record, f64)>,
        verbosity: Verbosity,
    ) -> Self {
        let watched = verbosity == Verbosity::Normal && io::stderr().is_terminal();
        let mut progress = Self {
            verbosity,
            bars: watched.then(|| Bars::new(cells.len() as u64)),
            total: cells.len(),
            done: 0,
            left_s: HashMap::new(),
            past_s: HashMap::new(),
            budget_s: HashMap::new(),
        };
        for cell in cells {
            *progress.left_s.entry(cell.measure.clone()).or_default() += cell.next_budget().budget_s;
            progress.budget_s.insert(cell.id(), cell.next_budget().budget_s);
        }
        for (record, budget_s) in past {
            progress.learn(record, budget_s);
        }
        progress
    }

    /// Shows that a cell starts.
    pub(crate) fn begin(&self, cell: &Cell) {
        if let Some(bars) = &self.bars {
            bars.current.set_message(cell.label());
            bars.current.reset_elapsed();
            bars.overall.set_message(self.left());
        }
    }

    /// Shows how a cell ended.
    pub(crate) fn end(&mut self, cell: &Cell, record: &Record) {
        self.done += 1;
        let budget_s = self.budget_s.get(&record.cell_id).copied().unwrap_or(cell.next_budget().budget_s);
        if let Some(left) = self.left_s.get_mut(&cell.measure) {
            *left = (*left - budget_s).max(0.0);
        }
        if record.status == Status::Ok {
            self.learn(record, budget_s);
        }
        let word = match record.status {
            Status::Ok => "ok",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        };
        let mut line = format!(
            "[{:>width$}/{}] {word:<7} {:6.1} s  {}",
            self.done,
            self.total,
            record.duration_s,
            cell.label(),
            width = self.total.to_string().len()
        );
        if let Some(reason) = &record.reason {
            line += &format!("\n    {reason}");
        }
        match &self.bars {
            Some(bars) => {
                bars.overall.inc(1);
                bars.overall.set_message(self.left());
                if record.status != Status::Ok {
                    bars.print_line(&line);
                }
            }
            None => self.print_line(&format!("{line}  ({})", self.left())),
        }
    }

    /// Prints a line above the bars.
    pub(crate) fn print_line(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.print_line(line),
            None if self.verbosity == Verbosity::Normal => output::note(line),
            None => {}
        }
    }

    /// Estimate of the remaining time.
    fn left(&self) -> String {
        if self.done == self.total {
            return "done".to_owned();
        }
        let ratio = |measure: &str| match self.past_s.get(measure) {
            Some((taken, budget)) if *budget > 0.0 => taken / budget,
            _ => FIRST_GUESS,
        };
        let seconds: f64 = self.left_s.iter().map(|(e, budget)| budget * ratio(e)).sum();
        if seconds < 90.0 {
            format!("about {seconds:.0} s left")
        } else {
            format!("about {:.0} min left", seconds / 60.0)
        }
    }

    fn learn(&mut self, record: &Record, budget_s: f64) {
        let (taken, budget) = self.past_s.entry(record.measure.clone()).or_default();
        *taken += record.duration_s;
        *budget += budget_s;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bars) = &self.bars {
            bars.current.finish_and_clear();
            bars.overall.finish_and_clear();
        }
    }
}

impl Bars {
    fn new(total: u64) -> Self {
        let all = MultiProgress::new();
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let current =
            all.add(ProgressBar::new_spinner().with_style(style("{spinner} {elapsed:>4} {wide_msg}")));
        let bar = "{bar:30} {pos}/{len} visits, {elapsed} so far, {msg}";
        let overall = all.add(ProgressBar::new(total).with_style(style(bar)));
        current.enable_steady_tick(Duration::from_millis(500));
        Self { all, overall, current }
    }

    fn print_line(&self, line: &str) {
        // Nothing can be reported if standard error cannot be written.
        let _ = self.all.println(line);
    }
}
