//! Random small GGUF files: unusual strings, every value type, every quantization type, any alignment.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use ridgeline_quant::Format;
use ridgeline_weights::{Array, Checkpoint, Value};

/// The pieces of random keys, names and strings.
const PIECES: [&str; 14] = [
    "", "a", "\0", "\"", "\\", "\n", "é", "😀", "\u{feff}", "\u{202e}", "general.", "blk.0.", ".weight",
    "\u{7f}",
];

/// The random numbers of one input.
pub(crate) struct InputRng(Xoshiro256PlusPlus);

impl InputRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).expect("it is less than n")
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn text(&mut self) -> String {
        let n = self.below(6);
        (0..n).map(|_| self.one_of(&PIECES)).collect()
    }

    /// Up to five items.
    fn some<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(6)).map(|_| one(self)).collect()
    }

    /// Eight bytes, often the extreme value of a type.
    fn word(&mut self) -> u64 {
        let any = self.0.next_u64();
        self.one_of(&[any, any, 0, 1, u64::MAX, 1 << 63, 1 << 31, 1 << 15, 1 << 7, i64::MAX.cast_unsigned()])
    }

    fn eight<const N: usize>(&mut self) -> [u8; N] {
        let word = self.word().to_le_bytes();
        std::array::from_fn(|i| word[i])
    }

    /// A finite number; the reader rejects others.
    fn single(&mut self) -> f32 {
        let it = f32::from_le_bytes(self.eight());
        if it.is_finite() { it } else { -0.0 }
    }

    fn double(&mut self) -> f64 {
        let it = f64::from_le_bytes(self.eight());
        if it.is_finite() { it } else { f64::MIN_POSITIVE }
    }

    fn value(&mut self) -> Value {
        match self.below(14) {
            0 => Value::U8(u8::from_le_bytes(self.eight())),
            1 => Value::I8(i8::from_le_bytes(self.eight())),
            2 => Value::U16(u16::from_le_bytes(self.eight())),
            3 => Value::I16(i16::from_le_bytes(self.eight())),
            4 => Value::U32(u32::from_le_bytes(self.eight())),
            5 => Value::I32(i32::from_le_bytes(self.eight())),
            6 => Value::F32(self.single()),
            7 => Value::Bool(self.below(2) == 0),
            8 => Value::U64(self.word()),
            9 => Value::I64(i64::from_le_bytes(self.eight())),
            10 => Value::F64(self.double()),
            11 => Value::Str(self.text()),
            _ => Value::Array(self.array()),
        }
    }

    fn array(&mut self) -> Array {
        match self.below(12) {
            0 => Array::U8(self.some(|it| u8::from_le_bytes(it.eight()))),
            1 => Array::I8(self.some(|it| i8::from_le_bytes(it.eight()))),
            2 => Array::U16(self.some(|it| u16::from_le_bytes(it.eight()))),
            3 => Array::I16(self.some(|it| i16::from_le_bytes(it.eight()))),
            4 => Array::U32(self.some(|it| u32::from_le_bytes(it.eight()))),
            5 => Array::I32(self.some(|it| i32::from_le_bytes(it.eight()))),
            6 => Array::F32(self.some(Self::single)),
            7 => Array::Bool(self.some(|it| it.below(2) == 0)),
            8 => Array::U64(self.some(Self::word)),
            9 => Array::I64(self.some(|it| i64::from_le_bytes(it.eight()))),
            10 => Array::F64(self.some(Self::double)),
            _ => Array::Str(self.some(Self::text)),
        }
    }
}

/// The expected tensor.
struct Weights {
    name: String,
    /// Outermost dimension first.
    shape: Vec<usize>,
    format: Format,
    bytes: Vec<u8>,
}

/// The expected contents of a file.
pub(crate) struct Model {
    alignment: usize,
    metadata: Vec<(String, Value)>,
    tensors: Vec<Weights>,
}

impl Model {
    pub(crate) fn random(rng: &mut InputRng) -> Self {
        let mut metadata = vec![("general.architecture".to_owned(), Value::Str("llama".to_owned()))];
        let alignment = rng.one_of(&[32, 32, 8, 16, 64, 128]);
        if alignment != 32 || rng.below(4) == 0 {
            let stated = u32::try_from(alignment).expect("an alignment is small");
            metadata.push(("general.alignment".to_owned(), Value::U32(stated)));
        }
        if rng.below(4) == 0 {
            metadata.push(("general.file_type".to_owned(), rng.value()));
        }
        for i in 0..rng.below(8) {
            metadata.push((format!("{}{i}", rng.text()), rng.value()));
        }
        let formats: Vec<Format> = Format::ALL.iter().copied().filter(|it| it.in_gguf()).collect();
        let mut tensors = Vec::new();
        for i in 0..1 + rng.below(4) {
            let format = rng.one_of(&formats);
            let spec = format.spec();
            let mut shape: Vec<usize> = (0..rng.below(4)).map(|_| 1 + rng.below(3)).collect();
            shape.push(spec.block_len * (1 + rng.below(3)));
            let n: usize = shape.iter().product();
            let mut bytes = vec![0; n / spec.block_len * spec.block_bytes];
            rng.0.fill_bytes(&mut bytes);
            tensors.push(Weights { name: format!("{}{i}", rng.text()), shape, format, bytes });
        }
        Self { alignment, metadata, tensors }
    }

