//! Tuning of linears: the fastest mat-vec or matmul kernel for each class of weights and batch size.

use super::interleaved_ab::ClassResult;
use super::{TOKENS, batch, interleaved_ab, options};
use crate::models::Loaded;
use crate::probe::Timer;
use crate::{Device, Error, MeasureContext};
use ridgeline_compute::{AnyKernel, Caps, Executor, Recording, Slice};
use ridgeline_kernels::{Epilogue, LinearClass, LinearKernel, Tuning, linear_for, mat_vec};
use ridgeline_model::Session;
use std::collections::BTreeMap;

/// Longest launch in seconds. A longer one is shortened to fewer rows.
const LONGEST_S: f64 = 4e-3;

/// The result for one class of linears.
pub type Product = ClassResult<LinearClass, LinearKernel>;

/// A linear of a forward pass.
#[derive(Clone, Debug)]
struct Launch {
    params: mat_vec::Params,
    slices: Vec<Slice>,
}

impl Launch {
    /// The launch and its class; `None` where it is not a linear.
    fn of(pass: &Recording, launch: &ridgeline_compute::Launch) -> Option<(LinearClass, Self)> {
        let format = LinearKernel::of(pass.kernel(launch))?.format();
        // All linear kernels share one layout of parameters.
        let params: mat_vec::Params = bytemuck::pod_read_unaligned(pass.params(launch));
        // A GLU stores one row for every two of the matrix: gate and up.
        let halves = if params.epilogue == Epilogue::Glu as u32 { 2 } else { 1 };
        let class = LinearClass::of(format, params.n_vecs, halves * params.n_rows);
        Some((class, Self { params, slices: pass.slices(launch).to_vec() }))
    }

    /// Elements of the matrix.
    fn size(&self) -> u64 {
        u64::from(self.params.n_rows) * u64::from(self.params.n_cols)
    }

    /// The launch with another kernel. It stores plain sums, the one epilogue that every kernel supports.
    fn recorded(&self, choice: LinearKernel) -> Recording {
        let params = mat_vec::Params { epilogue: Epilogue::Store as u32, ..self.params };
        let mut recording = Recording::new();
        recording.run_erased(&choice.into(), bytemuck::bytes_of(&params), &self.slices);
        recording
    }

    /// Drops rows so that the launch takes about [`LONGEST_S`], if all rows take `seconds`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count")]
    fn shortened(mut self, seconds: f64) -> Self {
        if seconds > LONGEST_S {
            let rows = (f64::from(self.params.n_rows) * LONGEST_S / seconds) as u32;
            self.params.n_rows = rows.next_multiple_of(64).min(self.params.n_rows);
        }
        self
    }
}

/// Tunes the linears of a model's forward passes. `progress` receives the name of each class.
pub(super) fn tune(
    cx: &MeasureContext,
    loaded: &Loaded,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Product>, Error> {
    // The launches read the buffers of this session.
    let mut session = cx.session(loaded, options(0))?;
    // Stored choices may have other classes of launches than the defaults.
    session.tune(Tuning::default());
    let launches = launches(cx, &mut session)?;
    let mut device = cx.device.borrow_mut();
    let caps = device.caps().clone();
    let kernels = launches.keys().flat_map(|class| class.candidates(&caps)).map(AnyKernel::from);
    // Compiles in parallel. An error is ignored here: it appears again when the kernel is timed.
    let _ = device.prepare(&kernels.collect::<Vec<_>>());
    let mut timer = Timer::new(&mut device)?;
    let mut findings = Vec::new();
    for (class, launch) in launches {
        progress(&format!("{} at batch size {}, {} rows", class.format, class.vectors, class.rows.name()));
        findings.push(tune_class(&mut timer, &caps, class, launch)?);
    }
    Ok(findings)
}

/// The classes of the linears in a pass.
pub(super) fn classes(pass: &Recording) -> Vec<LinearClass> {
    pass.launches().iter().filter_map(|launch| Launch::of(pass, launch)).map(|it| it.0).collect()
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
        // One run fills the buffers that the launches read.
        cx.device.borrow_mut().run(&pass)?;
        for (class, launch) in pass.launches().iter().filter_map(|launch| Launch::of(&pass, launch)) {
            let known = launches.get(&class).map_or(0, Launch::size);
            if launch.size() > known {
                launches.insert(class, launch);
            }
        }
    }
    Ok(launches)
}

/// Compares the candidates of a class with the default.
fn tune_class(
    timer: &mut Timer<'_>,
    caps: &Caps,
    class: LinearClass,
    launch: Launch,
) -> Result<Product, Error> {
    let default = linear_for(class.format, launch.params.n_vecs, caps);
    let whole_s = timer.unit(&launch.recorded(default))?.estimate_s;
    let launch = launch.shortened(whole_s);
    let others = class.candidates(caps).into_iter().filter(|choice| *choice != default);
    let others: Vec<_> = others.map(|choice| (choice, launch.recorded(choice))).collect();
    interleaved_ab::compare(timer, class, (default, &launch.recorded(default)), &others)
}
