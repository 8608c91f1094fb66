//! The kernel tests cover every kernel variant that the shipped models use.

use ridgeline_compute::{AnyKernel, Caps};
use ridgeline_kernels::{HeadShape, attention_for, linear_for};
use ridgeline_model::arch;
use ridgeline_quant::Format;
use ridgeline_weights::Shape;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Batch sizes.
const TOKENS: [u32; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 64, 128, 512];

/// Devices without subgroups, with one or several subgroup sizes, and software adapters with textures.
fn devices() -> Vec<Caps> {
    let sizes = [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64), (8, 32)];
    let gpus = sizes.map(|size| Caps { subgroup: Some(size), ..Caps::everything() });
    let software = sizes.map(|size| Caps {
        subgroup: Some(size),
        software: true,
        max_texture: 16384,
        cooperative: &[],
        ..Caps::everything()
    });
    gpus.into_iter().chain(software).chain([Caps::webgpu()]).collect()
}

/// Heads of the shapes under `models/` whose family runs, and of the trained pair. Heads of MLA have other widths than those
/// of the file.
fn heads() -> HashSet<HeadShape> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let files = fs::read_dir(models).expect("the models").map(|entry| entry.expect("an entry").path());
    let shapes = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let shapes =
        shapes.map(|path| Shape::from_toml(&fs::read_to_string(&path).expect("text")).expect("a shape"));
    let latent = |it: &Shape| ["plm", "deepseek2"].contains(&it.architecture.as_str());
    let runs = |it: &Shape| arch::ALL.iter().any(|family| family.name() == it.architecture);
    let heads = shapes.filter(|it| runs(it) && !latent(it)).map(|shape| {
        let size = |n: usize| u32::try_from(n).expect("fits 32 bits");
        let value = shape.metadata.get("attention.value_length").and_then(|it| it.as_integer());
        let value = value.map_or(size(shape.head_dim), |n| u32::try_from(n).expect("a width"));
        HeadShape { value, ..HeadShape::of_width(size(shape.head_dim), size(shape.heads / shape.kv_heads)) }
    });
    heads.chain([HeadShape::of_width(64, 2)]).collect()
}

/// Checks that the kernels chosen for every device and batch size are among the tested variants.
fn are_tested(kernels: impl Fn(u32, &Caps) -> Vec<AnyKernel>) {
    for caps in devices() {
        let tested: HashSet<AnyKernel> = ridgeline_kernels::all(&caps).into_iter().collect();
        for kernel in TOKENS.into_iter().flat_map(|tokens| kernels(tokens, &caps)) {
            assert!(tested.contains(&kernel), "{} is not among the tested variants", kernel.label());
        }
    }
}

#[test]
fn attention_of_every_shipped_shape_is_tested() {
    let heads = heads();
    assert!(heads.len() >= 8, "{heads:?}");
    // PLM and DeepSeek-V2, expanded and absorbed.
    let expanded = HeadShape { key: 192, value: 128, group: 1, latent: false };
    let absorbed = HeadShape { key: 576, value: 512, group: 16, latent: true };
    let shapes: Vec<HeadShape> = heads.into_iter().chain([expanded, absorbed]).collect();
    are_tested(|tokens, caps| {
        let of = |&shape| attention_for([Format::HALF; 2], shape, tokens, caps).into();
        shapes.iter().map(of).collect()
    });
}

#[test]
fn linear_kernels_of_every_type_are_tested() {
    are_tested(|tokens, caps| Format::ALL.iter().map(|&it| linear_for(it, tokens, caps).into()).collect());
}
