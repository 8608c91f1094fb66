//! A grid of shapes with equal parameters: where a model with fewer parameters is truly slower.

use crate::measures::pass::{self, Column, Pass};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::Chapter;
use ridgeline_roofline::Measured;

/// Adds the grid of an experiment to its chapter.
pub(super) fn grid(data: &Data<'_>, study: &str, chapter: &mut Chapter) -> Result<(), Error> {
    let rows = data.rows::<pass::Kind>()?.wanted_by(study).filter(|p| is_of_grid(&p.model));
    let rows = rows.sorted(|e| (e.row.pass.params, e.point.model.clone()));
    let machine = data.machine();
    let predicted = |e: &Pass<'_>| Some(e.row.pass.prediction(machine?).explained_s / tokens(e));
    let slower_than = |e: &Pass<'_>| {
        let faster = rows.iter().filter(|other| inversion(e, other).is_some_and(|ratio| ratio.lo > 1.0));
        faster.map(|other| size(&other.point.model)).collect::<Vec<_>>().join(", ")
    };
    let columns = [
        Column::text("layers x width", |e| size(&e.point.model).to_owned()),
        Column::number("parameters", |e| Some(number::si(e.row.pass.params as f64, ""))),
        Column::number("launches per token", |e| {
            Some(number::digits(e.row.pass.cost.launches as f64 / tokens(e), 3))
        }),
        Column::number("predicted time per token", |e| Some(number::si(predicted(e)?, "s"))),
        Column::number("time per token", |e| Some(number::si(step(e)?.value, "s"))),
        Column::number("95 % interval", |e| step(e).map(|s| number::si_range(s.lo, s.hi, "s"))),
        Column::text("slower than these larger ones", slower_than),
    ];
    let caption = "Generation by shapes of two sizes, few and wide or many and narrow layers. The prediction adds launches and \
                   submissions at their measured cost to the roof.";
    chapter.table(rows.table(caption, &columns));
    let all = rows.iter().flat_map(|small| {
        rows.iter().filter_map(move |large| Some((small, large, inversion(small, large)?)))
    });
    let clearest = all.max_by(|a, b| a.2.lo.total_cmp(&b.2.lo));
    if let Some((small, large, ratio)) = clearest.filter(|it| it.2.lo > 1.0) {
        let expected = predicted(small).zip(predicted(large));
        let expected =
            expected.map_or_else(String::new, |(a, b)| format!(" The ceilings predict {:.2}.", a / b));
        let [less, more] = [small, large].map(|e| number::si(e.row.pass.params as f64, ""));
        chapter.text(format!(
            "The clearest inversion on this grid: {} with {less} parameters takes {:.2} [{:.2}, {:.2}] times as long as {} with \
             {more}.{expected}",
            small.point.model, ratio.value, ratio.lo, ratio.hi, large.point.model,
        ));
    } else if clearest.is_some() {
        chapter.text("No shape of this grid is slower than one with more parameters, beyond the intervals.");
    }
    Ok(())
}

/// Whether a model has another number of layers and another width than its shape.
fn is_of_grid(model: &str) -> bool {
    model.rsplit_once('@').is_some_and(|(_, size)| size.contains('x'))
}

/// Layers and width of a model of the grid.
fn size(model: &str) -> &str {
    model.rsplit_once('@').map_or(model, |it| it.1)
}

fn tokens(entry: &Pass<'_>) -> f64 {
    entry.point.work.tokens() as f64
}

/// Seconds per token, with the interval of visits.
fn step(entry: &Pass<'_>) -> Option<Measured> {
    Some(entry.seconds()?.map(|s| s / tokens(entry)))
}

/// Time of a model over that of one with more parameters, for the same work.
fn inversion(small: &Pass<'_>, large: &Pass<'_>) -> Option<Measured> {
    let same = pass::Point { model: small.point.model.clone(), ..large.point.clone() } == small.point;
    if same && small.row.pass.params < large.row.pass.params { small.time_over(large) } else { None }
}
