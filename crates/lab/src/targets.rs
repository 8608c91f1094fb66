//! What this program's own engine ought to reach on a device, as ratios to what the same device, or another engine on
//! it, reaches in the same minutes.

use crate::lab::Lab;
use crate::measure::timed;
use crate::pass::{Bench, Pass, Test};
use crate::peer::Peer;
use crate::{Error, models};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_model::SessionOptions;
use ridgeline_quant::Format;
use ridgeline_roofline::{Machine, Measured, Precision};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One target and what was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What is compared.
    pub what: String,
    /// The bound.
    pub target: Target,
    /// What was measured here, with its 95 % interval.
    pub here: Measured,
    /// The figures behind it.
    pub detail: String,
}

/// A bound on a ratio or a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// A figure without a bound on this kind of device.
    Told,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
            Self::Told => f.write_str("none here"),
        }
    }
}

impl Finding {
    /// Met, missed, or too close to call: the whole interval has to be on one side.
    pub(crate) fn verdict(&self) -> &'static str {
        let Measured { lo, hi, .. } = self.here;
        match self.target {
            Target::Told => "–",
            Target::AtLeast(bound) if lo >= bound => "met",
            Target::AtLeast(bound) if hi < bound => "missed",
            Target::AtMost(bound) if hi <= bound => "met",
            Target::AtMost(bound) if lo > bound => "missed",
            _ => "too close to call",
        }
    }
}

/// Repetitions that every ratio rests on.
const REPETITIONS: u32 = 10;

const BUDGET: Budget =
    Budget { warmup: 0, min_reps: REPETITIONS, max_reps: REPETITIONS, budget_s: f64::INFINITY };

/// Times that a model is loaded.
const LOADS: u32 = 6;

/// One repetition, for turns.
const ONCE: Budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.0 };

const PROMPT: Test = Test { prompt: 64, generate: 0 };
const GENERATION: Test = Test { prompt: 0, generate: 16 };

/// What is measured; the file that ships.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Models that are verified and held against the ceilings.
    pub models: Vec<String>,
    /// The model that is decoded at depth.
    pub deep: String,
    /// The model that is loaded.
    pub load: String,
    /// Models that another engine was measured with.
    pub peer: Vec<PeerModel>,
}

/// A model and another engine's tokens per second on a software adapter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerModel {
    model: String,
    pp64: f64,
    tg16: f64,
}

impl Plan {
    /// The plan that ships.
    pub(crate) fn shipped() -> Self {
        toml::from_str(include_str!("../../../matrix/targets.toml")).expect("a test reads it")
    }
}

/// Speed beside llama.cpp: its Vulkan backend's figures, and with `python` its processor backend in turns with ours.
pub(crate) fn beside_peer(
    lab: &mut Lab,
    models: &[PeerModel],
    software: bool,
    python: Option<&Path>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    if !software && python.is_none() {
        return Ok(findings);
    }
    // The published figures are a software adapter's on two cores.
    let alike = software && std::thread::available_parallelism().is_ok_and(|n| n.get() == 2);
    for PeerModel { model, pp64, tg16 } in models {
        let loaded = lab.load(model, None)?;
        let mut bench = Bench::new(lab, &loaded, 0, 64, SessionOptions::default())?;
        let file = python.map(|_| file_of(model)).transpose()?;
        let open = |(python, file): (&Path, &tempfile::NamedTempFile)| Peer::open(python, file.path());
        let peer = python.zip(file.as_ref()).map(open).transpose()?;
        let [pp, tg, peer_pp, peer_tg] = turns(&mut bench, peer)?;
        let sides = [("pp64", pp, peer_pp, *pp64, 0.10), ("tg16", tg, peer_tg, *tg16, 0.25)];
        for (test, ours, theirs, vulkan, share) in sides {
            let Some(rate) = stats::median_interval(&ours) else { continue };
            if software {
                findings.push(Finding {
                    what: format!("{model} {test} over llama.cpp's Vulkan backend"),
                    target: if alike { Target::AtLeast(5.0) } else { Target::Told },
                    here: scaled(rate, 1.0 / vulkan),
                    detail: format!("{:.1} t/s against its published {vulkan} t/s", rate.value),
                });
            }
            if let Some(here) = stats::ratio_of_medians(&ours, &theirs, lab.seed) {
                let peer = stats::median(&theirs).unwrap_or(f64::NAN);
                let target = if software { Target::AtLeast(share) } else { Target::Told };
                let detail = format!("{:.1} t/s against {peer:.1} t/s in turns", rate.value);
                let what = format!("{model} {test} over llama.cpp's processor backend");
                findings.push(Finding { what, target, here, detail });
            }
        }
    }
    Ok(findings)
}

