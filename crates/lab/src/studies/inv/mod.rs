//! The study of inverted speed on unified memory (INV).

mod products;

ridgeline_experiment::studies! { inv_2, inv_8 }

#[cfg(test)]
mod tests;
