// The activation function of the variant, as `Activation` of Rust, for values of the type `of` (f32 or vec4f).
//# if ACTIVATION == "silu"
fn activate(v: ${of}) -> ${of} {
    return v / (1.0 + exp(-v));
}
//# elif ACTIVATION == "gelu"
// Exact GELU, v · Φ(v) with Φ(v) = erfc(-v / √2) / 2. WGSL has no error function. For z ≥ 0 and t = 1 / (1 + z / 2):
//
//   erfc(z) = t · exp(-z² + P(t))  with a relative error below 1.2e-7.
//
// P is a polynomial of degree 9 (Press et al., Numerical Recipes in C, 2nd edition, section 6.2). For v < 0 no 1 + erf
// cancels.
fn activate(v: ${of}) -> ${of} {
    let z = abs(v) * 0.70710678;
    let t = 1.0 / (1.0 + 0.5 * z);
    //# set coefficients = [1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223]
    var p = t * 0.17087277 - 0.82215223;
    //# for c in coefficients
    p = p * t + ${c};
    //# endfor
    let tail = 0.5 * t * exp(p - 0.5 * v * v);
    return v * select(tail, 1.0 - tail, v >= ${of}());
}
//# elif ACTIVATION == "gelu_tanh"
// The tanh approximation of GELU. (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), which overflows for no u that is clamped.
fn activate(v: ${of}) -> ${of} {
    // 2 · √(2/π) = 1.5957691.
    let twice = 1.5957691 * (v + 0.044715 * v * v * v);
    return v / (1.0 + exp(min(-twice, ${of}(80.0))));
}
//# else
fn activate(v: ${of}) -> ${of} {
    let positive = max(v, ${of}());
    return positive * positive;
}
//# endif
