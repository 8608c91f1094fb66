//! Metadata values and the Rust types that they are read as. A value is what it means, whatever its stored type.

/// One metadata value, with the type that GGUF stores.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the variants are named like GGUF's value types")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Str(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A metadata array: elements of one type, in order.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the variants are named like GGUF's value types")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Str(Vec<String>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Array {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(it) => it.len(),
            Self::I8(it) => it.len(),
            Self::U16(it) => it.len(),
            Self::I16(it) => it.len(),
            Self::U32(it) => it.len(),
            Self::I32(it) => it.len(),
            Self::F32(it) => it.len(),
            Self::Bool(it) => it.len(),
            Self::Str(it) => it.len(),
            Self::U64(it) => it.len(),
            Self::I64(it) => it.len(),
            Self::F64(it) => it.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as values.
    pub(crate) fn values(&self) -> Box<dyn Iterator<Item = Value> + '_> {
        match self {
            Self::U8(it) => Box::new(it.iter().copied().map(Value::U8)),
            Self::I8(it) => Box::new(it.iter().copied().map(Value::I8)),
            Self::U16(it) => Box::new(it.iter().copied().map(Value::U16)),
            Self::I16(it) => Box::new(it.iter().copied().map(Value::I16)),
            Self::U32(it) => Box::new(it.iter().copied().map(Value::U32)),
            Self::I32(it) => Box::new(it.iter().copied().map(Value::I32)),
            Self::F32(it) => Box::new(it.iter().copied().map(Value::F32)),
            Self::Bool(it) => Box::new(it.iter().copied().map(Value::Bool)),
            Self::Str(it) => Box::new(it.iter().cloned().map(Value::Str)),
            Self::U64(it) => Box::new(it.iter().copied().map(Value::U64)),
            Self::I64(it) => Box::new(it.iter().copied().map(Value::I64)),
            Self::F64(it) => Box::new(it.iter().copied().map(Value::F64)),
        }
    }

    /// The value of all elements, if there are some and they are equal: files may have one per layer.
    fn uniform(&self) -> Option<Value> {
        let mut values = self.values();
        let first = values.next()?;
        values.all(|it| it == first).then_some(first)
    }
}

/// A Rust type that a metadata value can be read as. Numbers may have any width. An array of equal numbers, one per
/// layer, is a number.
pub trait FromValue<'a>: Sized {
    /// The name of the type in errors.
    const EXPECTED: &'static str;
    /// The value, if it is of this type and in range.
    fn from_value(value: &'a Value) -> Option<Self>;
    /// Whether the value stands for an absent one.
    fn stands_for_none(_value: &Value) -> bool {
        false
    }
}

/// Calls `read` with a value, or with that of all elements of an array.
fn single<T>(value: &Value, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
    match value {
        Value::Array(array) => read(&array.uniform()?),
        value => read(value),
    }
}

/// An integer of any width, also one stored as a float.
#[expect(clippy::cast_possible_truncation, reason = "the float is an integer below 2^53")]
fn integer(value: &Value) -> Option<i128> {
    let whole = |it: f64| (it.fract() == 0.0 && it.abs() < 9.0e15).then_some(it as i128);
    match *value {
        Value::U8(it) => Some(it.into()),
        Value::U16(it) => Some(it.into()),
        Value::U32(it) => Some(it.into()),
        Value::U64(it) => Some(it.into()),
        Value::I8(it) => Some(it.into()),
        Value::I16(it) => Some(it.into()),
        Value::I32(it) => Some(it.into()),
        Value::I64(it) => Some(it.into()),
        Value::F32(it) => whole(it.into()),
        Value::F64(it) => whole(it),
        Value::Bool(_) | Value::Str(_) | Value::Array(_) => None,
    }
}

fn number(value: &Value) -> Option<f32> {
    match *value {
        Value::F32(it) => Some(it),
        Value::F64(it) => Some(narrow(it)).filter(|it| it.is_finite()),
        _ => integer(value).map(|it| narrow(it as f64)),
    }
}

impl FromValue<'_> for u64 {
    const EXPECTED: &'static str = "an unsigned integer";
    fn from_value(value: &Value) -> Option<Self> {
        single(value, integer)?.try_into().ok()
    }
    fn stands_for_none(value: &Value) -> bool {
        single(value, integer) == Some(-1)
    }
}

impl FromValue<'_> for usize {
    const EXPECTED: &'static str = "an unsigned integer";
    fn from_value(value: &Value) -> Option<Self> {
        single(value, integer)?.try_into().ok()
    }
    fn stands_for_none(value: &Value) -> bool {
        u64::stands_for_none(value)
    }
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "an unsigned 32-bit integer";
    fn from_value(value: &Value) -> Option<Self> {
        single(value, integer)?.try_into().ok()
    }
    fn stands_for_none(value: &Value) -> bool {
        u64::stands_for_none(value)
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a number";
    fn from_value(value: &Value) -> Option<Self> {
        single(value, number)
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "a boolean";
    fn from_value(value: &Value) -> Option<Self> {
        single(value, |value| match (value, integer(value)) {
            (&Value::Bool(it), _) => Some(it),
            (_, Some(0)) => Some(false),
            (_, Some(1)) => Some(true),
            _ => None,
        })
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a string";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Str(it) = value { Some(it) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a [String] {
    const EXPECTED: &'static str = "an array of strings";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(Array::Str(it)) = value { Some(it) } else { None }
    }
}

impl FromValue<'_> for Vec<i32> {
    const EXPECTED: &'static str = "an array of 32-bit integers";
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Array(array) = value else { return None };
        array.values().map(|it| integer(&it)?.try_into().ok()).collect()
    }
}

impl FromValue<'_> for Vec<u32> {
    const EXPECTED: &'static str = "an array of unsigned 32-bit integers";
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Array(array) = value else { return None };
        array.values().map(|it| integer(&it)?.try_into().ok()).collect()
    }
}

impl FromValue<'_> for Vec<f32> {
    const EXPECTED: &'static str = "an array of numbers";
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Array(array) = value else { return None };
        array.values().map(|it| number(&it)).collect()
    }
}

/// Rounds to single precision.
#[expect(clippy::cast_possible_truncation, reason = "rounding is intended")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}
