//! `ridgeline tune`: finds the fastest kernels for a model's shapes on this device and stores them in a file, which
//! later commands load.

use super::flags::MODELS;
use crate::globals::Globals;
use crate::{install, output};
use anyhow::Context;
use ridgeline_experiment::report::{Align, Table};
use ridgeline_kernels::{LinearKernel, Reduce};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::tune::{PassComparison, Product, Split, TuneResult, keep, path, stored, tune};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

/// Find the fastest kernel settings for a model on this device, and store them for `bench`, `run` and other commands
///
/// It times mat-vec and matmul kernels, and the number of workgroups that attention splits the KV cache over. The
/// output names the file, which is in the folder target/ridgeline-cache.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODELS, value_delimiter = ',', default_value = "tiny-target")]
    model: Vec<String>,
    /// Delete the stored settings of this device for all models, and measure nothing
    #[arg(long)]
    reset: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut device = install::open(globals)?;
    let gpu =
        device.gpu().context("tune needs a GPU: the CPU reference kernels (CPU twins) have no variants")?;
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
    let (mut found, mut adopted) = (Vec::new(), 0);
    for name in &args.model {
        let loaded = cx.load(name, None)?;
        found.push(tune(&cx, &loaded, &mut |what| output::note(&format!("{name}: {what}")))?);
        // Stored after each model, so that an error in a later one loses nothing.
        adopted = cx.device.borrow_mut().gpu().map_or(Ok(0), |gpu| keep(gpu, &found))?;
    }
    if globals.json {
        output::json(&args.model.iter().zip(&found).map(|(name, it)| json(name, it)).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (name, it) in args.model.iter().zip(&found) {
        text += &format!("{name}\n\n{}\n{}\n{}\n", linears(it), attention(it), passes(it));
    }
    let seconds = started.elapsed().as_secs_f64();
    output::text(&format!("{text}{adopted} choices stored in {} ({seconds:.0} s)\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn json(name: &str, found: &TuneResult) -> serde_json::Value {
    let linear = |it: &Product| {
        let better = it.better.as_ref();
        serde_json::json!({
            "format": it.class.format, "batch_size": it.class.vectors, "rows": it.class.rows.name(),
            "default": format!("{:?}", it.default), "default_s": it.default_s.value,
            "fastest": better.map(|it| format!("{:?}", it.0)), "fastest_s": better.map(|it| it.1.value),
            "adopted": it.chosen().is_some(),
        })
    };
    let attention = found.attention.as_ref().map(|Split { finding: it, depths }| {
        serde_json::json!({
            "depths": depths, "adopted": it.chosen().is_some(), "default": it.default, "default_s": it.default_s.value,
            "fastest": it.better.map(|it| it.0), "fastest_s": it.better.map(|it| it.1.value),
        })
    });
    let pass = |it: &PassComparison| {
        serde_json::json!({
            "tokens": it.tokens, "depth": it.depth, "default_s": it.default_s, "speedup": it.gain,
            "adopted": !it.is_slower(),
        })
    };
    serde_json::json!({
        "model": name,
        "linears": found.products.iter().map(linear).collect::<Vec<_>>(),
        "attention": attention,
        "passes": found.passes.iter().map(pass).collect::<Vec<_>>(),
    })
}

/// The kernels of the linear operations, and the batch size from which tiled matmul is the fastest.
fn linears(found: &TuneResult) -> String {
    use Align::{Left, Right};
    let columns = [
        ("type", Left),
        ("batch size", Right),
        ("rows", Left),
        ("default", Left),
        ("fastest", Left),
        ("speedup", Right),
    ];
    let mut table = Table::new("", columns);
    found.products.iter().for_each(|it| table.push(row(it)));
    let mut text = output::table(&table) + "\n";
    let mut tiled = BTreeMap::new();
    for it in &found.products {
        let choice = it.chosen().unwrap_or(it.default);
        let from: &mut Option<u32> = tiled.entry((it.class.format, it.class.rows)).or_default();
        // The smallest batch size from which all larger ones are tiled.
        *from = if choice.is_tiled() { from.or(Some(it.class.vectors)) } else { None };
    }
    for ((format, rows), from) in tiled {
        let from = from.map_or_else(|| "at no batch size".to_owned(), |n| format!("from batch size {n}"));
        text += &format!("tiled matmul for {format}, {} rows: {from}\n", rows.name());
    }
    text
}

fn row(it: &Product) -> [String; 6] {
    let (fastest, speedup) = match &it.better {
        Some((choice, _)) if it.rejected => (shape(choice), "slower in a forward pass".to_owned()),
        Some((choice, _)) => (shape(choice), format!("{:.2}x", it.gain())),
        None => ("the default".to_owned(), String::new()),
    };
    [
        it.class.format.to_string(),
        it.class.vectors.to_string(),
        it.class.rows.name().to_owned(),
        shape(&it.default),
        fastest,
        speedup,
    ]
}

/// A kernel variant in a few words.
fn shape(choice: &LinearKernel) -> String {
    match choice {
        LinearKernel::Vec(it) if it.reduce == Reduce::SplitK => format!("{} x {}, split-K", it.rows, it.vecs),
        LinearKernel::Vec(it) => format!("{} x {}", it.rows, it.vecs),
        LinearKernel::Rows(it) => format!("{} x {} per lane", it.rows, it.vecs),
        LinearKernel::Mul(it) => format!("tiles of {:?}", it.tile),
        LinearKernel::Coop(it) => format!("cooperative {0} x {0}, tiles of {1}", it.edge, it.tile),
    }
}

fn attention(found: &TuneResult) -> String {
    let Some(Split { finding: it, depths }) = &found.attention else {
        return "attention: only one variant\n".to_owned();
    };
    let (default, ms) = (it.default, 1e3 * it.default_s.value);
    let usual = format!("attention, {default} workgroups: {ms:.3} ms for one token at depths {depths:?}");
    match it.better {
        Some((workgroups, _)) => {
            let but = if it.rejected { ", slower in a forward pass" } else { "" };
            format!("{usual}; {workgroups} workgroups: speedup {:.2}x{but}\n", it.gain())
        }
        None => format!("{usual}, which is the fastest\n"),
    }
}

/// Forward passes with the default kernels and with the choices, compared.
fn passes(found: &TuneResult) -> String {
    if found.passes.is_empty() {
        return "forward passes: unchanged\n".to_owned();
    }
    let right = ["tokens", "depth", "default, ms", "speedup", "95 % interval"].map(|it| (it, Align::Right));
    let mut table = Table::new("", right.into_iter().chain([("adopted", Align::Left)]));
    for it in &found.passes {
        table.push([
            it.tokens.to_string(),
            it.depth.to_string(),
            format!("{:.3}", 1e3 * it.default_s),
            format!("{:.3}x", it.gain.value),
            format!("{:.3} – {:.3}", it.gain.lo, it.gain.hi),
            if it.is_slower() { "no" } else { "yes" }.to_owned(),
        ]);
    }
    output::table(&table)
}
