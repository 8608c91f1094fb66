//! `RooflineBench` (RB).

mod attention;
mod devices;
mod scenario;

ridgeline_experiment::studies! { rb_1, rb_4, rb_5, rb_6, rb_7, rb_8, rb_9 }

#[cfg(test)]
mod tests;
