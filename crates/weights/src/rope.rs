//! Divisors of the `RoPE` frequencies: the tensor `rope_freqs.weight`, or computed from the scaling parameters.

use std::{f64::consts::TAU, path::Path};

use crate::{
    Checkpoint, Error, Metadata,
    convention::{self, Family},
    value::narrow,
};

/// The key of 0.1 times the magnitude of `YaRN`. Only models whose cosines are not scaled have it.
pub(crate) const YARN_MAGNITUDE: &str = "rope.scaling.yarn_log_multiplier";

/// The key of a multiplier of cosines and sines, besides that of `YaRN`. Only families in which both apply have it.
pub(crate) const ATTENTION_FACTOR: &str = "rope.scaling.attn_factor";

/// The multiplier of cosines and sines in a context that `YaRN` extends by `factor` (Peng et al. 2023, equation 22).
pub(crate) fn yarn_magnitude(factor: f64) -> f64 {
    0.1f64.mul_add(factor.max(1.0).ln(), 1.0)
}

/// See [`Checkpoint::rope_magnitude`].
pub(crate) fn magnitude(checkpoint: &Checkpoint) -> Result<f32, Error> {
    let metadata = checkpoint.metadata();
    let family = convention::family(checkpoint.path(), metadata)?;
    if !family.has_key(ATTENTION_FACTOR) {
        return Ok(1.0);
    }
    let yarn = match Scaling::of(checkpoint.path(), metadata, family)? {
        Scaling::Yarn => yarn_magnitude(metadata.f32(&family.key("rope.scaling.factor"))?.into()),
        _ => 1.0,
    };
    let more = metadata.find::<f32>(&family.key(ATTENTION_FACTOR))?.unwrap_or(1.0);
    if more > 0.0 && more.is_finite() {
        return Ok(narrow(yarn * f64::from(more)));
    }
    Err(Error::RefusedKey {
        path: checkpoint.path().to_owned(),
        key: family.key(ATTENTION_FACTOR),
        value: more.to_string(),
        needs: "it must be above 0".to_owned(),
    })
}

/// See [`Checkpoint::rope_freq_factors`].
pub(crate) fn freq_factors(checkpoint: &Checkpoint) -> Result<Option<Vec<f32>>, Error> {
    let metadata = checkpoint.metadata();
    let family = convention::family(checkpoint.path(), metadata)?;
    let n = metadata.u32(&family.key("rope.dimension_count"))? as usize / 2;
    let scaling = Scaling::of(checkpoint.path(), metadata, family)?;
    if checkpoint.has(convention::ROPE_FREQS) {
        let stored = checkpoint.expect(convention::ROPE_FREQS, &[n])?.to_f32();
        // llama.cpp applies a linear factor besides the tensor, which has Llama 3's scaling.
        let factor = if let Scaling::Linear(factor) = scaling { factor } else { 1.0 };
        return Ok(Some(stored.iter().map(|it| it * factor).collect()));
    }
    match scaling {
        Scaling::None => Ok(None),
        Scaling::Linear(factor) => Ok(Some(vec![factor; n])),
        Scaling::Llama3 => {
            let base = metadata.f32(&family.key("rope.freq_base"))?;
            let key = |suffix: &str| family.key(&format!("rope.scaling.{suffix}"));
            let scaling = Llama3::from_metadata(metadata, key)?;
            Ok(Some((0..n).map(|i| narrow(scaling.divisor(frequency(base, i, n)))).collect()))
        }
        Scaling::Yarn => {
            let scaling = Yarn::from_metadata(metadata, family, n)?;
            Ok(Some((0..n).map(|i| narrow(scaling.divisor(i))).collect()))
        }
    }
}

/// The kind of scaling that the metadata name.
enum Scaling {
    None,
    /// All frequencies are divided by this factor.
    Linear(f32),
    Llama3,
    Yarn,
}

