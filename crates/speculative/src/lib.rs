//! Sampling and speculative decoding over an abstract language model.
