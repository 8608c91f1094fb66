//! Any checkpoint to a GGUF file that llama.cpp reads too.

use std::path::Path;

use ridgeline_quant::Format;

use crate::{
    Checkpoint, Container, Error, Metadata, RopePairing, Tensor, TensorInfo, Value, convention,
    encode::write_tensor, gguf::Writer, hf,
};

/// Writes a checkpoint as GGUF with matrices in `format`. Vectors stay in single precision; a matrix whose rows
/// are not whole blocks of `format` becomes half precision.
///
/// # Errors
/// As [`write_gguf`].
pub fn convert(checkpoint: &Checkpoint, path: &Path, format: Format) -> Result<(), Error> {
    write_gguf(checkpoint, path, |tensor| match tensor.shape {
        [_, .., n_cols] if n_cols.is_multiple_of(format.spec().block_len) => format,
        [_, .., _] => Format::HALF,
        _ => Format::SINGLE,
    })
}

/// Writes a checkpoint as GGUF, each tensor in the format that `format_of` picks for it. Tensors that keep their
/// format are copied; rows of Q and K are permuted where the source pairs `RoPE` elements as Hugging Face does;
/// the vocabulary beside safetensors files goes into the metadata.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoEncoder`]; [`Error::Vocabulary`] for a tokenizer.json that GGUF cannot carry;
/// [`Error::TensorEntry`] for a format whose blocks the rows do not fill.
pub fn write_gguf(
    checkpoint: &Checkpoint,
    path: &Path,
    format_of: impl Fn(TensorInfo<'_>) -> Format,
) -> Result<(), Error> {
    write(checkpoint, path, None, format_of, |_| {})
}

/// How far a conversion has come: told before each tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress<'a> {
    /// The tensor that comes next.
    pub tensor: &'a str,
    /// The format it will have.
    pub format: Format,
    /// Tensors written.
    pub done: usize,
    /// Tensors in all.
    pub total: usize,
}

/// As [`write_gguf`], with a `general.file_type` other than that of the most common format, and with news.
pub(crate) fn write(
    checkpoint: &Checkpoint,
    path: &Path,
    file_type: Option<u32>,
    format_of: impl Fn(TensorInfo<'_>) -> Format,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), Error> {
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let permute = checkpoint.rope_pairing()? == RopePairing::HalfSplit
        && family.gguf_pairing == RopePairing::Interleaved;
    let factors = rope_factors(checkpoint)?;
    let mut plan: Vec<(String, Vec<usize>, Format)> = Vec::new();
    if let Some(factors) = &factors {
        plan.push((convention::ROPE_FREQS.to_owned(), vec![factors.len()], Format::SINGLE));
    }
    for tensor in checkpoint.tensors() {
        let format = format_of(tensor);
        check(path, &tensor, format)?;
        plan.push((tensor.name.to_owned(), tensor.shape.to_vec(), format));
    }
    let metadata = metadata(checkpoint, &plan, file_type)?;
    let mut writer = Writer::create(path, &metadata, &plan)?;
    for (done, (name, _, format)) in plan.iter().enumerate() {
        progress(Progress { tensor: name, format: *format, done, total: plan.len() });
        match &factors {
            Some(factors) if name == convention::ROPE_FREQS => {
                factors.iter().try_for_each(|it| writer.append(&it.to_le_bytes()))?;
            }
            _ => {
                let mut tensor = checkpoint.tensor(name)?;
                if let (true, Some(heads)) = (permute, family.rotary_heads(&metadata, name)?) {
                    interleave(checkpoint.path(), &mut tensor, heads)?;
                }
                write_tensor(&mut writer, checkpoint.path(), &tensor, *format)?;
            }
        }
        writer.pad()?;
    }
    writer.finish()
}

fn check(path: &Path, tensor: &TensorInfo<'_>, format: Format) -> Result<(), Error> {
    let spec = format.spec();
    if tensor.format != format && spec.encode.is_none() {
        let tensor = tensor.name.to_owned();
        return Err(Error::NoEncoder { path: path.to_owned(), tensor, format: spec.name });
    }
    if !tensor.shape.last().is_some_and(|it| it.is_multiple_of(spec.block_len)) {
        let problem = "its rows are not whole blocks of the wanted format";
        return Err(Error::TensorEntry { path: path.to_owned(), tensor: tensor.name.to_owned(), problem });
    }
    Ok(())
}

/// The frequency divisors that GGUF keeps as a tensor and this checkpoint only as parameters.
fn rope_factors(checkpoint: &Checkpoint) -> Result<Option<Vec<f32>>, Error> {
    let stored = checkpoint.has(convention::ROPE_FREQS);
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let kind = checkpoint.metadata().find::<&str>(&family.key("rope.scaling.type"))?;
    if stored || kind != Some("llama3") { Ok(None) } else { checkpoint.rope_freq_factors() }
}

/// The metadata of the new file: what the source says, its vocabulary, and what describes the new encoding.
fn metadata(
    checkpoint: &Checkpoint,
    plan: &[(String, Vec<usize>, Format)],
    file_type: Option<u32>,
) -> Result<Metadata, Error> {
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let mut metadata = checkpoint.metadata().clone();
    // llama.cpp knows linear scaling by its parameters; other kinds are the tensor of divisors, or nothing. What a
    // GGUF file says is already in its words.
    if checkpoint.container() != Container::Gguf
        && metadata.find::<&str>(&family.key("rope.scaling.type"))? != Some("linear")
    {
        let scaling = family.key("rope.scaling.");
        metadata.retain(|key| !key.starts_with(&scaling));
    }
    metadata.retain(|key| key != "general.alignment");
    // The format that most weights have is the one the file is known by.
    let weights_in = |format: Format| -> usize {
        plan.iter().filter(|it| it.2 == format).map(|(_, shape, _)| shape.iter().product::<usize>()).sum()
    };
    let main = Format::ALL.iter().copied().max_by_key(|&it| weights_in(it)).unwrap_or(Format::SINGLE);
    metadata.set("general.file_type", Value::U32(file_type.unwrap_or(main.spec().gguf_file_type)));
    metadata.set("general.quantization_version", Value::U32(2));
    match checkpoint.tokenizer_json() {
        Some(tokenizer) => {
            let n_vocab = checkpoint.tensor(convention::EMBEDDING)?.shape[0];
            hf::vocabulary(tokenizer, &mut metadata, n_vocab)?;
        }
        None if checkpoint.container() == Container::Random => {
            metadata.set("tokenizer.ggml.model", Value::Str("no_vocab".to_owned()));
        }
        None => {}
    }
    Ok(metadata)
}

/// Reorders the rows of each head from halves (`i`, `i + w/2`) to neighbours (`2i`, `2i + 1`), w rows per head.
fn interleave(path: &Path, tensor: &mut Tensor<'_>, heads: usize) -> Result<(), Error> {
    let rows = tensor.shape[0];
    if heads == 0 || !rows.is_multiple_of(2 * heads) {
        let problem = "its rows do not divide into heads of an even width";
        return Err(Error::TensorEntry { path: path.to_owned(), tensor: tensor.name.to_owned(), problem });
    }
    let width = rows / heads;
    let row_bytes = tensor.bytes.len() / rows;
    let mut reordered = Vec::with_capacity(tensor.bytes.len());
    for row in 0..rows {
        let (head, i) = (row / width, row % width);
        let from = head * width + (i % 2) * (width / 2) + i / 2;
        reordered.extend_from_slice(&tensor.bytes[from * row_bytes..][..row_bytes]);
    }
    tensor.bytes = reordered.into();
    Ok(())
}