impl Scaling {
    fn of(path: &Path, metadata: &Metadata, family: &Family) -> Result<Self, Error> {
        let find = |suffix: &str| metadata.find::<f32>(&family.key(suffix));
        // Files of the Llama 2 era have the older key, or no type: then the scaling is linear.
        let older = find("rope.scale_linear")?;
        let factor = find("rope.scaling.factor")?.or(older).filter(|&it| it != 0.0);
        match metadata.find::<&str>(&family.key("rope.scaling.type"))? {
            Some("none" | "default") => Ok(Self::None),
            Some("llama3") => Ok(Self::Llama3),
            Some("yarn") if family.has_key(ATTENTION_FACTOR) => Ok(Self::Yarn),
            // Other families would need the multiplier of cosines, and of scores.
            Some("yarn")
                if family.has_key(YARN_MAGNITUDE) && find(YARN_MAGNITUDE)?.is_some_and(|it| it != 0.0) =>
            {
                Ok(Self::Yarn)
            }
            None | Some("linear" | "") => match factor {
                Some(factor) if factor > 0.0 => {
                    Ok(if factor == 1.0 { Self::None } else { Self::Linear(factor) })
                }
                Some(factor) => Err(Error::RefusedKey {
                    path: path.to_owned(),
                    key: family.key("rope.scaling.factor"),
                    value: factor.to_string(),
                    needs: "it must be above 0".to_owned(),
                }),
                None => Ok(Self::None),
            },
            Some(kind) => Err(Error::RopeScaling { path: path.to_owned(), kind: kind.to_owned() }),
        }
    }
}

/// The `i`-th of `n` rotation frequencies, in radians per position.
fn frequency(base: f32, i: usize, n: usize) -> f64 {
    f64::from(base).powf(-(i as f64) / n as f64)
}

/// Llama 3's scaling: low frequencies are divided by `factor`, high ones are unchanged, and those between are
/// interpolated. Formula: `_compute_llama3_parameters` in
/// <https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py>.
struct Llama3 {
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_context: f64,
}

impl Llama3 {
    fn from_metadata(metadata: &Metadata, key: impl Fn(&str) -> String) -> Result<Self, Error> {
        Ok(Self {
            factor: metadata.f32(&key("factor"))?.into(),
            low_freq_factor: metadata.f32(&key("low_freq_factor"))?.into(),
            high_freq_factor: metadata.f32(&key("high_freq_factor"))?.into(),
            original_context: metadata.u32(&key("original_context_length"))?.into(),
        })
    }

    fn divisor(&self, frequency: f64) -> f64 {
        let waves = self.original_context * frequency / TAU; // periods in the original context
        if waves < self.low_freq_factor {
            return self.factor;
        }
        if waves > self.high_freq_factor {
            return 1.0;
        }
        let smooth = (waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor);
        1.0 / ((1.0 - smooth) / self.factor + smooth)
    }
}

/// `YaRN` (Peng et al. 2023): frequencies of few periods in the original context are divided by `factor`, and those of many
/// are unchanged. Those between are interpolated along a ramp over the pairs.
struct Yarn {
    factor: f64,
    /// The pairs between which the ramp rises.
    first: f64,
    last: f64,
}

impl Yarn {
    fn from_metadata(metadata: &Metadata, family: &Family, pairs: usize) -> Result<Self, Error> {
        let number = |suffix: &str| metadata.f32(&family.key(suffix)).map(f64::from);
        let or = |suffix: &str, default: f32| -> Result<f64, Error> {
            Ok(metadata.find::<f32>(&family.key(suffix))?.unwrap_or(default).into())
        };
        // Without a context of before, llama.cpp and transformers take the context.
        let before = "rope.scaling.original_context_length";
        let before = if metadata.has(&family.key(before)) { before } else { "context_length" };
        let (base, context) = (number("rope.freq_base")?, number(before)?);
        // The pair that turns this many times in the original context.
        let pair = |turns: f64| pairs as f64 * (context / (turns * TAU)).ln() / base.ln();
        let first = pair(or("rope.scaling.yarn_beta_fast", 32.0)?).floor().max(0.0);
        let last = pair(or("rope.scaling.yarn_beta_slow", 1.0)?).ceil().min(2.0 * pairs as f64 - 1.0);
        Ok(Self { factor: number("rope.scaling.factor")?, first, last: last.max(first + 0.001) })
    }

