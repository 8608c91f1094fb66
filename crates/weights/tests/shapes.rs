//! The shapes in models/: they parse, have the published numbers of parameters, and give random checkpoints.

use std::path::{Path, PathBuf};

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, Container, Error, LayerKind, Quantization, Shape, convert};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

fn shape(name: &str) -> Shape {
    let text = std::fs::read_to_string(models().join(format!("{name}.toml"))).unwrap();
    Shape::from_toml(&text).unwrap()
}

/// Parameters of the published safetensors files, without a repeated tied head and without parts that see images. The last
/// eight shapes are unpublished; their numbers are computed by hand.
const PUBLISHED: [(&str, u64); 35] = [
    ("gemma-3-270m", 268_098_176),
    ("gemma-3-1b", 999_885_952),
    ("gemma-3-4b", 3_880_263_168),
    ("pythia-160m", 162_322_944),
    ("pythia-410m", 405_334_016),
    ("plm-1.8b", 1_825_458_176),
    ("deepseek-v2-lite", 15_706_484_224),
    ("qwen3-30b-a3b", 30_532_122_624),
    ("qwen3.5-0.8b", 752_393_024),
    ("qwen3.5-2b", 1_881_825_088),
    ("qwen3.5-4b", 4_205_751_296),
    ("qwen3.5-9b", 8_953_803_264),
    ("qwen3.5-35b-a3b", 34_660_610_688),
    ("fox-1-1.6b", 1_665_271_808),
    ("smolvlm2-256m", 162_974_016),
    ("smolvlm2-2.2b", 1_812_563_968),
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
    ("mha-1.5b", 1_504_299_008),
    ("gqa-1.5b", 1_504_299_008),
    ("mla-1.5b", 1_507_983_360),
    ("gva-1.5b", 1_504_299_008),
    ("gha-1.5b", 1_518_979_072),
    ("gta-1.5b", 1_511_639_040),
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

/// A layer of each shape has the parts of its family, and the layers are of the published kinds.
#[test]
fn layers_are_those_of_the_family() {
    use LayerKind::{Full, Recurrent, Windowed};
    let random = |name: &str| Checkpoint::random(&shape(name), Format::HALF, 0).unwrap();
    let count =
        |name: &str, kind| random(name).layer_kinds().unwrap().iter().filter(|&&it| it == kind).count();
    assert_eq!((count("gemma-3-1b", Windowed(512)), count("gemma-3-1b", Full)), (22, 4));
    assert_eq!((count("qwen3.5-4b", Recurrent), count("qwen3.5-4b", Full)), (24, 8));
    let deepseek = random("deepseek-v2-lite");
    let of = |name: &str| deepseek.tensor(name).map(|it| it.shape);
    assert_eq!(of("blk.0.ffn_up.weight").unwrap(), [10_944, 2048]);
    assert_eq!(of("blk.1.attn_k_b.weight").unwrap(), [16, 512, 128]);
    assert_eq!(of("blk.1.attn_v_b.weight").unwrap(), [16, 128, 512]);
    assert!(deepseek.has("blk.0.attn_q.weight") && !deepseek.has("blk.0.attn_q_a.weight"));
    assert!(!deepseek.has("blk.0.ffn_gate_inp.weight") && !deepseek.has("blk.1.ffn_up.weight"));
    let hybrid = random("qwen3.5-0.8b");
    assert!(hybrid.has("blk.0.ssm_a") && !hybrid.has("blk.3.ssm_a") && hybrid.has("blk.3.attn_q.weight"));
    assert_eq!(hybrid.tensor("blk.0.ssm_a").unwrap().to_f32(), [-1.0; 16]);
    let (wide, latent) = (random("gva-1.5b"), random("gta-1.5b"));
    assert_eq!(wide.tensor("blk.0.attn_v.weight").unwrap().shape, [2048, 2048]);
    assert_eq!(latent.tensor("blk.0.attn_v.weight").unwrap().shape, [256, 2048]);
    assert_eq!(latent.tensor("blk.0.attn_v_b.weight").unwrap().shape, [4, 512, 256]);
    assert!(latent.has("blk.0.attn_gate.weight") && !wide.has("blk.0.attn_gate.weight"));
    assert!(!random("mla-1.5b").tensors().any(|it| it.name.contains("exps")), "all layers are dense");
}

/// llama.cpp keeps routers, filters and vectors in single precision, and a matrix that is narrow in half.
#[test]
fn what_is_not_quantized_is_what_llama_cpp_keeps() {
    for quantization in [Quantization::from(Format::Q8_0), "Q4_K_M".parse().unwrap()] {
        for name in ["qwen3.5-35b-a3b", "deepseek-v2-lite", "gemma-3-270m", "pythia-160m"] {
            let checkpoint = Checkpoint::random(&shape(name), quantization, 0).unwrap();
            for it in checkpoint.tensors() {
                let kept =
                    ["norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "ssm_conv1d.weight"];
                let single = it.shape.len() < 2 || kept.iter().any(|kept| it.name.ends_with(kept));
                assert_eq!(it.format == Format::SINGLE, single, "{name}: {} {}", it.name, it.format);
            }
        }
    }
}

/// Random weights of every family are finite, in each quantization, and can be written and read back.
#[test]
fn random_weights_of_every_family_can_be_written() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("random.gguf");
    for family in ["gemma3", "gptneox", "plm", "deepseek2", "qwen3moe", "qwen35", "qwen35moe"] {
        let data = [env!("CARGO_MANIFEST_DIR"), "../model/tests/data", family].iter().collect::<PathBuf>();
        let source = Checkpoint::open(&data).unwrap();
        for quantization in [Quantization::from(Format::F16), "Q4_K_M".parse().unwrap()] {
            let random = source.random_like(Some(6), Some(quantization), 5).unwrap();
            convert(&random, &path, quantization).unwrap();
            let file = Checkpoint::open(&path).unwrap();
            file.check().unwrap();
            assert_eq!(file.layer_kinds().unwrap(), random.layer_kinds().unwrap());
            assert_eq!(file.tensors().count(), random.tensors().count(), "{family}");
            for info in random.tensors() {
                let (ours, theirs) =
                    (random.tensor(info.name).unwrap(), file.expect(info.name, info.shape).unwrap());
                assert!(
                    ours.bytes == theirs.bytes && ours.format == theirs.format,
                    "{family}: {}",
                    info.name
                );
                assert!(ours.to_f32().iter().all(|it| it.is_finite()), "{family}: {}", info.name);
            }
        }
    }
}

#[test]
fn layers_beyond_a_hybrid_repeat_its_kinds() {
    let hybrid = Checkpoint::random(&shape("qwen3.5-0.8b"), Format::HALF, 0).unwrap();
    for layers in [2, 4, 30] {
        let other = hybrid.random_like(Some(layers), None, 1).unwrap();
        let kinds = other.layer_kinds().unwrap();
        assert_eq!(kinds.len(), layers);
        for (i, kind) in kinds.iter().enumerate() {
            assert_eq!(*kind == LayerKind::Recurrent, i % 4 != 3, "{i}");
            assert_eq!(other.has(&format!("blk.{i}.ssm_a")), i % 4 != 3, "{i}");
            assert_eq!(other.has(&format!("blk.{i}.attn_q.weight")), i % 4 == 3, "{i}");
        }
        assert!(!other.has(&format!("blk.{layers}.attn_norm.weight")));
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
    let with = |metadata: &str| {
        let shape = Shape::from_toml(&format!("{SMALL}[metadata]\n{metadata}\n")).unwrap();
        Checkpoint::random(&shape, Format::HALF, 0)
    };
    assert!(
        matches!(with("expert_count = 8"), Err(Error::RefusedKey { key, .. }) if key == "metadata.expert_count")
    );
    assert!(matches!(with("vocab_size = -1"), Err(Error::ShapeDimensions { .. })));
    assert!(matches!(with("vocab_size = 99999999"), Err(Error::ShapeDimensions { .. })));
    // TOML has two forms of a key with dots.
    for key in ["attention.sliding_window = 7", "\"attention.sliding_window\" = 7"] {
        assert_eq!(with(key).unwrap().layer_kinds().unwrap(), [LayerKind::Windowed(7); 2]);
    }
    let latent = shape("plm-1.8b");
    assert_eq!(latent.clone().with_hidden(2048).unwrap(), latent);
    assert!(matches!(latent.with_hidden(1024), Err(Error::ShapeDimensions { .. })));
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
