//! Activation functions of feed-forward blocks, as values.

use ridgeline_compute::Defines;

/// An elementwise activation function f.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Activation {
    /// x / (1 + exp(−x)): SiLU or Swish (Ramachandran et al. 2017, "Searching for Activation Functions").
    #[default]
    Silu,
    /// x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2: exact GELU (Hendrycks & Gimpel 2016, "Gaussian Error Linear Units").
    Gelu,
    /// x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2: the tanh approximation of GELU, from the same paper.
    GeluTanh,
    /// max(x, 0)²: ReLU² (So et al. 2021, "Primer").
    Relu2,
}

impl Activation {
    /// All activation functions.
    pub const ALL: [Self; 4] = [Self::Silu, Self::Gelu, Self::GeluTanh, Self::Relu2];

    /// Adds the function to a template, which includes `shared/activation.wgsl`.
    pub(crate) fn define(self, defines: Defines) -> Defines {
        let name = match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Relu2 => "relu2",
        };
        defines.value("ACTIVATION", name)
    }

    /// Floating-point operations per value. exp, erf and tanh count as one.
    #[must_use]
    pub const fn flops(self) -> u64 {
        match self {
            // Negate, exp, add, divide.
            Self::Silu => 4,
            // Divide, erf, add, two multiplies.
            Self::Gelu => 5,
            // Three multiplies and an add for the cubic, then multiply, tanh, add and two multiplies.
            Self::GeluTanh => 9,
            // Maximum, multiply.
            Self::Relu2 => 2,
        }
    }

    /// f(x), the CPU reference.
    #[must_use]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let cubic = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + cubic.tanh())
            }
            Self::Relu2 => x.max(0.0).powi(2),
        }
    }
}

/// The error function, by the series erf z = 2/√π · exp(−z²) · Σ 2ⁿ z²ⁿ⁺¹ / (1 · 3 ⋯ (2n + 1)) over n ≥ 0 (DLMF 7.6.2). All terms
/// have one sign, so that none cancel.
fn erf(z: f64) -> f64 {
    // Beyond this erf is ±1 in f64.
    if z.abs() > 6.0 {
        return z.signum();
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= 2.0 * z * z / odd;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::{Activation, erf};

    #[test]
    fn erf_equals_tabulated_values() {
        // Abramowitz & Stegun, table 7.1, and 1 − erfc for the last.
        let table = [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.0, 0.999_977_909_5),
        ];
        for (z, value) in table {
            assert!((erf(z) - value).abs() < 1e-10, "erf({z}) = {}", erf(z));
            assert!((erf(-z) + value).abs() < 1e-10, "erf(-{z})");
        }
        assert!((erf(5.999) - 1.0).abs() < 1e-15 && erf(7.0).total_cmp(&1.0).is_eq(), "the tail");
        assert!(erf(f64::NAN).is_nan());
    }

    #[test]
    fn activations_equal_known_values() {
        // Φ(1) = 0.841344746, σ(1) = 0.731058579; the tanh form at 1 is 0.841191991.
        let at_one = [0.731_058_579, 0.841_344_746, 0.841_191_991, 1.0];
        let at_minus_two = [-0.238_405_844, -0.045_500_264, -0.045_402_306, 0.0];
        for ((f, one), minus_two) in Activation::ALL.into_iter().zip(at_one).zip(at_minus_two) {
            assert!((f.apply(1.0) - one).abs() < 1e-8, "{f:?}(1) = {}", f.apply(1.0));
            assert!((f.apply(-2.0) - minus_two).abs() < 1e-8, "{f:?}(-2) = {}", f.apply(-2.0));
        }
    }
}
