//! The compute kernels, each with its cost and its CPU twin.
