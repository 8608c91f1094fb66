//! Timing of forward passes: prompts and generations at a depth, of one or several sequences, with their cost and their
//! roofline prediction.

use crate::context::MeasureContext;
use crate::int8::int8_share;
use crate::models::Loaded;
pub use crate::pass_timing::{KernelShares, KernelTimes, PassTiming};
pub use crate::submission::{Clock, Submission};
use crate::timing::{Stopwatch, repeat, timed};
pub use crate::workload::Test;
use crate::{Device, Error, probe, profile};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_compute::Role;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_model::{LoadReport, RunTimes, Session, SessionOptions};
use ridgeline_roofline::{Cost, Machine, Regime};
use ridgeline_speculative::{LanguageModel, Rows, Token};
use std::ops::Range;

/// Seconds of generation that are interleaved with the kernels of its decode steps.
const INTERLEAVE_S: f64 = 0.04;

/// Decode steps of `step_s` seconds that fill [`INTERLEAVE_S`], at least four.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn steps_per_round(step_s: f64) -> usize {
    (INTERLEAVE_S / step_s).ceil().max(4.0) as usize
}

/// The first `n` tokens of each sequence.
fn entries(tokens: &[Vec<Token>], n: usize) -> Vec<(usize, &[Token])> {
    tokens.iter().map(|tokens| &tokens[..n]).enumerate().collect()
}

/// Times of one repetition.
struct Repetition {
    complete_ns: u64,
    encode_ns: u64,
    device_ns: Option<u64>,
}

/// The work of one repetition.
#[derive(Default)]
struct Work {
    cost: Cost,
    /// Bytes of weights and KV cache of the largest forward pass.
    working_set: u64,
    /// Bytes of the activations that the largest forward pass touches.
    scratch: u64,
}

impl Work {
    /// Adds a forward pass of this cost that touches `scratch` bytes of activations.
    fn add(&mut self, cost: Cost, scratch: u64) {
        self.working_set = self.working_set.max(cost.weights + cost.kv_read + cost.kv_write);
        self.scratch = self.scratch.max(scratch);
        self.cost += cost;
    }
}

/// Which weights of a mixture the work of a prompt has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Experts {
    /// Those of the fewest experts that its tokens may choose. Nothing runs.
    Least,
    /// Those of the experts that its tokens choose. The prompts of mixtures run once.
    Chosen,
}

/// The device times, unless those of most repetitions are missing.
fn device_times(repetitions: &[Repetition]) -> Vec<u64> {
    let times: Vec<u64> = repetitions.iter().filter_map(|it| it.device_ns).collect();
    if 2 * times.len() > repetitions.len() { times } else { Vec::new() }
}

/// Sequences at a depth, ready for tests. Most tests have one.
///
/// Times and costs have no snapshots of recurrent states ([`Session::pin`]).
#[derive(Debug)]
pub struct Bench {
    session: Session<Device>,
    report: LoadReport,
    depth: usize,
    /// Random tokens of each sequence.
    tokens: Vec<Vec<Token>>,
    /// Whether the host waits after every submission.
    waits: bool,
}

impl Bench {
    /// Sequences with `depth` positions in their cache and room for `longest` more. The options tell their number.
    ///
    /// Several sequences go through a test together, and each generates its own tokens.
    ///
    /// Trained models read random tokens. For random weights the positions are only counted: times do not depend on the
    /// values in the cache.
    ///
    /// # Errors
    /// [`Error::Model`] where the context does not fit the device, or the device fails; [`Error::NotNumbers`] for a broken
    /// model.
    pub fn new(
        cx: &MeasureContext,
        loaded: &Loaded,
        depth: usize,
        longest: usize,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let context = depth + longest;
        let mut session = cx.session(loaded, SessionOptions { context, ..options })?;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(cx.seed);
        let vocab = u32::try_from(session.vocab()).unwrap_or(u32::MAX);
        // Sequences of equal tokens would choose equal experts.
        let mut random = || (0..depth.max(longest)).map(|_| rng.random_range(0..vocab)).collect();
        let tokens: Vec<Vec<Token>> = (0..session.sequences()).map(|_| random()).collect();
        for (sequence, tokens) in tokens.iter().enumerate() {
            let selected = session.select(sequence)?;
            if loaded.vocabulary.exists() {
                selected.extend(&tokens[..depth], Rows::None)?;
            } else {
                selected.set_kv_len(depth)?;
            }
        }
        session.select(0)?;
        session.pin()?;
        Ok(Self { session, report: loaded.model.report(), depth, tokens, waits: options.run.wait })
    }

    /// Least seconds of one repetition by the device's ceilings: the roof of a test with logits for these rows.
    ///
    /// # Errors
    /// [`Error::Model`] where the test exceeds the context.
    pub fn roof_s(&mut self, test: Test, want: Rows, machine: &Machine) -> Result<f64, Error> {
        let Work { cost, working_set, .. } = self.work(test, want, Experts::Least)?;
        Ok(machine.predict(&cost, Regime::new(working_set)).roof_s)
    }

