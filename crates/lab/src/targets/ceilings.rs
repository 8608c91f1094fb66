//! Targets relative to this device's own ceilings.

use super::{BUDGET, GENERATION, ONCE, REPETITIONS, TargetResult};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::Error;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::pass::{Bench, KernelShares, PassTiming, Test};
use ridgeline_model::SessionOptions;
use ridgeline_quant::Format;
use ridgeline_roofline::{Machine, Measured, Precision};

/// Verification cost T(n)/T(1): a forward pass over n tokens relative to one token.
pub(crate) fn verification(
    cx: &mut MeasureContext,
    model: &str,
    software: bool,
) -> Result<Vec<TargetResult>, Error> {
    let loaded = cx.load(model, None)?;
    let mut bench =
        Bench::new(cx, &loaded, 0, 16, SessionOptions { logit_rows: 16, ..SessionOptions::default() })?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); 17];
    for _ in 0..REPETITIONS {
        for (n, times) in times.iter_mut().enumerate().skip(1) {
            times.push(bench.verify(n, &ONCE)?.median_s());
        }
    }
    let bounds = |n| match n {
        4 if !software => Some(Range::AtMost(1.15)),
        8 if !software => Some(Range::AtMost(1.35)),
        _ => None,
    };
    let finding = |n: usize| {
        let here = stats::ratio_of_medians(&times[n], &times[1], cx.seed)?;
        let ms = stats::median(&times[n])? * 1e3;
        let what = format!("{model}: T({n})/T(1), forward pass over {n} tokens relative to 1");
        Some(TargetResult { what, target: bounds(n), here, detail: format!("{ms:.2} ms") })
    };
    Ok((2..=16).filter_map(finding).collect())
}

/// A decode step and a prompt of 512 tokens relative to this device's ceilings.
pub(crate) fn against_ceilings(
    cx: &mut MeasureContext,
    model: &str,
    machine: &Machine,
    software: bool,
) -> Result<Vec<TargetResult>, Error> {
    let loaded = cx.load(model, None)?;
    let bound = |bound| if software { None } else { Some(Range::AtLeast(bound)) };
    let mut bench = Bench::new(cx, &loaded, 0, 512, SessionOptions::default())?;
    let mut generation = bench.test(GENERATION, &BUDGET)?;
    let floor = generation.prediction(machine).memory_s;
    let decode = TargetResult {
        what: format!("{model}: share of the measured bandwidth in decode"),
        target: bound(0.70),
        here: share(&generation, floor),
        detail: format!(
            "memory time {:.2} ms of {:.2} ms per token",
            1e3 * floor / 16.0,
            1e3 * generation.median_s() / 16.0
        ),
    };
    let interleaved = Budget { min_reps: 6 * REPETITIONS, max_reps: 6 * REPETITIONS, ..BUDGET };
    let shares = bench.time_kernels(&mut generation, 16, &interleaved)?;
    let step = generation.waterfall(machine, 16);
    let ms = |ns: i64| ns as f64 / 1e6;
    let accounted = TargetResult {
        what: format!("{model}: share of a decode step that is accounted for"),
        target: Some(Range::AtLeast(0.95)),
        here: accounted_by(&generation, shares, machine),
        detail: format!("{:.2} ms, {:.2} ms unexplained", ms(step.total_ns()), ms(step.unexplained_ns)),
    };
    let isolated = TargetResult {
        what: format!("{model}: share of the isolated kernels in a decode step"),
        target: None,
        here: shares.isolated,
        detail: format!("in-sequence penalty {:.2} ms", ms(step.in_sequence_ns)),
    };
    let prompt = bench.test(
        Test { prompt: 512, generate: 0 },
        &Budget { min_reps: 3, max_reps: 10, budget_s: 20.0, ..BUDGET },
    )?;
    let peak = machine.peak(Precision::Fastest).value;
    let floor = prompt.cost.flops as f64 / peak;
    let prefill = TargetResult {
        what: format!("{model}: share of the peak FLOP/s in a prompt of 512 tokens"),
        target: bound(0.60),
        here: share(&prompt, floor),
        detail: format!("{:.1} t/s", 512.0 / prompt.median_s()),
    };
    Ok(vec![decode, accounted, isolated, prefill])
}

