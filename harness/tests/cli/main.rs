//! The `wavetank` command as a person or a script meets it: every command, every exit code, and what is on the screen.

mod bench;
mod commands;
mod crashes;
mod disk;
mod exits;
mod exposing;
mod report;
mod screens;
mod support;
mod sweep;
mod training;
