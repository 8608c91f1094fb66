//! Reproducibility: bit-identical logits in every run.

use super::{REPETITIONS, TargetResult};
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::{Error, models};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_roofline::Measured;
use ridgeline_speculative::{LanguageModel, Rows, Token};

/// Tokens of the prompt.
const PROMPT: u32 = 64;

/// Decode steps after the prompt.
const STEPS: u32 = 16;

/// Share of logits whose bits differ between runs, over a prompt and decode steps.
///
/// The second half of the runs uses a freshly loaded model.
pub(crate) fn stable(cx: &MeasureContext, name: &str) -> Result<TargetResult, Error> {
    let (mut first, mut different, mut compared): (Option<Vec<u32>>, usize, usize) = (None, 0, 0);
    for _ in 0..2 {
        let loaded = models::load(&mut cx.device.borrow_mut(), name, None, cx.tuning.clone())?;
        for _ in 0..REPETITIONS / 2 {
            let context = (PROMPT + STEPS) as usize;
            let options = SessionOptions { context, batch: context, ..SessionOptions::default() };
            let bits = bits(cx.session(&loaded, options)?)?;
            if let Some(first) = &first {
                // Equal bits that are not finite count as different: they indicate a failure.
                let same = |(a, b): (&u32, &u32)| a == b && f32::from_bits(*a).is_finite();
                different += bits.iter().zip(first).filter(|&pair| !same(pair)).count();
                compared += bits.len();
            }
            first.get_or_insert(bits);
        }
    }
    Ok(TargetResult {
        what: format!("{name}: share of logits whose bits differ between runs"),
        target: Some(Range::AtMost(0.0)),
        here: Measured::exact(different as f64 / compared.max(1) as f64),
        detail: format!("{different} of {compared} logits in {REPETITIONS} runs, two loads"),
    })
}

/// The bits of the logits of a prompt and of the decode steps after it.
fn bits(mut session: Session<ridgeline_measure::Device>) -> Result<Vec<u32>, Error> {
    let vocab = u32::try_from(session.vocab()).unwrap_or(u32::MAX);
    // Multiples of a prime spread the tokens over the vocabulary.
    let token = |i: u32| -> Token { i.wrapping_mul(7919) % vocab };
    let prompt: Vec<Token> = (0..PROMPT).map(token).collect();
    let mut logits = session.extend(&prompt, Rows::All)?.data;
    for i in PROMPT..PROMPT + STEPS {
        logits.extend(session.extend(&[token(i)], Rows::Last)?.data);
    }
    Ok(logits.into_iter().map(f32::to_bits).collect())
}
