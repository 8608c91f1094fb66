//! The report of a journal: the verdicts on all claims, a section for every study, one roofline, and the failed cells.

use super::{Catalogue, Error, folder};
use ridgeline_experiment::audit::{Audit, Pace};
use ridgeline_experiment::canonical::canonical;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::journal::not_ok;
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::measure::find;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Build, MachineId, Record, Status};
use ridgeline_experiment::register::{self, Conclusions};
use ridgeline_experiment::report::{
    Align, BandwidthLevel, Block, PeakLevel, Report, Roofline, Section, Table, html, markdown, number, tally,
};
use ridgeline_experiment::study::Chapter;
use ridgeline_experiment::verdict::{Outcome, Verdict};
use ridgeline_roofline::{Machine, Measured};
use std::path::{Path, PathBuf};

/// Makes the report of records.
///
/// Every device has its own sections. A cell's newest record decides whether the cell is ok. Its visits by the newest
/// build count together.
///
/// # Errors
/// Where a record's point or row does not deserialize to its experiment's types.
pub fn make(records: &[Record], catalogue: &Catalogue) -> Result<Report, Error> {
    let published = Published::load()?;
    let machines = distinct(records.iter().map(|r| &r.machine));
    let mut sections = Vec::new();
    for machine in &machines {
        let own: Vec<Record> = records.iter().filter(|r| r.machine == **machine).cloned().collect();
        for mut section in of_machine(&own, machine, catalogue, &published)? {
            if machines.len() > 1 {
                section.title = format!("{}: {}", machine.adapter, section.title);
            }
            sections.push(section);
        }
    }
    let names: Vec<String> = machines.iter().map(|m| format!("{} ({})", m.adapter, m.backend)).collect();
    let last = records.iter().map(|r| r.started_utc.as_str()).max().unwrap_or("nothing measured");
    Ok(Report {
        title: "Ridgeline".to_owned(),
        subtitle: format!("{} · {last}", names.join(" · ")),
        sections,
        provenance: provenance(records),
    })
}

/// Writes `report.html` and `report.md` of a folder's journal into the folder; returns their paths.
///
/// # Errors
/// As [`make`] and [`save`], and where the journal cannot be read.
pub fn write(path: &Path, catalogue: &Catalogue) -> Result<[PathBuf; 2], Error> {
    save(&make(&folder::records(path)?, catalogue)?, path)
}

/// Writes a report into a folder as `report.html` and `report.md`; returns their paths.
///
/// # Errors
/// Where a file cannot be written.
pub fn save(report: &Report, path: &Path) -> Result<[PathBuf; 2], Error> {
    let [page, text] = [path.join("report.html"), path.join("report.md")];
    folder::write(&page, &html(report)?)?;
    folder::write(&text, &markdown::markdown(report))?;
    Ok([page, text])
}

/// The conclusions from the records of one device, and the checks of the run against itself.
///
/// # Errors
/// As [`make`].
pub fn conclude(records: &[Record], catalogue: &Catalogue) -> Result<(Conclusions, Audit), Error> {
    let published = Published::load()?;
    let machine = (catalogue.ceilings)(records);
    let readable = readable(records, catalogue);
    let audit = audited(&Data::new(&readable, machine.as_ref(), &published), catalogue)?;
    let data = without_anchor(Data::new(&readable, audit.machine.as_ref(), &published), catalogue);
    Ok((register::conclude(&catalogue.studies, &data, &not_ok(records), audit.control)?, audit))
}

/// The data without the anchor, which no study asked for.
fn without_anchor<'a>(data: Data<'a>, catalogue: &Catalogue) -> Data<'a> {
    catalogue.anchor.iter().fold(data, |data, anchor| data.without(&anchor.id()))
}

fn audited(data: &Data<'_>, catalogue: &Catalogue) -> Result<Audit, Error> {
    let anchor = catalogue.anchor.as_ref().map(Cell::id);
    Ok((catalogue.audit)(data, anchor.as_deref())?)
}

