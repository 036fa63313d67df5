//! Expectations: statements about a run, as a tree.

use arcstr::ArcStr;
use serde::Serialize;

use crate::metric::STATISTICS;
use crate::query::SyntaxError;
use crate::script::Expect;
use crate::time::Span;

/// A statement that is true or false at an instant.
#[derive(Clone, PartialEq, Debug)]
pub enum Claim {
    /// Two numbers compared.
    Compare(Term, Comparison, Term),
    /// Two tables compared: `dashboard == truth` (`true`: equal) or `dashboard != twin` (`false`: different).
    Tables(Table, bool, Table),
    /// `a and b`.
    And(Box<Claim>, Box<Claim>),
    /// `a or b`.
    Or(Box<Claim>, Box<Claim>),
    /// `not a`.
    Not(Box<Claim>),
}

/// How two numbers are compared. Always exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the comparison of that name")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A number. Spans count in microseconds.
#[derive(Clone, PartialEq, Debug)]
pub enum Term {
    /// A constant.
    Number(f64),
    /// A constant with a unit.
    Span(Span),
    /// `actor.metric` or `actor.metric.statistic` (`p50`, `p99`, `p999`, `max`, `mean`, `min`), or `link a -> b.metric`
    /// as `"a -> b".metric`, or `fault.id.fired`.
    Metric(Metric),
    /// Arithmetic: `+ - * /`.
    Arithmetic(Box<Term>, char, Box<Term>),
}

/// The name of a metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// The actor, link (`a -> b`) or fault (`fault.id`).
    pub of: ArcStr,
    /// The metric, as its descriptor names it.
    pub name: ArcStr,
    /// For histograms: which number of it.
    pub statistic: Option<ArcStr>,
}

/// A table of results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Table {
    /// What a sink has, its answers folded.
    Sink(ArcStr),
    /// What it should have: computed over every event of the fault-free input, by true time.
    Truth,
    /// What it should have from what was admitted: truth without what never arrived, was lost and was late, by stamp.
    Admitted,
    /// What the same sink has in the twin: this scenario and seed without its faults.
    Twin,
}

/// How a statement is meant: which instants it speaks of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectationKind {
    /// Holds at every instant.
    Always,
    /// Becomes true within a given time.
    Eventually,
    /// Holds at one instant at least.
    Sometimes,
    /// Holds at no instant.
    Never,
    /// Holds when all is over.
    Final,
}

/// Everything there is to know about a kind of expectation.
#[derive(Clone, Copy, Debug)]
pub struct ExpectationDescriptor {
    /// Which.
    pub kind: ExpectationKind,
    /// As a file names it.
    pub name: &'static str,
    /// What it asks.
    pub meaning: &'static str,
    /// How it is written.
    pub example: &'static str,
}

/// The five kinds.
pub static EXPECTATIONS: &[ExpectationDescriptor] = &[
    ExpectationDescriptor {
        kind: ExpectationKind::Always,
        name: "always",
        meaning: "holds at every instant of the run",
        example: "always = \"per-minute.held <= 5000\"",
    },
    ExpectationDescriptor {
        kind: ExpectationKind::Eventually,
        name: "eventually",
        meaning: "becomes true within `within` of the start, or of the end of the last fault",
        example: "eventually = \"dashboard == twin\"\nwithin = \"30s\"\nafter = \"faults\"",
    },
    ExpectationDescriptor {
        kind: ExpectationKind::Sometimes,
        name: "sometimes",
        meaning: "holds at one instant at least: the run put it to the test",
        example: "sometimes = \"per-minute.corrections > 0\"",
    },
    ExpectationDescriptor {
        kind: ExpectationKind::Never,
        name: "never",
        meaning: "holds at no instant",
        example: "never = \"per-minute.late > 0\"",
    },
    ExpectationDescriptor {
        kind: ExpectationKind::Final,
        name: "final",
        meaning: "holds when all is over",
        example: "final = \"dashboard == truth\"",
    },
];

impl ExpectationKind {
    /// Its name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Eventually => "eventually",
            Self::Sometimes => "sometimes",
            Self::Never => "never",
            Self::Final => "final",
        }
    }
}

impl Expect {
    /// The statements that are there, each with its kind. A valid expectation has one.
    pub fn statements(&self) -> Vec<(ExpectationKind, &str)> {
        [
            (ExpectationKind::Always, &self.always),
            (ExpectationKind::Eventually, &self.eventually),
            (ExpectationKind::Sometimes, &self.sometimes),
            (ExpectationKind::Never, &self.never),
            (ExpectationKind::Final, &self.finally),
        ]
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text.as_deref()?)))
        .collect()
    }
}

