//! The `from` clause, read from the tokens: the stream's name, its window, its alias, and what is joined to it
//! ([`super::join`]).
//!
//! Two forms. The short one stands behind the name: `from orders window tumbling(1 min)`. The standard table functions
//! take the stream as an argument: `from tumble(orders, interval '1' minute)`, or in full
//! `from table(tumble(table orders, descriptor(event_time), interval '1' minute))`. As in the standard's dialects the
//! table functions `hop` and `cumulate` take the step before the size; the short forms take the size first.

use arcstr::ArcStr;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::join::{self, BEHIND, JOINS, Join};
use super::parse::{SyntaxError, is_word, parse_expr, point};
use super::{Expr, Window};
use crate::script::Sequence;
use crate::sequence::take_match;
use crate::suggest::hint;
use crate::time::Span;
use crate::value::Value;

/// What a `from` clause says.
#[derive(Debug)]
pub(super) struct From {
    pub name: ArcStr,
    pub alias: Option<ArcStr>,
    pub joins: Vec<Join>,
    pub window: Option<Window>,
    pub matching: Option<Sequence>,
}

pub(super) type Place = (usize, usize);
type Result<T> = std::result::Result<T, SyntaxError>;

/// The names of windows in the short form.
const WINDOWS: &[&str] = &[
    "tumbling",
    "hop",
    "time",
    "sliding",
    "length",
    "length_batch",
    "session",
    "snapshot",
    "stagger",
    "cumulate",
    "global",
];
/// The names of table functions.
const TABLE_FUNCTIONS: &[&str] = &["tumble", "hop", "session", "cumulate"];
/// What may follow the clause.
pub(super) const CLAUSES: &[&str] = &["where", "group", "having", "order", "limit"];

/// Takes the `from` clause out; a plain quoted name is left in its place for the SQL parser.
pub(super) fn take_from(text: &str, tokens: Vec<TokenWithSpan>, end: Place) -> Result<(From, Vec<TokenWithSpan>)> {
    let mut depth = 0i32;
    let start = tokens.iter().position(|t| {
        match t.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0 && is_word(t, "from")
    });
    let Some(start) = start else {
        return Err(SyntaxError::at(end, "`from` is missing: which stream is read?"));
    };
    let mut reader = Reader {
        text,
        tokens: &tokens,
        next: start + 1,
        end,
    };
    let mut from = reader.clause()?;
    from.joins = join::joins(&mut reader, &mut from)?;
    if let Some(token) = reader.peek()
        && !matches!(&token.token, Token::SemiColon)
        && !CLAUSES.iter().any(|clause| is_word(token, clause))
    {
        let near = hint(&token.token.to_string(), words());
        return reader.refuse(format!(
            "`{}` is not expected after the stream's name{near}",
            token.token
        ));
    }
    let next = reader.next;
    let mut rest = tokens[..=start].to_vec();
    rest.push(TokenWithSpan {
        token: Token::Word(Word {
            value: from.name.to_string(),
            quote_style: Some('"'),
            keyword: sqlparser::keywords::Keyword::NoKeyword,
        }),
        span: tokens.get(start + 1).map_or(tokens[start].span, |t| t.span),
    });
    rest.extend_from_slice(&tokens[next..]);
    Ok((from, rest))
}

/// Walks over the tokens.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub tokens: &'a [TokenWithSpan],
    pub next: usize,
    pub end: Place,
}

/// An argument of a window, as it is written.
pub(super) struct Argument<'a> {
    name: Option<String>,
    pub text: &'a str,
    pub place: Place,
}

