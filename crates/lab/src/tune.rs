//! Finding the fastest product for the shapes of a model on one device, and keeping what was found.
//!
//! Candidates are timed beside the default, turn by turn, so that drift of the machine hits both; one is chosen only
//! where its interval ends before the default's begins, and only if a second round says the same.

use crate::models::Loaded;
use crate::probe::{Clock, Timer, Unit, blocks, typical};
use crate::{Device, Error, Lab, models};
use ridgeline_compute::{AnyKernel, Caps, Executor, Recording, Slice};
use ridgeline_experiment::matrix::Budget;
use ridgeline_gpu::Gpu;
use ridgeline_kernels::{Class, Epilogue, ProductChoice, RowCount, Tuning, mat_vec, product_for};
use ridgeline_model::SessionOptions;
use ridgeline_quant::Format;
use ridgeline_roofline::Measured;
use ridgeline_speculative::Rows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Tokens of the passes whose products are tried: generation, verification of drafts, prompts.
const TOKENS: [usize; 6] = [1, 2, 4, 8, 16, 64];

/// Longest launch in seconds; of a larger matrix as many rows are used as take so long.
const LONGEST_S: f64 = 4e-3;

/// Candidates that are timed with care: the fastest at first sight.
const FINALISTS: usize = 3;

/// A candidate within this factor of the fastest at first sight is worth a closer look.
const CLOSE: f64 = 1.25;

const ROUND: Budget = Budget { warmup: 0, min_reps: 7, max_reps: 15, budget_s: 0.6 };

/// What was found for one class.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub class: Class,
    pub default: ProductChoice,
    pub default_s: Measured,
    /// The choice and its time, where one is better than the default.
    pub better: Option<(ProductChoice, Measured)>,
}

/// A product of a forward pass.
#[derive(Clone, Debug)]
struct Launch {
    params: mat_vec::Params,
    slices: Vec<Slice>,
}

impl Launch {
    fn of(pass: &Recording, step: &ridgeline_compute::Step) -> Option<(Class, Self)> {
        let format = ProductChoice::of(pass.kernel(step))?.format();
        // The blocks of parameters of all products are the same, field by field.
        let params: mat_vec::Params = bytemuck::pod_read_unaligned(pass.params(step));
        let halves = if params.epilogue == Epilogue::Gate as u32 { 2 } else { 1 };
        let class = Class::of(format, params.n_vecs, halves * params.n_rows);
        Some((class, Self { params, slices: pass.slices(step).to_vec() }))
    }

    /// What tells a large launch from a small one.
    fn size(&self) -> u64 {
        u64::from(self.params.n_rows) * u64::from(self.params.n_cols)
    }

    /// The launch by a kernel, of sums that are stored: that is what every candidate can do.
    fn recorded(&self, choice: ProductChoice) -> Recording {
        let params = mat_vec::Params { epilogue: Epilogue::Store as u32, ..self.params };
        let mut recording = Recording::new();
        recording.run_erased(&choice.into(), bytemuck::bytes_of(&params), &self.slices);
        recording
    }

    /// The same with so few rows that it takes at most `longest` seconds, if all of them take `seconds`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    fn shortened(mut self, seconds: f64) -> Self {
        if seconds > LONGEST_S {
            let rows = (f64::from(self.params.n_rows) * LONGEST_S / seconds) as u32;
            self.params.n_rows = rows.next_multiple_of(64).min(self.params.n_rows);
        }
        self
    }
}

fn label(choice: ProductChoice) -> String {
    AnyKernel::from(choice).label()
}

