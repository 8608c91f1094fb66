//! Names of tensors as patterns: `*` stands for the layer, `#` for the expert.

/// The numbers that the wildcards of a pattern match; empty for a wildcard that the pattern lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Numbers<'a> {
    pub(crate) layer: &'a str,
    pub(crate) expert: &'a str,
}

/// Matches a name; `None` without a match. Numbers are decimal, without leading zeros.
pub(crate) fn matched<'a>(pattern: &str, name: &'a str) -> Option<Numbers<'a>> {
    let Some(at) = pattern.find(['*', '#']) else { return (pattern == name).then(Numbers::default) };
    let rest = name.strip_prefix(&pattern[..at])?;
    let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    if number.is_empty() || number.len() > 5 || number != "0" && number.starts_with('0') {
        return None;
    }
    let found = matched(&pattern[at + 1..], rest)?;
    Some(match pattern.as_bytes()[at] {
        b'*' => Numbers { layer: number, ..found },
        _ => Numbers { expert: number, ..found },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_decimal_numbers() {
        let expert = "model.layers.*.mlp.experts.#.up_proj.weight";
        let found = matched(expert, "model.layers.17.mlp.experts.0.up_proj.weight");
        assert_eq!(found, Some(Numbers { layer: "17", expert: "0" }));
        assert_eq!(matched("lm_head.weight", "lm_head.weight"), Some(Numbers::default()));
        assert_eq!(matched("blk.*.attn_q.weight", "blk.3.attn_q.weight").map(|it| it.layer), Some("3"));
        for bad in
            ["model.layers.x.mlp.experts.1.up_proj.weight", "model.layers.1.mlp.experts.01.up_proj.weight"]
        {
            assert_eq!(matched(expert, bad), None, "{bad}");
        }
        assert_eq!(matched("", "visual.weight"), None);
    }
}
