//! The shapes in models/: they parse, have the published numbers of parameters, and give random checkpoints.

use std::path::{Path, PathBuf};

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, Container, Error, Shape, convert};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

fn shape(name: &str) -> Shape {
    let text = std::fs::read_to_string(models().join(format!("{name}.toml"))).unwrap();
    Shape::from_toml(&text).unwrap()
}

/// Parameters of the published safetensors files, without a repeated tied head. The last two shapes are unpublished; their
/// numbers are computed by hand.
const PUBLISHED: [(&str, u64); 13] = [
    ("smollm2-135m", 134_515_008),
    ("smollm2-360m", 361_821_120),
    ("smollm2-1.7b", 1_711_376_384),
    ("llama-3.2-1b", 1_235_814_400),
    ("mistral-7b", 7_248_023_552),
    ("tinyllama-1.1b", 1_100_048_384),
    ("qwen2.5-0.5b", 494_032_768),
    ("qwen2.5-1.5b", 1_543_714_304),
    ("qwen3-0.6b", 596_049_920),
    ("qwen3-1.7b", 1_720_574_976),
    ("qwen3-8b", 8_190_735_360),
    ("bench-110m", 100_092_672),
    ("bench-18m", 17_830_400),
];

#[test]
fn every_file_is_a_shape_of_its_own_name() {
    let mut found = 0;
    for file in std::fs::read_dir(models()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|it| it == "toml") {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert_eq!(shape(&stem).name, stem);
            assert!(PUBLISHED.iter().any(|(name, _)| *name == stem), "{stem} is not counted here");
            found += 1;
        }
    }
    assert_eq!(found, PUBLISHED.len());
}

#[test]
fn a_shape_file_of_before_is_read() {
    let text = std::fs::read_to_string(models().join("smollm2-135m.toml")).unwrap();
    let old = Shape::from_toml(&text.replace("head_dim", "head_width")).unwrap();
    assert_eq!(old.head_dim, shape("smollm2-135m").head_dim);
}

#[test]
fn parameters_are_the_published_ones_and_those_of_the_tensors() {
    for (name, published) in PUBLISHED {
        let shape = shape(name);
        let checkpoint = Checkpoint::random(&shape, Format::SINGLE, 0).unwrap();
        assert_eq!(checkpoint.tensors().map(|it| it.n_weights()).sum::<u64>(), published, "{name}");
        assert_eq!(checkpoint.tied_head(), shape.tied_head);
    }
}

#[test]
fn another_width_keeps_the_proportions() {
    let of = |name: &str, hidden| {
        let it = shape(name).with_hidden(hidden).unwrap();
        (it.hidden, it.heads, it.kv_heads, it.head_dim, it.ffn)
    };
    assert_eq!(of("bench-18m", 128), (128, 2, 2, 64, 512));
    // 5 heads are no multiple of 1.67 KV heads, and 853 is no multiple of 256.
    assert_eq!(of("smollm2-135m", 320), (320, 5, 1, 64, 1024));
    assert_eq!(of("smollm2-135m", 768), (768, 12, 4, 64, 2048));
    let unchanged = shape("smollm2-1.7b");
    assert_eq!(unchanged.clone().with_hidden(2048).unwrap(), unchanged);
    for wrong in [0, 100, 1 << 30] {
        let error = shape("bench-18m").with_hidden(wrong).unwrap_err();
        assert!(matches!(error, Error::ShapeDimensions { .. }), "{wrong}: {error}");
    }
}

#[test]
fn a_stretched_rope_has_divisors() {
    let checkpoint = Checkpoint::random(&shape("llama-3.2-1b"), Format::HALF, 0).unwrap();
    let divisors = checkpoint.rope_freq_factors().unwrap().unwrap();
    assert_eq!((divisors.len(), divisors[0], divisors[31]), (32, 1.0, 32.0));
    let plain = Checkpoint::random(&shape("smollm2-135m"), Format::HALF, 0).unwrap();
    assert!(plain.rope_freq_factors().unwrap().is_none());
}

