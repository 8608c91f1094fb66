//! Properties of the reader and writer for any small GGUF file or folder, valid or damaged; shared by the example `fuzz_gguf` and
//! the test `fuzz`.
//!
//! `random_input` builds the files without the crate's writer, so the reader is tested independently.
//! The seed determines the input, so that a failure is reproduced from its seed.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, Value, convert, write_gguf};
use serde_json::Value as Json;

use crate::random_input::{InputRng, Model};
use crate::random_json::damaged;

/// A fuzz target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Read, write and read again: every key and byte must be equal.
    RoundTrip,
    /// Files with flipped bits, replaced bytes or a missing end: a result or an error, but no panic.
    Damaged,
    /// A folder whose config.json has values of another kind: a result or an error, but no panic.
    Config,
    /// A folder with such a tokenizer.json, converted: what is written can be opened.
    Tokenizer,
}

impl Target {
    pub(crate) const ALL: [Self; 4] = [Self::RoundTrip, Self::Damaged, Self::Config, Self::Tokenizer];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "round-trip",
            Self::Damaged => "damaged",
            Self::Config => "config",
            Self::Tokenizer => "tokenizer",
        }
    }
}

/// The files of one run, in a folder that should be a memory file system.
pub(crate) struct Files {
    by_hand: PathBuf,
    written: PathBuf,
    /// A folder with a small model.
    folder: PathBuf,
    config: Json,
    /// A byte-level tokenizer and a SentencePiece one.
    tokenizers: [Json; 2],
}

/// A small model of the repository.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/tests/data/llama");
/// A small SentencePiece vocabulary of the repository.
const SENTENCEPIECE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../text/tests/data/sentencepiece.json");

/// Keys of config.json that other families obey, or that change the arithmetic.
const KEYS: [&str; 14] = [
    "rope_scaling",
    "rope_parameters",
    "sliding_window",
    "layer_types",
    "head_dim",
    "num_experts",
    "num_local_experts",
    "quantization",
    "quantization_config",
    "text_config",
    "partial_rotary_factor",
    "hidden_activation",
    "max_window_layers",
    "kv_lora_rank",
];

impl Files {
    pub(crate) fn within(folder: &Path) -> Self {
        let read = |path: &Path| -> Json {
            let text = fs::read(path).expect("it is in the repository");
            serde_json::from_slice(&text).expect("it is JSON")
        };
        let (from, to) = (Path::new(MODEL), folder.join("model"));
        fs::create_dir_all(&to).expect("there is room for a folder");
        for name in ["config.json", "model.safetensors"] {
            fs::copy(from.join(name), to.join(name)).expect("there is room for a small model");
        }
        Self {
            by_hand: folder.join("by_hand.gguf"),
            written: folder.join("written.gguf"),
            folder: to,
            config: read(&from.join("config.json")),
            tokenizers: [
                read(&from.join("tokenizer.json")),
                read(Path::new(SENTENCEPIECE))["tokenizer"].clone(),
            ],
        }
    }
}

/// Checks the input of one seed; returns the violated property, or whether the file could be opened.
pub(crate) fn check(target: Target, files: &Files, seed: u64) -> Result<bool, String> {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut rng = InputRng::new(seed);
        match target {
            Target::RoundTrip => {
                let model = Model::random(&mut rng);
                save(&files.by_hand, &model.bytes())?;
                round_trip(&model, files).map(|()| true)
            }
            Target::Damaged => {
                let mut bytes = Model::random(&mut rng).bytes();
                damage(&mut bytes, &mut rng);
                save(&files.by_hand, &bytes)?;
                read_whatever_it_is(&files.by_hand)
            }
            Target::Config => {
                let bytes = damaged(&files.config, &KEYS, &mut |n| rng.below(n));
                save(&files.folder.join("config.json"), &bytes)?;
                read_whatever_it_is(&files.folder)
            }
            Target::Tokenizer => {
                let base = &files.tokenizers[rng.below(2)];
                let bytes = damaged(base, &["dropout", "ignore_merges"], &mut |n| rng.below(n));
                save(&files.folder.join("config.json"), files.config.to_string().as_bytes())?;
                save(&files.folder.join("tokenizer.json"), &bytes)?;
                convert_whatever_it_is(files)
            }
        }
    }));
    tried.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!(
            "panicked: {}",
            text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
        ))
    })
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), String> {
    // A new inode, because a mapping of an earlier input must not see the file shrink.
    let removed = if path.exists() { fs::remove_file(path) } else { Ok(()) };
    removed.and_then(|()| fs::write(path, bytes)).map_err(|error| format!("{}: {error}", path.display()))
}