/// The sections of one device.
fn of_machine(
    records: &[Record],
    id: &MachineId,
    catalogue: &Catalogue,
    published: &Published,
) -> Result<Vec<Section>, Error> {
    let machine = (catalogue.ceilings)(records);
    let readable = readable(records, catalogue);
    let audit = audited(&Data::new(&readable, machine.as_ref(), published), catalogue)?;
    let data = without_anchor(Data::new(&readable, audit.machine.as_ref(), published), catalogue);
    let failures = not_ok(records);
    let Conclusions { chapters, verdicts } =
        register::conclude(&catalogue.studies, &data, &failures, audit.control)?;
    let mut studies: Vec<Section> =
        chapters.into_iter().map(|(id, chapter)| section(id, chapter, &verdicts, catalogue)).collect();
    let mut sections: Vec<Section> = (catalogue.answer)(&data, &audit)?.into_iter().collect();
    sections.extend(faults(&audit));
    sections.extend([claims(&verdicts), device(id, &data, &audit, &failures)]);
    sections.extend(roofline(&mut studies, audit.machine.as_ref()));
    sections.extend(studies);
    sections.extend(left_out(records.len() - readable.len()));
    sections.extend(unfinished(&failures));
    Ok(sections)
}

/// Section of the contradictions between the run's own numbers, which comes first where there are any.
fn faults(audit: &Audit) -> Option<Section> {
    let intro = "These numbers of the run contradict each other. Where a cell refutes an interval, the interval is widened. \
                 In a full run, the cells concerned are measured again while time is left; what is listed stayed.";
    let mut section = Section::new("Contradictions in this run", intro);
    section.blocks.extend(audit.faults.iter().map(|fault| Block::Text(fault.sentence.clone())));
    (!section.blocks.is_empty()).then_some(section)
}

/// The records that deserialize to the types of their measures. Those of older builds may not, and are left out.
fn readable(records: &[Record], catalogue: &Catalogue) -> Vec<Record> {
    let newest = records.iter().max_by(|a, b| a.started_utc.cmp(&b.started_utc)).map(|r| &r.build);
    let reads = |r: &Record| find(&catalogue.measures, &r.measure).is_ok_and(|it| it.reads(&r.point, &r.row));
    // A record of this build that does not deserialize is an error, which the studies return.
    let keep = |r: &&Record| Some(&r.build) == newest || r.status != Status::Ok || reads(r);
    records.iter().filter(keep).cloned().collect()
}

/// Section that tells how many records of older builds are left out.
fn left_out(n: usize) -> Option<Section> {
    let text = format!("{n} records of older builds are left out, because they do not parse.");
    (n > 0).then(|| Section::new("Left out", text))
}

/// Section of one study: its question, what is wrong with the published form, its blocks and the verdicts on its claims.
fn section(id: &'static str, chapter: Chapter, verdicts: &[Verdict], catalogue: &Catalogue) -> Section {
    let study = catalogue.studies.iter().find(|it| it.id == id);
    let (title, intro) = study.map_or((id.to_owned(), String::new()), |it| {
        (format!("{} ({id})", it.title), format!("{} {}", it.question, it.about))
    });
    let mut section = Section { title, intro, blocks: chapter.blocks };
    let own: Vec<Verdict> = verdicts.iter().filter(|it| it.study == id).cloned().collect();
    if !own.is_empty() {
        section.blocks.push(Block::Verdicts(own));
    }
    section
}

/// Section with a row for every claim of the published studies.
fn claims(verdicts: &[Verdict]) -> Section {
    let counts =
        [Outcome::Holds, Outcome::DoesNotHold, Outcome::Undecided, Outcome::CannotBeTested].map(|it| {
            let n = verdicts.iter().filter(|verdict| verdict.outcome == it).count();
            format!("{}: {n}", it.label())
        });
    let counts = counts.join(", ");
    let intro = format!(
        "{} claims of four studies ({counts}). A claim holds where every interval lies inside the range of its test. An \
         interval across an end of the range, or a decision that Holm's correction does not support, is undecided.",
        verdicts.len()
    );
    Section::new("Claims of the studies", intro).with(Block::Verdicts(verdicts.to_vec()))
}

