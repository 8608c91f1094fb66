//! Host memory for loading a model: the pages of the mapped file and bounded staging buffers, but no second copy of the
//! weights.

use crate::Test;
use crate::program::{on_cpu, ridgeline};
use serde_json::Value;

pub(crate) const TESTS: &[Test] = &[("loading_for_the_cpu_is_bounded", || bounded(&["--device", "cpu"], 32))];

pub(crate) const ON_A_DEVICE: &[Test] = &[("loading_for_a_device_is_bounded", || bounded(&[], 64))];

/// Loads models of 200 MB and 8 MB, and bounds the growth of peak memory.
///
/// The mapped file and the device's buffers may grow; a software adapter's buffers are host memory. Staging may add
/// `staging_mib`: 16 MiB of packed rows, as much in the driver on a device, and as much as both for allocators. Another
/// copy of the file would exceed the bound more than twofold.
fn bounded(flags: &[&str], staging_mib: u64) {
    // Other systems report the present resident memory instead of its peak.
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.gguf");
    let file = file.to_str().expect("UTF-8");
    ridgeline(&["synth", "bench-110m", "F16", file]).ok();
    let load = |model: &str| ridgeline(&[&["inspect", model, "--load", "--json"], flags].concat()).json();
    let (small, large) = (load("tiny-target"), load(file));
    let bytes = |of: &Value, key: &str| of["load"][key].as_u64().expect("bytes");
    let growth = |key: &str| bytes(&large, key) - bytes(&small, key);
    assert!(
        growth("file_bytes") > 2 * (staging_mib << 20),
        "a second copy of the file would exceed the bound"
    );
    let (peak, needed) = (growth("peak_rss_bytes"), growth("file_bytes") + growth("device_bytes"));
    let allowed = needed + (staging_mib << 20);
    assert!(peak <= allowed, "{peak} bytes more, and {allowed} would be enough: {}", large["load"]);
    if flags.contains(&"cpu") {
        assert!(
            peak >= growth("device_bytes"),
            "the CPU device's buffers are memory of the process: {}",
            large["load"]
        );
    }
    let ratio = large["load"]["peak_rss_over_file"].as_f64().expect("a ratio");
    let expected = bytes(&large, "peak_rss_bytes") as f64 / bytes(&large, "file_bytes") as f64;
    assert!((ratio / expected - 1.0).abs() < 1e-9, "{}", large["load"]);
    let text = on_cpu(&["inspect", "tiny-target", "--load"]).ok();
    let line = text.lines().find(|line| line.contains("peak memory")).expect("a line");
    assert!(line.ends_with(" x the file)"), "{line}");
}
