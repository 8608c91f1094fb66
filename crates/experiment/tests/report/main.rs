//! The two renderings of one sample report: golden Markdown, and the structure of the HTML page.

mod sample;

use ridgeline_experiment::report::{
    Align, Bar, Block, Dot, Lines, Report, Roofline, Section, Table, Waterfalls, html, markdown, tally,
};
use ridgeline_roofline::{Measured, Waterfall};
use std::path::Path;

/// The figures of a page, without its script.
fn drawings(page: &str) -> String {
    let figures = page.split("<svg ").skip(1).map(|f| f.split("</svg>").next().unwrap_or(f));
    figures.collect::<Vec<_>>().join("\n")
}

fn page(report: &Report) -> String {
    html(report).expect("plain data")
}

#[test]
fn markdown_is_as_it_was() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/report.md");
    let got = markdown::markdown(&sample::report());
    if std::env::var_os("RIDGELINE_BLESS").is_some() {
        std::fs::write(&golden, &got).expect("written");
    }
    let want = std::fs::read_to_string(&golden).expect("the golden report is committed");
    for (i, (g, w)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(g, w, "line {} differs; RIDGELINE_BLESS=1 accepts it", i + 1);
    }
    assert_eq!(got.len(), want.len());
}

#[test]
fn the_page_holds_every_figure_and_fetches_nothing() {
    let page = page(&sample::report());
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html"), &page).expect("written");
    let count = |needle: &str| page.matches(needle).count();
    assert_eq!(count("<svg "), 4);
    assert_eq!(count("</svg>"), 4);
    assert_eq!(count("role=\"img\" aria-label="), 4, "every figure can be read out");
    assert_eq!(count("<section id="), 5);
    assert_eq!(count("class=\"roof slope\""), 3, "one line for every bandwidth level");
    assert_eq!(count("class=\"roof flat\""), 2);
    let marks = count("<g class=\"mark");
    assert_eq!(marks, 48 + 4 + 27 + 3 + 8 + 2, "dots and points, and their legends");
    assert_eq!(
        count("<g class=\"mark"),
        count("</title></circle></g>") + count("</title></rect></g>") + count("</title></path></g>")
    );
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert_eq!(count(outside), 0, "the page must not fetch: {outside}");
    }
    assert!(page.contains("1 &lt;failed&gt; &amp; &quot;noted&quot;"), "text is escaped");
    assert_eq!(
        (count("does-not-hold\">"), count("cannot-be-tested\">"), count("class=\"outcome holds\">")),
        (1, 1, 1)
    );
    assert!(page.contains("@media (prefers-color-scheme: dark)") && page.contains("@media print"));
    assert!(!drawings(&page).contains("NaN"), "no coordinate is without a number");
    assert!(page.contains("<tr><th scope=\"row\">command</th><td>ridgeline bench-all --quick</td></tr>"));
}

#[test]
fn most_dots_carry_their_number_and_none_lie_on_each_other() {
    let page = page(&sample::report());
    let mut spots: Vec<(f64, f64, usize)> = Vec::new();
    for element in page.lines().filter(|l| l.contains("class=\"dot-name\"")) {
        let number = |key: &str| -> f64 {
            let rest = element.split(&format!(" {key}=\"")).nth(1).expect("the attribute");
            rest.split('"').next().expect("its end").parse().expect("a number")
        };
        let text = element.split('>').nth(1).expect("text").split('<').next().expect("text");
        spots.push((number("x"), number("y"), text.len()));
    }
    assert!(spots.len() >= 44, "only {} of 48 dots are named", spots.len());
    for (i, a) in spots.iter().enumerate() {
        for b in &spots[i + 1..] {
            let apart = (a.0 - b.0).abs() >= 3.0 * (a.2 + b.2) as f64 || (a.1 - b.1).abs() >= 9.9;
            assert!(apart, "{a:?} lies on {b:?}");
        }
    }
}

#[test]
fn the_embedded_data_is_the_report() {
    let report = sample::report();
    let page = page(&report);
    let data =
        page.split("id=\"report-data\">").nth(1).expect("data").split("</script>").next().expect("its end");
    assert_eq!(serde_json::from_str::<Report>(data).expect("JSON"), report);
}

#[test]
fn empty_and_hostile_figures_do_not_break_the_page() {
    let dot = |intensity, value| Dot {
        label: "</script><script>alert(1)</script>".to_owned(),
        group: "|".to_owned(),
        intensity,
        flops_per_s: Measured { value, lo: 0.0, hi: value },
        bound: None,
        roof_fraction: None,
    };
    let mut ragged = Table::new("", [("a", Align::Left), ("b", Align::Right)]);
    ragged.push(["x".to_owned()]);
    ragged.push(["1", "2", "3"].map(str::to_owned));
    assert_eq!(ragged.rows, [["x", ""], ["1", "2"]]);
    let section = Section::new("edge", "")
        .with(Block::Roofline(Roofline::default()))
        .with(Block::Roofline(Roofline { dots: vec![dot(1.0, 1e9), dot(1.0, 1e9)], ..Roofline::default() }))
        .with(Block::Waterfalls(Waterfalls::default()))
        .with(Block::Lines(Lines::default()))
        .with(Block::Verdicts(vec![]))
        .with(Block::Table(ragged));
    let report = Report { sections: vec![section], ..Report::default() };
    let page = page(&report);
    assert_eq!(page.matches("<script").count(), 2, "only the data and the sorter are scripts");
    let drawings = drawings(&page);
    assert!(!drawings.contains("NaN") && !drawings.contains("inf"), "every coordinate is a number");
    let text = markdown::markdown(&report);
    assert!(text.contains("| \\|"), "a pipe in a cell does not split it");
    assert!(!text.contains("<script"));
}

#[test]
fn tallies_count_by_name() {
    assert_eq!(tally(["ok", "failed", "ok"]), "1 failed, 2 ok");
    assert_eq!(tally([]), "");
}

#[test]
fn every_figure_is_a_file_of_its_own() {
    let figures = ridgeline_experiment::report::figures(&sample::report());
    let names: std::collections::BTreeSet<&str> = figures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((figures.len(), names.len()), (4, 4), "{names:?}");
    for (name, svg) in &figures {
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox="), "{name}");
        assert_eq!(svg.matches("<style>").count(), 1, "{name}");
        assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("svg .tick"), "{name}");
        assert_eq!(svg.matches('{').count(), svg.matches('}').count(), "{name}: the style is whole");
    }
}

#[test]
fn a_bar_says_its_rates_and_its_largest_loss() {
    let parts = Waterfall {
        weights_ns: 800_000,
        kv_ns: 100_000,
        activations_ns: 50_000,
        compute_ns: 50_000,
        launches_ns: 300_000,
        inefficiency_ns: 2_000_000,
        in_sequence_ns: 500_000,
        host_ns: 100_000,
        unexplained_ns: 100_000,
    };
    let text = Bar { label: "tiny tg64".to_owned(), parts }.sentences();
    let sentences: Vec<&str> = text.split_inclusive(". ").collect();
    assert_eq!(sentences[0], "tiny tg64 takes 4.00 ms per token, 250 tokens/s. ");
    assert_eq!(
        sentences[1],
        "At this device's ceilings its bytes and arithmetic take 1.00 ms, 1000 tokens/s. "
    );
    assert_eq!(sentences[2], "The largest loss is kernel inefficiency: 50.0 % of the time.");
}