/// Reads a statement such as `dashboard == truth` or `per-minute.emit_delay.p99 <= 2500ms and fault.kill.fired > 0`.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_claim(text: &str) -> Result<Claim, SyntaxError> {
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        depth: 0,
        end: crate::query::end_of(text),
    };
    let claim = parser.or()?;
    match parser.peek() {
        None => Ok(claim),
        Some(other) => parser.refuse(format!("`{other}` is not expected here")),
    }
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    /// A name with its dots, such as `per-minute.emit_delay.p99`; quoted parts may hold anything.
    Name(Vec<String>),
    Number(f64),
    Span(Span),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(parts) => f.write_str(&parts.join(".")),
            Self::Number(x) => write!(f, "{x}"),
            Self::Span(span) => write!(f, "{span}"),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

type Placed = (Token, (usize, usize));

/// Signs, the longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<>", "<=", ">=", "<", ">", "=", "(", ")", "+", "-", "*", "/",
];

fn tokenize(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    let mut tokens = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let place = (line, column);
        let taken = if c.is_whitespace() {
            c.len_utf8()
        } else if c.is_ascii_digit() {
            let (token, taken) = number(rest).map_err(|why| SyntaxError::at(place, why))?;
            tokens.push((token, place));
            taken
        } else if c.is_alphabetic() || matches!(c, '_' | '"') {
            let (parts, taken) = name(rest).map_err(|why| SyntaxError::at(place, why))?;
            tokens.push((Token::Name(parts), place));
            taken
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push((Token::Sign(sign), place));
            sign.len()
        } else {
            return Err(SyntaxError::at(place, format!("`{c}` is not known here")));
        };
        for c in rest[..taken].chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        rest = &rest[taken..];
        if tokens.len() > 1_000 {
            return Err(SyntaxError::at(
                place,
                "this is too long: more than 1000 words and signs",
            ));
        }
    }
    Ok(tokens)
}

/// A number, or a duration: numbers with units, the unit next to its number or one blank behind.
fn number(text: &str) -> Result<(Token, usize), String> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | 'µ' | 'μ');
    let mut end = text.find(|c: char| !part(c)).unwrap_or(text.len());
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
    if digits(&text[..end]) && text[end..].starts_with(' ') {
        let behind = &text[end + 1..];
        let unit = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        if unit > 0 && Span::parse(&text[..end + 1 + unit]).is_ok() {
            end += 1 + unit;
        }
    }
    let read = &text[..end];
    match read.replace('_', "").parse::<f64>() {
        Ok(x) if x.is_finite() => Ok((Token::Number(x), end)),
        _ => Span::parse(read).map(|span| (Token::Span(span), end)),
    }
}

