//! Tests of forward passes, written as llama-bench writes them.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The work of one repetition: a prompt, a generation, or both, as in llama-bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Prompt tokens.
    pub prompt: usize,
    /// Generated tokens, each chosen greedily on the device.
    pub generate: usize,
}

impl std::str::FromStr for Test {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number =
            |part: &str, prefix: &str| part.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
        let (first, second) = text.split_once('+').unwrap_or((text, "tg0"));
        let test = match (number(first, "pp"), number(first, "tg"), number(second, "tg")) {
            (Some(prompt), _, Some(generate)) => Self { prompt, generate },
            (_, Some(generate), Some(0)) => Self { prompt: 0, generate },
            _ => Self { prompt: 0, generate: 0 },
        };
        if test.prompt + test.generate == 0 { Err(Error::Test { text: text.to_owned() }) } else { Ok(test) }
    }
}

#[cfg(test)]
mod tests {
    use super::Test;

    #[test]
    fn tests_are_written_as_llama_bench_writes_them() {
        let parse = |text: &str| text.parse::<Test>().ok().map(|t| (t.prompt, t.generate));
        assert_eq!(parse("pp128"), Some((128, 0)));
        assert_eq!(parse("tg64"), Some((0, 64)));
        assert_eq!(parse("pp512+tg128"), Some((512, 128)));
        for wrong in ["", "pp", "128", "pp0", "tg64+pp3", "tg64+tg3", "pp-1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
