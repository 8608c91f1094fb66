//! What columns that are not plain measurements mean. The definition stands under the table that has them.

use super::Table;

/// Heading of a column, and its definition.
const DEFINITIONS: [(&str, &str); 6] = [
    (
        "% BW",
        "% BW: bytes that the work has to move, at the measured bandwidth of their working set, over the measured time",
    ),
    (
        "% roof",
        "% roof: time that the ceilings allow, max(bytes / bandwidth, FLOP / peak), over the measured time",
    ),
    (
        "% of roof",
        "% of roof: time that the ceilings allow, max(bytes / bandwidth, FLOP / peak), over the measured time",
    ),
    (
        "bound",
        "bound: the longest of memory, arithmetic, launches and host in the prediction; uncertain where intervals allow two",
    ),
    (
        "at best",
        "at best: rate at this device's measured ceilings, max(bytes / bandwidth, FLOP / peak), at the ends of their intervals",
    ),
    (
        "explained",
        "explained: share that bytes, arithmetic, launches and host predict; accounted for: 1 − |unexplained| / measured",
    ),
];

/// The definitions of the columns of a table, in one line; empty where all are plain. Those in `known` are left out.
pub(super) fn legend(table: &Table, known: &mut Vec<&'static str>) -> String {
    let mut found = Vec::new();
    for (heading, definition) in DEFINITIONS {
        let has = table.columns.iter().any(|column| {
            column.title.strip_prefix(heading).is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        });
        if has && !known.contains(&heading) {
            known.push(heading);
            found.push(definition);
        }
    }
    if found.is_empty() { String::new() } else { format!("{}.", found.join(". ")) }
}

#[cfg(test)]
mod tests {
    use super::{Table, legend};
    use crate::report::Align;

    #[test]
    fn a_column_is_defined_once_in_a_section() {
        let table =
            Table::new("", [("model", Align::Left), ("% BW, counted", Align::Right), ("bound", Align::Left)]);
        let mut known = Vec::new();
        let first = legend(&table, &mut known);
        assert!(
            first.starts_with("% BW: ") && first.contains(". bound: ") && first.ends_with("two."),
            "{first}"
        );
        assert_eq!(legend(&table, &mut known), "");
        assert_eq!(legend(&Table::new("", [("boundary", Align::Left)]), &mut Vec::new()), "");
    }
}
