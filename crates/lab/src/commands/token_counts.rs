//! Lists of token counts, written as for llama-bench.

use crate::globals::UsageError;

/// Maximum length of a list of numbers.
const MAX_NUMBERS: usize = 1000;

/// Numbers as llama-bench reads them: `512`, `0,256`, `1-4`, `128-512+128`, `1-16*2`. A repeated flag adds its numbers.
pub(crate) fn numbers(flag: &str, texts: &[String]) -> Result<Vec<usize>, UsageError> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(list(flag, text)?);
    }
    Ok(all)
}

fn list(flag: &str, text: &str) -> Result<Vec<usize>, UsageError> {
    let bad = || {
        UsageError(format!(
            "{flag} {text:?} is not a list of token counts; write it like `512`, `0,256`, `1-4`, `128-512+128` or `1-16*2`"
        ))
    };
    let number = |part: &str| part.parse::<usize>().map_err(|_| bad());
    let mut all = Vec::new();
    for part in text.split(',') {
        let Some((first, rest)) = part.split_once('-') else {
            all.push(number(part)?);
            continue;
        };
        let (last, step, factor) = match (rest.split_once('+'), rest.split_once('*')) {
            (Some((last, step)), _) => (last, number(step)?, 1),
            (None, Some((last, factor))) => (last, 0, number(factor)?),
            (None, None) => (rest, 1, 1),
        };
        let (mut n, last) = (number(first)?, number(last)?);
        if n > last {
            return Err(UsageError(format!("{flag} {text:?}: the range {n}-{last} ends before it begins")));
        }
        while n <= last {
            all.push(n);
            let next = n.saturating_mul(factor).saturating_add(step);
            if next <= n || all.len() > MAX_NUMBERS {
                return Err(bad());
            }
            n = next;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{list, numbers};

    #[test]
    fn numbers_are_written_as_for_llama_bench() {
        let parse = |text| list("-p", text).ok();
        assert_eq!(parse("512"), Some(vec![512]));
        assert_eq!(parse("0,256"), Some(vec![0, 256]));
        assert_eq!(parse("1-4"), Some(vec![1, 2, 3, 4]));
        assert_eq!(parse("128-512+128"), Some(vec![128, 256, 384, 512]));
        assert_eq!(parse("1-16*2,5"), Some(vec![1, 2, 4, 8, 16, 5]));
        for wrong in ["", "x", "1-", "1-4*1", "1-4+0", "0-4*2", "-3", "0-99999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(numbers("-p", &["16".to_owned(), "32-33".to_owned()]).ok(), Some(vec![16, 32, 33]));
        let reversed = list("-d", "0,64-16").expect_err("it is upside down").to_string();
        assert!(reversed.contains("64-16 ends before it begins") && reversed.starts_with("-d"), "{reversed}");
    }
}
