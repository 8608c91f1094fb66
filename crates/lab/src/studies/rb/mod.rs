//! `RooflineBench` (RB).

mod devices;

ridgeline_experiment::studies! { rb_1, rb_4 }
