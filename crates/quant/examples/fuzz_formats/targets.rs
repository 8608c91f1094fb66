//! Properties of every quantization type, for any bytes and any values; shared by the example `fuzz_formats` and the test `fuzz`.
//!
//! The seed determines the input, so that a failure is reproduced from its seed.

use std::{ops::Range, panic::catch_unwind};

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use ridgeline_quant::{Encode, Format, Rounding, Spec};

/// Unusual binary16 scales: zeros, subnormals, the largest, infinities, NaNs, one.
const HALVES: [u16; 11] = [0, 0x8000, 1, 0x8001, 0x03ff, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0x7e00, 0x3c00];

/// The same for binary32.
const SINGLES: [u32; 9] =
    [0, 1 << 31, 1, 0x007f_ffff, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0x7fc0_0000];

/// The largest exponent of values that every type can hold. Binary16 ends below 2¹⁶, and a block of both signs spans
/// twice its largest value.
const LARGEST_EXPONENT: u32 = 127 + 13;

/// The largest values of a block for which no binary16 scale is subnormal or infinite.
const HELD_WELL: Range<f32> = 0.25..8192.0;

/// Random blocks that a bit is tried in before it counts as unused. Under a scale or quant of zero, a bit has no effect.
const CHANCES: usize = 64;

/// Checks the input of one seed; the error is the violated property. Every seed decodes a row of bytes, from the file
/// and the device layout. Some also encode a row of values, or flip a bit.
pub(crate) fn check(format: Format, seed: u64) -> Result<(), String> {
    let tried = catch_unwind(|| {
        let spec = format.spec();
        let mut rng = InputRng(Xoshiro256PlusPlus::seed_from_u64(seed));
        let n_blocks = 1 + rng.below(if spec.block_len == 1 { 64 } else { 512 / spec.block_len });
        // A search takes a thousand times as long as a decoder.
        let one_in = if spec.rounding == Rounding::Search { 64 } else { 4 };
        let encode = spec.encode.filter(|_| rng.below(one_in) == 0);
        let bytes = match encode {
            Some(encode) => encoded(spec, encode, n_blocks, &mut rng)?,
            None => bytes(spec, n_blocks, &mut rng)?,
        };
        layouts_agree(spec, &bytes)?;
        if rng.below(8) == 0 { bit_counts(spec, n_blocks, &mut rng) } else { Ok(()) }
    });
    tried.unwrap_or_else(|panic| Err(message(panic.as_ref())))
}

/// The message of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words"))
}

/// The random numbers of one input.
struct InputRng(Xoshiro256PlusPlus);

impl InputRng {
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).expect("it is less than n")
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Random file bytes of one of several kinds.
fn bytes(spec: &Spec, n_blocks: usize, rng: &mut InputRng) -> Result<Vec<u8>, String> {
    let mut bytes = rng.bytes(n_blocks * spec.block_bytes);
    match rng.below(8) {
        0..3 => {}
        3 => bytes.fill(rng.one_of(&[0, 0xff, 0x80, 0x7f])),
        4 => {
            (spec.bound_scales)(&mut bytes);
            let weights = decoded(spec, &bytes);
            if let Some(weight) = weights.iter().find(|it| !it.is_finite() || it.abs() > 4.0) {
                return Err(format!("tamed bytes stand for {weight}"));
            }
        }
        _ => bytes.chunks_exact_mut(spec.block_bytes).for_each(|block| plant(block, rng)),
    }
    Ok(bytes)
}

/// Writes unusual scales at either end of a block, where scales are, and anywhere else.
fn plant(block: &mut [u8], rng: &mut InputRng) {
    for _ in 0..2 {
        let n = block.len();
        let half = rng.one_of(&HALVES).to_le_bytes();
        let single = rng.one_of(&SINGLES).to_le_bytes();
        let number = if rng.below(2) == 0 { &half[..] } else { &single[..] };
        let anywhere = rng.below(n);
        let at = rng.one_of(&[0, 2, n.saturating_sub(2), n.saturating_sub(4), n.saturating_sub(8), anywhere]);
        for (byte, new) in block.iter_mut().skip(at).zip(number) {
            *byte = *new;
        }
    }
}

/// Random finite values, encoded; half of the time damaged.
fn encoded(spec: &Spec, encode: Encode, n_blocks: usize, rng: &mut InputRng) -> Result<Vec<u8>, String> {
    let (values, within) = values(n_blocks * spec.block_len, rng);
    let (mut bytes, mut again) =
        (vec![0; n_blocks * spec.block_bytes], vec![0xff; n_blocks * spec.block_bytes]);
    encode(&values, &mut bytes);
    if rng.below(8) == 0 {
        encode(&values, &mut again);
        if bytes != again {
            return Err("the encoded bytes depend on what the buffer held".to_owned());
        }
    }
    let back = decoded(spec, &bytes);
    let finite = within || spec.rounding == Rounding::Search;
    if let (true, Some(i)) = (finite, back.iter().position(|it| !it.is_finite())) {
        return Err(format!("value {i}, {}, comes back as {}", values[i], back[i]));
    }
    near(spec, &values, &back)?;
    if rng.below(2) == 0 {
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
    }
    Ok(bytes)
}

