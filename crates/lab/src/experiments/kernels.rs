//! Every kernel of a forward pass on its own, at the shapes that the pass gives it, against its own roof.
//!
//! The launches are those that the model records: each distinct one is repeated over the same buffers and timed by
//! slope, so that its working set is its own bytes. A pass finds fewer of them in the cache.

use crate::lab::Lab;
use crate::probe::{Clock, Timer, Unit, blocks, typical};
use ridgeline_compute::{Executor, Recording};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::Check;
use ridgeline_experiment::report::{Align, Block, Dot, Roofline, Section, Table, number};
use ridgeline_model::SessionOptions;
use ridgeline_quant::Format;
use ridgeline_roofline::{Cost, Machine, Measured, Prediction, Regime, check_floor};
use ridgeline_speculative::Rows;
use serde::{Deserialize, Serialize};

/// One forward pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Number format of its matrices.
    pub format: String,
    /// Tokens in the pass.
    pub tokens: usize,
    /// Tokens in the cache before it.
    pub depth: usize,
}

/// One distinct launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// Name of the kernel.
    pub kernel: String,
    /// Its variant.
    pub variant: String,
    /// The part of the model.
    pub part: String,
    /// How often the pass launches it.
    pub count: u64,
    /// Workgroups per dimension.
    pub grid: [u32; 3],
    /// What one launch costs.
    pub cost: Cost,
    /// Seconds of one launch.
    pub seconds: Measured,
    /// The seconds of each block.
    pub blocks: Vec<f64>,
}