impl<'a> Reader<'a> {
    pub fn peek(&self) -> Option<&'a TokenWithSpan> {
        self.tokens.get(self.next)
    }
    pub fn place(&self) -> Place {
        self.peek().and_then(|t| point(t.span.start)).unwrap_or(self.end)
    }
    pub fn refuse<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(SyntaxError::at(self.place(), message))
    }
    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|t| is_word(t, word));
        self.next += usize::from(found);
        found
    }
    fn at(&self, token: &Token) -> bool {
        self.peek().is_some_and(|t| t.token == *token)
    }
    fn calls(&self, names: &[&str]) -> Option<&'a str> {
        let Token::Word(word) = &self.peek()?.token else {
            return None;
        };
        let bracket = self.tokens.get(self.next + 1)?.token == Token::LParen;
        (bracket && names.iter().any(|n| n.eq_ignore_ascii_case(&word.value))).then_some(word.value.as_str())
    }

    /// A stream: its name, its window, its alias.
    pub fn clause(&mut self) -> Result<From> {
        let mut window = None;
        let mut matching = None;
        let mut alias = None;
        let name = if self.at(&Token::LParen) {
            return self.refuse("a query inside a query is not known; chain two operators instead");
        } else if self.calls(&["table"]).is_some() {
            self.next += 2;
            let (name, found) = self.table_function()?;
            if !self.at(&Token::RParen) {
                return self.refuse("`table(` is not closed");
            }
            self.next += 1;
            window = Some(found);
            name
        } else if matches!(self.tokens.get(self.next + 1), Some(t) if t.token == Token::LParen) {
            let (name, found) = self.table_function()?;
            window = Some(found);
            name
        } else {
            self.name()?
        };
        loop {
            let place = self.place();
            if self.take_word("window") {
                if window.is_some() {
                    return Err(SyntaxError::at(place, "the stream has a window already"));
                }
                window = Some(self.window()?);
            } else if self.take_word("match_recognize") {
                let (sequence, next) = take_match(self.text, self.tokens, self.next, self.end)?;
                matching = Some(sequence);
                self.next = next;
            } else if self.take_word("as") {
                alias = Some(self.simple_name("a name is missing after `as`")?);
            } else if let Some(token) = self.peek() {
                match &token.token {
                    Token::Comma => {
                        return self.refuse(
                            "streams are joined with a condition: `from a join b on a.x = b.x within (1 min)`",
                        );
                    }
                    Token::SemiColon => break,
                    Token::Word(w)
                        if w.quote_style.is_none() && CLAUSES.iter().any(|c| w.value.eq_ignore_ascii_case(c)) =>
                    {
                        break;
                    }
                    Token::Word(w)
                        if w.quote_style.is_none()
                            && JOINS.iter().chain(BEHIND).any(|j| w.value.eq_ignore_ascii_case(j)) =>
                    {
                        break;
                    }
                    Token::Word(w) if alias.is_none() && !self.next_is_bracket() && self.may_name(&w.value) => {
                        alias = Some(self.simple_name("a name is missing")?);
                    }
                    other => {
                        let near = hint(&other.to_string(), words().chain(JOINS.iter().copied()));
                        return self.refuse(format!("`{other}` is not expected after the stream's name{near}"));
                    }
                }
            } else {
                break;
            }
        }
        Ok(From {
            name,
            alias,
            joins: vec![],
            window,
            matching,
        })
    }

    /// Whether a word may be an alias without `as`: one that looks like a slip in a word of the language may not.
    pub fn may_name(&self, word: &str) -> bool {
        let behind = self.tokens.get(self.next + 1);
        // `a lef join b` would be another join than is meant.
        let joins = behind.is_some_and(|token| is_word(token, "join") || is_word(token, "outer"));
        let slip = |words: &[&str]| !hint(word, words.iter().copied()).is_empty();
        let words: Vec<&str> = words().collect();
        word.len() <= 2 || !(slip(&words) || (joins && slip(JOINS)))
    }

    fn next_is_bracket(&self) -> bool {
        matches!(self.tokens.get(self.next + 1), Some(t) if t.token == Token::LParen)
    }

    pub fn simple_name(&mut self, missing: &str) -> Result<ArcStr> {
        match self.peek().map(|t| &t.token) {
            Some(Token::Word(w)) => {
                self.next += 1;
                Ok(w.value.as_str().into())
            }
            _ => self.refuse(missing),
        }
    }

    /// A name of the scenario, which unlike a column's may have `-` and `.` inside: adjacent tokens are joined.
    fn name(&mut self) -> Result<ArcStr> {
        let Some(first) = self.peek() else {
            return self.refuse("the name of a stream is missing after `from`");
        };
        let Token::Word(word) = &first.token else {
            return self.refuse(format!("`{}` is not the name of a stream", first.token));
        };
        self.next += 1;
        let mut name = word.value.clone();
        let mut end = first.span.end;
        while let Some(token) = self.peek() {
            let part = match &token.token {
                Token::Minus => "-".to_owned(),
                Token::Period => ".".to_owned(),
                Token::Word(w) if w.quote_style.is_none() => w.value.clone(),
                Token::Number(n, _) => n.clone(),
                _ => break,
            };
            if token.span.start != end {
                break;
            }
            name.push_str(&part);
            end = token.span.end;
            self.next += 1;
        }
        Ok(name.into())
    }

    /// The arguments between brackets, from the opening one on.
    pub fn arguments(&mut self) -> Result<Vec<Argument<'a>>> {
        let open = self.place();
        if !self.at(&Token::LParen) {
            return self.refuse("`(` is missing");
        }
        self.next += 1;
        let mut arguments = Vec::new();
        let mut depth = 0;
        let mut from = self.next;
        loop {
            let Some(token) = self.peek() else {
                return Err(SyntaxError::at(open, "this bracket is not closed; add `)`"));
            };
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => break,
                Token::RParen => depth -= 1,
                Token::Comma if depth == 0 => {
                    arguments.push(self.argument(from, self.next)?);
                    from = self.next + 1;
                }
                _ => {}
            }
            self.next += 1;
        }
        if from < self.next || !arguments.is_empty() {
            arguments.push(self.argument(from, self.next)?);
        }
        self.next += 1;
        Ok(arguments)
    }

    fn argument(&self, mut from: usize, to: usize) -> Result<Argument<'a>> {
        let mut name = None;
        if let (Some(word), Some(arrow)) = (self.tokens.get(from), self.tokens.get(from + 1))
            && let Token::Word(w) = &word.token
            && matches!(arrow.token, Token::RArrow | Token::Eq)
        {
            name = Some(w.value.to_lowercase());
            from += 2;
        }
        if from >= to {
            return Err(SyntaxError::at(
                self.tokens
                    .get(to)
                    .and_then(|t| point(t.span.start))
                    .unwrap_or(self.end),
                "an argument is missing here",
            ));
        }
        let place = point(self.tokens[from].span.start).unwrap_or(self.end);
        let stop = point(self.tokens[to - 1].span.end).unwrap_or(self.end);
        let text = &self.text[offset(self.text, place)..offset(self.text, stop)];
        Ok(Argument {
            name,
            text: text.trim(),
            place,
        })
    }

    pub fn window(&mut self) -> Result<Window> {
        let place = self.place();
        let Some(Token::Word(word)) = self.peek().map(|t| &t.token) else {
            return self.refuse(format!("which window? There are {}", WINDOWS.join(", ")));
        };
        let kind = word.value.to_lowercase();
        self.next += 1;
        let known = WINDOWS.contains(&kind.as_str()) || ["tumble", "hopping", "lengthbatch"].contains(&kind.as_str());
        if !known {
            let near = hint(&kind, WINDOWS.iter().copied());
            let near = if near.is_empty() {
                format!("; there are {}", WINDOWS.join(", "))
            } else {
                near
            };
            return Err(SyntaxError::at(place, format!("there is no window `{kind}`{near}")));
        }
        let arguments = self.arguments()?;
        build(&kind, &arguments, place)
    }

    /// `tumble(orders, …)` and its kin: the stream and the window over it.
    fn table_function(&mut self) -> Result<(ArcStr, Window)> {
        let place = self.place();
        let Some(kind) = self.calls(TABLE_FUNCTIONS).map(str::to_lowercase) else {
            let word = self.peek().map(|t| t.token.to_string()).unwrap_or_default();
            let near = hint(&word, TABLE_FUNCTIONS.iter().copied());
            let near = if near.is_empty() {
                format!("; there are {}", TABLE_FUNCTIONS.join(", "))
            } else {
                near
            };
            return Err(SyntaxError::at(
                place,
                format!("there is no table function `{word}`{near}"),
            ));
        };
        self.next += 1;
        let arguments = self.arguments()?;
        let mut name = None;
        let mut rest = Vec::new();
        for argument in arguments {
            let lower = argument.text.to_lowercase();
            if lower.starts_with("descriptor") {
                let column: String = lower
                    .trim_start_matches("descriptor")
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .collect();
                if column != "(event_time)" {
                    let message = "windows are over the event time: write `descriptor(event_time)` or leave it out, and name \
                                   the column in the source's `event_time`";
                    return Err(SyntaxError::at(argument.place, message));
                }
            } else if name.is_none() && argument.name.as_deref().is_none_or(|n| n == "data") {
                let stream = if lower.starts_with("table ") {
                    &argument.text[6..]
                } else {
                    argument.text
                };
                let stream = stream.trim().trim_matches('"');
                let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
                if stream.is_empty() || !stream.chars().all(fits) {
                    let message = format!("`{stream}` is not the name of a stream, which comes first in `{kind}(…)`");
                    return Err(SyntaxError::at(argument.place, message));
                }
                name = Some(ArcStr::from(stream));
            } else {
                rest.push(argument);
            }
        }
        let Some(name) = name else {
            return Err(SyntaxError::at(
                place,
                format!("`{kind}` takes a stream first: {kind}(orders, …)"),
            ));
        };
        // The standard's dialects put the step before the size.
        if matches!(kind.as_str(), "hop" | "cumulate") && rest.len() >= 2 && rest.iter().all(|a| a.name.is_none()) {
            rest.swap(0, 1);
            if let (Ok(size), Ok(step)) = (span(&rest[0]), span(&rest[1]))
                && step > size
            {
                let message = format!(
                    "in the table function `{kind}` the step comes before the size, and {step} is longer than {size}"
                );
                return Err(SyntaxError::at(rest[1].place, message));
            }
        }
        let window = build(if kind == "tumble" { "tumbling" } else { &kind }, &rest, place)?;
        Ok((name, window))
    }
}

