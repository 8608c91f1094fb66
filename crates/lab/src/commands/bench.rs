//! `ridgeline bench`: prompt processing and text generation speed, as llama-bench measures them, with confidence
//! intervals and shares of the device's ceilings.

use super::accepted::AcceptedArgs;
use super::bench_case::Case;
use super::bench_profile::create_trace;
use super::bench_rows::{Rows, format_of, is_table};
use super::flags::{MODELS, Weights, cache_help, warn_beyond};
use super::token_counts::numbers;
use super::variations::{Variation, VariationArgs};
use crate::globals::{FAILED, Globals, UsageError};
use crate::measures::pass::Row;
use crate::tables::described;
use crate::{install, output, provenance};
use ridgeline_experiment::bench_table::{BenchRow, Output, Shown};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::utc;
use ridgeline_kernels::SMALL_BATCH;
use ridgeline_measure::pass::{Bench, Clock, Test};
use ridgeline_measure::{MeasureContext, models};
use ridgeline_model::{AttentionPath, Fusion, Fusions, MlaForm, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_roofline::Machine;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// llama-bench's default of the logical batch, tokens.
const BATCH: &str = "2048";
/// Its default of the physical batch.
const UBATCH: &str = "512";

/// Benchmark prompt processing and text generation like llama-bench, and compare the speed with the device's ceilings
///
/// % BW is the share of the measured memory bandwidth. % roof is the share of the fastest possible speed (roofline
/// model). bound names what limits that speed: memory, compute, launch or host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = format!("{MODELS}. The default is a toy model to try the tool"), value_delimiter = ',', default_value = "tiny-target")]
    pub(super) model: Vec<String>,
    /// Weights of published shapes, such as smollm2-135m
    #[arg(long, value_enum, default_value_t)]
    weights: Weights,
    /// Prompt lengths in tokens, such as 512 or 128,256 or 128-512+128 or 1-16*2 (which is 1,2,4,8,16); 0 skips; repeatable
    #[arg(short = 'p', long, default_value = "512")]
    n_prompt: Vec<String>,
    /// Numbers of tokens to generate, such as 128 or 64,128, with ranges as in -p; 0 skips; repeatable
    #[arg(short, long, default_value = "128")]
    n_gen: Vec<String>,
    /// Also time a prompt and the generation after it as one test, such as 512,128 (also -pg); repeatable [default: none]
    #[arg(long = "pg", value_name = "PP,TG")]
    pg: Vec<String>,
    /// Tokens already in the KV cache when a test starts, such as 0,4096; every test runs at each depth; repeatable
    #[arg(short = 'd', long, default_value = "0")]
    n_depth: Vec<String>,
    /// Timed repetitions of each test; ± is their standard deviation. A useful 95 % CI needs at least 3
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Logical batch in tokens, as in llama-bench: a forward pass takes at most min(-b, -ub) tokens. A list as in -p
    #[arg(short, long, default_value = BATCH)]
    batch_size: Vec<String>,
    /// Maximum tokens of a forward pass (also -ub), unless -b is smaller. A list as in -p
    #[arg(long, default_value = UBATCH)]
    ubatch_size: Vec<String>,
    #[arg(long, help = cache_help('K') + "; separate several with commas", value_name = "TYPE", value_delimiter = ',', default_value = Format::HALF.spec().name)]
    pub(super) cache_type_k: Vec<Format>,
    #[arg(long, help = cache_help('V') + "; separate several with commas", value_name = "TYPE", value_delimiter = ',', default_value = Format::HALF.spec().name)]
    pub(super) cache_type_v: Vec<Format>,
    /// Flash attention: 1 or on, 0 or off, 0,1 is both (also -fa)
    #[arg(long = "fa", alias = "flash-attn", value_delimiter = ',', default_value = "1", value_parser = switch)]
    pub(super) flash_attn: Vec<bool>,
    /// Turn off kernel fusions, to measure their gain: qkv (one launch for Q, K and V), rope-append (RoPE and KV store),
    /// residual (the add), gate-up. Separate several with commas [default: all are on]
    #[arg(long, value_name = "FUSION", value_delimiter = ',')]
    without: Vec<Fusion>,
    /// Form of MLA (PLM, DeepSeek-V2): expanded, with keys and values of every head in the KV cache; absorbed, with one latent
    /// row per token
    #[arg(long, value_name = "FORM", default_value_t)]
    mla: MlaForm,
    #[arg(long = "integer", help = int8_help())]
    int8_dot: bool,
    #[arg(long, help = coop_help())]
    no_coop: bool,
    #[command(flatten)]
    pub(super) variations: VariationArgs,
    /// Output format, not a file: md, csv, json, jsonl or sql [default: an aligned table on a terminal, md elsewhere]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Also print the rows on stderr in this format (also -oe); progress is then not printed [default: none]
    #[arg(long, value_name = "FORMAT")]
    output_err: Option<String>,
    /// Skip the untimed warm-up repetition
    #[arg(long)]
    no_warmup: bool,
    /// Do not measure the device's ceilings first; % BW, % roof and bound are then –
    #[arg(long)]
    no_probe: bool,
    /// After the tests, time each kernel isolated: its share of the forward pass, and % of its roofline speed
    #[arg(long)]
    pub(super) profile: bool,
    /// After the tests, time the kernels of one forward pass of each, and write a Chrome trace (open it in Perfetto)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Seed of the random tokens of prompts
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    accepted: AcceptedArgs,
}

