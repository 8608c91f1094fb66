//! Into how many workgroups attention is cut at depth.

use super::contest;
use crate::models::Loaded;
use crate::probe::Timer;
use crate::{Device, Error, Lab};
use ridgeline_compute::{Executor, Recording};
use ridgeline_kernels::{Tuning, attention_groups};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_roofline::Measured;
use ridgeline_speculative::Rows;

/// Positions before the token whose attention is timed.
pub(super) const DEPTHS: [usize; 2] = [1024, 4096];

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Workgroups where nobody measured.
    pub default: u32,
    /// Seconds of a token's attention at both depths.
    pub default_s: Measured,
    /// Other workgroups and their seconds, where they are better.
    pub better: Option<(u32, Measured)>,
}

/// Tries a half, a quarter, twice and four times as many workgroups; nothing where they all cut alike.
pub(super) fn tune(lab: &Lab, loaded: &Loaded) -> Result<Option<Cut>, Error> {
    let most = loaded.model.config.window.unwrap_or(usize::MAX);
    let depths: Vec<usize> = DEPTHS.into_iter().filter(|depth| *depth < most).collect();
    let options =
        SessionOptions { context: DEPTHS[1].min(most - 1) + 1, batch: 1, ..SessionOptions::default() };
    let mut session = lab.session(loaded, options)?;
    let default = attention_groups(lab.device.borrow().caps());
    let usual = work(&mut session, &depths, default)?;
    let mut others = Vec::new();
    for groups in [default / 4, default / 2, 2 * default, 4 * default] {
        let work = work(&mut session, &depths, groups)?;
        if spans(&work) != spans(&usual) {
            others.push((groups, work));
        }
    }
    if others.is_empty() {
        return Ok(None);
    }
    let mut device = lab.device.borrow_mut();
    let works: Vec<Recording> = others.iter().map(|it| it.1.clone()).collect();
    let (default_s, better) = contest::hold(&mut Timer::new(&mut device)?, &usual, &works)?;
    Ok(Some(Cut { default, default_s, better: better.map(|(i, seconds)| (others[i].0, seconds)) }))
}

/// All attention of a token at each of the depths, cut into so many workgroups.
fn work(session: &mut Session<Device>, depths: &[usize], groups: u32) -> Result<Recording, Error> {
    let mut tuning = Tuning::default();
    tuning.cut_attention(groups);
    session.tune(tuning);
    let mut work = Recording::new();
    for &depth in depths {
        session.assume(depth)?;
        let pass = session.record(&[0], Rows::None)?;
        for step in pass.steps().iter().filter(|step| KERNELS.contains(&pass.kernel(step).name())) {
            work.run_erased(pass.kernel(step), pass.params(step), pass.slices(step));
        }
    }
    Ok(work)
}

/// The kernels that fused attention is.
const KERNELS: [&str; 3] = ["attention", "attn_lane", "attn_fold"];

/// What tells one way of cutting from another.
fn spans(work: &Recording) -> Vec<&[u8]> {
    work.steps().iter().map(|step| work.params(step)).collect()
}
