//! The first section of the report of `bench-all`: the diagnosis of one model, and the speed of all.

use super::scope::Step;
use super::{Answer, Subject, diagnose, sections};
use crate::measures::pass::{self, Pass};
use crate::measures::{speculation, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Block, Section, Table, number};
use ridgeline_roofline::{Machine, Measured};

/// The first section; `None` where no decode step was measured with its kernels.
///
/// # Errors
/// Where a record does not deserialize to its measure's types.
pub(crate) fn answer(data: &Data<'_>, audit: &Audit) -> Result<Option<Section>, Error> {
    let passes = data.rows::<pass::Kind>()?;
    // Of models with fewer layers than published, the speed is that of no model.
    let is = |p: &pass::Point| {
        p.kernels && p.is_default() && p.work.generated().is_some() && !p.model.contains('@')
    };
    let steps = passes.filter(is).sorted(|e| e.point.depth);
    let Some(first) = steps.iter().next() else { return Ok(None) };
    let mut subject = Subject::whole(&first.point.model, &first.point.format, first.point.depth);
    let speculated = data.rows::<speculation::Kind>()?;
    subject.draft = speculated.find(|p| p.target == subject.model).map(|e| e.point.draft.clone());
    let Some(mut diagnosis) = diagnose(data, &subject)? else { return Ok(None) };
    if !audit.faults.is_empty() {
        diagnosis.caveats.push(format!(
            "The run contradicts itself in {} places, which the next section lists.",
            audit.faults.len()
        ));
    }
    let mut section = sections::section(&diagnosis);
    if let Some(machine) = data.machine() {
        let least = first.point.depth;
        let table = speeds(steps.iter().filter(|e| e.point.depth == least), machine);
        section.blocks.push(Block::Table(table));
    }
    Ok(Some(section))
}

/// Speed of each model, and the best that the device allows, with today's launches and without.
fn speeds<'r, 'a: 'r>(steps: impl Iterator<Item = &'r Pass<'a>>, machine: &Machine) -> Table {
    let columns = [
        ("model", Align::Left),
        ("tokens/s", Align::Right),
        ("at best", Align::Right),
        ("reached", Align::Right),
        ("at best with today's launches", Align::Right),
        ("best is bound by", Align::Left),
    ];
    let caption = "Generation of each model. At best: its bytes and arithmetic at the device's ceilings.";
    let mut table = Table::new(caption, columns);
    let digits = |x: f64| number::digits(x, 3);
    let range = |m: Measured| format!("{} [{}, {}]", digits(m.value), digits(m.lo), digits(m.hi));
    for entry in steps {
        let (Some(tokens), Some(seconds)) = (entry.point.work.generated(), entry.seconds()) else { continue };
        let step = Step { seconds, timing: entry.row.pass.clone(), evidence: entry.evidence() };
        let name = title(&entry.point.model, &entry.point.format);
        let answer = Answer::new(name.clone(), entry.point.depth, &step, tokens, machine);
        table.push([
            name,
            range(answer.rate),
            range(answer.best),
            number::percent(answer.reached()),
            digits(answer.best_with_launches),
            answer.bound.to_string(),
        ]);
    }
    table
}
