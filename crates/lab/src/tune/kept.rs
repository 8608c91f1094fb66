//! The file in which what was found for a device is kept.

use super::{Cut, Finding, Found};
use crate::{Device, Error, models};
use ridgeline_compute::{AnyKernel, Executor};
use ridgeline_gpu::Gpu;
use ridgeline_kernels::{Class, ProductChoice, RowCount, Tuning};
use ridgeline_quant::Format;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

fn label(choice: ProductChoice) -> String {
    AnyKernel::from(choice).label()
}

/// A choice as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: Format,
    vectors: u32,
    /// `few`, `some` or `many`.
    rows: String,
    variant: String,
    /// Time of the default over time of the choice.
    gain: f64,
}

impl Kept {
    fn serves(&self, class: Class) -> bool {
        (self.format, self.vectors, &*self.rows) == (class.format, class.vectors, class.rows.name())
    }
}

/// How attention is cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptCut {
    groups: u32,
    gain: f64,
}

/// The file of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    product: Vec<Kept>,
    attention: Option<KeptCut>,
}

/// Where the choices for a device are kept. Another driver is another device, and other shaders make times worthless.
pub(crate) fn path(gpu: &Gpu) -> PathBuf {
    let mut key = blake3::Hasher::new();
    let info = gpu.info();
    for text in [&info.name, &info.driver, &info.driver_info, &info.backend] {
        key.update(text.as_bytes()).update(&[0]);
    }
    for (name, text) in ridgeline_kernels::SHADERS {
        key.update(name.as_bytes()).update(&[0]).update(text.as_bytes()).update(&[0]);
    }
    models::cache().join(format!("tuning-{}.toml", &key.finalize().to_hex()[..16]))
}

/// Keeps what was found with some models beside choices for other classes; gives the number of choices kept.
pub(crate) fn keep(gpu: &Gpu, found: &[Found]) -> Result<usize, Error> {
    let path = path(gpu);
    let mut file = read(&path).unwrap_or_default();
    file.take_in(found);
    let text = toml::to_string(&file).expect("plain numbers and names");
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| models::Error::Io { path, source })?;
    Ok(file.product.len() + usize::from(file.attention.is_some()))
}

impl File {
    /// What an earlier session found for the same is out of date; of several models of this one the most gains.
    fn take_in(&mut self, found: &[Found]) {
        let products: Vec<&Finding> = found.iter().flat_map(|it| &it.products).collect();
        self.product.retain(|it| !products.iter().any(|found| it.serves(found.class)));
        for Finding { class, default_s, better, .. } in products {
            let Class { format, vectors, rows } = *class;
            let Some((choice, seconds)) = better else { continue };
            let (variant, gain) = (label(*choice), default_s.value / seconds.value);
            if self.product.iter().any(|it| it.serves(*class) && it.gain >= gain) {
                continue;
            }
            self.product.retain(|it| !it.serves(*class));
            self.product.push(Kept { format, vectors, rows: rows.name().to_owned(), variant, gain });
        }
        let cuts: Vec<&Cut> = found.iter().filter_map(|it| it.attention.as_ref()).collect();
        if !cuts.is_empty() {
            self.attention = None;
        }
        for Cut { default_s, better, .. } in cuts {
            let Some((groups, seconds)) = *better else { continue };
            let gain = default_s.value / seconds.value;
            if self.attention.is_none_or(|it| it.gain < gain) {
                self.attention = Some(KeptCut { groups, gain });
            }
        }
    }
}

fn read(path: &std::path::Path) -> Option<File> {
    let text = fs::read_to_string(path).ok()?;
    match toml::from_str(&text) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(
                "{}: {error}; the defaults are used; `ridgeline tune` writes it anew",
                path.display()
            );
            None
        }
    }
}

/// What was found for a device, as far as this program still has it; nothing where nobody tuned.
pub(crate) fn stored(device: &mut Device) -> Tuning {
    let mut tuning = Tuning::default();
    let Some(gpu) = device.gpu() else { return tuning };
    let file = read(&path(gpu)).unwrap_or_default();
    for Kept { format, vectors, rows, variant, .. } in file.product {
        let Some(rows) = RowCount::ALL.into_iter().find(|it| it.name() == rows) else { continue };
        let class = Class { format, vectors, rows };
        let candidates = class.candidates(gpu.caps());
        if let Some(choice) = candidates.into_iter().find(|it| label(*it) == variant) {
            tuning.choose(class, choice);
        }
    }
    if let Some(cut) = file.attention {
        tuning.cut_attention(cut.groups);
    }
    tuning
}

/// What tells measurements with these choices from measurements without; nothing where there are none.
pub(crate) fn digest(tuning: &Tuning) -> Option<String> {
    let chosen = *tuning != Tuning::default();
    chosen.then(|| blake3::hash(format!("{tuning:?}").as_bytes()).to_hex()[..8].to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Kept, KeptCut, label};
    use ridgeline_compute::Caps;
    use ridgeline_kernels::{Class, product_for};
    use ridgeline_quant::Format;

    #[test]
    fn every_default_is_a_candidate_and_labels_tell_them_apart() {
        let bare = Caps::webgpu();
        let subgroups = Caps { subgroup: Some((32, 32)), ..Caps::webgpu() };
        for caps in [bare, subgroups] {
            for &format in Format::ALL {
                for n in super::super::TOKENS {
                    let n = u32::try_from(n).expect("few");
                    let candidates = Class::of(format, n, 100).candidates(&caps);
                    let default = product_for(format, n, &caps);
                    assert!(candidates.contains(&default), "{format} {n}: {default:?}");
                    let mut labels: Vec<_> = candidates.iter().map(|it| label(*it)).collect();
                    labels.sort();
                    labels.dedup();
                    assert_eq!(labels.len(), candidates.len());
                }
            }
        }
    }

    #[test]
    fn a_kept_choice_is_plain_toml() {
        let kept = Kept {
            format: Format::HALF,
            vectors: 4,
            rows: "many".to_owned(),
            variant: "MatVec { … }".to_owned(),
            gain: 1.25,
        };
        let file = super::File { product: vec![kept], attention: Some(KeptCut { groups: 128, gain: 1.5 }) };
        let text = toml::to_string(&file).expect("text");
        assert_eq!(toml::from_str::<super::File>(&text), Ok(file));
        assert_eq!(toml::from_str::<super::File>(""), Ok(super::File::default()));
        assert!(toml::from_str::<super::File>("[[product]]\nformat = \"Q99\"\n").is_err());
    }
}
