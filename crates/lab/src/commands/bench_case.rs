//! One configuration that `bench` measures: a row of its table.

use super::variations::Variation;
use ridgeline_measure::pass::Test;
use ridgeline_quant::Format;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) depth: usize,
    pub(super) test: Test,
    pub(super) cache: [Format; 2],
    /// Tokens of a logical and of a physical batch.
    pub(super) batch: [usize; 2],
    /// Whether attention is one fused kernel.
    pub(super) flash_attn: bool,
    pub(super) variation: Variation,
}

impl Case<'_> {
    /// Maximum tokens per forward pass.
    pub(super) fn pass(&self) -> usize {
        self.batch[0].min(self.batch[1])
    }

    /// Model, test, depth and types of the cache in one line.
    pub(super) fn label(&self) -> String {
        let &Self { name, depth, test, cache: [k, v], .. } = self;
        let cached =
            if (k, v) == (Format::HALF, Format::HALF) { String::new() } else { format!(", cache {k} {v}") };
        let batch = if self.pass() == 512 { String::new() } else { format!(", batch {}", self.pass()) };
        let attention = if self.flash_attn { "" } else { ", unfused attention" };
        let what = match (test.prompt, test.generate) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generate) => format!("tg{generate}"),
            (prompt, generate) => format!("pp{prompt}+tg{generate}"),
        };
        format!("{name} {what}, depth {depth}{cached}{batch}{attention}")
    }
}
