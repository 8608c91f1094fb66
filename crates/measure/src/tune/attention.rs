//! Into how many workgroups attention over a long cache is split.

use super::interleaved_ab::{self, ClassResult};
use crate::models::Loaded;
use crate::probe::Timer;
use crate::{Device, Error, MeasureContext};
use ridgeline_compute::{Executor, Recording};
use ridgeline_kernels::{KvHeads, Tuning, attention_workgroups};
use ridgeline_model::{Config, Session, SessionOptions};
use ridgeline_speculative::Rows;

/// Positions before the tokens whose attention is timed, as far as a model was trained for so many.
const DEPTHS: [usize; 3] = [1024, 4096, 16384];

/// What was found.
#[derive(Clone, Debug)]
pub struct Split {
    /// Workgroups, and seconds of attention of a token at each of the depths.
    pub finding: ClassResult<KvHeads, u32>,
    /// Positions in the cache at which the split was timed.
    pub depths: Vec<usize>,
}

fn heads(config: &Config) -> KvHeads {
    let [count, width] = [config.kv_heads, config.head_dim].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    KvHeads { count, width }
}

/// Tries from a sixteenth to four times as many workgroups; nothing where they all split alike, or where a long cache has no
/// room.
pub(super) fn tune(cx: &MeasureContext, loaded: &Loaded) -> Result<Option<Split>, Error> {
    let config = &loaded.model.config;
    let most = config.window.unwrap_or(usize::MAX).min(config.trained_context);
    let mut depths: Vec<usize> = DEPTHS.into_iter().filter(|depth| *depth < most).collect();
    let Some(mut session) = session(cx, loaded, &mut depths) else { return Ok(None) };
    let (heads, default) = (heads(config), attention_workgroups(cx.device.borrow().caps()));
    let usual = work(&mut session, &depths, (heads, default))?;
    let mut others: Vec<(u32, Recording)> = Vec::new();
    for workgroups in [default / 2, default / 4, default / 8, default / 16, 2 * default, 4 * default] {
        let work = work(&mut session, &depths, (heads, workgroups))?;
        let known = others.iter().map(|(_, other)| other).chain([&usual]).any(|it| spans(it) == spans(&work));
        if !known {
            others.push((workgroups, work));
        }
    }
    if others.is_empty() {
        return Ok(None);
    }
    let mut device = cx.device.borrow_mut();
    let finding = interleaved_ab::hold(&mut Timer::new(&mut device)?, heads, (default, &usual), &others)?;
    Ok(Some(Split { finding, depths }))
}

/// A session that reaches the deepest of the depths that the device has memory for; the others are taken out.
fn session(cx: &MeasureContext, loaded: &Loaded, depths: &mut Vec<usize>) -> Option<Session<Device>> {
    while let Some(&deepest) = depths.last() {
        let options = SessionOptions { context: deepest + 1, batch: 1, ..SessionOptions::default() };
        match cx.session(loaded, options) {
            Ok(session) => return Some(session),
            Err(error) => tracing::warn!("attention at depth {deepest} is not tried: {error}"),
        }
        depths.pop();
    }
    None
}

/// All attention of a token at each of the depths, split into so many workgroups.
fn work(
    session: &mut Session<Device>,
    depths: &[usize],
    (heads, workgroups): (KvHeads, u32),
) -> Result<Recording, Error> {
    let mut tuning = Tuning::default();
    tuning.split_attention(heads, workgroups);
    session.tune(tuning);
    let mut work = Recording::new();
    for &depth in depths {
        session.set_kv_len(depth)?;
        let pass = session.record(&[0], Rows::None)?;
        for step in pass.launches().iter().filter(|step| KERNELS.contains(&pass.kernel(step).name())) {
            work.run_erased(pass.kernel(step), pass.params(step), pass.slices(step));
        }
    }
    Ok(work)
}

/// The kernels that fused attention is.
const KERNELS: [&str; 3] = ["attention", "attention_simd", "attn_reduce"];

/// What tells one way of splitting from another.
fn spans(work: &Recording) -> Vec<&[u8]> {
    work.launches().iter().map(|step| work.params(step)).collect()
}
