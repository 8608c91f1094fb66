//! The TOML file with the tuned choices of a device.

use super::TuneResult;
use super::interleaved_ab::ClassResult;
use crate::{Device, Error, folders, models};
use ridgeline_compute::{AnyKernel, Executor};
use ridgeline_gpu::Gpu;
use ridgeline_kernels::{KvHeads, LinearClass, LinearKernel, RowCount, Tuning};
use ridgeline_quant::Format;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn label(choice: LinearKernel) -> String {
    AnyKernel::from(choice).label()
}

/// The choice for a class of linears, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLinear {
    format: Format,
    vectors: u32,
    /// A name of [`RowCount`]: `small`, `medium` or `large`.
    rows: String,
    variant: String,
    /// Time of the default over time of the choice.
    gain: f64,
}

impl StoredLinear {
    fn is_for(&self, class: LinearClass) -> bool {
        (self.format, self.vectors, &*self.rows) == (class.format, class.vectors, class.rows.name())
    }
}

/// The KV split of attention, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSplit {
    kv_heads: u32,
    head_dim: u32,
    workgroups: u32,
    gain: f64,
}

impl StoredSplit {
    const fn heads(&self) -> KvHeads {
        KvHeads { count: self.kv_heads, width: self.head_dim }
    }
}

/// The file of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "product")]
    linear: Vec<StoredLinear>,
    #[serde(default)]
    attention: Vec<StoredSplit>,
}

/// The file for a device. Its name depends on adapter, driver and shaders: with any other, the times are invalid.
pub fn path(gpu: &Gpu) -> PathBuf {
    let mut key = blake3::Hasher::new();
    let info = gpu.info();
    for text in [&info.name, &info.driver, &info.driver_info, &info.backend] {
        key.update(text.as_bytes()).update(&[0]);
    }
    for (name, text) in ridgeline_kernels::SHADERS {
        key.update(name.as_bytes()).update(&[0]).update(text.as_bytes()).update(&[0]);
    }
    folders::cache().join(format!("tuning-{}.toml", &key.finalize().to_hex()[..16]))
}

/// Stores the choices for some models and keeps stored choices for other classes. Returns the number of choices.
///
/// # Errors
/// [`Error::Open`] where the file cannot be written.
pub fn keep(gpu: &Gpu, found: &[TuneResult]) -> Result<usize, Error> {
    let path = path(gpu);
    let mut file = read(&path).unwrap_or_default();
    file.merge(found);
    let text = toml::to_string(&file).expect("numbers and strings have a TOML form");
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| models::Error::Io { path, source })?;
    Ok(file.linear.len() + file.attention.len())
}

impl File {
    /// Replaces the choices for every class in `found`, even where the new choice is the default.
    fn merge(&mut self, found: &[TuneResult]) {
        let products: Vec<_> = found.iter().flat_map(|it| &it.products).collect();
        self.linear.retain(|it| !products.iter().any(|found| it.is_for(found.class)));
        for it in best(&products) {
            let (LinearClass { format, vectors, rows }, Some(choice)) = (it.class, it.chosen()) else {
                continue;
            };
            let (rows, variant) = (rows.name().to_owned(), label(choice));
            self.linear.push(StoredLinear { format, vectors, rows, variant, gain: it.gain() });
        }
        let splits = found.iter().filter_map(|it| it.attention.as_ref());
        let splits: Vec<_> = splits.map(|it| &it.finding).collect();
        self.attention.retain(|it| !splits.iter().any(|found| it.heads() == found.class));
        for it in best(&splits) {
            let (KvHeads { count: kv_heads, width: head_dim }, Some(workgroups)) = (it.class, it.chosen())
            else {
                continue;
            };
            self.attention.push(StoredSplit { kv_heads, head_dim, workgroups, gain: it.gain() });
        }
    }
}

/// Per class the choice with the largest gain over all models. A class that any model rejects has none.
fn best<'a, K: Copy + Ord, C: Copy>(found: &[&'a ClassResult<K, C>]) -> Vec<&'a ClassResult<K, C>> {
    let mut best: BTreeMap<K, &ClassResult<K, C>> = BTreeMap::new();
    for it in found.iter().filter(|it| it.chosen().is_some()) {
        let known = best.entry(it.class).or_insert(it);
        if it.gain() > known.gain() {
            *known = it;
        }
    }
    best.retain(|class, _| !found.iter().any(|it| it.class == *class && it.rejected));
    best.into_values().collect()
}

fn read(path: &std::path::Path) -> Option<File> {
    let text = fs::read_to_string(path).ok()?;
    match toml::from_str(&text) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(
                "{}: {error}; the default kernels are used; run `ridgeline tune` to rewrite the file",
                path.display()
            );
            None
        }
    }
}

