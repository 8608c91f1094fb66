//! `pack_f16` of the shaders rounds every f32 to the nearest f16, ties to even, as IEEE 754 and the CPU references do.
//!
//! A copy of its integer algorithm in Rust is compared with the crate `half`. The twin tests run the shader itself.

use half::f16;

/// The algorithm of `shaders/shared/pack_f16.wgsl`, for one value.
fn pack_f16(v: f32) -> u16 {
    let bits = v.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let odd = (magnitude >> 13) & 1;
    let normal = (magnitude.wrapping_sub(0x3800_0000).wrapping_add(0xfff + odd) >> 13).min(0x7c00);
    let subnormal = (v.abs() + 0.5).to_bits().wrapping_sub(0x3f00_0000);
    let number = if magnitude < 0x3880_0000 { subnormal } else { normal };
    let half = if magnitude > 0x7f80_0000 { 0x7e00 } else { number } | ((bits >> 16) & 0x8000);
    u16::try_from(half).expect("sixteen bits")
}

fn check(v: f32) {
    let (ours, theirs) = (f16::from_bits(pack_f16(v)), f16::from_f32(v));
    assert!(
        ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()),
        "{v:e}: {ours} {theirs}"
    );
}

/// Rounding is monotone, so the values beside each boundary between two f16 decide all others.
#[test]
fn every_boundary_between_two_halves_is_right() {
    for bits in 0..0x7c00 {
        let (low, high) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32());
        // Beyond the largest f16 the next one would be 65536.
        let high = high.min(65536.0);
        let middle = f32::midpoint(low, high);
        for v in [low, low.next_up(), middle.next_down(), middle, middle.next_up(), high.next_down()] {
            check(v);
            check(-v);
        }
    }
}

#[test]
fn extremes_and_a_sample_of_all_floats_are_right() {
    for v in [0.0, f32::MIN_POSITIVE, 1e-45, 2e-8, 65519.99, 65520.0, 1e9, f32::MAX, f32::INFINITY, f32::NAN]
    {
        check(v);
        check(-v);
    }
    // An odd step visits every exponent and sign with many mantissas.
    (0..u32::MAX).step_by(1021).map(f32::from_bits).for_each(check);
}
