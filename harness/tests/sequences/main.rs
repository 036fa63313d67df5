//! Sequences of events: the operator against its naive model over patterns, settings and inputs drawn at random; what any
//! order of arrival comes to; and worked examples of public engines.

mod against;
mod engines;
mod examples;
mod pair;
