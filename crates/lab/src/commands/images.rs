//! Images in a prompt: `run --image`.

use crate::globals::UsageError;
use ridgeline_image::{IMAGE, Settings, Tiles, expand};
use ridgeline_measure::Device;
use ridgeline_measure::models::{Vision, load_vision};
use ridgeline_model::{ImageEncoder, Model, Session, Shared, Switches};
use ridgeline_speculative::Token;
use ridgeline_text::{ChatTemplate, Message, Tokenizer};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The images of a prompt.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct ImageArgs {
    /// Image for the prompt, a PNG or JPEG file; repeat for several. They take the places of `<image>` in the prompt, or
    /// come first where it has none
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// llama.cpp's file of the image encoder, for a model in a GGUF file; a folder has its own
    #[arg(long, value_name = "FILE", requires = "image")]
    mmproj: Option<PathBuf>,
}

/// The images of a prompt with the encoder that reads them.
pub(crate) struct Images {
    vision: Vision,
    tiles: Vec<Tiles>,
}

/// What became of the images, for the JSON.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Encoded {
    /// Tiles that the encoder read.
    pub(crate) tiles: usize,
    /// Embeddings in the prompt.
    pub(crate) embeddings: usize,
    /// Time of the encoder, without its compilation.
    pub(crate) encode_ns: u64,
}

impl ImageArgs {
    /// Whether there is an image.
    pub(crate) const fn is_on(&self) -> bool {
        !self.image.is_empty()
    }

    /// Reads the images, and loads the encoder of the model `name`.
    ///
    /// # Errors
    /// The model has no encoder, or one of another width than its text part; a file cannot be read.
    pub(crate) fn load(&self, name: &str, model: &Model, device: &mut Device) -> anyhow::Result<Images> {
        let Some(vision) = load_vision(device, name, self.mmproj.as_deref())? else {
            let file = self.mmproj.as_ref().map_or_else(|| name.to_owned(), |it| it.display().to_string());
            return Err(UsageError(format!(
                "{file} has no image encoder that is supported: --image needs a folder of SmolVLM or Idefics3, or its \
                 mmproj file with --mmproj"
            ))
            .into());
        };
        let shape = vision.model.shape;
        if shape.width as usize != model.config.hidden {
            return Err(UsageError(format!(
                "the image encoder makes embeddings of {} values, but {name} has a hidden width of {}: give the encoder of \
                 this model",
                shape.width, model.config.hidden
            ))
            .into());
        }
        let settings = match &vision.folder {
            Some(folder) => Settings::read(folder, shape.size, shape.tokens())?,
            None => of_file(&vision),
        };
        let read = |path: &PathBuf| Ok(ridgeline_image::tiles(&ridgeline_image::read(path)?, &settings));
        let tiles = self.image.iter().map(read).collect::<anyhow::Result<_>>()?;
        Ok(Images { vision, tiles })
    }
}

/// The settings of an encoder whose file has them.
fn of_file(vision: &Vision) -> Settings {
    let default = Settings::new(vision.model.shape.size);
    let [mean, std] = vision.normalisation.unwrap_or([default.mean, default.std]);
    let longest_edge = vision.longest_edge.filter(|&it| it > 0).unwrap_or(default.longest_edge);
    Settings { longest_edge, mean, std, ..default }
}

impl Images {
    /// The prompt with a token for each embedding.
    ///
    /// # Errors
    /// Another number of placeholders than images.
    pub(crate) fn expand(&self, prompt: &str) -> Result<String, UsageError> {
        expand(prompt, &self.tiles, self.vision.model.shape.tokens())
            .map_err(|error| UsageError(error.to_string()))
    }

    /// The first message of a chat, about the images.
    ///
    /// # Errors
    /// The text has placeholders, whose places the template could not know.
    pub(crate) fn message(&self, text: String, template: &ChatTemplate) -> Result<Message, UsageError> {
        if text.contains(IMAGE) {
            let text = format!("in a chat the images come before the first message: leave out {IMAGE}");
            return Err(UsageError(text));
        }
        let n = self.tiles.len();
        Ok(if template.reads_parts() {
            Message::new("user", text).with_images(n)
        } else {
            Message::new("user", IMAGE.repeat(n) + &text)
        })
    }

    /// Encodes the images and gives their embeddings to the session, at the placeholders of `prompt`.
    ///
    /// # Errors
    /// The vocabulary has no placeholder, the prompt has another number of them, or the device fails.
    pub(crate) fn give(
        &self,
        session: &mut Session<Device>,
        tokenizer: &Tokenizer,
        prompt: &[Token],
    ) -> anyhow::Result<Encoded> {
        let [placeholder] = tokenizer.encode_special(IMAGE)?[..] else {
            anyhow::bail!(
                "the vocabulary of the model has no token {IMAGE}, which stands for an embedding of an image"
            );
        };
        let at: Vec<usize> = (0..prompt.len()).filter(|&i| prompt[i] == placeholder).collect();
        let executor: Shared<Device> = session.executor().clone();
        let mut encoder = ImageEncoder::new(self.vision.model.clone(), executor, Switches::default())?;
        let (mut rows, mut spent, mut tiles) = (Vec::new(), Duration::ZERO, 0);
        for pixels in self.tiles.iter().flat_map(|it| &it.pixels) {
            if tiles == 0 {
                encoder.prepare(pixels)?;
            }
            let begun = Instant::now();
            rows.extend(encoder.encode(pixels)?);
            spent += begun.elapsed();
            tiles += 1;
        }
        session.give_embeddings(&at, &rows)?;
        Ok(Encoded { tiles, embeddings: at.len(), encode_ns: super::printer::nanos(spent) })
    }
}
