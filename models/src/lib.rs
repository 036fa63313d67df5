//! Learned things: pre-trained models, online learners, drift detectors.
