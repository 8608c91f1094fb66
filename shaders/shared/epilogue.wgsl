// Epilogues of the linear kernels, as in `Epilogue` of Rust.
const STORE: u32 = 0u;
const ADD: u32 = 1u;
const GLU: u32 = 2u;

fn write_output(at: u32, sum: f32) {
    if params.epilogue == ADD {
        y[at] += sum;
    } else {
        y[at] = sum;
    }
}
//# if ACTIVATION is defined
//# with of = "f32"

//# include "shared/activation.wgsl"
//# endwith
//# endif
