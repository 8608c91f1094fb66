//! A sample report of a software adapter: several bandwidth levels, 48 dots, waterfalls, verdicts.

use ridgeline_experiment::published::Published;
use ridgeline_experiment::report::{
    Align, Axis, BandwidthLevel, Bar, Block, ClaimLink, Dot, Line, Lines, PeakLevel, Report, Roofline,
    Section, Table, Waterfalls,
};
use ridgeline_experiment::verdict::{Comparison, Outcome, Verdict, all};
use ridgeline_roofline::{
    Bandwidth, Cost, Curve, Machine, Measured, Overheads, Precision, Regime, Sample, Waterfall,
};

/// A value ± a percentage.
fn about(value: f64, percent: f64) -> Measured {
    Measured { value, lo: value * (1.0 - percent / 100.0), hi: value * (1.0 + percent / 100.0) }
}

fn curve(scale: f64) -> Curve {
    let rates = [
        (14, 9.0),
        (16, 24.0),
        (18, 41.0),
        (20, 38.0),
        (22, 27.0),
        (24, 14.5),
        (26, 11.2),
        (28, 10.6),
        (30, 10.5),
    ];
    let sample =
        |(power, rate): (u32, f64)| Sample { bytes: 1 << power, rate: about(rate * scale * 1e9, 4.0) };
    Curve::new(rates.into_iter().map(sample).collect()).expect("rising sizes")
}

fn machine() -> Machine {
    Machine {
        name: "llvmpipe (LLVM 15.0.6, 256 bits)".to_owned(),
        bandwidth: Bandwidth { read: curve(1.0), copy: curve(0.82), triad: curve(0.78) },
        flops_f32: about(21.5e9, 2.0),
        flops_f16: Some(about(17.9e9, 3.0)),
        overheads: Overheads {
            launch_s: about(9.1e-6, 6.0),
            submission_s: about(31e-6, 8.0),
            synchronisation_s: about(44e-6, 9.0),
            readback_s: about(72e-6, 12.0),
        },
    }
}

/// Name, parameters and layers of the models of the default matrix.
const MODELS: [(&str, u64, u64); 4] = [
    ("tiny-target", 4_200_000, 6),
    ("tiny-draft", 1_600_000, 4),
    ("smollm2-135m", 134_515_008, 30),
    ("bench-110m", 109_500_000, 12),
];

/// The cost of one forward pass over `tokens` tokens at a depth.
fn cost(params: u64, layers: u64, bytes_x10: u64, tokens: u64, depth: u64) -> Cost {
    Cost {
        weights: params * bytes_x10 / 10,
        kv_read: layers * 768 * depth * tokens.min(8),
        kv_write: layers * 768 * tokens,
        activation_read: layers * 9_000 * tokens,
        activation_write: layers * 7_000 * tokens,
        flops: 2 * params * tokens,
        launches: layers * 11 + 4,
    }
}

/// A plausible measured time: the prediction plus 15 to 43 %.
fn measured(machine: &Machine, cost: &Cost, regime: Regime, i: usize) -> f64 {
    machine.predict(cost, regime).explained_s * (1.15 + 0.07 * (i % 5) as f64)
}

