//! Line figures with error bars, on linear or logarithmic axes. A series of one point is a mark with its name beside it.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, COLORS, Frame, Key, Svg, label_width, text_width};
use super::{Align, Axis, Line, Lines, Table, number};
use ridgeline_roofline::Measured;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 290.0;

/// Most names in a figure; further series are named on hover.
const MOST_NAMES: usize = 12;

/// The figure as SVG; empty without a point.
pub(crate) fn svg(figure: &Lines) -> String {
    let entries = entries(figure);
    let rows = Svg::new(WIDTH, HEIGHT).legend(0.0, &entries);
    let mut svg = Svg::new(WIDTH, HEIGHT + rows);
    let used = svg.legend(12.0, &entries);
    let (top, bottom) = (used + 26.0, HEIGHT + rows - 42.0);
    let points = || figure.lines.iter().flat_map(|l| &l.points);
    let ys = points().flat_map(|p| [p.1.lo, p.1.value, p.1.hi]);
    let Some(y) = Scale::around(ys, spread(&figure.y), (bottom, top)) else { return String::new() };
    let frame = Frame { left: label_width(&y, &figure.y.unit), right: WIDTH - 8.0, top, bottom };
    let Some(x) = Scale::around(points().map(|p| p.0), spread(&figure.x), (frame.left, frame.right)) else {
        return String::new();
    };
    svg.x_axis(&x, &figure.x.unit, frame, &figure.x.title);
    svg.y_axis(&y, &figure.y.unit, frame, &figure.y.title);
    for (series, line) in figure.lines.iter().enumerate() {
        draw(&mut svg, series_of(figure, series), line, figure, (&x, &y));
    }
    names(&mut svg, figure, (&x, &y), frame);
    svg.finish(&format!("{} {} series.", figure.caption, figure.lines.len()))
}

/// Whether a line is one measured point, which has its name beside it and needs no legend.
fn is_point(line: &Line) -> bool {
    line.points.len() == 1 && !line.predicted
}

/// Color and shape of a line. Single points differ in their names and share them.
fn series_of(figure: &Lines, index: usize) -> usize {
    if is_point(&figure.lines[index]) {
        return 0;
    }
    let before = figure.lines[..index].iter().filter(|line| !is_point(line)).count();
    before + usize::from(figure.lines.iter().any(is_point))
}

fn entries(figure: &Lines) -> Vec<(usize, Key, String)> {
    // A dashed line of one point is not drawn.
    let is_drawn = |line: &Line| !is_point(line) && line.points.len() > usize::from(line.predicted);
    let lines = figure.lines.iter().enumerate().filter(|(_, line)| is_drawn(line));
    let key = |line: &Line| if line.predicted { Key::Dashed } else { Key::Mark };
    lines.map(|(i, line)| (series_of(figure, i), key(line), name(line))).take(MOST_NAMES).collect()
}

/// The name of a line in the legend. Lines that say what they are are not named predictions.
fn name(line: &Line) -> String {
    let says = ["published", "Pareto"].into_iter().any(|word| line.label.starts_with(word));
    if line.predicted && !says { format!("{} (predicted)", line.label) } else { line.label.clone() }
}

