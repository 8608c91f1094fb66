//! What can be wrong with ceilings that were measured, stored or published.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bandwidth curve without a single point cannot be looked up.
    #[error("the bandwidth curve has no points; measure at least one working-set size")]
    EmptyCurve,
    /// The points of a curve must be sorted by strictly rising size.
    #[error("the bandwidth curve is not sorted: {next} bytes follows {previous} bytes")]
    UnsortedCurve {
        /// Size of the earlier point, bytes.
        previous: u64,
        /// Size of the later point, bytes.
        next: u64,
    },
    /// A ceiling has to be a positive finite number with an interval around it.
    #[error(
        "{what} is {value} with interval [{lo}, {hi}]; it has to be positive, finite and inside its interval"
    )]
    BadCeiling {
        /// Which ceiling.
        what: &'static str,
        /// The offending value.
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
        /// What the parser said.
        source: Box<toml::de::Error>,
    },
}
