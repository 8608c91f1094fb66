//! The text of an image in a prompt, as Idefics3 and SmolVLM write it.

use crate::{Error, Tiles};
use std::fmt::Write as _;

/// Stands for one image in a prompt, and for one embedding after [`expand`].
pub const IMAGE: &str = "<image>";

/// Before each tile, and after the last.
const AROUND: &str = "<fake_token_around_image>";

/// Before the tile of the whole image.
const GLOBAL: &str = "<global-img>";

/// The text of one image whose tiles have `n` embeddings each.
#[must_use]
pub fn placeholder(tiles: &Tiles, n: usize) -> String {
    let embeddings = IMAGE.repeat(n);
    let mut text = String::new();
    for row in 1..=tiles.rows {
        for column in 1..=tiles.columns {
            // Writing to a string cannot fail.
            let _ = write!(text, "{AROUND}<row_{row}_col_{column}>{embeddings}");
        }
        text.push('\n');
    }
    if tiles.rows > 0 {
        text.push('\n');
    }
    let _ = write!(text, "{AROUND}{GLOBAL}{embeddings}{AROUND}");
    text
}

/// The prompt with the text of each image in place of its [`IMAGE`]. Without any, the images come first.
///
/// # Errors
/// [`Error::Placeholders`] for another number of placeholders than images.
pub fn expand(prompt: &str, images: &[Tiles], n: usize) -> Result<String, Error> {
    let found = prompt.matches(IMAGE).count();
    let texts = images.iter().map(|it| placeholder(it, n));
    if found == 0 {
        return Ok(texts.chain([prompt.to_owned()]).collect());
    }
    if found != images.len() {
        return Err(Error::Placeholders { found, token: IMAGE, images: images.len() });
    }
    let mut pieces = prompt.split(IMAGE);
    let first = pieces.next().unwrap_or_default().to_owned();
    Ok(texts.zip(pieces).fold(first, |text, (image, piece)| text + &image + piece))
}

#[cfg(test)]
mod tests {
    use super::{expand, placeholder};
    use crate::{Error, Tiles};

    fn tiles(rows: u32, columns: u32) -> Tiles {
        Tiles { rows, columns, pixels: Vec::new() }
    }

    #[test]
    fn an_image_is_written_as_in_training() {
        let around = "<fake_token_around_image>";
        let two = "<image><image>";
        assert_eq!(placeholder(&tiles(0, 0), 2), format!("{around}<global-img>{two}{around}"));
        let of = |row, column| format!("{around}<row_{row}_col_{column}>{two}");
        let rows = format!("{}{}\n{}{}\n", of(1, 1), of(1, 2), of(2, 1), of(2, 2));
        assert_eq!(placeholder(&tiles(2, 2), 2), format!("{rows}\n{around}<global-img>{two}{around}"));
    }

    #[test]
    fn images_take_the_places_of_their_placeholders() {
        let images = [tiles(0, 0), tiles(1, 1)];
        let [a, b] = [placeholder(&images[0], 1), placeholder(&images[1], 1)];
        let text = expand("x<image>y <image>.", &images, 1).expect("two placeholders");
        assert_eq!(text, format!("x{a}y {b}."));
        assert_eq!(expand("x", &images, 1).expect("none"), format!("{a}{b}x"));
        for wrong in ["<image>", "<image><image><image>"] {
            let error = expand(wrong, &images, 1).expect_err("another number");
            assert!(matches!(error, Error::Placeholders { images: 2, .. }), "{error}");
        }
    }
}
