//! What comparisons with golden files share.

use libtest_mimic::Failed;
use safetensors::SafeTensors;

/// ‖ours − golden‖ / ‖golden‖ over all positions.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// Checks the relative distance of logits.
pub(crate) fn compare(ours: &[f32], golden: &[f32], tolerance: f64) -> Result<(), Failed> {
    if ours.len() != golden.len() {
        return Err(format!("{} logits, golden {}", ours.len(), golden.len()).into());
    }
    let square = |v: f64| v * v;
    let difference: f64 = ours.iter().zip(golden).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = golden.iter().map(|&g| square(f64::from(g))).sum();
    let relative = (difference / size).sqrt();
    if relative.is_nan() || relative > tolerance {
        return Err(format!("relative distance of the logits is {relative:.2e}").into());
    }
    Ok(())
}

pub(crate) fn words(file: &SafeTensors<'_>, name: &str) -> Result<Vec<u32>, Failed> {
    let data = file.tensor(name)?.data().to_vec();
    Ok(data.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
