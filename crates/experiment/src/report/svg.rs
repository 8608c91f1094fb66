//! SVG elements with rounded coordinates and escaped text.
//!
//! Colors are CSS classes, so that light mode, dark mode and print can differ. Drawings are narrow, so that their text
//! is legible on a telephone. Each mark has its numbers as a title, and the keyboard reaches it.

use super::scale::{Scale, Tick};
use std::fmt::Write;

/// Mean width of a character of the largest font that a drawing may have, in user units.
const CHAR: f64 = 7.4;

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

/// An upper estimate of the width of a text, in user units.
pub(crate) fn text_width(text: &str) -> f64 {
    CHAR * text.chars().count() as f64
}

/// The `text-anchor` of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What identifies a series in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The mark of its points.
    Mark,
    /// A filled square.
    Swatch,
    /// A dashed line.
    Dashed,
    /// The line of a ceiling.
    Roof,
    /// The line of a ceiling that is not the lowest.
    FastRoof,
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
            "<svg viewBox=\"0 0 {width} {height:.0}\" role=\"group\" aria-label=\"{}\">\n{body}</svg>\n",
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

    /// Begins elements that the keyboard reaches as one, with a title for focus and for screen readers.
    pub(crate) fn begin_item(&mut self, title: &str) {
        self.push(&format!(r#"<g class="item" tabindex="0" role="img" aria-label="{}">"#, escape(title)));
    }

    /// Ends [`Svg::begin_item`].
    pub(crate) fn end_item(&mut self) {
        self.push("</g>");
    }

    /// Text at a point.
    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let ((x, y), anchor, text) = (at, anchor.as_str(), escape(text));
        self.push(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// The mark of a point, with its numbers as a title on hover and on focus.
    pub(crate) fn mark(&mut self, series: usize, at: (f64, f64), title: &str) {
        let title = escape(title);
        let (shape, color) = (shape(series, at), series % COLORS);
        self.push(&format!(
            r#"<g class="mark c{color}" tabindex="0" role="img"><title>{title}</title>{shape}</g>"#
        ));
    }

    /// A legend, wrapped to the width; returns its height. Each entry is a series, its key and its name.
    pub(crate) fn legend(&mut self, top: f64, entries: &[(usize, Key, String)]) -> f64 {
        if entries.is_empty() {
            return 0.0;
        }
        let (mut x, mut y) = (0.0, top);
        for (series, key, name) in entries {
            let color = series % COLORS;
            let wide = if matches!(key, Key::Mark | Key::Swatch) { 16.0 } else { 24.0 };
            let width = wide + text_width(name) + 14.0;
            if x > 0.0 && x + width - 14.0 > self.width {
                (x, y) = (0.0, y + 18.0);
            }
            match key {
                Key::Mark => {
                    let shape = shape(*series, (x + 6.0, y - 4.0));
                    self.push(&format!(r#"<g class="mark c{color}">{shape}</g>"#));
                }
                Key::Swatch => self.push(&format!(
                    r#"<rect class="fill c{color}" x="{x:.1}" y="{:.1}" width="11" height="11"/>"#,
                    y - 9.5
                )),
                Key::Dashed | Key::Roof | Key::FastRoof => {
                    let class = match key {
                        Key::Roof => "roof".to_owned(),
                        Key::FastRoof => "roof fast".to_owned(),
                        _ => format!("line predicted c{color}"),
                    };
                    self.line(&class, (x, y - 4.0), (x + 20.0, y - 4.0));
                }
            }
            self.text("legend", (x + wide, y), Anchor::Start, name);
            x += width;
        }
        y - top + 18.0
    }

    /// Ticks, grid lines and labels of a horizontal axis along the bottom of a frame. Labels that would touch are left out.
    pub(crate) fn x_axis(&mut self, scale: &Scale, unit: &str, frame: Frame, title: &str) {
        let mut free = f64::NEG_INFINITY;
        for Tick { value, label } in scale.ticks(unit) {
            let x = scale.px(value);
            let class = if label.is_some() { "grid major" } else { "grid" };
            self.line(class, (x, frame.top), (x, frame.bottom));
            let Some(label) = label else { continue };
            let half = text_width(&label) / 2.0;
            let at = x.min(self.width - half).max(half);
            if at - half >= free {
                self.text("tick", (at, frame.bottom + 15.0), Anchor::Middle, &label);
                free = at + half + 5.0;
            }
        }
        self.text("axis", (frame.right, frame.bottom + 33.0), Anchor::End, title);
    }

    /// Ticks, grid lines and labels of a vertical axis along the left of a frame, under its title.
    pub(crate) fn y_axis(&mut self, scale: &Scale, unit: &str, frame: Frame, title: &str) {
        for Tick { value, label } in scale.ticks(unit) {
            let y = scale.px(value);
            let class = if label.is_some() { "grid major" } else { "grid" };
            self.line(class, (frame.left, y), (frame.right, y));
            if let Some(label) = label {
                self.text("tick", (frame.left - 6.0, y + 4.0), Anchor::End, &label);
            }
        }
        self.text("axis", (0.0, frame.top - 9.0), Anchor::Start, title);
    }

    fn push(&mut self, element: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// Width of the labels of a vertical axis, with a gap.
pub(crate) fn label_width(scale: &Scale, unit: &str) -> f64 {
    let labels = scale.ticks(unit).into_iter().filter_map(|tick| tick.label);
    labels.map(|label| text_width(&label)).fold(0.0, f64::max) + 8.0
}

/// Number of series colors in the style sheet.
pub(crate) const COLORS: usize = 9;

/// The plotting area inside a drawing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// The shape of a series. Both color and shape identify it, for readers who do not see colors.
fn shape(series: usize, (x, y): (f64, f64)) -> String {
    let path = |points: &[(f64, f64)]| {
        let text: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        format!(r#"<path d="M{}Z"/>"#, text.join("L"))
    };
    match series % SHAPES {
        0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.2"/>"#),
        1 => format!(r#"<rect x="{:.1}" y="{:.1}" width="7.6" height="7.6"/>"#, x - 3.8, y - 3.8),
        2 => path(&[(x, y - 5.2), (x + 4.9, y + 3.8), (x - 4.9, y + 3.8)]),
        3 => path(&[(x, y - 5.4), (x + 5.4, y), (x, y + 5.4), (x - 5.4, y)]),
        4 => path(&[(x - 4.9, y - 3.8), (x + 4.9, y - 3.8), (x, y + 5.2)]),
        _ => {
            let (n, f) = (1.6, 5.0);
            path(&[
                (x - n, y - f),
                (x + n, y - f),
                (x + n, y - n),
                (x + f, y - n),
                (x + f, y + n),
                (x + n, y + n),
                (x + n, y + f),
                (x - n, y + f),
                (x - n, y + n),
                (x - f, y + n),
                (x - f, y - n),
                (x - n, y - n),
            ])
        }
    }
}

/// Number of shapes.
const SHAPES: usize = 6;
