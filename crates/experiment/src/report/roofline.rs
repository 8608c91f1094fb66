//! Log-log roofline figures (Williams et al. 2009): a panel for each model, with ceilings as lines and measurements as marks.
//!
//! All panels of a figure share their axes, so that models can be compared by eye.

use super::lines::beside;
use super::scale::{Scale, Spread};
use super::svg::{Anchor, Frame, Key, Svg, label_width, text_width};
use super::{Align, BandwidthLevel, Dot, Roofline, Table, number};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 320.0;

/// Most names beside marks in a panel; all others are shown on hover and focus.
const MOST_NAMES: usize = 12;

/// One panel: the model, and its drawing.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) model: String,
    pub(crate) svg: String,
}

/// The panels, by model in order of first appearance; none without ceilings and dots.
pub(crate) fn panels(figure: &Roofline) -> Vec<Panel> {
    let groups = distinct(figure.dots.iter().map(|dot| &dot.group));
    let mut models = distinct(figure.dots.iter().map(|dot| &dot.model));
    if models.is_empty() {
        models.push(String::new());
    }
    let draw = |model: String| {
        let dots: Vec<&Dot> = figure.dots.iter().filter(|dot| dot.model == model).collect();
        panel(figure, &model, &dots, &groups).map(|svg| Panel { model, svg })
    };
    models.into_iter().filter_map(draw).collect()
}

fn panel(figure: &Roofline, model: &str, dots: &[&Dot], groups: &[String]) -> Option<String> {
    let is_here = |group: &String| dots.iter().any(|dot| dot.group == *group);
    let entries: Vec<(usize, Key, String)> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| is_here(group))
        .map(|(series, group)| (series, Key::Mark, group.clone()))
        .chain(slopes(figure).into_iter().enumerate().map(|(i, level)| {
            let key = if i == 0 { Key::Roof } else { Key::FastRoof };
            (0, key, format!("{} {}", level.label, number::si(level.bytes_per_s, "B/s")))
        }))
        .collect();
    let legend = Svg::new(WIDTH, 0.0).legend(0.0, &entries);
    let mut svg = Svg::new(WIDTH, HEIGHT + legend);
    svg.text("panel", (0.0, 13.0), Anchor::Start, model);
    svg.legend(32.0, &entries);
    let (top, bottom) = (legend + 42.0, HEIGHT + legend - 42.0);
    let across = Frame { left: 0.0, right: WIDTH - 8.0, top, bottom };
    let (_, y) = scales(figure, across)?;
    let frame = Frame { left: label_width(&y, "FLOP/s"), ..across };
    let (x, y) = scales(figure, frame)?;
    svg.x_axis(&x, "", frame, "operational intensity, FLOP/byte");
    svg.y_axis(&y, "FLOP/s", frame, "performance");
    ceilings(&mut svg, figure, (&x, &y));
    draw_dots(&mut svg, dots, groups, (&x, &y));
    let place = |dot: &&Dot| (x.px(dot.intensity), y.px(dot.flops_per_s.value));
    let around = |(px, py): (f64, f64)| [px - 5.0, py - 5.0, px + 5.0, py + 5.0];
    let mut taken: Vec<[f64; 4]> = dots.iter().map(|dot| around(place(dot))).collect();
    peak_names(&mut svg, figure, &y, frame, &mut taken);
    names(&mut svg, dots, (&x, &y), frame, &mut taken);
    let what = if model.is_empty() { String::new() } else { format!(" of {model}") };
    Some(svg.finish(&format!("Roofline{what} with {} measurements.", dots.len())))
}

/// The table of the dots.
pub(crate) fn table(figure: &Roofline) -> Table {
    use Align::{Left, Right};
    let columns = [
        ("measurement", Left),
        ("model", Left),
        ("kind", Left),
        ("intensity, FLOP/byte", Right),
        ("performance", Right),
        ("95 % interval", Right),
        ("% of roof", Right),
        ("bound", Left),
    ];
    let mut table = Table::new("", columns);
    for dot in &figure.dots {
        let p = dot.flops_per_s;
        table.push([
            dot.label.clone(),
            dot.model.clone(),
            dot.group.clone(),
            number::digits(dot.intensity, 3),
            number::si(p.value, "FLOP/s"),
            number::si_range(p.lo, p.hi, "FLOP/s"),
            dot.roof_fraction.map_or_else(|| "–".to_owned(), number::percent),
            dot.bound.map_or_else(|| "–".to_owned(), |b| b.to_string()),
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
        let ridge = if peak > 0.0 { number::digits(peak / level.bytes_per_s, 3) } else { "–".to_owned() };
        table.push([level.label.clone(), number::si(level.bytes_per_s, "B/s"), ridge]);
    }
    for level in &figure.peaks {
        table.push([level.label.clone(), number::si(level.flops_per_s, "FLOP/s"), "–".to_owned()]);
    }
    table
}

/// The distinct texts, in order of first appearance.
fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(text) {
            found.push(text.clone());
        }
    }
    found
}

/// The highest peak, FLOP/s; zero without one.
fn top(figure: &Roofline) -> f64 {
    figure.peaks.iter().map(|p| p.flops_per_s).fold(0.0, f64::max)
}

