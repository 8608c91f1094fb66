//! Prints the size of every kernel's translation, without a device: variants, SPIR-V instructions, bytes of MSL and of
//! workgroup memory.
//!
//! Columns after `most` are of the variant with the most instructions. Loads are from any memory, private variables
//! included.
//!
//! `cargo run -p ridgeline-kernels --example translations`

#[path = "../tests/translate/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod translate;

use std::collections::BTreeMap;
use std::error::Error;
use translate::{Shader, roomy};

/// Counts of one variant.
#[derive(Clone, Copy, Default)]
struct Size {
    instructions: usize,
    loads: usize,
    arithmetic: usize,
    subgroup: usize,
    barriers: usize,
    msl: usize,
    workgroup: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let linker = ridgeline_kernels::linker()?;
    let mut kernels: BTreeMap<&str, Vec<Size>> = BTreeMap::new();
    for kernel in ridgeline_kernels::all(&roomy()) {
        let name = kernel.name();
        let shader = Shader::new(&linker, kernel)?;
        kernels.entry(name).or_default().push(size(&shader)?);
    }
    print(
        "kernel",
        &[
            "variants",
            "median",
            "most",
            "loads",
            "arithmetic",
            "subgroup",
            "barriers",
            "MSL bytes",
            "shared bytes",
        ],
    );
    for (name, sizes) in &mut kernels {
        sizes.sort_by_key(|size| size.instructions);
        let (median, most) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
        let counts = [
            sizes.len(),
            median.instructions,
            most.instructions,
            most.loads,
            most.arithmetic,
            most.subgroup,
            most.barriers,
            most.msl,
            most.workgroup as usize,
        ];
        let cells: Vec<String> = counts.iter().map(usize::to_string).collect();
        print(name, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok(())
}

/// Counts by the opcodes of the SPIR-V specification, 3.49.
fn size(shader: &Shader) -> Result<Size, Box<dyn Error>> {
    let words = shader.spirv()?;
    let mut size = Size { msl: shader.msl()?.len(), workgroup: shader.workgroup_bytes(), ..Size::default() };
    let mut at = 5; // words of the header
    while let Some(&first) = words.get(at) {
        size.instructions += 1;
        match first & 0xffff {
            61 | 98 => size.loads += 1,                           // OpLoad, OpImageRead
            12 | 126..=148 | 4450 | 4459 => size.arithmetic += 1, // OpExtInst, negation to OpDot, OpSDot, cooperative
            333..=366 => size.subgroup += 1,                      // OpGroupNonUniform…
            224 => size.barriers += 1,                            // OpControlBarrier
            _ => {}
        }
        at += (first >> 16).max(1) as usize;
    }
    Ok(size)
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn print(name: &str, cells: &[&str]) {
    println!("{name:>14}{}", cells.iter().map(|cell| format!("{cell:>13}")).collect::<String>());
}