/// Section of the device: its properties, main ceilings and number of cells.
fn device(id: &MachineId, data: &Data<'_>, audit: &Audit, failures: &[&Record]) -> Section {
    let machine = data.machine();
    let mut table = Table::new("", [("device", Align::Left), ("", Align::Left)]);
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            table.push([key.to_owned(), value]);
        }
    };
    row("adapter", format!("{} ({})", id.adapter, id.device_type));
    row("driver", format!("{}, {}", id.driver, id.backend));
    row("features", id.features.join(", "));
    row("computer", format!("{}, {} cores, {}", id.cpu, id.cores, number::bytes(id.memory_bytes)));
    row("system", id.os.clone());
    if let Some(m) = machine {
        let rate = |r: Measured, unit| {
            format!("{} [{}]", number::si(r.value, unit), number::si_range(r.lo, r.hi, unit))
        };
        row("bandwidth, memory", rate(m.bandwidth.memory(), "B/s"));
        row("bandwidth, fastest working set", rate(m.bandwidth.fastest(), "B/s"));
        row("f32 peak", rate(m.flops_f32, "FLOP/s"));
        row("f16 peak", m.flops_f16.map_or("not supported".to_owned(), |r| rate(r, "FLOP/s")));
        row("kernel launch", rate(m.overheads.launch_s, "s"));
        row("queue submission", rate(m.overheads.submission_s, "s"));
        row("synchronization", rate(m.overheads.synchronisation_s, "s"));
        row("readback", rate(m.overheads.readback_s, "s"));
    }
    if let Some(noise) = data.noise() {
        row(
            "noise floor",
            format!("{} between two visits of one cell (standard deviation)", number::percent(noise)),
        );
    }
    if let Some(pace) = audit.pace {
        row("pace", pace_line(&pace));
    }
    let ok = data.cells().iter().map(|_| "ok");
    let statuses = ok.chain(failures.iter().map(|r| word(r.status)));
    let intro = format!(
        "Cells: {}. A cell whose newest record or its check failed is only in the list at the end of the report. A cell is \
         visited several times, spread over the run. Intervals are 95 % intervals of visits, by Student's t on their \
         logarithms with a variance that all cells share (Smyth 2004). For a ceiling, the upper end estimates the device's \
         maximum, at most 10 % above the best block.",
        tally(statuses)
    );
    Section::new("Device", intro).with(Block::Table(table))
}

/// The pace of the machine over the run, in words.
fn pace_line(pace: &Pace) -> String {
    let Pace { n, slowest, fastest, .. } = pace;
    let change = |x: f64| format!("{:+.1} %", 100.0 * x);
    let trend = if pace.throttles() { "; its times rise, as under thermal throttling" } else { "" };
    format!(
        "the anchor deviated by {} to {} from its median in {n} measurements{trend}",
        change(*fastest),
        change(*slowest)
    )
}

/// One roofline with the dots of all studies, moved here from their own sections.
fn roofline(sections: &mut [Section], machine: Option<&Machine>) -> Option<Section> {
    let mut all = Roofline {
        caption:
            "Lines are the measured ceilings. Dots are prompt processing and generation tests, and kernel launches \
                  that do arithmetic and take at least 5 % of their forward pass. A dot can lie above the memory \
                  bandwidth line if its working set fits in a cache."
                .to_owned(),
        ..Roofline::default()
    };
    for section in sections {
        let (figures, rest) = std::mem::take(&mut section.blocks)
            .into_iter()
            .partition::<Vec<_>, _>(|b| matches!(b, Block::Roofline(_)));
        section.blocks = rest;
        for figure in figures {
            let Block::Roofline(figure) = figure else { continue };
            all.dots.extend(figure.dots);
            all.bandwidths.extend(figure.bandwidths);
            all.peaks.extend(figure.peaks);
        }
    }
    if let Some(machine) = machine {
        add_ceilings(&mut all, machine);
    }
    unique(&mut all.bandwidths, |level| level.label.clone());
    unique(&mut all.peaks, |level| level.label.clone());
    let empty = all.dots.is_empty() && all.bandwidths.is_empty() && all.peaks.is_empty();
    let intro = "Performance against operational intensity, both logarithmic. The table below the figure gives each dot's \
                 % of its own roof, at its working-set size and precision.";
    (!empty).then(|| Section::new("Roofline", intro).with(Block::Roofline(all)))
}

