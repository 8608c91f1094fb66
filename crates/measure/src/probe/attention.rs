//! Attention over a prompt as a candidate for the arithmetic ceiling.
//!
//! Queries of a group share the keys and values that they read (GQA). On some devices this kernel reaches a higher
//! FLOP/s than every matmul.

use super::stream::fill;
use super::{Error, Timer};
use ridgeline_compute::{Buffer, Executor, Recording, Role};
use ridgeline_kernels::{
    HeadShape, TokenInfo, VisibleRows, attention, attention_for, cache_in_texture, stride,
};
use ridgeline_quant::Format;

/// Widths of the heads.
const HEADS: [u32; 2] = [64, 128];

/// Query heads, and query heads per KV head.
const N_HEADS: u32 = 8;
const GROUP: u32 = 4;

/// Tokens of the prompt, and positions in the cache before it.
const TOKENS: u32 = 128;
const BEFORE: u32 = 384;

/// One launch of attention per head width: kernel and size, launch, and the buffers that must outlive it.
pub(super) fn works(timer: &mut Timer<'_>) -> Result<Vec<(String, Recording, Vec<Buffer>)>, Error> {
    HEADS.into_iter().map(|head| work(timer, head)).collect()
}

fn work(timer: &mut Timer<'_>, head: u32) -> Result<(String, Recording, Vec<Buffer>), Error> {
    let caps = timer.device.caps().clone();
    let (cache, context) = ([Format::HALF; 2], BEFORE + TOKENS);
    let shape = HeadShape::of_width(head, GROUP);
    let row = stride(Format::HALF, head as usize);
    let width = N_HEADS * head;
    let mut alloc = |texture, vec4s: u32, label| -> Result<_, Error> {
        let buffer = timer.device.alloc_in(texture, 16 * u64::from(vec4s), Role::Activation, label)?;
        fill(timer.device, &buffer)?;
        Ok(buffer)
    };
    let held = cache_in_texture(cache, shape, &caps);
    let keys = alloc(held, N_HEADS / GROUP * context * row, "keys")?;
    let values = alloc(held, N_HEADS / GROUP * context * row, "values")?;
    let (q, out) = (alloc(false, TOKENS * width / 4, "q")?, alloc(false, TOKENS * width / 4, "out")?);
    let seen: Vec<TokenInfo> =
        (BEFORE..context).map(|position| TokenInfo::causal(0, position, None)).collect();
    let VisibleRows { visible, unique, end, .. } = VisibleRows::of(&seen);
    let tokens = timer.device.alloc(TokenInfo::BYTES * u64::from(TOKENS), Role::Activation, "tokens")?;
    timer.device.write(tokens.all(), bytemuck::cast_slice(&seen))?;
    let params = attention::Params {
        n_tokens: TOKENS,
        token0: 0,
        n_heads: N_HEADS,
        capacity: context,
        end,
        visible,
        unique,
        key_stride: row,
        value_stride: row,
        ld: width,
        kv_splits: 1,
        split_len: context,
        // Scores stay small, so that no weight of the softmax underflows.
        scale: 1.0 / f32::from(u16::MAX),
    };
    let kernel = attention_for(cache, shape, TOKENS, &caps);
    let mut recording = Recording::new();
    let buffers = vec![q, keys, values, tokens, out];
    let [q, keys, values, tokens, out] = std::array::from_fn(|i| buffers[i].all());
    kernel.record(&mut recording, params, attention::Args { q, keys, values, tokens, out });
    let label = format!("{kernel:?} of {TOKENS} queries after {BEFORE}");
    Ok((label, recording, buffers))
}
