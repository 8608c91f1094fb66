//! One linear layer at a free shape and format, from its quantized weights or dequantized first.

use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::probe::{self, Product, ProductPath, ProductTime};
use ridgeline_quant::Format;
use serde::{Deserialize, Serialize};

/// One product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Rows and columns of the matrix, such as `14336x4096`.
    pub shape: Shape,
    /// Quantization type of the matrix.
    pub format: Format,
    /// Vectors to multiply: the batch size.
    pub vectors: u32,
    /// How the weights are multiplied.
    pub path: ProductPath,
}

/// Rows and columns of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Shape {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
}

impl TryFrom<String> for Shape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sides =
            text.split_once('x').and_then(|(rows, cols)| Some((rows.parse().ok()?, cols.parse().ok()?)));
        match sides {
            Some((rows, cols)) if rows > 0 && cols > 0 => Ok(Self { rows, cols }),
            _ => Err(format!("{text:?} is no shape; write rows x columns, such as 14336x4096")),
        }
    }
}

impl From<Shape> for String {
    fn from(shape: Shape) -> Self {
        format!("{}x{}", shape.rows, shape.cols)
    }
}

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "operation";
    type Point = Point;
    type Row = ProductTime;
}

impl Run<MeasureContext> for Kind {
    fn run(
        cx: &mut MeasureContext,
        point: &Point,
        budget: &Budget,
    ) -> Result<Measurement<ProductTime>, RunError> {
        cx.require_clock()?;
        let Point { shape: Shape { rows, cols }, format, vectors, path } = *point;
        let block = format.spec().block_len;
        if !(cols as usize).is_multiple_of(block) {
            return Err(RunError::skip(format!(
                "rows of {format} are whole blocks of {block} weights, not {cols}"
            )));
        }
        let product = Product { format, rows, cols, vectors, path };
        let row = probe::product(&mut cx.device.borrow_mut(), product, &cx.tuning, budget)
            .map_err(RunError::failed)?;
        let samples_ns = nanoseconds(&row.blocks);
        Ok(Measurement::new(row, samples_ns))
    }
}

/// Seconds as whole nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
pub(crate) fn nanoseconds(seconds: &[f64]) -> Vec<u64> {
    seconds.iter().map(|s| (s * 1e9).round() as u64).collect()
}
