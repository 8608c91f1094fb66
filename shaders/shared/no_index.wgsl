// Initial index and value of an argmax or top-k. Code must test NO_INDEX too, because a candidate of -∞ is below LOWEST.
const NO_INDEX: u32 = 0xffffffffu;
// The lowest finite f32. Finite, because some shader compilers assume that infinities do not occur.
const LOWEST: f32 = -3.4028234e38;
