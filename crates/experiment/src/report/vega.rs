//! The numbers of a figure as CSV (RFC 4180), and a Vega-Lite specification that draws them.

use super::{Axis, Block, Lines, Roofline, Waterfalls};
use serde_json::{Value, json};

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";

/// The CSV of a figure and its specification, which names the CSV as its data; `None` for blocks without a drawing.
pub(super) fn data(block: &Block, csv_name: &str) -> Option<(String, String)> {
    let (csv, title, body) = match block {
        Block::Lines(figure) => (lines_csv(figure), &figure.caption, lines_spec(figure)),
        Block::Waterfalls(figure) => (waterfall_csv(figure), &figure.caption, waterfall_spec()),
        Block::Roofline(figure) => (roofline_csv(figure), &figure.caption, roofline_spec(figure)),
        _ => return None,
    };
    let mut spec = json!({ "$schema": SCHEMA, "description": title, "data": { "url": csv_name } });
    if let (Value::Object(spec), Value::Object(body)) = (&mut spec, body) {
        spec.extend(body);
    }
    // A value of strings and numbers always has a JSON text.
    let spec = serde_json::to_string_pretty(&spec).unwrap_or_default();
    Some((csv, format!("{spec}\n")))
}

/// One line of CSV; a field with a comma, a quote or a line break is quoted.
pub(super) fn csv_line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |field: &str| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    fields.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

fn lines_csv(figure: &Lines) -> String {
    let mut text = csv_line(["series", "x", "y", "lo", "hi", "measured_here"]);
    for line in &figure.lines {
        for (x, y) in &line.points {
            let numbers = [*x, y.value, y.lo, y.hi].map(|it| it.to_string());
            let measured = if line.predicted { "no" } else { "yes" };
            let fields = std::iter::once(line.label.as_str()).chain(numbers.iter().map(String::as_str));
            text += &csv_line(fields.chain([measured]));
        }
    }
    text
}

fn axis(axis: &Axis) -> Value {
    let title =
        if axis.unit.is_empty() { axis.title.clone() } else { format!("{}, {}", axis.title, axis.unit) };
    let scale = match (axis.log, axis.unit.as_str()) {
        (false, _) => json!({ "type": "linear" }),
        (true, "B") => json!({ "type": "log", "base": 2 }),
        (true, _) => json!({ "type": "log" }),
    };
    json!({ "type": "quantitative", "title": title, "scale": scale })
}

/// An encoding channel of a field with more properties.
fn channel(field: &str, more: Value) -> Value {
    let mut made = json!({ "field": field });
    if let (Value::Object(made), Value::Object(more)) = (&mut made, more) {
        made.extend(more);
    }
    made
}

fn lines_spec(figure: &Lines) -> Value {
    let (x, y) = (channel("x", axis(&figure.x)), channel("y", axis(&figure.y)));
    let color = json!({ "field": "series", "type": "nominal", "title": null });
    let dash = json!({ "field": "measured_here", "type": "nominal", "title": "measured here", "sort": ["yes", "no"] });
    json!({
        "encoding": { "x": x, "color": color },
        "layer": [
            { "mark": { "type": "line", "point": true, "tooltip": true }, "encoding": { "y": y, "strokeDash": dash } },
            { "mark": "rule", "encoding": { "y": { "field": "lo", "type": "quantitative" }, "y2": { "field": "hi" } } },
        ],
    })
}

fn waterfall_csv(figure: &Waterfalls) -> String {
    let mut text = csv_line(["step", "part", "order", "seconds", "share"]);
    for bar in &figure.bars {
        let total = bar.parts.total_ns().max(1) as f64;
        for (order, (part, ns)) in bar.parts.parts().into_iter().enumerate() {
            let numbers =
                [order.to_string(), (ns as f64 * 1e-9).to_string(), (ns as f64 / total).to_string()];
            let fields = [bar.label.as_str(), part.label()].into_iter();
            text += &csv_line(fields.chain(numbers.iter().map(String::as_str)));
        }
    }
    text
}

fn waterfall_spec() -> Value {
    json!({
        "mark": { "type": "bar", "tooltip": true },
        "encoding": {
            "y": { "field": "step", "type": "nominal", "sort": null, "title": null },
            "x": { "field": "share", "type": "quantitative", "title": "share of the measured time", "axis": { "format": "%" } },
            "color": { "field": "part", "type": "nominal", "title": null, "sort": { "field": "order" } },
            "order": { "field": "order", "type": "quantitative" },
        },
    })
}

