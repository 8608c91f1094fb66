//! Finding the fastest kernels for the shapes of a model on one device, and keeping what was found.
//!
//! What is found for products and for attention by themselves is tried in whole passes before it is kept.

mod attention;
mod contest;
mod kept;
mod product;
mod whole;

pub(crate) use attention::Cut;
pub(crate) use kept::{digest, keep, path, stored};
pub(crate) use product::Finding;
pub(crate) use whole::Whole;

use crate::models::Loaded;
use crate::{Error, Lab};
use ridgeline_kernels::Tuning;

/// Tokens of the passes that are tried: generation, verification of drafts, prompts. One for every class of products.
const TOKENS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];

/// What was found with one model.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub products: Vec<Finding>,
    pub attention: Option<Cut>,
    /// Whole passes in which something changed.
    pub passes: Vec<Whole>,
}

/// Tries the kernels of a model's passes; `tell` hears what is being tried.
pub(crate) fn tune(lab: &Lab, loaded: &Loaded, tell: &mut dyn FnMut(&str)) -> Result<Found, Error> {
    let mut products = product::tune(lab, loaded, tell)?;
    tell("attention");
    let mut attention = attention::tune(lab, loaded)?;
    let mut tuning = Tuning::default();
    for (class, choice) in products.iter().filter_map(Finding::chosen) {
        tuning.choose(class, choice);
    }
    if let Some((groups, _)) = attention.as_ref().and_then(|it| it.better) {
        tuning.cut_attention(groups);
    }
    tell("whole passes");
    let passes = whole::tune(lab, loaded, &tuning)?;
    for pass in passes.iter().filter(|it| it.is_slower()) {
        // What is faster by itself and slower in its place is not kept.
        products.iter_mut().filter(|it| pass.is_made_of(it.class)).for_each(|it| it.better = None);
        if let Some(cut) = attention.as_mut().filter(|_| pass.is_deep()) {
            cut.better = None;
        }
    }
    Ok(Found { products, attention, passes })
}
