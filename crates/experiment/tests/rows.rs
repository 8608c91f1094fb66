//! Selections, tables and line figures of the rows of one measure.

mod support;

use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::measure::Measure;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Align, Axis, Block, Lines};
use ridgeline_experiment::rows::{Col, Rows};
use ridgeline_experiment::study::{Chapter, Evidence};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug)]
struct Pass;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    model: String,
    depth: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    rate: Option<f64>,
}

impl Measure for Pass {
    const NAME: &'static str = "pass";
    type Point = Point;
    type Row = Row;
}

type Column<'c> = Col<'c, Point, Row>;
type Cell<'a> = Entry<'a, Point, Row>;

fn cell(model: &str, depth: u32, rate: Option<f64>) -> Record {
    let record = support::visit("pass", json!({ "model": model, "depth": depth }), 0, &[10, 11, 12]);
    Record { row: json!({ "rate": rate }), ..record }
}

/// Two models at two depths, out of order; one row lacks its rate.
fn records() -> [Record; 4] {
    [cell("b", 64, Some(4.0)), cell("a", 256, Some(3.0)), cell("b", 0, Some(5.0)), cell("a", 0, None)]
}

fn with<T>(check: impl FnOnce(Rows<'_, Point, Row>) -> T) -> T {
    let (records, published) = (records(), Published::default());
    check(Data::new(&records, None, &published).rows::<Pass>().expect("they deserialize"))
}

fn points(rows: &Rows<'_, Point, Row>) -> Vec<(String, u32)> {
    rows.iter().map(|e| (e.point.model.clone(), e.point.depth)).collect()
}

fn named(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|&(model, depth)| (model.to_owned(), depth)).collect()
}

#[test]
fn rows_are_selected_and_sorted() {
    with(|rows| {
        assert_eq!(points(&rows), named(&[("b", 64), ("a", 256), ("b", 0), ("a", 0)]), "of first appearance");
        assert_eq!(points(&rows.clone().filter(|p| p.depth == 0)), named(&[("b", 0), ("a", 0)]));
        assert!(rows.clone().filter(|p| p.depth == 1).is_empty() && !rows.is_empty());
        assert_eq!(rows.find(|p| p.model == "a").map(|e| e.point.depth), Some(256));
        assert!(rows.find(|p| p.model == "c").is_none());
        let sorted = rows.sorted(|e| (e.point.model.clone(), e.point.depth));
        assert_eq!(points(&sorted), named(&[("a", 0), ("a", 256), ("b", 0), ("b", 64)]));
        // Stable, so that equal keys keep their order.
        assert_eq!(
            points(&sorted.sorted(|e| e.point.depth > 0)),
            named(&[("a", 0), ("b", 0), ("a", 256), ("b", 64)])
        );
    });
}

#[test]
fn groups_keep_the_order_of_first_appearance() {
    with(|rows| {
        let groups = rows.group(|p| p.model.clone());
        let found: Vec<(&str, Vec<u32>)> = groups
            .iter()
            .map(|(model, cells)| (model.as_str(), cells.iter().map(|e| e.point.depth).collect()))
            .collect();
        assert_eq!(found, [("b", vec![64, 0]), ("a", vec![256, 0])]);
    });
}

#[test]
fn a_table_has_a_row_for_each_cell() {
    let table = with(|rows| {
        let columns = [
            Column::text("model", |e| e.point.model.clone()),
            Column::number("depth", |e| Some(e.point.depth.to_string())),
            Column::number("rate", |e| e.row.rate.map(|rate| format!("{rate:.1}"))),
        ];
        assert_eq!(format!("{:?}", columns[1]), "Col { title: \"depth\", .. }");
        rows.table("Rates.", &columns)
    });
    assert_eq!(table.caption, "Rates.");
    let columns: Vec<_> = table.columns.iter().map(|it| (it.title.as_str(), it.align)).collect();
    assert_eq!(columns, [("model", Align::Left), ("depth", Align::Right), ("rate", Align::Right)]);
    let expected = [["b", "64", "4.0"], ["a", "256", "3.0"], ["b", "0", "5.0"], ["a", "0", "–"]];
    assert_eq!(table.rows, expected, "a missing number is a dash");
}

fn axes() -> (Axis, Axis) {
    let axis = |title: &str| Axis { title: title.to_owned(), unit: String::new(), log: false };
    (axis("depth"), axis("rate"))
}

fn figure() -> Lines {
    with(|rows| {
        let point = |e: &Cell<'_>| Some((f64::from(e.point.depth), Measured::exact(e.row.rate?)));
        rows.lines("Rates with depth.", axes(), |p| p.model.clone(), point)
    })
}

#[test]
fn a_figure_has_a_line_for_each_series() {
    let figure = figure();
    assert_eq!((figure.caption.as_str(), figure.x.title.as_str()), ("Rates with depth.", "depth"));
    let lines: Vec<(&str, Vec<f64>)> =
        figure.lines.iter().map(|l| (l.label.as_str(), l.points.iter().map(|p| p.0).collect())).collect();
    assert_eq!(
        lines,
        [("a", vec![256.0]), ("b", vec![0.0, 64.0])],
        "sorted by x, without the cell that has no rate"
    );
    assert!(figure.lines.iter().all(|l| !l.predicted));
    assert_eq!(figure.lines[1].points[0].1, Measured::exact(5.0));
}

#[test]
fn published_numbers_are_a_dashed_line() {
    let published = Published::load().expect("published numbers");
    let table = published.table("GAP-T4").expect("rates by context");
    let figure = figure().published(Some(table), "context", "tok_s", 0.5);
    let last = figure.lines.last().expect("the published line");
    assert_eq!((last.label.as_str(), last.predicted), ("published: M3 Ultra", true));
    assert_eq!(last.points.len(), table.rows.len());
    let first = table.rows[0].number("tok_s").expect("a rate");
    assert_eq!(last.points[0].1, Measured::exact(0.5 * first));
    assert_eq!(
        self::figure().published(None, "context", "tok_s", 1.0),
        self::figure(),
        "nothing without a table"
    );
    let none = self::figure().published(Some(table), "no such column", "tok_s", 1.0);
    assert!(none.lines.last().expect("a line").points.is_empty());
}

#[test]
fn a_chapter_keeps_only_what_was_measured() {
    let (records, published) = (records(), Published::default());
    let data = Data::new(&records, None, &published);
    let rows = data.rows::<Pass>().expect("they deserialize");
    let mut chapter = Chapter::default();
    assert!(chapter.is_empty());
    chapter.table(rows.clone().filter(|_| false).table("Nothing.", &[]));
    chapter.lines(Lines::default());
    let table = Published::load().expect("published numbers").table("GAP-T4").expect("a table").clone();
    chapter.lines(Lines::default().published(Some(&table), "context", "tok_s", 1.0));
    chapter.value("rate", "a", None, &Evidence::default());
    assert!(chapter.is_empty(), "a published line alone is no result: {chapter:?}");
    chapter.value("rate", "a", Some(Measured::exact(3.0)), &rows.iter().next().expect("a cell").evidence());
    assert_eq!(
        (chapter.values[0].name, chapter.values[0].visits, chapter.values[0].evidence.len()),
        ("rate", 1, 1)
    );
    chapter.text("Words.");
    chapter.lines(figure());
    assert!(matches!(&chapter.blocks[..], [Block::Text(_), Block::Lines(_)]), "{chapter:?}");
}