/// Adds the ceilings of the machine, where no study added any.
fn add_ceilings(figure: &mut Roofline, machine: &Machine) {
    if figure.bandwidths.is_empty() {
        let level =
            |label: &str, rate: Measured| BandwidthLevel { label: label.to_owned(), bytes_per_s: rate.value };
        let (memory, cache) = (machine.bandwidth.memory(), machine.bandwidth.fastest());
        figure.bandwidths.push(level("memory", memory));
        // Two lines whose intervals overlap are drawn as one.
        if cache.lo > memory.hi {
            figure.bandwidths.push(level("cache", cache));
        }
    }
    if figure.peaks.is_empty() {
        let level =
            |label: &str, rate: Measured| PeakLevel { label: label.to_owned(), flops_per_s: rate.value };
        figure.peaks.push(level("f32 peak", machine.flops_f32));
        figure.peaks.extend(machine.flops_f16.map(|rate| level("f16 peak", rate)));
    }
}

/// Sections of the failed and of the skipped cells, with reasons.
fn unfinished(records: &[&Record]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (status, title, intro) in [
        (
            Status::Failed,
            "Failed cells",
            "These cells are in no table or figure above. The next run measures them again.",
        ),
        (Status::Skipped, "Skipped cells", "These do not run on this device or in this time."),
    ] {
        let columns = [("measure", Align::Left), ("point", Align::Left), ("reason", Align::Left)];
        let mut table = Table::new("", columns);
        for record in records.iter().filter(|r| r.status == status) {
            let reason = record.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
            table.push([record.measure.clone(), canonical(&record.point), reason]);
        }
        if !table.rows.is_empty() {
            sections.push(Section::new(title, intro).with(Block::Table(table)));
        }
    }
    sections
}

/// Provenance: devices, builds, commands, times, models and seeds.
fn provenance(records: &[Record]) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |key: &str, value: String| rows.push((key.to_owned(), value));
    for machine in distinct(records.iter().map(|r| &r.machine)) {
        let limits = machine.limits.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
        row("device", format!("{}; {}; {}", machine.adapter, machine.driver, machine.backend));
        row("limits", limits.join(", "));
    }
    let builds = distinct(records.iter().map(|r| &r.build));
    for build in &builds {
        let n = records.iter().filter(|r| r.build == **build).count();
        row("build", format!("{}; {n} records", build_line(build)));
    }
    if let Some(build) = builds.last() {
        let crates: Vec<String> =
            build.crates.iter().map(|(name, version)| format!("{name} {version}")).collect();
        row("crates", crates.join(", "));
    }
    for argv in distinct(records.iter().map(|r| &r.argv)) {
        row("command", argv.join(" "));
    }
    let starts = || records.iter().map(|r| r.started_utc.as_str());
    if let (Some(first), Some(last)) = (starts().min(), starts().max()) {
        let runs = distinct(records.iter().map(|r| &r.run_id)).len();
        row("measured", format!("{first} to {last}, in {runs} invocations, {} records", records.len()));
    }
    for model in distinct(records.iter().filter_map(|r| r.model.as_ref())) {
        let hash = model.hash.as_deref().map_or("random weights".to_owned(), |h| format!("BLAKE3 {h}"));
        row("model", format!("{}, {}, {hash}", model.name, number::bytes(model.bytes)));
    }
    for seed in distinct(records.iter().map(|r| &r.seed)) {
        row("seed", seed.to_string());
    }
    rows
}

fn build_line(build: &Build) -> String {
    let revision = match (&build.git_rev, build.dirty) {
        (Some(revision), Some(true)) => format!("{revision} with uncommitted changes"),
        (Some(revision), _) => revision.clone(),
        (None, _) => "revision unknown".to_owned(),
    };
    format!("ridgeline {}; {revision}; {}", build.version, build.rustc)
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
    }
}

/// The distinct values, in order of first appearance.
fn distinct<'a, T: PartialEq + ?Sized>(values: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut seen: Vec<&T> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// Keeps the first item of every key.
fn unique<T>(items: &mut Vec<T>, key: impl Fn(&T) -> String) {
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(key(item)));
}