/// The launches of a pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// In the order of their first appearance.
    pub launches: Vec<Launch>,
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<Lab> for Study {
    const NAME: &'static str = "kernels";
    type Point = Point;
    type Row = Row;

    fn run(lab: &mut Lab, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        if !lab.measures() {
            return Err(RunError::skip("the CPU twins are an oracle; their speed means nothing"));
        }
        let format: Format = point.format.parse().map_err(crate::Error::from)?;
        let loaded = lab.load(&point.model, Some(format))?;
        let (context, batch) = (point.depth + point.tokens, point.tokens);
        let mut session = lab.session(&loaded, SessionOptions { context, batch, ..SessionOptions::default() })?;
        session.assume(point.depth).map_err(crate::Error::from)?;
        // Distinct tokens, so that the embedding rows counted are the rows read.
        let tokens: Vec<u32> = (0..).take(point.tokens).collect();
        let pass = session.record(&tokens, Rows::Last).map_err(crate::Error::from)?.clone();
        let mut device = lab.device.borrow_mut();
        // One whole pass fills the buffers that the launches read.
        device.run(&pass).map_err(crate::Error::from)?;
        let (row, block_ns) = time(&mut Timer::new(&mut device).map_err(RunError::failed)?, &pass, budget)
            .map_err(RunError::failed)?;
        let check = lab.machine.as_ref().map(|machine| row.check(machine));
        Ok(Measurement { row, samples_ns: block_ns, check, model: Some(loaded.id.clone()) })
    }

    fn summarise(entries: &[Entry<'_, Point, Row>], context: &Context<'_>) -> Vec<Section> {
        if entries.is_empty() {
            return Vec::new();
        }
        let intro = "Each distinct launch of a forward pass, repeated on its own over the same buffers and timed by \
                     slope: its working set is its own bytes, and the launch itself is part of the time. The share of the \
                     pass is that of the sum over all launches.";
        let mut section = Section::new("Kernels", intro);
        if let Some(machine) = context.machine {
            let dots = entries.iter().flat_map(|e| dots(&e.point, &e.row, machine)).collect();
            let caption = "Kernels that take at least a twentieth of their pass.".to_owned();
            let figure = Roofline { caption, dots, ..Roofline::default() };
            section = section.with(Block::Roofline(figure));
        }
        for entry in entries {
            section = section.with(Block::Table(table(&entry.point, &entry.row, context.machine)));
        }
        vec![section]
    }
}

/// Times every distinct launch of a pass.
fn time(
    timer: &mut Timer<'_>,
    pass: &Recording,
    budget: &Budget,
) -> Result<(Row, Vec<u64>), crate::probe::Error> {
    let mut launches: Vec<Launch> = Vec::new();
    let mut units: Vec<Unit> = Vec::new();
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    for step in pass.steps() {
        let (kernel, params) = (pass.kernel(step), pass.params(step));
        let key = (kernel.label(), params.to_vec());
        if let Some(i) = seen.iter().position(|s| *s == key) {
            launches[i].count += 1;
            continue;
        }
        let mut work = Recording::new();
        work.enter(step.region);
        work.run_erased(kernel, params, pass.slices(step));
        units.push(timer.unit(&work)?);
        launches.push(Launch {
            kernel: kernel.name().to_owned(),
            variant: kernel.label(),
            part: step.region.part.to_owned(),
            count: 1,
            grid: step.grid,
            cost: pass.step_cost(step),
            seconds: Measured::exact(0.0),
            blocks: Vec::new(),
        });
        seen.push(key);
    }
    let measured = blocks(timer, &units, Clock::Device, budget)?;
    for (launch, seconds) in launches.iter_mut().zip(measured.seconds) {
        launch.seconds = typical(&seconds).ok_or(crate::probe::Error::NoBlocks)?;
        launch.blocks = seconds;
    }
    Ok((Row { launches }, measured.block_ns))
}

impl Launch {
    /// What one launch should take: it is alone with its own bytes, and the slope has no submission in it.
    fn prediction(&self, machine: &Machine) -> Prediction {
        machine.predict(&self.cost, Regime::new(self.cost.bytes()).submissions(0))
    }

    /// Achieved rate of something there is `n` of.
    fn rate(&self, n: u64) -> Measured {
        let n = n as f64;
        let Measured { value, lo, hi } = self.seconds;
        Measured { value: n / value, lo: n / hi, hi: n / lo.max(f64::MIN_POSITIVE) }
    }

    /// Name, part and shape of the grid.
    fn label(&self) -> String {
        let [x, y, z] = self.grid;
        format!("{} ({}, {} groups)", self.kernel, self.part, u64::from(x) * u64::from(y) * u64::from(z))
    }
}

impl Row {
    /// Seconds of all launches of the pass, each at its own pace.
    fn total_s(&self) -> f64 {
        self.launches.iter().map(|l| l.count as f64 * l.seconds.value).sum()
    }

    fn share(&self, launch: &Launch) -> f64 {
        launch.count as f64 * launch.seconds.value / self.total_s()
    }

    /// Whether no launch beats its floor, the fastest block counted.
    fn check(&self, machine: &Machine) -> Check {
        let mut beaten = Vec::new();
        for launch in &self.launches {
            let fastest = launch.blocks.iter().copied().fold(f64::INFINITY, f64::min);
            if let Err(error) = check_floor(fastest, launch.prediction(machine).floor_s) {
                beaten.push(format!("{}: {error}", launch.variant));
            }
        }
        let detail = if beaten.is_empty() {
            format!("{} launches at or above their floors", self.launches.len())
        } else {
            beaten.join("; ")
        };
        Check { kind: "floor".to_owned(), ok: beaten.is_empty(), detail }
    }
}

fn dots(point: &Point, row: &Row, machine: &Machine) -> Vec<Dot> {
    let large = row.launches.iter().filter(|l| row.share(l) >= 0.05 && l.cost.flops > 0);
    let dot = |launch: &Launch| {
        let prediction = launch.prediction(machine);
        Some(Dot {
            label: format!("{} of {} {}, {} tokens", launch.label(), point.model, point.format, point.tokens),
            group: launch.kernel.clone(),
            intensity: launch.cost.intensity()?,
            flops_per_s: launch.rate(launch.cost.flops),
            bound: Some(prediction.bound),
            roof_fraction: Some(prediction.roof_fraction(launch.seconds.value)),
        })
    };
    large.filter_map(dot).collect()
}

fn table(point: &Point, row: &Row, machine: Option<&Machine>) -> Table {
    let caption = format!(
        "{} {}, {} tokens after {}: {} in all launches.",
        point.model,
        point.format,
        point.tokens,
        point.depth,
        number::si(row.total_s(), "s")
    );
    let columns = [
        ("launch", Align::Left),
        ("times", Align::Right),
        ("each", Align::Right),
        ("interval", Align::Right),
        ("of the pass", Align::Right),
        ("bandwidth", Align::Right),
        ("arithmetic", Align::Right),
        ("of its roof", Align::Right),
        ("bound", Align::Left),
    ];
    let mut table = Table::new(caption, columns);
    for launch in &row.launches {
        let prediction = machine.map(|m| launch.prediction(m));
        let seconds = launch.seconds;
        table.push([
            launch.label(),
            launch.count.to_string(),
            number::si(seconds.value, "s"),
            number::si_range(seconds.lo, seconds.hi, "s"),
            number::percent(row.share(launch)),
            number::si(launch.rate(launch.cost.bytes()).value, "B/s"),
            number::si(launch.rate(launch.cost.flops).value, "FLOP/s"),
            prediction.map_or(String::new(), |p| number::percent(p.roof_fraction(seconds.value))),
            prediction.map_or(String::new(), |p| p.bound.to_string()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Launch, Row};
    use ridgeline_roofline::{Cost, Machine, Measured};

    fn launch(seconds: f64) -> Launch {
        Launch {
            kernel: "k".to_owned(),
            variant: "K { lanes: 64 }".to_owned(),
            part: "mlp".to_owned(),
            count: 3,
            grid: [4, 2, 1],
            cost: Cost { weights: 1000, flops: 10, launches: 1, ..Cost::ZERO },
            seconds: Measured::exact(seconds),
            blocks: vec![seconds, 1.1 * seconds],
        }
    }

    #[test]
    fn a_launch_that_beats_its_floor_fails_the_row() {
        // A thousand bytes at a kilobyte per second are a second, with 2 % to spare.
        let machine = Machine::flat("m", 1e3, 1e6).expect("positive");
        let slow = Row { launches: vec![launch(0.99)] }.check(&machine);
        assert!(slow.ok, "{}", slow.detail);
        let fast = Row { launches: vec![launch(2.0), launch(0.9)] }.check(&machine);
        assert!(!fast.ok && fast.detail.contains("K { lanes: 64 }"), "{}", fast.detail);
    }

    #[test]
    fn shares_count_every_launch() {
        let row = Row { launches: vec![launch(1.0), launch(3.0)] };
        assert!((row.share(&row.launches[1]) - 0.75).abs() < 1e-12);
        assert_eq!(row.launches[0].label(), "k (mlp, 8 groups)");
        assert!((row.launches[0].rate(1000).value - 1000.0).abs() < 1e-9);
    }
}
