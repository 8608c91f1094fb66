// Epilogues of the linear kernels, as in `Epilogue` of Rust.
const STORE: u32 = 0u;
const ADD: u32 = 1u;
const SWIGLU: u32 = 2u;

fn write_output(at: u32, sum: f32) {
    if params.epilogue == ADD {
        y[at] += sum;
    } else {
        y[at] = sum;
    }
}

fn silu(v: f32) -> f32 {
    return v / (1.0 + exp(-v));
}
