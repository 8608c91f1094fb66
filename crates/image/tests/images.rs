//! Image files and settings, right and wrong. Each wrong one is an error that names the file.

use png::{BitDepth, ColorType, Encoder};
use ridgeline_image::{Error, Filter, RgbImage, Settings, read};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    path
}

/// A PNG of these samples.
fn png([width, height]: [u32; 2], (colour, depth): (ColorType, BitDepth), samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(samples).expect("samples");
    writer.finish().expect("an end");
    bytes
}

const RGB: (ColorType, BitDepth) = (ColorType::Rgb, BitDepth::Eight);

/// The values of a picture of 20 x 10 pixels without two equal rows or columns.
fn values() -> Vec<u8> {
    let value = |n: u32| u8::try_from(n % 256).expect("below 256");
    let pixel = |x: u32, y: u32| [value(12 * x), value(20 * y), value(7 * x * x + 11 * y * y * y)];
    (0..10).flat_map(|y| (0..20).flat_map(move |x| pixel(x, y))).collect()
}

fn picture() -> RgbImage {
    RgbImage::new([20, 10], values()).expect("it is filled")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn resized_images_are_those_of_pillow() {
    let text = fs::read_to_string(data("pillow.txt")).expect("it is in the repository");
    let mut lines = 0;
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let [name, width, height, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let filter = match name {
            "lanczos" => Filter::Lanczos,
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            _ => panic!("{name}"),
        };
        let size = [width, height].map(|it| it.parse().expect("a number"));
        let ours: String =
            picture().resized(size, filter).pixels().flatten().map(|it| format!("{it:02x}")).collect();
        assert_eq!(ours, hex, "{name} {width} x {height}");
        lines += 1;
    }
    assert_eq!(lines, 8);
}

#[test]
fn a_png_is_read_exactly_and_a_photograph_upright() {
    let folder = tempfile::tempdir().expect("a folder");
    // The content decides, not the name.
    let path = write(&folder, "a.jpg", &png([20, 10], RGB, &values()));
    assert!(read(&path).expect("a PNG") == picture());
    // Stored as 32 x 16 pixels, red on the left and blue on the right, to be turned clockwise.
    let turned = read(&data("turned.jpg")).expect("a JPEG");
    assert_eq!(turned.size(), [16, 32]);
    let near = |pixel: [u8; 3], colour: [u8; 3]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 8);
    for (i, pixel) in turned.pixels().enumerate() {
        assert!(near(pixel, if i < 16 * 16 { [255, 0, 0] } else { [0, 0, 255] }), "{i}: {pixel:?}");
    }
    let grey = read(&data("grey.jpg")).expect("a JPEG");
    assert!(grey.size() == [16, 16] && grey.pixels().all(|it| near(it, [120; 3])));
}

#[test]
fn transparency_becomes_white_and_other_colours_become_rgb() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = |bytes: &[u8]| {
        let path = write(&folder, "a.png", bytes);
        read(&path).expect("a PNG").pixels().next().expect("a pixel")
    };
    for (alpha, expected) in [(0, [255; 3]), (255, [100, 0, 255]), (51, [224, 204, 255])] {
        let rgba = (ColorType::Rgba, BitDepth::Eight);
        assert_eq!(first(&png([1, 1], rgba, &[100, 0, 255, alpha])), expected, "{alpha}");
    }
    let of = |colour, depth, samples: &[u8]| first(&png([1, 1], (colour, depth), samples));
    assert_eq!(of(ColorType::Grayscale, BitDepth::One, &[0x80]), [255; 3]);
    assert_eq!(of(ColorType::Grayscale, BitDepth::Sixteen, &[40, 200]), [40; 3]);
    assert_eq!(of(ColorType::GrayscaleAlpha, BitDepth::Eight, &[0, 51]), [204; 3]);
    assert_eq!(of(ColorType::Rgb, BitDepth::Sixteen, &[1, 0, 2, 0, 3, 0]), [1, 2, 3]);
}

#[test]
fn broken_files_are_errors_that_name_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let png = png([20, 10], RGB, &values());
    let jpeg = fs::read(data("turned.jpg")).expect("it is in the repository");
    let name = |path: &Path| path.display().to_string();
    for (bytes, known) in [
        (&b""[..], false),
        (b"<svg/>", false),
        (b"GIF89a\x01\0\x01\0", false),
        (b"BM", false),
        (&png[..8], true),
        (&png[..20], true),
        (&png[..png.len() / 2], true),
        (&jpeg[..4], true),
        (&jpeg[..20], true),
    ] {
        let path = write(&folder, "broken", bytes);
        let error = read(&path).expect_err("broken");
        assert_eq!(matches!(error, Error::Decode { .. }), known, "{error}");
        assert!(error.to_string().contains(&name(&path)), "{error}");
    }
    let missing = folder.path().join("missing.png");
    let error = read(&missing).expect_err("missing");
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(&name(&missing)), "{error}");
    assert!(matches!(read(folder.path()).expect_err("a folder"), Error::Io { .. }));
}

