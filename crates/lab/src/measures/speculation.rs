//! Speculative decoding with a draft model: acceptance rate, draft and verification time, and speedup.
//!
//! At temperature 0 a check compares the text with plain greedy decoding, token for token.

use super::tokenizer;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_experiment::record::Check;
use ridgeline_experiment::stats;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::models::{self, Loaded};
use ridgeline_measure::timing::{Stopwatch, repeat, timed};
use ridgeline_measure::{Device, Error};
use ridgeline_model::{Session, SessionOptions};
use ridgeline_speculative::{
    DraftOptions, ModelProposer, Sampler, Speculation, Speculator, Stats, Token, generate,
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// One prompt for each kind of text that the tiny pair was trained on; acceptance depends on the kind.
pub(super) const PROMPTS: [(&str, &str); 4] = [
    ("prose", "It was a bright morning when the prince"),
    ("wiki", " The film was released in"),
    ("code", "    def __init__(self, name):\n        self."),
    ("sums", "12 + 30 ="),
];

/// One setting of speculative decoding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// The target model.
    pub target: String,
    /// The draft model.
    pub draft: String,
    /// Draft length: most tokens drafted per round.
    pub draft_max: usize,
    /// Sampling temperature; 0 is greedy.
    pub temperature: f32,
    /// Tokens generated for each prompt.
    pub tokens: usize,
    /// A file of prompts, relative to the parent folder of `models/`; by default, one prompt of each of four kinds. A line
    /// has the kind of text, a tab, and the prompt, in which `\n` is a new line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<String>,
}

impl Point {
    /// Kinds and texts of the prompts.
    fn prompts(&self) -> Result<Vec<(String, String)>, Error> {
        let Some(file) = &self.prompts else {
            return Ok(PROMPTS.map(|(kind, text)| (kind.to_owned(), text.to_owned())).to_vec());
        };
        let path = models::root().join(file);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| models::Error::Io { path: path.clone(), source })?;
        let line = |(i, line): (usize, &str)| match line.split_once('\t') {
            Some((kind, text)) if !text.is_empty() => Ok((kind.to_owned(), text.replace("\\n", "\n"))),
            _ => Err(Error::PromptLine { path: path.clone(), line: i + 1 }),
        };
        let all = text.lines().enumerate().map(line).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err(Error::PromptLine { path, line: 1 }) } else { Ok(all) }
    }
}

/// What was measured. A repetition generates for every prompt once without and once with speculation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Counts and times over all prompts and repetitions, including warmup.
    pub stats: Stats,
    /// Times of the baseline without speculation, one per repetition.
    pub baseline_ns: Vec<u64>,
    /// Times with speculation, one per repetition.
    pub speculating_ns: Vec<u64>,
    /// Kind of text and acceptance rate.
    pub acceptance_by_prompt: Vec<(String, Option<f64>)>,
    /// Tokens generated per repetition, without and with speculation.
    pub generated: [u64; 2],
}

impl Row {
    /// Nanoseconds of a token without speculation, the share of its prompt included.
    pub(crate) fn token_ns(&self) -> Option<f64> {
        let ns: Vec<f64> = self.baseline_ns.iter().map(|&ns| ns as f64).collect();
        Some(stats::median(&ns)? / self.generated[0] as f64)
    }