/// Share of a decode step that is accounted for, with its range over the interval of the kernels' back-to-back time.
fn accounted_by(generation: &PassTiming, shares: KernelShares, machine: &Machine) -> Measured {
    let step = |back_to_back| {
        let shares = KernelShares { back_to_back: Measured::exact(back_to_back), ..shares };
        let kernels = Some(shares.of(generation.median_s() / 16.0));
        PassTiming { kernels, ..generation.clone() }.waterfall(machine, 16)
    };
    let [middle, least, most] =
        [shares.back_to_back.value, shares.back_to_back.lo, shares.back_to_back.hi].map(step);
    let [value, one, other] = [middle, least, most].map(|step| step.accounted());
    // Where the unexplained time changes its sign within the interval, it is zero somewhere: 100 % is accounted for.
    let hi = if least.unexplained_ns.signum() == most.unexplained_ns.signum() {
        value.max(one).max(other)
    } else {
        1.0
    };
    Measured { value, lo: value.min(one).min(other), hi }
}

/// A lower bound over the measured time of a forward pass.
fn share(pass: &PassTiming, floor_s: f64) -> Measured {
    let seconds = stats::seconds(&pass.samples_ns);
    let m = stats::median_interval(&seconds).unwrap_or(Measured::exact(pass.median_s()));
    Measured { value: floor_s / m.value, lo: floor_s / m.hi, hi: floor_s / m.lo }
}

/// Decoding at depth 8192, relative to depth 0 plus the memory time of the KV cache.
pub(crate) fn depth(cx: &mut MeasureContext, model: &str, machine: &Machine) -> Result<TargetResult, Error> {
    const DEPTH: usize = 8192;
    let loaded = cx.load(model, None)?;
    let at = |depth: usize| -> Result<PassTiming, Error> {
        Bench::new(cx, &loaded, depth, 16, SessionOptions::default())?.test(GENERATION, &BUDGET)
    };
    let (shallow, deep) = (at(0)?, at(DEPTH)?);
    let (far, near) = (deep.prediction(machine), shallow.prediction(machine));
    let (kv_s, compute_s) = (far.kv_s - near.kv_s, far.compute_s - near.compute_s);
    let expected: Vec<f64> = stats::seconds(&shallow.samples_ns).into_iter().map(|it| it + kv_s).collect();
    let ms = |seconds: f64| 1e3 * seconds / 16.0;
    let here = stats::ratio_of_medians(&stats::seconds(&deep.samples_ns), &expected, cx.seed);
    Ok(TargetResult {
        what: format!("{model}: decode time at depth {DEPTH} over depth 0 plus KV cache reads"),
        target: Some(Range::AtMost(1.15)),
        here: here.ok_or(ridgeline_measure::probe::Error::NoBlocks)?,
        detail: format!(
            "{:.2} ms, expected {:.2} + {:.2} ms per token; compute time of attention {:.2} ms",
            ms(deep.median_s()),
            ms(shallow.median_s()),
            ms(kv_s),
            ms(compute_s)
        ),
    })
}

/// Mat-vecs in every GGUF quantization type, relative to the read bandwidth.
pub(crate) fn products(
    cx: &MeasureContext,
    machine: &Machine,
    software: bool,
) -> Result<Vec<TargetResult>, Error> {
    let mut findings = Vec::new();
    for &format in Format::ALL.iter().filter(|it| it.in_gguf()) {
        let (seconds, bytes) = ridgeline_measure::probe::mat_vec_s(
            &mut cx.device.borrow_mut(),
            (format, &cx.tuning),
            [4096, 14336],
        )?;
        let floor = bytes as f64 / machine.bandwidth.read.at(bytes).value;
        findings.push(TargetResult {
            what: format!("mat-vec 4096 x 14336, {format}: share of the read bandwidth"),
            target: if software { None } else { Some(Range::AtLeast(0.85)) },
            here: Measured { value: floor / seconds.value, lo: floor / seconds.hi, hi: floor / seconds.lo },
            detail: format!("{:.1} GB/s", bytes as f64 / seconds.value / 1e9),
        });
    }
    Ok(findings)
}
