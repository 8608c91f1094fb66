//! Flags that several commands share: session, sampling and prompt.

use crate::globals::{Globals, UsageError};
use crate::{hub, output};
use ridgeline_measure::Device;
use ridgeline_measure::models::Loaded;
use ridgeline_model::{Session, SessionOptions};
use ridgeline_quant::{Format, Mix};
use ridgeline_speculative::{Choice, LanguageModel, Rows, Sampler, Token};
use ridgeline_text::Tokenizer;
use ridgeline_weights::Quantization;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::ControlFlow;
use std::str::FromStr;

/// Help of one model.
pub(crate) const MODEL: &str = "Model: GGUF file, safetensors folder, or a name that `ridgeline doctor` lists. \
                                An added :TYPE requantizes it; `ridgeline synth --help` lists the types. \
                                -hf user/model[:QUANT] in place of -m fetches it from the Hugging Face Hub";
/// Help of a list of models.
pub(crate) const MODELS: &str = "Models: GGUF files, safetensors folders, or names that `ridgeline doctor` lists. \
                                 An added :TYPE requantizes; `ridgeline synth --help` lists the types. \
                                 Separate several with commas, or repeat the flag. \
                                 -hf user/model[:QUANT] in place of -m fetches one from the Hugging Face Hub";

/// Weights of the shapes in `models/*.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Weights {
    /// Random, which costs no download: times depend on the shape alone
    #[default]
    Random,
    /// The published ones, fetched from the Hugging Face Hub
    Real,
}

impl Weights {
    /// The names of models with these weights.
    ///
    /// # Errors
    /// Real weights of a shape do not exist, or cannot be fetched.
    pub(crate) fn of(self, models: &[String], globals: &Globals) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Random => Ok(models.to_vec()),
            Self::Real => models.iter().map(|name| hub::published(name, globals)).collect(),
        }
    }
}

/// Names separated by commas.
fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The types that the KV cache can have.
fn cache_types() -> String {
    names(Format::ALL.iter().map(|it| it.spec()).filter(|it| it.kv_block.is_some()).map(|it| it.name))
}

/// Help of the type of the K or V cache.
pub(crate) fn cache_help(which: char) -> String {
    let short = which.to_ascii_lowercase();
    format!("Type of the {which} cache (also -ct{short}), in any case: {}", cache_types())
}

/// Help of `--format`.
pub(crate) fn format_help() -> String {
    let types = names(encodable());
    format!(
        "Requantize the weight matrices to this type, and leave the file unchanged: {types} [default: the model's types]"
    )
}

/// The types that weights can be converted to.
fn encodable() -> impl Iterator<Item = &'static str> {
    Format::ALL.iter().map(|it| it.spec()).filter(|it| it.encode.is_some()).map(|it| it.name)
}

/// Names of the mixes that are not the name of a type too.
fn only_mixes() -> impl Iterator<Item = &'static str> {
    Mix::ALL.iter().map(|it| it.name).filter(|it| Format::from_name(it).is_none())
}

/// The values of [`mix`].
pub(crate) fn mixes() -> String {
    names(Mix::ALL.iter().map(|it| it.name))
}

/// The values of [`quantization`].
pub(crate) fn quantizations() -> String {
    format!("{}; mixes: {}", names(encodable()), names(only_mixes()))
}

/// Parses a quantization mix, or llama.cpp's number of one.
pub(crate) fn mix(text: &str) -> Result<&'static Mix, String> {
    let by_number = || {
        let number: u32 = text.parse().ok()?;
        Mix::ALL.iter().find(|it| it.gguf_file_type == number)
    };
    Mix::from_name(text).or_else(by_number).ok_or_else(|| format!("choose one of: {}", mixes()))
}

/// Parses a quantization type or mix.
pub(crate) fn quantization(text: &str) -> Result<Quantization, String> {
    text.parse().map_err(|_| format!("choose one of: {}", quantizations()))
}

/// The length of a text, in tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// Prompt and output together.
    AtMost(usize),
    /// As long as the model goes on after a prompt.
    Open {
        /// Tokens of the prompt.
        prompt: usize,
    },
}

/// Context without `-c` where the length of a text is open, unless the model is trained for less. The cache of a trained context
/// of 128 k tokens may not fit the device.
const OPEN_CONTEXT: usize = 4096;

