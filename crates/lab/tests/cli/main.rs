//! End-to-end tests of the `ridgeline` command: exit codes, messages, files, and golden text.
//!
//! Tests that need an adapter are ignored without one. So are tests on the original weights, which are not in the
//! repository (`RIDGELINE_SHARED`). With `CI=true` both fail instead.

mod chat;
mod diagnose;
mod families;
mod files;
mod folders;
mod formats;
mod golden;
mod hub;
mod images;
mod memory;
mod program;
mod quality;
mod quantize;
mod speed;
mod text;
mod usage;
mod variations;

use libtest_mimic::{Arguments, Trial};

/// Name and function of a test, which panics on failure.
type Test = (&'static str, fn());

fn main() {
    let required = std::env::var("CI").as_deref() == Ok("true");
    let no_adapter = ridgeline_gpu::adapters().is_empty() && !required;
    let no_originals = !program::originals().is_dir() && !required;
    let no_swiftshader = ridgeline_gpu::swiftshader().is_none() && !(required && cfg!(target_os = "linux"));
    let groups: [(&str, &[Test], bool); 30] = [
        ("usage", usage::TESTS, false),
        ("usage", usage::ON_DEBIAN_AS_ROOT, !usage::can_play_install()),
        ("usage", usage::ON_SWIFTSHADER, no_swiftshader),
        ("files", files::TESTS, false),
        ("files", files::ON_A_DEVICE, no_adapter),
        ("diagnose", diagnose::TESTS, false),
        ("diagnose", diagnose::ON_A_DEVICE, no_adapter),
        ("families", families::TESTS, false),
        ("families", families::ON_A_DEVICE, no_adapter),
        ("folders", folders::TESTS, false),
        ("folders", folders::ON_A_DEVICE, no_adapter),
        ("quantize", quantize::TESTS, false),
        ("memory", memory::TESTS, false),
        ("memory", memory::ON_A_DEVICE, no_adapter),
        ("speed", speed::TESTS, false),
        ("speed", speed::ON_A_DEVICE, no_adapter),
        ("variations", variations::TESTS, false),
        ("variations", variations::ON_A_DEVICE, no_adapter),
        ("text", text::TESTS, false),
        ("text", text::ON_A_DEVICE, no_adapter),
        ("chat", chat::TESTS, false),
        ("images", images::TESTS, false),
        ("hub", hub::TESTS, false),
        ("hub", hub::ON_A_DEVICE, no_adapter),
        ("golden", golden::TESTS, false),
        ("golden", golden::ON_A_DEVICE, no_adapter),
        ("quality", quality::TESTS, false),
        ("quality", quality::ON_ORIGINALS, no_adapter || no_originals),
        // Only with `CI=true` or `--include-ignored`.
        ("quality", quality::LONG, !required),
        ("quality", quality::ON_DEMAND, true),
    ];
    let originals = ("golden", golden::ON_ORIGINALS, no_originals);
    let lists = groups.iter().chain([&originals]);
    let mut trials: Vec<_> = lists
        .flat_map(|&(group, tests, ignored)| {
            tests.iter().map(move |&(name, test)| trial(group, name, test, ignored))
        })
        .collect();
    let formats = |trials: Vec<formats::Trial>, ignored| {
        trials.into_iter().map(move |(name, test)| trial("formats", &name, test, ignored))
    };
    trials.extend(formats(formats::on_a_device(), no_adapter));
    trials.extend(formats(formats::on_originals(), no_adapter || no_originals));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(group: &str, name: &str, test: impl FnOnce() + Send + 'static, ignored: bool) -> Trial {
    let run = move || {
        test();
        Ok(())
    };
    Trial::test(format!("{group}::{name}"), run).with_ignored_flag(ignored)
}