/// Tries the products of a model's passes; `tell` hears of each finding.
pub(crate) fn tune(
    lab: &Lab,
    loaded: &Loaded,
    tell: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, Error> {
    let largest = TOKENS[TOKENS.len() - 1];
    let options =
        SessionOptions { context: largest, batch: largest, logit_rows: 16, ..SessionOptions::default() };
    let mut session = lab.session(loaded, options)?;
    let mut launches: BTreeMap<Class, Launch> = BTreeMap::new();
    for n in TOKENS {
        let tokens: Vec<u32> = (0..).take(n).collect();
        let pass = session.record(&tokens, if n <= 16 { Rows::All } else { Rows::Last })?.clone();
        // The buffers that the launches read hold numbers from now on.
        lab.device.borrow_mut().run(&pass)?;
        for (class, launch) in pass.steps().iter().filter_map(|step| Launch::of(&pass, step)) {
            let known = launches.get(&class).map_or(0, Launch::size);
            if launch.size() > known {
                launches.insert(class, launch);
            }
        }
    }
    let mut device = lab.device.borrow_mut();
    let caps = device.caps().clone();
    let mut timer = Timer::new(&mut device)?;
    let mut findings = Vec::new();
    for (class, launch) in launches {
        let finding = try_class(&mut timer, &caps, class, launch)?;
        tell(&finding);
        findings.push(finding);
    }
    Ok(findings)
}

fn try_class(timer: &mut Timer<'_>, caps: &Caps, class: Class, launch: Launch) -> Result<Finding, Error> {
    let default = product_for(class.format, launch.params.n_vecs, caps);
    let alone = timer.unit(&launch.recorded(default))?.estimate_s;
    let launch = launch.shortened(alone);
    let mut seen = Vec::new();
    for choice in class.candidates(caps).into_iter().filter(|choice| *choice != default) {
        match timer.unit(&launch.recorded(choice)) {
            Ok(unit) => seen.push((unit.estimate_s, choice)),
            // What a driver refuses to compile is no candidate, and no reason to stop.
            Err(crate::probe::Error::Run(ridgeline_compute::Error::Shader { kernel, reason })) => {
                tracing::warn!("{kernel}: {reason}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let fastest = seen.first().map_or(f64::INFINITY, |it| it.0);
    let mut entrants = vec![default];
    entrants.extend(seen.iter().take(FINALISTS).filter(|it| it.0 <= CLOSE * fastest).map(|it| it.1));
    let times = round(timer, &launch, &entrants)?;
    let mut default_s = times[0];
    let mut better = None;
    if let Some(i) = winner(&times) {
        // A second opinion, because the best of several is partly the luckiest.
        let again = round(timer, &launch, &[default, entrants[i]])?;
        default_s = again[0];
        better = winner(&again).map(|_| (entrants[i], again[1]));
    }
    Ok(Finding { class, default, default_s, better })
}

/// The fastest of all but the first, where it is surely faster than the first.
fn winner(times: &[Measured]) -> Option<usize> {
    let (default, others) = times.split_first()?;
    let (i, best) = others.iter().enumerate().min_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    (best.hi < default.lo).then_some(i + 1)
}

/// Times of one launch by each kernel, turn by turn.
fn round(timer: &mut Timer<'_>, launch: &Launch, choices: &[ProductChoice]) -> Result<Vec<Measured>, Error> {
    let units: Result<Vec<Unit>, _> =
        choices.iter().map(|choice| timer.unit(&launch.recorded(*choice))).collect();
    let blocks = blocks(timer, &units?, Clock::Device, &ROUND)?;
    let times = blocks.seconds.iter().map(|seconds| typical(seconds).ok_or(crate::probe::Error::NoBlocks));
    Ok(times.collect::<Result<_, _>>()?)
}

/// A choice as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: Format,
    vectors: u32,
    /// `few`, `some` or `many`.
    rows: String,
    variant: String,
    /// Time of the default over time of the choice.
    gain: f64,
}

impl Kept {
    fn serves(&self, class: Class) -> bool {
        (self.format, self.vectors, &*self.rows) == (class.format, class.vectors, class.rows.name())
    }
}

/// The file of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    product: Vec<Kept>,
}

/// Where the choices for a device are kept. Another driver is another device, and other shaders make times worthless.
pub(crate) fn path(gpu: &Gpu) -> PathBuf {
    let mut key = blake3::Hasher::new();
    let info = gpu.info();
    for text in [&info.name, &info.driver, &info.driver_info, &info.backend] {
        key.update(text.as_bytes()).update(&[0]);
    }
    for (name, text) in ridgeline_kernels::SHADERS {
        key.update(name.as_bytes()).update(&[0]).update(text.as_bytes()).update(&[0]);
    }
    models::cache().join(format!("tuning-{}.toml", &key.finalize().to_hex()[..16]))
}

/// Keeps findings beside those of other classes; gives the number of choices kept.
pub(crate) fn keep(gpu: &Gpu, findings: &[Finding]) -> Result<usize, Error> {
    let path = path(gpu);
    let mut file = read(&path).unwrap_or_default();
    // What an earlier session found for these classes is out of date; of several models of this one the most gains.
    file.product.retain(|it| !findings.iter().any(|found| it.serves(found.class)));
    for Finding { class, default_s, better, .. } in findings {
        let Class { format, vectors, rows } = *class;
        let Some((choice, seconds)) = better else { continue };
        let (variant, gain) = (label(*choice), default_s.value / seconds.value);
        if file.product.iter().any(|it| it.serves(*class) && it.gain >= gain) {
            continue;
        }
        file.product.retain(|it| !it.serves(*class));
        file.product.push(Kept { format, vectors, rows: rows.name().to_owned(), variant, gain });
    }
    let text = toml::to_string(&file).expect("plain numbers and names");
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| models::Error::Io { path, source })?;
    Ok(file.product.len())
}

fn read(path: &std::path::Path) -> Option<File> {
    let text = fs::read_to_string(path).ok()?;
    match toml::from_str(&text) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(
                "{}: {error}; the defaults are used; `ridgeline tune` writes it anew",
                path.display()
            );
            None
        }
    }
}

