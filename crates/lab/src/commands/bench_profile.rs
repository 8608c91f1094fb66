//! What `bench` does after its rows: the profile and the trace of its forward passes, and the change of logits by int8.

use super::bench::Args;
use super::bench_case::Case;
use super::bench_rows::is_table;
use super::outputs;
use super::variations::Variation;
use crate::tables::launches;
use crate::{output, trace};
use anyhow::Context;
use ridgeline_experiment::bench_table::Output;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::report::{markdown, number, plain};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::int8::int8_effect;
use ridgeline_measure::pass::Test;
use ridgeline_measure::profile::profile;
use ridgeline_roofline::Machine;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

impl Args {
    /// Prints how int8 dot products change each model's logits, with the first cache type of the command line. Other
    /// formats than tables are for programs, so there the text goes to stderr.
    pub(super) fn int8_effects(&self, cx: &mut MeasureContext, output: Output) -> anyhow::Result<()> {
        let batches = self.batches()?;
        for name in &self.model {
            let loaded = cx.load(name, None)?;
            let cache = [self.cache_type_k[0], self.cache_type_v[0]];
            let (test, variation) = (Test { prompt: 0, generate: 0 }, Variation::default());
            let flash_attn = self.flash_attn[0];
            let case = Case { name, depth: 0, test, cache, batch: batches[0], flash_attn, variation };
            let options = self.options(&case);
            let effect = format!("{name}: {}", int8_effect(cx, &loaded, options)?);
            if is_table(output) {
                output::text(&format!("{effect}\n"))?;
            } else {
                output::note(&effect);
            }
        }
        Ok(())
    }

    /// Profiles the forward passes of the tests: the first batch of each prompt, and one decode step.
    pub(super) fn profiles(
        &self,
        cx: &mut MeasureContext,
        (tests, depths, batches): (&[Test], &[usize], &[[usize; 2]]),
        machine: Option<&Machine>,
        (output, sink): (Output, Option<File>),
    ) -> anyhow::Result<()> {
        cx.require_clock()?;
        let longest = batches.iter().map(|it| it[0].min(it[1])).max().unwrap_or(1);
        let mut passes: Vec<usize> = tests.iter().map(|test| test.prompt.min(longest)).collect();
        passes.extend(tests.iter().map(|test| usize::from(test.generate > 0)));
        passes.sort_unstable();
        passes.dedup();
        let passes: Vec<Test> =
            passes.into_iter().filter(|&n| n > 0).map(|prompt| Test { prompt, generate: 0 }).collect();
        let mut events = Vec::new();
        for case in self.cases(&passes, depths, &batches[..1], &self.variations.ablations()) {
            let Case { name, depth, test: Test { prompt: tokens, .. }, variation, .. } = case;
            let loaded = cx.load(name, None)?;
            let test = if tokens == 1 { "tg1".to_owned() } else { format!("pp{tokens}") };
            let mut title =
                if depth == 0 { format!("{name} {test}") } else { format!("{name} {test} @ d{depth}") };
            title += &self.variations.describe(variation);
            self.progress(&format!("timing each kernel of {title}"));
            let profile = profile(cx, &loaded, (depth, tokens), self.options(&case), &LAUNCHES)?;
            if self.profile {
                let total = number::si(profile.row.total_s(), "s");
                let caption = format!("{title}: {} launches, {total} in total", profile.of.len());
                let table = launches(&profile.row, String::new(), machine);
                let table =
                    if output == Output::Plain { plain::table(&table) } else { markdown::table(&table) };
                output::text(&format!("\n{caption}\n\n{table}"))?;
            }
            if sink.is_some() {
                let times = trace::step_ns(cx, &profile)?;
                events.extend(trace::events(&title, events.len(), &profile, &times));
            }
        }
        if let Some(mut file) = sink {
            let whole = serde_json::json!({ "displayTimeUnit": "ns", "traceEvents": events });
            file.write_all(&serde_json::to_vec(&whole)?).context("the --trace file cannot be written")?;
        }
        Ok(())
    }
}

/// Creates the file of a trace before anything is measured, so that no measurement is lost.
pub(super) fn create_trace(path: &PathBuf) -> anyhow::Result<File> {
    outputs::replaceable(path, "a JSON trace", |bytes| bytes.starts_with(b"{"))?;
    File::create(path).with_context(|| path.display().to_string())
}

/// Repetitions of each kernel of a profile.
const LAUNCHES: Budget = Budget { warmup: 0, min_reps: 5, max_reps: 20, budget_s: 3.0 };
