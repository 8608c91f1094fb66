//! Statistics of speculation: counts and times.
//!
//! A *round* is one verification pass of the target, with or without a draft. *Tokens per round*, τ, is 1 + accepted /
//! rounds (llama.cpp's "mean acc len").

use serde::{Deserialize, Serialize};

/// Counts and times of one or more generations. Times are in nanoseconds of the caller's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Tokens in the output. Fewer than accepted + rounds if a stop token ended a round early.
    pub generated: u64,
    /// Verification passes of the target.
    pub rounds: u64,
    /// Tokens drafted.
    pub drafted: u64,
    /// Draft tokens accepted.
    pub accepted: u64,
    /// For each draft position, the rounds that drafted it.
    pub drafted_at: Vec<u64>,
    /// For each draft position, the rounds that drafted it and accepted every position before it.
    pub reached_at: Vec<u64>,
    /// For each draft position, the rounds that accepted it.
    pub accepted_at: Vec<u64>,
    /// Index n holds the number of rounds that gave n tokens; index 0 stays 0.
    pub tokens_per_round: Vec<u64>,
    /// Time of the target's prefill.
    pub prefill_ns: u64,
    /// Time of the proposer's prefill.
    pub draft_prefill_ns: u64,
    /// Time of drafting.
    pub draft_ns: u64,
    /// Time of the target's verification passes.
    pub verify_ns: u64,
    /// Time of sampling: filtering logits, acceptance, rollback.
    pub sample_ns: u64,
    /// Whether acceptance was synthetic, so that the output is meaningless.
    pub synthetic: bool,
}

impl Stats {
    /// Counts a round that drafted `drafted` tokens, of which `accepted` were accepted.
    pub(crate) fn record(&mut self, drafted: usize, accepted: usize) {
        self.rounds += 1;
        self.drafted += drafted as u64;
        self.accepted += accepted as u64;
        bump(&mut self.drafted_at, 0..drafted);
        bump(&mut self.reached_at, 0..drafted.min(accepted + 1));
        bump(&mut self.accepted_at, 0..accepted);
        bump(&mut self.tokens_per_round, accepted + 1..accepted + 2);
    }

    /// Adds another generation's counts and times to these.
    pub fn merge(&mut self, other: &Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.generated += other.generated;
        self.rounds += other.rounds;
        self.drafted += other.drafted;
        self.accepted += other.accepted;
        add(&mut self.drafted_at, &other.drafted_at);
        add(&mut self.reached_at, &other.reached_at);
        add(&mut self.accepted_at, &other.accepted_at);
        add(&mut self.tokens_per_round, &other.tokens_per_round);
        self.prefill_ns += other.prefill_ns;
        self.draft_prefill_ns += other.draft_prefill_ns;
        self.draft_ns += other.draft_ns;
        self.verify_ns += other.verify_ns;
        self.sample_ns += other.sample_ns;
        self.synthetic |= other.synthetic;
    }

    /// Acceptance rate α: accepted / drafted. `None` when nothing was drafted.
    pub fn acceptance_rate(&self) -> Option<f64> {
        ratio(self.accepted, self.drafted)
    }

    /// Acceptance rate at position `i` (from 0): of the drafts that reach it, the share accepted up to and
    /// including it.
    pub fn rate_at(&self, i: usize) -> Option<f64> {
        ratio(at(&self.accepted_at, i), at(&self.drafted_at, i))
    }

    /// As [`rate_at`](Self::rate_at), but only among drafts accepted at every position before `i`.
    /// Independent of `i` if acceptance does not depend on the position.
    pub fn conditional_rate_at(&self, i: usize) -> Option<f64> {
        ratio(at(&self.accepted_at, i), at(&self.reached_at, i))
    }

    /// Tokens per round τ = 1 + accepted / rounds. `None` before the first round.
    pub fn tau(&self) -> Option<f64> {
        ratio(self.accepted, self.rounds).map(|accepted| 1.0 + accepted)
    }

    /// Block efficiency τ / (γ + 1): generated tokens per verified position. γ is the longest draft length
    /// requested.
    pub fn block_efficiency(&self, gamma: usize) -> Option<f64> {
        self.tau().map(|tau| tau / (gamma as f64 + 1.0))
    }

    /// Mean time per draft token in nanoseconds, for c = `T_draft` / `T_target`.
    pub fn draft_ns_per_token(&self) -> Option<f64> {
        ratio(self.draft_ns, self.drafted)
    }

    /// Mean time per verification pass in nanoseconds, for v(n) = `T_verify(n)` / `T_target`.
    pub fn verify_ns_per_round(&self) -> Option<f64> {
        ratio(self.verify_ns, self.rounds)
    }

    /// Time after the prefill, in nanoseconds.
    pub fn decode_ns(&self) -> u64 {
        self.draft_ns + self.verify_ns + self.sample_ns
    }
}

fn at(counts: &[u64], i: usize) -> u64 {
    counts.get(i).copied().unwrap_or(0)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn bump(counts: &mut Vec<u64>, range: std::ops::Range<usize>) {
    if counts.len() < range.end {
        counts.resize(range.end, 0);
    }
    for count in &mut counts[range] {
        *count += 1;
    }
}

fn add(counts: &mut Vec<u64>, more: &[u64]) {
    if counts.len() < more.len() {
        counts.resize(more.len(), 0);
    }
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four_rounds() -> Stats {
        let mut stats = Stats::default();
        for (drafted, accepted) in [(3, 3), (3, 1), (2, 0), (0, 0)] {
            stats.record(drafted, accepted);
        }
        stats
    }

    #[test]
    fn rounds_add_up() {
        let stats = four_rounds();
        assert_eq!((stats.rounds, stats.drafted, stats.accepted), (4, 8, 4));
        assert_eq!(stats.drafted_at, [3, 3, 2]);
        assert_eq!(stats.reached_at, [3, 2, 1]);
        assert_eq!(stats.accepted_at, [2, 1, 1]);
        assert_eq!(stats.tokens_per_round, [0, 2, 1, 0, 1]);
        assert_eq!(stats.acceptance_rate(), Some(0.5));
        assert_eq!(stats.tau(), Some(2.0));
        assert_eq!(stats.block_efficiency(3), Some(0.5));
        assert_eq!(stats.rate_at(1), Some(1.0 / 3.0));
        assert_eq!(stats.conditional_rate_at(1), Some(0.5));
        assert_eq!(stats.rate_at(3), None);
    }

    #[test]
    fn nothing_drafted_has_no_rates() {
        let stats = Stats::default();
        assert_eq!((stats.acceptance_rate(), stats.tau(), stats.rate_at(0)), (None, None, None));
        assert_eq!(stats.draft_ns_per_token(), None);
    }

    #[test]
    fn merging_equals_counting_in_one() {
        let mut merged = Stats::default();
        merged.record(3, 3);
        let mut rest = Stats::default();
        for (drafted, accepted) in [(3, 1), (2, 0), (0, 0)] {
            rest.record(drafted, accepted);
        }
        merged.merge(&rest);
        assert_eq!(merged, four_rounds());
    }

    #[test]
    fn a_record_survives_json() {
        let stats = four_rounds();
        let text = serde_json::to_string(&stats).expect("plain data");
        assert_eq!(serde_json::from_str::<Stats>(&text).expect("as written"), stats);
    }
}
