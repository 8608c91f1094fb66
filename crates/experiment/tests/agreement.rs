//! Agreement of two runs: equal cells agree, moved ones do not, and flipped verdicts are named.

mod support;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_experiment::agreement::agreement;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::register::conclude;
use ridgeline_experiment::verdict::{Outcome, Verdict};
use serde_json::json;
use support::visit;

const CELLS: u32 = 120;

/// A run of three visits a cell, whose pace differs by 8 % between visits and by 2 % between repetitions.
fn run(seed: u64, scale: impl Fn(u32) -> f64) -> Vec<Record> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    // Roughly normal: the sum of twelve uniform numbers.
    let mut normal = || (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0;
    let mut records = Vec::new();
    for cell in 0..CELLS {
        for round in 0..3 {
            let pace = (0.08 * normal()).exp() * scale(cell);
            let times = std::array::from_fn::<f64, 5, _>(|_| {
                1e5 * f64::from(cell + 1) * pace * (0.02 * normal()).exp()
            });
            let times: Vec<u64> =
                times.iter().map(|t| format!("{t:.0}").parse().expect("a number")).collect();
            records.push(visit("pass", json!({ "model": format!("m{cell}") }), round, &times));
        }
    }
    records
}

#[test]
fn equal_runs_agree_in_95_percent_of_cells() {
    let shares: Vec<f64> = (0..10)
        .map(|i| {
            let found = agreement(&run(2 * i, |_| 1.0), &run(2 * i + 1, |_| 1.0), [&[], &[]]);
            assert_eq!(found.cells.len(), CELLS as usize);
            assert!(
                found.half_width().is_some_and(|half| (0.08..0.2).contains(&half)),
                "{:?}",
                found.half_width()
            );
            found.share().expect("cells")
        })
        .collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    assert!((0.93..=0.99).contains(&mean), "{shares:?}");
}

#[test]
fn cells_that_moved_do_not_agree() {
    let found = agreement(&run(1, |_| 1.0), &run(2, |cell| if cell < 30 { 1.6 } else { 1.0 }), [&[], &[]]);
    let moved: Vec<&str> = found.cells.iter().filter(|it| !it.agrees()).map(|it| it.label.as_str()).collect();
    let of_the_30 = (0..30).filter(|cell| moved.contains(&&*format!("pass model=m{cell}"))).count();
    assert!(of_the_30 >= 28, "{moved:?}");
    assert!(found.share().is_some_and(|share| (0.65..0.8).contains(&share)), "{:?}", found.share());
    assert!(agreement(&[], &run(1, |_| 1.0), [&[], &[]]).share().is_none(), "no cell in common");
}

#[test]
fn only_decided_verdicts_flip() {
    let published = Published::load().expect("published numbers");
    let verdicts = conclude(&[], &Data::new(&[], None, &published), &[], 0.0).expect("no records").verdicts;
    let with = |outcome| -> Vec<Verdict> {
        let mut verdicts = verdicts.clone();
        verdicts[0].outcome = outcome;
        verdicts
    };
    let flips = |a, b| agreement(&[], &[], [&with(a), &with(b)]).flipped;
    assert_eq!(flips(Outcome::Holds, Outcome::DoesNotHold), [verdicts[0].claim.clone()]);
    assert!(flips(Outcome::Holds, Outcome::Undecided).is_empty());
    assert!(flips(Outcome::DoesNotHold, Outcome::DoesNotHold).is_empty());
}
