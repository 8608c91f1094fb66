//! Image files to the tiles that an image encoder takes, and the text that stands for them in a prompt.
//!
//! The steps are those of Idefics3 and SmolVLM in Hugging Face transformers:
//!
//! ```text
//! decode → on white, upright → resize to the longest edge → resize to whole tiles
//!     → tiles from left to right and top to bottom, then the whole image as one tile → normalise
//! ```

mod decode;
mod error;
mod exif;
mod picture;
mod prompt;
mod settings;
mod tiles;

pub use decode::{MAX_EDGE, MAX_PIXELS, read};
pub use error::Error;
pub use picture::{Filter, RgbImage};
pub use prompt::{IMAGE, expand, placeholder};
pub use settings::Settings;
pub use tiles::{Tiles, tiles};
