//! SQL's `match_recognize`, read from the tokens of a query: the clauses of the standard, and `within` behind the pattern as
//! streams need it.
//!
//! ```text
//! select * from trades match_recognize (
//!   partition by symbol order by event_time
//!   measures first(a.price) as low, last(b.price) as high
//!   one row per match
//!   after match skip past last row
//!   pattern (a b+ c?) within interval '10' minute
//!   define b as price > prev(price)
//! )
//! ```
//!
//! What the standard says of edges holds: nothing lies between two steps. Loops are greedy, or reluctant with a `?` behind
//! them. Each clause is optional but the pattern.

use arcstr::ArcStr;
use indexmap::IndexMap;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Contiguity, Loop, parse};
use crate::query::{Expr, Predicate, SyntaxError, is_word, offset, parse_expr, point};
use crate::script::{AfterMatch, Inside, Order, Precedence, Restart, Sequence, Since};
use crate::suggest;
use crate::time::Span;

type Place = (usize, usize);
type Result<T> = std::result::Result<T, SyntaxError>;

/// The words with which clauses begin.
const CLAUSES: &[&str] = &[
    "partition",
    "order",
    "measures",
    "one",
    "all",
    "after",
    "pattern",
    "within",
    "define",
];

/// Reads what stands in the brackets behind `match_recognize`, from the opening one at `next` on; also says which token
/// follows.
pub(crate) fn take_match(text: &str, tokens: &[TokenWithSpan], next: usize, end: Place) -> Result<(Sequence, usize)> {
    let place = |at: usize| tokens.get(at).and_then(|t| point(t.span.start)).unwrap_or(end);
    if tokens.get(next).is_none_or(|t| t.token != Token::LParen) {
        return Err(SyntaxError::at(place(next), "`(` is missing behind `match_recognize`"));
    }
    let close =
        closing(tokens, next).ok_or_else(|| SyntaxError::at(place(next), "this bracket is not closed; add `)`"))?;
    let inside = Clauses {
        text,
        tokens: &tokens[next + 1..close],
        end: place(close),
    };
    Ok((inside.sequence()?, close + 1))
}

/// The bracket that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

struct Clauses<'a> {
    text: &'a str,
    tokens: &'a [TokenWithSpan],
    end: Place,
}

