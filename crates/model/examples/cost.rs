//! Records a forward pass without a GPU and prints the bytes it moves and the FLOPs it computes. One row per
//! module of the model, for one token at a given depth. The weights are random in a published shape, since
//! recording reads none.
//!
//! `cargo run -p ridgeline-model --example cost -- models/smollm2-135m.toml 1024`

use ridgeline_compute::{Caps, Cpu, Recording};
use ridgeline_model::{Model, Session, SessionOptions};
use ridgeline_quant::Format;
use ridgeline_speculative::Rows;
use ridgeline_weights::{Checkpoint, Shape};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let shape = args.next().unwrap_or_else(|| "models/smollm2-135m.toml".to_owned());
    let depth: usize = args.next().unwrap_or_else(|| "1024".to_owned()).parse()?;
    let shape = Shape::from_toml(&std::fs::read_to_string(shape)?)?;
    let checkpoint = Checkpoint::random(&shape, Format::HALF, 0)?;
    let mut cpu = Cpu::new(Caps::webgpu());
    let model = Arc::new(Model::load(&checkpoint, &mut cpu)?);
    let options = SessionOptions { context: depth + 1, ..SessionOptions::default() };
    let mut session = Session::new(model, Rc::new(RefCell::new(cpu)), options)?;
    session.set_kv_len(depth)?;
    let recording: &Recording = session.record(&[0], Rows::Last)?;
    let mut parts = BTreeMap::new();
    for step in recording.launches() {
        *parts.entry(step.region.module).or_insert(ridgeline_roofline::Cost::ZERO) +=
            recording.launch_cost(step);
    }
    print(&["part", "launches", "weights MB", "KV MB", "activations MB", "MFLOP", "FLOP/byte"]);
    for (part, cost) in parts.into_iter().chain([("total", recording.cost())]) {
        let mega = |n: u64| format!("{:.3}", n as f64 / 1e6);
        let intensity = cost.intensity().map_or_else(|| "-".to_owned(), |i| format!("{i:.2}"));
        let (kv, act) = (cost.kv_read + cost.kv_write, cost.activation_read + cost.activation_write);
        let cells =
            [cost.launches.to_string(), mega(cost.weights), mega(kv), mega(act), mega(cost.flops), intensity];
        print(&[&[part], &cells.each_ref().map(String::as_str)[..]].concat());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn print(cells: &[&str]) {
    println!("{}", cells.iter().map(|cell| format!("{cell:>15}")).collect::<String>());
}
