//! Writes the SPIR-V of the kernel variants whose label contains all the words given. Checks are off, as in a measurement.
//! Some compilers need no device: Radeon GPU Analyzer, and Mesa's RADV with `RADV_FORCE_FAMILY`.
//!
//! `cargo run -p ridgeline-kernels --example spirv -- FOLDER "MatVec {" Iq4Nl "rows: 4, vecs: 1"`

#[path = "../tests/translate/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod translate;

use naga::back::spv;
use ridgeline_compute::Caps;
use std::error::Error;
use std::path::Path;
use translate::{Shader, roomy};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("give a folder, and words of labels")?;
    let words: Vec<String> = args.collect();
    let linker = ridgeline_kernels::linker()?;
    let software = Caps { software: true, ..roomy() };
    for kernel in [roomy(), software].iter().flat_map(ridgeline_kernels::all) {
        let label = kernel.label();
        if words.iter().all(|word| label.contains(&**word)) {
            let shader = Shader::new(&linker, kernel)?;
            let options = spv::Options {
                lang_version: (1, 5),
                zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
                force_loop_bounding: false,
                ..Default::default()
            };
            let spirv = spv::write_vec(&shader.module, &shader.info, &options, None)?;
            let name: String = label.chars().filter(|c| c.is_alphanumeric() || "_,:".contains(*c)).collect();
            std::fs::write(Path::new(&folder).join(format!("{name}.spv")), bytemuck::cast_slice(&spirv))?;
        }
    }
    Ok(())
}
