//! Formatting of numbers: three significant digits, an SI prefix and a unit.

/// Decimal prefixes by power of a thousand, from 10⁻¹².
const PREFIXES: [&str; 10] = ["p", "n", "µ", "m", "", "k", "M", "G", "T", "P"];

/// A value with three significant digits, an SI prefix and its unit: `12.3 GB/s`.
///
/// A value without a unit has no prefix between 1e-6 and 1e4: `0.795`.
#[must_use]
pub fn si(value: f64, unit: &str) -> String {
    let (mantissa, prefix) = prefixed_for(value, unit);
    let text = format!("{} {prefix}{unit}", digits(mantissa, 3));
    text.trim_end().to_owned()
}

/// An interval whose ends share the prefix of the upper end: `12.1 – 12.5 GB/s`. See [`si`].
#[must_use]
pub fn si_range(lo: f64, hi: f64, unit: &str) -> String {
    let (mantissa, prefix) = prefixed_for(hi, unit);
    let factor = if hi == 0.0 { 1.0 } else { mantissa / hi };
    let text = format!("{} – {} {prefix}{unit}", digits(lo * factor, 3), digits(mantissa, 3));
    text.trim_end().to_owned()
}

/// A value without trailing zeros, for axes: `10 GB/s`, `0.5`.
pub(crate) fn tick(value: f64, unit: &str) -> String {
    if unit.is_empty() && (1e-6..1e5).contains(&value.abs()) || value == 0.0 {
        let decimals = if value.abs() < 1e-3 { 8 } else { 4 };
        let text = format!("{} {unit}", trim(format!("{value:.decimals$}")));
        return text.trim_end().to_owned();
    }
    let (mantissa, prefix) = prefixed(value);
    let text = format!("{} {prefix}{unit}", trim(digits(mantissa, 3)));
    text.trim_end().to_owned()
}

/// A size in bytes with a binary prefix: `1.5 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", trim(digits(value, 4)));
        }
        value /= 1024.0;
    }
    format!("{} TiB", trim(digits(value, 4)))
}

/// A share with one decimal and a percent sign: `12.3 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A value in so many significant digits, without exponent.
#[must_use]
pub fn digits(value: f64, significant: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let whole = exponent(value) + 1;
    let decimals = usize::try_from((significant - whole).max(0)).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// The power of ten of the leading digit after rounding to three digits, so that 999.7 counts as 1000.
#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite f64 lies within ±330")]
fn exponent(value: f64) -> i32 {
    (value.abs() * 1.000_5).log10().floor() as i32
}

/// As [`prefixed`], but a number without a unit has no prefix between 1e-6 and 1e4.
fn prefixed_for(value: f64, unit: &str) -> (f64, &'static str) {
    if unit.is_empty() && (1e-6..1e4).contains(&value.abs()) { (value, "") } else { prefixed(value) }
}

/// Mantissa between 1 and 1000 with its prefix.
fn prefixed(value: f64) -> (f64, &'static str) {
    if value == 0.0 || !value.is_finite() {
        return (value, "");
    }
    let thousands = exponent(value).div_euclid(3).clamp(-4, 5);
    let index = usize::try_from(thousands + 4).unwrap_or(4);
    (value / 1000.0_f64.powi(thousands), PREFIXES[index])
}

/// Removes trailing zeros after the decimal point.
fn trim(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{bytes, digits, percent, si, si_range, tick};

    #[test]
    fn numbers_carry_three_digits_and_a_prefix() {
        assert_eq!(si(12_345_678_900.0, "B/s"), "12.3 GB/s");
        assert_eq!(si(999.7, "FLOP/s"), "1.00 kFLOP/s");
        assert_eq!(si(-0.000_012_34, "s"), "-12.3 µs");
        assert_eq!(si(0.0, "s"), "0 s");
        assert_eq!(si_range(980e6, 1.02e9, "B/s"), "0.980 – 1.02 GB/s");
        assert_eq!(si(3.0e17, ""), "300 P");
        assert_eq!(
            (si(0.795, ""), si(1234.0, ""), si(-0.5, "")),
            ("0.795".into(), "1234".into(), "-0.500".into())
        );
        assert_eq!((si(2e4, ""), si_range(0.79, 0.8, "")), ("20.0 k".into(), "0.790 – 0.800".into()));
        assert_eq!(si(f64::NAN, "s"), "NaN s");
        assert_eq!(digits(0.001_234_5, 2), "0.0012");
        assert_eq!(percent(0.123_45), "12.3 %");
    }

    #[test]
    fn ticks_and_sizes_have_no_idle_zeros() {
        assert_eq!(
            (tick(1e10, "FLOP/s"), tick(0.5, ""), tick(0.0, "s")),
            ("10 GFLOP/s".into(), "0.5".into(), "0 s".into())
        );
        assert_eq!((tick(1e-4, ""), si(8.85e-5, "")), ("0.0001".into(), "0.0000885".into()));
        assert_eq!((tick(1e6, ""), tick(0.001_5, "s")), ("1 M".into(), "1.5 ms".into()));
        assert_eq!(
            (bytes(512), bytes(1536), bytes(1 << 24)),
            ("512 B".into(), "1.5 KiB".into(), "16 MiB".into())
        );
    }
}