impl<'a> Clauses<'a> {
    fn place(&self, at: usize) -> Place {
        self.tokens
            .get(at)
            .and_then(|t| point(t.span.start))
            .unwrap_or(self.end)
    }
    fn refuse<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(SyntaxError::at(self.place(at), message))
    }
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| is_word(t, word))
    }
    /// The text of some tokens.
    fn slice(&self, from: usize, to: usize) -> &'a str {
        let start = offset(self.text, self.place(from));
        let stop = self
            .tokens
            .get(to)
            .map_or(self.end, |t| point(t.span.start).unwrap_or(self.end));
        self.text.get(start..offset(self.text, stop)).unwrap_or_default().trim()
    }
    /// Where the clause that begins behind `at` ends: at the next word at the top that begins one.
    fn clause_end(&self, from: usize) -> usize {
        let mut depth = 0;
        for (i, token) in self.tokens.iter().enumerate().skip(from) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                // `partition by order` is not SQL: the words are reserved where a clause may begin.
                _ if depth == 0 && CLAUSES.iter().any(|word| is_word(token, word)) => return i,
                _ => {}
            }
        }
        self.tokens.len()
    }
    /// The parts between commas at the top.
    fn list(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut depth = 0;
        let mut parts = Vec::new();
        let mut start = from;
        for i in from..to {
            match self.tokens[i].token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::Comma if depth == 0 => {
                    parts.push((start, i));
                    start = i + 1;
                }
                _ => {}
            }
        }
        parts.push((start, to));
        parts
    }
    fn name(&self, at: usize, what: &str) -> Result<ArcStr> {
        match self.tokens.get(at).map(|t| &t.token) {
            Some(Token::Word(word)) => Ok(word.value.as_str().into()),
            Some(other) => self.refuse(at, format!("{what} is missing before `{other}`")),
            None => self.refuse(at, format!("{what} is missing")),
        }
    }
    fn expr(&self, from: usize, to: usize) -> Result<Predicate> {
        let text = self.slice(from, to);
        match parse_expr(text) {
            Ok(expr) => Ok(Predicate {
                text: text.to_owned(),
                expr,
            }),
            Err(inner) => {
                let (line, column) = self.place(from);
                let column = if inner.line == 1 {
                    column + inner.column - 1
                } else {
                    inner.column
                };
                Err(SyntaxError::at((line + inner.line - 1, column), inner.message))
            }
        }
    }
    fn words(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.is(at + i, word))
    }

    fn sequence(&self) -> Result<Sequence> {
        let mut by = Vec::new();
        let mut measures: Vec<(ArcStr, Predicate)> = Vec::new();
        let mut after = AfterMatch::PastLast;
        let mut pattern = None;
        let mut within = None;
        let mut defined: Vec<(usize, ArcStr, Predicate)> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let stop = self.clause_end(at + 1);
            if self.words(at, &["partition", "by"]) {
                for (from, to) in self.list(at + 2, stop) {
                    if to != from + 1 {
                        return self.refuse(from, "`partition by` takes the names of fields");
                    }
                    by.push(self.name(from, "the name of a field")?.to_string());
                }
                at = stop;
            } else if self.words(at, &["order", "by"]) {
                let what = self.slice(at + 2, stop).to_lowercase();
                if !matches!(
                    what.as_str(),
                    "event_time" | "event_time()" | "event_time asc" | "event_time() asc"
                ) {
                    return self.refuse(
                        at + 2,
                        "events are matched in event-time order: write `order by event_time`",
                    );
                }
                at = stop;
            } else if self.is(at, "measures") {
                for (from, to) in self.list(at + 1, stop) {
                    if to < from + 2 {
                        return self.refuse(from, "a measure has a name: last(b.price) as price");
                    }
                    let name = self.name(to - 1, "the name of a measure")?;
                    let last = if self.is(to - 2, "as") { to - 2 } else { to - 1 };
                    measures.push((name, self.expr(from, last)?));
                }
                at = stop;
            } else if self.words(at, &["one", "row", "per", "match"]) {
                at += 4;
            } else if self.is(at, "all") {
                return self.refuse(
                    at,
                    "`all rows per match` is not known; collect(b.price) lists what a step took",
                );
            } else if self.words(at, &["after", "match", "skip"]) {
                (after, at) = self.skip(at + 3)?;
            } else if self.is(at, "pattern") {
                let Some(close) = closing(self.tokens, at + 1).filter(|_| self.tokens[at + 1].token == Token::LParen)
                else {
                    return self.refuse(at + 1, "a pattern stands in brackets: pattern (a b+ c)");
                };
                let (line, column) = self.place(at + 2);
                let read = parse::read(self.slice(at + 2, close), Contiguity::Strict);
                pattern = Some(read.map_err(|inner| {
                    let column = if inner.line == 1 {
                        column + inner.column - 1
                    } else {
                        inner.column
                    };
                    SyntaxError::at((line + inner.line - 1, column), inner.message)
                })?);
                at = close + 1;
            } else if self.is(at, "within") {
                within = Some(self.duration(at + 1, stop)?);
                at = stop;
            } else if self.is(at, "define") {
                for (from, to) in self.list(at + 1, stop) {
                    let step = self.name(from, "the name of a step")?;
                    if !self.is(from + 1, "as") {
                        return self.refuse(from + 1, format!("`as` is missing behind `{step}`"));
                    }
                    defined.push((from, step, self.expr(from + 2, to)?));
                }
                at = stop;
            } else {
                let found = self.tokens[at].token.to_string();
                let near = suggest::hint(&found, CLAUSES.iter().copied());
                return self.refuse(at, format!("`{found}` begins no clause of `match_recognize`{near}"));
            }
        }
        let Some(pattern) = pattern else {
            return self.refuse(self.tokens.len(), "the pattern is missing: pattern (a b+ c)");
        };
        let steps = pattern.tree.steps();
        let mut conditions = IndexMap::new();
        for (from, name, condition) in defined {
            let Some(step) = steps.iter().find(|step| step.eq_ignore_ascii_case(&name)) else {
                let near = suggest::hint(&name, steps.iter().map(ArcStr::as_str));
                return self.refuse(from, format!("`{name}` is no step of the pattern{near}"));
            };
            conditions.insert(step.to_string(), condition);
        }
        let mut select = IndexMap::new();
        for field in &by {
            let column = Expr::Column(vec![field.as_str().into()]);
            select.insert(
                field.clone(),
                Predicate {
                    text: field.clone(),
                    expr: column,
                },
            );
        }
        for (name, measure) in measures {
            if select.insert(name.to_string(), measure).is_some() {
                return self.refuse(
                    0,
                    format!("two columns are called `{name}`; give one another name with `as`"),
                );
            }
        }
        Ok(Sequence {
            pattern,
            by,
            conditions,
            from: std::collections::BTreeMap::new(),
            select,
            within,
            within_includes_end: false,
            within_since: Since::First,
            unbounded: false,
            after,
            precedence: Precedence::Start,
            restart: Restart::Always,
            order: Order::EventTime,
            absence_includes_end: false,
            all_may_share: false,
            loops: Loop::Greedy,
            inside_loops: Inside::Consecutive,
            timeouts: false,
        })
    }

    fn skip(&self, at: usize) -> Result<(AfterMatch, usize)> {
        if self.words(at, &["past", "last", "row"]) {
            return Ok((AfterMatch::PastLast, at + 3));
        }
        if self.words(at, &["to", "next", "row"]) {
            return Ok((AfterMatch::ToNext, at + 3));
        }
        if self.words(at, &["to", "first"]) {
            return Ok((
                AfterMatch::ToFirst(self.name(at + 2, "the name of a step")?.to_string()),
                at + 3,
            ));
        }
        if self.words(at, &["to", "last"]) {
            return Ok((
                AfterMatch::ToLast(self.name(at + 2, "the name of a step")?.to_string()),
                at + 3,
            ));
        }
        self.refuse(
            at,
            "after a match it goes on `past last row`, `to next row`, `to first b` or `to last b`",
        )
    }

    fn duration(&self, from: usize, to: usize) -> Result<Span> {
        let text = self.slice(from, to);
        let wrong = |why: String| SyntaxError::at(self.place(from), why);
        if self.is(from, "interval") {
            return match self.expr(from, to)?.expr {
                Expr::Span(span) => Ok(span),
                _ => Err(wrong(format!("`{text}` is not a duration"))),
            };
        }
        Span::parse(text.trim_matches('\'')).map_err(wrong)
    }
}
