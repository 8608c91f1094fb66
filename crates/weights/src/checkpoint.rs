//! [`Checkpoint`]: metadata and tensors of a model, with one interface for all containers.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use ridgeline_quant::Format;

use crate::{
    Container, Error, LayerKind, Metadata, Quantization, RopePairing, Shape, convention, depth,
    entry::{Parts, Storage, TensorEntry},
    layer::layer_of,
    map::Map,
    random, rope,
};

/// The directory entry of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TensorInfo<'a> {
    /// The canonical (GGUF) name.
    pub name: &'a str,
    /// Outermost dimension first: a matrix is `[rows, columns]`.
    pub shape: &'a [usize],
    /// The quantization type.
    pub format: Format,
    /// Bytes in the file layout.
    pub bytes: u64,
}

impl TensorInfo<'_> {
    /// The number of weights.
    pub fn n_weights(&self) -> u64 {
        self.shape.iter().map(|&it| it as u64).product()
    }
}

/// A tensor with its bytes in the file layout of its quantization type.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// The canonical (GGUF) name.
    pub name: &'a str,
    /// Outermost dimension first: a matrix is `[rows, columns]`.
    pub shape: Vec<usize>,
    /// The quantization type of `bytes`.
    pub format: Format,
    /// The weights, row by row; borrowed from the mapped file, except for random weights and MLX matrices.
    pub bytes: Cow<'a, [u8]>,
}

impl Tensor<'_> {
    /// The weights as single-precision values.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.shape.iter().product()];
        (self.format.spec().decode)(&self.bytes, &mut values);
        values
    }
}

/// A model's metadata and tensors under GGUF's names, from files or with random weights.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    container: Container,
    metadata: Metadata,
    entries: Vec<TensorEntry>,
    index: HashMap<String, usize>,
    maps: Vec<Map>,
    files: Vec<PathBuf>,
    /// The tokenizer.json beside safetensors files.
    tokenizer_json: Option<PathBuf>,
    notes: Vec<String>,
    /// The weights of a random checkpoint.
    generator: Option<random::Generator>,
}

impl Checkpoint {
    /// A checkpoint of a published shape with random weights, for measurements that do not depend on their values.
    /// Matrices are roughly normal with standard deviation 0.02, in the type that the quantization gives them. Norms
    /// are 1, in single precision. Types without an encoder get values of other sizes. The same seed gives the same bytes on every machine. [`Checkpoint::tensor`]
    /// generates them.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`] if the shape's architecture is unknown.
    pub fn random(shape: &Shape, quantization: impl Into<Quantization>, seed: u64) -> Result<Self, Error> {
        let quantization = quantization.into();
        let path = PathBuf::from(format!("random:{}:{quantization}:{seed}", shape.name));
        let (metadata, tensors) = convention::synthesise(&path, shape)?;
        let entry =
            |(name, shape)| TensorEntry { name, shape, format: Format::SINGLE, storage: Storage::Random };
        let entries = tensors.into_iter().map(entry).collect();
        let parts = Parts::new(metadata, entries);
        Self::generated(&path, parts, Some(quantization), seed)
    }

    /// A checkpoint with the tensors and hyperparameters of this one, but random weights and no vocabulary.
    ///
    /// With `layers`, it has that many: the first ones, and beyond them copies of the last one of the same kind. Without a
    /// quantization, each tensor keeps its type. The time of a forward pass is that of this checkpoint with as many layers.
    ///
    /// # Errors
    /// [`Error::MissingKey`] without a number of layers, and as [`Quantization::formats`].
    pub fn random_like(
        &self,
        layers: Option<usize>,
        quantization: Option<Quantization>,
        seed: u64,
    ) -> Result<Self, Error> {
        let family = convention::family(&self.path, &self.metadata)?;
        let (mut metadata, sources) = depth::with_layers(family, &self.metadata, layers)?;
        metadata.retain(|key| !key.starts_with("tokenizer."));
        let mut entries = Vec::new();
        for entry in &self.entries {
            let copy = |name| TensorEntry { name, storage: Storage::Random, ..entry.clone() };
            match layer_of(&entry.name) {
                None => entries.push(copy(entry.name.clone())),
                Some((layer, rest)) => {
                    let copies = (0..sources.len()).filter(|&i| sources[i] == layer);
                    entries.extend(copies.map(|i| copy(format!("blk.{i}.{rest}"))));
                }
            }
        }
        let parts = Parts::new(metadata, entries);
        let path = PathBuf::from(format!("random:{}", self.path.display()));
        Self::generated(&path, parts, quantization, seed)
    }

