//! What a layer keeps of the tokens that it has seen.

/// State of one layer of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Keys and values of every position.
    Kv {
        /// Key/value heads.
        heads: u32,
        /// Width of a key head.
        key: u32,
        /// Width of a value head. `None`: values are read from the keys' rows (latent attention).
        value: Option<u32>,
    },
    /// A state of fixed size, which every token overwrites.
    Recurrent {
        /// Its size.
        bytes: u64,
    },
}
