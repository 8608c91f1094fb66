//! Opens a GGUF file (or a safetensors folder) and prints its metadata and tensors. Maps the file; reads no weights.
//!
//! `cargo run -p ridgeline-weights --example read_gguf -- models/tiny/target.gguf`

use ridgeline_weights::Checkpoint;
use std::error::Error;
use std::path::PathBuf;

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "models/tiny/target.gguf".to_owned());
    let checkpoint = Checkpoint::open(&PathBuf::from(path))?;
    for (key, value) in checkpoint.metadata().iter() {
        let text = format!("{value:?}");
        let short: String = text.chars().take(60).collect();
        println!("{key} = {short}");
    }
    for tensor in checkpoint.tensors() {
        println!("{:30} {:?} {} {} bytes", tensor.name, tensor.shape, tensor.format, tensor.bytes);
    }
    println!("{} bytes, RoPE pairs: {:?}", checkpoint.file_bytes(), checkpoint.rope_pairing()?);
    Ok(())
}
