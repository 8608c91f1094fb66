//! The quantization sweep: quality and speed of one model in one quantization, joined from their cells.

use crate::measures::pass::{self, Work};
use crate::measures::{mix, quality};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_measure::pass::Test;
use ridgeline_roofline::Measured;

/// The generation and the prompt whose speed is compared.
pub(crate) const GENERATION: Work = Work::generation(32);
const PROMPT: Work = Work::Test(Test { prompt: 128, generate: 0 });

/// One model in one quantization.
#[derive(Clone, Debug)]
pub(crate) struct SweepRow<'a> {
    /// Quality on the text.
    pub quality: Entry<'a, quality::Point, quality::Row>,
    /// Generation of 32 tokens.
    pub generate: Entry<'a, pass::Point, pass::Row>,
    /// A prompt of 128 tokens.
    pub prompt: Entry<'a, pass::Point, pass::Row>,
}

/// The rows whose three cells were measured, by model.
pub(crate) fn rows<'a>(data: &Data<'a>) -> Result<Vec<(String, Vec<SweepRow<'a>>)>, Error> {
    let (quality, passes) = (data.rows::<quality::Kind>()?, data.rows::<pass::Kind>()?);
    let row = |it: &Entry<'a, quality::Point, quality::Row>| {
        let pass = |work: Work| {
            let is =
                |p: &pass::Point| p.model == it.point.model && p.format == it.point.format && p.depth == 0;
            passes.find(|p| is(p) && p.work == work).cloned()
        };
        Some(SweepRow { quality: it.clone(), generate: pass(GENERATION)?, prompt: pass(PROMPT)? })
    };
    let groups = quality.group(|p| p.model.clone());
    Ok(groups.into_iter().map(|(model, own)| (model, own.into_iter().filter_map(row).collect())).collect())
}

/// The row of a quantization mix with the model's own weights.
pub(crate) fn find<'r, 'a>(rows: &'r [SweepRow<'a>], format: &str) -> Option<&'r SweepRow<'a>> {
    rows.iter().find(|it| mix(&it.quality.point.format).eq_ignore_ascii_case(format))
}

impl SweepRow<'_> {
    /// Whether the weights passed through another quantization mix before.
    pub(crate) fn is_requantized(&self) -> bool {
        self.quality.point.format.contains('>')
    }

    /// The quantization, such as `Q8_0`, or `Q8_0 of Q2_K` for requantized weights.
    pub(crate) fn label(&self) -> String {
        let format = mix(&self.quality.point.format).to_uppercase();
        format.rsplit_once('>').map_or(format.clone(), |(from, last)| format!("{last} of {from}"))
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> f64 {
        self.quality.row.weight_bytes as f64
    }

    /// Bytes of the weights, which are counted.
    pub(crate) fn size(&self) -> Measured {
        Measured::exact(self.bytes())
    }

    /// Goals of which more is better: a small size and a low KL divergence.
    pub(crate) fn by_size(&self) -> [Measured; 2] {
        [negative(self.size()), negative(self.quality.row.vs_reference.kl.interval())]
    }

    /// Goals of which more is better: a high rate and a low KL divergence.
    pub(crate) fn by_speed(&self) -> [Measured; 2] {
        let rate = self.rate().unwrap_or(Measured::exact(0.0));
        [rate, negative(self.quality.row.vs_reference.kl.interval())]
    }

    /// Mean KL divergence from half precision, nats.
    pub(crate) fn kl(&self) -> f64 {
        self.quality.row.vs_reference.kl.value
    }

    /// Seconds of one decode step.
    pub(crate) fn step(&self) -> Option<Measured> {
        let n = GENERATION.tokens() as f64;
        self.generate.seconds().map(|s| s.map(|s| s / n))
    }

    /// Generated tokens per second.
    pub(crate) fn rate(&self) -> Option<Measured> {
        self.step().map(|s| s.map(f64::recip))
    }

    /// Prompt tokens per second.
    pub(crate) fn prompt_rate(&self) -> Option<Measured> {
        let n = PROMPT.tokens() as f64;
        self.prompt.seconds().map(|s| s.map(|s| n / s))
    }

    /// Change of perplexity from half precision in percent, with the interval of the paired difference.
    pub(crate) fn ppl_change(&self) -> Measured {
        self.quality.row.vs_reference.delta_nll.interval().map(|it| 100.0 * it.exp_m1())
    }
}

/// The negative of a value, whose interval is mirrored.
fn negative(m: Measured) -> Measured {
    Measured { value: -m.value, lo: -m.hi, hi: -m.lo }
}
