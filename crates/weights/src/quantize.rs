//! Quantization of a checkpoint by a mix, like llama.cpp's `llama-quantize`.

use std::{collections::HashMap, path::Path};

use ridgeline_quant::{Format, Mix, ModelTraits, TensorCategory};

use crate::{
    Checkpoint, Error, Progress, convention,
    convert::{How, write},
    layer::layer_of,
};

/// llama.cpp never quantizes tensors with these in their names: norms, routers, and the filters of convolutions.
const KEPT: &[&str] = &["_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d.weight"];

/// Whether a tensor is quantized. One row is a vector to llama.cpp, which quantizes matrices only.
pub(crate) fn is_quantized(name: &str, shape: &[usize]) -> bool {
    let rows: usize = shape.iter().rev().skip(1).product();
    rows > 1 && name.ends_with("weight") && !KEPT.iter().any(|kept| name.contains(kept))
}

/// Writes a checkpoint as GGUF by a mix; `pure` uses its base type for all matrices. Tensors that are not quantized
/// are written in single precision. `progress` is called before each tensor.
///
/// # Errors
/// As [`write_gguf`](crate::write_gguf), and [`Error::NotFinite`] for a weight that no block can hold.
pub fn quantize(
    checkpoint: &Checkpoint,
    path: &Path,
    mix: &Mix,
    pure: bool,
    progress: impl FnMut(Progress<'_>),
) -> Result<(), Error> {
    let formats = formats(checkpoint, mix, pure)?;
    let how = How { file_type: Some(mix.gguf_file_type), vocabulary: true };
    write(checkpoint, path, how, |it| formats[it.name], progress)
}

/// The type that a mix gives to every tensor of a checkpoint, by its name.
///
/// # Errors
/// [`Error::MissingKey`] or [`Error::KeyType`] if the metadata lack a property that mixes depend on.
pub fn formats<'a>(
    checkpoint: &'a Checkpoint,
    mix: &Mix,
    pure: bool,
) -> Result<HashMap<&'a str, Format>, Error> {
    let tied = checkpoint.tied_head();
    let mut matrices: Vec<_> = checkpoint
        .tensors()
        .filter(|it| is_quantized(it.name, it.shape))
        .map(|it| (layer_of(it.name).map_or(0, |it| it.0), it))
        .collect();
    // Mixes count matrices in layer order; files may list them in any order.
    matrices.sort_by_key(|it| it.0);
    let n_values = matrices.iter().filter(|it| role(it.1.name, tied) == TensorCategory::Value).count();
    let model = traits(checkpoint, n_values)?;
    let mut formats: HashMap<_, _> = checkpoint.tensors().map(|it| (it.name, Format::SINGLE)).collect();
    let mut counts = HashMap::new();
    for (layer, tensor) in matrices {
        let role = role(tensor.name, tied);
        let count = counts.entry(role).or_insert(0);
        let i = if role == TensorCategory::Down && model.n_experts > 1 { layer } else { *count };
        *count += 1;
        let n_cols = tensor.shape.last().copied().unwrap_or_default();
        let format = if pure { mix.pure_format(n_cols) } else { mix.format_for(role, i, n_cols, &model) };
        formats.insert(tensor.name, format);
    }
    Ok(formats)
}

fn role(name: &str, tied: bool) -> TensorCategory {
    let role = [
        ("attn_qkv.weight", TensorCategory::Value),
        ("attn_kv_b.weight", TensorCategory::Value),
        ("attn_v.weight", TensorCategory::Value),
        ("attn_k.weight", TensorCategory::Key),
        ("attn_output.weight", TensorCategory::AttentionOutput),
        ("ffn_down", TensorCategory::Down),
    ];
    if name == convention::OUTPUT || tied && name == convention::EMBEDDING {
        return TensorCategory::Head;
    }
    role.iter().find(|it| name.contains(it.0)).map_or(TensorCategory::Other, |it| it.1)
}

fn traits(checkpoint: &Checkpoint, n_values: usize) -> Result<ModelTraits, Error> {
    let metadata = checkpoint.metadata();
    let family = convention::family(checkpoint.path(), metadata)?;
    let heads = metadata.u32(&family.key("attention.head_count"))?;
    let kv_heads = metadata.find::<u32>(&family.key("attention.head_count_kv"))?.unwrap_or(heads);
    Ok(ModelTraits {
        n_layers: metadata.u32(&family.key("block_count"))? as usize,
        n_values,
        n_experts: metadata.find::<u32>(&family.key("expert_count"))?.unwrap_or(0) as usize,
        heads_per_kv: heads.checked_div(kv_heads).unwrap_or(0) as usize,
    })
}
