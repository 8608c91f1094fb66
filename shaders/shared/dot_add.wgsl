// Four multiply-adds: `dot` would round each product, and take twice the instructions where nothing fuses them.
fn dot_add(a: vec4f, b: vec4f, sum: f32) -> f32 {
    return fma(a.x, b.x, fma(a.y, b.y, fma(a.z, b.z, fma(a.w, b.w, sum))));
}
