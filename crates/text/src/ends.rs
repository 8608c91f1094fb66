//! The tokens that begin and end a text, as the files of a model name them in several places.

use serde_json::Value;

/// Tokens that end a turn or a text, by name. These are llama.cpp's (`special_eog_ids` of `llama-vocab.cpp`).
const NAMES: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<|end_of_turn|>",
    "<｜end▁of▁sentence｜>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// A beginning and ends that a file besides the vocabulary names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// The beginning of a text.
    pub bos: Option<u32>,
    /// The ends of a text.
    pub eos: Vec<u32>,
}

impl Ends {
    /// The tokens that a `config.json` or `generation_config.json` names: an id, or a list of ids. A file that is no JSON
    /// names none.
    #[must_use]
    pub fn from_config(json: &[u8]) -> Self {
        let tree: Value = serde_json::from_slice(json).unwrap_or_default();
        let text = tree.get("text_config").unwrap_or(&tree);
        let ids = |key: &str| -> Vec<u32> {
            let value = tree.get(key).filter(|it| !it.is_null()).or_else(|| text.get(key));
            match value {
                Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
                Some(one) => id(one).into_iter().collect(),
                None => Vec::new(),
            }
        };
        Self { bos: ids("bos_token_id").first().copied(), eos: ids("eos_token_id") }
    }
}

/// An id, also written as a float; -1 stands for none.
fn id(value: &Value) -> Option<u32> {
    let number = value.as_f64().filter(|it| it.fract() == 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is an integer in range"
    )]
    (0.0..f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

/// The ids of the tokens that end a text by their name.
pub(crate) fn named(id_of: impl Fn(&str) -> Option<u32>) -> Vec<u32> {
    let mut names: Vec<&str> = NAMES.iter().copied().filter(|it| id_of(it).is_some()).collect();
    // Where a return or a call ends the turn, this one only separates its messages.
    if names.contains(&"<|return|>") && names.contains(&"<|call|>") {
        names.retain(|it| *it != "<|end|>");
    }
    names.into_iter().filter_map(id_of).collect()
}

#[cfg(test)]
mod tests {
    use super::{Ends, named};

    #[test]
    fn a_configuration_names_one_end_or_several() {
        let ends = |json: &str| Ends::from_config(json.as_bytes());
        assert_eq!(
            ends(r#"{"bos_token_id": 1, "eos_token_id": [2, 399]}"#),
            Ends { bos: Some(1), eos: vec![2, 399] }
        );
        assert_eq!(ends(r#"{"eos_token_id": 7.0}"#).eos, [7]);
        assert_eq!(ends(r#"{"text_config": {"eos_token_id": 7}}"#).eos, [7]);
        for none in
            ["", "{}", r#"{"eos_token_id": null}"#, r#"{"eos_token_id": -1}"#, r#"{"eos_token_id": "x"}"#]
        {
            assert_eq!(ends(none), Ends::default(), "{none}");
        }
    }

    #[test]
    fn ends_are_known_by_name() {
        let among = |names: &'static [&str]| {
            named(|it| names.iter().position(|name| *name == it).and_then(|it| u32::try_from(it).ok()))
        };
        assert_eq!(among(&["a", "<|im_end|>", "<|endoftext|>"]), [1, 2]);
        assert_eq!(among(&["<|end|>", "<|return|>"]), [0, 1]);
        assert_eq!(among(&["<|end|>", "<|return|>", "<|call|>"]), [1, 2]);
    }
}
