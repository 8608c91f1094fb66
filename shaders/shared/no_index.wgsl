// The index and the value that every candidate of an argmax or a top-k beats: the identity of their reductions.
const NO_INDEX: u32 = 0xffffffffu;
// The lowest finite f32. Finite, because some shader compilers assume that infinities do not occur.
const LOWEST: f32 = -3.4028234e38;
