// The 16 unevenly spaced levels of two formats (`kvalues_iq4nl` of
// https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h), four signed bytes per word from the lowest
// level up. Selected words and shifted bytes: an indexed array would live in memory.
fn ${src}_levels(quants: u32) -> vec4f {
    let n = unpack4xU8(quants);
    let odd = (n & vec4u(4u)) != vec4u();
    let low = select(vec4u(0xbfad9881u), vec4u(0xf6eaddcfu), odd);
    let high = select(vec4u(0x26190d01u), vec4u(0x71594535u), odd);
    let words = select(low, high, (n & vec4u(8u)) != vec4u());
    // The wanted byte goes to the top, from where the shift back extends its sign.
    return vec4f(bitcast<vec4i>(words << (vec4u(24u) - ((n & vec4u(3u)) << vec4u(3u)))) >> vec4u(24u));
}
