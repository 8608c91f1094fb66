//! The same bits from one run to the next.

use super::{REPETITIONS, TargetResult};
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::{Error, models};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_roofline::Measured;
use ridgeline_speculative::{LanguageModel, Rows, Token};

/// Tokens of the prompt, and tokens after it one by one.
const PROMPT: u32 = 64;
const STEPS: u32 = 16;

/// Share of the logits of a prompt and of single tokens that have other bits in another run; the second half of the
/// runs is of a model loaded anew.
pub(crate) fn stable(cx: &MeasureContext, name: &str) -> Result<TargetResult, Error> {
    let (mut first, mut different, mut compared): (Option<Vec<u32>>, usize, usize) = (None, 0, 0);
    for _ in 0..2 {
        let loaded = models::load(&mut cx.device.borrow_mut(), name, None, cx.tuning.clone())?;
        for _ in 0..REPETITIONS / 2 {
            let context = (PROMPT + STEPS) as usize;
            let options = SessionOptions { context, batch: context, ..SessionOptions::default() };
            let bits = bits(cx.session(&loaded, options)?)?;
            if let Some(first) = &first {
                // No number at all is the same each time only by chance.
                let same = |(a, b): (&u32, &u32)| a == b && f32::from_bits(*a).is_finite();
                different += bits.iter().zip(first).filter(|&pair| !same(pair)).count();
                compared += bits.len();
            }
            first.get_or_insert(bits);
        }
    }
    Ok(TargetResult {
        what: format!("{name}: share of logits whose bits differ from one run to the next"),
        target: Some(Range::AtMost(0.0)),
        here: Measured::exact(different as f64 / compared.max(1) as f64),
        detail: format!("{different} of {compared}, {REPETITIONS} runs, two loads"),
    })
}

/// The logits of a prompt and of the tokens after it.
fn bits(mut session: Session<ridgeline_measure::Device>) -> Result<Vec<u32>, Error> {
    let vocab = u32::try_from(session.vocab()).unwrap_or(u32::MAX);
    // Steps of a prime length go all over the vocabulary.
    let token = |i: u32| -> Token { i.wrapping_mul(7919) % vocab };
    let prompt: Vec<Token> = (0..PROMPT).map(token).collect();
    let mut logits = session.extend(&prompt, Rows::All)?.data;
    for i in PROMPT..PROMPT + STEPS {
        logits.extend(session.extend(&[token(i)], Rows::Last)?.data);
    }
    Ok(logits.into_iter().map(f32::to_bits).collect())
}
