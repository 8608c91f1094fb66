//! The GGUF writer: the directory, then one tensor after the other. Only a piece of one tensor is in memory.
//! The file gets its name when it is complete.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use ridgeline_quant::Format;

use super::{MAGIC, Type};
use crate::{Array, Error, Metadata, Value};

const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;

/// Writes one GGUF file: [`Writer::create`], then every tensor's bytes in the announced order through
/// [`Writer::append`] and [`Writer::pad`], then [`Writer::finish`]. Dropping it earlier removes the file.
pub(crate) struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    written: u64,
    partial: Partial,
}

/// The temporary name of the file, unique to the process. Dropping it removes the file, unless it was renamed.
struct Partial(PathBuf);

impl Partial {
    fn of(path: &Path) -> Self {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        Self(partial.into())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `finish` the file no longer has this name; other errors cannot be reported from `drop`.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Writer {
    /// Creates the file and writes its [`header`].
    pub(crate) fn create(path: &Path, header: &[u8]) -> Result<Self, Error> {
        let partial = Partial::of(path);
        let file =
            File::create(&partial.0).map_err(|source| Error::Io { path: partial.0.clone(), source })?;
        let mut writer = Self { path: path.to_owned(), out: BufWriter::new(file), written: 0, partial };
        writer.append(header)?;
        writer.pad()?;
        Ok(writer)
    }

    /// Appends a piece of the current tensor.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|source| Error::Io { path: self.partial.0.clone(), source })
    }

    /// Ends the current tensor with padding up to the alignment.
    pub(crate) fn pad(&mut self) -> Result<(), Error> {
        let padding = self.written.next_multiple_of(ALIGNMENT as u64) - self.written;
        let zeros = [0; ALIGNMENT];
        let n = usize::try_from(padding).expect("padding is less than the alignment");
        self.append(&zeros[..n])
    }

    /// Flushes, and renames the file to its final name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self { path, partial, out, .. } = self;
        let rename = out.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| {
            file.sync_all()?;
            drop(file);
            std::fs::rename(&partial.0, &path)
        });
        rename.map_err(|source| Error::Io { path, source })
    }
}

/// The metadata and the directory; an error for types that GGUF does not have. `tensors` has name, shape (outermost
/// first) and type of each; `path` is the file named in errors.
pub(crate) fn header(
    path: &Path,
    metadata: &Metadata,
    tensors: &[(String, Vec<usize>, Format)],
) -> Result<Vec<u8>, Error> {
    let mut header = Vec::new();
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.iter().count() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        string(&mut header, key);
        metadata_value(&mut header, value);
    }
    let mut offset = 0_u64;
    for (name, shape, format) in tensors {
        if !format.in_gguf() {
            let problem = "GGUF has no such quantization type; convert it to another";
            return Err(Error::TensorEntry { path: path.to_owned(), tensor: name.clone(), problem });
        }
        string(&mut header, name);
        header.extend(u32::try_from(shape.len()).expect("a tensor has few dimensions").to_le_bytes());
        for &dimension in shape.iter().rev() {
            header.extend((dimension as u64).to_le_bytes());
        }
        header.extend(format.spec().gguf_type.to_le_bytes());
        header.extend(offset.to_le_bytes());
        let n: u64 = shape.iter().map(|&it| it as u64).product();
        offset += format.bytes(n).next_multiple_of(ALIGNMENT as u64);
    }
    Ok(header)
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn metadata_value(out: &mut Vec<u8>, value: &Value) {
    let id = |out: &mut Vec<u8>, it: Type| out.extend((it as u32).to_le_bytes());
    macro_rules! scalar {
        ($type:ident, $it:expr) => {{
            id(out, Type::$type);
            out.extend($it.to_le_bytes());
        }};
    }
    match value {
        Value::U8(it) => scalar!(U8, it),
        Value::I8(it) => scalar!(I8, it),
        Value::U16(it) => scalar!(U16, it),
        Value::I16(it) => scalar!(I16, it),
        Value::U32(it) => scalar!(U32, it),
        Value::I32(it) => scalar!(I32, it),
        Value::F32(it) => scalar!(F32, it),
        Value::U64(it) => scalar!(U64, it),
        Value::I64(it) => scalar!(I64, it),
        Value::F64(it) => scalar!(F64, it),
        Value::Bool(it) => scalar!(Bool, u8::from(*it)),
        Value::Str(it) => {
            id(out, Type::Str);
            string(out, it);
        }
        Value::Array(it) => {
            id(out, Type::Array);
            array(out, it);
        }
    }
}

fn array(out: &mut Vec<u8>, array: &Array) {
    let head = |out: &mut Vec<u8>, it: Type| {
        out.extend((it as u32).to_le_bytes());
        out.extend((array.len() as u64).to_le_bytes());
    };
    macro_rules! scalars {
        ($type:ident, $elements:expr) => {{
            head(out, Type::$type);
            $elements.iter().for_each(|it| out.extend(it.to_le_bytes()));
        }};
    }
    match array {
        Array::U8(it) => scalars!(U8, it),
        Array::I8(it) => scalars!(I8, it),
        Array::U16(it) => scalars!(U16, it),
        Array::I16(it) => scalars!(I16, it),
        Array::U32(it) => scalars!(U32, it),
        Array::I32(it) => scalars!(I32, it),
        Array::F32(it) => scalars!(F32, it),
        Array::U64(it) => scalars!(U64, it),
        Array::I64(it) => scalars!(I64, it),
        Array::F64(it) => scalars!(F64, it),
        Array::Bool(it) => {
            head(out, Type::Bool);
            out.extend(it.iter().map(|&it| u8::from(it)));
        }
        Array::Str(it) => {
            head(out, Type::Str);
            it.iter().for_each(|it| string(out, it));
        }
    }
}