/// Parses a switch as llama.cpp writes them.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "on" | "auto" => Ok(true),
        "0" | "off" => Ok(false),
        _ => Err("use 0, 1, on or off".to_owned()),
    }
}

/// Tests, depths and batches of a command line.
type Plan<'a> = (&'a [Test], &'a [usize], &'a [[usize; 2]]);

fn int8_help() -> String {
    format!(
        "Multiply in int8 in batches of up to {SMALL_BATCH} tokens, where the weights' type allows. \
         Print the change of the logits: relative error, KL divergence and top-1 agreement"
    )
}

/// What a row says of int8 dot products that multiply this fraction of the weights.
fn integer_label(share: f64) -> String {
    let percent = (100.0 * share).round();
    if percent < 100.0 { format!(" integer ({percent} % of the weights)") } else { " integer".to_owned() }
}

fn coop_help() -> String {
    format!(
        "In batches above {SMALL_BATCH} tokens, multiply in f32 without tensor cores (f16 cooperative matrices) \
         [default: they are used where available]"
    )
}

pub(crate) fn run(mut args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let output = if globals.json { Output::Json } else { format_of("-o", args.output.as_deref())? };
    let second = args.output_err.as_deref().map(|it| format_of("-oe", Some(it))).transpose()?;
    if args.profile && !is_table(output) {
        return Err(
            UsageError("--profile prints tables: use -o md, or write a --trace file".to_owned()).into()
        );
    }
    if args.variations.has_sequences() && (args.profile || args.trace.is_some()) {
        let why = "--profile and --trace time a forward pass of one sequence: leave out -npl";
        return Err(UsageError(why.to_owned()).into());
    }
    args.accepted.note()?;
    let sink = args.trace.as_ref().map(create_trace).transpose()?;
    for output in [Some(output), second].into_iter().flatten() {
        args.variations.check(output)?;
    }
    let tests = args.tests()?;
    let depths = numbers("-d", &args.n_depth)?;
    let batches = args.batches()?;
    let plan: Plan<'_> = (&tests, &depths, &batches);
    args.model = args.weights.of(&args.model, globals)?;
    args.check_models()?;
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let mut cx = MeasureContext::new(device, None, tuning, args.seed);
    if args.variations.clocks().contains(&Clock::Device) {
        cx.require_timestamps()?;
    }
    cx.require_clock()?;
    let ceilings = if args.no_probe {
        None
    } else {
        args.progress("measuring the device's ceilings (--no-probe skips this)");
        Some(cx.ceilings()?)
    };
    let rows = Rows::new(output, second, args.shown(), args.variations.names());
    let code = args.rows(&mut cx, plan, ceilings.as_ref(), rows)?;
    if args.int8_dot {
        args.int8_effects(&mut cx, output)?;
    }
    if args.profile || sink.is_some() {
        args.profiles(&mut cx, plan, ceilings.as_ref(), (output, sink))?;
    }
    Ok(code)
}

