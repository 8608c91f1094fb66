// sum + dot(a, b) as four fused multiply-adds. `dot` would round each product, and needs more instructions where the
// compiler does not fuse them.
fn dot_add(a: vec4f, b: vec4f, sum: f32) -> f32 {
    return fma(a.x, b.x, fma(a.y, b.y, fma(a.z, b.z, fma(a.w, b.w, sum))));
}