/// The size of a session.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Session")]
pub(crate) struct SessionArgs {
    /// Context size in tokens; 0 is the context that the model was trained with [default: prompt plus -n; at most 4096
    /// without a limit]
    #[arg(short, long)]
    ctx_size: Option<usize>,
    /// Maximum tokens of a forward pass; longer inputs take several passes
    #[arg(short, long, default_value_t = 512)]
    batch_size: usize,
    #[arg(long, help = cache_help('K'), value_name = "TYPE", default_value_t = Format::HALF)]
    cache_type_k: Format,
    #[arg(long, help = cache_help('V'), value_name = "TYPE", default_value_t = Format::HALF)]
    cache_type_v: Format,
}

impl SessionArgs {
    /// Options for a session of a text of this length, with a model trained for `trained` positions. Prints a warning where
    /// the text may be longer than that.
    ///
    /// # Errors
    /// The batch size is 0.
    pub(crate) fn options(&self, length: Length, trained: usize) -> Result<SessionOptions, UsageError> {
        if self.batch_size == 0 {
            return Err(UsageError("-b must be at least 1".to_owned()));
        }
        let (wanted, most) = match length {
            Length::AtMost(n) => (n, n),
            Length::Open { prompt } => (trained.min(OPEN_CONTEXT).max(prompt + 1), usize::MAX),
        };
        let context = match self.ctx_size {
            Some(0) => trained,
            given => given.unwrap_or(wanted),
        };
        warn_beyond(most.min(context), trained);
        let cache = [self.cache_type_k, self.cache_type_v];
        Ok(SessionOptions { context, batch: self.batch_size, cache, ..SessionOptions::default() })
    }
}

/// Prints a warning where a text of `tokens` may be longer than the model's trained context.
pub(crate) fn warn_beyond(tokens: usize, trained: usize) {
    if tokens > trained {
        output::note(&format!(
            "warning: {tokens} tokens may exceed the model's trained context of {trained}"
        ));
    }
}

/// Sampling; the defaults are llama.cpp's.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Temperature, at least 0; 0 always takes the most likely token
    #[arg(long, default_value_t = Sampler::default().temperature, allow_negative_numbers = true)]
    temp: f32,
    /// Sample among this many most likely tokens (top-k); 0 and -1 are off
    #[arg(long, default_value_t = Sampler::default().top_k, value_parser = top_k, allow_negative_numbers = true)]
    top_k: usize,
    /// Sample among the most likely tokens whose probabilities sum to this (top-p), 0 to 1; 1 is off
    #[arg(long, default_value_t = Sampler::default().top_p)]
    top_p: f32,
    /// Minimum probability relative to the most likely token (min-p), 0 to 1; 0 is off
    #[arg(long, default_value_t = Sampler::default().min_p)]
    min_p: f32,
    /// Penalty on repeated tokens: a factor above 0 on their logits; 1 is off
    #[arg(long, default_value_t = Sampler::default().repetition_penalty)]
    repeat_penalty: f32,
    /// Number of recent tokens to penalize; 0 is off, -1 is all
    #[arg(long, default_value_t = Sampler::default().penalty_last_n, allow_negative_numbers = true)]
    repeat_last_n: i32,
    /// Random seed; the same seed draws the same random numbers. -1 is another one each time, which is printed
    #[arg(short, long, default_value_t = Seed::Of(Sampler::default().seed), allow_negative_numbers = true)]
    seed: Seed,
}

/// The value of `--seed`.
#[derive(Clone, Copy, Debug)]
enum Seed {
    Of(u64),
    Random,
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-1" { Ok(Self::Random) } else { text.parse().map(Self::Of) }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(seed) => seed.fmt(f),
            Self::Random => f.write_str("-1"),
        }
    }
}

impl Seed {
    /// The seed. The standard library's hash keys are random.
    fn value(self) -> u64 {
        match self {
            Self::Of(seed) => seed,
            Self::Random => {
                let seed = RandomState::new().build_hasher().finish();
                output::note(&format!("seed = {seed}"));
                seed
            }
        }
    }
}

/// Parses a number of tokens. All negative ones are 0, as in llama.cpp.
fn top_k(text: &str) -> Result<usize, String> {
    let number: i64 = text.parse().map_err(|_| "give a number of tokens, or 0".to_owned())?;
    Ok(usize::try_from(number).unwrap_or(0))
}

impl SamplingArgs {
    /// The sampler.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub(crate) fn sampler(&self) -> Result<Sampler, UsageError> {
        let sampler = Sampler {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repeat_penalty,
            penalty_last_n: self.repeat_last_n,
            seed: self.seed.value(),
        };
        sampler.check().map_err(|error| UsageError(error.to_string()))?;
        Ok(sampler)
    }
}

