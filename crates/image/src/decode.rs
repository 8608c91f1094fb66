//! Decoding: PNG and JPEG, with limits on the size before anything is decoded.

use crate::{Error, RgbImage, exif};
use png::{ColorType, Transformations};
use std::io::Cursor;
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Largest width or height of an image, in pixels.
pub const MAX_EDGE: u32 = 32_768;

/// Most pixels of an image.
pub const MAX_PIXELS: u64 = 1 << 26;

/// Bytes that the PNG decoder may allocate: four channels of 16 bits for each pixel, and its tables.
const MAX_BYTES: usize = (8 << 26) + (64 << 20);

/// Reads an image upright, on a white background.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`]; [`Error::Size`] beyond [`MAX_EDGE`] or [`MAX_PIXELS`]; [`Error::Decode`] for a broken
/// file.
pub fn read(path: &Path) -> Result<RgbImage, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    if bytes.starts_with(b"\x89PNG") {
        png(path, &bytes)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        jpeg(path, &bytes)
    } else {
        Err(Error::Format { path: path.to_owned() })
    }
}

/// Refuses an image that is too large to decode, or has no pixels.
fn check_size(path: &Path, [width, height]: [u32; 2]) -> Result<(), Error> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > 0 && width.max(height) <= MAX_EDGE && pixels <= MAX_PIXELS {
        return Ok(());
    }
    let limit = format!("{MAX_EDGE} along an edge and {MAX_PIXELS} in all");
    Err(Error::Size { path: path.to_owned(), width, height, limit })
}

fn broken(path: &Path, detail: impl ToString) -> Error {
    Error::Decode { path: path.to_owned(), detail: detail.to_string() }
}

fn png(path: &Path, bytes: &[u8]) -> Result<RgbImage, Error> {
    let limits = png::Limits { bytes: MAX_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let info = decoder.read_header_info().map_err(|error| broken(path, error))?;
    let size = [info.width, info.height];
    check_size(path, size)?;
    let mut reader = decoder.read_info().map_err(|error| broken(path, error))?;
    let len = reader.output_buffer_size().ok_or_else(|| broken(path, "too large for this machine"))?;
    let mut values = vec![0; len];
    let frame = reader.next_frame(&mut values).map_err(|error| broken(path, error))?;
    values.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Grayscale => values.iter().flat_map(|&v| [v; 3]).collect(),
        ColorType::GrayscaleAlpha => values.chunks_exact(2).flat_map(|v| on_white([v[0]; 3], v[1])).collect(),
        ColorType::Rgba => values.chunks_exact(4).flat_map(|v| on_white([v[0], v[1], v[2]], v[3])).collect(),
        // Palettes are expanded.
        ColorType::Rgb | ColorType::Indexed => values,
    };
    RgbImage::new(size, pixels).ok_or_else(|| broken(path, "the pixels do not fill the image"))
}

fn jpeg(path: &Path, bytes: &[u8]) -> Result<RgbImage, Error> {
    let options = DecoderOptions::default().set_max_width(usize::MAX).set_max_height(usize::MAX);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| broken(path, error))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| broken(path, "it has no size"))?;
    let size = [width, height].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    check_size(path, size)?;
    let orientation = decoder.exif().map_or(1, |it| exif::orientation(it));
    let pixels = decoder.decode().map_err(|error| broken(path, error))?;
    let image = RgbImage::new(size, pixels);
    Ok(image.ok_or_else(|| broken(path, "the pixels do not fill the image"))?.upright(orientation))
}

/// A colour of this opacity before white.
fn on_white(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    colour.map(|value| {
        let sum = u32::from(value) * alpha + 255 * (255 - alpha);
        u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
    })
}
