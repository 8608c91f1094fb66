//! The register of claims: one row a claim, its reason in one sentence, and its evidence behind it.

use super::super::svg::escape;
use super::super::{ClaimLink, number};
use super::Place;
use crate::because::plain;
use crate::verdict::{Comparison, Outcome, Verdict};
use std::fmt::Write;

/// The four outcomes, in the order of the filter.
const OUTCOMES: [Outcome; 4] =
    [Outcome::Holds, Outcome::DoesNotHold, Outcome::Undecided, Outcome::CannotBeTested];

/// The register. Without the script every row is visible, and there is no filter.
pub(super) fn register(verdicts: &[Verdict], place: &Place<'_>) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let mut text = filter(verdicts);
    text += "<table class=\"register sortable\" role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\">";
    for heading in ["claim", "statement", "published", "here", "verdict"] {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "<th scope=\"col\" role=\"columnheader\">{heading}</th>");
    }
    text += "</tr></thead>\n";
    for verdict in verdicts {
        text += &row(verdict, place);
    }
    text + "</table>\n"
}

/// Two selections and the number of rows in sight; the script shows them.
fn filter(verdicts: &[Verdict]) -> String {
    let option =
        |value: &str, name: &str| format!("<option value=\"{}\">{}</option>", escape(value), escape(name));
    let mut studies: Vec<&str> = verdicts.iter().map(study).collect();
    studies.dedup();
    let studies: String = studies.into_iter().map(|it| option(it, it)).collect();
    let outcomes: String = OUTCOMES.iter().map(|it| option(class(*it), it.label())).collect();
    format!(
        "<form class=\"filter\" hidden>\n\
         <label>Study <select name=\"study\"><option value=\"\">all</option>{studies}</select></label>\n\
         <label>Verdict <select name=\"verdict\"><option value=\"\">all</option>{outcomes}</select></label>\n\
         <button type=\"reset\">Show all</button>\n<output>{n} of {n} claims</output>\n</form>\n",
        n = verdicts.len()
    )
}

fn row(v: &Verdict, place: &Place<'_>) -> String {
    let (class, claim) = (class(v.outcome), escape(&v.claim));
    let id = place.anchor(&v.claim);
    let standing = v.standing().map_or_else(String::new, |it| format!("<small>{it}</small>"));
    format!(
        "<tbody id=\"{id}\" role=\"rowgroup\" data-study=\"{}\" data-verdict=\"{class}\">\n\
         <tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><a href=\"#{id}\">{claim}</a></th>\
         <td role=\"cell\" class=\"statement\">{}</td>\
         <td role=\"cell\" data-label=\"published\">{}</td><td role=\"cell\" data-label=\"here\">{}</td>\
         <td role=\"cell\" class=\"outcome {class}\">{}{standing}</td></tr>\n\
         <tr role=\"row\" class=\"why\"><td role=\"cell\" colspan=\"5\"><details><summary><b>Because</b> {}</summary>\n{}\
         </details></td></tr>\n</tbody>\n",
        escape(study(v)),
        escape(&v.text),
        escape(&v.published),
        escape(&v.short()),
        v.outcome.label(),
        escape(&v.sentence()),
        evidence(v, place)
    )
}

/// What is behind a verdict: caveats, the test, the compared values, the prediction, and the cells.
fn evidence(v: &Verdict, place: &Place<'_>) -> String {
    let mut text = String::new();
    if !v.caveats.is_empty() {
        let caveats: String = v.caveats.iter().map(|it| format!("<li>{}</li>", escape(it))).collect();
        let _ = write!(text, "<p>This run is a poor test of the claim:</p>\n<ul>{caveats}</ul>\n");
    }
    if !v.comparisons.is_empty() {
        text += &comparisons(&v.comparisons);
    }
    let predicted = format!("{}: {}", v.prediction.outcome.label(), v.prediction.why);
    let experiment = if place.has(&v.study) {
        format!("<a href=\"#{}\">{}</a>", place.anchor(&v.study), escape(&v.study))
    } else {
        escape(&v.study)
    };
    let list = |all: &[String]| all.iter().map(|it| escape(it)).collect::<Vec<_>>().join("<br>");
    let facts = [
        ("test", escape(&v.test)),
        ("experiment", experiment),
        ("predicted before the run", escape(&predicted)),
        ("recomputed from published data", v.recomputed.as_deref().map_or_else(String::new, escape)),
        ("beside it", list(&v.beside)),
        ("cells", list(&v.evidence)),
    ];
    text += "<dl class=\"facts\">\n";
    for (key, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "<div><dt>{key}</dt><dd>{value}</dd></div>");
    }
    text + "</dl>\n"
}

fn comparisons(all: &[Comparison]) -> String {
    let mut text = "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">value</th><th scope=\"col\" class=\"right\">here</th>\
                    <th scope=\"col\" class=\"right\">95 % interval</th><th scope=\"col\" class=\"right\">visits</th>\
                    <th scope=\"col\">required</th><th scope=\"col\">result</th></tr></thead>\n<tbody>\n"
        .to_owned();
    let digits = |x: f64| number::digits(x, 3);
    for it in all {
        let visits = it.n.map_or_else(|| "–".to_owned(), |n| n.to_string());
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}</th><td class=\"right\">{}</td><td class=\"right\">{} – {}</td>\
             <td class=\"right\">{visits}</td><td>{}</td><td>{}</td></tr>",
            escape(&plain(&it.what)),
            digits(it.value.value),
            digits(it.value.lo),
            digits(it.value.hi),
            escape(&it.unit.range(it.range)),
            it.outcome().label()
        );
    }
    text + "</tbody>\n</table></div>\n"
}

/// Claims that an experiment decides, as links to the register.
pub(super) fn links(links: &[ClaimLink], place: &Place<'_>) -> String {
    let link = |it: &ClaimLink| {
        format!(
            "<a href=\"#{}\">{}</a> <span class=\"outcome {}\">{}</span>",
            place.anchor(&it.claim),
            escape(&it.claim),
            class(it.outcome),
            it.outcome.label()
        )
    };
    let all: Vec<String> = links.iter().map(link).collect();
    format!("<p class=\"claims\">Decides: {}</p>\n", all.join(", "))
}

/// Prefix of the study of a claim, such as `GAP`.
fn study(verdict: &Verdict) -> &str {
    verdict.claim.split('-').next().unwrap_or_default()
}

const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::DoesNotHold => "does-not-hold",
        Outcome::Undecided => "undecided",
        Outcome::CannotBeTested => "cannot-be-tested",
    }
}
