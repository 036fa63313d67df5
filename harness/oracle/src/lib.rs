//! The judge's references: what the answer should have been, in the simplest words.
