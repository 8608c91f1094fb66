//! The model of a diagnosis, measured whole or with two smaller numbers of layers.

use crate::cut::Cut;
use crate::measures::launch;
use crate::measures::pass::{Pass, Point, Row, Work};
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::Evidence;
use ridgeline_measure::pass::PassTiming;
use ridgeline_measure::profile::{Profiled, TimedLaunch};
use ridgeline_roofline::{Machine, Measured, Waterfall};

/// A model and the numbers of layers with which it is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Name of the model, without a number of layers.
    pub name: String,
    /// Two smaller numbers of layers, ascending; `None` where the whole model is measured.
    pub cut: Option<[usize; 2]>,
    /// Layers of the whole model.
    pub layers: usize,
}

/// One kind of work of the whole model, measured or extrapolated.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Seconds of one repetition.
    pub seconds: Measured,
    /// Cost, regime and kernels of one repetition.
    pub timing: PassTiming,
    /// The cells behind it.
    pub evidence: Evidence,
    /// The numbers of layers that were measured, where they are fewer than the model's.
    pub cut: Option<Cut>,
}

impl Step {
    /// Where the time of one of `tokens` equal tokens goes, over all visits. The kernels are those of the newest visit.
    pub(crate) fn parts(&self, machine: &Machine, tokens: u64) -> Waterfall {
        let timing = &self.timing;
        let pace = self.seconds.value / timing.median_s();
        let token = Waterfall::of(&timing.cost, machine, self.seconds.value, timing.regime).shared_by(tokens);
        timing.kernels.map_or(token, |kernels| {
            token.with_kernels(pace * kernels.isolated_s, pace * kernels.back_to_back_s)
        })
    }
}

impl Scope {
    /// Names of the models that are measured.
    pub(crate) fn names(&self) -> Vec<String> {
        match self.cut {
            None => vec![self.name.clone()],
            Some(cut) => cut.iter().map(|layers| format!("{}@{layers}", self.name)).collect(),
        }
    }

    /// The work of the whole model, from the cells that match.
    pub(crate) fn step(&self, rows: &Rows<'_, Point, Row>, is: impl Fn(&Point) -> bool) -> Option<Step> {
        let found = |name: &String| rows.find(|p| p.model == *name && is(p));
        let measured: Vec<&Pass<'_>> = self.names().iter().map(found).collect::<Option<_>>()?;
        match (&measured[..], self.cut) {
            ([a, b], Some(measured)) => extrapolated(a, b, Cut { measured, of: self.layers }),
            _ => step(measured.first()?),
        }
    }

    /// Time of one kind of work over that of another: visit by visit where the whole model is measured.
    pub(crate) fn ratio(
        &self,
        rows: &Rows<'_, Point, Row>,
        above: impl Fn(&Point) -> bool,
        below: impl Fn(&Point) -> bool,
    ) -> Option<Measured> {
        if self.cut.is_none() {
            let find = |is: &dyn Fn(&Point) -> bool| rows.find(|p| p.model == self.name && is(p));
            return find(&above)?.time_over(find(&below)?);
        }
        Some(quotient(self.step(rows, above)?.seconds, self.step(rows, below)?.seconds))
    }

    /// The number of layers of the model that profiles use: the larger of the two, or the whole model's.
    pub(crate) fn profiled(&self) -> (String, usize) {
        match self.cut {
            None => (self.name.clone(), self.layers),
            Some([_, to]) => (format!("{}@{to}", self.name), to),
        }
    }

    /// Sum of a figure over the launches of the whole model, from a profile with fewer layers.
    pub(crate) fn sum(&self, profile: &Profiled, figure: impl Fn(&TimedLaunch) -> f64) -> f64 {
        let count = |it: &TimedLaunch| self.in_layers(it) + outside_layers(it) as f64;
        profile.launches.iter().map(|it| count(it) * figure(it)).sum()
    }

    /// Launches of this kind in all layers of the whole model, from a profile with fewer layers. The layers beyond those
    /// measured are whole periods, as are the layers between the two numbers of layers.
    fn in_layers(&self, launch: &TimedLaunch) -> f64 {
        let sum = |layers: &[u64]| layers.iter().sum::<u64>() as f64;
        let Some([from, to]) = self.cut else { return (launch.count - outside_layers(launch)) as f64 };
        if launch.by_layer.is_empty() {
            // A profile of before.
            let inside = launch.count - outside_layers(launch);
            return inside as f64 * self.layers as f64 / to as f64;
        }
        let period = launch.by_layer.get(from..).map_or(0.0, sum);
        sum(&launch.by_layer) + period * (self.layers as f64 - to as f64) / (to as f64 - from as f64)
    }

    /// Isolated seconds of all launches of one visit.
    pub(crate) fn isolated_s(&self, profile: &Profiled) -> f64 {
        self.sum(profile, |launch| launch.seconds.value)
    }

    /// Isolated seconds of the launches of all layers, without those of the embedding and the output head.
    pub(crate) fn layers_s(&self, profile: &Profiled) -> f64 {
        profile.launches.iter().map(|it| self.in_layers(it) * it.seconds.value).sum()
    }
}

/// A cell of the measure `launch`.
pub(crate) type Launches<'a> = Entry<'a, launch::Point, Profiled>;

