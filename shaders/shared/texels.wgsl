// Texel of vec4 `i` of a binding that is a slice of a texture.
fn ${src}_texel(i: u32) -> vec2u {
    let at = params.${src}_first + i;
    return vec2u(at % TEXTURE_WIDTH, at / TEXTURE_WIDTH);
}
