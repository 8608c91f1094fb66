//! SVG elements with rounded coordinates and escaped text.
//!
//! Colors are CSS classes, so that light mode, dark mode and print can differ.

use super::scale::Scale;
use std::fmt::Write;

/// Escapes the five special characters of XML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The `text-anchor` of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// An SVG element under construction.
#[derive(Debug)]
pub(crate) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    /// The complete element; `label` is for screen readers.
    pub(crate) fn finish(self, label: &str) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>\n",
            escape(label)
        )
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(&format!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    /// A line through points.
    pub(crate) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let text: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(&format!(r#"<polyline class="{class}" points="{}"/>"#, text.join(" ")));
    }

    /// A rectangle with a title shown on hover.
    pub(crate) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
        let ((x, y), (w, h)) = (at, size);
        let title = escape(title);
        self.push(&format!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}"><title>{title}</title></rect>"#
        ));
    }

    /// Text at a point.
    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let ((x, y), anchor, text) = (at, anchor.as_str(), escape(text));
        self.push(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// Text rotated around its point.
    pub(crate) fn rotated(&mut self, class: &str, at: (f64, f64), degrees: f64, anchor: Anchor, text: &str) {
        let ((x, y), anchor, text) = (at, anchor.as_str(), escape(text));
        self.push(&format!(
            r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate({degrees:.1})" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// The mark of a series. Both color and shape identify it, for readers who do not see colors.
    pub(crate) fn mark(&mut self, series: usize, at: (f64, f64), title: &str) {
        let (x, y) = at;
        let shape = match series % 5 {
            0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.5">"#),
            1 => format!(r#"<rect x="{:.1}" y="{:.1}" width="8" height="8">"#, x - 4.0, y - 4.0),
            2 => path(&[(x, y - 5.5), (x + 5.2, y + 4.0), (x - 5.2, y + 4.0)]),
            3 => path(&[(x, y - 5.8), (x + 5.8, y), (x, y + 5.8), (x - 5.8, y)]),
            _ => path(&[(x - 5.2, y - 4.0), (x + 5.2, y - 4.0), (x, y + 5.5)]),
        };
        let name = if shape.starts_with("<circle") {
            "circle"
        } else if shape.starts_with("<rect") {
            "rect"
        } else {
            "path"
        };
        self.push(&format!(
            r#"<g class="mark c{}">{shape}<title>{}</title></{name}></g>"#,
            series % COLOURS,
            escape(title)
        ));
    }

    /// A legend of marks or swatches with names, wrapped to the width; returns its height.
    pub(crate) fn legend(&mut self, at: (f64, f64), names: &[String], as_marks: bool) -> f64 {
        let (left, top) = at;
        let (mut x, mut y) = at;
        for (series, name) in names.iter().enumerate() {
            let width = 22.0 + 6.6 * name.chars().count() as f64 + 14.0;
            if x > left && x + width > self.width - 8.0 {
                (x, y) = (left, y + 20.0);
            }
            if as_marks {
                self.mark(series, (x + 6.0, y - 4.0), name);
            } else {
                self.rect(&format!("fill c{}", series % COLOURS), (x, y - 10.0), (12.0, 12.0), name);
            }
            self.text("legend", (x + 18.0, y), Anchor::Start, name);
            x += width;
        }
        y - top + 20.0
    }

    /// Ticks, grid lines and labels of a horizontal axis along the bottom of a frame.
    pub(crate) fn x_axis(&mut self, scale: &Scale, unit: &str, frame: Frame, title: &str) {
        for tick in scale.ticks(unit) {
            let x = scale.px(tick.value);
            let class = if tick.label.is_some() { "grid major" } else { "grid" };
            self.line(class, (x, frame.top), (x, frame.bottom));
            if let Some(label) = tick.label {
                self.text("tick", (x, frame.bottom + 16.0), Anchor::Middle, &label);
            }
        }
        self.text(
            "axis",
            (f64::midpoint(frame.left, frame.right), frame.bottom + 36.0),
            Anchor::Middle,
            title,
        );
    }

    /// Ticks, grid lines and labels of a vertical axis along the left of a frame.
    pub(crate) fn y_axis(&mut self, scale: &Scale, unit: &str, frame: Frame, title: &str) {
        for tick in scale.ticks(unit) {
            let y = scale.px(tick.value);
            let class = if tick.label.is_some() { "grid major" } else { "grid" };
            self.line(class, (frame.left, y), (frame.right, y));
            if let Some(label) = tick.label {
                self.text("tick", (frame.left - 7.0, y + 3.5), Anchor::End, &label);
            }
        }
        self.rotated("axis", (14.0, f64::midpoint(frame.top, frame.bottom)), -90.0, Anchor::Middle, title);
    }

    fn push(&mut self, element: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// Number of series colors in the style sheet.
pub(crate) const COLOURS: usize = 9;

/// The plotting area inside a drawing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// A closed polygon as an opening tag, so that a title can follow.
fn path(points: &[(f64, f64)]) -> String {
    let text: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    format!(r#"<path d="M{}Z">"#, text.join("L"))
}
