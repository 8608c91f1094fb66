//! Benchmark rows: llama-bench's field names and texts in every output format.

use ridgeline_experiment::bench_table::{BenchRow, Output, export, table};
use ridgeline_roofline::Bound;
use serde_json::Value;

fn row(prompt: u64, generated: u64, depth: u64) -> BenchRow {
    BenchRow {
        build_commit: "0123abc".to_owned(),
        build_number: 0,
        cpu_info: "Example \"E5\" CPU".to_owned(),
        gpu_info: "llvmpipe's".to_owned(),
        backends: "Vulkan".to_owned(),
        model_filename: "models/tiny, target.gguf".to_owned(),
        model_type: "llama 4.2M F16".to_owned(),
        model_size: 8_400_000,
        model_n_params: 4_200_000,
        n_batch: 512,
        n_ubatch: 512,
        type_k: "f16".to_owned(),
        type_v: "f16".to_owned(),
        flash_attn: true,
        n_prompt: prompt,
        n_gen: generated,
        n_depth: depth,
        n_parallel: None,
        test_time: "2026-11-21T00:00:00Z".to_owned(),
        samples_ns: vec![100_000_000, 125_000_000, 80_000_000],
        mbu: Some(0.4321),
        roof_fraction: None,
        bound: Some(Bound::Launch),
    }
}

#[test]
fn tests_are_named_as_llama_bench_names_them() {
    let names = [(128, 0, 0), (0, 64, 0), (512, 128, 0), (0, 64, 1024), (128, 0, 256)]
        .map(|(p, n, d)| row(p, n, d).test());
    assert_eq!(names, ["pp128", "tg64", "pp512+tg128", "tg64 @ d1024", "pp128 @ d256"]);
}

#[test]
fn rates_and_their_interval_follow_from_the_samples() {
    let r = row(0, 64, 0);
    assert_eq!(r.samples_ts(), [640.0, 512.0, 800.0]);
    let together = BenchRow { n_parallel: Some(4), ..row(0, 64, 0) };
    assert_eq!(together.samples_ts(), [2560.0, 2048.0, 3200.0], "tokens of all sequences");
    let rate = r.rate().expect("three samples");
    assert!((rate.value - 1952.0 / 3.0).abs() < 1e-9);
    // scipy.stats.t.interval(0.95, 2, mean, sem) of 640, 512, 800
    assert!((rate.lo - 292.215_551).abs() < 1e-3 && (rate.hi - 1_009.117_782).abs() < 1e-3, "{rate:?}");
    assert_eq!(BenchRow { samples_ns: vec![5], ..row(1, 0, 0) }.rate(), None);
    assert_eq!(BenchRow { samples_ns: vec![0], ..row(1, 0, 0) }.samples_ts(), [0.0]);
}

#[test]
fn markdown_is_llama_benchs_table_with_more_columns() {
    let text = export(&[row(128, 0, 0), row(0, 64, 256)], Output::Md).expect("text");
    let want = "\
| model          |     size | params | backend | test         |              t/s |          95 % CI | ms/tok | % BW | % roof | bound  |
| -------------- | -------: | -----: | ------- | ------------ | ---------------: | ---------------: | -----: | ---: | -----: | ------ |
| llama 4.2M F16 | 8.01 MiB | 4.20 M | Vulkan  | pp128        | 1301.33 ± 288.59 | 584.43 – 2018.24 |  0.768 | 43.2 |      – | launch |
| llama 4.2M F16 | 8.01 MiB | 4.20 M | Vulkan  | tg64 @ d256  |  650.67 ± 144.30 | 292.22 – 1009.12 |   1.54 | 43.2 |      – | launch |

build: 0123abc (0)
";
    let squeeze = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ").replace("-", "");
    assert_eq!(squeeze(&text), squeeze(want));
    assert_eq!(table("x", &[row(1, 0, 0)]).columns.len(), 11);
}

#[test]
fn csv_quotes_what_needs_it() {
    let text = export(&[row(128, 0, 0)], Output::Csv).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0]
            .starts_with("build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,")
    );
    assert!(lines[0].ends_with(
        ",avg_ns,stddev_ns,avg_ts,stddev_ts,ci95_lo_ts,ci95_hi_ts,median_ts,mbu,roof_fraction,bound"
    ));
    assert!(lines[1].contains(r#","Example ""E5"" CPU","llvmpipe's","#), "{}", lines[1]);
    assert!(lines[1].contains(r#","models/tiny, target.gguf","#));
    assert!(lines[1].ends_with(r#","0.4321","","launch""#), "{}", lines[1]);
    let columns = lines[0].split(',').count();
    assert_eq!(lines[1].split("\",\"").count(), columns);
}

#[test]
fn json_keeps_the_samples_under_llama_benchs_names() {
    let rows = [row(128, 0, 0), row(0, 64, 0)];
    let all: Vec<Value> =
        serde_json::from_str(&export(&rows, Output::Json).expect("text")).expect("an array");
    let text = export(&rows, Output::Jsonl).expect("text");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(all, lines);
    assert_eq!(all[1]["samples_ts"].as_array().map(Vec::len), Some(3));
    assert_eq!(all[1]["samples_ns"][2].as_u64(), Some(80_000_000));
    assert!((all[1]["avg_ts"].as_f64().expect("a number") - 650.666_666_667).abs() < 1e-6);
    assert!((all[1]["stddev_ts"].as_f64().expect("a number") - 144.296).abs() < 0.01);
    assert!((all[1]["avg_ns"].as_f64().expect("a number") - 101_666_666.667).abs() < 1e-2);
    assert_eq!((&all[0]["roof_fraction"], &all[0]["flash_attn"]), (&Value::Null, &Value::Bool(true)));
}

#[test]
fn sql_defines_its_table_and_escapes_quotes() {
    let text = export(&[row(128, 0, 0)], Output::Sql).expect("text");
    assert!(text.starts_with(
        "CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,\n  build_number INTEGER,"
    ));
    assert!(text.contains("\n  avg_ts REAL,") && text.contains("\n  bound TEXT\n);"));
    assert!(text.contains("'llvmpipe''s'"));
    assert!(text.trim_end().ends_with("0.4321, NULL, 'launch');"), "{text}");
}
