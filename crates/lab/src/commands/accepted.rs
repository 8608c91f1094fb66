//! Flags of llama.cpp that change nothing here. They are accepted, so that its command lines work, and each prints a line
//! that says what it means here.

use crate::globals::UsageError;
use crate::output;

/// Flags without an effect.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Accepted from llama.cpp, without effect")]
pub(crate) struct AcceptedArgs {
    /// Threads of the host. The model runs on the device, so that their number changes nothing
    #[arg(short, long, value_name = "N")]
    threads: Vec<String>,
    /// Threads of the host for prompts (also -tb), as -t
    #[arg(long, value_name = "N", hide = true)]
    threads_batch: Vec<String>,
    /// Layers on the GPU (also -ngl). All layers run on the device; `--device cpu` selects the CPU reference kernels
    #[arg(long, alias = "gpu-layers", value_name = "N", allow_negative_numbers = true)]
    n_gpu_layers: Vec<String>,
    /// Placement of the host's memory: distribute, isolate, numactl or mirror. Weights lie in the device's memory
    #[arg(long, value_name = "HOW")]
    numa: Vec<String>,
    /// Whether files are memory-mapped (also -mmp), which they always are; `--no-mmap` and `--mlock` change nothing either
    #[arg(long, value_name = "0|1", num_args = 0..=1, default_missing_value = "1")]
    mmap: Vec<String>,
    #[arg(long, num_args = 0, default_missing_value = "", hide = true)]
    no_mmap: Vec<String>,
    #[arg(long, num_args = 0, default_missing_value = "", hide = true)]
    mlock: Vec<String>,
    /// How a model is split over several GPUs (also -sm): none, layer or row. One device runs all of it
    #[arg(long, value_name = "HOW")]
    split_mode: Vec<String>,
    /// The first GPU (also -mg). `--device` selects the device
    #[arg(long, value_name = "N")]
    main_gpu: Vec<String>,
    /// Whether keys and values stay in the host's memory (also -nkvo): 0. They lie in the device's
    #[arg(long, value_name = "0|1", num_args = 0..=1, default_missing_value = "1")]
    no_kv_offload: Vec<String>,
    /// Whether embeddings are measured in place of logits (also -embd): 0
    #[arg(long, value_name = "0|1", num_args = 0..=1, default_missing_value = "1", hide = true)]
    embeddings: Vec<String>,
    /// Priority of the host's threads, as -t
    #[arg(long, value_name = "N", hide = true, allow_negative_numbers = true)]
    prio: Vec<String>,
    /// How far the host's threads poll for work, as -t
    #[arg(long, value_name = "N", hide = true)]
    poll: Vec<String>,
    /// Tensors on other devices (also -ot), which are refused
    #[arg(long, value_name = "PATTERN=DEVICE", hide = true)]
    override_tensor: Vec<String>,
}

