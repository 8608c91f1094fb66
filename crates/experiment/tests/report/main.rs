//! The two renderings of one sample report: golden Markdown, and the structure of the HTML page.

mod sample;

use ridgeline_experiment::report::{
    Align, Bar, Block, Dot, File, Lines, Report, Roofline, Section, Table, Waterfalls, files, html, markdown,
    tally,
};
use ridgeline_roofline::{Measured, Waterfall};
use std::collections::BTreeSet;
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
    // Two figures of lines, one of waterfalls, and a roofline for each of four models.
    assert_eq!((count("<svg "), count("</svg>")), (7, 7));
    assert_eq!(count("<svg viewBox="), 7);
    assert_eq!(count("role=\"group\" aria-label="), 7, "every figure can be read out");
    assert_eq!((count("<section id="), count("<h2 "), count("<h3 ")), (8, 7, 1));
    assert_eq!(count("class=\"roof slope"), 4 * 3, "one line for every bandwidth level in every panel");
    assert_eq!(count("class=\"roof flat\""), 4 * 2);
    assert_eq!(count("tabindex=\"0\" role=\"img\"><title>"), 48 + 27 + 8, "the keyboard reaches every mark");
    assert_eq!(count("<g class=\"item\" tabindex=\"0\""), 16, "and every bar");
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert_eq!(count(outside), 0, "the page must not fetch: {outside}");
    }
    assert!(page.contains("1 &lt;failed&gt; &amp; &quot;noted&quot;"), "text is escaped");
    assert!(page.contains("@media (prefers-color-scheme: dark)") && page.contains("@media print"));
    assert!(!drawings(&page).contains("NaN"), "no coordinate is without a number");
    assert!(page.contains("<dt>command</dt><dd>ridgeline bench-all --quick</dd>"));
}

/// The text between two others, after the first occurrence of the first.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{from} is missing"));
    rest.split_once(to).unwrap_or_else(|| panic!("{to} is missing")).0
}

#[test]
fn every_link_of_the_page_has_its_place() {
    let page = page(&sample::report());
    let links: Vec<&str> =
        page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or("")).collect();
    assert!(
        links.contains(&"gap-c10") && links.contains(&"gap-10") && links.contains(&"provenance"),
        "{links:?}"
    );
    for link in links {
        assert_eq!(page.matches(&format!("id=\"{link}\"")).count(), 1, "#{link}");
    }
    let contents = between(&page, "<nav", "</nav>");
    assert!(contents.contains("<ul>\n<li><a href=\"#gap-10\">GAP-10: Batch size</a></li>"), "{contents}");
}

#[test]
fn a_claim_is_one_row_with_its_reason_and_its_evidence() {
    let page = page(&sample::report());
    let row = between(&page, "<tbody id=\"gap-c10\"", "</details>");
    assert!(row.contains("data-study=\"GAP\" data-verdict=\"does-not-hold\""), "{row}");
    assert!(row.contains("does not hold<small>poor test</small>"), "{row}");
    let because = "<summary><b>Because</b> t4 over t1 is 1.34 [1.30, 1.38], where the claim requires less than 1.15.</summary>";
    assert!(row.contains(because), "{row}");
    for evidence in
        ["it rests on 1 visit", "<dt>test</dt>", "predicted before the run", "less than 1.15", "work=tg64"]
    {
        assert!(row.contains(evidence), "{evidence} is missing: {row}");
    }
    assert!(row.contains("<a href=\"#gap-10\">GAP-10</a>"), "an experiment of the report is linked");
    let untested = between(&page, "<tbody id=\"inv-c5\"", "</details>");
    assert!(
        !untested.contains("href=\"#inv-6\""),
        "an experiment that the report does not have is not: {untested}"
    );
    let holds = between(&page, "<tbody id=\"rb-c7\"", "</details>");
    assert!(
        holds.contains("as the claim requires: between 1.8 and 2.2.") && !holds.contains("<small>"),
        "{holds}"
    );
    assert_eq!(page.matches("<tbody id=").count(), 4);
}