/// Tokens per second of reading and of generating, ours and then the other engine's, in turns.
fn turns(bench: &mut Bench, mut peer: Option<Peer>) -> Result<[Vec<f64>; 4], Error> {
    let [mut pp, mut tg, mut peer_pp, mut peer_tg] = [const { Vec::new() }; 4];
    for turn in 0..=REPETITIONS {
        let prompt = bench.test(PROMPT, &ONCE)?;
        let generation = bench.test(GENERATION, &ONCE)?;
        let theirs = peer.as_mut().map(Peer::rates).transpose()?;
        // The first turn warms both up.
        if turn > 0 {
            pp.push(64.0 / prompt.median_s());
            tg.push(16.0 / generation.median_s());
            peer_pp.extend(theirs.map(|it| it.pp64));
            peer_tg.extend(theirs.map(|it| it.tg16));
        }
    }
    Ok([pp, tg, peer_pp, peer_tg])
}

fn scaled(m: Measured, by: f64) -> Measured {
    Measured { value: m.value * by, lo: m.lo * by, hi: m.hi * by }
}

/// A model as a GGUF file for as long as the value lives.
fn file_of(model: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = models::cache();
    let made = tempfile::Builder::new().suffix(".gguf").tempfile_in(&folder);
    let file = made.map_err(|source| models::Error::Io { path: folder, source })?;
    let checkpoint = models::checkpoint(model, None)?;
    let written = ridgeline_weights::write_gguf(&checkpoint, file.path(), |it| it.format);
    written.map_err(models::Error::from)?;
    // What the system still had to write would compete with what is measured.
    let synced = file.as_file().sync_all();
    synced.map_err(|source| models::Error::Io { path: file.path().to_owned(), source })?;
    Ok(file)
}

/// v(n) = T(n)/T(1): what verifying drafts costs over generating.
pub(crate) fn verification(lab: &mut Lab, model: &str, software: bool) -> Result<Vec<Finding>, Error> {
    let loaded = lab.load(model, None)?;
    let mut bench =
        Bench::new(lab, &loaded, 0, 16, SessionOptions { logit_rows: 16, ..SessionOptions::default() })?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); 17];
    for _ in 0..REPETITIONS {
        for (n, times) in times.iter_mut().enumerate().skip(1) {
            times.push(bench.verify(n, &ONCE)?.median_s());
        }
    }
    let bounds = |n| match n {
        4 if !software => Target::AtMost(1.15),
        8 if !software => Target::AtMost(1.35),
        _ => Target::Told,
    };
    let finding = |n: usize| {
        let here = stats::ratio_of_medians(&times[n], &times[1], lab.seed)?;
        let ms = stats::median(&times[n])? * 1e3;
        let what = format!("{model}: time of {n} rows over one");
        Some(Finding { what, target: bounds(n), here, detail: format!("{ms:.2} ms") })
    };
    Ok((2..=16).filter_map(finding).collect())
}

