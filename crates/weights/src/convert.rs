//! Conversion of any checkpoint to a GGUF file that llama.cpp can read.

use std::path::Path;

use ridgeline_quant::Format;

use crate::{
    Checkpoint, Container, Error, Metadata, Quantization, RopePairing, Tensor, TensorInfo, Value, convention,
    encode::{sample, write_tensor},
    gather::Order,
    gguf::{Writer, header},
    hf,
};

/// Writes a checkpoint as GGUF with quantized matrices. Norms and biases are in single precision.
///
/// # Errors
/// As [`write_gguf`] and [`Quantization::formats`].
pub fn convert(
    checkpoint: &Checkpoint,
    path: &Path,
    quantization: impl Into<Quantization>,
) -> Result<(), Error> {
    quantized(checkpoint, path, quantization.into(), true)
}

/// [`convert`] without the vocabulary of a folder, which GGUF cannot always represent. Open the file with
/// [`Checkpoint::with_vocabulary_of`].
///
/// # Errors
/// As [`convert`].
pub fn convert_weights(
    checkpoint: &Checkpoint,
    path: &Path,
    quantization: impl Into<Quantization>,
) -> Result<(), Error> {
    quantized(checkpoint, path, quantization.into(), false)
}

/// [`convert`] with or without the vocabulary.
fn quantized(
    checkpoint: &Checkpoint,
    path: &Path,
    quantization: Quantization,
    vocabulary: bool,
) -> Result<(), Error> {
    let formats = quantization.formats(checkpoint)?;
    let how = How { file_type: quantization.file_type(), vocabulary };
    write(checkpoint, path, how, |it| formats[it.name], |_| {})
}

/// What a file is written with.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// `general.file_type`; `None` for that of the most common type.
    pub(crate) file_type: Option<u32>,
    /// Whether the vocabulary of a folder is converted too.
    pub(crate) vocabulary: bool,
}

/// A fingerprint of the file that [`convert_weights`] would write, for a cache of converted files. It consists of the
/// file's header and a sample from each needed encoder. So it changes when a new build would write another file for the same
/// weights. `path` is the file named in errors.
///
/// # Errors
/// As [`convert_weights`], except for errors of writing.
pub fn fingerprint(
    checkpoint: &Checkpoint,
    path: &Path,
    quantization: impl Into<Quantization>,
) -> Result<Vec<u8>, Error> {
    let quantization = quantization.into();
    let formats = quantization.formats(checkpoint)?;
    let how = How { file_type: quantization.file_type(), vocabulary: false };
    let plan = Plan::of(checkpoint, path, how, |it| formats[it.name])?;
    let mut bytes = header(path, &plan.metadata, &plan.tensors)?;
    for format in Format::ALL {
        if plan.tensors.iter().any(|it| it.2 == *format) {
            bytes.extend(sample(format.spec()));
        }
    }
    Ok(bytes)
}

/// Writes a checkpoint as GGUF, each tensor in the type that `format_of` returns. Tensors that keep their type are
/// copied. Rows of Q and K are permuted from Hugging Face's `RoPE` pairing to GGUF's. The vocabulary of a
/// tokenizer.json goes into the metadata.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoEncoder`]; [`Error::Vocabulary`] for a tokenizer.json that GGUF cannot represent;
/// [`Error::TensorEntry`] for a type of whose blocks the rows are no multiple.
pub fn write_gguf(
    checkpoint: &Checkpoint,
    path: &Path,
    format_of: impl Fn(TensorInfo<'_>) -> Format,
) -> Result<(), Error> {
    write(checkpoint, path, How { file_type: None, vocabulary: true }, format_of, |_| {})
}

/// The progress of a conversion, reported before each tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress<'a> {
    /// The next tensor.
    pub tensor: &'a str,
    /// Its quantization type in the file.
    pub format: Format,
    /// Tensors written.
    pub done: usize,
    /// All tensors.
    pub total: usize,
}

