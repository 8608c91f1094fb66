//! Errors of reading images and their settings.

use std::path::PathBuf;

/// Errors of reading an image or the settings of its processor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is no PNG or JPEG.
    #[error("{}: no PNG or JPEG image; convert it to one of these", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The image cannot be decoded.
    #[error("{}: the image cannot be decoded: {detail}; is the file complete?", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The decoder's message.
        detail: String,
    },
    /// The image has too many pixels to decode, or none.
    #[error("{}: the image has {width} x {height} pixels; at least one and at most {limit} are decoded: resize it", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// The limit, in words.
        limit: String,
    },
    /// A file of settings is no JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
    /// A setting that is not supported.
    #[error("{}: `{key}` is {value}, which is not supported: {needs}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        needs: String,
    },
    /// The prompt has another number of placeholders than there are images.
    #[error(
        "the prompt has {found} times {token}, but there are {images} images; write one for each, or none"
    )]
    Placeholders {
        /// Placeholders in the prompt.
        found: usize,
        /// The text of a placeholder.
        token: &'static str,
        /// Images.
        images: usize,
    },
}
