//! Published peaks of the devices in the studies. Each number cites its source and its place there.

use crate::Error;
use serde::Deserialize;

/// The quantity of a published number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakQuantity {
    /// Memory bandwidth, bytes/s.
    Bandwidth,
    /// Peak of f32 arithmetic, FLOP/s.
    FlopsF32,
    /// Peak of f16 arithmetic, FLOP/s.
    FlopsF16,
}

/// The origin of a number, according to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    /// From the vendor's data sheet.
    Specified,
    /// Measured by the authors.
    Measured,
    /// Assumed by the authors without a source.
    Assumed,
}

/// One published number.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedPeak {
    /// The quantity.
    pub quantity: PeakQuantity,
    /// The number in bytes/s or FLOP/s.
    pub value: f64,
    /// Its origin, according to the source.
    pub kind: PeakKind,
    /// Title of the source.
    pub source: String,
    /// The table or section of the source.
    pub locator: String,
    /// A known problem with the number.
    pub caveat: Option<String>,
}

/// A device of the studies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedMachine {
    /// Its name.
    pub name: String,
    /// Its published numbers.
    pub peak: Vec<PublishedPeak>,
}

/// The files of published peaks, by name.
const FILES: [(&str, &str); 10] = [
    ("apple_m1_max.toml", include_str!("../machines/apple_m1_max.toml")),
    ("apple_m1_pro.toml", include_str!("../machines/apple_m1_pro.toml")),
    ("apple_m2_pro.toml", include_str!("../machines/apple_m2_pro.toml")),
    ("apple_m2_ultra.toml", include_str!("../machines/apple_m2_ultra.toml")),
    ("apple_m3_ultra.toml", include_str!("../machines/apple_m3_ultra.toml")),
    ("apple_m4_pro.toml", include_str!("../machines/apple_m4_pro.toml")),
    ("jetson_orin_nano_super.toml", include_str!("../machines/jetson_orin_nano_super.toml")),
    ("raspberry_pi_5.toml", include_str!("../machines/raspberry_pi_5.toml")),
    ("rtx_3070_ti_laptop.toml", include_str!("../machines/rtx_3070_ti_laptop.toml")),
    ("rtx_3090.toml", include_str!("../machines/rtx_3090.toml")),
];

impl PublishedMachine {
    /// Every device of the studies.
    ///
    /// # Errors
    /// [`Error::PublishedMachine`] if a file does not parse.
    pub fn all() -> Result<Vec<Self>, Error> {
        let parse = |(file, text): (&'static str, &str)| {
            toml::from_str(text).map_err(|e| Error::PublishedMachine { file, source: Box::new(e) })
        };
        FILES.into_iter().map(parse).collect()
    }

    /// The first published number of a quantity and an origin.
    #[must_use]
    pub fn get(&self, quantity: PeakQuantity, kind: PeakKind) -> Option<f64> {
        self.peak.iter().find(|p| p.quantity == quantity && p.kind == kind).map(|p| p.value)
    }
}
