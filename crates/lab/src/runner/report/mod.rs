//! The report of a journal. First come warnings about the run and the speed of each model, then the register of claims and a
//! chapter for every study. Device, methods and provenance are last.

mod chapters;
mod device;
mod provenance;
mod rooflines;
mod speed;

use super::{Catalogue, Error, folder};
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::journal::not_ok;
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::measure::find;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{MachineId, Record, Status};
use ridgeline_experiment::register::{self, Conclusions};
use ridgeline_experiment::report::{Block, Report, Section, files, html, markdown};
use std::path::{Path, PathBuf};

/// Folder of the figures beside a report.
const FIGURES: &str = "figures";

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
    let own = |machine: &MachineId| -> Vec<Record> {
        records.iter().filter(|r| r.machine == *machine).cloned().collect()
    };
    let devices: Vec<Device> = machines
        .iter()
        .map(|it| Device::new(it, &own(it), catalogue, &published))
        .collect::<Result<_, _>>()?;
    let mut sections = Vec::new();
    for (i, device) in devices.iter().enumerate() {
        let others = devices.iter().enumerate().filter(|it| it.0 != i);
        let data = device.data(catalogue, &published);
        let data = data.beside(others.map(|it| it.1.data(catalogue, &published)).collect());
        for mut section in of_device(device, &data, catalogue, &published)? {
            if machines.len() > 1 {
                section.title = format!("{}: {}", device.id.adapter, section.title);
            }
            // Anchors of the first device are those of a report on one device.
            if i > 0 {
                section.id = format!("{}-device-{}", section.id, i + 1);
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
        provenance: provenance::rows(records),
    })
}

/// Writes `report.html` and `report.md` of a folder's journal into the folder; returns their paths.
///
/// # Errors
/// As [`make`] and [`save`], and where the journal cannot be read.
pub fn write(path: &Path, catalogue: &Catalogue) -> Result<[PathBuf; 2], Error> {
    save(&make(&folder::records(path)?, catalogue)?, path)
}

/// Writes a report into a folder as `report.html` and `report.md`, with its figures beside them; returns their paths.
///
/// # Errors
/// Where a file cannot be written.
pub fn save(report: &Report, path: &Path) -> Result<[PathBuf; 2], Error> {
    let [page, text] = [path.join("report.html"), path.join("report.md")];
    folder::write(&page, &html(report)?)?;
    folder::write(&text, &markdown::markdown(report))?;
    save_figures(report, &path.join(FIGURES))?;
    Ok([page, text])
}

/// Writes the figures and tables of a report into a folder, as SVG, CSV and Vega-Lite.
///
/// # Errors
/// Where the folder or a file cannot be written.
pub fn save_figures(report: &Report, path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    for file in files(report) {
        folder::write(&path.join(file.name), &file.text)?;
    }
    Ok(())
}

/// The conclusions from the records of one device, and the checks of the run against itself.
///
/// # Errors
/// As [`make`].
pub fn conclude(records: &[Record], catalogue: &Catalogue) -> Result<(Conclusions, Audit), Error> {
    let published = Published::load()?;
    let id = records.first().map(|r| r.machine.clone()).unwrap_or_default();
    let device = Device::new(&id, records, catalogue, &published)?;
    let data = device.data(catalogue, &published);
    let failures: Vec<&Record> = device.failures.iter().collect();
    let conclusions = register::conclude(&catalogue.studies, &data, &failures, device.audit.control)?;
    Ok((conclusions, device.audit))
}

/// The records of one device, and the checks of its run against itself.
struct Device {
    id: MachineId,
    /// Number of records that do not parse and are left out.
    unreadable: usize,
    readable: Vec<Record>,
    /// The newest records of cells that are not ok.
    failures: Vec<Record>,
    audit: Audit,
}

impl Device {
    fn new(
        id: &MachineId,
        records: &[Record],
        catalogue: &Catalogue,
        published: &Published,
    ) -> Result<Self, Error> {
        let machine = (catalogue.ceilings)(records);
        let readable = readable(records, catalogue);
        let audit = audited(&Data::new(&readable, machine.as_ref(), published), catalogue)?;
        let unreadable = records.len() - readable.len();
        let failures = not_ok(records).into_iter().cloned().collect();
        Ok(Self { id: id.clone(), unreadable, readable, failures, audit })
    }

    /// Its data, with the ceilings that the audit left.
    fn data<'a>(&'a self, catalogue: &Catalogue, published: &'a Published) -> Data<'a> {
        without_anchor(Data::new(&self.readable, self.audit.machine.as_ref(), published), catalogue)
    }
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
fn of_device(
    device: &Device,
    data: &Data<'_>,
    catalogue: &Catalogue,
    published: &Published,
) -> Result<Vec<Section>, Error> {
    let Device { id, unreadable, failures, audit, .. } = device;
    let failures: Vec<&Record> = failures.iter().collect();
    let Conclusions { chapters, verdicts } =
        register::conclude(&catalogue.studies, data, &failures, audit.control)?;
    let mut studies = chapters::studies(chapters, &verdicts, catalogue, published);
    let rooflines = rooflines::collect(&mut studies, audit.machine.as_ref());
    let mut sections = first(data, audit, catalogue)?;
    sections.push(chapters::register(&verdicts, data));
    sections.extend(studies);
    sections.extend(rooflines);
    sections.extend([device::device(id, data, audit, &failures), device::methods()]);
    sections.extend(left_out(*unreadable));
    sections.extend(device::cut(data)?);
    sections.extend(device::unfinished(&failures));
    Ok(sections)
}

/// The sections that come first: the answer, what speaks against the run's numbers, and the speed of each model.
fn first(data: &Data<'_>, audit: &Audit, catalogue: &Catalogue) -> Result<Vec<Section>, Error> {
    let mut sections: Vec<Section> = (catalogue.answer)(data, audit)?.into_iter().collect();
    sections.extend(faults(audit));
    sections.extend(speed::section(data)?);
    Ok(sections)
}

/// Section of what speaks against the run's own numbers; `None` where nothing does.
fn faults(audit: &Audit) -> Option<Section> {
    let intro = "These numbers of the run contradict each other, or its controls and its anchor say that they are poor. Where \
                 a cell refutes an interval, the interval is widened. In a full run, the cells concerned are measured again \
                 while time is left; what is listed stayed.";
    let mut section = Section::new("Warnings about this run", intro);
    section.blocks.extend(audit.faults.iter().map(|fault| Block::Warning(fault.sentence.clone())));
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
