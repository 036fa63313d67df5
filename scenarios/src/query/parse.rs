//! From text to tree. The `from` clause, with the window that standard SQL does not know, is read from the tokens
//! ([`super::from`]); the rest is left to the SQL parser and converted, with every error at its line and column.

use std::fmt;

use arcstr::ArcStr;
use sqlparser::ast::{self, Spanned as _};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::expressions::Converter;
use super::from::{From, take_from};
use super::join::{self, names_stream};
use super::{Expr, Function, OrderBy, Query, SelectItem};

/// The most tokens of a query: what no person writes, and no stack should have to follow.
const MOST_TOKENS: usize = 4_000;

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

impl SyntaxError {
    /// An error at (line, column).
    pub(crate) fn at((line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self {
            line,
            column,
            message: message.into(),
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// The SQL that queries are written in: the standard's core and no vendor's extras, so that words such as `first` and
/// `top` stay names.
#[derive(Debug)]
struct StreamSql;

impl Dialect for StreamSql {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }
    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }
    fn identifier_quote_style(&self, _: &str) -> Option<char> {
        Some('"')
    }
    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }
    fn supports_group_by_expr(&self) -> bool {
        true
    }
}

/// A place in the text, unless the parser did not know it.
pub(crate) fn point(location: Location) -> Option<(usize, usize)> {
    (location.line > 0).then_some((location.line as usize, location.column as usize))
}

/// Reads a query.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_query(text: &str) -> Result<Query, SyntaxError> {
    let end = end_of(text);
    let tokens = tokenize(text)?;
    match tokens.first() {
        Some(token) if is_word(token, "select") => {}
        first => {
            let place = first.and_then(|t| point(t.span.start)).unwrap_or(end);
            return Err(SyntaxError::at(
                place,
                "a query begins with `select`; write select … from … window tumbling(1 min) where … group by … having …",
            ));
        }
    }
    let (from, rest) = take_from(text, tokens, end)?;
    if let Some((before, after)) = rest
        .windows(2)
        .map(|w| (&w[0], &w[1]))
        .find(|(w, p)| is_window_call(w, p))
    {
        let place = point(before.span.start).unwrap_or(end);
        let message = format!(
            "`window {}` stands right after the stream's name, before `where`",
            after.token
        );
        return Err(SyntaxError::at(place, message));
    }
    let mut parser = Parser::new(&StreamSql).with_tokens_with_locations(rest);
    let query = parser.parse_query().map_err(|e| from_parser(&e, end))?;
    let _ = parser.consume_token(&Token::SemiColon);
    let left = parser.peek_token();
    if left.token != Token::EOF {
        let place = point(left.span.start).unwrap_or(end);
        return Err(SyntaxError::at(place, format!("`{}` is not expected here", left.token)));
    }
    convert(text, &query, from)
}

/// Reads an expression.
///
/// # Errors
/// What cannot be read, and where.
pub fn parse_expr(text: &str) -> Result<Expr, SyntaxError> {
    let end = end_of(text);
    let tokens = tokenize(text)?;
    if tokens.is_empty() {
        return Err(SyntaxError::at((1, 1), "an expression is missing"));
    }
    let mut parser = Parser::new(&StreamSql).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|e| from_parser(&e, end))?;
    let left = parser.peek_token();
    if left.token != Token::EOF {
        let place = point(left.span.start).unwrap_or(end);
        return Err(SyntaxError::at(
            place,
            format!("`{}` is not expected behind an expression", left.token),
        ));
    }
    let expr = Converter::new((1, 1), true).expr(&expr)?;
    if names_stream(&expr) {
        let message = "`event_time(…)` of a stream is known in joins only; write `event_time()`";
        return Err(SyntaxError::at((1, 1), message));
    }
    Ok(expr)
}

/// An expression over single events, of some tokens of a query that ends at `end`.
pub(super) fn expr_of(tokens: &[TokenWithSpan], end: (usize, usize)) -> Result<Expr, SyntaxError> {
    let start = tokens.first().and_then(|t| point(t.span.start)).unwrap_or(end);
    let mut parser = Parser::new(&StreamSql).with_tokens_with_locations(tokens.to_vec());
    let expr = parser.parse_expr().map_err(|e| from_parser(&e, end))?;
    let left = parser.peek_token();
    if left.token != Token::EOF {
        let place = point(left.span.start).unwrap_or(end);
        return Err(SyntaxError::at(place, format!("`{}` is not expected here", left.token)));
    }
    Converter::new(start, false).expr(&expr)
}

fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>, SyntaxError> {
    let tokens = Tokenizer::new(&StreamSql, text)
        .tokenize_with_location()
        .map_err(|e| SyntaxError::at(point(e.location).unwrap_or((1, 1)), sentence(&e.message)))?;
    let tokens: Vec<_> = tokens
        .into_iter()
        .filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    match tokens.get(MOST_TOKENS) {
        None => Ok(tokens),
        Some(token) => Err(SyntaxError::at(
            point(token.span.start).unwrap_or((1, 1)),
            format!("this is too long: more than {MOST_TOKENS} words and signs"),
        )),
    }
}