fn bench(machine: &Machine) -> (Vec<Dot>, Vec<Bar>, Table) {
    use Align::{Left, Right};
    let heads = [
        ("model", Left),
        ("size", Right),
        ("test", Left),
        ("t/s", Right),
        ("95 % CI", Right),
        ("bound", Left),
    ];
    let mut table = Table::new("Speed in llama-bench's form.", heads);
    let (mut dots, mut bars) = (Vec::new(), Vec::new());
    for (name, params, layers) in MODELS {
        for (format, bytes_x10) in [("f16", 20), ("q8_0", 11)] {
            for depth in [0, 256, 1024] {
                for (test, tokens) in [("pp128", 128), ("tg64", 1)] {
                    let c = cost(params, layers, bytes_x10, tokens, depth);
                    let regime =
                        Regime::new(c.weights + c.kv_read).scratch(64 << 10).precision(Precision::F32);
                    let time = measured(machine, &c, regime, dots.len());
                    let prediction = machine.predict(&c, regime);
                    let label = format!("{name} {format} {test} @ d{depth}");
                    let rate = about(tokens as f64 / time, 1.5);
                    table.push([
                        format!("{name} {format}"),
                        ridgeline_experiment::report::number::bytes(c.weights),
                        format!("{test} @ d{depth}"),
                        format!("{:.2}", rate.value),
                        format!("{:.2} – {:.2}", rate.lo, rate.hi),
                        prediction.bound.to_string(),
                    ]);
                    if tokens == 1 && depth != 256 {
                        bars.push(Bar {
                            label: label.clone(),
                            parts: Waterfall::of(&c, machine, time, regime)
                                .with_kernels(0.9 * time, 0.95 * time),
                        });
                    }
                    dots.push(Dot {
                        label,
                        name: format.to_owned(),
                        model: name.to_owned(),
                        group: if tokens == 1 { "decode" } else { "prompt" }.to_owned(),
                        intensity: c.intensity().expect("it moves bytes"),
                        flops_per_s: about(c.flops as f64 / time, 3.0),
                        bound: Some(prediction.bound),
                        roof_fraction: Some(prediction.roof_fraction(time)),
                    });
                }
            }
        }
    }
    (dots, bars, table)
}

fn ceilings(machine: &Machine) -> Section {
    let line = |label: &str, c: &Curve| Line {
        label: label.to_owned(),
        points: c.samples().iter().map(|s| (s.bytes as f64, s.rate)).collect(),
        predicted: false,
    };
    Section::new(
        "Ceilings",
        "The best rates of this device, measured through the API calls that inference uses.",
    )
    .with(Block::Lines(Lines {
        caption: "Bandwidth against working-set size.".to_owned(),
        x: Axis { title: "working set".to_owned(), unit: "B".to_owned(), log: true },
        y: Axis { title: "bandwidth, B/s".to_owned(), unit: "B/s".to_owned(), log: false },
        lines: vec![
            line("read", &machine.bandwidth.read),
            line("copy", &machine.bandwidth.copy),
            line("triad", &machine.bandwidth.triad),
        ],
    }))
}