    /// A random checkpoint of these tensors. Without a quantization, they keep their types.
    fn generated(
        path: &Path,
        parts: Parts,
        quantization: Option<Quantization>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut it = Self::from_parts(path, Container::Random, parts)?;
        if let Some(quantization) = quantization {
            // A mix depends on the whole model, so the types are set after all tensors are listed.
            let formats = quantization.formats(&it)?;
            let formats: Vec<_> = it.entries.iter().map(|entry| formats[entry.name.as_str()]).collect();
            for (entry, format) in it.entries.iter_mut().zip(formats) {
                entry.format = format;
            }
        }
        let matrices = it.entries.iter().filter(|entry| entry.shape.len() > 1).map(|entry| entry.format);
        it.generator = Some(random::Generator::new(matrices, seed));
        Ok(it)
    }

    pub(crate) fn from_parts(path: &Path, container: Container, parts: Parts) -> Result<Self, Error> {
        let mut index = HashMap::with_capacity(parts.entries.len());
        for (i, entry) in parts.entries.iter().enumerate() {
            if index.insert(entry.name.clone(), i).is_some() {
                let problem = "two tensors of the file map to this canonical name";
                return Err(Error::TensorEntry {
                    path: path.to_owned(),
                    tensor: entry.name.clone(),
                    problem,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            container,
            metadata: parts.metadata,
            entries: parts.entries,
            index,
            maps: parts.maps,
            files: parts.files,
            tokenizer_json: parts.tokenizer_json,
            notes: parts.notes,
            generator: None,
        })
    }

    /// The path that was opened; for a random checkpoint, a label.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of file.
    pub const fn container(&self) -> Container {
        self.container
    }

    /// The metadata, under GGUF's keys.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tokenizer.json beside the safetensors files, if there is one. A GGUF file has its vocabulary in the
    /// metadata.
    pub fn tokenizer_json(&self) -> Option<&Path> {
        self.tokenizer_json.as_deref()
    }

    /// The files of the weights, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What was left out of the files or is not known, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Fails if a metadata key changes the arithmetic in a way that no kernel has. A folder is checked when it is opened.
    ///
    /// # Errors
    /// [`Error::RefusedKey`], [`Error::UnknownFamily`].
    pub fn check(&self) -> Result<(), Error> {
        convention::check_metadata(&self.path, &self.metadata).map(drop)
    }

    /// Whether the model is complete without this tensor: no layer of its family needs it.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`], [`Error::MissingTensor`].
    pub fn is_left_over(&self, name: &str) -> Result<bool, Error> {
        let family = convention::family(&self.path, &self.metadata)?;
        let parameter = family.is_parameter(name);
        if !parameter && !family.has_tensor(name) {
            return Ok(true);
        }
        // Adding zeros changes nothing.
        Ok(name.ends_with(".bias") && self.tensor(name)?.to_f32().iter().all(|&it| it == 0.0))
    }

    /// The same weights with the vocabulary of another checkpoint, such as that which they were converted from.
    #[must_use]
    pub fn with_vocabulary_of(mut self, other: &Self) -> Self {
        self.tokenizer_json.clone_from(&other.tokenizer_json);
        self.metadata.retain(|key| !key.starts_with("tokenizer."));
        for (key, value) in other.metadata.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
            self.metadata.set(key, value.clone());
        }
        self
    }

    /// Keeps the first `rows` rows of the embedding and the output head. The rows behind the last token of a vocabulary
    /// are padding, which a model should never choose.
    #[must_use]
    pub fn with_rows(mut self, rows: usize) -> Self {
        for name in [convention::EMBEDDING, convention::OUTPUT] {
            let Some(entry) = self.index.get(name).map(|&i| &mut self.entries[i]) else { continue };
            if entry.shape.len() == 2 && (1..entry.shape[0]).contains(&rows) {
                entry.storage.truncate(rows, entry.shape[0]);
                entry.shape[0] = rows;
            }
        }
        self
    }

    /// Every tensor, in file order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.entries.iter().map(|entry| {
            let n: u64 = entry.shape.iter().map(|&it| it as u64).product();
            TensorInfo {
                name: &entry.name,
                shape: &entry.shape,
                format: entry.format,
                bytes: entry.format.bytes(n),
            }
        })
    }

    /// Whether a tensor has this canonical name.
    pub fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// The quantization type of a tensor, if it exists.
    pub fn format(&self, name: &str) -> Option<Format> {
        self.index.get(name).map(|&i| self.entries[i].format)
    }

    /// The quantization type of most weights; `None` without weights.
    pub fn main_format(&self) -> Option<Format> {
        let weights = |format: Format| -> u64 {
            self.tensors().filter(|it| it.format == format).map(|it| it.n_weights()).sum()
        };
        Format::ALL.iter().copied().filter(|&it| weights(it) > 0).max_by_key(|&it| weights(it))
    }

    /// Whether the output head is tied to the token embedding: there is no `output.weight`.
    pub fn tied_head(&self) -> bool {
        !self.has(convention::OUTPUT)
    }

    /// A tensor by its canonical name.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, Error> {
        let entry = self
            .index
            .get(name)
            .map(|&i| &self.entries[i])
            .ok_or_else(|| Error::MissingTensor { path: self.path.clone(), tensor: name.to_owned() })?;
        let bytes = entry.storage.bytes(&self.maps).unwrap_or_else(|| {
            let generator = self.generator.as_ref().expect("a random checkpoint has a generator");
            Cow::Owned(generator.draw(&entry.name, &entry.shape, entry.format))
        });
        Ok(Tensor { name: &entry.name, shape: entry.shape.clone(), format: entry.format, bytes })
    }

    /// A tensor of a required shape, outermost dimension first.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::ShapeMismatch`].
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, Error> {
        let tensor = self.tensor(name)?;
        if tensor.shape == shape {
            return Ok(tensor);
        }
        Err(Error::ShapeMismatch {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: tensor.shape,
            expected: shape.to_vec(),
        })
    }

    /// The pairs of elements that `RoPE` rotates, given this file's order of the rows of Q and K.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`] if the architecture is unknown, [`Error::MissingKey`] without `general.architecture`.
    pub fn rope_pairing(&self) -> Result<RopePairing, Error> {
        convention::rope_pairing(self.container, &self.metadata, &self.path)
    }

    /// The kind of each layer: full attention, a sliding window, or a recurrent state.
    ///
    /// # Errors
    /// [`Error::UnknownFamily`], [`Error::MissingKey`], [`Error::KeyType`]; [`Error::RefusedKey`] for a list of another
    /// length than the layers.
    pub fn layer_kinds(&self) -> Result<Vec<LayerKind>, Error> {
        convention::layer_kinds(convention::family(&self.path, &self.metadata)?, &self.metadata)
    }

    /// The divisors of the `RoPE` frequencies (`rotary width / 2` of them); `None` without scaling. Layers with a sliding
    /// window and frequencies of their own (`rope.freq_base_swa`) have no scaling.
    ///
    /// # Errors
    /// [`Error::RopeScaling`] for an unsupported kind of scaling, [`Error::MissingKey`] for a missing parameter.
    pub fn rope_freq_factors(&self) -> Result<Option<Vec<f32>>, Error> {
        rope::freq_factors(self)
    }

    /// The multiplier of cosines and sines of the rotation: 1 unless the context is extended by `YaRN`.
    ///
    /// # Errors
    /// As [`Self::rope_freq_factors`]; [`Error::RefusedKey`] for a multiplier that is not above 0.
    pub fn rope_magnitude(&self) -> Result<f32, Error> {
        rope::magnitude(self)
    }

    /// Bytes of all files (of all tensors, for a random checkpoint).
    pub fn file_bytes(&self) -> u64 {
        if self.container == Container::Random {
            return self.tensors().map(|it| it.bytes).sum();
        }
        self.maps.iter().map(|it| it.as_ref().len() as u64).sum()
    }
}