/// Just behind the last character that is not a blank.
pub(crate) fn end_of(text: &str) -> (usize, usize) {
    let text = text.trim_end();
    let line = text.lines().count().max(1);
    (line, text.lines().last().map_or(0, |l| l.chars().count()) + 1)
}

/// Whether the token is that word, in any case and not quoted.
pub(crate) fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn is_window_call(word: &TokenWithSpan, name: &TokenWithSpan) -> bool {
    is_word(word, "window") && matches!(&name.token, Token::Word(w) if w.quote_style.is_none())
}

fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The parser's error in our words; it carries its place as text.
fn from_parser(error: &ParserError, end: (usize, usize)) -> SyntaxError {
    let message = match error {
        ParserError::ParserError(m) | ParserError::TokenizerError(m) => m.as_str(),
        ParserError::RecursionLimitExceeded => return SyntaxError::at(end, "this is nested too deeply"),
    };
    let (text, place) = match message.rsplit_once(" at Line: ") {
        Some((text, place)) => {
            let place = place.split_once(", Column: ").and_then(|(line, column)| {
                let number = |s: &str| s.trim().parse::<usize>().ok().filter(|n| *n > 0);
                Some((number(line)?, number(column)?))
            });
            (text, place.unwrap_or(end))
        }
        None => (message, end),
    };
    let text = text
        .replace("found: EOF", "found: the end")
        .replace("Expected: ", "expected ")
        .replace("found: ", "found ");
    SyntaxError::at(place, sentence(&text))
}

fn convert(text: &str, query: &ast::Query, from: From) -> Result<Query, SyntaxError> {
    let start = (1, 1);
    let refuse = |place, message: &str| Err(SyntaxError::at(place, message));
    if query.with.is_some() || query.fetch.is_some() || !query.locks.is_empty() || !query.pipe_operators.is_empty() {
        return refuse(start, "`with`, `fetch` and `for` are not known in queries");
    }
    let ast::SetExpr::Select(select) = &*query.body else {
        return refuse(
            start,
            "only a plain `select` is known: no `union`, `except` or `values`",
        );
    };
    if select.distinct.is_some() {
        return refuse(start, "`select distinct` is not known; group by the columns instead");
    }
    let place = point(select.select_token.0.span.start).unwrap_or(start);
    if !select.named_window.is_empty() || select.qualify.is_some() || select.into.is_some() || select.top.is_some() {
        return refuse(
            place,
            "`window … as`, `qualify`, `into` and `top` clauses are not known in queries",
        );
    }
    let outside = Converter::new(place, true);
    let single = Converter::new(place, false);

    let mut items = Vec::with_capacity(select.projection.len());
    let mut places = Vec::with_capacity(select.projection.len());
    for item in &select.projection {
        let at = match item {
            ast::SelectItem::UnnamedExpr(x) | ast::SelectItem::ExprWithAlias { expr: x, .. } => outside.place_of(x),
            other => point(other.span().start).unwrap_or(place),
        };
        places.push(at);
        items.push(select_item(item, outside, at)?);
    }
    let filter = select.selection.as_ref().map(|x| single.expr(x)).transpose()?;
    let group_by = match &select.group_by {
        ast::GroupByExpr::Expressions(list, modifiers) if modifiers.is_empty() => single.list(list)?,
        _ => {
            return refuse(
                place,
                "`group by all`, `rollup` and `cube` are not known; name the columns",
            );
        }
    };
    let window_bound = |x: &Expr| matches!(x, Expr::Call(Function::WindowStart | Function::WindowEnd, _));
    // Each firing has one window: grouping by its bounds, as the table functions ask for, changes nothing.
    let group_by: Vec<Expr> = group_by
        .into_iter()
        .filter(|x| from.window.is_none() || !window_bound(x))
        .collect();
    let having = select.having.as_ref().map(|x| outside.expr(x)).transpose()?;
    let order_by = match &query.order_by {
        None => vec![],
        Some(ast::OrderBy {
            kind: ast::OrderByKind::Expressions(list),
            ..
        }) => list
            .iter()
            .map(|item| order_item(item, outside))
            .collect::<Result<_, _>>()?,
        Some(_) => return refuse(place, "`order by all` is not known; name the columns"),
    };
    let limit = limit(query, place)?;
    let query = Query {
        text: text.to_owned(),
        select: items,
        from: from.name,
        alias: from.alias,
        joins: from.joins,
        window: from.window,
        filter,
        group_by,
        having,
        order_by,
        limit,
        matching: from.matching.map(Box::new),
    };
    check(&query, &places, place)?;
    Ok(query)
}

