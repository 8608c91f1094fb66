//! Tuning of the KV split (flash-decoding, Dao et al. 2023): workgroups for attention over a long cache.

use super::interleaved_ab::{self, ClassResult};
use crate::models::Loaded;
use crate::probe::Timer;
use crate::{Device, Error, MeasureContext};
use ridgeline_compute::{Executor, Recording};
use ridgeline_kernels::{KvHeads, Tuning, attention_workgroups};
use ridgeline_model::layers::Heads;
use ridgeline_model::{Session, SessionOptions};
use ridgeline_speculative::Rows;

/// Depths at which the attention of one token is timed, as far as the context of the model allows.
const DEPTHS: [usize; 3] = [1024, 4096, 16384];

/// The result for the KV split of a model.
#[derive(Clone, Debug)]
pub struct Split {
    /// Workgroups, and seconds of attention of one token, summed over the depths.
    pub finding: ClassResult<KvHeads, u32>,
    /// Positions in the cache at which the split was timed, in ascending order.
    pub depths: Vec<usize>,
}

/// Tries a sixteenth to four times the default workgroups, for the first attention shape of the model.
///
/// `None` where all of them give the same split, no depth fits the device, or no layer has attention.
pub(super) fn tune(cx: &MeasureContext, loaded: &Loaded) -> Result<Option<Split>, Error> {
    let model = &loaded.model;
    let Some(&Heads { kv: count, key: width, .. }) = model.heads().first() else { return Ok(None) };
    let window = model.heads().iter().filter_map(|it| it.window).min();
    let most = window.map_or(usize::MAX, |it| it as usize).min(model.config.trained_context);
    let mut depths: Vec<usize> = DEPTHS.into_iter().filter(|depth| *depth < most).collect();
    let Some(mut session) = session(cx, loaded, &mut depths) else { return Ok(None) };
    let (heads, default) = (KvHeads { count, width }, attention_workgroups(cx.device.borrow().caps()));
    let baseline = work(&mut session, &depths, (heads, default))?;
    let mut others: Vec<(u32, Recording)> = Vec::new();
    for workgroups in [default / 2, default / 4, default / 8, default / 16, 2 * default, 4 * default] {
        let work = work(&mut session, &depths, (heads, workgroups))?;
        let is_known =
            others.iter().map(|(_, other)| other).chain([&baseline]).any(|it| splits(it) == splits(&work));
        if !is_known {
            others.push((workgroups, work));
        }
    }
    if others.is_empty() {
        return Ok(None);
    }
    let mut device = cx.device.borrow_mut();
    let finding =
        interleaved_ab::compare(&mut Timer::new(&mut device)?, heads, (default, &baseline), &others)?;
    Ok(Some(Split { finding, depths }))
}

/// A session with room for the deepest depth that fits the device. Removes the deeper ones from `depths`.
fn session(cx: &MeasureContext, loaded: &Loaded, depths: &mut Vec<usize>) -> Option<Session<Device>> {
    while let Some(&deepest) = depths.last() {
        let options = SessionOptions { context: deepest + 1, batch: 1, ..SessionOptions::default() };
        match cx.session(loaded, options) {
            Ok(session) => return Some(session),
            Err(error) => tracing::warn!("attention at depth {deepest} is not tuned: {error}"),
        }
        depths.pop();
    }
    None
}

/// The attention launches of one token at every depth, split over `workgroups` workgroups.
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
        for launch in pass.launches().iter().filter(|it| KERNELS.contains(&pass.kernel(it).name())) {
            work.run_erased(pass.kernel(launch), pass.params(launch), pass.slices(launch));
        }
    }
    Ok(work)
}

/// The kernels of fused attention.
const KERNELS: [&str; 3] = ["attention", "attention_simd", "attn_reduce"];

/// The parameters of all launches. Two splits are equal if these are.
fn splits(work: &Recording) -> Vec<&[u8]> {
    work.launches().iter().map(|launch| work.params(launch)).collect()
}
