//! What a sequence says of single inputs, step by step.