/// What was found for a device, as far as this program still has it; nothing where nobody tuned.
pub(crate) fn stored(device: &mut Device) -> Tuning {
    let mut tuning = Tuning::default();
    let Some(gpu) = device.gpu() else { return tuning };
    let file = read(&path(gpu)).unwrap_or_default();
    for Kept { format, vectors, rows, variant, .. } in file.product {
        let Some(rows) = RowCount::ALL.into_iter().find(|it| it.name() == rows) else { continue };
        let class = Class { format, vectors, rows };
        let candidates = class.candidates(gpu.caps());
        if let Some(choice) = candidates.into_iter().find(|it| label(*it) == variant) {
            tuning.choose(class, choice);
        }
    }
    tuning
}

/// What tells measurements with these choices from measurements without; nothing where there are none.
pub(crate) fn digest(tuning: &Tuning) -> Option<String> {
    let mut key = blake3::Hasher::new();
    for (class, choice) in tuning.choices() {
        key.update(format!("{class:?} {choice:?}\n").as_bytes());
    }
    (tuning.choices().count() > 0).then(|| key.finalize().to_hex()[..8].to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Kept, label, winner};
    use ridgeline_compute::Caps;
    use ridgeline_kernels::{Class, product_for};
    use ridgeline_quant::Format;
    use ridgeline_roofline::Measured;

    fn around(value: f64, by: f64) -> Measured {
        Measured { value, lo: value - by, hi: value + by }
    }

    #[test]
    fn only_what_is_surely_faster_wins() {
        let default = around(10.0, 0.5);
        assert_eq!(winner(&[default, around(9.0, 0.4), around(8.0, 0.4)]), Some(2));
        assert_eq!(winner(&[default, around(9.0, 0.6)]), None, "the intervals overlap");
        assert_eq!(winner(&[default, around(12.0, 0.1)]), None);
        assert_eq!((winner(&[default]), winner(&[])), (None, None));
    }

    #[test]
    fn every_default_is_a_candidate_and_labels_tell_them_apart() {
        let bare = Caps::webgpu();
        let subgroups = Caps { subgroup: Some((32, 32)), ..Caps::webgpu() };
        for caps in [bare, subgroups] {
            for &format in Format::ALL {
                for n in [1, 2, 3, 4, 5, 6, 8, 16, 64] {
                    let candidates = Class::of(format, n, 100).candidates(&caps);
                    let default = product_for(format, n, &caps);
                    assert!(candidates.contains(&default), "{format} {n}: {default:?}");
                    let mut labels: Vec<_> = candidates.iter().map(|it| label(*it)).collect();
                    labels.sort();
                    labels.dedup();
                    assert_eq!(labels.len(), candidates.len());
                }
            }
        }
    }

    #[test]
    fn a_kept_choice_is_plain_toml() {
        let kept = Kept {
            format: Format::HALF,
            vectors: 4,
            rows: "many".to_owned(),
            variant: "MatVec { … }".to_owned(),
            gain: 1.25,
        };
        let file = super::File { product: vec![kept] };
        let text = toml::to_string(&file).expect("text");
        assert_eq!(toml::from_str::<super::File>(&text), Ok(file));
        assert!(toml::from_str::<super::File>("[[product]]\nformat = \"Q99\"\n").is_err());
    }
}
