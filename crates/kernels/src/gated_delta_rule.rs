//! Recurrence of Gated DeltaNet (Yang et al. 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule").

use crate::common::{Reduce, bytes4, to_u32};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// For each of `n_tokens` tokens, one after the other, and each of `value_heads` heads with a state S \[key, value\]:
    ///
    /// 1. g = exp(decay · softplus(a + dt_bias)) and β = sigmoid(b);
    /// 2. S = g · S; then S = S + k ⊗ β · (v − Sᵀk);
    /// 3. out\[t, head, value\] = `scale` · Sᵀq.
    ///
    /// The launch's tokens are of one sequence, and begin at row `token0` of `qkv`, of `gates` and of `out`.
    ///
    /// Row t of `qkv` has `ld` values. Its first are queries \[key_heads, key\], keys \[key_heads, key\] and values
    /// \[value_heads, value\]. Value head h has the query and key of head h mod `key_heads`, the order of GGUF. a and b of
    /// head h are gates\[t · gates_ld + alpha0 + h\] and gates\[t · gates_ld + beta0 + h\]. `decay` is negative, −exp(A_log).
    ///
    /// `state` \[value_heads, value, key\] holds the transposes of all S, in place: zero at the start of a sequence. A lane
    /// keeps at most `quads` vec4s of each of its columns of S. `key`, `value` and `ld` are multiples of 4.
    pub struct GatedDeltaRule("gated_delta_rule") {
        key: u32, reduce: Reduce, workgroup_size: u32, blocks: u32, quads: u32
    }
    params {
        n_tokens: u32, token0: u32, key_heads: u32, value_heads: u32, value: u32, ld: u32, gates_ld: u32, alpha0: u32,
        beta0: u32, scale: f32,
    }
    bindings {
        qkv: read array<vec4<f32>>, gates: read array<f32>, decay: read array<f32>, dt_bias: read array<f32>,
        state: update array<vec4<f32>>, out: write array<vec4<f32>>,
    }
}

/// Columns of S that a reduction group computes at a time: one vec4 of values.
const COLUMNS: u32 = 4;

impl GatedDeltaRule {
    /// The variant for keys of `key` values on this device.
    #[must_use]
    pub fn new(key: u32, caps: &Caps) -> Self {
        Self::with(key, Reduce::all(caps)[0], caps)
    }

    fn with(key: u32, reduce: Reduce, caps: &Caps) -> Self {
        let workgroup_size = 64;
        // The smallest reduction group that the driver may pick.
        let lanes = match (reduce, caps.subgroup) {
            (Reduce::Subgroup, Some((smallest, _))) => smallest.min(workgroup_size),
            _ => workgroup_size,
        };
        let (blocks, quads) = (reduce.groups_per_workgroup(caps, workgroup_size), (key / 4).div_ceil(lanes));
        Self { key, reduce, workgroup_size, blocks, quads }
    }

    /// Values of all states.
    fn state_len(&self, p: &Params) -> u64 {
        u64::from(p.value_heads) * u64::from(p.value) * u64::from(self.key)
    }

    /// Values of a row of `qkv` that the kernel reads.
    fn row(&self, p: &Params) -> u64 {
        2 * u64::from(p.key_heads) * u64::from(self.key) + u64::from(p.value_heads) * u64::from(p.value)
    }
}

