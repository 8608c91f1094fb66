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
}

impl AcceptedArgs {
    /// Prints what the given flags mean here.
    ///
    /// # Errors
    /// A value is none that llama.cpp takes, or asks for layers on the CPU, which would be another measurement.
    pub(crate) fn note(&self) -> Result<(), UsageError> {
        for (flag, values) in [("-t", &self.threads), ("-tb", &self.threads_batch)] {
            let threads = |it: &str| it.parse::<u32>().is_ok();
            each(flag, values, threads, "a number of threads")?;
            said(flag, values, "the model runs on the device, so that the number of threads changes nothing");
        }
        let layers = |it: &str| it.parse::<i32>().is_ok() || ["auto", "all"].contains(&it);
        each("-ngl", &self.n_gpu_layers, layers, "a number of layers, auto or all")?;
        if items(&self.n_gpu_layers).any(|it| it == "0") {
            let text = "-ngl 0 asks for no layer on the GPU: all layers run on the device here; --device cpu selects the \
                        CPU reference kernels, which are slow";
            return Err(UsageError(text.to_owned()));
        }
        said("-ngl", &self.n_gpu_layers, "all layers run on the device, whatever their number");
        let places = ["distribute", "isolate", "numactl", "mirror", "disabled", "0", "1"];
        each("--numa", &self.numa, |it| places.contains(&it), "distribute, isolate, numactl or mirror")?;
        said("--numa", &self.numa, "weights lie in the device's memory, so that it changes nothing");
        Ok(())
    }
}

/// The items of lists that are separated by commas, as llama-bench reads them.
fn items(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|it| it.split(','))
}

/// Fails at the first item that is not valid.
fn each(flag: &str, values: &[String], valid: impl Fn(&str) -> bool, what: &str) -> Result<(), UsageError> {
    match items(values).find(|it| !valid(it)) {
        Some(it) => Err(UsageError(format!("{flag} {it:?} is not {what}"))),
        None => Ok(()),
    }
}

/// Prints the meaning of a flag, if it was given.
fn said(flag: &str, values: &[String], meaning: &str) {
    if !values.is_empty() {
        output::note(&format!("{flag} {}: {meaning}", values.join(",")));
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
    }
}
