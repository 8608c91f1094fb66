//! The repository's own rules: the invariants of ARCHITECTURE.md and the rules of CONTRIBUTING.md.
//!
//! Each check is a pure function from the repository's text to a list of faults.
//! It runs in the command `cargo xtask tidy` and as a test of this crate.
//! Checks scan lines. Rules that need a parser are left to the compiler and clippy.

mod format;
mod layers;
mod models;
mod names;
mod places;
mod prose;
mod published;
mod purity;
mod rules;
mod rust;
mod source;
mod studies;
mod style;
mod text;
mod words;

use source::Workspace;
use std::path::Path;
use std::process::ExitCode;

/// A violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    path: String,
    /// The line, from 1, or 0 for a fault of the whole file.
    line: usize,
    message: String,
}

impl Fault {
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }

    fn whole(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, 0, message)
    }
}

/// A check, with the id of its rule in the documents.
struct Check {
    id: &'static str,
    find: fn(&Workspace) -> Vec<Fault>,
}

/// Makes the list of checks for the command, and a test of each.
macro_rules! checks {
    ($($id:literal $name:ident = $find:path,)*) => {
        const CHECKS: &[Check] = &[$(Check { id: $id, find: $find }),*];

        #[cfg(test)]
        mod this_repository {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let root = crate::root();
                    let workspace = Workspace::load(&root).expect("the repository can be read");
                    let check = Check { id: $id, find: $find };
                    let faults = report(&check, &workspace);
                    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
                }
            )*
        }
    };
}

checks! {
    "I1" i1_only_gpu_names_wgpu = layers::wgpu_in_one_manifest,
    "I2" i2_crates_use_only_what_lies_below = layers::edges,
    "I3" i3_shader_text_lies_under_shaders = places::shader_folders,
    "I4" i4_a_kernel_has_one_base_name = places::kernels,
    "I5" i5_a_quantization_type_has_one_base_name = places::formats,
    "I6" i6_only_quant_names_a_quantization_type = names::formats,
    "I7" i7_every_kernel_has_a_cost_and_a_twin = places::kernel_members,
    "I8" i8_a_loaded_model_never_changes = models::no_interior_mutability,
    "I9" i9_libraries_do_not_print_exit_or_read_the_clock = purity::libraries,
    "I10" i10_xtask_compiles_in_seconds = layers::thin_xtask,
    "I11" i11_published_numbers_cite_their_place = published::locators,
    "I12" i12_a_measure_and_a_study_are_in_their_lists = studies::lists,
    "I13" i13_a_study_only_concludes = studies::pure,
    "S1" s1_every_file_says_what_it_is = style::module_doc,
    "S2" s2_files_are_short = style::length,
    "S3" s3_lines_end_cleanly = style::whitespace,
    "S4" s4_a_fact_is_written_once = style::no_sync_comments,
    "S5" s5_lint_exceptions_are_expectations = style::no_allow,
    "S6" s6_shader_files_say_what_they_are = style::shader_head,
    "S7" s7_documents_and_checks_name_the_same_rules = rules::documented,
    "S8" s8_sentences_are_short = prose::sentence_length,
    "S9" s9_names_and_phrases_are_standard = words::banned,
    "S10" s10_files_behind_lists_are_formatted = format::hidden,
    "S11" s11_studies_are_short = studies::length,
}

/// Prints every fault of the repository at `root`. The exit code is success if there is none.
pub(crate) fn command(root: &Path) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(root)?;
    let faults: Vec<String> = CHECKS.iter().flat_map(|check| report(check, &workspace)).collect();
    for fault in &faults {
        println!("{fault}");
    }
    eprintln!("{} checks on {} files: {} faults", CHECKS.len(), workspace.files.len(), faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The faults that `check` finds, one line each, as `path:line: message`.
fn report(check: &Check, workspace: &Workspace) -> Vec<String> {
    let line = |fault: Fault| {
        let place = if fault.line == 0 { fault.path } else { format!("{}:{}", fault.path, fault.line) };
        format!("{place}: {} [{}]", fault.message, check.id)
    };
    (check.find)(workspace).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_place_and_rule() {
        let workspace = Workspace::of(&[("crates/x/src/lib.rs", "fn main() {}\n")]);
        let check = Check { id: "S1", find: style::module_doc };
        let expected = "crates/x/src/lib.rs:1: the first line is not a module doc (`//! …`) [S1]";
        assert_eq!(report(&check, &workspace), [expected]);
    }
}
