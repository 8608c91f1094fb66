//! The levels of the formats without minimum, and the starts of the search over their scales.

use super::nearest;

/// The levels of a format: a weight is `scale · level`.
pub(super) trait Levels {
    /// The search starts from `scale = peak / start` for each of these; `peak` is the value farthest from zero.
    const STARTS: &'static [f32];
    /// The level nearest to `y`; NaN only if `y` is.
    fn level(y: f32) -> f32;
    /// The quant of the level nearest to `y`.
    fn code(y: f32) -> u8;
}

/// The integers `-HALF..HALF`, stored with `HALF` added.
#[derive(Debug)]
pub(super) struct IntLevels<const HALF: u8>;

impl<const HALF: u8> IntLevels<HALF> {
    const LOWEST: f32 = -(HALF as f32);
    const HIGHEST: f32 = HALF as f32 - 1.0;
}

impl<const HALF: u8> Levels for IntLevels<HALF> {
    const STARTS: &'static [f32] = if HALF <= 4 {
        &[-4.4, -3.8, -3.2, -2.6, 3.4, 2.8, 2.2]
    } else {
        &[-32.4, -32.0, -31.5, -31.0, -30.4, -29.7, 31.4, 31.0, 30.5, 30.0, 29.3]
    };

    #[inline(always)]
    fn level(y: f32) -> f32 {
        nearest(y, Self::LOWEST, Self::HIGHEST)
    }

    fn code(y: f32) -> u8 {
        super::byte(Self::level(y) - Self::LOWEST)
    }
}

/// `kvalues_iq4nl` of ggml-common.h: sixteen levels, denser around zero. Looked up in a table of half steps.
#[derive(Debug)]
pub(super) struct Iq4Levels;

const KVALUES_IQ4NL: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Every border between two levels is a multiple of 1/2, so a table with steps of 1/2 from -128 is exact.
const STEPS: usize = 512;

/// The first step whose nearest level is `code + 1`: the border `(level + next) / 2`, in halves from -128.
const fn border_above(code: u8) -> usize {
    let sum = KVALUES_IQ4NL[code as usize] as i16 + KVALUES_IQ4NL[code as usize + 1] as i16;
    (sum + 256).unsigned_abs() as usize
}

/// The code and the level of every step.
const STEPPED: ([u8; STEPS], [f32; STEPS]) = {
    let (mut codes, mut levels) = ([0; STEPS], [0.0; STEPS]);
    let (mut step, mut code) = (0, 0_u8);
    while step < STEPS {
        while code < 15 && step == border_above(code) {
            code += 1;
        }
        (codes[step], levels[step]) = (code, KVALUES_IQ4NL[code as usize] as f32);
        step += 1;
    }
    (codes, levels)
};
static CODES: [u8; STEPS] = STEPPED.0;
static LEVELS: [f32; STEPS] = STEPPED.1;

impl Iq4Levels {
    #[inline(always)]
    fn step(y: f32) -> usize {
        const SHIFT: f32 = 8_388_608.0; // 2²³: the low bits of the sum are the rounded integer
        // 2 (y + 128) less a half: the addition below rounds to nearest, and floor is needed.
        let step = 2.0 * y + 255.5;
        let step = if step > 0.0 { step } else { 0.0 };
        let step = if step < 511.0 { step } else { 511.0 };
        (step + SHIFT).to_bits() as usize % STEPS
    }
}

impl Levels for Iq4Levels {
    const STARTS: &'static [f32] =
        &[-134.0, -127.0, -121.0, -115.0, -104.0, -94.0, -83.0, 119.0, 113.0, 107.0, 101.0, 89.0, 69.0];

    #[inline(always)]
    fn level(y: f32) -> f32 {
        LEVELS[Self::step(y)]
    }

    fn code(y: f32) -> u8 {
        CODES[Self::step(y)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_picks_the_nearest_level() {
        for i in -1500..1500_i16 {
            let y = f32::from(i) / 10.0 + 0.03;
            let best =
                KVALUES_IQ4NL.iter().map(|&it| (f32::from(it) - y).abs()).fold(f32::INFINITY, f32::min);
            assert_eq!((Iq4Levels::level(y) - y).abs(), best, "{y}");
            assert_eq!(f32::from(KVALUES_IQ4NL[usize::from(Iq4Levels::code(y))]), Iq4Levels::level(y));
        }
        assert_eq!(Iq4Levels::level(f32::INFINITY), 113.0);
        assert_eq!(Iq4Levels::level(f32::NEG_INFINITY), -127.0);
    }

    #[test]
    fn whole_levels_are_stored_with_their_offset() {
        assert_eq!((IntLevels::<4>::level(9.0), IntLevels::<4>::code(9.0)), (3.0, 7));
        assert_eq!((IntLevels::<32>::level(-40.0), IntLevels::<32>::code(-40.0)), (-32.0, 0));
        assert_eq!(IntLevels::<4>::code(0.2), 4);
    }
}
