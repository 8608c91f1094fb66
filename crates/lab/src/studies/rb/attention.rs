//! Kinds of attention: their names, what their caches cost, and pairs of them.

use crate::measures::pass::{Pass, Point, Row};
use crate::measures::{layers, title};
use ridgeline_experiment::rows::Rows;
use ridgeline_model::MlaForm;

/// The kind of attention, by the name of the shape: `mla-1.5b@2` is MLA.
fn kind(point: &Point) -> String {
    point.model.split('-').next().unwrap_or_default().to_uppercase()
}

/// Kind, format, and the form of MLA.
pub(super) fn series(point: &Point) -> String {
    let form = match point.switches.mla {
        MlaForm::Absorbed => ", absorbed",
        MlaForm::Expanded if kind(point) == "MLA" => ", expanded",
        MlaForm::Expanded => "",
    };
    format!("{}{form}", title(&kind(point), &point.format))
}

/// Bytes that a token leaves in the KV cache of a layer.
pub(super) fn cached(entry: &Pass<'_>) -> Option<f64> {
    let (_, n_layers) = layers(&entry.point.model)?;
    Some(entry.row.pass.cost.kv_write as f64 / (entry.row.test.generate * n_layers) as f64)
}

/// FLOP of attention per byte that it reads of the cache, from two depths.
pub(super) fn of_attention(deep: &Pass<'_>, shallow: &Pass<'_>) -> Option<f64> {
    let [deep, shallow] = [deep, shallow].map(|e| e.row.pass.cost);
    let (flops, bytes) = (deep.flops.checked_sub(shallow.flops)?, deep.kv_read.checked_sub(shallow.kv_read)?);
    (bytes > 0).then(|| flops as f64 / bytes as f64)
}

/// Cells of two kinds of attention, of one format each, at the greatest depth.
pub(super) fn pairs<'r, 'a>(
    rows: &'r Rows<'a, Point, Row>,
    above: &str,
    below: &str,
) -> Vec<(&'r Pass<'a>, &'r Pass<'a>)> {
    let deepest = rows.iter().map(|e| e.point.depth).max();
    let of = |p: &Point, name: &str| kind(p) == name && Some(p.depth) == deepest;
    let first = rows.iter().filter(|e| of(&e.point, above));
    let pair = |e: &'r Pass<'a>| Some((e, rows.find(|p| of(p, below) && p.format == e.point.format)?));
    first.filter_map(pair).collect()
}
