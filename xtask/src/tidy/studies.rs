//! Measures and studies: each is a file and a list entry, and a study only concludes.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};
use super::style::is_tests;

const MEASURES: &str = "crates/lab/src/measures";
const STUDIES: &str = "crates/lab/src/studies";

/// Lines that a file of a study may have.
const MOST_LINES: usize = 120;

/// What no study names: the device, the measuring context and clocks.
const BANNED: [&str; 6] =
    ["ridgeline_gpu", "ridgeline_compute", "MeasureContext", "Instant", "SystemTime", "Stopwatch"];

/// The files of studies, without those of tests.
fn files(workspace: &Workspace) -> impl Iterator<Item = &File> {
    let own = |file: &&File| file.path.starts_with(&format!("{STUDIES}/")) && !is_tests(file);
    workspace.with_extension("rs").filter(own)
}

/// Every file beside a list of measures or studies is an entry or a module of it, and a study's file has its id.
pub(super) fn lists(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for list in workspace.with_extension("rs").filter(|file| file.base_name() == "mod") {
        let Some((folder, _)) = list.path.rsplit_once('/') else { continue };
        let (name, export) = match folder.strip_prefix(STUDIES) {
            Some(rest) if rest.matches('/').count() == 1 => ("studies", "STUDY: Study"),
            _ if folder == MEASURES => ("measures", "struct Kind"),
            _ => continue,
        };
        let code = rust::code(list, Keep::Code);
        let Some(listed) = rust::macro_list(&code, name) else {
            faults.push(Fault::whole(&list.path, format!("has no list `{name}! {{ … }}`")));
            continue;
        };
        for file in workspace.in_folder(folder, "rs").filter(|file| file.base_name() != "mod") {
            let (base, text) = (file.base_name(), rust::code(file, Keep::CodeAndStrings));
            let module = code
                .lines()
                .any(|line| line.trim().trim_start_matches("pub(crate) ") == format!("mod {base};"));
            let message = match (listed.contains(&base), text.contains(export)) {
                (false, true) => format!("`{base}` is not in the list of {}", list.path),
                (true, false) => format!("is in the list of {}, but exports no `{export}`", list.path),
                (false, false) if !module => format!("no list or module of {} names this file", list.path),
                (true, true) if name == "studies" && !text.contains(&format!("id: \"{}\"", id(base))) => {
                    format!("the id of its study is not {}", id(base))
                }
                _ => continue,
            };
            faults.push(Fault::whole(&file.path, message));
        }
    }
    faults
}

/// The id of the study in a file: `gap_4` holds `GAP-4`.
fn id(base_name: &str) -> String {
    base_name.replace('_', "-").to_uppercase()
}

/// A study concludes from records alone: it names no device and no clock.
pub(super) fn pure(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files(workspace) {
        let code = rust::product_code(file, Keep::Code);
        for (line, text) in (1..).zip(code.lines()) {
            let bad = rust::words(text).filter(|word| BANNED.contains(word));
            let message = |word| {
                format!("`{word}`: a study uses no device and reads no clock; measure it in {MEASURES}")
            };
            faults.extend(bad.map(|word| Fault::at(&file.path, line, message(word))));
        }
    }
    faults
}

/// A file of a study fits two screens.
pub(super) fn length(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files(workspace) {
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            let message = format!("{lines} lines, at most {MOST_LINES} are allowed in a study");
            faults.push(Fault::whole(&file.path, message));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(faults: &[Fault]) -> Vec<(&str, usize, &str)> {
        faults.iter().map(|fault| (fault.path.as_str(), fault.line, fault.message.as_str())).collect()
    }

    const LIST: &str = "crates/lab/src/studies/gap/mod.rs";

    #[test]
    fn a_study_outside_its_list_is_found() {
        let study = |id: &str| format!("pub(crate) const STUDY: Study = Study {{\n    id: \"{id}\",\n}};\n");
        let [four, six, seven] = ["GAP-4", "GAP-6", "GAP-9"].map(study);
        let files = [
            (
                LIST,
                "//! GAP.\nmod decode;\n#[cfg(test)]\nmod tests;\nridgeline_experiment::studies! { gap_4, gap_5, gap_7 }\n",
            ),
            ("crates/lab/src/studies/gap/decode.rs", "fn rate() {}\n"),
            ("crates/lab/src/studies/gap/gap_4.rs", &four),
            ("crates/lab/src/studies/gap/gap_5.rs", "// STUDY: Study\n"),
            ("crates/lab/src/studies/gap/gap_6.rs", &six),
            ("crates/lab/src/studies/gap/gap_7.rs", &seven),
            ("crates/lab/src/studies/gap/orphan.rs", "fn f() {}\n"),
            ("crates/lab/src/studies/gap/tests.rs", "fn f() {}\n"),
        ];
        let folder = "crates/lab/src/studies/gap";
        let expected = [
            (
                format!("{folder}/gap_5.rs"),
                format!("is in the list of {LIST}, but exports no `STUDY: Study`"),
            ),
            (format!("{folder}/gap_6.rs"), format!("`gap_6` is not in the list of {LIST}")),
            (format!("{folder}/gap_7.rs"), "the id of its study is not GAP-7".to_owned()),
            (format!("{folder}/orphan.rs"), format!("no list or module of {LIST} names this file")),
        ];
        let faults = lists(&Workspace::of(&files));
        let expected: Vec<_> =
            expected.iter().map(|(path, message)| (path.as_str(), 0, message.as_str())).collect();
        assert_eq!(found(&faults), expected);
    }

    #[test]
    fn a_measure_outside_its_list_and_a_missing_list_are_found() {
        let kind = "pub(crate) struct Kind;\n";
        let files = [
            ("crates/lab/src/measures/mod.rs", "ridgeline_experiment::measures! { MeasureContext: pass }\n"),
            ("crates/lab/src/measures/pass.rs", kind),
            ("crates/lab/src/measures/stray.rs", kind),
        ];
        let faults = lists(&Workspace::of(&files));
        let message = "`stray` is not in the list of crates/lab/src/measures/mod.rs";
        assert_eq!(found(&faults), [("crates/lab/src/measures/stray.rs", 0, message)]);
        let files = [(LIST, "//! GAP.\n"), ("crates/lab/src/studies/mod.rs", "mod gap;\n")];
        assert_eq!(found(&lists(&Workspace::of(&files))), [(LIST, 0, "has no list `studies! { … }`")]);
    }

    #[test]
    fn a_study_with_a_device_or_a_clock_is_found() {
        let text = "// Instant\nuse ridgeline_gpu::Device;\nfn f(cx: &MeasureContext) {\n    let a = std::time::Instant::now();\n}\n\
                    #[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}\n";
        let files = [
            ("crates/lab/src/studies/gap/gap_4.rs", text),
            ("crates/lab/src/studies/tests.rs", text),
            ("crates/lab/src/measures/pass.rs", text),
        ];
        let lines: Vec<usize> = pure(&Workspace::of(&files)).iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn a_long_study_is_found() {
        let (fits, long) = ("//\n".repeat(MOST_LINES), "//\n".repeat(MOST_LINES + 1));
        let files = [
            ("crates/lab/src/studies/gap/gap_4.rs", fits.as_str()),
            ("crates/lab/src/studies/gap/gap_5.rs", &long),
            ("crates/lab/src/studies/tests.rs", &long),
            ("crates/lab/src/measures/pass.rs", &long),
        ];
        let faults = length(&Workspace::of(&files));
        let message = "121 lines, at most 120 are allowed in a study";
        assert_eq!(found(&faults), [("crates/lab/src/studies/gap/gap_5.rs", 0, message)]);
    }
}
