//! The cells that `diagnose` measures: ceilings, a survey of the model, and trials of what it advises.

use super::advice::{BATCH, CACHE, LEAST_DEPTH};
use super::speculate::DRAFTS;
use super::{Scope, Subject};
use crate::measures::pass::Work;
use crate::measures::{ceilings, launch, pass, quality, speculation as measure};
use ridgeline_experiment::matrix::{Budget, Cell, VISITS};
use ridgeline_experiment::measure::Measure;
use ridgeline_measure::probe::Quantity;
use ridgeline_quant::Mix;
use serde_json::{Value, json};

/// Budget of a ceiling. It is a fraction of that of `bench-all`, so that the intervals are wider.
const CEILING: Budget = Budget { warmup: 1, min_reps: 4, max_reps: 6, budget_s: 1.0 };

/// Budget of a visit of a forward pass.
const PASS: Budget = Budget { warmup: 0, min_reps: 3, max_reps: 10, budget_s: 0.3 };

/// Budget of a visit of a profile.
const LAUNCH: Budget = Budget { warmup: 0, min_reps: 2, max_reps: 5, budget_s: 0.3 };

/// Budget of a visit of speculation; a repetition generates several texts twice.
const SPECULATION: Budget = Budget { warmup: 1, min_reps: 2, max_reps: 4, budget_s: 0.5 };

/// Prompt whose rate is given beside that of generation.
const PROMPT: &str = "pp128";

/// Tokens that a trial of speculation generates for each prompt.
const SPECULATED: usize = 32;

/// Text and chunks on which the quality of a quantization is estimated.
const TEXT: (&str, usize) = ("models/tiny/wikitext-2-excerpt.txt", 2);

fn cell(measure: &str, point: Value, budget: Budget) -> Cell {
    let measure = measure.to_owned();
    Cell { measure, studies: Vec::new(), point, budget, first: budget, check: None, visit: 0, visits: VISITS }
}

/// The ceilings that predictions need.
pub(crate) fn ceilings() -> Vec<Cell> {
    let needed = [Quantity::Overheads, Quantity::Read, Quantity::Flops];
    needed.map(|it| cell(ceilings::Kind::NAME, json!({ "quantity": it }), CEILING)).to_vec()
}

/// What is measured before any advice: today's speed, its kernels, and those of other quantizations.
pub(crate) fn survey(subject: &Subject, work: Work) -> Vec<Cell> {
    let Subject { whole, shape, format, depth, draft, .. } = subject;
    let pass = |model: &str, work: &str, depth: usize, kernels: bool| {
        let mut point = json!({ "model": model, "format": format, "work": work, "depth": depth });
        if kernels {
            point["kernels"] = json!(true);
        }
        cell(pass::Kind::NAME, point, PASS)
    };
    let generation = String::from(work);
    let mut cells: Vec<Cell> = whole.names().iter().map(|it| pass(it, &generation, *depth, true)).collect();
    if whole.cut.is_none() {
        cells.push(pass(&whole.name, PROMPT, 0, false));
    }
    let (model, _) = shape.profiled();
    let launch = |format: &str, tokens: usize| json!({ "model": model, "format": format, "tokens": tokens, "depth": depth });
    let mut launches = vec![launch(format, 1)];
    if *depth >= LEAST_DEPTH {
        let mut point = launch(format, 1);
        point["cache"] = json!(CACHE);
        launches.push(point);
    }
    launches.push(launch(format, BATCH));
    let others = Mix::COMMON.iter().filter(|it| !subject.title_of(format).eq_ignore_ascii_case(it));
    launches.extend(others.map(|it| launch(&it.to_lowercase(), 1)));
    cells.extend(launches.into_iter().map(|point| cell(launch::Kind::NAME, point, LAUNCH)));
    let rows: Vec<usize> = std::iter::once(1).chain(DRAFTS.map(|gamma| gamma + 1)).collect();
    cells.extend(verifications(whole, format, &rows, *depth));
    cells.extend(draft.iter().map(|draft| pass(draft, &generation, *depth, false)));
    cells
}

/// Generations in a format, by every measured number of layers.
pub(super) fn generations(scope: &Scope, format: &str, work: Work, depth: usize) -> Vec<Cell> {
    let point = |model: String| json!({ "model": model, "format": format, "work": work, "depth": depth });
    scope.names().into_iter().map(|it| cell(pass::Kind::NAME, point(it), PASS)).collect()
}

/// Generations with either type of the KV cache.
pub(super) fn caches(scope: &Scope, format: &str, work: Work, depth: usize) -> Vec<Cell> {
    let (now, mut other) = (generations(scope, format, work, depth), generations(scope, format, work, depth));
    other.iter_mut().for_each(|cell| cell.point["cache"] = json!(CACHE));
    [now, other].concat()
}

/// Generations of one sequence, and of `n` together.
pub(super) fn together(scope: &Scope, format: &str, (work, n): (Work, usize), depth: usize) -> Vec<Cell> {
    let one = generations(scope, format, work, depth);
    let mut several = one.clone();
    several.iter_mut().for_each(|cell| cell.point["sequences"] = json!(n));
    [one, several].concat()
}

/// Passes over several tokens with logits of each.
pub(super) fn verifications(scope: &Scope, format: &str, rows: &[usize], depth: usize) -> Vec<Cell> {
    let of = |&n: &usize| {
        let work = Work::Verify(n);
        generations(scope, format, work, depth)
    };
    rows.iter().flat_map(of).collect()
}

/// Greedy speculation with a draft.
pub(super) fn speculation(target: &str, draft: &str, gamma: usize) -> Cell {
    let point = json!({
        "target": target, "draft": draft, "draft_max": gamma, "temperature": 0.0, "tokens": SPECULATED
    });
    cell(measure::Kind::NAME, point, SPECULATION)
}

/// The quality of a model with a vocabulary in a quantization, against its stored weights.
pub(crate) fn quality(model: &str, format: &str) -> Cell {
    let (text, chunks) = TEXT;
    let point =
        json!({ "model": model, "format": format, "reference": model, "text": text, "chunks": chunks });
    cell(quality::Kind::NAME, point, PASS)
}
