//! The part of a model that sees images.

use super::{Error, notes, path};
use crate::Device;
use ridgeline_model::VisionModel;
use ridgeline_weights::{Checkpoint, Container};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image encoder on a device.
#[derive(Debug)]
pub struct Vision {
    /// Its weights.
    pub model: Arc<VisionModel>,
    /// The folder with the settings of its image processor. `None`: the file of the weights has them.
    pub folder: Option<PathBuf>,
    /// Pixels along the longest edge of an image before it is split, if the file of the weights says.
    pub longest_edge: Option<u32>,
    /// Mean and standard deviation of each channel, if the file of the weights says.
    pub normalisation: Option<[[f32; 3]; 2]>,
}

/// Loads the image encoder of the model `name`, or that of llama.cpp's `mmproj` file. `None` if the model has none.
///
/// # Errors
/// As [`super::load`].
pub fn load_vision(device: &mut Device, name: &str, mmproj: Option<&Path>) -> Result<Option<Vision>, Error> {
    let file = mmproj.map_or_else(|| path(name), |it| Ok(it.to_owned()))?;
    if file.extension().is_some_and(|it| it == "toml") {
        return Ok(None);
    }
    if !file.exists() {
        return Err(Error::NoFile { path: file });
    }
    let Some(checkpoint) = Checkpoint::open_vision(&file)? else { return Ok(None) };
    notes::print(&checkpoint);
    let model = Arc::new(VisionModel::load(&checkpoint, device)?);
    let metadata = checkpoint.metadata();
    let channels = |key: &str| -> Result<Option<[f32; 3]>, Error> {
        Ok(metadata.find::<Vec<f32>>(key)?.and_then(|it| it.try_into().ok()))
    };
    let [mean, std] = [channels("clip.vision.image_mean")?, channels("clip.vision.image_std")?];
    let beside = if file.is_dir() { Some(&*file) } else { file.parent() };
    let folder = beside.filter(|_| checkpoint.container() == Container::Safetensors);
    Ok(Some(Vision {
        model,
        folder: folder.map(Path::to_owned),
        longest_edge: metadata.find::<u32>("clip.vision.preproc_image_size")?,
        normalisation: mean.zip(std).map(|(mean, std)| [mean, std]),
    }))
}