/// A whole decode step and a prompt of 512 tokens against this device's own ceilings.
pub(crate) fn against_ceilings(
    lab: &mut Lab,
    model: &str,
    machine: &Machine,
    software: bool,
) -> Result<Vec<Finding>, Error> {
    let loaded = lab.load(model, None)?;
    let bound = |bound| if software { Target::Told } else { Target::AtLeast(bound) };
    let mut bench = Bench::new(lab, &loaded, 0, 512, SessionOptions::default())?;
    let mut generation = bench.test(GENERATION, &BUDGET)?;
    let floor = generation.prediction(machine).memory_s;
    let decode = Finding {
        what: format!("{model}: decode over the bandwidth floor"),
        target: bound(0.70),
        here: share(&generation, floor),
        detail: format!(
            "{:.2} ms of {:.2} ms per token",
            1e3 * floor / 16.0,
            1e3 * generation.median_s() / 16.0
        ),
    };
    let launches = bench.time_launches(&mut generation, 16, &BUDGET)?;
    let step = generation.waterfall(machine, 16);
    let explained = Finding {
        what: format!("{model}: share of a decode step that the waterfall explains"),
        target: Target::AtLeast(0.95),
        here: explained_by(&generation, launches, machine),
        detail: format!(
            "{:.2} ms, {:.2} ms unexplained",
            step.total_ns() as f64 / 1e6,
            step.rest_ns as f64 / 1e6
        ),
    };
    let prompt = bench.test(
        Test { prompt: 512, generate: 0 },
        &Budget { min_reps: 3, max_reps: 10, budget_s: 20.0, ..BUDGET },
    )?;
    let peak = machine.peak(Precision::Fastest).value;
    let floor = prompt.cost.flops as f64 / peak;
    let prefill = Finding {
        what: format!("{model}: prompt of 512 over the matrix product's ceiling"),
        target: bound(0.60),
        here: share(&prompt, floor),
        detail: format!("{:.1} t/s", 512.0 / prompt.median_s()),
    };
    Ok(vec![decode, explained, prefill])
}

/// Share of a step that the waterfall explains, and the least and the most over the interval of what the launches take.
fn explained_by(generation: &Pass, launches: Measured, machine: &Machine) -> Measured {
    let step = |seconds| Pass { launches_s: Some(seconds), ..generation.clone() }.waterfall(machine, 16);
    let [middle, few, many] = [launches.value, launches.lo, launches.hi].map(step);
    let [value, one, other] = [middle, few, many].map(|step| step.explained());
    // Somewhere between too little and too much nothing is left.
    let hi = if few.rest_ns.signum() == many.rest_ns.signum() { value.max(one).max(other) } else { 1.0 };
    Measured { value, lo: value.min(one).min(other), hi }
}

/// `floor` over the time of a pass.
fn share(pass: &Pass, floor_s: f64) -> Measured {
    let seconds = stats::seconds(&pass.samples_ns);
    let m = stats::median_interval(&seconds).unwrap_or(Measured::exact(pass.median_s()));
    Measured { value: floor_s / m.value, lo: floor_s / m.hi, hi: floor_s / m.lo }
}

/// Decoding at a depth of 8192 over what decoding at none and the cache's bytes explain.
pub(crate) fn depth(lab: &mut Lab, model: &str, machine: &Machine) -> Result<Finding, Error> {
    const DEPTH: usize = 8192;
    let loaded = lab.load(model, None)?;
    let at = |depth: usize| -> Result<Pass, Error> {
        Bench::new(lab, &loaded, depth, 16, SessionOptions::default())?.test(GENERATION, &BUDGET)
    };
    let (shallow, deep) = (at(0)?, at(DEPTH)?);
    let more = deep.prediction(machine).kv_s - shallow.prediction(machine).kv_s;
    let expected: Vec<f64> = stats::seconds(&shallow.samples_ns).into_iter().map(|it| it + more).collect();
    let ms = |seconds: f64| 1e3 * seconds / 16.0;
    let here = stats::ratio_of_medians(&stats::seconds(&deep.samples_ns), &expected, lab.seed);
    Ok(Finding {
        what: format!("{model}: decode at depth {DEPTH} over depth 0 and the cache's bytes"),
        target: Target::AtMost(1.15),
        here: here.ok_or(crate::probe::Error::NoBlocks)?,
        detail: format!(
            "{:.2} ms against {:.2} + {:.2} ms per token",
            ms(deep.median_s()),
            ms(shallow.median_s()),
            ms(more)
        ),
    })
}

