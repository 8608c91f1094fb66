//! The pair of the inversion study: the same work by its small and by its large model.

use crate::measures::pass::{self, Pass, Point, Row};
use crate::measures::{layers, mix};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number::percent;
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Evidence};
use ridgeline_measure::pass::Clock;
use ridgeline_roofline::Measured;

/// Name and number of layers of the two models' text stacks.
const SMALL: (&str, usize) = ("smollm2-135m", 30);
const LARGE: (&str, usize) = ("smollm2-1.7b", 24);

/// A common multiple of both numbers of layers.
const WHOLE: usize = 120;

/// One kind of work by both models, cut to the same share of their layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'r, 'a> {
    /// The model with fewer parameters and more layers.
    pub(super) small: &'r Pass<'a>,
    /// The other.
    pub(super) large: &'r Pass<'a>,
}

/// The cells of the pair that an experiment wants, by length, the small model first.
pub(super) fn cells<'a>(data: &Data<'a>, study: &str) -> Result<Rows<'a, Point, Row>, Error> {
    let rows = data.rows::<pass::Kind>()?.wanted_by(study);
    let rows = rows.filter(|p| is_small(p) || share(&p.model, LARGE).is_some());
    Ok(rows.sorted(|e| (e.point.work.tokens(), !is_small(&e.point))))
}

/// Whether a cell is the small model's.
pub(super) fn is_small(point: &Point) -> bool {
    share(&point.model, SMALL).is_some()
}

/// Layers of a model of a shape; `None` for another shape.
fn count(model: &str, (shape, all): (&str, usize)) -> Option<usize> {
    let (name, layers) = layers(model).unwrap_or((model, all));
    (name == shape).then_some(layers)
}

/// Layers of a model in units of `1 / WHOLE` of those of its shape; `None` for another shape.
fn share(model: &str, shape: (&str, usize)) -> Option<usize> {
    Some(count(model, shape)? * WHOLE / shape.1)
}

/// The pair of a cell of the small model, where the large one did the same work.
pub(super) fn pair<'r, 'a>(rows: &'r Rows<'a, Point, Row>, small: &'r Pass<'a>) -> Option<Pair<'r, 'a>> {
    let size = share(&small.point.model, SMALL)?;
    let same = |p: &Point| *p == Point { model: p.model.clone(), ..small.point.clone() };
    Some(Pair { small, large: rows.find(|p| share(&p.model, LARGE) == Some(size) && same(p))? })
}

/// Every pair among these cells.
pub(super) fn pairs<'r, 'a>(rows: &'r Rows<'a, Point, Row>) -> impl Iterator<Item = Pair<'r, 'a>> {
    rows.iter().filter_map(|small| pair(rows, small))
}

/// Seconds of the median repetition of a visit by a clock; `None` where the clock has no times.
pub(super) fn seconds(row: &Row, clock: Clock) -> Option<f64> {
    stats::median(&stats::seconds(row.pass.by(clock)))
}

/// Number of tokens of a forward pass in words.
pub(super) fn length(point: &Point) -> String {
    let n = point.work.tokens();
    format!("{n} token{}", if n == 1 { "" } else { "s" })
}

impl Pair<'_, '_> {
    /// Time of the small model over that of the large one by a clock, visit by visit.
    pub(super) fn ratio(&self, clock: Clock) -> Option<Measured> {
        let time = |row: &Row| seconds(row, clock);
        self.small.ratio(time, self.large, time)
    }

    /// By which share of the large model's time the small one takes longer.
    pub(super) fn slowdown(&self, clock: Clock) -> Option<Measured> {
        Some(self.ratio(clock)?.map(|ratio| ratio - 1.0))
    }

    /// The slowdown by a clock in text, with its interval.
    pub(super) fn shown(&self, clock: Clock) -> String {
        let text = |it: Measured| format!("{} [{} – {}]", percent(it.value), percent(it.lo), percent(it.hi));
        self.slowdown(clock).map_or_else(|| "–".to_owned(), text)
    }

    /// Adds the slowdown by a clock to the values of a chapter.
    pub(super) fn add(&self, chapter: &mut Chapter, name: &'static str, clock: Clock) {
        let per_time = self.ratio(clock).map_or(0.0, |ratio| ratio.value);
        chapter.add(name, self.name(), (self.slowdown(clock), per_time), &self.evidence());
    }

    /// By how many seconds the small model takes longer by a clock. The pace of the machine cancels in the ratio.
    pub(super) fn gap(&self, clock: Clock) -> Option<Measured> {
        let large = self.large.over_visits(|row| seconds(row, clock))?.value;
        Some(self.slowdown(clock)?.map(|slowdown| slowdown * large))
    }

    /// Layers that the small model has more.
    pub(super) fn further_layers(&self) -> Option<f64> {
        let layers = |e: &Pass<'_>, shape| Some(count(&e.point.model, shape)? as f64);
        Some(layers(self.small, SMALL)? - layers(self.large, LARGE)?)
    }

    pub(super) fn name(&self) -> String {
        format!("{}, {}", mix(&self.small.point.format), length(&self.small.point))
    }

    /// Both cells.
    pub(super) fn evidence(&self) -> Evidence {
        self.small.evidence().and(&self.large.evidence())
    }
}
