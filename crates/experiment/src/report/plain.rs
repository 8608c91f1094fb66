//! A table as aligned text, for terminals.

use super::{Align, Table};

/// Between two columns.
const GAP: &str = "  ";

/// The headings, a rule and the rows, with cells padded to the width of their column. Nothing is escaped.
#[must_use]
pub fn table(table: &Table) -> String {
    aligned(table, &[]).0
}

/// As [`table`], with columns of at least these widths in characters. Returns the widths, too.
#[must_use]
pub fn aligned(table: &Table, least: &[usize]) -> (String, Vec<usize>) {
    let heads: Vec<String> = table.columns.iter().map(|column| clean(&column.title)).collect();
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let widest = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i)).chain(heads.get(i));
        let least = least.get(i).copied().unwrap_or(0);
        cells.map(|cell| width(cell)).max().unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = (0..heads.len()).map(widest).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&table.columns).zip(&widths).map(|((cell, column), &wide)| {
            let space = " ".repeat(wide - width(cell));
            match column.align {
                Align::Left => format!("{cell}{space}"),
                Align::Right => format!("{space}{cell}"),
            }
        });
        format!("{}\n", padded.collect::<Vec<_>>().join(GAP).trim_end())
    };
    if heads.is_empty() {
        return (String::new(), widths);
    }
    let rules: Vec<String> = widths.iter().map(|&wide| "─".repeat(wide)).collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    (format!("{}{}\n{body}", line(&heads), rules.join(GAP)), widths)
}

/// A cell on one line. Control characters could move the terminal's cursor.
fn clean(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Terminal columns that a text takes.
fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns of a character, after the East Asian Width property (Unicode Annex 11) in its main ranges.
const fn char_width(c: char) -> usize {
    match c as u32 {
        // Combining marks, zero-width characters, variation selectors.
        0x0300..=0x036F | 0x200B..=0x200D | 0x20D0..=0x20F0 | 0xFE00..=0xFE0F => 0,
        // Hangul, CJK, full-width forms, emoji.
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F900..=0x1F9FF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, table};

    fn of(rows: &[[&str; 2]]) -> String {
        let mut made = Table::new("a caption", [("model", Align::Left), ("t/s", Align::Right)]);
        for row in rows {
            made.push(row.map(str::to_owned));
        }
        table(&made)
    }

    #[test]
    fn columns_are_aligned() {
        let text = of(&[["llama 1B", "7.25"], ["x", "1024.00"]]);
        assert_eq!(text, "model         t/s\n────────  ───────\nllama 1B     7.25\nx         1024.00\n");
    }

    #[test]
    fn nothing_is_escaped_and_a_cell_stays_on_its_line() {
        let text = of(&[["q4_k_m <a|b> *c* `d`", "1"], ["two\nlines\u{1b}[2J", ""]]);
        assert!(text.contains("q4_k_m <a|b> *c* `d`"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("two lines [2J") && !text.contains('\u{1b}'), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
    }

    #[test]
    fn wide_characters_take_two_columns_and_combining_ones_none() {
        let text = of(&[["模型", "1"], ["e\u{301}tude", "2"], ["±", "3"]]);
        let expected = "model  t/s\n─────  ───\n模型     1\ne\u{301}tude    2\n±        3\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_empty_table_has_its_headings_alone() {
        assert_eq!(of(&[]), "model  t/s\n─────  ───\n");
        assert_eq!(table(&Table::default()), "");
    }
}