/// The figure as a table of its points. Without intervals, it has no column for them.
pub(crate) fn table(figure: &Lines) -> Table {
    let has_interval = figure.lines.iter().flat_map(|l| &l.points).any(|(_, y)| y.lo < y.hi);
    let mut columns = vec![
        ("series", Align::Left),
        (figure.x.title.as_str(), Align::Right),
        (figure.y.title.as_str(), Align::Right),
    ];
    columns.extend(has_interval.then_some(("95 % interval", Align::Right)));
    let mut table = Table::new("", columns);
    for line in &figure.lines {
        for (x, y) in &line.points {
            let interval =
                if y.lo < y.hi { number::si_range(y.lo, y.hi, &figure.y.unit) } else { "–".to_owned() };
            table.push([name(line), position(&figure.x, *x), number::si(y.value, &figure.y.unit), interval]);
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

/// Whether a point has a place on the axes.
fn is_drawable(figure: &Lines, (x, y): &(f64, Measured)) -> bool {
    (!figure.x.log || *x > 0.0) && (!figure.y.log || y.value > 0.0) && x.is_finite() && y.value.is_finite()
}

fn draw(svg: &mut Svg, series: usize, line: &Line, figure: &Lines, axes: (&Scale, &Scale)) {
    let (x, y) = axes;
    let points: Vec<_> = line.points.iter().filter(|point| is_drawable(figure, point)).collect();
    let path: Vec<(f64, f64)> = points.iter().map(|p| (x.px(p.0), y.px(p.1.value))).collect();
    let dashed = if line.predicted { " predicted" } else { "" };
    if path.len() > 1 {
        svg.polyline(&format!("line{dashed} c{}", series % COLORS), &path);
    }
    if line.predicted {
        return;
    }
    for (point, &(px, py)) in points.iter().zip(&path) {
        let Measured { value, lo, hi } = point.1;
        let (low, high) = (y.px(lo.max(y.lo)), y.px(hi));
        let (mut title, at) = (number::si(value, &figure.y.unit), position(&figure.x, point.0));
        if lo < hi {
            title += &format!(" [{}]", number::si_range(lo, hi, &figure.y.unit));
        }
        if low - high > 2.0 {
            svg.line("whisker", (px, low), (px, high));
        }
        svg.mark(series, (px, py), &format!("{}: {title} at {at}", line.label));
    }
}

/// Writes the names of single points beside them, where there is room.
fn names(svg: &mut Svg, figure: &Lines, (x, y): (&Scale, &Scale), frame: Frame) {
    let points: Vec<(&str, f64, f64)> = figure
        .lines
        .iter()
        .filter(|line| is_point(line) && is_drawable(figure, &line.points[0]))
        .map(|line| (line.label.as_str(), x.px(line.points[0].0), y.px(line.points[0].1.value)))
        .collect();
    let mut taken: Vec<[f64; 4]> =
        points.iter().map(|&(_, px, py)| [px - 5.0, py - 5.0, px + 5.0, py + 5.0]).collect();
    for &(name, px, py) in points.iter().take(MOST_NAMES) {
        if let Some((at, anchor)) = beside((px, py), name, &mut taken, frame) {
            svg.text("dot-name", at, anchor, name);
        }
    }
}

/// A free place for a name on the right, on the left, above or below a mark; `None` where all are taken.
pub(crate) fn beside(
    (px, py): (f64, f64),
    name: &str,
    taken: &mut Vec<[f64; 4]>,
    frame: Frame,
) -> Option<((f64, f64), Anchor)> {
    let width = text_width(name);
    let places = [
        (px + 8.0, py + 4.0, Anchor::Start),
        (px - 8.0, py + 4.0, Anchor::End),
        (px + 6.0, py - 7.0, Anchor::Start),
        (px + 6.0, py + 15.0, Anchor::Start),
        (px - 6.0, py - 7.0, Anchor::End),
        (px - 6.0, py + 15.0, Anchor::End),
    ];
    for (tx, ty, anchor) in places {
        let left = if anchor == Anchor::Start { tx } else { tx - width };
        let rect = [left, ty - 10.0, left + width, ty + 2.0];
        let is_inside =
            rect[0] > frame.left && rect[2] < frame.right && rect[1] > frame.top && rect[3] < frame.bottom;
        let overlaps = |t: &[f64; 4]| rect[0] < t[2] && t[0] < rect[2] && rect[1] < t[3] && t[1] < rect[3];
        if is_inside && !taken.iter().any(overlaps) {
            taken.push(rect);
            return Some(((tx, ty), anchor));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{svg, table};
    use crate::report::{Axis, Line, Lines};
    use ridgeline_roofline::Measured;

    fn figure(lines: Vec<Line>) -> Lines {
        Lines {
            caption: String::new(),
            x: Axis { title: "x".to_owned(), unit: String::new(), log: true },
            y: Axis { title: "y".to_owned(), unit: String::new(), log: true },
            lines,
        }
    }

    fn line(label: &str, y: f64) -> Line {
        Line {
            label: label.to_owned(),
            points: vec![(1.0, Measured::exact(y)), (2.0, Measured { value: y, lo: 0.9 * y, hi: 1.1 * y })],
            predicted: y < 0.5,
        }
    }

    #[test]
    fn published_lines_are_no_predictions_and_ratios_have_no_prefix() {
        let figure = figure(vec![line("here", 0.795), line("published: there", 0.2), line("model", 0.1)]);
        let rows = table(&figure).rows;
        let names: Vec<&str> = rows.iter().step_by(2).map(|r| r[0].as_str()).collect();
        assert_eq!(names, ["here", "published: there", "model (predicted)"]);
        assert_eq!(rows[1][2..], ["0.795", "0.716 – 0.875"]);
        let drawn = svg(&figure);
        assert!(drawn.contains("here: 0.795 [0.716 – 0.875] at 2"), "{drawn}");
        assert!(!drawn.contains("published: there (predicted)"), "{drawn}");
    }

    #[test]
    fn a_table_without_intervals_has_no_column_for_them() {
        let mut exact = line("here", 1.0);
        exact.points.truncate(1);
        assert_eq!(table(&figure(vec![exact])).columns.len(), 3);
        assert_eq!(table(&figure(vec![line("here", 1.0)])).columns.len(), 4);
    }

    #[test]
    fn single_points_are_named_beside_their_marks() {
        let point =
            |label: &str, x: f64| Line { points: vec![(x, Measured::exact(1.0))], ..line(label, 1.0) };
        let drawn = svg(&figure(vec![point("Q8_0", 1.0), point("Q2_K", 4.0), line("Pareto front", 0.4)]));
        assert_eq!(drawn.matches("class=\"dot-name\"").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("class=\"legend\"").count(), 1, "the front alone is in the legend");
        assert!(drawn.contains(">Pareto front<") && !drawn.contains("(predicted)"), "{drawn}");
    }
}
