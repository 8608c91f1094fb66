//! GAP-9: the share of each part of a decode step, by leaving it out in context, and by the launch clocks as a check.

use super::decode::belongs;
use crate::measures::{launch, pass, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::{Align, Table};
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_measure::profile::Profiled;
use ridgeline_model::{Part, Switches};
use ridgeline_roofline::Measured;

type Launches<'a> = Entry<'a, launch::Point, Profiled>;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-9",
    title: "Ablation in context",
    question: "Which share of a decode step does each part have, and do the shares sum to one?",
    about: "The study's framework is lazy: without attention its step is shorter than reading the MLP's weights takes, so that \
            more was dropped than attention (X-GAP-9). Here an ablated part launches nothing, and all other launches run.",
    values: &["share_attention_and_mlp", "share_norm", "share_rope", "share_sum"],
    conclude,
};

/// Parts that are left out together: name, and members.
const ABLATED: [(&str, &[Part]); 7] = [
    ("embedding", &[Part::Embed]),
    ("norms", &[Part::Norm]),
    ("projections", &[Part::Projection]),
    ("RoPE", &[Part::Rope]),
    ("attention and KV write", &[Part::Attention, Part::KvWrite]),
    ("MLP", &[Part::Mlp]),
    ("head", &[Part::Head]),
];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?;
    let launches = data.rows::<launch::Kind>()?;
    let baselines = rows.clone().filter(|p| {
        let ablated = pass::Point { switches: without(p.switches, &[Part::Mlp]), ..p.clone() };
        p.switches.ablate.is_empty() && rows.find(|q| *q == ablated).is_some()
    });
    for baseline in &baselines {
        let point = &baseline.point;
        let of = (&point.model, &point.format, point.depth, point.switches);
        let clock = launches.find(|p| (&p.model, &p.format, p.depth, p.switches) == of);
        let caption = format!("{} @ d{}: shares of a decode step.", title(of.0, of.1), of.2);
        let titles = ["part", "share by ablation", "95 % interval", "share by launch clock", "agree"];
        let mut table = Table::new(caption, titles.map(|it| (it, Align::Left)));
        let mut shares: Vec<(&str, Measured)> = Vec::new();
        let mut evidence = baseline.evidence();
        for (name, parts) in ABLATED {
            let ablated = pass::Point { switches: without(point.switches, parts), ..point.clone() };
            let Some(ablated) = rows.find(|p| *p == ablated) else { continue };
            let Some(ratio) = ablated.time_over(baseline) else { continue };
            let share = ratio.map(|ratio| 1.0 - ratio);
            evidence = evidence.and(&ablated.evidence());
            let timed = clock.and_then(|clock| clock_share(clock, parts));
            table.push(cells(name, share, timed));
            shares.push((name, share));
        }
        chapter.table(table);
        values(&mut chapter, &title(&point.model, &point.format), &shares, &evidence);
    }
    Ok(chapter)
}

/// Switches with further parts ablated.
fn without(switches: Switches, parts: &[Part]) -> Switches {
    Switches { ablate: parts.iter().fold(switches.ablate, |set, part| set.with(*part)), ..switches }
}

/// Share of the isolated launch times that belongs to these parts.
fn clock_share(clock: &Launches<'_>, parts: &[Part]) -> Option<Measured> {
    let share = |row: &Profiled| {
        let own: f64 =
            row.launches.iter().filter(|l| belongs(l, parts)).map(|l| l.count as f64 * l.seconds.value).sum();
        Some(own / row.total_s()).filter(|share| *share > 0.0)
    };
    clock.over_visits(share)
}

fn cells(name: &str, share: Measured, timed: Option<Measured>) -> [String; 5] {
    let percent = |x: f64| format!("{:.1} %", 100.0 * x);
    let interval = |m: Measured| format!("{} – {}", percent(m.lo), percent(m.hi));
    let agree = timed.map(|timed| {
        let gap = (share.lo - timed.hi).max(timed.lo - share.hi);
        if gap <= 0.0 { "yes".to_owned() } else { format!("no, by {}", percent(gap)) }
    });
    let clock = timed.map(|m| format!("{} [{}]", percent(m.value), interval(m)));
    let dash = || "–".to_owned();
    [
        name.to_owned(),
        percent(share.value),
        interval(share),
        clock.unwrap_or_else(dash),
        agree.unwrap_or_else(dash),
    ]
}

/// The values of the claim. The interval of a sum adds the ends, which is the widest.
fn values(chapter: &mut Chapter, what: &str, shares: &[(&str, Measured)], evidence: &Evidence) {
    let add =
        |a: Measured, b: Measured| Measured { value: a.value + b.value, lo: a.lo + b.lo, hi: a.hi + b.hi };
    let mut value = |name: &'static str, parts: &[&str]| {
        let own: Vec<Measured> = shares.iter().filter(|it| parts.contains(&it.0)).map(|it| it.1).collect();
        let complete = own.len() == parts.len();
        // A share is one minus a ratio of times.
        let per_time = own.iter().map(|share| 1.0 - share.value).sum();
        let sum = own.into_iter().reduce(add).filter(|_| complete);
        chapter.add(name, what.to_owned(), (sum, per_time), evidence);
    };
    value("share_attention_and_mlp", &["attention and KV write", "MLP"]);
    value("share_norm", &["norms"]);
    value("share_rope", &["RoPE"]);
    value("share_sum", &ABLATED.map(|it| it.0));
}
