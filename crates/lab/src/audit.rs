//! The checks of a run against itself, over all measures.
//!
//! ```text
//! no rate above its ceiling          a faster product raises the upper bound of the ceiling
//! no pass or kernel below its floor  a faster one raises the upper bounds
//! no launch dearer than a kernel     the fastest isolated kernel, launch included, bounds the cost of a launch
//! time rises with depth and batch    within intervals
//! equal work takes equal time        the error of these controls widens what verdicts compare
//! ```

use crate::measures::pass::{Pass, Point, Row, Work};
use crate::measures::{launch, operation, pass, title};
use ridgeline_experiment::audit::{Audit, Fault, Pace, control_error, falling};
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::{Error, stats};
use ridgeline_measure::profile::{Profiled, TimedLaunch};
use ridgeline_roofline::{Cost, Machine, Measured, Regime};
use std::num::NonZeroUsize;

/// Change between two measurements of the anchor beyond which the machine is unsteady.
const UNSTEADY: f64 = 0.10;

/// Checks all records of one device. `anchor` is the id of the anchor's cell.
///
/// # Errors
/// Where a record does not deserialize to its measure's types.
pub(crate) fn audit(data: &Data<'_>, anchor: Option<&str>) -> Result<Audit, Error> {
    let mut faults = Vec::new();
    let mut machine = data.machine().cloned();
    if let Some(machine) = &mut machine {
        faults.extend(launches(data, machine)?);
        faults.extend(rates(data, machine)?);
    }
    let passes = data.rows::<pass::Kind>()?;
    if let Some(machine) = &mut machine {
        faults.extend(floors(&passes, machine));
        faults.extend(kernels(data, machine)?);
    }
    faults.extend(rising(&passes, "depth", |p| (p.depth, Point { depth: 0, ..p.clone() })));
    faults.extend(rising(&passes, "number of sequences", |p| {
        (p.sequences.get(), Point { sequences: NonZeroUsize::MIN, ..p.clone() })
    }));
    let verified = passes.clone().filter(|p| matches!(p.work, Work::Verify(_)));
    faults.extend(rising(&verified, "batch size", |p| {
        (p.work.tokens(), Point { work: Work::Verify(1), ..p.clone() })
    }));
    let controls = crate::studies::controls(data)?;
    let control = controls.iter().map(|(_, ratio)| control_error(*ratio)).fold(0.0, f64::max);
    for (what, ratio) in controls.iter().filter(|(_, ratio)| control_error(*ratio) > 0.0) {
        let sentence = format!(
            "Equal work took unequal time: {what} by a factor of {:.3} [{:.3}, {:.3}]. Verdicts allow for an error of {}.",
            ratio.value,
            ratio.lo,
            ratio.hi,
            number::percent(control)
        );
        faults.push(Fault { sentence, cells: Vec::new() });
    }
    let (pace, unsteady) = anchor.map_or((None, None), |id| paces(data, id));
    faults.extend(unsteady);
    Ok(Audit { machine, faults, control, pace })
}

/// No launch costs more than a whole isolated kernel, whose time includes its launch.
fn launches(data: &Data<'_>, machine: &mut Machine) -> Result<Option<Fault>, Error> {
    let rows = data.rows::<launch::Kind>()?;
    let cost = machine.overheads.launch_s;
    let fastest = |e: &Entry<'_, launch::Point, Profiled>| {
        // A kernel whose interval reaches zero was not resolved.
        let resolved = e.row.launches.iter().filter(|l| l.seconds.lo > 0.0);
        let least = resolved.min_by(|a, b| a.seconds.value.total_cmp(&b.seconds.value))?;
        let is = |l: &&TimedLaunch| l.variant == least.variant && l.module == least.module;
        let seconds = e.over_visits(|row| row.launches.iter().find(is).map(|l| l.seconds.value))?;
        Some((seconds, least.label(), e.record().cell_id.clone()))
    };
    let fastest = rows.iter().filter_map(fastest).min_by(|a, b| a.0.hi.total_cmp(&b.0.hi));
    let Some((kernel, label, cell)) = fastest.filter(|(kernel, ..)| kernel.hi < cost.lo) else {
        return Ok(None);
    };
    machine.overheads.launch_s = Measured { value: kernel.value, lo: 0.0, hi: kernel.hi };
    let sentence = format!(
        "An empty launch was measured at {} [{}], but the whole kernel {label} takes {}. The cost of a launch is now at most \
         that.",
        number::si(cost.value, "s"),
        number::si_range(cost.lo, cost.hi, "s"),
        number::si(kernel.value, "s"),
    );
    Ok(Some(Fault { sentence, cells: vec![cell] }))
}

/// No product reads its weights faster than the ceiling of its working set.
fn rates(data: &Data<'_>, machine: &mut Machine) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for entry in &data.rows::<operation::Kind>()? {
        let bytes = entry.row.weight_bytes;
        let Some(seconds) = entry.seconds() else { continue };
        let rate = seconds.map(|s| bytes as f64 / s);
        let ceiling = machine.bandwidth.upper(bytes);
        if rate.lo <= ceiling {
            continue;
        }
        machine.bandwidth.read = machine.bandwidth.read.raised(bytes, rate.value);
        let sentence = format!(
            "A product of {} read its {} at {}, above the ceiling of {}. The upper bound of the ceiling is raised to that.",
            entry.point.format,
            number::bytes(bytes),
            number::si(rate.value, "B/s"),
            number::si(ceiling, "B/s")
        );
        faults.push(Fault { sentence, cells: vec![entry.record().cell_id.clone()] });
    }
    Ok(faults)
}

