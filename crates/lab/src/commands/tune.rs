//! `ridgeline tune`: the fastest kernels for a model's shapes on this device, kept and used from then on.

use crate::cli::Globals;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::tune::{TuneResult, Product, Split, PassComparison, keep, path, stored, tune};
use crate::{install, output};
use anyhow::Context;
use ridgeline_kernels::{LinearKernel, Reduce};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

/// Find the fastest matrix products and the best split of attention for a model on this device; later commands use them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file, safetensors folder, or a name under models/; several with commas or by repetition
    #[arg(short, long, value_delimiter = ',', default_value = "tiny-target")]
    model: Vec<String>,
    /// Forget what was found for this device
    #[arg(long)]
    reset: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut device = install::open(globals)?;
    let gpu = device.gpu().context("the CPU twins have no variants to choose from")?;
    let path = path(gpu);
    if args.reset {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ if globals.json => output::json(&Vec::<serde_json::Value>::new())?,
            _ => {}
        }
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let tuning = stored(&mut device);
    let mut cx = MeasureContext::new(device, None, tuning, 0);
    let (mut found, mut kept) = (Vec::new(), 0);
    for name in &args.model {
        let loaded = cx.load(name, None)?;
        found.push(tune(&cx, &loaded, &mut |what| output::note(&format!("{name}: {what}")))?);
        // After each, so that a later model's trouble costs no findings.
        kept = cx.device.borrow_mut().gpu().map_or(Ok(0), |gpu| keep(gpu, &found))?;
    }
    if globals.json {
        output::json(&args.model.iter().zip(&found).map(|(name, it)| json(name, it)).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (name, it) in args.model.iter().zip(&found) {
        text += &format!("{name}\n\n{}\n{}\n{}\n", products(it), attention(it), passes(it));
    }
    let seconds = started.elapsed().as_secs_f64();
    output::text(&format!("{text}{kept} choices in {} ({seconds:.0} s)\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn json(name: &str, found: &TuneResult) -> serde_json::Value {
    let product = |it: &Product| {
        let better = it.better.as_ref();
        serde_json::json!({
            "format": it.class.format, "vectors": it.class.vectors, "rows": it.class.rows.name(),
            "default": format!("{:?}", it.default), "default_s": it.default_s.value,
            "fastest": better.map(|it| format!("{:?}", it.0)), "fastest_s": better.map(|it| it.1.value),
            "kept": it.chosen().is_some(),
        })
    };
    let attention = found.attention.as_ref().map(|Split { finding: it, depths }| {
        serde_json::json!({
            "depths": depths, "kept": it.chosen().is_some(), "default": it.default, "default_s": it.default_s.value,
            "fastest": it.better.map(|it| it.0), "fastest_s": it.better.map(|it| it.1.value),
        })
    });
    let pass = |it: &PassComparison| {
        serde_json::json!({
            "tokens": it.tokens, "depth": it.depth, "default_s": it.default_s, "gain": it.gain,
            "kept": !it.is_slower(),
        })
    };
    serde_json::json!({
        "model": name,
        "products": found.products.iter().map(product).collect::<Vec<_>>(),
        "attention": attention,
        "passes": found.passes.iter().map(pass).collect::<Vec<_>>(),
    })
}

/// The products, and from how many vectors on tiles serve them.
fn products(found: &TuneResult) -> String {
    let mut rows = vec![["format", "vectors", "rows", "default", "fastest", "gain"].map(str::to_owned).to_vec()];
    rows.extend(found.products.iter().map(row));
    let mut text = output::table(&[false, true, false, false, false, true], &rows);
    let mut told = BTreeMap::new();
    for it in &found.products {
        let choice = it.chosen().unwrap_or(it.default);
        let from: &mut Option<u32> = told.entry((it.class.format, it.class.rows)).or_default();
        // From there on all are.
        *from = if choice.is_tiled() { from.or(Some(it.class.vectors)) } else { None };
    }
    for ((format, rows), from) in told {
        let from = from.map_or_else(|| "never".to_owned(), |n| format!("from {n} vectors on"));
        text += &format!("tiles of {format}, {} rows: {from}\n", rows.name());
    }
    text
}

fn row(it: &Product) -> Vec<String> {
    let (fastest, gain) = match &it.better {
        Some((choice, _)) if it.rejected => (shape(choice), "slower in a pass".to_owned()),
        Some((choice, _)) => (shape(choice), format!("{:.2}x", it.gain())),
        None => ("the default".to_owned(), String::new()),
    };
    vec![
        it.class.format.to_string(),
        it.class.vectors.to_string(),
        it.class.rows.name().to_owned(),
        shape(&it.default),
        fastest,
        gain,
    ]
}

/// A product's variant in a word.
fn shape(choice: &LinearKernel) -> String {
    match choice {
        LinearKernel::Vec(it) if it.reduce == Reduce::SplitK => format!("{} x {}, split", it.rows, it.cols),
        LinearKernel::Vec(it) => format!("{} x {}", it.rows, it.cols),
        LinearKernel::Rows(it) => format!("{} x {} a lane", it.rows, it.cols),
        LinearKernel::Mul(it) => format!("tiles of {:?}", it.tile),
        LinearKernel::Coop(it) => format!("cooperative {0} x {0}, tiles of {1}", it.edge, it.tile),
    }
}

fn attention(found: &TuneResult) -> String {
    let Some(Split { finding: it, depths }) = &found.attention else {
        return "attention: nothing to choose from\n".to_owned();
    };
    let (default, ms) = (it.default, 1e3 * it.default_s.value);
    let usual = format!("attention in {default} workgroups: {ms:.3} ms for a token at each of {depths:?}");
    match it.better {
        Some((workgroups, _)) => {
            let but = if it.rejected { ", slower in a pass" } else { "" };
            format!("{usual}; in {workgroups}: {:.2}x{but}\n", it.gain())
        }
        None => format!("{usual}, the fastest\n"),
    }
}

/// PassComparison passes with what was found.
fn passes(found: &TuneResult) -> String {
    if found.passes.is_empty() {
        return "whole passes: the same as before\n".to_owned();
    }
    let header = ["tokens", "depth", "default, ms", "gain", "95 % interval", "kept"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(found.passes.iter().map(|it| {
        vec![
            it.tokens.to_string(),
            it.depth.to_string(),
            format!("{:.3}", 1e3 * it.default_s),
            format!("{:.3}x", it.gain.value),
            format!("{:.3} – {:.3}", it.gain.lo, it.gain.hi),
            if it.is_slower() { "no" } else { "yes" }.to_owned(),
        ]
    }));
    output::table(&[true, true, true, true, false, false], &rows)
}
