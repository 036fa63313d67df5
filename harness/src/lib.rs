//! The machine: builds a world from a script, makes the faults, judges the run; the wavetank command.
