//! Reading a scenario file: from text to a [`Script`], with every problem at its place.

use std::sync::Arc;

use crate::script::Scenario;
use crate::topology::Topology;

/// A scenario read, checked and ready to be run any number of times, at any seed.
#[derive(Clone, Debug)]
pub struct Script {
    /// The settings.
    pub scenario: Scenario,
    /// Actors, nodes and links.
    pub topology: Arc<Topology>,
    /// The text it was read from, for pointing into it.
    pub text: Arc<str>,
    /// Where it came from, for a person: a path, or a name in the library.
    pub origin: Arc<str>,
}

/// Something wrong with a scenario or a data file, at its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    pub help: Option<String>,
}

/// Where data files come from.
pub trait Files {
    /// The bytes of the file of that name.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String>;
}
