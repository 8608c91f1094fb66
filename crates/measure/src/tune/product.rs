//! Products of matrices.

use super::interleaved_ab::ClassResult;
use super::{TOKENS, batch, interleaved_ab, options};
use crate::models::Loaded;
use crate::probe::Timer;
use crate::{Device, Error, MeasureContext};
use ridgeline_compute::{AnyKernel, Caps, Executor, Recording, Slice};
use ridgeline_kernels::{Epilogue, LinearClass, LinearKernel, Tuning, linear_for, mat_vec};
use ridgeline_model::Session;
use std::collections::BTreeMap;

/// Longest launch in seconds; of a larger matrix as many rows are used as take so long.
const LONGEST_S: f64 = 4e-3;

/// What was found for one class.
pub type Product = ClassResult<LinearClass, LinearKernel>;

/// A product of a forward pass.
#[derive(Clone, Debug)]
struct Launch {
    params: mat_vec::Params,
    slices: Vec<Slice>,
}

impl Launch {
    fn of(pass: &Recording, step: &ridgeline_compute::Launch) -> Option<(LinearClass, Self)> {
        let format = LinearKernel::of(pass.kernel(step))?.format();
        // The blocks of parameters of all products are the same, field by field.
        let params: mat_vec::Params = bytemuck::pod_read_unaligned(pass.params(step));
        let halves = if params.epilogue == Epilogue::SwiGlu as u32 { 2 } else { 1 };
        let class = LinearClass::of(format, params.n_vecs, halves * params.n_rows);
        Some((class, Self { params, slices: pass.slices(step).to_vec() }))
    }

    /// What tells a large launch from a small one.
    fn size(&self) -> u64 {
        u64::from(self.params.n_rows) * u64::from(self.params.n_cols)
    }

    /// The launch by a kernel, of sums that are stored: that is what every candidate can do.
    fn recorded(&self, choice: LinearKernel) -> Recording {
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

/// Tries the products of a model's passes; `progress` hears which.
pub(super) fn tune(
    cx: &MeasureContext,
    loaded: &Loaded,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Product>, Error> {
    // Its buffers are what the launches read.
    let mut session = cx.session(loaded, options(0))?;
    // Not what an earlier session found: it may have launched other products.
    session.tune(Tuning::default());
    let launches = launches(cx, &mut session)?;
    let mut device = cx.device.borrow_mut();
    let caps = device.caps().clone();
    let kernels = launches.keys().flat_map(|class| class.candidates(&caps)).map(AnyKernel::from);
    // All at once and on several threads. What cannot be compiled is told when its turn comes.
    let _ = device.prepare(&kernels.collect::<Vec<_>>());
    let mut timer = Timer::new(&mut device)?;
    let mut findings = Vec::new();
    for (class, launch) in launches {
        progress(&format!("{} with {} vectors, {} rows", class.format, class.vectors, class.rows.name()));
        findings.push(try_class(&mut timer, &caps, class, launch)?);
    }
    Ok(findings)
}

/// The classes of the products of a pass.
pub(super) fn classes(pass: &Recording) -> Vec<LinearClass> {
    pass.launches().iter().filter_map(|step| Launch::of(pass, step)).map(|it| it.0).collect()
}

/// The largest launch of each class.
fn launches(
    cx: &MeasureContext,
    session: &mut Session<Device>,
) -> Result<BTreeMap<LinearClass, Launch>, Error> {
    let mut launches: BTreeMap<LinearClass, Launch> = BTreeMap::new();
    for n in TOKENS {
        let (tokens, rows) = batch(n);
        let pass = session.record(&tokens, rows)?.clone();
        // The buffers that the launches read hold numbers from now on.
        cx.device.borrow_mut().run(&pass)?;
        for (class, launch) in pass.launches().iter().filter_map(|step| Launch::of(&pass, step)) {
            let known = launches.get(&class).map_or(0, Launch::size);
            if launch.size() > known {
                launches.insert(class, launch);
            }
        }
    }
    Ok(launches)
}

fn try_class(
    timer: &mut Timer<'_>,
    caps: &Caps,
    class: LinearClass,
    launch: Launch,
) -> Result<Product, Error> {
    let default = linear_for(class.format, launch.params.n_vecs, caps);
    let alone = timer.unit(&launch.recorded(default))?.estimate_s;
    let launch = launch.shortened(alone);
    let others = class.candidates(caps).into_iter().filter(|choice| *choice != default);
    let others: Vec<_> = others.map(|choice| (choice, launch.recorded(choice))).collect();
    interleaved_ab::hold(timer, class, (default, &launch.recorded(default)), &others)
}