fn select_item(item: &ast::SelectItem, converter: Converter, at: (usize, usize)) -> Result<SelectItem, SyntaxError> {
    match item {
        ast::SelectItem::Wildcard(_) => Ok(SelectItem::All),
        ast::SelectItem::UnnamedExpr(source) => {
            let expr = converter.expr(source)?;
            let name = match (&expr, source) {
                (Expr::Column(path), _) => path.last().cloned().unwrap_or_default(),
                (_, ast::Expr::Function(call)) => ArcStr::from(call.name.to_string().to_lowercase()),
                (Expr::Call(function, _), _) => super::functions::name_of(*function).into(),
                _ => ArcStr::from(expr.to_string()),
            };
            Ok(SelectItem::Expr { expr, name })
        }
        ast::SelectItem::ExprWithAlias { expr, alias } => Ok(SelectItem::Expr {
            expr: converter.expr(expr)?,
            name: alias.value.as_str().into(),
        }),
        other => Err(SyntaxError::at(
            at,
            format!("`{other}` is not known in a select list; write `*` or columns"),
        )),
    }
}

fn order_item(item: &ast::OrderByExpr, converter: Converter) -> Result<OrderBy, SyntaxError> {
    let descending = match &item.options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(_) => return Err(SyntaxError::at(converter.place, "order is `asc` or `desc`")),
    };
    Ok(OrderBy {
        expr: converter.expr(&item.expr)?,
        descending,
        nulls_first: item.options.nulls_first.unwrap_or(descending),
    })
}

fn limit(query: &ast::Query, place: (usize, usize)) -> Result<Option<u64>, SyntaxError> {
    let expr = match &query.limit_clause {
        None => return Ok(None),
        Some(ast::LimitClause::LimitOffset {
            limit: Some(expr),
            offset: None,
            limit_by,
        }) if limit_by.is_empty() => expr,
        Some(_) => {
            let message = "`limit` takes one number; `all` and `offset` are not known in queries";
            return Err(SyntaxError::at(place, message));
        }
    };
    match Converter::new(place, false).expr(expr)? {
        Expr::Literal(crate::value::Value::Int(n)) if n >= 0 => Ok(Some(n as u64)),
        _ => Err(SyntaxError::at(
            Converter::new(place, false).place_of(expr),
            "`limit` takes a whole number that is not negative",
        )),
    }
}

/// What is wrong with a query as a whole, though each of its parts can be read.
fn check(query: &Query, places: &[(usize, usize)], start: (usize, usize)) -> Result<(), SyntaxError> {
    if query.matching.is_some() {
        let plain =
            query.window.is_none() && query.filter.is_none() && query.group_by.is_empty() && query.limit.is_none();
        if query.select != [SelectItem::All] || !plain || query.having.is_some() || !query.order_by.is_empty() {
            let message =
                "around `match_recognize` stands only `select * from …`; its columns are the key and the measures";
            return Err(SyntaxError::at(start, message));
        }
    }
    let aggregates = query.aggregates();
    if !query.joins.is_empty() {
        join::check(query, start)?;
    } else if query.expressions().into_iter().any(names_stream) {
        let message = "`event_time(…)` of a stream is known in joins only; write `event_time()`";
        return Err(SyntaxError::at(start, message));
    }
    let mut names: Vec<&str> = Vec::new();
    for (item, &place) in query.select.iter().zip(places) {
        match item {
            SelectItem::All if aggregates => {
                let message = "`*` cannot be selected from a window or group; name aggregates and grouped columns";
                return Err(SyntaxError::at(place, message));
            }
            SelectItem::All => {}
            SelectItem::Expr { expr, name } => {
                if names.contains(&name.as_str()) {
                    let message = format!("two columns are called `{name}`; give one another name with `as`");
                    return Err(SyntaxError::at(place, message));
                }
                names.push(name);
                if aggregates && let Some(column) = ungrouped(expr, &query.group_by, &[]) {
                    let message = format!(
                        "`{column}` is neither in `group by` nor inside an aggregate; group by it, or take its max or last"
                    );
                    return Err(SyntaxError::at(place, message));
                }
            }
        }
    }
    let rest = query.having.iter().chain(query.order_by.iter().map(|o| &o.expr));
    for expr in rest.filter(|_| aggregates) {
        if let Some(column) = ungrouped(expr, &query.group_by, &names) {
            let near = crate::suggest::hint(&column.to_string(), names.iter().copied());
            let message = format!("`{column}` is neither selected, nor in `group by`, nor inside an aggregate{near}");
            return Err(SyntaxError::at(start, message));
        }
    }
    if !aggregates && (!query.order_by.is_empty() || query.limit.is_some()) {
        let message = "`order by` and `limit` work on the rows of a window's firing; give the query a window";
        return Err(SyntaxError::at(start, message));
    }
    Ok(())
}

/// The first column that stands outside aggregates, grouped expressions and `known` names.
fn ungrouped<'a>(expr: &'a Expr, groups: &[Expr], known: &[&str]) -> Option<&'a Expr> {
    let same = |group: &Expr| match (group, expr) {
        (Expr::Column(a), Expr::Column(b)) => {
            matches!((a.last(), b.last()), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
        }
        (a, b) => a == b,
    };
    if matches!(expr, Expr::Aggregate(_)) || groups.iter().any(same) {
        return None;
    }
    if let Expr::Column(path) = expr {
        let selected = matches!(path.as_slice(), [one] if known.iter().any(|k| k.eq_ignore_ascii_case(one)));
        return (!selected).then_some(expr);
    }
    expr.children()
        .into_iter()
        .find_map(|child| ungrouped(child, groups, known))
}