    /// Counted work and traffic of a test with logits for these rows. Nothing runs.
    ///
    /// # Errors
    /// [`Error::Model`] where the test exceeds the context.
    pub fn cost(&mut self, test: Test, want: Rows) -> Result<Cost, Error> {
        Ok(self.work(test, want, Experts::Least)?.cost)
    }

    /// Times a test within a budget.
    ///
    /// # Errors
    /// [`Error::Model`] where the test exceeds the context or the device fails.
    pub fn test(&mut self, test: Test, budget: &Budget) -> Result<PassTiming, Error> {
        self.time(test, budget, Rows::Last)
    }

    /// Times one forward pass over `n` tokens of one sequence with logits at every position, as verification of a draft needs.
    /// The copy of recurrent states that speculation makes first is not part of it.
    ///
    /// # Errors
    /// [`Error::Model`] where `n` exceeds the context or the device fails; [`Error::Sequences`].
    pub fn verify(&mut self, n: usize, budget: &Budget) -> Result<PassTiming, Error> {
        self.require_one("verification")?;
        self.time(Test { prompt: n, generate: 0 }, budget, Rows::All)
    }

    /// The fraction of the weights that a forward pass over `n` tokens multiplies in int8 ([`int8_share`]).
    ///
    /// # Errors
    /// [`Error::Model`] where `n` exceeds the batch or the context.
    pub fn int8_share(&mut self, n: usize) -> Result<f64, Error> {
        self.session.truncate(self.depth)?;
        Ok(int8_share(self.session.record(&self.tokens[0][..n], Rows::Last)?))
    }

    /// Adds the times of the kernels of a decode step to a generation of `n` tokens of one sequence, and returns them as
    /// fractions.
    ///
    /// Kernels and decode steps are interleaved, so that a change of clock rate affects both. The steps are those in the
    /// middle of the generation. The median fractions, times the median step, are the seconds of the kernels.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Device`] or [`Error::Probe`] where the device fails; [`Error::Sequences`].
    pub fn time_kernels(
        &mut self,
        generation: &mut PassTiming,
        n: usize,
        budget: &Budget,
    ) -> Result<KernelShares, Error> {
        self.require_one("the kernels of a decode step")?;
        let step_s = generation.median_s() / n as f64;
        let steps = steps_per_round(step_s).min(n);
        let middle = self.depth + (n - steps) / 2;
        self.session.set_kv_len(middle + steps / 2)?;
        let pass = self.session.record(&self.tokens[0][..1], Rows::Last)?.clone();
        let device = self.session.executor().clone();
        let sequence = profile::Sequence::new(&mut device.borrow_mut(), &pass)?;
        let (mut isolated, mut back_to_back) = (Vec::new(), Vec::new());
        repeat(budget, || {
            let kernels = sequence.time(&mut device.borrow_mut())?;
            let ns = self.generation_ns(middle, steps)?;
            let step = ns as f64 * 1e-9 / steps as f64;
            isolated.push(kernels.0 / step);
            back_to_back.push(kernels.1 / step);
            Ok::<_, Error>(ns)
        })?;
        let median = |shares: &[f64]| stats::median_interval(shares).ok_or(probe::Error::NoBlocks);
        let shares = KernelShares { isolated: median(&isolated)?, back_to_back: median(&back_to_back)? };
        generation.kernels = Some(shares.of(step_s));
        Ok(shares)
    }

    /// Refuses several sequences.
    fn require_one(&self, what: &'static str) -> Result<(), Error> {
        let sequences = self.tokens.len();
        if sequences == 1 { Ok(()) } else { Err(Error::Sequences { what, sequences }) }
    }

    /// Nanoseconds of generating `n` tokens at depth `len`.
    fn generation_ns(&mut self, len: usize, n: usize) -> Result<u64, Error> {
        self.session.truncate(self.depth)?;
        self.session.set_kv_len(len)?;
        let (picks, ns) = timed(|| self.session.decode_greedy(self.tokens[0][0], n));
        picks?;
        Ok(ns)
    }

    fn time(&mut self, test: Test, budget: &Budget, want: Rows) -> Result<PassTiming, Error> {
        if self.tokens.len() == 1 {
            self.session.prepare(&[test.prompt])?;
        }
        let Work { cost, working_set, scratch } = self.work(test, want, Experts::Chosen)?;
        // The first warm-up runs before the recordings are counted.
        self.repetition(test, want)?;
        let mut times = RunTimes::default();
        let repetitions = repeat(budget, || {
            let (repetition, run) = self.repetition(test, want)?;
            times += run;
            Ok::<_, Error>(repetition)
        })?;
        let RunTimes { recordings, encode_ns, submit_ns, .. } = times;
        let rounds = u64::try_from(repetitions.len()).unwrap_or(1) + u64::from(budget.warmup);
        // A recording may be several submissions, but the host may wait only for the last.
        let waited = if self.waits { times.submissions } else { recordings };
        let submissions = u64::from(waited) / rounds.max(1);
        let host_ns_per_recording = (encode_ns + submit_ns) as f64 / f64::from(recordings.max(1));
        let (params, weight_bytes) = (self.report.params, self.report.format_bytes);
        let regime = Regime::new(working_set).scratch(scratch).submissions(submissions);
        Ok(PassTiming {
            samples_ns: repetitions.iter().map(|it| it.complete_ns).collect(),
            encode_ns: repetitions.iter().map(|it| it.encode_ns).collect(),
            device_ns: device_times(&repetitions),
            cost,
            regime,
            recordings,
            host_ns_per_recording,
            params,
            weight_bytes,
            kernels: None,
        })
    }

