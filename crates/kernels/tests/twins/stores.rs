//! Comparison of stored quantized rows: the device and the CPU reference may round differently.

use ridgeline_compute::AnyKernel;
use ridgeline_kernels::dequantize::{self, Dequantize};
use ridgeline_kernels::kv_append::{self, KvAppend};
use ridgeline_kernels::rope_append::{self, RopeAppend};
use ridgeline_kernels::stride;
use ridgeline_quant::Format;

/// A binding to which a kernel writes quantized rows of `width` values.
pub(crate) struct Store {
    pub(crate) binding: usize,
    format: Format,
    width: usize,
    /// Words per row.
    stride: usize,
    /// Whether the tolerance is relative to the row's largest value. A norm whose sum has another order scales the whole
    /// row. A weight is near zero where scale · quant and offset nearly cancel.
    by_row: bool,
}

pub(crate) fn stores(kernel: &AnyKernel, params: &[u8]) -> Vec<Store> {
    let store = |binding, format, width: u32, stride: u32| Store {
        binding,
        format,
        width: width as usize,
        stride: 4 * stride as usize,
        by_row: false,
    };
    if let Some(k) = kernel.downcast::<KvAppend>() {
        let p: kv_append::Params = bytemuck::pod_read_unaligned(params);
        return vec![store(2, k.format, p.head_dim, p.stride)];
    }
    if let Some(k) = kernel.downcast::<RopeAppend>() {
        let p: rope_append::Params = bytemuck::pod_read_unaligned(params);
        let keys = Store { by_row: k.with.norm, ..store(6, k.keys, p.head_dim, p.key_stride) };
        return vec![keys, store(7, k.values, p.value_dim, p.value_stride)];
    }
    if let Some(k) = kernel.downcast::<Dequantize>() {
        let p: dequantize::Params = bytemuck::pod_read_unaligned(params);
        let format = k.output.format();
        // Interleaving permutes the vec4s of eight rows, which are compared as if they were rows.
        let store = store(1, format, p.n_cols, stride(format, p.n_cols as usize));
        return vec![Store { by_row: true, ..store }];
    }
    Vec::new()
}

impl Store {
    /// Compares quantized rows. Quantization may round differently where a quotient is not exact, and the values before
    /// it may differ in their last bits.
    ///
    /// So values may differ by one step of their block's scale, in at most 5 % of the values. Rows that were not written
    /// have the same bits.
    pub(crate) fn compare(&self, [here, twin]: [&[u32]; 2]) -> Result<(), String> {
        let spec = self.format.spec();
        let decode = |row: &[u32]| {
            let mut values = vec![f32::NAN; self.width];
            (spec.decode_row)(row, &mut values);
            values
        };
        let (mut values, mut different) = (0, 0);
        for (i, (here, twin)) in here.chunks(self.stride).zip(twin.chunks(self.stride)).enumerate() {
            values += self.width;
            if here == twin {
                continue;
            }
            let (here, twin) = (decode(here), decode(twin));
            let whole = self.by_row && spec.block_len == 1;
            let block = if whole { self.width } else { spec.block_len };
            for (a, b) in here.chunks(block).zip(twin.chunks(block)) {
                let largest = b.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
                let step = if spec.block_len > 1 { largest / 7.0 } else { largest * self.last_bit() };
                different += a.iter().zip(b).filter(|(a, b)| a != b).count();
                if !a.iter().zip(b).all(|(a, b)| (a - b).abs() <= step) {
                    return Err(format!("row {i}: device {a:?}, twin {b:?}"));
                }
            }
        }
        if 20 * different > values && spec.block_len > 1 {
            return Err(format!("{different} of {values} stored values differ"));
        }
        Ok(())
    }

    /// Relative tolerance of a type without blocks: about two units in the last place.
    fn last_bit(&self) -> f32 {
        match self.format {
            Format::F32 if self.by_row => 4e-6,
            Format::F32 => 1e-6,
            Format::F16 => 2e-3,
            _ => 2e-2,
        }
    }
}
