// The 16 levels of IQ4_NL and IQ4_XS (`kvalues_iq4nl` of
// https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h), four signed bytes per word from the lowest
// level up. Selects and shifts instead of an array, because an indexed array would be in memory.
//# set table = tables is defined and src in tables
//# if table
//# include "shared/level_table.wgsl"

//# endif
fn ${src}_${"computed_levels" if table else "levels"}(quants: u32) -> vec4f {
    let n = unpack4xU8(quants);
    let second_four = (n & vec4u(4u)) != vec4u();
    let low = select(vec4u(0xbfad9881u), vec4u(0xf6eaddcfu), second_four);
    let high = select(vec4u(0x26190d01u), vec4u(0x71594535u), second_four);
    let words = select(low, high, (n & vec4u(8u)) != vec4u());
    // Shift the wanted byte to the top, and back with its sign extended.
    return vec4f(bitcast<vec4i>(words << (vec4u(24u) - ((n & vec4u(3u)) << vec4u(3u)))) >> vec4u(24u));
}
