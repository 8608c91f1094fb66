//! GAP-3: the launches of a forward pass timed in isolation, against the step that they make up.

use crate::measures::pass::is_default;
use crate::measures::{launch, pass, title};
use crate::tables::launches;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::{Align, Block, Dot, Roofline, Table};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Submission;
use ridgeline_measure::profile::Profiled;
use ridgeline_roofline::Machine;

type Launches<'a> = Entry<'a, launch::Point, Profiled>;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-3",
    title: "Kernels in isolation",
    question: "Does the sum of isolated kernel times predict the step?",
    about: "The study waits after every part: 58 of its 65 ms are 288 waits of 0.2 ms (X-GAP-3). Here each distinct launch is \
            repeated over the same buffers and timed by slope, launch included and without a wait.",
    values: &["isolated_over_step", "isolated_net_over_step"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let passes = data.rows::<pass::Kind>()?;
    let rows = data.rows::<launch::Kind>()?.filter(|p| is_default(&p.switches));
    chapter.table(table(&rows, data.machine()));
    for entry in &rows {
        let launch::Point { model, format, tokens, depth, .. } = &entry.point;
        let name = title(model, format);
        let is =
            |p: &pass::Point| p.model == *model && p.format == *format && p.depth == *depth && p.is_default();
        let step = passes.find(|p| is(p) && p.work.generated().is_some());
        if let (1, Some(step)) = (*tokens, step) {
            let of_step = |row: &pass::Row| Some(row.median_s()? / row.test.generate as f64);
            let ratio = entry.ratio(|row| Some(row.total_s()), step, of_step);
            chapter.value("isolated_net_over_step", name, ratio, &entry.evidence().and(&step.evidence()));
        }
    }
    for entry in passes.iter().filter(|e| e.point.submission == Submission::Launch && e.point.wait) {
        let whole = pass::Point { submission: Submission::default(), wait: false, ..entry.point.clone() };
        if let (true, Some(whole)) = (is_default(&entry.point.switches), passes.find(|p| *p == whole)) {
            let evidence = entry.evidence().and(&whole.evidence());
            let name = title(&entry.point.model, &entry.point.format);
            chapter.value("isolated_over_step", name, entry.time_over(whole), &evidence);
        }
    }
    if let Some(machine) = data.machine() {
        let dots: Vec<Dot> = rows.iter().flat_map(|e| dots(e, machine)).collect();
        if !dots.is_empty() {
            let caption = "Kernels that take at least 5 % of their forward pass.".to_owned();
            chapter.blocks.push(Block::Roofline(Roofline { caption, dots, ..Roofline::default() }));
        }
    }
    Ok(chapter)
}

/// The launches of every forward pass that was timed, in one table.
fn table(rows: &Rows<'_, launch::Point, Profiled>, machine: Option<&Machine>) -> Table {
    let mut all = Table::default();
    for entry in rows {
        let own = launches(&entry.row, String::new(), machine);
        if all.columns.is_empty() {
            let columns = [("model", Align::Left), ("batch size", Align::Right), ("depth", Align::Right)];
            all = Table::new("Each distinct launch of a forward pass, timed isolated.", columns);
            all.columns.extend(own.columns);
        }
        let launch::Point { model, format, tokens, depth, .. } = &entry.point;
        for row in own.rows {
            let place = [title(model, format), tokens.to_string(), depth.to_string()];
            all.push(place.into_iter().chain(row));
        }
    }
    all
}

fn dots(entry: &Launches<'_>, machine: &Machine) -> Vec<Dot> {
    let (row, launch::Point { model, format, tokens, .. }) = (&entry.row, &entry.point);
    let large = row.launches.iter().filter(|l| row.share(l) >= 0.05 && l.cost.flops > 0);
    let dot = |launch: &ridgeline_measure::profile::TimedLaunch| {
        let prediction = launch.prediction(machine);
        Some(Dot {
            label: format!("{} of {}, batch size {tokens}", launch.label(), title(model, format)),
            name: launch.role(),
            model: model.clone(),
            group: if *tokens > 1 { "launch of a prompt" } else { "launch of a decode step" }.to_owned(),
            intensity: launch.cost.intensity()?,
            flops_per_s: launch.rate(launch.cost.flops),
            bound: Some(prediction.bound),
            roof_fraction: Some(prediction.roof_fraction(launch.seconds.value)),
        })
    };
    large.filter_map(dot).collect()
}
