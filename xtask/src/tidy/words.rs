//! Banned names and phrases, each with the standard term to use. It is no spelling checker.
//!
//! Names are whole identifiers or paths. Phrases are whole words of prose. The check skips this file.

use super::Fault;
use super::rust;
use super::source::{File, Workspace};
use super::text;

/// The file that may hold every banned word.
const TABLE: &str = "xtask/src/tidy/words.rs";

/// A log, whose old entries keep their words.
const LOG: &str = "CHANGELOG.md";

/// A banned name or phrase, and the term to use.
type Row = (&'static str, &'static str);

/// Identifiers and paths banned from code, strings, comments, documents and file names.
const NAMES: &[Row] = &[
    ("turn_and_remember", "`rope_and_store_kv`"),
    ("turn_and_remember_apart", "`rope_and_store_kv_unfused`"),
    ("Spot", "`Temp` or `Buf`"),
    ("Temp::Mixed", "`Temp::AttnOut`"),
    ("Temp::Both", "`Temp::GateUp`"),
    ("Temp::Inner", "`Temp::FfnHidden`"),
    ("Temp::Branch", "`Temp::BlockOut`"),
    ("Temp::Projected", "`Temp::Qkv`"),
    ("attn_fold", "`attn_reduce`"),
    ("AttnFold", "`AttnReduce`"),
    ("argmax_fold", "`argmax_reduce`"),
    ("ArgmaxFold", "`ArgmaxReduce`"),
    ("PartPicks", "`PartialArgmax`"),
    ("place_of_largest", "`index_of_largest`"),
    ("MAX_SPLITS", "`MAX_KV_SPLITS`"),
    ("most_splits", "`max_kv_splits`"),
    ("span_for", "`kv_split_len`"),
    ("least_span", "`min_split_len`"),
    ("UNCUT", "`MAX_UNSPLIT_CONTEXT`"),
    ("leads_part", "`writes_partial`"),
    ("leave_share", "`store_partial_sum`"),
    ("whole_sum", "`total_sum`"),
    ("head_norm", "`qk_norm`"),
    ("HeadNorm", "`QkNorm`"),
    ("attn_lane", "`attention_simd`"),
    ("AttnLane", "`AttentionSimd`"),
    ("mat_row", "`mat_vec_rows`"),
    ("MatRow", "`MatVecRows`"),
    ("mat_pair", "`mat_vec_dual`"),
    ("MatPair", "`MatVecDual`"),
    ("mat_dot", "`mat_vec_i8`"),
    ("MatDot", "`MatVecI8`"),
    ("mat_coop", "`mat_mul_coop`"),
    ("MatCoop", "`MatMulCoop`"),
    ("ProductChoice", "`LinearKernel`"),
    ("product_for", "`linear_for`"),
    ("for_vectors", "`for_batch`"),
    ("forgo_cooperative", "`disable_cooperative`"),
    ("GATE_FLOPS", "`glu_flops`"),
    ("can_gate", "`can_glu`"),
    ("Epilogue::Gate", "`Epilogue::Glu`"),
    ("RowCount::Few", "`RowCount::Small`"),
    ("RowCount::Some", "`RowCount::Medium`"),
    ("RowCount::Many", "`RowCount::Large`"),
    ("Stack", "`FusedLinear`"),
    ("project_stack", "`project_fused`"),
    ("Factor", "`Operand`"),
    ("Act", "`Activation`"),
    ("SlotInfo", "`BindingInfo`"),
    ("SlotType", "`BindingType`"),
    ("extent", "`min_binding_size`, or size"),
    ("extents", "`min_binding_sizes`, or sizes"),
    ("head_parts", "`chunks_per_header`"),
    ("HEAD_PARTS", "`CHUNKS_PER_HEADER`"),
    ("UNREST", "`DRIFT`"),
    ("unrest", "`drift`"),
    ("tame", "`bound_scales`"),
    ("tame_half", "`bound_half`"),
    ("decode_laid", "`decode_row`, or a name that says which layout"),
    ("laid", "`to_layout`; in prose, stored"),
    ("Choice::Largest", "`Choice::Greedy`"),
    ("Choice::Drawn", "`Choice::Sampled`"),
    ("continue_by", "`decode` or `generate`"),
    ("continue_by_rows", "`decode_on_host`"),
    ("continue_greedy", "`decode_greedy`"),
    ("continue_alone", "`decode_on_device`"),
    ("teams", "`reduce_groups`; in prose, reduction groups"),
    ("team_sum", "`reduce_sum`"),
    ("team_lane", "`reduce_lane`"),
    ("team_lanes", "`reduce_lanes`"),
    ("quality_ladder", "`quantization_sweep`"),
    ("ladders", "quantization sweeps"),
    ("rung", "row"),
    ("rungs", "rows"),
    ("greet", "`handshake`"),
    ("stranger", "`identity_mismatch`"),
    ("Account", "`Verbosity`"),
];