fn roofline_csv(figure: &Roofline) -> String {
    let heads =
        ["measurement", "model", "kind", "flop_per_byte", "flop_per_s", "lo", "hi", "share_of_roof", "bound"];
    let mut text = csv_line(heads);
    for dot in &figure.dots {
        let p = dot.flops_per_s;
        let mut fields = vec![dot.label.clone(), dot.model.clone(), dot.group.clone()];
        fields.extend([dot.intensity, p.value, p.lo, p.hi].map(|it| it.to_string()));
        fields.push(dot.roof_fraction.map_or_else(String::new, |it| it.to_string()));
        fields.push(dot.bound.map_or_else(String::new, |it| it.to_string()));
        text += &csv_line(fields.iter().map(String::as_str));
    }
    text
}

/// Marks over the ceilings, which are lines between the ends of the figure.
fn roofline_spec(figure: &Roofline) -> Value {
    let peak = figure.peaks.iter().map(|it| it.flops_per_s).fold(0.0, f64::max);
    let intensities = figure.dots.iter().map(|it| it.intensity).chain([0.25, 16.0]);
    let (least, most) = intensities.fold((f64::MAX, 0.0_f64), |(lo, hi), it| (lo.min(it), hi.max(it)));
    let at = |name: &str, x: f64, y: f64| json!({ "ceiling": name, "x": x, "y": y });
    let slopes = figure.bandwidths.iter().flat_map(|it| {
        let end = if peak > 0.0 { peak / it.bytes_per_s } else { most };
        [least, end].map(|x| at(&it.label, x, x * it.bytes_per_s))
    });
    let flats = figure.peaks.iter().flat_map(|it| {
        let fastest = figure.bandwidths.iter().map(|it| it.bytes_per_s).fold(0.0, f64::max);
        let start = if fastest > 0.0 { it.flops_per_s / fastest } else { least };
        [start, most.max(start)].map(|x| at(&it.label, x, it.flops_per_s))
    });
    let ceilings: Vec<Value> = slopes.chain(flats).collect();
    let log = |title: &str| json!({ "type": "quantitative", "title": title, "scale": { "type": "log" } });
    let (intensity, performance) = ("operational intensity, FLOP/byte", "performance, FLOP/s");
    json!({
        "layer": [
            {
                "data": { "values": ceilings },
                "mark": { "type": "line", "color": "gray" },
                "encoding": {
                    "x": channel("x", log(intensity)),
                    "y": channel("y", log(performance)),
                    "detail": { "field": "ceiling", "type": "nominal" },
                },
            },
            {
                "mark": { "type": "point", "tooltip": { "content": "data" } },
                "encoding": {
                    "x": channel("flop_per_byte", log(intensity)),
                    "y": channel("flop_per_s", log(performance)),
                    "color": { "field": "model", "type": "nominal" },
                    "shape": { "field": "kind", "type": "nominal" },
                },
            },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::{csv_line, data};
    use crate::report::{Axis, Block, Line, Lines};
    use ridgeline_roofline::Measured;
    use serde_json::Value;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        assert_eq!(csv_line(["a", "b, c", "d \"e\""]), "a,\"b, c\",\"d \"\"e\"\"\"\n");
    }

    #[test]
    fn a_specification_names_its_data_and_the_fields_of_its_columns() {
        let line = Line {
            label: "q8_0, here".to_owned(),
            points: vec![(64.0, Measured::exact(0.5))],
            predicted: false,
        };
        let axis = |title: &str, log| Axis { title: title.to_owned(), unit: "B".to_owned(), log };
        let figure = Lines {
            caption: "c".to_owned(),
            x: axis("size", true),
            y: axis("loss", false),
            lines: vec![line],
        };
        let (csv, spec) = data(&Block::Lines(figure), "gap-4-lines.csv").expect("a figure");
        assert_eq!(csv, "series,x,y,lo,hi,measured_here\n\"q8_0, here\",64,0.5,0.5,0.5,yes\n");
        let spec: Value = serde_json::from_str(&spec).expect("JSON");
        assert_eq!(spec["data"]["url"], "gap-4-lines.csv");
        assert_eq!(spec["encoding"]["x"]["field"], "x");
        assert_eq!(
            (&spec["encoding"]["x"]["scale"]["base"], &spec["layer"][1]["mark"]),
            (&2.into(), &"rule".into())
        );
        assert!(data(&Block::Text(String::new()), "").is_none());
    }
}
