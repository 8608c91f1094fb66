//! Tests of the executor on the machine's best adapter, compared with the CPU twins.
//!
//! Without an adapter the tests are reported as ignored. With `CI=true` they run and fail.

mod faults;
mod kernels;
mod memory;
mod results;
mod run_options;
mod textures;

use libtest_mimic::{Arguments, Trial};
use ridgeline_gpu::{AdapterChoice, Gpu, GpuOptions, adapters};

/// The best adapter, opened with validation layers.
pub(crate) fn gpu() -> Gpu {
    open(GpuOptions { validation: true, ..GpuOptions::default() })
}

pub(crate) fn open(options: GpuOptions) -> Gpu {
    Gpu::open(&AdapterChoice::Best, kernels::linker(), options).expect("an adapter")
}

fn main() {
    let tests: &[(&str, fn())] = &[
        ("kernels_agree_with_their_twins", results::kernels_agree_with_their_twins),
        ("a_launch_sees_earlier_writes", results::a_launch_sees_earlier_writes),
        ("three_hundred_launches_in_one_pass", results::three_hundred_launches_in_one_pass),
        ("slices_at_offsets", results::slices_at_offsets),
        ("grids_beyond_65535_groups", results::grids_beyond_65535_groups),
        ("read_backs_come_in_order", results::read_backs_come_in_order),
        ("running_recordings_keep_their_results", results::running_recordings_keep_their_results),
        ("the_pipeline_cache_file_survives_damage", results::the_pipeline_cache_file_survives_damage),
        ("a_recording_without_launches", results::a_recording_without_launches),
        ("two_devices_at_once", results::two_devices_at_once),
        ("run_options_do_not_change_results", run_options::run_options_do_not_change_results),
        (
            "verified_submissions_have_the_same_results",
            run_options::verified_submissions_have_the_same_results,
        ),
        (
            "recordings_in_flight_have_their_own_timestamps",
            run_options::recordings_in_flight_have_their_own_timestamps,
        ),
        ("a_layer_is_one_submission", run_options::a_layer_is_one_submission),
        ("profiled_times_are_plausible", run_options::profiled_times_are_plausible),
        ("profiles_span_several_query_sets", run_options::profiles_span_several_query_sets),
        ("caches_stay_warm", run_options::caches_stay_warm),
        ("memory_is_zeroed", memory::memory_is_zeroed),
        ("dropped_buffers_are_freed", memory::dropped_buffers_are_freed),
        ("writes_larger_than_a_chunk", memory::writes_larger_than_a_chunk),
        ("fills_use_whole_units_on_every_executor", memory::fills_use_whole_units_on_every_executor),
        ("textures_hold_what_was_written", textures::textures_hold_what_was_written),
        ("kernels_read_slices_of_textures", textures::kernels_read_slices_of_textures),
        (
            "textures_and_buffers_are_not_interchangeable",
            textures::textures_and_buffers_are_not_interchangeable,
        ),
        ("limits_are_typed_errors", memory::limits_are_typed_errors),
        ("foreign_buffers_are_refused", faults::foreign_buffers_are_refused),
        ("broken_shaders_name_kernel_and_cause", faults::broken_shaders_name_kernel_and_cause),
        ("a_lost_device_is_a_typed_error", faults::a_lost_device_is_a_typed_error),
        ("a_silent_device_is_a_typed_error", faults::a_silent_device_is_a_typed_error),
        ("a_wrong_name_lists_what_is_here", faults::a_wrong_name_lists_what_is_here),
    ];
    let missing = adapters().is_empty() && std::env::var("CI").as_deref() != Ok("true");
    let needs_device = tests.iter().map(|&(name, test)| (name, test, missing));
    let anywhere: [(&str, fn(), bool); 3] = [
        ("the_noop_backend_encodes", run_options::the_noop_backend_encodes, false),
        (
            "a_submission_that_did_not_run_is_a_lost_device",
            run_options::a_submission_that_did_not_run_is_a_lost_device,
            false,
        ),
        ("the_bind_group_cache_is_bounded", run_options::the_bind_group_cache_is_bounded, false),
    ];
    let trials = needs_device.chain(anywhere).map(|(name, test, ignored)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