/// Launches of this kind that belong to no layer.
fn outside_layers(launch: &TimedLaunch) -> u64 {
    // Profiles of before tell by the modules alone.
    let outside = |module: &str| matches!(module, "embed" | "output_norm" | "lm_head" | "sampling");
    match launch.by_layer.iter().sum::<u64>() {
        0 if !launch.module.split(", ").all(outside) => 0,
        inside => launch.count.saturating_sub(inside),
    }
}

fn step(entry: &Pass<'_>) -> Option<Step> {
    let (timing, cut) = (entry.row.pass.clone(), entry.row.cut);
    Some(Step { seconds: entry.seconds()?, timing, evidence: entry.evidence(), cut })
}

/// The step of the whole model, on the line through two measured ones.
fn extrapolated(a: &Pass<'_>, b: &Pass<'_>, cut: Cut) -> Option<Step> {
    let (first, second, by) = (step(a)?, step(b)?, cut.by());
    let line = |s: fn(Measured) -> f64| s(second.seconds) + by * (s(second.seconds) - s(first.seconds));
    let value = line(|s| s.value).max(f64::MIN_POSITIVE);
    let half = |s: Measured| 0.5 * (s.hi - s.lo);
    let error = ((1.0 + by) * half(second.seconds)).hypot(by * half(first.seconds));
    // More layers take no less time than were measured.
    let lo = (value - error).max(second.seconds.lo).min(value);
    let seconds = Measured { value, lo, hi: value + error };
    let mut timing = first.timing.extrapolated(&second.timing, by);
    timing.samples_ns = vec![whole(1e9 * value)];
    Some(Step { seconds, timing, evidence: first.evidence.and(&second.evidence), cut: Some(cut) })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The quotient of two independent positive values; relative errors add in quadrature.
pub(crate) fn quotient(a: Measured, b: Measured) -> Measured {
    let value = a.value / b.value;
    let low = (1.0 - a.lo / a.value).hypot(b.hi / b.value - 1.0);
    let high = (a.hi / a.value - 1.0).hypot(1.0 - b.lo / b.value);
    Measured { value, lo: value / (1.0 + low), hi: value * (1.0 + high) }
}

/// Whether a cell is plain work of this kind at a depth, in the stored or another format, with the default cache.
pub(crate) fn plain(work: Work, depth: usize) -> impl Fn(&Point) -> bool {
    move |p| p.work == work && p.depth == depth && p.is_default()
}

#[cfg(test)]
mod tests {
    use super::{Scope, quotient};
    use crate::synthetic::timed_launch;
    use ridgeline_measure::profile::{Profiled, TimedLaunch};
    use ridgeline_roofline::Measured;

    #[test]
    fn a_cut_model_is_measured_twice() {
        let whole = Scope { name: "m".to_owned(), cut: None, layers: 8 };
        assert_eq!((whole.names(), whole.profiled()), (vec!["m".to_owned()], ("m".to_owned(), 8)));
        let cut = Scope { cut: Some([1, 2]), ..whole };
        assert_eq!(cut.names(), ["m@1", "m@2"]);
        assert_eq!(cut.profiled(), ("m@2".to_owned(), 2));
    }

    /// DeepSeek-V2-Lite has a dense layer first. Norms are one kind of launch inside and outside of the layers.
    #[test]
    fn unlike_leading_layers_and_shared_kinds_are_counted_exactly() {
        let launch = |module: &str, count: u64, by_layer: &[u64]| TimedLaunch {
            count,
            by_layer: by_layer.to_vec(),
            ..timed_launch(module, 1.0)
        };
        let launches = vec![
            launch("embed", 1, &[]),
            launch("attn_norm, ffn_norm, output_norm", 7, &[2, 2, 2]),
            launch("gate_up", 1, &[1]),
            launch("experts_gate_up", 2, &[0, 1, 1]),
        ];
        let scope = Scope { name: "m".to_owned(), cut: Some([2, 3]), layers: 27 };
        let of = |it: &TimedLaunch| scope.sum(&Profiled { launches: vec![it.clone()] }, |_| 1.0);
        assert_eq!(launches.iter().map(of).collect::<Vec<_>>(), [1.0, 55.0, 1.0, 26.0]);
        let whole = Scope { cut: None, layers: 3, ..scope.clone() };
        assert_eq!(whole.sum(&Profiled { launches: launches.clone() }, |_| 1.0), 11.0);
        assert_eq!(scope.layers_s(&Profiled { launches }), 54.0 + 1.0 + 26.0);
        // Profiles of before say no layers: their launches are taken for those of every layer.
        let before = Profiled { launches: vec![launch("lm_head", 1, &[]), launch("qkv", 3, &[])] };
        assert_eq!(scope.sum(&before, |_| 1.0), 1.0 + 27.0);
    }

    #[test]
    fn relative_errors_add_in_quadrature() {
        let (a, b) =
            (Measured { value: 2.0, lo: 1.94, hi: 2.06 }, Measured { value: 1.0, lo: 0.96, hi: 1.04 });
        let q = quotient(a, b);
        assert!((q.hi / q.value - 1.05).abs() < 1e-12 && (q.value / q.lo - 1.05).abs() < 1e-12, "{q:?}");
    }
}
