//! ClassResult the fastest kernels for the shapes of a model on one device, and keeping what was found.
//!
//! What is found for products and for attention by themselves is tried in whole passes before it is kept.

mod attention;
pub mod interleaved_ab;
mod passes;
mod product;
mod store;

pub use attention::Split;
pub use passes::PassComparison;
pub use product::Product;
pub use store::{digest, keep, path, stored};

use crate::models::Loaded;
use crate::{Error, MeasureContext};
use ridgeline_kernels::{SMALL_BATCH, Tuning};
use ridgeline_model::SessionOptions;
use ridgeline_speculative::Rows;

/// Tokens of the passes that are tried: generation, verification of drafts, prompts. One for every class of products.
const TOKENS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];

/// The tokens of a pass, and the rows of logits that are wanted of it: all of a batch that is verified, one of a prompt.
fn batch(n: usize) -> (Vec<u32>, Rows) {
    let verified = n <= SMALL_BATCH as usize;
    ((0..).take(n).collect(), if verified { Rows::All } else { Rows::Last })
}

/// A session for a pass that ends at a position.
fn options(end: usize) -> SessionOptions {
    let batch = TOKENS[TOKENS.len() - 1];
    SessionOptions {
        context: end.max(batch),
        batch,
        logit_rows: SMALL_BATCH as usize,
        ..SessionOptions::default()
    }
}

/// What was found with one model.
#[derive(Clone, Debug)]
pub struct TuneResult {
    /// The matrix products of the model, by class.
    pub products: Vec<Product>,
    /// The split of attention; `None` where there was nothing to try.
    pub attention: Option<Split>,
    /// Forward passes in which something changed.
    pub passes: Vec<PassComparison>,
}

/// Tries the kernels of a model's forward passes; `progress` is called with what is being tried.
///
/// # Errors
/// What the device says.
pub fn tune(
    cx: &MeasureContext,
    loaded: &Loaded,
    progress: &mut dyn FnMut(&str),
) -> Result<TuneResult, Error> {
    let mut products = product::tune(cx, loaded, progress)?;
    let (usual, mut passes) = (Tuning::default(), Vec::new());
    for n in TOKENS {
        progress(&format!("whole pass of {n}"));
        let pass = passes::compare_passes(cx, loaded, (0, n), [&usual, &chosen(&products)])?;
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

fn chosen(products: &[Product]) -> Tuning {
    let mut tuning = Tuning::default();
    for it in products {
        if let Some(choice) = it.chosen() {
            tuning.choose(it.class, choice);
        }
    }
    tuning
}

/// Rejects all choices of a pass that they make slower: which of them does is not known.
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
    fn what_makes_a_pass_slower_is_rejected() {
        let caps = Caps::webgpu();
        let finding = |vectors| {
            let class = LinearClass::of(Format::HALF, vectors, 100);
            let default = linear_for(Format::HALF, vectors, &caps);
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
