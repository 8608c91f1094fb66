//! Tables of the page. The script makes their headings buttons that sort.

use super::super::legend::legend;
use super::super::svg::escape;
use super::super::{Align, Table};

/// Rows from which a table scrolls inside its frame, with its headings in sight.
const LONG: usize = 16;

/// Characters from which a cell is a sentence, which needs a wide column.
const SENTENCE: usize = 60;

/// A table in a frame that scrolls, with its caption above and the definitions of its columns below.
pub(super) fn html(table: &Table, defined: &mut Vec<&'static str>) -> String {
    let class = |i: usize| match table.columns.get(i).map(|c| c.align) {
        Some(Align::Right) => " class=\"right\"",
        _ => "",
    };
    let long = if table.rows.len() > LONG { " long" } else { "" };
    let mut text = format!("<div class=\"scroll{long}\">\n<table class=\"sortable\">\n");
    if !table.caption.is_empty() {
        text += &format!("<caption>{}</caption>\n", escape(&table.caption));
    }
    text += "<thead><tr>";
    for (i, column) in table.columns.iter().enumerate() {
        text += &format!("<th scope=\"col\"{}>{}</th>", class(i), escape(&column.title));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        text += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            let (cell, class) = (escape(cell), class(i));
            if i == 0 {
                text += &format!("<th scope=\"row\"{class}>{cell}</th>");
            } else if cell.chars().count() > SENTENCE {
                text += &format!("<td class=\"sentence\">{cell}</td>");
            } else {
                text += &format!("<td{class}>{cell}</td>");
            }
        }
        text += "</tr>\n";
    }
    text += "</tbody>\n</table>\n</div>\n";
    let legend = legend(table, defined);
    if !legend.is_empty() {
        text += &format!("<p class=\"legend-line\">{}</p>\n", escape(&legend));
    }
    text
}
