// Where vec4 `i` of a slice of a texture lies.
fn ${src}_texel(i: u32) -> vec2u {
    let at = params.${src}_first + i;
    return vec2u(at % TEXELS, at / TEXELS);
}