    /// The bytes of the file, written from GGUF's specification and without the crate's writer.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key);
            put(&mut out, value);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            string(&mut out, &tensor.name);
            let rank = u32::try_from(tensor.shape.len()).expect("a tensor has few dimensions");
            out.extend(rank.to_le_bytes());
            tensor.shape.iter().rev().for_each(|&it| out.extend((it as u64).to_le_bytes()));
            out.extend(tensor.format.spec().gguf_type.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(self.alignment), 0x55);
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0x55);
        out.extend(data);
        out
    }

    /// The first difference to a checkpoint, except in keys for which `but` holds.
    pub(crate) fn compare(&self, found: &Checkpoint, but: impl Fn(&str) -> bool) -> Result<(), String> {
        // Debug output distinguishes -0 from 0; equality does not.
        let theirs: Vec<_> = found.metadata().iter().filter(|(key, _)| !but(key)).collect();
        let ours: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .filter(|(key, _)| !but(key))
            .collect();
        if theirs != ours || format!("{theirs:?}") != format!("{ours:?}") {
            return Err(format!("metadata {theirs:?}, expected {ours:?}"));
        }
        if found.tensors().count() != self.tensors.len() {
            return Err("another number of tensors".to_owned());
        }
        for (info, ours) in found.tensors().zip(&self.tensors) {
            let theirs = found.tensor(info.name).map_err(|error| error.to_string())?;
            let entry = (theirs.name, &theirs.shape, theirs.format);
            if entry != (ours.name.as_str(), &ours.shape, ours.format) || *theirs.bytes != *ours.bytes {
                return Err(format!(
                    "tensor {entry:?}, expected {:?}",
                    (&ours.name, &ours.shape, ours.format)
                ));
            }
        }
        Ok(())
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The type's id and the value.
fn put(out: &mut Vec<u8>, value: &Value) {
    let mut number = |id: u32, bytes: &[u8]| out.extend([&id.to_le_bytes(), bytes].concat());
    match value {
        Value::U8(it) => number(0, &it.to_le_bytes()),
        Value::I8(it) => number(1, &it.to_le_bytes()),
        Value::U16(it) => number(2, &it.to_le_bytes()),
        Value::I16(it) => number(3, &it.to_le_bytes()),
        Value::U32(it) => number(4, &it.to_le_bytes()),
        Value::I32(it) => number(5, &it.to_le_bytes()),
        Value::F32(it) => number(6, &it.to_le_bytes()),
        Value::Bool(it) => number(7, &[u8::from(*it)]),
        Value::U64(it) => number(10, &it.to_le_bytes()),
        Value::I64(it) => number(11, &it.to_le_bytes()),
        Value::F64(it) => number(12, &it.to_le_bytes()),
        Value::Str(it) => {
            number(8, &[]);
            string(out, it);
        }
        Value::Array(it) => {
            number(9, &[]);
            put_array(out, it);
        }
    }
}

/// The type id of the elements, their number, and the elements.
fn put_array(out: &mut Vec<u8>, array: &Array) {
    fn all<T, const N: usize>(out: &mut Vec<u8>, id: u32, elements: &[T], bytes: impl Fn(&T) -> [u8; N]) {
        out.extend(id.to_le_bytes());
        out.extend((elements.len() as u64).to_le_bytes());
        elements.iter().for_each(|it| out.extend(bytes(it)));
    }
    match array {
        Array::U8(it) => all(out, 0, it, |it| it.to_le_bytes()),
        Array::I8(it) => all(out, 1, it, |it| it.to_le_bytes()),
        Array::U16(it) => all(out, 2, it, |it| it.to_le_bytes()),
        Array::I16(it) => all(out, 3, it, |it| it.to_le_bytes()),
        Array::U32(it) => all(out, 4, it, |it| it.to_le_bytes()),
        Array::I32(it) => all(out, 5, it, |it| it.to_le_bytes()),
        Array::F32(it) => all(out, 6, it, |it| it.to_le_bytes()),
        Array::Bool(it) => all(out, 7, it, |&it| [u8::from(it)]),
        Array::U64(it) => all(out, 10, it, |it| it.to_le_bytes()),
        Array::I64(it) => all(out, 11, it, |it| it.to_le_bytes()),
        Array::F64(it) => all(out, 12, it, |it| it.to_le_bytes()),
        Array::Str(it) => {
            all(out, 8, it, |_| []);
            it.iter().for_each(|it| string(out, it));
        }
    }
}