#[test]
fn names_beside_marks_are_few_and_none_lie_on_each_other() {
    let page = page(&sample::report());
    for drawing in page.split("<svg ").skip(1).map(|f| f.split("</svg>").next().unwrap_or(f)) {
        let mut spots: Vec<(f64, f64, usize)> = Vec::new();
        for element in drawing.lines().filter(|l| l.contains("class=\"dot-name\"")) {
            let number = |key: &str| -> f64 {
                between(element, &format!(" {key}=\""), "\"").parse().expect("a number")
            };
            let name = between(element, ">", "<");
            let width = 7.4 * name.chars().count() as f64;
            let left =
                if element.contains("text-anchor=\"end\"") { number("x") - width } else { number("x") };
            spots.push((left, number("y"), name.len()));
        }
        assert!(spots.len() <= 12, "{} names", spots.len());
        for (i, a) in spots.iter().enumerate() {
            for b in &spots[i + 1..] {
                let (left, right) = if a.0 < b.0 { (a, b) } else { (b, a) };
                let apart = left.0 + 7.4 * left.2 as f64 <= right.0 || (a.1 - b.1).abs() >= 9.9;
                assert!(apart, "{a:?} lies on {b:?}");
            }
        }
    }
    assert!(page.matches("class=\"dot-name\"").count() > 8, "marks have names");
}

#[test]
fn every_axis_has_two_labels() {
    let page = page(&sample::report());
    for drawing in page.split("<svg ").skip(1).map(|f| f.split("</svg>").next().unwrap_or(f)) {
        let ticks: Vec<&str> = drawing.lines().filter(|l| l.contains("class=\"tick\"")).collect();
        let across = ticks.iter().filter(|l| l.contains("text-anchor=\"middle\"")).count();
        let up = ticks.iter().filter(|l| l.contains("text-anchor=\"end\"")).count();
        let has_heights = drawing.contains("polyline") || drawing.contains("class=\"roof");
        assert!(across > 1 && (up > 1 || !has_heights), "{ticks:?}");
    }
}

#[test]
fn columns_are_defined_under_the_table_that_has_them() {
    let page = page(&sample::report());
    let speed = between(&page, "<section id=\"speed\"", "</section>");
    assert_eq!(speed.matches("class=\"legend-line\">bound: the longest of memory").count(), 1, "{speed}");
    let text = markdown::markdown(&sample::report());
    assert!(text.contains("\nbound: the longest of memory"), "{text}");
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
        name: "<b>".to_owned(),
        model: "\"model".to_owned(),
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
fn every_figure_and_table_is_a_file_of_its_own() {
    let all = files(&sample::report());
    let names: BTreeSet<&str> = all.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "{names:?}");
    let of = |extension: &str| all.iter().filter(|file| file.name.ends_with(extension)).collect::<Vec<_>>();
    assert_eq!((of(".svg").len(), of(".vl.json").len(), of(".csv").len()), (7, 4, 5), "{names:?}");
    for name in [
        "ceilings-lines.svg",
        "roofline-roofline-tiny-draft.svg",
        "speed-table.csv",
        "roofline-roofline.vl.json",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    for File { name, text } in of(".svg") {
        assert!(
            text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\""),
            "{name}"
        );
        assert_eq!(text.matches("<style>").count(), 1, "{name}");
        assert!(text.contains("prefers-color-scheme: dark") && text.contains("svg .tick"), "{name}");
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{name}: the style is whole");
    }
    for File { name, text } in of(".vl.json") {
        let spec: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let data = spec["data"]["url"].as_str().expect("a file");
        assert_eq!(*data, name.replace(".vl.json", ".csv"));
        let csv = all.iter().find(|file| file.name == data).expect("it is there");
        let rows = csv.text.lines().count() - 1;
        assert!(rows > 1 && csv.text.lines().all(|line| line.split(',').count() >= 5), "{data}");
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