/// Phrases, in lower case, banned from comments, documents and string literals.
const PHRASES: &[Row] = &[
    ("by itself", "isolated, or alone"),
    ("by themselves", "isolated, or alone"),
    ("by himself", "alone"),
    ("in turn", "back to back, or one after the other"),
    ("take turns", "are interleaved"),
    ("takes turns", "is interleaved"),
    ("taking turns", "interleaved A/B"),
    ("is told", "is printed, or reads"),
    ("are told", "are printed, or read"),
    ("as they are", "unchanged"),
    ("which it will be", "the name of the value, such as \"the subgroup size\""),
    ("held against", "compared with"),
    ("beyond their roofs", "kernel inefficiency"),
    ("arithmetic not hidden", "exposed compute"),
    ("beyond alone", "in-sequence penalty"),
    ("same top", "top-1 agreement"),
    ("n max", "draft length"),
    ("few vectors", "small batch"),
    ("many vectors", "large batch"),
    ("a team", "a reduction group"),
    ("the team", "the reduction group"),
    ("nobody who watches", "has no watchdog"),
    ("number format", "quantization type"),
    ("number formats", "quantization types"),
    ("whoever", "the name of the caller, user or crate"),
    ("laid out to", "in the layout of"),
    ("ladder", "quantization sweep"),
    ("is handed", "takes, or receives"),
    ("of its own accord", "automatically"),
];

/// Files that need a banned word, such as readers of old journals: path and word. The list only shrinks.
const EXCEPTIONS: &[(&str, &str)] =
    &[("crates/experiment/src/upgrade.rs", "ladder"), ("crates/experiment/tests/upgrade.rs", "ladder")];

/// No file uses a banned name or phrase, and no exception is stale.
pub(super) fn banned(workspace: &Workspace) -> Vec<Fault> {
    check(workspace, EXCEPTIONS)
}

fn check(workspace: &Workspace, exceptions: &[(&str, &str)]) -> Vec<Fault> {
    let mut used = vec![false; exceptions.len()];
    let mut faults = Vec::new();
    for file in workspace.files.iter().filter(|file| ![TABLE, LOG].contains(&file.path.as_str())) {
        for (line, (word, instead)) in found_in(file) {
            let is_this = |exception: &(&str, &str)| *exception == (file.path.as_str(), word);
            match exceptions.iter().position(is_this) {
                Some(at) => used[at] = true,
                None => faults.push(Fault::at(&file.path, line, format!("`{word}`: use {instead}"))),
            }
        }
    }
    let stale = exceptions.iter().zip(used).filter(|(_, used)| !used);
    faults.extend(stale.map(|((path, word), _)| {
        Fault::whole(TABLE, format!("`{word}` does not occur in {path}: remove the exception"))
    }));
    faults
}

/// The banned names and phrases in `file`, by line. Line 0 is the path.
fn found_in(file: &File) -> Vec<(usize, Row)> {
    let mut found = names_in(file);
    found.extend(names_of(&file.path).map(|row| (0, row)));
    for block in text::blocks(file) {
        let lines: Vec<&str> = block.iter().map(|(_, text)| *text).collect();
        found.extend(phrases_in(block[0].0, &lines.join("\n")));
    }
    for (line, text) in text::strings(file) {
        found.extend(phrases_in(line, &without_escapes(text)));
    }
    found.sort_by_key(|(line, _)| *line);
    found
}

fn names_in(file: &File) -> Vec<(usize, Row)> {
    let mut found = Vec::new();
    for (line, text) in file.lines() {
        let text = if file.has_extension("md") { text.to_owned() } else { without_escapes(text) };
        found.extend(names_of(&text).map(|row| (line, row)));
    }
    found
}

/// The banned names in `text`.
fn names_of(text: &str) -> impl Iterator<Item = Row> {
    NAMES.iter().copied().filter(|(name, _)| {
        text.match_indices(name).any(|(at, _)| {
            let after = &text[at + name.len()..];
            !text[..at].ends_with(rust::is_word) && !after.starts_with(rust::is_word)
        })
    })
}

/// `text` with spaces in place of escapes, which could hide the edge of a word.
fn without_escapes(text: &str) -> String {
    text.replace("\\n", "  ").replace("\\t", "  ").replace("\\\n", " \n")
}

