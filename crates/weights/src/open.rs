//! Opening a checkpoint: which container it is, and what of it is left out.

use std::{fs::File, io::Read, path::Path};

use crate::{
    Checkpoint, Container, Error, Metadata,
    convention::{self, Unneeded},
    entry::Parts,
    gguf::{self, LeftOut},
    hf, prediction,
    recognize::recognize,
};

impl Checkpoint {
    /// Opens a GGUF file or any part of a split one, a safetensors file beside a config.json, or a folder with config.json
    /// and safetensors files. Reads the directory only.
    ///
    /// # Errors
    /// Any defect of the files, with the file and the tensor or key. No allocation is larger than the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() || path.extension().is_some_and(|it| it == "safetensors") {
            return Self::from_parts(path, Container::Safetensors, hf::read(path)?);
        }
        Self::open_gguf(path)
    }

    /// Opens the part of a model that sees images: that of a folder, or llama.cpp's `mmproj` file. `None` where there is none
    /// that is supported.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::UnknownFamily`] for a GGUF file of an unknown architecture.
    pub fn open_vision(path: &Path) -> Result<Option<Self>, Error> {
        if path.is_dir() || path.extension().is_some_and(|it| it == "safetensors") {
            let parts = hf::read_vision(path)?;
            return parts.map(|it| Self::from_parts(path, Container::Safetensors, it)).transpose();
        }
        let checkpoint = Self::open_gguf(path)?;
        let family = convention::family(path, checkpoint.metadata())?;
        if family.is_text() { Ok(None) } else { Ok(Some(checkpoint)) }
    }

    fn open_gguf(path: &Path) -> Result<Self, Error> {
        // Opening a pipe would wait for its writer.
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            let (path, what) = (path.to_owned(), "a device or a pipe, which cannot be mapped".to_owned());
            return Err(Error::OtherKind { path, what, remedy: "copy its content to a file".to_owned() });
        }
        let mut magic = Vec::new();
        let io = |source| Error::Io { path: path.to_owned(), source };
        File::open(path).map_err(io)?.take(4).read_to_end(&mut magic).map_err(io)?;
        if magic != gguf::MAGIC {
            let expected =
                "a GGUF file, a .safetensors file, or a folder with config.json and safetensors files";
            let other = || Error::NotACheckpoint { path: path.to_owned(), expected };
            return Err(recognize(path).unwrap_or_else(other));
        }
        let (mut file, maps, files) = gguf::read_all(path)?;
        let mut metadata = Metadata::new(path, file.metadata).with_unreadable(file.unreadable);
        convention::complete(&mut metadata)?;
        if convention::family(path, &metadata).is_ok_and(|it| !it.is_text()) {
            convention::repair_names(&metadata, &mut file.tensors)?;
        }
        let prediction = prediction::leave_out(&mut metadata, &mut file.tensors)?;
        let mut parts = Parts { maps, files, ..Parts::new(metadata, file.tensors) };
        parts.notes = notes(path, &parts, file.left_out)?;
        parts.notes.extend(prediction);
        Self::from_parts(path, Container::Gguf, parts)
    }
}

/// Notes about unknown keys, and about tensors that no layer needs.
///
/// # Errors
/// The error of an unreadable tensor that a layer needs.
fn notes(path: &Path, parts: &Parts, left_out: Vec<LeftOut>) -> Result<Vec<String>, Error> {
    // A file of an unknown family can be inspected; loading it reports the error.
    let Ok(family) = convention::family(path, &parts.metadata) else { return Ok(Vec::new()) };
    let mut left: Vec<String> = Vec::new();
    for LeftOut { name, error, harmless } in left_out {
        let parameter = !harmless && family.is_parameter(&name);
        if family.has_tensor(&name) || parameter {
            return Err(error);
        }
        left.push(name);
    }
    let unneeded = parts.entries.iter().map(|it| &it.name).filter(|it| !family.has_tensor(it));
    let unneeded = unneeded
        .filter(|it| !family.is_parameter(it) && convention::unneeded(it, true) == Unneeded::LeftOver);
    let left: Vec<&str> = left.iter().chain(unneeded).map(String::as_str).collect();
    let unknown = convention::check_metadata(path, &parts.metadata).unwrap_or_default();
    let notes =
        unknown.iter().map(|it| format!("metadata {it}: nothing here knows this key, and it is ignored"));
    Ok(notes.chain(convention::left_out(&left)).collect())
}