/// The stored choices for a device. Choices of kernels that no longer exist are ignored.
///
/// The default where the device was never tuned.
pub fn stored(device: &mut Device) -> Tuning {
    let mut tuning = Tuning::default();
    let Some(gpu) = device.gpu() else { return tuning };
    let file = read(&path(gpu)).unwrap_or_default();
    for StoredLinear { format, vectors, rows, variant, .. } in file.linear {
        let Some(rows) = RowCount::ALL.into_iter().find(|it| it.name() == rows) else { continue };
        let class = LinearClass { format, vectors, rows };
        let candidates = class.candidates(gpu.caps());
        if let Some(choice) = candidates.into_iter().find(|it| label(*it) == variant) {
            tuning.choose(class, choice);
        }
    }
    for it in file.attention {
        tuning.split_attention(it.heads(), it.workgroups);
    }
    tuning
}

/// A hash that identifies the choices in records; `None` for the defaults.
pub fn digest(tuning: &Tuning) -> Option<String> {
    let chosen = *tuning != Tuning::default();
    chosen.then(|| blake3::hash(format!("{tuning:?}").as_bytes()).to_hex()[..8].to_owned())
}

#[cfg(test)]
mod tests {
    use super::{ClassResult, File, StoredLinear, StoredSplit, TuneResult, label};
    use ridgeline_compute::Caps;
    use ridgeline_kernels::{LinearClass, linear_for};
    use ridgeline_quant::Format;
    use ridgeline_roofline::Measured;

    #[test]
    fn every_default_is_a_candidate_and_labels_tell_them_apart() {
        let bare = Caps::webgpu();
        let subgroups = Caps { subgroup: Some((32, 32)), ..Caps::webgpu() };
        let software = Caps { subgroup: Some((8, 8)), software: true, max_texture: 16384, ..Caps::webgpu() };
        for caps in [bare, subgroups, software] {
            for &format in Format::ALL {
                for n in super::super::TOKENS {
                    let n = u32::try_from(n).expect("a small number");
                    for n_rows in [100, 5000, 10_000] {
                        let candidates = LinearClass::of(format, n, n_rows).candidates(&caps);
                        let default = linear_for(format, n, &caps);
                        assert!(candidates.contains(&default), "{format} {n}: {default:?}");
                        let mut labels: Vec<_> = candidates.iter().map(|it| label(*it)).collect();
                        labels.sort();
                        labels.dedup();
                        assert_eq!(labels.len(), candidates.len());
                    }
                }
            }
        }
    }

    /// A result for batch size 1: a variant with a gain.
    fn found(variant: usize, gain: f64, rejected: bool) -> TuneResult {
        let caps = Caps::webgpu();
        let class = LinearClass::of(Format::HALF, 1, 100);
        let choice = class.candidates(&caps)[variant];
        let [default_s, seconds] = [gain, 1.0].map(Measured::exact);
        let better = (gain > 1.0).then_some((choice, seconds));
        let finding = ClassResult { class, default: choice, default_s, better, rejected };
        TuneResult { products: vec![finding], attention: None, passes: Vec::new() }
    }

    #[test]
    fn the_largest_gain_wins_unless_a_model_rejects_it() {
        let mut file = File::default();
        let gains = |file: &File| file.linear.iter().map(|it| it.gain).collect::<Vec<_>>();
        file.merge(&[found(0, 1.2, false), found(1, 1.5, false), found(0, 1.1, false)]);
        assert_eq!(gains(&file), [1.5]);
        // A later result replaces the stored one, also where the default wins.
        file.merge(&[found(0, 1.3, false)]);
        assert_eq!(gains(&file), [1.3]);
        file.merge(&[found(0, 1.0, false)]);
        assert!(gains(&file).is_empty());
        file.merge(&[found(0, 1.2, false), found(0, 1.2, true)]);
        assert!(gains(&file).is_empty());
    }

    #[test]
    fn a_stored_choice_is_plain_toml() {
        let stored = StoredLinear {
            format: Format::HALF,
            vectors: 4,
            rows: "large".to_owned(),
            variant: "MatVec { … }".to_owned(),
            gain: 1.25,
        };
        let file = File {
            linear: vec![stored],
            attention: vec![StoredSplit { kv_heads: 8, head_dim: 128, workgroups: 128, gain: 1.5 }],
        };
        let text = toml::to_string(&file).expect("text");
        assert_eq!(toml::from_str::<File>(&text), Ok(file));
        assert_eq!(toml::from_str::<File>(""), Ok(File::default()));
        assert!(toml::from_str::<File>("[[product]]\nformat = \"Q99\"\n").is_err());
    }
}