fn name(text: &str) -> Result<(Vec<String>, usize), String> {
    let mut parts = vec![];
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some(end) = quoted.find('"') else {
                return Err("this name is not closed with `\"`".into());
            };
            parts.push(quoted[..end].to_owned());
            at += end + 2;
        } else {
            let inside = |(i, c): (usize, char)| {
                let behind = rest[i + c.len_utf8()..].chars().next();
                c.is_alphanumeric() || c == '_' || (c == '-' && behind.is_some_and(|b| b.is_alphanumeric() || b == '_'))
            };
            let end = rest
                .char_indices()
                .find(|at| !inside(*at))
                .map_or(rest.len(), |(i, _)| i);
            if end == 0 {
                return Err("a name is missing behind the dot".into());
            }
            parts.push(rest[..end].to_owned());
            at += end;
        }
        match text[at..].strip_prefix('.') {
            Some(_) => at += 1,
            None => return Ok((parts, at)),
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Placed],
    next: usize,
    depth: usize,
    end: (usize, usize),
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }
    fn refuse<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError::at(
            self.tokens.get(self.next).map_or(self.end, |(_, place)| *place),
            message,
        ))
    }
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(parts)) if matches!(parts.as_slice(), [one] if one == word));
        self.next += usize::from(found);
        found
    }
    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                self.next += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn or(&mut self) -> Result<Claim, SyntaxError> {
        let mut claim = self.and()?;
        while self.word("or") {
            claim = Claim::Or(Box::new(claim), Box::new(self.and()?));
        }
        Ok(claim)
    }
    fn and(&mut self) -> Result<Claim, SyntaxError> {
        let mut claim = self.not()?;
        while self.word("and") {
            claim = Claim::And(Box::new(claim), Box::new(self.not()?));
        }
        Ok(claim)
    }
    fn not(&mut self) -> Result<Claim, SyntaxError> {
        self.depth += 1;
        if self.depth > 64 {
            return self.refuse("this is nested too deeply");
        }
        let claim = if self.word("not") {
            Claim::Not(Box::new(self.not()?))
        } else {
            self.single()?
        };
        self.depth -= 1;
        Ok(claim)
    }

    /// A bracket may hold a claim or a number: both are tried, and the attempt that came further speaks.
    fn single(&mut self) -> Result<Claim, SyntaxError> {
        let start = self.next;
        let compared = match self.comparison() {
            Ok(claim) => return Ok(claim),
            Err(e) => e,
        };
        let reached = self.next;
        self.next = start;
        if self.sign(&["("]).is_none() {
            return Err(compared);
        }
        let inner = self.or().and_then(|claim| match self.sign(&[")"]) {
            Some(_) => Ok(claim),
            None => self.refuse("`)` is missing"),
        });
        match inner {
            Err(_) if reached > self.next => Err(compared),
            other => other,
        }
    }

    fn comparison(&mut self) -> Result<Claim, SyntaxError> {
        if let Some(left) = self.table() {
            let equal = match self.sign(&["==", "=", "!=", "<>"]) {
                Some("==" | "=") => true,
                Some(_) => false,
                None => return self.refuse("a table is compared with `==` or `!=`: dashboard == truth"),
            };
            return match self.table() {
                Some(right) => Ok(Claim::Tables(left, equal, right)),
                None => self.refuse("a table is compared with a table: truth, admitted, twin or a sink"),
            };
        }
        let left = self.sum()?;
        let comparison = match self.sign(&["==", "=", "!=", "<>", "<", "<=", ">", ">="]) {
            Some("==" | "=") => Comparison::Equal,
            Some("!=" | "<>") => Comparison::NotEqual,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(_) => Comparison::GreaterOrEqual,
            None => return self.refuse("a comparison is missing: == != < <= > >="),
        };
        Ok(Claim::Compare(left, comparison, self.sum()?))
    }

    fn table(&mut self) -> Option<Table> {
        let Some(Token::Name(parts)) = self.peek() else {
            return None;
        };
        let [word] = parts.as_slice() else { return None };
        self.next += 1;
        Some(match word.as_str() {
            "truth" => Table::Truth,
            "admitted" => Table::Admitted,
            "twin" => Table::Twin,
            sink => Table::Sink(sink.into()),
        })
    }

    fn sum(&mut self) -> Result<Term, SyntaxError> {
        let mut term = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let sign = if sign == "+" { '+' } else { '-' };
            term = Term::Arithmetic(Box::new(term), sign, Box::new(self.product()?));
        }
        Ok(term)
    }
    fn product(&mut self) -> Result<Term, SyntaxError> {
        let mut term = self.factor()?;
        while let Some(sign) = self.sign(&["*", "/"]) {
            let sign = if sign == "*" { '*' } else { '/' };
            term = Term::Arithmetic(Box::new(term), sign, Box::new(self.factor()?));
        }
        Ok(term)
    }
    fn factor(&mut self) -> Result<Term, SyntaxError> {
        self.depth += 1;
        if self.depth > 64 {
            return self.refuse("this is nested too deeply");
        }
        let term = if self.sign(&["-"]).is_some() {
            match self.factor()? {
                Term::Number(x) => Term::Number(-x),
                Term::Span(span) => Term::Span(-span),
                other => Term::Arithmetic(Box::new(Term::Number(0.0)), '-', Box::new(other)),
            }
        } else if self.sign(&["("]).is_some() {
            let term = self.sum()?;
            if self.sign(&[")"]).is_none() {
                return self.refuse("`)` is missing");
            }
            term
        } else {
            let term = match self.peek() {
                Some(Token::Number(x)) => Term::Number(*x),
                Some(Token::Span(span)) => Term::Span(*span),
                Some(Token::Name(parts)) if parts.len() >= 2 => Term::Metric(metric(parts)),
                Some(Token::Name(parts)) => {
                    return self.refuse(format!(
                        "`{}` is not a number; write actor.metric, like per-minute.late",
                        parts[0]
                    ));
                }
                Some(other) => return self.refuse(format!("a number or metric is missing before `{other}`")),
                None => return self.refuse("a number or metric is missing"),
            };
            self.next += 1;
            term
        };
        self.depth -= 1;
        Ok(term)
    }
}

fn metric(parts: &[String]) -> Metric {
    let statistic = parts.len() >= 3 && STATISTICS.contains(&parts[parts.len() - 1].as_str());
    let name = parts.len() - if statistic { 2 } else { 1 };
    Metric {
        of: parts[..name].join(".").into(),
        name: parts[name].as_str().into(),
        statistic: statistic.then(|| parts[name + 1].as_str().into()),
    }
}

