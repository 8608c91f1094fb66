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
    #[arg(long, num_args = 0, default_missing_value = "1", hide = true)]
    no_mmap: Vec<String>,
    #[arg(long, num_args = 0, default_missing_value = "1", hide = true)]
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

/// A flag: its values, and what they mean here.
struct Flag {
    name: &'static str,
    of: fn(&AcceptedArgs) -> &[String],
    /// Whether llama.cpp takes an item.
    valid: fn(&str) -> bool,
    /// What a valid item is.
    what: &'static str,
    /// Whether an item asks for another measurement than the one here.
    differs: fn(&str) -> bool,
    /// What an item means that changes nothing, or why one that differs is refused.
    meaning: &'static str,
}

const ON_DEVICE: &str = "the model runs on the device, so that the host's threads change nothing";
const MAPPED: &str =
    "files are memory-mapped, and weights lie in the device's memory, so that it changes nothing";

const FLAGS: [Flag; 14] = [
    flag("-t", |it| &it.threads, is_count, "a number of threads", never, ON_DEVICE),
    flag("-tb", |it| &it.threads_batch, is_count, "a number of threads", never, ON_DEVICE),
    flag("--prio", |it| &it.prio, is_integer, "a priority", never, ON_DEVICE),
    flag("--poll", |it| &it.poll, is_count, "a number", never, ON_DEVICE),
    flag(
        "-ngl",
        |it| &it.n_gpu_layers,
        |it| is_integer(it) || ["auto", "all"].contains(&it),
        "a number of layers, auto or all",
        |it| it == "0",
        "all layers run on the device, whatever their number; --device cpu selects the CPU reference kernels, which are slow",
    ),
    flag(
        "--numa",
        |it| &it.numa,
        |it| ["distribute", "isolate", "numactl", "mirror", "disabled", "0", "1"].contains(&it),
        "distribute, isolate, numactl or mirror",
        never,
        "weights lie in the device's memory, so that it changes nothing",
    ),
    flag("--mmap", |it| &it.mmap, is_bit, "0 or 1", never, MAPPED),
    flag("--no-mmap", |it| &it.no_mmap, is_bit, "0 or 1", never, MAPPED),
    flag("--mlock", |it| &it.mlock, is_bit, "0 or 1", never, MAPPED),
    flag(
        "-sm",
        |it| &it.split_mode,
        |it| ["none", "layer", "row", "tensor"].contains(&it),
        "none, layer, row or tensor",
        never,
        "one device runs the whole model, so that nothing is split",
    ),
    flag(
        "-mg",
        |it| &it.main_gpu,
        is_count,
        "a number",
        |it| it != "0",
        "--device selects the device by its name",
    ),
    flag(
        "-nkvo",
        |it| &it.no_kv_offload,
        is_bit,
        "0 or 1",
        |it| it == "1",
        "keys and values lie in the device's memory",
    ),
    flag(
        "-embd",
        |it| &it.embeddings,
        is_bit,
        "0 or 1",
        |it| it == "1",
        "logits are measured, not embeddings",
    ),
    flag(
        "-ot",
        |it| &it.override_tensor,
        |_| true,
        "",
        |_| true,
        "one device holds all tensors; leave it out",
    ),
];

const fn flag(
    name: &'static str,
    of: fn(&AcceptedArgs) -> &[String],
    valid: fn(&str) -> bool,
    what: &'static str,
    differs: fn(&str) -> bool,
    meaning: &'static str,
) -> Flag {
    Flag { name, of, valid, what, differs, meaning }
}

fn is_count(item: &str) -> bool {
    item.parse::<u32>().is_ok()
}

fn is_integer(item: &str) -> bool {
    item.parse::<i32>().is_ok()
}

fn is_bit(item: &str) -> bool {
    ["0", "1"].contains(&item)
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
        FLAGS.iter().try_for_each(|flag| flag.note((flag.of)(self)))
    }
}

impl Flag {
    fn note(&self, values: &[String]) -> Result<(), UsageError> {
        let Self { name, what, meaning, .. } = self;
        for item in values.iter().flat_map(|it| it.split(',')) {
            if !(self.valid)(item) {
                return Err(UsageError(format!("{name} {item:?} is not {what}")));
            }
            if (self.differs)(item) {
                return Err(UsageError(format!("{name} {item} is not possible here: {meaning}")));
            }
        }
        if !values.is_empty() {
            output::note(&format!("{name} {}: {meaning}", values.join(",")));
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
            mlock: one("1"),
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