/// Axes that contain every dot of every panel and every ridge point.
fn scales(figure: &Roofline, frame: Frame) -> Option<(Scale, Scale)> {
    let peak = top(figure);
    let ridges = figure.bandwidths.iter().map(|b| peak / b.bytes_per_s);
    let xs = figure.dots.iter().map(|d| d.intensity).chain(ridges).chain([0.25, 16.0]);
    let x = Scale::around(xs, Spread::Log10, (frame.left, frame.right))?;
    let performance =
        figure.dots.iter().flat_map(|d| [d.flops_per_s.lo, d.flops_per_s.value, d.flops_per_s.hi]);
    let ys = performance.chain(figure.peaks.iter().map(|p| p.flops_per_s));
    // Room for the names of the ceilings above the highest peak.
    let ys = ys.chain([2.0 * peak]);
    Some((x, Scale::around(ys, Spread::Log10, (frame.bottom, frame.top))?))
}

/// The sloped ceilings, the slowest first.
fn slopes(figure: &Roofline) -> Vec<&BandwidthLevel> {
    let mut slopes: Vec<_> = figure.bandwidths.iter().collect();
    slopes.sort_by(|a, b| a.bytes_per_s.total_cmp(&b.bytes_per_s));
    slopes
}

/// Draws the sloped ceilings up to the highest peak, and the flat ones from the fastest slope on.
fn ceilings(svg: &mut Svg, figure: &Roofline, (x, y): (&Scale, &Scale)) {
    let (peak, slopes) = (top(figure), slopes(figure));
    for (i, level) in slopes.iter().enumerate() {
        let rate = level.bytes_per_s;
        let end = if peak > 0.0 { (peak / rate).min(x.hi) } else { x.hi };
        let start = x.lo.max(y.lo / rate);
        if start < end {
            let class = if i == 0 { "roof slope" } else { "roof slope fast" };
            svg.line(class, (x.px(start), y.px(start * rate)), (x.px(end), y.px(end * rate)));
        }
    }
    let fastest = slopes.last().map_or(0.0, |level| level.bytes_per_s);
    for level in &figure.peaks {
        let height = y.px(level.flops_per_s);
        let start = if fastest > 0.0 { (level.flops_per_s / fastest).max(x.lo) } else { x.lo };
        svg.line("roof flat", (x.px(start), height), (x.to, height));
    }
}

/// Writes the names of the flat ceilings above them, where no mark lies; above each other where they are close.
fn peak_names(svg: &mut Svg, figure: &Roofline, y: &Scale, frame: Frame, taken: &mut Vec<[f64; 4]>) {
    let mut levels: Vec<_> = figure.peaks.iter().collect();
    levels.sort_by(|a, b| a.flops_per_s.total_cmp(&b.flops_per_s));
    let mut free = f64::INFINITY;
    for level in levels {
        let name = format!("{} {}", level.label, number::si(level.flops_per_s, "FLOP/s"));
        let base = (y.px(level.flops_per_s) - 5.0).min(free);
        let rect = |right: f64| [right - text_width(&name), base - 10.0, right, base + 2.0];
        let is_free = |right: &f64| {
            let r = rect(*right);
            r[0] > frame.left
                && !taken.iter().any(|t| r[0] < t[2] && t[0] < r[2] && r[1] < t[3] && t[1] < r[3])
        };
        let right = [0.0, 40.0, 80.0, 120.0, 160.0].map(|step| frame.right - step).into_iter().find(is_free);
        let right = right.unwrap_or(frame.right);
        svg.text("roof-name", (right, base), Anchor::End, &name);
        taken.push(rect(right));
        free = base - 13.0;
    }
}

/// Draws error bars and marks.
fn draw_dots(svg: &mut Svg, dots: &[&Dot], groups: &[String], (x, y): (&Scale, &Scale)) {
    for dot in dots {
        let (px, py) = (x.px(dot.intensity), y.px(dot.flops_per_s.value));
        let (lo, hi) = (y.px(dot.flops_per_s.lo.max(y.lo)), y.px(dot.flops_per_s.hi));
        if lo - hi > 2.0 {
            svg.line("whisker", (px, lo), (px, hi));
        }
        let series = groups.iter().position(|g| *g == dot.group).unwrap_or(0);
        svg.mark(series, (px, py), &hover(dot));
    }
}

/// Writes names beside marks where there is room, the nearest to their roofs first and each name once for a kind.
fn names(svg: &mut Svg, dots: &[&Dot], (x, y): (&Scale, &Scale), frame: Frame, taken: &mut Vec<[f64; 4]>) {
    let place = |dot: &Dot| (x.px(dot.intensity), y.px(dot.flops_per_s.value));
    let mut sorted: Vec<&&Dot> = dots.iter().filter(|dot| !dot.name.is_empty()).collect();
    sorted.sort_by(|a, b| b.roof_fraction.unwrap_or(0.0).total_cmp(&a.roof_fraction.unwrap_or(0.0)));
    let mut written: Vec<(&str, &str)> = Vec::new();
    for dot in sorted {
        let key = (dot.name.as_str(), dot.group.as_str());
        if written.len() == MOST_NAMES || written.contains(&key) {
            continue;
        }
        if let Some((at, anchor)) = beside(place(dot), &dot.name, taken, frame) {
            svg.text("dot-name", at, anchor, &dot.name);
            written.push(key);
        }
    }
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
    match dot.bound {
        Some(ridgeline_roofline::Bound::Uncertain) => text += ", bound uncertain",
        Some(bound) => text += &format!(", {bound}-bound"),
        None => {}
    }
    text
}
