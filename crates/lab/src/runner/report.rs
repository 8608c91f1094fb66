//! The report of a journal: the sections of every experiment, one common roofline, and the failed cells.

use super::{Catalogue, Error, folder, plan};
use ridgeline_experiment::canonical::canonical;
use ridgeline_experiment::experiment::{Context, DynExperiment};
use ridgeline_experiment::journal::{best_records, not_ok};
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Build, MachineId, Record, Status};
use ridgeline_experiment::report::{
    Align, BandwidthLevel, Block, PeakLevel, Report, Roofline, Section, Table, html, markdown, number, tally,
};
use ridgeline_measure::MeasureContext;
use ridgeline_roofline::{Machine, Measured};
use std::path::{Path, PathBuf};

/// Seed of the bootstrap, so that the same journal always gives the same report.
const SEED: u64 = 0;

/// Makes the report of records.
///
/// Every device has its own sections. A cell's newest record decides whether the cell is ok. Where one point was measured
/// with several budgets, the newest build's record is used, and of these the one with the most repetitions.
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

/// The sections of one device.
fn of_machine(
    records: &[Record],
    id: &MachineId,
    catalogue: &Catalogue,
    published: &Published,
) -> Result<Vec<Section>, Error> {
    let ok = best_records(records);
    let ceilings: Vec<&Record> = ok.iter().copied().filter(|r| r.experiment == plan::CEILINGS).collect();
    let machine = (catalogue.ceilings)(&ceilings);
    let context = Context { machine: machine.as_ref(), published, seed: SEED };
    let mut studies = Vec::new();
    for study in &catalogue.studies {
        if ok.iter().any(|r| r.experiment == study.name()) {
            studies.extend(summarise(study.as_ref(), &ok, &context)?);
        }
    }
    let failures = not_ok(records);
    let mut sections = vec![device(id, machine.as_ref(), &ok, &failures)];
    sections.extend(roofline(&mut studies, machine.as_ref()));
    sections.extend(studies.into_iter().filter(|s| !s.blocks.is_empty() || !s.intro.is_empty()));
    sections.extend(unfinished(&failures));
    Ok(sections)
}

/// An experiment's sections. Records of older builds that do not deserialize are left out, with a note.
fn summarise(
    study: &dyn DynExperiment<MeasureContext>,
    records: &[&Record],
    context: &Context<'_>,
) -> Result<Vec<Section>, Error> {
    let error = match study.summarise(records, context) {
        Ok(sections) => return Ok(sections),
        Err(error) => error,
    };
    let newest = records.iter().map(|r| (&r.started_utc, &r.build)).max_by_key(|(start, _)| *start);
    let own = |r: &&&Record| newest.is_some_and(|(_, build)| r.build == *build);
    let readable: Vec<&Record> = records.iter().filter(own).copied().collect();
    let mut sections = study.summarise(&readable, context)?;
    let left_out = records.iter().filter(|r| r.experiment == study.name() && !own(r)).count();
    let text = format!("{left_out} records of older builds are left out, because they do not parse: {error}");
    sections.push(Section::new(format!("Left out of {}", study.name()), text));
    Ok(sections)
}

/// Section of the device: its properties, main ceilings and number of cells.
fn device(id: &MachineId, machine: Option<&Machine>, ok: &[&Record], failures: &[&Record]) -> Section {
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
    let statuses = ok.iter().chain(failures).map(|r| word(r.status));
    let intro = format!(
        "Cells: {}. A cell whose newest record or its check failed is only in the list at the end of the report. \
         Brackets are intervals. For a cost, it is the 95 % interval of the median over blocks of measurements. For a \
         rate, it is the lower end of that interval, and an estimate of the device's maximum, at most 10 % above the best \
         block. Fewer than six measurements have no 95 % interval of the median; for them it is the full range.",
        tally(statuses)
    );
    Section::new("Device", intro).with(Block::Table(table))
}

/// One roofline with the dots of all experiments, moved here from their own sections.
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

/// Adds the ceilings of the machine, where no experiment added any.
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
        (Status::Skipped, "Skipped cells", "These cannot run on this device."),
    ] {
        let columns = [("experiment", Align::Left), ("point", Align::Left), ("reason", Align::Left)];
        let mut table = Table::new("", columns);
        for record in records.iter().filter(|r| r.status == status) {
            let reason = record.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
            table.push([record.experiment.clone(), canonical(&record.point), reason]);
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
