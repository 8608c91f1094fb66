//! Names and block sizes of all ggml types (`ggml_type`), including those that this crate cannot decode.
//!
//! A file reader needs them for error messages. Copied from `enum ggml_type` and
//! `type_traits` of <https://github.com/ggml-org/llama.cpp/tree/master/ggml>; ids that ggml
//! has removed (4, 5, 31-33, 36-38) are unknown here too.

/// One ggml type: its GGUF id, name and block geometry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GgmlType {
    /// The id that GGUF stores.
    pub id: u32,
    /// The GGUF spelling of the name.
    pub name: &'static str,
    /// Weights per block.
    pub block_len: usize,
    /// Bytes per block.
    pub block_bytes: usize,
}

/// The largest ggml type id in the table.
pub const MAX_GGML_TYPE: u32 = 42;

const fn row(id: u32, name: &'static str, block_len: usize, block_bytes: usize) -> GgmlType {
    GgmlType { id, name, block_len, block_bytes }
}

const TYPES: &[GgmlType] = &[
    row(0, "F32", 1, 4),
    row(1, "F16", 1, 2),
    row(2, "Q4_0", 32, 18),
    row(3, "Q4_1", 32, 20),
    row(6, "Q5_0", 32, 22),
    row(7, "Q5_1", 32, 24),
    row(8, "Q8_0", 32, 34),
    row(9, "Q8_1", 32, 36),
    row(10, "Q2_K", 256, 84),
    row(11, "Q3_K", 256, 110),
    row(12, "Q4_K", 256, 144),
    row(13, "Q5_K", 256, 176),
    row(14, "Q6_K", 256, 210),
    row(15, "Q8_K", 256, 292),
    row(16, "IQ2_XXS", 256, 66),
    row(17, "IQ2_XS", 256, 74),
    row(18, "IQ3_XXS", 256, 98),
    row(19, "IQ1_S", 256, 50),
    row(20, "IQ4_NL", 32, 18),
    row(21, "IQ3_S", 256, 110),
    row(22, "IQ2_S", 256, 82),
    row(23, "IQ4_XS", 256, 136),
    row(24, "I8", 1, 1),
    row(25, "I16", 1, 2),
    row(26, "I32", 1, 4),
    row(27, "I64", 1, 8),
    row(28, "F64", 1, 8),
    row(29, "IQ1_M", 256, 56),
    row(30, "BF16", 1, 2),
    row(34, "TQ1_0", 256, 54),
    row(35, "TQ2_0", 256, 66),
    row(39, "MXFP4", 32, 17),
    row(40, "NVFP4", 64, 36),
    row(41, "Q1_0", 128, 18),
    row(42, "Q2_0", 64, 18),
];

impl GgmlType {
    /// The type of that id, if ggml defines one.
    pub fn from_id(id: u32) -> Option<&'static Self> {
        TYPES.iter().find(|it| it.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(TYPES.windows(2).all(|pair| pair[0].id < pair[1].id));
        let withdrawn = [4, 5, 31, 32, 33, 36, 37, 38];
        for id in 0..=MAX_GGML_TYPE {
            assert_eq!(GgmlType::from_id(id).is_none(), withdrawn.contains(&id), "id {id}");
        }
        assert_eq!(GgmlType::from_id(MAX_GGML_TYPE + 1), None);
    }
}
