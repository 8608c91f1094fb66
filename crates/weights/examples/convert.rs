//! Converts a checkpoint to GGUF: `cargo run -p ridgeline-weights --example convert -- IN OUT.gguf TYPE`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{error::Error, path::Path};

use ridgeline_quant::Mix;
use ridgeline_weights::{Checkpoint, quantize};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, out, mix] = &arguments[..] else {
        return Err("usage: convert IN OUT.gguf TYPE".into());
    };
    let checkpoint = Checkpoint::open(Path::new(source))?;
    quantize(&checkpoint, Path::new(out), mix.parse::<&Mix>()?, false, |_| {})?;
    for tensor in Checkpoint::open(Path::new(out))?.tensors() {
        println!("{:32} {:5} {:?}", tensor.name, tensor.format, tensor.shape);
    }
    Ok(())
}