/// Which items of a list llama.cpp takes, and what they are.
type Items = (fn(&str) -> bool, &'static str);

const COUNT: Items = (|it| it.parse::<u32>().is_ok(), "a number");
const THREADS: Items = (COUNT.0, "a number of threads");
const PRIORITY: Items = (|it| it.parse::<i32>().is_ok(), "a priority");
const LAYERS: Items =
    (|it| it.parse::<i32>().is_ok() || ["auto", "all"].contains(&it), "a number of layers, auto or all");
const BIT: Items = (|it| ["0", "1"].contains(&it), "0 or 1");
const PLACE: Items = (
    |it| ["distribute", "isolate", "numactl", "mirror", "disabled", "0", "1"].contains(&it),
    "distribute, isolate, numactl or mirror",
);
const SPLIT: Items = (|it| ["none", "layer", "row", "tensor"].contains(&it), "none, layer, row or tensor");
/// The item of a flag that takes no value.
const NOTHING: Items = (str::is_empty, "a flag without a value");
const PATTERN: Items = (|_| true, "a pattern");

/// A flag.
struct Flag {
    name: &'static str,
    values: fn(&AcceptedArgs) -> &[String],
    items: Items,
    /// Whether an item asks for another measurement than the one here.
    differs: fn(&str) -> bool,
    /// What an item means that changes nothing, or why one that differs is refused.
    meaning: &'static str,
}

const ON_DEVICE: &str = "the model runs on the device, and the host's threads change nothing";
const ALL_LAYERS: &str = "all layers run on the device, whatever their number; --device cpu selects the CPU reference \
                          kernels, which are slow";
const IN_DEVICE: &str = "weights lie in the device's memory, and this flag changes nothing";
const MAPPED: &str =
    "files are always memory-mapped, weights lie in the device's memory, and this flag changes nothing";

const FLAGS: [Flag; 14] = [
    flag("-t", |it| &it.threads, THREADS, never, ON_DEVICE),
    flag("-tb", |it| &it.threads_batch, THREADS, never, ON_DEVICE),
    flag("--prio", |it| &it.prio, PRIORITY, never, ON_DEVICE),
    flag("--poll", |it| &it.poll, COUNT, never, ON_DEVICE),
    flag("-ngl", |it| &it.n_gpu_layers, LAYERS, |it| it == "0", ALL_LAYERS),
    flag("--numa", |it| &it.numa, PLACE, never, IN_DEVICE),
    flag("--mmap", |it| &it.mmap, BIT, never, MAPPED),
    flag("--no-mmap", |it| &it.no_mmap, NOTHING, never, MAPPED),
    flag("--mlock", |it| &it.mlock, NOTHING, never, MAPPED),
    flag("-sm", |it| &it.split_mode, SPLIT, never, "one device runs the whole model, and nothing is split"),
    flag("-mg", |it| &it.main_gpu, COUNT, |it| it != "0", "choose the device by its name, with --device"),
    flag("-nkvo", |it| &it.no_kv_offload, BIT, |it| it == "1", "keys and values lie in the device's memory"),
    flag("-embd", |it| &it.embeddings, BIT, |it| it == "1", "logits are measured, not embeddings"),
    flag("-ot", |it| &it.override_tensor, PATTERN, |_| true, "one device holds all tensors; leave it out"),
];

const fn flag(
    name: &'static str,
    values: fn(&AcceptedArgs) -> &[String],
    items: Items,
    differs: fn(&str) -> bool,
    meaning: &'static str,
) -> Flag {
    Flag { name, values, items, differs, meaning }
}

const fn never(_: &str) -> bool {
    false
}

impl AcceptedArgs {
    /// Prints what the given flags mean here.
    ///
    /// # Errors
    /// A value is none that llama.cpp takes, or asks for another measurement, such as layers on the CPU.
    pub(crate) fn note(&self) -> Result<(), UsageError> {
        FLAGS.iter().try_for_each(|flag| flag.note((flag.values)(self)))
    }
}

impl Flag {
    fn note(&self, values: &[String]) -> Result<(), UsageError> {
        let Self { name, items: (valid, what), differs, meaning, .. } = self;
        for item in values.iter().flat_map(|it| it.split(',')) {
            if !valid(item) {
                return Err(UsageError(format!("{name} {item:?} is not {what}")));
            }
            if differs(item) {
                return Err(UsageError(format!("{name} {item} is not possible here: {meaning}")));
            }
        }
        if !values.is_empty() {
            output::note(&format!("{}: {meaning}", format!("{name} {}", values.join(",")).trim_end()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AcceptedArgs;

    #[test]
    fn only_values_that_change_nothing_are_accepted() {
        let of = |threads: &str, layers: &str, numa: &str| {
            let list = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
            AcceptedArgs {
                threads: list(threads),
                n_gpu_layers: list(layers),
                numa: list(numa),
                ..AcceptedArgs::default()
            }
            .note()
        };
        for (threads, layers, numa) in [
            ("", "", ""),
            ("8", "99", "isolate"),
            ("4,8", "-1", "numactl"),
            ("", "all", ""),
            ("", "10,20", ""),
        ] {
            assert!(of(threads, layers, numa).is_ok(), "{threads} {layers} {numa}");
        }
        let refused = |result: Result<(), _>, part: &str| {
            let error: crate::globals::UsageError = result.expect_err("it is not valid");
            assert!(error.to_string().contains(part), "{error}");
        };
        refused(of("many", "", ""), "-t \"many\"");
        refused(of("", "0", ""), "--device cpu");
        refused(of("", "99,0", ""), "-ngl 0");
        refused(of("", "x", ""), "-ngl \"x\"");
        refused(of("", "", "near"), "--numa \"near\"");
        let one = |text: &str| vec![text.to_owned()];
        let kept = AcceptedArgs {
            mmap: one("0"),
            mlock: one(""),
            split_mode: one("none,layer"),
            main_gpu: one("0"),
            no_kv_offload: one("0"),
            ..AcceptedArgs::default()
        };
        assert!(kept.note().is_ok());
        refused(AcceptedArgs { main_gpu: one("1"), ..AcceptedArgs::default() }.note(), "--device");
        refused(AcceptedArgs { no_kv_offload: one("0,1"), ..AcceptedArgs::default() }.note(), "-nkvo 1");
        refused(
            AcceptedArgs { override_tensor: one("ffn=CPU"), ..AcceptedArgs::default() }.note(),
            "-ot ffn=CPU",
        );
    }
}
