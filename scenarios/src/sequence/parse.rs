//! The short pattern language: from text to tree, with every error at its place.
//!
//! ```text
//! pattern   = sequence { "|" sequence }
//! sequence  = item { edge item }                 edge: "->" relaxed, "=>" any, "," or nothing strict
//! item      = "not" step [ "for" duration ] | unit [ times ] { how }
//! unit      = step | "(" pattern ")" | ("all" | "permute") "(" step { "," step } ")"
//! times     = "?" | "+" | "*" | "{n}" | "{n,}" | "{,m}" | "{n,m}", with "?" behind it for reluctant
//! how       = "greedy" | "reluctant" | "every" | "consecutive" | "relaxed" | "combinations" | "until" step
//! ```

use arcstr::ArcStr;

use super::{Absence, Contiguity, Loop, Part, Pattern, Repeat, Tree};
use crate::query::SyntaxError;
use crate::suggest::hint;
use crate::time::Span;

/// Words of the language, which cannot be the names of steps.
pub(crate) const WORDS: &[&str] = &[
    "not",
    "for",
    "all",
    "permute",
    "until",
    "greedy",
    "reluctant",
    "every",
    "consecutive",
    "relaxed",
    "combinations",
];

/// How deeply brackets may be nested.
const DEEPEST: usize = 30;

type Result<T> = std::result::Result<T, SyntaxError>;

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Name(String),
    Number(u32),
    Text(String),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

/// Two-character signs first.
const SIGNS: &[&str] = &["->", "=>", "(", ")", "{", "}", "|", ",", "?", "+", "*"];

/// Reads a pattern.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_pattern(text: &str) -> Result<Pattern> {
    read(text, Contiguity::Relaxed)
}

