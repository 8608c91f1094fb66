//! `run --image`.

use crate::Test;
use crate::program::{Done, ids, on_cpu, repository};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const TESTS: &[Test] = &[
    ("an_image_takes_the_place_of_its_placeholder", an_image_takes_the_place_of_its_placeholder),
    ("a_large_image_is_split_into_tiles", a_large_image_is_split_into_tiles),
    ("the_encoder_may_be_in_a_file_of_its_own", the_encoder_may_be_in_a_file_of_its_own),
    ("a_chat_begins_with_its_images", a_chat_begins_with_its_images),
    ("images_that_cannot_be_shown_are_refused", images_that_cannot_be_shown_are_refused),
];

/// The id of the placeholder in the small model.
const PLACEHOLDER: u64 = 1;

/// Embeddings of a tile of the small model.
const PER_TILE: usize = 4;

/// A small model that sees images, with a vocabulary.
fn model() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let data = repository("crates/model/tests/data");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(data.join("smolvlm").join(file), folder.path().join(file)).expect("a file");
    }
    // The vocabulary of the other small models has a token for images under another name.
    let text = fs::read_to_string(data.join("llama/tokenizer.json")).expect("it is in the repository");
    fs::write(folder.path().join("tokenizer.json"), text.replace("<|image|>", "<image>")).expect("a file");
    settings(folder.path(), 64);
    folder
}

/// Lets images have this longest edge before they are split.
fn settings(folder: &Path, longest: u32) {
    let json = json!({ "size": { "longest_edge": longest }, "max_image_size": { "longest_edge": 64 } });
    fs::write(folder.join("preprocessor_config.json"), json.to_string()).expect("a file");
}

/// A picture of one colour with a white left edge.
fn picture(folder: &Path, name: &str, colour: [u8; 3]) -> PathBuf {
    let path = folder.join(name);
    let mut encoder = png::Encoder::new(fs::File::create(&path).expect("a file"), 40, 20);
    encoder.set_color(png::ColorType::Rgb);
    let row = [[255; 3].repeat(8), colour.repeat(32)].concat();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&row.repeat(20)).expect("pixels");
    writer.finish().expect("an end");
    path
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(model: &Path, more: &[&str]) -> Done {
    on_cpu(&[&["run", "-m", text_of(model), "--temp", "0", "-n", "6", "--json"], more].concat())
}

/// Where the prompt of an output has placeholders.
fn placeholders(output: &Value) -> Vec<usize> {
    let prompt = ids(&output["prompt_tokens"]);
    (0..prompt.len()).filter(|&i| prompt[i] == PLACEHOLDER).collect()
}

fn an_image_takes_the_place_of_its_placeholder() {
    let folder = model();
    let [red, blue] = [("red.png", [255, 0, 0]), ("blue.png", [0, 0, 255])]
        .map(|(name, colour)| picture(folder.path(), name, colour));
    let [red, blue] = [&red, &blue].map(|it| text_of(it));
    let one = run(folder.path(), &["--image", red, "-p", "What is <image>here?"]).json();
    assert_eq!((&one["images"]["tiles"], &one["images"]["embeddings"]), (&json!(1), &json!(PER_TILE)));
    let at = placeholders(&one);
    assert_eq!(at, (at[0]..at[0] + PER_TILE).collect::<Vec<_>>());
    assert_eq!(ids(&one["tokens"]).len(), 6);
    let first = run(folder.path(), &["--image", red, "-p", "here?"]).json();
    assert!(placeholders(&first)[0] < at[0], "without a placeholder the image comes first");
    // Two images are at their places in order: exchanged, they give another text.
    let two = |a, b| run(folder.path(), &["--image", a, "--image", b, "-p", "<image> or <image>"]).json();
    let (there, back) = (two(red, blue), two(blue, red));
    assert_eq!(there["images"]["tiles"], 2);
    assert_eq!(there["prompt_tokens"], back["prompt_tokens"]);
    let same = two(red, blue);
    assert_eq!(there["tokens"], same["tokens"]);
}

fn a_large_image_is_split_into_tiles() {
    let folder = model();
    settings(folder.path(), 128);
    let red = picture(folder.path(), "red.png", [255, 0, 0]);
    let got = run(folder.path(), &["--image", text_of(&red), "-p", "x"]).json();
    // 40 x 20 becomes 128 x 64: two tiles and the whole image.
    assert_eq!(got["images"]["tiles"], 3);
    assert_eq!(placeholders(&got).len(), 3 * PER_TILE);
    let summary =
        on_cpu(&["run", "-m", text_of(folder.path()), "--image", text_of(&red), "-p", "x", "-n", "1"]);
    assert!(summary.stderr.contains("image encode time"), "{}", summary.stderr);
    assert!(!summary.stderr.contains("only the text part runs"), "{}", summary.stderr);
}

