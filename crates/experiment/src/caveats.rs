//! Reasons why a run is a poor test of a claim: its device, its models, its number of visits, its controls.

use crate::data::Data;
use crate::record::Record;
use crate::report::number;
use crate::study::Value;

/// Bytes of the weights of the largest model below which a model is no stand-in for those of the studies.
///
/// The smallest model that a study measures is SmolVLM2-256M in half precision, 0.5 GB.
const SMALL_MODEL: u64 = 250_000_000;

/// Visits below which an interval rests on the assumed variance more than on the measured one.
const FEW_VISITS: usize = 3;

/// Error of the controls from which equal work took unequal time.
const LARGE_CONTROL: f64 = 0.05;

/// The reasons, one clause each. `values` are those that the claim compares.
pub(crate) fn caveats(values: &[&Value], data: &Data<'_>, control: f64) -> Vec<String> {
    let newest = data.cells().iter().filter_map(|visits| visits.last().copied());
    let behind: Vec<&Record> =
        newest.filter(|record| values.iter().any(|value| value.evidence.contains(&record.cell_id))).collect();
    let timed = values.iter().any(|value| value.per_time.abs() > 0.0);
    let mut found = Vec::new();
    if timed && behind.iter().any(|record| record.machine.device_type == "software") {
        found.push(
            "its times are those of a software adapter, whose memory and launches are the processor's and no GPU's"
                .to_owned(),
        );
    }
    if let Some((name, bytes)) = largest(&behind).filter(|(_, bytes)| *bytes < SMALL_MODEL) {
        found.push(format!(
            "its largest model, {name}, has {} of weights, where those of the studies have at least 0.5 GB",
            number::si(bytes as f64, "B")
        ));
    }
    if let Some(name) = behind.iter().find_map(|record| Some(name(record)).filter(|name| name.contains('@')))
    {
        found.push(format!("{name} has a number of layers that its published shape does not have"));
    }
    if let Some(record) = behind.iter().find(|record| record.row.get("cut").is_some()) {
        found.push(format!("{} was measured with fewer layers, and extrapolated", name(record)));
    }
    let visits = values.iter().map(|value| value.visits).min().unwrap_or(FEW_VISITS);
    if timed && visits < FEW_VISITS {
        let plural = if visits == 1 { "visit" } else { "visits" };
        found.push(format!("it rests on {visits} {plural}, and on what other cells say of the variance"));
    }
    if timed && control > LARGE_CONTROL {
        found
            .push(format!("equal work took unequal time in this run, by up to {}", number::percent(control)));
    }
    found
}

/// Name and bytes of the largest model behind the records; `None` where none has a model.
fn largest<'a>(records: &[&'a Record]) -> Option<(&'a str, u64)> {
    let sizes = records.iter().filter_map(|record| Some((name(record), record.model.as_ref()?.bytes)));
    sizes.max_by_key(|it| it.1)
}

/// The model's name in the matrix, which a file in a cache does not have.
fn name(record: &Record) -> &str {
    record.point.get("model").and_then(|it| it.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::caveats;
    use crate::data::Data;
    use crate::published::Published;
    use crate::record::{Build, MachineId, ModelId, Record, SCHEMA, Status};
    use crate::study::Value;
    use ridgeline_roofline::Measured;
    use serde_json::json;

    fn record(model: &str, bytes: u64, device_type: &str) -> Record {
        Record {
            schema: SCHEMA.to_owned(),
            run_id: String::new(),
            cell_id: "cell".to_owned(),
            measure: "pass".to_owned(),
            studies: Vec::new(),
            visit: 0,
            point: json!({ "model": model }),
            status: Status::Ok,
            reason: None,
            row: json!(null),
            samples_ns: vec![1_000],
            check: None,
            machine: MachineId { device_type: device_type.to_owned(), ..MachineId::default() },
            build: Build::default(),
            model: Some(ModelId { name: "cached".to_owned(), hash: None, bytes }),
            argv: Vec::new(),
            seed: 0,
            started_utc: String::new(),
            duration_s: 0.0,
        }
    }

    fn found(record: Record, per_time: f64, visits: usize, control: f64) -> Vec<String> {
        let value = Value {
            name: "ratio",
            what: String::new(),
            value: Measured::exact(1.0),
            per_time,
            visits,
            evidence: vec!["cell".to_owned()],
        };
        let (records, published) = ([record], Published::default());
        caveats(&[&value], &Data::new(&records, None, &published), control)
    }

    #[test]
    fn a_large_model_on_a_gpu_is_a_fair_test() {
        assert!(found(record("mistral-7b", 4 << 30, "discrete"), 1.0, 3, 0.01).is_empty());
    }

    #[test]
    fn each_reason_is_named_where_it_applies() {
        let software = found(record("tiny-target", 8 << 20, "software"), 1.0, 2, 0.2);
        assert_eq!(software.len(), 4, "{software:?}");
        assert!(software[0].contains("software adapter") && software[1].contains("tiny-target, has 8.39 MB"));
        assert!(software[2].contains("2 visits") && software[3].contains("20.0 %"), "{software:?}");
        let cut = found(record("mistral-7b@2", 1 << 30, "discrete"), 1.0, 3, 0.0);
        assert!(cut.len() == 1 && cut[0].contains("mistral-7b@2"), "{cut:?}");
        let line = Record { row: json!({ "cut": {} }), ..record("mistral-7b", 4 << 30, "discrete") };
        let line = found(line, 1.0, 3, 0.0);
        assert!(line.len() == 1 && line[0].contains("extrapolated"), "{line:?}");
    }

    #[test]
    fn a_count_does_not_depend_on_the_device() {
        assert!(found(record("mistral-7b", 4 << 30, "software"), 0.0, 1, 0.5).is_empty());
    }
}
