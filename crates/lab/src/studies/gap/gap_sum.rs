//! GAP-SUM: where the time of one decode step goes, each share from its own measurement.

use crate::measures::pass::{self, Column, Pass, Work};
use crate::measures::{mix, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Bar, Block, Dot, Roofline, Waterfalls, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Machine, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-SUM",
    title: "Speed and the time of one decode step",
    question: "How fast are prompts and generation, and where does the time of one token go?",
    about: "The study adds up a budget of 8.9 ms whose shares come from no experiment but one (X-GAP-9). Here each part is \
            measured or counted: bytes at the measured bandwidth, launches at their measured cost, kernels isolated.",
    values: &[],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.filter(|p| matches!(p.work, Work::Test(_)) && p.is_default());
    if rows.is_empty() {
        return Ok(chapter);
    }
    let machine = data.machine();
    let rate = |e: &Pass<'_>, s: f64| number::digits(e.point.work.tokens() as f64 / s, 4);
    let predicted = |e: &Pass<'_>| Some((e.row.pass.prediction(machine?), e.seconds()?.value));
    let columns = [
        Column::text("test", label),
        Column::number("tokens/s", move |e| Some(rate(e, e.seconds()?.value))),
        Column::number("95 % interval", move |e| {
            e.seconds().map(|s| format!("{} – {}", rate(e, s.hi), rate(e, s.lo)))
        }),
        Column::number("visits", |e| Some(e.visits().to_string())),
        Column::number("% BW", move |e| predicted(e).map(|(p, s)| number::percent(p.mbu(s)))),
        Column::number("% roof", move |e| predicted(e).map(|(p, s)| number::percent(p.roof_fraction(s)))),
        Column::number("bound", move |e| predicted(e).map(|(p, _)| p.bound.to_string())),
    ];
    chapter.table(rows.table(
        "Tokens per second, as llama-bench counts them: pp128 is a prompt of 128 tokens, tg64 the generation of 64, and @ d256 \
         a depth of 256 tokens.",
        &columns,
    ));
    let Some(machine) = machine else { return Ok(chapter) };
    let is_step = |e: &Pass<'_>| e.point.kernels && e.point.work.generated().is_some();
    let mut caption = CAPTION;
    // The largest model says most about the device.
    let sorted = rows.clone().sorted(|e| std::cmp::Reverse(e.row.pass.params));
    for (model, own) in sorted.group(|p| p.model.clone()) {
        let own: Vec<&Pass<'_>> = own.into_iter().filter(|e| is_step(e)).collect();
        for entry in own.iter().filter(|e| e.point.depth == 0) {
            chapter.text(bar(entry, machine).sentences());
        }
        let bars: Vec<Bar> = own.iter().map(|e| bar(e, machine)).collect();
        if !bars.is_empty() {
            let text = format!("Time of one decode step of {model} by cause. {caption}");
            chapter.blocks.push(Block::Waterfalls(Waterfalls { caption: text, bars }));
            caption = "The causes are those of the first figure.";
        }
    }
    let dots = rows.iter().filter_map(|e| dot(e, machine)).collect();
    let caption = "Every cell on this device's roofline, from counted bytes and FLOP.".to_owned();
    chapter.blocks.push(Block::Roofline(Roofline { caption, dots, ..Roofline::default() }));
    Ok(chapter)
}

const CAPTION: &str = "Weights, KV cache and activations: their bytes at the measured \
    bandwidth. Exposed compute: arithmetic time beyond the memory time. Launches, submission and host: their measured \
    costs. Kernel inefficiency: time of the isolated kernels in excess of their roofs. In-sequence penalty: additional \
    time of the kernels back to back. Unexplained: the remainder.";

/// One decode step: time and cost of a repetition, divided by its tokens.
fn bar(entry: &Pass<'_>, machine: &Machine) -> Bar {
    Bar { label: label(entry), parts: entry.row.pass.waterfall(machine, entry.row.test.generate as u64) }
}

fn label(entry: &Pass<'_>) -> String {
    let pass::Point { model, format, work, depth, .. } = &entry.point;
    let at = if *depth > 0 { format!(" @ d{depth}") } else { String::new() };
    format!("{} {}{at}", title(model, format), String::from(*work))
}

fn dot(entry: &Pass<'_>, machine: &Machine) -> Option<Dot> {
    let Measured { value, lo, hi } = entry.seconds()?;
    let flops = entry.row.pass.cost.flops as f64;
    let prediction = entry.row.pass.prediction(machine);
    Some(Dot {
        label: label(entry),
        name: mix(&entry.point.format).to_owned(),
        model: entry.point.model.clone(),
        group: if entry.row.test.prompt > 0 { "prompt" } else { "decode" }.to_owned(),
        intensity: entry.row.pass.cost.intensity()?,
        flops_per_s: Measured { value: flops / value, lo: flops / hi, hi: flops / lo },
        bound: Some(prediction.bound),
        roof_fraction: Some(prediction.roof_fraction(value)),
    })
}
