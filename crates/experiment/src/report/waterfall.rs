//! Waterfall figures: the time of a decode step, split by cause, as a stacked bar.
//!
//! Bars show shares of the measured time; the total is printed beside each bar. Parts that sum to more than the measured
//! time overlapped, and the excess is a negative `unexplained` part.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, COLORS, Frame, Key, Svg, text_width};
use super::{Align, Bar, Table, Waterfalls, number};
use ridgeline_roofline::Part;

/// Share of a step from which its parts count as a complete budget.
const MOST_ACCOUNTED: f64 = 0.95;

const WIDTH: f64 = 480.0;
/// Height of a bar with its name above it.
const ROW: f64 = 36.0;

/// The figure as SVG. Names stand above their bars, so that the bars have the whole width.
pub(crate) fn svg(figure: &Waterfalls) -> String {
    let is_absent = |part: &Part| figure.bars.iter().all(|bar| bar.parts.parts().contains(&(*part, 0)));
    let entries: Vec<(usize, Key, String)> = Part::ALL
        .iter()
        .enumerate()
        .filter(|(_, part)| !is_absent(part))
        .map(|(series, part)| (series, Key::Swatch, part.label().to_owned()))
        .collect();
    let legend = Svg::new(WIDTH, 0.0).legend(0.0, &entries);
    let rows = ROW * figure.bars.len() as f64;
    let mut svg = Svg::new(WIDTH, legend + rows + 46.0);
    svg.legend(12.0, &entries);
    let frame = Frame { left: 1.0, right: WIDTH - 14.0, top: legend + 4.0, bottom: legend + 4.0 + rows };
    let widest = figure.bars.iter().map(stacked_share).fold(1.0, f64::max);
    let scale =
        Scale { lo: 0.0, hi: widest * 100.0, from: frame.left, to: frame.right, spread: Spread::Linear };
    svg.x_axis(&scale, "", frame, "share of the measured time, %");
    for (i, bar) in figure.bars.iter().enumerate() {
        draw_bar(&mut svg, bar, &scale, frame.top + ROW * i as f64);
    }
    svg.finish(&format!("{} Shares of the measured time of {} steps.", figure.caption, figure.bars.len()))
}

/// The figure as a table.
pub(crate) fn table(figure: &Waterfalls) -> Table {
    let titles: Vec<String> = Part::ALL.iter().map(|p| p.label().to_owned()).collect();
    let numbers = ["measured", "explained", "accounted for"].map(|title| (title, Align::Right));
    let mut columns = vec![("step", Align::Left)];
    columns.extend(numbers);
    columns.extend(titles.iter().map(|t| (t.as_str(), Align::Right)));
    let mut table = Table::new("", columns);
    for bar in &figure.bars {
        let time = |ns: i64| number::si(ns as f64 * 1e-9, "s");
        let parts = bar.parts.parts().map(|(_, ns)| time(ns));
        let shares = [bar.parts.explained(), bar.parts.accounted()].map(number::percent);
        let whole = [bar.label.clone(), time(bar.parts.total_ns())].into_iter().chain(shares);
        table.push(whole.chain(parts));
    }
    table
}

impl Bar {
    /// Three sentences: the measured rate, the rate at the ceilings, and the largest loss.
    ///
    /// The rate at the ceilings counts bytes and exposed compute. Everything else is a loss, unexplained time included.
    #[must_use]
    pub fn sentences(&self) -> String {
        let total = self.parts.total_ns().max(1);
        let is_ideal =
            |part: Part| matches!(part, Part::Weights | Part::Kv | Part::Activations | Part::Compute);
        let (ideal, losses): (Vec<_>, Vec<_>) =
            self.parts.parts().into_iter().partition(|(part, _)| is_ideal(*part));
        let ideal = ideal.iter().map(|(_, ns)| ns).sum::<i64>().max(1);
        let time = |ns: i64| number::si(ns as f64 * 1e-9, "s");
        let rate = |ns: i64| number::digits(1e9 / ns as f64, 3);
        let share = |ns: i64| number::percent(ns as f64 / total as f64);
        let text = format!(
            "{} takes {} per token, {} tokens/s. At this device's ceilings its bytes and arithmetic take {}, {} tokens/s.",
            self.label,
            time(total),
            rate(total),
            time(ideal),
            rate(ideal)
        );
        let text = match losses.into_iter().max_by_key(|(_, ns)| *ns) {
            Some((part, ns)) if ns > 0 => {
                format!("{text} The largest loss is {}: {} of the time.", part.label(), share(ns))
            }
            _ => text,
        };
        if self.parts.accounted() < MOST_ACCOUNTED {
            let left = share(self.parts.unexplained_ns);
            return format!("{text} {left} of the time has no cause among those measured.");
        }
        text
    }
}

/// Length of a bar's stack as a multiple of its measured time.
fn stacked_share(bar: &Bar) -> f64 {
    let positive: i64 = bar.parts.parts().iter().map(|(_, ns)| (*ns).max(0)).sum();
    positive as f64 / bar.parts.total_ns().max(1) as f64
}

fn draw_bar(svg: &mut Svg, bar: &Bar, scale: &Scale, y: f64) {
    let total = bar.parts.total_ns().max(1) as f64;
    let time = |ns: i64| number::si(ns as f64 * 1e-9, "s");
    let share = |ns: i64| format!("{:.1} %", ns as f64 / total * 100.0);
    let parts = bar.parts.parts();
    let shown = parts.iter().filter(|(_, ns)| *ns != 0);
    let all: Vec<String> =
        shown.map(|(part, ns)| format!("{} {} ({})", part.label(), time(*ns), share(*ns))).collect();
    svg.begin_item(&format!("{}: {}. {}", bar.label, time(bar.parts.total_ns()), all.join(", ")));
    let text = time(bar.parts.total_ns());
    svg.text("value", (scale.to, y + 13.0), Anchor::End, &text);
    let room = (scale.to - scale.from - text_width(&text)) / text_width("x");
    let label: String =
        bar.label.chars().enumerate().take_while(|it| (it.0 as f64) < room).map(|it| it.1).collect();
    svg.text("name", (scale.from, y + 13.0), Anchor::Start, &label);
    let mut reached = 0.0;
    // Where parts overlapped, the stack exceeds the measured time; negative parts are drawn back from its end.
    let (ahead, back): (Vec<_>, Vec<_>) = parts.into_iter().enumerate().partition(|(_, (_, ns))| *ns >= 0);
    for (series, (part, ns)) in ahead.into_iter().chain(back).filter(|(_, (_, ns))| *ns != 0) {
        let width = ns as f64 / total * 100.0;
        let title = format!("{}: {} {}, {}", bar.label, part.label(), time(ns), share(ns));
        let (from, to) = (scale.px(reached), scale.px(reached + width));
        if ns > 0 {
            svg.rect(&format!("fill c{}", series % COLORS), (from, y + 18.0), (to - from, 14.0), &title);
        } else {
            svg.rect("overlap", (to, y + 20.5), (from - to, 9.0), &format!("{title} (parts overlapped)"));
        }
        reached += width;
    }
    // The measured time ends here; totals stand above the bars, so that the line does not cross them.
    let end = scale.px(100.0);
    svg.line("measured", (end, y + 15.0), (end, y + 35.0));
    svg.end_item();
}