impl Claim {
    /// Every metric and table that it speaks of, in order.
    pub fn subjects(&self) -> (Vec<&Metric>, Vec<&Table>) {
        fn of_term<'a>(term: &'a Term, metrics: &mut Vec<&'a Metric>) {
            match term {
                Term::Metric(metric) => metrics.push(metric),
                Term::Arithmetic(a, _, b) => {
                    of_term(a, metrics);
                    of_term(b, metrics);
                }
                Term::Number(_) | Term::Span(_) => {}
            }
        }
        fn of_claim<'a>(claim: &'a Claim, metrics: &mut Vec<&'a Metric>, tables: &mut Vec<&'a Table>) {
            match claim {
                Claim::Compare(a, _, b) => {
                    of_term(a, metrics);
                    of_term(b, metrics);
                }
                Claim::Tables(a, _, b) => tables.extend([a, b]),
                Claim::And(a, b) | Claim::Or(a, b) => {
                    of_claim(a, metrics, tables);
                    of_claim(b, metrics, tables);
                }
                Claim::Not(a) => of_claim(a, metrics, tables),
            }
        }
        let (mut metrics, mut tables) = (vec![], vec![]);
        of_claim(self, &mut metrics, &mut tables);
        (metrics, tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metric_term(of: &str, name: &str, statistic: Option<&str>) -> Term {
        Term::Metric(Metric {
            of: of.into(),
            name: name.into(),
            statistic: statistic.map(Into::into),
        })
    }

    #[test]
    fn tables_metrics_and_spans_are_compared() {
        assert_eq!(
            parse_claim("dashboard == truth"),
            Ok(Claim::Tables(Table::Sink("dashboard".into()), true, Table::Truth))
        );
        assert_eq!(
            parse_claim("per-minute.emit_delay.p99 <= 2500ms"),
            Ok(Claim::Compare(
                metric_term("per-minute", "emit_delay", Some("p99")),
                Comparison::LessOrEqual,
                Term::Span(Span::from_millis(2_500))
            ))
        );
        assert_eq!(
            parse_claim("\"orders-0 -> per-minute\".lost > 0 and not fault.slow-link.fired == 0"),
            Ok(Claim::And(
                Box::new(Claim::Compare(
                    metric_term("orders-0 -> per-minute", "lost", None),
                    Comparison::Greater,
                    Term::Number(0.0)
                )),
                Box::new(Claim::Not(Box::new(Claim::Compare(
                    metric_term("fault.slow-link", "fired", None),
                    Comparison::Equal,
                    Term::Number(0.0)
                ))))
            ))
        );
    }

    #[test]
    fn arithmetic_binds_before_comparison_and_brackets_hold_claims_or_numbers() {
        let claim = parse_claim("(a.late + b.late) * 2 <= 1 min - 5 s").expect("a claim");
        assert!(matches!(
            claim,
            Claim::Compare(Term::Arithmetic(_, '*', _), _, Term::Arithmetic(_, '-', _))
        ));
        let claim = parse_claim("(a.late > 1 or b.late > 1) and sink != twin").expect("a claim");
        assert!(matches!(claim, Claim::And(..)));
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        for (text, wanted) in [
            ("", "line 1, column 1: a number or metric is missing"),
            (
                "dashboard truth",
                "line 1, column 11: a table is compared with `==` or `!=`: dashboard == truth",
            ),
            ("a.late", "line 1, column 7: a comparison is missing: == != < <= > >="),
            (
                "a.late > 3 parsecs",
                "line 1, column 12: `parsecs` is not expected here",
            ),
            (
                "a.late > 3weeks",
                "line 1, column 10: `3weeks` is not a duration: `weeks` is no unit (us, ms, s, m, h, d); write \
              a number with a unit, like \"250ms\", \"2s\", \"1h30m\"",
            ),
            (
                "a.late > 3 and\n b. > 1",
                "line 2, column 2: a name is missing behind the dot",
            ),
            ("a.late > (3 + 1", "line 1, column 16: `)` is missing"),
            ("a.late ? 3", "line 1, column 8: `?` is not known here"),
            ("\"a.late > 3", "line 1, column 1: this name is not closed with `\"`"),
            (
                "a.late > late",
                "line 1, column 10: `late` is not a number; write actor.metric, like per-minute.late",
            ),
        ] {
            assert_eq!(parse_claim(text).expect_err(text).to_string(), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c0-9 .()<>=!\"-]{0,40}") {
            let _ = parse_claim(&text);
        }
    }
}
