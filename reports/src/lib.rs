//! What a person sees of a run: the record and its renderings.
