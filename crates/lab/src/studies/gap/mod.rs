//! The throughput-gap study (GAP).

mod decode;
mod operations;

ridgeline_experiment::studies! {
    gap_sum, gap_1, gap_2, gap_3, gap_4, gap_5, gap_6, gap_7, gap_8, gap_9, gap_10, gap_11, gap_12
}

#[cfg(test)]
mod tests;
