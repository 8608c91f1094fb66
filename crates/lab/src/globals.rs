//! Flags and exit codes that all commands share.

/// A cell or the whole command failed.
pub const FAILED: u8 = 1;
/// Invalid command line: the exit code that clap uses.
pub const USAGE: u8 = 2;
/// No device to run on.
pub const NO_DEVICE: u8 = 3;
/// A comparison found a regression.
pub const REGRESSION: u8 = 4;

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// GPU to run on: a part of its name, driver or backend in `ridgeline doctor`, in any case. The first match counts.
    /// `cpu` selects the slow CPU reference kernels [default: a discrete GPU before an integrated one, software last]
    #[arg(long, global = true, value_name = "NAME")]
    pub device: Option<String>,
    /// Print the result as one JSON document on stdout; generated text is then not streamed. In `bench` it overrides -o
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more on stderr: debug messages, with -vv also traces [default: warnings only]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Fail where no GPU is found. Without this flag, root on Debian or Ubuntu installs Mesa's software renderer with
    /// apt-get (mesa-vulkan-drivers, libvulkan1)
    #[arg(long, global = true)]
    pub no_install: bool,
    /// Access token of the Hugging Face Hub for -hf and `fetch` (also -hft) [default: `HF_TOKEN`, else the file of `hf auth login`]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub hf_token: Option<String>,
    /// Use no network: -hf and `fetch` find models in the cache only, as with `HF_HUB_OFFLINE=1`
    #[arg(long, global = true)]
    pub offline: bool,
}

/// A command line that parses but is invalid. The process exits with [`USAGE`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