/// Reads a pattern in which `permute` has this between its steps.
pub(super) fn read(text: &str, permuted: Contiguity) -> Result<Pattern> {
    let tokens = tokens(text)?;
    let mut reader = Reader {
        tokens: &tokens,
        next: 0,
        end: crate::query::end_of(text),
        loops: 0,
        names: Vec::new(),
        depth: 0,
        permuted,
    };
    let tree = reader.pattern()?;
    match reader.peek() {
        None => Ok(Pattern {
            text: text.to_owned(),
            tree,
        }),
        Some(token) => reader.refuse(format!("`{token}` is not expected here")),
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, (usize, usize))>> {
    let mut tokens = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            let place = (row + 1, at + 1);
            let run = |fits: fn(char) -> bool| chars[at..].iter().take_while(|c| fits(**c)).count();
            if c.is_whitespace() {
                at += 1;
            } else if c.is_alphabetic() || c == '_' {
                let length = run(|c| c.is_alphanumeric() || c == '_');
                tokens.push((Token::Name(chars[at..at + length].iter().collect()), place));
                at += length;
            } else if c.is_ascii_digit() {
                let length = run(|c| c.is_ascii_digit());
                let number: String = chars[at..at + length].iter().collect();
                let Ok(number) = number.parse() else {
                    return Err(SyntaxError::at(place, format!("`{number}` is too large")));
                };
                tokens.push((Token::Number(number), place));
                at += length;
            } else if c == '\'' {
                let length = chars[at + 1..].iter().take_while(|c| **c != '\'').count();
                if at + 1 + length >= chars.len() {
                    return Err(SyntaxError::at(place, "this quotation mark is not closed"));
                }
                tokens.push((Token::Text(chars[at + 1..at + 1 + length].iter().collect()), place));
                at += length + 2;
            } else {
                let rest: String = chars[at..].iter().take(2).collect();
                let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                    let message = format!(
                        "`{c}` means nothing in a pattern; between steps stands `->` (the next that fits), `=>` (any \
                         later one) or nothing (the very next)"
                    );
                    return Err(SyntaxError::at(place, message));
                };
                tokens.push((Token::Sign(sign), place));
                at += sign.len();
            }
        }
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [(Token, (usize, usize))],
    next: usize,
    end: (usize, usize),
    loops: u32,
    names: Vec<ArcStr>,
    depth: usize,
    permuted: Contiguity,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }
    fn place(&self) -> (usize, usize) {
        self.tokens.get(self.next).map_or(self.end, |(_, place)| *place)
    }
    fn refuse<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(SyntaxError::at(self.place(), message))
    }
    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.next += usize::from(found);
        found
    }
    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_owned(), |token| format!("`{token}`"));
        self.refuse(format!("`{sign}` is missing before {found}"))
    }
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn pattern(&mut self) -> Result<Tree> {
        if self.depth >= DEEPEST {
            return self.refuse(format!("brackets are nested deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let mut branches = vec![self.sequence()?];
        while self.sign("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        if branches.len() == 1 {
            return Ok(branches.swap_remove(0));
        }
        let singles: Option<Vec<Vec<ArcStr>>> = branches
            .iter()
            .map(|branch| match branch {
                Tree::Step(name) => Some(vec![name.clone()]),
                Tree::OneOf(names) => Some(names.clone()),
                _ => None,
            })
            .collect();
        Ok(match singles {
            Some(names) => Tree::OneOf(names.concat()),
            None => Tree::Either(branches),
        })
    }

    fn sequence(&mut self) -> Result<Tree> {
        let mut parts = Vec::new();
        loop {
            let edge = if self.sign("->") {
                Contiguity::Relaxed
            } else if self.sign("=>") {
                Contiguity::Any
            } else {
                self.sign(",");
                Contiguity::Strict
            };
            let first = parts.is_empty();
            parts.push(self.part(edge, first)?);
            match self.peek() {
                None | Some(Token::Sign(")" | "|")) => break,
                _ => {}
            }
        }
        Ok(match parts.as_slice() {
            [Part::Take(_, _)] => match parts.swap_remove(0) {
                Part::Take(_, tree) => tree,
                Part::Not(absence) => Tree::Parts(vec![Part::Not(absence)]),
            },
            _ => Tree::Parts(parts),
        })
    }

    fn part(&mut self, edge: Contiguity, first: bool) -> Result<Part> {
        if self.word("not") {
            let step = self.step()?;
            let lasts = if self.word("for") { Some(self.duration()?) } else { None };
            return Ok(Part::Not(Absence {
                step,
                next: edge == Contiguity::Strict && !first && lasts.is_none(),
                lasts,
            }));
        }
        Ok(Part::Take(edge, self.item()?))
    }

    fn item(&mut self) -> Result<Tree> {
        let body = self.unit()?;
        let place = self.place();
        let times = if self.sign("?") {
            Some((0, Some(1)))
        } else if self.sign("+") {
            Some((1, None))
        } else if self.sign("*") {
            Some((0, None))
        } else if self.sign("{") {
            Some(self.bounds()?)
        } else {
            None
        };
        let mut repeat = Repeat {
            id: self.loops,
            body,
            min: 1,
            max: Some(1),
            mode: None,
            inside: None,
            until: None,
        };
        if let Some((min, max)) = times {
            if max.is_some_and(|max| max < min || max == 0) {
                let message = "a step repeats from the first to the second number of times: {2,5}";
                return Err(SyntaxError::at(place, message));
            }
            (repeat.min, repeat.max) = (min, max);
            self.loops += 1;
            if self.sign("?") {
                repeat.mode = Some(Loop::Reluctant);
            }
        }
        let mut said = false;
        loop {
            if self.word("greedy") {
                repeat.mode = Some(Loop::Greedy);
            } else if self.word("reluctant") {
                repeat.mode = Some(Loop::Reluctant);
            } else if self.word("every") {
                repeat.mode = Some(Loop::Every);
            } else if self.word("consecutive") {
                repeat.inside = Some(Contiguity::Strict);
            } else if self.word("relaxed") {
                repeat.inside = Some(Contiguity::Relaxed);
            } else if self.word("combinations") {
                repeat.inside = Some(Contiguity::Any);
            } else if self.word("until") {
                repeat.until = Some(self.step()?);
            } else {
                break;
            }
            said = true;
        }
        match times {
            Some(_) => Ok(Tree::Repeat(Box::new(repeat))),
            None if said => Err(SyntaxError::at(
                place,
                "only what repeats can be told how: write b+ or b{2,5} before it",
            )),
            None => Ok(repeat.body),
        }
    }

    fn bounds(&mut self) -> Result<(u32, Option<u32>)> {
        let number = |reader: &mut Self| match reader.peek() {
            Some(Token::Number(n)) => {
                let n = *n;
                reader.next += 1;
                Some(n)
            }
            _ => None,
        };
        let min = number(self);
        let range = self.sign(",");
        let max = if range { number(self) } else { min };
        if min.is_none() && max.is_none() {
            return self.refuse("how often? Write {3}, {2,}, {,5} or {2,5}; * for any number of times");
        }
        self.expect("}")?;
        Ok((min.unwrap_or(0), max))
    }

    fn unit(&mut self) -> Result<Tree> {
        if self.sign("(") {
            let tree = self.pattern()?;
            self.expect(")")?;
            return Ok(tree);
        }
        let inside = if self.word("all") {
            Contiguity::Relaxed
        } else if self.word("permute") {
            self.permuted
        } else {
            return self.step().map(Tree::Step);
        };
        self.expect("(")?;
        let mut names = vec![self.step()?];
        while self.sign(",") {
            names.push(self.step()?);
        }
        self.expect(")")?;
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return self.refuse(format!(
                    "`{name}` stands twice in `all(…)`; each step is asked for once"
                ));
            }
        }
        Ok(Tree::AllOf(names, inside))
    }

    fn step(&mut self) -> Result<ArcStr> {
        let Some(Token::Name(name)) = self.peek().cloned() else {
            let found = self.peek().map_or("the end".to_owned(), |token| format!("`{token}`"));
            return self.refuse(format!("the name of a step is missing before {found}"));
        };
        if WORDS.iter().any(|word| word.eq_ignore_ascii_case(&name)) {
            return self.refuse(format!(
                "`{name}` is a word of the language; give the step another name"
            ));
        }
        self.next += 1;
        // As in SQL, names that differ in case alone are one.
        match self.names.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            Some(known) => Ok(known.clone()),
            None => {
                self.names.push(name.as_str().into());
                Ok(name.into())
            }
        }
    }

    fn duration(&mut self) -> Result<Span> {
        let place = self.place();
        let text = match (self.peek().cloned(), self.tokens.get(self.next + 1)) {
            (Some(Token::Text(text)), _) => {
                self.next += 1;
                text
            }
            (Some(Token::Number(number)), Some((Token::Name(unit), _))) => {
                self.next += 2;
                format!("{number} {unit}")
            }
            _ => return self.refuse("how long? Write a duration: not b for 10s"),
        };
        match Span::parse(&text) {
            Ok(span) if span > Span::ZERO => Ok(span),
            Ok(_) => Err(SyntaxError::at(place, "an absence lasts longer than no time")),
            Err(why) => Err(SyntaxError::at(
                place,
                format!("{why}{}", hint(&text, ["10s", "5 min", "3h"])),
            )),
        }
    }
}