/// The banned phrases in a text whose first line has the number `first`.
fn phrases_in(first: usize, text: &str) -> Vec<(usize, Row)> {
    let words = prose_words(first, text);
    let mut found = Vec::new();
    for row in PHRASES {
        let phrase: Vec<&str> = row.0.split(' ').collect();
        let is_phrase = |window: &&[ProseWord]| window.iter().map(|(_, word)| word).eq(phrase.iter());
        found.extend(words.windows(phrase.len()).filter(is_phrase).map(|window| (window[0].0, *row)));
    }
    found
}

/// A line number and a word in lower case. Punctuation is an empty word, which no phrase contains.
type ProseWord = (usize, String);

fn prose_words(first: usize, text: &str) -> Vec<ProseWord> {
    let mut words = Vec::new();
    for (line, text) in (first..).zip(text.split('\n')) {
        let text = text.to_lowercase();
        for piece in text.split_whitespace() {
            for part in piece.split_inclusive(|c| !rust::is_word(c)) {
                let word = part.trim_end_matches(|c| !rust::is_word(c));
                words.extend((!word.is_empty()).then(|| (line, word.to_owned())));
                words.extend((word.len() < part.len()).then(|| (line, String::new())));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines and the words found in one file.
    fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        found_in(&file).into_iter().map(|(line, (word, _))| (line, word)).collect()
    }

    #[test]
    fn rows_are_well_formed() {
        let is_name = |name: &str| rust::words(name).eq([name]);
        assert!(NAMES.iter().all(|(name, _)| name.split("::").all(is_name)));
        let is_phrase =
            |phrase: &str| phrase.split(' ').all(|word| is_name(word) && word == word.to_lowercase());
        assert!(PHRASES.iter().all(|(phrase, _)| is_phrase(phrase)));
    }

    #[test]
    fn a_name_is_found_everywhere() {
        let text = "let mat_row = \"x\\nSpot\";\n// tame\nlet my_mat_row = Spots;\nlet r#laid = MatRow;\n";
        assert_eq!(
            found("a.rs", text),
            [(1, "Spot"), (1, "mat_row"), (2, "tame"), (4, "MatRow"), (4, "laid")]
        );
        assert_eq!(found("a.md", "a\n```\nrung\n```\n"), [(3, "rung")]);
        assert_eq!(found("a.toml", "greet = 1\n"), [(1, "greet")]);
        assert_eq!(found("a.wgsl", "fn team_sum() {}\n"), [(1, "team_sum")]);
    }

    #[test]
    fn a_path_is_found_as_a_whole() {
        let text = "let a = RowCount::Few;\nlet b = (Few, MyRowCount::Few, RowCount::Fewer);\n";
        assert_eq!(found("a.rs", text), [(1, "RowCount::Few")]);
    }

    #[test]
    fn a_file_name_is_found() {
        assert_eq!(found("crates/x/src/mat_row.rs", ""), [(0, "mat_row")]);
        assert_eq!(found("crates/x/src/tame/mod.rs", ""), [(0, "tame")]);
        assert_eq!(found("crates/x/src/mat_rows.rs", ""), []);
    }

    #[test]
    fn a_phrase_is_found_across_lines() {
        assert_eq!(
            found("a.rs", "/// It runs By\n/// itself, in  turn.\n"),
            [(1, "by itself"), (2, "in turn")]
        );
        assert_eq!(found("a.md", "Number\nformats\n\n| ladder |\n"), [(1, "number formats"), (4, "ladder")]);
        assert_eq!(found("a.toml", "# a\n# is\n# told\n"), [(2, "is told")]);
    }

    #[test]
    fn a_phrase_is_found_in_strings_and_not_in_code() {
        let text = "let ladder = in_turn;\nlet a = \"b \\\n         is\\nhanded // c\";\n// in, turn by-itself within turn\n";
        assert_eq!(found("a.rs", text), [(3, "is handed")]);
        assert_eq!(found("a.toml", "ladder = 'of its own accord'\n"), [(1, "of its own accord")]);
    }

    #[test]
    fn a_fault_names_the_term_to_use() {
        let files = [("CHANGELOG.md", "tame"), (TABLE, "// tame\n"), ("b.md", "a\ntame")];
        assert_eq!(check(&Workspace::of(&files), &[]), [Fault::at("b.md", 2, "`tame`: use `bound_scales`")]);
        let faults = check(&Workspace::of(&[("tame.md", "")]), &[]);
        assert_eq!(faults, [Fault::whole("tame.md", "`tame`: use `bound_scales`")]);
    }

    #[test]
    fn an_exception_is_used_or_a_fault() {
        let workspace = Workspace::of(&[("a.rs", "let rung = 1;\n"), ("b.rs", "// rung\n")]);
        let exceptions = [("a.rs", "rung"), ("a.rs", "ladder")];
        let faults = check(&workspace, &exceptions);
        let found: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(found, [("b.rs", 1), (TABLE, 0)]);
    }
}
