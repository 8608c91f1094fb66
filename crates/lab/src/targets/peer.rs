//! Speed relative to llama.cpp.

use super::{GENERATION, ONCE, PROMPT, REPETITIONS, TargetResult, file_of};
use crate::peer::Peer;
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::Range;
use ridgeline_measure::Error;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::pass::Bench;
use ridgeline_model::SessionOptions;
use ridgeline_roofline::Measured;
use serde::Deserialize;
use std::path::Path;

/// A model and its published llama.cpp speeds (Vulkan backend on a software adapter), tokens per second.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerModel {
    pub model: String,
    pp64: f64,
    tg16: f64,
}

/// Speed relative to llama.cpp: to published figures of its Vulkan backend and, with `python`, to its CPU backend.
///
/// The CPU backend is measured in the same run, interleaved A/B with this engine.
pub(crate) fn compare_llama_cpp(
    cx: &mut MeasureContext,
    models: &[PeerModel],
    software: bool,
    python: Option<&Path>,
) -> Result<Vec<TargetResult>, Error> {
    let mut findings = Vec::new();
    if !software && python.is_none() {
        return Ok(findings);
    }
    // The published figures were measured on a software adapter with two cores.
    let comparable = software && std::thread::available_parallelism().is_ok_and(|n| n.get() == 2);
    for PeerModel { model, pp64, tg16 } in models {
        let loaded = cx.load(model, None)?;
        let mut bench = Bench::new(cx, &loaded, 0, 64, SessionOptions::default())?;
        let file = python.map(|_| file_of(model)).transpose()?;
        let open = |(python, file): (&Path, &tempfile::NamedTempFile)| Peer::open(python, file.path());
        let peer = python.zip(file.as_ref()).map(open).transpose()?;
        let [pp, tg, peer_pp, peer_tg] = interleaved(&mut bench, peer)?;
        let sides = [("pp64", pp, peer_pp, *pp64, 0.10), ("tg16", tg, peer_tg, *tg16, 0.25)];
        for (test, ours, theirs, vulkan, share) in sides {
            let Some(rate) = stats::median_interval(&ours) else { continue };
            if software {
                findings.push(TargetResult {
                    what: format!("{model} {test}: speed over llama.cpp's Vulkan backend"),
                    target: if comparable { Some(Range::AtLeast(5.0)) } else { None },
                    here: scaled(rate, 1.0 / vulkan),
                    detail: format!("{:.1} t/s, published {vulkan} t/s", rate.value),
                });
            }
            if let Some(here) = stats::ratio_of_medians(&ours, &theirs, cx.seed) {
                let peer = stats::median(&theirs).unwrap_or(f64::NAN);
                let target = if software { Some(Range::AtLeast(share)) } else { None };
                let detail = format!("{:.1} t/s and {peer:.1} t/s, interleaved A/B", rate.value);
                let what = format!("{model} {test}: speed over llama.cpp's CPU backend");
                findings.push(TargetResult { what, target, here, detail });
            }
        }
    }
    Ok(findings)
}

/// Tokens per second of prompt and generation, of this engine and then of llama.cpp, interleaved A/B.
fn interleaved(bench: &mut Bench, mut peer: Option<Peer>) -> Result<[Vec<f64>; 4], Error> {
    let [mut pp, mut tg, mut peer_pp, mut peer_tg] = [const { Vec::new() }; 4];
    for round in 0..=REPETITIONS {
        let prompt = bench.test(PROMPT, &ONCE)?;
        let generation = bench.test(GENERATION, &ONCE)?;
        let theirs = peer.as_mut().map(Peer::rates).transpose()?;
        // The first round is warmup.
        if round > 0 {
            pp.push(64.0 / prompt.median_s());
            tg.push(16.0 / generation.median_s());
            peer_pp.extend(theirs.map(|it| it.pp64));
            peer_tg.extend(theirs.map(|it| it.tg16));
        }
    }
    Ok([pp, tg, peer_pp, peer_tg])
}

fn scaled(m: Measured, by: f64) -> Measured {
    Measured { value: m.value * by, lo: m.lo * by, hi: m.hi * by }
}