impl Args {
    /// The tests in llama-bench's order: prompts, generations, then -pg pairs.
    fn tests(&self) -> anyhow::Result<Vec<Test>> {
        let prompts = numbers("-p", &self.n_prompt)?.into_iter().map(|prompt| Test { prompt, generate: 0 });
        let generations =
            numbers("-n", &self.n_gen)?.into_iter().map(|generate| Test { prompt: 0, generate });
        let mut tests: Vec<Test> = prompts.chain(generations).collect();
        for pair in &self.pg {
            let two = pair.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (prompt, generate) = two.ok_or_else(|| {
                UsageError(format!("-pg {pair:?} is not a pair of numbers: write it as 512,128"))
            })?;
            tests.push(Test { prompt, generate });
        }
        tests.retain(|test| test.prompt + test.generate > 0);
        if tests.is_empty() {
            Err(UsageError("nothing to measure: -p, -n and -pg are 0; set one of them".to_owned()).into())
        } else {
            Ok(tests)
        }
    }

    /// Measures every case, and prints its rows at once.
    fn rows(
        &self,
        cx: &mut MeasureContext,
        (tests, depths, batches): Plan<'_>,
        ceilings: Option<&Machine>,
        mut rows: Rows,
    ) -> anyhow::Result<ExitCode> {
        let build_commit = provenance::build().git_rev.unwrap_or_else(|| "unknown".to_owned());
        let cpu_info = provenance::machine_id(&mut cx.device.borrow_mut()).cpu;
        let mut code = ExitCode::SUCCESS;
        let cases = self.cases(tests, depths, batches, &self.variations.all());
        for (i, case) in cases.iter().enumerate() {
            let variation = case.variation;
            let how = self.variations.describe(variation);
            self.progress(&format!("[{}/{}] {}{how}", i + 1, cases.len(), case.label()));
            let measured = match self.measure(cx, case, ceilings) {
                Ok(measured) => measured,
                // A configuration that fails costs its own row: the others are measured and printed.
                Err(error) => {
                    output::note(&format!("error: {error:#}"));
                    code = ExitCode::from(FAILED);
                    continue;
                }
            };
            for (clock, mut row) in measured {
                (row.build_commit, row.cpu_info) = (build_commit.clone(), cpu_info.clone());
                rows.push(&row, &self.variations.fields(variation, clock, &row))?;
            }
        }
        rows.finish()?;
        Ok(code)
    }

    /// Prints what is measured next, unless the rows are on stderr too.
    pub(super) fn progress(&self, text: &str) {
        if self.output_err.is_none() {
            output::note(text);
        }
    }

    /// The settings that are not the defaults: these have columns, as in llama-bench.
    fn shown(&self) -> Shown {
        let types = |list: &[Format]| list.iter().any(|it| *it != Format::HALF);
        Shown {
            batches: [self.batch_size != [BATCH], self.ubatch_size != [UBATCH]],
            cache_types: [types(&self.cache_type_k), types(&self.cache_type_v)],
            flash_attn: self.flash_attn.contains(&false),
        }
    }

    /// The combinations of logical and physical batch.
    pub(super) fn batches(&self) -> Result<Vec<[usize; 2]>, UsageError> {
        let (logical, physical) = (numbers("-b", &self.batch_size)?, numbers("-ub", &self.ubatch_size)?);
        for (flag, all) in [("-b", &logical), ("-ub", &physical)] {
            if all.contains(&0) {
                return Err(UsageError(format!("{flag} must be at least 1")));
            }
        }
        Ok(logical.iter().flat_map(|&b| physical.iter().map(move |&ub| [b, ub])).collect())
    }

    /// Opens the models, so that bad ones are reported before the ceilings are measured.
    ///
    /// # Errors
    /// No model can be opened. If some can, the others cost only their own rows.
    fn check_models(&self) -> anyhow::Result<()> {
        let mut errors: Vec<models::Error> =
            self.model.iter().filter_map(|name| models::checkpoint(name, None).err()).collect();
        if errors.len() < self.model.len() || errors.is_empty() {
            errors.iter().for_each(|error| output::note(&format!("error: {error}")));
            return Ok(());
        }
        Err(errors.swap_remove(0).into())
    }