/// Loading a file over reading it once from the page cache and copying it once on the device.
pub(crate) fn load(lab: &mut Lab, model: &str, machine: &Machine) -> Result<Finding, Error> {
    let file = file_of(model)?;
    let path = file.path().to_owned();
    let name = path.to_string_lossy().into_owned();
    let (mut reads, mut loads) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..LOADS {
        let (read, ns) = timed(|| read_once(&path));
        bytes = read.map_err(|source| models::Error::Io { path: path.clone(), source })?;
        reads.push(ns as f64 / 1e9);
        let (loaded, ns) = timed(|| -> Result<_, Error> {
            let checkpoint = models::checkpoint(&name, None)?;
            let mut device = lab.device.borrow_mut();
            let model = ridgeline_model::Model::load(&checkpoint, &mut *device)?;
            if let Some(gpu) = device.gpu() {
                gpu.settle()?;
            }
            Ok(model)
        });
        drop(loaded?);
        loads.push(ns as f64 / 1e9);
    }
    let (read, load) = (stats::median(&reads).unwrap_or(f64::NAN), stats::median(&loads).unwrap_or(f64::NAN));
    let copy = 2.0 * bytes as f64 / machine.bandwidth.copy.at(2 * bytes).value;
    let expected: Vec<f64> = reads.iter().map(|read| read + copy).collect();
    let here = stats::ratio_of_medians(&loads, &expected, lab.seed);
    Ok(Finding {
        what: format!("loading {:.2} GB over one read and one copy", bytes as f64 / 1e9),
        target: Target::AtMost(1.3),
        here: here.ok_or(crate::probe::Error::NoBlocks)?,
        detail: format!("{load:.2} s against {read:.2} + {copy:.2} s"),
    })
}

/// Reads a file to its end; gives its length.
fn read_once(path: &Path) -> std::io::Result<u64> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 4 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(bytes),
            n => bytes += n as u64,
        }
    }
}

/// Formats whose products are held against the bandwidth of reading.
pub(crate) fn products(lab: &Lab, machine: &Machine, software: bool) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for &format in Format::ALL.iter().filter(|it| it.in_gguf()) {
        let (seconds, bytes) = crate::probe::product_s(&mut lab.device.borrow_mut(), format, [4096, 14336])?;
        let floor = bytes as f64 / machine.bandwidth.read.at(bytes).value;
        findings.push(Finding {
            what: format!("{format}: 4096 x 14336 times a vector, of the bandwidth of reading"),
            target: if software { Target::Told } else { Target::AtLeast(0.85) },
            here: Measured { value: floor / seconds.value, lo: floor / seconds.hi, hi: floor / seconds.lo },
            detail: format!("{:.1} GB/s", bytes as f64 / seconds.value / 1e9),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::{Finding, Measured, Plan, Target};

    #[test]
    fn the_plan_names_models_there_are() {
        let plan = Plan::shipped();
        let named =
            plan.models.iter().chain([&plan.deep, &plan.load]).chain(plan.peer.iter().map(|it| &it.model));
        for name in named {
            assert!(crate::models::checkpoint(name, None).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        let of = |target, lo, hi| {
            let here = Measured { value: (lo + hi) / 2.0, lo, hi };
            Finding { what: String::new(), target, here, detail: String::new() }.verdict()
        };
        assert_eq!(of(Target::AtLeast(1.0), 1.0, 2.0), "met");
        assert_eq!(of(Target::AtLeast(1.0), 0.9, 2.0), "too close to call");
        assert_eq!(of(Target::AtLeast(1.0), 0.8, 0.9), "missed");
        assert_eq!(of(Target::AtMost(1.0), 0.8, 0.9), "met");
        assert_eq!(of(Target::AtMost(1.0), 1.1, 1.2), "missed");
        assert_eq!(of(Target::Told, 1.1, 1.2), "–");
    }
}