impl Kernel for GatedDeltaRule {
    fn all(caps: &Caps) -> Vec<Self> {
        let with = |&reduce: &Reduce| [16, 72, 128].map(|key| Self::with(key, reduce, caps));
        Reduce::all(caps).iter().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        let d = self.reduce.define(Defines::new(self.workgroup_size)).u32("KEY_QUADS", self.key / 4);
        d.u32("BLOCKS", self.blocks).u32("QUADS", self.quads).u32("COLUMNS", COLUMNS)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.value_heads) * u64::from(p.value.div_ceil(self.blocks * COLUMNS))
    }
    fn flops(&self, p: &Params) -> u64 {
        // Per state value: Sᵀk two, the decay one, the update two, Sᵀq two. Per value: decay of Sᵀk, subtraction, β and scale.
        // Per head: the softplus with a + dt_bias has five (a maximum is one), g two, β four.
        let per_head = u64::from(p.value) * (7 * u64::from(self.key) + 4) + 11;
        u64::from(p.n_tokens) * u64::from(p.value_heads) * per_head
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let (tokens, heads) = (u64::from(p.n_tokens), u64::from(p.value_heads));
        Bytes {
            qkv: bytes4(tokens * self.row(p)),
            gates: bytes4(2 * tokens * heads),
            decay: bytes4(heads),
            dt_bias: bytes4(heads),
            state: 2 * bytes4(self.state_len(p)),
            out: bytes4(tokens * heads * u64::from(p.value)),
        }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let before = u64::from(p.token0 + p.n_tokens - 1);
        let gates = u64::from(p.alpha0.max(p.beta0)) + u64::from(p.value_heads);
        Bytes {
            qkv: bytes4(before * u64::from(p.ld) + self.row(p)),
            gates: bytes4(before * u64::from(p.gates_ld) + gates),
            state: bytes4(self.state_len(p)),
            out: bytes4((before + 1) * u64::from(p.value_heads) * u64::from(p.value)),
            ..self.traffic(p)
        }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, key_heads) = (rng.range(1, 6), rng.range(1, 3));
        let (value_heads, value) = (key_heads * rng.range(1, 3), 4 * rng.range(1, 40));
        let [alpha0, beta0] = rng.pick(&[[0, value_heads], [value_heads + 3, 1]]);
        let gates_ld = alpha0.max(beta0) + value_heads + rng.range(0, 3);
        let (token0, scale) = (rng.range(0, 3), 0.3);
        let mut params =
            Params { n_tokens, token0, key_heads, value_heads, value, ld: 0, gates_ld, alpha0, beta0, scale };
        params.ld = to_u32(self.row(&params)) + 4 * rng.range(0, 5);
        let qkv_len = to_u32(self.min_binding_size(&params).qkv / 4) as usize;
        let words = |values: Vec<f32>, of: fn(f32) -> f32| -> Vec<u32> { values.into_iter().map(|v| of(v).to_bits()).collect() };
        // Keys are normalised in a model. Longer ones would let the state grow.
        let qkv = words(rng.floats(qkv_len), |v| 0.2 * v);
        let gates = words(rng.floats(((token0 + n_tokens) * gates_ld) as usize), |v| 4.0 * v);
        let decay = words(rng.floats(value_heads as usize), |v| -1.5 - v);
        let state = rng.words(to_u32(self.state_len(&params)) as usize);
        TestInput { params, bindings: vec![qkv, gates, decay, rng.words(value_heads as usize), state, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (key, value, heads) = (self.key as usize, p.value as usize, p.value_heads as usize);
        for (h, state) in host.state.chunks_exact_mut(value * key).enumerate() {
            let [decay, dt_bias] = [host.decay[h], host.dt_bias[h]].map(f64::from);
            let key_head = h % p.key_heads as usize;
            // Rounded to f32 after the last token, as the device rounds after each.
            let mut columns: Vec<f64> = state.iter().map(|&v| f64::from(v)).collect();
            for t in (p.token0..p.token0 + p.n_tokens).map(|t| t as usize) {
                let row = &host.qkv[t * p.ld as usize..];
                let q = &row[key_head * key..][..key];
                let k = &row[(p.key_heads as usize + key_head) * key..][..key];
                let v = &row[2 * p.key_heads as usize * key + h * value..][..value];
                let gate = |first: u32| f64::from(host.gates[t * p.gates_ld as usize + first as usize + h]);
                let decay = (decay * softplus(gate(p.alpha0) + dt_bias)).exp();
                let beta = 1.0 / (1.0 + (-gate(p.beta0)).exp());
                let out = &mut host.out[(t * heads + h) * value..][..value];
                for ((column, &v), out) in columns.chunks_exact_mut(key).zip(v).zip(out) {
                    *out = step(column, (q, k, f64::from(v)), decay, beta, f64::from(p.scale));
                }
            }
            round(&columns, state);
        }
    }
}

/// One token of one column of S: the delta rule, and the scaled dot product with the query.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
fn step(column: &mut [f64], (q, k, v): (&[f32], &[f32], f64), decay: f64, beta: f64, scale: f64) -> f32 {
    column.iter_mut().for_each(|s| *s *= decay);
    let product = |column: &[f64], x: &[f32]| column.iter().zip(x).map(|(s, &x)| s * f64::from(x)).sum::<f64>();
    let delta = beta * (v - product(column, k));
    column.iter_mut().zip(k).for_each(|(s, &k)| *s += f64::from(k) * delta);
    (scale * product(column, q)) as f32
}

#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
fn round(from: &[f64], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from as f32);
}

/// ln(1 + exp(x)), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