/// [`write_gguf`] with a callback and a choice of the rest.
pub(crate) fn write(
    checkpoint: &Checkpoint,
    path: &Path,
    how: How,
    format_of: impl Fn(TensorInfo<'_>) -> Format,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), Error> {
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let permute = checkpoint.rope_pairing()? == RopePairing::HalfSplit
        && family.gguf_pairing == RopePairing::Interleaved;
    let Plan { factors, tensors, metadata } = Plan::of(checkpoint, path, how, format_of)?;
    let mut writer = Writer::create(path, &header(path, &metadata, &tensors)?)?;
    for (done, (name, _, format)) in tensors.iter().enumerate() {
        progress(Progress { tensor: name, format: *format, done, total: tensors.len() });
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

/// The header of a file, known before any weight is read.
struct Plan {
    /// Frequency divisors that are written as `rope_freqs.weight`.
    factors: Option<Vec<f32>>,
    /// Name, shape (outermost first) and format, in file order.
    tensors: Vec<(String, Vec<usize>, Format)>,
    metadata: Metadata,
}

impl Plan {
    fn of(
        checkpoint: &Checkpoint,
        path: &Path,
        how: How,
        format_of: impl Fn(TensorInfo<'_>) -> Format,
    ) -> Result<Self, Error> {
        let factors = rope_factors(checkpoint)?;
        let mut tensors = Vec::new();
        if let Some(factors) = &factors {
            tensors.push((convention::ROPE_FREQS.to_owned(), vec![factors.len()], Format::SINGLE));
        }
        for tensor in checkpoint.tensors() {
            let format = format_of(tensor);
            check(path, &tensor, format)?;
            tensors.push((tensor.name.to_owned(), tensor.shape.to_vec(), format));
        }
        let metadata = metadata(checkpoint, &tensors, how)?;
        Ok(Self { factors, tensors, metadata })
    }
}

fn check(path: &Path, tensor: &TensorInfo<'_>, format: Format) -> Result<(), Error> {
    let spec = format.spec();
    if tensor.format != format && spec.encode.is_none() {
        let tensor = tensor.name.to_owned();
        return Err(Error::NoEncoder { path: path.to_owned(), tensor, format: spec.name });
    }
    if !tensor.shape.last().is_some_and(|it| it.is_multiple_of(spec.block_len)) {
        let problem = "its rows are not whole blocks of the wanted quantization type";
        return Err(Error::TensorEntry { path: path.to_owned(), tensor: tensor.name.to_owned(), problem });
    }
    Ok(())
}

/// Llama 3's frequency divisors, if the checkpoint has only the parameters of the scaling.
fn rope_factors(checkpoint: &Checkpoint) -> Result<Option<Vec<f32>>, Error> {
    let stored = checkpoint.has(convention::ROPE_FREQS);
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let kind = checkpoint.metadata().find::<&str>(&family.key("rope.scaling.type"))?;
    if stored || kind != Some("llama3") { Ok(None) } else { checkpoint.rope_freq_factors() }
}

/// The metadata of the new file: those of the source, its vocabulary, and the new quantization.
fn metadata(
    checkpoint: &Checkpoint,
    plan: &[(String, Vec<usize>, Format)],
    how: How,
) -> Result<Metadata, Error> {
    let family = convention::family(checkpoint.path(), checkpoint.metadata())?;
    let mut metadata = checkpoint.metadata().clone();
    // llama.cpp reads the parameters of linear scaling and YaRN; llama3 scaling is the tensor `rope_freqs.weight`.
    // The keys of a GGUF source are valid already.
    let kind = metadata.find::<&str>(&family.key("rope.scaling.type"))?;
    let yarn = kind == Some("yarn");
    if checkpoint.container() != Container::Gguf && !yarn && kind != Some("linear") {
        let scaling = family.key("rope.scaling.");
        metadata.retain(|key| !key.starts_with(&scaling));
    }
    metadata.retain(|key| key != "general.alignment" && !key.starts_with("split."));
    // llama.cpp computes the scale of attention from YaRN's parameters, and so do we when the file is opened.
    if yarn && family.has_key(crate::rope::YARN_MAGNITUDE) {
        metadata.retain(|key| key != family.key("attention.scale"));
    }
    // To llama.cpp, these keys say that MLA's projections are split. They are added to files of before when opened.
    if !checkpoint.tensors().any(|it| it.name.ends_with(".attn_k_b.weight")) {
        metadata.retain(|key| !key.ends_with("_length_mla"));
    }
    // The file type is that of most weights.
    let weights_in = |format: Format| -> usize {
        plan.iter().filter(|it| it.2 == format).map(|(_, shape, _)| shape.iter().product::<usize>()).sum()
    };
    let there = Format::ALL.iter().copied().filter(|&it| weights_in(it) > 0);
    let main = there.max_by_key(|&it| weights_in(it)).unwrap_or(Format::SINGLE);
    metadata.set("general.file_type", Value::U32(how.file_type.unwrap_or(main.spec().gguf_file_type)));
    metadata.set("general.quantization_version", Value::U32(2));
    match checkpoint.tokenizer_json() {
        Some(tokenizer) if how.vocabulary => {
            let n_vocab = checkpoint.tensor(convention::EMBEDDING)?.shape[0];
            hf::vocabulary(tokenizer, &mut metadata, n_vocab)?;
        }
        // A tokenizer.model is in the metadata already.
        None if checkpoint.container() == Container::Gguf || metadata.has("tokenizer.ggml.tokens") => {}
        _ => metadata.set("tokenizer.ggml.model", Value::Str("no_vocab".to_owned())),
    }
    Ok(metadata)
}

/// Interleaves the pairs of each head.
fn interleave(path: &Path, tensor: &mut Tensor<'_>, heads: usize) -> Result<(), Error> {
    let rows = tensor.shape[0];
    let Some(order) = Order::interleaved(rows, heads) else {
        let problem = "its rows do not divide into heads of an even width";
        return Err(Error::TensorEntry { path: path.to_owned(), tensor: tensor.name.to_owned(), problem });
    };
    tensor.bytes = order.apply(&tensor.bytes, tensor.bytes.len() / rows).into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize;
    use ridgeline_quant::Mix;

    /// A model file with these tensors, all zero.
    fn file(path: &Path, tensors: &[(&str, &[usize])]) -> Checkpoint {
        let mut metadata = Metadata::new(path, Vec::new());
        metadata.set("general.architecture", Value::Str("llama".to_owned()));
        for key in [
            "block_count",
            "context_length",
            "embedding_length",
            "feed_forward_length",
            "attention.head_count",
        ] {
            metadata.set(format!("llama.{key}"), Value::U32(1));
        }
        metadata.set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
        let tensor = |it: &(&str, &[usize])| (it.0.to_owned(), it.1.to_vec(), Format::SINGLE);
        let tensors: Vec<_> = tensors.iter().map(tensor).collect();
        let mut writer = Writer::create(path, &header(path, &metadata, &tensors).unwrap()).unwrap();
        for (_, shape, _) in &tensors {
            writer.append(&vec![0; 4 * shape.iter().product::<usize>()]).unwrap();
            writer.pad().unwrap();
        }
        writer.finish().unwrap();
        Checkpoint::open(path).unwrap()
    }

    #[test]
    fn a_file_without_matrices_has_a_type_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|it| folder.path().join(it));
        let norm: (&str, &[usize]) = ("output_norm.weight", &[32]);
        for tensors in [&[][..], &[norm]] {
            let source = file(&from, tensors);
            let file_type = || Checkpoint::open(&to).unwrap().metadata().u32("general.file_type").unwrap();
            for &format in Format::ALL {
                convert(&source, &to, format).unwrap();
                assert_eq!(file_type(), Format::SINGLE.spec().gguf_file_type, "{format}");
            }
            for mix in Mix::ALL {
                quantize(&source, &to, mix, false, |_| {}).unwrap();
                assert_eq!(file_type(), mix.gguf_file_type, "{mix}");
            }
            assert_eq!(Checkpoint::open(&to).unwrap().tensors().count(), tensors.len());
        }
    }

    #[test]
    fn a_fingerprint_depends_on_the_source_the_quantization_and_the_encoders() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|it| folder.path().join(it));
        let matrices: [(&str, &[usize]); 2] =
            [("blk.0.ffn_up.weight", &[4, 256]), ("output.weight", &[4, 256])];
        let source = file(&from, &matrices);
        let quantizations = || {
            let formats = Format::ALL.iter().filter(|it| it.in_gguf()).copied().map(Quantization::from);
            formats.chain(Mix::ALL.iter().filter(|it| it.name.contains("_K_")).map(Quantization::from))
        };
        let prints: Vec<_> = quantizations().map(|it| fingerprint(&source, &to, it).unwrap()).collect();
        for (i, (print, quantization)) in prints.iter().zip(quantizations()).enumerate() {
            assert!(!prints[..i].contains(print), "{quantization}: a duplicate");
            assert_eq!(*print, fingerprint(&source, &to, quantization).unwrap(), "{quantization}: twice");
            convert(&source, &to, quantization).unwrap();
            assert!(
                std::fs::read(&to).unwrap().starts_with(&print[..64]),
                "{quantization}: the file's own header"
            );
            for format in quantization.formats(&source).unwrap().values() {
                let encoder = sample(format.spec());
                assert!(print.windows(encoder.len()).any(|it| it == encoder), "{quantization}: {format}");
            }
        }
        let other = file(&from, &matrices[..1]);
        assert_ne!(prints[0], fingerprint(&other, &to, Format::SINGLE).unwrap());
    }
}