const SMALL: &str = r#"
name = "small"
architecture = "llama"
licence = "none"
layers = 2
hidden = 96
heads = 3
kv_heads = 1
head_dim = 32
ffn = 70
vocab = 50
tied_head = false
context = 64
norm_epsilon = 1e-5
rope_base = 10000.0
rope_scaling = { kind = "linear", factor = 4.0 }
"#;

#[test]
fn a_random_checkpoint_writes_a_file_that_reads_back_equal() {
    let out = tempfile::tempdir().unwrap();
    for &format in Format::ALL.iter().filter(|it| it.spec().encode.is_some()) {
        let random = Checkpoint::random(&Shape::from_toml(SMALL).unwrap(), format, 3).unwrap();
        assert_eq!(random.container(), Container::Random);
        let path = out.path().join("random.gguf");
        convert(&random, &path, format).unwrap();
        let file = Checkpoint::open(&path).unwrap();
        assert_eq!(file.rope_pairing().unwrap(), random.rope_pairing().unwrap());
        assert_eq!(file.rope_freq_factors().unwrap(), Some(vec![4.0; 16]));
        assert_eq!(file.tensors().count(), 21);
        for info in random.tensors() {
            let (ours, theirs) =
                (file.expect(info.name, info.shape).unwrap(), random.tensor(info.name).unwrap());
            assert_eq!(ours.format, theirs.format, "{}", info.name);
            assert!(ours.bytes == theirs.bytes, "{}", info.name);
            assert_eq!(ours.bytes.len() as u64, info.bytes);
        }
        // Rows of 70 weights are not whole blocks of 32, so they fall back to half precision.
        let down = random.tensor("blk.0.ffn_down.weight").unwrap().format;
        assert_eq!(down, if format.spec().block_len == 1 { format } else { Format::HALF });
    }
}

#[test]
fn contradictions_are_refused() {
    let refused = |from: &str, to: &str| Shape::from_toml(&SMALL.replace(from, to)).unwrap_err();
    assert!(matches!(refused("heads = 3\n", "heads = 0\n"), Error::ShapeDimensions { .. }));
    assert!(matches!(refused("kv_heads = 1", "kv_heads = 2"), Error::ShapeDimensions { .. }));
    assert!(matches!(refused("head_dim = 32", "head_dim = 33"), Error::ShapeDimensions { .. }));
    assert!(matches!(refused("licence", "license"), Error::ShapeToml { .. }));
    let shape = Shape::from_toml(&SMALL.replace("\"llama\"", "\"mamba\"")).unwrap();
    let error = Checkpoint::random(&shape, Format::HALF, 0).unwrap_err();
    assert!(matches!(error, Error::UnknownFamily { family, .. } if family == "mamba"));
}

#[test]
fn random_weights_take_the_shape_of_a_file_with_other_layers() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("small.gguf");
    let small = Checkpoint::random(&Shape::from_toml(SMALL).unwrap(), Format::Q8_0, 3).unwrap();
    convert(&small, &path, Format::Q8_0).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    let names = |it: &Checkpoint| it.tensors().map(|it| it.name.to_owned()).collect::<Vec<_>>();
    let like = file.random_like(None, None, 1).unwrap();
    assert_eq!((names(&like), like.container()), (names(&file), Container::Random));
    for (ours, theirs) in like.tensors().zip(file.tensors()) {
        assert_eq!((ours.shape, ours.format), (theirs.shape, theirs.format), "{}", ours.name);
    }
    for layers in [1, 5] {
        let cut = file.random_like(Some(layers), Some(Format::F16.into()), 1).unwrap();
        assert_eq!(cut.metadata().u32("llama.block_count").unwrap() as usize, layers);
        let downs = names(&cut).iter().filter(|it| it.ends_with("ffn_down.weight")).count();
        assert_eq!((downs, cut.has(&format!("blk.{layers}.attn_q.weight"))), (layers, false));
        assert!(cut.tensors().all(|it| it.shape.len() < 2 || it.format == Format::F16));
        let last = format!("blk.{}.ffn_down.weight", layers - 1);
        assert_eq!(cut.tensor(&last).unwrap().shape, file.tensor("blk.0.ffn_down.weight").unwrap().shape);
    }
}
