//! `RooflineBench` (RB).

mod devices;

ridgeline_experiment::studies! { rb_1, rb_4, rb_5, rb_6 }

#[cfg(test)]
mod tests;
