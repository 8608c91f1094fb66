//! INV-3: what one launch, byte, FLOP and submission costs, and the share of launches in the gap of the pair.

use super::cost_model::{CostModel, fit, quotient};
use super::pair::{Pair, cells, pairs};
use crate::measures::pass::{Pass, is_default};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Clock;
use ridgeline_roofline::{Machine, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-3",
    title: "Overhead decomposition",
    question: "What does a launch cost in a forward pass, and which share of the gap is launches?",
    about: "The study does not measure this. It counts three launches a layer, where a layer has ten to twenty, and prints 20 to \
            40 %. Its own figures give 55 to 83 % of the headline gap (X-INV-7). Here all costs are fitted to forward passes \
            whose launches vary at constant work, by fusion and by submission.",
    values: &["launch_share_of_gap", "launch_share_of_gap_by_study"],
    conclude,
};

/// Launches that the study counts in a layer.
const PER_LAYER: f64 = 3.0;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = cells(data, STUDY.id)?;
    // The fit takes every length, the tables those of the study.
    let plain = rows.clone().wanted_by("INV-1").filter(|p| is_default(&p.switches) && !p.wait);
    let pairs: Vec<Pair<'_, '_>> = pairs(&plain).collect();
    let model = fit(&rows);
    if let Some(model) = &model {
        chapter.table(model.costs(data.machine()));
        chapter.text(format!(
            "The fit explains {} of the variance of {} cells. The median of its relative errors is {}. It knows one cost of a \
             FLOP, although small products reach a smaller share of the peak.",
            number::percent(model.r2),
            model.n,
            number::percent(model.error)
        ));
        chapter.table(shares(model, plain.iter()));
    }
    chapter.table(gaps(&pairs, model.as_ref(), data.machine()));
    for pair in &pairs {
        let share = model.as_ref().and_then(|model| share(pair, model));
        chapter.value("launch_share_of_gap", pair.name(), share, &pair.evidence());
        let by_study = data.machine().and_then(|machine| by_study(pair, machine));
        chapter.value("launch_share_of_gap_by_study", pair.name(), by_study, &pair.evidence());
    }
    Ok(chapter)
}

/// Fitted shares of the time of each forward pass.
fn shares<'r, 'a: 'r>(model: &CostModel, rows: impl Iterator<Item = &'r Pass<'a>>) -> Table {
    let titles = ["forward pass", "launches", "bytes", "FLOP", "submissions", "fitted over measured time"];
    let caption = "Fitted shares of the time of a forward pass. The study prints 20 to 40 % for launches.";
    let mut table = Table::new(caption, titles.map(|title| (title, Align::Left)));
    for entry in rows {
        let name =
            format!("{} {}", title(&entry.point.model, &entry.point.format), String::from(entry.point.work));
        if let Some(row) = model.shares(entry, name) {
            table.push(row);
        }
    }
    table
}

/// The launches that the small model has more, against the gap.
fn gaps(pairs: &[Pair<'_, '_>], model: Option<&CostModel>, machine: Option<&Machine>) -> Table {
    let titles = [
        "forward pass",
        "further launches",
        "their fitted time",
        "gap",
        "share of the gap",
        "the study's way",
    ];
    let caption = "Launches that the small model has more than the large one, and the gap: time of the small model less that of \
                   the large one. Of a negative gap the share is negative: the small model is faster in spite of its launches. \
                   The study's way counts three launches a layer at the isolated cost, against the gap of the encode clock.";
    let mut table = Table::new(caption, titles.map(|title| (title, Align::Left)));
    let percent = |it: Option<Measured>| it.map_or_else(|| "–".to_owned(), |it| number::percent(it.value));
    let seconds = |it: Option<f64>| it.map_or_else(|| "–".to_owned(), |it| number::si(it, "s"));
    for pair in pairs {
        let extra = further_launches(pair);
        table.push([
            pair.name(),
            number::digits(extra, 3),
            seconds(model.map(|model| extra * model.launch().value)),
            seconds(pair.gap(Clock::Complete).map(|gap| gap.value)),
            percent(model.and_then(|model| share(pair, model))),
            percent(machine.and_then(|machine| by_study(pair, machine))),
        ]);
    }
    table
}

fn further_launches(pair: &Pair<'_, '_>) -> f64 {
    let [small, large] = [pair.small, pair.large].map(|e| e.row.pass.cost.launches as f64);
    small - large
}

/// Time of the further launches over the gap until completion.
fn share(pair: &Pair<'_, '_>, model: &CostModel) -> Option<Measured> {
    Some(quotient(model.launch().map(|s| s * further_launches(pair)), pair.gap(Clock::Complete)?))
}

/// The same by the study's method; `None` where the gap of the encode clock may be zero.
fn by_study(pair: &Pair<'_, '_>, machine: &Machine) -> Option<Measured> {
    let extra = PER_LAYER * pair.further_layers()?;
    let share = quotient(machine.overheads.launch_s.map(|s| s * extra), pair.gap(Clock::Encode)?);
    Some(share).filter(|share| share.hi < f64::INFINITY)
}