    /// The prompt in batches: a range of its tokens and the rows of logits wanted from each.
    fn batches(&self, prompt: usize, want: Rows) -> impl Iterator<Item = (Range<usize>, Rows)> + use<> {
        let batch = self.session.batch();
        (0..prompt).step_by(batch).map(move |first| {
            let end = prompt.min(first + batch);
            // The last row of the prompt is in its last batch.
            (first..end, if want == Rows::Last && end < prompt { Rows::None } else { want })
        })
    }

    /// The work of one repetition. Of several sequences, the experts of a mixture are the fewest.
    fn work(&mut self, test: Test, want: Rows, experts: Experts) -> Result<Work, Error> {
        let mut work = Work::default();
        if self.session.sequences() > 1 {
            self.work_of_many(test, &mut work)?;
            return Ok(work);
        }
        self.session.truncate(self.depth)?;
        for (range, want) in self.batches(test.prompt, want) {
            // The sequence is already there where the batches before it ran.
            self.session.set_kv_len(self.depth + range.start)?;
            let tokens = &self.tokens[0][range];
            let pass = self.session.record(tokens, want)?;
            let (least, scratch) = (pass.cost(), pass.footprint(Role::Activation));
            let runs = experts == Experts::Chosen && pass.depends_on_data();
            let cost = if runs { self.session.extend_counted(tokens, want)? } else { least };
            work.add(cost, scratch);
        }
        let first = self.depth + test.prompt;
        for position in first..first + test.generate {
            self.session.set_kv_len(position)?;
            // For a single token the least is exact: its experts are distinct.
            let pass = self.session.record(&self.tokens[0][..1], Rows::Last)?;
            work.add(pass.cost(), pass.footprint(Role::Activation));
        }
        Ok(work)
    }

    /// Adds the work of one repetition of several sequences.
    fn work_of_many(&mut self, test: Test, work: &mut Work) -> Result<(), Error> {
        let Test { prompt, generate } = test;
        let prompts = (prompt > 0).then_some((self.depth, prompt));
        let first = self.depth + prompt;
        for (position, n) in prompts.into_iter().chain((first..first + generate).map(|it| (it, 1))) {
            for sequence in 0..self.tokens.len() {
                self.session.select(sequence)?.set_kv_len(position)?;
            }
            self.session.record_many(&entries(&self.tokens, n), &mut |pass| {
                work.add(pass.cost(), pass.footprint(Role::Activation));
            })?;
        }
        Ok(())
    }

    /// Runs the prompts and generations of several sequences together.
    fn run_many(&mut self, Test { prompt, generate }: Test) -> Result<(), Error> {
        let mut next: Vec<Token> = self.tokens.iter().map(|tokens| tokens[0]).collect();
        if prompt > 0 {
            next = self.session.extend_many_greedy(&entries(&self.tokens, prompt))?;
        }
        let next: Vec<(usize, Token)> = next.into_iter().enumerate().collect();
        self.session.decode_many(&next, generate)?;
        Ok(())
    }

    /// One repetition from the depth on.
    fn repetition(&mut self, test: Test, want: Rows) -> Result<(Repetition, RunTimes), Error> {
        for sequence in (0..self.tokens.len()).rev() {
            self.session.select(sequence)?.truncate(self.depth)?;
        }
        self.session.take_times();
        let mut token = self.tokens[0][0];
        let stopwatch = Stopwatch::start();
        if self.tokens.len() > 1 {
            self.run_many(test)?;
        } else {
            for (range, want) in self.batches(test.prompt, want) {
                let picks = self.session.extend_greedy(&self.tokens[0][range], want)?;
                token = picks.last().copied().unwrap_or(token);
            }
            self.session.decode_greedy(token, test.generate)?;
        }
        let elapsed_ns = stopwatch.ns();
        let run = self.session.take_times();
        // Reading timestamps is not part of the work.
        let complete_ns = elapsed_ns.saturating_sub(run.stamps_ns);
        let encode_ns = complete_ns.saturating_sub(run.result_wait_ns);
        Ok((Repetition { complete_ns, encode_ns, device_ns: run.all_device_ns() }, run))
    }
}

#[cfg(test)]
mod tests {
    use super::{Repetition, device_times};

    #[test]
    fn single_repetitions_may_lack_device_times() {
        let times = |device: &[Option<u64>]| {
            let of = |&device_ns: &Option<u64>| Repetition { complete_ns: 9, encode_ns: 1, device_ns };
            device_times(&device.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(times(&[Some(7), None, Some(8)]), [7, 8]);
        assert!(times(&[Some(7), None]).is_empty() && times(&[None]).is_empty() && times(&[]).is_empty());
    }
}
