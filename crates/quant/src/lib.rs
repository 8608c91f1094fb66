//! Number formats of language-model weights: layout, decode, encode.
