//! Effect of int8 dot products on a model's logits.

use crate::models::Loaded;
use crate::{Error, MeasureContext};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_compute::Recording;
use ridgeline_experiment::quality::{LogSoftmax, Paired, PairedSummary};
use ridgeline_model::{SessionOptions, Switches};
use ridgeline_speculative::{Choice, LanguageModel, Rows, Sampler, Token};
use std::ops::ControlFlow;

/// Tokens that are compared, and tokens per batch. Int8 dot products serve small batches only.
const TOKENS: usize = 64;
const CHUNK: usize = 16;

/// The fraction of the weights of matrices that a forward pass multiplies in int8. Types without an int8 kernel, experts and
/// the heads of MLA are multiplied in f32. 0 without matrices.
#[must_use]
pub fn int8_share(pass: &Recording) -> f64 {
    let weights = |is: &dyn Fn(&str) -> bool| -> u64 {
        let launches = pass.launches().iter().filter(|launch| is(pass.kernel(launch).name()));
        launches.map(|launch| pass.launch_cost(launch).weights).sum()
    };
    let all = weights(&|name| name.starts_with("mat_") || name == "head_linear");
    weights(&|name| name == "mat_vec_i8") as f64 / all.max(1) as f64
}

/// Logits of a model with int8 dot products, compared with its logits without.
#[derive(Clone, Copy, Debug)]
pub struct Effect {
    /// Relative error ‖with − without‖ / ‖without‖ over all logits.
    pub relative: f64,
    /// KL divergence in nats and top-1 agreement, with standard errors.
    pub paired: PairedSummary,
}

/// Samples a text from the model and reads it with and without int8 dot products.
///
/// # Errors
/// [`Error::Model`] where a session does not fit the device or fails, [`Error::NotNumbers`] where a logit is NaN.
pub fn int8_effect(cx: &MeasureContext, loaded: &Loaded, options: SessionOptions) -> Result<Effect, Error> {
    let options = SessionOptions { context: TOKENS + 1, batch: CHUNK, logit_rows: CHUNK, ..options };
    let of = |int8_dot| {
        let switches = Switches { int8_dot, ..options.switches };
        cx.session(loaded, SessionOptions { switches, ..options })
    };
    let (mut without, mut with) = (of(false)?, of(true)?);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(cx.seed);
    let at: Vec<f64> = (0..TOKENS).map(|_| rng.random_range(0.0..1.0)).collect();
    let mut text: Vec<Token> = vec![0];
    without.decode(0, Choice::Sampled(&Sampler::default(), &at), &mut |picks| {
        text.extend_from_slice(picks);
        ControlFlow::Continue(())
    })?;
    without.truncate(0)?;
    let (mut paired, mut difference, mut size) = (Paired::default(), 0.0, 0.0);
    for (i, chunk) in text[..TOKENS].chunks(CHUNK).enumerate() {
        let (a, b) = (without.extend(chunk, Rows::All)?, with.extend(chunk, Rows::All)?);
        for row in 0..chunk.len() {
            let (a, b) = (a.row(row), b.row(row));
            let square = |v: f32| f64::from(v) * f64::from(v);
            difference += a.iter().zip(b).map(|(a, b)| square(a - b)).sum::<f64>();
            size += a.iter().copied().map(square).sum::<f64>();
            let [a, b] = [a, b].map(LogSoftmax::of);
            let (a, b) = (a.ok_or(Error::NotNumbers)?, b.ok_or(Error::NotNumbers)?);
            let next = text[i * CHUNK + row + 1] as usize;
            if !paired.push(&b, &a, next) {
                return Err(Error::Vocabularies);
            }
        }
    }
    let paired = paired.summary().ok_or(Error::NotNumbers)?;
    Ok(Effect { relative: (difference / size).sqrt(), paired })
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PairedSummary { kl, top1_agreement, .. } = self.paired;
        write!(
            f,
            "int8 dot products change the logits by {:.2} % (over {TOKENS} positions of sampled text): KL divergence {:.1e} ± \
             {:.0e} nats, top-1 agreement {:.1} %",
            100.0 * self.relative,
            kl.value,
            kl.se,
            100.0 * top1_agreement.value
        )
    }
}
