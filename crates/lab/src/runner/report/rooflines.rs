//! One figure of rooflines with a panel for each model, from the dots of all studies.

use super::unique;
use ridgeline_experiment::report::{BandwidthLevel, Block, PeakLevel, Roofline, Section};
use ridgeline_roofline::{Machine, Measured};

/// The dots of all sections under the ceilings of the machine; they leave their own sections.
pub(super) fn collect(sections: &mut [Section], machine: Option<&Machine>) -> Option<Section> {
    let mut all = Roofline {
        caption: "Lines are the measured ceilings. Marks are forward passes, and kernel launches that do arithmetic and take \
                  at least 5 % of their pass. A mark can lie above the line of the memory bandwidth if its working set fits \
                  in a cache. Hover or focus on a mark for its numbers."
            .to_owned(),
        ..Roofline::default()
    };
    for section in sections {
        let (figures, rest) = std::mem::take(&mut section.blocks)
            .into_iter()
            .partition::<Vec<_>, _>(|b| matches!(b, Block::Roofline(_)));
        section.blocks = rest;
        for figure in figures {
            let Block::Roofline(figure) = figure else { continue };
            all.dots.extend(figure.dots);
            all.bandwidths.extend(figure.bandwidths);
            all.peaks.extend(figure.peaks);
        }
    }
    if let Some(machine) = machine {
        add_ceilings(&mut all, machine);
    }
    unique(&mut all.bandwidths, |level| level.label.clone());
    unique(&mut all.peaks, |level| level.label.clone());
    let empty = all.dots.is_empty() && all.bandwidths.is_empty() && all.peaks.is_empty();
    let intro = "Performance against operational intensity, both logarithmic, one panel a model and the same axes in all. \
                 Each mark is compared with its own roof, at its working-set size and precision.";
    (!empty).then(|| Section::new("Rooflines", intro).with(Block::Roofline(all)))
}

/// Adds the ceilings of the machine, where no study added any.
fn add_ceilings(figure: &mut Roofline, machine: &Machine) {
    if figure.bandwidths.is_empty() {
        let level =
            |label: &str, rate: Measured| BandwidthLevel { label: label.to_owned(), bytes_per_s: rate.value };
        let (memory, cache) = (machine.bandwidth.memory(), machine.bandwidth.fastest());
        figure.bandwidths.push(level("memory", memory));
        // Two lines whose intervals overlap are drawn as one.
        if cache.lo > memory.hi {
            figure.bandwidths.push(level("cache", cache));
        }
    }
    if figure.peaks.is_empty() {
        let level =
            |label: &str, rate: Measured| PeakLevel { label: label.to_owned(), flops_per_s: rate.value };
        figure.peaks.push(level("f32 peak", machine.flops_f32));
        figure.peaks.extend(machine.flops_f16.map(|rate| level("f16 peak", rate)));
    }
}
