//! From text to tree.

use std::fmt;

use super::{Expr, Query};

/// A query or expression that cannot be read, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Line within the text, from 1.
    pub line: usize,
    /// Column within that line, in characters, from 1.
    pub column: usize,
    /// What is wrong, and what was probably meant.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Reads a query.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_query(text: &str) -> Result<Query, SyntaxError> {
    Err(SyntaxError {
        line: 1,
        column: 1,
        message: format!("queries such as `{text}` are not read yet"),
    })
}

/// Reads an expression.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_expr(text: &str) -> Result<Expr, SyntaxError> {
    Err(SyntaxError {
        line: 1,
        column: 1,
        message: format!("expressions such as `{text}` are not read yet"),
    })
}