fn the_encoder_may_be_in_a_file_of_its_own() {
    let folder = model();
    let red = picture(folder.path(), "red.png", [255, 0, 0]);
    let [text, mmproj] = ["text.gguf", "mmproj.gguf"].map(|name| folder.path().join(name));
    let whole = ridgeline_weights::Checkpoint::open(folder.path()).expect("the text part");
    ridgeline_weights::write_gguf(&whole, &text, |it| it.format).expect("a file");
    let encoder = ridgeline_weights::Checkpoint::open_vision(folder.path()).expect("a valid folder");
    ridgeline_weights::write_gguf(&encoder.expect("an encoder"), &mmproj, |it| it.format).expect("a file");
    settings(folder.path(), 256);
    let more = ["--image", text_of(&red), "-p", "x"];
    // Without settings in the file, an image has up to four tiles along an edge, like that of these settings.
    let split = run(folder.path(), &more).json();
    let got = run(&text, &[&more[..], &["--mmproj", text_of(&mmproj)]].concat()).json();
    assert_eq!(got["images"]["tiles"], 9);
    assert_eq!((&got["prompt_tokens"], &got["tokens"]), (&split["prompt_tokens"], &split["tokens"]));
    run(&text, &more).fails(2, &["text.gguf", "no image encoder", "--mmproj"]);
    run(&text, &[&more[..], &["--mmproj", text_of(&text)]].concat())
        .fails(2, &["text.gguf", "no image encoder"]);
    run(&mmproj, &["-p", "x"]).fails(1, &["mmproj.gguf", "clip"]);
}

fn a_chat_begins_with_its_images() {
    let folder = model();
    let red = picture(folder.path(), "red.png", [255, 0, 0]);
    let template = |text: &str| {
        fs::write(folder.path().join("chat_template.jinja"), text).expect("a file");
    };
    let chat = ["--chat", "--single-turn", "--image", text_of(&red), "-p", "hello"];
    template(
        "{% for m in messages %}{{ m.role }}:{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}\
         {% elif part.type == 'image' %}<image>{% endif %}{% endfor %};{% endfor %}",
    );
    let parts = run(folder.path(), &chat).json();
    assert_eq!(parts["turns"][0]["tokens"].as_array().map(Vec::len), Some(6));
    assert_eq!(parts["images"]["embeddings"], PER_TILE);
    assert_eq!(
        (&parts["messages"][0]["content"], &parts["messages"][0]["images"]),
        (&json!("hello"), &json!(1))
    );
    template("{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}");
    let text = run(folder.path(), &chat).json();
    let turn = |it: &Value| (it["turns"][0]["prompt_tokens"].clone(), it["turns"][0]["tokens"].clone());
    assert_eq!(turn(&parts), turn(&text));
    let plain = run(folder.path(), &["--image", text_of(&red), "-p", "user:<image>hello;"]).json();
    assert_eq!(turn(&text), (plain["prompt_tokens"].clone(), plain["tokens"].clone()));
    let placed = [&chat[..5], &["hello <image>"]].concat();
    run(folder.path(), &placed).fails(2, &["leave out <image>"]);
}

fn images_that_cannot_be_shown_are_refused() {
    let folder = model();
    let red = picture(folder.path(), "red.png", [255, 0, 0]);
    let red = text_of(&red);
    let refused = |more: &[&str], code, parts: &[&str]| run(folder.path(), more).fails(code, parts);
    refused(&["--image", red, "-p", "<image><image>"], 2, &["2 times <image>", "1 images"]);
    refused(&["--image", red, "--image", red, "-p", "<image>"], 2, &["1 times <image>", "2 images"]);
    refused(&["--image", "missing.png", "-p", "x"], 1, &["missing.png"]);
    refused(&["--mmproj", "x.gguf", "-p", "x"], 2, &["--image"]);
    refused(&["--image", red, "--mmproj", "missing.gguf", "-p", "x"], 2, &["missing.gguf"]);
    let broken = folder.path().join("broken.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\n").expect("a file");
    refused(&["--image", text_of(&broken), "-p", "x"], 1, &["broken.png", "decoded"]);
    let blind = on_cpu(&["run", "-m", "tiny-draft", "--image", red, "-p", "x"]);
    blind.fails(2, &["tiny-draft", "no image encoder"]);
    // A tile that the encoder does not take, and an encoder that no layer here computes.
    let settings = r#"{ "max_image_size": { "longest_edge": 512 } }"#;
    fs::write(folder.path().join("preprocessor_config.json"), settings).expect("a file");
    refused(&["--image", red, "-p", "x"], 1, &["preprocessor_config.json", "max_image_size", "64"]);
    let path = folder.path().join("config.json");
    let config = fs::read_to_string(&path).expect("a file");
    fs::write(&path, config.replace("gelu_pytorch_tanh", "quick_gelu")).expect("a file");
    refused(&["--image", red, "-p", "x"], 1, &["config.json", "hidden_act", "quick_gelu"]);
    fs::write(&path, config.replace("\"image_size\": 64", "\"image_size\": 80")).expect("a file");
    refused(&["--image", red, "-p", "x"], 1, &["projector.scale_factor", "divide"]);
}
