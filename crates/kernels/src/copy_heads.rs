//! Copies parts of heads, to put heads together from several tensors.

use crate::common::{bytes4, without_sums};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[t · y_ld + y_first + h · y_step + i\] = x\[t · x_ld + x_first + h · x_step + i\] for `width` values i of `n_heads`
    /// heads. All sizes are multiples of 4. With an `x_step` of 0, all heads get the same values.
    pub struct CopyHeads("copy_heads") { workgroup_size: u32 }
    params {
        n_tokens: u32, n_heads: u32, width: u32, x_ld: u32, x_first: u32, x_step: u32, y_ld: u32, y_first: u32, y_step: u32,
    }
    bindings { x: read array<vec4<f32>>, y: write array<vec4<f32>> }
}

impl Kernel for CopyHeads {
    fn all(_caps: &Caps) -> Vec<Self> {
        vec![Self { workgroup_size: 64 }]
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size)
    }
    fn groups(&self, p: &Params) -> u64 {
        (values(p) / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, _p: &Params) -> u64 {
        0
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let copies = if p.x_step == 0 { u64::from(p.n_heads) } else { 1 };
        Bytes { x: bytes4(values(p) / copies), y: bytes4(values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let end = |ld, first, step| {
            u64::from(p.n_tokens - 1) * u64::from(ld) + u64::from(first + (p.n_heads - 1) * step + p.width)
        };
        Bytes { x: bytes4(end(p.x_ld, p.x_first, p.x_step)), y: bytes4(end(p.y_ld, p.y_first, p.y_step)) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_heads, width) = (rng.range(1, 7), rng.range(1, 5), 4 * rng.range(1, 30));
        let mut some = |least: u32| least + 4 * rng.range(0, 3);
        let (x_first, y_first, y_step) = (some(0), some(0), some(width));
        let x_step = if some(0) == 0 { 0 } else { some(width) };
        let (x_ld, y_ld) = (some(x_first + n_heads * x_step.max(width)), some(y_first + n_heads * y_step));
        let params = Params { n_tokens, n_heads, width, x_ld, x_first, x_step, y_ld, y_first, y_step };
        TestInput { params, bindings: vec![rng.words((n_tokens * x_ld) as usize), vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        for t in 0..p.n_tokens {
            for h in 0..p.n_heads {
                let [from, to] = [t * p.x_ld + p.x_first + h * p.x_step, t * p.y_ld + p.y_first + h * p.y_step];
                let x = &host.x[from as usize..][..p.width as usize];
                host.y[to as usize..][..p.width as usize].copy_from_slice(x);
            }
        }
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.width)
}
