//! A diagnosis as blocks of the report, and as text for a terminal.

use super::{Diagnosis, formats};
use ridgeline_experiment::finding::{Finding, times};
use ridgeline_experiment::report::{Align, Bar, Block, Section, Table, Waterfalls, number, plain};
use std::fmt::Write;

/// Title of the section.
pub(crate) const TITLE: &str = "The answer";

/// Columns of a bar in the terminal.
const WIDTH: f64 = 40.0;

/// The diagnosis as the first section of a report.
pub(crate) fn section(diagnosis: &Diagnosis) -> Section {
    let answer = &diagnosis.answer;
    let bar = Bar { label: answer.model.clone(), parts: answer.parts };
    let caption = "Where the time of one token goes. Weights, KV cache and activations: their bytes at the measured \
                   bandwidth. Kernel inefficiency: what isolated kernels take beyond these. In-sequence penalty: what they \
                   take back to back beyond that; negative where they overlap.";
    let mut section = Section::new(TITLE, "").with(Block::Text(answer.sentences().join(" ")));
    section.blocks.push(Block::Waterfalls(Waterfalls { caption: caption.to_owned(), bars: vec![bar] }));
    section.blocks.extend(changes(diagnosis).map(Block::Table));
    section.blocks.extend(commands(diagnosis).map(Block::Text));
    section.blocks.extend(quantizations(diagnosis).map(Block::Table));
    section.blocks.extend(diagnosis.rejected.iter().cloned().map(Block::Text));
    section.blocks.extend(diagnosis.caveats.iter().cloned().map(Block::Warning));
    section
}

/// The table of what to change.
fn changes(diagnosis: &Diagnosis) -> Option<Table> {
    let rate = diagnosis.answer.rate.value;
    let columns = [
        ("what to change", Align::Left),
        ("tokens/s then", Align::Right),
        ("predicted gain", Align::Right),
        ("measured gain", Align::Right),
        ("when tried", Align::Left),
        ("why, and what it costs", Align::Left),
    ];
    let caption = "What to change, by gain in tokens/s. A gain is measured where the change was tried here, with its 95 % \
                   interval; ≈ marks predicted figures.";
    let mut table = Table::new(caption, columns);
    for it in diagnosis.advice.iter().map(|it| &it.finding) {
        let trial =
            it.untried.as_ref().map_or(it.trial().label().to_owned(), |why| format!("not tried: {why}"));
        table.push([
            it.action.clone(),
            then(it, rate),
            times(it.predicted),
            it.measured.map_or_else(|| "–".to_owned(), times),
            trial,
            it.cost
                .as_ref()
                .map_or_else(|| it.because.clone(), |cost| format!("{} It costs: {cost}.", it.because)),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Tokens per second after a change; `≈` where they are predicted.
fn then(finding: &Finding, rate: f64) -> String {
    let about = if finding.measured.is_some() { "" } else { "≈ " };
    format!("{about}{}", number::digits(rate * finding.gain().value, 3))
}

/// The commands of the advice, in its order.
fn commands(diagnosis: &Diagnosis) -> Option<String> {
    let commands: Vec<&str> =
        diagnosis.advice.iter().filter_map(|it| it.finding.command.as_deref()).collect();
    (!commands.is_empty()).then(|| format!("Commands: {}.", commands.join("; ")))
}

/// The table of the quantizations.
fn quantizations(diagnosis: &Diagnosis) -> Option<Table> {
    let table = formats::table(&diagnosis.formats);
    (table.rows.len() > 1).then_some(table)
}

/// The diagnosis for a terminal, with `measured`: what was measured, and how to repeat it.
pub(crate) fn terminal(diagnosis: &Diagnosis, measured: &[String]) -> String {
    let answer = &diagnosis.answer;
    let mut text = format!("The answer\n  {}\n", answer.sentences().join("\n  "));
    if let Some(prompt) = answer.prompt {
        let _ = writeln!(text, "  Prompts are read at {} tokens/s.", number::digits(prompt.value, 3));
    }
    text += "\nWhere the time of a token goes\n";
    let total = answer.parts.total_ns().max(1) as f64;
    for (part, ns) in answer.parts.parts() {
        let share = ns as f64 / total;
        if share.abs() >= 0.005 {
            let bar = "█".repeat(columns(share));
            let (time, share) = (number::si(ns as f64 * 1e-9, "s"), number::percent(share));
            let _ = writeln!(text, "  {:<20} {share:>7}  {time:>8}  {bar}", part.label());
        }
    }
    text += "\nWhat to change\n";
    if diagnosis.advice.is_empty() {
        text += "  Nothing that is known here gains more than 2 %.\n";
    }
    for (i, it) in diagnosis.advice.iter().map(|it| &it.finding).enumerate() {
        let _ = writeln!(text, "  {}. {}: {} tokens/s", i + 1, it.action, then(it, answer.rate.value));
        let measured = match (&it.measured, &it.untried) {
            (Some(gain), _) => format!("measured {}: {}", times(*gain), it.trial().label()),
            (None, Some(why)) => format!("not tried: {why}"),
            (None, None) => "not tried".to_owned(),
        };
        let _ = writeln!(text, "     predicted {}; {measured}", times(it.predicted));
        let _ = writeln!(text, "     {}", it.because);
        if let Some(cost) = &it.cost {
            let _ = writeln!(text, "     It costs: {cost}.");
        }
        if let Some(command) = &it.command {
            let _ = writeln!(text, "     {command}");
        }
    }
    if !diagnosis.rejected.is_empty() {
        let _ = writeln!(text, "\nWhat not to change\n  {}", diagnosis.rejected.join("\n  "));
    }
    if let Some(table) = quantizations(diagnosis) {
        let _ = write!(text, "\nWhich quantization\n{}", plain::table(&table));
    }
    text += "\nWhat was measured\n";
    for line in measured.iter().chain(&diagnosis.caveats) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn columns(share: f64) -> usize {
    (WIDTH * share).round().max(0.0) as usize
}