    /// Median seconds per token without speculation over those with it; both are interleaved.
    pub(crate) fn speedup(&self) -> Option<f64> {
        let per_token = |ns: &[u64], n: u64| Some(stats::median(&stats::seconds(ns))? / n as f64);
        let [plain, speculating] = self.generated;
        Some(per_token(&self.baseline_ns, plain)? / per_token(&self.speculating_ns, speculating)?)
    }
}

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "speculation";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let (target, draft) = (cx.load(&point.target, None)?, cx.load(&point.draft, None)?);
        let mut pair = Pair::new(cx, &target, &draft, point)?;
        let mut baseline_ns = Vec::new();
        let samples_ns = repeat(budget, || {
            let (plain, speculating) = pair.round()?;
            baseline_ns.push(plain);
            Ok::<u64, Error>(speculating)
        })?;
        baseline_ns.drain(..budget.warmup as usize);
        let check = (point.temperature == 0.0).then(|| Check {
            kind: "greedy-matches-baseline".to_owned(),
            ok: pair.differing.is_none(),
            detail: pair
                .differing
                .clone()
                .unwrap_or_else(|| "equal for every prompt and repetition".to_owned()),
        });
        let acceptance_by_prompt =
            pair.kinds.iter().zip(&pair.by_prompt).map(|(kind, s)| (kind.clone(), s.acceptance_rate()));
        let mut stats = Stats::default();
        pair.by_prompt.iter().for_each(|s| stats.merge(s));
        let row = Row {
            stats,
            baseline_ns,
            speculating_ns: samples_ns.clone(),
            acceptance_by_prompt: acceptance_by_prompt.collect(),
            generated: pair.generated,
        };
        Ok(Measurement { row, samples_ns, check, model: Some(target.id.clone()) })
    }
}

/// The sessions of target and draft, with the prompts and the results so far.
struct Pair {
    plain: Session<Device>,
    speculator: Speculator<Session<Device>, ModelProposer<Session<Device>>>,
    sampler: Sampler,
    /// Kind of text of each prompt.
    kinds: Vec<String>,
    prompts: Vec<Vec<Token>>,
    tokens: usize,
    by_prompt: Vec<Stats>,
    generated: [u64; 2],
    differing: Option<String>,
}

impl Pair {
    fn new(cx: &MeasureContext, target: &Loaded, draft: &Loaded, point: &Point) -> Result<Self, Error> {
        let tokenizer = tokenizer(target)?;
        let (kinds, texts): (Vec<_>, Vec<_>) = point.prompts()?.into_iter().unzip();
        let prompts = texts.iter().map(|text| tokenizer.encode(text)).collect::<Result<Vec<_>, _>>()?;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let context = longest + point.tokens + point.draft_max + 1;
        let options = SessionOptions { context, ..SessionOptions::default() };
        let sampler = Sampler { seed: cx.seed, ..Sampler::unfiltered(point.temperature, cx.seed) };
        let drafting = DraftOptions { n_max: point.draft_max, ..DraftOptions::default() };
        let proposer = ModelProposer::new(cx.session(draft, options)?, sampler, drafting)?;
        let speculator = Speculator::new(cx.session(target, options)?, proposer, sampler)?;
        Ok(Self {
            plain: cx.session(target, options)?,
            speculator,
            sampler,
            by_prompt: vec![Stats::default(); prompts.len()],
            kinds,
            prompts,
            tokens: point.tokens,
            generated: [0; 2],
            differing: None,
        })
    }

    /// Generates for every prompt without and with speculation; nanoseconds of each.
    fn round(&mut self) -> Result<(u64, u64), Error> {
        let mut spent = (0, 0);
        self.generated = [0; 2];
        let clock = Stopwatch::start();
        for (i, prompt) in self.prompts.iter().enumerate() {
            let go = &mut |_| ControlFlow::Continue(());
            let (plain, ns) =
                timed(|| generate(&mut self.plain, &self.sampler, prompt, self.tokens, &[], go));
            let plain = plain?;
            spent.0 += ns;
            let go = &mut |_| ControlFlow::Continue(());
            let now = &mut || clock.ns();
            let (speculation, ns) = timed(|| self.speculator.generate(prompt, self.tokens, &[], go, now));
            let Speculation { generation, stats } = speculation?;
            spent.1 += ns;
            self.by_prompt[i].merge(&stats);
            self.generated[0] += plain.tokens.len() as u64;
            self.generated[1] += generation.tokens.len() as u64;
            if generation.tokens != plain.tokens && self.differing.is_none() {
                let at = plain.tokens.iter().zip(&generation.tokens).take_while(|(a, b)| a == b).count();
                self.differing =
                    Some(format!("{} prompt: the texts differ from token {at} on", self.kinds[i]));
            }
        }
        Ok(spent)
    }
}
