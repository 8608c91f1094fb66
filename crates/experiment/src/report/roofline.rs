//! Log-log roofline figures (Williams et al. 2009): ceilings as lines, measurements as numbered dots, and their table.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, Frame, Svg};
use super::{Align, Dot, Roofline, Table, number};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;

/// The figure as SVG; empty without ceilings and dots.
pub(crate) fn svg(figure: &Roofline) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let groups = groups(figure);
    let used = svg.legend((92.0, 16.0), &groups, true);
    let frame = Frame { left: 92.0, right: WIDTH - 112.0, top: 8.0 + used, bottom: HEIGHT - 46.0 };
    let Some((x, y)) = scales(figure, frame) else {
        return String::new();
    };
    svg.x_axis(&x, "", frame, "operational intensity, FLOP/byte");
    svg.y_axis(&y, "FLOP/s", frame, "performance, FLOP/s");
    ceilings(&mut svg, figure, &x, &y);
    dots(&mut svg, figure, &groups, (&x, &y), frame);
    svg.finish(&format!(
        "{} Roofline with {} measurements; the table below lists them.",
        figure.caption,
        figure.dots.len()
    ))
}

/// The table of the numbered dots.
pub(crate) fn legend_table(figure: &Roofline) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(
        "",
        [
            ("#", Right),
            ("measurement", Left),
            ("group", Left),
            ("intensity, FLOP/byte", Right),
            ("performance", Right),
            ("interval", Right),
            ("% of roof", Right),
            ("bound", Left),
        ],
    );
    for (i, dot) in figure.dots.iter().enumerate() {
        let p = dot.flops_per_s;
        table.push([
            (i + 1).to_string(),
            dot.label.clone(),
            dot.group.clone(),
            number::digits(dot.intensity, 3),
            number::si(p.value, "FLOP/s"),
            number::si_range(p.lo, p.hi, "FLOP/s"),
            dot.roof_fraction.map_or_else(String::new, |f| format!("{:.1}", f * 100.0)),
            dot.bound.map_or_else(String::new, |b| b.to_string()),
        ]);
    }
    table
}

/// The table of ceilings, for the Markdown form.
pub(crate) fn ceiling_table(figure: &Roofline) -> Table {
    let mut table = Table::new(
        "",
        [("ceiling", Align::Left), ("value", Align::Right), ("ridge, FLOP/byte", Align::Right)],
    );
    let peak = top(figure);
    for level in &figure.bandwidths {
        let ridge = if peak > 0.0 { number::digits(peak / level.bytes_per_s, 3) } else { String::new() };
        table.push([level.label.clone(), number::si(level.bytes_per_s, "B/s"), ridge]);
    }
    for level in &figure.peaks {
        table.push([level.label.clone(), number::si(level.flops_per_s, "FLOP/s"), String::new()]);
    }
    table
}

/// Groups in order of first appearance.
fn groups(figure: &Roofline) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for dot in &figure.dots {
        if !names.contains(&dot.group) {
            names.push(dot.group.clone());
        }
    }
    names
}

/// The highest peak, FLOP/s; zero without one.
fn top(figure: &Roofline) -> f64 {
    figure.peaks.iter().map(|p| p.flops_per_s).fold(0.0, f64::max)
}

/// Axes that contain every dot and every ridge point.
fn scales(figure: &Roofline, frame: Frame) -> Option<(Scale, Scale)> {
    let peak = top(figure);
    let ridges = figure.bandwidths.iter().map(|b| peak / b.bytes_per_s);
    let xs = figure.dots.iter().map(|d| d.intensity).chain(ridges).chain([0.25, 16.0]);
    let x = Scale::around(xs, Spread::Log10, (frame.left, frame.right))?;
    let lowest = figure.bandwidths.iter().map(|b| b.bytes_per_s * x.lo).fold(f64::INFINITY, f64::min);
    let performance =
        figure.dots.iter().flat_map(|d| [d.flops_per_s.lo, d.flops_per_s.value, d.flops_per_s.hi]);
    let ys = performance.chain(figure.peaks.iter().map(|p| p.flops_per_s)).chain([lowest]);
    Some((x, Scale::around(ys, Spread::Log10, (frame.bottom, frame.top))?))
}

/// Draws the sloped ceilings up to the highest peak, each with its name along it, and the flat ceilings.
fn ceilings(svg: &mut Svg, figure: &Roofline, x: &Scale, y: &Scale) {
    let peak = top(figure);
    let mut levels: Vec<_> = figure.bandwidths.iter().collect();
    levels.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
    let fastest = levels.first().map_or(0.0, |l| l.bytes_per_s);
    let mut previous: Option<(f64, f64)> = None;
    for level in levels {
        let rate = level.bytes_per_s;
        let end = if peak > 0.0 { (peak / rate).min(x.hi) } else { x.hi };
        let start = x.lo.max(y.lo / rate);
        let (a, b) = ((x.px(start), y.px(start * rate)), (x.px(end), y.px(end * rate)));
        svg.line("roof slope", a, b);
        let slope = (b.1 - a.1) / (b.0 - a.0);
        // Names of close lines are staggered, so that they do not overlap.
        let height = a.1 - slope * (a.0 - x.from);
        let shift = match previous {
            Some((h, s)) if (height - h).abs() < 16.0 => s + 230.0,
            _ => 0.0,
        };
        previous = Some((height, shift));
        let angle = slope.atan();
        let along = 14.0 + shift;
        // Six pixels above the line, perpendicular to it.
        let at =
            (a.0 + along * angle.cos() + 6.0 * angle.sin(), a.1 + along * angle.sin() - 6.0 * angle.cos());
        let name = format!("{} {}", level.label, number::si(rate, "B/s"));
        svg.rotated("roof-name", at, angle.to_degrees(), Anchor::Start, &name);
    }
    peaks(svg, figure, fastest, x, y);
}

