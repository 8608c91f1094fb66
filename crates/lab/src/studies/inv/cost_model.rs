//! A linear model of the time of a forward pass: launches, bytes, FLOP and submissions at a constant cost each.
//!
//! ```text
//! T = a·launches + b·bytes + c·FLOP + d·submissions        least squares of relative errors over cells
//! ```

use crate::measures::pass::{Pass, Point, Row};
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::stats;
use ridgeline_roofline::{Machine, Measured, Precision};

/// Name and amount of a term in one repetition.
type Term = (&'static str, fn(&Row) -> f64);

/// The terms, launches first.
const TERMS: [Term; 4] = [
    ("launch", |row| row.pass.cost.launches as f64),
    ("byte", |row| row.pass.cost.bytes() as f64),
    ("FLOP", |row| row.pass.cost.flops as f64),
    ("submission with its wait", |row| row.pass.regime.submissions as f64),
];

/// Fitted costs.
pub(super) struct CostModel {
    /// Seconds of one launch, byte, FLOP and submission, with 95 % intervals that assume independent errors.
    costs: [Measured; 4],
    /// Share of the variance of times that the model explains.
    pub(super) r2: f64,
    /// Median of the relative errors.
    pub(super) error: f64,
    /// Cells.
    pub(super) n: usize,
}

/// Fits the model; `None` where the cells do not tell the terms apart.
///
/// Times differ by orders of magnitude, so that each equation is divided by its time: the squares are of relative errors.
pub(super) fn fit(rows: &Rows<'_, Point, Row>) -> Option<CostModel> {
    let times: Vec<f64> = rows.iter().map(|e| Some(e.seconds()?.value)).collect::<Option<_>>()?;
    let column = |(_, amount): &Term| rows.iter().zip(&times).map(|(e, s)| amount(&e.row) / s).collect();
    let columns: Vec<Vec<f64>> = TERMS.iter().map(column).collect();
    let costs: [Measured; 4] =
        stats::regress(&columns, &vec![1.0; times.len()])?.intervals()?.try_into().ok()?;
    let model = CostModel { costs, r2: 0.0, error: 0.0, n: times.len() };
    let misses: Vec<f64> = rows.iter().zip(&times).map(|(e, s)| model.total(&e.row) - s).collect();
    let relative: Vec<f64> = misses.iter().zip(&times).map(|(miss, s)| (miss / s).abs()).collect();
    let mean = stats::mean(&times)?;
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|it| it * it).sum::<f64>();
    let r2 = 1.0 - squares(&mut misses.iter().copied()) / squares(&mut times.iter().map(|s| s - mean));
    Some(CostModel { r2, error: stats::median(&relative)?, ..model })
}

impl CostModel {
    /// Seconds of one launch.
    pub(super) const fn launch(&self) -> Measured {
        self.costs[0]
    }

    /// Seconds of each term of a forward pass.
    fn parts(&self, row: &Row) -> [f64; 4] {
        let mut parts = [0.0; 4];
        for ((part, (_, amount)), cost) in parts.iter_mut().zip(TERMS).zip(self.costs) {
            *part = amount(row) * cost.value;
        }
        parts
    }

    fn total(&self, row: &Row) -> f64 {
        self.parts(row).iter().sum()
    }

    /// The fitted costs beside those of the ceilings.
    pub(super) fn costs(&self, machine: Option<&Machine>) -> Table {
        let ceilings = machine.map(|m| {
            let host = [m.overheads.submission_s, m.overheads.synchronisation_s, m.overheads.readback_s];
            let host = host.iter().map(|it| it.value).sum();
            [
                m.overheads.launch_s.value,
                m.bandwidth.memory().value.recip(),
                m.peak(Precision::Fastest).value.recip(),
                host,
            ]
        });
        let titles = ["cost of one", "fitted", "95 % interval", "by the ceilings"];
        let caption = "Costs fitted to forward passes, beside those of the isolated ceilings.";
        let mut table = Table::new(caption, titles.map(|title| (title, Align::Left)));
        for (i, ((name, _), cost)) in TERMS.iter().zip(self.costs).enumerate() {
            let ceiling = ceilings.map_or_else(|| "–".to_owned(), |it| number::si(it[i], "s"));
            let interval = number::si_range(cost.lo, cost.hi, "s");
            table.push([(*name).to_owned(), number::si(cost.value, "s"), interval, ceiling]);
        }
        table
    }

    /// Name of a forward pass, the fitted share of each term in its time, and the fitted time over the measured one.
    pub(super) fn shares(&self, entry: &Pass<'_>, name: String) -> Option<Vec<String>> {
        let (total, parts) = (self.total(&entry.row), self.parts(&entry.row));
        let shares = parts.map(|part| number::percent(part / total));
        let fitted = number::digits(total / entry.seconds()?.value, 3);
        Some([name].into_iter().chain(shares).chain([fitted]).collect())
    }
}

/// A quotient with the widest interval; it has no ends where the divisor may be zero.
pub(super) fn quotient(above: Measured, below: Measured) -> Measured {
    let value = above.value / below.value;
    if below.lo <= 0.0 && below.hi >= 0.0 {
        return Measured { value, lo: f64::NEG_INFINITY, hi: f64::INFINITY };
    }
    let ends = [above.lo, above.hi].map(|it| [it / below.lo, it / below.hi]).concat();
    let (lo, hi) = ends.into_iter().fold((value, value), |(lo, hi), it| (lo.min(it), hi.max(it)));
    Measured { value, lo, hi }
}
