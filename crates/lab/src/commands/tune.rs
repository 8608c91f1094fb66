//! `ridgeline tune`: the fastest products for a model's shapes on this device, kept and used from then on.

use crate::cli::Globals;
use crate::lab::Lab;
use crate::tune::{Finding, keep, path, tune};
use crate::{install, output};
use anyhow::Context;
use std::process::ExitCode;
use std::time::Instant;

/// Find the fastest matrix products for a model on this device; later commands use them
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
            _ => return Ok(ExitCode::SUCCESS),
        }
    }
    let started = Instant::now();
    let mut lab = Lab::new(device, None, 0);
    let mut rows = vec![["format", "vectors", "rows", "default", "fastest", "gain"].map(str::to_owned).to_vec()];
    let mut all = Vec::new();
    for name in &args.model {
        let loaded = lab.load(name, None)?;
        let found = tune(&lab, &loaded, &mut |it| {
            output::note(&format!("{name}: {} with {} vectors", it.class.format, it.class.vectors));
        })?;
        rows.extend(found.iter().map(row));
        all.extend(found);
    }
    let kept = lab.device.borrow_mut().gpu().map_or(Ok(0), |gpu| keep(gpu, &all))?;
    if globals.json {
        let of = |it: &Finding| {
            let better = it.better.as_ref();
            serde_json::json!({
                "format": it.class.format, "vectors": it.class.vectors, "rows": it.class.rows.name(),
                "default": format!("{:?}", it.default), "default_s": it.default_s.value,
                "fastest": better.map(|it| format!("{:?}", it.0)), "fastest_s": better.map(|it| it.1.value),
            })
        };
        output::json(&all.iter().map(of).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let table = output::table(&[false, true, false, false, false, true], &rows);
    let seconds = started.elapsed().as_secs_f64();
    output::text(&format!("{table}{kept} choices in {} ({seconds:.0} s)\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn row(it: &Finding) -> Vec<String> {
    let (fastest, gain) = match &it.better {
        Some((choice, seconds)) => (shape(choice), format!("{:.2}x", it.default_s.value / seconds.value)),
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
fn shape(choice: &ridgeline_kernels::ProductChoice) -> String {
    match choice {
        ridgeline_kernels::ProductChoice::Vec(it) => format!("{} x {}", it.rows, it.cols),
        ridgeline_kernels::ProductChoice::Row(it) => format!("{} x {} a lane", it.rows, it.cols),
        ridgeline_kernels::ProductChoice::Mul(it) => format!("tiles of {:?}", it.tile),
        ridgeline_kernels::ProductChoice::Coop(it) => format!("cooperative {0} x {0}, tiles of {1}", it.edge, it.tile),
    }
}