    /// Every combination of model, batch, cache types, attention, depth, test and variation, models outermost.
    pub(super) fn cases<'a>(
        &'a self,
        tests: &[Test],
        depths: &[usize],
        batches: &[[usize; 2]],
        variations: &[Variation],
    ) -> Vec<Case<'a>> {
        let (test, variation) = (Test { prompt: 0, generate: 0 }, Variation::default());
        let of_model = |name: &'a String| Case {
            name,
            depth: 0,
            test,
            cache: [Format::HALF; 2],
            batch: [0; 2],
            flash_attn: true,
            variation,
        };
        let cases = self.model.iter().map(of_model);
        let cases = cases.flat_map(|it| batches.iter().map(move |&batch| Case { batch, ..it }));
        let cases = cases.flat_map(|it| {
            let pairs =
                self.cache_type_k.iter().flat_map(|&k| self.cache_type_v.iter().map(move |&v| [k, v]));
            pairs.map(move |cache| Case { cache, ..it })
        });
        let cases = cases.flat_map(|it| self.flash_attn.iter().map(move |&on| Case { flash_attn: on, ..it }));
        let cases = cases.flat_map(|it| depths.iter().map(move |&depth| Case { depth, ..it }));
        let cases = cases.flat_map(|it| tests.iter().map(move |&test| Case { test, ..it }));
        cases.flat_map(|it| variations.iter().map(move |&variation| Case { variation, ..it })).collect()
    }

    pub(super) fn options(&self, case: &Case<'_>) -> SessionOptions {
        let &Case { cache, variation, flash_attn, .. } = case;
        let attention = if flash_attn { AttentionPath::Fused } else { AttentionPath::Unfused };
        let fusions = self.without.iter().fold(Fusions::all(), |all, &it| all.without(it));
        let (mla, int8_dot, cooperative) = (self.mla, self.int8_dot, !self.no_coop);
        let ablate = variation.ablate;
        let switches =
            Switches { attention, mla, fusions, ablate, int8_dot, cooperative, ..Switches::default() };
        let options = SessionOptions { batch: case.pass(), cache, switches, ..SessionOptions::default() };
        self.variations.options(variation, options)
    }

    /// Measures a case, and returns a row for each clock.
    fn measure(
        &self,
        cx: &mut MeasureContext,
        case: &Case<'_>,
        ceilings: Option<&Machine>,
    ) -> anyhow::Result<Vec<(Clock, BenchRow)>> {
        let &Case { name, depth, test, cache, variation, .. } = case;
        let loaded = cx.load(name, None)?;
        warn_beyond(depth + test.prompt + test.generate, loaded.model.config.trained_context);
        let absorbed = self.mla == MlaForm::Absorbed;
        if absorbed && !loaded.model.heads().iter().any(|heads| heads.latent) {
            anyhow::bail!("--mla absorbed: {name} has no multi-head latent attention; leave it out");
        }
        let options = self.options(case);
        let batch = options.batch;
        let (n, warmup) = (self.repetitions, u32::from(!self.no_warmup));
        let budget = Budget { warmup, min_reps: n, max_reps: n, budget_s: f64::INFINITY };
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let mut sequence = Bench::new(cx, &loaded, depth, test.prompt + test.generate, options)?;
        let pass = sequence.test(test, &budget)?;
        pass.check(ceilings)?;
        let (backend, adapter) = cx.names();
        let format = loaded.model.format().spec().name;
        let sequences = variation.sequences.get();
        let batches = [test.prompt.saturating_mul(sequences).min(batch), test.generate.min(1) * sequences];
        let small_batch = batches.iter().any(|n| (1..=SMALL_BATCH as usize).contains(n));
        let mut name = loaded.id.name.clone();
        if self.int8_dot && small_batch {
            let tokens = if test.generate > 0 { 1 } else { test.prompt.min(batch) };
            name += &integer_label(sequence.int8_share(tokens)?);
        }
        if self.no_coop {
            name += " no-coop";
        }
        if absorbed {
            name += " absorbed";
        }
        if !self.without.is_empty() {
            let fusions: Vec<&str> = self.without.iter().map(|it| it.name()).collect();
            name += &format!(" without {}", fusions.join("+"));
        }
        let row = |clock: Clock| {
            let pass = self.variations.timing(&pass, clock, &adapter)?;
            let (backend, adapter) = (backend.clone(), adapter.clone());
            let cache = cache.map(|it| it.spec().name.to_owned());
            let row = Row { pass, test, backend, adapter, cache, batch, cut: None };
            let mut bench = described(&name, format, &row, ceilings);
            bench.flash_attn = case.flash_attn;
            [bench.n_batch, bench.n_ubatch] = case.batch.map(|it| it as u64);
            bench.n_depth = depth as u64;
            bench.n_parallel = Some(sequences as u64);
            bench.test_time = utc(started);
            Ok((clock, bench))
        };
        self.variations.clocks().into_iter().map(row).collect()
    }
}