fn words() -> impl Iterator<Item = &'static str> {
    ["window", "as", "join", "match_recognize"]
        .into_iter()
        .chain(CLAUSES.iter().copied())
}

/// The byte at which a line and column of the text lie.
pub(crate) fn offset(text: &str, (line, column): Place) -> usize {
    let line_start = match line {
        0 | 1 => 0,
        _ => text
            .match_indices('\n')
            .nth(line - 2)
            .map_or(text.len(), |(at, _)| at + 1),
    };
    let rest = &text[line_start..];
    line_start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

/// A duration: `1 min`, `'1 min'`, `interval '1' minute`.
pub(super) fn span(argument: &Argument<'_>) -> Result<Span> {
    let text = argument.text;
    let wrong = |why: String| SyntaxError::at(argument.place, why);
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return Span::parse(inner).map_err(wrong);
    }
    if text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("interval")) {
        return match parse_expr(text) {
            Ok(Expr::Span(span)) => Ok(span),
            Ok(_) => Err(wrong(format!("`{text}` is not a duration"))),
            Err(inner) => Err(wrong(inner.message)),
        };
    }
    Span::parse(text).map_err(wrong)
}

fn build(kind: &str, arguments: &[Argument<'_>], place: Place) -> Result<Window> {
    let refuse = |message: String| Err(SyntaxError::at(place, message));
    let names: (&[&str], usize) = match kind {
        "tumbling" | "tumble" => (&["size", "offset"], 1),
        "hop" | "hopping" => (&["size", "every", "offset"], 2),
        "time" | "sliding" => (&["size", "every"], 1),
        "length" | "length_batch" | "lengthbatch" => (&["n"], 1),
        "session" => (&["gap"], 1),
        "snapshot" => (&["lasts"], 0),
        "stagger" => (&["size"], 1),
        "cumulate" => (&["size", "every", "offset"], 2),
        _ => (&[], 0),
    };
    let (names, least) = names;
    let mut slots: Vec<Option<&Argument<'_>>> = vec![None; names.len()];
    for (i, argument) in arguments.iter().enumerate() {
        let wanted = argument.name.as_deref().map(|n| match n {
            "slide" | "step" => "every",
            "max" => "size",
            "on" if kind == "time" || kind == "sliding" => "every",
            other => other,
        });
        let slot = match wanted {
            Some(name) => names.iter().position(|n| *n == name),
            None => (i < names.len()).then_some(i),
        };
        match slot {
            Some(slot) if slots[slot].is_none() => slots[slot] = Some(argument),
            _ => {
                let message = match names {
                    [] => format!("`{kind}` takes no argument"),
                    _ => format!("`{kind}` takes ({}); this is one too many", names.join(", ")),
                };
                return Err(SyntaxError::at(argument.place, message));
            }
        }
    }
    if slots.iter().take(least).any(Option::is_none) {
        return refuse(format!("`{kind}` takes ({}); one is missing", names.join(", ")));
    }
    let positive = |slot: usize| -> Result<Span> {
        let Some(argument) = slots[slot] else {
            return Ok(Span::ZERO);
        };
        let value = span(argument)?;
        if value <= Span::ZERO {
            return Err(SyntaxError::at(
                argument.place,
                format!("`{}` must be longer than zero", names[slot]),
            ));
        }
        Ok(value)
    };
    let offset = |slot: usize| slots.get(slot).copied().flatten().map_or(Ok(Span::ZERO), span);
    let count = || -> Result<u64> {
        let Some(argument) = slots[0] else { return Ok(0) };
        match argument.text.parse::<u64>() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(SyntaxError::at(
                argument.place,
                format!("`{kind}` takes how many events, a whole number from 1"),
            )),
        }
    };
    Ok(match kind {
        "tumbling" | "tumble" => Window::Tumbling {
            size: positive(0)?,
            offset: offset(1)?,
        },
        "hop" | "hopping" => Window::Hop {
            size: positive(0)?,
            every: positive(1)?,
            offset: offset(2)?,
        },
        "time" | "sliding" => {
            let size = positive(0)?;
            match slots[1] {
                None => Window::Sliding { size, on_change: false },
                Some(a) if is_change(a.text) => Window::Sliding { size, on_change: true },
                Some(_) if kind == "sliding" => {
                    return refuse("`sliding` takes (size) or (size, on change)".into());
                }
                Some(_) => Window::Hop {
                    size,
                    every: positive(1)?,
                    offset: Span::ZERO,
                },
            }
        }
        "length" => Window::Length(count()?),
        "length_batch" | "lengthbatch" => Window::LengthBatch(count()?),
        "session" => Window::Session { gap: positive(0)? },
        "stagger" => Window::Stagger { size: positive(0)? },
        "snapshot" => Window::Snapshot {
            lasts: Box::new(lasts(slots[0])?),
        },
        "cumulate" => {
            let (max, step) = (positive(0)?, positive(1)?);
            if max.micros() % step.micros() != 0 {
                return refuse(format!(
                    "`cumulate` grows by {step} up to {max}, which is no multiple of it"
                ));
            }
            Window::Cumulate {
                max,
                step,
                offset: offset(2)?,
            }
        }
        _ => Window::Global,
    })
}

fn is_change(text: &str) -> bool {
    let text = text.to_lowercase();
    let text = text.trim_start_matches("on").trim().trim_matches('\'');
    text == "change"
}

/// How long an event of a snapshot window lasts: a duration, or an expression over its fields.
fn lasts(argument: Option<&Argument<'_>>) -> Result<Expr> {
    let Some(argument) = argument else {
        return Ok(Expr::Span(Span::ZERO));
    };
    if argument.text.starts_with(|c: char| c.is_ascii_digit() || c == '\'') {
        let span = span(argument)?;
        if span <= Span::ZERO {
            return Err(SyntaxError::at(
                argument.place,
                "events of a snapshot window last longer than zero",
            ));
        }
        return Ok(Expr::Span(span));
    }
    let inner = parse_expr(argument.text).map_err(|e| SyntaxError::at(argument.place, e.message))?;
    match inner {
        Expr::Literal(Value::Int(_) | Value::Float(_) | Value::Text(_)) => Err(SyntaxError::at(
            argument.place,
            "a snapshot window takes a duration with a unit, or a field with seconds",
        )),
        x if x.has_aggregate() => Err(SyntaxError::at(argument.place, "an aggregate cannot stand here")),
        x => Ok(x),
    }
}
