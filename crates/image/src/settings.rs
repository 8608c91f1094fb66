//! The settings of a model's image processor: `preprocessor_config.json`, or a part of `processor_config.json`.

use crate::{Error, Filter};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Most pixels along an edge after the first resize (transformers' `MAX_IMAGE_SIZE`).
const MAX_LONGEST_EDGE: u32 = 4096;

/// How an image becomes tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Width and height of a tile, in pixels.
    pub tile: u32,
    /// Pixels along the longest edge before the image is split.
    pub longest_edge: u32,
    /// Whether an image is split into tiles, or resized to one.
    pub split: bool,
    /// The filter of all resizes.
    pub filter: Filter,
    /// Multiplier of a stored value.
    pub rescale: f32,
    /// Mean of each channel after that, which is subtracted.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, by which the difference is divided.
    pub std: [f32; 3],
}

impl Settings {
    /// The settings of a model without a file of them: an image of up to four tiles along an edge, with the constants of
    /// SigLIP.
    #[must_use]
    pub const fn new(tile: u32) -> Self {
        let longest = tile.saturating_mul(4);
        Self {
            tile,
            longest_edge: if longest < MAX_LONGEST_EDGE { longest } else { MAX_LONGEST_EDGE },
            split: true,
            filter: Filter::Lanczos,
            rescale: 1.0 / 255.0,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    /// Reads the settings beside a model whose encoder takes tiles of `tile` pixels along an edge and makes `n` embeddings of
    /// each.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Json`] for a broken file, [`Error::Setting`] for a setting that is not supported.
    pub fn read(folder: &Path, tile: u32, n: usize) -> Result<Self, Error> {
        let processor = File::read(folder.join("processor_config.json"))?;
        if let Some(file) = &processor {
            let stated = file.json.get("image_seq_len").filter(|it| !it.is_null());
            if let Some(json) = stated.filter(|it| it.as_u64() != Some(n as u64)) {
                return Err(file.refuse("image_seq_len", json, format!("the encoder makes {n} embeddings")));
            }
        }
        let nested = |file: File| {
            let json = file.json.get("image_processor").filter(|it| it.is_object())?.clone();
            Some(File { json, path: file.path })
        };
        let file = match File::read(folder.join("preprocessor_config.json"))? {
            Some(file) => Some(file),
            None => processor.and_then(nested),
        };
        file.map_or(Ok(Self::new(tile)), |file| file.settings(tile))
    }
}

/// A file of settings.
struct File {
    path: PathBuf,
    json: Json,
}

impl File {
    /// `None` if it does not exist.
    fn read(path: PathBuf) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path, source }),
        };
        match serde_json::from_slice(&bytes) {
            Ok(json) => Ok(Some(Self { path, json })),
            Err(source) => Err(Error::Json { path, source }),
        }
    }

    fn refuse(&self, key: &'static str, json: &Json, needs: impl Into<String>) -> Error {
        let value = json.to_string().chars().take(60).collect();
        Error::Setting { path: self.path.clone(), key, value, needs: needs.into() }
    }

    fn get(&self, key: &str) -> Option<&Json> {
        self.json.get(key).filter(|it| !it.is_null())
    }

    /// The value that `read` makes of a key; `default` where the key is absent.
    fn value<T>(
        &self,
        key: &'static str,
        default: T,
        needs: &str,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<T, Error> {
        let Some(json) = self.get(key) else { return Ok(default) };
        read(json).ok_or_else(|| self.refuse(key, json, needs))
    }

    fn settings(&self, tile: u32) -> Result<Settings, Error> {
        let default = Settings::new(tile);
        for key in ["do_resize", "do_rescale", "do_normalize"] {
            self.value(key, (), "only true is", |it| (it == true).then_some(()))?;
        }
        let edge = |json: &Json| u32::try_from(json.get("longest_edge")?.as_u64()?).ok();
        let needs = format!("its longest_edge must be that of the encoder, {tile}");
        self.value("max_image_size", (), &needs, |it| (edge(it)? == tile).then_some(()))?;
        let needs = "its longest_edge must be a positive number of pixels";
        let longest = self.value("size", default.longest_edge, needs, |it| edge(it).filter(|&it| it > 0))?;
        let needs = "1, 2 and 3 are: Lanczos, bilinear and bicubic";
        let filter = self.value("resample", default.filter, needs, |it| {
            Some(match it.as_u64()? {
                1 => Filter::Lanczos,
                2 => Filter::Bilinear,
                3 => Filter::Bicubic,
                _ => return None,
            })
        })?;
        let three = "it must be three numbers";
        Ok(Settings {
            tile,
            longest_edge: longest.min(MAX_LONGEST_EDGE),
            split: self.value("do_image_splitting", true, "it must be true or false", Json::as_bool)?,
            filter,
            rescale: self.value("rescale_factor", default.rescale, "it must be a number", number)?,
            mean: self.value("image_mean", default.mean, three, numbers)?,
            std: self.value("image_std", default.std, "it must be three numbers other than 0", |it| {
                numbers(it).filter(|it| it.iter().all(|&it| it != 0.0))
            })?,
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "pixels are f32")]
fn number(json: &Json) -> Option<f32> {
    Some(json.as_f64()? as f32).filter(|it| it.is_finite())
}

fn numbers(json: &Json) -> Option<[f32; 3]> {
    let all: Option<Vec<f32>> = json.as_array()?.iter().map(number).collect();
    all?.try_into().ok()
}
