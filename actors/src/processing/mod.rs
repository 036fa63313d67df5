//! The processing patterns: transformation, filter and threshold, windowed aggregation.