/// Any bytes of a valid file may change: the result is an image or an error.
#[test]
fn changed_bytes_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = fs::read(data("turned.jpg")).expect("it is in the repository");
    for bytes in [png([20, 10], RGB, &values()), jpeg] {
        for (at, flip) in (0..bytes.len().min(700)).flat_map(|at| [(at, 0x55), (at, 0xff)]) {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            if let Ok(image) = read(&write(&folder, "changed", &changed)) {
                assert!(image.size().iter().all(|&it| it <= ridgeline_image::MAX_EDGE), "byte {at}");
            }
        }
    }
}

/// The checksum of a PNG chunk (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[test]
fn a_small_file_with_a_huge_image_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = png([20, 10], RGB, &values());
    for (width, height) in [(60_000_u32, 60_000_u32), (1, 40_000), (30_000, 30_000)] {
        let mut bytes = small.clone();
        // The header chunk follows the signature: its length, name, width and height.
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let path = write(&folder, "huge.png", &bytes);
        let error = read(&path).expect_err("too large");
        assert!(matches!(error, Error::Size { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{width} x {height}")), "{error}");
    }
}

#[test]
fn settings_are_those_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = || Settings::read(folder.path(), 512, 64);
    assert_eq!(read().expect("defaults"), Settings::new(512));
    write(
        &folder,
        "processor_config.json",
        br#"{ "image_seq_len": 64, "image_processor": { "do_image_splitting": false, "size": { "longest_edge": 1024 } } }"#,
    );
    let nested = read().expect("the nested form");
    assert_eq!((nested.split, nested.longest_edge), (false, 1024));
    write(
        &folder,
        "preprocessor_config.json",
        br#"{ "do_convert_rgb": true, "do_image_splitting": true, "do_normalize": true, "do_pad": true, "do_rescale": true,
            "do_resize": true, "image_mean": [0.5, 0.4, 0.3], "image_processor_type": "Idefics3ImageProcessor",
            "image_std": [0.5, 0.5, 0.25], "max_image_size": { "longest_edge": 512 }, "resample": 3,
            "rescale_factor": 0.00392156862745098, "size": { "longest_edge": 2048 } }"#,
    );
    let full = read().expect("the published form");
    assert_eq!(
        (full.split, full.longest_edge, full.mean, full.std),
        (true, 2048, [0.5, 0.4, 0.3], [0.5, 0.5, 0.25])
    );
    assert_ne!(full.filter, Settings::new(512).filter);
}

#[test]
fn settings_that_cannot_be_obeyed_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, json) in [
        ("do_resize", "false"),
        ("do_rescale", "0"),
        ("do_normalize", "false"),
        ("max_image_size", r#"{ "longest_edge": 364 }"#),
        ("max_image_size", "512"),
        ("size", r#"{ "height": 512, "width": 512 }"#),
        ("size", r#"{ "longest_edge": 0 }"#),
        ("size", r#"{ "longest_edge": -1 }"#),
        ("resample", "0"),
        ("resample", "4"),
        ("rescale_factor", r#""1/255""#),
        ("image_mean", "[0.5, 0.5]"),
        ("image_std", "[0.5, 0.5, 0]"),
        ("do_image_splitting", r#""yes""#),
    ] {
        let path = write(&folder, "preprocessor_config.json", format!(r#"{{ "{key}": {json} }}"#).as_bytes());
        let error = Settings::read(folder.path(), 512, 64).expect_err(key);
        assert!(matches!(&error, Error::Setting { key: found, .. } if *found == key), "{key}: {error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let broken = write(&folder, "preprocessor_config.json", b"{");
    let error = Settings::read(folder.path(), 512, 64).expect_err("no JSON");
    assert!(error.to_string().contains(&broken.display().to_string()), "{error}");
    write(&folder, "processor_config.json", br#"{ "image_seq_len": 169 }"#);
    let error = Settings::read(folder.path(), 512, 64).expect_err("another encoder");
    assert!(matches!(error, Error::Setting { key: "image_seq_len", .. }), "{error}");
}
