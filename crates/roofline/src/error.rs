//! Errors of measured, stored or published ceilings.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bandwidth curve has no points.
    #[error("the bandwidth curve has no points; measure at least one working-set size")]
    EmptyCurve,
    /// The points of a curve must be sorted by strictly rising size.
    #[error("the bandwidth curve is not sorted: a point of {next} bytes follows one of {previous} bytes")]
    UnsortedCurve {
        /// Size of the earlier point, bytes.
        previous: u64,
        /// Size of the later point, bytes.
        next: u64,
    },
    /// A ceiling must be a positive finite number inside its interval.
    #[error(
        "{what} is {value} with interval [{lo}, {hi}]; it must be positive, finite and inside its interval"
    )]
    BadCeiling {
        /// Name of the ceiling.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
    },
    /// A file of published peaks does not parse.
    #[error("machines/{file}: {source}")]
    PublishedMachine {
        /// Name of the file.
        file: &'static str,
        /// The parser's error.
        source: Box<toml::de::Error>,
    },
}
