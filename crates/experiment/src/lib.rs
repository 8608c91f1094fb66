//! Experiment cells, journal, statistics, published numbers, verdicts, reports.