/// The tokenizer of a loaded model.
///
/// # Errors
/// The vocabulary is broken, or the model's weights are random, so that it has none.
pub(crate) fn vocabulary_of(loaded: &Loaded) -> anyhow::Result<&Tokenizer> {
    let name = &loaded.id.name;
    let missing = || {
        UsageError(format!(
            "{name} has no vocabulary: its weights are random, or its file or folder lacks the tokenizer (tokenizer.json or \
             tokenizer.model); use a trained model that has one"
        ))
    };
    Ok(loaded.vocabulary.tokenizer()?.ok_or_else(missing)?)
}

/// The first id whose text differs between two vocabularies. Ids that are padding in both, or missing, are equal.
pub(crate) fn first_difference(a: &Tokenizer, b: &Tokenizer) -> Option<Token> {
    let n = u32::try_from(a.vocab_size().max(b.vocab_size())).unwrap_or(u32::MAX);
    (0..n).find(|&id| match (a.is_padding(id), b.is_padding(id)) {
        (true, true) => false,
        (false, false) => a.token_bytes(id).ok() != b.token_bytes(id).ok(),
        _ => true,
    })
}

/// Fails where the logits behind a text are not numbers: greedy choice on the device ignores NaN. A NaN at any position is
/// in the cache, and so in all later logits. Call this after the text is timed.
pub(crate) fn require_finite(session: &mut Session<Device>, text: &[Token]) -> anyhow::Result<()> {
    let Some(last) = text.len().min(session.capacity()).min(session.len() + 1).checked_sub(1) else {
        return Ok(());
    };
    session.truncate(last)?;
    let logits = session.extend(&text[last..=last], Rows::Last)?;
    if logits.data.iter().all(|it| it.is_finite()) {
        Ok(())
    } else {
        Err(ridgeline_measure::Error::NotNumbers.into())
    }
}

/// Largest forward pass that returns logits for all its tokens. More rows may not fit one recording.
const MAX_ROWS: usize = 16;

/// Compiles the kernels for forward passes of these lengths and for the sampler, and runs each once.
///
/// Some drivers compile at a pipeline's first launch, so compiling alone would leave work for the timed run. On the CPU
/// there is nothing to compile.
pub(crate) fn warm_up(
    session: &mut Session<Device>,
    options: &SessionOptions,
    passes: &[usize],
    sampler: &Sampler,
) -> anyhow::Result<()> {
    if session.executor().borrow_mut().gpu().is_none() {
        return Ok(());
    }
    session.prepare(passes)?;
    for &tokens in passes {
        let tokens = vec![0; tokens.min(options.batch).min(options.context)];
        let want = if tokens.len() <= MAX_ROWS { Rows::All } else { Rows::Last };
        // Attention at a large depth uses other kernels (KV split) than at depth 0.
        session.set_kv_len(if tokens.len() <= MAX_ROWS { options.context - tokens.len() } else { 0 })?;
        session.extend_greedy(&tokens, want)?;
    }
    session.truncate(0)?;
    if sampler.ignores_history() && !sampler.is_greedy() {
        session.decode(0, Choice::Sampled(sampler, &[0.5]), &mut |_| ControlFlow::Continue(()))?;
        session.truncate(0)?;
    }
    session.take_times();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Length::{AtMost, Open};
    use super::SessionArgs;
    use ridgeline_quant::Format;

    #[test]
    fn the_context_is_that_of_the_flag_or_as_long_as_needed() {
        let f16 = Format::F16;
        let args = |ctx_size| SessionArgs { ctx_size, batch_size: 8, cache_type_k: f16, cache_type_v: f16 };
        let of = |ctx_size, length, trained| {
            args(ctx_size).options(length, trained).expect("the batch size is positive").context
        };
        let context = |ctx_size, needed| of(ctx_size, AtMost(needed), 256);
        assert_eq!([context(None, 40), context(None, 300), context(Some(7), 40)], [40, 300, 7]);
        assert_eq!(context(Some(0), 40), 256, "0 is the trained context");
        let open = |ctx_size, prompt, trained| of(ctx_size, Open { prompt }, trained);
        assert_eq!([open(None, 9, 256), open(None, 300, 256), open(None, 9, 1 << 17)], [256, 301, 4096]);
        assert_eq!([open(Some(0), 9, 1 << 17), open(Some(50), 9, 256)], [1 << 17, 50]);
        assert!(SessionArgs { batch_size: 0, ..args(None) }.options(AtMost(1), 1).is_err());
    }
}
