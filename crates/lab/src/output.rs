//! Writing to stdout and stderr. Only data goes to stdout. A closed stdout is an error, not a panic.

use ridgeline_experiment::report::{Table, markdown, plain};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Writes one JSON document and a line break.
///
/// # Errors
/// The value cannot be written as JSON, or stdout cannot be written.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    self::text(&text)?;
    Ok(())
}

/// Writes text unchanged and flushes, so that the reader of a pipe sees each token when it is generated.
///
/// # Errors
/// Stdout cannot be written.
pub fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a message to stderr. Errors are ignored: a closed stderr must not end a run.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a question to stderr, without a line break. Errors are ignored, as in [`note`].
pub fn ask(text: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// A size with a binary prefix, such as `16.1 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// Whether a person reads stdout: tables are aligned text there and Markdown in files and pipes.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A table in the form that suits stdout: see [`is_terminal`].
#[must_use]
pub fn table(table: &Table) -> String {
    if is_terminal() { plain::table(table) } else { markdown::table(table) }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_binary_prefixes() {
        assert_eq!([bytes(7), bytes(1536), bytes(3 << 30)], ["7 B", "1.5 KiB", "3.0 GiB"]);
    }
}
