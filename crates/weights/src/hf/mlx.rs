//! MLX's quantized matrices: three tensors (`weight` in 32-bit words, `scales`, `biases`) become one tensor of an
//! affine type.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use ridgeline_quant::Format;
use serde_json::Value as Json;

use crate::{
    Error,
    convention::lookup,
    entry::{Affine, Storage, TensorEntry},
};

/// The `quantization` table of config.json.
#[derive(Debug)]
pub(super) struct Quantization<'a> {
    json: &'a Json,
    bits: usize,
    group: usize,
}

/// Reads the `quantization` table of config.json; `None` where there is none.
///
/// # Errors
/// [`Error::MissingKey`], [`Error::UnsupportedFormat`] for a mode other than affine.
pub(super) fn quantization<'a>(path: &Path, config: &'a Json) -> Result<Option<Quantization<'a>>, Error> {
    let Some(json) = lookup(config, "quantization") else { return Ok(None) };
    if let Some(mode) = json.get("mode").and_then(Json::as_str).filter(|it| *it != "affine") {
        let (tensor, format) = ("*".to_owned(), format!("MLX {mode}"));
        return Err(Error::UnsupportedFormat { path: path.to_owned(), tensor, format });
    }
    let number = |key: &str| {
        let missing = || Error::MissingKey { path: path.to_owned(), key: format!("quantization.{key}") };
        json.get(key).and_then(size).ok_or_else(missing)
    };
    Ok(Some(Quantization { json, bits: number("bits")?, group: number("group_size")? }))
}

fn size(json: &Json) -> Option<usize> {
    usize::try_from(json.as_u64()?).ok()
}

impl Quantization<'_> {
    /// Bits and group size of one matrix; config.json may override them per matrix.
    fn of(&self, base: &str) -> (usize, usize) {
        let own = |key: &str| self.json.get(base)?.get(key).and_then(size);
        (own("bits").unwrap_or(self.bits), own("group_size").unwrap_or(self.group))
    }
}

/// Joins the three tensors of each quantized matrix. `words` lists the tensors of 32-bit words, whose entries have
/// single precision as a placeholder.
///
/// # Errors
/// [`Error::TensorEntry`] for tensors that are missing or do not match, [`Error::UnsupportedFormat`].
pub(super) fn join(
    path: &Path,
    quantization: &Quantization<'_>,
    entries: Vec<TensorEntry>,
    words: &BTreeSet<String>,
) -> Result<Vec<TensorEntry>, Error> {
    let index: HashMap<&str, &TensorEntry> = entries.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut joined = HashMap::new();
    let mut parts = BTreeSet::new();
    for name in words {
        let refuse = |problem| Error::TensorEntry { path: path.to_owned(), tensor: name.clone(), problem };
        let base = name
            .strip_suffix(".weight")
            .ok_or_else(|| refuse("its dtype is U32, but it is not a quantized weight"))?;
        let [scales, biases] = [format!("{base}.scales"), format!("{base}.biases")];
        let part = |name: &str| {
            index
                .get(name)
                .copied()
                .ok_or_else(|| refuse("it is quantized, but its scales or biases are missing"))
        };
        let (bits, group) = quantization.of(base);
        let format = format!("MLX{bits}_G{group}");
        let format = Format::from_name(&format).ok_or_else(|| Error::UnsupportedFormat {
            path: path.to_owned(),
            tensor: name.clone(),
            format,
        })?;
        let entry =
            matrix(part(name)?, part(&scales)?, part(&biases)?, (bits, group), format).ok_or_else(|| {
                refuse("its shape, scales and biases do not match the bits and group size of config.json")
            })?;
        parts.extend([scales, biases]);
        joined.insert(name.clone(), entry);
    }
    let kept = entries.into_iter().filter(|it| !parts.contains(&it.name));
    Ok(kept.map(|it| joined.remove(&it.name).unwrap_or(it)).collect())
}

/// One matrix of three tensors, or `None` if their shapes or types do not match.
fn matrix(
    weight: &TensorEntry,
    scales: &TensorEntry,
    biases: &TensorEntry,
    (bits, group): (usize, usize),
    format: Format,
) -> Option<TensorEntry> {
    // A matrix, or those of all experts.
    let (&words, rows) = weight.shape.split_last().filter(|it| !it.1.is_empty())?;
    let cols = words.checked_mul(32)? / bits;
    let of_groups = [rows, &[cols / group]].concat();
    let fits = words * 32 == cols * bits && scales.shape == of_groups && cols.is_multiple_of(group);
    let stored = scales.format;
    if !fits || scales.shape != biases.shape || stored != biases.format || stored.spec().block_len != 1 {
        return None;
    }
    let affine = Affine {
        weight: weight.storage.range()?,
        scales: scales.storage.range()?,
        biases: biases.storage.range()?,
        stored,
        group_bytes: bits * group / 8,
    };
    Some(TensorEntry {
        name: weight.name.clone(),
        shape: [rows, &[cols]].concat(),
        format,
        storage: Storage::Affine(Box::new(affine)),
    })
}
