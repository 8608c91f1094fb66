//! Flags that several commands share: which model, how large a session, how tokens are chosen.

use crate::globals::Usage;
use crate::output;
use anyhow::Context;
use ridgeline_measure::Device;
use ridgeline_measure::models::Loaded;
use ridgeline_model::{Session, SessionOptions};
use ridgeline_quant::Format;
use ridgeline_speculative::{Choice, LanguageModel, Rows, Sampler, Token};
use ridgeline_text::Tokenizer;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The size of a session.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Session")]
pub(crate) struct SessionArgs {
    /// Positions of the key/value cache; 0 is as many as the model was trained for [default: as many as the prompt
    /// and the output need]
    #[arg(short, long)]
    ctx_size: Option<usize>,
    /// Most tokens per pass; a longer prompt is cut
    #[arg(short, long, default_value_t = 512)]
    batch_size: usize,
    /// Number format of the keys in the cache; of one that cannot hold them, the error names those that can
    #[arg(long, value_name = "TYPE", default_value_t = Format::HALF)]
    cache_type_k: Format,
    /// Number format of the values
    #[arg(long, value_name = "TYPE", default_value_t = Format::HALF)]
    cache_type_v: Format,
}

impl SessionArgs {
    /// Options for a session that will hold `needed` positions of a model trained for `trained`.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub(crate) fn options(&self, needed: usize, trained: usize) -> Result<SessionOptions, Usage> {
        if self.batch_size == 0 {
            return Err(Usage("-b must be at least 1".to_owned()));
        }
        let context = match self.ctx_size {
            Some(0) => trained,
            given => given.unwrap_or(needed),
        };
        if needed.min(context) > trained {
            output::note(&format!(
                "warning: text may end up beyond the {trained} positions the model was trained for"
            ));
        }
        let cache = [self.cache_type_k, self.cache_type_v];
        Ok(SessionOptions { context, batch: self.batch_size, cache, ..SessionOptions::default() })
    }
}

/// How tokens are chosen; the defaults are llama.cpp's.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Divides the logits; 0 always takes the likeliest token
    #[arg(long, default_value_t = Sampler::default().temperature, allow_negative_numbers = true)]
    temp: f32,
    /// Choose among this many of the likeliest tokens; 0 is all
    #[arg(long, default_value_t = Sampler::default().top_k)]
    top_k: usize,
    /// Choose among the likeliest tokens that together reach this probability; 1 is all
    #[arg(long, default_value_t = Sampler::default().top_p)]
    top_p: f32,
    /// Choose among tokens at least this likely relative to the likeliest; 0 is all
    #[arg(long, default_value_t = Sampler::default().min_p)]
    min_p: f32,
    /// Divides the logits of recent tokens; 1 is off
    #[arg(long, default_value_t = Sampler::default().repetition_penalty)]
    repeat_penalty: f32,
    /// How many recent tokens that sees; -1 is all
    #[arg(long, default_value_t = Sampler::default().penalty_last_n, allow_negative_numbers = true)]
    repeat_last_n: i32,
    /// Seed of every random choice
    #[arg(short, long, default_value_t = Sampler::default().seed)]
    seed: u64,
}

impl SamplingArgs {
    /// The sampler.
    ///
    /// # Errors
    /// A setting out of its range.
    pub(crate) fn sampler(&self) -> Result<Sampler, Usage> {
        let sampler = Sampler {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repeat_penalty,
            penalty_last_n: self.repeat_last_n,
            seed: self.seed,
        };
        sampler.check().map_err(|error| Usage(error.to_string()))?;
        Ok(sampler)
    }
}

/// What to continue, and how far.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PromptArgs {
    /// Text to continue
    #[arg(short, long, conflicts_with = "file", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Read the text to continue from here
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Most tokens to generate
    #[arg(short, long, default_value_t = 128)]
    pub(crate) n_predict: usize,
    /// Do not begin with the beginning-of-text token, even where the model expects it
    #[arg(long)]
    no_bos: bool,
    /// Go on after the end-of-text token
    #[arg(long)]
    ignore_eos: bool,
    /// Do not run and compile anything before the clock starts
    #[arg(long)]
    pub(crate) no_warmup: bool,
}

impl PromptArgs {
    /// The prompt's tokens.
    pub(crate) fn tokens(&self, tokenizer: &Tokenizer) -> anyhow::Result<Vec<Token>> {
        let text = match (&self.prompt, &self.file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => {
                std::fs::read_to_string(path).with_context(|| path.display().to_string())?
            }
            (None, None) => String::new(),
        };
        let bos = tokenizer.bos().filter(|_| tokenizer.add_bos() && !self.no_bos);
        let mut tokens: Vec<Token> = bos.into_iter().collect();
        tokens.extend(tokenizer.encode(&text)?);
        if tokens.is_empty() {
            return Err(Usage("nothing to continue: give a text with -p or -f".to_owned()).into());
        }
        Ok(tokens)
    }

    /// Tokens that end the output.
    pub(crate) fn stop(&self, tokenizer: &Tokenizer) -> Vec<Token> {
        tokenizer.eos().filter(|_| !self.ignore_eos).into_iter().collect()
    }
}

/// The vocabulary of a loaded model that is to write text.
pub(crate) fn vocabulary_of(loaded: &Loaded) -> Result<&Tokenizer, Usage> {
    let missing = || {
        Usage(format!(
            "{} has no vocabulary, so it cannot write text: its weights are random",
            loaded.id.name
        ))
    };
    loaded.tokenizer.as_ref().ok_or_else(missing)
}

/// Passes of up to this many tokens return a row for each: more could be too many for one recording.
const ROWS: usize = 16;

/// Compiles what passes of these many tokens and the sampler need, then runs them and forgets them, so that no compiler works
/// under the clock: some drivers compile at a pipeline's first launch. The twins are not compiled, so they are left alone.
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
        let want = if tokens.len() <= ROWS { Rows::All } else { Rows::Last };
        // Deep in the context attention takes kernels that it does not need at its beginning.
        session.set_kv_len(if tokens.len() <= ROWS { options.context - tokens.len() } else { 0 })?;
        session.extend_greedy(&tokens, want)?;
    }
    session.truncate(0);
    if sampler.ignores_history() && !sampler.is_greedy() {
        session.decode(0, Choice::Sampled(sampler, &[0.5]), &mut |_| ControlFlow::Continue(()))?;
        session.truncate(0);
    }
    session.take_times();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::SessionArgs;
    use ridgeline_quant::Format;

    #[test]
    fn a_session_is_as_large_as_it_must_be_or_as_it_is_told_to_be() {
        let f16 = Format::F16;
        let args = |ctx_size| SessionArgs { ctx_size, batch_size: 8, cache_type_k: f16, cache_type_v: f16 };
        let context = |ctx_size, needed| {
            args(ctx_size).options(needed, 256).expect("a batch that is not empty").context
        };
        assert_eq!([context(None, 40), context(None, 300), context(Some(7), 40)], [40, 300, 7]);
        assert_eq!(context(Some(0), 40), 256, "0 is what the model was trained for");
        assert!(SessionArgs { batch_size: 0, ..args(None) }.options(1, 1).is_err());
    }
}
