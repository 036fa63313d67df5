//! The script of a run: events and rows, settings, queries, the scenario file format, and the library of scenarios.