/// Draws the flat ceilings from the fastest slope on, with their names in the right margin.
fn peaks(svg: &mut Svg, figure: &Roofline, fastest: f64, x: &Scale, y: &Scale) {
    let mut levels: Vec<_> = figure.peaks.iter().collect();
    levels.sort_by(|a, b| b.flops_per_s.total_cmp(&a.flops_per_s));
    let mut free = f64::NEG_INFINITY;
    for level in levels {
        let height = y.px(level.flops_per_s);
        let start = if fastest > 0.0 { (level.flops_per_s / fastest).max(x.lo) } else { x.lo };
        svg.line("roof flat", (x.px(start), height), (x.to, height));
        let middle = height.max(free);
        free = middle + 31.0;
        svg.line("leader", (x.to, height), (x.to + 6.0, middle));
        svg.text("roof-name", (x.to + 9.0, middle - 2.0), Anchor::Start, &level.label);
        svg.text(
            "tick",
            (x.to + 9.0, middle + 11.0),
            Anchor::Start,
            &number::si(level.flops_per_s, "FLOP/s"),
        );
    }
}

/// Draws error bars, marks, and a number beside each mark where there is room.
fn dots(svg: &mut Svg, figure: &Roofline, groups: &[String], axes: (&Scale, &Scale), frame: Frame) {
    let (x, y) = axes;
    let places: Vec<(f64, f64)> =
        figure.dots.iter().map(|d| (x.px(d.intensity), y.px(d.flops_per_s.value))).collect();
    let mut taken: Vec<[f64; 4]> =
        places.iter().map(|(px, py)| [px - 6.0, py - 6.0, px + 6.0, py + 6.0]).collect();
    for (dot, &(px, py)) in figure.dots.iter().zip(&places) {
        let (lo, hi) = (y.px(dot.flops_per_s.lo.max(y.lo)), y.px(dot.flops_per_s.hi));
        if lo - hi > 2.0 {
            svg.line("whisker", (px, lo), (px, hi));
        }
        let series = groups.iter().position(|g| *g == dot.group).unwrap_or(0);
        svg.mark(series, (px, py), &hover(dot));
    }
    for (i, &place) in places.iter().enumerate() {
        let name = (i + 1).to_string();
        if let Some((at, far)) = free_place(place, name.len() as f64 * 6.2, &mut taken, frame) {
            if far {
                svg.line("leader", place, (at.0, at.1 - 4.0));
            }
            svg.text("dot-name", at, Anchor::Middle, &name);
        }
    }
}

/// A free position for a text near a dot, and whether it needs a leader line; `None` where all are taken.
///
/// Tries 16 directions on each of five rings around the dot, innermost first.
fn free_place(
    dot: (f64, f64),
    width: f64,
    taken: &mut Vec<[f64; 4]>,
    frame: Frame,
) -> Option<((f64, f64), bool)> {
    for (ring, radius) in [11.0, 18.0, 28.0, 40.0, 54.0].into_iter().enumerate() {
        for step in 0..16_u8 {
            let angle = f64::from(step) * std::f64::consts::TAU / 16.0 - std::f64::consts::FRAC_PI_2;
            let (cx, cy) = (dot.0 + radius * angle.cos(), dot.1 + radius * angle.sin());
            let rect = [cx - width / 2.0 - 1.0, cy - 5.0, cx + width / 2.0 + 1.0, cy + 5.0];
            let inside = rect[0] > frame.left
                && rect[2] < frame.right
                && rect[1] > frame.top
                && rect[3] < frame.bottom;
            let overlaps =
                |t: &[f64; 4]| rect[0] < t[2] && t[0] < rect[2] && rect[1] < t[3] && t[1] < rect[3];
            if inside && !taken.iter().any(overlaps) {
                taken.push(rect);
                return Some(((cx, cy + 4.0), ring > 0));
            }
        }
    }
    None
}

/// The tooltip of a dot.
fn hover(dot: &Dot) -> String {
    let mut text = format!(
        "{}: {} at {} FLOP/byte",
        dot.label,
        number::si(dot.flops_per_s.value, "FLOP/s"),
        number::digits(dot.intensity, 3)
    );
    if let Some(share) = dot.roof_fraction {
        text += &format!(", {} of its roof", number::percent(share));
    }
    if let Some(bound) = dot.bound {
        text += &format!(", {bound}-bound");
    }
    text
}
