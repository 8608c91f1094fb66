//! Fetching with progress on stderr: a bar on a terminal, else a line for each file.

use crate::globals::Globals;
use crate::output::{self, bytes};
use indicatif::{ProgressBar, ProgressStyle};
use ridgeline_hub::{Event, Fetched, Name, Options, Token};
use std::io::{self, IsTerminal};

/// Fetches a model as the flags and the environment say.
pub(super) fn fetch(name: &Name, globals: &Globals) -> anyhow::Result<Fetched> {
    let mut options = Options::from_env()?;
    if let Some(token) = &globals.hf_token {
        options.token = Some(Token::new(token, "--hf-token")?);
    }
    options.offline |= globals.offline;
    let mut progress = Progress { name, bar: None };
    let fetched = ridgeline_hub::fetch(name, &options, &mut |event| progress.print(event));
    progress.end();
    Ok(fetched?)
}

struct Progress<'a> {
    name: &'a Name,
    bar: Option<ProgressBar>,
}

impl Progress<'_> {
    fn print(&mut self, event: Event<'_>) {
        match event {
            Event::Start { file, have, bytes: of } => self.start(file, have, of),
            Event::Received { bytes } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(bytes);
                }
            }
            Event::Retry { file, reason, wait } => {
                self.note(&format!("{file}: {reason}; trying again in {} s", wait.as_secs()));
            }
            Event::Waiting { file } => {
                self.note(&format!("{}: another process fetches {file}; waiting for it", self.name));
            }
            Event::Unreachable { reason } => {
                self.note(&format!(
                    "warning: {reason}; the model in the cache is used, and may not be the newest"
                ));
            }
            Event::Done { .. } => self.end(),
            _ => {}
        }
    }

    fn start(&mut self, file: &str, have: u64, of: Option<u64>) {
        self.end();
        if !io::stderr().is_terminal() {
            let size = of.map(|it| format!(", {}", bytes(it))).unwrap_or_default();
            let from = if have > 0 { format!(", from {} on", bytes(have)) } else { String::new() };
            return output::note(&format!("fetching {}: {file}{size}{from}", self.name));
        }
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = of.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style);
        bar.set_message(file.to_owned());
        // Bytes of an earlier process do not count as speed.
        bar.reset_eta();
        bar.set_position(have);
        self.bar = Some(bar);
    }

    fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(line)),
            None => output::note(line),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}
