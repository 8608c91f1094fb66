//! Line figures with error bars, on linear or logarithmic axes.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, COLOURS, Frame, Svg};
use super::{Align, Axis, Line, Lines, Table, number};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;

/// The figure as SVG; empty without a point.
pub(crate) fn svg(figure: &Lines) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let names: Vec<String> = figure.lines.iter().map(name).collect();
    let used = svg.legend((92.0, 16.0), &names, true);
    let frame = Frame { left: 92.0, right: WIDTH - 14.0, top: 8.0 + used, bottom: HEIGHT - 46.0 };
    let points = || figure.lines.iter().flat_map(|l| &l.points);
    let x = Scale::around(points().map(|p| p.0), spread(&figure.x), (frame.left, frame.right));
    let ys = points().flat_map(|p| [p.1.lo, p.1.value, p.1.hi]);
    let y = Scale::around(ys, spread(&figure.y), (frame.bottom, frame.top));
    let (Some(x), Some(y)) = (x, y) else {
        return String::new();
    };
    svg.x_axis(&x, &figure.x.unit, frame, &figure.x.title);
    svg.y_axis(&y, &figure.y.unit, frame, &figure.y.title);
    for (series, line) in figure.lines.iter().enumerate() {
        draw(&mut svg, series, line, figure, (&x, &y));
    }
    if points().count() == 0 {
        svg.text("tick", (WIDTH / 2.0, HEIGHT / 2.0), Anchor::Middle, "no data");
    }
    svg.finish(&format!(
        "{} {} lines; the table below lists their points.",
        figure.caption,
        figure.lines.len()
    ))
}

/// The name of a line in the legend. Published figures are drawn like predictions, but not named so.
fn name(line: &Line) -> String {
    let published = line.label.starts_with("published");
    if line.predicted && !published { format!("{} (predicted)", line.label) } else { line.label.clone() }
}

/// The figure as a table of its points.
pub(crate) fn table(figure: &Lines) -> Table {
    let columns = [
        ("line", Align::Left),
        (figure.x.title.as_str(), Align::Right),
        (figure.y.title.as_str(), Align::Right),
        ("interval", Align::Right),
    ];
    let mut table = Table::new("", columns);
    for line in &figure.lines {
        for (x, y) in &line.points {
            let value = |v: f64| number::si(v, &figure.y.unit);
            let interval =
                if y.lo < y.hi { format!("{} – {}", value(y.lo), value(y.hi)) } else { String::new() };
            table.push([name(line), position(&figure.x, *x), value(y.value), interval]);
        }
    }
    table
}

/// Formats a value of the horizontal axis.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes in bytes are below 2^63")]
fn position(axis: &Axis, x: f64) -> String {
    if axis.unit == "B" { number::bytes(x as u64) } else { number::tick(x, &axis.unit) }
}

fn spread(axis: &Axis) -> Spread {
    match (axis.log, axis.unit.as_str()) {
        (false, _) => Spread::Linear,
        (true, "B") => Spread::Log2,
        (true, _) => Spread::Log10,
    }
}

fn draw(svg: &mut Svg, series: usize, line: &Line, figure: &Lines, axes: (&Scale, &Scale)) {
    let (x, y) = axes;
    let at = |v: &(f64, _)| x.px(v.0);
    let drawable = |p: &&(f64, ridgeline_roofline::Measured)| {
        (!figure.x.log || p.0 > 0.0) && (!figure.y.log || p.1.value > 0.0) && p.1.value.is_finite()
    };
    let points: Vec<_> = line.points.iter().filter(drawable).collect();
    let path: Vec<(f64, f64)> = points.iter().map(|p| (at(p), y.px(p.1.value))).collect();
    let dashed = if line.predicted { " predicted" } else { "" };
    svg.polyline(&format!("line{dashed} c{}", series % COLOURS), &path);
    if line.predicted {
        return;
    }
    for (point, &(px, py)) in points.iter().zip(&path) {
        let (lo, hi) = (y.px(point.1.lo.max(y.lo)), y.px(point.1.hi));
        if lo - hi > 2.0 {
            svg.line("whisker", (px, lo), (px, hi));
        }
        let value = number::si(point.1.value, &figure.y.unit);
        svg.mark(series, (px, py), &format!("{}: {value} at {}", line.label, position(&figure.x, point.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::{svg, table};
    use crate::report::{Axis, Line, Lines};
    use ridgeline_roofline::Measured;

    #[test]
    fn published_lines_are_no_predictions_and_ratios_have_no_prefix() {
        let line = |label: &str, y: f64| Line {
            label: label.to_owned(),
            points: vec![(1.0, Measured::exact(y)), (2.0, Measured { value: y, lo: 0.9 * y, hi: 1.1 * y })],
            predicted: y < 0.5,
        };
        let figure = Lines {
            caption: String::new(),
            x: Axis { title: "x".to_owned(), unit: String::new(), log: true },
            y: Axis { title: "y".to_owned(), unit: String::new(), log: true },
            lines: vec![line("here", 0.795), line("published: there", 0.2), line("model", 0.1)],
        };
        let rows = table(&figure).rows;
        let names: Vec<&str> = rows.iter().step_by(2).map(|r| r[0].as_str()).collect();
        assert_eq!(names, ["here", "published: there", "model (predicted)"]);
        assert_eq!(rows[1][2..], ["0.795", "0.716 – 0.875"]);
        let drawn = svg(&figure);
        assert!(
            drawn.contains("here: 0.795 at 2") && !drawn.contains("published: there (predicted)"),
            "{drawn}"
        );
    }
}
