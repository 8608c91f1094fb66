//! Waterfall figures: the time of a decode step, split by cause, as a stacked bar.
//!
//! Bars show shares of the measured time; the total is printed beside each bar. Parts that sum to more than the measured
//! time overlapped, and the excess is a negative `unexplained` part.

use super::scale::{Scale, Spread};
use super::svg::{Anchor, COLOURS, Frame, Svg};
use super::{Align, Bar, Table, Waterfalls, number};
use ridgeline_roofline::Part;

/// Share of a step from which its parts count as a complete budget.
const MOST_ACCOUNTED: f64 = 0.95;

const WIDTH: f64 = 960.0;
const ROW: f64 = 26.0;

/// The figure as SVG.
pub(crate) fn svg(figure: &Waterfalls) -> String {
    let longest = figure.bars.iter().map(|b| b.label.chars().count()).max().unwrap_or(0);
    let left = (6.4 * longest as f64 + 16.0).clamp(60.0, 360.0);
    let height = 34.0 + ROW * figure.bars.len() as f64 + 60.0;
    let mut svg = Svg::new(WIDTH, height);
    let used = svg.legend((8.0, 16.0), &Part::ALL.map(|p| p.label().to_owned()), false);
    let frame = Frame { left, right: WIDTH - 84.0, top: 10.0 + used, bottom: height - 46.0 };
    let widest = figure.bars.iter().map(stacked_share).fold(1.0, f64::max);
    let scale =
        Scale { lo: 0.0, hi: widest * 100.0, from: frame.left, to: frame.right, spread: Spread::Linear };
    svg.x_axis(&scale, "", frame, "share of the measured time, %");
    for (i, bar) in figure.bars.iter().enumerate() {
        let y = frame.top + (frame.bottom - frame.top) * i as f64 / figure.bars.len() as f64;
        draw_bar(&mut svg, bar, &scale, y);
    }
    let end = scale.px(100.0);
    svg.line("measured", (end, frame.top - 3.0), (end, frame.bottom));
    svg.finish(&format!(
        "{} Shares of the measured time of {} steps; the table below lists them.",
        figure.caption,
        figure.bars.len()
    ))
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
    let label: String = bar.label.chars().take(54).collect();
    svg.text("tick", (scale.from - 7.0, y + 16.0), Anchor::End, &label);
    let (mut reached, mut highest) = (0.0, 0.0_f64);
    // Where parts overlapped, the stack exceeds the measured time; negative parts are drawn back from its end.
    let (ahead, back): (Vec<_>, Vec<_>) =
        bar.parts.parts().into_iter().enumerate().partition(|(_, (_, ns))| *ns >= 0);
    for (series, (part, ns)) in ahead.into_iter().chain(back).filter(|(_, (_, ns))| *ns != 0) {
        let share = ns as f64 / total * 100.0;
        let title =
            format!("{}: {} {}, {share:.1} %", bar.label, part.label(), number::si(ns as f64 * 1e-9, "s"));
        let (from, to) = (scale.px(reached), scale.px(reached + share));
        if ns > 0 {
            svg.rect(&format!("fill c{}", series % COLOURS), (from, y + 4.0), (to - from, 17.0), &title);
        } else {
            svg.rect("overlap", (to, y + 8.0), (from - to, 9.0), &format!("{title} (parts overlapped)"));
        }
        reached += share;
        highest = highest.max(reached);
    }
    let at = (scale.px(highest.max(100.0)) + 6.0, y + 16.0);
    svg.text("tick", at, Anchor::Start, &number::si(total * 1e-9, "s"));
}
