//! The study of inverted speed on unified memory (INV).

mod cost_model;
mod grid;
mod pair;
mod products;

ridgeline_experiment::studies! { inv_1, inv_2, inv_3, inv_4, inv_5, inv_6, inv_7, inv_8, inv_9 }

#[cfg(test)]
mod tests;