/// `n` finite values, and whether every type can hold them.
fn values(n: usize, rng: &mut InputRng) -> (Vec<f32>, bool) {
    let kind = rng.below(8);
    let highest = if kind == 0 { 254 } else { LARGEST_EXPONENT };
    let common = u32::try_from(rng.below(highest as usize + 1)).expect("an exponent is small");
    let constant = rng.below(3);
    let mut values = Vec::with_capacity(n);
    for _ in 0..n {
        let [low, high] = [rng.0.next_u32(), rng.0.next_u32()];
        let exponent = match kind {
            // Any magnitudes, one magnitude, or small values with a few large ones.
            0 | 1 => high % (highest + 1),
            2..5 => common,
            5 => common.saturating_sub(high % 8),
            6 if high % 32 == 0 => LARGEST_EXPONENT,
            6 => common.min(120),
            _ => 0,
        };
        values.push(f32::from_bits((low & 0x807f_ffff) | (exponent << 23)));
    }
    if kind == 4 {
        let value = [0.0, -0.0, values[0]][constant];
        values.fill(value);
    }
    (values, kind != 0)
}

/// The error of each value is at most two steps of a uniform quantizer of as many bits. The mean error of a block of
/// values of one magnitude and both signs is below one step.
fn near(spec: &Spec, values: &[f32], back: &[f32]) -> Result<(), String> {
    let bits = (8 * spec.block_bytes / spec.block_len).min(8);
    let levels = f32::from(1_u16 << (bits - 1));
    for (values, back) in values.chunks(spec.block_len).zip(back.chunks(spec.block_len)) {
        let peak = values.iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
        if !HELD_WELL.contains(&peak) {
            continue;
        }
        let steps = values.iter().zip(back).map(|(value, back)| (value - back) * levels / peak);
        if let Some(i) = steps.clone().position(|it| it.abs() > 2.0) {
            return Err(format!("{} comes back as {} from a block up to {peak}", values[i], back[i]));
        }
        let mean = steps.sum::<f32>() / spec.block_len as f32;
        let spread =
            values.iter().all(|it| it.abs() >= peak / 2.0) && values.iter().any(|it| it * values[0] < 0.0);
        if spread && mean.abs() > 0.9 {
            return Err(format!("{values:?} come back shifted as {back:?}"));
        }
    }
    Ok(())
}

/// A bit of a block changes a weight of that block and none of another block.
fn bit_counts(spec: &Spec, n_blocks: usize, rng: &mut InputRng) -> Result<(), String> {
    let bit = rng.below(8 * spec.block_bytes);
    for _ in 0..CHANCES {
        let mut bytes = rng.bytes(n_blocks * spec.block_bytes);
        (spec.bound_scales)(&mut bytes);
        let block = rng.below(n_blocks);
        let before = decoded(spec, &bytes);
        bytes[block * spec.block_bytes + bit / 8] ^= 1 << (bit % 8);
        let after = decoded(spec, &bytes);
        let changed = |&i: &usize| before[i].to_bits() != after[i].to_bits();
        let own = block * spec.block_len..(block + 1) * spec.block_len;
        if let Some(i) = (0..before.len()).filter(changed).find(|i| !own.contains(i)) {
            return Err(format!("bit {bit} of block {block} changes weight {i}"));
        }
        if own.clone().any(|i| changed(&i)) {
            return Ok(());
        }
    }
    Err(format!("bit {bit} of a block changes no weight"))
}

fn decoded(spec: &Spec, bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![f32::MAX; bytes.len() / spec.block_bytes * spec.block_len];
    (spec.decode)(bytes, &mut values);
    values
}

/// The file layout and the device layout hold the same bytes and decode to the same weights.
fn layouts_agree(spec: &Spec, bytes: &[u8]) -> Result<(), String> {
    let values = decoded(spec, bytes);
    let n_words = (spec.row_words)(values.len());
    if !n_words.is_multiple_of(4) {
        return Err(format!("a device row of {n_words} words is not whole units of 16 bytes"));
    }
    let (mut words, mut again) = (vec![u32::MAX; n_words], vec![0; n_words]);
    (spec.pack_row)(bytes, &mut words);
    (spec.pack_row)(bytes, &mut again);
    if words != again {
        return Err("the device row depends on what the buffer held".to_owned());
    }
    let mut back = vec![0xaa; bytes.len()];
    (spec.unpack_row)(&words, &mut back);
    if back != bytes {
        return Err(format!("the device row does not lead back to {bytes:02x?}"));
    }
    let mut row = vec![f32::MAX; values.len()];
    (spec.decode_row)(&words, &mut row);
    let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    match values.iter().zip(&row).position(|(&a, &b)| !same(a, b)) {
        Some(i) => {
            Err(format!("weight {i} is {} in the file, {} in the row of {bytes:02x?}", values[i], row[i]))
        }
        None => Ok(()),
    }
}
