//! Every rule in the documents has a check, and every check has a rule in the documents.

use super::source::Workspace;
use super::{CHECKS, Fault};

/// A document, the beginning of a line that states a rule there, and the first letter of those rules' ids.
const STATED: [(&str, &str, char); 2] =
    [("ARCHITECTURE.md", "**Invariant** ", 'I'), ("CONTRIBUTING.md", "**Rule** ", 'S')];

/// Every rule has one check, and every check has one rule.
pub(super) fn documented(workspace: &Workspace) -> Vec<Fault> {
    let checked: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    compare(workspace, &checked)
}

fn compare(workspace: &Workspace, checked: &[&str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, mark, letter) in STATED {
        let mut open: Vec<&str> = checked.iter().copied().filter(|id| id.starts_with(letter)).collect();
        for (line, text) in workspace.get(path).into_iter().flat_map(|document| document.lines()) {
            let Some(rest) = text.trim_start_matches("- ").strip_prefix(mark) else { continue };
            let id = rest.split([' ', ':', '.']).next().unwrap_or_default();
            match open.iter().position(|known| *known == id) {
                Some(at) => drop(open.remove(at)),
                None => faults.push(Fault::at(
                    path,
                    line,
                    format!("the rule `{id}` has no check, or is stated twice"),
                )),
            }
        }
        faults
            .extend(open.into_iter().map(|id| Fault::whole(path, format!("lacks the rule of check `{id}`"))));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_on_one_side_only_is_found() {
        let architecture = "**Invariant** I1: a.\n**Invariant** I1: again.\n**Invariant** I3: c.\n";
        let files = [("ARCHITECTURE.md", architecture), ("CONTRIBUTING.md", "- **Rule** S1: d.\n")];
        let faults = compare(&Workspace::of(&files), &["I1", "I2", "S1"]);
        let found: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(found, [("ARCHITECTURE.md", 2), ("ARCHITECTURE.md", 3), ("ARCHITECTURE.md", 0)]);
    }

    #[test]
    fn ids_are_used_once() {
        for (row, check) in CHECKS.iter().enumerate() {
            assert!(
                CHECKS[..row].iter().all(|earlier| earlier.id != check.id),
                "the id {} is used twice",
                check.id
            );
        }
    }
}
