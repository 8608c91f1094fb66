//! Tuning: finds the fastest kernels for the shapes of a model on one device, and stores them.
//!
//! ```text
//! for each class of linears:  compare every variant with the default, isolated
//! for each batch size:        time forward passes with and without the choices; reject choices of slower passes
//! the same for the KV split of attention, by depth
//! ```
//!
//! An isolated launch has warmer caches than the same launch in a forward pass. The second step catches the difference.

mod attention;
pub mod interleaved_ab;
mod linear;
mod passes;
mod store;

pub use attention::Split;
pub use linear::Product;
pub use passes::PassComparison;
pub use store::{digest, keep, path, stored};

use crate::models::Loaded;
use crate::{Error, MeasureContext};
use ridgeline_kernels::{SMALL_BATCH, Tuning};
use ridgeline_model::SessionOptions;
use ridgeline_speculative::Rows;

/// Batch sizes that are tuned: decode steps, verification of drafts, prompts. Each class of linears has one of them.
const TOKENS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];

/// Tokens of a forward pass, and its rows of logits: all for the verification of a draft, the last for a prompt.
fn batch(n: usize) -> (Vec<u32>, Rows) {
    let is_verification = n <= SMALL_BATCH as usize;
    ((0..).take(n).collect(), if is_verification { Rows::All } else { Rows::Last })
}

/// Options of a session for a forward pass that ends at position `end`.
fn options(end: usize) -> SessionOptions {
    let batch = TOKENS[TOKENS.len() - 1];
    SessionOptions {
        context: end.max(batch),
        batch,
        logit_rows: SMALL_BATCH as usize,
        ..SessionOptions::default()
    }
}

/// The result for one model.
#[derive(Clone, Debug)]
pub struct TuneResult {
    /// One result for each class of linears in the model.
    pub products: Vec<Product>,
    /// The KV split of attention; `None` where there is only one split.
    pub attention: Option<Split>,
    /// Forward passes that the choices change.
    pub passes: Vec<PassComparison>,
}

/// Tunes the kernels of a model's forward passes. `progress` receives the name of each step.
///
/// # Errors
/// [`Error::Model`], [`Error::Device`] or [`Error::Probe`] where the device fails or a session does not fit it.
pub fn tune(
    cx: &MeasureContext,
    loaded: &Loaded,
    progress: &mut dyn FnMut(&str),
) -> Result<TuneResult, Error> {
    let mut products = linear::tune(cx, loaded, progress)?;
    let (baseline, mut passes) = (Tuning::default(), Vec::new());
    for n in TOKENS {
        progress(&format!("forward pass of {n} tokens"));
        let pass = passes::compare_passes(cx, loaded, (0, n), [&baseline, &chosen(&products)])?;
        if let Some(pass) = &pass {
            reject(&mut products, pass);
        }
        passes.extend(pass);
    }
    progress("attention");
    let mut attention = attention::tune(cx, loaded)?;
    if let Some(Split { finding, depths }) = &mut attention
        && let Some(workgroups) = finding.chosen()
    {
        let products = chosen(&products);
        let mut both = products.clone();
        both.split_attention(finding.class, workgroups);
        for &depth in &*depths {
            let pass = passes::compare_passes(cx, loaded, (depth, 1), [&products, &both])?;
            finding.rejected |= pass.as_ref().is_some_and(PassComparison::is_slower);
            passes.extend(pass);
        }
    }
    Ok(TuneResult { products, attention, passes })
}

/// The choices that are not rejected.
fn chosen(products: &[Product]) -> Tuning {
    let mut tuning = Tuning::default();
    for it in products {
        if let Some(choice) = it.chosen() {
            tuning.choose(it.class, choice);
        }
    }
    tuning
}

/// Rejects all choices of a forward pass that is slower with them. Which of them slows it down is unknown.
fn reject(products: &mut [Product], pass: &PassComparison) {
    if pass.is_slower() {
        products.iter_mut().filter(|it| pass.classes.contains(&it.class)).for_each(|it| it.rejected = true);
    }
}

#[cfg(test)]
mod tests {
    use super::{PassComparison, Product, chosen, reject};
    use ridgeline_compute::Caps;
    use ridgeline_kernels::{LinearClass, linear_for};
    use ridgeline_quant::Format;
    use ridgeline_roofline::Measured;

    #[test]
    fn choices_of_a_slower_pass_are_rejected() {
        let caps = Caps::webgpu();
        let finding = |batch| {
            let class = LinearClass::of(Format::HALF, batch, 100);
            let default = linear_for(Format::HALF, batch, &caps);
            let better = class.candidates(&caps).into_iter().find(|it| *it != default).expect("another");
            let [slow, fast] = [2.0, 1.0].map(Measured::exact);
            Product { class, default, default_s: slow, better: Some((better, fast)), rejected: false }
        };
        let mut products = [1, 2].map(finding);
        let pass = |lo, hi| PassComparison {
            tokens: 2,
            depth: 0,
            default_s: 1.0,
            gain: Measured { value: hi, lo, hi },
            classes: [products[1].class].into(),
        };
        let (unsure, slower) = (pass(0.9, 1.1), pass(0.9, 0.99));
        reject(&mut products, &unsure);
        assert_eq!(chosen(&products).choices().count(), 2);
        reject(&mut products, &slower);
        let left: Vec<LinearClass> = chosen(&products).choices().map(|it| it.0).collect();
        assert_eq!(left, [products[0].class]);
    }
}
