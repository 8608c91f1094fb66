//! The four scenarios of the study, at its lengths or scaled: short or long input, then short or long output.

use crate::measures::pass::Work;
use ridgeline_measure::pass::Test;

/// Long over short: the study has 4096 and 128 tokens.
const LONG: usize = 32;

/// A prompt and the generation after it; `None` for other work.
fn test(work: Work) -> Option<Test> {
    match work {
        Work::Test(test) if test.prompt > 0 && test.generate > 0 => Some(test),
        _ => None,
    }
}

/// The short length of the works of one model.
pub(super) fn short(works: impl Iterator<Item = Work>) -> Option<usize> {
    works.filter_map(test).map(|it| it.prompt.min(it.generate)).min()
}

/// Name of a scenario whose short parts have `short` tokens; `None` for other work.
pub(super) fn name(work: Work, short: usize) -> Option<&'static str> {
    let Test { prompt, generate } = test(work)?;
    let long = LONG * short;
    match (prompt, generate) {
        it if it == (short, short) => Some("SISO"),
        it if it == (long, short) => Some("LISO"),
        it if it == (short, long) => Some("SILO"),
        it if it == (long, long) => Some("LILO"),
        _ => None,
    }
}
