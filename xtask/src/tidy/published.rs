//! Published numbers: each entry says where in its source the number is printed.

use super::Fault;
use super::source::{File, Workspace};

/// Folders of published numbers: those of studies, and the peaks of devices.
const FOLDERS: [&str; 2] = ["crates/experiment/published", "crates/roofline/machines"];

/// The keys that each kind of entry requires. Of alternatives, one is enough.
const REQUIRED: [(&str, &[&[&str]]); 4] = [
    ("[source]", &[&["title"], &["code", "url"]]),
    // A caption identifies a table that its source does not number.
    ("[[table]]", &[&["id"], &["origin"], &["printed_as", "path", "in_text", "caption"]]),
    ("[[claim]]", &[&["id"], &["test"], &["published"]]),
    ("[[peak]]", &[&["source"], &["locator"]]),
];

/// Every entry of every source has the required keys.
pub(super) fn locators(workspace: &Workspace) -> Vec<Fault> {
    let files = FOLDERS.iter().flat_map(|folder| workspace.in_folder(folder, "toml"));
    files.flat_map(|file| entries(file).filter_map(|entry| entry.fault(file))).collect()
}

/// One TOML table: its header, the line of the header, and its keys.
struct Entry<'a> {
    header: &'a str,
    line: usize,
    keys: Vec<&'a str>,
}

impl Entry<'_> {
    fn fault(&self, file: &File) -> Option<Fault> {
        let (_, required) = REQUIRED.iter().find(|(header, _)| *header == self.header)?;
        let missing = required.iter().find(|any| !any.iter().any(|key| self.keys.contains(key)))?;
        let message = format!("{} without `{}`", self.header, missing.join("` or `"));
        Some(Fault::at(&file.path, self.line, message))
    }
}

fn entries(file: &File) -> impl Iterator<Item = Entry<'_>> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    for (line, text) in file.lines() {
        if text.starts_with('[') {
            found.push(Entry { header: text.trim_end(), line, keys: Vec::new() });
        } else if let (Some(entry), Some((key, _))) = (found.last_mut(), text.split_once(" =")) {
            // Indented keys belong to a nested row.
            entry.keys.extend((!key.starts_with(' ')).then_some(key));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_without_a_locator_is_found() {
        let text = "[[peak]]\nsource = \"a\"\nlocator = \"Table 1\"\n[[peak]]\nsource = \"a\"\n";
        let faults = locators(&Workspace::of(&[("crates/roofline/machines/a.toml", text)]));
        assert_eq!(faults, [Fault::at("crates/roofline/machines/a.toml", 4, "[[peak]] without `locator`")]);
    }

    #[test]
    fn a_number_without_a_locator_is_found() {
        let text = "[source]\ntitle = \"a\"\ncode = \"b\"\n\n[[table]]\nid = \"T1\"\norigin = \"print\"\n\
                    printed_as = \"Table 1\"\nrows = [\n  { path = 1 },\n]\n[[table]]\nid = \"T2\"\norigin = \"print\"\n\
                    rows = [\n  path = 1\n]\n[[claim]]\nid = \"C1\"\ntest = \"x\"\n";
        let faults = locators(&Workspace::of(&[("crates/experiment/published/a.toml", text)]));
        let found: Vec<_> = faults.iter().map(|fault| (fault.line, fault.message.as_str())).collect();
        let expected = [
            (12, "[[table]] without `printed_as` or `path` or `in_text` or `caption`"),
            (18, "[[claim]] without `published`"),
        ];
        assert_eq!(found, expected);
    }
}
