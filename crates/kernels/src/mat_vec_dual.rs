//! Mat-vec (GEMV), y = W·x, of two stacked matrices of different quantization types, in one launch.

use crate::activation::Activation;
use crate::common::{Reduce, bytes4, device_bytes, format_bytes, random_rows, tables, to_u32, stride, with_tables};
use crate::linear::LinearShape;
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::{Format, Mix, Spec};

kernel! {
    /// y\[r\] = Σ_c W\[r, c\] · x\[c\], where W is `upper` \[upper_rows, n_cols\] and `lower` \[lower_rows, n_cols\] below it,
    /// each with its own quantization type. A reduction group computes `rows` rows, and a workgroup `blocks` times as many.
    /// Strides count vec4s per row.
    /// With `tables`, levels of quants are looked up in workgroup memory.
    pub struct MatVecDual("mat_vec_dual") {
        formats: [Format; 2], tables: [bool; 2], reduce: Reduce, workgroup_size: u32, blocks: u32, rows: u32,
    }
    params { upper_rows: u32, lower_rows: u32, n_cols: u32, upper_stride: u32, lower_stride: u32 }
    bindings {
        upper: read array<vec4<u32>>, lower: read array<vec4<u32>>, x: read array<vec4<f32>>, y: write array<f32>,
    }
}

impl MatVecDual {
    /// The kernel for two types: the upper of queries and keys, the lower of values. `None` without subgroups, or if no
    /// [`Mix`] combines them.
    #[must_use]
    pub fn new(formats: [Format; 2], caps: &Caps) -> Option<Self> {
        if caps.subgroup.is_none() || !Mix::key_value_type_pairs().contains(&formats) {
            return None;
        }
        let (reduce, workgroup_size) = (Reduce::Subgroup, 64);
        let blocks = reduce.groups_per_workgroup(caps, workgroup_size);
        let tables = formats.map(|format| tables(format, caps)[0]);
        Some(Self { formats, tables, reduce, workgroup_size, blocks, rows: 4 })
    }

    /// The two mat-vecs that the kernel fuses.
    fn halves(&self, p: &Params) -> [(Format, LinearShape); 2] {
        let linear = |n_rows, stride| {
            let n_cols = p.n_cols;
            LinearShape { n_rows, n_cols, n_vecs: 1, stride, ld: n_rows, row0: 0, epilogue: 0 }
        };
        let [upper, lower] = self.formats;
        [(upper, linear(p.upper_rows, p.upper_stride)), (lower, linear(p.lower_rows, p.lower_stride))]
    }
}

impl Kernel for MatVecDual {
    fn all(caps: &Caps) -> Vec<Self> {
        Mix::key_value_type_pairs().iter().filter_map(|formats| Self::new(*formats, caps)).collect()
    }
    fn defines(&self) -> Defines {
        let specs = self.formats.map(Format::spec);
        let files: Vec<&str> = specs.iter().map(|it| it.wgsl).collect();
        let sizes = |of: fn(&Spec) -> usize| -> Vec<u32> { specs.iter().map(|it| to_u32(of(it))).collect() };
        let d = self.reduce.define(Defines::new(self.workgroup_size));
        let d = d.value("files", files).value("unpack_lens", sizes(|it| it.unpack_len));
        let d = d.value("runs", sizes(|it| it.runs)).value("steps", sizes(|it| it.run_step));
        let [upper, lower] = self.tables;
        with_tables(d, [("upper", upper), ("lower", lower)]).u32("BLOCKS", self.blocks).u32("ROWS", self.rows)
    }
    fn groups(&self, p: &Params) -> u64 {
        let of = |rows: u32| u64::from(rows.div_ceil(self.blocks * self.rows));
        of(p.upper_rows) + of(p.lower_rows)
    }
    fn flops(&self, p: &Params) -> u64 {
        self.halves(p).into_iter().map(|(_, it)| it.flops(Activation::default())).sum()
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let [upper, lower] = [(self.formats[0], p.upper_rows), (self.formats[1], p.lower_rows)]
            .map(|(format, rows)| format_bytes(format, u64::from(rows), p.n_cols));
        let rows = u64::from(p.upper_rows) + u64::from(p.lower_rows);
        Bytes { upper, lower, x: bytes4(u64::from(p.n_cols)), y: bytes4(rows) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let upper = device_bytes(u64::from(p.upper_rows), p.upper_stride);
        let lower = device_bytes(u64::from(p.lower_rows), p.lower_stride);
        Bytes { upper, lower, ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let unit = self.formats.map(|it| to_u32(it.spec().unpack_len.max(it.spec().block_len))).into_iter().max().unwrap_or(1);
        let n_cols = rng.range(1, (160 / unit).max(2) + 1) * unit;
        let [upper_rows, lower_rows] = [rng.range(1, 40), rng.range(1, 40)];
        let [upper, lower] = self.formats;
        let weights = [(upper, upper_rows), (lower, lower_rows)].map(|(it, rows)| random_rows(rng, it, rows, n_cols));
        let [upper_stride, lower_stride] = self.formats.map(|it| stride(it, n_cols as usize));
        let params = Params { upper_rows, lower_rows, n_cols, upper_stride, lower_stride };
        let [upper, lower] = weights;
        TestInput { params, bindings: vec![upper, lower, rng.words(n_cols as usize), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (upper, lower) = host.y.split_at_mut(p.upper_rows as usize);
        let halves = [(host.upper, upper), (host.lower, lower)];
        for ((format, linear), (weights, y)) in self.halves(p).into_iter().zip(halves) {
            linear.reference((format, crate::WeightLayout::Plain, Activation::default()), weights, host.x, y);
        }
    }
}