fn damage(bytes: &mut Vec<u8>, rng: &mut InputRng) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(6) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] = rng.one_of(&[0, 0xff, 0x7f, 0x80]),
            2 => {
                let number = rng.one_of(&[0, u64::MAX, 1 << 63, 1 << 32, u64::MAX - 31]).to_le_bytes();
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
            // Every later offset depends on the counts and the first key.
            3 => {
                let at = rng.below(bytes.len().min(64));
                bytes[at] ^= 1 << rng.below(8);
            }
            _ => bytes[at] ^= 1 << rng.below(8),
        }
    }
}

/// Calls every method of a checkpoint; errors are allowed.
fn read_whatever_it_is(path: &Path) -> Result<bool, String> {
    let checkpoint = match Checkpoint::open(path) {
        Ok(it) => it,
        Err(error) if error.to_string().contains("panicked") => return Err(error.to_string()),
        Err(_) => return Ok(false),
    };
    for info in checkpoint.tensors() {
        let tensor = checkpoint.tensor(info.name).map_err(|error| error.to_string())?;
        if tensor.bytes.len() as u64 != info.bytes || tensor.to_f32().len() as u64 != info.n_weights() {
            return Err(format!(
                "tensor `{}` has {} bytes, not {}",
                info.name,
                tensor.bytes.len(),
                info.bytes
            ));
        }
    }
    // These depend on metadata, so an error is correct too.
    let _ = (checkpoint.rope_pairing(), checkpoint.rope_freq_factors());
    Ok(true)
}

/// Converts a folder. A tokenizer that cannot be carried is an error, and leaves no file.
fn convert_whatever_it_is(files: &Files) -> Result<bool, String> {
    let checkpoint = Checkpoint::open(&files.folder).map_err(|error| error.to_string())?;
    if files.written.exists() {
        fs::remove_file(&files.written).map_err(|error| error.to_string())?;
    }
    if convert(&checkpoint, &files.written, Format::HALF).is_err() {
        let left = files.written.exists();
        return if left { Err("a file is left behind".to_owned()) } else { Ok(false) };
    }
    let written = Checkpoint::open(&files.written).map_err(|error| format!("written: {error}"))?;
    let tokens = written.metadata().get::<&[String]>("tokenizer.ggml.tokens").map(<[String]>::len);
    let rows =
        checkpoint.tensor("token_embd.weight").map(|it| it.shape[0]).map_err(|error| error.to_string())?;
    if tokens.as_ref().ok() == Some(&rows) {
        Ok(true)
    } else {
        Err(format!("{tokens:?} tokens for {rows} rows"))
    }
}

fn round_trip(model: &Model, files: &Files) -> Result<(), String> {
    let open = |path: &Path| Checkpoint::open(path).map_err(|error| format!("cannot be read: {error}"));
    let read = open(&files.by_hand)?;
    model.compare(&read, |_| false).map_err(|problem| format!("made by hand: {problem}"))?;
    let format_of = |name: &str| {
        let tensor = read.tensors().find(|it| it.name == name);
        tensor.map(|it| it.format).expect("the writer asks about tensors of the file")
    };
    write_gguf(&read, &files.written, |tensor| format_of(tensor.name))
        .map_err(|error| format!("cannot be written: {error}"))?;
    let again = open(&files.written)?;
    model.compare(&again, described_anew).map_err(|problem| format!("written: {problem}"))?;
    describes_itself(&again)
}

/// Keys about the encoding of the file, which the writer sets.
fn described_anew(key: &str) -> bool {
    ["general.alignment", "general.file_type", "general.quantization_version"].contains(&key)
}

/// The file type is that of a most common type.
fn describes_itself(checkpoint: &Checkpoint) -> Result<(), String> {
    let weights_in = |format: Format| -> u64 {
        checkpoint.tensors().filter(|it| it.format == format).map(|it| it.n_weights()).sum()
    };
    let most = Format::ALL.iter().map(|&it| weights_in(it)).max().unwrap_or(0);
    let stated = checkpoint.metadata().value("general.file_type");
    let fits =
        |&&it: &&Format| stated == Some(&Value::U32(it.spec().gguf_file_type)) && weights_in(it) == most;
    match Format::ALL.iter().find(fits) {
        Some(_) if !checkpoint.metadata().has("general.alignment") => Ok(()),
        Some(_) => Err("written: the source's alignment is stated".to_owned()),
        None => Err(format!("written: the file type is {stated:?}")),
    }
}