/// No pass is faster than the floor of its ceilings. A faster one raises the upper end of the ceiling that bounds it.
fn floors(passes: &Rows<'_, Point, Row>, machine: &mut Machine) -> Vec<Fault> {
    let mut faults = Vec::new();
    for entry in passes {
        let (pass, Some(seconds)) = (&entry.row.pass, entry.seconds()) else { continue };
        let what = title(&entry.point.model, &entry.point.format);
        let raised = raise(machine, (&what, seconds), &pass.cost, pass.regime);
        faults.extend(raised.map(|sentence| Fault { sentence, cells: vec![entry.record().cell_id.clone()] }));
    }
    faults
}

/// No isolated kernel is faster than its floor; see [`floors`].
fn kernels(data: &Data<'_>, machine: &mut Machine) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for entry in &data.rows::<launch::Kind>()? {
        for launch in &entry.row.launches {
            // Matrices of other widths may share a variant and a grid.
            let same = |l: &&TimedLaunch| l.variant == launch.variant && l.module == launch.module;
            let seconds = entry.over_visits(|row| row.launches.iter().find(same).map(|l| l.seconds.value));
            let Some(seconds) = seconds else { continue };
            let what = format!("{} of {}", launch.label(), title(&entry.point.model, &entry.point.format));
            let regime = Regime::new(launch.cost.bytes()).submissions(0);
            let raised = raise(machine, (&what, seconds), &launch.cost, regime);
            faults.extend(
                raised.map(|sentence| Fault { sentence, cells: vec![entry.record().cell_id.clone()] }),
            );
        }
    }
    Ok(faults)
}

/// Raises the ceiling that bounds work which took less time than its floor, and says so.
fn raise(
    machine: &mut Machine,
    (what, seconds): (&str, Measured),
    cost: &Cost,
    regime: Regime,
) -> Option<String> {
    let floor = machine.predict(cost, regime).floor_s;
    if seconds.hi >= floor {
        return None;
    }
    let factor = floor / seconds.value;
    let flops_s = cost.flops as f64 / machine.peak(regime.precision).hi;
    let ceiling = if flops_s >= floor * (1.0 - 1e-9) {
        for peak in [Some(&mut machine.flops_f32), machine.flops_f16.as_mut()].into_iter().flatten() {
            peak.hi *= factor;
        }
        "peak"
    } else {
        let set = regime.working_set;
        machine.bandwidth.read = machine.bandwidth.read.raised(set, machine.bandwidth.upper(set) * factor);
        "bandwidth"
    };
    Some(format!(
        "{what} took {}, less than the {} that it needs at the upper end of the {ceiling}, which is raised to that.",
        number::si(seconds.value, "s"),
        number::si(floor, "s")
    ))
}

/// Cells that differ only in one figure take more time for a larger one, within intervals.
fn rising(rows: &Rows<'_, Point, Row>, what: &str, of: impl Fn(&Point) -> (usize, Point)) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (_, group) in rows.group(|p| of(p).1) {
        let mut timed: Vec<(usize, Measured, &Pass<'_>)> =
            group.into_iter().filter_map(|e| Some((of(&e.point).0, e.seconds()?, e))).collect();
        timed.sort_by_key(|it| it.0);
        let times: Vec<Measured> = timed.iter().map(|it| it.1).collect();
        for i in falling(&times) {
            let ((less, before, a), (more, after, b)) = (timed[i - 1], timed[i]);
            let sentence = format!(
                "{} took {} at a {what} of {less}, but {} at {more}: more work in less time, by other kernels or by error.",
                title(&a.point.model, &a.point.format),
                number::si(before.value, "s"),
                number::si(after.value, "s")
            );
            let cells = [a, b].map(|e| e.record().cell_id.clone()).to_vec();
            faults.push(Fault { sentence, cells });
        }
    }
    faults
}

/// The pace of the machine by the anchor, and how many cells were visited while it changed.
///
/// Such visits count: with the others of their cells they make the interval as wide as the machine is unsteady.
fn paces(data: &Data<'_>, anchor: &str) -> (Option<Pace>, Option<Fault>) {
    let own = data.cells().iter().find(|cell| cell.iter().all(|r| r.cell_id == anchor));
    let Some(anchors) = own else { return (None, None) };
    let seconds: Vec<f64> =
        anchors.iter().filter_map(|r| stats::median(&stats::seconds(&r.samples_ns))).collect();
    let Some(pace) = Pace::of(&seconds).filter(|_| seconds.len() == anchors.len()) else {
        return (None, None);
    };
    let changed = |i: &usize| {
        let same_run = anchors[*i].run_id == anchors[i - 1].run_id;
        same_run && (seconds[*i] / seconds[i - 1]).ln().abs() > UNSTEADY
    };
    let unsteady: Vec<(&str, &str)> = (1..seconds.len())
        .filter(changed)
        .map(|i| (anchors[i - 1].started_utc.as_str(), anchors[i].started_utc.as_str()))
        .collect();
    let between = |start: &str| unsteady.iter().any(|(from, to)| *from <= start && start < *to);
    let visits = data.cells().iter().flatten().filter(|r| r.cell_id != anchor);
    let (n, all) = visits.fold((0, 0), |(n, all), r| (n + usize::from(between(&r.started_utc)), all + 1));
    let fault = (n > 0).then(|| Fault {
        sentence: format!(
            "{n} of {all} visits were made while the machine changed its pace by more than {} between two anchors. They \
             count, and widen the intervals of their cells.",
            number::percent(UNSTEADY)
        ),
        cells: Vec::new(),
    });
    (Some(pace), fault)
}

#[cfg(test)]
mod tests;