    fn divisor(&self, pair: usize) -> f64 {
        let ramp = ((pair as f64 - self.first) / (self.last - self.first)).clamp(0.0, 1.0);
        1.0 / (ramp / self.factor + 1.0 - ramp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn scaling(keys: &[(&str, Value)]) -> Result<Option<f32>, Error> {
        let path = Path::new("x.gguf");
        let mut metadata = Metadata::new(path, Vec::new());
        metadata.set("general.architecture", Value::Str("llama".to_owned()));
        keys.iter().for_each(|(key, value)| metadata.set(format!("llama.rope.{key}"), value.clone()));
        match Scaling::of(path, &metadata, convention::family(path, &metadata)?)? {
            Scaling::None => Ok(None),
            Scaling::Linear(factor) => Ok(Some(factor)),
            Scaling::Llama3 | Scaling::Yarn => Ok(Some(0.0)),
        }
    }

    #[test]
    fn a_factor_without_a_type_is_linear() {
        let text = |it: &str| Value::Str(it.to_owned());
        for (keys, factor) in [
            (&[][..], None),
            (&[("scaling.type", text("linear")), ("scaling.factor", Value::F32(4.0))], Some(4.0)),
            (&[("scaling.factor", Value::U8(4))], Some(4.0)),
            (&[("scale_linear", Value::F64(4.0))], Some(4.0)),
            (&[("scale_linear", Value::F32(2.0)), ("scaling.factor", Value::F32(4.0))], Some(4.0)),
            (&[("scaling.factor", Value::F32(0.0))], None),
            (&[("scaling.factor", Value::F32(1.0))], None),
            (&[("scaling.type", text("none")), ("scaling.factor", Value::F32(4.0))], None),
        ] {
            assert_eq!(scaling(keys).unwrap(), factor, "{keys:?}");
        }
        let dynamic = [("scaling.type", text("dynamic")), ("scaling.factor", Value::F32(4.0))];
        assert!(matches!(scaling(&dynamic), Err(Error::RopeScaling { kind, .. }) if kind == "dynamic"));
        assert!(matches!(scaling(&[("scaling.factor", Value::F32(-1.0))]), Err(Error::RefusedKey { .. })));
    }

    #[test]
    fn yarn_needs_a_family_that_scales_cosines_or_scores() {
        let path = Path::new("x.gguf");
        let kind = |architecture: &str, more: Option<f32>| {
            let mut metadata = Metadata::new(path, Vec::new());
            metadata.set("general.architecture", Value::Str(architecture.to_owned()));
            metadata.set(format!("{architecture}.rope.scaling.type"), Value::Str("yarn".to_owned()));
            if let Some(more) = more {
                metadata.set(format!("{architecture}.rope.scaling.yarn_log_multiplier"), Value::F32(more));
            }
            Scaling::of(path, &metadata, convention::family(path, &metadata).unwrap())
        };
        for family in ["llama", "qwen2", "qwen3", "qwen3moe"] {
            assert!(matches!(kind(family, None), Ok(Scaling::Yarn)), "{family}");
        }
        assert!(matches!(kind("deepseek2", Some(0.1)), Ok(Scaling::Yarn)));
        for (family, more) in [("deepseek2", None), ("plm", Some(0.1)), ("gemma3", None), ("gptneox", None)] {
            let refused = kind(family, more);
            assert!(matches!(refused, Err(Error::RopeScaling { kind, .. }) if kind == "yarn"), "{family}");
        }
        assert!((yarn_magnitude(4.0) - 1.138_629_436_111_989).abs() < 1e-15);
    }

    /// Values of DeepSeek-V2-Lite, by the formulae of the paper in double precision.
    #[test]
    fn yarn_divides_low_frequencies_along_a_ramp() {
        let mut metadata = Metadata::new(Path::new("x.gguf"), Vec::new());
        metadata.set("general.architecture", Value::Str("deepseek2".to_owned()));
        for (key, value) in [
            ("freq_base", 10_000.0),
            ("scaling.factor", 40.0),
            ("scaling.original_context_length", 4096.0),
            ("scaling.yarn_log_multiplier", 0.0707),
        ] {
            metadata.set(format!("deepseek2.rope.{key}"), Value::F32(value));
        }
        let path = Path::new("x.gguf");
        let yarn = Yarn::from_metadata(&metadata, convention::family(path, &metadata).unwrap(), 32).unwrap();
        for (pair, divisor) in
            [(0, 1.0), (10, 1.0), (11, 1.081_081), (16, 1.818_182), (22, 10.0), (23, 40.0), (31, 40.0)]
        {
            assert!((yarn.divisor(pair) - divisor).abs() < 1e-6 * divisor, "{pair}: {}", yarn.divisor(pair));
        }
    }
}
