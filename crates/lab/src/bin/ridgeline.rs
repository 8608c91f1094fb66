//! The `ridgeline` command.

fn main() -> std::process::ExitCode {
    ridgeline_lab::cli::main(std::env::args_os())
}
