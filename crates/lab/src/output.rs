//! Writing to stdout: data only, and never a panic when the reader is gone.

use serde::Serialize;
use std::io::{self, Write};

/// Writes one JSON document and a line break.
///
/// # Errors
/// Whatever stdout answers.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    self::text(&text)?;
    Ok(())
}

/// Writes text as it is, at once: whoever reads a pipe sees it when it is there.
///
/// # Errors
/// Whatever stdout answers.
pub fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line for people to stderr. A closed stderr is nobody listening.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Bytes for people: `16.1 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// The lines of a table: columns as wide as their widest cell, numbers to the right where `right` says so.
#[must_use]
pub fn table(right: &[bool], rows: &[Vec<String>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max();
    let widths: Vec<usize> = (0..right.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(right).zip(&widths).map(|((cell, right), &width)| {
            if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{bytes, table};

    #[test]
    fn sizes_and_tables_for_people() {
        assert_eq!([bytes(7), bytes(1536), bytes(3 << 30)], ["7 B", "1.5 KiB", "3.0 GiB"]);
        let rows = [["name", "n"], ["a", "100"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&[false, true], &rows), "name    n\na     100\n");
    }
}
