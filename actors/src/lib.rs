//! The cast: the world, and every source, operator, watermark generator and sink as an actix actor.

mod cast;
pub mod element;
mod host;
pub mod operator;
pub mod processing;
pub mod reliability;
mod roles;
pub mod scaling;
pub mod world;

pub use cast::{Departure, Departures, Players, Vault};
pub use element::Element;
pub use host::{Part, enter};
pub use roles::RIPE;
pub use scaling::convey::TELL;
pub use scaling::watermark::{ALIGN, EVERY};
