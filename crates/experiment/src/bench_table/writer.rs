//! Rows as text, one at a time: a row is printed when it is measured, as llama-bench does.

use super::{BenchRow, Output, Shown, table_of};
use crate::report::{Align, Column, Table, markdown, plain};
use ridgeline_roofline::Bound;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Fields behind those of every row: names and values.
type Fields = [(&'static str, Value)];

/// Least width of each column in characters, by its title; llama-bench's for those that it has. A later row may be longer
/// than the first one.
const WIDTHS: [(&str, usize); 11] = [
    ("model", 30),
    ("size", 10),
    ("params", 10),
    ("backend", 10),
    ("test", 15),
    ("t/s", 20),
    ("95 % CI", 20),
    ("ms/tok", 7),
    ("% BW", 5),
    ("% roof", 6),
    ("bound", 9),
];

/// Writes rows in one of the formats.
#[derive(Clone, Debug)]
pub struct Writer {
    output: Output,
    shown: Shown,
    /// Names of the fields behind those of every row.
    names: Vec<&'static str>,
    /// Widths of the columns of the rows before.
    widths: Vec<usize>,
    rows: usize,
    /// llama-bench's line below a table.
    footer: String,
}

impl Writer {
    /// A writer of rows with the fields `names` behind the usual ones.
    #[must_use]
    pub fn new(output: Output, shown: Shown, names: Vec<&'static str>) -> Self {
        Self { output, shown, names, widths: Vec::new(), rows: 0, footer: String::new() }
    }

    /// The text of a row, with what stands before it. `fields` are those of the writer's names.
    ///
    /// # Errors
    /// [`crate::Error::Json`] where a value cannot be written as JSON.
    pub fn row(&mut self, row: &BenchRow, fields: &Fields) -> Result<String, crate::Error> {
        self.rows += 1;
        let first = self.rows == 1;
        let head = if first { self.head() } else { String::new() };
        Ok(match self.output {
            Output::Plain | Output::Md => self.line(row, fields),
            Output::Csv => head + &csv(row, fields),
            Output::Sql => head + &sql(row),
            Output::Jsonl => format!("{}\n", object(row, fields)),
            Output::Json => {
                let write = crate::Error::json("benchmark rows");
                let text = serde_json::to_string_pretty(&object(row, fields)).map_err(write)?;
                let before = if first { "[" } else { "," };
                format!("{before}\n  {}", text.replace('\n', "\n  "))
            }
        })
    }

    /// The text behind the last row.
    #[must_use]
    pub fn finish(self) -> String {
        match (self.output, self.rows) {
            (Output::Json, 0) => "[]\n".to_owned(),
            (Output::Json, _) => "\n]\n".to_owned(),
            (_, 0) => self.head(),
            (Output::Plain | Output::Md, _) => self.footer,
            _ => String::new(),
        }
    }

    /// The text before the first row of a format that has one. A table has its headings with the first row.
    fn head(&self) -> String {
        match self.output {
            Output::Csv => {
                let fields = scalars(&BenchRow::default());
                let names: Vec<&str> =
                    fields.iter().map(|it| it.0).chain(self.names.iter().copied()).collect();
                names.join(",") + "\n"
            }
            Output::Sql => create(),
            _ => String::new(),
        }
    }

    /// The line of a table; with the headings for the first row.
    fn line(&mut self, row: &BenchRow, fields: &Fields) -> String {
        let table = with_fields(table_of("", std::slice::from_ref(row), self.shown), fields);
        let first = self.rows == 1;
        if first {
            let least =
                |it: &Column| WIDTHS.iter().find(|(title, _)| *title == it.title).map_or(0, |it| it.1);
            self.widths = table.columns.iter().map(least).collect();
        }
        let render = if self.output == Output::Plain { plain::aligned } else { markdown::aligned };
        let (text, widths) = render(&table, &self.widths);
        if first {
            self.widths = widths;
        }
        self.footer = format!("\nbuild: {} ({})\n", row.build_commit, row.build_number);
        // The headings are two lines.
        let lines = text.lines().skip(if first { 0 } else { 2 });
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The rows in one of the formats.
///
/// # Errors
/// [`crate::Error::Json`] where a value cannot be written as JSON.
pub fn export(rows: &[BenchRow], output: Output) -> Result<String, crate::Error> {
    let mut writer = Writer::new(output, Shown::of(rows), Vec::new());
    let mut text = String::new();
    for row in rows {
        text += &writer.row(row, &[])?;
    }
    Ok(text + &writer.finish())
}

/// Adds the fields as columns behind `test`.
fn with_fields(mut table: Table, fields: &Fields) -> Table {
    let at = table.columns.iter().position(|it| it.title == "test").map_or(0, |test| test + 1);
    for (i, (name, _)) in fields.iter().enumerate() {
        table.columns.insert(at + i, Column { title: (*name).to_owned(), align: Align::Left });
    }
    for cells in &mut table.rows {
        cells.splice(at..at, fields.iter().map(|(_, value)| unquoted(value)));
    }
    table
}

/// A row as JSON.
fn object(row: &BenchRow, fields: &Fields) -> Value {
    let fields = row.fields().into_iter().chain(fields.iter().cloned());
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// The fields with a single value: all but the raw samples.
fn scalars(row: &BenchRow) -> Vec<(&'static str, Value)> {
    row.fields().into_iter().filter(|(_, v)| !v.is_array()).collect()
}

/// A line of CSV with every value quoted (RFC 4180), as llama-bench does.
fn csv(row: &BenchRow, fields: &Fields) -> String {
    let values = scalars(row).into_iter().chain(fields.iter().cloned());
    let cells: Vec<String> = values.map(|(_, v)| unquoted(&v).replace('"', "\"\"")).collect();
    format!("\"{}\"\n", cells.join("\",\""))
}

/// The statement that creates the table.
fn create() -> String {
    let column = |(name, value): &(&str, Value)| {
        let kind = match value {
            Value::Number(n) if n.is_f64() => "REAL",
            Value::Number(_) | Value::Bool(_) => "INTEGER",
            Value::Null => "REAL",
            _ => "TEXT",
        };
        format!("  {name} {kind}")
    };
    // Column types come from a row in which no value is null.
    let mut model = BenchRow { samples_ns: vec![1, 2], n_gen: 1, ..BenchRow::default() };
    (model.mbu, model.roof_fraction, model.bound) = (Some(0.5), Some(0.5), Some(Bound::Memory));
    let columns: Vec<String> = scalars(&model).iter().map(column).collect();
    format!("CREATE TABLE IF NOT EXISTS llama_bench (\n{}\n);\n\n", columns.join(",\n"))
}

/// The statement that inserts a row.
fn sql(row: &BenchRow) -> String {
    let quoted = |v: &Value| match v {
        Value::Null => "NULL".to_owned(),
        Value::Bool(b) => u8::from(*b).to_string(),
        Value::Number(n) => n.to_string(),
        other => format!("'{}'", unquoted(other).replace('\'', "''")),
    };
    let (names, values): (Vec<&str>, Vec<String>) =
        scalars(row).iter().map(|(name, v)| (*name, quoted(v))).unzip();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "INSERT INTO llama_bench ({}) VALUES ({});", names.join(", "), values.join(", "));
    text
}

/// A value without quotes; null is empty.
fn unquoted(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