fn batch() -> Block {
    let tokens = [1.0_f64, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
    Block::Lines(Lines {
        caption: "Time of one forward pass over several tokens.".to_owned(),
        x: Axis { title: "batch size, tokens".to_owned(), unit: String::new(), log: true },
        y: Axis { title: "time of the forward pass, s".to_owned(), unit: "s".to_owned(), log: true },
        lines: vec![
            Line {
                label: "measured".to_owned(),
                points: tokens.iter().map(|&n| (n, about(3.1e-3 + 0.41e-3 * n, 6.0))).collect(),
                predicted: false,
            },
            Line {
                label: "roofline".to_owned(),
                points: tokens.iter().map(|&n| (n, Measured::exact(0.8e-3_f64.max(0.39e-3 * n)))).collect(),
                predicted: true,
            },
        ],
    })
}

/// The verdict of a claim on comparisons, with what was measured here.
fn decided(id: &str, here: &str, comparisons: &[Comparison], beside: &[&str]) -> Verdict {
    let published = Published::load().expect("built-in files parse");
    let claim = published.claim(id).expect("a claim");
    let sentences: Vec<String> = comparisons.iter().map(Comparison::sentence).collect();
    let needs = || claim.needs.clone().unwrap_or_default();
    Verdict {
        claim: claim.id.clone(),
        study: claim.study.clone(),
        text: claim.text.clone(),
        published: claim.published.clone(),
        recomputed: claim.recomputed.clone(),
        here: here.to_owned(),
        beside: beside.iter().map(|it| (*it).to_owned()).collect(),
        outcome: all(&comparisons.iter().map(Comparison::outcome).collect::<Vec<_>>()),
        prediction: claim.prediction.clone(),
        test: claim.test.clone(),
        because: if comparisons.is_empty() { needs() } else { sentences.join("; ") },
        comparisons: comparisons.to_vec(),
        holm_p: None,
        caveats: if id == "GAP-C10" { vec!["it rests on 1 visit".to_owned()] } else { Vec::new() },
        evidence: vec!["pass model=tiny-target work=tg64".to_owned()],
    }
}

fn verdicts() -> Block {
    let ratio = |what: &str, value, lo, hi| Comparison::above(what, Measured { value, lo, hi }, 1.0).of(3);
    let c1 = [
        ratio("copy_over_matvec_f32", 1.07, 1.02, 1.12),
        ratio("matvec_f32_over_matvec_q4", 0.99, 0.95, 1.03),
    ];
    let beside = ["back to back in one submission: 1.21 [1.18, 1.24]"];
    let c10 = [Comparison::below("t4_over_t1", about(1.34, 3.0), 1.15)];
    let c7 = [Comparison::within("intensity_times_bytes_per_weight", about(1.98, 0.5), 1.8, 2.2)];
    Block::Verdicts(vec![
        decided("GAP-C1", "1.07 [1.02, 1.12]; 0.990 [0.950, 1.03]", &c1, &beside),
        decided("GAP-C10", "1.34", &c10, &[]),
        decided("RB-C7", "1.98", &c7, &[]),
        decided("INV-C5", "–", &[], &[]),
    ])
}

/// The sample.
pub(crate) fn report() -> Report {
    let machine = machine();
    let (dots, bars, table) = bench(&machine);
    let peak = |label: &str, m: Measured| PeakLevel { label: label.to_owned(), flops_per_s: m.value };
    let level = |label: &str, bytes| BandwidthLevel {
        label: label.to_owned(),
        bytes_per_s: machine.bandwidth.at(bytes).value,
    };
    let roofline = Roofline {
        caption: "Every cell of the matrix under the measured ceilings; each is compared with the bandwidth of its own working-set size."
            .to_owned(),
        bandwidths: vec![level("cache, 256 KiB", 1 << 18), level("cache, 4 MiB", 1 << 22), level("memory", 1 << 30)],
        peaks: vec![
            peak("f32 peak", machine.flops_f32),
            peak("f16 peak", machine.flops_f16.expect("the sample has them")),
        ],
        dots,
    };
    Report {
        title: "Ridgeline report".to_owned(),
        subtitle: format!("{} · Vulkan · 2026-11-21 · 48 cells ok, 1 failed", machine.name),
        sections: vec![
            ceilings(&machine),
            Section::new("Roofline", "Performance against operational intensity.")
                .with(Block::Roofline(roofline)),
            Section::new("Where a decode step goes", "Shares of the measured time, by cause.")
                .with(Block::Waterfalls(Waterfalls { caption: "Decoding one token.".to_owned(), bars })),
            Section::new("Speed", "").with(Block::Table(table)).with(batch()),
            Section::new(
                "Verdicts on published claims",
                "The figures that the studies print, and those of this device.",
            )
            .with(verdicts())
            .with(Block::Warning(
                "Cells with a failed check enter no table: 1 <failed> & \"noted\".".to_owned(),
            )),
            Section::new("GAP: the study's experiments", "").at("GAP"),
            Section::experiment("GAP-10", "GAP-10: Batch size", "").with(Block::Claims(vec![ClaimLink {
                claim: "GAP-C10".to_owned(),
                outcome: Outcome::DoesNotHold,
            }])),
        ],
        provenance: vec![
            ("adapter".to_owned(), machine.name),
            ("revision".to_owned(), "0123abc, clean".to_owned()),
            ("command".to_owned(), "ridgeline bench-all --quick".to_owned()),
        ],
    }
}
